#include "engine/adopt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/blocks.h"
#include "engine/contract_changes.h"
#include "engine/note.h"
#include "engine/policy.h"

#define GENERATIONS      3u
#define VALUE_PREFIX_MAX 64u

enum generation_state { STATE_FREE = 0, STATE_OFFERED, STATE_IN_FORCE };

struct eng_adopter {
    const struct eng_config *config;
    const struct ipc_shm *shm;
    struct ipc_snapshot_reader *reader;
    struct ipc_secret_arena *key_arena;
    struct ipc_seal_key *key;
    struct eng_generation generations[GENERATIONS];
    struct eng_generation *in_force;
    char cluster_id[64]; /* that identities derive from, "" = not known yet */
    uint64_t answered_generation, answered_lineage; /* last one adopted or refused */
    uint64_t reader_failures;
    void *scratch;
    uint64_t scratch_bytes;
    void *image_memory[GENERATIONS];
    uint64_t image_bytes;
};

#define SESSIONS_MAX 16384u /* sessions of nine exchanges for four years */

static struct ipc_snapshot_shape capacity_of(const struct eng_config *config)
{
    struct ipc_snapshot_shape shape = {.token_row_bytes = config->token_row_bytes};
    shape.rows[IPC_TABLE_CLUSTER] = 1;
    shape.rows[IPC_TABLE_BROKERS] = config->brokers;
    shape.rows[IPC_TABLE_ACCOUNTS] = config->accounts;
    shape.rows[IPC_TABLE_TOKENS] = config->accounts;
    shape.rows[IPC_TABLE_INSTRUMENTS] = config->instruments;
    shape.rows[IPC_TABLE_FOLLOWERS] = config->follower_slots;
    shape.rows[IPC_TABLE_MASTERS] = config->masters;
    shape.rows[IPC_TABLE_MASTER_SLOTS] = config->follower_slots;
    shape.rows[IPC_TABLE_LISTS] = config->follower_slots;
    shape.rows[IPC_TABLE_LIST_ITEMS] = config->instruments * 4;
    shape.rows[IPC_TABLE_POLICIES] = config->follower_slots;
    shape.rows[IPC_TABLE_MAPS] = config->follower_slots;
    shape.rows[IPC_TABLE_MAP_ITEMS] = config->instruments * 4;
    shape.rows[IPC_TABLE_CONTRACTS] = config->instruments * 4;
    shape.rows[IPC_TABLE_SESSIONS] = SESSIONS_MAX;
    return shape;
}

