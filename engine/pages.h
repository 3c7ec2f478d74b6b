/* pages.h: what is sampled from outside before a decision: switch words, last prices, money. The
 * pinned thread samples with it before each batch, lockstep-whatif before it asks what would be
 * decided: one reading of the pages, so that both see the same.
 *
 * All pages are mapped read-only. What cannot be read is unknown (time 0), and without a switches
 * page everything is halted. One thread. Inline: it runs once per follower of a wave. */
#ifndef LS_ENGINE_PAGES_H
#define LS_ENGINE_PAGES_H

#include "engine/core/step.h"
#include "ipc/accounts.h"
#include "ipc/prices.h"
#include "ipc/switches.h"

struct eng_pages {
    struct ipc_switches switches;
    bool has_switches;
    uint8_t clock_word;       /* close-only from a step of the wall clock until its fact is journaled */
    uint8_t halt_word;        /* of the halt file */
    uint64_t switch_sequence; /* read before any word */
    struct ipc_prices prices[IPC_SWITCHES_BROKERS]; /* by broker number; cells NULL = no page */
    struct ipc_accounts money[IPC_SWITCHES_BROKERS];
};

static inline uint8_t eng_stricter(uint32_t a, uint32_t b)
{
    return (uint8_t)(a > b ? a : b);
}

/* eng_pages_batch_word returns the strictest word of a whole batch: everything, master, instrument,
 * halt file and clock.
 *   instrument  0 = not known: it has no word, and nothing is sent for it either */
static inline uint8_t eng_pages_batch_word(
    const struct eng_pages *pages, uint32_t master, uint32_t instrument)
{
    if (!pages->has_switches)
        return IPC_SWITCH_HALT;
    const struct ipc_switches *page = &pages->switches;
    uint8_t word = eng_stricter(pages->halt_word, ipc_switch_word(page->everything, 1, 0));
    word = eng_stricter(word, pages->clock_word);
    word = eng_stricter(word, ipc_switch_word(page->accounts, page->shape.accounts, master - 1));
    if (instrument != 0)
        word = eng_stricter(
            word, ipc_switch_word(page->instruments, page->shape.instruments, instrument - 1));
    return word;
}

/* eng_pages_follower_word returns the strictest of a follower's own: its broker's and its slot's.
 */
static inline uint8_t eng_pages_follower_word(
    const struct eng_pages *pages, uint32_t broker, uint32_t slot)
{
    if (!pages->has_switches)
        return IPC_SWITCH_HALT;
    const struct ipc_switches *page = &pages->switches;
    return eng_stricter(ipc_switch_word(page->brokers, IPC_SWITCHES_BROKERS, broker),
        ipc_switch_word(page->slots, page->shape.slots, slot));
}

/* eng_pages_row returns the row of a slot, NULL when nobody has it: a batch that settles names
 * children whose follower may have left the snapshot. */
static inline const struct ipc_row_follower *eng_pages_row(
    const struct ipc_snapshot_view *view, uint32_t slot)
{
    if (slot >= view->follower_slots || view->followers[slot].follower_no == 0)
        return NULL;
    return &view->followers[slot];
}

/* eng_pages_follower samples one follower.
 *   can_send  whether a connection takes one more order of its account */
static inline void eng_pages_follower(const struct eng_pages *pages,
    const struct ipc_row_follower *row, uint32_t slot, bool can_send,
    struct eng_follower_sample *sample)
{
    *sample = (struct eng_follower_sample){
        .switch_word = eng_pages_follower_word(pages, row->broker, slot),
        .can_send = can_send,
    };
    /* Plain ratios and fixed quantities without a policy ask for no capital. */
    bool asks = (row->mode != IPC_MODE_FIXED_RATIO && row->mode != IPC_MODE_FIXED_QUANTITY) ||
                row->policy != 0;
    struct ipc_account_money money;
    /* A failed read is an unknown capital: time 0. */
    if (asks && ipc_accounts_get(&pages->money[row->broker], row->account, &money) == IPC_OK) {
        sample->capital_e8 = money.equity_e8;
        sample->balance_e8 = money.cash_e8;
        sample->free_e8 = money.equity_e8 - money.margin_used_e8;
        sample->capital_mono_ns = money.mono_ns;
    }
}

/* eng_pages_mapped samples what a follower trades in place of the batch's instrument: its price and
 * its switch word. For where eng_batch_instrument is asked. */
static inline void eng_pages_mapped(const struct eng_pages *pages,
    const struct ipc_row_follower *row, uint32_t instrument, struct eng_follower_sample *sample)
{
    struct ipc_price price;
    sample->instrument = instrument;
    if (pages->has_switches)
        sample->switch_word = eng_stricter(
            sample->switch_word, ipc_switch_word(pages->switches.instruments,
                                     pages->switches.shape.instruments, instrument - 1));
    if (ipc_prices_get(&pages->prices[row->broker], instrument, &price) == IPC_OK) {
        sample->price_e8 = price.price_e8;
        sample->price_mono_ns = price.mono_ns;
    }
}

/* eng_pages_is_mapped: the follower may trade another instrument than the batch's. */
static inline bool eng_pages_is_mapped(
    const struct eng_batch *batch, const struct ipc_row_follower *row)
{
    return row->map != 0 || batch->is_exit || batch->wave == 0;
}

/* eng_pages_batch samples what counts for a whole batch, but for generation, clocks and journal:
 * the word, the master's account for modes that divide by it, and the last price.
 *   broker   whose page the price is from: that of the batch's first follower
 *   sample   the other fields are left as they are */
static inline void eng_pages_batch(const struct eng_pages *pages,
    const struct ipc_snapshot_view *view, uint32_t broker, uint32_t master, uint32_t instrument,
    struct eng_batch_sample *sample)
{
    struct ipc_price price;
    struct ipc_account_money money;
    sample->switch_sequence = pages->switch_sequence;
    sample->switch_word = eng_pages_batch_word(pages, master, instrument);
    const struct ipc_row_account *account =
        master != 0 && master <= view->account_count ? &view->accounts[master - 1] : NULL;
    if (account != NULL && account->broker < IPC_SWITCHES_BROKERS &&
        ipc_accounts_get(&pages->money[account->broker], master, &money) == IPC_OK) {
        sample->master_equity_e8 = money.equity_e8;
        sample->master_balance_e8 = money.cash_e8;
        sample->master_free_e8 = money.equity_e8 - money.margin_used_e8;
        sample->master_capital_mono_ns = money.mono_ns;
    }
    if (instrument != 0 && ipc_prices_get(&pages->prices[broker], instrument, &price) == IPC_OK) {
        sample->price_e8 = price.price_e8;
        sample->price_mono_ns = price.mono_ns;
    }
}

#endif
