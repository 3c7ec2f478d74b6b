/* The strict JSON scan: tables of what is refused, exact numbers, and a random comparison with
 * jansson as the second opinion. */
#include "adapters/json.h"
#include "tests/unit/adapters/test_data.h"

#include "ipc/prng.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static const struct {
    const char *text;
    bool is_good;
} grammar[] = {
    {"{}", true},
    {"[]", true},
    {" \r\n\t[ ] ", true},
    {"{\"a\":1}", true},
    {"{\"a\":-0.5e+10,\"b\":[true,false,null,\"\"]}", true},
    {"[\"\\u20b9 \\ud83d\\ude00 \\\\ \\/ \\b\\f\\n\\r\\t\"]", true},
    {"[0]", true},
    {"[-0]", true},
    {"[1E5]", true},
    {"[\"caf\xe9\"]", true}, /* Latin-1 in a text is the broker's business */
    {"", false},
    {" ", false},
    {"1", false}, /* a document is an object or an array */
    {"\"a\"", false},
    {"null", false},
    {"{", false},
    {"}", false},
    {"[", false},
    {"[1", false},
    {"[1,]", false},
    {"[,1]", false},
    {"[1 2]", false},
    {"{\"a\"}", false},
    {"{\"a\":}", false},
    {"{\"a\":1,}", false},
    {"{\"a\" 1}", false},
    {"{a:1}", false},
    {"{'a':1}", false},
    {"{1:1}", false},
    {"{\"a\":1}x", false},
    {"{\"a\":1}{}", false},
    {"[] []", false},
    {"[1]//x", false},
    {"[/* */1]", false},
    {"[NaN]", false},
    {"[nan]", false},
    {"[Infinity]", false},
    {"[-Infinity]", false},
    {"[-]", false},
    {"[+1]", false},
    {"[01]", false},
    {"[-01]", false},
    {"[1.]", false},
    {"[.5]", false},
    {"[1e]", false},
    {"[1e+]", false},
    {"[0x10]", false},
    {"[1,120.15,]", false},
    {"[tru]", false},
    {"[True]", false},
    {"[nulll]", false},
    {"[\"a]", false},
    {"[\"\\x\"]", false},
    {"[\"\\u12g4\"]", false},
    {"[\"\\ud800\"]", false},
    {"[\"\\udc00\"]", false},
    {"[\"\\ud800\\u0041\"]", false},
    {"[\"a\nb\"]", false},
    {"[\"a\tb\"]", false},
    {"{\"\\u0061\":1}", false}, /* an escape in a key could hide a second \"a\" */
    {"{\"a\":1]", false},
    {"[1}", false},
    {"<html></html>", false},
    {"\xef\xbb\xbf{}", false},
};

static void grammar_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(grammar); i++) {
        struct adp_json json;
        const enum adp_rc want = grammar[i].is_good ? ADP_OK : ADP_MALFORMED;
        if (adp_json_check(test_span(grammar[i].text)) != want ||
            adp_json_parse(&json, test_span(grammar[i].text)) != want)
            fail_msg("row %zu: %s", i, grammar[i].text);
    }
}

static void a_nul_byte_is_refused(void **state)
{
    (void)state;
    assert_int_equal(
        adp_json_check((struct adp_span){(const uint8_t *)"[\"a\0b\"]", 7}), ADP_MALFORMED);
    assert_int_equal(adp_json_check((struct adp_span){(const uint8_t *)"[1]\0", 4}), ADP_MALFORMED);
    assert_int_equal(
        adp_json_check((struct adp_span){(const uint8_t *)"[\"\\\0\"]", 6}), ADP_MALFORMED);
}

static void depth_is_bounded(void **state)
{
    char text[2 * ADP_JSON_DEPTH_MAX + 8];
    (void)state;
    for (size_t depth = 1; depth <= ADP_JSON_DEPTH_MAX + 2; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        assert_int_equal(
            adp_json_check(test_span(text)), depth <= ADP_JSON_DEPTH_MAX ? ADP_OK : ADP_MALFORMED);
    }
}

