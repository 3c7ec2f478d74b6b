/* Polling and order sockets of a small snapshot against a scripted broker: what arrives in the
 * rings, what the broker is asked, and what happens when there is no feed, or no longer. */
#include "adapters/ingest/order_feed.h"
#include "tests/unit/adapters/ingest/tls_peer.h"
#include "tests/unit/adapters/ingest/world.h"

#include "ipc/secret.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define OWN_TAG "L00000000100001000A"

/* What the scripted broker says and has heard; one for all accounts. */
struct broker {
    pthread_mutex_t lock;
    char token_reply[512], token_type[32], book[8192], frame[4096];
    int token_status, book_status;
    uint32_t frame_number;    /* raised for each new frame */
    _Atomic bool cuts;        /* every socket is cut, now and as soon as it opens */
    _Atomic bool is_page;     /* the upgrade gets a web page */
    _Atomic bool is_refusing; /* the subscription is refused */
    _Atomic int tokens, books, subscriptions, beats, open;
    char subscription[256], authorization[128];
};

static struct broker broker;

static void say(char *out, size_t room, const char *text)
{
    pthread_mutex_lock(&broker.lock);
    snprintf(out, room, "%.*s", (int)(room - 1), text);
    pthread_mutex_unlock(&broker.lock);
}

static void say_frame(const char *text)
{
    say(broker.frame, sizeof(broker.frame), text);
    pthread_mutex_lock(&broker.lock);
    broker.frame_number++;
    pthread_mutex_unlock(&broker.lock);
}

static void serve_socket(struct tls_connection *connection)
{
    char text[4096], login[64] = "";
    uint32_t sent;
    if (ws_receive(connection, text, sizeof(text), 2000) != 1)
        return;
    say(broker.subscription, sizeof(broker.subscription), text);
    const char *user = strstr(text, "\"userId\":\"");
    if (user != NULL)
        snprintf(login, sizeof(login), "%.*s", (int)strcspn(user + 10, "\""), user + 10);
    pthread_mutex_lock(&broker.lock);
    sent = broker.frame_number;
    pthread_mutex_unlock(&broker.lock);
    const char *ack =
        atomic_load(&broker.is_refusing) ? "{\"status\":\"Not_ok\"}" : "{\"status\":\"Ok\"}";
    (void)ws_send(connection, 1, true, ack, strlen(ack));
    atomic_fetch_add(&broker.subscriptions, 1);
    atomic_fetch_add(&broker.open, 1);
    for (bool is_alive = true; is_alive && !atomic_load(&broker.cuts);) {
        const int opcode = ws_receive(connection, text, sizeof(text), 5);
        if (opcode == 1 && strstr(text, "\"heartbeat\":\"h\"") != NULL)
            atomic_fetch_add(&broker.beats, 1);
        if (opcode == 9)
            (void)ws_send(connection, 10, true, NULL, 0);
        if (opcode == 8 || opcode == -2)
            break;
        pthread_mutex_lock(&broker.lock);
        /* The frame names its account: others do not get it, unless it names none of ours. */
        if (broker.frame_number != sent &&
            (strstr(broker.frame, login) != NULL || strstr(broker.frame, "ALL") != NULL))
            is_alive = ws_send(connection, 1, true, broker.frame, strlen(broker.frame));
        sent = broker.frame_number;
        pthread_mutex_unlock(&broker.lock);
    }
    atomic_fetch_sub(&broker.open, 1);
    if (atomic_load(&broker.cuts))
        tls_cut(connection);
}

