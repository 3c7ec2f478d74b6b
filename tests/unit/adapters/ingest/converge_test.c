/* One order, told by frames, books and a webhook, each late, lost or said twice in its own way:
 * whoever joins the rings ends at the order's last state; and where broker and network behave, the
 * terms never go back on the way. */
#include "adapters/ingest/feed.h"
#include "tests/unit/adapters/ingest/world.h"

#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define MS       LS_NS_PER_MS
#define SECOND   LS_NS_PER_S
#define START    (1000000 * SECOND)
#define STATES   12u
#define TELLINGS 128u
#define BOOK_LAG SECOND
#define ACCOUNT  2u /* a follower: `updates` of shard 0 */

/* The order's states in truth, by the broker's clock. */
struct truth {
    int64_t at_ns[STATES];
    struct ipc_event state[STATES];
    uint32_t count;
};

enum teller { BY_FRAME, BY_HOOK, BY_BOOK };

struct telling {
    int64_t at_ns; /* by our clock; a book: when it was asked for */
    enum teller teller;
    uint32_t state;
};

struct trial {
    bool has_frame_times, has_book_times; /* the broker dates its states */
    bool is_calm; /* clocks agree, nothing is lost or late beyond what brokers do */
    bool has_hook, has_frames;
};

/* What an engine does with it, in the simplest words (engine/core/join.h). */
struct joined {
    struct ipc_event terms;
    int64_t filled_e8;
    uint8_t status;
    bool has_any;
    uint32_t went_back;
    uint32_t at_state; /* of the truth, the latest one whose terms were taken */
};

