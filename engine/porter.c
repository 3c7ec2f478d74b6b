#include "engine/porter.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/net/connect.h"
#include "engine/net/memory.h"
#include "engine/porter_books.h"
#include "engine/porter_private.h"
#include "ipc/clock.h"

#define SNAPSHOT_EVERY_NS (2 * LS_NS_PER_MS)
#define HALT_EVERY_NS     (20 * LS_NS_PER_MS)
#define FIND_EVERY_NS     (50 * LS_NS_PER_MS)
#define CHECK_EVERY_NS    (1 * LS_NS_PER_S)
#define STOP_WITHIN_NS    (20 * LS_NS_PER_S)

enum ipc_rc eng_porter_make(
    const struct eng_porter_wiring *wiring, struct eng_porter **out, struct ipc_error *error)
{
    const struct eng_config *config = wiring->config;
    struct eng_porter *porter = calloc(1, sizeof(*porter));
    *out = NULL;
    if (porter == NULL || (porter->rings = calloc(config->rings, sizeof(*porter->rings))) == NULL ||
        (porter->wants = calloc(config->connections, sizeof(*porter->wants))) == NULL ||
        (porter->lane_broker = calloc(eng_lanes_of(config), sizeof(*porter->lane_broker))) ==
            NULL) {
        ipc_error_set(error, "no memory for the porter's tables");
        eng_porter_free(porter);
        return IPC_SYSTEM;
    }
    porter->wiring = *wiring;
    porter->bell.region.fd = -1;
    struct eng_connector_config connector = {
        .connections = config->connections,
        .attempts = config->connections < 256 ? config->connections : 256,
    };
    enum ipc_rc rc = eng_connector_make(&connector, &porter->connector, error);
    if (rc == IPC_OK)
        rc = eng_resolver_make(&porter->resolver, error);
    if (rc == IPC_OK)
        rc = porter_books_make(porter, &porter->books, error);
    if (rc == IPC_OK)
        rc = ipc_wake_open_producer(wiring->shm, config->shard, &porter->bell, error);
    if (rc != IPC_OK) {
        eng_porter_free(porter);
        return rc;
    }
    porter->has_bell = true;
    *out = porter;
    return IPC_OK;
}

void eng_porter_free(struct eng_porter *porter)
{
    if (porter == NULL)
        return;
    for (uint32_t i = 0; i < porter->ring_count; i++) {
        if (porter->rings[i].consumer != NULL)
            ipc_ring_detach_consumer(porter->rings[i].consumer);
        free(porter->rings[i].consumer);
    }
    if (porter->connector != NULL) {
        /* Warm connections that the pinned thread did not pick up before it ended. */
        struct eng_to_turn left;
        while (ipc_queue_poll(&porter->wiring.link->to_turn, &left))
            if (left.kind == ENG_TO_TURN_ATTACH)
                eng_connector_recycle(porter->connector, left.connection);
            else if (left.kind == ENG_TO_TURN_BOOK)
                porter_books_back(porter->books, left.book);
        eng_connector_free(porter->connector);
    }
    porter_books_free(porter->books);
    eng_resolver_free(porter->resolver);
    for (uint32_t i = 0; i < ENG_BROKERS_MAX; i++)
        eng_tls_context_free(porter->brokers[i].context);
    for (uint32_t i = 0; i < porter->old_context_count; i++)
        eng_tls_context_free(porter->old_contexts[i]);
    for (uint32_t i = 0; i < ENG_BROKERS_MAX; i++) {
        if (porter->brokers[i].has_prices)
            ipc_prices_close(&porter->brokers[i].prices);
        if (porter->brokers[i].has_money)
            ipc_accounts_close(&porter->brokers[i].money);
        if (porter->brokers[i].has_old_prices)
            ipc_prices_close(&porter->brokers[i].old_prices);
        if (porter->brokers[i].has_old_money)
            ipc_accounts_close(&porter->brokers[i].old_money);
    }
    if (porter->has_old_switches)
        ipc_switches_close(&porter->old_switches);
    if (porter->has_switches)
        ipc_switches_close(&porter->switches);
    if (porter->has_bell)
        ipc_wake_close(&porter->bell);
    free(porter->rings);
    free(porter->wants);
    free(porter->lane_broker);
    free(porter);
}

