/* pool_private.h: the fields of struct eng_pool, shared by pool.c and pool_turn.c. */
#ifndef LS_ENGINE_NET_POOL_PRIVATE_H
#define LS_ENGINE_NET_POOL_PRIVATE_H

#include "engine/net/connection_private.h"
#include "engine/net/pool.h"
#include "ipc/prng.h"

/* Timers of the pool, all here:
 *   a member without connection     BACK_OFF_FIRST_NS doubling to BACK_OFF_MOST_NS, jittered
 *   ... after one that had worked   within REJOIN_NS
 *   PING                            the broker's interval, jittered; deadline of the configuration
 *   visit of every connection       each CARE_NS: expiry, PING, stale bytes, draining
 *   first GET of a connection that nobody used              FIRST_GET_NS
 *   a draining connection whose last requests are overdue ends after DRAIN_NS */
#define BACK_OFF_FIRST_NS (100 * LS_NS_PER_MS)
#define BACK_OFF_MOST_NS  (10 * LS_NS_PER_S)
#define WORKED_NS         (5 * LS_NS_PER_S)
#define REJOIN_NS         ((uint64_t)(20 * LS_NS_PER_MS))
#define CARE_NS           (5 * LS_NS_PER_MS)
#define DRAIN_NS          (10 * LS_NS_PER_S)
#define FIRST_GET_NS      LS_NS_PER_S

#define CARE_LOOK_MAX     64u  /* connections visited in one turn */
#define WANT_LOOK_MAX     64u  /* lanes looked at in one call */
#define SHARED_LANES_MAX  128u /* shared lanes at one time */
#define OVERDUE_MOST      8u   /* requests without reply after which a connection is replaced */

struct member {
    struct eng_connection *live;
    int64_t retry_mono_ns;
    uint32_t failures;
    bool is_connecting; /* a want was given out */
    bool is_replacing;  /* live, and another one is wanted */
};

enum lane_state { LANE_FREE = 0, LANE_OPEN = 1, LANE_CLOSING = 2 };

struct lane {
    struct eng_lane_key key;
    enum lane_state state;
    uint32_t account_count, member_count, live_count;
    uint32_t fair; /* accounts that one of its connections should have at most */
    uint32_t any_account;
    struct member *members; /* own_member, or one of the pool's arrays for shared lanes */
    struct member own_member;
};

struct account {
    uint32_t handle;     /* its connection, valid while `generation` is the handle's */
    uint32_t generation; /* 0 = none */
    uint32_t lane;
    uint32_t in_flight; /* requests without outcome */
};

struct broker {
    struct eng_pool_broker terms;
    bool is_known;
    uint32_t connects_left;
    int64_t connects_epoch_mono_ns;
};

struct eng_pool {
    struct eng_pool_config config;
    struct eng_edge *edge;
    struct lane *lanes;
    struct member *shared_members; /* SHARED_LANES_MAX arrays of ENG_POOL_MEMBERS_MAX */
    bool shared_taken[SHARED_LANES_MAX];
    struct account *accounts; /* by number */
    struct eng_connection **by_handle;
    uint32_t *generations;         /* by handle: raised when its connection ends */
    uint32_t *reserved_for;        /* by handle, HTTP/1.1: account whose request comes; 0 = free */
    struct eng_connection **list;  /* attached ones, in no order */
    struct eng_connection **dirty; /* with bytes to seal */
    struct eng_connection **retired; /* to be taken back by the porter */
    uint32_t list_count, dirty_count, retired_count;
    uint32_t wanted, connecting, want_cursor, care_cursor, idle_cursor;
    uint32_t lane_hint;  /* behind the newest lane: where free ones are looked for */
    uint32_t lane_found; /* the one that was asked for last */
    int64_t now_mono_ns, care_mono_ns;
    struct eng_h2_bodies bodies;
    void *bodies_memory;
    const struct eng_h2_sink *sink; /* the shell's, during a call */
    struct ipc_prng prng;
    struct eng_pool_figures figures;
    struct broker brokers[ENG_POOL_BROKERS_MAX];
    uint8_t plain[16384]; /* a record's plain bytes */
};

/* The account's connection if it still is the one that was assigned. A connection that has ended
 * may belong to the porter already, so it is known by its handle's generation only. */
static inline struct eng_connection *pool_connection_of(
    const struct eng_pool *pool, const struct account *account)
{
    if (account->generation == 0 || pool->generations[account->handle] != account->generation)
        return NULL;
    return pool->by_handle[account->handle];
}

void pool_set_fair(struct lane *lane);
void pool_mark_dirty(struct eng_pool *pool, struct eng_connection *connection);
void pool_drain(struct eng_pool *pool, struct eng_connection *connection, int64_t now_mono_ns);
void pool_detach(struct eng_pool *pool, struct eng_connection *connection, int64_t now_mono_ns);
void pool_back_off(struct eng_pool *pool, struct member *member, int64_t now_mono_ns);

#endif
