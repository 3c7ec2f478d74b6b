#include "engine/config_controls.h"

#include <string.h>

#include "ipc/decimal.h"

#define U32(member)                                                                                \
    CYAML_FIELD_UINT_PTR(                                                                          \
        #member, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct eng_raw_controls, member)
#define TEXT(member)                                                                               \
    CYAML_FIELD_STRING_PTR(                                                                        \
        #member, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct eng_raw_controls, member, 1, 32)

const cyaml_schema_field_t eng_raw_controls_fields[] = {
    U32(slices_per_follower),
    U32(open_orders_max),
    U32(messages_per_second),
    U32(messages_per_minute),
    U32(messages_per_day),
    U32(instrument_openings_per_minute),
    U32(duplicate_window_ms),
    U32(reject_streak),
    U32(broker_reject_streak),
    U32(unknown_per_minute),
    U32(broker_unknown_per_minute),
    U32(repeats_per_minute),
    TEXT(price_collar_pct),
    TEXT(order_qty_max),
    TEXT(order_value_max),
    TEXT(exposure_max),
    CYAML_FIELD_END,
};

void eng_config_controls_defaults(struct eng_controls_config *controls)
{
    /* Far above what copying does by itself, so that what they stop is a fault. */
    *controls = (struct eng_controls_config){.slices_per_follower = 20,
        .duplicate_window_ms = 1000,
        .reject_streak = 100,
        .broker_reject_streak = 5000,
        .unknown_per_minute = 100,
        .broker_unknown_per_minute = 10000,
        .repeats_per_minute = 3000};
}

/* A count that is 0 is not set. */
static bool count_take(
    uint32_t *to, const uint32_t *from, uint32_t most, const char *name, struct ipc_error *error)
{
    if (from == NULL)
        return true;
    if (*from > most) {
        ipc_error_set(
            error, "controls.%s is %u, but may be %u at most; 0 = not limited", name, *from, most);
        return false;
    }
    *to = *from;
    return true;
}

static bool amount_take(
    int64_t *to, const char *from, int64_t most_e8, const char *name, struct ipc_error *error)
{
    int64_t value_e8;
    if (from == NULL)
        return true;
    if (ipc_decimal_parse(from, strlen(from), &value_e8) != IPC_OK || value_e8 < 0 ||
        value_e8 > most_e8) {
        ipc_error_set(error, "controls.%s: '%s' is no decimal number in [0, %lld]; 0 = not limited",
            name, from, (long long)(most_e8 / LS_E8));
        return false;
    }
    *to = value_e8;
    return true;
}

enum ipc_rc eng_config_controls_take(struct eng_controls_config *controls,
    const struct eng_raw_controls *raw, struct ipc_error *error)
{
    const uint32_t most = 100000000, counted = 60000;
    int64_t collar_pct_e8 = controls->price_collar_e8 * 100;
#define COUNT(member, high)  count_take(&controls->member, raw->member, high, #member, error)
#define AMOUNT(member, high) amount_take(&controls->member##_e8, raw->member, high, #member, error)
    bool is_good = COUNT(slices_per_follower, 36) && COUNT(open_orders_max, 1000000) &&
                   COUNT(messages_per_second, most) && COUNT(messages_per_minute, most) &&
                   COUNT(messages_per_day, most) && COUNT(instrument_openings_per_minute, most) &&
                   COUNT(duplicate_window_ms, 86400000) && COUNT(reject_streak, counted) &&
                   COUNT(broker_reject_streak, counted) && COUNT(unknown_per_minute, counted) &&
                   COUNT(broker_unknown_per_minute, counted) &&
                   COUNT(repeats_per_minute, counted) &&
                   amount_take(&collar_pct_e8, raw->price_collar_pct, 100 * LS_E8,
                       "price_collar_pct", error) &&
                   AMOUNT(order_qty_max, INT64_C(1000000000) * LS_E8) &&
                   AMOUNT(order_value_max, INT64_C(90000000000) * LS_E8) &&
                   AMOUNT(exposure_max, INT64_C(90000000000) * LS_E8);
#undef COUNT
#undef AMOUNT
    controls->price_collar_e8 = collar_pct_e8 / 100;
    return is_good ? IPC_OK : IPC_BAD_INPUT;
}
