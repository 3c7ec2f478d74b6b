#include "engine/verify.h"

#include "adapters/broker/dialect.h"
#include "adapters/ingest/live.h"
#include "engine/adopt.h"
#include "engine/core/recover.h"
#include "engine/journal.h"
#include "engine/policy.h"
#include "engine/recovery.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define DIFFERENCES_SHOWN 20u
#define SNAPSHOT_TRIES    200
#define SNAPSHOT_NAP                                                                               \
    {                                                                                              \
        .tv_nsec = 5 * LS_NS_PER_MS                                                                \
    }

struct verifying {
    struct ipc_shm shm;
    struct adp_live *snapshot;
    const struct ipc_snapshot_view *view;
    struct eng_broker_policy policies[ENG_BROKERS_MAX];
    struct eng_core_limits limits;
    struct eng_core_config core_config;
    size_t block_bytes;
    /* Folds without a view, as recovery does; the other one is made of its bytes whenever a process
     * of the journal took the published generation, and decides as that process did. */
    struct eng_core *plain, *seeing;
    bool sees;                 /* the seeing one is of the generation in force */
    uint64_t life_generations; /* ADOPT facts since the newest OPEN */
    uint64_t lsn, facts, batches, same, differ, other_generation, unkept, queue_unsure;
};

static unsigned long long number(uint64_t value)
{
    return value;
}

/* --- one decision -------------------------------------------------------------------------------
 */

/* An amended copy of a follower with a policy is sized from figures that its fact does not keep,
 * and so is what a switch stopped. */
static bool reads_more(const struct verifying *verifying, const struct ipc_fact_batch *fact)
{
    const struct ipc_fact_child *children = ipc_fact_batch_children(fact);
    for (uint32_t i = 0; i < fact->child_count; i++) {
        if (children[i].follower_no == 0 || children[i].slot >= verifying->view->follower_slots)
            continue;
        const struct ipc_row_follower *row = &verifying->view->followers[children[i].slot];
        if (row->policy == 0 && row->mode <= IPC_MODE_FIXED_QUANTITY)
            continue;
        if (fact->transition != IPC_TRANSITION_NEW || fact->switch_word != IPC_SWITCH_RUN ||
            children[i].reason == IPC_REASON_KILL_SWITCH)
            return true;
    }
    return false;
}

static uint8_t without_queue(uint8_t kind)
{
    switch (kind) {
    case IPC_CHILD_PLACE_QUEUED:
        return IPC_CHILD_PLACE;
    case IPC_CHILD_MODIFY_QUEUED:
        return IPC_CHILD_MODIFY;
    case IPC_CHILD_CANCEL_QUEUED:
        return IPC_CHILD_CANCEL;
    default:
        return kind;
    }
}

/* The first element that differs; UINT32_MAX when only the fixed part or the wide ones do. */
static uint32_t difference_at(const struct ipc_fact_batch *fact, const struct ipc_fact_child *again,
    uint32_t again_count, bool *only_queue)
{
    const struct ipc_fact_child *children = ipc_fact_batch_children(fact);
    uint32_t first = UINT32_MAX;
    *only_queue = again_count == fact->child_count;
    for (uint32_t i = 0; i < fact->child_count && i < again_count; i++) {
        if (memcmp(&children[i], &again[i], sizeof again[i]) == 0)
            continue;
        if (first == UINT32_MAX)
            first = i;
        struct ipc_fact_child like = again[i];
        like.kind = children[i].kind;
        *only_queue &= without_queue(children[i].kind) == without_queue(again[i].kind) &&
                       memcmp(&children[i], &like, sizeof like) == 0;
    }
    return first;
}

