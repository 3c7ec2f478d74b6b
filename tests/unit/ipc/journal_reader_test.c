/* ipc/journal_reader against damage: torn tails at every offset, every bit of a journal flipped,
 * holes of another boot. The journals are made by the engine's writer.
 *
 * The rule that is checked throughout: what is delivered are right facts in order, a prefix of what
 * was written (or, behind a hole, marked); and where a committed fact is lost or changed, the end
 * is never a clean one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/journal_world.h"

#define FRAMES 100u

/* A journal of FRAMES frames in one segment, closed, with its memory file mapped for damage. */
struct damaged {
    struct journal_world world;
    uint8_t *bytes;          /* of segment 1 in memory */
    uint8_t *right;          /* copy of how it was */
    size_t size, end;        /* end of the last frame */
    uint64_t at[FRAMES + 1]; /* offset of frame lsn */
    uint8_t other_boot[16];
};

static void damaged_make(struct damaged *damaged)
{
    struct journal_world *world = &damaged->world;
    memset(damaged, 0, sizeof *damaged);
    journal_world_make(world);
    assert_int_equal(journal_world_open(world), IPC_OK);
    damaged->at[1] = IPC_SEGMENT_HEADER_BYTES;
    while (eng_journal_last_lsn(world->journal) < FRAMES) {
        uint64_t lsn = eng_journal_last_lsn(world->journal) + 1;
        damaged->at[lsn] = world->journal->offset;
        assert_int_equal(
            journal_world_append(world, lsn % 3 == 0 ? (uint32_t)(lsn * 7 % 60) : 0), lsn);
    }
    damaged->end = world->journal->offset;
    damaged->size = ls_align_up(damaged->end + 64, 4096);
    journal_world_leave(world);
    char path[JOURNAL_PATH_BYTES];
    for (uint64_t unused = 2; unused <= 3; unused++) {
        journal_world_path(world, false, unused, path);
        assert_int_equal(unlink(path), 0);
    }
    world->config.disk_directory[0] = '\0'; /* nothing there: the scribe never ran */
    journal_world_path(world, false, 1, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    damaged->bytes = mmap(NULL, damaged->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(damaged->bytes != MAP_FAILED);
    /* A small segment, because a hundred thousand readings follow. */
    assert_int_equal(ftruncate(fd, (off_t)damaged->size), 0);
    struct ipc_segment_header *header = (struct ipc_segment_header *)damaged->bytes;
    header->segment_bytes = damaged->size;
    header->crc = ipc_segment_header_crc(header);
    close(fd);
    damaged->right = malloc(damaged->size);
    assert_non_null(damaged->right);
    memcpy(damaged->right, damaged->bytes, damaged->size);
    memset(damaged->other_boot, 0x5a, sizeof damaged->other_boot);
}

static void damaged_remove(struct damaged *damaged)
{
    munmap(damaged->bytes, damaged->size);
    free(damaged->right);
    journal_world_remove(&damaged->world);
}

static void damaged_heal(struct damaged *damaged)
{
    memcpy(damaged->bytes, damaged->right, damaged->size);
}

/* Frames that are whole up to `offset` untouched. */
static uint64_t frames_before(const struct damaged *damaged, size_t offset)
{
    uint64_t lsn = 0;
    while (lsn < FRAMES && (lsn + 1 == FRAMES ? damaged->end : damaged->at[lsn + 2]) <= offset)
        lsn++;
    return lsn;
}

static void read_damaged(
    const struct damaged *damaged, const uint8_t *boot, struct journal_reading *out)
{
    journal_world_read(&damaged->world, true, true, boot, out);
    assert_true(out->in_order);
    assert_true(out->payloads_right);
}

/* Everything from an offset on is gone, as after a crash of the disk's writer. */
static void test_truncated_at_every_offset(void **state)
{
    (void)state;
    struct damaged damaged;
    struct journal_reading reading;
    damaged_make(&damaged);
    for (size_t offset = damaged.at[FRAMES - 1]; offset <= damaged.end; offset++) {
        memset(damaged.bytes + offset, 0, damaged.size - offset);
        read_damaged(&damaged, NULL, &reading);
        uint64_t whole = frames_before(&damaged, offset);
        /* Of a frame that lost only padding or zeros nothing is lost. */
        assert_true(reading.frames == whole || reading.frames == whole + 1);
        if (reading.frames == whole + 1) {
            size_t frame_end = whole + 1 == FRAMES ? damaged.end : damaged.at[whole + 2];
            assert_memory_equal(damaged.bytes + damaged.at[whole + 1],
                damaged.right + damaged.at[whole + 1], frame_end - damaged.at[whole + 1]);
        } else if (whole < FRAMES && offset > damaged.at[whole + 1] + 4) {
            /* Its commit word is there and its content is not: never a clean end. */
            assert_int_equal(reading.end, IPC_JOURNAL_TORN);
            assert_true(reading.dropped_committed);
            assert_true(reading.dropped_bytes > 0);
        }
        assert_true(reading.end == IPC_JOURNAL_END || reading.end == IPC_JOURNAL_TORN);
        damaged_heal(&damaged);
    }
    damaged_remove(&damaged);
}

/* One byte, and one stretch to the end of its frame, are zeroed or flipped at every offset of the
 * last two frames. */
static void check_tail_damage(struct damaged *damaged, size_t offset)
{
    struct journal_reading reading;
    uint64_t hit = frames_before(damaged, offset) + 1; /* the frame that was hit */
    read_damaged(damaged, NULL, &reading);
    if (reading.frames == FRAMES && reading.end == IPC_JOURNAL_END)
        return; /* nothing that counts was changed: padding, or zeros of zeros; payloads are right
                 */
    if (reading.frames == FRAMES) {
        assert_int_equal(reading.end, IPC_JOURNAL_TORN); /* behind the last frame */
        return;
    }
    assert_int_equal(reading.frames, hit - 1);
    if (hit == FRAMES - 1) {
        assert_int_equal(reading.end, IPC_JOURNAL_CORRUPT); /* the last frame is valid behind it */
        return;
    }
    static const uint8_t zeros[512];
    if (memcmp(damaged->bytes + damaged->at[FRAMES], zeros, damaged->end - damaged->at[FRAMES]) ==
        0)
        return; /* no trace of it: as if it had not been written */
    assert_int_equal(reading.end, IPC_JOURNAL_TORN);
    assert_true(reading.dropped_bytes > 0);
}

static void test_tail_zeroed_and_flipped_at_every_offset(void **state)
{
    (void)state;
    struct damaged damaged;
    damaged_make(&damaged);
    for (size_t offset = damaged.at[FRAMES - 1]; offset < damaged.end; offset++) {
        size_t frame_end = offset < damaged.at[FRAMES] ? damaged.at[FRAMES] : damaged.end;
        damaged.bytes[offset] = 0;
        check_tail_damage(&damaged, offset);
        damaged_heal(&damaged);
        damaged.bytes[offset] ^= 0xff;
        check_tail_damage(&damaged, offset);
        damaged_heal(&damaged);
        memset(damaged.bytes + offset, 0, frame_end - offset);
        check_tail_damage(&damaged, offset);
        damaged_heal(&damaged);
    }
    damaged_remove(&damaged);
}

/* Each bit of the header and of all frames, and of the block behind them. */
static void test_every_bit(void **state)
{
    (void)state;
    struct damaged damaged;
    struct journal_reading reading;
    uint64_t clean = 0, corrupt = 0, torn = 0;
    damaged_make(&damaged);
    size_t from = damaged.at[1], to = damaged.end + 64;
    for (size_t bit = 0; bit < 8 * (96 + to - from); bit++) {
        size_t offset = bit / 8 < 96 ? bit / 8 : from + bit / 8 - 96;
        damaged.bytes[offset] ^= (uint8_t)(1u << bit % 8);
        read_damaged(&damaged, NULL, &reading);
        if (reading.frames == FRAMES && reading.end == IPC_JOURNAL_END) {
            /* Allowed only where the bit has no meaning: padding, or the one-bit length of a frame
             * that is right without it. The facts are all there and right. */
            clean++;
        } else if (reading.end == IPC_JOURNAL_CORRUPT) {
            assert_true(offset < 96 || reading.frames < FRAMES);
            assert_true(reading.error.text[0] != '\0');
            corrupt++;
        } else {
            /* Only the last frame, or what lies behind it, may look like a torn tail. */
            assert_int_equal(reading.end, IPC_JOURNAL_TORN);
            assert_true(offset >= damaged.at[FRAMES]);
            assert_true(reading.frames >= FRAMES - 1);
            assert_true(reading.frames == FRAMES || reading.dropped_committed);
            torn++;
        }
        damaged.bytes[offset] = damaged.right[offset];
    }
    print_message("bits: %llu without effect, %llu corrupt, %llu torn\n", (unsigned long long)clean,
        (unsigned long long)corrupt, (unsigned long long)torn);
    damaged_remove(&damaged);
}

/* Another boot: pages of 4 KiB that never reached the disk. What is behind is delivered, marked. */
static void test_holes_of_another_boot(void **state)
{
    (void)state;
    struct damaged damaged;
    struct journal_reading reading;
    damaged_make(&damaged);
    for (size_t page = IPC_SEGMENT_HEADER_BYTES; page < damaged.end; page += 4096) {
        memset(damaged.bytes + page, 0, 4096);
        read_damaged(&damaged, damaged.other_boot, &reading);
        uint64_t whole = frames_before(&damaged, page);
        assert_true(reading.frames >= whole);
        if (page + 4096 < damaged.at[FRAMES]) {
            assert_int_equal(reading.holes, 1);
            assert_int_equal(reading.last_lsn, FRAMES);
            assert_int_equal(reading.maybe, reading.frames - whole);
            assert_int_equal(reading.end, IPC_JOURNAL_END);
            assert_true(reading.dropped_bytes >= 4096);
        }
        read_damaged(&damaged, NULL, &reading); /* in the same boot it is corruption */
        if (page + 4096 < damaged.at[FRAMES]) {
            assert_int_equal(reading.end, IPC_JOURNAL_CORRUPT);
            assert_int_equal(reading.frames, whole);
            damaged.world.config.accept_corrupt = true; /* unless a person has decided */
            read_damaged(&damaged, NULL, &reading);
            damaged.world.config.accept_corrupt = false;
            assert_int_equal(reading.holes, 1);
            assert_int_equal(reading.last_lsn, FRAMES);
        }
        damaged_heal(&damaged);
    }
    damaged_remove(&damaged);
}

/* The disk's copy repairs what rotted in memory, and serves when memory is gone. */
static void test_disk_repairs_memory(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    char path[JOURNAL_PATH_BYTES];
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    for (int i = 0; i < 30; i++)
        assert_int_not_equal(journal_world_append(&world, 500), 0);
    assert_true(eng_scribe_round(world.journal));
    for (int i = 0; i < 30; i++)
        assert_int_not_equal(journal_world_append(&world, 500), 0);
    journal_world_leave(&world);
    journal_world_path(&world, false, 1, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "rot", 3, IPC_SEGMENT_HEADER_BYTES + 320 + 576 * 7 + 100), 3);
    journal_world_read(&world, true, true, NULL, &reading);
    assert_int_equal(reading.end, IPC_JOURNAL_END);
    assert_int_equal(reading.frames, 61);
    assert_int_equal(reading.place.repaired, 1);
    assert_true(reading.payloads_right);
    /* The same in the part that only memory has. */
    assert_int_equal(pwrite(fd, "rot", 3, IPC_SEGMENT_HEADER_BYTES + 320 + 576 * 45 + 100), 3);
    journal_world_read(&world, true, true, NULL, &reading);
    assert_int_equal(reading.end, IPC_JOURNAL_CORRUPT);
    assert_int_equal(reading.frames, 46);
    close(fd);
    assert_int_equal(unlink(path), 0);
    journal_world_read(&world, true, true, NULL, &reading);
    assert_int_equal(reading.frames, 31);
    assert_int_equal(reading.from_disk, 31);
    journal_world_remove(&world);
}

/* A segment in the middle is missing: corruption in this boot, a hole in another. */
static void test_missing_segment(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    char path[JOURNAL_PATH_BYTES];
    uint8_t other_boot[16] = {1};
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    while (world.journal->segment_no < 3)
        assert_int_not_equal(journal_world_append(&world, 5000), 0);
    uint64_t last = eng_journal_last_lsn(world.journal);
    journal_world_leave(&world);
    journal_world_path(&world, false, 2, path);
    assert_int_equal(unlink(path), 0);
    journal_world_read(&world, true, true, NULL, &reading);
    assert_int_equal(reading.end, IPC_JOURNAL_CORRUPT);
    journal_world_read(&world, true, true, other_boot, &reading);
    assert_int_equal(reading.end, IPC_JOURNAL_END);
    assert_int_equal(reading.holes, 1);
    assert_int_equal(reading.last_lsn, last);
    assert_true(reading.maybe > 0);
    journal_world_path(&world, false, 1, path);
    assert_int_equal(unlink(path), 0);
    journal_world_read(&world, true, true, NULL, &reading);
    assert_int_equal(reading.frames, 1);
    assert_int_equal(reading.first_lsn, last); /* recovery refuses that; see its tests */
    journal_world_remove(&world);
}

static void test_starts_at_an_lsn(void **state)
{
    (void)state;
    struct journal_world world;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    for (int i = 0; i < 300; i++) {
        assert_int_not_equal(journal_world_append(&world, 3000), 0);
        assert_true(eng_scribe_round(world.journal));
    }
    for (uint64_t from = 0; from <= 303; from++) {
        struct ipc_journal_reader_options options = {
            .memory_directory = world.config.memory_directory, .from_lsn = from};
        struct ipc_journal_reader *reader;
        struct ipc_journal_entry entry;
        struct ipc_error error;
        assert_int_equal(ipc_journal_reader_open(&options, &reader, &error), IPC_OK);
        uint64_t count = 0;
        while (ipc_journal_reader_next(reader, &entry) == IPC_JOURNAL_FRAME)
            assert_int_equal(entry.frame->lsn, (from == 0 ? 1 : from) + count++);
        assert_int_equal(count, from == 0 ? 301 : from > 301 ? 0 : 302 - from);
        ipc_journal_reader_close(reader);
    }
    journal_world_remove(&world);
}

static void test_follows_a_writer_around_the_ring(void **state)
{
    (void)state;
    struct journal_world world;
    struct ipc_journal_reader *reader;
    struct ipc_journal_entry entry;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    struct ipc_journal_reader_options options = {.memory_directory = world.config.memory_directory};
    assert_int_equal(ipc_journal_reader_open(&options, &reader, &world.error), IPC_OK);
    uint64_t read = 0;
    for (int i = 0; i < 1200; i++) {
        assert_int_not_equal(journal_world_append(&world, 2000), 0);
        assert_true(eng_scribe_round(world.journal));
        if (i % 250 != 249) /* falls behind further than memory holds, then catches up */
            continue;
        while (ipc_journal_reader_next(reader, &entry) == IPC_JOURNAL_FRAME) {
            assert_int_equal(entry.frame->lsn, ++read);
            assert_true(journal_world_payload_right(entry.frame, entry.payload));
        }
        assert_int_equal(ipc_journal_reader_tail(reader, &entry), IPC_JOURNAL_END);
        assert_int_equal(read, eng_journal_last_lsn(world.journal) / 1);
    }
    uint64_t durable;
    enum ipc_journal_state owner_state;
    assert_true(ipc_journal_reader_owner(reader, &durable, &owner_state));
    assert_int_equal(durable, 1201);
    assert_int_equal(owner_state, IPC_JOURNAL_STATE_OK);
    ipc_journal_reader_close(reader);
    journal_world_remove(&world);
}

/* Without disk files a reader that is too slow is told so, and gets nothing wrong. */
static void test_recycled_under_the_reader(void **state)
{
    (void)state;
    struct journal_world world;
    struct ipc_journal_reader *reader;
    struct ipc_journal_entry entry;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    struct ipc_journal_reader_options options = {
        .memory_directory = world.config.memory_directory, .disk_directory = ""};
    assert_int_not_equal(journal_world_append(&world, 2000), 0);
    assert_int_equal(ipc_journal_reader_open(&options, &reader, &world.error), IPC_OK);
    assert_int_equal(ipc_journal_reader_next(reader, &entry), IPC_JOURNAL_FRAME);
    for (int i = 0; i < 400; i++) {
        assert_int_not_equal(journal_world_append(&world, 2000), 0);
        assert_true(eng_scribe_round(world.journal));
    }
    assert_int_equal(ipc_journal_reader_next(reader, &entry), IPC_JOURNAL_GONE);
    assert_int_equal(ipc_journal_reader_next(reader, &entry), IPC_JOURNAL_GONE);
    ipc_journal_reader_close(reader);
    options.from_lsn = 2;
    assert_int_equal(ipc_journal_reader_open(&options, &reader, &world.error), IPC_OK);
    assert_int_equal(ipc_journal_reader_next(reader, &entry), IPC_JOURNAL_GONE);
    ipc_journal_reader_close(reader);
    journal_world_remove(&world);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t number;
    } rows[] = {
        {"segment.0000000001", 1},
        {"segment.0000000000", 0},
        {"segment.1", 0},
        {"segment.9999999999", 9999999999u},
        {"segment.12345678901", 12345678901u},
        {"segment.012345678901", 0},
        {"segment.0000000001.tmp", 0},
        {"segment.-000000001", 0},
        {"segment.", 0},
        {"owner", 0},
        {"segment.99999999999999999999999", 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        assert_int_equal(ipc_segment_name_parse(rows[i].name), rows[i].number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated_at_every_offset),
        cmocka_unit_test(test_tail_zeroed_and_flipped_at_every_offset),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_holes_of_another_boot),
        cmocka_unit_test(test_disk_repairs_memory),
        cmocka_unit_test(test_missing_segment),
        cmocka_unit_test(test_starts_at_an_lsn),
        cmocka_unit_test(test_follows_a_writer_around_the_ring),
        cmocka_unit_test(test_recycled_under_the_reader),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
