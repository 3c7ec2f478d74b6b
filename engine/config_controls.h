/* config_controls.h: the part `controls` of an engine's configuration: the pre-trade controls of
 * the whole shard (engine/core/step.h, struct eng_controls_config). Private to config.c. */
#ifndef LS_ENGINE_CONFIG_CONTROLS_H
#define LS_ENGINE_CONFIG_CONTROLS_H

#include <cyaml/cyaml.h>

#include "engine/core/step.h"

/* As libcyaml fills it: NULL = not in the file. Amounts are text, so that they stay exact. */
struct eng_raw_controls {
    uint32_t *slices_per_follower, *open_orders_max;
    uint32_t *messages_per_second, *messages_per_minute, *messages_per_day;
    uint32_t *instrument_openings_per_minute;
    uint32_t *duplicate_window_ms;
    uint32_t *reject_streak, *broker_reject_streak;
    uint32_t *unknown_per_minute, *broker_unknown_per_minute;
    uint32_t *repeats_per_minute;
    char *price_collar_pct, *order_qty_max, *order_value_max, *exposure_max;
};
extern const cyaml_schema_field_t eng_raw_controls_fields[];

/* eng_config_controls_defaults fills in what holds where the file says nothing. */
void eng_config_controls_defaults(struct eng_controls_config *controls);

/* eng_config_controls_take takes the file's values over them.
 *   returns  IPC_OK, or IPC_BAD_INPUT with one sentence in *error */
LS_MUST_USE enum ipc_rc eng_config_controls_take(struct eng_controls_config *controls,
    const struct eng_raw_controls *raw, struct ipc_error *error);

#endif
