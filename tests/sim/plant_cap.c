/* A planted bug: an order whose outcome is unknown is no exposure: it does not count towards a cap.
 * In place of children.c in lockstep-sim-plant-cap; plant_cap_bars.c lets further entries go beside
 * it. */
#include "engine/core/lifecycle.h"

#define eng_state_exposed(state) ((eng_state_exposed)(state) && !eng_state_in_doubt(state))

#include "engine/core/children.c"
