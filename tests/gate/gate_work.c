/* gate_work.c: the fixed work whose instructions the gate counts. Prints nothing, decides nothing:
 * gate.py runs it under callgrind, which counts only inside the four gate_* functions.
 *
 *     gate_plan      eng_decide_batch over a wave of 500 followers, plain mode
 *     gate_apply     eng_apply of those batches
 *     gate_journal   begin and commit of one batch of 54 children
 *     gate_encode    eng_core_command, body, HTTP/2 request of 54 orders
 *
 * The second of two equal orders is counted, so that first touches are over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/broker/dialect.h"
#include "engine/blocks.h"
#include "engine/core/step.h"
#include "engine/journal.h"
#include "engine/net/h2.h"
#include "engine/net/hpack.h"
#include "engine/shapes.h"

#define FOLLOWERS   500u
#define BATCH       54u
#define PLAIN_BYTES (128u * 1024u)

#define COUNTED     __attribute__((noinline, noclone, used))

struct work {
    struct eng_core *core;
    struct ipc_row_cluster cluster;
    struct ipc_row_broker broker;
    struct ipc_row_account accounts[FOLLOWERS + 1];
    struct ipc_row_instrument instrument;
    struct ipc_row_follower followers[FOLLOWERS];
    struct ipc_row_master master;
    uint32_t slots[FOLLOWERS];
    struct ipc_snapshot_view view;
    struct eng_journal *journal;
    struct eng_h2 *h2;
    struct eng_h2_bodies bodies;
    const struct adp_dialect *dialect;
    struct eng_broker_terms terms;
    struct eng_auth auths[FOLLOWERS];
    uint8_t auth_bytes[FOLLOWERS][160];
    struct eng_shapes shapes;
    uint32_t children[FOLLOWERS];
    uint32_t child_count;
    uint64_t lsn, orders;
    int64_t now_ns;
};

/* What one frame holds, as in the journal. */
struct frame {
    struct ipc_fact_batch batch;
    struct ipc_fact_child children[IPC_BATCH_CHILDREN_MAX];
    struct ipc_fact_wide wides[IPC_BATCH_CHILDREN_MAX]; /* room; plain followers make none */
};

static void *memory(size_t bytes)
{
    const size_t whole = ls_align_up(bytes, 4096);
    void *out = aligned_alloc(4096, whole);
    LS_CHECK(out != NULL);
    memset(out, 0, whole);
    return out;
}

/* ---- what is counted ------------------------------------------------------------------------- */

uint32_t gate_plan(struct work *work, const struct eng_batch *batch,
    const struct eng_batch_sample *sample, const struct eng_follower_sample *samples,
    struct frame *out);
void gate_apply(struct work *work, const struct frame *frame, uint32_t count);
void gate_journal(struct work *work, const struct frame *frame, uint32_t count);
void gate_encode(struct work *work, uint32_t count);

COUNTED uint32_t gate_plan(struct work *work, const struct eng_batch *batch,
    const struct eng_batch_sample *sample, const struct eng_follower_sample *samples,
    struct frame *out)
{
    return eng_decide_batch(work->core, batch, sample, samples, &out->batch, out->children);
}

static void apply(
    struct work *work, enum ipc_fact_type type, const void *payload, uint32_t bytes, uint32_t count)
{
    const struct eng_frame frame = {.type = type,
        .count = count,
        .payload = payload,
        .payload_bytes = bytes,
        .lsn = ++work->lsn,
        .mono_ns = work->now_ns,
        .wall_ns = work->now_ns};
    LS_CHECK(eng_apply(work->core, &frame) == IPC_OK);
}

static uint32_t frame_bytes(uint32_t count)
{
    return (uint32_t)(sizeof(struct ipc_fact_batch) + count * sizeof(struct ipc_fact_child));
}

COUNTED void gate_apply(struct work *work, const struct frame *frame, uint32_t count)
{
    apply(work, IPC_FACT_BATCH, frame, frame_bytes(count), count);
}