static void *map_zeroed(uint64_t bytes)
{
    void *memory = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Loads the seal key once. A key that `snapshot publish` makes after the engine's start is found
 * when the first token needs it. */
static enum ipc_rc key_load(struct eng_adopter *adopter, struct ipc_error *error)
{
    if (adopter->key != NULL)
        return IPC_OK;
    if (adopter->key_arena == NULL) {
        enum ipc_rc rc = ipc_secret_arena_create(4096, &adopter->key_arena, error);
        if (rc != IPC_OK)
            return rc;
    }
    return ipc_seal_key_load(adopter->key_arena, adopter->config->key_file, &adopter->key, error);
}

enum ipc_rc eng_adopter_make(const struct eng_config *config, const struct ipc_shm *shm,
    struct eng_adopter **out, struct ipc_error *error)
{
    struct ipc_snapshot_shape capacity = capacity_of(config);
    struct eng_adopter *adopter = calloc(1, sizeof(*adopter));
    *out = NULL;
    if (adopter == NULL) {
        ipc_error_set(error, "no memory for the snapshot's reader");
        return IPC_SYSTEM;
    }
    adopter->config = config;
    adopter->shm = shm;
    enum ipc_rc rc = IPC_OK;
    rc = key_load(adopter, error);
    if (rc != IPC_OK && !(rc == IPC_NOT_FOUND && config->key_is_default)) {
        eng_adopter_free(adopter);
        return rc;
    }
    adopter->image_bytes = ipc_snapshot_footprint(&capacity);
    LS_CHECK(adopter->image_bytes > 0);
    for (uint32_t i = 0; i < GENERATIONS; i++) {
        struct eng_generation *generation = &adopter->generations[i];
        adopter->image_memory[i] = map_zeroed(adopter->image_bytes);
        generation->auths = calloc(config->accounts, sizeof(*generation->auths));
        generation->lanes = calloc(config->accounts, sizeof(*generation->lanes));
        if (adopter->image_memory[i] == NULL || generation->auths == NULL ||
            generation->lanes == NULL) {
            ipc_error_set(error,
                "no memory for a snapshot image of %llu bytes: lower the limits in the "
                "configuration",
                (unsigned long long)adopter->image_bytes);
            eng_adopter_free(adopter);
            return IPC_SYSTEM;
        }
        ipc_snapshot_image_init(&generation->image, adopter->image_memory[i], &capacity);
    }
    *out = adopter;
    return IPC_OK;
}

void eng_adopter_free(struct eng_adopter *adopter)
{
    if (adopter == NULL)
        return;
    for (uint32_t i = 0; i < GENERATIONS; i++) {
        struct eng_generation *generation = &adopter->generations[i];
        ipc_secret_arena_destroy(generation->secrets);
        free(generation->auths);
        free(generation->lanes);
        if (adopter->image_memory[i] != NULL)
            (void)munmap(adopter->image_memory[i], adopter->image_bytes);
    }
    if (adopter->reader != NULL)
        ipc_snapshot_reader_close(adopter->reader);
    ipc_secret_arena_destroy(adopter->key_arena);
    free(adopter->scratch);
    free(adopter);
}

static enum ipc_rc reader_ensure(struct eng_adopter *adopter, struct ipc_error *error)
{
    if (adopter->reader != NULL)
        return IPC_OK;
    return ipc_snapshot_reader_open(adopter->shm, &adopter->reader, error);
}

/* Terms of one broker: row over dialect over default. */
static enum ipc_rc broker_take(struct eng_generation *generation, uint32_t number,
    const struct ipc_row_broker *row, struct ipc_error *error)
{
    struct eng_broker_terms *terms = &generation->brokers[number];
    struct eng_broker_policy *policy = &generation->policies[number];
    memset(terms, 0, sizeof(*terms));
    memset(policy, 0, sizeof(*policy));
    if (!row->live)
        return IPC_OK;
    const struct adp_dialect *dialect = adp_dialect_find(row->dialect);
    if (dialect == NULL) {
        ipc_error_set(
            error, "broker '%s': this build has no dialect '%.15s'", row->name, row->dialect);
        return IPC_REFUSED;
    }
    if (dialect->sign != NULL || dialect->follow_up != NULL) {
        ipc_error_set(error,
            "broker '%s': dialect '%.15s' signs each request or asks back, which this engine "
            "does not do",
            row->name, row->dialect);
        return IPC_REFUSED;
    }
    terms->dialect = dialect;
    terms->reply_timeout_ns = (row->reply_timeout_ms ? row->reply_timeout_ms : 5000) * LS_NS_PER_MS;
    terms->keepalive_idle_ns =
        (row->keepalive_get_ms ? row->keepalive_get_ms : 20000) * LS_NS_PER_MS;
    terms->pool.requests_per_connection =
        row->requests_per_connection ? row->requests_per_connection : 900;
    terms->pool.connects_per_second = row->connects_per_second ? row->connects_per_second : 50;
    terms->pool.ping_interval_ns =
        (row->ping_interval_ms ? row->ping_interval_ms : 1000) * LS_NS_PER_MS;
    uint16_t members = row->pool_connections ? row->pool_connections : 8;
    terms->pool.pool_connections = members < ENG_POOL_MEMBERS_MAX ? members : ENG_POOL_MEMBERS_MAX;
    eng_policy_fill(row, &dialect->capabilities, policy);
    return eng_blocks_broker(row, dialect, terms, error);
}

/* Does the account send orders of this shard's followers? */
static bool account_sends(const struct eng_adopter *adopter, const struct ipc_row_account *row)
{
    return row->account != 0 && row->shard == adopter->config->shard &&
           (row->roles & IPC_ROLE_FOLLOWER) != 0 && (row->flags & IPC_ACCOUNT_DISABLED) == 0;
}

/* Room for an account's token, which stands in a header block of HTTP/2 and in a field of HTTP/1.1,
 * each with the header's name and the prefix. */
static size_t secret_bytes_of(
    const struct eng_generation *generation, const struct ipc_row_account *row)
{
    const struct adp_dialect *dialect = generation->brokers[row->broker].dialect;
    if (dialect == NULL || row->token_bytes == 0)
        return 0;
    return 2 * ls_align_up(row->token_bytes + strlen(dialect->auth.header) +
                               strlen(dialect->auth.prefix) + 16,
                   16);
}

static enum ipc_rc secrets_ensure(
    struct eng_generation *generation, size_t tokens_bytes, struct ipc_error *error)
{
    const size_t needed = 16384 + tokens_bytes;
    if (generation->secrets != NULL && generation->secret_bytes >= needed) {
        ipc_secret_arena_reset(generation->secrets);
        return IPC_OK;
    }
    ipc_secret_arena_destroy(generation->secrets);
    generation->secrets = NULL;
    generation->secret_bytes = needed + needed / 16;
    return ipc_secret_arena_create(generation->secret_bytes, &generation->secrets, error);
}

/* The generation in force has the same token opened already: its bytes are copied, which costs a
 * twentieth of opening it. */
static bool auth_keep(
    const struct eng_adopter *adopter, struct eng_generation *generation, uint32_t index)
{
    const struct eng_generation *old = adopter->in_force;
    if (old == NULL || index >= old->view.account_count || old->auths[index].count == 0)
        return false;
    const struct ipc_row_account *row = &generation->view.accounts[index];
    const struct ipc_row_account *before = &old->view.accounts[index];
    const size_t row_bytes = generation->view.token_row_bytes;
    if (before->account != row->account || before->broker != row->broker ||
        before->token_bytes != row->token_bytes || before->token_version != row->token_version ||
        old->brokers[row->broker].dialect != generation->brokers[row->broker].dialect ||
        memcmp(old->view.tokens + index * (size_t)old->view.token_row_bytes,
            generation->view.tokens + index * row_bytes, row->token_bytes) != 0)
        return false;
    const struct eng_auth *from = &old->auths[index];
    uint8_t *bytes = ipc_secret_alloc(generation->secrets, from->count);
    uint8_t *text = ipc_secret_alloc(generation->secrets, from->text_count);
    if (bytes == NULL || text == NULL)
        return false;
    memcpy(bytes, from->bytes, from->count);
    memcpy(text, from->text, from->text_count);
    generation->auths[index] = *from;
    generation->auths[index].bytes = bytes;
    generation->auths[index].text = text;
    return true;
}

static void auth_make(
    struct eng_adopter *adopter, struct eng_generation *generation, uint32_t index, uint8_t *value)
{
    const struct ipc_row_account *row = &generation->view.accounts[index];
    const struct adp_dialect *dialect = generation->brokers[row->broker].dialect;
    struct ipc_seal_binding binding = {
        .account = row->account,
        .token_version = row->token_version,
    };
    memcpy(binding.cluster_id, generation->view.cluster->cluster_id, sizeof(binding.cluster_id));
    size_t token_bytes = 0;
    struct eng_auth *auth = &generation->auths[index];
    enum ipc_rc rc = dialect == NULL ? IPC_NOT_FOUND : IPC_OK;
    /* The header's value is the dialect's prefix and the token: opened in its place. */
    size_t prefix_bytes = dialect != NULL ? strlen(dialect->auth.prefix) : 0;
    LS_CHECK(prefix_bytes < VALUE_PREFIX_MAX);
    if (rc == IPC_OK) {
        memcpy(value, dialect->auth.prefix, prefix_bytes);
        rc = ipc_seal_open(adopter->key, &binding,
            generation->view.tokens + (size_t)index * generation->view.token_row_bytes,
            row->token_bytes, value + prefix_bytes, IPC_SEAL_PLAIN_MAX, &token_bytes);
    }
    if (rc == IPC_OK)
        rc = eng_blocks_auth(dialect, value, prefix_bytes + token_bytes, generation->secrets, auth);
    ipc_secret_wipe(value, prefix_bytes + token_bytes);
    if (rc == IPC_OK)
        return;
    /* One account's bad token stops that account only: without a token its entries are skipped
     * (SESSION_EXPIRED). The image is ours, and the chunk is copied again when a token is set. */
    struct ipc_row_account *own = generation->image.rows[IPC_TABLE_ACCOUNTS];
    own[index].token_bytes = 0;
    auth->count = 0;
    generation->tokens_unopened++;
    ipc_log(IPC_LOG_ERROR,
        "account %u: its token cannot be used (%s); set it again with 'lockstepctl token set'",
        row->account, ipc_rc_text(rc));
}

/* Connections of the lanes: one each, and one pool for all accounts with an equal shared key. */
static uint32_t connections_of(const struct eng_generation *generation)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < generation->lane_count; i++) {
        const struct eng_lane_key *key = &generation->lanes[i].key;
        if (key->account != 0) {
            count++;
            continue;
        }
        /* Equal keys are mostly neighbours, and different ones few: the look back is short. */
        uint32_t before = i;
        while (before > 0 && memcmp(&generation->lanes[before - 1].key, key, sizeof(*key)) != 0)
            before--;
        if (before == 0)
            count += generation->brokers[key->broker].pool.pool_connections;
    }
    return count;
}

