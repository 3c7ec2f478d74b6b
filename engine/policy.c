#include "engine/policy.h"

void eng_policy_fill(const struct ipc_row_broker *row, const struct adp_capabilities *can,
    struct eng_broker_policy *out)
{
    *out = (struct eng_broker_policy){
        .orders_per_second =
            row->orders_per_second ? row->orders_per_second : can->orders_per_second,
        .orders_per_minute =
            row->orders_per_minute ? row->orders_per_minute : can->orders_per_minute,
        .orders_per_day = row->orders_per_day ? row->orders_per_day : can->orders_per_day,
        .address_orders_per_second = row->address_orders_per_second,
        .modifications_max = can->modifications_max,
        .refuses_market = can->refuses_market,
        .no_pacing = (row->flags & IPC_BROKER_NO_PACING) != 0,
        .idempotency = (uint8_t)can->idempotency,
        .one_in_flight = can->idempotency == ADP_IDEMPOTENCY_NONE,
        .book_by_tag = can->book_by_tag,
        .book_lag_ns = can->book_lag_ns,
        .dedupe_window_ns = can->dedupe_window_ns,
    };
}
