/* reconcile_private.h: the state of reconciliation, and what the rest of the core tells it.
 *
 * Of the fold: what is known of each account's questions, and of each child's doubt. Derived, made
 * anew by the first adopt: the list of children of an account that something is open about, when
 * its book is to be asked next, when the time alone decides something, and whether it may place. */
#ifndef LS_ENGINE_CORE_RECONCILE_PRIVATE_H
#define LS_ENGINE_CORE_RECONCILE_PRIVATE_H

#include "engine/core/core_private.h"
#include "engine/core/lifecycle.h"
#include "engine/core/reconcile.h"

/* --- the fold ----------------------------------------------------------------------------------
 */

struct eng_recon_account {
    int64_t asked_mono_ns;    /* the newest question */
    int64_t answered_mono_ns; /* the newest answer that was one */
    int64_t gated_mono_ns;    /* gated since */
    uint32_t era;             /* of the three */
    uint32_t ask_no;          /* questions so far */
    uint32_t odd_ask;         /* newest question whose answer casts doubt on those before it */
    uint32_t order_count;     /* rows of the newest good book */
    uint16_t day, asks_day; /* market day modulo 2^16 of the two beside it; questions of that day */
    uint8_t wants;          /* bits 1 << enum ipc_recon_why */
    uint8_t asked_wants;    /* of them, those that were there when it was asked */
    uint8_t asking;         /* 1 = a question is under way */
    uint8_t gated;          /* 1 = nothing is placed before its book was read; 2 = a person was
                               told that it cannot be */
    uint8_t failures;       /* answers in a row that were none; saturates */
    uint8_t reserved[7];
};
_Static_assert(sizeof(struct eng_recon_account) == 56, "no padding");

struct eng_recon_child {
    int64_t doubt_mono_ns; /* in doubt since; before that, of a catch-up: when it was decided */
    int64_t absent_ns;     /* when the request of the first book that lacks it left */
    uint32_t absent_ask;   /* number of that question */
    uint8_t absences;      /* books that lack it, [0, 2] */
    uint8_t repeats;       /* cancels that were repeated; saturates */
    uint8_t amended;       /* 1 = its change went once more after a doubt */
    uint8_t asked_again; /* 1 = its place goes twice with one id: one answer alone proves nothing */
};
_Static_assert(sizeof(struct eng_recon_child) == 24, "no padding");

/* --- derived -----------------------------------------------------------------------------------
 */

enum eng_recon_heap { ENG_RECON_ASK = 0, ENG_RECON_TIME = 1 };

/* Numbers are one more than the index, so that zeroed memory is an empty list. */
struct eng_recon_link {
    uint32_t next, previous;
    uint32_t account; /* 1 + number of the list that it is in */
};

struct eng_recon_place {
    int64_t due[2];  /* by heap */
    uint32_t at[2];  /* place in the heap, 0 = not in it */
    uint32_t head;   /* of its children that something is open about */
    uint32_t newest; /* newest place that left, where one order is out at a time */
    uint32_t is_open; /* it may have working orders */
};

/* eng_recon_watches: something is open about the child that a book or the time decides. */
static inline bool eng_recon_watches(const struct eng_child *child)
{
    if (eng_state_ended(child->state))
        return false;
    return eng_state_in_doubt(child->state) || child->state == ENG_STATE_NOT_PLACED ||
           (child->flags & ENG_CHILD_DOUBT) ||
           ((child->flags & ENG_CHILD_CANCELLED) && child->flight == 0 && child->queued == 0);
}

/* --- part of apply ------------------------------------------------------------------------------
 */

/* eng_recon_open folds what an OPEN fact means for questions and doubts. */
void eng_recon_open(struct eng_core *core, const struct ipc_fact_open *fact, int64_t mono_ns);

/* eng_recon_changed follows a change of a child that is or was watched; eng_recon_doubts notes that
 * its outcome is unknown from this frame on. */
void eng_recon_changed(struct eng_core *core, uint32_t child);
void eng_recon_doubts(struct eng_core *core, uint32_t child);

/* eng_recon_refresh: whether the account can be asked may have changed. */
void eng_recon_refresh(struct eng_core *core, uint32_t account);

/* eng_recon_verify: part of eng_core_verify. */
void eng_recon_verify(const struct eng_core *core);

/* eng_recon_works: the account has a working order. */
void eng_recon_works(struct eng_core *core, uint32_t account);

/* eng_recon_bind makes what is derived: after the first adopt for all children, after each for the
 * accounts of the new view. */
