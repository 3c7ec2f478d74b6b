#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/reconcile.h"
#include "ipc/tag.h"
#include "tests/unit/engine/core/core_world.h"

#include <stdio.h>
#include <string.h>

/* Reconciliation: when an account waits, whom is asked, and what may go a second time. */

#define E8(units)  ((int64_t)(units)*LS_E8)
#define SECONDS(n) ((int64_t)(n)*LS_NS_PER_S)

/* --- the shell's part ---------------------------------------------------------------------------
 */

static void take(struct world *world, const struct eng_event_facts *facts)
{
    for (uint32_t i = 0; i < facts->count; i++)
        world_apply(world, facts->fact[i].type, &facts->fact[i].event, facts->fact[i].bytes, 1);
}

static bool ask(struct world *world, struct eng_book_ask *out)
{
    if (!eng_recon_next(world->core, world->now_mono_ns, world->now_wall_ns, out))
        return false;
    take(world, &out->facts);
    return true;
}

static void answer(struct world *world, const struct eng_book_ask *asked, enum ipc_book result,
    const struct ipc_event *orders, uint32_t count)
{
    struct eng_book_answer reply = {.account = asked->account,
        .ask_no = asked->ask_no,
        .result = (uint8_t)result,
        .complete = 1,
        .by_tag = asked->by_tag,
        .http_status = 200,
        .order_count = count,
        .sent_mono_ns = world->now_mono_ns,
        .received_mono_ns = world->now_mono_ns,
        .digest = {1, 2, 3},
        .orders = orders,
        .orders_count = count};
    struct eng_recon_walk walk = {0};
    struct eng_event_facts facts;
    while (eng_recon_answer(
        world->core, &reply, &walk, world->now_mono_ns, world->now_wall_ns, &facts))
        take(world, &facts);
}

static void pass(struct world *world, int64_t ns)
{
    world->now_mono_ns += ns;
    world->now_wall_ns += ns;
    world->price_mono_ns = world->now_mono_ns;
    struct eng_event_facts facts;
    while (eng_recon_time(world->core, world->now_mono_ns, world->now_wall_ns, &facts))
        take(world, &facts);
}

static struct ipc_event row(const struct world *world, uint32_t handle, const char *id,
    enum ipc_status status, int64_t filled)
{
    struct eng_child_view view;
    assert_true(eng_core_child(world->core, handle, &view));
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = view.side,
        .type = view.type,
        .product = view.product,
        .validity = IPC_VALIDITY_DAY,
        .status = (uint8_t)status,
        .flags = IPC_EVENT_OWN_TAG | IPC_EVENT_FROM_BOOK,
        .account = world->followers[view.slot].account,
        .instrument = view.instrument,
        .order_key = {{handle, 7}},
        .qty_e8 = view.qty_e8,
        .price_e8 = view.price_e8,
        .trigger_e8 = view.trigger_e8,
        .filled_qty_e8 = E8(filled),
        .average_price_e8 = filled > 0 ? E8(100) : 0,
        .received_mono_ns = world->now_mono_ns};
    memcpy(event.client_tag, view.tag, sizeof event.client_tag);
    snprintf(event.broker_order_id, sizeof event.broker_order_id, "%s", id);
    return event;
}

/* Follower 0 has one acknowledged order (the sentinel, of instrument 2) and one of unknown outcome
 * in instrument 1. */
struct doubt {
    struct world world;
    uint32_t known, lost;
    struct ipc_event sentinel;
};

