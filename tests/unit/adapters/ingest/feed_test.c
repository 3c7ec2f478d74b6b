/* Books to events: markers, differences, routes, tags, full rings; then random books against a
 * consumer that joins what it reads. */
#include "adapters/ingest/feed.h"
#include "tests/unit/adapters/ingest/world.h"

#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define OWN_TAG "L00000000100001000A"

struct bench {
    struct world world;
    struct adp_live *live;
    struct adp_publisher *publisher;
    struct adp_feed *feed;
    int64_t now_ns; /* of both clocks */
    int64_t last_ns;
    int64_t step_ns; /* between two books */
};

static void bench_open(struct bench *bench, uint32_t ring_slots, uint32_t held_events)
{
    memset(bench, 0, sizeof(*bench));
    world_open(&bench->world);
    world_publish(&bench->world);
    bench->live = adp_live_open(&bench->world.shm);
    assert_true(adp_live_follow(bench->live));
    bench->publisher = adp_publisher_open(&bench->world.shm, "test", ring_slots, held_events);
    bench->feed = adp_feed_open(bench->live, bench->publisher);
    bench->now_ns = 1000 * LS_NS_PER_S;
    bench->step_ns = LS_NS_PER_S;
}

static void bench_close(struct bench *bench)
{
    adp_feed_close(bench->feed);
    adp_publisher_close(bench->publisher);
    adp_live_close(bench->live);
    world_close(&bench->world);
}

/* An order state as a dialect gives it. */
static struct ipc_event order_of(uint32_t number, int64_t price_e8, int64_t filled, int64_t version)
{
    struct ipc_event order = {
        .kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_CNC,
        .validity = IPC_VALIDITY_DAY,
        .status = (uint8_t)(filled == 100 ? IPC_STATUS_FILLED : IPC_STATUS_OPEN),
        .source = IPC_SOURCE_TERMINAL,
        .instrument = 1,
        .qty_e8 = 100 * LS_E8,
        .price_e8 = price_e8,
        .filled_qty_e8 = filled * LS_E8,
        .average_price_e8 = filled > 0 ? price_e8 : 0,
        .version = version,
    };
    snprintf(order.broker_order_id, sizeof(order.broker_order_id), "2505260%08u", number);
    return order;
}

static bool give_book(struct bench *bench, uint32_t account, const struct ipc_event *orders,
    size_t count, const char *tag)
{
    const struct adp_feed_times times = {
        .read_mono_ns = bench->now_ns,
        .read_wall_ns = bench->now_ns,
        .last_read_mono_ns = bench->last_ns,
    };
    if (!adp_feed_book_begin(bench->feed, account, &times, false))
        return false;
    for (size_t i = 0; i < count; i++)
        adp_feed_book_row(bench->feed, &orders[i], tag);
    adp_feed_book_end(bench->feed);
    bench->last_ns = bench->now_ns;
    bench->now_ns += bench->step_ns;
    (void)adp_publisher_flush(bench->publisher, bench->now_ns);
    return true;
}

static size_t take_all(struct bench *bench, uint32_t shard, enum ipc_ring_class ring_class,
    struct ipc_event *events, size_t room)
{
    struct ipc_ring_consumer ring;
    size_t count = 0;
    if (!world_consume(&bench->world, "test", shard, ring_class, &ring))
        return 0;
    while (count < room && world_take(&ring, &events[count]))
        count++;
    ipc_ring_detach_consumer(&ring);
    return count;
}

