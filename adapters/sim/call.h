/* call.h: one HTTP request as a handler sees it, and what it wants done with the answer.
 *
 * The connection's protocol makes it and fills the request; the handler fills the answer and says
 * what happens next. It lives until it was answered or its stream or connection ended, whichever is
 * later than its timers. Main thread only. */
#ifndef LS_ADP_SIM_CALL_H
#define LS_ADP_SIM_CALL_H

#include "adapters/sim/text.h"

struct adp_sim_conn;

enum adp_sim_then {
    ADP_SIM_THEN_ANSWER = 0, /* send the answer, after delay_ns */
    ADP_SIM_THEN_RUN_AGAIN,  /* call the handler again after delay_ns, with round one higher */
    ADP_SIM_THEN_NEVER,      /* never answer */
    ADP_SIM_THEN_RESET,      /* reset the TCP connection after delay_ns */
    ADP_SIM_THEN_RST_STREAM, /* RST_STREAM with error_code after delay_ns; HTTP/1.1 resets the
                                connection */
};

struct adp_sim_call {
    /* the request; texts are zero-terminated, absent ones are "" */
    char method[12];
    char path[256], query[512];
    char *authorization; /* grown as needed; "" when absent */
    size_t authorization_capacity;
    struct adp_sim_text body;
    bool too_large; /* a limit was passed: only an error can be answered */
    int32_t stream;
    uint64_t connection;
    uint32_t address; /* the book's number of the source address */
    const char *address_text;
    int64_t mono_ns, wall_ns; /* when its last byte was read */
    uint32_t round;           /* how often the handler saw it before */

    /* the answer */
    int status;
    const char *content_type; /* static text */
    char location[128];       /* sent when not empty */
    uint32_t retry_after_s;   /* sent when not 0 */
    struct adp_sim_text answer;

    /* what happens */
    enum adp_sim_then then;
    int64_t delay_ns;
    uint32_t error_code;
    uint32_t drip_bytes; /* not 0: the body leaves in pieces of so many bytes */
    int64_t drip_every_ns;
    void *note; /* the handler's own, across rounds; from malloc, it frees it */

    /* the transport's */
    struct adp_sim_conn *conn; /* NULL once stream or connection is gone */
    bool waiting, answered;
    size_t sent, allowed;
    struct adp_sim_call *next, *previous;
};

/* A handler fills the answer. It runs to completion and never blocks. */
typedef void (*adp_sim_call_fn)(struct adp_sim_call *call, void *context);

#endif
