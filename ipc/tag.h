/* tag.h: the identities of ORDER-SAFETY 3.1: keys of orders and events, and the 19-character tag.
 *
 * Keys derive from the order alone, never from a feed session, so every host and every reconnect
 * derives the same ones. They are hashed once per event, in the adapter. Per follower there is no
 * hash and no allocation: a tag is copied together from digits that were made before.
 *
 *     L  000000000  00000  0000
 *     |  order      |      action: leg (8) x slice (128) x ordinal (1,640)
 *     |             follower number
 *     version: 'L' is the first. A letter, because 19 digits that begin with 1 are a nanosecond
 *     clock, which other software likes to use as its own order id.
 *
 * All functions are pure and may be called from any thread. */
#ifndef LS_IPC_TAG_H
#define LS_IPC_TAG_H

#include "ipc/event.h"
#include "ipc/rc.h"

#define IPC_TAG_VERSION         'L'
#define IPC_TAG_CHARACTERS      19u
#define IPC_TAG_ORDER_DIGITS    9u
#define IPC_TAG_FOLLOWER_DIGITS 5u
#define IPC_TAG_ACTION_DIGITS   4u
#define IPC_TAG_ORDERS          UINT64_C(101559956668416) /* 36^9 */
#define IPC_TAG_FOLLOWERS       60466176u                 /* 36^5 */
#define IPC_TAG_LEGS            8u
#define IPC_TAG_SLICES          128u
#define IPC_TAG_ORDINALS        1640u
#define IPC_TAG_ACTIONS         (IPC_TAG_LEGS * IPC_TAG_SLICES * IPC_TAG_ORDINALS)
_Static_assert(IPC_TAG_CHARACTERS + 1 == IPC_TAG_BYTES, "tag and its NUL");
_Static_assert(IPC_TAG_ACTIONS <= 36u * 36u * 36u * 36u, "actions fit four digits");

/* What a tag says. */
struct ipc_tag_parts {
    uint64_t order_digits; /* [0, 36^9) */
    uint32_t follower_no;  /* [1, 36^5) */
    uint32_t action;       /* [0, IPC_TAG_ACTIONS) */
};

/* ipc_order_key derives the identity of one order.
 *   cluster_id       NUL-terminated, the same on every host that may own the follower
 *   account          of the order, ipc_account_id
 *   broker_order_id  NUL-terminated
 *   key, digits      first 128 bits of the SHA-256 over the length-prefixed parts, and the tag's
 *                    order digits from its third 64 bits */
void ipc_order_key(const char *cluster_id, uint32_t account, const char *broker_order_id,
    struct ipc_key *key, uint64_t *order_digits);

/* ipc_event_key derives the identity of one delivered state: order_key, version, terms, status and
 * cumulative fill of *event. Two deliveries of one state have equal keys. */
struct ipc_key ipc_event_key(const struct ipc_event *event);

/* ipc_tag_action packs the action number; the arguments are bounds-checked (LS_CHECK). */
uint32_t ipc_tag_action(uint32_t leg, uint32_t slice, uint32_t ordinal);

/* The three parts of an action number in [0, IPC_TAG_ACTIONS). */
static inline uint32_t ipc_tag_action_leg(uint32_t action)
{
    return action / (IPC_TAG_SLICES * IPC_TAG_ORDINALS);
}
static inline uint32_t ipc_tag_action_slice(uint32_t action)
{
    return action / IPC_TAG_ORDINALS % IPC_TAG_SLICES;
}
static inline uint32_t ipc_tag_action_ordinal(uint32_t action)
{
    return action % IPC_TAG_ORDINALS;
}

/* The digits of the parts, upper-case base 36, without a NUL: made once per order, once per
 * follower, and per action by table. Values are in the ranges of struct ipc_tag_parts. */
void ipc_tag_order_text(uint64_t order_digits, char out[IPC_TAG_ORDER_DIGITS]);
void ipc_tag_follower_text(uint32_t follower_no, char out[IPC_TAG_FOLLOWER_DIGITS]);
void ipc_tag_action_text(uint32_t action, char out[IPC_TAG_ACTION_DIGITS]);

/* ipc_tag_join writes a tag from made digits; the hot path. The tag ends with a NUL. */
static inline void ipc_tag_join(char tag[IPC_TAG_BYTES], const char order[IPC_TAG_ORDER_DIGITS],
    const char follower[IPC_TAG_FOLLOWER_DIGITS], const char action[IPC_TAG_ACTION_DIGITS])
{
    tag[0] = IPC_TAG_VERSION;
    __builtin_memcpy(tag + 1, order, IPC_TAG_ORDER_DIGITS);
    __builtin_memcpy(tag + 10, follower, IPC_TAG_FOLLOWER_DIGITS);
    __builtin_memcpy(tag + 15, action, IPC_TAG_ACTION_DIGITS);
    tag[19] = '\0';
}

/* ipc_tag_compose writes the tag of *parts, which are in range (LS_CHECK). */
void ipc_tag_compose(const struct ipc_tag_parts *parts, char tag[IPC_TAG_BYTES]);

/* ipc_tag_parse reads a tag that came from elsewhere.
 *   returns IPC_OK, or IPC_BAD_INPUT when it is not one of our tags: wrong length, version, case or
 *           alphabet, follower 0, action out of range; *out is then unchanged */
LS_MUST_USE enum ipc_rc ipc_tag_parse(const char *text, size_t bytes, struct ipc_tag_parts *out);

/* ipc_tag_hash mixes a well-formed tag into 64 bits for hash tables; not for keys. */
uint64_t ipc_tag_hash(const char tag[IPC_TAG_BYTES]);

#endif
