/* What replies prove. Everything that is not clearly a listed answer is UNKNOWN. */
#include "adapters/broker/dialect.h"
#include "tests/unit/adapters/test_data.h"

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define PLACE        IPC_ACTION_PLACE
#define MODIFY       IPC_ACTION_MODIFY
#define CANCEL       IPC_ACTION_CANCEL

#define ACKED        IPC_OUTCOME_ACKED
#define REJECTED     IPC_OUTCOME_REJECTED
#define AUTH         IPC_OUTCOME_AUTH
#define LIMITED      IPC_OUTCOME_LIMITED
#define UNKNOWN      IPC_OUTCOME_UNKNOWN

#define OK_LEG(leg)  "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[" leg "]}"
#define NOT_OK(text) "{\"status\":\"Not_ok\",\"message\":\"" text "\"}"
#define GOOD_LEG     "{\"requestTime\":\"26-May-2025 11:42:10\",\"brokerOrderId\":\"250526000002697\"}"

static const struct {
    enum ipc_action action;
    uint32_t http_status;
    const char *body;
    enum ipc_outcome_class outcome;
    const char *code;
} replies[] = {
    /* accepted */
    {PLACE, 200, OK_LEG(GOOD_LEG), ACKED, ""},
    {MODIFY, 200, OK_LEG(GOOD_LEG), ACKED, ""},
    {CANCEL, 200, OK_LEG(GOOD_LEG), ACKED, ""},
    {PLACE, 200,
        OK_LEG("{\"status\":\"Success\",\"message\":\"Success\",\"brokerOrderId\":"
               "\"240919000000041\"}"),
        ACKED, ""},
    {PLACE, 200, OK_LEG("{\"brokerOrderId\":250526000002697}"), ACKED, ""},
    {PLACE, 200, "{\"stat\":\"Ok\",\"result\":[" GOOD_LEG "]}", ACKED, ""},

    /* the outer Ok does not mean that the leg was accepted */
    {PLACE, 200, OK_LEG("{\"status\":\"EC947\",\"message\":\"'instrumentId' does not exist.\"}"),
        REJECTED, "EC947"},
    {PLACE, 200, OK_LEG("{\"status\":\"EC954\",\"message\":\"x\",\"brokerOrderId\":\"\"}"),
        REJECTED, "EC954"},
    {PLACE, 200, OK_LEG("{\"status\":\"Not_ok\",\"message\":\"EC958\"}"), REJECTED, "EC958"},
    {PLACE, 200, OK_LEG("{\"status\":\"EC087\",\"message\":\"Session Expired\"}"), AUTH, "EC087"},
    {PLACE, 200, OK_LEG("{\"status\":\"EC912\",\"message\":\"x\"}"), UNKNOWN, "EC912"},
    {PLACE, 200, OK_LEG("{\"status\":\"EC947\",\"brokerOrderId\":\"250526000002697\"}"), UNKNOWN,
        "EC947"}, /* refused and numbered */
    {PLACE, 200, OK_LEG("{\"status\":\"Maybe\",\"brokerOrderId\":\"250526000002697\"}"), UNKNOWN,
        ""},
    {PLACE, 200, OK_LEG("{\"brokerOrderId\":\"\"}"), UNKNOWN, ""},
    {PLACE, 200, OK_LEG("{\"brokerOrderId\":null}"), UNKNOWN, ""},
    {PLACE, 200, OK_LEG("{\"brokerOrderId\":\"--\"}"), UNKNOWN, ""},
    {PLACE, 200, OK_LEG("{\"brokerOrderId\":\"0\"}"), UNKNOWN, ""},
    {PLACE, 200, OK_LEG("{\"brokerOrderId\":\"2505260000 2697\"}"), UNKNOWN, ""},
    {PLACE, 200, OK_LEG("{\"brokerOrderId\":\"25052600000269725052600000269712\"}"), UNKNOWN, ""},
    {PLACE, 200, OK_LEG("{}"), UNKNOWN, ""},
    {PLACE, 200, OK_LEG(""), UNKNOWN, ""},
    {PLACE, 200, OK_LEG("\"250526000002697\""), UNKNOWN, ""},
    {PLACE, 200, OK_LEG(GOOD_LEG "," GOOD_LEG), UNKNOWN, ""}, /* one order was sent */
    {PLACE, 200, "{\"status\":\"Ok\",\"message\":\"Success\"}", UNKNOWN, ""},
    {PLACE, 200, "{\"status\":\"Ok\",\"message\":\"EC912\",\"result\":[" GOOD_LEG "]}", UNKNOWN,
        "EC912"},
    {PLACE, 200, "{\"status\":\"Ok\",\"result\":" GOOD_LEG "}", UNKNOWN, ""},

    /* every spelling of an error */
    {PLACE, 200, NOT_OK("EC957"), REJECTED, "EC957"},
    {PLACE, 200, NOT_OK("ec957"), REJECTED, "EC957"},
    {PLACE, 200, NOT_OK("EC957: Invalid 'price'."), REJECTED, "EC957"},
    {PLACE, 200, "{\"status\":\"Error\",\"message\":\"EC948\"}", REJECTED, "EC948"},
    {PLACE, 200, "{\"status\":\"EC990\",\"message\":\"'quantity' should be a multiple\"}", REJECTED,
        "EC990"},
    {PLACE, 200, "{\"status\":\"NOT_OK\",\"message\":\"EC088\",\"result\":[]}", REJECTED, "EC088"},
    {PLACE, 200, "{\"stat\":\"Not_Ok\",\"emsg\":\"EC949\"}", REJECTED, "EC949"},
    {PLACE, 200, "{\"stat\":\"Not_ok\",\"Emsg\":\"EC082\"}", REJECTED, "EC082"},
    {PLACE, 200, "[{\"stat\":\"Not_Ok\",\"Emsg\":\"Session Expired\"}]", AUTH, ""},
    {PLACE, 200, "{\"stat\":\"Not_ok\",\"emsg\":\"session expired\"}", AUTH, ""},
    {PLACE, 200, NOT_OK("EC087"), AUTH, "EC087"},
    {CANCEL, 200, "{\"status\":\"EC087\",\"message\":\"Session Expired\"}", AUTH, "EC087"},
    {MODIFY, 200, NOT_OK("EC086"), AUTH, "EC086"},
    {PLACE, 200,
        "{\"stat\":\"Not_Ok\",\"emsg\":\"IP restriction: You are not allowed to place the order\"}",
        AUTH, ""},
    {PLACE, 400, NOT_OK("EC957"), REJECTED, "EC957"},
    {PLACE, 404, NOT_OK("EC957"), REJECTED, "EC957"},
    {PLACE, 409, NOT_OK("EC957"), REJECTED, "EC957"},
    {PLACE, 422, NOT_OK("EC957"), REJECTED, "EC957"},

    /* generic errors leave the outcome open */
    {PLACE, 200, NOT_OK("EC912"), UNKNOWN, "EC912"},
    {PLACE, 200, NOT_OK("EC003"), UNKNOWN, "EC003"},
    {PLACE, 200, NOT_OK("EC913"), UNKNOWN, "EC913"},
    {PLACE, 400, NOT_OK("EC912"), UNKNOWN, "EC912"},
    {PLACE, 200, NOT_OK("EC123"), UNKNOWN, "EC123"},
    {PLACE, 200, NOT_OK("EC9570"), UNKNOWN, "EC9570"},
    {PLACE, 200, NOT_OK("EC95"), UNKNOWN, ""},
    {PLACE, 200, NOT_OK("EC957x"), UNKNOWN, ""},
    {PLACE, 200, NOT_OK("Something went wrong"), UNKNOWN, ""},
    {PLACE, 400, NOT_OK("Something went wrong"), UNKNOWN, ""},
    {PLACE, 200, NOT_OK(""), UNKNOWN, ""},
    {PLACE, 200, "{\"status\":\"Not_ok\"}", UNKNOWN, ""},
    {PLACE, 200, "{\"status\":\"Not_ok\",\"message\":912}", UNKNOWN, ""},
    {PLACE, 200,
        "{\"status\":\"Not_ok\",\"message\":\"EC957\",\"result\":[{\"brokerOrderId\":"
        "\"250526000002697\"}]}",
        UNKNOWN, "EC957"}, /* a refusal with an order in it */
    {PLACE, 200,
        "{\"status\":\"Not_ok\",\"message\":\"EC957\",\"brokerOrderId\":\"250526000002697\"}",
        UNKNOWN, "EC957"},

    /* a code refuses only what it can refuse */
    {MODIFY, 200, NOT_OK("EC992"), REJECTED, "EC992"},
    {MODIFY, 200, NOT_OK("EC993"), REJECTED, "EC993"},
    {MODIFY, 200, NOT_OK("EC994"), REJECTED, "EC994"},
    {MODIFY, 200, NOT_OK("EC999"), REJECTED, "EC999"},
    {CANCEL, 200, NOT_OK("EC997"), REJECTED, "EC997"},
    {PLACE, 200, NOT_OK("EC997"), UNKNOWN, "EC997"},
    {PLACE, 200, NOT_OK("EC999"), UNKNOWN, "EC999"},
    {CANCEL, 200, NOT_OK("EC957"), UNKNOWN, "EC957"},
    {CANCEL, 200, NOT_OK("EC916"), UNKNOWN, "EC916"},

    /* HTTP statuses */
    {PLACE, 401, NOT_OK("Unauthorized"), AUTH, ""},
    {PLACE, 403, NOT_OK("Forbidden"), AUTH, ""},
    {PLACE, 401, NOT_OK("EC087"), AUTH, "EC087"},
    {PLACE, 401, NOT_OK("EC912"), UNKNOWN, "EC912"},
    {PLACE, 401, OK_LEG(GOOD_LEG), UNKNOWN, ""},
    {PLACE, 401, "{\"message\":\"Unauthorized\"}", UNKNOWN, ""}, /* a gateway's, not the broker's */
    {PLACE, 401, "", UNKNOWN, ""},
    {PLACE, 403, "<html><title>Access denied</title></html>", UNKNOWN, ""},
    {PLACE, 429, NOT_OK("Too many requests"), LIMITED, ""},
    {PLACE, 429, "{\"stat\":\"Not_Ok\",\"emsg\":\"limit\"}", LIMITED, ""},
    {PLACE, 429, "<html>error 1015</html>", UNKNOWN, ""},
    {PLACE, 429, "{\"error\":\"rate limited\"}", UNKNOWN, ""},
    {PLACE, 429, "", UNKNOWN, ""},
    {PLACE, 429, OK_LEG(GOOD_LEG), UNKNOWN, ""},
    {PLACE, 100, OK_LEG(GOOD_LEG), UNKNOWN, ""},
    {PLACE, 201, OK_LEG(GOOD_LEG), UNKNOWN, ""},
    {PLACE, 207, OK_LEG(GOOD_LEG), UNKNOWN, ""},
    {PLACE, 302, NOT_OK("EC957"), UNKNOWN, "EC957"},
    {PLACE, 400, OK_LEG(GOOD_LEG), UNKNOWN, ""},
    {PLACE, 405, NOT_OK("EC957"), UNKNOWN, "EC957"},
    {PLACE, 408, NOT_OK("EC957"), UNKNOWN, "EC957"},
    {PLACE, 500, NOT_OK("EC957"), UNKNOWN, "EC957"},
    {PLACE, 502, "<html>Bad Gateway</html>", UNKNOWN, ""},
    {PLACE, 503, NOT_OK("EC087"), UNKNOWN, "EC087"},
    {PLACE, 504, "", UNKNOWN, ""},
    {PLACE, 0, OK_LEG(GOOD_LEG), UNKNOWN, ""},

    /* what is no reply of this broker */
    {PLACE, 200, "", UNKNOWN, ""},
    {PLACE, 200, " ", UNKNOWN, ""},
    {PLACE, 200, "OK", UNKNOWN, ""},
    {PLACE, 200, "null", UNKNOWN, ""},
    {PLACE, 200, "{}", UNKNOWN, ""},
    {PLACE, 200, "[]", UNKNOWN, ""},
    {PLACE, 200, "[[]]", UNKNOWN, ""},
    {PLACE, 200, "<!doctype html><html></html>", UNKNOWN, ""},
    {PLACE, 200, "{\"status\":\"Ok\",\"result\":[" GOOD_LEG "]", UNKNOWN, ""},
    {PLACE, 200, OK_LEG(GOOD_LEG) "x", UNKNOWN, ""},
    {PLACE, 200, "{\"status\":\"Ok\",\"status\":\"Ok\",\"result\":[" GOOD_LEG "]}", UNKNOWN, ""},
    {PLACE, 200, "{\"status\":true,\"result\":[" GOOD_LEG "]}", UNKNOWN, ""},
    {PLACE, 200, "{\"status\":\"Okay\",\"result\":[" GOOD_LEG "]}", UNKNOWN, ""},
    {PLACE, 200, "[{\"stat\":\"Ok\",\"NOrdNo\":\"220909000171482\"}]", UNKNOWN, ""},
};