static int compare_terms(const struct ipc_event *a, const struct ipc_event *b)
{
    const int64_t left[] = {a->version, a->qty_e8, a->price_e8, a->trigger_e8, a->type};
    const int64_t right[] = {b->version, b->qty_e8, b->price_e8, b->trigger_e8, b->type};
    for (size_t i = 0; i < LS_COUNT_OF(left); i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return 0;
}

static void join(struct joined *joined, const struct ipc_event *event)
{
    const uint32_t state = (uint32_t)(event->qty_e8 / LS_E8) - 100; /* see make_truth */
    if (!joined->has_any || compare_terms(event, &joined->terms) > 0) {
        if (joined->has_any && state < joined->at_state)
            joined->went_back++;
        joined->at_state = state;
        joined->terms = *event;
    }
    joined->filled_e8 = ls_max_i64(joined->filled_e8, event->filled_qty_e8);
    joined->status = event->status > joined->status ? event->status : joined->status;
    joined->has_any = true;
}

/* Amendments up and down, fills, and at times a cancellation. The quantity counts the states, so
 * that a test can tell which one it sees. */
static void make_truth(struct truth *truth, uint32_t number, int64_t start, struct ipc_prng *prng)
{
    int64_t at = start + (int64_t)ipc_prng_below(prng, SECOND), filled = 0;
    truth->count = 1 + (uint32_t)ipc_prng_below(prng, STATES);
    for (uint32_t i = 0; i < truth->count; i++) {
        truth->at_ns[i] = at;
        filled += (int64_t)ipc_prng_below(prng, 3) * LS_E8;
        truth->state[i] = (struct ipc_event){
            .kind = IPC_EVENT_ORDER,
            .side = IPC_SIDE_BUY,
            .type = IPC_TYPE_LIMIT,
            .product = IPC_PRODUCT_CNC,
            .validity = IPC_VALIDITY_DAY,
            .status = IPC_STATUS_OPEN,
            .source = IPC_SOURCE_UNKNOWN,
            .instrument = 1,
            .qty_e8 = (100 + i) * LS_E8,
            .price_e8 = (int64_t)(100 + ipc_prng_below(prng, 2)) * LS_E8,
            .filled_qty_e8 = filled,
            .average_price_e8 = filled > 0 ? 100 * LS_E8 : 0,
            .version = at - at % SECOND,
            .broker_wall_ns = truth->at_ns[0] - truth->at_ns[0] % SECOND,
        };
        snprintf(truth->state[i].broker_order_id, sizeof(truth->state[i].broker_order_id),
            "2505260%08u", number);
        if (i + 1 == truth->count && ipc_prng_chance(prng, 1, 3))
            truth->state[i].status = IPC_STATUS_CANCELLED;
        at += 20 * MS +
              (int64_t)ipc_prng_below(prng, ipc_prng_chance(prng, 1, 2) ? 200 * MS : 2 * SECOND);
    }
}

static uint32_t state_at(const struct truth *truth, int64_t at_ns)
{
    uint32_t state = STATES;
    for (uint32_t i = 0; i < truth->count; i++)
        if (truth->at_ns[i] <= at_ns)
            state = i;
    return state;
}

static uint32_t tell(
    struct telling *tellings, uint32_t count, int64_t at_ns, enum teller teller, uint32_t state)
{
    assert_true(count < TELLINGS);
    tellings[count] = (struct telling){at_ns, teller, state};
    for (uint32_t i = count; i > 0 && tellings[i].at_ns < tellings[i - 1].at_ns; i--) {
        const struct telling swapped = tellings[i];
        tellings[i] = tellings[i - 1];
        tellings[i - 1] = swapped;
    }
    return count + 1;
}

static uint32_t make_tellings(const struct truth *truth, const struct trial *trial,
    struct ipc_prng *prng, struct telling *tellings)
{
    /* Our clock against the broker's; a frame's way; both by our clock. */
    const int64_t skew = trial->is_calm ? 0 : (int64_t)ipc_prng_below(prng, 800 * MS) - 400 * MS;
    const int64_t last = truth->at_ns[truth->count - 1];
    int64_t frame_at = 0, book_at = truth->at_ns[0] - SECOND;
    uint32_t count = 0;
    for (uint32_t i = 0; i < truth->count; i++) {
        const int64_t way = 1 + (int64_t)ipc_prng_below(prng, trial->is_calm ? 50 * MS : 1500 * MS);
        const int64_t hook_way = 1 + (int64_t)ipc_prng_below(prng, 1800 * MS);
        frame_at = ls_max_i64(frame_at + 1, truth->at_ns[i] + skew + way); /* one stream */
        const bool is_lost = !trial->is_calm && ipc_prng_chance(prng, 1, 8);
        if (trial->has_frames && !is_lost)
            count = tell(tellings, count, frame_at, BY_FRAME, i);
        if (trial->has_frames && ipc_prng_chance(prng, 1, 8)) /* said twice */
            count = tell(tellings, count, ++frame_at, BY_FRAME, i);
        if (trial->has_hook && !is_lost)
            count = tell(tellings, count, truth->at_ns[i] + skew + hook_way, BY_HOOK, i);
    }
    /* Books now and then, each behind by up to its lag; then two in peace. */
    while (book_at < last + 9 * SECOND) {
        const bool is_peace = book_at >= last + 3 * SECOND;
        const int64_t behind =
            is_peace ? 0 : (int64_t)ipc_prng_below(prng, trial->is_calm ? 20 * MS : BOOK_LAG);
        const uint32_t state = state_at(truth, book_at - behind);
        if (state != STATES)
            count = tell(tellings, count, book_at + skew, BY_BOOK, state);
        book_at += is_peace ? 3 * SECOND : SECOND / 2 + (int64_t)ipc_prng_below(prng, 4 * SECOND);
    }
    return count;
}

struct stage {
    struct world world;
    struct adp_live *live;
    struct adp_publisher *publishers[2]; /* feed and webhook are two processes */
    struct adp_feed *feeds[2];
};

static void stage_open(struct stage *stage)
{
    static const char *const names[] = {"feed", "hook"};
    world_open(&stage->world);
    world_publish(&stage->world);
    stage->live = adp_live_open(&stage->world.shm);
    assert_true(adp_live_follow(stage->live));
    for (size_t i = 0; i < 2; i++) {
        stage->publishers[i] = adp_publisher_open(&stage->world.shm, names[i], 256, 256);
        stage->feeds[i] = adp_feed_open(stage->live, stage->publishers[i]);
    }
}

static void stage_close(struct stage *stage)
{
    for (size_t i = 0; i < 2; i++) {
        adp_feed_close(stage->feeds[i]);
        adp_publisher_close(stage->publishers[i]);
    }
    adp_live_close(stage->live);
    world_close(&stage->world);
}

static void drain(struct stage *stage, struct joined *joined)
{
    static const char *const names[] = {"feed", "hook"};
    for (size_t i = 0; i < 2; i++) {
        struct ipc_ring_consumer ring;
        struct ipc_event event;
        if (!world_consume(&stage->world, names[i], 0, IPC_RING_UPDATES, &ring))
            continue;
        while (world_take(&ring, &event))
            if (event.kind == IPC_EVENT_ORDER && joined != NULL)
                join(joined, &event);
        ipc_ring_detach_consumer(&ring);
    }
}

static void give_book(
    struct stage *stage, const struct adp_feed_times *times, const struct ipc_event *order)
{
    assert_true(adp_feed_book_begin(stage->feeds[0], ACCOUNT, times, false));
    if (order != NULL)
        adp_feed_book_row(stage->feeds[0], order, "");
    adp_feed_book_end(stage->feeds[0]);
}

static void give(struct stage *stage, const struct trial *trial, const struct truth *truth,
    const struct telling *telling, int64_t *last_read_ns)
{
    struct ipc_event state = truth->state[telling->state];
    struct ipc_error error = {.text = ""};
    unsigned news;
    const struct adp_feed_times times = {
        .read_mono_ns = telling->at_ns,
        .read_wall_ns = telling->at_ns,
        .last_read_mono_ns = *last_read_ns,
        .book_lag_ns = telling->teller == BY_BOOK ? BOOK_LAG : 0,
    };
    const bool is_dated =
        telling->teller == BY_BOOK ? trial->has_book_times : trial->has_frame_times;
    if (!is_dated)
        state.version = state.broker_wall_ns = 0;
    if (telling->teller == BY_BOOK) {
        give_book(stage, &times, &state);
        *last_read_ns = telling->at_ns;
        return;
    }
    const bool is_hook = telling->teller == BY_HOOK;
    const enum ipc_rc rc = adp_feed_push(stage->feeds[is_hook], ACCOUNT, &times,
        is_hook ? ADP_PUSH_WITHOUT_BOOK : 0, &state, &news, &error);
    assert_int_equal(rc, is_hook && !is_dated ? IPC_STALE : IPC_OK);
}

/* Orders follow one another in one process, a minute of its clock each. */
static void one_order(struct stage *stage, const struct trial *trial, uint32_t number,
    uint64_t seed, uint32_t *went_back)
{
    struct ipc_prng prng;
    static struct truth truth;
    static struct telling tellings[TELLINGS];
    struct joined joined = {.has_any = false};
    const int64_t start = (1000000 + 100 * (int64_t)number) * SECOND;
    int64_t last_read_ns = start - 5 * SECOND;
    const struct adp_feed_times first = {
        .read_mono_ns = last_read_ns, .read_wall_ns = last_read_ns};
    ipc_prng_seed(&prng, seed);
    make_truth(&truth, number, start, &prng);
    const uint32_t count = make_tellings(&truth, trial, &prng, tellings);
    give_book(stage, &first, NULL);
    drain(stage, NULL);
    for (uint32_t i = 0; i < count; i++) {
        give(stage, trial, &truth, &tellings[i], &last_read_ns);
        drain(stage, &joined);
    }
    const struct ipc_event *end = &truth.state[truth.count - 1];
    if (!joined.has_any || joined.terms.qty_e8 != end->qty_e8 ||
        joined.terms.price_e8 != end->price_e8 || joined.filled_e8 != end->filled_qty_e8 ||
        joined.status != end->status)
        fail_msg("seed %llu: ends at state %u of %u", (unsigned long long)seed, joined.at_state,
            truth.count - 1);
    *went_back += joined.went_back;
}

static uint32_t many(const struct trial *trial, uint64_t seed, uint32_t rounds)
{
    struct stage stage;
    uint32_t went_back = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    stage_open(&stage);
    for (uint32_t i = 0; i < rounds; i++)
        one_order(&stage, trial, i + 1, seed + i, &went_back);
    stage_close(&stage);
    return went_back;
}

/* The broker's clock and ours agree and frames are quick: no state is taken back. */
static void calm_brokers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        const struct trial trial = {.is_calm = true,
            .has_frames = true,
            .has_frame_times = (i & 1) != 0,
            .has_book_times = (i & 2) != 0};
        assert_int_equal(many(&trial, 30100 + i * 1000, 200), 0);
    }
}

