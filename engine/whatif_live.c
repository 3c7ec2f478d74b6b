/* One order of a master against the live instance: see whatif_live.h. */
#include "engine/whatif_live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "adapters/ingest/ndjson.h"
#include "engine/config.h"
#include "engine/core/limits.h"
#include "engine/pages.h"
#include "engine/policy.h"
#include "engine/recovery.h"
#include "ipc/clock.h"
#include "ipc/engine_page.h"
#include "ipc/log.h"
#include "ipc/reason.h"
#include "ipc/tag.h"

#define SNAPSHOT_TRIES 100
#define SNAPSHOT_NAP                                                                               \
    {                                                                                              \
        .tv_nsec = 2 * LS_NS_PER_MS                                                                \
    }
#define ROUNDS_MAX 1000000u /* batches: more than any core can make */

/* What all shards share. */
struct live {
    const struct whatif_live_options *options;
    struct eng_config config;
    struct ipc_shm shm;
    struct adp_live *snapshot;
    const struct ipc_snapshot_view *view;
    struct eng_pages pages;
    struct eng_broker_policy policies[IPC_SWITCHES_BROKERS];
    struct whatif_live_question question;
    int64_t now_mono_ns, now_wall_ns;
};

/* One shard's core, in private memory. */
struct shard {
    struct live *live;
    uint32_t number;
    void *memory;
    size_t memory_bytes;
    struct eng_core *core;
    uint64_t lsn; /* of the newest fact, private ones included */
    bool engine_lives, takes_entries;
    struct whatif_live_answer answer;
    struct ipc_fact_batch_room batch;
};

static int fault(const struct ipc_error *error)
{
    (void)fprintf(stderr, "lockstep-whatif: %s\n", error->text);
    return 2;
}

/* --- the instance -------------------------------------------------------------------------------
 */

static enum ipc_rc config_make(struct live *live, struct ipc_error *error)
{
    const struct whatif_live_options *options = live->options;
    eng_config_defaults(&live->config);
    enum ipc_rc rc = IPC_OK;
    if (options->config != NULL)
        rc = eng_config_load(&live->config, options->config, error);
    if (rc != IPC_OK)
        return rc;
    if (options->instance != NULL) {
        if (strlen(options->instance) >= sizeof live->config.instance) {
            ipc_error_set(
                error, "--instance: at most %zu characters", sizeof live->config.instance - 1);
            return IPC_BAD_INPUT;
        }
        (void)snprintf(
            live->config.instance, sizeof live->config.instance, "%s", options->instance);
    }
    long cores = sysconf(_SC_NPROCESSORS_CONF);
    return eng_config_finish(&live->config, cores > 0 ? (uint32_t)cores : 1, error);
}

static enum ipc_rc snapshot_read(struct live *live, struct ipc_error *error)
{
    live->snapshot = adp_live_open(&live->shm);
    /* A copy may meet a publisher at work. */
    for (int i = 0; i < SNAPSHOT_TRIES && !adp_live_follow(live->snapshot); i++) {
        struct stat status;
        if (fstatat(live->shm.fd, IPC_SNAPSHOT_FILE, &status, 0) != 0)
            break;
        (void)nanosleep(&(struct timespec)SNAPSHOT_NAP, NULL);
    }
    live->view = adp_live_view(live->snapshot);
    if (live->view != NULL)
        return IPC_OK;
    ipc_error_set(error,
        "instance '%s' has no snapshot that can be used: publish one with 'lockstepctl snapshot "
        "publish FILE'",
        live->config.instance);
    return IPC_NOT_FOUND;
}

/* Without the engine's file: room for what is published. */
static void limits_widen(struct live *live)
{
    struct eng_config *config = &live->config;
    const struct ipc_snapshot_view *view = live->view;
    if (live->options->config != NULL)
        return;
    if (config->accounts < view->account_count)
        config->accounts = view->account_count;
    if (config->follower_slots < view->follower_slots)
        config->follower_slots = view->follower_slots;
}

