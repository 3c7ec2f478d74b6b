#include "engine/telemetry.h"

#include <stdio.h>

#define PREFIX "lockstep_engine_"

enum ipc_rc eng_telemetry_open(struct eng_telemetry *telemetry, const struct ipc_shm *shm,
    uint32_t shard, struct ipc_error *error)
{
    char text[IPC_METRIC_LABEL_BYTES];
    struct ipc_metrics *page = NULL;
    (void)snprintf(text, sizeof(text), "engine.%u", shard);
    enum ipc_rc rc = ipc_metrics_create(shm, text, &page, error);
    if (rc != IPC_OK)
        return rc;
    telemetry->page = page;
#define X(name, help)                                                                              \
    telemetry->name = ipc_metrics_add(page, IPC_METRIC_COUNTER, PREFIX #name "_total", help, "");
    ENG_PINNED_COUNTERS(X)
    ENG_PORTER_COUNTERS(X)
#undef X
#define X(name, help)                                                                              \
    telemetry->name = ipc_metrics_add(page, IPC_METRIC_GAUGE, PREFIX #name, help, "");
    ENG_PINNED_GAUGES(X)
    ENG_PORTER_GAUGES(X)
#undef X
#define X(name, help)                                                                              \
    telemetry->name = ipc_metrics_add_hist(page, PREFIX #name "_seconds", help, "");
    ENG_PINNED_HISTS(X)
#undef X
    telemetry->events = ipc_metrics_add(
        page, IPC_METRIC_COUNTER, PREFIX "events_total", "order states that changed something", "");
    telemetry->updates = ipc_metrics_add(page, IPC_METRIC_COUNTER, PREFIX "updates_total",
        "states of followers' orders that changed something", "");
    telemetry->waves = ipc_metrics_add(
        page, IPC_METRIC_COUNTER, PREFIX "waves_total", "events copied to followers", "");
    for (uint32_t i = 1; i < IPC_REASON_COUNT; i++) {
        (void)snprintf(text, sizeof(text), "reason=\"%s\"", ipc_reason_name((enum ipc_reason)i));
        telemetry->skips[i] = ipc_metrics_add(
            page, IPC_METRIC_COUNTER, PREFIX "skips_total", "followers skipped, by reason", text);
    }
    for (uint32_t i = IPC_OUTCOME_ACKED; i <= IPC_OUTCOME_UNKNOWN; i++) {
        (void)snprintf(text, sizeof(text), "outcome=\"%s\"",
            ipc_outcome_class_name((enum ipc_outcome_class)i));
        telemetry->outcomes[i] = ipc_metrics_add(page, IPC_METRIC_COUNTER, PREFIX "outcomes_total",
            "outcomes of requests, by class", text);
    }
    for (uint32_t i = 1; i < ENG_STATE_COUNT; i++) {
        (void)snprintf(text, sizeof(text), "state=\"%s\"", eng_state_name((enum eng_state)i));
        telemetry->states[i] = ipc_metrics_add(
            page, IPC_METRIC_GAUGE, PREFIX "orders", "orders at followers, by state", text);
    }
    return IPC_OK;
}

void eng_telemetry_close(struct eng_telemetry *telemetry)
{
    ipc_metrics_close(telemetry->page);
    telemetry->page = NULL;
}

static void set(struct ipc_metric *metric, uint64_t value)
{
    ipc_metric_set(metric, (int64_t)value);
}

void eng_telemetry_core(
    struct eng_telemetry *telemetry, const struct eng_core *core, const struct eng_journal *journal)
{
    const struct eng_core_counters *counters = eng_core_counters(core);
    set(telemetry->events, counters->events);
    set(telemetry->updates, counters->updates);
    set(telemetry->waves, counters->waves);
    set(telemetry->expected, counters->expected);
    set(telemetry->remaining, counters->remaining);
    set(telemetry->skipped, counters->skipped);
    set(telemetry->vanished, counters->vanished);
    set(telemetry->placed, counters->placed);
    set(telemetry->acts, counters->acts);
    set(telemetry->acts_open, counters->acts_open);
    for (uint32_t i = 1; i < IPC_REASON_COUNT; i++)
        set(telemetry->skips[i], counters->skips_by_reason[i]);
    for (uint32_t i = IPC_OUTCOME_ACKED; i <= IPC_OUTCOME_UNKNOWN; i++)
        set(telemetry->outcomes[i], counters->replies_by_outcome[i]);
    uint64_t children = 0;
    for (uint32_t i = 1; i < ENG_STATE_COUNT; i++) {
        set(telemetry->states[i], counters->children_by_state[i]);
        children += counters->children_by_state[i];
    }
    set(telemetry->unknown_orders, counters->children_by_state[ENG_STATE_UNKNOWN]);
    /* Every (event x follower) is decided, still to visit, or gone; every order is in a state. */
    int64_t gap = (int64_t)(counters->expected + counters->extra - counters->remaining - counters->skipped -
                            counters->vanished - counters->placed - counters->acts);
    int64_t gap_children = (int64_t)(counters->placed - children);
    ipc_metric_set(telemetry->conservation_gap, gap != 0 ? gap : gap_children);
    set(telemetry->durable_lag, eng_journal_last_lsn(journal) - eng_journal_durable_lsn(journal));
}

void eng_telemetry_wave(struct eng_telemetry *telemetry, const struct ipc_wave_record *record)
{
    if (record->sent == 0)
        return;
    ipc_hist_record(telemetry->first_accepted, record->first_accepted_ns);
    ipc_hist_record(telemetry->median_accepted, record->median_accepted_ns);
    ipc_hist_record(telemetry->last_accepted, record->last_accepted_ns);
    if (record->parsed_ns > 0)
        ipc_hist_record(telemetry->wave_parsed, record->parsed_ns);
}