static void difference_show(const struct verifying *verifying, const struct ipc_fact_batch *fact,
    const struct ipc_fact_batch_room *again, uint32_t count, uint32_t at)
{
    if (verifying->differ > DIFFERENCES_SHOWN)
        return;
    const struct ipc_fact_child *children = ipc_fact_batch_children(fact);
    printf("lsn %llu, wave %llu: ", number(verifying->lsn), number(fact->wave));
    if (count != fact->child_count)
        printf("%u decisions are stored, %u are made again\n", fact->child_count, count);
    else if (at == UINT32_MAX)
        printf("the terms or samples of the batch differ\n");
    else
        printf("follower %u: stored %s %s %" PRId64 ".%08" PRId64 ", again %s %s %" PRId64
               ".%08" PRId64 "\n",
            children[at].follower_no, ipc_child_kind_name((enum ipc_child_kind)children[at].kind),
            ipc_reason_name((enum ipc_reason)children[at].reason), children[at].qty_e8 / LS_E8,
            children[at].qty_e8 % LS_E8,
            ipc_child_kind_name((enum ipc_child_kind)again->children[at].kind),
            ipc_reason_name((enum ipc_reason)again->children[at].reason),
            again->children[at].qty_e8 / LS_E8, again->children[at].qty_e8 % LS_E8);
}

static void batch_again(struct verifying *verifying, const struct eng_frame *frame)
{
    const struct ipc_fact_batch *fact = frame->payload;
    struct eng_batch batch;
    struct eng_batch_sample sample;
    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    struct ipc_fact_batch_room again;
    verifying->batches++;
    if (!verifying->sees || fact->generation != verifying->view->generation) {
        verifying->other_generation++;
        return;
    }
    if (reads_more(verifying, fact) ||
        eng_recover_batch(verifying->seeing, fact, ipc_fact_batch_children(fact), frame->mono_ns,
            frame->wall_ns, &batch, &sample, samples) != IPC_OK) {
        verifying->unkept++;
        return;
    }
    uint32_t count =
        eng_decide_batch(verifying->seeing, &batch, &sample, samples, &again.batch, again.children);
    if (count == fact->child_count && frame->payload_bytes == ipc_fact_batch_bytes(&again.batch) &&
        memcmp(&again, fact, frame->payload_bytes) == 0) {
        verifying->same++;
        return;
    }
    bool only_queue;
    uint32_t at = difference_at(fact, again.children, count, &only_queue);
    /* Queues and budgets go on from one generation of a process to the next; here they are rebuilt
     * from the facts. */
    if (only_queue && at != UINT32_MAX && verifying->life_generations > 1) {
        verifying->queue_unsure++;
        return;
    }
    verifying->differ++;
    difference_show(verifying, fact, &again, count, at);
}

/* --- the fold -----------------------------------------------------------------------------------
 */

static void generation_look(struct verifying *verifying, const struct ipc_fact_adopt *fact)
{
    verifying->life_generations++;
    verifying->sees = fact->generation == verifying->view->generation;
    if (!verifying->sees)
        return;
    memcpy(verifying->seeing, verifying->plain, verifying->block_bytes);
    LS_CHECK(eng_core_settle_image(
                 verifying->seeing, &verifying->limits, &verifying->core_config) == IPC_OK);
    eng_core_adopt(verifying->seeing, verifying->view, verifying->policies);
}

static enum ipc_rc verify_apply(void *context, const struct eng_frame *frame, bool maybe)
{
    struct verifying *verifying = context;
    (void)maybe;
    verifying->lsn = frame->lsn;
    verifying->facts++;
    if (frame->type == IPC_FACT_OPEN) { /* a new process: its queues and budgets begin anew */
        verifying->sees = false;
        verifying->life_generations = 0;
    }
    if (frame->type == IPC_FACT_BATCH && frame->payload_bytes >= sizeof(struct ipc_fact_batch))
        batch_again(verifying, frame);
    enum ipc_rc rc = eng_apply(verifying->plain, frame);
    if (rc != IPC_OK)
        return rc;
    if (frame->type == IPC_FACT_ADOPT)
        generation_look(verifying, frame->payload);
    else if (verifying->sees)
        rc = eng_apply(verifying->seeing, frame);
    return rc;
}

static void verify_recovered(void *context, struct ipc_fact_open *out)
{
    (void)context;
    (void)out;
}

/* --- what it needs ------------------------------------------------------------------------------
 */