/* The engine decides straight into the payload; the copy here is the C library's, not counted. */
COUNTED void gate_journal(struct work *work, const struct frame *frame, uint32_t count)
{
    void *payload = eng_journal_begin(work->journal, IPC_FACT_BATCH, sizeof *frame);
    LS_CHECK(payload != NULL);
    memcpy(payload, frame, frame_bytes(count));
    LS_CHECK(eng_journal_commit(work->journal, frame_bytes(count), count) != 0);
}

COUNTED void gate_encode(struct work *work, uint32_t count)
{
    const struct eng_request_block *block = &work->terms.requests[ADP_REQUEST_PLACE];
    for (uint32_t i = 0; i < count; i++) {
        struct ipc_command command;
        uint8_t body[ENG_SHAPE_BODY_BYTES];
        LS_CHECK(eng_core_command(work->core, work->children[i], &command) == IPC_OK);
        const struct eng_auth *auth = &work->auths[command.account - 2];
        struct eng_shape *shape = eng_shapes_of(&work->shapes, work->dialect, &command);
        LS_CHECK(shape != NULL);
        const int bytes = eng_shape_body(
            shape, &command, work->accounts[command.account - 1].login, body, sizeof body);
        LS_CHECK(bytes > 0);
        const struct eng_h2_part parts[] = {{block->bytes, block->count, block->list_bytes},
            {auth->bytes, auth->count, auth->list_bytes}};
        const struct eng_h2_request request = {.parts = parts,
            .part_count = 2,
            .body_bytes = (uint32_t)bytes,
            .body = body,
            .child = command.child,
            .request_no = command.request_no,
            .account = command.account,
            .reply_by_mono_ns = work->now_ns + LS_NS_PER_S,
            .leave_by_mono_ns = command.deadline_mono_ns};
        LS_CHECK(eng_h2_request(work->h2, &request, NULL) == ENG_H2_ADMITTED);
    }
}

/* ---- the world ------------------------------------------------------------------------------- */

static void make_rows(struct work *work)
{
    work->broker.live = 1;
    (void)snprintf(work->broker.name, sizeof work->broker.name, "broker");
    (void)snprintf(work->broker.host, sizeof work->broker.host, "a3.aliceblueonline.com");
    work->broker.port = 443;
    work->instrument = (struct ipc_row_instrument){.instrument = 1,
        .exchange = IPC_EXCHANGE_NSE,
        .kind = IPC_KIND_CASH,
        .lot_qty_e8 = LS_E8,
        .tick_e8 = LS_E8 / 20};
    (void)snprintf(work->instrument.token, sizeof work->instrument.token, "2885");
    (void)snprintf(work->instrument.symbol, sizeof work->instrument.symbol, "RELIANCE-EQ");
    for (uint32_t i = 0; i <= FOLLOWERS; i++) {
        work->accounts[i] = (struct ipc_row_account){.account = i + 1,
            .roles = i == 0 ? IPC_ROLE_MASTER : IPC_ROLE_FOLLOWER,
            .token_bytes = 64,
            .token_version = 1};
        (void)snprintf(work->accounts[i].login, sizeof work->accounts[i].login, "F%04u", i);
    }
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        work->followers[i] = (struct ipc_row_follower){.follower_no = i + 1,
            .incarnation = 1,
            .account = i + 2,
            .master = 1,
            .mode = IPC_MODE_FIXED_RATIO,
            .copy = IPC_COPY_ON_ORDER,
            .flags = IPC_FOLLOWER_ENABLED,
            .ratio_e8 = LS_E8 / 2 + (int64_t)i * LS_E8 / 100,
            .max_qty_e8 = INT64_C(1000000) * LS_E8,
            .max_order_value_e8 = INT64_C(1000000000) * LS_E8};
        work->slots[i] = i;
    }
    work->master = (struct ipc_row_master){.account = 1, .count = FOLLOWERS};
    work->view = (struct ipc_snapshot_view){.generation = 1,
        .cluster = &work->cluster,
        .brokers = &work->broker,
        .accounts = work->accounts,
        .instruments = &work->instrument,
        .followers = work->followers,
        .masters = &work->master,
        .master_slots = work->slots,
        .broker_count = 1,
        .account_count = FOLLOWERS + 1,
        .instrument_count = 1,
        .follower_slots = FOLLOWERS,
        .master_count = 1,
        .master_slot_count = FOLLOWERS};
}

