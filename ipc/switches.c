/* switches.c: see switches.h. */
#include "ipc/switches.h"

#include "ipc/enum.h"

#include <errno.h>
#include <string.h>

IPC_DEFINE_ENUM(ipc_switch_scope, IPC_SWITCH_SCOPE_LIST)

/* Most words of one kind: a bound for sizes read from the file. */
#define WORDS_MAX (UINT32_C(1) << 26)

/* Body: this head, then accounts, slots, instruments. */
struct switches_head {
    struct ipc_switches_shape shape;   /* writer: creator, once */
    LS_LINE _Atomic uint64_t sequence; /* writer: lock holder; engines acquire */
    _Atomic uint32_t everything;       /* writer: lock holder */
    LS_LINE _Atomic uint32_t brokers[IPC_SWITCHES_BROKERS]; /* writer: lock holder */
};

static uint64_t layout_hash(void)
{
    static const struct ipc_layout_field fields[] = {
        IPC_LAYOUT_FIELD(struct switches_head, shape),
        IPC_LAYOUT_FIELD(struct switches_head, sequence),
        IPC_LAYOUT_FIELD(struct switches_head, everything),
        IPC_LAYOUT_FIELD(struct switches_head, brokers),
    };
    return ipc_layout_hash(fields, LS_COUNT_OF(fields));
}

static bool shape_fits(const struct ipc_switches_shape *shape)
{
    return shape->accounts <= WORDS_MAX && shape->slots <= WORDS_MAX &&
           shape->instruments <= WORDS_MAX;
}

static uint64_t body_bytes(const struct ipc_switches_shape *shape)
{
    return sizeof(struct switches_head) +
           ((uint64_t)shape->accounts + shape->slots + shape->instruments) * sizeof(uint32_t);
}

static void init_head(void *body, void *context)
{
    struct switches_head *head = body;
    head->shape = *(const struct ipc_switches_shape *)context;
    /* 1, so that switch_seen 0 of a new engine has not yet seen the first state. */
    atomic_store_explicit(&head->sequence, 1, memory_order_relaxed);
}

/* Takes the shape from the file once, bounds it, and points at the words. */
static enum ipc_rc point(struct ipc_switches *page, struct ipc_error *error)
{
    struct switches_head *head = page->region.body;
    const volatile struct ipc_switches_shape *said = &head->shape;
    struct ipc_switches_shape shape = {
        .accounts = said->accounts, .slots = said->slots, .instruments = said->instruments};
    if (!shape_fits(&shape) || body_bytes(&shape) > page->region.body_bytes) {
        ipc_error_set(error,
            "page %s says %u accounts, %u slots, %u instruments and has %llu "
            "bytes; remove it with `lockstepctl shm repair`",
            IPC_SWITCHES_FILE, shape.accounts, shape.slots, shape.instruments,
            (unsigned long long)page->region.body_bytes);
        return IPC_BAD_SIZE;
    }
    const _Atomic uint32_t *words = (const void *)(head + 1);
    page->shape = shape;
    page->sequence = &head->sequence;
    page->everything = &head->everything;
    page->brokers = head->brokers;
    page->accounts = words;
    page->slots = words + shape.accounts;
    page->instruments = words + shape.accounts + shape.slots;
    return IPC_OK;
}

static struct ipc_region_spec spec_of(uint64_t bytes, uint32_t flags)
{
    return (struct ipc_region_spec){.name = IPC_SWITCHES_FILE,
        .kind = IPC_REGION_SWITCHES,
        .layout_hash = layout_hash(),
        .body_bytes = bytes,
        .flags = flags};
}

static enum ipc_rc lock(struct ipc_switches *page, struct ipc_error *error)
{
    enum ipc_rc rc = ipc_region_lock(&page->region, IPC_LOCK_WRITER);
    if (rc == IPC_BUSY) {
        ipc_error_set(error, "another process holds the switches; ask it, or stop it first");
    } else if (rc != IPC_OK) {
        ipc_error_set(error, "cannot lock page %s: %s", IPC_SWITCHES_FILE, strerror(errno));
    }
    return rc;
}

static enum ipc_rc check_wanted(const struct ipc_switches *page,
    const struct ipc_switches_shape *wanted, struct ipc_error *error)
{
    if (page->shape.accounts >= wanted->accounts && page->shape.slots >= wanted->slots &&
        page->shape.instruments >= wanted->instruments)
        return IPC_OK;
    ipc_error_set(error,
        "page %s holds %u accounts, %u slots, %u instruments and more are needed; stop all "
        "engines, remove it with `lockstepctl shm repair`, and start again",
        IPC_SWITCHES_FILE, page->shape.accounts, page->shape.slots, page->shape.instruments);
    return IPC_BAD_SIZE;
}

