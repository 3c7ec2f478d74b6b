#include "ipc/journal_segment.h"

#include "ipc/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct ipc_journal_reader {
    uint32_t shard;
    uint64_t from_lsn, from_segment_no;
    uint8_t boot_id[16];
    bool take_complete, accept_corrupt;
    int memory_fd, disk_fd;                /* directories, -1 = none */
    const struct ipc_journal_owner *owner; /* mapped, NULL = none */

    uint64_t *numbers; /* of all segment files seen, ascending */
    size_t number_count, number_capacity;

    struct ipc_segment segment; /* where the reader stands; not open before the first */
    uint64_t offset;
    uint64_t next_lsn; /* lsn that the frame at offset must have */
    uint32_t previous_crc;
    bool after_hole;
    bool is_final;
    struct ipc_journal_entry final; /* repeated once is_final */
    enum ipc_journal_step final_step;
    struct ipc_journal_place place;

    struct ipc_frame *copy;    /* the frame that was looked at */
    struct ipc_frame *scratch; /* of scans and peeks */
};

/* --- directories and segments --- */

static int directory_open(const char *instance_directory, uint32_t shard)
{
    char path[512];
    int bytes = snprintf(path, sizeof path, "%s/journal.%u", instance_directory, shard);
    if (bytes < 0 || (size_t)bytes >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void owner_map(struct ipc_journal_reader *reader)
{
    if (reader->memory_fd < 0)
        return;
    int fd = openat(reader->memory_fd, IPC_JOURNAL_OWNER_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size == (off_t)IPC_JOURNAL_OWNER_BYTES) {
        void *page = mmap(NULL, IPC_JOURNAL_OWNER_BYTES, PROT_READ, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) {
            reader->owner = page;
            if (reader->owner->magic != IPC_JOURNAL_OWNER_MAGIC || reader->owner->abi != IPC_ABI ||
                reader->owner->shard != reader->shard) {
                munmap(page, IPC_JOURNAL_OWNER_BYTES);
                reader->owner = NULL;
            }
        }
    }
    close(fd);
}

static int number_compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static bool number_add(struct ipc_journal_reader *reader, uint64_t number)
{
    if (reader->number_count == reader->number_capacity) {
        size_t capacity = reader->number_capacity == 0 ? 64 : 2 * reader->number_capacity;
        uint64_t *grown = realloc(reader->numbers, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        reader->numbers = grown;
        reader->number_capacity = capacity;
    }
    reader->numbers[reader->number_count++] = number;
    return true;
}

static bool directory_list(struct ipc_journal_reader *reader, int directory_fd)
{
    if (directory_fd < 0)
        return true;
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        close(fd);
        return false;
    }
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(directory)) != NULL;) {
        uint64_t number = ipc_segment_name_parse(entry->d_name);
        if (number != 0 && number >= reader->from_segment_no)
            good = number_add(reader, number);
    }
    closedir(directory);
    return good;
}

/* Lists both directories anew; ascending, each number once. */
static bool segments_list(struct ipc_journal_reader *reader)
{
    reader->number_count = 0;
    if (!directory_list(reader, reader->memory_fd) || !directory_list(reader, reader->disk_fd))
        return false;
    if (reader->number_count > 1)
        qsort(reader->numbers, reader->number_count, sizeof *reader->numbers, number_compare);
    size_t kept = 0;
    for (size_t i = 0; i < reader->number_count; i++)
        if (kept == 0 || reader->numbers[kept - 1] != reader->numbers[i])
            reader->numbers[kept++] = reader->numbers[i];
    reader->number_count = kept;
    if (kept > 0 && reader->numbers[kept - 1] > reader->place.last_segment_no)
        reader->place.last_segment_no = reader->numbers[kept - 1];
    return true;
}

static bool is_same_boot(const struct ipc_journal_reader *reader, const struct ipc_segment *segment)
{
    return memcmp(segment->header.boot_id, reader->boot_id, sizeof reader->boot_id) == 0;
}