static void equal_keys_are_refused(void **state)
{
    struct adp_json json;
    struct adp_span value;
    (void)state;
    assert_int_equal(adp_json_parse(&json, test_span("{\"a\":1,\"a\":1}")), ADP_MALFORMED);
    assert_int_equal(adp_json_parse(&json, test_span("[{\"x\":{\"b\":[1,{}],\"c\":2,\"b\":3}}]")),
        ADP_MALFORMED);
    assert_int_equal(adp_json_parse(&json, test_span("{\"a\":{\"a\":1},\"A\":2}")), ADP_OK);
    assert_int_equal(
        adp_json_member(test_span("{\"a\":1,\"b\":2,\"a\":3}"), "a", &value), ADP_MALFORMED);
    assert_int_equal(adp_json_member(test_span("{\"a\":1,\"b\":2,\"a\":3}"), "b", &value), ADP_OK);
}

static void too_many_values_are_refused(void **state)
{
    struct adp_json json;
    char text[2 * ADP_JSON_TOKENS_MAX + 8];
    (void)state;
    for (size_t values = ADP_JSON_TOKENS_MAX - 2; values <= ADP_JSON_TOKENS_MAX; values++) {
        size_t at = 0;
        text[at++] = '[';
        for (size_t i = 0; i < values; i++) {
            text[at++] = '7';
            text[at++] = i + 1 == values ? ']' : ',';
        }
        text[at] = '\0';
        assert_int_equal(adp_json_parse(&json, test_span(text)),
            values + 1 <= ADP_JSON_TOKENS_MAX ? ADP_OK : ADP_TOO_LONG);
    }
}

static void members_and_elements(void **state)
{
    struct adp_json json;
    char text[8];
    (void)state;
    assert_int_equal(adp_json_parse(&json,
                         test_span("{\"a\":{\"x\":[1,[2,3],{\"y\":\"z\"}]},\"b\":\" \\u0041\\u20b9"
                                   "q\\n\",\"c\":-1.50}")),
        ADP_OK);
    const uint32_t x = adp_json_get(&json, adp_json_get(&json, 0, "a"), "x");
    assert_true(adp_json_is(&json, x, ADP_JSON_ARRAY));
    assert_int_equal(json.tokens[x].size, 3);
    const uint32_t third = adp_json_element(&json, x, 2);
    assert_true(adp_span_is(adp_json_span(&json, adp_json_get(&json, third, "y")), "z"));
    assert_int_equal(adp_json_element(&json, x, 3), ADP_JSON_NONE);
    assert_int_equal(adp_json_get(&json, 0, "x"), ADP_JSON_NONE);
    assert_int_equal(adp_json_get(&json, x, "a"), ADP_JSON_NONE);
    assert_int_equal(adp_json_get(&json, ADP_JSON_NONE, "a"), ADP_JSON_NONE);
    assert_int_equal(adp_json_text(&json, adp_json_get(&json, 0, "b"), text, sizeof(text)), 4);
    assert_string_equal(text, "A?q ");
    assert_int_equal(adp_json_text(&json, adp_json_get(&json, 0, "b"), text, 3), 2);
    assert_string_equal(text, "A?");
    assert_int_equal(adp_json_text(&json, 0, text, sizeof(text)), 0);
    assert_int_equal(adp_json_text(&json, ADP_JSON_NONE, text, sizeof(text)), 0);
}

