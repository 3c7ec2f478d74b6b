/* whatif_live.h: what would happen now. A core in private memory is folded from the instance's
 * journal, adopts the published snapshot and gets one order of a master; what it decides for each
 * follower is told and forgotten.
 *
 *     snapshot, journal, switches, prices, money ── read-only ──► eng_apply, eng_core_adopt
 *     an order as JSON ──► eng_step_event ──► eng_wave_next, eng_decide_batch, eng_settle_next
 *
 * It is the engine's own code on the engine's own facts; nothing is written anywhere, no key is
 * needed, and a live engine goes on undisturbed. One thread. */
#ifndef LS_ENGINE_WHATIF_LIVE_H
#define LS_ENGINE_WHATIF_LIVE_H

#include <stdio.h>

#include "adapters/ingest/live.h"
#include "engine/core/step.h"

struct whatif_live_options {
    const char *instance; /* NULL = the configuration's */
    const char *config;   /* the engine's file; NULL = defaults, with room for the snapshot */
    const char *file;     /* the order; NULL or "-" = standard input */
    int shard;            /* -1 = all shards */
    bool json;            /* lines of JSON also on a terminal */
};

/* whatif_live answers one order on stdout: a line per follower.
 *   returns  the exit code: 0 answered; 1 the order changes nothing, with the sentence why; 2 it
 *            cannot be answered */
int whatif_live(const struct whatif_live_options *options);

/* --- the question -------------------------------------------------------------------------------
 */

struct whatif_live_question {
    struct ipc_event event; /* without keys, version and times; order id "" = none was given */
    bool fills_at_once; /* a market order of which nothing else is said: filled at the last price */
};

/* whatif_live_read understands one JSON object: the fields of a line of `lockstep-ingest ndjson`,
 * of which id, status, and where the rest says it exchange and type may be missing; `master` and
 * `order_type` are words for account and type.
 *   returns  IPC_OK; IPC_BAD_INPUT with a sentence that names the member */
LS_MUST_USE enum ipc_rc whatif_live_read(const struct adp_live *live, struct adp_span text,
    struct whatif_live_question *out, struct ipc_error *error);

/* --- the answer ---------------------------------------------------------------------------------
 */

/* One element of a decision: an order, an act on one, or why there is none. */
struct whatif_live_part {
    uint32_t next; /* of the same follower: 1 + index, 0 = the last */
    struct ipc_fact_child child;
    uint8_t side, type, product, validity, flags; /* IPC_WIDE_* */
    uint32_t instrument;
    int64_t price_e8, trigger_e8, market_protection_e8;
    char *explain;
};

struct whatif_live_answer {
    const struct ipc_snapshot_view *view;
    struct ipc_fact_event event; /* as the core saw it */
    struct whatif_live_part *parts;
    uint32_t part_count, part_room;
    uint32_t *first, *last; /* by slot: 1 + index of its parts, 0 = none */
    uint32_t *slots;        /* in the order in which they were decided */
    uint32_t slot_count;
};

/* whatif_live_take keeps the elements of one batch.
 *   batch  a whole BATCH payload */
void whatif_live_take(struct whatif_live_answer *answer, const struct ipc_fact_batch *batch);

/* whatif_live_print writes a line per follower: JSON, or a table. */
void whatif_live_print(const struct whatif_live_answer *answer, bool json, FILE *out);

#endif