static enum ipc_rc accounts_take(
    struct eng_adopter *adopter, struct eng_generation *generation, struct ipc_error *error)
{
    const struct ipc_snapshot_view *view = &generation->view;
    uint32_t with_token = 0;
    size_t secret_bytes = 0;
    generation->lane_count = 0;
    generation->tokens_unopened = 0;
    memset(generation->auths, 0, adopter->config->accounts * sizeof(*generation->auths));
    for (uint32_t i = 0; i < view->account_count; i++) {
        if (account_sends(adopter, &view->accounts[i])) {
            with_token += view->accounts[i].token_bytes > 0;
            secret_bytes += secret_bytes_of(generation, &view->accounts[i]);
        }
    }
    enum ipc_rc rc = with_token > 0 ? key_load(adopter, error) : IPC_OK;
    if (rc == IPC_NOT_FOUND)
        ipc_error_set(error,
            "the snapshot has sealed tokens, and %s, the key that opens them, is not there: name "
            "the "
            "file that lockstepctl made (key_file, --key)",
            adopter->config->key_file);
    if (rc != IPC_OK)
        return IPC_REFUSED;
    rc = secrets_ensure(generation, secret_bytes, error);
    if (rc != IPC_OK)
        return rc;
    uint8_t *value = ipc_secret_alloc(generation->secrets, VALUE_PREFIX_MAX + IPC_SEAL_PLAIN_MAX);
    LS_CHECK(value != NULL);
    for (uint32_t i = 0; i < view->account_count; i++) {
        const struct ipc_row_account *row = &view->accounts[i];
        if (!account_sends(adopter, row) || row->token_bytes == 0)
            continue;
        if (!auth_keep(adopter, generation, i))
            auth_make(adopter, generation, i, value);
        if (generation->auths[i].count == 0)
            continue;
        struct eng_lane_plan *plan = &generation->lanes[generation->lane_count++];
        *plan = (struct eng_lane_plan){
            .account = row->account,
            .key = {.broker = row->broker,
                .source_family = row->source_family,
                .account = row->lanes == IPC_LANES_OWN ? row->account : 0},
        };
        memcpy(plan->key.source_address, row->source_address, sizeof(plan->key.source_address));
    }
    generation->connections = connections_of(generation);
    return IPC_OK;
}