/* Opens a segment from memory when it is of this boot, else from disk, else from memory after all.
 *   returns as ipc_segment_open; of two refusals the more telling one */
static enum ipc_rc segment_pick(
    struct ipc_journal_reader *reader, uint64_t number, struct ipc_segment *out)
{
    struct ipc_segment disk;
    enum ipc_rc memory_rc = ipc_segment_open(out, reader->memory_fd, false, number, reader->shard);
    if (memory_rc == IPC_BAD_LAYOUT) /* recycled between its opening and its renaming: look again */
        memory_rc = ipc_segment_open(out, reader->memory_fd, false, number, reader->shard);
    if (memory_rc == IPC_OK && is_same_boot(reader, out))
        return IPC_OK;
    enum ipc_rc disk_rc = ipc_segment_open(&disk, reader->disk_fd, true, number, reader->shard);
    if (disk_rc == IPC_OK) {
        ipc_segment_close(out);
        *out = disk;
        return IPC_OK;
    }
    if (memory_rc == IPC_OK)
        return IPC_OK;
    if (memory_rc == IPC_NOT_FOUND || (memory_rc == IPC_EMPTY && disk_rc != IPC_NOT_FOUND))
        return disk_rc;
    return memory_rc;
}

/* What follows a segment. */
struct next_segment {
    bool is_found;
    bool is_damaged; /* a segment in between has a header that is in use and not right */
    bool damaged_this_boot;
    uint64_t damaged_no;
    struct ipc_segment segment;
};

static void next_look(struct ipc_journal_reader *reader, uint64_t number, struct next_segment *out)
{
    enum ipc_rc rc = segment_pick(reader, number, &out->segment);
    out->is_found = rc == IPC_OK;
    if (rc != IPC_OK && rc != IPC_EMPTY && rc != IPC_NOT_FOUND && !out->is_damaged) {
        out->is_damaged = true;
        out->damaged_no = number;
        char name[IPC_SEGMENT_NAME_BYTES];
        ipc_segment_name(number, name);
        out->damaged_this_boot =
            reader->memory_fd >= 0 && faccessat(reader->memory_fd, name, F_OK, 0) == 0;
    }
}

/* Finds the first segment in use behind `number`: the next number in a life, or a higher one after
 * another start of the engine. */
static void next_find(struct ipc_journal_reader *reader, uint64_t number, struct next_segment *out)
{
    memset(out, 0, sizeof *out);
    next_look(reader, number + 1, out);
    if (out->is_found)
        return;
    memset(out, 0, sizeof *out);
    if (!segments_list(reader))
        return;
    for (size_t i = 0; i < reader->number_count && !out->is_found; i++)
        if (reader->numbers[i] > number)
            next_look(reader, reader->numbers[i], out);
}

/* --- entries --- */

static void entry_start(const struct ipc_journal_reader *reader, struct ipc_journal_entry *out)
{
    memset(out, 0, sizeof *out);
    out->segment_no = reader->segment.segment_no;
    out->offset = (uint32_t)reader->offset;
}

static enum ipc_journal_step final_set(struct ipc_journal_reader *reader,
    enum ipc_journal_step step, const struct ipc_journal_entry *entry)
{
    reader->is_final = true;
    reader->final_step = step;
    reader->final = *entry;
    return step;
}

static void segment_move(struct ipc_journal_reader *reader, struct ipc_segment *to)
{
    ipc_segment_close(&reader->segment);
    reader->segment = *to;
    reader->offset = IPC_SEGMENT_HEADER_BYTES;
    reader->next_lsn = to->header.first_lsn;
    reader->previous_crc = to->header.previous_crc;
}

