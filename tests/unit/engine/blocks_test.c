/* engine/blocks: what the blocks say, read back by nghttp2's inflater; and what may not stand in
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "engine/blocks.h"

/* Fields of several parts as one header block, "name: value\n" each; "!" after a secret's name. */
static void inflate(const struct eng_h2_part *parts, uint32_t count, char *out, size_t out_bytes)
{
    uint8_t block[4096];
    size_t bytes = 0, used = 0, list_bytes = 0, said = 0;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(block + bytes, parts[i].bytes, parts[i].count);
        bytes += parts[i].count;
        said += parts[i].list_bytes;
    }
    nghttp2_hd_inflater *inflater;
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    out[0] = '\0';
    for (const uint8_t *in = block;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t taken =
            nghttp2_hd_inflate_hd2(inflater, &field, &flags, in, bytes - (size_t)(in - block), 1);
        assert_true(taken >= 0);
        in += taken;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            used +=
                (size_t)snprintf(out + used, out_bytes - used, "%.*s%s: %.*s\n", (int)field.namelen,
                    (const char *)field.name, field.flags & NGHTTP2_NV_FLAG_NO_INDEX ? "!" : "",
                    (int)field.valuelen, (const char *)field.value);
            assert_true(used < out_bytes);
            list_bytes += field.namelen + field.valuelen + 32;
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    assert_int_equal(list_bytes, said);
    assert_int_equal(
        nghttp2_hd_inflate_get_num_table_entries(inflater), 61); /* static table only */
    nghttp2_hd_inflate_del(inflater);
}

static const struct adp_dialect plain = {
    .name = "plain",
    .auth = {.header = "authorization", .prefix = "token "},
    .requests =
        {
            [ADP_REQUEST_PLACE] = {"POST", "/orders", "application/json", false},
            [ADP_REQUEST_MODIFY] = {"PUT", "/orders/{order_id}/terms", "application/json", false},
            [ADP_REQUEST_CANCEL] = {"DELETE", "/orders/{order_id}?leg=1", NULL, false},
            [ADP_REQUEST_BOOK] = {"GET", "/orders", NULL, false},
        },
};

static struct ipc_row_broker broker_row(void)
{
    struct ipc_row_broker row = {.port = 8443, .live = 1};
    strcpy(row.name, "test");
    strcpy(row.host, "broker.example");
    strcpy(row.base_path, "/api/v2");
    return row;
}

static struct eng_h2_part whole(const struct eng_request_block *block)
{
    return (struct eng_h2_part){block->bytes, block->count, block->list_bytes};
}

static void test_requests(void **state)
{
    (void)state;
    static struct eng_broker_terms terms;
    struct ipc_row_broker row = broker_row();
    struct ipc_error error = {{0}};
    char text[1024];
    assert_int_equal(eng_blocks_broker(&row, &plain, &terms, &error), IPC_OK);
    struct eng_h2_part part = whole(&terms.requests[ADP_REQUEST_PLACE]);
    inflate(&part, 1, text, sizeof(text));
    assert_non_null(strstr(text,
        ":method: POST\n:scheme: https\n:authority: broker.example:8443\n:path: /api/v2/orders\n"
        "content-type: application/json\naccept: application/json\nuser-agent: lockstep/"));
    assert_false(terms.requests[ADP_REQUEST_PLACE].has_path_hole);
    assert_true(terms.requests[ADP_REQUEST_PLACE].has_body);
    assert_int_equal(terms.requests[ADP_REQUEST_KEEPALIVE].count, 0);
    part = whole(&terms.requests[ADP_REQUEST_BOOK]);
    inflate(&part, 1, text, sizeof(text));
    assert_null(strstr(text, "content-type"));

    row.port = 443;
    assert_int_equal(eng_blocks_broker(&row, &plain, &terms, &error), IPC_OK);
    part = whole(&terms.requests[ADP_REQUEST_BOOK]);
    inflate(&part, 1, text, sizeof(text));
    assert_non_null(strstr(text, ":authority: broker.example\n"));
    strcpy(row.host, "::1");
    row.port = 99;
    assert_int_equal(eng_blocks_broker(&row, &plain, &terms, &error), IPC_OK);
    part = whole(&terms.requests[ADP_REQUEST_BOOK]);
    inflate(&part, 1, text, sizeof(text));
    assert_non_null(strstr(text, ":authority: [::1]:99\n"));
    strcpy(row.authority, "front.example");
    assert_int_equal(eng_blocks_broker(&row, &plain, &terms, &error), IPC_OK);
    part = whole(&terms.requests[ADP_REQUEST_BOOK]);
    inflate(&part, 1, text, sizeof(text));
    assert_non_null(strstr(text, ":authority: front.example\n"));
}

