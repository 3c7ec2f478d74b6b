/* engine_page.c: see engine_page.h: making a page, saying things in it, reading it. The waits are
 * in engine_wait.c. */
#include "ipc/engine_page.h"

#include "ipc/clock.h"
#include "ipc/enum.h"
#include "ipc/seqlock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

IPC_DEFINE_ENUM(ipc_engine_state, IPC_ENGINE_STATE_LIST)

#define REFUSAL_WORDS LS_COUNT_OF(((struct ipc_engine_words *)0)->refusal)
_Static_assert(IPC_ENGINE_TEXT_BYTES % 8 == 0, "the sentence is whole words");

static struct ipc_region_spec spec_of(const char *name, uint32_t flags)
{
    static const struct ipc_layout_field fields[] = {
        IPC_LAYOUT_FIELD(struct ipc_engine_words, pid),
        IPC_LAYOUT_FIELD(struct ipc_engine_words, version),
        IPC_LAYOUT_FIELD(struct ipc_engine_words, heartbeat_mono_ns),
        IPC_LAYOUT_FIELD(struct ipc_engine_words, switch_seen),
        IPC_LAYOUT_FIELD(struct ipc_engine_words, adopted_generation),
        IPC_LAYOUT_FIELD(struct ipc_engine_words, state),
        IPC_LAYOUT_FIELD(struct ipc_engine_words, asleep),
        IPC_LAYOUT_FIELD(struct ipc_engine_words, refusal_sequence),
        IPC_LAYOUT_FIELD(struct ipc_engine_words, refusal),
    };
    return (struct ipc_region_spec){.name = name,
        .kind = IPC_REGION_ENGINE,
        .layout_hash = ipc_layout_hash(fields, LS_COUNT_OF(fields)),
        .body_bytes = sizeof(struct ipc_engine_words),
        .flags = flags};
}

static void name_page(uint32_t shard, char name[IPC_REGION_NAME_BYTES])
{
    (void)snprintf(name, IPC_REGION_NAME_BYTES, "engine.%u", shard);
}

/* A page keeps its file when its engine dies, and the next engine takes the file over: readers
 * that are attached see the new engine's words. */
static void start_words(struct ipc_engine_words *words, const char *version)
{
    atomic_store_explicit(&words->pid, (uint64_t)getpid(), memory_order_relaxed);
    atomic_store_explicit(&words->start_wall_ns, ipc_clock_wall_ns(), memory_order_relaxed);
    memset(words->version, 0, sizeof(words->version));
    (void)snprintf(words->version, sizeof(words->version), "%s", version);
    atomic_store_explicit(&words->heartbeat_mono_ns, ipc_clock_mono_ns(), memory_order_relaxed);
    atomic_store_explicit(&words->asleep, 0, memory_order_relaxed);
    atomic_store_explicit(&words->adopted_generation, 0, memory_order_relaxed);
    atomic_store_explicit(&words->switch_seen, 0, memory_order_relaxed);
    /* Release: whoever reads this state reads this engine's words. */
    atomic_store_explicit(&words->state, IPC_ENGINE_STARTING, memory_order_release);
}

enum ipc_rc ipc_engine_page_create(const struct ipc_shm *shm, uint32_t shard, const char *version,
    struct ipc_engine_page *page, struct ipc_error *error)
{
    char name[IPC_REGION_NAME_BYTES];
    memset(page, 0, sizeof(*page));
    page->region.fd = -1;
    if (shard >= IPC_ENGINE_SHARDS_MAX) {
        ipc_error_set(error, "shard %u is not below %u", shard, IPC_ENGINE_SHARDS_MAX);
        return IPC_BAD_INPUT;
    }
    name_page(shard, name);
    struct ipc_region_spec spec = spec_of(name, IPC_REGION_WRITE);
    enum ipc_rc rc = ipc_region_open(shm, &spec, NULL, NULL, &page->region, error);
    if (rc == IPC_BAD_ABI || rc == IPC_BAD_LAYOUT) {
        /* Another build's page: its engine holds the lock while it lives, so removal says. */
        rc = ipc_region_remove(shm, name, error);
        if (rc == IPC_OK)
            rc = ipc_region_open(shm, &spec, NULL, NULL, &page->region, error);
    }
    if (rc == IPC_OK)
        rc = ipc_region_lock(&page->region, IPC_LOCK_WRITER);
    if (rc == IPC_BUSY) {
        ipc_error_set(error, "an engine of shard %u is running; stop it first", shard);
    } else if (rc != IPC_OK && page->region.fd >= 0) {
        ipc_error_set(error, "cannot lock %s: %s", name, strerror(errno));
    }
    if (rc != IPC_OK) {
        int saved = errno;
        ipc_region_detach(&page->region);
        errno = saved;
        return rc;
    }
    page->shard = shard;
    page->words = page->region.body;
    start_words(page->words, version);
    ipc_engine_set_refused(page, 0, "");
    return IPC_OK;
}

