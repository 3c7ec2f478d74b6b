#include "adapters/ingest/feed_state.h"

const char *adp_feed_phase_name(enum adp_feed_phase phase)
{
    switch (phase) {
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        ADP_FEED_PHASE_LIST(X)
#undef X
    }
    return "unknown";
}

bool adp_feed_is_covering(const struct adp_feed_state *state)
{
    return state->phase == ADP_FEED_LIVE && !state->has_gap;
}

int64_t adp_feed_due_ns(const struct adp_feed_state *state)
{
    return state->phase == ADP_FEED_WAIT || state->phase == ADP_FEED_ABSENT ||
                   state->phase == ADP_FEED_SUBSCRIBE
               ? state->due_ns
               : INT64_MAX;
}

static unsigned give_up(
    struct adp_feed_state *state, const struct adp_feed_rules *rules, int64_t now_ns)
{
    state->phase = ADP_FEED_ABSENT;
    state->due_ns = now_ns + rules->absent_ns;
    return ADP_FEED_GAVE_UP;
}

/* One more failure: the back-off, or the long pause. What was tried before counts on while in the
 * long pause, so one more failure after it is enough for the next. */
static unsigned fail(struct adp_feed_state *state, const struct adp_feed_rules *rules,
    bool is_absent, int64_t now_ns, struct ipc_prng *prng)
{
    if (is_absent)
        state->absent++;
    else
        state->failed++;
    if (state->absent >= rules->absent_most || state->failed >= rules->failed_most)
        return give_up(state, rules, now_ns);
    state->phase = ADP_FEED_WAIT;
    state->due_ns = now_ns + adp_backoff_next(&state->backoff, prng);
    return 0;
}

static unsigned cut(struct adp_feed_state *state, const struct adp_feed_rules *rules,
    int64_t now_ns, struct ipc_prng *prng)
{
    const bool was_live = state->phase == ADP_FEED_LIVE;
    if (was_live && now_ns - state->live_since_ns >= rules->settled_ns) {
        state->backoff.failures = 0;
        state->failed = 0;
    }
    state->has_gap = false;
    const unsigned todo = fail(state, rules, false, now_ns, prng);
    return was_live ? todo | ADP_FEED_READ_BOOK | ADP_FEED_READ_WHOLE : todo;
}

static unsigned pass_time(struct adp_feed_state *state, const struct adp_feed_rules *rules,
    int64_t now_ns, struct ipc_prng *prng)
{
    if (now_ns < adp_feed_due_ns(state))
        return 0;
    if (state->phase == ADP_FEED_SUBSCRIBE) /* no acknowledgement came */
        return fail(state, rules, false, now_ns, prng) | ADP_FEED_CLOSE;
    state->phase = ADP_FEED_TOKEN;
    return ADP_FEED_ASK_TOKEN;
}

/* Inputs of a phase that is over (a reply that was under way, a close of our own) change nothing.
 */
unsigned adp_feed_next(struct adp_feed_state *state, const struct adp_feed_rules *rules,
    enum adp_feed_input input, int64_t book_ns, int64_t now_ns, struct ipc_prng *prng)
{
    const enum adp_feed_phase phase = state->phase;
    switch (input) {
    case ADP_FEED_START:
        if (phase != ADP_FEED_OFF)
            return 0;
        state->phase = ADP_FEED_WAIT;
        state->due_ns = now_ns;
        state->absent = state->failed = state->backoff.failures = 0;
        state->has_gap = false;
        return 0;
    case ADP_FEED_STOP:
        state->phase = ADP_FEED_OFF;
        state->has_gap = false;
        return ADP_FEED_CLOSE;
    case ADP_FEED_TIME:
        return pass_time(state, rules, now_ns, prng);
    case ADP_FEED_GOT_TOKEN:
        if (phase != ADP_FEED_TOKEN)
            return 0;
        state->phase = ADP_FEED_CONNECT;
        return ADP_FEED_DO_CONNECT;
    case ADP_FEED_NO_FEED:
    case ADP_FEED_FAILED:
        return phase != ADP_FEED_TOKEN && phase != ADP_FEED_CONNECT
                   ? 0
                   : fail(state, rules, input == ADP_FEED_NO_FEED, now_ns, prng);
    case ADP_FEED_OPENED:
        if (phase != ADP_FEED_CONNECT)
            return 0;
        state->phase = ADP_FEED_SUBSCRIBE;
        state->due_ns = now_ns + rules->ack_ns;
        return ADP_FEED_SAY_FIRST;
    case ADP_FEED_ACKED:
        if (phase != ADP_FEED_SUBSCRIBE)
            return 0;
        state->phase = ADP_FEED_LIVE;
        state->has_gap = true;
        state->absent = 0;
        state->live_since_ns = now_ns;
        return ADP_FEED_READ_BOOK;
    case ADP_FEED_REFUSED:
        if (phase != ADP_FEED_SUBSCRIBE && phase != ADP_FEED_LIVE)
            return 0;
        return cut(state, rules, now_ns, prng) | ADP_FEED_CLOSE;
    case ADP_FEED_CUT:
        if (phase != ADP_FEED_CONNECT && phase != ADP_FEED_SUBSCRIBE && phase != ADP_FEED_LIVE)
            return 0;
        return cut(state, rules, now_ns, prng);
    case ADP_FEED_BOOK:
        if (phase == ADP_FEED_LIVE && book_ns >= state->live_since_ns)
            state->has_gap = false;
        return 0;
    }
    return 0;
}
