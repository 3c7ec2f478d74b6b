/* pool.c: lanes, their connections, and which account uses which. Care and traffic: pool_turn.c. */
#include "engine/net/pool_private.h"

#include <stdlib.h>
#include <string.h>

static void *make_array(size_t count, size_t bytes)
{
    void *array = calloc(count, bytes);
    LS_CHECK(array != NULL);
    memset(array, 0, count * bytes); /* the pages are there before the pinned thread needs them */
    return array;
}

enum ipc_rc eng_pool_make(const struct eng_pool_config *config, struct eng_edge *edge,
    struct eng_pool **out, struct ipc_error *error)
{
    LS_CHECK(config->connections >= 1 && config->connections <= 65536);
    LS_CHECK(config->lanes >= 1 && config->accounts >= 1);
    struct eng_pool *pool = make_array(1, sizeof *pool);
    pool->config = *config;
    if (pool->config.body_chunks == 0)
        pool->config.body_chunks = 2048;
    if (pool->config.ping_deadline_ns == 0)
        pool->config.ping_deadline_ns = 2 * LS_NS_PER_S;
    if (pool->config.stale_check_ns == 0)
        pool->config.stale_check_ns = 10 * LS_NS_PER_MS;
    const size_t bodies_bytes = ls_align_up(eng_h2_bodies_footprint(pool->config.body_chunks), 64);
    pool->bodies_memory = aligned_alloc(64, bodies_bytes);
    if (pool->bodies_memory == NULL) {
        ipc_error_set(error, "no memory for %u pieces of reply bodies; lower body_chunks",
            pool->config.body_chunks);
        free(pool);
        return IPC_SYSTEM;
    }
    memset(pool->bodies_memory, 0, bodies_bytes);
    eng_h2_bodies_init(&pool->bodies, pool->bodies_memory, pool->config.body_chunks);
    pool->edge = edge;
    pool->lanes = make_array(config->lanes, sizeof *pool->lanes);
    pool->accounts = make_array((size_t)config->accounts + 1, sizeof *pool->accounts);
    pool->by_handle = make_array(config->connections, sizeof(struct eng_connection *));
    pool->generations = make_array(config->connections, sizeof *pool->generations);
    for (uint32_t i = 0; i < config->connections; i++)
        pool->generations[i] = 1;
    pool->reserved_for = make_array(config->connections, sizeof *pool->reserved_for);
    pool->list = make_array(config->connections, sizeof(struct eng_connection *));
    pool->dirty = make_array(config->connections, sizeof(struct eng_connection *));
    pool->retired = make_array(config->connections, sizeof(struct eng_connection *));
    pool->shared_members =
        make_array(SHARED_LANES_MAX * ENG_POOL_MEMBERS_MAX, sizeof *pool->shared_members);
    for (uint32_t i = 0; i <= config->accounts; i++)
        pool->accounts[i].lane = ENG_POOL_NO_LANE;
    ipc_prng_seed(&pool->prng, config->seed);
    *out = pool;
    return IPC_OK;
}

void eng_pool_free(struct eng_pool *pool)
{
    free(pool->lanes);
    free(pool->shared_members);
    free(pool->accounts);
    free(pool->by_handle);
    free(pool->generations);
    free(pool->reserved_for);
    free(pool->list);
    free(pool->dirty);
    free(pool->retired);
    free(pool->bodies_memory);
    free(pool);
}

void eng_pool_broker(struct eng_pool *pool, uint16_t broker, const struct eng_pool_broker *terms)
{
    LS_CHECK(broker < ENG_POOL_BROKERS_MAX);
    LS_CHECK(terms->pool_connections >= 1 && terms->pool_connections <= ENG_POOL_MEMBERS_MAX);
    LS_CHECK(terms->requests_per_connection >= 1 && terms->connects_per_second >= 1 &&
             terms->ping_interval_ns > 0);
    struct broker *entry = &pool->brokers[broker];
    if (!entry->is_known)
        entry->connects_left = terms->connects_per_second;
    entry->terms = *terms;
    entry->is_known = true;
}

static bool same_key(const struct eng_lane_key *a, const struct eng_lane_key *b)
{
    return a->broker == b->broker && a->source_family == b->source_family &&
           a->account == b->account &&
           memcmp(a->source_address, b->source_address, sizeof a->source_address) == 0;
}