bool porter_tell(struct eng_porter *porter, const struct eng_to_turn *message)
{
    if (!ipc_queue_offer(&porter->wiring.link->to_turn, message))
        return false;
    porter->must_ring = true;
    return true;
}

/* The snapshot: prepare what is new, publish what was refused. */
static void snapshot_poll(struct eng_porter *porter)
{
    const struct eng_generation *generation = NULL;
    uint64_t refused = 0;
    struct ipc_error error = {{0}};
    enum ipc_rc rc = eng_adopter_poll(porter->wiring.adopter, &generation, &refused, &error);
    if (rc == IPC_REFUSED) {
        ipc_log(IPC_LOG_ERROR, "snapshot generation %llu is refused: %s",
            (unsigned long long)refused, error.text);
        ipc_metric_add(porter->wiring.telemetry->generations_refused, 1);
        ipc_engine_set_refused(porter->wiring.page, refused, error.text);
    }
    if (rc != IPC_OK)
        return;
    struct eng_to_turn message = {.kind = ENG_TO_TURN_GENERATION, .generation = generation};
    /* The queue has room for every object that exists. */
    LS_CHECK(porter_tell(porter, &message));
}

static void halt_poll(struct eng_porter *porter)
{
    struct stat status;
    const char *path = porter->wiring.config->halt_file;
    /* Any answer but "not there" halts: a directory that cannot be searched hides the file. */
    bool exists = path[0] != '\0' ? stat(path, &status) == 0 || errno != ENOENT
                                  : fstatat(porter->wiring.shm->fd, "halt", &status, 0) == 0;
    if (exists == porter->halted)
        return;
    struct eng_to_turn message = {
        .kind = ENG_TO_TURN_HALT,
        .index = exists ? IPC_SWITCH_HALT : IPC_SWITCH_RUN,
    };
    if (!porter_tell(porter, &message))
        return;
    porter->halted = exists;
    ipc_metric_set(porter->wiring.telemetry->halt_file, exists);
    ipc_log(IPC_LOG_WARN, exists ? "the halt file is there: only cancels leave"
                                 : "the halt file is gone: orders leave again");
}

static void answer_take(struct eng_porter *porter, const struct eng_to_porter *answer)
{
    const struct eng_porter_wiring *wiring = &porter->wiring;
    switch (answer->kind) {
    case ENG_TO_PORTER_WANT:
        if (porter->want_count < wiring->config->connections)
            porter->wants[porter->want_count++] = answer->want;
        else
            porter_want_refuse(porter, &answer->want); /* asked again after its back-off */
        return;
    case ENG_TO_PORTER_RETIRED:
        eng_connector_recycle(porter->connector, answer->connection);
        porter->handed--;
        return;
    case ENG_TO_PORTER_TAKEN:
        eng_adopter_taken(wiring->adopter, answer->generation);
        porter->generation = answer->generation;
        ipc_metric_add(wiring->telemetry->generations_adopted, 1);
        ipc_metric_add(wiring->telemetry->tokens_unopened, answer->generation->tokens_unopened);
        ipc_metric_set(wiring->telemetry->connections_wanted, answer->generation->connections);
        porter_brokers_changed(porter);
        porter_books_generation(porter->books);
        porter->find_mono_ns = 0; /* its brokers' pages, now */
        return;
    case ENG_TO_PORTER_REFUSED:
        ipc_log(IPC_LOG_ERROR, "snapshot generation %llu is refused: %s",
            (unsigned long long)answer->generation->view.generation, answer->text);
        ipc_metric_add(wiring->telemetry->generations_refused, 1);
        ipc_engine_set_refused(wiring->page, answer->generation->view.generation, answer->text);
        eng_adopter_refused(wiring->adopter, answer->generation);
        return;
    case ENG_TO_PORTER_RING:
        porter_ring_given_back(porter, answer->index);
        return;
    case ENG_TO_PORTER_ASK:
        porter_books_ask(porter->books, &answer->ask);
        return;
    case ENG_TO_PORTER_BOOK:
        porter_books_back(porter->books, answer->book);
        return;
    case ENG_TO_PORTER_STOPPED:
        porter->stopped = true;
        return;
    }
}

static void notes_print(struct eng_porter *porter)
{
    struct eng_note note;
    for (uint32_t i = 0; i < 256 && ipc_queue_poll(&porter->wiring.link->notes, &note); i++)
        eng_note_print(&note);
}

