#include "engine/recovery.h"

#include "engine/journal_private.h"
#include "ipc/clock.h"
#include "ipc/journal_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- folding --- */

struct folding {
    const struct eng_recovery_fold *fold;
    struct eng_recovery_result *result;
    struct ipc_journal_reader *reader;
    bool is_live; /* somebody may be writing: the end is where it stands now */
    uint64_t
        dropped_bytes; /* since the last OPEN: what that one has said already is not said again */
    bool dropped_committed;
    struct ipc_journal_place place; /* behind the last frame */
};

static enum ipc_rc frame_fold(
    struct folding *folding, const struct ipc_journal_entry *entry, struct ipc_error *error)
{
    const struct ipc_frame *frame = entry->frame;
    const struct eng_recovery_fold *fold = folding->fold;
    struct eng_recovery_result *result = folding->result;
    bool maybe = (entry->flags & IPC_ENTRY_MAYBE) != 0;
    if (result->frames == 0 && result->checkpoint_lsn == 0 && frame->lsn != 1 &&
        frame->type != IPC_FACT_CHECKPOINT) {
        ipc_error_set(error,
            "the journal's oldest record is lsn %llu and no checkpoint before it can be used: the "
            "files before segment %llu are missing; put them back",
            (unsigned long long)frame->lsn, (unsigned long long)entry->segment_no);
        return IPC_GONE;
    }
    if (frame->type == IPC_FACT_OPEN) {
        folding->dropped_bytes = 0;
        folding->dropped_committed = false;
        result->holes = 0;
        result->frames_maybe = 0;
        result->frames_unfit = 0;
        const struct ipc_fact_open *open = entry->payload;
        if (frame->payload_bytes >= sizeof(*open) && open->cluster_id[0] != '\0')
            memcpy(result->cluster_id, open->cluster_id, sizeof(result->cluster_id));
    }
    result->frames++;
    result->frames_maybe += maybe;
    result->folded_bytes += frame->length;
    result->last_lsn = frame->lsn;
    result->last_crc = frame->crc;
    result->last_segment_no = entry->segment_no;
    struct eng_frame fact = {
        .type = (enum ipc_fact_type)frame->type,
        .count = frame->count,
        .payload = entry->payload,
        .payload_bytes = frame->payload_bytes,
        .lsn = frame->lsn,
        .mono_ns = frame->mono_ns,
        .wall_ns = frame->wall_ns,
    };
    bool is_known = ipc_fact_type_valid(frame->type);
    if (is_known && fold->apply(fold->context, &fact, maybe) == IPC_OK)
        return IPC_OK;
    if (is_known && maybe) {
        /* What it builds on is in the hole. It stays in its file as evidence, and the books are to
         * be compared anyhow: refusing to start would leave nobody to close a position. */
        result->frames_unfit++;
        return IPC_OK;
    }
    ipc_error_set(error,
        "the journal's lsn %llu (%s, segment %llu) is whole, but no fact that this engine knows: "
        "start the version that wrote it",
        (unsigned long long)frame->lsn, ipc_fact_type_name((enum ipc_fact_type)frame->type),
        (unsigned long long)entry->segment_no);
    return IPC_BAD_INPUT;
}

static enum ipc_rc corrupt_refuse(const struct ipc_journal_entry *entry, struct ipc_error *error)
{
    ipc_error_set(error,
        "%s. Compare every account's book with the journal, then start once with "
        "--accept-corrupt",
        entry->error.text);
    return IPC_BAD_CRC;
}