/* The members of a new shared lane, NULL when all arrays are in use. */
static struct member *take_members(struct eng_pool *pool)
{
    for (uint32_t i = 0; i < SHARED_LANES_MAX; i++) {
        if (!pool->shared_taken[i]) {
            pool->shared_taken[i] = true;
            return &pool->shared_members[(size_t)i * ENG_POOL_MEMBERS_MAX];
        }
    }
    return NULL;
}

/* The lane's number can be used again. */
static void free_lane(struct eng_pool *pool, struct lane *lane)
{
    if (lane->members != &lane->own_member)
        pool->shared_taken[(lane->members - pool->shared_members) / ENG_POOL_MEMBERS_MAX] = false;
    lane->state = LANE_FREE;
    lane->member_count = 0;
    lane->members = NULL;
}

uint32_t eng_pool_lane(struct eng_pool *pool, const struct eng_lane_key *key)
{
    LS_CHECK(key->broker < ENG_POOL_BROKERS_MAX && pool->brokers[key->broker].is_known);
    uint32_t spare = ENG_POOL_NO_LANE;
    /* An own lane is found by its account, so that adopting 5,000 of them is not 25 million steps.
     */
    if (key->account != 0 && key->account <= pool->config.accounts) {
        const uint32_t lane = pool->accounts[key->account].lane;
        if (lane != ENG_POOL_NO_LANE && same_key(&pool->lanes[lane].key, key))
            return lane;
    }
    /* Thousands of accounts in a row share one lane. */
    if (pool->lanes[pool->lane_found].state == LANE_OPEN &&
        same_key(&pool->lanes[pool->lane_found].key, key))
        return pool->lane_found;
    for (uint32_t i = 0; i < pool->config.lanes; i++) {
        const uint32_t at = (pool->lane_hint + i) % pool->config.lanes;
        if (pool->lanes[at].state == LANE_FREE && spare == ENG_POOL_NO_LANE) {
            spare = at;
            if (key->account != 0)
                break;
        }
        if (pool->lanes[at].state == LANE_OPEN && same_key(&pool->lanes[at].key, key)) {
            pool->lane_found = at;
            return at;
        }
    }
    if (spare == ENG_POOL_NO_LANE)
        return ENG_POOL_NO_LANE;
    struct lane *lane = &pool->lanes[spare];
    lane->members = key->account != 0 ? &lane->own_member : take_members(pool);
    if (lane->members == NULL)
        return ENG_POOL_NO_LANE;
    lane->key = *key;
    lane->state = LANE_OPEN;
    lane->account_count = lane->live_count = lane->fair = lane->any_account = 0;
    lane->member_count = key->account != 0 ? 1 : pool->brokers[key->broker].terms.pool_connections;
    memset(lane->members, 0, lane->member_count * sizeof *lane->members);
    pool->wanted += lane->member_count;
    pool->lane_hint = spare + 1 < pool->config.lanes ? spare + 1 : 0;
    pool->lane_found = spare;
    return spare;
}

const struct eng_lane_key *eng_pool_lane_key(const struct eng_pool *pool, uint32_t lane)
{
    LS_CHECK(lane < pool->config.lanes);
    return &pool->lanes[lane].key;
}

static void unassign(struct eng_pool *pool, struct account *account)
{
    struct eng_connection *connection = pool_connection_of(pool, account);
    if (connection != NULL) {
        LS_CHECK(connection->accounts > 0);
        connection->accounts--;
    }
    account->generation = 0;
}

/* The lane takes no more accounts; its connections finish what they have. */
static void close_lane(struct eng_pool *pool, uint32_t index)
{
    struct lane *lane = &pool->lanes[index];
    lane->state = LANE_CLOSING;
    uint32_t connecting = 0;
    for (uint32_t i = 0; i < lane->member_count; i++) {
        struct member *member = &lane->members[i];
        if (member->is_connecting)
            connecting++;
        else if (member->live == NULL || member->is_replacing)
            pool->wanted--;
        if (member->live != NULL)
            pool_drain(pool, member->live, pool->now_mono_ns);
    }
    if (connecting == 0)
        free_lane(pool, lane);
}