static void signal_take(struct eng_porter *porter, int64_t now_mono_ns)
{
    struct signalfd_siginfo info;
    if (read(porter->wiring.signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (porter->stop_by_mono_ns != 0) {
        porter->stop_by_mono_ns = now_mono_ns;
        return;
    }
    ipc_log(IPC_LOG_INFO, "signal %u: finishing waves and replies", info.ssi_signo);
    struct eng_to_turn message = {.kind = ENG_TO_TURN_STOP};
    LS_CHECK(porter_tell(porter, &message));
    porter->stop_by_mono_ns = now_mono_ns + STOP_WITHIN_NS;
}

static bool due(int64_t *next_mono_ns, int64_t every_ns, int64_t now_mono_ns)
{
    if (now_mono_ns < *next_mono_ns)
        return false;
    *next_mono_ns = now_mono_ns + every_ns;
    return true;
}

/* One round; returns true when something happened that makes another round likely. */
static bool porter_round(struct eng_porter *porter, int64_t now_mono_ns)
{
    struct eng_to_porter answer;
    bool busy = false;
    while (ipc_queue_room(&porter->wiring.link->to_turn) > 64 &&
           ipc_queue_poll(&porter->wiring.link->to_porter, &answer)) {
        answer_take(porter, &answer);
        busy = true;
    }
    if (due(&porter->snapshot_mono_ns, SNAPSHOT_EVERY_NS, now_mono_ns))
        snapshot_poll(porter);
    if (due(&porter->halt_mono_ns, HALT_EVERY_NS, now_mono_ns))
        halt_poll(porter);
    if (due(&porter->find_mono_ns, FIND_EVERY_NS, now_mono_ns)) {
        porter_rings_find(porter);
        porter_pages_find(porter);
    }
    if (due(&porter->check_mono_ns, CHECK_EVERY_NS, now_mono_ns)) {
        porter_rings_check(porter);
        porter_pages_check(porter);
        (void)eng_memory_drain();
        porter_contexts_sweep(porter);
        ipc_metric_set(porter->wiring.telemetry->connections_handed, porter->handed);
    }
    if (porter_connects_run(porter, now_mono_ns) + porter_books_run(porter->books, now_mono_ns) > 0)
        busy = true;
    notes_print(porter);
    if (porter->must_ring) {
        porter->must_ring = false;
        ipc_wake_notify(&porter->bell);
    }
    return busy;
}

/* The porter runs where it was told to, else anywhere but on the pinned thread's processor. */
static void cpu_set(const struct eng_config *config)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
        return;
    if (config->porter_cpu >= 0) {
        CPU_ZERO(&cpus);
        CPU_SET((size_t)config->porter_cpu, &cpus);
    } else if (config->pinned_cpu >= 0 && CPU_COUNT(&cpus) > 1) {
        CPU_CLR((size_t)config->pinned_cpu, &cpus);
    }
    if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
        ipc_log(IPC_LOG_WARN, "cpu.porter: this process may not run on processor %d",
            config->porter_cpu);
}

int eng_porter_run(struct eng_porter *porter)
{
    cpu_set(porter->wiring.config);
    while (!porter->stopped) {
        int64_t now_mono_ns = ipc_clock_mono_ns();
        bool busy = porter_round(porter, now_mono_ns);
        if (porter->stop_by_mono_ns != 0 && now_mono_ns >= porter->stop_by_mono_ns) {
            ipc_log(IPC_LOG_ERROR, "the pinned thread did not stop in time: what is in flight "
                                   "will be UNKNOWN at the next start");
            return 1;
        }
        struct pollfd watched[] = {
            {.fd = porter->wiring.signal_fd, .events = POLLIN},
            {.fd = eng_connect_fd(porter->connector), .events = POLLIN},
        };
        if (poll(watched, LS_COUNT_OF(watched), busy ? 0 : 1) > 0 &&
            (watched[0].revents & POLLIN) != 0)
            signal_take(porter, now_mono_ns);
    }
    /* What was said on the way out. */
    struct eng_to_porter answer;
    while (ipc_queue_poll(&porter->wiring.link->to_porter, &answer))
        answer_take(porter, &answer);
    for (uint32_t i = 0; i < 64; i++)
        notes_print(porter);
    return 0;
}