static void pages_open(struct live *live)
{
    struct eng_pages *pages = &live->pages;
    struct stat status;
    const char *halt = live->config.halt_file;
    pages->has_switches = ipc_switches_open_reader(&live->shm, &pages->switches, NULL) == IPC_OK;
    if (!pages->has_switches)
        (void)fprintf(stderr,
            "lockstep-whatif: there is no page of switches, which halts everything: 'lockstepctl "
            "switch global run', or an engine's first start, makes one\n");
    if (pages->has_switches)
        pages->switch_sequence = ipc_switch_sequence(&pages->switches);
    /* As the porter looks: any answer but "not there" halts. */
    bool halted = halt[0] != '\0' ? stat(halt, &status) == 0 || errno != ENOENT
                                  : fstatat(live->shm.fd, "halt", &status, 0) == 0;
    pages->halt_word = halted ? IPC_SWITCH_HALT : IPC_SWITCH_RUN;
    for (uint32_t i = 0; i < live->view->broker_count && i < IPC_SWITCHES_BROKERS; i++) {
        if (!live->view->brokers[i].live)
            continue;
        /* A page that is not there is unknown prices, unknown money. */
        (void)!ipc_prices_open_reader(&live->shm, i, &pages->prices[i], NULL);
        (void)!ipc_accounts_open_reader(&live->shm, i, &pages->money[i], NULL);
    }
}

static void pages_close(struct live *live)
{
    struct eng_pages *pages = &live->pages;
    if (pages->has_switches)
        ipc_switches_close(&pages->switches);
    for (uint32_t i = 0; i < IPC_SWITCHES_BROKERS; i++) {
        if (pages->prices[i].cells != NULL)
            ipc_prices_close(&pages->prices[i]);
        if (pages->money[i].cells != NULL)
            ipc_accounts_close(&pages->money[i]);
    }
}

static enum ipc_rc policies_make(struct live *live, struct ipc_error *error)
{
    for (uint32_t i = 0; i < live->view->broker_count && i < IPC_SWITCHES_BROKERS; i++) {
        const struct ipc_row_broker *row = &live->view->brokers[i];
        if (!row->live)
            continue;
        const struct adp_dialect *dialect = adp_dialect_find(row->dialect);
        if (dialect == NULL) {
            ipc_error_set(
                error, "broker '%s': this build has no dialect '%.15s'", row->name, row->dialect);
            return IPC_REFUSED;
        }
        eng_policy_fill(row, &dialect->capabilities, &live->policies[i]);
    }
    return IPC_OK;
}

/* --- the core -----------------------------------------------------------------------------------
 */

static enum ipc_rc apply(struct shard *shard, enum ipc_fact_type type, uint32_t count,
    const void *payload, uint32_t bytes)
{
    const struct eng_frame frame = {.type = type,
        .count = count,
        .payload = payload,
        .payload_bytes = bytes,
        .lsn = ++shard->lsn,
        .mono_ns = shard->live->now_mono_ns,
        .wall_ns = shard->live->now_wall_ns};
    return eng_apply(shard->core, &frame);
}

static enum ipc_rc fold_apply(void *context, const struct eng_frame *frame, bool maybe)
{
    struct shard *shard = context;
    (void)maybe; /* what may have been sent is in flight, as any */
    shard->lsn = frame->lsn;
    return eng_apply(shard->core, frame);
}

static enum ipc_rc core_make(struct shard *shard, struct ipc_error *error)
{
    struct eng_core_limits limits;
    struct eng_core_config config;
    struct eng_config *engine = &shard->live->config;
    engine->shard = shard->number;
    eng_config_core(engine, &limits, &config);
    shard->memory_bytes = eng_core_footprint(&limits);
    void *memory = mmap(NULL, shard->memory_bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        ipc_error_set(error, "no memory for a core of %zu MiB", shard->memory_bytes >> 20);
        return IPC_SYSTEM;
    }
    shard->memory = memory;
    shard->core = eng_core_init(memory, &limits, &config);
    return IPC_OK;
}

/* Whether a live engine's journal lets entries go: what its owner file says of the disk. */
static bool journal_is_well(const struct ipc_journal_reader_options *options)
{
    struct ipc_journal_reader *reader;
    uint64_t durable_lsn;
    enum ipc_journal_state state = IPC_JOURNAL_STATE_OK;
    if (ipc_journal_reader_open(options, &reader, NULL) != IPC_OK)
        return true;
    bool known = ipc_journal_reader_owner(reader, &durable_lsn, &state);
    ipc_journal_reader_close(reader);
    return !known || state == IPC_JOURNAL_STATE_OK || state == IPC_JOURNAL_STATE_OPENING ||
           state == IPC_JOURNAL_STATE_CLOSED;
}

