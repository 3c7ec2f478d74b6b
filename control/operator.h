/* operator.h: a person's act in the engine: a record in the ring `lockstepctl`, and the facts that
 * the engine journals about it.
 *
 *     ctl_operator_begin    stands behind what the journal holds already
 *     ctl_operator_send     puts the act into the shard's ring
 *     ctl_operator_wait     reads facts until one is the answer
 *
 * All complain themselves and return an exit code. */
#ifndef LS_CONTROL_OPERATOR_H
#define LS_CONTROL_OPERATOR_H

#include "control/ctl_common.h"
#include "ipc/event.h"
#include "ipc/journal_reader.h"

/* ctl_operator_act fills the parts that every act has; ipc_event_check is the sender's.
 *   by  who decides; ctl_operator_by_is_sound */
void ctl_operator_act(struct ipc_event *event, enum ipc_operator_act act, const char *by);

/* ctl_operator_order has the act be about the order with this tag, of a follower who is in the live
 * snapshot.
 *   shard    out: the engine's that has it */
int ctl_operator_order(
    const struct ctl_live *live, const char *tag, struct ipc_event *event, uint32_t *shard);

/* ctl_operator_by_is_sound: a name that a journal can hold: 1 to `most` characters without blanks.
 */
bool ctl_operator_by_is_sound(const char *by, size_t most);

/* ctl_operator_begin opens the shard's journal in memory and reads what is there.
 *   returns  CTL_DONE with *reader, to be closed by the caller */
int ctl_operator_begin(
    const struct ctl_live *live, uint32_t shard, struct ipc_journal_reader **reader);

/* ctl_operator_send checks the event and offers it. */
int ctl_operator_send(const struct ctl_live *live, uint32_t shard, const struct ipc_event *event);

/* Looks at a fact: returns an exit code when it is the answer, -1 when it is not. */
typedef int (*ctl_operator_answer_fn)(const struct ipc_journal_entry *entry, void *context);

/* ctl_operator_wait follows the journal.
 *   returns  what `answer` returned; CTL_TIMEOUT after `seconds`, without a word; CTL_FAILED */
int ctl_operator_wait(struct ipc_journal_reader *reader, uint32_t seconds,
    ctl_operator_answer_fn answer, void *context);

#endif
