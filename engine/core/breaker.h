/* breaker.h: breakers: what stops openings until a named person has looked (ORDER-SAFETY 3.9).
 *
 *     kind                counted                                        stops openings of
 *     reject-streak       places refused in a row, none accepted between  the account; the broker
 *     unknown-rate        outcomes UNKNOWN in this minute and the one      the account; the broker
 *                         before
 *     repeated-execution  openings accepted, likewise, of one follower    the follower
 *                         in one instrument and product
 *     clock-step          wall against monotonic time, by the shell       the engine
 *
 * A threshold that is reached bars at once, by what is counted; the TRIP fact, which the shell
 * journals right behind the reply, makes it stay. Exits, cancels and reconciliation never ask. A
 * RESET fact carries who decided, and what was counted starts at nothing. The circuit of SEMANTICS
 * 10 (failures_max), which probes and heals by itself, is money.h's and day.h's. */
#ifndef LS_ENGINE_CORE_BREAKER_H
#define LS_ENGINE_CORE_BREAKER_H

#include "engine/core/step.h"

/* eng_breaker_pending: a fact is due; the cheap test of every turn. */
bool eng_breaker_pending(const struct eng_core *core);

/* eng_breaker_next makes the GUARD fact that is due: a TRIP, or an ALARM (at most one a second and
 * kind).
 *   returns  true with *out filled; ask again after it was applied */
LS_MUST_USE bool eng_breaker_next(
    const struct eng_core *core, int64_t now_mono_ns, struct ipc_fact_guard *out);

/* eng_breaker_clock makes the TRIP fact of a step of the wall clock.
 *   step_ns  wall against monotonic time, signed */
void eng_breaker_clock(const struct eng_core *core, int64_t step_ns, struct ipc_fact_guard *out);

/* eng_breaker_engine returns why no opening of the shard may go, IPC_REASON_NONE when it may. */
enum ipc_reason eng_breaker_engine(const struct eng_core *core);

/* eng_breaker_bar returns why openings of one follower may not go: its own breakers, its account's,
 * its broker's; not the engine's. */
enum ipc_reason eng_breaker_bar(
    const struct eng_core *core, uint32_t slot, const struct ipc_row_follower *row);

/* --- the core's own ----------------------------------------------------------------------------
 */

/* eng_breaker_reply counts an outcome; eng_breaker_status an order that was refused behind its
 * broker's door, or accepted. Part of apply. */
void eng_breaker_reply(struct eng_core *core, uint32_t child, enum ipc_action action,
    enum ipc_outcome_class outcome, int64_t mono_ns);
void eng_breaker_status(struct eng_core *core, uint32_t child, enum eng_state state);

/* eng_breaker_apply folds a GUARD fact: IPC_OK, or IPC_BAD_INPUT and nothing changed. */
LS_MUST_USE enum ipc_rc eng_breaker_apply(
    struct eng_core *core, const struct ipc_fact_guard *fact, int64_t mono_ns);

/* eng_breaker_step makes the RESET fact of an operator's act; appends to `out`. */
void eng_breaker_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out);

#endif