static void serve(struct tls_connection *connection, void *context)
{
    char head[8192], body[8192], type[32];
    int status;
    (void)context;
    while (tls_read_request(connection, head, sizeof(head)) != 0) {
        const char *authorization = strcasestr(head, "authorization:");
        if (authorization != NULL)
            say(broker.authorization, sizeof(broker.authorization), authorization);
        if (strstr(head, "GET /open-api/order-notify/websocket ") != NULL) {
            if (atomic_load(&broker.is_page))
                (void)tls_reply(connection, 200, "text/html", "<html></html>");
            else if (ws_accept(connection, head))
                serve_socket(connection);
            return;
        }
        const bool is_token = strstr(head, "GET /open-api/order-notify/ws/createWsToken ") != NULL;
        pthread_mutex_lock(&broker.lock);
        snprintf(body, sizeof(body), "%s", is_token ? broker.token_reply : broker.book);
        snprintf(type, sizeof(type), "%s", is_token ? broker.token_type : "application/json");
        status = is_token ? broker.token_status : broker.book_status;
        pthread_mutex_unlock(&broker.lock);
        atomic_fetch_add(is_token ? &broker.tokens : &broker.books, 1);
        if (!tls_reply(connection, status, type, body))
            return;
    }
}

struct stage {
    struct world world;
    struct tls_peer *peer;
    struct adp_ingest_config config;
    struct ipc_secret_arena *secrets;
    struct ipc_seal_key *key;
    struct adp_live *live;
    struct adp_publisher *publisher;
    struct adp_feed *feed;
    struct adp_sockets *sockets;
    struct adp_poll *poll;
    struct adp_order_feed *order_feed;
    struct ipc_hist *hist;
};

static const char no_orders[] = "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[]}";
static const char good_token[] = "{\"status\":\"Ok\",\"message\":\"200\",\"result\":[{"
                                 "\"orderToken\":\"23e16a457b4a035af850\"}]}";

static void write_key(const char *path)
{
    uint8_t bytes[32];
    memset(bytes, 7, sizeof(bytes));
    const int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0400);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    close(fd);
}

/* Accounts 1 (master) and 2 (follower) have tokens unless `only` names one account. */
static void stage_open(struct stage *stage, uint32_t only)
{
    struct ipc_error error = {.text = ""};
    char path[128];
    memset(stage, 0, sizeof(*stage));
    memset(&broker, 0, sizeof(broker));
    pthread_mutex_init(&broker.lock, NULL);
    say(broker.token_reply, sizeof(broker.token_reply), good_token);
    say(broker.token_type, sizeof(broker.token_type), "application/json");
    say(broker.book, sizeof(broker.book), no_orders);
    broker.token_status = broker.book_status = 200;
    world_open(&stage->world);
    stage->peer = tls_peer_start(serve, NULL);
    struct ipc_row_broker *row = world_broker(&stage->world, 0);
    row->port = tls_peer_port(stage->peer);
    snprintf(row->authority, sizeof(row->authority), "localhost");
    snprintf(row->ca_file, sizeof(row->ca_file), "%s", tls_peer_ca(stage->peer));
    snprintf(path, sizeof(path), "%s/key", stage->world.base);
    write_key(path);
    assert_int_equal(ipc_secret_arena_create(4096, &stage->secrets, &error), IPC_OK);
    assert_int_equal(ipc_seal_key_load(stage->secrets, path, &stage->key, &error), IPC_OK);
    for (uint32_t account = 1; account <= 4; account++)
        if (only == 0 ? account <= 2 : account == only)
            world_seal(&stage->world, stage->key, account, "a.b.c");
    world_publish(&stage->world);
    adp_ingest_config_defaults(&stage->config);
    stage->config.poll_master_ms = stage->config.poll_follower_ms = 60;
    stage->config.feed_book_ms = 5000;
    stage->config.feed_heartbeat_ms = 100;
    stage->config.feed_ping_ms = 100;
    stage->config.feed_silence_ms = 1000;
    stage->config.feed_retry_s = 1;
    stage->config.backoff_max_ms = 600;
    stage->config.funds_ms = 0;
    stage->live = adp_live_open(&stage->world.shm);
    stage->publisher = adp_publisher_open(&stage->world.shm, "test", 1024, 256);
    stage->feed = adp_feed_open(stage->live, stage->publisher);
    assert_int_equal(adp_sockets_open(&stage->sockets, &error), IPC_OK);
    const struct adp_dialect *dialect = adp_dialect_find("alice-blue");
    assert_int_equal(adp_poll_open(&stage->config, dialect, &stage->world.shm, stage->key,
                         stage->live, stage->feed, stage->sockets, &stage->poll, &error),
        IPC_OK);
    stage->hist = calloc(1, sizeof(*stage->hist));
    stage->order_feed = adp_order_feed_open(&stage->config, dialect, stage->live, stage->feed,
        stage->publisher, stage->sockets, stage->poll, stage->hist);
    assert_true(adp_live_follow(stage->live));
    adp_feed_generation(stage->feed);
    adp_poll_generation(stage->poll);
}

