/* telemetry.h: the engine's page `metrics.engine.<shard>`: every counter, gauge and histogram, made
 * once at start. Each handle has one writing thread, named at its group. */
#ifndef LS_ENGINE_TELEMETRY_H
#define LS_ENGINE_TELEMETRY_H

#include "engine/core/step.h"
#include "engine/journal.h"
#include "ipc/metrics.h"
#include "ipc/region.h"
#include "ipc/waves.h"

/* Written by the pinned thread: name, help. */
#define ENG_PINNED_COUNTERS(X)                                                                     \
    X(turns, "turns of the pinned thread")                                                         \
    X(sleeps, "times the pinned thread slept")                                                     \
    X(ring_records, "records taken from rings")                                                    \
    X(ring_bad_records, "records refused: damaged or out of range")                                \
    X(duplicates, "order states that changed nothing")                                             \
    X(ring_deferred, "records left in their ring because a table was full")                        \
    X(requests_place, "place requests handed to connections")                                      \
    X(requests_modify, "modify requests handed to connections")                                    \
    X(requests_cancel, "cancel requests handed to connections")                                    \
    X(requests_not_sent, "requests that could not be handed to a connection after their intent")   \
    X(tls_records, "TLS records sealed")                                                           \
    X(sends, "send calls and ring submissions with bytes")                                         \
    X(sealed_bytes, "TLS bytes handed over")                                                       \
    X(replies, "replies parsed")                                                                   \
    X(reply_timeouts, "requests without a reply in time")                                          \
    X(requests_lost, "requests in flight on a connection that ended")                              \
    X(connections_lost, "connections that ended")                                                  \
    X(alarms, "alarm facts written")                                                               \
    X(notes_dropped, "log records dropped because the porter was behind")                          \
    X(switch_unread, "turns without a switches page: entries barred")                              \
    X(power_waits, "batches that waited for the disk before they left")                            \
    X(books_read, "order books that were dealt with")                                              \
    X(positions_compared, "positions that were compared with the broker's")                        \
    X(positions_differing, "of those, not what the fills add up to: incidents")

#define ENG_PINNED_GAUGES(X)                                                                       \
    X(connections_ready, "connections that take orders")                                           \
    X(requests_open, "requests sent and unanswered")                                               \
    X(rings_attached, "rings that are read")                                                       \
    X(ring_lag, "slots published and not read, all rings")                                         \
    X(sealed_waiting, "connections with sealed bytes that the socket did not take")                \
    X(durable_lag, "facts that are not on disk yet")                                               \
    X(conservation_gap, "events x followers minus terminal minus open: not 0 is a bug")            \
    X(expected, "events that start a wave x their followers")                                      \
    X(remaining, "followers that unfinished waves have still to visit")                            \
    X(skipped, "decided and nothing sent")                                                         \
    X(vanished, "followers that left the snapshot before their wave reached them")                 \
    X(placed, "orders made")                                                                       \
    X(acts, "amendments and cancels decided on orders that exist")                                 \
    X(acts_open, "of those, unanswered")                                                           \
    X(unknown_orders, "orders with an unknown outcome")                                            \
    X(waves_dropped, "wave records dropped because too many were open")

#define ENG_PINNED_HISTS(X)                                                                        \
    X(ring_hop, "from the publish in the ring to the read")                                        \
    X(first_accepted, "from the publish to the kernel's acceptance of a wave's first order")       \
    X(median_accepted, "the same, median order")                                                   \
    X(last_accepted, "the same, last order")                                                       \
    X(wave_parsed, "from the publish to the wave's last parsed reply")                             \
    X(reply, "from the kernel's acceptance to the parsed reply, one request")                      \
    X(stage_decide, "decide, one batch")                                                           \
    X(stage_journal, "journal commit and apply, one batch")                                        \
    X(stage_encode, "encode, one batch")                                                           \
    X(stage_seal, "seal, one batch")                                                               \
    X(stage_send, "send, one batch")                                                               \
    X(turn, "one turn with work in it")

/* Written by the porter. */
#define ENG_PORTER_COUNTERS(X)                                                                     \
    X(connects, "connection attempts")                                                             \
    X(connect_failures, "connection attempts that failed, certificates included")                  \
    X(generations_adopted, "snapshot generations that came into force")                            \
    X(generations_refused, "snapshot generations that were refused")                               \
    X(tokens_unopened, "tokens that could not be opened")                                          \
    X(book_requests, "order books and positions asked for")                                        \
    X(book_failures, "of those, without a usable answer")                                          \
    X(book_bytes, "bytes of order books and positions read")

#define ENG_PORTER_GAUGES(X)                                                                       \
    X(connections_wanted, "connections that the snapshot asks for")                                \
    X(connections_handed, "connections handed to the pinned thread and not taken back")            \
    X(halt_file, "1 while the halt file exists")                                                   \
    X(books_under_way, "order books being read")                                                   \
    X(books_waiting, "order books that wait for one that is being read")

struct eng_telemetry {
    struct ipc_metrics *page;
#define X(name, help) struct ipc_metric *name;
    ENG_PINNED_COUNTERS(X)
    ENG_PINNED_GAUGES(X)
    ENG_PORTER_COUNTERS(X)
    ENG_PORTER_GAUGES(X)
#undef X
#define X(name, help) struct ipc_hist *name;
    ENG_PINNED_HISTS(X)
#undef X
    struct ipc_metric *events, *updates, *waves; /* pinned, copied from the core's counters */
    struct ipc_metric *skips[IPC_REASON_COUNT];
    struct ipc_metric *outcomes[7];
    struct ipc_metric *states[ENG_STATE_COUNT];
};

/* eng_telemetry_open makes the page of this shard.
 *   returns IPC_OK; IPC_BUSY when an engine of this shard lives; IPC_SYSTEM. Start-up thread. */
LS_MUST_USE enum ipc_rc eng_telemetry_open(struct eng_telemetry *telemetry,
    const struct ipc_shm *shm, uint32_t shard, struct ipc_error *error);
void eng_telemetry_close(struct eng_telemetry *telemetry);

/* eng_telemetry_core copies the core's counters and checks conservation; pinned thread, now and
 * then (about 60 stores). */
void eng_telemetry_core(struct eng_telemetry *telemetry, const struct eng_core *core,
    const struct eng_journal *journal);

/* eng_telemetry_wave records a finished wave in the histograms; pinned thread. */
void eng_telemetry_wave(struct eng_telemetry *telemetry, const struct ipc_wave_record *record);

#endif