/* A path with the broker's order id: pseudo fields, the path, ordinary fields, credentials. */
static void test_path_hole(void **state)
{
    (void)state;
    static struct eng_broker_terms terms;
    struct ipc_row_broker row = broker_row();
    struct ipc_error error = {{0}};
    char text[1024];
    assert_int_equal(eng_blocks_broker(&row, &plain, &terms, &error), IPC_OK);
    const struct eng_request_block *block = &terms.requests[ADP_REQUEST_CANCEL];
    assert_true(block->has_path_hole);
    assert_false(block->has_body);
    static const uint8_t nothing[1];
    /* Credentials that are not looked at here. */
    const struct eng_auth auth = {.bytes = nothing, .count = 1, .text = nothing, .text_count = 1};
    struct eng_blocks_parts parts;
    char id[IPC_BROKER_ORDER_ID_BYTES] = "2611-21_Ab";
    assert_int_equal(eng_blocks_parts(block, &auth, false, id, &parts), IPC_OK);
    assert_int_equal(parts.count, 4);
    inflate(parts.parts, 3, text, sizeof(text));
    assert_non_null(
        strstr(text, ":method: DELETE\n:scheme: https\n:authority: broker.example:8443\n"
                     ":path: /api/v2/orders/2611-21_Ab?leg=1\naccept: application/json\n"));
    static const char *const refused[] = {
        "", "a/b", "a?b", "a b", "..", "a%2fb", "a\n", "\xc3\xa4"};
    for (size_t i = 0; i < LS_COUNT_OF(refused); i++) {
        memset(id, 0, sizeof(id));
        strcpy(id, refused[i]);
        assert_int_equal(eng_blocks_parts(block, &auth, false, id, &parts), IPC_BAD_INPUT);
        assert_int_equal(eng_blocks_parts(block, &auth, true, id, &parts), IPC_BAD_INPUT);
    }
    memset(id, 'Z', sizeof(id)); /* without a NUL: all of it */
    assert_int_equal(eng_blocks_parts(block, &auth, false, id, &parts), IPC_OK);
    assert_int_equal(eng_blocks_parts(block, &auth, true, id, &parts), IPC_OK);
    static const struct eng_auth none;
    assert_int_equal(eng_blocks_parts(block, &none, true, id, &parts), IPC_NOT_FOUND);
}

