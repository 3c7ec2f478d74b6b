/* accounts.c: see accounts.h. */
#include "ipc/accounts.h"

#include "ipc/cells.h"
#include "ipc/seqlock.h"

#include <string.h>

struct ipc_account_cell {
    _Atomic uint64_t sequence; /* writer: the page's; see seqlock.h */
    _Atomic uint64_t words[4]; /* equity_e8, cash_e8, margin_used_e8, mono_ns */
    uint64_t reserved[3];
};
_Static_assert(sizeof(struct ipc_account_cell) == 64, "two cells to a line pair");

static struct ipc_cells_spec spec(void)
{
    static const struct ipc_layout_field fields[] = {
        IPC_LAYOUT_FIELD(struct ipc_account_cell, sequence),
        IPC_LAYOUT_FIELD(struct ipc_account_cell, words),
        IPC_LAYOUT_FIELD(struct ipc_account_cell, reserved),
    };
    return (struct ipc_cells_spec){.what = "accounts",
        .kind = IPC_REGION_ACCOUNTS,
        .layout_hash = ipc_layout_hash(fields, LS_COUNT_OF(fields)),
        .cell_bytes = sizeof(struct ipc_account_cell)};
}

static enum ipc_rc open_page(const struct ipc_shm *shm, uint32_t broker, uint32_t accounts,
    bool is_writer, struct ipc_accounts *page, struct ipc_error *error)
{
    struct ipc_cells_spec cells = spec();
    void *memory = NULL;
    memset(page, 0, sizeof(*page));
    page->region.fd = -1;
    enum ipc_rc rc = ipc_cells_open(
        shm, &cells, broker, accounts, is_writer, &page->region, &memory, &page->accounts, error);
    page->cells = memory;
    page->is_writer = rc == IPC_OK && is_writer;
    return rc;
}

enum ipc_rc ipc_accounts_open_writer(const struct ipc_shm *shm, uint32_t broker, uint32_t accounts,
    struct ipc_accounts *page, struct ipc_error *error)
{
    return open_page(shm, broker, accounts, true, page, error);
}

enum ipc_rc ipc_accounts_open_reader(
    const struct ipc_shm *shm, uint32_t broker, struct ipc_accounts *page, struct ipc_error *error)
{
    return open_page(shm, broker, 0, false, page, error);
}

void ipc_accounts_close(struct ipc_accounts *page)
{
    ipc_region_detach(&page->region);
    page->cells = NULL;
    page->accounts = 0;
    page->is_writer = 0;
}

static bool within(int64_t amount_e8, int64_t lowest_e8)
{
    return amount_e8 >= lowest_e8 && amount_e8 <= IPC_MONEY_E8_MAX;
}

static bool believable(const struct ipc_account_money *money)
{
    return within(money->equity_e8, -IPC_MONEY_E8_MAX) &&
           within(money->cash_e8, -IPC_MONEY_E8_MAX) && within(money->margin_used_e8, 0) &&
           money->mono_ns > 0;
}

enum ipc_rc ipc_accounts_set(
    struct ipc_accounts *page, uint32_t account, const struct ipc_account_money *money)
{
    LS_CHECK(page->is_writer);
    if (account == 0 || account > page->accounts || !believable(money))
        return IPC_BAD_INPUT;
    struct ipc_account_cell *cell = &page->cells[account - 1];
    uint64_t words[4] = {(uint64_t)money->equity_e8, (uint64_t)money->cash_e8,
        (uint64_t)money->margin_used_e8, (uint64_t)money->mono_ns};
    ipc_seqlock_write(&cell->sequence, cell->words, words, LS_COUNT_OF(words));
    return IPC_OK;
}

enum ipc_rc ipc_accounts_get(
    const struct ipc_accounts *page, uint32_t account, struct ipc_account_money *out)
{
    if (!page || !page->cells || account == 0 || account > page->accounts)
        return IPC_EMPTY;
    const struct ipc_account_cell *cell = &page->cells[account - 1];
    uint64_t words[4];
    uint64_t seen;
    if (!ipc_seqlock_read(&cell->sequence, cell->words, words, LS_COUNT_OF(words), &seen))
        return IPC_TORN;
    if (seen == 0)
        return IPC_EMPTY;
    struct ipc_account_money money = {.equity_e8 = (int64_t)words[0],
        .cash_e8 = (int64_t)words[1],
        .margin_used_e8 = (int64_t)words[2],
        .mono_ns = (int64_t)words[3]};
    if (!believable(&money))
        return IPC_BAD_INPUT;
    *out = money;
    return IPC_OK;
}