static void stage_close(struct stage *stage)
{
    adp_order_feed_close(stage->order_feed);
    adp_poll_close(stage->poll);
    adp_sockets_close(stage->sockets);
    adp_feed_close(stage->feed);
    adp_publisher_close(stage->publisher);
    adp_live_close(stage->live);
    ipc_secret_arena_destroy(stage->secrets);
    tls_peer_stop(stage->peer);
    world_close(&stage->world);
    free(stage->hist);
    pthread_mutex_destroy(&broker.lock);
}

static void step(struct stage *stage)
{
    const int64_t due =
        ls_min_i64(adp_order_feed_step(stage->order_feed), adp_poll_step(stage->poll));
    adp_sockets_wait(stage->sockets, ls_min_i64(due, 5 * LS_NS_PER_MS));
    (void)adp_publisher_flush(stage->publisher, ipc_clock_mono_ns());
}

static struct adp_order_feed_counts counts_of(const struct stage *stage)
{
    struct adp_order_feed_counts counts;
    adp_order_feed_counts(stage->order_feed, &counts);
    return counts;
}

#define RUN_UNTIL(stage, condition)                                                                \
    do {                                                                                           \
        const int64_t until_ = ipc_clock_mono_ns() + 4 * LS_NS_PER_S;                              \
        while (!(condition) && ipc_clock_mono_ns() < until_)                                       \
            step(stage);                                                                           \
        assert_true(condition);                                                                    \
    } while (0)

static void run_for(struct stage *stage, int64_t ns)
{
    const int64_t until = ipc_clock_mono_ns() + ns;
    while (ipc_clock_mono_ns() < until)
        step(stage);
}

static size_t take_all(struct stage *stage, uint32_t shard, enum ipc_ring_class ring_class,
    struct ipc_event *events, size_t room)
{
    struct ipc_ring_consumer ring;
    size_t count = 0;
    if (!world_consume(&stage->world, "test", shard, ring_class, &ring))
        return 0;
    while (count < room && world_take(&ring, &events[count]))
        count++;
    ipc_ring_detach_consumer(&ring);
    return count;
}

/* The times of an order, now, in Indian Standard Time, as the feed writes them. */
static void now_text(char out[32])
{
    const time_t ist = (time_t)(ipc_clock_wall_ns() / LS_NS_PER_S) + 19800;
    struct tm parts;
    strftime(out, 32, "%H:%M:%S %d-%m-%Y", gmtime_r(&ist, &parts));
}

static const char *frame_of(const char *account, const char *id, const char *remarks)
{
    static char text[1024];
    char now[32];
    now_text(now);
    snprintf(text, sizeof(text),
        "{\"t\":\"om\",\"norenordno\":\"%s\",\"uid\":\"%s\",\"actid\":\"%s\",\"qty\":\"10\","
        "\"prc\":\"101.50\",\"pcode\":\"I\",\"remarks\":\"%s\",\"rejreason\":\"\",\"prctyp\":"
        "\"LMT\","
        "\"ret\":\"DAY\",\"dscqty\":\"0\",\"trantype\":\"B\",\"exch\":\"NSE\",\"tsym\":\"ACC-EQ\","
        "\"status\":\"OPEN\",\"reporttype\":\"New\",\"exch_tm\":\"%s\",\"tm\":\"%s\"}",
        id, account, account, remarks, now, now);
    return text;
}