static enum ipc_rc scratch_ensure(
    struct eng_adopter *adopter, const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    uint64_t needed = ipc_snapshot_scratch_bytes(view);
    if (needed <= adopter->scratch_bytes)
        return IPC_OK;
    free(adopter->scratch);
    adopter->scratch = malloc(needed);
    adopter->scratch_bytes = adopter->scratch != NULL ? needed : 0;
    if (adopter->scratch == NULL) {
        ipc_error_set(
            error, "no memory to validate the snapshot (%llu bytes)", (unsigned long long)needed);
        return IPC_SYSTEM;
    }
    return IPC_OK;
}

/* Everything between a complete copy and an offer. */
static enum ipc_rc prepare(
    struct eng_adopter *adopter, struct eng_generation *generation, struct ipc_error *error)
{
    ipc_snapshot_view_of(&generation->image, &generation->view);
    struct ipc_snapshot_view *view = &generation->view;
    enum ipc_rc rc = scratch_ensure(adopter, view, error);
    if (rc == IPC_OK)
        rc = ipc_snapshot_validate(view, adopter->scratch, adopter->scratch_bytes, error);
    if (rc != IPC_OK)
        return rc;
    if (adopter->config->shard >= view->cluster->shard_count) {
        ipc_error_set(error, "the snapshot serves %u shards, and this engine is shard %u",
            view->cluster->shard_count, adopter->config->shard);
        return IPC_REFUSED;
    }
    if (adopter->cluster_id[0] != '\0' &&
        strncmp(adopter->cluster_id, view->cluster->cluster_id, sizeof(adopter->cluster_id)) != 0) {
        ipc_error_set(error,
            "the snapshot is of cluster '%.48s' and the journal of '%.48s': the same orders would "
            "get "
            "other identities; publish the old id, or start with a journal directory of its own",
            view->cluster->cluster_id, adopter->cluster_id);
        return IPC_REFUSED;
    }
    ipc_snapshot_stats(view, &generation->stats);
    if (adopter->in_force != NULL) {
        rc = ipc_snapshot_guard(&adopter->in_force->stats, &generation->stats,
            ipc_snapshot_guard_fraction_e8(&adopter->in_force->view),
            (generation->image.flags & IPC_SNAPSHOT_OVERRIDE) != 0, error);
        if (rc != IPC_OK)
            return rc;
    }
    for (uint32_t i = 0; i < ENG_BROKERS_MAX; i++) {
        static const struct ipc_row_broker none;
        rc = broker_take(generation, i, i < view->broker_count ? &view->brokers[i] : &none, error);
        if (rc != IPC_OK)
            return rc;
    }
    generation->content_hash = generation->image.content_hash;
    rc = accounts_take(adopter, generation, error);
    if (rc == IPC_OK && generation->connections > adopter->config->connections) {
        ipc_error_set(error,
            "the snapshot asks for %u connections, and limits.connections is %u: raise it",
            generation->connections, adopter->config->connections);
        return IPC_REFUSED;
    }
    return rc;
}