static void the_first_book_is_whole_and_the_next_are_changes(void **state)
{
    struct bench bench;
    struct ipc_event events[16];
    struct ipc_event orders[3] = {order_of(1, 100 * LS_E8, 0, 0), order_of(2, 101 * LS_E8, 0, 0),
        order_of(3, 102 * LS_E8, 100, 0)};
    (void)state;
    bench_open(&bench, 1024, 64);
    bench.step_ns = 200 * LS_NS_PER_MS; /* before anything is said once more for its version */
    assert_false(adp_feed_is_published(bench.feed, 1));
    assert_true(give_book(&bench, 1, orders, 3, ""));
    assert_true(adp_feed_is_published(bench.feed, 1));
    for (uint32_t shard = 0; shard < 2; shard++) { /* both have followers of account 1 */
        assert_int_equal(take_all(&bench, shard, IPC_RING_ORDERS, events, 16), 5);
        assert_int_equal(events[0].kind, IPC_EVENT_BOOK_BEGIN);
        assert_int_equal(events[4].kind, IPC_EVENT_BOOK_END);
        assert_int_equal(events[4].book_order_count, 3);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(events[i].account, 1);
            assert_int_equal(events[i].flags, IPC_EVENT_FROM_BOOK);
        }
        assert_int_equal(take_all(&bench, shard, IPC_RING_UPDATES, events, 16), 0);
    }
    assert_true(give_book(&bench, 1, orders, 3, "")); /* nothing new */
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 16), 0);

    orders[1] = order_of(2, 105 * LS_E8, 0, 0);
    assert_true(give_book(&bench, 1, orders, 3, ""));
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 16), 1);
    assert_int_equal(events[0].kind, IPC_EVENT_ORDER);
    assert_int_equal(events[0].flags, 0);
    assert_int_equal(events[0].price_e8, 105 * LS_E8);
    assert_string_equal(events[0].broker_order_id, orders[1].broker_order_id);
    assert_int_equal(events[0].version, bench.last_ns); /* the read time stands in */
    assert_int_equal(events[0].feed_lag_ns, bench.step_ns);

    assert_true(give_book(&bench, 1, orders, 2, "")); /* one left the book */
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 16), 0);
    assert_true(give_book(&bench, 1, orders, 3, "")); /* and is back: published again */
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 16), 1);
    bench_close(&bench);
}

static void an_empty_book_has_markers(void **state)
{
    struct bench bench;
    struct ipc_event events[4];
    (void)state;
    bench_open(&bench, 1024, 64);
    assert_true(give_book(&bench, 1, NULL, 0, ""));
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 4), 2);
    assert_int_equal(events[0].kind, IPC_EVENT_BOOK_BEGIN);
    assert_int_equal(events[1].kind, IPC_EVENT_BOOK_END);
    assert_int_equal(events[1].book_order_count, 0);
    assert_false(give_book(&bench, 6, NULL, 0, "")); /* no such account */
    bench_close(&bench);
}

static void accounts_go_where_they_belong(void **state)
{
    static const struct {
        uint32_t account;
        size_t events[2][2]; /* [shard][orders, updates] */
    } routes[] = {
        {1, {{3, 0}, {3, 0}}},
        {2, {{0, 3}, {0, 0}}},
        {3, {{0, 0}, {0, 3}}},
        {4, {{3, 3}, {0, 0}}}, /* master without followers yet: its own shard */
        {5, {{0, 0}, {0, 3}}},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(routes); i++) {
        struct bench bench;
        const struct ipc_event order = order_of(1, 100 * LS_E8, 0, 0);
        bench_open(&bench, 1024, 64);
        assert_true(give_book(&bench, routes[i].account, &order, 1, ""));
        for (uint32_t shard = 0; shard < 2; shard++) {
            for (uint32_t c = 0; c < 2; c++) {
                struct ipc_event events[8];
                assert_int_equal(
                    take_all(&bench, shard, (enum ipc_ring_class)(IPC_RING_ORDERS + c), events, 8),
                    routes[i].events[shard][c]);
            }
        }
        bench_close(&bench);
    }
}

static void our_own_tags_are_marked(void **state)
{
    static const struct {
        uint32_t account;
        const char *tag;
        uint8_t flags;
    } tags[] = {
        {1, OWN_TAG, IPC_EVENT_OWN_TAG},
        {4, OWN_TAG, IPC_EVENT_OWN_TAG | IPC_EVENT_CHAINED},
        {1, "", 0},
        {4, "", 0},
        {1, "somebody-else", 0},
        {1, "l00000000100001000a", 0}, /* folded case is not ours */
        {1, OWN_TAG "X", 0},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(tags); i++) {
        struct bench bench;
        struct ipc_event events[8];
        const struct ipc_event order = order_of(1, 100 * LS_E8, 0, 0);
        bench_open(&bench, 1024, 64);
        assert_true(give_book(&bench, tags[i].account, &order, 1, tags[i].tag));
        assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 8), 3);
        assert_int_equal(events[1].flags, tags[i].flags | IPC_EVENT_FROM_BOOK);
        assert_string_equal(events[1].client_tag, tags[i].flags != 0 ? OWN_TAG : "");
        bench_close(&bench);
    }
}