static void set_book(const char *id, const char *price, const char *source)
{
    char text[2048];
    snprintf(text, sizeof(text),
        "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[{\"brokerOrderId\":\"%s\","
        "\"exchange\":\"NSE\",\"tradingSymbol\":\"ACC\",\"instrumentId\":\"22\","
        "\"transactionType\":\"BUY\",\"quantity\":10,\"product\":\"INTRADAY\",\"orderType\":"
        "\"LIMIT\",\"price\":%s,\"averageTradedPrice\":0,\"slTriggerPrice\":0,\"validity\":\"DAY\","
        "\"filledQuantity\":0,\"source\":\"%s\",\"orderTag\":\"--\",\"orderStatus\":\"OPEN\"}]}",
        id, price, source);
    say(broker.book, sizeof(broker.book), text);
}

static void a_frame_becomes_an_event(void **state)
{
    struct stage stage;
    struct ipc_event events[32];
    (void)state;
    stage_open(&stage, 0);
    RUN_UNTIL(&stage, counts_of(&stage).live == 2);
    assert_string_equal(broker.authorization[0] != '\0' ? "" : "none", "");
    RUN_UNTIL(&stage, adp_feed_is_published(stage.feed, 1) && adp_feed_is_published(stage.feed, 2));
    run_for(&stage, 150 * LS_NS_PER_MS);
    assert_non_null(strstr(broker.subscription, "\"orderToken\":\"23e16a457b4a035af850\""));
    const int books = atomic_load(&broker.books);
    (void)take_all(&stage, 0, IPC_RING_ORDERS, events, 32);
    (void)take_all(&stage, 1, IPC_RING_ORDERS, events, 32);
    (void)take_all(&stage, 0, IPC_RING_UPDATES, events, 32);
    const int64_t before = ipc_clock_mono_ns();
    say_frame(frame_of("MASTER1", "25052600000001", ""));
    RUN_UNTIL(&stage, ipc_hist_count(stage.hist) == 1);
    /* To every shard with followers of the master, and to no `updates` ring. */
    for (uint32_t shard = 0; shard < 2; shard++) {
        assert_int_equal(take_all(&stage, shard, IPC_RING_ORDERS, events, 32), 1);
        assert_int_equal(events[0].kind, IPC_EVENT_ORDER);
        assert_int_equal(events[0].account, 1);
        assert_int_equal(events[0].instrument, 1);
        assert_int_equal(events[0].price_e8, 10150000000);
        assert_int_equal(events[0].flags, 0);
        assert_true(events[0].received_mono_ns >= before);
        assert_true(events[0].published_mono_ns >= events[0].received_mono_ns);
        assert_true(events[0].feed_lag_ns <= 2 * LS_NS_PER_S);
    }
    assert_int_equal(take_all(&stage, 0, IPC_RING_UPDATES, events, 32), 0);
    /* The follower's copy carries our tag. */
    say_frame(frame_of("FOLLOW1", "25052600000002", OWN_TAG));
    RUN_UNTIL(&stage, ipc_hist_count(stage.hist) == 2);
    assert_int_equal(take_all(&stage, 0, IPC_RING_UPDATES, events, 32), 1);
    assert_int_equal(events[0].flags, IPC_EVENT_OWN_TAG);
    assert_memory_equal(events[0].client_tag, OWN_TAG, 19);
    /* The same again says nothing; while the feed covers the accounts their books rest. */
    say_frame(frame_of("FOLLOW1", "25052600000002", OWN_TAG));
    RUN_UNTIL(&stage, counts_of(&stage).frames >= 5);
    run_for(&stage, 250 * LS_NS_PER_MS);
    assert_int_equal(atomic_load(&broker.books), books);
    assert_true(atomic_load(&broker.beats) >= 2);
    stage_close(&stage);
}