void eng_recon_bind(struct eng_core *core, bool first);

/* eng_recon_apply folds a RECON fact, eng_catch_up_apply a CATCH_UP fact, eng_resolve_apply a
 * RESOLVE fact.
 *   returns  IPC_BAD_INPUT when it cannot be one of ours: nothing was changed */
LS_MUST_USE enum ipc_rc eng_recon_apply(struct eng_core *core, const struct eng_frame *frame);
LS_MUST_USE enum ipc_rc eng_catch_up_apply(struct eng_core *core, const struct eng_frame *frame);
LS_MUST_USE enum ipc_rc eng_resolve_apply(struct eng_core *core, const struct eng_frame *frame);

/* eng_recon_orphan_fits, _apply: act ORPHAN of a RECON fact. */
bool eng_recon_orphan_fits(const struct eng_core *core, const struct ipc_fact_recon *fact);
void eng_recon_orphan_apply(
    struct eng_core *core, const struct eng_frame *frame, const struct ipc_fact_orphan *orphan);

/* eng_recon_day: a market day began. What was sent on an earlier one works no more: all orders are of
 * their day. What is in doubt since then stays a person's.
 *   day  modulo 2^16 */
void eng_recon_day(struct eng_core *core, uint16_t day);

/* eng_recon_ghost: a child that had ended lives. Copies that were made in its place and still work
 * are cancelled. */
void eng_recon_ghost(struct eng_core *core, uint32_t child);

/* eng_recon_flew: a place of the account left (noted where one order is out at a time). */
void eng_recon_flew(struct eng_core *core, uint32_t account, uint32_t child);

/* --- pure ---------------------------------------------------------------------------------------
 */

/* eng_recon_settle_ns returns how long after a request the broker's book is sure to show it. */
int64_t eng_recon_settle_ns(const struct eng_core *core, uint32_t account);

/* eng_recon_dues returns when the account's book is to be asked, and when the time decides. */
int64_t eng_recon_ask_due(const struct eng_core *core, uint32_t account);
int64_t eng_recon_time_due(const struct eng_core *core, uint32_t account);

/* eng_recon_repeat_ns returns when an accepted cancel that was not done goes again. */
int64_t eng_recon_repeat_ns(const struct eng_core *core, uint32_t child);

/* eng_recon_flies: a place of the account has no outcome yet, or an unknown one that is being asked
 * about. */
bool eng_recon_flies(const struct eng_core *core, uint32_t account);

/* The parts of a fact about a child. */
void eng_recon_child_fact(const struct eng_core *core, uint32_t child, enum ipc_verdict verdict,
    enum eng_state state, struct ipc_fact_recon_child *out);
/* eng_recon_add appends an empty RECON fact, eng_recon_alarm an ALARM. */
struct ipc_fact_recon_room *eng_recon_add(
    struct eng_event_facts *out, enum ipc_recon_act act, uint32_t account);
void eng_recon_alarm(struct eng_event_facts *out, enum ipc_alarm alarm, uint32_t account,
    const char *tag, const char *text);

/* eng_recon_orphan decides about an order of a follower's account that no child is.
 *   returns  true = it carries a tag of ours: facts, or why there is none, are in *out */
bool eng_recon_orphan(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out);
/* eng_recon_second decides about a second order that carries the tag of `child`. */
void eng_recon_second(const struct eng_core *core, const struct ipc_event *event, uint32_t child,
    struct eng_event_facts *out);
/* eng_recon_placeholder returns the order that was made for adopted copies and that this event's
 * is, ENG_NONE when there is none. */
uint32_t eng_recon_placeholder(const struct eng_core *core, const struct ipc_event *event);

/* eng_step_own is the part of eng_step_event for orders of a follower's account (pipeline/event.c).
 *   returns  true = the order is ours */
bool eng_step_own(const struct eng_core *core, const struct ipc_event *event, uint8_t producer,
    uint64_t ring_sequence, struct eng_event_facts *out);

/* eng_catch_up_add appends a CATCH_UP fact.
 *   refusal  why nothing changes, NULL = it is made good */
void eng_catch_up_add(struct eng_event_facts *out, const char tag[IPC_TAG_BYTES], const char *by,
    const char *refusal);

/* eng_catch_up_step decides about a person's act CATCH_UP, eng_resolve_step about an act RESOLVE.
 */
void eng_catch_up_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out);
void eng_resolve_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out);

#endif