static void make_core(struct work *work)
{
    const struct eng_core_limits limits = {.account_max = FOLLOWERS + 1,
        .follower_slot_max = FOLLOWERS,
        .order_max = 64,
        .child_max = 8192,
        .position_max = 2048,
        .master_position_max = 8,
        .wave_max = 8,
        .pace_logs = 2};
    const struct eng_core_config config = {0};
    const struct eng_broker_policy policy = {.orders_per_second = 9};
    struct ipc_fact_adopt fact;
    struct ipc_error error;
    work->core = eng_core_init(memory(eng_core_footprint(&limits)), &limits, &config);
    work->now_ns = 1000 * LS_NS_PER_S;
    LS_CHECK(eng_decide_adopt(work->core, &work->view, 1, &fact, &error) == IPC_OK);
    apply(work, IPC_FACT_ADOPT, &fact, sizeof fact, 1);
    eng_core_adopt(work->core, &work->view, &policy);
}

static void make_journal(struct work *work, const char *directory)
{
    struct eng_journal_config config = {.segment_bytes = 1u << 20, .segment_count = 3};
    const struct eng_journal_start start = {.segment_no = 1, .next_lsn = 1};
    struct ipc_error error;
    (void)snprintf(config.memory_directory, sizeof config.memory_directory, "%s", directory);
    (void)snprintf(config.disk_directory, sizeof config.disk_directory, "%s/disk", directory);
    (void)snprintf(config.cluster_id, sizeof config.cluster_id, "gate");
    memset(config.engine_uuid, 7, sizeof config.engine_uuid);
    if (eng_journal_open(&config, &work->journal, &error) != IPC_OK ||
        eng_journal_start(work->journal, &start, &error) != IPC_OK) {
        (void)fprintf(stderr, "gate_work: %s\n", error.text);
        exit(1);
    }
    eng_journal_clock(work->journal, work->now_ns, work->now_ns);
}

static void no_reply(const struct eng_h2_reply *reply, void *context)
{
    (void)reply;
    (void)context;
}

static void no_loss(const struct eng_h2_loss *loss, void *context)
{
    (void)loss;
    (void)context;
}

static void feed(struct work *work, const uint8_t *bytes, size_t count)
{
    static const struct eng_h2_sink sink = {no_reply, no_loss, NULL};
    LS_CHECK(eng_h2_receive(work->h2, bytes, count, work->now_ns, &sink));
}

/* Until requests are admitted: the peer's SETTINGS (1,000 streams), and its answer to our PING. */
static void make_h2(struct work *work)
{
    static const uint8_t settings[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0x03, 0xe8};
    const struct eng_h2_limits limits = {.plain_bytes = PLAIN_BYTES, .stream_slots = 1024};
    eng_h2_bodies_init(&work->bodies, memory(eng_h2_bodies_footprint(16)), 16);
    work->h2 = eng_h2_init(memory(eng_h2_footprint(&limits)), &limits, &work->bodies);
    LS_CHECK(work->h2 != NULL);
    eng_h2_output_taken(work->h2, eng_h2_output(work->h2).count);
    feed(work, settings, sizeof settings);
    const struct adp_span out = eng_h2_output(work->h2);
    for (size_t at = 0; at + 9 <= out.count;) {
        const size_t bytes = (size_t)out.bytes[at + 1] << 8 | out.bytes[at + 2];
        if (out.bytes[at + 3] == 6) {
            uint8_t ping[17];
            memcpy(ping, out.bytes + at, sizeof ping);
            ping[4] = 1;
            feed(work, ping, sizeof ping);
            break;
        }
        at += 9 + bytes;
    }
    eng_h2_output_taken(work->h2, eng_h2_output(work->h2).count);
    LS_CHECK(eng_h2_ready(work->h2));
}