/* A gap: the whole book with its marker, polls meanwhile, and a feed again. */
static void a_cut_is_a_gap(void **state)
{
    struct stage stage;
    struct ipc_event events[64];
    (void)state;
    stage_open(&stage, 1);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1 && adp_feed_is_published(stage.feed, 1));
    run_for(&stage, 150 * LS_NS_PER_MS);
    (void)take_all(&stage, 0, IPC_RING_ORDERS, events, 64);
    const int books = atomic_load(&broker.books);
    set_book("25052600000003", "100.00", "WEB");
    atomic_store(&broker.cuts, true);
    RUN_UNTIL(&stage, counts_of(&stage).cuts == 1);
    RUN_UNTIL(&stage, atomic_load(&broker.books) >= books + 3); /* polled */
    const size_t count = take_all(&stage, 0, IPC_RING_ORDERS, events, 64);
    assert_int_equal(count, 4);
    assert_int_equal(events[0].kind, IPC_EVENT_FEED_GAP);
    assert_int_equal(events[1].kind, IPC_EVENT_BOOK_BEGIN);
    assert_int_equal(events[2].kind, IPC_EVENT_ORDER);
    assert_int_equal(events[2].flags, IPC_EVENT_FROM_BOOK);
    assert_true(events[2].feed_lag_ns > 0); /* as old as the book before */
    assert_int_equal(events[3].kind, IPC_EVENT_BOOK_END);
    assert_int_equal(events[3].book_order_count, 1);
    atomic_store(&broker.cuts, false);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1);
    RUN_UNTIL(&stage, counts_of(&stage).connects >= 2);
    run_for(&stage, 100 * LS_NS_PER_MS);
    say_frame(frame_of("MASTER1", "25052600000004", ""));
    RUN_UNTIL(&stage, ipc_hist_count(stage.hist) == 1);
    stage_close(&stage);
}

/* Frames that come in a gap wait for the book that ends it, so that nothing overtakes what was
 * missed; but not for a book that does not come. */
static void frames_of_a_gap_wait_for_the_book(void **state)
{
    struct stage stage;
    struct ipc_event events[64];
    (void)state;
    stage_open(&stage, 1);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1 && adp_feed_is_published(stage.feed, 1));
    run_for(&stage, 150 * LS_NS_PER_MS);
    (void)take_all(&stage, 0, IPC_RING_ORDERS, events, 64);
    pthread_mutex_lock(&broker.lock);
    broker.book_status = 500;
    pthread_mutex_unlock(&broker.lock);
    atomic_store(&broker.cuts, true);
    RUN_UNTIL(&stage, counts_of(&stage).cuts == 1);
    atomic_store(&broker.cuts, false);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1);
    run_for(&stage, 50 * LS_NS_PER_MS);
    const int64_t before = ipc_clock_mono_ns();
    say_frame(frame_of("MASTER1", "25052600000021", ""));
    run_for(&stage, 300 * LS_NS_PER_MS);
    assert_int_equal(take_all(&stage, 0, IPC_RING_ORDERS, events, 64), 0);
    RUN_UNTIL(&stage, ipc_hist_count(stage.hist) == 1); /* after a second */
    assert_true(ipc_clock_mono_ns() - before >= 900 * LS_NS_PER_MS);
    assert_int_equal(take_all(&stage, 0, IPC_RING_ORDERS, events, 64), 1);
    assert_true(events[0].published_mono_ns - events[0].received_mono_ns >= 900 * LS_NS_PER_MS);
    say_frame(frame_of("MASTER1", "25052600000022", "")); /* this gap is waited for no more */
    RUN_UNTIL(&stage, ipc_hist_count(stage.hist) == 2);
    (void)take_all(&stage, 0, IPC_RING_ORDERS, events, 64);
    assert_true(events[0].published_mono_ns - events[0].received_mono_ns < 500 * LS_NS_PER_MS);
    stage_close(&stage);
}

