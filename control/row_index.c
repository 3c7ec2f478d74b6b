#include "control/row_index.h"

#include <stdlib.h>

void ctl_row_index_init(struct ctl_row_index *index, uint32_t expected)
{
    uint32_t room = 1024;
    while (room < 2 * (uint64_t)expected && room < UINT32_C(1) << 31)
        room *= 2;
    *index = (struct ctl_row_index){.cells = calloc(room, sizeof(*index->cells)), .room = room};
    LS_CHECK(index->cells != NULL);
}

void ctl_row_index_free(struct ctl_row_index *index)
{
    free(index->cells);
    *index = (struct ctl_row_index){0};
}

uint32_t ctl_row_index_find(const struct ctl_row_index *index, uint64_t hash,
    ctl_row_equal_fn equal, const void *wanted, const void *context)
{
    const uint32_t mark = (uint32_t)(hash >> 32);
    for (uint32_t at = mark & (index->room - 1);; at = (at + 1) & (index->room - 1)) {
        const uint64_t cell = index->cells[at];
        if (cell == 0)
            return CTL_ROW_ABSENT;
        if ((uint32_t)(cell >> 32) == mark && equal((uint32_t)cell - 1, wanted, context))
            return (uint32_t)cell - 1;
    }
}

static void place(uint64_t *cells, uint32_t room, uint32_t low, uint64_t cell)
{
    uint32_t at = low & (room - 1);
    while (cells[at] != 0)
        at = (at + 1) & (room - 1);
    cells[at] = cell;
}

/* A cell keeps the half of the hash that compares, and the place comes from it too, so that the
 * table can grow without its rows. */
void ctl_row_index_add(struct ctl_row_index *index, uint64_t hash, uint32_t row)
{
    LS_CHECK(row < CTL_ROW_ABSENT);
    if (2 * (uint64_t)(index->count + 1) > index->room) {
        const uint32_t room = index->room * 2;
        uint64_t *cells = calloc(room, sizeof(*cells));
        LS_CHECK(cells != NULL && room != 0);
        for (uint32_t i = 0; i < index->room; i++)
            if (index->cells[i] != 0)
                place(cells, room, (uint32_t)(index->cells[i] >> 32), index->cells[i]);
        free(index->cells);
        index->cells = cells;
        index->room = room;
    }
    const uint32_t mark = (uint32_t)(hash >> 32);
    place(index->cells, index->room, mark, (uint64_t)mark << 32 | (row + 1));
    index->count++;
}