static void bump(struct ipc_switches *page)
{
    struct switches_head *head = page->region.body;
    /* Release: the words stored before it are seen by whoever acquires this sequence
     * (ipc_switch_sequence). */
    (void)atomic_fetch_add_explicit(&head->sequence, 1, memory_order_release);
}

enum ipc_rc ipc_switches_open_writer(const struct ipc_shm *shm,
    const struct ipc_switches_shape *shape, struct ipc_switches *page, struct ipc_error *error)
{
    memset(page, 0, sizeof(*page));
    page->region.fd = -1;
    if (!shape_fits(shape)) {
        ipc_error_set(error, "a page of switches holds at most %u words of a kind", WORDS_MAX);
        return IPC_BAD_INPUT;
    }
    struct ipc_switches_shape wanted = *shape;
    struct ipc_region_spec any = spec_of(sizeof(struct switches_head), IPC_REGION_WRITE);
    struct ipc_region_spec fresh = spec_of(body_bytes(shape), IPC_REGION_WRITE);
    enum ipc_rc rc = ipc_region_attach(shm, &any, &page->region, error);
    if (rc == IPC_NOT_FOUND)
        rc = ipc_region_create(shm, &fresh, init_head, &wanted, &page->region, error);
    if (rc == IPC_EXISTS) /* another writer was faster; its page will do */
        rc = ipc_region_attach(shm, &any, &page->region, error);
    if (rc != IPC_OK)
        return rc;
    rc = lock(page, error);
    if (rc == IPC_OK)
        rc = point(page, error);
    if (rc == IPC_OK)
        rc = check_wanted(page, shape, error);
    if (rc != IPC_OK) {
        ipc_switches_close(page);
        return rc;
    }
    /* A writer that died between a word and its sequence left a change that nobody waits for:
     * this sequence covers it. */
    bump(page);
    page->is_writer = 1;
    return IPC_OK;
}

enum ipc_rc ipc_switches_open_reader(
    const struct ipc_shm *shm, struct ipc_switches *page, struct ipc_error *error)
{
    memset(page, 0, sizeof(*page));
    page->region.fd = -1;
    struct ipc_region_spec spec = spec_of(sizeof(struct switches_head), IPC_REGION_PREFAULT);
    enum ipc_rc rc = ipc_region_attach(shm, &spec, &page->region, error);
    if (rc != IPC_OK)
        return rc;
    rc = point(page, error);
    if (rc != IPC_OK)
        ipc_switches_close(page);
    return rc;
}

void ipc_switches_close(struct ipc_switches *page)
{
    int saved = errno;
    ipc_region_detach(&page->region);
    memset(page, 0, sizeof(*page));
    page->region.fd = -1;
    errno = saved;
}

/* The word of a scope and index; NULL when it is out of range. */
static const _Atomic uint32_t *word_of(
    const struct ipc_switches *page, enum ipc_switch_scope scope, uint32_t index)
{
    switch (scope) {
    case IPC_SWITCH_GLOBAL:
        return index == 0 ? page->everything : NULL;
    case IPC_SWITCH_BROKER:
        return index < IPC_SWITCHES_BROKERS ? &page->brokers[index] : NULL;
    case IPC_SWITCH_MASTER:
        return index - 1 < page->shape.accounts ? &page->accounts[index - 1] : NULL;
    case IPC_SWITCH_FOLLOWER:
        return index < page->shape.slots ? &page->slots[index] : NULL;
    case IPC_SWITCH_INSTRUMENT:
        return index - 1 < page->shape.instruments ? &page->instruments[index - 1] : NULL;
    }
    return NULL;
}

enum ipc_rc ipc_switches_set(struct ipc_switches *page, enum ipc_switch_scope scope, uint32_t index,
    enum ipc_switch value, uint64_t *sequence)
{
    LS_CHECK(page->is_writer);
    const _Atomic uint32_t *word = word_of(page, scope, index);
    if (!word || !ipc_switch_valid((uint32_t)value))
        return IPC_BAD_INPUT;
    /* The page's pointers are const for readers; a writer's mapping is writable. Relaxed: the
     * release in bump orders it. */
    atomic_store_explicit((_Atomic uint32_t *)word, (uint32_t)value, memory_order_relaxed);
    bump(page);
    *sequence = atomic_load_explicit(page->sequence, memory_order_relaxed);
    return IPC_OK;
}

enum ipc_switch ipc_switches_get(
    const struct ipc_switches *page, enum ipc_switch_scope scope, uint32_t index)
{
    const _Atomic uint32_t *word = word_of(page, scope, index);
    return word ? (enum ipc_switch)ipc_switch_word(word, 1, 0) : IPC_SWITCH_HALT;
}
