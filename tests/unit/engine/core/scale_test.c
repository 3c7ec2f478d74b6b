#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/step.h"
#include "ipc/clock.h"

#include <stdlib.h>
#include <string.h>

/* Memory for a million followers, and what a follower costs with rows in cache. Times are printed,
 * not judged: the instruction gate and the bench judge. */

#define FOLLOWERS 500u
#define ROUNDS    200u

struct crowd {
    struct eng_core *core;
    void *memory;
    struct ipc_row_cluster cluster;
    struct ipc_row_broker broker;
    struct ipc_row_account accounts[FOLLOWERS + 1];
    struct ipc_row_instrument instrument;
    struct ipc_row_follower followers[FOLLOWERS];
    struct ipc_row_master master;
    uint32_t slots[FOLLOWERS];
    struct ipc_snapshot_view view;
    uint64_t lsn, orders;
    int64_t now_ns;
};

static void apply(struct crowd *crowd, enum ipc_fact_type type, const void *payload, uint32_t bytes,
    uint32_t count)
{
    struct eng_frame frame = {.type = type,
        .payload = payload,
        .payload_bytes = bytes,
        .count = count,
        .lsn = ++crowd->lsn,
        .mono_ns = crowd->now_ns,
        .wall_ns = crowd->now_ns};
    assert_int_equal(eng_apply(crowd->core, &frame), IPC_OK);
}

static struct crowd *crowd_open(enum ipc_mode mode, int64_t lot_units)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    const struct eng_core_limits limits = {.account_max = FOLLOWERS + 1,
        .follower_slot_max = FOLLOWERS,
        .order_max = ROUNDS + 8,
        .child_max = FOLLOWERS * (ROUNDS + 8) * 2,
        .position_max = FOLLOWERS * 2,
        .master_position_max = 8,
        .wave_max = 8,
        .pace_logs = 1};
    const struct eng_core_config config = {0};
    crowd->memory = aligned_alloc(4096, eng_core_footprint(&limits));
    assert_non_null(crowd->memory);
    crowd->core = eng_core_init(crowd->memory, &limits, &config);
    crowd->now_ns = 1000 * LS_NS_PER_S;
    crowd->broker.live = 1;
    crowd->instrument = (struct ipc_row_instrument){.instrument = 1,
        .exchange = IPC_EXCHANGE_NSE,
        .kind = IPC_KIND_CASH,
        .lot_qty_e8 = lot_units * LS_E8,
        .tick_e8 = LS_E8 / 20};
    for (uint32_t i = 0; i <= FOLLOWERS; i++)
        crowd->accounts[i] = (struct ipc_row_account){.account = i + 1,
            .roles = i == 0 ? IPC_ROLE_MASTER : IPC_ROLE_FOLLOWER,
            .token_bytes = 64,
            .token_version = 1};
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        crowd->followers[i] = (struct ipc_row_follower){.follower_no = i + 1,
            .incarnation = 1,
            .account = i + 2,
            .master = 1,
            .mode = (uint8_t)mode,
            .copy = IPC_COPY_ON_ORDER,
            .flags = IPC_FOLLOWER_ENABLED,
            .ratio_e8 = mode == IPC_MODE_PERCENTAGE ? 2 * LS_E8 : LS_E8 + (int64_t)i,
            .fixed_qty_e8 = lot_units * LS_E8,
            .max_qty_e8 = INT64_C(1000000) * LS_E8,
            .max_order_value_e8 = INT64_C(1000000000) * LS_E8};
        crowd->slots[i] = i;
    }
    crowd->master = (struct ipc_row_master){.account = 1, .count = FOLLOWERS};
    crowd->view = (struct ipc_snapshot_view){.generation = 1,
        .cluster = &crowd->cluster,
        .brokers = &crowd->broker,
        .accounts = crowd->accounts,
        .instruments = &crowd->instrument,
        .followers = crowd->followers,
        .masters = &crowd->master,
        .master_slots = crowd->slots,
        .broker_count = 1,
        .account_count = FOLLOWERS + 1,
        .instrument_count = 1,
        .follower_slots = FOLLOWERS,
        .master_count = 1,
        .master_slot_count = FOLLOWERS};
    struct ipc_fact_adopt fact;
    assert_int_equal(eng_decide_adopt(crowd->core, &crowd->view, 1, &fact, NULL), IPC_OK);
    apply(crowd, IPC_FACT_ADOPT, &fact, sizeof fact, 1);
    struct eng_broker_policy policy = {.orders_per_second = 10};
    eng_core_adopt(crowd->core, &crowd->view, &policy);
    return crowd;
}

static void crowd_close(struct crowd *crowd)
{
    free(crowd->memory);
    free(crowd);
}

struct cost {
    int64_t pick_ns, decide_ns, apply_ns, command_ns;
    uint32_t commands;
};

