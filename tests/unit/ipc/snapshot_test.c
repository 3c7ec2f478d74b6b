/* snapshot_test.c: publishing and copying in one process: what is copied is what was published, a
 * change costs its chunk, tables may grow out of the file, two writers cannot be, and a random
 * history keeps a reader equal to its model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "ipc/prng.h"
#include "ipc/snapshot_private.h"
#include "snapshot_world.h"
#include "tests/support/tempshm.h"

struct fixture {
    struct tempshm temporary;
    struct ipc_shm shm;
    struct world world;
    struct world copy;
    struct ipc_snapshot_writer *writer;
    struct ipc_snapshot_reader *reader;
};

static void make(struct fixture *f, uint32_t followers, uint32_t room, uint32_t token_row_bytes)
{
    struct ipc_error error;
    memset(f, 0, sizeof(*f));
    tempshm_make(&f->temporary);
    if (ipc_shm_open(&f->shm, f->temporary.path, "snap", true, &error) != IPC_OK)
        fail_msg("%s", error.text);
    world_make(&f->world, followers, room, token_row_bytes);
    world_make_empty(&f->copy, &f->world.image.capacity);
    if (ipc_snapshot_writer_open(&f->shm, &f->writer, &error) != IPC_OK)
        fail_msg("%s", error.text);
    if (ipc_snapshot_reader_open(&f->shm, &f->reader, &error) != IPC_OK)
        fail_msg("%s", error.text);
}

static void drop(struct fixture *f)
{
    ipc_snapshot_writer_close(f->writer);
    ipc_snapshot_reader_close(f->reader);
    world_free(&f->world);
    world_free(&f->copy);
    ipc_shm_close(&f->shm);
    tempshm_remove(&f->temporary);
}

static void publish(struct fixture *f, uint32_t flags)
{
    struct ipc_error error = {0};
    if (ipc_snapshot_writer_publish(f->writer, &f->world.image, flags, 1234, &error) != IPC_OK)
        fail_msg("%s", error.text);
}

static void copy_and_compare(struct fixture *f)
{
    struct ipc_error error = {0};
    if (ipc_snapshot_reader_copy(f->reader, &f->copy.image, &error) != IPC_OK)
        fail_msg("%s", error.text);
    assert_true(world_equal(&f->world.image, &f->copy.image));
    assert_int_equal(f->copy.image.generation, f->world.image.generation);
    assert_int_equal(f->copy.image.content_hash, f->world.image.content_hash);
    assert_int_equal(f->copy.image.flags, f->world.image.flags);
}

static struct ipc_snapshot_published last(struct fixture *f)
{
    struct ipc_snapshot_published out;
    ipc_snapshot_writer_published(f->writer, &out);
    return out;
}

static void test_nothing_published(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_error error;
    struct ipc_snapshot_shape shape;
    uint64_t generation = 9;
    make(&f, 3, 3, 64);
    assert_int_equal(ipc_snapshot_reader_copy(f.reader, &f.copy.image, &error), IPC_EMPTY);
    assert_int_equal(ipc_snapshot_reader_shape(f.reader, &shape, &error), IPC_EMPTY);
    assert_int_equal(ipc_snapshot_reader_poll(f.reader, &generation, NULL, &error), IPC_OK);
    assert_int_equal(generation, 0);
    assert_int_equal(ipc_snapshot_writer_current(f.writer), 0);
    drop(&f);
}

static void test_no_file(void **state)
{
    (void)state;
    struct tempshm temporary;
    struct ipc_shm shm;
    struct ipc_snapshot_reader *reader = NULL;
    struct ipc_error error;
    tempshm_make(&temporary);
    assert_int_equal(ipc_shm_open(&shm, temporary.path, "snap", true, &error), IPC_OK);
    assert_int_equal(ipc_snapshot_reader_open(&shm, &reader, &error), IPC_NOT_FOUND);
    assert_null(reader);
    ipc_shm_close(&shm);
    tempshm_remove(&temporary);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_snapshot_shape shape;
    make(&f, 10, 10, 64);
    publish(&f, 0);
    copy_and_compare(&f);
    assert_int_equal(f.world.image.generation, 1);
    assert_int_equal(f.copy.image.published_wall_ns, 1234);
    assert_int_equal(ipc_snapshot_reader_shape(f.reader, &shape, NULL), IPC_OK);
    assert_memory_equal(&shape, &f.world.image.shape, sizeof(shape));
    assert_int_equal(world_validate(&f.copy, NULL), IPC_OK);
    /* The same again makes no generation, and copies nothing. */
    publish(&f, 0);
    assert_int_equal(f.world.image.generation, 1);
    copy_and_compare(&f);
    assert_int_equal(ipc_snapshot_reader_chunks_copied(f.reader), 0);
    /* The same rows with a person's word make one. */
    publish(&f, IPC_SNAPSHOT_OVERRIDE);
    assert_int_equal(f.world.image.generation, 2);
    assert_int_equal(last(&f).chunks_written, 0);
    copy_and_compare(&f);
    assert_int_equal(f.copy.image.flags, IPC_SNAPSHOT_OVERRIDE);
    /* The same rows without the flag are the same generation: a person has passed them. */
    publish(&f, 0);
    assert_int_equal(last(&f).generation, f.copy.image.generation);
    drop(&f);
}

