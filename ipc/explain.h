/* explain.h: a decision as a person reads it, made of its facts and the rows it was decided with:
 *
 *     100 × 0.5 = 50 → lot 65 → 0 → SKIP SUB_LOT
 *     100 × 2 = 200 → max_quantity 150 → BUY 150 LIMIT 100.05
 *     holds 50 × 40 / 100 = 20 → SELL 20 LIMIT 99 (queued)
 *
 * Not for a hot path. Pure; any thread. */
#ifndef LS_IPC_EXPLAIN_H
#define LS_IPC_EXPLAIN_H

#include "ipc/fact.h"
#include "ipc/rows.h"
#include "ipc/step_code.h"

#define IPC_EXPLAIN_BYTES       256
#define IPC_EXPLAIN_STEPS_BYTES 2048 /* IPC_STEPS_MAX of the longest */

/* ipc_explain_child writes the explanation of one child fact.
 *   event       the EVENT fact that started the wave
 *   batch       the BATCH fact that the child stands in
 *   row         of the follower in the generation that decided; NULL = not known any more: then the
 *               arithmetic is left out and the outcome stands alone
 *   instrument  NULL = unknown: lots are left out
 *   out         NUL-terminated UTF-8, cut at out_bytes - 1; IPC_EXPLAIN_BYTES is always enough
 *   returns     its length without the NUL */
size_t ipc_explain_child(const struct ipc_fact_event *event, const struct ipc_fact_batch *batch,
    const struct ipc_fact_child *child, const struct ipc_row_follower *row,
    const struct ipc_row_instrument *instrument, char *out, size_t out_bytes);

/* ipc_explain_decision is the text of a child with what is its own: the steps that were recorded,
 * else ipc_explain_child with the terms of `wide`.
 *   wide     what belongs to the child beside the batch; NULL = it goes as the batch goes
 *   others and returns  as ipc_explain_child; IPC_EXPLAIN_STEPS_BYTES is enough */
size_t ipc_explain_decision(const struct ipc_fact_event *event, const struct ipc_fact_batch *batch,
    const struct ipc_fact_child *child, const struct ipc_fact_wide *wide,
    const struct ipc_row_follower *row, const struct ipc_row_instrument *instrument, char *out,
    size_t out_bytes);

/* ipc_explain_steps writes recorded steps as a person reads them. Numbers only, no rows are needed.
 *   steps    count of them, [0, any]; a code outside the list is written as "step N value"
 *   out      as above; IPC_EXPLAIN_STEPS_BYTES is enough for IPC_STEPS_MAX steps
 *   returns  its length without the NUL */
size_t ipc_explain_steps(const struct ipc_step *steps, uint32_t count, char *out, size_t out_bytes);

#endif
