/* market_wanted.h: which instruments need a price: each is wanted from the first time it is seen
 * until the process ends, up to a bound. The order in which they came is kept, so that whoever
 * follows the list needs a cursor only. One thread. */
#ifndef LS_ADAPTERS_INGEST_MARKET_WANTED_H
#define LS_ADAPTERS_INGEST_MARKET_WANTED_H

#include "ipc/base.h"

struct adp_market_wanted {
    uint32_t *instruments; /* ids, oldest first */
    uint32_t count, most;
    uint64_t *seen; /* a bit per id */
    uint32_t seen_words;
    uint64_t refused; /* beyond the bound */
};

void adp_market_wanted_init(struct adp_market_wanted *wanted, uint32_t most);
void adp_market_wanted_free(struct adp_market_wanted *wanted);

/* adp_market_wanted_has is one look at a bit. */
static inline bool adp_market_wanted_has(const struct adp_market_wanted *wanted, uint32_t id)
{
    return id / 64 < wanted->seen_words && (wanted->seen[id / 64] >> id % 64 & 1) != 0;
}

/* adp_market_wanted_add adds an id, [1, 2^28); a known one is no change.
 *   returns  true when it is new and fits */
bool adp_market_wanted_add(struct adp_market_wanted *wanted, uint32_t id);

#endif
