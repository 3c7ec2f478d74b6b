/* row_index.h: rows found by a hash of their own: a table of row numbers for files with hundreds of
 * thousands of rows. Control plane only; one thread. */
#ifndef LS_CONTROL_ROW_INDEX_H
#define LS_CONTROL_ROW_INDEX_H

#include "ipc/base.h"

struct ctl_row_index {
    uint64_t *cells; /* hash (high 32 bits) and row number + 1; 0 = free */
    uint32_t room, count;
};

#define CTL_ROW_ABSENT UINT32_MAX

/* Whether the row is the one that is looked for. */
typedef bool (*ctl_row_equal_fn)(uint32_t row, const void *wanted, const void *context);

void ctl_row_index_init(struct ctl_row_index *index, uint32_t expected);
void ctl_row_index_free(struct ctl_row_index *index);

/* ctl_row_index_find returns the row that `equal` accepts, CTL_ROW_ABSENT when there is none. */
uint32_t ctl_row_index_find(const struct ctl_row_index *index, uint64_t hash,
    ctl_row_equal_fn equal, const void *wanted, const void *context);

/* ctl_row_index_add adds a row that is not there; row < CTL_ROW_ABSENT. */
void ctl_row_index_add(struct ctl_row_index *index, uint64_t hash, uint32_t row);

#endif
