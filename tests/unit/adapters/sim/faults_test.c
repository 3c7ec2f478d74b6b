/* Fault rules: what is read, what is refused and how, and when a rule fires. */
#include "adapters/sim/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool parse(const char *text, struct adp_sim_fault *out, char *error, size_t bytes)
{
    json_t *rule = json_loads(text, 0, NULL);
    assert_non_null(rule);
    bool good = adp_sim_fault_parse(rule, out, error, bytes);
    json_decref(rule);
    return good;
}

static void good_rules_are_read(void **state)
{
    static const struct {
        const char *text;
        enum adp_sim_fault_kind kind;
        bool accept;
    } rows[] = {
        {"{\"action\":{\"kind\":\"delay\",\"delay_ms\":5}}", ADP_SIM_FAULT_DELAY, true},
        {"{\"action\":{\"kind\":\"late_accept\",\"delay_ms\":5}}", ADP_SIM_FAULT_LATE_ACCEPT, true},
        {"{\"action\":{\"kind\":\"drop_reply\",\"accept\":false}}", ADP_SIM_FAULT_DROP_REPLY,
            false},
        {"{\"action\":{\"kind\":\"reset\"}}", ADP_SIM_FAULT_RESET, true},
        {"{\"action\":{\"kind\":\"reply\",\"status\":502,\"body\":\"html\"}}", ADP_SIM_FAULT_REPLY,
            false},
        {"{\"action\":{\"kind\":\"reply\",\"status\":200,\"body\":\"garbage\",\"accept\":true}}",
            ADP_SIM_FAULT_REPLY, true},
        {"{\"action\":{\"kind\":\"rst_stream\",\"code\":\"REFUSED_STREAM\"}}",
            ADP_SIM_FAULT_RST_STREAM, true},
        {"{\"action\":{\"kind\":\"goaway\",\"last_stream\":\"before\"}}", ADP_SIM_FAULT_GOAWAY,
            false},
        {"{\"action\":{\"kind\":\"goaway\",\"last_stream\":7}}", ADP_SIM_FAULT_GOAWAY, true},
        {"{\"action\":{\"kind\":\"drip\"}}", ADP_SIM_FAULT_DRIP, true},
        {"{\"match\":{\"path\":\"@now\"},\"action\":{\"kind\":\"settings\",\"header_table_size\":0}"
         "}",
            ADP_SIM_FAULT_SETTINGS, true},
        {"{\"action\":{\"kind\":\"token_expired\"}}", ADP_SIM_FAULT_TOKEN_EXPIRED, false},
        {"{\"match\":{\"account\":\"F1\",\"path\":\"@now\"},\"action\":{\"kind\":\"book_lag\","
         "\"delay_ms\":9}}",
            ADP_SIM_FAULT_BOOK_LAG, true},
        {"{\"match\":{\"path\":\"@connect\"},\"action\":{\"kind\":\"no_ping\"}}",
            ADP_SIM_FAULT_NO_PING, true},
        {"{\"action\":{\"kind\":\"freeze\",\"restore_after_ms\":10}}", ADP_SIM_FAULT_FREEZE, true},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct adp_sim_fault fault;
        char error[256] = "";
        if (!parse(rows[i].text, &fault, error, sizeof(error)))
            fail_msg("%s: %s", rows[i].text, error);
        assert_int_equal(fault.kind, rows[i].kind);
        assert_int_equal(fault.accept, rows[i].accept);
    }
}

static void wrong_rules_name_their_field(void **state)
{
    static const struct {
        const char *text, *named;
    } rows[] = {
        {"[]", "a rule must be an object"},
        {"{}", "rule.action"},
        {"{\"action\":{}}", "action.kind"},
        {"{\"action\":{\"kind\":\"explode\"}}", "action.kind"},
        {"{\"action\":{\"kind\":\"delay\",\"delay_s\":5}}", "action.delay_s"},
        {"{\"action\":{\"kind\":\"delay\",\"delay_ms\":-5}}", "action.delay_ms"},
        {"{\"action\":{\"kind\":\"delay\",\"delay_ms\":\"5\"}}", "action.delay_ms"},
        {"{\"action\":{\"kind\":\"reply\",\"status\":99}}", "action.status"},
        {"{\"action\":{\"kind\":\"reply\",\"body\":\"poem\"}}", "action.body"},
        {"{\"action\":{\"kind\":\"rst_stream\",\"code\":\"OOPS\"}}", "action.code"},
        {"{\"action\":{\"kind\":\"goaway\",\"last_stream\":\"next\"}}", "action.last_stream"},
        {"{\"match\":{\"path\":\"PlaceOrder\"},\"action\":{\"kind\":\"reset\"}}", "match.path"},
        {"{\"match\":{\"nth\":0},\"action\":{\"kind\":\"reset\"}}", "match.nth"},
        {"{\"match\":{\"probability\":1.5},\"action\":{\"kind\":\"reset\"}}", "match.probability"},
        {"{\"match\":{\"tag\":\"x\"},\"action\":{\"kind\":\"reset\"}}", "match.tag"},
        {"{\"match\":3,\"action\":{\"kind\":\"reset\"}}", "rule.match"},
        {"{\"match\":{},\"action\":{\"kind\":\"reset\"},\"note\":1}", "rule.note"},
        {"{\"match\":{\"path\":\"@connect\"},\"action\":{\"kind\":\"delay\"}}", "match.path"},
        {"{\"match\":{\"path\":\"@now\"},\"action\":{\"kind\":\"token_expired\"}}", "match.path"},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct adp_sim_fault fault;
        char error[256] = "";
        if (parse(rows[i].text, &fault, error, sizeof(error)) ||
            strstr(error, rows[i].named) != error)
            fail_msg("%s: \"%s\" does not begin with %s", rows[i].text, error, rows[i].named);
    }
}

