#include "bench/work.h"

#include "bench/files.h"
#include "engine/blocks.h"
#include "engine/scribe.h"
#include "engine/shapes.h"
#include "ipc/region.h"
#include "ipc/seal.h"
#include "ipc/snapshot.h"
#include "ipc/tag.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLUSTER "bench-work"
#define MASTER  1u
#define PRICE   (1400 * LS_E8)

struct bench_work {
    struct bench_work_options options;
    char directory[BENCH_PATH_BYTES], instance[40];
    struct ipc_shm shm;
    struct eng_config config;
    struct ipc_secret_arena *secrets;
    struct ipc_seal_key *key;
    struct ipc_snapshot_image image;
    void *image_memory;
    size_t image_bytes;
    struct ipc_snapshot_writer *writer;
    struct eng_adopter *adopter;
    const struct eng_generation *generation;
    struct eng_core *core;
    size_t core_bytes;
    struct eng_journal *journal;
    struct bench_sink *sink;
    struct ipc_clock clock;
    struct eng_shapes shapes;
    struct ipc_fact_batch_room room; /* without a journal */
    uint64_t lsn, orders;
    int64_t now_ns;
    bool has_shm, has_scribe;
};

static void *map_zeroed(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* ---- the snapshot ---------------------------------------------------------------------------- */

/* Followers of all kinds in turn. */
static void mix(struct ipc_row_follower *row, uint32_t i)
{
    switch (i % 8) {
    case 1:
        row->mode = IPC_MODE_FIXED_QUANTITY;
        row->fixed_qty_e8 = 7 * LS_E8;
        break;
    case 2:
        row->mode = IPC_MODE_PERCENTAGE;
        row->ratio_e8 = 5 * LS_E8;
        break;
    case 3:
        row->mode = IPC_MODE_EQUITY_PROPORTIONAL;
        row->policy = 1;
        break;
    case 4:
        row->max_order_value_e8 = INT64_C(100000000) * LS_E8;
        break;
    case 5:
        row->mode = IPC_MODE_BALANCE_PROPORTIONAL;
        row->policy = 1;
        break;
    case 6:
        row->allowed_list = 1;
        break;
    case 7:
        row->max_position_e8 = INT64_C(100000000) * LS_E8;
        break;
    default:
        break;
    }
}

static void fill_followers(struct bench_work *work)
{
    struct ipc_row_follower *followers = work->image.rows[IPC_TABLE_FOLLOWERS];
    uint32_t *slots = work->image.rows[IPC_TABLE_MASTER_SLOTS];
    for (uint32_t i = 0; i < work->options.followers; i++) {
        followers[i] = (struct ipc_row_follower){.follower_no = i + 1,
            .incarnation = 1,
            .account = i + 2,
            .master = MASTER,
            .mode = IPC_MODE_FIXED_RATIO,
            .copy = IPC_COPY_ON_ORDER,
            .flags = IPC_FOLLOWER_ENABLED,
            .ratio_e8 = (1 + (int64_t)(i % 3)) * LS_E8};
        if (work->options.mixed)
            mix(&followers[i], i);
        slots[i] = i;
    }
}

/* As long and as incompressible as a real one. */
static void make_token(uint32_t account, char *out, uint32_t bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t state = account * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (uint32_t i = 0; i < bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = letters[state >> 58];
    }
}

static enum ipc_rc fill_accounts(struct bench_work *work)
{
    struct ipc_row_account *accounts = work->image.rows[IPC_TABLE_ACCOUNTS];
    uint8_t *tokens = work->image.rows[IPC_TABLE_TOKENS];
    char token[1536];
    for (uint32_t i = 0; i <= work->options.followers; i++) {
        struct ipc_row_account *row = &accounts[i];
        *row = (struct ipc_row_account){.account = i + 1,
            .roles = i == 0 ? IPC_ROLE_MASTER : IPC_ROLE_FOLLOWER,
            .lanes = IPC_LANES_SHARED,
            .token_version = 1};
        (void)snprintf(row->login, sizeof row->login, "F%u", i);
        if (work->options.token_bytes == 0)
            continue;
        struct ipc_seal_binding binding = {
            .cluster_id = CLUSTER, .account = i + 1, .token_version = 1};
        size_t sealed = 0;
        make_token(i + 1, token, work->options.token_bytes);
        const enum ipc_rc rc = ipc_seal(work->key, &binding, token, work->options.token_bytes,
            tokens + (size_t)i * work->config.token_row_bytes, work->config.token_row_bytes,
            &sealed);
        if (rc != IPC_OK)
            return rc;
        row->token_bytes = (uint32_t)sealed;
    }
    return IPC_OK;
}

static void fill_rest(struct bench_work *work)
{
    struct ipc_row_cluster *cluster = work->image.rows[IPC_TABLE_CLUSTER];
    struct ipc_row_broker *broker = work->image.rows[IPC_TABLE_BROKERS];
    struct ipc_row_instrument *instrument = work->image.rows[IPC_TABLE_INSTRUMENTS];
    struct ipc_row_master *master = work->image.rows[IPC_TABLE_MASTERS];
    struct ipc_row_list *list = work->image.rows[IPC_TABLE_LISTS];
    uint32_t *items = work->image.rows[IPC_TABLE_LIST_ITEMS];
    struct ipc_row_policy *policy = work->image.rows[IPC_TABLE_POLICIES];
    *cluster = (struct ipc_row_cluster){.cluster_id = CLUSTER, .shard_count = 1};
    *broker = (struct ipc_row_broker){.name = "sink",
        .dialect = "alice-blue",
        .host = "127.0.0.1",
        .authority = "localhost",
        .port = 443,
        .live = 1,
        .pool_connections =
            (uint16_t)(work->options.connections > 0 ? work->options.connections : 1),
        .flags = IPC_BROKER_NO_PACING};
    *instrument = (struct ipc_row_instrument){.instrument = 1,
        .exchange = IPC_EXCHANGE_NSE,
        .kind = IPC_KIND_CASH,
        .lot_qty_e8 = LS_E8,
        .tick_e8 = LS_E8 / 20,
        .token = "2885",
        .symbol = "RELIANCE-EQ",
        .underlying = "RELIANCE"};
    *master = (struct ipc_row_master){.account = MASTER, .count = work->options.followers};
    *list = (struct ipc_row_list){.first = 0, .count = 1};
    items[0] = 1;
    *policy = (struct ipc_row_policy){.mult_e8 = LS_E8};
}

static enum ipc_rc snapshot_make(struct bench_work *work, struct ipc_error *error)
{
    const uint32_t followers = work->options.followers;
    struct ipc_snapshot_shape shape = {.token_row_bytes = work->config.token_row_bytes};
    shape.rows[IPC_TABLE_CLUSTER] = 1;
    shape.rows[IPC_TABLE_BROKERS] = 1;
    shape.rows[IPC_TABLE_ACCOUNTS] = shape.rows[IPC_TABLE_TOKENS] = followers + 1;
    shape.rows[IPC_TABLE_INSTRUMENTS] = 1;
    shape.rows[IPC_TABLE_FOLLOWERS] = shape.rows[IPC_TABLE_MASTER_SLOTS] = followers;
    shape.rows[IPC_TABLE_MASTERS] = 1;
    shape.rows[IPC_TABLE_LISTS] = shape.rows[IPC_TABLE_LIST_ITEMS] = 1;
    shape.rows[IPC_TABLE_POLICIES] = 1;
    work->image_bytes = ipc_snapshot_footprint(&shape);
    work->image_memory = map_zeroed(work->image_bytes);
    LS_CHECK(work->image_bytes > 0 && work->image_memory != NULL);
    ipc_snapshot_image_init(&work->image, work->image_memory, &shape);
    work->image.shape = shape;
    fill_rest(work);
    fill_followers(work);
    const enum ipc_rc rc = fill_accounts(work);
    if (rc != IPC_OK)
        ipc_error_set(error, "a token cannot be sealed: %s", ipc_rc_text(rc));
    return rc;
}

static enum ipc_rc snapshot_publish(
    struct bench_work *work, int64_t *publish_ns, struct ipc_error *error)
{
    const int64_t start_ns = ipc_clock_mono_ns();
    const enum ipc_rc rc = ipc_snapshot_writer_publish(
        work->writer, &work->image, IPC_SNAPSHOT_OVERRIDE, ipc_clock_wall_ns(), error);
    *publish_ns = ipc_clock_mono_ns() - start_ns;
    return rc;
}

enum ipc_rc bench_work_change(struct bench_work *work, int64_t *publish_ns, struct ipc_error *error)
{
    struct ipc_row_follower *followers = work->image.rows[IPC_TABLE_FOLLOWERS];
    followers[work->options.followers / 2].ratio_e8 += LS_E8 / 100;
    return snapshot_publish(work, publish_ns, error);
}

/* ---- adopting -------------------------------------------------------------------------------- */

static void apply(
    struct bench_work *work, enum ipc_fact_type type, const void *payload, uint32_t bytes)
{
    const struct eng_frame frame = {.type = type,
        .count = 1,
        .payload = payload,
        .payload_bytes = bytes,
        .lsn = work->journal != NULL ? eng_journal_append(work->journal, type, payload, bytes, 1)
                                     : ++work->lsn,
        .mono_ns = work->now_ns,
        .wall_ns = work->now_ns};
    LS_CHECK(frame.lsn != 0 && eng_apply(work->core, &frame) == IPC_OK);
}

enum ipc_rc bench_work_adopt(
    struct bench_work *work, int64_t *prepare_ns, int64_t *swap_ns, struct ipc_error *error)
{
    uint64_t refused = 0;
    struct ipc_fact_adopt fact;
    const struct eng_generation *generation = NULL;
    int64_t start_ns = ipc_clock_mono_ns();
    enum ipc_rc rc = eng_adopter_poll(work->adopter, &generation, &refused, error);
    if (rc != IPC_OK)
        return rc;
    *prepare_ns = ipc_clock_mono_ns() - start_ns;
    start_ns = ipc_clock_mono_ns();
    rc = eng_decide_adopt(work->core, &generation->view, generation->content_hash, &fact, error);
    if (rc != IPC_OK)
        return rc;
    apply(work, IPC_FACT_ADOPT, &fact, sizeof fact);
    eng_core_adopt(work->core, &generation->view, generation->policies);
    *swap_ns = ipc_clock_mono_ns() - start_ns;
    eng_adopter_taken(work->adopter, generation);
    work->generation = generation;
    return IPC_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void configure(struct bench_work *work)
{
    const struct bench_work_options *options = &work->options;
    struct eng_config *config = &work->config;
    eng_config_defaults(config);
    (void)snprintf(config->instance, sizeof config->instance, "%.31s", work->instance);
    (void)snprintf(config->key_file, sizeof config->key_file, "%s/seal.key", work->directory);
    (void)snprintf(
        config->journal_directory, sizeof config->journal_directory, "%s/journal", work->directory);
    config->follower_slots = options->followers;
    config->accounts = options->followers + 1;
    config->brokers = config->masters = 1;
    config->instruments = 16;
    /* A quarter more: the core keeps some for exits. */
    config->children = options->followers * options->waves / 4 * 5 + 4096;
    config->positions = options->followers / 8 * 9 + 1024; /* some are kept for exits */
    config->master_orders = options->waves + 16;
    config->master_positions = 16;
    config->waves = 8;
    config->connections = options->connections + 16;
    config->token_row_bytes =
        (uint32_t)ls_align_up(options->token_bytes + IPC_SEAL_OVERHEAD_BYTES, 64);
    config->journal_segment_bytes = 16u << 20;
    config->journal_segments = 8;
    config->tier = options->tier;
}

static enum ipc_rc journal_make(struct bench_work *work, struct ipc_error *error)
{
    struct eng_journal_config config;
    const struct eng_journal_start start = {.segment_no = 1, .next_lsn = 1};
    enum ipc_rc rc =
        eng_journal_config_fill(&config, &work->config, work->shm.path, CLUSTER, error);
    config.lock_memory = false;
    if (rc == IPC_OK)
        rc = eng_journal_open(&config, &work->journal, error);
    if (rc == IPC_OK)
        rc = eng_journal_start(work->journal, &start, error);
    if (rc == IPC_OK)
        rc = eng_scribe_start(work->journal, -1, error);
    work->has_scribe = rc == IPC_OK;
    if (rc == IPC_OK)
        eng_journal_clock(work->journal, work->now_ns, work->now_ns);
    return rc;
}

static enum ipc_rc files_make(struct bench_work *work, struct ipc_error *error)
{
    static _Atomic uint32_t number;
    (void)snprintf(work->instance, sizeof work->instance, "work-%d-%u", (int)getpid(), number++);
    enum ipc_rc rc = bench_directory_make("lockstep-work", work->directory, error);
    if (rc != IPC_OK)
        return rc;
    configure(work);
    rc = ipc_shm_open(&work->shm, NULL, work->instance, true, error);
    work->has_shm = rc == IPC_OK;
    if (rc == IPC_OK)
        rc = ipc_seal_key_create(work->config.key_file, error);
    if (rc == IPC_OK)
        rc = ipc_secret_arena_create(4096, &work->secrets, error);
    if (rc == IPC_OK)
        rc = ipc_seal_key_load(work->secrets, work->config.key_file, &work->key, error);
    return rc;
}

static void core_make(struct bench_work *work)
{
    struct eng_core_limits limits;
    struct eng_core_config config;
    eng_config_core(&work->config, &limits, &config);
    work->core_bytes = eng_core_footprint(&limits);
    void *memory = map_zeroed(work->core_bytes);
    LS_CHECK(memory != NULL);
    work->core = eng_core_init(memory, &limits, &config);
}

enum ipc_rc bench_work_open(
    struct bench_work **out, const struct bench_work_options *options, struct ipc_error *error)
{
    struct bench_work *work = aligned_alloc(64, ls_align_up(sizeof *work, 64));
    int64_t publish_ns;
    *out = NULL;
    LS_CHECK(work != NULL);
    memset(work, 0, sizeof *work);
    work->options = *options;
    work->now_ns = 1000 * LS_NS_PER_S;
    eng_shapes_init(&work->shapes);
    ipc_clock_calibrate(&work->clock, 20 * LS_NS_PER_MS);
    enum ipc_rc rc = files_make(work, error);
    if (rc == IPC_OK)
        rc = snapshot_make(work, error);
    if (rc == IPC_OK)
        rc = ipc_snapshot_writer_open(&work->shm, &work->writer, error);
    if (rc == IPC_OK)
        rc = snapshot_publish(work, &publish_ns, error);
    if (rc == IPC_OK)
        rc = eng_adopter_make(&work->config, &work->shm, &work->adopter, error);
    if (rc == IPC_OK)
        core_make(work);
    if (rc == IPC_OK && options->journal)
        rc = journal_make(work, error);
    if (rc == IPC_OK && options->connections > 0)
        rc = bench_sink_open(&work->sink, options->connections, work->directory, error);
    if (rc != IPC_OK) {
        bench_work_close(work);
        return rc;
    }
    *out = work;
    return IPC_OK;
}

void bench_work_close(struct bench_work *work)
{
    if (work == NULL)
        return;
    bench_sink_close(work->sink);
    if (work->has_scribe)
        (void)eng_scribe_stop(work->journal);
    eng_journal_close(work->journal);
    eng_adopter_free(work->adopter);
    ipc_snapshot_writer_close(work->writer);
    if (work->core != NULL)
        (void)munmap(work->core, work->core_bytes);
    if (work->image_memory != NULL)
        (void)munmap(work->image_memory, work->image_bytes);
    ipc_secret_arena_destroy(work->secrets);
    if (work->has_shm)
        bench_shm_remove(&work->shm);
    bench_directory_remove(work->directory);
    free(work);
}

/* ---- a wave ---------------------------------------------------------------------------------- */

void bench_work_order(struct bench_work *work)
{
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_OPEN,
        .source = IPC_SOURCE_TERMINAL,
        .account = MASTER,
        .instrument = 1,
        .qty_e8 = 10 * LS_E8,
        .price_e8 = PRICE,
        .version = 1};
    struct eng_event_facts facts;
    work->now_ns += 10 * LS_NS_PER_S;
    if (work->journal != NULL)
        eng_journal_clock(work->journal, work->now_ns, work->now_ns);
    event.received_mono_ns = work->now_ns;
    (void)snprintf(event.broker_order_id, sizeof event.broker_order_id, "B%08llu",
        (unsigned long long)++work->orders);
    ipc_order_key(CLUSTER, MASTER, event.broker_order_id, &event.order_key, &event.order_digits);
    eng_step_event(work->core, &event, 0, work->orders, work->now_ns, &facts);
    LS_CHECK(facts.count > 0);
    for (uint32_t i = 0; i < facts.count; i++)
        apply(work, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes);
}

static struct eng_batch_sample sample_of(const struct bench_work *work)
{
    return (struct eng_batch_sample){.generation = work->generation->view.generation,
        .price_e8 = PRICE,
        .price_mono_ns = work->now_ns,
        .master_equity_e8 = INT64_C(10000000) * LS_E8,
        .master_balance_e8 = INT64_C(10000000) * LS_E8,
        .master_free_e8 = INT64_C(10000000) * LS_E8,
        .master_capital_mono_ns = work->now_ns,
        .now_mono_ns = work->now_ns,
        .now_wall_ns = work->now_ns,
        .journal_takes_entries = 1};
}

static void fill_samples(
    const struct bench_work *work, struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX])
{
    for (uint32_t i = 0; i < IPC_BATCH_CHILDREN_MAX; i++)
        samples[i] = (struct eng_follower_sample){.capital_e8 = INT64_C(10000000) * LS_E8,
            .balance_e8 = INT64_C(10000000) * LS_E8,
            .free_e8 = INT64_C(10000000) * LS_E8,
            .capital_mono_ns = work->now_ns,
            .can_send = 1};
}

