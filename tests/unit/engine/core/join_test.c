#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/join.h"

static struct ipc_event event_of(int64_t version, int64_t qty, int64_t price,
    enum ipc_status status, int64_t filled, int64_t average)
{
    return (struct ipc_event){.kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = (uint8_t)status,
        .account = 1,
        .instrument = 1,
        .order_key = {{1, 2}},
        .qty_e8 = qty,
        .price_e8 = price,
        .filled_qty_e8 = filled,
        .average_price_e8 = average,
        .version = version};
}

/* The copied fields: what must not depend on the order of arrival. */
static void assert_same(const struct eng_order *a, const struct eng_order *b)
{
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->qty_e8, b->qty_e8);
    assert_int_equal(a->price_e8, b->price_e8);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->filled_qty_e8, b->filled_qty_e8);
    assert_int_equal(a->average_price_e8, b->average_price_e8);
    assert_int_equal(a->filled_version, b->filled_version);
}

static struct eng_order join_all(const struct ipc_event *events, const int *order, int count)
{
    struct eng_order state;
    eng_join_first(&events[order[0]], 0, &state);
    for (int i = 1; i < count; i++)
        (void)eng_join(&state, &events[order[i]], 0);
    return state;
}

static bool next_permutation(int *order, int count)
{
    int at = count - 2;
    while (at >= 0 && order[at] > order[at + 1])
        at--;
    if (at < 0)
        return false;
    int with = count - 1;
    while (order[with] < order[at])
        with--;
    int held = order[at];
    order[at] = order[with];
    order[with] = held;
    for (int low = at + 1, high = count - 1; low < high; low++, high--) {
        held = order[low];
        order[low] = order[high];
        order[high] = held;
    }
    return true;
}

/* A small space, whole: every multiset of three states out of 48, in every order, with duplicates.
 */
static void any_three_states_join_the_same_in_any_order(void **state)
{
    (void)state;
    static const enum ipc_status statuses[] = {
        IPC_STATUS_OPEN, IPC_STATUS_FILLED, IPC_STATUS_CANCELLED};
    struct ipc_event space[48];
    size_t count = 0;
    for (int64_t version = 1; version <= 2; version++)
        for (int64_t price = 100; price <= 101; price++)
            for (size_t s = 0; s < 3; s++)
                for (int64_t filled = 0; filled <= 1; filled++)
                    for (int64_t average = 7; average <= 8; average++)
                        space[count++] =
                            event_of(version, 10, price, statuses[s], filled, filled * average);
    assert_int_equal(count, LS_COUNT_OF(space));
    for (size_t a = 0; a < count; a++) {
        for (size_t b = a; b < count; b++) {
            for (size_t c = b; c < count; c++) {
                struct ipc_event three[3] = {space[a], space[b], space[c]};
                int order[4] = {0, 1, 2, 0};
                struct eng_order first = join_all(three, order, 3);
                int permuted[3] = {0, 1, 2};
                while (next_permutation(permuted, 3)) {
                    struct eng_order other = join_all(three, permuted, 3);
                    assert_same(&first, &other);
                }
                for (int i = 0; i < 3; i++) { /* a duplicate changes nothing */
                    struct eng_order before = first;
                    assert_int_equal(eng_join(&first, &three[i], 0), 0);
                    assert_memory_equal(&before, &first, sizeof before);
                }
            }
        }
    }
}

/* The life of one order in all 5,040 orders of arrival. */
static void a_life_joins_the_same_in_any_order(void **state)
{
    (void)state;
    struct ipc_event life[7] = {
        event_of(1, 100, 50, IPC_STATUS_PENDING, 0, 0),
        event_of(2, 100, 50, IPC_STATUS_OPEN, 0, 0),
        event_of(3, 100, 51, IPC_STATUS_OPEN, 0, 0),
        event_of(4, 100, 50, IPC_STATUS_OPEN, 30, 49), /* back to 50: an amendment of its own */
        event_of(5, 80, 50, IPC_STATUS_OPEN, 30, 49),
        event_of(6, 80, 50, IPC_STATUS_OPEN, 60, 50),
        event_of(7, 80, 50, IPC_STATUS_CANCELLED, 60, 50),
    };
    int order[7] = {0, 1, 2, 3, 4, 5, 6};
    struct eng_order first = join_all(life, order, 7);
    assert_int_equal(first.status, IPC_STATUS_CANCELLED);
    assert_int_equal(first.filled_qty_e8, 60);
    assert_int_equal(first.qty_e8, 80);
    int count = 1;
    while (next_permutation(order, 7)) {
        struct eng_order other = join_all(life, order, 7);
        assert_same(&first, &other);
        count++;
    }
    assert_int_equal(count, 5040);
}