static void decode(
    enum ipc_action action, uint32_t http_status, struct adp_span body, struct ipc_outcome *out)
{
    memset(out, 0xEE, sizeof(*out));
    adp_dialect_find("alice-blue")->decode_reply(action, http_status, body, out);
}

static void replies_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(replies); i++) {
        struct ipc_outcome out;
        decode(replies[i].action, replies[i].http_status, test_span(replies[i].body), &out);
        if (out.outcome != replies[i].outcome || strcmp(out.code, replies[i].code) != 0)
            fail_msg("row %zu: %s %u %s gave %s code '%s'", i, ipc_action_name(replies[i].action),
                replies[i].http_status, replies[i].body,
                ipc_outcome_class_name((enum ipc_outcome_class)out.outcome), out.code);
        assert_int_equal(out.http_status, replies[i].http_status);
        assert_true(out.evidence == IPC_EVIDENCE_REPLY || out.evidence == IPC_EVIDENCE_MALFORMED);
        if (out.outcome != UNKNOWN)
            assert_int_equal(out.evidence, IPC_EVIDENCE_REPLY);
        if (out.outcome == ACKED)
            assert_true(strlen(out.broker_order_id) >= 15);
    }
}

static void samples(void **state)
{
    static const struct {
        enum ipc_action action;
        const char *file, *order_id;
        enum ipc_outcome_class outcome;
    } rows[] = {
        {PLACE, "alice-blue/a3-place-response.json", "250526000002697", ACKED},
        {MODIFY, "alice-blue/a3-modify-response.json", "250526000002881", ACKED},
        {CANCEL, "alice-blue/a3-cancel-response.json", "250526000002881", ACKED},
        {PLACE, "alice-blue/a3-session-error.json", "", UNKNOWN}, /* not an answer to an order */
        {PLACE, "alice-blue/a3-orderbook-response.json", "25071400112229", ACKED},
        {PLACE, "alice-blue/a3-limits-response.json", "", UNKNOWN},
        {PLACE, "alice-blue/v1-place-response.json", "", UNKNOWN},
        {PLACE, "iifl-capital/place-multi-partial-failure.json", "", UNKNOWN}, /* two legs */
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct ipc_outcome out;
        const struct adp_span body = test_data_read(rows[i].file);
        decode(rows[i].action, 200, body, &out);
        if (out.outcome != rows[i].outcome)
            fail_msg("%s", rows[i].file);
        assert_string_equal(out.broker_order_id, rows[i].order_id);
        free((void *)(uintptr_t)body.bytes);
    }
}

