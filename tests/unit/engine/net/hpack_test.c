/* hpack_test.c: blocks decode, through nghttp2's inflater, to the fields that were put in. */
#include "engine/net/hpack.h"
#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

/* Decodes a block; fields are given back as "name: value\n", those that must never be indexed with
 * a '!' before. */
static void decode(
    nghttp2_hd_inflater *inflater, const uint8_t *bytes, size_t count, char *out, size_t out_bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        const ssize_t rc = nghttp2_hd_inflate_hd2(inflater, &field, &flags, bytes, count, 1);
        if (rc < 0)
            fail_msg("the inflater refuses the block: %s", nghttp2_strerror((int)rc));
        bytes += rc;
        count -= (size_t)rc;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            used += (size_t)snprintf(out + used, out_bytes - used, "%s%.*s: %.*s\n",
                (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) ? "!" : "", (int)field.namelen,
                (const char *)field.name, (int)field.valuelen, (const char *)field.value);
            assert_true(used < out_bytes);
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(inflater);
}

static void decode_fresh(const struct eng_hpack *block, char *out, size_t out_bytes)
{
    nghttp2_hd_inflater *inflater;
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    decode(inflater, block->bytes, block->count, out, out_bytes);
    nghttp2_hd_inflate_del(inflater);
}

static void a_request_decodes_to_its_fields(void **state)
{
    (void)state;
    uint8_t memory[1024];
    char text[2048];
    struct eng_hpack block;
    eng_hpack_begin(&block, memory, sizeof memory);
    assert_int_equal(eng_hpack_add_text(&block, ":method", "POST"), IPC_OK);
    assert_int_equal(eng_hpack_add_text(&block, ":scheme", "https"), IPC_OK);
    assert_int_equal(eng_hpack_add_text(&block, ":path", "/open-api/v1/orders"), IPC_OK);
    assert_int_equal(eng_hpack_add_text(&block, ":authority", "api.example.in"), IPC_OK);
    assert_int_equal(eng_hpack_add_text(&block, "x-own", ""), IPC_OK);
    assert_int_equal(eng_hpack_add(&block, "authorization", "Bearer abc", 10, true), IPC_OK);
    uint32_t digits;
    block.count += eng_hpack_put_length(memory + block.count, 1234, &digits);
    assert_int_equal(digits, 4);
    decode_fresh(&block, text, sizeof text);
    assert_string_equal(text, ":method: POST\n"
                              ":scheme: https\n"
                              ":path: /open-api/v1/orders\n"
                              ":authority: api.example.in\n"
                              "x-own: \n"
                              "!authorization: Bearer abc\n"
                              "content-length: 1234\n");
    /* Method and scheme are one byte each. */
    assert_int_equal(memory[0], 0x83);
    assert_int_equal(memory[1], 0x87);
    assert_int_equal(
        block.list_bytes, (7 + 4) + (7 + 5) + (5 + 19) + (10 + 14) + 5 + (13 + 10) + 6 * 32);
}

/* Each entry of the static table, by whole match and by name, against the inflater's own table. */
static void the_static_table_agrees(void **state)
{
    (void)state;
    for (uint32_t index = 1; index <= 61; index++) {
        const uint8_t indexed = (uint8_t)(0x80 | index);
        const struct eng_hpack given = {.bytes = (uint8_t *)(uintptr_t)&indexed, .count = 1};
        char text[256], again[256];
        decode_fresh(&given, text, sizeof text);
        char name[64], value[64];
        const char *colon = strstr(text + 1, ": ");
        snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
        snprintf(value, sizeof value, "%.*s", (int)(strlen(colon + 2) - 1), colon + 2);
        uint8_t memory[128];
        struct eng_hpack block;
        eng_hpack_begin(&block, memory, sizeof memory);
        assert_int_equal(eng_hpack_add_text(&block, name, value), IPC_OK);
        if (value[0] != '\0') {
            assert_int_equal(block.count, 1);
            assert_int_equal(memory[0], indexed);
        }
        decode_fresh(&block, again, sizeof again);
        assert_string_equal(text, again);
    }
}

/* Every symbol's code, alone and among others; also the forms that stay as they are. */
static void every_symbol_survives(void **state)
{
    (void)state;
    for (uint32_t symbol = 0; symbol < 256; symbol++) {
        for (uint32_t copies = 1; copies <= 3; copies++) {
            char value[64];
            memset(value, 'e', sizeof value);
            for (uint32_t i = 0; i < copies; i++)
                value[20 + 7 * i] = (char)symbol;
            uint8_t memory[256];
            struct eng_hpack block;
            eng_hpack_begin(&block, memory, sizeof memory);
            const enum ipc_rc rc = eng_hpack_add(&block, "x", value, 60, false);
            const bool may_stand = symbol == '\t' || (symbol >= 32 && symbol != 127);
            assert_int_equal(rc, may_stand ? IPC_OK : IPC_BAD_INPUT);
            if (!may_stand)
                continue;
            char text[256], expected[256];
            decode_fresh(&block, text, sizeof text);
            snprintf(expected, sizeof expected, "x: %.60s\n", value);
            assert_string_equal(text, expected);
        }
    }
}