void eng_pool_account(struct eng_pool *pool, uint32_t number, uint32_t lane_index)
{
    LS_CHECK(number >= 1 && number <= pool->config.accounts);
    struct account *account = &pool->accounts[number];
    const uint32_t before = account->lane;
    if (before == lane_index)
        return;
    unassign(pool, account);
    account->lane = lane_index;
    if (lane_index != ENG_POOL_NO_LANE) {
        LS_CHECK(lane_index < pool->config.lanes && pool->lanes[lane_index].state == LANE_OPEN);
        struct lane *lane = &pool->lanes[lane_index];
        lane->account_count++;
        lane->any_account = number;
        pool_set_fair(lane);
    }
    if (before != ENG_POOL_NO_LANE) {
        struct lane *lane = &pool->lanes[before];
        LS_CHECK(lane->account_count > 0);
        lane->account_count--;
        if (lane->any_account == number)
            lane->any_account = 0;
        pool_set_fair(lane);
        if (lane->account_count == 0)
            close_lane(pool, before);
    }
}

void pool_set_fair(struct lane *lane)
{
    const uint32_t live = lane->live_count == 0 ? 1 : lane->live_count;
    lane->fair = (lane->account_count + live - 1) / live;
}

/* Jittered by half on either side, so that lanes cut at one moment do not come back at one. */
static int64_t jittered(struct eng_pool *pool, int64_t ns)
{
    return ns / 2 + (int64_t)ipc_prng_below(&pool->prng, (uint64_t)ns + 1);
}

bool eng_pool_want(struct eng_pool *pool, int64_t now_mono_ns, struct eng_pool_want *out)
{
    pool->now_mono_ns = now_mono_ns;
    if (pool->wanted == 0)
        return false;
    for (uint32_t looked = 0; looked < WANT_LOOK_MAX && looked < pool->config.lanes; looked++) {
        const uint32_t index = pool->want_cursor;
        struct lane *lane = &pool->lanes[index];
        struct broker *broker = &pool->brokers[lane->key.broker];
        for (uint32_t i = 0; lane->state == LANE_OPEN && i < lane->member_count; i++) {
            struct member *member = &lane->members[i];
            if (member->is_connecting || (member->live != NULL && !member->is_replacing) ||
                now_mono_ns < member->retry_mono_ns)
                continue;
            if (now_mono_ns - broker->connects_epoch_mono_ns >= LS_NS_PER_S) {
                broker->connects_epoch_mono_ns = now_mono_ns;
                broker->connects_left = broker->terms.connects_per_second;
            }
            if (broker->connects_left == 0)
                break;
            broker->connects_left--;
            member->is_connecting = true;
            pool->wanted--;
            pool->connecting++;
            *out = (struct eng_pool_want){.lane = index, .member = i, .key = lane->key};
            return true;
        }
        pool->want_cursor = index + 1 < pool->config.lanes ? index + 1 : 0;
    }
    return false;
}

/* The answer to a want: the member no longer waits. Returns NULL when the lane has gone. */
static struct member *answered(struct eng_pool *pool, uint32_t lane_index, uint32_t number)
{
    LS_CHECK(lane_index < pool->config.lanes);
    struct lane *lane = &pool->lanes[lane_index];
    LS_CHECK(number < lane->member_count && lane->members[number].is_connecting);
    lane->members[number].is_connecting = false;
    pool->connecting--;
    if (lane->state == LANE_OPEN)
        return &lane->members[number];
    for (uint32_t i = 0; i < lane->member_count; i++) {
        if (lane->members[i].is_connecting)
            return NULL;
    }
    free_lane(pool, lane);
    return NULL;
}

void eng_pool_failed(struct eng_pool *pool, uint32_t lane, uint32_t number, int64_t now_mono_ns)
{
    pool->figures.failed++;
    struct member *member = answered(pool, lane, number);
    if (member == NULL)
        return;
    pool->wanted++;
    pool_back_off(pool, member, now_mono_ns);
}

void pool_back_off(struct eng_pool *pool, struct member *member, int64_t now_mono_ns)
{
    const int64_t delay =
        ls_min_i64(BACK_OFF_FIRST_NS << ls_min_i64(member->failures, 20), BACK_OFF_MOST_NS);
    member->failures++;
    member->retry_mono_ns = now_mono_ns + jittered(pool, delay);
}

