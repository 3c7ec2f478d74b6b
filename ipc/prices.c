/* prices.c: see prices.h. */
#include "ipc/prices.h"

#include "ipc/cells.h"
#include "ipc/seqlock.h"

#include <string.h>

struct ipc_price_cell {
    _Atomic uint64_t sequence; /* writer: the page's; see seqlock.h */
    _Atomic uint64_t words[2]; /* price_e8, mono_ns */
    uint64_t reserved;
};
_Static_assert(sizeof(struct ipc_price_cell) == 32, "four cells to a line pair");

static struct ipc_cells_spec spec(void)
{
    static const struct ipc_layout_field fields[] = {
        IPC_LAYOUT_FIELD(struct ipc_price_cell, sequence),
        IPC_LAYOUT_FIELD(struct ipc_price_cell, words),
        IPC_LAYOUT_FIELD(struct ipc_price_cell, reserved),
    };
    return (struct ipc_cells_spec){.what = "prices",
        .kind = IPC_REGION_PRICES,
        .layout_hash = ipc_layout_hash(fields, LS_COUNT_OF(fields)),
        .cell_bytes = sizeof(struct ipc_price_cell)};
}

static enum ipc_rc open_page(const struct ipc_shm *shm, uint32_t broker, uint32_t instruments,
    bool is_writer, struct ipc_prices *page, struct ipc_error *error)
{
    struct ipc_cells_spec cells = spec();
    void *memory = NULL;
    memset(page, 0, sizeof(*page));
    page->region.fd = -1;
    enum ipc_rc rc = ipc_cells_open(shm, &cells, broker, instruments, is_writer, &page->region,
        &memory, &page->instruments, error);
    page->cells = memory;
    page->is_writer = rc == IPC_OK && is_writer;
    return rc;
}

enum ipc_rc ipc_prices_open_writer(const struct ipc_shm *shm, uint32_t broker, uint32_t instruments,
    struct ipc_prices *page, struct ipc_error *error)
{
    return open_page(shm, broker, instruments, true, page, error);
}

enum ipc_rc ipc_prices_open_reader(
    const struct ipc_shm *shm, uint32_t broker, struct ipc_prices *page, struct ipc_error *error)
{
    return open_page(shm, broker, 0, false, page, error);
}

void ipc_prices_close(struct ipc_prices *page)
{
    ipc_region_detach(&page->region);
    page->cells = NULL;
    page->instruments = 0;
    page->is_writer = 0;
}

static bool believable(const struct ipc_price *price)
{
    return price->price_e8 >= 1 && price->price_e8 <= IPC_PRICE_E8_MAX && price->mono_ns > 0;
}

enum ipc_rc ipc_prices_set(
    struct ipc_prices *page, uint32_t instrument, const struct ipc_price *price)
{
    LS_CHECK(page->is_writer);
    if (instrument == 0 || instrument > page->instruments || !believable(price))
        return IPC_BAD_INPUT;
    struct ipc_price_cell *cell = &page->cells[instrument - 1];
    uint64_t words[2] = {(uint64_t)price->price_e8, (uint64_t)price->mono_ns};
    ipc_seqlock_write(&cell->sequence, cell->words, words, LS_COUNT_OF(words));
    return IPC_OK;
}

enum ipc_rc ipc_prices_get(
    const struct ipc_prices *page, uint32_t instrument, struct ipc_price *out)
{
    if (!page || !page->cells || instrument == 0 || instrument > page->instruments)
        return IPC_EMPTY;
    const struct ipc_price_cell *cell = &page->cells[instrument - 1];
    uint64_t words[2];
    uint64_t seen;
    if (!ipc_seqlock_read(&cell->sequence, cell->words, words, LS_COUNT_OF(words), &seen))
        return IPC_TORN;
    if (seen == 0)
        return IPC_EMPTY;
    struct ipc_price price = {.price_e8 = (int64_t)words[0], .mono_ns = (int64_t)words[1]};
    if (!believable(&price))
        return IPC_BAD_INPUT;
    *out = price;
    return IPC_OK;
}