static void long_arrays_are_walked(void **state)
{
    struct adp_span array = test_span(" [ {\"a\":[1,2]} , \"x,]\" ,3 ] ");
    static const char *const want[] = {"{\"a\":[1,2]}", "\"x,]\"", "3"};
    struct adp_span element;
    size_t at = 0, count = 0;
    enum adp_rc rc;
    (void)state;
    while ((rc = adp_json_next(array, &at, &element)) == ADP_OK)
        assert_true(adp_span_is(element, want[count++]));
    assert_int_equal(rc, ADP_NOTHING);
    assert_int_equal(count, 3);
    at = 0;
    assert_int_equal(adp_json_next(test_span("[]"), &at, &element), ADP_NOTHING);
    assert_int_equal(adp_json_next(test_span("{}"), &at, &element), ADP_MALFORMED);
}

static const struct {
    const char *text; /* in an array */
    enum adp_json_exactness exactness;
    enum adp_rc rc;
    int64_t value_e8;
} numbers[] = {
    {"1120.15", ADP_JSON_EXACT, ADP_OK, 112015000000},
    {"\"1120.15\"", ADP_JSON_EXACT, ADP_OK, 112015000000},
    {"\" 5 \"", ADP_JSON_EXACT, ADP_OK, 500000000},
    {"0", ADP_JSON_EXACT, ADP_OK, 0},
    {"-0", ADP_JSON_EXACT, ADP_OK, 0},
    {"-0.00000001", ADP_JSON_EXACT, ADP_OK, -1},
    {"0.000000001", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"0.000000001", ADP_JSON_ROUNDED, ADP_OK, 0},
    {"0.000000005", ADP_JSON_ROUNDED, ADP_OK, 1},
    {"-0.000000005", ADP_JSON_ROUNDED, ADP_OK, -1},
    {"0.0000000000000000000000000000000000000000009", ADP_JSON_ROUNDED, ADP_OK, 0},
    {"1120.1499999999999", ADP_JSON_ROUNDED, ADP_OK, 112015000000},
    {"1120.1500000000001", ADP_JSON_ROUNDED, ADP_OK, 112015000000},
    {"1.0E7", ADP_JSON_EXACT, ADP_OK, 1000000000000000},
    {"25e-1", ADP_JSON_EXACT, ADP_OK, 250000000},
    {"1e-8", ADP_JSON_EXACT, ADP_OK, 1},
    {"1e-9", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"0e999999999999", ADP_JSON_EXACT, ADP_OK, 0},
    {"1e999999999999", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"1e-999999999999", ADP_JSON_ROUNDED, ADP_OK, 0},
    {"92233720368.54775807", ADP_JSON_EXACT, ADP_OK, INT64_MAX},
    {"92233720368.54775808", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"-92233720368.54775807", ADP_JSON_EXACT, ADP_OK, -INT64_MAX},
    {"92233720368.547758075", ADP_JSON_ROUNDED, ADP_MALFORMED, 0},
    {"99999999999999999999999999999", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"\"\"", ADP_JSON_EXACT, ADP_NOTHING, 0},
    {"\"--\"", ADP_JSON_EXACT, ADP_NOTHING, 0},
    {"null", ADP_JSON_EXACT, ADP_NOTHING, 0},
    {"true", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"\"NaN\"", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"\"1,120.15\"", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"\"01\"", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"\"+1\"", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"\"1.\"", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"\"1 2\"", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"\"0x1\"", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"\"00.00\"", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"[]", ADP_JSON_EXACT, ADP_MALFORMED, 0},
    {"{}", ADP_JSON_EXACT, ADP_MALFORMED, 0},
};

static void numbers_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(numbers); i++) {
        struct adp_json json;
        char text[128];
        int64_t value_e8 = 77;
        snprintf(text, sizeof(text), "[%s]", numbers[i].text);
        assert_int_equal(adp_json_parse(&json, test_span(text)), ADP_OK);
        if (adp_json_e8(&json, 1, numbers[i].exactness, &value_e8) != numbers[i].rc ||
            (numbers[i].rc != ADP_MALFORMED && value_e8 != numbers[i].value_e8))
            fail_msg("row %zu: %s gave %lld", i, numbers[i].text, (long long)value_e8);
    }
}