static enum ipc_rc snapshot_take(struct verifying *verifying, struct ipc_error *error)
{
    verifying->snapshot = adp_live_open(&verifying->shm);
    for (int i = 0; i < SNAPSHOT_TRIES && !adp_live_follow(verifying->snapshot); i++)
        (void)nanosleep(&(struct timespec)SNAPSHOT_NAP, NULL);
    verifying->view = adp_live_view(verifying->snapshot);
    if (verifying->view == NULL) {
        ipc_error_set(error, "there is no published snapshot, and a decision cannot be made again "
                             "without the rows that it read");
        return IPC_NOT_FOUND;
    }
    for (uint32_t i = 0; i < verifying->view->broker_count && i < ENG_BROKERS_MAX; i++) {
        const struct ipc_row_broker *row = &verifying->view->brokers[i];
        const struct adp_dialect *dialect = row->live ? adp_dialect_find(row->dialect) : NULL;
        if (dialect != NULL)
            eng_policy_fill(row, &dialect->capabilities, &verifying->policies[i]);
    }
    return IPC_OK;
}

static struct eng_core *core_map(struct verifying *verifying)
{
    void *memory = mmap(NULL, verifying->block_bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED
               ? NULL
               : eng_core_init_zeroed(memory, &verifying->limits, &verifying->core_config);
}

static enum ipc_rc journal_fold(
    struct verifying *verifying, const struct eng_config *config, struct ipc_error *error)
{
    struct eng_journal_config journal;
    struct eng_recovery_result result;
    enum ipc_rc rc = eng_journal_config_fill(&journal, config, verifying->shm.path, "", error);
    if (rc != IPC_OK)
        return rc;
    const struct ipc_journal_reader_options options = {
        .memory_directory = verifying->shm.path,
        .disk_directory = journal.disk_directory,
        .shard = config->shard,
    };
    const struct eng_recovery_fold fold = {
        .apply = verify_apply, .recovered = verify_recovered, .context = verifying};
    return eng_recovery_read(&options, &fold, &result, error);
}

static int report(const struct verifying *verifying)
{
    const struct eng_core_counters *counters = eng_core_counters(verifying->plain);
    uint64_t placed = 0;
    for (int i = 0; i < ENG_STATE_COUNT; i++)
        placed += counters->children_by_state[i];
    bool adds_up = counters->expected + counters->extra == counters->remaining + counters->skipped +
                                                               counters->vanished +
                                                               counters->placed + counters->acts &&
                   placed == counters->placed;
    printf("%llu facts, %llu batches: %llu decided again and equal, %llu DIFFER\n",
        number(verifying->facts), number(verifying->batches), number(verifying->same),
        number(verifying->differ));
    printf("not compared: %llu of another generation than the published %llu, %llu read figures "
           "that their facts do not keep, %llu depend on queues of an earlier generation\n",
        number(verifying->other_generation), number(verifying->view->generation),
        number(verifying->unkept), number(verifying->queue_unsure));
    printf(
        "expected %llu + extra %llu = remaining %llu + skipped %llu + vanished %llu + placed %llu "
        "+ acts %llu: %s\n",
        number(counters->expected), number(counters->extra), number(counters->remaining),
        number(counters->skipped), number(counters->vanished), number(counters->placed),
        number(counters->acts), adds_up ? "adds up" : "DOES NOT ADD UP");
    printf("state hash %016llx at lsn %llu\n", number(eng_core_hash(verifying->plain)),
        number(verifying->lsn));
    return verifying->differ == 0 && adds_up ? 0 : 1;
}

int eng_verify_journal(const struct eng_config *config)
{
    static struct verifying verifying;
    struct ipc_error error = {{0}};
    eng_config_core(config, &verifying.limits, &verifying.core_config);
    verifying.block_bytes = eng_core_footprint(&verifying.limits);
    int status = 1;
    enum ipc_rc rc = ipc_shm_open(&verifying.shm, NULL, config->instance, false, &error);
    if (rc == IPC_OK) {
        rc = snapshot_take(&verifying, &error);
        if (rc == IPC_OK) {
            verifying.plain = core_map(&verifying);
            verifying.seeing = core_map(&verifying);
            if (verifying.plain == NULL || verifying.seeing == NULL) {
                ipc_error_set(
                    &error, "no memory for two cores of %zu MiB", verifying.block_bytes >> 20);
                rc = IPC_SYSTEM;
            }
        }
        if (rc == IPC_OK)
            rc = journal_fold(&verifying, config, &error);
        if (rc == IPC_OK)
            status = report(&verifying);
        adp_live_close(verifying.snapshot);
        ipc_shm_close(&verifying.shm);
    }
    if (rc != IPC_OK)
        (void)fprintf(stderr, "lockstep-engine: %s\n", error.text);
    return status;
}
