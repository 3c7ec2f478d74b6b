#include "tests/support/journal_world.h"

#include "ipc/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        abort();                                                                                   \
    } while (0)

void journal_world_make(struct journal_world *world)
{
    memset(world, 0, sizeof *world);
    tempshm_make(&world->shm);
    snprintf(world->disk, sizeof world->disk, "%s/disk", world->shm.path);
    struct eng_journal_config *config = &world->config;
    snprintf(config->memory_directory, sizeof config->memory_directory, "%s", world->shm.path);
    snprintf(config->disk_directory, sizeof config->disk_directory, "%s", world->disk);
    snprintf(config->cluster_id, sizeof config->cluster_id, "test");
    config->segment_bytes = ENG_JOURNAL_SEGMENT_BYTES_MIN;
    config->segment_count = ENG_JOURNAL_SEGMENTS_MIN;
    config->reserve_bytes = 64 * 1024;
    if (ipc_clock_boot_id(config->boot_id) != IPC_OK)
        FAIL("no boot id");
}

void journal_world_remove(struct journal_world *world)
{
    journal_world_leave(world);
    tempshm_remove(&world->shm);
}

static enum ipc_rc model_apply(void *context, const struct eng_frame *frame, bool maybe)
{
    struct journal_model *model = context;
    if (frame->lsn <= model->last_lsn || (maybe && model->refuses_maybe))
        return IPC_BAD_INPUT;
    model->facts++;
    model->maybe += maybe;
    model->last_lsn = frame->lsn;
    if (frame->type == IPC_FACT_OPEN) {
        model->opens++;
        memcpy(&model->last_open, frame->payload, sizeof model->last_open);
        return IPC_OK;
    }
    model->hash = ipc_crc32c(model->hash, &frame->type, sizeof frame->type);
    model->hash = ipc_crc32c(model->hash, &frame->lsn, sizeof frame->lsn);
    model->hash = ipc_crc32c(model->hash, frame->payload, frame->payload_bytes);
    return IPC_OK;
}

static void model_recovered(void *context, struct ipc_fact_open *out)
{
    const struct journal_model *model = context;
    out->state_hash = model->hash;
    out->unknown_children = model->unknowns;
}

struct eng_recovery_fold journal_world_fold(struct journal_model *model)
{
    return (struct eng_recovery_fold){
        .apply = model_apply, .recovered = model_recovered, .context = model};
}

enum ipc_rc journal_world_open(struct journal_world *world)
{
    memset(&world->model, 0, sizeof world->model);
    world->model.refuses_maybe = world->refuses_maybe;
    enum ipc_rc rc = eng_journal_open(&world->config, &world->journal, &world->error);
    if (rc != IPC_OK)
        return rc;
    struct eng_recovery_fold fold = journal_world_fold(&world->model);
    rc = eng_recovery_run(world->journal, &fold, ipc_clock_mono_ns(), ipc_clock_wall_ns(),
        &world->result, &world->error);
    if (rc != IPC_OK)
        journal_world_leave(world);
    return rc;
}

void journal_world_leave(struct journal_world *world)
{
    eng_journal_close(world->journal);
    world->journal = NULL;
}

static uint8_t payload_byte(uint64_t lsn, uint32_t at)
{
    uint64_t mixed = (lsn + 1) * UINT64_C(0x9e3779b97f4a7c15) + at * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint8_t)(mixed >> 32);
}

uint64_t journal_world_append(struct journal_world *world, uint32_t bytes)
{
    uint64_t lsn = eng_journal_last_lsn(world->journal) + 1;
    uint8_t *place = eng_journal_begin(world->journal, IPC_FACT_CHECKPOINT, bytes);
    if (place == NULL)
        return 0;
    for (uint32_t i = 0; i < bytes; i++)
        place[i] = payload_byte(lsn, i);
    return eng_journal_commit(world->journal, bytes, 1);
}

bool journal_world_payload_right(const struct ipc_frame *frame, const void *payload)
{
    const uint8_t *bytes = payload;
    if (frame->type == IPC_FACT_OPEN)
        return frame->payload_bytes == sizeof(struct ipc_fact_open);
    for (uint32_t i = 0; i < frame->payload_bytes; i++)
        if (bytes[i] != payload_byte(frame->lsn, i))
            return false;
    return frame->type == IPC_FACT_CHECKPOINT;
}

void journal_world_path(const struct journal_world *world, bool on_disk, uint64_t segment_no,
    char out[JOURNAL_PATH_BYTES])
{
    char name[IPC_SEGMENT_NAME_BYTES];
    ipc_segment_name(segment_no, name);
    snprintf(out, JOURNAL_PATH_BYTES, "%s/journal.%u/%s",
        on_disk ? world->config.disk_directory : world->config.memory_directory,
        world->config.shard, name);
}

void journal_world_read(const struct journal_world *world, bool take_complete, bool memory,
    const uint8_t *boot_id, struct journal_reading *out)
{
    struct ipc_journal_reader_options options = {
        .memory_directory = memory ? world->config.memory_directory : NULL,
        .disk_directory = world->config.disk_directory,
        .shard = world->config.shard,
        .take_complete = take_complete,
        .accept_corrupt = world->config.accept_corrupt,
    };
    memcpy(options.boot_id, boot_id != NULL ? boot_id : world->config.boot_id, 16);
    memset(out, 0, sizeof *out);
    out->payloads_right = out->in_order = true;
    struct ipc_journal_reader *reader;
    enum ipc_rc rc = ipc_journal_reader_open(&options, &reader, &out->error);
    if (rc != IPC_OK)
        FAIL("the journal cannot be opened: %s", out->error.text);
    struct ipc_journal_entry entry;
    for (;;) {
        enum ipc_journal_step step = ipc_journal_reader_next(reader, &entry);
        if (step == IPC_JOURNAL_END)
            step = ipc_journal_reader_tail(reader, &entry);
        if (step == IPC_JOURNAL_FRAME) {
            out->in_order &= entry.frame->lsn > out->last_lsn;
            out->payloads_right &= journal_world_payload_right(entry.frame, entry.payload);
            if (out->frames++ == 0)
                out->first_lsn = entry.frame->lsn;
            out->last_lsn = entry.frame->lsn;
            out->maybe += (entry.flags & IPC_ENTRY_MAYBE) != 0;
            out->uncommitted += (entry.flags & IPC_ENTRY_UNCOMMITTED) != 0;
            out->from_disk += (entry.flags & IPC_ENTRY_FROM_DISK) != 0;
            continue;
        }
        if (step == IPC_JOURNAL_HOLE) {
            out->holes++;
            out->dropped_bytes += entry.dropped_bytes;
            continue;
        }
        out->end = step;
        out->dropped_bytes += entry.dropped_bytes;
        out->dropped_committed = entry.dropped_committed;
        out->error = entry.error;
        break;
    }
    ipc_journal_reader_place(reader, &out->place);
    ipc_journal_reader_close(reader);
}
