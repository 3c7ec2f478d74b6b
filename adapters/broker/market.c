#include "adapters/broker/market.h"

#include <string.h>

#include "adapters/broker/alice_blue_market.h"

const struct adp_market *adp_market_find(const char *dialect)
{
    return strcmp(dialect, "alice-blue") == 0 ? &adp_alice_blue_market : NULL;
}
