#include "adapters/ingest/market_held.h"

#include <stdlib.h>
#include <string.h>

#include "adapters/ingest/market_call.h"
#include "ipc/clock.h"
#include "ipc/log.h"

/* Calls are this far apart: a round of many accounts must not look like a burst. */
#define GAP_NS  (50 * LS_NS_PER_MS)

/* Nothing is asked before the first books have been. */
#define LEAD_NS LS_NS_PER_S

struct adp_market_held {
    struct adp_market_held_work work;
    struct adp_market_caller *caller;
    struct adp_market_token token;
    uint32_t next;     /* index of the account that is asked next, masters after all others */
    bool masters;      /* the round has come to masters */
    bool holdings;     /* of the account under way: positions have been */
    uint32_t broker;   /* of the account under way */
    uint32_t failures; /* of this round */
    uint32_t asked;
    int64_t due_ns;
};

static void each_held(enum ipc_exchange exchange, struct adp_span token, void *context)
{
    const struct adp_market_held *held = context;
    held->work.want(adp_live_find_instrument_at(held->work.live, held->broker, exchange, token),
        held->work.context);
}

static void on_called(uint32_t http_status, struct adp_span body, const char *why, void *context)
{
    struct adp_market_held *held = context;
    (void)why;
    const enum adp_rc rc = http_status == 0
                               ? ADP_MALFORMED
                               : held->work.market->decode_held(http_status, body, each_held, held);
    held->failures += rc != ADP_OK;
    held->due_ns = ipc_clock_mono_ns() + GAP_NS;
    if (!held->holdings && rc != ADP_AUTH) {
        held->holdings = true;
        return;
    }
    held->holdings = false;
    held->next++;
    adp_market_token_forget(&held->token);
}

/* The next account of the round that may be asked, NULL at its end. */
static const struct ipc_row_account *next_account(struct adp_market_held *held)
{
    const struct ipc_snapshot_view *view = adp_live_view(held->work.live);
    for (;; held->next++) {
        if (held->next >= view->account_count) {
            if (held->masters)
                return NULL;
            held->masters = true;
            held->next = 0;
        }
        if (view->account_count == 0)
            return NULL;
        const struct ipc_row_account *row = &view->accounts[held->next];
        const bool is_master = (row->roles & IPC_ROLE_MASTER) != 0;
        if (row->account != 0 && row->roles != 0 && row->token_bytes > 0 &&
            is_master == held->masters && (row->flags & IPC_ACCOUNT_DISABLED) == 0 &&
            strcmp(view->brokers[row->broker].dialect, held->work.dialect->name) == 0)
            return row;
    }
}

static void end_round(struct adp_market_held *held, int64_t now)
{
    if (held->asked > 0)
        ipc_log(held->failures == 0 ? IPC_LOG_DEBUG : IPC_LOG_INFO,
            "what %u accounts hold was asked for its prices' sake, %u calls had no list",
            held->asked, held->failures);
    held->due_ns = now + (held->asked > 0 ? held->work.every_ns : LEAD_NS);
    held->next = held->asked = held->failures = 0;
    held->masters = held->holdings = false;
}

int64_t adp_market_held_step(struct adp_market_held *held)
{
    const struct adp_market *market = held->work.market;
    if (!adp_market_caller_is_idle(held->caller))
        return adp_market_caller_step(held->caller);
    const int64_t now = ipc_clock_mono_ns();
    if (now < held->due_ns)
        return held->due_ns - now;
    if (adp_live_view(held->work.live) == NULL)
        return LEAD_NS;
    const uint32_t before = held->next;
    const struct ipc_row_account *row = next_account(held);
    if (row == NULL) {
        end_round(held, now);
        return held->due_ns - now;
    }
    if (held->next != before)
        held->holdings = false; /* the account under way is gone */
    const struct ipc_snapshot_view *view = adp_live_view(held->work.live);
    held->broker = row->broker;
    held->asked += !held->holdings;
    if (!adp_market_token_open(
            &held->token, held->work.key, &held->work.dialect->auth, view, row) ||
        !adp_market_caller_start(held->caller, &view->brokers[row->broker], row,
            held->holdings ? market->holdings_path : market->positions_path, held->token.header,
            NULL, on_called, held)) {
        held->failures++;
        held->holdings = false;
        held->next++;
    }
    return 0;
}

struct adp_market_held *adp_market_held_open(
    const struct adp_market_held_work *work, struct ipc_error *error)
{
    struct adp_market_held *held = calloc(1, sizeof(*held));
    LS_CHECK(held != NULL);
    held->work = *work;
    held->due_ns = ipc_clock_mono_ns() + LEAD_NS;
    held->caller = adp_market_caller_open();
    if (held->caller == NULL)
        ipc_error_set(error, "libcurl cannot start");
    if (held->caller != NULL && adp_market_token_make(&held->token, error))
        return held;
    adp_market_caller_close(held->caller);
    free(held);
    return NULL;
}

void adp_market_held_close(struct adp_market_held *held)
{
    if (held == NULL)
        return;
    adp_market_caller_close(held->caller);
    adp_market_token_free(&held->token);
    free(held);
}
