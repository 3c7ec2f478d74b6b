/* policy.h: what the core must know of a broker, from its row and its dialect. Pure; any thread. */
#ifndef LS_ENGINE_POLICY_H
#define LS_ENGINE_POLICY_H

#include "adapters/broker/dialect.h"
#include "engine/core/step.h"

/* eng_policy_fill: values of the row go before those of the dialect.
 *   row  in use (live) */
void eng_policy_fill(const struct ipc_row_broker *row, const struct adp_capabilities *can,
    struct eng_broker_policy *out);

#endif