static void make_blocks(struct work *work)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    struct ipc_error error;
    work->dialect = adp_dialect_find("alice-blue");
    LS_CHECK(work->dialect != NULL);
    LS_CHECK(eng_blocks_broker(&work->broker, work->dialect, &work->terms, &error) == IPC_OK);
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        char value[7 + 64 + 1] = "Bearer ";
        struct eng_hpack pack;
        for (uint32_t k = 0; k < 64; k++)
            value[7 + k] = letters[(i * 7 + k * 11) % 32];
        eng_hpack_begin(&pack, work->auth_bytes[i], sizeof work->auth_bytes[i]);
        LS_CHECK(eng_hpack_add(&pack, "authorization", value, 71, true) == IPC_OK);
        work->auths[i] = (struct eng_auth){
            .bytes = work->auth_bytes[i], .count = pack.count, .list_bytes = pack.list_bytes};
    }
}

/* ---- one order ------------------------------------------------------------------------------- */

static void new_order(struct work *work)
{
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_OPEN,
        .source = IPC_SOURCE_TERMINAL,
        .account = 1,
        .instrument = 1,
        .qty_e8 = 100 * LS_E8,
        .price_e8 = 1400 * LS_E8,
        .version = 1};
    struct eng_event_facts facts;
    work->now_ns += 10 * LS_NS_PER_S;
    event.received_mono_ns = work->now_ns;
    event.order_key.word[0] = ++work->orders;
    event.order_digits = work->orders * 7919;
    (void)snprintf(event.broker_order_id, sizeof event.broker_order_id, "M%llu",
        (unsigned long long)work->orders);
    eng_step_event(work->core, &event, 0, work->orders, work->now_ns, &facts);
    LS_CHECK(facts.count > 0);
    for (uint32_t i = 0; i < facts.count; i++)
        apply(work, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes, 1);
}

/* `plan` and `apply_batch` are the counted functions in the second order, and others with the same
 * contents in the first. */
static void run_wave(struct work *work, bool is_counted)
{
    struct eng_batch batch;
    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    struct frame frame;
    bool has_journaled = false;
    for (uint32_t i = 0; i < IPC_BATCH_CHILDREN_MAX; i++)
        samples[i] = (struct eng_follower_sample){.can_send = 1};
    const struct eng_batch_sample sample = {.generation = 1,
        .price_e8 = 1400 * LS_E8,
        .price_mono_ns = work->now_ns,
        .now_mono_ns = work->now_ns,
        .now_wall_ns = work->now_ns,
        .journal_takes_entries = 1};
    work->child_count = 0;
    while (eng_wave_next(work->core, &batch)) {
        const uint32_t *handles;
        memset(&frame, 0, sizeof frame);
        const uint32_t count = is_counted ? gate_plan(work, &batch, &sample, samples, &frame)
                                          : eng_decide_batch(work->core, &batch, &sample, samples,
                                                &frame.batch, frame.children);
        LS_CHECK(count > 0);
        if (is_counted)
            gate_apply(work, &frame, count);
        else
            apply(work, IPC_FACT_BATCH, &frame, frame_bytes(count), count);
        if (is_counted && count == BATCH && !has_journaled) {
            gate_journal(work, &frame, count);
            has_journaled = true;
        }
        const uint32_t applied = eng_core_applied(work->core, &handles);
        for (uint32_t i = 0; i < applied; i++) {
            LS_CHECK(handles[i] != ENG_NONE); /* every follower's order leaves */
            work->children[work->child_count++] = handles[i];
        }
    }
    LS_CHECK(work->child_count == FOLLOWERS);
    LS_CHECK(has_journaled == is_counted);
}

int main(int argc, char **argv)
{
    struct work *work = memory(sizeof *work);
    if (argc != 2) {
        (void)fprintf(stderr, "gate_work DIRECTORY: an empty one for the journal\n");
        return 2;
    }
    make_rows(work);
    make_core(work);
    make_journal(work, argv[1]);
    make_h2(work);
    make_blocks(work);
    new_order(work);
    run_wave(work, false);
    new_order(work);
    run_wave(work, true);
    eng_shapes_init(&work->shapes);
    gate_encode(work, BATCH);
    LS_CHECK(eng_h2_output(work->h2).count > BATCH * 200);
    eng_journal_close(work->journal);
    return 0;
}