/* Folds everything there is, or what is wanted. */
static enum ipc_rc journal_fold(struct folding *folding, struct ipc_error *error)
{
    struct ipc_journal_entry entry;
    uint64_t until_lsn = folding->fold->until_lsn;
    if (until_lsn != 0 && folding->result->last_lsn >= until_lsn)
        return IPC_OK; /* the checkpoint is all of it */
    for (;;) {
        enum ipc_journal_step step = ipc_journal_reader_next(folding->reader, &entry);
        if (step == IPC_JOURNAL_END && !folding->is_live)
            step = ipc_journal_reader_tail(folding->reader, &entry);
        enum ipc_rc rc = IPC_OK;
        switch (step) {
        case IPC_JOURNAL_FRAME:
            rc = frame_fold(folding, &entry, error);
            if (rc != IPC_OK || (until_lsn != 0 && entry.frame->lsn >= until_lsn))
                return rc;
            break;
        case IPC_JOURNAL_HOLE:
        case IPC_JOURNAL_TORN:
            folding->dropped_bytes += entry.dropped_bytes;
            folding->dropped_committed |= entry.dropped_committed;
            if (step == IPC_JOURNAL_TORN)
                return IPC_OK;
            folding->result->holes++;
            break;
        case IPC_JOURNAL_END:
            return IPC_OK;
        case IPC_JOURNAL_CORRUPT:
            return corrupt_refuse(&entry, error);
        case IPC_JOURNAL_GONE:
            ipc_error_set(error, "%s", entry.error.text);
            return IPC_GONE;
        }
    }
}

/* --- checkpoints --- */

#define CHECKPOINTS_LOOKED_AT 8u

/* Does the journal have the checkpoint's last fact as the checkpoint saw it? Then what follows in
 * the journal continues this very state. returns a reader that stands behind it, NULL and *why when
 * not */
static struct ipc_journal_reader *checkpoint_join(const struct ipc_journal_reader_options *options,
    const struct eng_checkpoint_about *about, struct ipc_error *why)
{
    struct ipc_journal_reader_options from = *options;
    struct ipc_journal_reader *reader;
    struct ipc_journal_entry entry;
    from.from_lsn = about->lsn;
    from.from_segment_no = about->segment_no;
    if (ipc_journal_reader_open(&from, &reader, why) != IPC_OK)
        return NULL;
    if (ipc_journal_reader_next(reader, &entry) == IPC_JOURNAL_FRAME &&
        entry.frame->lsn == about->lsn && entry.frame->crc == about->frame_crc &&
        (entry.flags & (IPC_ENTRY_MAYBE | IPC_ENTRY_UNCOMMITTED)) == 0)
        return reader;
    ipc_journal_reader_close(reader);
    ipc_error_set(why,
        "the checkpoint of lsn %llu is of another journal: that fact is not there "
        "as the checkpoint has it",
        (unsigned long long)about->lsn);
    return NULL;
}

/* Begins with the newest checkpoint that is right, if there is one. */
static void checkpoint_take(
    struct folding *folding, const struct ipc_journal_reader_options *options)
{
    const struct eng_recovery_fold *fold = folding->fold;
    struct eng_recovery_result *result = folding->result;
    uint64_t lsns[CHECKPOINTS_LOOKED_AT];
    int directory_fd = ipc_journal_reader_disk(folding->reader);
    if (fold->restore == NULL || directory_fd < 0)
        return;
    uint32_t count = eng_checkpoint_list(directory_fd, lsns, CHECKPOINTS_LOOKED_AT);
    for (uint32_t i = 0; i < count; i++) {
        struct eng_checkpoint_about about;
        struct ipc_journal_reader *reader = NULL;
        struct ipc_error why = {{0}};
        if (fold->until_lsn != 0 && lsns[i] > fold->until_lsn)
            continue;
        enum ipc_rc rc =
            fold->restore(fold->context, directory_fd, options->shard, lsns[i], &about);
        if (rc == IPC_OK)
            reader = checkpoint_join(options, &about, &why);
        else
            ipc_error_set(&why, "the checkpoint of lsn %llu is passed over: %s",
                (unsigned long long)lsns[i], ipc_rc_text(rc));
        if (reader != NULL) {
            ipc_journal_reader_close(folding->reader);
            folding->reader = reader;
            result->checkpoint_lsn = result->last_lsn = about.lsn;
            result->last_crc = about.frame_crc;
            result->last_segment_no = about.segment_no;
            memcpy(result->cluster_id, about.cluster_id, sizeof result->cluster_id);
            return;
        }
        fold->reset(fold->context);
        if (result->checkpoints_refused++ == 0)
            result->refused = why;
    }
}

