#include "engine/core/copied.h"

#include "engine/core/core_private.h"

/* The follower's account: its slot's row, as long as that is still this follower's. */
static bool is_of(
    const struct eng_core *core, const struct eng_position *position, uint32_t account)
{
    const struct ipc_snapshot_view *view = core->view;
    if (position->slot >= view->follower_slots)
        return false;
    const struct ipc_row_follower *row = &view->followers[position->slot];
    return row->follower_no == position->follower_no && row->account == account;
}

bool eng_copied_next(const struct eng_core *core, uint32_t account, uint32_t *cursor, uint32_t max,
    struct eng_copied *out)
{
    const uint32_t count = core->view != NULL ? core->fold.position_count : 0;
    for (uint32_t looked = 0; *cursor < count; looked++) {
        if (looked == max)
            return false;
        const struct eng_position *position = &core->positions[(*cursor)++];
        if (position->held_e8 == 0 || !is_of(core, position, account))
            continue;
        *out = (struct eng_copied){
            .follower_no = position->follower_no,
            .instrument = position->instrument,
            .product = position->product,
            .qty_e8 = position->held_e8,
        };
        return true;
    }
    *cursor = 0;
    return false;
}
