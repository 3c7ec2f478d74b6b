#include "adapters/ingest/market_wanted.h"

#include <stdlib.h>
#include <string.h>

void adp_market_wanted_init(struct adp_market_wanted *wanted, uint32_t most)
{
    *wanted = (struct adp_market_wanted){.most = most};
    wanted->instruments = calloc(most > 0 ? most : 1, sizeof(*wanted->instruments));
    LS_CHECK(wanted->instruments != NULL);
}

void adp_market_wanted_free(struct adp_market_wanted *wanted)
{
    free(wanted->instruments);
    free(wanted->seen);
    *wanted = (struct adp_market_wanted){.most = 0};
}

bool adp_market_wanted_add(struct adp_market_wanted *wanted, uint32_t id)
{
    LS_CHECK(id > 0 && id < UINT32_C(1) << 28);
    if (adp_market_wanted_has(wanted, id))
        return false;
    if (wanted->count == wanted->most) {
        wanted->refused++;
        return false;
    }
    if (id / 64 >= wanted->seen_words) {
        const uint32_t words = (id / 64 + 1) * 2;
        wanted->seen = realloc(wanted->seen, words * sizeof(*wanted->seen));
        LS_CHECK(wanted->seen != NULL);
        memset(wanted->seen + wanted->seen_words, 0,
            (words - wanted->seen_words) * sizeof(*wanted->seen));
        wanted->seen_words = words;
    }
    wanted->seen[id / 64] |= UINT64_C(1) << id % 64;
    wanted->instruments[wanted->count++] = id;
    return true;
}