static void add(struct adp_sim_faults *faults, const char *text)
{
    struct adp_sim_fault fault;
    char error[256];
    assert_true(parse(text, &fault, error, sizeof(error)));
    assert_true(adp_sim_faults_add(faults, &fault));
}

static enum adp_sim_fault_kind pick(
    struct adp_sim_faults *faults, const char *account, enum adp_sim_path path)
{
    const struct adp_sim_fault *fault =
        adp_sim_faults_pick(faults, account, ADP_SIM_WHERE_PATH, path, 1);
    return fault == NULL ? ADP_SIM_FAULT_NONE : fault->kind;
}

static void rules_fire_where_they_match(void **state)
{
    static struct adp_sim_faults faults;
    (void)state;
    add(&faults, "{\"match\":{\"account\":\"F1\",\"path\":\"placeorder\",\"nth\":2},\"action\":{"
                 "\"kind\":\"reset\"}}");
    add(&faults, "{\"match\":{\"path\":\"reads\",\"times\":1},\"action\":{\"kind\":\"delay\"}}");
    add(&faults,
        "{\"match\":{\"path\":\"orders\",\"every\":3},\"action\":{\"kind\":\"drop_reply\"}}");
    assert_int_equal(pick(&faults, "F1", ADP_SIM_PATH_PLACE), ADP_SIM_FAULT_NONE);
    assert_int_equal(pick(&faults, "F2", ADP_SIM_PATH_PLACE), ADP_SIM_FAULT_NONE);
    /* The second of F1 is the third of all: the first rule wins, and the other one counts on. */
    assert_int_equal(pick(&faults, "F1", ADP_SIM_PATH_PLACE), ADP_SIM_FAULT_RESET);
    assert_int_equal(pick(&faults, "F1", ADP_SIM_PATH_CANCEL), ADP_SIM_FAULT_NONE);
    assert_int_equal(pick(&faults, "F1", ADP_SIM_PATH_MODIFY), ADP_SIM_FAULT_NONE);
    assert_int_equal(pick(&faults, "", ADP_SIM_PATH_PLACE), ADP_SIM_FAULT_DROP_REPLY);
    assert_int_equal(pick(&faults, "F1", ADP_SIM_PATH_BOOK), ADP_SIM_FAULT_DELAY);
    assert_int_equal(pick(&faults, "F1", ADP_SIM_PATH_BOOK), ADP_SIM_FAULT_NONE);
    assert_int_equal(faults.rules[0].fired, 1);
    assert_int_equal(faults.rules[2].seen, 6);
}

static void chances_follow_the_seed(void **state)
{
    static struct adp_sim_faults first, again, other;
    int fired = 0, different = 0;
    (void)state;
    first.seed = again.seed = 7;
    other.seed = 8;
    const char *rule = "{\"match\":{\"probability\":0.25},\"action\":{\"kind\":\"reset\"}}";
    add(&first, rule);
    add(&again, rule);
    add(&other, rule);
    for (int i = 0; i < 4000; i++) {
        enum adp_sim_fault_kind one = pick(&first, "", ADP_SIM_PATH_PLACE);
        assert_int_equal(one, pick(&again, "", ADP_SIM_PATH_PLACE));
        different += one != pick(&other, "", ADP_SIM_PATH_PLACE);
        fired += one == ADP_SIM_FAULT_RESET;
    }
    assert_in_range(fired, 850, 1150);
    assert_true(different > 500);
}

static void a_set_is_bounded(void **state)
{
    static struct adp_sim_faults faults;
    struct adp_sim_fault fault = {.kind = ADP_SIM_FAULT_RESET, .probability_ppm = 1000000};
    (void)state;
    for (int i = 0; i < ADP_SIM_RULES_MAX; i++)
        assert_true(adp_sim_faults_add(&faults, &fault));
    assert_false(adp_sim_faults_add(&faults, &fault));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_rules_are_read),
        cmocka_unit_test(wrong_rules_name_their_field),
        cmocka_unit_test(rules_fire_where_they_match),
        cmocka_unit_test(chances_follow_the_seed),
        cmocka_unit_test(a_set_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