/* Takes the frame in reader->copy: fills the entry and steps over it. */
static enum ipc_journal_step frame_take(
    struct ipc_journal_reader *reader, struct ipc_journal_entry *out, uint32_t flags)
{
    const struct ipc_frame *frame = reader->copy;
    entry_start(reader, out);
    out->frame = frame;
    out->payload = frame + 1;
    if (frame->type == IPC_FACT_OPEN)
        reader->after_hole = false; /* a recovery has dealt with what lies before */
    if (reader->after_hole)
        flags |= IPC_ENTRY_MAYBE;
    if (reader->segment.from_disk) {
        flags |= IPC_ENTRY_FROM_DISK;
        reader->place.from_disk++;
    }
    reader->place.last_same_boot = is_same_boot(reader, &reader->segment);
    if (!reader->place.last_same_boot)
        flags |= IPC_ENTRY_OTHER_BOOT;
    out->flags = flags;
    reader->offset += ls_align_up(sizeof *frame + frame->payload_bytes, IPC_FRAME_ALIGN);
    reader->next_lsn = frame->lsn + 1;
    reader->previous_crc = frame->crc;
    reader->place.last_lsn = frame->lsn;
    reader->place.last_crc = frame->crc;
    reader->place.frames++;
    return IPC_JOURNAL_FRAME;
}

/* --- damage --- */

/* True when a later life has begun with an OPEN fact that says it dropped something: a person or a
 * recovery has dealt with the place already, and it is read as a hole ever after. */
static bool is_acknowledged(struct ipc_journal_reader *reader)
{
    uint64_t number = reader->segment.segment_no;
    struct next_segment next;
    bool answer = false;
    for (;;) {
        next_find(reader, number, &next);
        if (!next.is_found)
            return false;
        if (memcmp(next.segment.header.engine_uuid, reader->segment.header.engine_uuid, 16) != 0 &&
            ipc_segment_look(&next.segment, IPC_SEGMENT_HEADER_BYTES, reader->scratch) ==
                IPC_PLACE_FRAME)
            break;
        number = next.segment.segment_no;
        ipc_segment_close(&next.segment);
    }
    if (reader->scratch->type == IPC_FACT_OPEN &&
        reader->scratch->payload_bytes == sizeof(struct ipc_fact_open)) {
        struct ipc_fact_open open_fact;
        memcpy(&open_fact, reader->scratch + 1, sizeof open_fact);
        answer = open_fact.dropped_bytes > 0;
    }
    ipc_segment_close(&next.segment);
    return answer;
}

/* What follows the bad place at the reader's offset. */
struct damage {
    uint64_t found_offset; /* of the next right frame in this segment, 0 = none */
    uint64_t found_lsn;
    uint32_t found_previous_crc;
    uint64_t used_end;
    struct next_segment next;
};

static void damage_survey(struct ipc_journal_reader *reader, struct damage *out)
{
    memset(out, 0, sizeof *out);
    out->found_offset =
        ipc_segment_scan(&reader->segment, reader->offset, reader->next_lsn, reader->scratch);
    if (out->found_offset != 0) {
        out->found_lsn = reader->scratch->lsn;
        out->found_previous_crc = reader->scratch->previous_crc;
    }
    out->used_end = ipc_segment_used_end(&reader->segment, reader->offset);
    next_find(reader, reader->segment.segment_no, &out->next);
}

static void damage_describe(const struct ipc_journal_reader *reader, const struct damage *damage,
    const char *what, struct ipc_journal_entry *out)
{
    char behind[96];
    if (damage->found_offset != 0)
        snprintf(behind, sizeof behind, "the next right frame is lsn %llu at offset %llu",
            (unsigned long long)damage->found_lsn, (unsigned long long)damage->found_offset);
    else if (damage->next.is_found)
        snprintf(behind, sizeof behind, "the journal goes on in segment %llu with lsn %llu",
            (unsigned long long)damage->next.segment.segment_no,
            (unsigned long long)damage->next.segment.header.first_lsn);
    else if (damage->next.is_damaged)
        snprintf(behind, sizeof behind, "the header of segment %llu is damaged",
            (unsigned long long)damage->next.damaged_no);
    else
        snprintf(behind, sizeof behind, "nothing valid follows");
    ipc_error_set(&out->error, "journal.%u segment %llu offset %llu: %s lsn %llu; %s",
        reader->shard, (unsigned long long)out->segment_no, (unsigned long long)out->offset, what,
        (unsigned long long)reader->next_lsn, behind);
}

