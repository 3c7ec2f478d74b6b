/* backoff.h: pauses between tries, and a limit of tries per broker. Pure: the caller brings the
 * clock and the generator. */
#ifndef LS_ADAPTERS_INGEST_BACKOFF_H
#define LS_ADAPTERS_INGEST_BACKOFF_H

#include "ipc/prng.h"

/* Pauses double from `least_ns` up to `most_ns`, each less up to a quarter by chance, so that the
 * accounts of one broker do not march in step. */
struct adp_backoff {
    int64_t least_ns, most_ns; /* 0 < least_ns <= most_ns */
    uint32_t failures;         /* in a row; the owner sets it to 0 after a success */
};

/* adp_backoff_next counts one more failure.
 *   returns  the pause before the next try, in (3/4 of the step, the step] */
int64_t adp_backoff_next(struct adp_backoff *backoff, struct ipc_prng *prng);

/* A gate lets `burst` tries through at once and one more each `every_ns`: brokers ban addresses
 * that open hundreds of connections in one moment. One per broker. */
struct adp_gate {
    int64_t every_ns; /* > 0 */
    uint32_t burst;   /* > 0 */
    int64_t next_ns;  /* time up to which tries are spent; 0 at the start */
};

/* adp_gate_pass asks for one try at `now_ns`.
 *   returns  0: go; else how long to wait before asking again (nothing was taken) */
int64_t adp_gate_pass(struct adp_gate *gate, int64_t now_ns);

#endif