static void doubt_open(struct doubt *doubt, enum ipc_side side)
{
    struct world *world = &doubt->world;
    world_open(world, 1);
    struct ipc_event first = world_order(world, IPC_SIDE_BUY, 65, E8(100));
    first.instrument = 2;
    (void)world_event(world, &first);
    (void)world_waves(world);
    world_ack(world, &world->commands[0]);
    doubt->known = world->commands[0].child;
    struct ipc_event event = world_order(world, side, 10, E8(100));
    (void)world_event(world, &event);
    (void)world_waves(world);
    doubt->lost = world->commands[1].child;
    world_reply(world, &world->commands[1], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    struct eng_child_view view;
    assert_true(eng_core_child(world->core, doubt->known, &view));
    doubt->sentinel = row(world, doubt->known, view.broker_order_id, IPC_STATUS_OPEN, 0);
}

static uint8_t state_of(const struct doubt *doubt)
{
    struct eng_child_view view;
    assert_true(eng_core_child(doubt->world.core, doubt->lost, &view));
    return view.state;
}

static void doubt_close(struct doubt *doubt)
{
    world_check(&doubt->world);
    world_close(&doubt->world);
}

/* --- gates --------------------------------------------------------------------------------------
 */

static void day_begins(struct world *world, uint32_t day)
{
    struct ipc_fact_limit begins = {.act = IPC_LIMIT_ACT_DAY, .day = day};
    world_apply(world, IPC_FACT_LIMIT, &begins, sizeof begins, 1);
}

/* The machine was off overnight while an order worked; today its account's book is empty. */
static void an_order_of_yesterday_does_not_keep_the_gate_shut(void **state)
{
    (void)state;
    for (int day_first = 0; day_first < 2; day_first++) {
        struct world world;
        world_open(&world, 1);
        day_begins(&world, 20251217);
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        (void)world_event(&world, &event);
        (void)world_waves(&world);
        world_ack(&world, &world.commands[0]);
        world.now_mono_ns += SECONDS(86400);
        world.now_wall_ns += SECONDS(86400);
        if (day_first)
            day_begins(&world, 20251218);
        world_restart(&world, false);
        struct eng_book_ask asked;
        pass(&world, SECONDS(4));
        if (!day_first) { /* the journal still says that it works: an empty book is no answer */
            assert_true(ask(&world, &asked));
            answer(&world, &asked, IPC_BOOK_NO_ORDERS, NULL, 0);
            assert_false(eng_recon_settled(world.core, world.followers[0].account));
            day_begins(&world, 20251218);
        }
        assert_int_equal(world_child(&world, 0).state, ENG_STATE_EXPIRED);
        pass(&world, SECONDS(4));
        assert_true(ask(&world, &asked));
        answer(&world, &asked, IPC_BOOK_NO_ORDERS, NULL, 0);
        assert_true(eng_recon_settled(world.core, world.followers[0].account));
        world_check(&world);
        world_close(&world);
    }
}

/* --- the same id once more ----------------------------------------------------------------------
 */

/* An exit has no age limit in its queue; its repeat has the broker's window. */
static void a_repeat_stays_within_the_window_of_its_id(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int64_t wait_s;
        bool boots, same_boot, echoed;
        uint32_t sent; /* places more */
    } cases[] = {
        {"within the window", 50, false, false, false, 1},
        {"outside of it", 61, false, false, false, 0},
        {"outside of it, after a restart", 61, true, true, false, 0},
        {"another boot, its clock may say anything", 10, true, false, false, 0},
        {"the broker's ids are no longer enforced", 10, false, false, true, 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct world world;
        world_open(&world, 1);
        world.policies[0].idempotency = ENG_ID_ENFORCED;
        world.policies[0].dedupe_window_ns = SECONDS(60);
        world_adopt(&world);
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        event.status = IPC_STATUS_FILLED;
        event.filled_qty_e8 = event.qty_e8;
        event.average_price_e8 = E8(100);
        (void)world_event(&world, &event);
        (void)world_waves(&world);
        world_ack(&world, &world.commands[0]);
        uint32_t entry = world.commands[0].child;
        (void)world_update(&world, entry, IPC_STATUS_FILLED, 10, E8(100));
        event = world_order(&world, IPC_SIDE_SELL, 10, E8(100));
        (void)world_event(&world, &event);
        (void)world_waves(&world);
        assert_int_equal(world.command_count, 2);
        world.cannot_send[0] = 1; /* its session is out while it waits */
        world_reply(&world, &world.commands[1], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
        /* Its time alone is not what decides here. */
        world.now_mono_ns += SECONDS(cases[i].wait_s);
        world.now_wall_ns += SECONDS(cases[i].wait_s);
        world.price_mono_ns = world.now_mono_ns;
        if (cases[i].boots)
            world_restart(&world, cases[i].same_boot);
        if (cases[i].echoed) {
            world.policies[0].idempotency = ENG_ID_ECHOED;
            world_adopt(&world);
        }
        struct eng_book_ask asked;
        struct eng_child_view view;
        assert_true(eng_core_child(world.core, entry, &view));
        if (cases[i].boots && ask(&world, &asked)) {
            struct ipc_event shown =
                row(&world, entry, view.broker_order_id, IPC_STATUS_FILLED, 10);
            answer(&world, &asked, IPC_BOOK_GOOD, &shown, 1);
        }
        world.cannot_send[0] = 0;
        struct ipc_command first = world.commands[1];
        uint32_t sent = world_release(&world);
        if (sent != cases[i].sent)
            print_error("%s\n", cases[i].what);
        assert_int_equal(sent, cases[i].sent);
        assert_int_equal(world_release(&world), 0);
        if (sent != 0)
            assert_string_equal(world.commands[2].tag, first.tag);
        /* What does not go stays in doubt: nobody says that it was not placed. */
        assert_true(eng_core_child(world.core, first.child, &view));
        assert_true(view.state == (sent != 0 ? ENG_STATE_SENDING : ENG_STATE_UNKNOWN) ||
                    (sent == 0 && view.state == ENG_STATE_RECONCILING));
        world_check(&world);
        world_close(&world);
    }
}

/* --- the budget ---------------------------------------------------------------------------------
 */

/* Accounts that have used their share of the day hold up no other. */
static void a_used_share_holds_up_nobody_else(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 40);
    world.policies[0] = (struct eng_broker_policy){.orders_per_second = 10, .orders_per_day = 20};
    world_adopt(&world);
    struct eng_event_facts wanted;
    struct eng_book_ask asked;
    uint32_t last = world.followers[39].account, asks = 0, used = 0;
    for (int i = 0; i < 40; i++) {
        for (uint32_t f = 0; f < 39; f++) {
            if (eng_recon_want(
                    world.core, world.followers[f].account, IPC_RECON_WHY_OUTAGE, NULL, &wanted))
                take(&world, &wanted);
        }
        for (; ask(&world, &asked); used++)
            answer(&world, &asked, IPC_BOOK_EMPTY, NULL, 0);
        pass(&world, SECONDS(1));
    }
    assert_int_equal(used, 39 * 4);
    /* It is asked later than they were, so they are due before it. */
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(eng_recon_want(world.core, last, IPC_RECON_WHY_PERSON, "somebody", &wanted));
        take(&world, &wanted);
        for (; ask(&world, &asked); asks++) {
            assert_int_equal(asked.account, last);
            answer(&world, &asked, IPC_BOOK_EMPTY, NULL, 0);
        }
        pass(&world, SECONDS(10));
    }
    assert_int_equal(asks, 2);
    world_check(&world);
    world_close(&world);
}

