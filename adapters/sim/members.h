/* members.h: who may call the simulated broker: tokens, registered source addresses, and how fast
 * each may call.
 *
 * A member is the login of one account of the book and has its number. Main thread only. Tokens are
 * kept in memory and are never logged. */
#ifndef LS_ADP_SIM_MEMBERS_H
#define LS_ADP_SIM_MEMBERS_H

#include "adapters/sim/book.h"

#define ADP_SIM_ADDRESSES_MAX 8

struct adp_sim_member {
    char *token;
    bool expired, read_only;
    uint8_t token_answer; /* enum adp_sim_token_answer, as configured */
    uint32_t address_count;
    char addresses[ADP_SIM_ADDRESSES_MAX][48];
    int64_t book_lag_ns; /* orders younger than this are not in the order book yet */

    /* the broker's calendar second and quarter of an hour */
    int64_t second;
    uint32_t calls_in_second[ADP_SIM_EXCHANGE_COUNT];
    uint32_t orders_in_second, orders_in_second_max;
    int64_t quarter;
    uint32_t reads_in_quarter;
    uint64_t reads;
    uint64_t breaches;
};

struct adp_sim_members {
    struct adp_sim_member *rows; /* by account number */
    uint32_t count;
    uint32_t *slots; /* open addressing by token: account number plus one */
    uint32_t capacity;
    uint32_t orders_per_second; /* per account and exchange; 0 is off */
    uint32_t reads_per_quarter; /* per account; 0 is off */
};

/* adp_sim_members_add adds the login of account number members->count.
 *   token     not empty, at most 8,191 characters, of no other member
 *   returns   false when the token is refused */
LS_MUST_USE bool adp_sim_members_add(struct adp_sim_members *members, const char *token);
void adp_sim_members_free(struct adp_sim_members *members);

/* adp_sim_members_set_token gives an account a new token and ends its expiry; false as above. */
LS_MUST_USE bool adp_sim_members_set_token(
    struct adp_sim_members *members, uint32_t account, const char *token);

/* adp_sim_members_find returns the account of a bearer token, expired or not, or ADP_SIM_NONE. */
uint32_t adp_sim_members_find(const struct adp_sim_members *members, const char *token);

/* adp_sim_members_add_address registers a source address ("127.0.0.5", "2001:db8::1") for an
 * account. false: not an address, or too many. */
LS_MUST_USE bool adp_sim_members_add_address(
    struct adp_sim_members *members, uint32_t account, const char *address);

/* adp_sim_members_may_order tells whether orders of the account may come from an address: one of
 * its own, or, when it has none, one that no other account registered. */
bool adp_sim_members_may_order(
    const struct adp_sim_members *members, uint32_t account, const char *address);

/* adp_sim_members_take_orders charges calls (legs) on one exchange to the calendar second of
 * wall_ns; false: over the limit, nothing charged. adp_sim_members_take_read does so for other
 * requests and the quarter of an hour. */
bool adp_sim_members_take_orders(struct adp_sim_members *members, uint32_t account,
    enum adp_sim_exchange exchange, uint32_t calls, int64_t wall_ns);
bool adp_sim_members_take_read(struct adp_sim_members *members, uint32_t account, int64_t wall_ns);

#endif