/* Skewed clocks, lost and late frames, books that lag. */
static void bad_brokers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        const struct trial trial = {
            .has_frames = true, .has_frame_times = (i & 1) != 0, .has_book_times = (i & 2) != 0};
        (void)many(&trial, 40100 + i * 1000, 200);
    }
}

/* All three at once: the webhook is another process, with a memory of its own. */
static void three_tellers(void **state)
{
    const struct trial all = {
        .has_frames = true, .has_hook = true, .has_frame_times = true, .has_book_times = true};
    const struct trial no_frames = {
        .has_hook = true, .has_frame_times = true, .has_book_times = true};
    const struct trial only_books = {.has_book_times = true};
    (void)state;
    (void)many(&all, 50100, 200);
    (void)many(&no_frames, 51100, 200);
    (void)many(&only_books, 52100, 200);
}

/* Before an order is at the exchange its frames have no time of a change, only the order's own. One
 * that was held up on its way must neither take an amendment back nor look like an order of now. */
static void late_frames_before_the_exchange(void **state)
{
    struct stage stage;
    struct joined joined = {.has_any = false};
    struct truth truth = {.count = 2};
    struct ipc_prng prng;
    struct ipc_error error = {.text = ""};
    unsigned news;
    const struct adp_feed_times first = {.read_mono_ns = START, .read_wall_ns = START};
    (void)state;
    ipc_prng_seed(&prng, 7);
    make_truth(&truth, 1, START + SECOND, &prng);
    struct ipc_event waiting = truth.state[0], amended = truth.state[0], fresh = truth.state[0];
    waiting.status = IPC_STATUS_PENDING;
    waiting.filled_qty_e8 = waiting.average_price_e8 = waiting.version = 0;
    amended.qty_e8 += LS_E8;
    stage_open(&stage);
    give_book(&stage, &first, NULL);
    drain(&stage, NULL);
    const struct adp_feed_times read = {.read_mono_ns = START + 4 * SECOND,
        .read_wall_ns = START + 4 * SECOND,
        .last_read_mono_ns = START};
    give_book(&stage, &read, &amended);
    drain(&stage, &joined);
    assert_int_equal(joined.terms.qty_e8, amended.qty_e8);
    const struct adp_feed_times late = {.read_mono_ns = START + 6 * SECOND,
        .read_wall_ns = START + 6 * SECOND,
        .last_read_mono_ns = START + 4 * SECOND};
    assert_int_equal(adp_feed_push(stage.feeds[0], ACCOUNT, &late, 0, &waiting, &news, &error), 0);
    drain(&stage, &joined);
    assert_int_equal(joined.terms.qty_e8, amended.qty_e8);

    /* The same of an order that nobody has heard of: it is as old as it says. */
    snprintf(waiting.broker_order_id, sizeof(waiting.broker_order_id), "250526099999999");
    assert_int_equal(adp_feed_push(stage.feeds[0], ACCOUNT, &late, 0, &waiting, &news, &error), 0);
    joined.has_any = false;
    drain(&stage, &joined);
    assert_true(joined.terms.feed_lag_ns > 3 * SECOND);

    fresh = waiting;
    fresh.broker_wall_ns = START + 5 * SECOND;
    snprintf(fresh.broker_order_id, sizeof(fresh.broker_order_id), "250526099999998");
    assert_int_equal(
        adp_feed_push(stage.feeds[1], ACCOUNT, &late, ADP_PUSH_WITHOUT_BOOK, &fresh, &news, &error),
        0);
    joined.has_any = false;
    drain(&stage, &joined);
    assert_true(joined.has_any);
    assert_int_equal(joined.terms.feed_lag_ns, 0);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calm_brokers),
        cmocka_unit_test(bad_brokers),
        cmocka_unit_test(three_tellers),
        cmocka_unit_test(late_frames_before_the_exchange),
    };
    return cmocka_run_group_tests_name("converge", tests, NULL, NULL);
}
