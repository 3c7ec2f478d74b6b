/* lockstep-ingest alice-blue --poll as a process, against an HTTPS server that says what it is told
 * (book_server.py): what arrives in the rings, also when the process is killed again and again;
 * tokens, money, source addresses, certificates, proxies and redirects. */
#include "ipc/accounts.h"
#include "ipc/prng.h"
#include "tests/unit/adapters/ingest/world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define PATIENCE_MS 10000

struct stage {
    struct world world;
    struct ipc_secret_arena *secrets;
    struct ipc_seal_key *key;
    pid_t server, ingest;
    char key_path[96], log_path[96], config_path[96], ca_path[96];
};

static void nap_ms(long ms)
{
    const struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&nap, NULL);
}

static void put_file(const struct stage *stage, const char *name, const char *text)
{
    char path[128], temporary[140];
    snprintf(path, sizeof(path), "%s/%s", stage->world.base, name);
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(temporary, path), 0);
}

static bool file_has(const char *path, const char *text)
{
    static char bytes[1 << 20];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    const size_t count = fread(bytes, 1, sizeof(bytes) - 1, file);
    fclose(file);
    bytes[count] = '\0';
    return strstr(bytes, text) != NULL;
}

static bool log_has(const struct stage *stage, const char *text)
{
    return file_has(stage->log_path, text);
}