/* The same requests as HTTP/1.1 says them. */
static void test_text(void **state)
{
    (void)state;
    static struct eng_broker_terms terms;
    struct ipc_row_broker row = broker_row();
    struct ipc_error error = {{0}};
    const char id[IPC_BROKER_ORDER_ID_BYTES] = "2611-21_Ab";
    const struct eng_auth auth = {.bytes = (const uint8_t *)"x",
        .count = 1,
        .text = (const uint8_t *)"authorization: token 7\r\n",
        .text_count = 24};
    struct adp_dialect dialect = plain;
    dialect.requests[ADP_REQUEST_KEEPALIVE] = (struct adp_request){"POST", "/here", NULL, false};
    static const struct {
        enum adp_request_kind kind;
        const char *begins, *ends;
    } rows[] = {
        {ADP_REQUEST_PLACE,
            "POST /api/v2/orders HTTP/1.1\r\nhost: broker.example:8443\r\n"
            "content-type: application/json\r\naccept: application/json\r\nuser-agent: lockstep/",
            "\r\nconnection: keep-alive\r\nauthorization: token 7\r\n"},
        {ADP_REQUEST_MODIFY, "PUT /api/v2/orders/2611-21_Ab/terms HTTP/1.1\r\nhost: broker",
            "\r\nconnection: keep-alive\r\nauthorization: token 7\r\n"},
        {ADP_REQUEST_CANCEL, "DELETE /api/v2/orders/2611-21_Ab?leg=1 HTTP/1.1\r\nhost: broker",
            "\r\nconnection: keep-alive\r\nauthorization: token 7\r\n"},
        {ADP_REQUEST_BOOK, "GET /api/v2/orders HTTP/1.1\r\nhost: broker.example:8443\r\naccept: ",
            "\r\nconnection: keep-alive\r\nauthorization: token 7\r\n"},
        {ADP_REQUEST_KEEPALIVE,
            "POST /api/v2/here HTTP/1.1\r\nhost: broker.example:8443\r\naccept: ",
            "\r\nconnection: keep-alive\r\ncontent-length: 0\r\nauthorization: token 7\r\n"},
    };
    assert_int_equal(eng_blocks_broker(&row, &dialect, &terms, &error), IPC_OK);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        const struct eng_request_block *block = &terms.requests[rows[i].kind];
        struct eng_blocks_parts parts;
        char text[1024];
        size_t used = 0;
        assert_int_equal(eng_blocks_parts(block, &auth, true, id, &parts), IPC_OK);
        for (uint32_t k = 0; k < parts.count; k++) {
            memcpy(text + used, parts.parts[k].bytes, parts.parts[k].count);
            used += parts.parts[k].count;
        }
        text[used] = '\0';
        if (!block->has_path_hole)
            assert_int_equal(used, eng_blocks_bytes(block, &auth, true));
        if (strncmp(text, rows[i].begins, strlen(rows[i].begins)) != 0 ||
            strcmp(text + used - strlen(rows[i].ends), rows[i].ends) != 0)
            fail_msg("%s", text);
    }
}

static void test_auth(void **state)
{
    (void)state;
    struct ipc_secret_arena *arena = NULL;
    struct ipc_error error = {{0}};
    struct eng_auth auth;
    char text[4096];
    assert_int_equal(ipc_secret_arena_create(16384, &arena, &error), IPC_OK);
    static const size_t lengths[] = {1, 64, 1100, 2000};
    for (size_t i = 0; i < LS_COUNT_OF(lengths); i++) {
        char value[2100], wanted[2200];
        int bytes = snprintf(value, sizeof(value), "token %0*d", (int)lengths[i], 7);
        (void)snprintf(wanted, sizeof(wanted), "authorization!: %s\n", value);
        assert_int_equal(
            eng_blocks_auth(&plain, (const uint8_t *)value, (size_t)bytes, arena, &auth), IPC_OK);
        assert_true(ipc_secret_holds(auth.bytes, auth.count));
        assert_true(ipc_secret_holds(auth.text, auth.text_count));
        (void)snprintf(text, sizeof(text), "authorization: %s\r\n", value);
        assert_int_equal(auth.text_count, strlen(text));
        assert_memory_equal(auth.text, text, auth.text_count);
        struct eng_h2_part part = {auth.bytes, auth.count, auth.list_bytes};
        inflate(&part, 1, text, sizeof(text));
        assert_string_equal(text, wanted);
    }
    static const char *const refused[] = {"token a\r\nx: y", "token a\n", "token a "};
    for (size_t i = 0; i < LS_COUNT_OF(refused); i++)
        assert_int_equal(
            eng_blocks_auth(&plain, (const uint8_t *)refused[i], strlen(refused[i]), arena, &auth),
            IPC_BAD_INPUT);
    ipc_secret_arena_destroy(arena);
}

static void test_refusals(void **state)
{
    (void)state;
    static struct eng_broker_terms terms;
    struct ipc_row_broker row = broker_row();
    struct ipc_error error = {{0}};
    struct adp_dialect other = plain;
    other.requests[ADP_REQUEST_PLACE].on_own_lane = true;
    assert_int_equal(eng_blocks_broker(&row, &other, &terms, &error), IPC_REFUSED);
    assert_non_null(strstr(error.text, "test"));
    strcpy(row.base_path, "/a\r\nx: y");
    assert_int_equal(eng_blocks_broker(&row, &plain, &terms, &error), IPC_REFUSED);
    assert_non_null(strstr(error.text, "test"));
    row = broker_row();
    other = plain;
    static char longest[200];
    memset(longest, 'a', sizeof(longest) - 1);
    other.requests[ADP_REQUEST_PLACE].path = longest;
    assert_int_equal(eng_blocks_broker(&row, &other, &terms, &error), IPC_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_path_hole),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