static void transitions_are_derived(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct {
            int64_t version, qty, price;
            enum ipc_status status;
            int64_t filled;
        } before, event;
        enum ipc_transition expected;
    } rows[] = {
        {"first open", {0}, {1, 10, 5, IPC_STATUS_OPEN, 0}, IPC_TRANSITION_NEW},
        {"first filled", {0}, {1, 10, 5, IPC_STATUS_FILLED, 10}, IPC_TRANSITION_NEW},
        {"first cancelled unfilled", {0}, {1, 10, 5, IPC_STATUS_CANCELLED, 0},
            IPC_TRANSITION_CANCELLED},
        {"first rejected", {0}, {1, 10, 5, IPC_STATUS_REJECTED, 0}, IPC_TRANSITION_REJECTED},
        {"first cancelled with a fill", {0}, {1, 10, 5, IPC_STATUS_CANCELLED, 4},
            IPC_TRANSITION_NEW},
        {"price", {1, 10, 5, IPC_STATUS_OPEN, 0}, {2, 10, 6, IPC_STATUS_OPEN, 0},
            IPC_TRANSITION_AMENDED},
        {"older price", {2, 10, 5, IPC_STATUS_OPEN, 0}, {1, 10, 6, IPC_STATUS_OPEN, 0},
            IPC_TRANSITION_NONE},
        {"fill", {1, 10, 5, IPC_STATUS_OPEN, 0}, {2, 10, 5, IPC_STATUS_OPEN, 3},
            IPC_TRANSITION_FILLED_MORE},
        {"amended and filled", {1, 10, 5, IPC_STATUS_OPEN, 0}, {2, 10, 6, IPC_STATUS_FILLED, 10},
            IPC_TRANSITION_AMENDED},
        {"cancelled", {1, 10, 5, IPC_STATUS_OPEN, 0}, {2, 10, 5, IPC_STATUS_CANCELLED, 0},
            IPC_TRANSITION_CANCELLED},
        {"cancelled and amended", {1, 10, 5, IPC_STATUS_OPEN, 0},
            {2, 10, 6, IPC_STATUS_CANCELLED, 0}, IPC_TRANSITION_CANCELLED},
        {"expired", {1, 10, 5, IPC_STATUS_OPEN, 0}, {2, 10, 5, IPC_STATUS_EXPIRED, 0},
            IPC_TRANSITION_CANCELLED},
        {"rejected", {1, 10, 5, IPC_STATUS_PENDING, 0}, {2, 10, 5, IPC_STATUS_REJECTED, 0},
            IPC_TRANSITION_REJECTED},
        {"cancelled again", {2, 10, 5, IPC_STATUS_CANCELLED, 0},
            {3, 10, 5, IPC_STATUS_CANCELLED, 0}, IPC_TRANSITION_NONE},
        {"amended after its end", {2, 10, 5, IPC_STATUS_CANCELLED, 0},
            {3, 10, 6, IPC_STATUS_OPEN, 0}, IPC_TRANSITION_NONE},
        {"opened", {1, 10, 5, IPC_STATUS_PENDING, 0}, {2, 10, 5, IPC_STATUS_OPEN, 0},
            IPC_TRANSITION_NONE},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct ipc_event event = event_of(rows[i].event.version, rows[i].event.qty,
            rows[i].event.price, rows[i].event.status, rows[i].event.filled, 5);
        struct eng_order before, after;
        enum ipc_transition got;
        if (rows[i].before.version == 0) {
            eng_join_first(&event, 0, &after);
            got = eng_join_transition(NULL, &after, 0);
        } else {
            struct ipc_event old = event_of(rows[i].before.version, rows[i].before.qty,
                rows[i].before.price, rows[i].before.status, rows[i].before.filled, 5);
            eng_join_first(&old, 0, &before);
            after = before;
            unsigned changed = eng_join(&after, &event, 0);
            got = eng_join_transition(&before, &after, changed);
        }
        if (got != rows[i].expected)
            fail_msg("%s: %s, expected %s", rows[i].what, ipc_transition_name(got),
                ipc_transition_name(rows[i].expected));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_three_states_join_the_same_in_any_order),
        cmocka_unit_test(a_life_joins_the_same_in_any_order),
        cmocka_unit_test(transitions_are_derived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