/* 20,000 followers are 40 chunks of followers, 35 of accounts, 20 of tokens ... */
static void test_one_row_costs_one_chunk(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 20000, 20000, 64);
    publish(&f, 0);
    copy_and_compare(&f);
    assert_true(last(&f).chunks_total > 90);
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t slot = i * 499 % 20000;
        uint64_t hash = f.world.image.content_hash;
        world_follower(&f.world, slot)->ratio_e8 += 1 + i;
        publish(&f, 0);
        assert_int_equal(last(&f).chunks_written, 1);
        assert_int_equal(last(&f).file_replaced, 0);
        assert_int_not_equal(hash, f.world.image.content_hash);
        copy_and_compare(&f);
        assert_int_equal(ipc_snapshot_reader_chunks_copied(f.reader), 1);
    }
    drop(&f);
}

/* Equal rows have an equal hash, whatever happened between. */
static void test_content_hash(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 600, 600, 64);
    publish(&f, 0);
    uint64_t first = f.world.image.content_hash;
    world_follower(&f.world, 5)->ratio_e8 *= 2;
    publish(&f, 0);
    uint64_t second = f.world.image.content_hash;
    assert_int_not_equal(first, second);
    world_follower(&f.world, 5)->ratio_e8 /= 2;
    publish(&f, 0);
    assert_int_equal(f.world.image.generation, 3);
    assert_int_equal(f.world.image.content_hash, first);
    /* A row fewer is another content, though every row left is the same. */
    world_fill(&f.world, 599);
    publish(&f, 0);
    assert_int_not_equal(f.world.image.content_hash, first);
    assert_int_not_equal(f.world.image.content_hash, second);
    drop(&f);
}

static void test_two_images_take_turns(void **state)
{
    (void)state;
    struct fixture f;
    struct world other;
    make(&f, 2000, 2000, 64);
    world_make_empty(&other, &f.world.image.capacity);
    struct ipc_snapshot_image *images[2] = {&f.copy.image, &other.image};
    for (uint32_t i = 0; i < 12; i++) {
        world_follower(&f.world, i * 150)->ratio_e8 += 7;
        publish(&f, 0);
        assert_int_equal(ipc_snapshot_reader_copy(f.reader, images[i % 2], NULL), IPC_OK);
        assert_true(world_equal(images[i % 2], &f.world.image));
        if (i >= 2) /* an image two generations behind takes at most two chunks */
            assert_in_range(ipc_snapshot_reader_chunks_copied(f.reader), 1, 2);
    }
    world_free(&other);
    drop(&f);
}

static void test_growth_replaces_the_file(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_error error;
    uint64_t lineage = 0;
    uint64_t later = 0;
    uint64_t generation = 0;
    make(&f, 100, 60000, 64);
    publish(&f, 0);
    copy_and_compare(&f);
    assert_int_equal(ipc_snapshot_reader_poll(f.reader, &generation, &lineage, &error), IPC_OK);
    world_fill(&f.world, 60000);
    publish(&f, 0);
    assert_int_equal(last(&f).file_replaced, 1);
    copy_and_compare(&f);
    assert_int_equal(f.copy.image.generation, 2);
    assert_int_equal(ipc_snapshot_reader_poll(f.reader, &generation, &later, &error), IPC_OK);
    assert_int_equal(generation, 2);
    assert_int_equal(lineage, later);
    /* What did not change is not copied again from the new file: cluster, brokers, instruments,
     * lists, list items, policies, maps, map items, contracts, sessions, and full chunks of the
     * others (none at 100 followers). */
    assert_int_equal(ipc_snapshot_reader_chunks_copied(f.reader), last(&f).chunks_total - 10);
    /* And smaller again, in place. */
    world_fill(&f.world, 10);
    publish(&f, 0);
    assert_int_equal(last(&f).file_replaced, 0);
    copy_and_compare(&f);
    drop(&f);
}