static void keys_do_not_depend_on_the_delivery(void **state)
{
    struct bench bench;
    struct ipc_event first[4], second[4];
    const struct ipc_event order = order_of(1, 100 * LS_E8, 40, 900 * LS_NS_PER_S);
    (void)state;
    bench_open(&bench, 1024, 64);
    assert_true(give_book(&bench, 1, &order, 1, ""));
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, first, 4), 3);
    adp_feed_close(bench.feed); /* as after a restart */
    bench.feed = adp_feed_open(bench.live, bench.publisher);
    bench.now_ns += 77 * LS_NS_PER_S;
    assert_true(give_book(&bench, 1, &order, 1, ""));
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, second, 4), 3);
    assert_true(ipc_key_equal(first[1].event_key, second[1].event_key));
    assert_true(ipc_key_equal(first[1].order_key, second[1].order_key));
    assert_int_equal(first[1].order_digits, second[1].order_digits);
    bench_close(&bench);
}

static void ages_are_the_smaller_of_what_is_known(void **state)
{
    static const struct {
        int64_t last_s, version_s, want_s; /* read at 1000 */
    } ages[] = {
        {0, 0, 24 * 3600}, /* nobody knows */
        {0, 995, 6}, {999, 0, 1},
        {999, 100, 1},                 /* changed between the reads, whatever its time says */
        {900, 995, 6}, {900, 1005, 1}, /* a broker's clock ahead of ours */
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(ages); i++) {
        struct bench bench;
        struct ipc_event events[4];
        const struct ipc_event order = order_of(1, 100 * LS_E8, 0, ages[i].version_s * LS_NS_PER_S);
        bench_open(&bench, 1024, 64);
        bench.last_ns = ages[i].last_s * LS_NS_PER_S;
        assert_true(give_book(&bench, 1, &order, 1, ""));
        assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 4), 3);
        assert_int_equal(events[1].feed_lag_ns, ages[i].want_s * LS_NS_PER_S);
        bench_close(&bench);
    }
}

/* An engine in doubt about a request needs a reading later than its doubt, also of an order that
 * did not change: working copies of ours are said again every five seconds, other orders never. */
static void working_copies_are_said_again(void **state)
{
    static const struct {
        const char *tag;
        uint8_t status;
        bool again;
    } rows[] = {
        {OWN_TAG, IPC_STATUS_OPEN, true},
        {OWN_TAG, IPC_STATUS_CANCELLED, false},
        {"", IPC_STATUS_OPEN, false},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct bench bench;
        struct ipc_event events[8];
        struct ipc_event order = order_of(1, 100 * LS_E8, 0, 7 * LS_NS_PER_S);
        order.status = rows[i].status;
        bench_open(&bench, 1024, 64);
        for (int second = 0; second <= 11; second++) {
            assert_true(give_book(&bench, 2, &order, 1, rows[i].tag));
            const size_t count = take_all(&bench, 0, IPC_RING_UPDATES, events, 8);
            const size_t wanted = second == 0 ? 3 : rows[i].again && second % 5 == 0 ? 1 : 0;
            assert_int_equal(count, wanted);
            if (second > 0 && count == 1)
                assert_int_equal(events[0].received_mono_ns, bench.last_ns);
        }
        bench_close(&bench);
    }
}

/* A process that starts anew does not know what the one before said: what it finds within a second
 * of the broker's clock is said once more when the second is over, and until then the account is
 * not settled. Without any time the lag of the book stands for the second. */