void ipc_engine_page_close(struct ipc_engine_page *page)
{
    ipc_region_detach(&page->region);
    page->words = NULL;
}

void ipc_engine_set_refused(struct ipc_engine_page *page, uint64_t generation, const char *sentence)
{
    uint64_t values[REFUSAL_WORDS] = {generation};
    size_t length = strnlen(sentence, IPC_ENGINE_TEXT_BYTES - 1);
    memcpy(&values[1], sentence, length);
    ipc_seqlock_write(&page->words->refusal_sequence, page->words->refusal, values, REFUSAL_WORDS);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Text from another process, for a person: cut at its end, control bytes replaced. */
static void clean_text(char *text, size_t bytes)
{
    text[bytes - 1] = 0;
    for (char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    }
}

static void copy_words(const struct ipc_engine_words *words, struct ipc_engine_status *out)
{
    /* Acquire on what waits look at: pairs with the releases of the setters. */
    uint32_t state = atomic_load_explicit(&words->state, memory_order_acquire);
    out->state = ipc_engine_state_valid(state) ? (uint8_t)state : 0;
    out->switch_seen = atomic_load_explicit(&words->switch_seen, memory_order_acquire);
    out->adopted_generation =
        atomic_load_explicit(&words->adopted_generation, memory_order_acquire);
    out->pid = atomic_load_explicit(&words->pid, memory_order_relaxed);
    out->start_wall_ns = atomic_load_explicit(&words->start_wall_ns, memory_order_relaxed);
    out->heartbeat_mono_ns = atomic_load_explicit(&words->heartbeat_mono_ns, memory_order_relaxed);
    out->asleep = atomic_load_explicit(&words->asleep, memory_order_relaxed) != 0;
    memcpy(out->version, words->version, sizeof(out->version));
    clean_text(out->version, sizeof(out->version));
    uint64_t refusal[REFUSAL_WORDS];
    /* A porter that is writing it now will have written it at the next look. */
    if (ipc_seqlock_read(&words->refusal_sequence, words->refusal, refusal, REFUSAL_WORDS, NULL)) {
        out->refused_generation = refusal[0];
        memcpy(out->refusal, &refusal[1], sizeof(out->refusal));
        clean_text(out->refusal, sizeof(out->refusal));
    }
}

enum ipc_rc ipc_engine_look(const struct ipc_shm *shm, uint32_t shard,
    struct ipc_engine_status *out, struct ipc_error *error)
{
    char name[IPC_REGION_NAME_BYTES];
    struct ipc_region region;
    memset(out, 0, sizeof(*out));
    out->shard = shard;
    if (shard >= IPC_ENGINE_SHARDS_MAX) {
        ipc_error_set(error, "shard %u is not below %u", shard, IPC_ENGINE_SHARDS_MAX);
        return IPC_BAD_INPUT;
    }
    name_page(shard, name);
    struct ipc_region_spec spec = spec_of(name, 0);
    enum ipc_rc rc = ipc_region_attach(shm, &spec, &region, error);
    if (rc != IPC_OK)
        return rc;
    out->live = ipc_region_is_locked(&region, IPC_LOCK_WRITER);
    copy_words(region.body, out);
    ipc_region_detach(&region);
    return IPC_OK;
}

uint32_t ipc_engine_list(
    const struct ipc_shm *shm, bool live_only, struct ipc_engine_status *out, uint32_t capacity)
{
    uint32_t count = 0;
    for (uint32_t shard = 0; shard < IPC_ENGINE_SHARDS_MAX && count < capacity; shard++) {
        if (ipc_engine_look(shm, shard, &out[count], NULL) == IPC_OK &&
            (out[count].live || !live_only))
            count++;
    }
    return count;
}

/* ---- the bell -------------------------------------------------------------------------------- */

enum ipc_rc ipc_engine_bell_open(const struct ipc_shm *shm, uint32_t shard,
    struct ipc_engine_bell *bell, struct ipc_error *error)
{
    char name[IPC_REGION_NAME_BYTES];
    memset(bell, 0, sizeof(*bell));
    bell->region.fd = -1;
    if (shard >= IPC_ENGINE_SHARDS_MAX) {
        ipc_error_set(error, "shard %u is not below %u", shard, IPC_ENGINE_SHARDS_MAX);
        return IPC_BAD_INPUT;
    }
    name_page(shard, name);
    struct ipc_region_spec spec = spec_of(name, 0);
    enum ipc_rc rc = ipc_region_attach(shm, &spec, &bell->region, error);
    if (rc == IPC_OK)
        bell->asleep = &((const struct ipc_engine_words *)bell->region.body)->asleep;
    return rc;
}

void ipc_engine_bell_close(struct ipc_engine_bell *bell)
{
    ipc_region_detach(&bell->region);
    bell->asleep = NULL;
}
