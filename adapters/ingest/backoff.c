#include "adapters/ingest/backoff.h"

int64_t adp_backoff_next(struct adp_backoff *backoff, struct ipc_prng *prng)
{
    LS_CHECK(backoff->least_ns > 0 && backoff->least_ns <= backoff->most_ns);
    int64_t wait = backoff->least_ns;
    for (uint32_t i = 0; i < backoff->failures && wait < backoff->most_ns; i++)
        wait = wait > INT64_MAX / 2 ? backoff->most_ns : 2 * wait;
    if (backoff->failures < UINT32_MAX)
        backoff->failures++;
    wait = ls_min_i64(wait, backoff->most_ns);
    return wait - (int64_t)ipc_prng_below(prng, (uint64_t)wait / 4 + 1);
}

int64_t adp_gate_pass(struct adp_gate *gate, int64_t now_ns)
{
    LS_CHECK(gate->every_ns > 0 && gate->burst > 0);
    /* What was not used for a while is worth a burst, and no more. */
    const int64_t full = now_ns - (int64_t)gate->burst * gate->every_ns;
    const int64_t next = ls_max_i64(gate->next_ns, full);
    if (next + gate->every_ns > now_ns)
        return next + gate->every_ns - now_ns;
    gate->next_ns = next + gate->every_ns;
    return 0;
}
