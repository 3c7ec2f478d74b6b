/* instruments.h: a snapshot's instruments by what a broker calls them: the exchange's token, or the
 * trading symbol.
 *
 * Where brokers differ, the same token may be two instruments: what counts at a broker is its own
 * row of the contract table, or the instrument's own row when no broker has any. What is listed
 * goes before what is gone, because an exchange gives the token of an expired contract to another.
 *
 * Allocates when it is built. One thread. */
#ifndef LS_ADAPTERS_INSTRUMENTS_H
#define LS_ADAPTERS_INSTRUMENTS_H

#include "adapters/span.h"
#include "ipc/rows.h"

#define ADP_ANY_BROKER UINT32_MAX

struct adp_instruments; /* an index of one view */

/* adp_instruments_build makes the index.
 *   view     stays the caller's and outlives the index
 *   returns  never NULL; adp_instruments_free frees it */
struct adp_instruments *adp_instruments_build(const struct ipc_snapshot_view *view);
void adp_instruments_free(struct adp_instruments *index);

/* adp_instruments_find looks for the token, else for the symbol.
 *   broker   a broker's number, or ADP_ANY_BROKER: by the instruments' own rows
 *   returns  the instrument, 0 when there is none */
uint32_t adp_instruments_find(const struct adp_instruments *index, uint32_t broker,
    enum ipc_exchange exchange, struct adp_span text);

#endif