/* --- making the old segments durable --- */

/* Where the frames of a disk file end that are right and known to be durable: what lies before is
 * not written again. Reading alone proves nothing about the disk: after a failed sync the page
 * cache may still show what was never written, and a new sync would say that all is well. */
static uint64_t disk_right_end(
    struct eng_journal *journal, const struct ipc_segment *memory, struct ipc_frame *copy)
{
    struct ipc_segment disk;
    if (ipc_segment_open(
            &disk, journal->disk_fd, true, memory->segment_no, journal->config.shard) != IPC_OK)
        return 0;
    uint64_t end = 0;
    if (disk.header.salt == memory->header.salt) {
        end = IPC_SEGMENT_HEADER_BYTES;
        uint64_t lsn = disk.header.first_lsn;
        uint32_t previous_crc = disk.header.previous_crc;
        while (ipc_segment_look(&disk, end, copy) == IPC_PLACE_FRAME && copy->lsn == lsn &&
               lsn <= journal->previous_durable_lsn && copy->previous_crc == previous_crc) {
            end += copy->length;
            previous_crc = copy->crc;
            lsn++;
        }
    }
    ipc_segment_close(&disk);
    return end;
}

static bool segment_flush_from(struct eng_journal *journal, struct ipc_segment *memory,
    uint64_t from, uint64_t end, const char **call)
{
    const struct eng_scribe_system *system = journal->system;
    int fd = eng_scribe_file_make(journal, memory->segment_no, call);
    if (fd < 0)
        return false;
    *call = "write";
    bool good = eng_scribe_write(journal, fd, memory->mapping + from, end - from, from);
    if (good) {
        *call = "sync";
        good = system->sync(system->context, fd) == 0 &&
               system->sync_directory(system->context, journal->disk_fd) == 0;
    }
    int reason = errno;
    system->close_file(system->context, fd);
    errno = reason;
    return good;
}

/* Copies one old memory segment to its disk file, with the bytes behind its last frame: they are
 * evidence. The tail's bytes are compared too, so that a second run has nothing to write. */
static bool segment_flush(struct eng_journal *journal, struct ipc_segment *memory,
    struct ipc_frame *copy, const char **call)
{
    uint64_t from = disk_right_end(journal, memory, copy);
    uint64_t end = ipc_segment_used_end(memory, IPC_SEGMENT_HEADER_BYTES);
    if (from != 0 && from >= end)
        return segment_flush_from(journal, memory, end, end, call); /* sync only */
    return segment_flush_from(journal, memory, from, end, call);
}