enum ipc_rc eng_adopter_poll(struct eng_adopter *adopter, const struct eng_generation **out,
    uint64_t *refused, struct ipc_error *error)
{
    struct eng_generation *free_one = NULL;
    for (uint32_t i = 0; i < GENERATIONS; i++) {
        if (adopter->generations[i].state == STATE_OFFERED)
            return IPC_EMPTY;
        if (adopter->generations[i].state == STATE_FREE)
            free_one = &adopter->generations[i];
    }
    LS_CHECK(free_one != NULL);
    uint64_t generation = 0, lineage = 0;
    enum ipc_rc rc = reader_ensure(adopter, error);
    if (rc == IPC_OK)
        rc = ipc_snapshot_reader_poll(adopter->reader, &generation, &lineage, error);
    if (rc != IPC_OK) {
        /* Not published yet, or being replaced: asked again at the next poll. Anything else is said
         * now and then; the generation in force stays. */
        if (rc != IPC_NOT_FOUND && rc != IPC_TORN && rc != IPC_GONE &&
            adopter->reader_failures++ % 5000 == 0)
            ipc_log(IPC_LOG_ERROR, "the snapshot cannot be read: %s", error->text);
        return IPC_EMPTY;
    }
    if (generation == 0 ||
        (generation == adopter->answered_generation && lineage == adopter->answered_lineage))
        return IPC_EMPTY;
    rc = ipc_snapshot_reader_copy(adopter->reader, &free_one->image, error);
    if (rc == IPC_TORN || rc == IPC_EMPTY)
        return IPC_EMPTY;
    uint64_t copied = rc == IPC_OK ? free_one->image.generation : generation;
    if (rc == IPC_OK)
        rc = prepare(adopter, free_one, error);
    adopter->answered_generation = copied;
    adopter->answered_lineage = rc == IPC_OK ? free_one->image.lineage : lineage;
    if (rc != IPC_OK) {
        if (free_one->secrets != NULL)
            ipc_secret_arena_reset(free_one->secrets);
        *refused = copied;
        return IPC_REFUSED;
    }
    free_one->state = STATE_OFFERED;
    *out = free_one;
    return IPC_OK;
}