static void the_last_word_is_said_once(void **state)
{
    static const struct {
        int64_t version; /* 0: undated */
        int64_t says[6]; /* versions by book, 700 ms apart; 0 = nothing */
        bool settled[6];
    } rows[] = {
        {1000 * LS_NS_PER_S, {1000 * LS_NS_PER_S, 0, 1001 * LS_NS_PER_S - 1, 0, 0, 0},
            {false, false, true, true, true, true}},
        {900 * LS_NS_PER_S, {901 * LS_NS_PER_S - 1, 0, 0, 0, 0, 0},
            {true, true, true, true, true, true}},
        {0, {1000 * LS_NS_PER_S, 0, 1001400 * LS_NS_PER_MS, 0, 0, 0},
            {false, false, true, true, true, true}},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct bench bench;
        struct ipc_event events[8];
        const struct ipc_event order = order_of(1, 100 * LS_E8, 0, rows[i].version);
        bench_open(&bench, 1024, 64);
        bench.step_ns = 700 * LS_NS_PER_MS;
        for (size_t book = 0; book < 6; book++) {
            assert_true(give_book(&bench, 2, &order, 1, ""));
            const size_t count = take_all(&bench, 0, IPC_RING_UPDATES, events, 8);
            const size_t wanted = book == 0 ? 3 : rows[i].says[book] != 0;
            if (count != wanted)
                fail_msg("row %zu, book %zu: %zu events", i, book, count);
            if (rows[i].says[book] != 0)
                assert_int_equal(events[book == 0].version, rows[i].says[book]);
            if (adp_feed_is_settled(bench.feed, 2) != rows[i].settled[book])
                fail_msg("row %zu, book %zu: settled %d", i, book, !rows[i].settled[book]);
        }
        bench_close(&bench);
    }
}

/* The broker's update time has whole seconds: inside one the time of the read orders the states. */
static void versions_inside_a_second_follow_the_reads(void **state)
{
    static const int64_t second = 1000 * LS_NS_PER_S;
    static const struct {
        int64_t version, read_ns, wanted;
    } rows[] = {
        {second, second + 300, second + 300},
        {second, second + 700, second + 700},
        {second, second + LS_NS_PER_S, second + LS_NS_PER_S - 1},
        {second, second + 60 * LS_NS_PER_S, second + LS_NS_PER_S - 1},
        {second, second - 5, second},             /* our clock is behind */
        {second + 25, second + 300, second + 25}, /* finer than seconds: the broker's word */
        {0, second + 300, second + 300},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct bench bench;
        struct ipc_event events[8];
        const struct ipc_event order = order_of(1, 100 * LS_E8, 0, rows[i].version);
        bench_open(&bench, 1024, 64);
        bench.now_ns = rows[i].read_ns;
        assert_true(give_book(&bench, 2, &order, 1, ""));
        assert_int_equal(take_all(&bench, 0, IPC_RING_UPDATES, events, 8), 3);
        assert_int_equal(events[1].version, rows[i].wanted);
        bench_close(&bench);
    }
}

static void what_is_not_understood_is_not_published(void **state)
{
    struct bench bench;
    struct ipc_event events[8];
    struct adp_feed_counts counts;
    struct ipc_event orders[3] = {order_of(1, 100 * LS_E8, 0, 0), order_of(2, 101 * LS_E8, 0, 0),
        order_of(3, 102 * LS_E8, 0, 0)};
    (void)state;
    bench_open(&bench, 1024, 64);
    bench.step_ns = 200 * LS_NS_PER_MS;
    orders[1].status = 0;
    orders[2].price_e8 = 0; /* a limit without a price */
    assert_true(give_book(&bench, 1, orders, 3, ""));
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 8), 3);
    assert_int_equal(events[2].book_order_count, 1);
    adp_feed_counts(bench.feed, &counts);
    assert_int_equal(counts.not_understood, 2);
    assert_true(give_book(&bench, 1, orders, 3, "")); /* said once */
    adp_feed_counts(bench.feed, &counts);
    assert_int_equal(counts.not_understood, 2);
    orders[1] = order_of(2, 101 * LS_E8, 0, 0); /* understood now */
    assert_true(give_book(&bench, 1, orders, 3, ""));
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 8), 1);
    bench_close(&bench);
}