/* A disk file that was made ahead and never begun. */
static bool disk_is_unused(struct eng_journal *journal, uint64_t number)
{
    struct ipc_segment segment;
    uint8_t bytes[IPC_SEGMENT_HEADER_BYTES + IPC_FRAME_ALIGN];
    static const uint8_t zeros[sizeof bytes];
    enum ipc_rc rc =
        ipc_segment_open(&segment, journal->disk_fd, true, number, journal->config.shard);
    if (rc == IPC_OK)
        ipc_segment_close(&segment);
    if (rc != IPC_EMPTY)
        return false;
    char name[IPC_SEGMENT_NAME_BYTES];
    ipc_segment_name(number, name);
    int fd = openat(journal->disk_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    ssize_t got = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    return got >= 0 && memcmp(bytes, zeros, (size_t)got) == 0;
}

struct cleaning {
    struct eng_journal *journal;
    struct ipc_frame *copy;
    uint64_t highest_no; /* of files that stay */
    bool disk_failed;
    char text[160];
};

static void memory_segment_retire(struct cleaning *cleaning, uint64_t number)
{
    struct eng_journal *journal = cleaning->journal;
    struct ipc_segment segment;
    char name[IPC_SEGMENT_NAME_BYTES];
    ipc_segment_name(number, name);
    enum ipc_rc rc =
        ipc_segment_open(&segment, journal->memory_fd, false, number, journal->config.shard);
    bool may_go = rc == IPC_EMPTY; /* prepared, never used; or half recycled, then it is on disk */
    if (rc == IPC_OK) {
        const char *call = "";
        may_go = !cleaning->disk_failed && segment_flush(journal, &segment, cleaning->copy, &call);
        if (!may_go && !cleaning->disk_failed) {
            cleaning->disk_failed = true;
            snprintf(cleaning->text, sizeof cleaning->text, "%s of journal segment %llu: %s", call,
                (unsigned long long)number, strerror(errno));
        }
        ipc_segment_close(&segment);
    }
    /* A damaged one stays, as evidence; so does one that the disk did not take. */
    if (rc != IPC_EMPTY && number > cleaning->highest_no)
        cleaning->highest_no = number;
    if (may_go)
        unlinkat(journal->memory_fd, name, 0);
}

static void disk_segment_look(struct cleaning *cleaning, uint64_t number)
{
    struct eng_journal *journal = cleaning->journal;
    char name[IPC_SEGMENT_NAME_BYTES];
    ipc_segment_name(number, name);
    if (disk_is_unused(journal, number))
        unlinkat(journal->disk_fd, name, 0);
    else if (number > cleaning->highest_no)
        cleaning->highest_no = number;
}

/* Calls `visit` for each segment file of a directory. */
static bool directory_each(int directory_fd, struct cleaning *cleaning,
    void (*visit)(struct cleaning *cleaning, uint64_t number))
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        uint64_t number = ipc_segment_name_parse(entry->d_name);
        if (number != 0)
            visit(cleaning, number);
    }
    closedir(directory);
    return true;
}

/* --- the new life --- */

static enum ipc_rc life_start(
    struct eng_journal *journal, const struct ipc_journal_place *place, struct ipc_error *error)
{
    struct cleaning cleaning = {.journal = journal};
    cleaning.copy = aligned_alloc(IPC_FRAME_ALIGN, IPC_FRAME_BYTES_MAX);
    if (cleaning.copy == NULL) {
        ipc_error_set(error, "no memory for recovery");
        return IPC_SYSTEM;
    }
    bool listed = directory_each(journal->memory_fd, &cleaning, memory_segment_retire) &&
                  directory_each(journal->disk_fd, &cleaning, disk_segment_look);
    free(cleaning.copy);
    if (!listed) {
        ipc_error_set(error, "the journal's directory cannot be read: %s", strerror(errno));
        return IPC_SYSTEM;
    }
    struct eng_journal_start start = {
        .segment_no = cleaning.highest_no + 1,
        .next_lsn = place->last_lsn + 1,
        .previous_crc = place->last_crc,
        .disk_failed = cleaning.disk_failed,
    };
    memcpy(start.disk_failed_text, cleaning.text, sizeof start.disk_failed_text);
    return eng_journal_start(journal, &start, error);
}

static void open_fact_fill(struct eng_journal *journal, const struct folding *folding,
    const struct ipc_journal_place *place, struct ipc_fact_open *out)
{
    const struct eng_recovery_fold *fold = folding->fold;
    memset(out, 0, sizeof *out);
    fold->recovered(fold->context, out);
    memcpy(out->engine_uuid, journal->config.engine_uuid, sizeof out->engine_uuid);
    memcpy(out->boot_id, journal->config.boot_id, sizeof out->boot_id);
    out->previous_lsn = place->last_lsn;
    out->dropped_bytes = folding->dropped_bytes;
    out->shard = journal->config.shard;
    out->same_boot = place->frames == 0 || place->last_same_boot;
    out->tier = (uint16_t)journal->config.tier;
    out->reconcile_all = folding->result->reconcile_all;
    memcpy(out->cluster_id, journal->config.cluster_id, sizeof out->cluster_id);
}

