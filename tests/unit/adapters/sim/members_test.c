/* Tokens, source addresses, calendar seconds. */
#include "adapters/sim/members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void tokens_find_their_account(void **state)
{
    struct adp_sim_members members = {0};
    char token[32];
    (void)state;
    assert_int_equal(adp_sim_members_find(&members, "x"), ADP_SIM_NONE);
    for (int i = 0; i < 1000; i++) {
        snprintf(token, sizeof(token), "token-%d", i);
        assert_true(adp_sim_members_add(&members, token));
        assert_false(adp_sim_members_add(&members, token));
    }
    assert_false(adp_sim_members_add(&members, ""));
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(token, sizeof(token), "token-%u", i);
        assert_int_equal(adp_sim_members_find(&members, token), i);
    }
    members.rows[5].expired = true;
    assert_false(adp_sim_members_set_token(&members, 5, "token-6"));
    assert_true(members.rows[5].expired);
    assert_true(adp_sim_members_set_token(&members, 5, "new"));
    assert_false(members.rows[5].expired);
    assert_int_equal(adp_sim_members_find(&members, "token-5"), ADP_SIM_NONE);
    assert_int_equal(adp_sim_members_find(&members, "new"), 5);
    adp_sim_members_free(&members);
}

static void addresses_serve_their_account_only(void **state)
{
    struct adp_sim_members members = {0};
    (void)state;
    assert_true(adp_sim_members_add(&members, "a"));
    assert_true(adp_sim_members_add(&members, "b"));
    assert_true(adp_sim_members_add(&members, "c"));
    assert_true(adp_sim_members_add_address(&members, 0, "127.0.0.2"));
    assert_true(adp_sim_members_add_address(&members, 1, "2001:DB8:0:0::1"));
    assert_false(adp_sim_members_add_address(&members, 1, "127.0.0"));
    assert_false(adp_sim_members_add_address(&members, 1, "here"));
    assert_true(adp_sim_members_may_order(&members, 0, "127.0.0.2"));
    assert_false(adp_sim_members_may_order(&members, 0, "127.0.0.3"));
    assert_true(adp_sim_members_may_order(&members, 1, "2001:db8::1"));
    assert_false(adp_sim_members_may_order(&members, 2, "127.0.0.2")); /* is somebody else's */
    assert_true(adp_sim_members_may_order(&members, 2, "127.0.0.3"));
    adp_sim_members_free(&members);
}

static void order_calls_are_limited_by_calendar_second(void **state)
{
    struct adp_sim_members members = {.orders_per_second = 10};
    int64_t second = 1000 * LS_NS_PER_S;
    (void)state;
    assert_true(adp_sim_members_add(&members, "a"));
    for (int i = 0; i < 10; i++)
        assert_true(adp_sim_members_take_orders(&members, 0, ADP_SIM_NSE, 1, second + 999999999));
    assert_false(adp_sim_members_take_orders(&members, 0, ADP_SIM_NSE, 1, second + 999999999));
    assert_true(adp_sim_members_take_orders(&members, 0, ADP_SIM_NFO, 10, second + 999999999));
    assert_true(adp_sim_members_take_orders(&members, 0, ADP_SIM_NSE, 10, second + LS_NS_PER_S));
    assert_false(adp_sim_members_take_orders(&members, 0, ADP_SIM_NFO, 11, second + LS_NS_PER_S));
    assert_int_equal(members.rows[0].breaches, 2);
    assert_int_equal(members.rows[0].orders_in_second_max, 20);
    members.orders_per_second = 0;
    assert_true(adp_sim_members_take_orders(&members, 0, ADP_SIM_NSE, 1000, second + LS_NS_PER_S));
    adp_sim_members_free(&members);
}

static void reads_are_limited_by_quarter_of_an_hour(void **state)
{
    struct adp_sim_members members = {.reads_per_quarter = 3};
    (void)state;
    assert_true(adp_sim_members_add(&members, "a"));
    for (int i = 0; i < 3; i++)
        assert_true(adp_sim_members_take_read(&members, 0, 5));
    assert_false(adp_sim_members_take_read(&members, 0, 899 * LS_NS_PER_S));
    assert_true(adp_sim_members_take_read(&members, 0, 900 * LS_NS_PER_S));
    assert_int_equal(members.rows[0].reads, 4); /* what was refused is none */
    adp_sim_members_free(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_find_their_account),
        cmocka_unit_test(addresses_serve_their_account_only),
        cmocka_unit_test(order_calls_are_limited_by_calendar_second),
        cmocka_unit_test(reads_are_limited_by_quarter_of_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