/* Judges a place where the next frame should be and is not. committed: its commit word is set. */
static enum ipc_journal_step damage_judge(
    struct ipc_journal_reader *reader, bool committed, struct ipc_journal_entry *out)
{
    struct damage damage;
    damage_survey(reader, &damage);
    entry_start(reader, out);
    uint64_t end = damage.found_offset != 0 ? damage.found_offset : damage.used_end;
    out->dropped_bytes = end - reader->offset;
    out->dropped_committed = committed;
    bool same_boot = is_same_boot(reader, &reader->segment);
    bool follows = damage.found_offset != 0 || damage.next.is_found ||
                   (damage.next.is_damaged && damage.next.damaged_this_boot);
    if (!follows) {
        damage_describe(reader, &damage, "damaged frame, the tail ends before", out);
        return IPC_JOURNAL_TORN;
    }
    if (out->dropped_bytes == 0)
        out->dropped_bytes = IPC_FRAME_ALIGN; /* zeros where facts must have been */
    bool goes_back = damage.found_offset == 0 && damage.next.is_found &&
                     damage.next.segment.header.first_lsn < reader->next_lsn;
    bool legal = (!same_boot && !goes_back) || reader->accept_corrupt || is_acknowledged(reader);
    if (!legal || (damage.found_offset == 0 && !damage.next.is_found)) {
        damage_describe(reader, &damage, "committed facts are damaged or missing from", out);
        if (damage.next.is_found)
            ipc_segment_close(&damage.next.segment);
        return legal ? IPC_JOURNAL_TORN : final_set(reader, IPC_JOURNAL_CORRUPT, out);
    }
    damage_describe(reader, &damage, "hole at", out);
    reader->after_hole = true;
    if (damage.found_offset != 0) {
        reader->offset = damage.found_offset;
        reader->next_lsn = damage.found_lsn;
        reader->previous_crc = damage.found_previous_crc;
        if (damage.next.is_found)
            ipc_segment_close(&damage.next.segment);
    } else {
        segment_move(reader, &damage.next.segment);
    }
    return IPC_JOURNAL_HOLE;
}

/* --- steps --- */

/* Stands at the first segment that is wanted.
 *   returns true when there is one; *step is set when there is none that can be read */