/* Writes the OPEN fact, with which the new life begins, and applies it. */
static enum ipc_rc life_open(struct eng_journal *journal, const struct folding *folding,
    const struct ipc_journal_place *place, int64_t now_mono_ns, int64_t now_wall_ns,
    struct ipc_error *error)
{
    const struct eng_recovery_fold *fold = folding->fold;
    struct eng_recovery_result *result = folding->result;
    open_fact_fill(journal, folding, place, &result->open);
    eng_journal_clock(journal, now_mono_ns, now_wall_ns);
    result->open_lsn =
        eng_journal_append(journal, IPC_FACT_OPEN, &result->open, (uint32_t)sizeof result->open, 1);
    LS_CHECK(result->open_lsn != 0); /* the segment is empty */
    struct eng_frame fact = {
        .type = IPC_FACT_OPEN,
        .count = 1,
        .payload = &result->open,
        .payload_bytes = (uint32_t)sizeof result->open,
        .lsn = result->open_lsn,
        .mono_ns = now_mono_ns,
        .wall_ns = now_wall_ns,
    };
    if (fold->apply(fold->context, &fact, false) != IPC_OK) {
        ipc_error_set(error, "the state refuses the OPEN fact of lsn %llu",
            (unsigned long long)result->open_lsn);
        return IPC_BAD_INPUT;
    }
    return IPC_OK;
}

/* Everything that only reads. */
static enum ipc_rc journal_read(const struct ipc_journal_reader_options *options,
    struct folding *folding, struct ipc_error *error)
{
    struct eng_recovery_result *out = folding->result;
    memset(out, 0, sizeof *out);
    enum ipc_rc rc = ipc_journal_reader_open(options, &folding->reader, error);
    if (rc != IPC_OK)
        return rc;
    checkpoint_take(folding, options);
    rc = journal_fold(folding, error);
    struct ipc_journal_place *place = &folding->place;
    ipc_journal_reader_place(folding->reader, place);
    ipc_journal_reader_close(folding->reader);
    if (rc != IPC_OK)
        return rc;
    out->frames_from_disk = place->from_disk;
    out->frames_repaired = place->repaired;
    out->is_new = place->frames == 0;
    out->same_boot = place->frames == 0 || place->last_same_boot;
    out->reconcile_all = !out->same_boot || out->holes > 0 || folding->dropped_committed;
    return IPC_OK;
}

enum ipc_rc eng_recovery_read(const struct ipc_journal_reader_options *options,
    const struct eng_recovery_fold *fold, struct eng_recovery_result *out, struct ipc_error *error)
{
    struct folding folding = {.fold = fold, .result = out, .is_live = !options->take_complete};
    return journal_read(options, &folding, error);
}

enum ipc_rc eng_recovery_run(struct eng_journal *journal, const struct eng_recovery_fold *fold,
    int64_t now_mono_ns, int64_t now_wall_ns, struct eng_recovery_result *out,
    struct ipc_error *error)
{
    int64_t started_ns = ipc_clock_mono_ns();
    const struct eng_journal_config *config = &journal->config;
    struct ipc_journal_reader_options options = {
        .memory_directory = config->memory_directory,
        .disk_directory = config->disk_directory,
        .shard = config->shard,
        .take_complete = true,
        .accept_corrupt = config->accept_corrupt,
    };
    memcpy(options.boot_id, config->boot_id, sizeof options.boot_id);
    struct folding folding = {.fold = fold, .result = out};
    enum ipc_rc rc = journal_read(&options, &folding, error);
    if (rc == IPC_OK)
        rc = life_start(journal, &folding.place, error);
    if (rc == IPC_OK)
        rc = life_open(journal, &folding, &folding.place, now_mono_ns, now_wall_ns, error);
    out->elapsed_ns = ipc_clock_mono_ns() - started_ns;
    return rc;
}
