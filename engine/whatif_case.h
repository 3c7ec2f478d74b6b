/* whatif_case.h: one question to lockstep-whatif, and its answer. The reader makes the first
 * (whatif_read.c), the runner judges it (whatif_run.c), the printer writes the second
 * (whatif_print.c): three files that know nothing of each other. No allocation; one thread. */
#ifndef LS_ENGINE_WHATIF_CASE_H
#define LS_ENGINE_WHATIF_CASE_H

#include "adapters/span.h"
#include "engine/core/pipeline/case.h"
#include "ipc/rc.h"

#define WHATIF_WORD_BYTES 40
#define WHATIF_SEQ_MAX    128 /* elements of a run of events */
#define WHATIF_POOL_MAX   128 /* accounts of a block */

enum whatif_run {
    WHATIF_ONE = 0,       /* one event */
    WHATIF_FILLS = 1,     /* increments of one order */
    WHATIF_CUM_FILLS = 2, /* cumulative totals of one order, late and repeated ones among them */
    WHATIF_ORDERS = 3,    /* separate orders */
    WHATIF_POOL = 4,      /* a block, split between accounts */
};

struct whatif_case {
    uint8_t run; /* enum whatif_run */
    uint8_t pool_rest;
    uint32_t count; /* of seq or weights */
    struct ipc_row_follower row;
    struct ipc_row_policy policy;
    struct eng_case_shared shared;
    struct eng_case judged; /* points at the three above: never copy a whatif_case */
    int64_t seq_e8[WHATIF_SEQ_MAX];
    int64_t weights[WHATIF_POOL_MAX];
    int64_t unit_e8;                     /* pool: the lot */
    char type_word[WHATIF_WORD_BYTES];   /* how the case calls the order's type */
    char symbol[2][WHATIF_WORD_BYTES];   /* [0] the master's, [1] what the map makes of it */
    char products[4][WHATIF_WORD_BYTES]; /* words beside those of ipc_product, numbers 5.. */
    uint32_t product_count;
};

#define WHATIF_ORDERS_MAX 256

struct whatif_order {
    struct eng_leg leg;
    int64_t qty_e8;
};

struct whatif_answer {
    struct eng_verdict verdict; /* of the last event */
    struct eng_trace trace;     /* of the last event */
    uint32_t order_count;
    bool orders_cut; /* more than WHATIF_ORDERS_MAX */
    bool placed;     /* some event of a run placed something */
    struct whatif_order orders[WHATIF_ORDERS_MAX];
    uint32_t seq_count;
    int64_t qty_seq_e8[WHATIF_SEQ_MAX];
    uint32_t alloc_count;
    int64_t alloc_e8[WHATIF_POOL_MAX];
};

/* whatif_read_line reads one JSON object: shape, mode, params, master_event, follower_state.
 *   returns  IPC_OK; IPC_BAD_INPUT with a sentence that names the member */
LS_MUST_USE enum ipc_rc whatif_read_line(
    struct adp_span line, struct whatif_case *out, struct ipc_error *error);

/* whatif_read does the same from the columns of a case file; empty spans are empty objects. */
LS_MUST_USE enum ipc_rc whatif_read(struct adp_span mode, struct adp_span params,
    struct adp_span event, struct adp_span state, struct whatif_case *out, struct ipc_error *error);

/* whatif_run judges it, event by event, with eng_judge. */
void whatif_run(struct whatif_case *question, struct whatif_answer *answer);

/* whatif_print writes one JSON object without a line end.
 *   out      NUL-terminated
 *   returns  its length; WHATIF_TEXT_BYTES is always enough */
#define WHATIF_TEXT_BYTES (192u * 1024u)
size_t whatif_print(const struct whatif_case *question, const struct whatif_answer *answer,
    char *out, size_t out_bytes);

/* whatif_differs compares an answer with the expected object: every member of it must be in the
 * answer and equal, numbers by value, lists in length and order, objects in them by the same rule.
 *   text     gets a sentence on the first difference: key, expected, got
 *   returns  IPC_OK; IPC_REFUSED when it differs; IPC_BAD_INPUT when `expected` is no object */
LS_MUST_USE enum ipc_rc whatif_differs(
    struct adp_span expected, struct adp_span answer, char *text, size_t text_bytes);

#endif
