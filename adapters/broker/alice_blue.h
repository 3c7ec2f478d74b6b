/* alice_blue.h: the dialect of Alice Blue's open API, version 2 (paths under /open-api/od/v1).
 *
 * Facts come from the official pages of v2api.aliceblueonline.com ("Orders", "Funds", "Webhooks",
 * "Error Code", "Appendix", "Rates Limits"; read in August 2026) and its Postman collection. What
 * only other clients or other brokers of the same family show is marked so where it is used. */
#ifndef LS_ADAPTERS_BROKER_ALICE_BLUE_H
#define LS_ADAPTERS_BROKER_ALICE_BLUE_H

#include "adapters/broker/dialect.h"

extern const struct adp_dialect adp_alice_blue;

#endif
