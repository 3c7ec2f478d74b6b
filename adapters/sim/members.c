#include "adapters/sim/members.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_token(const char *token)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *token != '\0'; token++)
        hash = (hash ^ (unsigned char)*token) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 31);
}

uint32_t adp_sim_members_find(const struct adp_sim_members *members, const char *token)
{
    if (members->capacity == 0)
        return ADP_SIM_NONE;
    for (uint64_t at = hash_token(token);; at++) {
        uint32_t slot = members->slots[at & (members->capacity - 1)];
        if (slot == 0)
            return ADP_SIM_NONE;
        if (strcmp(members->rows[slot - 1].token, token) == 0)
            return slot - 1;
    }
}

/* Tokens change rarely, so the table is simply made anew. */
static void rebuild(struct adp_sim_members *members)
{
    uint32_t capacity = members->capacity == 0 ? 64 : members->capacity;
    while (capacity < members->count * 2 + 2)
        capacity *= 2;
    free(members->slots);
    members->slots = calloc(capacity, sizeof(*members->slots));
    LS_CHECK(members->slots != NULL);
    members->capacity = capacity;
    for (uint32_t i = 0; i < members->count; i++) {
        uint64_t at = hash_token(members->rows[i].token);
        while (members->slots[at & (capacity - 1)] != 0)
            at++;
        members->slots[at & (capacity - 1)] = i + 1;
    }
}

static bool token_is_good(const struct adp_sim_members *members, const char *token)
{
    return token[0] != '\0' && strlen(token) <= 8191 &&
           adp_sim_members_find(members, token) == ADP_SIM_NONE;
}

bool adp_sim_members_add(struct adp_sim_members *members, const char *token)
{
    if (!token_is_good(members, token))
        return false;
    if ((members->count & (members->count - 1)) == 0) {
        uint32_t capacity = members->count == 0 ? 1 : members->count * 2;
        members->rows = realloc(members->rows, capacity * sizeof(*members->rows));
        LS_CHECK(members->rows != NULL);
    }
    struct adp_sim_member *member = &members->rows[members->count];
    memset(member, 0, sizeof(*member));
    member->token = strdup(token);
    LS_CHECK(member->token != NULL);
    members->count++;
    if (members->count * 2 + 2 > members->capacity) {
        rebuild(members);
        return true;
    }
    uint64_t at = hash_token(token);
    while (members->slots[at & (members->capacity - 1)] != 0)
        at++;
    members->slots[at & (members->capacity - 1)] = members->count;
    return true;
}

bool adp_sim_members_set_token(struct adp_sim_members *members, uint32_t account, const char *token)
{
    LS_CHECK(account < members->count);
    uint32_t owner = adp_sim_members_find(members, token);
    if (owner != account && !token_is_good(members, token))
        return false;
    char *copy = strdup(token);
    LS_CHECK(copy != NULL);
    explicit_bzero(members->rows[account].token, strlen(members->rows[account].token));
    free(members->rows[account].token);
    members->rows[account].token = copy;
    members->rows[account].expired = false;
    rebuild(members);
    return true;
}

void adp_sim_members_free(struct adp_sim_members *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        explicit_bzero(members->rows[i].token, strlen(members->rows[i].token));
        free(members->rows[i].token);
    }
    free(members->rows);
    free(members->slots);
    *members = (struct adp_sim_members){0};
}

bool adp_sim_members_add_address(
    struct adp_sim_members *members, uint32_t account, const char *address)
{
    struct adp_sim_member *member = &members->rows[account];
    struct in6_addr parsed;
    LS_CHECK(account < members->count);
    if (member->address_count == ADP_SIM_ADDRESSES_MAX)
        return false;
    /* Kept in the one spelling that the kernel's addresses are printed in too. */
    int family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(family, address, &parsed) != 1)
        return false;
    inet_ntop(
        family, &parsed, member->addresses[member->address_count], sizeof(member->addresses[0]));
    member->address_count++;
    return true;
}

static bool has_address(const struct adp_sim_member *member, const char *address)
{
    for (uint32_t i = 0; i < member->address_count; i++) {
        if (strcmp(member->addresses[i], address) == 0)
            return true;
    }
    return false;
}

bool adp_sim_members_may_order(
    const struct adp_sim_members *members, uint32_t account, const char *address)
{
    if (members->rows[account].address_count > 0)
        return has_address(&members->rows[account], address);
    for (uint32_t i = 0; i < members->count; i++) {
        if (i != account && has_address(&members->rows[i], address))
            return false;
    }
    return true;
}

bool adp_sim_members_take_orders(struct adp_sim_members *members, uint32_t account,
    enum adp_sim_exchange exchange, uint32_t calls, int64_t wall_ns)
{
    struct adp_sim_member *member = &members->rows[account];
    int64_t second = wall_ns / LS_NS_PER_S;
    if (member->second != second) {
        member->second = second;
        member->orders_in_second = 0;
        memset(member->calls_in_second, 0, sizeof(member->calls_in_second));
    }
    if (members->orders_per_second != 0 &&
        member->calls_in_second[exchange] + calls > members->orders_per_second) {
        member->breaches++;
        return false;
    }
    member->calls_in_second[exchange] += calls;
    member->orders_in_second += calls;
    if (member->orders_in_second > member->orders_in_second_max)
        member->orders_in_second_max = member->orders_in_second;
    return true;
}

bool adp_sim_members_take_read(struct adp_sim_members *members, uint32_t account, int64_t wall_ns)
{
    struct adp_sim_member *member = &members->rows[account];
    int64_t quarter = wall_ns / (900 * LS_NS_PER_S);
    if (member->quarter != quarter) {
        member->quarter = quarter;
        member->reads_in_quarter = 0;
    }
    if (members->reads_per_quarter != 0 && member->reads_in_quarter >= members->reads_per_quarter) {
        member->breaches++;
        return false;
    }
    member->reads++;
    member->reads_in_quarter++;
    return true;
}