static void the_text_is_kept_printable(void **state)
{
    struct ipc_outcome out;
    (void)state;
    decode(PLACE, 200, test_span(NOT_OK("RED:Margin\\nShortfall \\u20b9 5")), &out);
    assert_string_equal(out.text, "RED:Margin Shortfall ? 5");
    decode(PLACE, 200,
        test_span(NOT_OK("EC901 0123456789012345678901234567890123456789012345678901234567890")),
        &out);
    assert_int_equal(strlen(out.text), sizeof(out.text) - 1);
    assert_string_equal(out.code, "EC901");
}

/* A reply cut anywhere, or with any one byte changed, is never taken for a refusal of an order that
 * was accepted. */
static void damage_never_refuses(void **state)
{
    const struct adp_span whole = test_data_read("alice-blue/a3-place-response.json");
    uint8_t *copy = malloc(whole.count);
    (void)state;
    for (size_t count = 0; count + 2 < whole.count; count++) {
        struct ipc_outcome out;
        decode(PLACE, 200, (struct adp_span){whole.bytes, count}, &out);
        assert_int_equal(out.outcome, UNKNOWN);
    }
    for (size_t at = 0; at < whole.count; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct ipc_outcome out;
            memcpy(copy, whole.bytes, whole.count);
            copy[at] ^= (uint8_t)(1u << bit);
            decode(PLACE, 200, (struct adp_span){copy, whole.count}, &out);
            assert_true(out.outcome == UNKNOWN || out.outcome == ACKED);
        }
    }
    free(copy);
    free((void *)(uintptr_t)whole.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_table),
        cmocka_unit_test(samples),
        cmocka_unit_test(the_text_is_kept_printable),
        cmocka_unit_test(damage_never_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