/* The broker shows that there is no feed: the account is polled, and asked again later. */
static void no_feed(void **state)
{
    static const struct {
        int status;
        const char *type, *body;
    } answers[] = {{200, "text/plain", ""}, {200, "text/html", "<!DOCTYPE html><html></html>"},
        {404, "text/plain", "Not Found"}};
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(answers); i++) {
        struct stage stage;
        stage_open(&stage, 1);
        say(broker.token_reply, sizeof(broker.token_reply), answers[i].body);
        say(broker.token_type, sizeof(broker.token_type), answers[i].type);
        broker.token_status = answers[i].status;
        stage.config.feed_absent_most = 1;
        adp_order_feed_close(stage.order_feed); /* with the rule above */
        stage.order_feed = adp_order_feed_open(&stage.config, adp_dialect_find("alice-blue"),
            stage.live, stage.feed, stage.publisher, stage.sockets, stage.poll, stage.hist);
        adp_poll_generation(stage.poll);
        RUN_UNTIL(&stage, counts_of(&stage).absent == 1);
        const int books = atomic_load(&broker.books);
        RUN_UNTIL(&stage, atomic_load(&broker.books) >= books + 3);
        assert_int_equal(atomic_load(&broker.tokens), 1);
        say(broker.token_reply, sizeof(broker.token_reply), good_token);
        broker.token_status = 200;
        RUN_UNTIL(&stage, counts_of(&stage).live == 1); /* after feed_retry_s */
        stage_close(&stage);
    }
}

static void refusals_back_off(void **state)
{
    struct stage stage;
    (void)state;
    stage_open(&stage, 1);
    atomic_store(&broker.is_refusing, true);
    RUN_UNTIL(&stage, atomic_load(&broker.subscriptions) == 2);
    assert_int_equal(counts_of(&stage).connects, 0);
    atomic_store(&broker.is_refusing, false);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1);
    stage_close(&stage);
    stage_open(&stage, 1);
    atomic_store(&broker.is_page, true);
    run_for(&stage, 100 * LS_NS_PER_MS);
    assert_int_equal(counts_of(&stage).live, 0);
    assert_true(atomic_load(&broker.tokens) >= 1);
    atomic_store(&broker.is_page, false);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1);
    stage_close(&stage);
}

/* Frames that cannot be used make the account's book be read. */
static void odd_frames_read_the_book(void **state)
{
    static const char *const odd[] = {
        "not JSON, ALL",
        "{\"t\":\"om\",\"norenordno\":\"25052600000009\",\"actid\":\"ALL\",\"status\":\"OPEN\"}",
        "{\"t\":\"om\",\"norenordno\":\"25052600000009\",\"actid\":\"MASTER1\",\"qty\":\"10\","
        "\"prc\":\"1\",\"pcode\":\"I\",\"prctyp\":\"LMT\",\"ret\":\"DAY\",\"trantype\":\"B\","
        "\"exch\":\"NSE\",\"tsym\":\"ACC-EQ\",\"status\":\"SOMETHING NEW\"}",
    };
    struct stage stage;
    struct ipc_event events[32];
    (void)state;
    stage_open(&stage, 1);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1 && adp_feed_is_published(stage.feed, 1));
    run_for(&stage, 150 * LS_NS_PER_MS);
    (void)take_all(&stage, 0, IPC_RING_ORDERS, events, 32);
    for (size_t i = 0; i < LS_COUNT_OF(odd); i++) {
        const int books = atomic_load(&broker.books);
        say_frame(odd[i]);
        RUN_UNTIL(&stage, counts_of(&stage).not_understood == i + 1);
        RUN_UNTIL(&stage, atomic_load(&broker.books) > books);
        run_for(&stage, 120 * LS_NS_PER_MS);
    }
    say_frame("{\"status\":\"Ok\",\"note\":\"ALL\"}"); /* no order, and no harm */
    run_for(&stage, 50 * LS_NS_PER_MS);
    assert_int_equal(counts_of(&stage).not_understood, LS_COUNT_OF(odd));
    assert_int_equal(take_all(&stage, 0, IPC_RING_ORDERS, events, 32), 0);
    stage_close(&stage);
}

/* Account 4 is master and follower, and no API trader: an order whose source the frame does not
 * tell waits for the book, and an order of another program never becomes a master's order. */