static bool requests_have(const struct stage *stage, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/requests.log", stage->world.base);
    return file_has(path, text);
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int waited_ms_ = 0;                                                                        \
        while (!(condition) && waited_ms_ < PATIENCE_MS) {                                         \
            nap_ms(10);                                                                            \
            waited_ms_ += 10;                                                                      \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

/* A book of `count` working orders at one price. */
static void put_book(const struct stage *stage, const char *token, unsigned count, int price)
{
    char *text = malloc(300 + count * 480), name[64];
    size_t at =
        (size_t)sprintf(text, "200\n{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[");
    for (unsigned i = 0; i < count; i++)
        at += (size_t)sprintf(text + at,
            "%s{\"brokerOrderId\":\"2505260%08u\",\"exchange\":\"NSE\",\"instrumentId\":\"22\","
            "\"transactionType\":\"BUY\",\"quantity\":30,\"product\":\"LONGTERM\",\"orderType\":"
            "\"LIMIT\",\"price\":%d,\"averageTradedPrice\":0,\"slTriggerPrice\":0,\"validity\":"
            "\"DAY\",\"filledQuantity\":0,\"source\":\"WEB\",\"orderTag\":\"--\","
            "\"brokerUpdateTime\":\"\",\"orderStatus\":\"OPEN\"}",
            i == 0 ? "" : ",", i, price);
    sprintf(text + at, "]}");
    snprintf(name, sizeof(name), "%s.book", token);
    put_file(stage, name, text);
    free(text);
}

static void make_certificate(struct stage *stage)
{
    char command[512];
    snprintf(command, sizeof(command),
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        "/CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout %s/tls.key -out "
        "%s/tls.crt 2>/dev/null",
        stage->world.base, stage->world.base);
    assert_int_equal(system(command), 0);
    snprintf(stage->ca_path, sizeof(stage->ca_path), "%s/tls.crt", stage->world.base);
}

static uint16_t start_server(struct stage *stage)
{
    char certificate[96], key[96];
    int pipe_fds[2];
    snprintf(certificate, sizeof(certificate), "%s/tls.crt", stage->world.base);
    snprintf(key, sizeof(key), "%s/tls.key", stage->world.base);
    assert_int_equal(pipe(pipe_fds), 0);
    stage->server = fork();
    assert_true(stage->server >= 0);
    if (stage->server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a check stops this test */
        dup2(pipe_fds[1], STDOUT_FILENO);
        execlp("python3", "python3", LS_TEST_SOURCE_DIR "/tests/e2e/book_server.py",
            stage->world.base, certificate, key, (char *)NULL);
        _exit(127);
    }
    close(pipe_fds[1]);
    FILE *port = fdopen(pipe_fds[0], "r");
    unsigned number = 0;
    assert_int_equal(fscanf(port, "%u", &number), 1);
    fclose(port);
    return (uint16_t)number;
}

static void start_ingest(struct stage *stage)
{
    stage->ingest = fork();
    assert_true(stage->ingest >= 0);
    if (stage->ingest != 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int log_fd = open(stage->log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log_fd, STDERR_FILENO);
    setenv("https_proxy", "http://127.0.0.1:1", 1); /* not to be heeded */
    setenv("ALL_PROXY", "socks5://127.0.0.1:1", 1);
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* it cannot trace an undumpable process */
    execl(LS_BIN_DIR "/lockstep-ingest", "lockstep-ingest", "--instance", "test", "--config",
        stage->config_path, "--key", stage->key_path, "alice-blue", "--poll", (char *)NULL);
    _exit(127);
}

static int end_ingest(struct stage *stage, int signal_number)
{
    int status = 0;
    assert_int_equal(kill(stage->ingest, signal_number), 0);
    assert_int_equal(waitpid(stage->ingest, &status, 0), stage->ingest);
    stage->ingest = 0;
    return status;
}

static const struct {
    uint32_t account;
    const char *token;
} tokens[] = {{1, "tokenOfMaster1"}, {2, "tokenOfFollow1"}, {3, "tokenOfFollow2"}};

/* The stage on which a test plays; taken down by the teardown, whatever became of the test. */
static struct stage *open_now;

static void open_stage(struct stage *stage)
{
    struct ipc_error error = {.text = ""};
    memset(stage, 0, sizeof(*stage));
    open_now = stage;
    world_open(&stage->world);
    snprintf(stage->key_path, sizeof(stage->key_path), "%s/seal.key", stage->world.base);
    snprintf(stage->log_path, sizeof(stage->log_path), "%s/ingest.log", stage->world.base);
    snprintf(stage->config_path, sizeof(stage->config_path), "%s/ingest.yaml", stage->world.base);
    put_file(stage, "ingest.yaml",
        "ring_slots: 8192\npoll_master_ms: 30\npoll_follower_ms: 30\nfunds_ms: 60\n"
        "backoff_max_ms: 200\nlog_level: debug\n");
    world_must(ipc_seal_key_create(stage->key_path, &error) == IPC_OK, "key", &error);
    world_must(ipc_secret_arena_create(4096, &stage->secrets, &error) == IPC_OK, "arena", &error);
    world_must(ipc_seal_key_load(stage->secrets, stage->key_path, &stage->key, &error) == IPC_OK,
        "key", &error);
    make_certificate(stage);
    struct ipc_row_broker *broker = world_broker(&stage->world, 0);
    broker->port = start_server(stage);
    snprintf(broker->ca_file, sizeof(broker->ca_file), "%s", stage->ca_path);
    for (size_t i = 0; i < LS_COUNT_OF(tokens); i++) {
        char name[64];
        world_seal(&stage->world, stage->key, tokens[i].account, tokens[i].token);
        put_book(stage, tokens[i].token, 3, 100);
        snprintf(name, sizeof(name), "%s.limits", tokens[i].token);
        put_file(stage, name,
            "200\n{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[{\"tradingLimit\":900.5,"
            "\"utilizedMargin\":99.5}]}");
    }
}

static int close_stage(void **state)
{
    struct stage *stage = open_now;
    (void)state;
    if (stage == NULL)
        return 0;
    open_now = NULL;
    if (stage->ingest > 0)
        (void)end_ingest(stage, SIGKILL);
    (void)kill(stage->server, SIGKILL);
    (void)waitpid(stage->server, NULL, 0);
    ipc_secret_arena_destroy(stage->secrets);
    world_close(&stage->world);
    return 0;
}

/* Follows one ring: whole books, changes, gaps. */
struct reader {
    struct ipc_ring_consumer ring;
    bool is_attached, in_book;
    uint32_t in_book_orders;
    unsigned books, orders, changes, gaps;
    struct ipc_event last; /* order */
};

static void read_ring(
    struct stage *stage, struct reader *reader, uint32_t shard, enum ipc_ring_class ring_class)
{
    struct ipc_event event;
    if (!reader->is_attached)
        reader->is_attached =
            world_consume(&stage->world, "alice-blue", shard, ring_class, &reader->ring);
    while (reader->is_attached && world_take(&reader->ring, &event)) {
        switch ((enum ipc_event_kind)event.kind) {
        case IPC_EVENT_BOOK_BEGIN:
            reader->in_book = true;
            reader->in_book_orders = 0;
            break;
        case IPC_EVENT_BOOK_END:
            assert_true(reader->in_book);
            assert_int_equal(event.book_order_count, reader->in_book_orders);
            reader->in_book = false;
            reader->books++;
            break;
        case IPC_EVENT_ORDER:
            if (event.flags & IPC_EVENT_FROM_BOOK) {
                assert_true(reader->in_book);
                reader->in_book_orders++;
                reader->orders++;
            } else {
                reader->changes++;
            }
            reader->last = event;
            break;
        case IPC_EVENT_FEED_GAP:
            reader->gaps++;
            break;
        case IPC_EVENT_COPY_SELECTED:
        case IPC_EVENT_OPERATOR:
            fail();
        }
    }
}

static bool ring_has_something(struct stage *stage, struct reader *reader)
{
    if (!reader->is_attached)
        reader->is_attached =
            world_consume(&stage->world, "alice-blue", 0, IPC_RING_ORDERS, &reader->ring);
    return reader->is_attached && ipc_ring_is_ready(&reader->ring);
}

static void close_reader(struct reader *reader)
{
    if (reader->is_attached)
        ipc_ring_detach_consumer(&reader->ring);
}

static void books_changes_and_money(void **state)
{
    static struct stage stage;
    struct reader orders = {0}, updates = {0};
    struct ipc_accounts page;
    struct ipc_account_money money;
    struct ipc_error error;
    (void)state;
    open_stage(&stage);
    world_publish(&stage.world);
    start_ingest(&stage);
    WAIT_FOR((read_ring(&stage, &orders, 0, IPC_RING_ORDERS), orders.books == 1));
    WAIT_FOR((read_ring(&stage, &updates, 0, IPC_RING_UPDATES), updates.books == 1));
    assert_int_equal(orders.orders, 3);
    assert_int_equal(updates.last.account, 2);
    put_book(&stage, "tokenOfMaster1", 4, 100); /* a new order */
    WAIT_FOR((read_ring(&stage, &orders, 0, IPC_RING_ORDERS), orders.changes == 1));
    assert_string_equal(orders.last.broker_order_id, "250526000000003");
    assert_int_equal(orders.last.account, 1);
    assert_int_equal(orders.last.source, IPC_SOURCE_TERMINAL);
    assert_true(orders.last.feed_lag_ns > 0 && orders.last.feed_lag_ns < 5 * LS_NS_PER_S);
    put_book(&stage, "tokenOfMaster1", 4, 101); /* all four amended */
    WAIT_FOR((read_ring(&stage, &orders, 0, IPC_RING_ORDERS), orders.changes == 5));
    nap_ms(200); /* many more reads, nothing more to say */
    read_ring(&stage, &orders, 0, IPC_RING_ORDERS);
    assert_int_equal(orders.changes, 5);
    assert_int_equal(orders.books, 1);
    assert_int_equal(orders.gaps, 0);

    WAIT_FOR(ipc_accounts_open_reader(&stage.world.shm, 0, &page, &error) == IPC_OK);
    for (uint32_t account = 1; account <= 3; account++) {
        WAIT_FOR(ipc_accounts_get(&page, account, &money) == IPC_OK);
        assert_int_equal(money.equity_e8, 1000 * LS_E8);
        assert_int_equal(money.cash_e8, 90050000000);
        assert_int_equal(money.margin_used_e8, 9950000000);
    }
    ipc_accounts_close(&page);

    const int status = end_ingest(&stage, SIGTERM);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_false(requests_have(&stage, "POST"));
    assert_false(requests_have(&stage, "DELETE"));
    assert_false(log_has(&stage, "tokenOf"));
    close_reader(&orders);
    close_reader(&updates);
}

/* Whatever moment it dies at, the next start publishes a whole book, and nothing in the ring is
 * damaged or half. */
static void a_whole_book_after_every_kill(void **state)
{
    const uint64_t seed = 20264;
    static struct stage stage;
    struct reader orders = {0}, updates = {0};
    struct ipc_prng prng;
    unsigned price = 100, kills_in_book = 0;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ipc_prng_seed(&prng, seed);
    open_stage(&stage);
    put_book(&stage, "tokenOfMaster1", 400, (int)price);
    /* The ring takes a third of the book: most of it is held when the process dies. */
    put_file(&stage, "ingest.yaml",
        "ring_slots: 256\npoll_master_ms: 30\npoll_follower_ms: 30\nfunds_ms: 60\n");
    world_publish(&stage.world);
    for (int round = 0; round < 25; round++) {
        start_ingest(&stage);
        if (round % 5 == 4) { /* let this one finish, and be looked at */
            const unsigned books = orders.books;
            const unsigned changes = orders.changes;
            WAIT_FOR((read_ring(&stage, &orders, 0, IPC_RING_ORDERS),
                read_ring(&stage, &updates, 0, IPC_RING_UPDATES), orders.books == books + 1));
            assert_int_equal(orders.in_book_orders, 400);
            put_book(&stage, "tokenOfMaster1", 400, (int)++price);
            WAIT_FOR((read_ring(&stage, &orders, 0, IPC_RING_ORDERS),
                read_ring(&stage, &updates, 0, IPC_RING_UPDATES), orders.changes == changes + 400));
            assert_int_equal(orders.last.price_e8, (int64_t)price * LS_E8);
        } else if (round % 5 == 3) { /* inside the book */
            WAIT_FOR(ring_has_something(&stage, &orders));
        } else {
            nap_ms((long)ipc_prng_below(&prng, 400));
        }
        (void)end_ingest(&stage, SIGKILL);
        read_ring(&stage, &orders, 0, IPC_RING_ORDERS);
        read_ring(&stage, &updates, 0, IPC_RING_UPDATES);
        kills_in_book += orders.in_book;
        orders.in_book = updates.in_book = false; /* cut off: the next one begins anew */
    }
    print_message("%u books, %u killed inside one\n", orders.books, kills_in_book);
    assert_true(orders.books >= 5);
    assert_true(kills_in_book >= 5);
    close_reader(&orders);
    close_reader(&updates);
}

static void a_refused_token_pauses_its_account_only(void **state)
{
    static struct stage stage;
    struct reader master = {0}, follower = {0};
    (void)state;
    open_stage(&stage);
    put_file(&stage, "tokenOfMaster1.book", "401\n{\"status\":\"Not_ok\",\"message\":\"EC087\"}");
    world_publish(&stage.world);
    start_ingest(&stage);
    WAIT_FOR((read_ring(&stage, &follower, 0, IPC_RING_UPDATES), follower.books == 1));
    WAIT_FOR(log_has(&stage, "account 1 (MASTER1): the broker refuses its token"));
    put_book(&stage, "tokenOfMaster1", 3, 100); /* too late for this token */
    nap_ms(200);
    read_ring(&stage, &master, 0, IPC_RING_ORDERS);
    assert_int_equal(master.books, 0);
    put_book(&stage, "newTokenOfMaster1", 3, 100);
    world_seal(&stage.world, stage.key, 1, "newTokenOfMaster1");
    world_publish(&stage.world);
    WAIT_FOR((read_ring(&stage, &master, 0, IPC_RING_ORDERS), master.books == 1));
    assert_int_equal(follower.books, 1);
    close_reader(&master);
    close_reader(&follower);
}

static void what_cannot_be_believed_is_not_published(void **state)
{
    static const char *const bad[] = {"200\n", "200\n<html></html>", "503\n{}",
        "302\n{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[]}",
        "200\n{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[{}]}",
        "429\n{\"status\":\"Not_ok\",\"message\":\"slow down\"}"};
    static struct stage stage;
    struct reader orders = {0};
    (void)state;
    open_stage(&stage);
    put_file(&stage, "tokenOfMaster1.book", bad[0]);
    world_publish(&stage.world);
    start_ingest(&stage);
    WAIT_FOR(log_has(&stage, "account 1 (MASTER1): book not read (HTTP 200"));
    for (size_t i = 0; i < LS_COUNT_OF(bad); i++) {
        put_file(&stage, "tokenOfMaster1.book", bad[i]);
        nap_ms(250);
        read_ring(&stage, &orders, 0, IPC_RING_ORDERS);
        assert_int_equal(orders.books + orders.orders + orders.changes, 0);
    }
    assert_false(requests_have(&stage, "/elsewhere"));
    put_book(&stage, "tokenOfMaster1", 3, 100);
    WAIT_FOR((read_ring(&stage, &orders, 0, IPC_RING_ORDERS), orders.books == 1));
    close_reader(&orders);
}

static void accounts_leave_from_their_own_addresses(void **state)
{
    static struct stage stage;
    (void)state;
    open_stage(&stage);
    for (uint32_t account = 1; account <= 2; account++) {
        struct ipc_row_account *row = world_account(&stage.world, account);
        row->source_family = 4;
        memcpy(row->source_address, (const uint8_t[]){127, 0, 0, (uint8_t)(70 + account)}, 4);
    }
    world_publish(&stage.world);
    start_ingest(&stage);
    WAIT_FOR(requests_have(&stage, "tokenOfMaster1 127.0.0.71\n"));
    WAIT_FOR(requests_have(&stage, "tokenOfFollow1 127.0.0.72\n"));
    WAIT_FOR(requests_have(&stage, "tokenOfFollow2 127.0.0.1\n"));
    assert_false(requests_have(&stage, "tokenOfMaster1 127.0.0.1\n"));
    assert_false(requests_have(&stage, "tokenOfFollow1 127.0.0.71\n"));
}

static void a_wrong_certificate_stops_everything(void **state)
{
    static struct stage stage;
    struct ipc_row_broker *broker;
    (void)state;
    open_stage(&stage);
    broker = world_broker(&stage.world, 0);
    memset(broker->ca_file, 0, sizeof(broker->ca_file)); /* the system's anchors do not know it */
    world_publish(&stage.world);
    start_ingest(&stage);
    WAIT_FOR(log_has(&stage, "account 1 (MASTER1): book not read (SSL"));
    snprintf(broker->ca_file, sizeof(broker->ca_file), "%s", stage.ca_path);
    snprintf(broker->authority, sizeof(broker->authority), "broker.example");
    world_publish(&stage.world);
    nap_ms(500);
    assert_false(requests_have(&stage, "GET"));
    memset(broker->authority, 0, sizeof(broker->authority));
    world_publish(&stage.world);
    WAIT_FOR(requests_have(&stage, "GET"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(books_changes_and_money, close_stage),
        cmocka_unit_test_teardown(a_whole_book_after_every_kill, close_stage),
        cmocka_unit_test_teardown(a_refused_token_pauses_its_account_only, close_stage),
        cmocka_unit_test_teardown(what_cannot_be_believed_is_not_published, close_stage),
        cmocka_unit_test_teardown(accounts_leave_from_their_own_addresses, close_stage),
        cmocka_unit_test_teardown(a_wrong_certificate_stops_everything, close_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