static void test_writer_continues(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_error error;
    make(&f, 500, 500, 64);
    publish(&f, 0);
    for (uint32_t i = 0; i < 6; i++) {
        ipc_snapshot_writer_close(f.writer);
        assert_int_equal(ipc_snapshot_writer_open(&f.shm, &f.writer, &error), IPC_OK);
        assert_int_equal(ipc_snapshot_writer_current(f.writer), 1 + i);
        publish(&f, 0); /* nothing changed: the new writer knows what is in force */
        assert_int_equal(ipc_snapshot_writer_current(f.writer), 1 + i);
        world_follower(&f.world, i)->max_qty_e8 = LS_E8 * 5;
        publish(&f, 0);
        assert_int_equal(last(&f).chunks_written, 1);
        copy_and_compare(&f);
    }
    drop(&f);
}

static void test_two_writers(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_error error;
    struct ipc_snapshot_writer *second = NULL;
    make(&f, 5, 5, 0);
    assert_int_equal(ipc_snapshot_writer_open(&f.shm, &second, &error), IPC_BUSY);
    assert_non_null(strstr(error.text, "snap"));
    assert_null(second);
    publish(&f, 0);
    copy_and_compare(&f);
    drop(&f);
}

static void test_image_too_small(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_error error;
    struct world small;
    make(&f, 50, 50, 64);
    publish(&f, 0);
    struct ipc_snapshot_shape capacity = f.world.image.capacity;
    capacity.rows[IPC_TABLE_FOLLOWERS] = 49;
    world_make_empty(&small, &capacity);
    assert_int_equal(ipc_snapshot_reader_copy(f.reader, &small.image, &error), IPC_TOO_LONG);
    assert_non_null(strstr(error.text, "followers has 50 rows"));
    assert_int_equal(small.image.generation, 0);
    world_free(&small);
    capacity = f.world.image.capacity;
    capacity.token_row_bytes = 56;
    world_make_empty(&small, &capacity);
    assert_int_equal(ipc_snapshot_reader_copy(f.reader, &small.image, &error), IPC_TOO_LONG);
    assert_non_null(strstr(error.text, "tokens take 64 bytes"));
    world_free(&small);
    drop(&f);
}

static void test_bad_shapes_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_error error;
    make(&f, 5, 5, 64);
    publish(&f, 0);
    struct ipc_snapshot_shape good = f.world.image.shape;
    static const struct {
        uint32_t table, rows, token_row_bytes;
        const char *sentence;
    } cases[] = {
        {IPC_TABLE_CLUSTER, 0, 64, "cluster has 0 rows"},
        {IPC_TABLE_CLUSTER, 2, 64, "cluster has 2 rows"},
        {IPC_TABLE_TOKENS, 6, 64, "tokens has 6 rows for 7 accounts"},
        {IPC_TABLE_TOKENS, 7, 0, "rows of no bytes"},
        {IPC_TABLE_TOKENS, 7, 12, "multiple of 8"},
        {IPC_TABLE_TOKENS, 7, 8200, "up to 8192"},
        {IPC_TABLE_FOLLOWERS, UINT32_MAX, 64, "chunks"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        f.world.image.shape = good;
        f.world.image.shape.rows[cases[i].table] = cases[i].rows;
        f.world.image.shape.token_row_bytes = cases[i].token_row_bytes;
        assert_int_equal(
            ipc_snapshot_writer_publish(f.writer, &f.world.image, 0, 1, &error), IPC_BAD_INPUT);
        if (!strstr(error.text, cases[i].sentence))
            fail_msg("case %zu: %s", i, error.text);
    }
    f.world.image.shape = good;
    copy_and_compare(&f);
    drop(&f);
}

/* Bytes of the file that another process damaged are found, and the image is not usable. */
static void test_damage_is_found(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_error error;
    make(&f, 50, 50, 64);
    publish(&f, 0);
    struct ipc_snapshot_map map;
    struct ipc_region region;
    struct ipc_region_spec spec = {.name = IPC_SNAPSHOT_FILE,
        .kind = IPC_REGION_SNAPSHOT,
        .layout_hash = ipc_snapshot_layout_hash(),
        .body_bytes = 1,
        .flags = IPC_REGION_WRITE};
    assert_int_equal(ipc_region_attach(&f.shm, &spec, &region, &error), IPC_OK);
    assert_int_equal(ipc_snapshot_map_init(&map, region.body, region.body_bytes, &error), IPC_OK);
    uint8_t *directory = (uint8_t *)map.directories + map.directory_bytes; /* generation 1 */
    for (size_t at = 8; at < sizeof(struct ipc_snapshot_directory) + 48; at += 5) {
        directory[at] ^= 0x10;
        assert_int_equal(ipc_snapshot_reader_copy(f.reader, &f.copy.image, &error), IPC_BAD_CRC);
        assert_int_equal(f.copy.image.generation, 0);
        directory[at] ^= 0x10;
    }
    uint8_t *chunk = (uint8_t *)map.chunks + 5 * (uint64_t)IPC_SNAPSHOT_CHUNK_BYTES;
    chunk[100] ^= 1;
    assert_int_equal(ipc_snapshot_reader_copy(f.reader, &f.copy.image, &error), IPC_BAD_CRC);
    assert_non_null(strstr(error.text, "chunk 5"));
    chunk[100] ^= 1;
    copy_and_compare(&f);
    /* A new writer refuses a damaged directory rather than building on it. */
    directory[30] ^= 1;
    ipc_snapshot_writer_close(f.writer);
    f.writer = NULL;
    assert_int_equal(ipc_snapshot_writer_open(&f.shm, &f.writer, &error), IPC_BAD_CRC);
    directory[30] ^= 1;
    ipc_region_detach(&region);
    drop(&f);
}