/* The facts of the day. Where no engine runs, what the next one would make of them at its start. */
static enum ipc_rc journal_read(struct shard *shard, struct ipc_error *error)
{
    struct live *live = shard->live;
    struct eng_journal_config config;
    struct eng_recovery_result result;
    struct eng_recovery_fold fold = {.apply = fold_apply, .context = shard};
    enum ipc_rc rc = eng_journal_config_fill(&config, &live->config, live->shm.path, "", error);
    if (rc != IPC_OK)
        return rc;
    const struct ipc_journal_reader_options options = {.memory_directory = live->shm.path,
        .disk_directory = live->options->config != NULL ? config.disk_directory : NULL,
        .shard = shard->number,
        .take_complete = !shard->engine_lives};
    rc = eng_recovery_read(&options, &fold, &result, error);
    if (rc == IPC_NOT_FOUND) {
        (void)fprintf(stderr,
            "lockstep-whatif: shard %u has no journal: no position and no order is known\n",
            shard->number);
        return IPC_OK;
    }
    if (rc == IPC_BAD_INPUT && live->options->config == NULL) {
        struct ipc_error inner = *error;
        ipc_error_set(
            error, "%.150s (or name the engine's --config: its limits may be larger)", inner.text);
    }
    if (rc != IPC_OK)
        return rc;
    shard->takes_entries = !shard->engine_lives || journal_is_well(&options);
    if (shard->engine_lives || result.is_new)
        return IPC_OK;
    struct ipc_fact_open open = {
        .previous_lsn = shard->lsn, .shard = shard->number, .same_boot = result.same_boot};
    eng_core_recovered(shard->core, &open);
    LS_CHECK(apply(shard, IPC_FACT_OPEN, 1, &open, sizeof open) == IPC_OK);
    return IPC_OK;
}

static void engine_look(struct shard *shard)
{
    struct ipc_engine_status status;
    uint64_t generation = shard->live->view->generation;
    enum ipc_rc rc = ipc_engine_look(&shard->live->shm, shard->number, &status, NULL);
    shard->engine_lives = rc == IPC_OK && status.live;
    if (!shard->engine_lives)
        (void)fprintf(stderr,
            "lockstep-whatif: no engine of shard %u runs: this is what one would do that starts "
            "now\n",
            shard->number);
    else if (status.adopted_generation != generation)
        (void)fprintf(stderr,
            "lockstep-whatif: the engine of shard %u runs generation %llu, and this is what it "
            "would do with the published %llu\n",
            shard->number, (unsigned long long)status.adopted_generation,
            (unsigned long long)generation);
}

static enum ipc_rc adopt(struct shard *shard, struct ipc_error *error)
{
    struct live *live = shard->live;
    struct ipc_fact_adopt fact;
    struct eng_market_times times;
    struct ipc_fact_limit due;
    enum ipc_rc rc = eng_decide_adopt(shard->core, live->view, 0, &fact, error);
    if (rc != IPC_OK)
        return rc;
    LS_CHECK(apply(shard, IPC_FACT_ADOPT, 1, &fact, sizeof fact) == IPC_OK);
    eng_core_adopt(shard->core, live->view, live->policies);
    eng_market_times_at(live->view, live->now_wall_ns, &times);
    while (eng_limits_clock(shard->core, &times, &due))
        LS_CHECK(apply(shard, IPC_FACT_LIMIT, 1, &due, sizeof due) == IPC_OK);
    return IPC_OK;
}

/* --- deciding -----------------------------------------------------------------------------------
 */

static uint32_t decide(struct shard *shard, const struct eng_batch *batch)
{
    const struct live *live = shard->live;
    const struct ipc_snapshot_view *view = live->view;
    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    struct eng_batch_sample sample = {.generation = view->generation,
        .now_mono_ns = live->now_mono_ns,
        .now_wall_ns = live->now_wall_ns,
        .journal_takes_entries = shard->takes_entries};
    const struct ipc_row_follower *row =
        batch->slot_count != 0 ? eng_pages_row(view, batch->slots[0]) : NULL;
    eng_pages_batch(&live->pages, view, row != NULL ? row->broker : 0, batch->master,
        batch->instrument, &sample);
    for (uint32_t i = 0; i < batch->slot_count; i++) {
        row = eng_pages_row(view, batch->slots[i]);
        if (row == NULL)
            samples[i] = (struct eng_follower_sample){.switch_word = IPC_SWITCH_HALT};
        else
            eng_pages_follower(&live->pages, row, batch->slots[i], true, &samples[i]);
        if (row == NULL || !eng_pages_is_mapped(batch, row))
            continue;
        uint32_t instrument = eng_batch_instrument(shard->core, batch, i);
        if (instrument != batch->instrument)
            eng_pages_mapped(&live->pages, row, instrument, &samples[i]);
    }
    struct ipc_fact_batch_room *room = &shard->batch;
    uint32_t count =
        eng_decide_batch(shard->core, batch, &sample, samples, &room->batch, room->children);
    if (count != 0)
        LS_CHECK(apply(shard, IPC_FACT_BATCH, count, room, ipc_fact_batch_bytes(&room->batch)) ==
                 IPC_OK);
    return count;
}