static bool first_find(
    struct ipc_journal_reader *reader, enum ipc_journal_step *step, struct ipc_journal_entry *out)
{
    entry_start(reader, out);
    *step = IPC_JOURNAL_END;
    if (!segments_list(reader)) {
        ipc_error_set(&out->error, "journal.%u: its directory cannot be read: %s", reader->shard,
            strerror(errno));
        return false;
    }
    struct ipc_segment best = {.fd = -1}, candidate;
    uint64_t damaged_no = 0;
    enum ipc_rc damaged_rc = IPC_OK;
    reader->place.oldest_lsn = 0;
    for (size_t i = 0; i < reader->number_count; i++) {
        enum ipc_rc rc = segment_pick(reader, reader->numbers[i], &candidate);
        if (rc != IPC_OK) {
            if (rc != IPC_EMPTY && rc != IPC_NOT_FOUND && !best.is_open) {
                damaged_no = reader->numbers[i];
                damaged_rc = rc;
            }
            continue;
        }
        if (reader->place.oldest_lsn == 0)
            reader->place.oldest_lsn = candidate.header.first_lsn;
        if (best.is_open && candidate.header.first_lsn > reader->from_lsn) {
            ipc_segment_close(&candidate);
            break;
        }
        ipc_segment_close(&best);
        best = candidate;
    }
    if (damaged_no != 0 && reader->from_lsn <= 1) {
        out->segment_no = damaged_no;
        out->dropped_committed = true;
        out->dropped_bytes = IPC_SEGMENT_HEADER_BYTES;
        ipc_error_set(&out->error, "journal.%u segment %llu: its header is damaged: %s",
            reader->shard, (unsigned long long)damaged_no, ipc_rc_text(damaged_rc));
        if (!reader->accept_corrupt) {
            ipc_segment_close(&best);
            *step = final_set(reader, IPC_JOURNAL_CORRUPT, out);
            return false;
        }
        reader->after_hole = true;
    }
    if (!best.is_open)
        return false;
    segment_move(reader, &best);
    if (reader->from_lsn > 1 && reader->next_lsn > reader->from_lsn) {
        entry_start(reader, out);
        ipc_error_set(&out->error, "journal.%u: lsn %llu is no longer kept, the oldest is %llu",
            reader->shard, (unsigned long long)reader->from_lsn,
            (unsigned long long)reader->next_lsn);
        *step = final_set(reader, IPC_JOURNAL_GONE, out);
        return false;
    }
    return true;
}

/* Opens the disk file of the segment that the reader stands in, at the same place.
 *   returns false when there is none, or it is of another life */
static bool segment_switch_to_disk(struct ipc_journal_reader *reader)
{
    struct ipc_segment disk;
    if (reader->segment.from_disk)
        return false;
    if (ipc_segment_open(&disk, reader->disk_fd, true, reader->segment.segment_no, reader->shard) !=
        IPC_OK)
        return false;
    if (disk.header.salt != reader->segment.header.salt) {
        ipc_segment_close(&disk);
        return false;
    }
    ipc_segment_close(&reader->segment);
    reader->segment = disk;
    return true;
}

/* The memory that the reader stood in serves a later segment now: the disk has what was there. */
static enum ipc_journal_step recycled_step(
    struct ipc_journal_reader *reader, bool *again, struct ipc_journal_entry *out)
{
    *again = segment_switch_to_disk(reader);
    if (*again)
        return IPC_JOURNAL_END;
    entry_start(reader, out);
    ipc_error_set(&out->error,
        "journal.%u: segment %llu was recycled while it was read, and its disk file cannot be "
        "read; "
        "lsn %llu is lost to this reader",
        reader->shard, (unsigned long long)reader->segment.segment_no,
        (unsigned long long)reader->next_lsn);
    return final_set(reader, IPC_JOURNAL_GONE, out);
}

/* Is the frame in `copy` the one that must come next? */
static bool frame_fits(const struct ipc_journal_reader *reader, const struct ipc_frame *copy)
{
    return copy->lsn == reader->next_lsn && copy->previous_crc == reader->previous_crc;
}

static enum ipc_segment_place place_look(struct ipc_journal_reader *reader)
{
    enum ipc_segment_place place = ipc_segment_look(&reader->segment, reader->offset, reader->copy);
    if (place == IPC_PLACE_FRAME && !frame_fits(reader, reader->copy))
        return IPC_PLACE_BAD;
    if (place == IPC_PLACE_UNCOMMITTED && !frame_fits(reader, reader->copy))
        return IPC_PLACE_EMPTY;
    return place;
}