static void a_new_shard_gets_the_whole_book(void **state)
{
    struct bench bench;
    struct ipc_event events[8];
    const struct ipc_event order = order_of(1, 100 * LS_E8, 0, 0);
    (void)state;
    bench_open(&bench, 1024, 64);
    struct ipc_row_master *masters = world_rows(&bench.world, IPC_TABLE_MASTERS);
    assert_true(give_book(&bench, 4, &order, 1, "")); /* shard 0, nobody follows it */
    assert_int_equal(take_all(&bench, 0, IPC_RING_ORDERS, events, 8), 3);
    /* Follower 2 (account 3, shard 1) follows account 4 instead of account 1. */
    struct ipc_row_follower *followers = world_rows(&bench.world, IPC_TABLE_FOLLOWERS);
    followers[1].master = 4;
    masters[1].account = 4;
    world_publish(&bench.world);
    assert_true(adp_live_follow(bench.live));
    adp_feed_generation(bench.feed);
    assert_false(adp_feed_is_published(bench.feed, 4));
    assert_true(give_book(&bench, 4, &order, 1, ""));
    assert_int_equal(take_all(&bench, 1, IPC_RING_ORDERS, events, 8), 3);
    assert_int_equal(events[0].kind, IPC_EVENT_BOOK_BEGIN);
    bench_close(&bench);
}

/* A stopped shard: events are held, then refused; the other shard goes on; afterwards a gap and the
 * whole book. */
static void a_full_ring_becomes_a_gap(void **state)
{
    struct bench bench;
    struct ipc_event events[256], orders[16];
    struct adp_publisher_counts counts;
    size_t books = 0;
    (void)state;
    bench_open(&bench, 16, 20); /* an event takes some slots of a ring; 20 are held behind it */
    for (uint32_t i = 0; i < 10; i++)
        orders[i] = order_of(i, 100 * LS_E8, 0, 0);
    assert_true(give_book(&bench, 2, orders, 10, "")); /* 12 events */
    adp_publisher_counts(bench.publisher, &counts);
    const uint64_t in_ring = counts.published;
    assert_true(in_ring >= 4 && in_ring < 12);
    assert_int_equal(counts.waiting, 12 - in_ring);
    assert_true(adp_feed_is_published(bench.feed, 2));
    for (uint32_t i = 0; i < 10; i++)
        orders[i] = order_of(i, 101 * LS_E8, 0, 0);
    assert_true(give_book(&bench, 2, orders, 10, "")); /* 10 more are held */
    for (uint32_t i = 0; i < 10; i++)
        orders[i] = order_of(i, 102 * LS_E8, 0, 0);
    assert_true(give_book(&bench, 2, orders, 10, "")); /* overflows inside */
    assert_false(adp_feed_is_published(bench.feed, 2));
    assert_false(adp_feed_accepts(bench.feed, 2));
    assert_false(give_book(&bench, 2, orders, 10, "")); /* not even begun */
    assert_true(give_book(&bench, 3, orders, 2, ""));   /* the other shard goes on */
    assert_int_equal(take_all(&bench, 1, IPC_RING_UPDATES, events, 256), 4);

    /* The consumer comes back: what was held, in order, then it is read again. */
    size_t count = 0;
    for (int round = 0; round < 8; round++) {
        count += take_all(&bench, 0, IPC_RING_UPDATES, events + count, 256 - count);
        (void)adp_publisher_flush(bench.publisher, bench.now_ns);
    }
    assert_int_equal(count, in_ring + 20);
    assert_int_equal(events[0].kind, IPC_EVENT_BOOK_BEGIN);
    assert_int_equal(events[11].kind, IPC_EVENT_BOOK_END);
    assert_true(adp_feed_accepts(bench.feed, 2));
    assert_true(give_book(&bench, 2, orders, 10, ""));
    count = 0;
    for (int round = 0; round < 8; round++) {
        count += take_all(&bench, 0, IPC_RING_UPDATES, events + count, 256 - count);
        (void)adp_publisher_flush(bench.publisher, bench.now_ns);
    }
    assert_int_equal(count, 13);
    assert_int_equal(events[0].kind, IPC_EVENT_FEED_GAP);
    assert_int_equal(events[1].kind, IPC_EVENT_BOOK_BEGIN);
    assert_int_equal(events[12].kind, IPC_EVENT_BOOK_END);
    assert_int_equal(events[12].book_order_count, 10);
    for (size_t i = 2; i < 12; i++)
        books += events[i].price_e8 == 102 * LS_E8;
    assert_int_equal(books, 10);
    bench_close(&bench);
}