/* Everything that can be decided without an answer of a broker. */
static void run(struct shard *shard, struct whatif_live_answer *answer)
{
    struct eng_batch batch;
    bool settled =
        false; /* nothing that can be settled is left: what needs no frame stays listed */
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        bool settles = !settled && eng_settle_next(shard->core, &batch);
        if (!settles && !eng_wave_next(shard->core, &batch))
            return;
        uint32_t count = decide(shard, &batch);
        settled = settles && count == 0;
        if (answer != NULL && count != 0)
            whatif_live_take(answer, &shard->batch.batch);
    }
}

/* The order as its adapter would tell it now. */
static void event_complete(const struct live *live, struct ipc_event *event)
{
    struct ipc_price price;
    uint32_t broker = live->view->accounts[event->account - 1].broker;
    if (live->question.fills_at_once &&
        ipc_prices_get(&live->pages.prices[broker], event->instrument, &price) == IPC_OK) {
        event->status = IPC_STATUS_FILLED;
        event->filled_qty_e8 = event->qty_e8;
        event->average_price_e8 = price.price_e8;
    }
    if (event->version == 0)
        event->version = live->now_wall_ns;
    event->received_mono_ns = event->published_mono_ns = live->now_mono_ns;
    if (event->broker_wall_ns > 0 && live->now_wall_ns > event->broker_wall_ns)
        event->feed_lag_ns = live->now_wall_ns - event->broker_wall_ns;
    ipc_order_key(live->view->cluster->cluster_id, event->account, event->broker_order_id,
        &event->order_key, &event->order_digits);
    event->event_key = ipc_event_key(event);
}

static void answer_start(struct shard *shard)
{
    struct whatif_live_answer *answer = &shard->answer;
    size_t slots = (size_t)shard->live->view->follower_slots + 1;
    answer->view = shard->live->view;
    answer->first = calloc(slots, sizeof *answer->first);
    answer->last = calloc(slots, sizeof *answer->last);
    answer->slots = calloc(slots, sizeof *answer->slots);
    LS_CHECK(answer->first != NULL && answer->last != NULL && answer->slots != NULL);
}

static void answer_free(struct whatif_live_answer *answer)
{
    for (uint32_t i = 0; i < answer->part_count; i++)
        free(answer->parts[i].explain);
    free(answer->parts);
    free(answer->first);
    free(answer->last);
    free(answer->slots);
}

static int nothing(uint32_t shard, const char *why)
{
    (void)fprintf(stderr, "lockstep-whatif: shard %u would decide nothing: %s\n", shard, why);
    return 1;
}

/* The event into the core; the wave that it starts. */
static int ask(struct shard *shard)
{
    struct ipc_event event = shard->live->question.event;
    struct ipc_error error;
    struct eng_event_facts facts;
    event_complete(shard->live, &event);
    if (ipc_event_check(&event, &error) != IPC_OK)
        return fault(&error);
    eng_step_event(shard->core, &event, 0, 0, shard->live->now_mono_ns, &facts);
    if (facts.count == 0)
        return nothing(shard->number, ipc_reason_sentence(facts.why));
    const struct ipc_fact_event *fact = NULL;
    for (uint32_t i = 0; i < facts.count; i++) {
        LS_CHECK(apply(shard, facts.fact[i].type, 1, &facts.fact[i].event, facts.fact[i].bytes) ==
                 IPC_OK);
        if (facts.fact[i].type == IPC_FACT_EVENT)
            fact = &facts.fact[i].event;
        else if (facts.fact[i].type == IPC_FACT_ALARM)
            return nothing(shard->number, facts.fact[i].alarm.text);
    }
    if (fact == NULL)
        return nothing(shard->number, "it is an order of a follower's own");
    shard->answer.event = *fact;
    if (fact->wave == 0)
        return nothing(shard->number, "no follower of this account is asked about such a change");
    run(shard, &shard->answer);
    whatif_live_print(
        &shard->answer, shard->live->options->json || isatty(STDOUT_FILENO) == 0, stdout);
    if (shard->answer.slot_count < fact->follower_count)
        (void)fprintf(stderr, "lockstep-whatif: shard %u: %u of %u followers were not reached\n",
            shard->number, fact->follower_count - shard->answer.slot_count, fact->follower_count);
    return 0;
}

