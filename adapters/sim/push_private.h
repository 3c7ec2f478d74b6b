/* push_private.h: between push.c (accounts, tokens, frames), push_conn.c (what a connection says
 * and is sent) and push_faults.c. Everything here is used with the mutex held. */
#ifndef LS_ADP_SIM_PUSH_PRIVATE_H
#define LS_ADP_SIM_PUSH_PRIVATE_H

#include "adapters/sim/hooks.h"
#include "adapters/sim/push.h"

#include <pthread.h>

#define ADP_SIM_PUSH_FRAMES_MAX    65536u /* waiting on one connection; more are lost and counted */
#define ADP_SIM_PUSH_REORDER_NS    (200 * LS_NS_PER_MS)
#define ADP_SIM_PUSH_SUBSCRIBE_MAX 4096u

/* name in JSON */
#define ADP_SIM_PUSH_FAULT_LIST(X)                                                                 \
    X(ADP_SIM_PUSH_TOKEN, "no_token")                                                              \
    X(ADP_SIM_PUSH_REFUSE, "refuse")                                                               \
    X(ADP_SIM_PUSH_CUT, "cut")                                                                     \
    X(ADP_SIM_PUSH_STALL, "stall")                                                                 \
    X(ADP_SIM_PUSH_RESTART, "restart")                                                             \
    X(ADP_SIM_PUSH_DROP, "drop")                                                                   \
    X(ADP_SIM_PUSH_DUPLICATE, "duplicate")                                                         \
    X(ADP_SIM_PUSH_REORDER, "reorder")                                                             \
    X(ADP_SIM_PUSH_DELAY, "delay")                                                                 \
    X(ADP_SIM_PUSH_GARBAGE, "garbage")                                                             \
    X(ADP_SIM_PUSH_HALF, "half")                                                                   \
    X(ADP_SIM_PUSH_CLEAR, "clear")

enum adp_sim_push_fault_kind {
#define X(name, word) name,
    ADP_SIM_PUSH_FAULT_LIST(X)
#undef X
        ADP_SIM_PUSH_FAULT_COUNT
};
#define ADP_SIM_PUSH_FRAME_FAULT_FIRST ADP_SIM_PUSH_DROP
#define ADP_SIM_PUSH_FRAME_FAULT_LAST  ADP_SIM_PUSH_HALF

/* Faults in force for one channel, of one account or of all. */
struct adp_sim_push_scope {
    uint32_t left[ADP_SIM_PUSH_FAULT_COUNT]; /* frames that frame faults still meet */
    int64_t delay_ns;
    bool refuse, lose;
    int64_t stall_until_ns; /* 0: no stall */
};

struct adp_sim_push_frame {
    struct adp_sim_push_frame *next;
    int64_t due_ns;
    bool half;
    size_t length;
    char bytes[];
};

struct adp_sim_push_subscription {
    uint32_t instrument;
    bool depth;
    struct adp_sim_quote sent;
};

struct adp_sim_push_conn {
    struct adp_sim_push_conn *next, *previous;
    void *transport;
    enum adp_sim_channel channel;
    uint32_t account;            /* ADP_SIM_NONE until logged in */
    int64_t opened_ns, heard_ns; /* heard: the last heartbeat, the login or the opening */
    bool has_work;
    enum adp_sim_push_act ending; /* WAIT, END or RESET; END after what is queued */
    struct adp_sim_push_frame *first, *last, *held;
    uint32_t frame_count;
    uint64_t frames_sent;
    struct adp_sim_push_subscription *subscriptions;
    uint32_t subscription_count, subscription_capacity;
};

struct adp_sim_push_account {
    char session_hash[65]; /* of the market-data login; empty without a session */
    bool market_session;
    enum adp_sim_token_answer token_answer;
    char tokens[ADP_SIM_PUSH_TOKENS][ADP_SIM_ORDER_TOKEN_HEX + 1]; /* empty: free */
    uint32_t token_next;
    char *hooks[ADP_SIM_PUSH_HOOKS];
    struct adp_sim_push_scope scopes[ADP_SIM_CHANNEL_COUNT];
};

struct adp_sim_push_counts {
    uint64_t tokens_issued, tokens_withheld, opened, closed, logins, logins_refused, heartbeats;
    uint64_t heartbeats_missed, messages_bad, frames_queued, frames_sent, frames_lost;
    uint64_t changes, changes_without_socket, subscriptions, restarts;
};

struct adp_sim_push {
    pthread_mutex_t lock;
    struct adp_sim_book *book;
    struct adp_sim_push_config config;
    struct adp_sim_hooks *hooks;
    struct adp_sim_prng prng;
    void (*wake)(void *context);
    void *wake_context;
    struct adp_sim_push_account *accounts;
    uint32_t account_count;
    struct adp_sim_quote *quotes; /* by instrument */
    uint32_t instrument_count;
    struct adp_sim_push_conn *conns;
    uint32_t open[ADP_SIM_CHANNEL_COUNT];
    struct adp_sim_push_scope all[ADP_SIM_CHANNEL_COUNT];
    int64_t restart_ns;
    struct adp_sim_push_counts counts;
    uint64_t asked[ADP_SIM_PUSH_FAULT_COUNT], fired[ADP_SIM_PUSH_FAULT_COUNT];
};

/* adp_sim_push_unlock releases the mutex and wakes the socket thread when one of its connections
 * has something to do. */
void adp_sim_push_lock(struct adp_sim_push *push);
void adp_sim_push_unlock(struct adp_sim_push *push, bool wake);

/* adp_sim_push_queue adds a frame to a connection as the faults in force want it. is_update: of an
 * order or a price; answers meet no frame fault. */
void adp_sim_push_queue(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    const struct adp_sim_text *text, bool is_update, int64_t mono_ns);

/* adp_sim_push_end makes a connection end: END after its queue, RESET at once. */
void adp_sim_push_end(struct adp_sim_push_conn *conn, enum adp_sim_push_act how);
void adp_sim_push_drop_frames(struct adp_sim_push_conn *conn);

/* adp_sim_push_frame_fate takes the fault that the next update of an account meets on a channel, or
 * returns FAULT_COUNT; delay_ns is set with DELAY. */
enum adp_sim_push_fault_kind adp_sim_push_frame_fate(
    struct adp_sim_push *push, uint32_t account, enum adp_sim_channel channel, int64_t *delay_ns);

/* adp_sim_push_stalled_until returns until when a connection is sent nothing, 0 for no stall. */
int64_t adp_sim_push_stalled_until(
    struct adp_sim_push *push, const struct adp_sim_push_conn *conn, int64_t mono_ns, bool *lose);
bool adp_sim_push_login_refused(
    struct adp_sim_push *push, uint32_t account, enum adp_sim_channel channel);

extern const char adp_sim_push_garbage[];

#endif