/* The timer of open orders leaves half of the share to a doubt. */
static void the_timer_leaves_half_of_the_share(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.policies[0] = (struct eng_broker_policy){.orders_per_second = 10, .orders_per_day = 100};
    world_adopt(&world);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[0]);
    struct eng_child_view view;
    assert_true(eng_core_child(world.core, world.commands[0].child, &view));
    struct ipc_event shown =
        row(&world, world.commands[0].child, view.broker_order_id, IPC_STATUS_OPEN, 0);
    struct eng_book_ask asked;
    uint32_t asks = 0;
    for (int i = 0; i < 40; i++) {
        for (; ask(&world, &asked); asks++) {
            assert_int_equal(asked.why, IPC_RECON_WHY_TIMER);
            answer(&world, &asked, IPC_BOOK_GOOD, &shown, 1);
        }
        pass(&world, SECONDS(60));
    }
    assert_int_equal(asks, 10); /* of 20 */
    struct eng_event_facts wanted;
    assert_true(eng_recon_want(
        world.core, world.followers[0].account, IPC_RECON_WHY_PERSON, "somebody", &wanted));
    take(&world, &wanted);
    assert_true(ask(&world, &asked));
    assert_int_equal(asked.why, IPC_RECON_WHY_PERSON);
    world_check(&world);
    world_close(&world);
}

/* --- by name ------------------------------------------------------------------------------------
 */

/* A question about one order alone proves presence; for absence whole books are asked for. */
static void an_order_that_its_name_does_not_find_is_looked_for_in_the_book(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    world->policies[0].book_by_tag = true;
    world_adopt(world);
    uint32_t by_tag = 0, whole = 0;
    for (int i = 0; i < 30 && state_of(&doubt) != ENG_STATE_MISSED; i++) {
        struct eng_book_ask asked;
        if (ask(world, &asked)) {
            by_tag += asked.by_tag;
            whole += !asked.by_tag;
            answer(world, &asked, IPC_BOOK_GOOD, &doubt.sentinel, !asked.by_tag);
        }
        pass(world, SECONDS(1));
    }
    assert_int_equal(by_tag, 1);
    assert_int_equal(whole, 2);
    assert_int_equal(state_of(&doubt), ENG_STATE_MISSED);
    doubt_close(&doubt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_of_yesterday_does_not_keep_the_gate_shut),
        cmocka_unit_test(a_repeat_stays_within_the_window_of_its_id),
        cmocka_unit_test(a_used_share_holds_up_nobody_else),
        cmocka_unit_test(the_timer_leaves_half_of_the_share),
        cmocka_unit_test(an_order_that_its_name_does_not_find_is_looked_for_in_the_book),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