static int shard_answer(struct live *live, uint32_t number)
{
    struct ipc_error error = {{0}};
    struct shard *shard = calloc(1, sizeof *shard);
    LS_CHECK(shard != NULL);
    shard->live = live;
    shard->number = number;
    shard->takes_entries = true;
    engine_look(shard);
    answer_start(shard);
    enum ipc_rc rc = core_make(shard, &error);
    if (rc == IPC_OK)
        rc = journal_read(shard, &error);
    if (rc == IPC_OK)
        rc = adopt(shard, &error);
    int code;
    if (rc != IPC_OK) {
        code = fault(&error);
    } else {
        run(shard, NULL); /* what is under way goes before, as in the engine */
        code = ask(shard);
    }
    answer_free(&shard->answer);
    if (shard->memory != NULL)
        (void)munmap(shard->memory, shard->memory_bytes);
    free(shard);
    return code;
}

/* Followers of one master may live in several shards: each has its own journal. */
static int shards_answer(struct live *live)
{
    uint32_t count = live->view->cluster->shard_count;
    int wanted = live->options->shard, best = 1;
    if (wanted >= (int)count) {
        struct ipc_error error;
        ipc_error_set(&error, "--shard %d: the snapshot serves %u shards", wanted, count);
        return fault(&error);
    }
    for (uint32_t i = wanted >= 0 ? (uint32_t)wanted : 0;
         i < (wanted >= 0 ? (uint32_t)wanted + 1 : count); i++) {
        int code = shard_answer(live, i);
        if (code == 2)
            return 2;
        best = code < best ? code : best;
    }
    return best;
}

/* --- the question -------------------------------------------------------------------------------
 */

static enum ipc_rc question_read(struct live *live, struct ipc_error *error)
{
    static char text[ADP_NDJSON_LINE_BYTES_MAX + 1];
    const char *path = live->options->file;
    bool is_input = path == NULL || strcmp(path, "-") == 0;
    FILE *in = is_input ? stdin : fopen(path, "re");
    if (in == NULL) {
        ipc_error_set(error, "%s cannot be opened: %s", path, strerror(errno));
        return IPC_SYSTEM;
    }
    size_t bytes = fread(text, 1, sizeof text, in);
    bool failed = ferror(in) != 0;
    if (!is_input)
        (void)fclose(in);
    if (failed || bytes == sizeof text) {
        ipc_error_set(error,
            failed ? "the order cannot be read" : "the order is longer than %u bytes",
            ADP_NDJSON_LINE_BYTES_MAX);
        return IPC_BAD_INPUT;
    }
    struct adp_span span = {.bytes = (const uint8_t *)text, .count = bytes};
    return whatif_live_read(live->snapshot, span, &live->question, error);
}

int whatif_live(const struct whatif_live_options *options)
{
    struct ipc_error error = {{0}};
    struct live *live = calloc(1, sizeof *live);
    LS_CHECK(live != NULL);
    live->options = options;
    ipc_log_init("whatif", IPC_LOG_WARN);
    int code = 2;
    enum ipc_rc rc = config_make(live, &error);
    bool is_open = false;
    if (rc == IPC_OK) {
        rc = ipc_shm_open(&live->shm, NULL, live->config.instance, false, &error);
        is_open = rc == IPC_OK;
    }
    if (rc == IPC_OK)
        rc = snapshot_read(live, &error);
    if (rc == IPC_OK)
        rc = question_read(live, &error);
    if (rc == IPC_OK)
        rc = policies_make(live, &error);
    if (rc == IPC_OK) {
        limits_widen(live);
        pages_open(live);
        live->now_mono_ns = ipc_clock_mono_ns();
        live->now_wall_ns = ipc_clock_wall_ns();
        code = shards_answer(live);
        pages_close(live);
    } else {
        (void)fault(&error);
    }
    adp_live_close(live->snapshot);
    if (is_open)
        ipc_shm_close(&live->shm);
    free(live);
    if (code != 2 && (fflush(stdout) != 0 || ferror(stdout))) {
        (void)fprintf(stderr, "lockstep-whatif: the output cannot be written\n");
        return 2;
    }
    return code;
}
