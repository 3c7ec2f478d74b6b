#include "ipc/journal_format.h"
#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The definition, bit by bit. */
static uint32_t naive_crc32c(uint32_t crc, const uint8_t *bytes, size_t count)
{
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* RFC 3720, B.4, and the check value of the catalogue of parametrised CRC algorithms. */
static void test_known_vectors(void **state)
{
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(ipc_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(ipc_crc32c(0, "", 0), 0);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(ipc_crc32c(0, bytes, sizeof bytes), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(ipc_crc32c(0, bytes, sizeof bytes), 0x62a8ab43u);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(ipc_crc32c(0, bytes, sizeof bytes), 0x46dd794eu);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(ipc_crc32c(0, bytes, sizeof bytes), 0x113fdb5cu);
}

/* All lengths past three long lanes, all alignments, any start. */
static void test_equals_the_definition(void **state)
{
    (void)state;
    static uint8_t bytes[2600];
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 20261);
    ipc_prng_fill(&prng, bytes, sizeof bytes);
    for (size_t count = 0; count < 1700; count++) {
        size_t from = count % 9;
        uint32_t start = (uint32_t)ipc_prng_next(&prng);
        assert_int_equal(
            ipc_crc32c(start, bytes + from, count), naive_crc32c(start, bytes + from, count));
    }
    assert_int_equal(ipc_crc32c(1, bytes, 2600), naive_crc32c(1, bytes, 2600));
}

static void test_goes_on_where_it_stopped(void **state)
{
    (void)state;
    uint8_t bytes[1000];
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 4);
    ipc_prng_fill(&prng, bytes, sizeof bytes);
    uint32_t whole = ipc_crc32c(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 13)
        assert_int_equal(
            ipc_crc32c(ipc_crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut), whole);
}

/* A flipped bit anywhere in what counts changes a frame's CRC; the length and the CRC do not count.
 */
static void test_frame_crc_covers_what_it_says(void **state)
{
    (void)state;
    _Alignas(64) uint8_t bytes[256] = {0};
    struct ipc_frame *frame = (struct ipc_frame *)bytes;
    frame->lsn = 7;
    frame->payload_bytes = 100;
    const uint32_t crc = ipc_frame_crc(frame, 1, 2);
    assert_int_not_equal(ipc_frame_crc(frame, 2, 2), crc);
    assert_int_not_equal(ipc_frame_crc(frame, 1, 3), crc);
    for (size_t i = 0; i < sizeof *frame + 120; i++) {
        size_t length_field = offsetof(struct ipc_frame, payload_bytes);
        if (i >= length_field && i < length_field + sizeof frame->payload_bytes)
            continue; /* changes how much is read */
        bytes[i] ^= 0x10;
        bool counts = i >= offsetof(struct ipc_frame, lsn) && i < sizeof *frame + 100;
        assert_int_equal(ipc_frame_crc(frame, 1, 2) != crc, counts);
        bytes[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_vectors),
        cmocka_unit_test(test_equals_the_definition),
        cmocka_unit_test(test_goes_on_where_it_stopped),
        cmocka_unit_test(test_frame_crc_covers_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