static void the_source_comes_from_the_book(void **state)
{
    struct stage stage;
    struct ipc_event events[32];
    struct adp_feed_counts fed;
    (void)state;
    stage_open(&stage, 4);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1 && adp_feed_is_published(stage.feed, 4));
    run_for(&stage, 150 * LS_NS_PER_MS);
    (void)take_all(&stage, 0, IPC_RING_ORDERS, events, 32);
    (void)take_all(&stage, 0, IPC_RING_UPDATES, events, 32);
    set_book("25052600000011", "101.50", "WEB");
    say_frame(frame_of("BOTH1", "25052600000011", ""));
    RUN_UNTIL(&stage, ipc_hist_count(stage.hist) == 1);
    adp_feed_counts(stage.feed, &fed);
    assert_int_equal(fed.withheld, 1);
    size_t count = 0;
    RUN_UNTIL(&stage, (count += take_all(&stage, 0, IPC_RING_ORDERS, events + count, 32)) >= 1);
    assert_int_equal(events[0].source, IPC_SOURCE_TERMINAL);
    assert_int_equal(events[0].account, 4);
    /* Known now: the next frame of the order goes out at once, with its source. */
    run_for(&stage, 150 * LS_NS_PER_MS);
    (void)take_all(&stage, 0, IPC_RING_ORDERS, events, 32);
    char later[1024];
    snprintf(later, sizeof(later), "%s", frame_of("BOTH1", "25052600000011", ""));
    char *price = strstr(later, "101.50");
    memcpy(price, "102.50", 6);
    say_frame(later);
    RUN_UNTIL(&stage, ipc_hist_count(stage.hist) == 2);
    assert_int_equal(take_all(&stage, 0, IPC_RING_ORDERS, events, 32), 1);
    assert_int_equal(events[0].source, IPC_SOURCE_TERMINAL);
    assert_int_equal(events[0].price_e8, 10250000000);
    /* Our own tag is not withheld: it marks itself. */
    say_frame(frame_of("BOTH1", "25052600000012", OWN_TAG));
    RUN_UNTIL(&stage, ipc_hist_count(stage.hist) == 3);
    adp_feed_counts(stage.feed, &fed);
    assert_int_equal(fed.withheld, 1);
    assert_true(take_all(&stage, 0, IPC_RING_ORDERS, events, 32) >= 1);
    stage_close(&stage);
}

/* A new token makes a new connection; an account that is not watched any more closes its own. */
static void generations(void **state)
{
    struct stage stage;
    (void)state;
    stage_open(&stage, 1);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1);
    snprintf(world_account(&stage.world, 3)->name, 8, "else");
    world_publish(&stage.world); /* nothing of account 1 changed: its connection stays */
    assert_true(adp_live_follow(stage.live));
    adp_feed_generation(stage.feed);
    adp_poll_generation(stage.poll);
    run_for(&stage, 150 * LS_NS_PER_MS);
    assert_int_equal(atomic_load(&broker.subscriptions), 1);
    world_seal(&stage.world, stage.key, 1, "d.e.f");
    world_publish(&stage.world);
    assert_true(adp_live_follow(stage.live));
    adp_feed_generation(stage.feed);
    adp_poll_generation(stage.poll);
    RUN_UNTIL(&stage, atomic_load(&broker.subscriptions) == 2);
    RUN_UNTIL(&stage, counts_of(&stage).live == 1);
    assert_non_null(strstr(broker.authorization, "Bearer d.e.f"));
    world_account(&stage.world, 1)->flags = IPC_ACCOUNT_DISABLED;
    world_publish(&stage.world);
    assert_true(adp_live_follow(stage.live));
    adp_feed_generation(stage.feed);
    adp_poll_generation(stage.poll);
    RUN_UNTIL(&stage, atomic_load(&broker.open) == 0);
    run_for(&stage, 100 * LS_NS_PER_MS);
    assert_int_equal(counts_of(&stage).live, 0);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_becomes_an_event),
        cmocka_unit_test(a_cut_is_a_gap),
        cmocka_unit_test(frames_of_a_gap_wait_for_the_book),
        cmocka_unit_test(no_feed),
        cmocka_unit_test(refusals_back_off),
        cmocka_unit_test(odd_frames_read_the_book),
        cmocka_unit_test(the_source_comes_from_the_book),
        cmocka_unit_test(generations),
    };
    ipc_log_init("test", IPC_LOG_ERROR);
    return cmocka_run_group_tests_name("order_feed", tests, NULL, NULL);
}
