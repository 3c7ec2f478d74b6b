/* pool.h: one block order split between accounts (SEMANTICS 1, POOLED): exact shares, each a whole
 * number of lots, never more than the block. Pure. */
#ifndef LS_ENGINE_CORE_PIPELINE_POOL_H
#define LS_ENGINE_CORE_PIPELINE_POOL_H

#include "ipc/base.h"
#include "ipc/rc.h"

#define ENG_POOL_MAX 4096

/* What happens to the lots that floors leave over. */
enum eng_pool_rest {
    ENG_POOL_DISTRIBUTE = 0,       /* one lot each, in the accounts' order, until used */
    ENG_POOL_LARGEST_FRACTION = 1, /* one lot each, to who lost most by the floor; ties in order */
    ENG_POOL_DROP = 2,             /* nobody gets them */
};

/* eng_pool_split splits qty_e8 by weights.
 *   lot_e8   > 0; what is below a lot of the block is nobody's
 *   weights  count of them, [1, ENG_POOL_MAX], each >= 0: shares, ratios or net liquidations
 *   out      count quantities, multiples of the lot; their sum is at most qty_e8, and equal to its
 *            whole lots unless `rest` is DROP
 *   returns  IPC_OK; IPC_BAD_INPUT when every weight is 0, one is negative, or a size is out of
 *            range; out is then all zero */
LS_MUST_USE enum ipc_rc eng_pool_split(int64_t qty_e8, int64_t lot_e8, const int64_t *weights,
    uint32_t count, enum eng_pool_rest rest, int64_t *out);

#endif
