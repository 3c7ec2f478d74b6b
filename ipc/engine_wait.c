/* engine_wait.c: waiting until every live engine has answered. By polling: it is a person's or a
 * publisher's thread, and an engine that dies must be noticed too. */
#include "ipc/engine_page.h"

#include "ipc/clock.h"

#include <string.h>
#include <time.h>

#define POLL_NS LS_NS_PER_MS

struct question {
    bool is_switch;
    uint64_t number; /* a switch sequence or a generation */
};

static enum ipc_engine_answer answer_of(
    const struct question *question, const struct ipc_engine_status *status)
{
    if (question->is_switch)
        return status->switch_seen >= question->number ? IPC_ENGINE_DONE : IPC_ENGINE_PENDING;
    if (status->adopted_generation >= question->number)
        return IPC_ENGINE_DONE;
    if (status->refused_generation >= question->number)
        return IPC_ENGINE_REFUSED;
    return IPC_ENGINE_PENDING;
}

/* Looks once at every engine that has not answered; returns how many still have not. */
static uint32_t look_again(
    const struct ipc_shm *shm, const struct question *question, struct ipc_engine_wait *wait)
{
    uint32_t pending = 0;
    for (uint32_t i = 0; i < wait->engine_count; i++) {
        if (wait->answer[i] != IPC_ENGINE_PENDING)
            continue;
        struct ipc_engine_status now;
        enum ipc_rc rc = ipc_engine_look(shm, wait->status[i].shard, &now, NULL);
        /* Another pid or start: the engine that was asked died, and the new one starts from the
         * newest words anyway. */
        bool same = rc == IPC_OK && now.live && now.pid == wait->status[i].pid &&
                    now.start_wall_ns == wait->status[i].start_wall_ns;
        if (rc == IPC_OK)
            wait->status[i] = now;
        wait->answer[i] = same ? answer_of(question, &now) : IPC_ENGINE_DIED;
        if (wait->answer[i] == IPC_ENGINE_PENDING)
            pending++;
    }
    return pending;
}

static enum ipc_rc wait_for(const struct ipc_shm *shm, const struct question *question,
    int64_t timeout_ns, struct ipc_engine_wait *wait)
{
    int64_t end_mono_ns = ipc_clock_mono_ns() + timeout_ns;
    memset(wait, 0, sizeof(*wait));
    wait->engine_count = ipc_engine_list(shm, true, wait->status, IPC_ENGINE_SHARDS_MAX);
    while (look_again(shm, question, wait) > 0) {
        if (ipc_clock_mono_ns() >= end_mono_ns)
            return IPC_STALE;
        struct timespec pause = {.tv_nsec = POLL_NS};
        (void)nanosleep(&pause, NULL);
    }
    for (uint32_t i = 0; i < wait->engine_count; i++) {
        if (wait->answer[i] == IPC_ENGINE_REFUSED)
            return IPC_REFUSED;
    }
    return IPC_OK;
}

enum ipc_rc ipc_engine_wait_adopted(const struct ipc_shm *shm, uint64_t generation,
    int64_t timeout_ns, struct ipc_engine_wait *wait)
{
    struct question question = {.number = generation};
    return wait_for(shm, &question, timeout_ns, wait);
}

enum ipc_rc ipc_engine_wait_switch(
    const struct ipc_shm *shm, uint64_t sequence, int64_t timeout_ns, struct ipc_engine_wait *wait)
{
    struct question question = {.is_switch = true, .number = sequence};
    return wait_for(shm, &question, timeout_ns, wait);
}
