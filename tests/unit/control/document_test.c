/* document_test: what is not exact JSON is refused, and the sentence names line and field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/document.h"

static char path[64];

static struct ctl_document *open_text(const char *text, struct ipc_error *error)
{
    strcpy(path, "/tmp/lockstep-document-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    error->text[0] = '\0';
    struct ctl_document *document = ctl_document_open(path, 1 << 20, error);
    unlink(path);
    return document;
}

static void refuses_what_is_not_json(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", ":1:"},
        {"[]", "one JSON object"},
        {"{\"a\":1,}", ":1:"},
        {"{\n\"a\":1,\n\"a\":2}", ":3: duplicate"},
        {"{\n\"a\": NaN}", ":2:"},
        {"{\"a\":1} x", ":1:"},
        {"{\"a\":01}", ":1:"},
        {"{'a':1}", ":1:"},
        {"{\"a\":\"\\ud800\"}", ":1:"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct ipc_error error;
        struct ctl_document *document = open_text(cases[i].text, &error);
        if (document != NULL || strstr(error.text, cases[i].says) == NULL)
            fail_msg("case %zu '%s': %s", i, cases[i].text, error.text);
    }
}

static void numbers_are_exact_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *number;
        enum ipc_rc rc;
        int64_t e8;
    } cases[] = {
        {"0.29", IPC_OK, 29000000},
        {"\"0.29\"", IPC_OK, 29000000},
        {"-1", IPC_BAD_INPUT, 0}, /* below the range asked for */
        {"1000", IPC_OK, 1000 * LS_E8},
        {"1001", IPC_BAD_INPUT, 0},
        {"0.000000001", IPC_BAD_INPUT, 0},
        {"1e3", IPC_BAD_INPUT, 0},
        {"true", IPC_BAD_INPUT, 0},
        {"null", IPC_NOT_FOUND, 0},
        {"[1]", IPC_BAD_INPUT, 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        char text[80];
        struct ipc_error error;
        int64_t value = 0;
        snprintf(text, sizeof(text), "{\n \"outer\": {\"ratio\": %s}}", cases[i].number);
        struct ctl_document *document = open_text(text, &error);
        assert_non_null(document);
        uint32_t outer = ctl_document_member(document, 0, "outer");
        enum ipc_rc rc = ctl_document_e8(document, outer, "ratio", 0, 1000 * LS_E8, &value, &error);
        if (rc != cases[i].rc || (rc == IPC_OK && value != cases[i].e8))
            fail_msg("%s: %d, %lld", cases[i].number, rc, (long long)value);
        if (rc == IPC_BAD_INPUT && strstr(error.text, ":2: outer.ratio: must") == NULL)
            fail_msg("%s: %s", cases[i].number, error.text);
        ctl_document_close(document);
    }
}

static void walks_arrays_and_names_elements(void **state)
{
    (void)state;
    struct ipc_error error;
    struct ctl_document *document = open_text(
        "{\"list\": [ {\"a\":[1,2,{\"x\":1}]},\n {\"b\":2}, 3 ], \"after\": true}", &error);
    assert_non_null(document);
    uint32_t list = ctl_document_member(document, 0, "list");
    assert_int_equal(ctl_document_count(document, list), 3);
    uint32_t first = ctl_document_first(document, list);
    uint32_t second = ctl_document_next(document, first);
    uint32_t third = ctl_document_next(document, second);
    assert_int_equal(ctl_document_next(document, third), CTL_NONE);
    assert_int_equal(ctl_document_line(document, second), 2);
    ctl_document_complain(document, ctl_document_member(document, second, "b"), &error, "is odd");
    assert_non_null(strstr(error.text, ":2: list[1].b: is odd"));
    static const char *const keys[] = {"list", NULL};
    assert_int_equal(ctl_document_only(document, 0, keys, &error), IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, "after"));
    bool flag = false;
    assert_int_equal(ctl_document_bool(document, 0, "after", &flag, &error), IPC_OK);
    assert_true(flag);
    ctl_document_close(document);
}

static void strings_are_unescaped_and_bounded(void **state)
{
    (void)state;
    struct ipc_error error;
    char out[8];
    struct ctl_document *document = open_text(
        "{\"a\":\"x\\n\\u0041\\u00e9\", \"long\":\"12345678\", \"nul\":\"a\\u0000b\"}", &error);
    /* jansson refuses \u0000 outright: then there is no document at all. */
    assert_null(document);
    document = open_text("{\"a\":\"x\\n\\u0041\\u00e9\", \"long\":\"12345678\"}", &error);
    assert_non_null(document);
    assert_int_equal(ctl_document_string(document, 0, "a", out, sizeof(out), &error), IPC_OK);
    assert_string_equal(out, "x\nA\xc3\xa9");
    assert_int_equal(
        ctl_document_string(document, 0, "long", out, sizeof(out), &error), IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, "at most 7 bytes"));
    ctl_document_close(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(numbers_are_exact_or_refused),
        cmocka_unit_test(walks_arrays_and_names_elements),
        cmocka_unit_test(strings_are_unescaped_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