void eng_pool_attach(struct eng_pool *pool, struct eng_connection *connection, int64_t now_mono_ns)
{
    LS_CHECK(connection->handle < pool->config.connections);
    LS_CHECK(pool->by_handle[connection->handle] == NULL);
    pool->now_mono_ns = now_mono_ns;
    struct member *member = answered(pool, connection->lane, connection->member);
    if (member == NULL || eng_edge_add(pool->edge, connection->handle, connection->fd) != IPC_OK) {
        if (member != NULL) {
            pool->wanted++;
            pool_back_off(pool, member, now_mono_ns);
        }
        connection->ended = true;
        pool->retired[pool->retired_count++] = connection;
        return;
    }
    struct lane *lane = &pool->lanes[connection->lane];
    const struct broker *broker = &pool->brokers[lane->key.broker];
    pool->figures.attached++;
    pool->by_handle[connection->handle] = connection;
    pool->reserved_for[connection->handle] = 0;
    connection->list_index = pool->list_count;
    pool->list[pool->list_count++] = connection;
    eng_connection_set_bodies(connection, &pool->bodies);
    eng_tls_hand_over(&connection->tls);
    connection->attached_mono_ns = connection->last_request_mono_ns = now_mono_ns;
    connection->broker = lane->key.broker;
    connection->is_own = lane->key.account != 0;
    connection->requests_left = broker->terms.requests_per_connection;
    /* At least one request early: its successor is there before the peer closes. */
    connection->rotate_left = connection->requests_left < 5 ? 1 : connection->requests_left / 5;
    connection->next_ping_mono_ns = now_mono_ns + jittered(pool, broker->terms.ping_interval_ns);
    connection->watch_leave_by_mono_ns = connection->newest_leave_by_mono_ns = INT64_MAX;
    struct eng_connection *old = member->live;
    member->live = connection;
    member->is_replacing = false;
    if (old != NULL) {
        pool->figures.rotated++;
        pool_drain(pool, old, now_mono_ns);
    } else {
        lane->live_count++;
    }
    pool_set_fair(lane);
    pool_mark_dirty(pool, connection); /* what the warm-up left unsent */
}

void pool_mark_dirty(struct eng_pool *pool, struct eng_connection *connection)
{
    if (connection->dirty)
        return;
    connection->dirty = true;
    pool->dirty[pool->dirty_count++] = connection;
}

/* No new requests; the connection ends when its last reply is in (pool_turn.c). */
void pool_drain(struct eng_pool *pool, struct eng_connection *connection, int64_t now_mono_ns)
{
    if (connection->draining)
        return;
    connection->draining = true;
    connection->draining_mono_ns = now_mono_ns;
    pool_detach(pool, connection, now_mono_ns);
}

/* The connection serves its lane no longer; the lane wants another one. */
void pool_detach(struct eng_pool *pool, struct eng_connection *connection, int64_t now_mono_ns)
{
    struct lane *lane = &pool->lanes[connection->lane];
    if (connection->member >= lane->member_count)
        return; /* the lane is another one by now */
    struct member *member = &lane->members[connection->member];
    if (member->live != connection)
        return;
    member->live = NULL;
    lane->live_count--;
    pool_set_fair(lane);
    if (lane->state == LANE_OPEN && !member->is_connecting && !member->is_replacing)
        pool->wanted++;
    member->is_replacing = false;
    /* A connection that worked is replaced at once; one that did not is backed off. A server may
     * end each after a few requests, so what counts is that it answered. */
    if (eng_connection_replies(connection) != 0 ||
        now_mono_ns - connection->attached_mono_ns >= WORKED_NS) {
        member->failures = 0;
        member->retry_mono_ns = now_mono_ns + (int64_t)ipc_prng_below(&pool->prng, REJOIN_NS);
    } else {
        pool_back_off(pool, member, now_mono_ns);
    }
}

/* Can a request of this account go there now? HTTP/2 says so itself, at the request. */
static bool is_free_for(
    const struct eng_pool *pool, const struct eng_connection *connection, uint32_t number)
{
    const uint32_t reserved_for = pool->reserved_for[connection->handle];
    return connection->h1 == NULL ||
           (!eng_h1_in_flight(connection->h1) && (reserved_for == 0 || reserved_for == number));
}

/* Finds the connection for one more account: the fullest that is below its fair share. Accounts
 * that a wave visits one after the other so share a connection, and a batch becomes few records and
 * few sends; spread round robin, each batch would touch every connection. Over HTTP/1.1 an idle one
 * comes first: the others would take nothing. */
