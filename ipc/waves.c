#include "ipc/waves.h"

#include <stdio.h>
#include <string.h>

#include "ipc/seqlock.h"

struct wave_cell {
    LS_LINE _Atomic uint64_t sequence;
    _Atomic uint64_t words[IPC_WAVE_WORDS];
};

struct ipc_waves_body {
    LS_LINE _Atomic uint64_t last; /* writer: pinned thread; number of the newest record */
    struct wave_cell cells[IPC_WAVES_KEPT];
};

static const struct ipc_layout_field layout[] = {
    IPC_LAYOUT_FIELD(struct ipc_waves_body, last),
    IPC_LAYOUT_FIELD(struct ipc_waves_body, cells),
    IPC_LAYOUT_FIELD(struct ipc_wave_record, number),
    IPC_LAYOUT_FIELD(struct ipc_wave_record, published_mono_ns),
    IPC_LAYOUT_FIELD(struct ipc_wave_record, first_accepted_ns),
    IPC_LAYOUT_FIELD(struct ipc_wave_record, send_ns),
    IPC_LAYOUT_FIELD(struct ipc_wave_record, sent),
    IPC_LAYOUT_FIELD(struct ipc_wave_record, bytes),
    IPC_LAYOUT_FIELD(struct ipc_wave_record, is_exit),
};

static enum ipc_rc attach(const struct ipc_shm *shm, uint32_t shard, bool create,
    struct ipc_waves *waves, struct ipc_error *error)
{
    char name[IPC_REGION_NAME_BYTES];
    *waves = (struct ipc_waves){.body = NULL, .region = {.fd = -1}};
    if (shard >= 64) {
        ipc_error_set(error, "shard %u is out of range: 0 to 63", shard);
        return IPC_BAD_INPUT;
    }
    (void)snprintf(name, sizeof(name), "waves.%u", shard);
    struct ipc_region_spec spec = {
        .name = name,
        .kind = IPC_REGION_WAVES,
        .layout_hash = ipc_layout_hash(layout, LS_COUNT_OF(layout)),
        .body_bytes = sizeof(struct ipc_waves_body),
        .flags = create ? IPC_REGION_WRITE | IPC_REGION_REPLACE | IPC_REGION_PREFAULT : 0,
    };
    enum ipc_rc rc = create ? ipc_region_create(shm, &spec, NULL, NULL, &waves->region, error)
                            : ipc_region_attach(shm, &spec, &waves->region, error);
    if (rc == IPC_OK)
        waves->body = waves->region.body;
    return rc;
}

enum ipc_rc ipc_waves_create(
    const struct ipc_shm *shm, uint32_t shard, struct ipc_waves *waves, struct ipc_error *error)
{
    return attach(shm, shard, true, waves, error);
}

enum ipc_rc ipc_waves_open(
    const struct ipc_shm *shm, uint32_t shard, struct ipc_waves *waves, struct ipc_error *error)
{
    return attach(shm, shard, false, waves, error);
}

void ipc_waves_close(struct ipc_waves *waves)
{
    if (waves->body != NULL)
        ipc_region_detach(&waves->region);
    waves->body = NULL;
}

void ipc_waves_put(struct ipc_waves *waves, struct ipc_wave_record *record)
{
    struct ipc_waves_body *body = waves->body;
    uint64_t values[IPC_WAVE_WORDS];
    uint64_t number = atomic_load_explicit(&body->last, memory_order_relaxed) + 1;
    struct wave_cell *cell = &body->cells[number & (IPC_WAVES_KEPT - 1)];
    record->number = number;
    memcpy(values, record, sizeof(values));
    ipc_seqlock_write(&cell->sequence, cell->words, values, IPC_WAVE_WORDS);
    /* Release: pairs with the acquire in ipc_waves_last, the record is there before its number. */
    atomic_store_explicit(&body->last, number, memory_order_release);
}

uint64_t ipc_waves_last(const struct ipc_waves *waves)
{
    return atomic_load_explicit(&waves->body->last, memory_order_acquire);
}

enum ipc_rc ipc_waves_get(
    const struct ipc_waves *waves, uint64_t number, struct ipc_wave_record *out)
{
    const struct wave_cell *cell = &waves->body->cells[number & (IPC_WAVES_KEPT - 1)];
    uint64_t values[IPC_WAVE_WORDS], seen = 0;
    if (number == 0)
        return IPC_NOT_FOUND;
    if (!ipc_seqlock_read(&cell->sequence, cell->words, values, IPC_WAVE_WORDS, &seen))
        return IPC_TORN;
    struct ipc_wave_record record;
    memcpy(&record, values, sizeof(record));
    if (seen == 0 || record.number != number)
        return IPC_NOT_FOUND;
    *out = record;
    return IPC_OK;
}