static struct eng_generation *offered(
    struct eng_adopter *adopter, const struct eng_generation *generation)
{
    for (uint32_t i = 0; i < GENERATIONS; i++) {
        if (&adopter->generations[i] == generation) {
            LS_CHECK(adopter->generations[i].state == STATE_OFFERED);
            return &adopter->generations[i];
        }
    }
    LS_CHECK(false);
    return NULL;
}

void eng_adopter_taken(struct eng_adopter *adopter, const struct eng_generation *generation)
{
    struct eng_generation *taken = offered(adopter, generation);
    if (adopter->in_force != NULL) {
        struct eng_contract_changes changes;
        eng_contract_changes_find(&adopter->in_force->view, &taken->view, &changes);
        eng_contract_changes_log(&changes, &taken->view);
        /* The old one's credentials are gone from memory now, not at the next adoption. */
        ipc_secret_arena_reset(adopter->in_force->secrets);
        adopter->in_force->state = STATE_FREE;
    }
    taken->state = STATE_IN_FORCE;
    adopter->in_force = taken;
    eng_adopter_bind(adopter, taken->view.cluster->cluster_id);
}

void eng_adopter_refused(struct eng_adopter *adopter, const struct eng_generation *generation)
{
    struct eng_generation *refused = offered(adopter, generation);
    ipc_secret_arena_reset(refused->secrets);
    refused->state = STATE_FREE;
}

void eng_adopter_cluster(struct eng_adopter *adopter, char out[64])
{
    memset(out, 0, 64);
    struct ipc_error error;
    struct eng_generation *probe = &adopter->generations[0];
    LS_CHECK(adopter->in_force == NULL && probe->state == STATE_FREE);
    if (reader_ensure(adopter, &error) != IPC_OK ||
        ipc_snapshot_reader_copy(adopter->reader, &probe->image, &error) != IPC_OK)
        return;
    const struct ipc_row_cluster *row = probe->image.rows[IPC_TABLE_CLUSTER];
    memcpy(out, row->cluster_id, 64);
    out[63] = '\0';
}

void eng_adopter_bind(struct eng_adopter *adopter, const char cluster_id[64])
{
    memcpy(adopter->cluster_id, cluster_id, sizeof(adopter->cluster_id));
}