static LS_COLD struct eng_connection *choose(
    const struct eng_pool *pool, struct lane *lane, uint32_t number)
{
    struct eng_connection *best = NULL;
    bool best_is_free = false;
    for (uint32_t i = 0; i < lane->member_count; i++) {
        struct eng_connection *live = lane->members[i].live;
        if (live == NULL || live->clogged)
            continue;
        const bool is_free = is_free_for(pool, live, number);
        const bool has_room = live->accounts < lane->fair;
        const bool best_has_room = best != NULL && best->accounts < lane->fair;
        if (best == NULL || (is_free && !best_is_free) ||
            (is_free == best_is_free &&
                ((has_room && !best_has_room) ||
                    (has_room && best_has_room && live->accounts > best->accounts) ||
                    (!has_room && !best_has_room && live->accounts < best->accounts)))) {
            best = live;
            best_is_free = is_free;
        }
    }
    return best;
}

struct eng_connection *eng_pool_serve(struct eng_pool *pool, uint32_t number)
{
    LS_CHECK(number >= 1 && number <= pool->config.accounts);
    struct account *account = &pool->accounts[number];
    struct eng_connection *connection = pool_connection_of(pool, account);
    if (account->lane == ENG_POOL_NO_LANE)
        return NULL;
    struct lane *lane = &pool->lanes[account->lane];
    if (LS_LIKELY(connection != NULL)) {
        const bool is_well = !connection->draining && !connection->clogged;
        const bool stays = connection->h1 != NULL ? is_free_for(pool, connection, number)
                                                  : connection->accounts <= lane->fair;
        if (LS_LIKELY(is_well && (connection->is_own || stays)))
            return connection;
        if (account->in_flight != 0) /* its orders stay in order */
            return connection->draining ? NULL : connection;
    }
    struct eng_connection *next = choose(pool, lane, number);
    if (next == NULL || next == connection)
        return next;
    unassign(pool, account);
    account->handle = next->handle;
    account->generation = pool->generations[next->handle];
    next->accounts++;
    return next;
}

void eng_pool_reserve(
    struct eng_pool *pool, const struct eng_connection *connection, uint32_t account)
{
    if (connection->h1 != NULL)
        pool->reserved_for[connection->handle] = account;
}

bool eng_pool_is_reserved(const struct eng_pool *pool, const struct eng_connection *connection)
{
    return connection->h1 != NULL && pool->reserved_for[connection->handle] != 0;
}

void eng_pool_unreserve(struct eng_pool *pool, uint32_t number)
{
    LS_CHECK(number >= 1 && number <= pool->config.accounts);
    const struct eng_connection *connection = pool_connection_of(pool, &pool->accounts[number]);
    if (connection != NULL && pool->reserved_for[connection->handle] == number)
        pool->reserved_for[connection->handle] = 0;
}

bool eng_pool_up(const struct eng_pool *pool, uint32_t number)
{
    LS_CHECK(number >= 1 && number <= pool->config.accounts);
    const struct account *account = &pool->accounts[number];
    if (account->lane == ENG_POOL_NO_LANE)
        return false;
    const struct lane *lane = &pool->lanes[account->lane];
    for (uint32_t i = 0; i < lane->member_count; i++) {
        const struct eng_connection *live = lane->members[i].live;
        if (live != NULL && !live->clogged)
            return true;
    }
    return false;
}

bool eng_pool_retired(struct eng_pool *pool, struct eng_connection **connection)
{
    if (pool->retired_count == 0)
        return false;
    *connection = pool->retired[--pool->retired_count];
    return true;
}

const struct eng_pool_figures *eng_pool_totals(const struct eng_pool *pool)
{
    return &pool->figures;
}

void eng_pool_figures(const struct eng_pool *pool, struct eng_pool_figures *out)
{
    *out = pool->figures;
    out->connecting = pool->connecting;
    for (uint32_t i = 0; i < pool->list_count; i++) {
        const struct eng_connection *connection = pool->list[i];
        out->live += !connection->draining;
        out->draining += connection->draining;
        out->streams_open += eng_connection_open_streams(connection);
        out->overdue += eng_connection_overdue_streams(connection);
    }
}
