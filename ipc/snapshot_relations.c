/* snapshot_relations.c: what must hold between rows: numbers that are unique, accounts that share
 * something and so share a shard, runs of slots, lists, chains of accounts. */
#include "ipc/snapshot_rules.h"

#include <string.h>

/* Longest chain master -> follower that is a master -> ... with chaining switched on. */
#define CHAIN_DEPTH_MAX 8u

/* ---- sets in scratch memory ------------------------------------------------------------------ */

/* Row numbers plus one, open addressing; at most half full. */
struct row_set {
    uint32_t *cells;
    uint64_t mask;
};

static uint64_t set_cells(uint64_t rows)
{
    uint64_t cells = 64;
    while (cells < rows * 2)
        cells *= 2;
    return cells;
}

static uint64_t most_rows(const struct ipc_snapshot_view *view)
{
    uint64_t most = view->follower_slots;
    most = view->account_count > most ? view->account_count : most;
    most = view->instrument_count > most ? view->instrument_count : most;
    return view->master_count > most ? view->master_count : most;
}

static uint64_t bitmap_bytes(const struct ipc_snapshot_view *view)
{
    return ls_align_up(((uint64_t)view->follower_slots + 7) / 8, 8);
}

uint64_t ipc_snapshot_scratch_bytes(const struct ipc_snapshot_view *view)
{
    /* One set at a time, the bitmap of listed slots, a depth per account. */
    return set_cells(most_rows(view)) * sizeof(uint32_t) + bitmap_bytes(view) +
           ls_align_up(view->account_count, 8);
}

static struct row_set set_make(void *scratch, uint64_t rows)
{
    struct row_set set = {.cells = scratch, .mask = set_cells(rows) - 1};
    memset(set.cells, 0, (set.mask + 1) * sizeof(*set.cells));
    return set;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    /* Multiply and fold: spreads dense numbers and text words alike. */
    unsigned __int128 product = (unsigned __int128)(a ^ UINT64_C(0x9e3779b97f4a7c15)) *
                                (b ^ UINT64_C(0xd1342543de82ef95) ^ (a << 1));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i += 8) {
        uint64_t word = 0;
        memcpy(&word, at + i, count - i < 8 ? count - i : 8);
        hash = mix(hash, word);
    }
    return hash;
}

typedef bool (*rows_equal_fn)(const struct ipc_snapshot_view *view, uint32_t a, uint32_t b);