/* Random books, a consumer that is sometimes away: what it has joined at the end is the book, and
 * each whole book between its markers has as many orders as it says. */
static void random_books_arrive(void **state)
{
    const uint64_t seed = 20263;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t round = 0; round < 20; round++) {
        struct bench bench;
        struct ipc_prng prng;
        struct ipc_ring_consumer ring;
        struct ipc_event book[24], event;
        int64_t joined_price[24] = {0};
        uint32_t since_begin = 0;
        bool in_book = false;
        ipc_prng_seed(&prng, seed + round);
        bench_open(&bench, 32, 16);
        for (uint32_t i = 0; i < 24; i++)
            book[i] = order_of(i, 100 * LS_E8, 0, 0);
        for (int step = 0; step < 400; step++) {
            const bool is_last = step >= 380; /* the consumer stays, the book rests */
            for (uint64_t n = is_last ? 0 : ipc_prng_below(&prng, 12); n > 0; n--) {
                const uint32_t i = (uint32_t)ipc_prng_below(&prng, 24);
                book[i] = order_of(i, (100 + (int64_t)ipc_prng_below(&prng, 50)) * LS_E8, 0, 0);
            }
            (void)give_book(&bench, 2, book, 24, "");
            if (!is_last && !ipc_prng_chance(&prng, 1, 3))
                continue;
            assert_true(world_consume(&bench.world, "test", 0, IPC_RING_UPDATES, &ring));
            while (world_take(&ring, &event)) {
                (void)adp_publisher_flush(bench.publisher, bench.now_ns);
                if (event.kind == IPC_EVENT_BOOK_BEGIN) {
                    in_book = true;
                    since_begin = 0;
                } else if (event.kind == IPC_EVENT_BOOK_END) {
                    assert_true(in_book);
                    assert_int_equal(event.book_order_count, since_begin);
                    assert_int_equal(since_begin, 24);
                    in_book = false;
                } else if (event.kind == IPC_EVENT_FEED_GAP) {
                    in_book = false;
                } else {
                    since_begin++;
                    joined_price[strtoul(event.broker_order_id + 7, NULL, 10)] = event.price_e8;
                }
            }
            ipc_ring_detach_consumer(&ring);
        }
        for (uint32_t i = 0; i < 24; i++)
            if (joined_price[i] != book[i].price_e8)
                fail_msg("seed %llu: order %u", (unsigned long long)(seed + round), i);
        bench_close(&bench);
    }
}

static void two_processes_need_two_names(void **state)
{
    struct bench bench;
    struct ipc_error error = {.text = ""};
    (void)state;
    bench_open(&bench, 64, 16);
    assert_int_equal(adp_publisher_prepare(bench.publisher, 0, IPC_RING_ORDERS, &error), IPC_OK);
    struct adp_publisher *second = adp_publisher_open(&bench.world.shm, "test", 64, 16);
    assert_int_equal(adp_publisher_prepare(second, 0, IPC_RING_ORDERS, &error), IPC_BUSY);
    assert_true(strlen(error.text) > 0);
    adp_publisher_close(second);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_book_is_whole_and_the_next_are_changes),
        cmocka_unit_test(an_empty_book_has_markers),
        cmocka_unit_test(accounts_go_where_they_belong),
        cmocka_unit_test(our_own_tags_are_marked),
        cmocka_unit_test(keys_do_not_depend_on_the_delivery),
        cmocka_unit_test(ages_are_the_smaller_of_what_is_known),
        cmocka_unit_test(working_copies_are_said_again),
        cmocka_unit_test(the_last_word_is_said_once),
        cmocka_unit_test(versions_inside_a_second_follow_the_reads),
        cmocka_unit_test(what_is_not_understood_is_not_published),
        cmocka_unit_test(a_new_shard_gets_the_whole_book),
        cmocka_unit_test(a_full_ring_becomes_a_gap),
        cmocka_unit_test(random_books_arrive),
        cmocka_unit_test(two_processes_need_two_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