/* A removed file leaves the reader with a sentence, a new one is followed with its lineage. */
static void test_reader_follows_a_new_file(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_error error;
    uint64_t generation = 0;
    uint64_t first = 0;
    uint64_t second = 0;
    make(&f, 5, 5, 64);
    publish(&f, 0);
    world_follower(&f.world, 0)->ratio_e8 = 5;
    publish(&f, 0);
    copy_and_compare(&f);
    assert_int_equal(ipc_snapshot_reader_poll(f.reader, &generation, &first, &error), IPC_OK);
    assert_int_equal(generation, 2);
    ipc_snapshot_writer_close(f.writer);
    f.writer = NULL;
    assert_int_equal(ipc_region_remove(&f.shm, IPC_SNAPSHOT_FILE, &error), IPC_OK);
    assert_int_equal(
        ipc_snapshot_reader_poll(f.reader, &generation, &first, &error), IPC_NOT_FOUND);
    assert_int_equal(ipc_snapshot_writer_open(&f.shm, &f.writer, &error), IPC_OK);
    publish(&f, 0);
    assert_int_equal(ipc_snapshot_reader_poll(f.reader, &generation, &second, &error), IPC_OK);
    assert_int_equal(generation, 1);
    assert_int_not_equal(first, second);
    copy_and_compare(&f);
    drop(&f);
}

/* A random history: rows change, tables grow and shrink, token rows change their width, writers
 * come and go, readers lag. After each copy the image is the model, bit for bit. */
static void random_history(uint64_t seed)
{
    static const uint32_t widths[] = {0, 64, 128, 1144};
    struct fixture f;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    make(&f, 10, 3000, 1144);
    for (uint32_t step = 0; step < 60; step++) {
        uint64_t what = ipc_prng_below(&prng, 10);
        uint32_t followers = f.world.image.shape.rows[IPC_TABLE_FOLLOWERS];
        if (what == 0) {
            f.world.image.capacity.token_row_bytes = widths[ipc_prng_below(&prng, 4)];
            world_fill(&f.world, (uint32_t)ipc_prng_below(&prng, 3001));
        } else if (what == 1) {
            ipc_snapshot_writer_close(f.writer);
            assert_int_equal(ipc_snapshot_writer_open(&f.shm, &f.writer, NULL), IPC_OK);
        } else if (followers > 0) {
            for (uint64_t i = ipc_prng_below(&prng, 30); i > 0; i--)
                world_follower(&f.world, (uint32_t)ipc_prng_below(&prng, followers))->max_qty_e8 =
                    (int64_t)ipc_prng_below(&prng, 1000) * LS_E8;
        }
        publish(&f, ipc_prng_chance(&prng, 1, 8) ? IPC_SNAPSHOT_OVERRIDE : 0);
        if (ipc_prng_chance(&prng, 1, 2))
            copy_and_compare(&f);
    }
    f.world.image.capacity.token_row_bytes = 1144;
    copy_and_compare(&f);
    drop(&f);
}

static void test_random_histories(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    const uint64_t seeds = 2; /* every word of every copy is an atomic that it follows */
#else
    const uint64_t seeds = 12;
#endif
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        random_history(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_published),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_one_row_costs_one_chunk),
        cmocka_unit_test(test_content_hash),
        cmocka_unit_test(test_two_images_take_turns),
        cmocka_unit_test(test_growth_replaces_the_file),
        cmocka_unit_test(test_writer_continues),
        cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_image_too_small),
        cmocka_unit_test(test_bad_shapes_are_refused),
        cmocka_unit_test(test_damage_is_found),
        cmocka_unit_test(test_reader_follows_a_new_file),
        cmocka_unit_test(test_random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
