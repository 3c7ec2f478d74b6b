/* alice_blue_market.h: Alice Blue's market-data socket ("Websocket", v2api.aliceblueonline.com,
 * read August 2026; calls and hash as its SDK pya3 makes them). */
#ifndef LS_ADAPTERS_BROKER_ALICE_BLUE_MARKET_H
#define LS_ADAPTERS_BROKER_ALICE_BLUE_MARKET_H

#include "adapters/broker/market.h"

extern const struct adp_market adp_alice_blue_market;

#endif