/* No commit word at the place: the end, or the end of this segment. Sets *again to look anew. */
static enum ipc_journal_step empty_step(
    struct ipc_journal_reader *reader, bool *again, struct ipc_journal_entry *out)
{
    struct next_segment next;
    next_find(reader, reader->segment.segment_no, &next);
    /* The writer may have committed here before it went to the next segment, and the file may have
     * been read before it was complete. */
    ipc_segment_refresh(&reader->segment);
    enum ipc_segment_place place = place_look(reader);
    bool changed = place == IPC_PLACE_FRAME || place == IPC_PLACE_BAD;
    bool whole = place == IPC_PLACE_UNCOMMITTED;
    const struct ipc_segment_header *header = &next.segment.header;
    bool follows = next.is_found && header->first_lsn == reader->next_lsn &&
                   header->previous_crc == reader->previous_crc;
    bool follows_whole = next.is_found && whole && header->first_lsn == reader->next_lsn + 1 &&
                         header->previous_crc == reader->copy->crc;
    if (!changed && follows) {
        segment_move(reader, &next.segment);
        *again = true;
        return IPC_JOURNAL_END;
    }
    bool is_lost = next.is_found || (next.is_damaged && next.damaged_this_boot);
    if (next.is_found)
        ipc_segment_close(&next.segment);
    *again = changed;
    if (changed)
        return IPC_JOURNAL_END;
    if (whole && (follows_whole || (!is_lost && reader->take_complete)))
        return frame_take(reader, out, IPC_ENTRY_UNCOMMITTED);
    if (!ipc_segment_unchanged(&reader->segment))
        return recycled_step(reader, again, out);
    if (is_lost)
        return damage_judge(reader, false, out);
    entry_start(reader, out);
    return IPC_JOURNAL_END;
}

/* A commit word without its frame. Sets *again to look anew. */
static enum ipc_journal_step bad_step(
    struct ipc_journal_reader *reader, bool *again, struct ipc_journal_entry *out)
{
    *again = false;
    if (!ipc_segment_unchanged(&reader->segment))
        return recycled_step(reader, again, out);
    bool from_memory = !reader->segment.from_disk;
    if (from_memory) {
        struct ipc_segment disk;
        if (ipc_segment_open(&disk, reader->disk_fd, true, reader->segment.segment_no,
                reader->shard) == IPC_OK) {
            bool repairs =
                disk.header.salt == reader->segment.header.salt &&
                ipc_segment_look(&disk, reader->offset, reader->copy) == IPC_PLACE_FRAME &&
                frame_fits(reader, reader->copy);
            if (repairs)
                reader->place.repaired++;
            ipc_segment_close(&disk);
            if (repairs)
                return frame_take(reader, out, IPC_ENTRY_FROM_DISK);
        }
    }
    struct next_segment next;
    next_find(reader, reader->segment.segment_no, &next);
    if (next.is_found && next.segment.header.first_lsn == reader->next_lsn &&
        next.segment.header.previous_crc == reader->previous_crc) {
        /* What lies here was dropped, and the chain proves that nothing is missing. */
        segment_move(reader, &next.segment);
        *again = true;
        return IPC_JOURNAL_END;
    }
    if (next.is_found)
        ipc_segment_close(&next.segment);
    return damage_judge(reader, true, out);
}

static enum ipc_journal_step step_take(
    struct ipc_journal_reader *reader, struct ipc_journal_entry *out)
{
    enum ipc_journal_step step = IPC_JOURNAL_END;
    if (!reader->segment.is_open && !first_find(reader, &step, out))
        return step;
    for (bool again = true; again;) {
        again = false;
        switch (place_look(reader)) {
        case IPC_PLACE_FRAME:
            step = frame_take(reader, out, 0);
            break;
        case IPC_PLACE_UNCOMMITTED:
        case IPC_PLACE_EMPTY:
            step = empty_step(reader, &again, out);
            break;
        case IPC_PLACE_BAD:
            step = bad_step(reader, &again, out);
            break;
        }
    }
    return step;
}

enum ipc_journal_step ipc_journal_reader_next(
    struct ipc_journal_reader *reader, struct ipc_journal_entry *out)
{
    for (;;) {
        if (reader->is_final) {
            *out = reader->final;
            return reader->final_step;
        }
        enum ipc_journal_step step = step_take(reader, out);
        if (step != IPC_JOURNAL_FRAME || out->frame->lsn >= reader->from_lsn)
            return step;
        reader->place.frames--; /* passed, not delivered */
    }
}