/* Adds a row; returns the row that was there with an equal key, or UINT32_MAX. */
static uint32_t set_add(struct row_set *set, const struct ipc_snapshot_view *view, uint64_t hash,
    uint32_t row, rows_equal_fn equal)
{
    uint64_t at = hash & set->mask;
    while (set->cells[at] != 0) {
        if (equal(view, set->cells[at] - 1, row))
            return set->cells[at] - 1;
        at = (at + 1) & set->mask;
    }
    set->cells[at] = row + 1;
    return UINT32_MAX;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static bool same_login(const struct ipc_snapshot_view *view, uint32_t a, uint32_t b)
{
    const struct ipc_row_account *x = &view->accounts[a];
    const struct ipc_row_account *y = &view->accounts[b];
    return x->broker == y->broker && memcmp(x->login, y->login, sizeof(x->login)) == 0;
}

static enum ipc_rc check_logins(
    const struct ipc_snapshot_view *view, void *scratch, struct ipc_error *error)
{
    struct row_set set = set_make(scratch, view->account_count);
    for (uint32_t i = 0; i < view->account_count; i++) {
        const struct ipc_row_account *row = &view->accounts[i];
        if (row->account == 0)
            continue;
        uint64_t hash = mix_bytes(row->broker, row->login, sizeof(row->login));
        if (set_add(&set, view, hash, i, same_login) != UINT32_MAX)
            return ipc_row_refused(
                error, "accounts", i, "login is that of an earlier row of the same broker");
    }
    return IPC_OK;
}

static bool same_source(const struct ipc_snapshot_view *view, uint32_t a, uint32_t b)
{
    const struct ipc_row_account *x = &view->accounts[a];
    const struct ipc_row_account *y = &view->accounts[b];
    return x->broker == y->broker && x->source_family == y->source_family &&
           memcmp(x->source_address, y->source_address, sizeof(x->source_address)) == 0;
}

/* One source address has one budget at a broker, and a shard keeps its budgets to itself. */
static enum ipc_rc check_sources(
    const struct ipc_snapshot_view *view, void *scratch, struct ipc_error *error)
{
    struct row_set set = set_make(scratch, view->account_count);
    for (uint32_t i = 0; i < view->account_count; i++) {
        const struct ipc_row_account *row = &view->accounts[i];
        if (row->account == 0 || !(row->roles & IPC_ROLE_FOLLOWER))
            continue;
        /* Accounts of no set address leave by the host's own: one address when it is limited. */
        if (row->source_family == 0 && view->brokers[row->broker].address_orders_per_second == 0)
            continue;
        uint64_t hash = mix_bytes(
            mix(row->broker, row->source_family), row->source_address, sizeof(row->source_address));
        uint32_t other = set_add(&set, view, hash, i, same_source);
        if (other != UINT32_MAX && view->accounts[other].shard != row->shard)
            return ipc_row_refused(error, "accounts", i,
                "shard differs from an earlier account's with the same source address");
    }
    return IPC_OK;
}

/* ---- instruments ----------------------------------------------------------------------------- */

static bool same_token(const struct ipc_snapshot_view *view, uint32_t a, uint32_t b)
{
    const struct ipc_row_instrument *x = &view->instruments[a];
    const struct ipc_row_instrument *y = &view->instruments[b];
    return x->exchange == y->exchange && memcmp(x->token, y->token, sizeof(x->token)) == 0;
}

static enum ipc_rc check_tokens(
    const struct ipc_snapshot_view *view, void *scratch, struct ipc_error *error)
{
    struct row_set set = set_make(scratch, view->instrument_count);
    for (uint32_t i = 0; i < view->instrument_count; i++) {
        const struct ipc_row_instrument *row = &view->instruments[i];
        /* An exchange gives the token of an expired contract to a new one. */
        if (row->instrument == 0 || (row->flags & IPC_INSTRUMENT_GONE))
            continue;
        uint64_t hash = mix_bytes(row->exchange, row->token, sizeof(row->token));
        if (set_add(&set, view, hash, i, same_token) != UINT32_MAX)
            return ipc_row_refused(
                error, "instruments", i, "token is that of an earlier row of the same exchange");
    }
    return IPC_OK;
}

static enum ipc_rc check_lists(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    for (uint32_t i = 0; i < view->list_count; i++) {
        const struct ipc_row_list *list = &view->lists[i];
        if ((uint64_t)list->first + list->count > view->list_item_count)
            return ipc_row_refused(error, "lists", i, "its run ends behind the list items");
        for (uint32_t j = 0; j < list->count; j++) {
            uint32_t item = view->list_items[list->first + j];
            if (item == 0 || item > view->instrument_count ||
                view->instruments[item - 1].instrument == 0)
                return ipc_row_refused(
                    error, "list items", list->first + j, "it is not an instrument in use");
            if (j > 0 && item <= view->list_items[list->first + j - 1])
                return ipc_row_refused(
                    error, "list items", list->first + j, "it is not above the one before it");
        }
    }
    return IPC_OK;
}

/* ---- followers and masters ------------------------------------------------------------------- */

static bool same_follower_no(const struct ipc_snapshot_view *view, uint32_t a, uint32_t b)
{
    return view->followers[a].follower_no == view->followers[b].follower_no;
}

static enum ipc_rc check_follower_numbers(
    const struct ipc_snapshot_view *view, void *scratch, struct ipc_error *error)
{
    struct row_set set = set_make(scratch, view->follower_slots);
    for (uint32_t i = 0; i < view->follower_slots; i++) {
        uint32_t number = view->followers[i].follower_no;
        if (number == 0)
            continue;
        if (set_add(&set, view, mix(number, 0), i, same_follower_no) != UINT32_MAX)
            return ipc_row_refused(error, "followers", i, "follower_no is that of an earlier row");
    }
    return IPC_OK;
}

static bool same_master(const struct ipc_snapshot_view *view, uint32_t a, uint32_t b)
{
    return view->masters[a].account == view->masters[b].account &&
           view->masters[a].shard == view->masters[b].shard;
}

static const char *listed_problem(const struct ipc_snapshot_view *view,
    const struct ipc_row_master *master, uint32_t slot, const uint8_t *listed)
{
    if (slot >= view->follower_slots)
        return "the slot is out of range";
    const struct ipc_row_follower *row = &view->followers[slot];
    if (row->follower_no == 0)
        return "the slot is not in use";
    /* An ended subscription stays here for its exits, while its accounts are there. */
    if ((row->flags & IPC_FOLLOWER_RETIRED) && ipc_row_follower_ties_problem(view, row))
        return "the slot's subscription has ended, and its accounts are gone";
    if (row->master != master->account)
        return "the slot's follower has another master";
    if (row->shard != master->shard)
        return "the slot's follower is in another shard";
    if (listed[slot / 8] & (1u << (slot % 8)))
        return "the slot is listed twice";
    return NULL;
}

static enum ipc_rc check_run(
    const struct ipc_snapshot_view *view, uint32_t index, uint8_t *listed, struct ipc_error *error)
{
    const struct ipc_row_master *master = &view->masters[index];
    if (master->account == 0 || master->account > view->account_count ||
        view->accounts[master->account - 1].account == 0 ||
        !(view->accounts[master->account - 1].roles & IPC_ROLE_MASTER))
        return ipc_row_refused(error, "masters", index, "account is not a master's in use");
    if (master->shard >= view->cluster->shard_count)
        return ipc_row_refused(error, "masters", index, "shard is not below shard_count");
    if ((uint64_t)master->first + master->count > view->master_slot_count)
        return ipc_row_refused(error, "masters", index, "its run ends behind the master slots");
    for (uint32_t i = 0; i < master->count; i++) {
        uint32_t slot = view->master_slots[master->first + i];
        const char *problem = listed_problem(view, master, slot, listed);
        if (problem)
            return ipc_row_refused(error, "master slots", master->first + i, problem);
        listed[slot / 8] |= (uint8_t)(1u << (slot % 8));
    }
    return IPC_OK;
}

/* Every slot that is listed is listed once, under its master and shard, and every enabled follower
 * is listed: one that is not would be lost in silence. */
static enum ipc_rc check_masters(
    const struct ipc_snapshot_view *view, void *scratch, uint8_t *listed, struct ipc_error *error)
{
    struct row_set set = set_make(scratch, view->master_count);
    memset(listed, 0, bitmap_bytes(view));
    for (uint32_t i = 0; i < view->master_count; i++) {
        const struct ipc_row_master *master = &view->masters[i];
        if (set_add(&set, view, mix(master->account, master->shard), i, same_master) != UINT32_MAX)
            return ipc_row_refused(
                error, "masters", i, "account and shard are those of an earlier row");
        enum ipc_rc rc = check_run(view, i, listed, error);
        if (rc != IPC_OK)
            return rc;
    }
    for (uint32_t slot = 0; slot < view->follower_slots; slot++) {
        const struct ipc_row_follower *row = &view->followers[slot];
        if (row->follower_no != 0 && (row->flags & IPC_FOLLOWER_ENABLED) &&
            !(listed[slot / 8] & (1u << (slot % 8))))
            return ipc_row_refused(
                error, "followers", slot, "it is enabled and in no master's run of slots");
    }
    return IPC_OK;
}

/* Chaining lets copies at one account be copied again. A loop of such accounts would trade without
 * end, so depths must settle. */
static enum ipc_rc check_chains(
    const struct ipc_snapshot_view *view, uint8_t *depth, struct ipc_error *error)
{
    bool any = false;
    for (uint32_t i = 0; i < view->account_count; i++)
        any = any ||
              (view->accounts[i].account != 0 && (view->accounts[i].flags & IPC_ACCOUNT_CHAINING));
    if (!any)
        return IPC_OK;
    memset(depth, 0, view->account_count);
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t slot = 0; slot < view->follower_slots; slot++) {
            const struct ipc_row_follower *row = &view->followers[slot];
            if (row->follower_no == 0 || (row->flags & IPC_FOLLOWER_RETIRED) ||
                !(view->accounts[row->account - 1].flags & IPC_ACCOUNT_CHAINING))
                continue;
            uint8_t wanted = (uint8_t)(depth[row->master - 1] + 1);
            if (depth[row->account - 1] >= wanted)
                continue;
            if (wanted > CHAIN_DEPTH_MAX)
                return ipc_row_refused(error, "followers", slot,
                    "its account is in a loop, or a chain of more than 8, of chained accounts");
            depth[row->account - 1] = wanted;
            moved = true;
        }
    }
    return IPC_OK;
}

enum ipc_rc ipc_snapshot_check_relations(
    const struct ipc_snapshot_view *view, void *scratch, struct ipc_error *error)
{
    uint8_t *listed = (uint8_t *)scratch + set_cells(most_rows(view)) * sizeof(uint32_t);
    uint8_t *depth = listed + bitmap_bytes(view);
    enum ipc_rc rc = check_logins(view, scratch, error);
    if (rc == IPC_OK)
        rc = check_sources(view, scratch, error);
    if (rc == IPC_OK)
        rc = check_tokens(view, scratch, error);
    if (rc == IPC_OK)
        rc = check_lists(view, error);
    if (rc == IPC_OK)
        rc = check_follower_numbers(view, scratch, error);
    if (rc == IPC_OK)
        rc = check_masters(view, scratch, listed, error);
    if (rc == IPC_OK)
        rc = check_chains(view, depth, error);
    return rc;
}