/* Random values, printed with random exponents, come back exactly. */
static void numbers_come_back(void **state)
{
    const uint64_t seed = 20261;
    struct ipc_prng prng;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ipc_prng_seed(&prng, seed);
    for (int i = 0; i < 20000; i++) {
        struct adp_json json;
        char text[96];
        int64_t got = 0;
        const int64_t want = (int64_t)(ipc_prng_next(&prng) >> (1 + ipc_prng_below(&prng, 62))) | 1;
        const int shift = (int)ipc_prng_below(&prng, 30);
        snprintf(text, sizeof(text), "[%s%llde%d]", i % 2 ? "" : "-", (long long)want, -8);
        if (shift > 8) /* the same with zeros behind and a smaller exponent */
            snprintf(text, sizeof(text), "[%s%lld%0*de%d]", i % 2 ? "" : "-", (long long)want,
                shift - 8, 0, -shift);
        assert_int_equal(adp_json_parse(&json, test_span(text)), ADP_OK);
        assert_int_equal(adp_json_e8(&json, 1, ADP_JSON_EXACT, &got), ADP_OK);
        if (got != (i % 2 ? want : -want))
            fail_msg("seed %llu, %s gave %lld", (unsigned long long)seed, text, (long long)got);
    }
}

static bool jansson_takes(struct adp_span text)
{
    json_error_t error;
    json_t *root = json_loadb((const char *)text.bytes, text.count,
        JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES, &error);
    const bool is_good = root != NULL;
    json_decref(root);
    return is_good;
}

/* Mutated samples: whoever accepts, the other accepts too. Mutations insert no escapes and no bytes
 * above 0x7F, where the two differ on purpose. */
static void agrees_with_jansson(void **state)
{
    static const char *const names[] = {"alice-blue/a3-place-response.json",
        "alice-blue/a3-limits-response.json", "alice-blue/a3-place-request.json",
        "alice-blue/order-ws-om-rejected.json"};
    static const char bytes[] = "{}[]:,\"0123456789.eE+-truefalsn \n";
    const uint64_t seed = 20262;
    struct ipc_prng prng;
    unsigned accepted = 0;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ipc_prng_seed(&prng, seed);
    for (size_t n = 0; n < LS_COUNT_OF(names); n++) {
        const struct adp_span sample = test_data_read(names[n]);
        uint8_t *copy = malloc(sample.count + 8);
        for (int i = 0; i < 8000; i++) {
            struct adp_json json;
            size_t count = sample.count;
            memcpy(copy, sample.bytes, count);
            for (uint64_t m = ipc_prng_below(&prng, 3); m > 0; m--) {
                const size_t at = ipc_prng_below(&prng, count);
                const uint8_t c = (uint8_t)bytes[ipc_prng_below(&prng, sizeof(bytes) - 1)];
                switch (ipc_prng_below(&prng, 3)) {
                case 0:
                    copy[at] = c;
                    break;
                case 1:
                    memmove(copy + at + 1, copy + at, count - at);
                    copy[at] = c;
                    count++;
                    break;
                default:
                    memmove(copy + at, copy + at + 1, count - at - 1);
                    count--;
                    break;
                }
            }
            const struct adp_span text = {copy, count};
            const bool ours = adp_json_parse(&json, text) == ADP_OK;
            if (ours != jansson_takes(text))
                fail_msg("seed %llu sample %s round %d: ours %d: %.*s", (unsigned long long)seed,
                    names[n], i, ours, (int)count, (const char *)copy);
            accepted += ours;
        }
        free(copy);
        free((void *)(uintptr_t)sample.bytes);
    }
    assert_true(accepted > 8000 && accepted < 31000); /* both answers were really tried */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar_table),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(equal_keys_are_refused),
        cmocka_unit_test(too_many_values_are_refused),
        cmocka_unit_test(members_and_elements),
        cmocka_unit_test(long_arrays_are_walked),
        cmocka_unit_test(numbers_table),
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