enum ipc_journal_step ipc_journal_reader_tail(
    struct ipc_journal_reader *reader, struct ipc_journal_entry *out)
{
    entry_start(reader, out);
    if (!reader->segment.is_open)
        return IPC_JOURNAL_END;
    uint64_t found =
        ipc_segment_scan(&reader->segment, reader->offset, reader->next_lsn, reader->scratch);
    uint64_t found_lsn = found != 0 ? reader->scratch->lsn : 0;
    uint64_t end = ipc_segment_used_end(&reader->segment, reader->offset);
    struct next_segment next;
    next_find(reader, reader->segment.segment_no, &next);
    bool goes_on = next.is_found;
    if (next.is_found)
        ipc_segment_close(&next.segment);
    /* All of the above is void if a live writer has committed here meanwhile. */
    enum ipc_segment_place place = place_look(reader);
    if (goes_on || place == IPC_PLACE_FRAME || place == IPC_PLACE_BAD ||
        !ipc_segment_unchanged(&reader->segment))
        return IPC_JOURNAL_END;
    out->dropped_bytes = (found != 0 ? found : end) - reader->offset;
    if (found != 0) {
        out->dropped_committed = true;
        ipc_error_set(&out->error,
            "journal.%u segment %llu offset %u: the commit word of lsn %llu is lost, lsn %llu "
            "follows at offset %llu",
            reader->shard, (unsigned long long)out->segment_no, out->offset,
            (unsigned long long)reader->next_lsn, (unsigned long long)found_lsn,
            (unsigned long long)found);
        return is_same_boot(reader, &reader->segment) && !reader->accept_corrupt
                   ? IPC_JOURNAL_CORRUPT
                   : damage_judge(reader, true, out);
    }
    if (next.is_damaged) {
        out->dropped_committed = true;
        out->dropped_bytes += IPC_SEGMENT_HEADER_BYTES;
        ipc_error_set(&out->error, "journal.%u: the header of segment %llu, the last, is damaged",
            reader->shard, (unsigned long long)next.damaged_no);
        return IPC_JOURNAL_TORN;
    }
    if (out->dropped_bytes == 0)
        return IPC_JOURNAL_END;
    ipc_error_set(&out->error,
        "journal.%u segment %llu offset %u: %llu bytes of a frame that was not committed",
        reader->shard, (unsigned long long)out->segment_no, out->offset,
        (unsigned long long)out->dropped_bytes);
    return IPC_JOURNAL_TORN;
}

/* --- life --- */

