/* The other half of plant_cap.c, in place of positions.c: entries go beside an order in doubt. */
#include "engine/core/positions.h"

bool eng_position_unknown_planted(
    const struct eng_core *core, uint32_t slot, uint32_t follower_no, uint32_t instrument);

#define eng_position_unknown eng_position_unknown_planted
#include "engine/core/positions.c"
#undef eng_position_unknown

bool eng_position_unknown(
    const struct eng_core *core, uint32_t slot, uint32_t follower_no, uint32_t instrument)
{
    (void)core, (void)slot, (void)follower_no, (void)instrument;
    return false;
}
