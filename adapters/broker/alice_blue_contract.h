/* alice_blue_contract.h: Alice Blue's contract files, one per exchange
 * (v2api.aliceblueonline.com/restpy/static/contract_master/V2/<EXCH>.csv, "Contract Master", read
 * August 2026). */
#ifndef LS_ADAPTERS_BROKER_ALICE_BLUE_CONTRACT_H
#define LS_ADAPTERS_BROKER_ALICE_BLUE_CONTRACT_H

#include "adapters/broker/contract.h"

extern const struct adp_contract_format adp_alice_blue_contracts;

#endif
