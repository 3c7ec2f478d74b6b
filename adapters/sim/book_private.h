/* book_private.h: the shapes that book.c (records and requests) and exchange.c (matching and money)
 * share. */
#ifndef LS_ADP_SIM_BOOK_PRIVATE_H
#define LS_ADP_SIM_BOOK_PRIVATE_H

#include "adapters/sim/book.h"

/* Records that never move: blocks of 1,024, made as they fill. */
#define ADP_SIM_BLOCK_RECORDS 1024u

struct adp_sim_records {
    size_t record_bytes;
    uint32_t count, block_count, block_capacity;
    char **blocks;
};

void *adp_sim_records_at(const struct adp_sim_records *records, uint32_t index);
void *adp_sim_records_add(struct adp_sim_records *records); /* zeroed */

/* Open addressing: a slot holds an index plus one, 0 is free. */
struct adp_sim_map {
    uint32_t *slots;
    uint32_t capacity, count;
};

struct adp_sim_listing { /* an instrument and its working orders, oldest first */
    struct adp_sim_instrument instrument;
    uint32_t working_first, working_last;
};

struct adp_sim_book {
    struct adp_sim_book_config config;
    struct adp_sim_prng prng;
    struct adp_sim_records listings, accounts, orders, trades, acts, addresses;
    struct adp_sim_map by_token, by_symbol, by_account, by_address;
    uint32_t
        *waiting; /* orders that the exchange has not seen, by due time (the latency is constant) */
    uint32_t waiting_first, waiting_count, waiting_capacity;
    struct adp_sim_book_watch watch;
};

static inline struct adp_sim_order *adp_sim_order_at(
    const struct adp_sim_book *book, uint32_t index)
{
    return adp_sim_records_at(&book->orders, index);
}

static inline struct adp_sim_account *adp_sim_account_at(
    const struct adp_sim_book *book, uint32_t index)
{
    return adp_sim_records_at(&book->accounts, index);
}

static inline struct adp_sim_listing *adp_sim_listing_at(
    const struct adp_sim_book *book, uint32_t index)
{
    return adp_sim_records_at(&book->listings, index);
}

/* adp_sim_book_tell reports a change to the watcher, if there is one. */
static inline void adp_sim_book_tell(
    const struct adp_sim_book *book, uint32_t order, enum adp_sim_report report, uint32_t trade)
{
    if (book->watch.order != NULL)
        book->watch.order(book->watch.context, order, report, trade);
}

/* adp_sim_exchange_see checks a PENDING order as risk desk and exchange do, rejects it or lets it
 * work and match. */
void adp_sim_exchange_see(struct adp_sim_book *book, uint32_t order, int64_t wall_ns);

/* adp_sim_exchange_modify applies valid new terms to a working order, or leaves it and notes the
 * reason. */
void adp_sim_exchange_modify(struct adp_sim_book *book, uint32_t order,
    const struct adp_sim_change *change, int64_t wall_ns);

/* adp_sim_exchange_cancel takes a live order out of the market. */
void adp_sim_exchange_cancel(struct adp_sim_book *book, uint32_t order, int64_t wall_ns);

#endif