static enum ipc_rc directories_open(struct ipc_journal_reader *reader,
    const struct ipc_journal_reader_options *options, struct ipc_error *error)
{
    if (options->memory_directory != NULL) {
        reader->memory_fd = directory_open(options->memory_directory, options->shard);
        if (reader->memory_fd < 0 && errno != ENOENT) {
            ipc_error_set(error, "%s/journal.%u: %s", options->memory_directory, options->shard,
                strerror(errno));
            return IPC_SYSTEM;
        }
        owner_map(reader);
    }
    const char *disk = options->disk_directory;
    char noted[sizeof reader->owner->disk_directory];
    if (disk == NULL && reader->owner != NULL) {
        memcpy(noted, reader->owner->disk_directory, sizeof noted);
        noted[sizeof noted - 1] = '\0';
        reader->disk_fd = open(noted, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    } else if (disk != NULL && disk[0] != '\0') {
        reader->disk_fd = directory_open(disk, options->shard);
        if (reader->disk_fd < 0 && errno != ENOENT) {
            ipc_error_set(error, "%s/journal.%u: %s", disk, options->shard, strerror(errno));
            return IPC_SYSTEM;
        }
    }
    if (reader->memory_fd < 0 && reader->disk_fd < 0) {
        ipc_error_set(error,
            "there is no journal.%u in %s or %s: has an engine of this shard ever been started?",
            options->shard, options->memory_directory != NULL ? options->memory_directory : "-",
            disk != NULL && disk[0] != '\0' ? disk : "-");
        return IPC_NOT_FOUND;
    }
    return IPC_OK;
}

enum ipc_rc ipc_journal_reader_open(const struct ipc_journal_reader_options *options,
    struct ipc_journal_reader **out, struct ipc_error *error)
{
    static const uint8_t no_boot[16];
    *out = NULL;
    struct ipc_journal_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        ipc_error_set(error, "no memory for a journal reader");
        return IPC_SYSTEM;
    }
    reader->shard = options->shard;
    reader->from_lsn = options->from_lsn;
    reader->from_segment_no = options->from_segment_no;
    reader->take_complete = options->take_complete;
    reader->accept_corrupt = options->accept_corrupt;
    reader->memory_fd = reader->disk_fd = -1;
    reader->segment.fd = -1;
    reader->copy = aligned_alloc(IPC_FRAME_ALIGN, IPC_FRAME_BYTES_MAX);
    reader->scratch = aligned_alloc(IPC_FRAME_ALIGN, IPC_FRAME_BYTES_MAX);
    memcpy(reader->boot_id, options->boot_id, sizeof reader->boot_id);
    enum ipc_rc rc = IPC_OK;
    if (reader->copy == NULL || reader->scratch == NULL) {
        ipc_error_set(error, "no memory for a journal reader");
        rc = IPC_SYSTEM;
    }
    if (rc == IPC_OK && memcmp(reader->boot_id, no_boot, sizeof no_boot) == 0) {
        rc = ipc_clock_boot_id(reader->boot_id);
        if (rc != IPC_OK)
            ipc_error_set(error, "the boot id cannot be read from /proc/sys/kernel/random/boot_id");
    }
    if (rc == IPC_OK)
        rc = directories_open(reader, options, error);
    if (rc == IPC_OK && !segments_list(reader)) {
        ipc_error_set(
            error, "journal.%u: its directory cannot be read: %s", options->shard, strerror(errno));
        rc = IPC_SYSTEM;
    }
    if (rc != IPC_OK) {
        ipc_journal_reader_close(reader);
        return rc;
    }
    *out = reader;
    return IPC_OK;
}

void ipc_journal_reader_place(
    const struct ipc_journal_reader *reader, struct ipc_journal_place *out)
{
    *out = reader->place;
}

bool ipc_journal_reader_owner(
    const struct ipc_journal_reader *reader, uint64_t *durable_lsn, enum ipc_journal_state *state)
{
    if (reader->owner == NULL)
        return false;
    /* Pair with the scribe's releases. */
    uint32_t word = atomic_load_explicit(&reader->owner->state, memory_order_acquire);
    *durable_lsn = atomic_load_explicit(&reader->owner->durable_lsn, memory_order_acquire);
    *state =
        ipc_journal_state_valid(word) ? (enum ipc_journal_state)word : IPC_JOURNAL_STATE_DAMAGED;
    return true;
}

int ipc_journal_reader_disk(const struct ipc_journal_reader *reader)
{
    return reader->disk_fd;
}

void ipc_journal_reader_close(struct ipc_journal_reader *reader)
{
    if (reader == NULL)
        return;
    ipc_segment_close(&reader->segment);
    if (reader->owner != NULL)
        munmap((void *)(uintptr_t)reader->owner, IPC_JOURNAL_OWNER_BYTES);
    if (reader->memory_fd >= 0)
        close(reader->memory_fd);
    if (reader->disk_fd >= 0)
        close(reader->disk_fd);
    free(reader->numbers);
    free(reader->copy);
    free(reader->scratch);
    free(reader);
}