uint32_t bench_work_plan_first(struct bench_work *work)
{
    struct eng_batch batch;
    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    const struct eng_batch_sample sample = sample_of(work);
    fill_samples(work, samples);
    if (!eng_wave_next(work->core, &batch))
        return 0;
    return eng_decide_batch(
        work->core, &batch, &sample, samples, &work->room.batch, work->room.children);
}

/* One order's bytes, as turn_send.c makes them. */
static void encode(struct bench_work *work, uint32_t child)
{
    const struct eng_broker_terms *terms = &work->generation->brokers[0];
    const struct eng_request_block *block = &terms->requests[ADP_REQUEST_PLACE];
    struct ipc_command command;
    struct eng_blocks_parts parts;
    uint8_t body[ENG_SHAPE_BODY_BYTES];
    uint32_t stream_id = 0;
    LS_CHECK(eng_core_command(work->core, child, &command) == IPC_OK);
    struct eng_shape *shape = eng_shapes_of(&work->shapes, terms->dialect, &command);
    LS_CHECK(shape != NULL);
    const int bytes = eng_shape_body(shape, &command,
        work->generation->view.accounts[command.account - 1].login, body, sizeof body);
    LS_CHECK(bytes > 0);
    LS_CHECK(eng_blocks_parts(block, &work->generation->auths[command.account - 1], false,
                 command.broker_order_id, &parts) == IPC_OK);
    const struct eng_h2_request request = {.parts = parts.parts,
        .part_count = parts.count,
        .body_bytes = (uint32_t)bytes,
        .body = body,
        .child = command.child,
        .request_no = command.request_no,
        .account = command.account,
        .reply_by_mono_ns = work->now_ns + LS_NS_PER_S,
        .leave_by_mono_ns = command.deadline_mono_ns};
    /* Neighbours in the list share a connection. */
    const uint32_t connection = (uint32_t)((uint64_t)(command.account - 2) *
                                           work->options.connections / work->options.followers);
    LS_CHECK(eng_h2_request(bench_sink_h2(work->sink, connection), &request, &stream_id) ==
             ENG_H2_ADMITTED);
    bench_sink_sent(work->sink, connection, stream_id);
}