static struct cost run_order(struct crowd *crowd)
{
    struct cost cost = {0};
    crowd->now_ns += 2 * LS_NS_PER_S;
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_OPEN,
        .account = 1,
        .instrument = 1,
        .qty_e8 = 650 * LS_E8,
        .price_e8 = 100 * LS_E8,
        .version = 1,
        .received_mono_ns = crowd->now_ns};
    event.order_key.word[0] = ++crowd->orders;
    event.order_digits = crowd->orders * 7919;
    struct eng_event_facts facts;
    eng_step_event(crowd->core, &event, 0, 0, crowd->now_ns, &facts);
    assert_int_equal(facts.count, 1);
    apply(crowd, IPC_FACT_EVENT, &facts.fact[0].event, facts.fact[0].bytes, 1);

    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    for (uint32_t i = 0; i < IPC_BATCH_CHILDREN_MAX; i++)
        samples[i] = (struct eng_follower_sample){
            .capital_e8 = 1000000 * LS_E8, .capital_mono_ns = crowd->now_ns, .can_send = 1};
    const struct eng_batch_sample sample = {.generation = 1,
        .price_e8 = 100 * LS_E8,
        .price_mono_ns = crowd->now_ns,
        .now_mono_ns = crowd->now_ns,
        .now_wall_ns = crowd->now_ns,
        .journal_takes_entries = 1};
    struct {
        struct ipc_fact_batch batch;
        struct ipc_fact_child children[IPC_BATCH_CHILDREN_MAX];
    } frame;
    struct eng_batch batch;
    struct ipc_command command;
    for (;;) {
        int64_t t0 = ipc_clock_mono_ns();
        if (!eng_wave_next(crowd->core, &batch))
            return cost;
        int64_t picked = ipc_clock_mono_ns();
        uint32_t count =
            eng_decide_batch(crowd->core, &batch, &sample, samples, &frame.batch, frame.children);
        int64_t t1 = ipc_clock_mono_ns();
        apply(crowd, IPC_FACT_BATCH, &frame,
            (uint32_t)(sizeof frame.batch + count * sizeof frame.children[0]), count);
        int64_t t2 = ipc_clock_mono_ns();
        const uint32_t *handles;
        uint32_t applied = eng_core_applied(crowd->core, &handles);
        for (uint32_t i = 0; i < applied; i++) {
            if (handles[i] == ENG_NONE)
                continue;
            assert_int_equal(eng_core_command(crowd->core, handles[i], &command), IPC_OK);
            cost.commands++;
        }
        cost.pick_ns += picked - t0;
        cost.decide_ns += t1 - picked;
        cost.apply_ns += t2 - t1;
        cost.command_ns += ipc_clock_mono_ns() - t2;
    }
}

static void the_cost_of_a_follower_is_printed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum ipc_mode mode;
        int64_t lot;
    } rows[] = {
        {"FIXED_RATIO, lot 1", IPC_MODE_FIXED_RATIO, 1},
        {"FIXED_RATIO, lot 65", IPC_MODE_FIXED_RATIO, 65},
        {"FIXED_QUANTITY", IPC_MODE_FIXED_QUANTITY, 1},
        {"PERCENTAGE", IPC_MODE_PERCENTAGE, 1},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct crowd *crowd = crowd_open(rows[i].mode, rows[i].lot);
        struct cost best = {.pick_ns = INT64_MAX,
            .decide_ns = INT64_MAX,
            .apply_ns = INT64_MAX,
            .command_ns = INT64_MAX};
        for (uint32_t round = 0; round < ROUNDS; round++) {
            struct cost cost = run_order(crowd);
            assert_int_equal(cost.commands, FOLLOWERS);
            best.pick_ns = ls_min_i64(best.pick_ns, cost.pick_ns);
            best.decide_ns = ls_min_i64(best.decide_ns, cost.decide_ns);
            best.apply_ns = ls_min_i64(best.apply_ns, cost.apply_ns);
            best.command_ns = ls_min_i64(best.command_ns, cost.command_ns);
        }
        print_message("%-20s pick %.1f, plan %.1f, apply %.1f, command %.1f ns a follower\n",
            rows[i].name, (double)best.pick_ns / FOLLOWERS, (double)best.decide_ns / FOLLOWERS,
            (double)best.apply_ns / FOLLOWERS, (double)best.command_ns / FOLLOWERS);
        crowd_close(crowd);
    }
}

/* DESIGN's budget is 2 KiB a follower for everything; the snapshot's row and the slot list take
 * 132 bytes twice over, header blocks come with the token. */
static void a_million_followers_fit(void **state)
{
    (void)state;
    const struct eng_core_limits limits = {.account_max = 1000064,
        .follower_slot_max = 1000000,
        .order_max = 10000,
        .child_max = 3000000,
        .position_max = 1500000,
        .master_position_max = 10000,
        .wave_max = 256,
        .pace_logs = 1};
    size_t each = eng_core_footprint(&limits) / 1000000;
    print_message("%zu bytes a follower with three children each\n", each);
    assert_true(each <= 2250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cost_of_a_follower_is_printed),
        cmocka_unit_test(a_million_followers_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