static void random_fields_survive_any_table_size(void **state)
{
    (void)state;
    const uint64_t seed = 20261;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    nghttp2_hd_inflater *inflater;
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    for (uint32_t round = 0; round < 2000; round++) {
        uint8_t memory[4096];
        char expected[16384], text[16384];
        struct eng_hpack block;
        eng_hpack_begin(&block, memory, sizeof memory);
        /* The peer may change its table at any moment; a lowered one wants the update in front. */
        if (ipc_prng_chance(&prng, 1, 3)) {
            const size_t size = ipc_prng_chance(&prng, 1, 2) ? 0 : ipc_prng_below(&prng, 8192);
            assert_int_equal(nghttp2_hd_inflate_change_table_size(inflater, size), 0);
            memory[block.count++] = 0x20;
        }
        size_t used = 0;
        expected[0] = '\0';
        const uint64_t fields = 1 + ipc_prng_below(&prng, 6);
        for (uint64_t i = 0; i < fields; i++) {
            char name[16] = {0}, value[512] = {0};
            const uint64_t name_bytes = 1 + ipc_prng_below(&prng, 12);
            const uint64_t value_bytes = ipc_prng_below(&prng, 500);
            for (uint64_t k = 0; k < name_bytes; k++)
                name[k] = "abcdefghijklmnopqrstuvwxyz0123456789-_"[ipc_prng_below(&prng, 38)];
            for (uint64_t k = 0; k < value_bytes; k++)
                value[k] = (char)(33 + ipc_prng_below(&prng, 94));
            const bool secret = ipc_prng_chance(&prng, 1, 4);
            assert_int_equal(eng_hpack_add(&block, name, value, value_bytes, secret), IPC_OK);
            used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s: %s\n",
                secret ? "!" : "", name, value);
        }
        decode(inflater, block.bytes, block.count, text, sizeof text);
        if (strcmp(text, expected) != 0)
            fail_msg("seed %llu round %u", (unsigned long long)seed, round);
    }
    nghttp2_hd_inflate_del(inflater);
}

static void what_may_not_stand_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        size_t value_bytes;
        enum ipc_rc rc;
    } rows[] = {
        {"Authorization", "x", 1, IPC_BAD_INPUT},
        {"", "x", 1, IPC_BAD_INPUT},
        {":", "x", 1, IPC_BAD_INPUT},
        {"a b", "x", 1, IPC_BAD_INPUT},
        {"a:b", "x", 1, IPC_BAD_INPUT},
        {"a", "x\r\ny", 4, IPC_BAD_INPUT},
        {"a", "x\0y", 3, IPC_BAD_INPUT},
        {"a", " x", 2, IPC_BAD_INPUT},
        {"a", "x ", 2, IPC_BAD_INPUT},
        {"a", "x\x7f", 2, IPC_BAD_INPUT},
        {"a", "x y", 3, IPC_OK},
        {"a", "", 0, IPC_OK},
        {"a", "\xc3\xa9", 2, IPC_OK},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        uint8_t memory[64];
        struct eng_hpack block;
        eng_hpack_begin(&block, memory, sizeof memory);
        assert_int_equal(
            eng_hpack_add(&block, rows[i].name, rows[i].value, rows[i].value_bytes, false),
            rows[i].rc);
        if (rows[i].rc != IPC_OK)
            assert_int_equal(block.count, 0);
    }
}

static void a_full_block_is_refused_whole(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct eng_hpack block;
    eng_hpack_begin(&block, memory, sizeof memory);
    assert_int_equal(eng_hpack_add_text(&block, "a", "0123456789012345"), IPC_OK);
    const uint32_t count = block.count, list_bytes = block.list_bytes;
    assert_int_equal(
        eng_hpack_add_text(&block, "b", "0123456789012345678901234567890123456789"), IPC_TOO_LONG);
    assert_int_equal(block.count, count);
    assert_int_equal(block.list_bytes, list_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_decodes_to_its_fields),
        cmocka_unit_test(the_static_table_agrees),
        cmocka_unit_test(every_symbol_survives),
        cmocka_unit_test(random_fields_survive_any_table_size),
        cmocka_unit_test(what_may_not_stand_is_refused),
        cmocka_unit_test(a_full_block_is_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