/* The place of the next frame: the journal's, or ours. The scribe may be behind: waiting for it is
 * not part of any stage. */
static struct ipc_fact_batch *frame_begin(struct bench_work *work, uint64_t *ticks)
{
    if (work->journal == NULL)
        return &work->room.batch;
    while (!eng_journal_takes_entries(work->journal))
        (void)usleep(100);
    const uint64_t start = ipc_clock_tsc();
    void *payload = eng_journal_begin(work->journal, IPC_FACT_BATCH, IPC_BATCH_BYTES_MAX);
    *ticks += ipc_clock_tsc() - start;
    LS_CHECK(payload != NULL);
    return payload;
}

static void batch_run(struct bench_work *work, const struct eng_batch *batch,
    const struct eng_batch_sample *sample, const struct eng_follower_sample *samples,
    struct bench_work_cost *cost)
{
    const uint32_t *handles;
    struct ipc_fact_batch *fact = frame_begin(work, &cost->journal);
    struct ipc_fact_child *children = (struct ipc_fact_child *)(fact + 1);
    const uint64_t t0 = ipc_clock_tsc();
    const uint32_t count = eng_decide_batch(work->core, batch, sample, samples, fact, children);
    const uint64_t t1 = ipc_clock_tsc();
    LS_CHECK(count > 0);
    const uint32_t bytes = ipc_fact_batch_bytes(fact);
    const uint64_t lsn =
        work->journal != NULL ? eng_journal_commit(work->journal, bytes, count) : ++work->lsn;
    const uint64_t t2 = ipc_clock_tsc();
    const struct eng_frame frame = {.type = IPC_FACT_BATCH,
        .count = count,
        .payload = fact,
        .payload_bytes = bytes,
        .lsn = lsn,
        .mono_ns = work->now_ns,
        .wall_ns = work->now_ns};
    LS_CHECK(eng_apply(work->core, &frame) == IPC_OK);
    const uint64_t t3 = ipc_clock_tsc();
    while (work->journal != NULL && !eng_journal_is_durable(work->journal, lsn))
        __builtin_ia32_pause(); /* tier power */
    const uint64_t t4 = ipc_clock_tsc();
    const uint32_t applied = eng_core_applied(work->core, &handles);
    for (uint32_t i = 0; i < applied; i++) {
        if (handles[i] == ENG_NONE)
            continue;
        cost->orders++;
        if (work->sink != NULL)
            encode(work, handles[i]);
    }
    const uint64_t t5 = ipc_clock_tsc();
    if (work->sink != NULL)
        cost->cipher_bytes +=
            bench_sink_seal(work->sink, count <= 8 ? 2048 : ENG_TLS_RECORD_BYTES, &cost->records);
    const uint64_t t6 = ipc_clock_tsc();
    cost->plan += t1 - t0;
    cost->journal += t2 - t1 + (t4 - t3);
    cost->apply += t3 - t2;
    cost->encode += t5 - t4;
    cost->seal += t6 - t5;
    cost->journal_bytes += bytes;
    cost->batches++;
    if (cost->batches == 1)
        cost->first = cost->plan + cost->journal + cost->apply + cost->encode + cost->seal;
}

void bench_work_wave(struct bench_work *work, struct bench_work_cost *cost)
{
    struct eng_batch batch;
    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    *cost = (struct bench_work_cost){0};
    bench_work_order(work);
    const struct eng_batch_sample sample = sample_of(work);
    fill_samples(work, samples);
    while (eng_wave_next(work->core, &batch)) {
        batch_run(work, &batch, &sample, samples, cost);
        if (work->sink != NULL)
            bench_sink_answer(work->sink, work->now_ns);
    }
    LS_CHECK(cost->orders == work->options.followers); /* nobody was skipped */
}

const struct ipc_clock *bench_work_clock(const struct bench_work *work)
{
    return &work->clock;
}

double bench_work_own_bytes(const struct bench_work *work)
{
    struct eng_core_limits limits, more;
    struct eng_core_config config;
    eng_config_core(&work->config, &limits, &config);
    more = limits;
    more.child_max += 1u << 20;
    const double each =
        (double)(eng_core_footprint(&more) - eng_core_footprint(&limits)) / (1u << 20);
    return each * limits.child_max + (double)work->image_bytes;
}
