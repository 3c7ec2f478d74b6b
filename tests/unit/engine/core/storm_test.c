#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/breaker.h"
#include "ipc/prng.h"
#include "ipc/tag.h"
#include "tests/unit/engine/core/core_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A runaway (FLT-57): a master's feed gone mad sends a million events in ten seconds, and brokers
 * answer as they like. What left is counted here, by what the commands say alone, and held against
 * every cap: copies of one order, calls of a follower, openings of an instrument, calls of the
 * engine, exposure of the firm. Exits are not held back. The seed is printed. */

#define EVENTS      1000000u
#define EVENT_NS    (10 * LS_NS_PER_US)
#define FOLLOWERS   8u
#define ORDERS      32768u
#define CHILDREN    262144u
#define PRICE_E8    (100 * LS_E8)

#define SLICES      2u
#define PER_SECOND  30u   /* calls of the engine */
#define PER_SYMBOL  700u  /* openings of an instrument a minute */
#define PER_ACCOUNT 10u   /* calls a second, by the broker's limit */
#define FIRM        60000 /* units of money */
#define STREAK      5u

/* The newest times of something that may happen `count` times a window. */
struct pace {
    int64_t at_ns[PER_SYMBOL + 1];
    uint32_t next, count;
};

struct storm {
    struct world world;
    struct ipc_event *events; /* newest state of each of the master's orders */
    uint32_t event_count;
    struct ipc_prng random;

    /* what the oracle knows */
    uint32_t *copies; /* by order digits' index: openings that were made for it */
    uint32_t *open;   /* children: openings that may still fill */
    uint32_t open_count;
    struct pace engine, accounts[FOLLOWERS], symbols[WORLD_INSTRUMENTS + 1];
    uint64_t calls, openings, exits, resets, most_held;
};

static uint32_t pick(struct storm *storm, uint32_t below)
{
    return (uint32_t)(ipc_prng_next(&storm->random) % below);
}

/* At most `most` of them within a window that ends now, this one included. */
static bool within(const struct pace *pace, uint32_t most, int64_t window_ns, int64_t now_ns)
{
    if (pace->count < most)
        return true;
    int64_t back = pace->at_ns[(pace->next + PER_SYMBOL + 1 - most) % (PER_SYMBOL + 1)];
    return back <= now_ns - window_ns;
}

static void passed(struct pace *pace, int64_t now_ns)
{
    pace->at_ns[pace->next] = now_ns;
    pace->next = (pace->next + 1) % (PER_SYMBOL + 1);
    pace->count += pace->count <= PER_SYMBOL;
}

static void apply(struct storm *storm, enum ipc_fact_type type, const void *payload, uint32_t bytes,
    uint32_t count)
{
    struct world *world = &storm->world;
    struct eng_frame frame = {.type = type,
        .count = count,
        .payload = payload,
        .payload_bytes = bytes,
        .lsn = ++world->lsn,
        .mono_ns = world->now_mono_ns,
        .wall_ns = world->now_wall_ns};
    LS_CHECK(eng_apply(world->core, &frame) == IPC_OK);
}

/* --- the oracle ---------------------------------------------------------------------------------
 */

/* One request leaves. */
static void leaves(struct storm *storm, const struct ipc_command *command)
{
    int64_t now_ns = storm->world.now_mono_ns;
    bool opens = command->action != IPC_ACTION_CANCEL && !command->is_exit;
    struct pace *account = &storm->accounts[command->slot];
    if (opens) {
        assert_true(within(&storm->engine, PER_SECOND, LS_NS_PER_S, now_ns));
        assert_true(within(account, PER_ACCOUNT, LS_NS_PER_S, now_ns));
    }
    passed(&storm->engine, now_ns);
    passed(account, now_ns);
    storm->calls++;
    storm->openings += opens;
    storm->exits += command->is_exit;
}

/* Openings were decided, sent at once or queued. */
static void decided(struct storm *storm, uint32_t child, const struct eng_child_view *view)
{
    int64_t now_ns = storm->world.now_mono_ns;
    if (view->is_exit)
        return;
    uint32_t order = (uint32_t)view->order_key.word[1];
    assert_true(order < ORDERS);
    assert_true(++storm->copies[order] <= FOLLOWERS * SLICES);
    assert_true(within(&storm->symbols[view->instrument], PER_SYMBOL, (60 * LS_NS_PER_S), now_ns));
    passed(&storm->symbols[view->instrument], now_ns);
    assert_true(storm->open_count < CHILDREN);
    storm->open[storm->open_count++] = child;
}

/* Units that all followers hold, longs and shorts alike, and that their openings may still fill, by
 * what people see of them. */
static int64_t units(struct storm *storm)
{
    static const uint32_t traded[] = {1, 4};
    const struct eng_core *core = storm->world.core;
    uint32_t kept = 0;
    int64_t sum = 0;
    for (uint32_t i = 0; i < storm->open_count; i++) {
        struct eng_child_view view;
        LS_CHECK(eng_core_child(core, storm->open[i], &view));
        if (view.state == ENG_STATE_REJECTED || view.state == ENG_STATE_SKIPPED ||
            view.state == ENG_STATE_FILLED || view.state == ENG_STATE_CANCELLED)
            continue;
        storm->open[kept++] = storm->open[i];
        sum += view.qty_e8 - view.filled_qty_e8;
    }
    storm->open_count = kept;
    for (uint32_t slot = 0; slot < FOLLOWERS; slot++)
        for (size_t i = 0; i < LS_COUNT_OF(traded); i++)
            sum +=
                llabs(eng_core_copied_position(core, 100 + slot, traded[i], IPC_PRODUCT_MIS, NULL));
    return sum / LS_E8;
}

/* --- the world ----------------------------------------------------------------------------------
 */

static struct eng_batch_sample batch_sample(const struct storm *storm)
{
    return (struct eng_batch_sample){.generation = storm->world.view.generation,
        .price_e8 = PRICE_E8,
        .price_mono_ns = storm->world.now_mono_ns,
        .now_mono_ns = storm->world.now_mono_ns,
        .now_wall_ns = storm->world.now_wall_ns,
        .journal_takes_entries = 1};
}

static void answer(struct storm *storm, const struct ipc_command *command)
{
    struct world *world = &storm->world;
    struct ipc_outcome outcome = {.outcome = IPC_OUTCOME_ACKED, .evidence = IPC_EVIDENCE_REPLY};
    uint32_t luck = pick(storm, 1000);
    /* Now and then the broker refuses everything for a while. */
    bool refuses = world->now_mono_ns / (250 * LS_NS_PER_MS) % 8 == 0;
    if (luck < (refuses ? 990u : 50u))
        outcome.outcome = IPC_OUTCOME_REJECTED;
    else if (luck == 990 && command->action == IPC_ACTION_PLACE)
        outcome.outcome = IPC_OUTCOME_UNKNOWN;
    snprintf(outcome.broker_order_id, sizeof outcome.broker_order_id, "B%u", command->child);
    struct ipc_fact_reply fact;
    struct ipc_fact_alarm alarm;
    bool has_alarm;
    LS_CHECK(eng_decide_reply(world->core, command->child, command->request_no,
                 (enum ipc_action)command->action, &outcome, world->now_mono_ns, world->now_mono_ns,
                 &fact, &alarm, &has_alarm) == IPC_OK);
    apply(storm, IPC_FACT_REPLY, &fact, sizeof fact, 1);
    if (outcome.outcome != IPC_OUTCOME_ACKED || luck < 300)
        return;
    /* Its feed says that it filled, or was cancelled. */
    struct eng_child_view view;
    LS_CHECK(eng_core_child(world->core, command->child, &view));
    bool fills = command->action != IPC_ACTION_CANCEL;
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = view.side,
        .type = view.type,
        .product = view.product,
        .validity = IPC_VALIDITY_DAY,
        .status = fills ? IPC_STATUS_FILLED : IPC_STATUS_CANCELLED,
        .flags = IPC_EVENT_OWN_TAG,
        .account = world->followers[view.slot].account,
        .instrument = view.instrument,
        .qty_e8 = view.qty_e8,
        .price_e8 = view.price_e8,
        .filled_qty_e8 = fills ? view.qty_e8 : view.filled_qty_e8,
        .average_price_e8 = fills || view.filled_qty_e8 != 0 ? PRICE_E8 : 0,
        .version = ++world->version,
        .received_mono_ns = world->now_mono_ns};
    event.order_key = (struct ipc_key){{command->child, 1u << 30}};
    memcpy(event.client_tag, view.tag, sizeof event.client_tag);
    memcpy(event.broker_order_id, outcome.broker_order_id, sizeof event.broker_order_id);
    struct eng_event_facts facts;
    eng_step_event(world->core, &event, 3, ++world->lsn, world->now_mono_ns, &facts);
    for (uint32_t i = 0; i < facts.count; i++)
        apply(storm, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes, 1);
}

/* What the frame just applied let go is answered at once. */
static void go(struct storm *storm, uint32_t first_child)
{
    struct eng_core *core = storm->world.core;
    struct ipc_command commands[IPC_BATCH_CHILDREN_MAX];
    const uint32_t *handles;
    uint32_t count = eng_core_applied(core, &handles), left = 0;
    struct eng_child_view view;
    for (uint32_t child = first_child; eng_core_child(core, child, &view); child++)
        decided(storm, child, &view);
    for (uint32_t i = 0; i < count; i++) {
        if (handles[i] != ENG_NONE)
            LS_CHECK(eng_core_command(core, handles[i], &commands[left++]) == IPC_OK);
    }
    int64_t now = left != 0 ? units(storm) : 0;
    assert_true(now * (PRICE_E8 / LS_E8) <= FIRM);
    storm->most_held = (uint64_t)now > storm->most_held ? (uint64_t)now : storm->most_held;
    for (uint32_t i = 0; i < left; i++)
        leaves(storm, &commands[i]);
    for (uint32_t i = 0; i < left; i++)
        answer(storm, &commands[i]);
}

static void waves(struct storm *storm)
{
    static struct ipc_fact_batch_room room;
    struct eng_core *core = storm->world.core;
    struct eng_batch batch;
    while (eng_wave_next(core, &batch) || eng_settle_next(core, &batch)) {
        struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
        struct eng_batch_sample sample = batch_sample(storm);
        for (uint32_t i = 0; i < batch.slot_count; i++)
            samples[i] = (struct eng_follower_sample){.can_send = 1};
        uint32_t count =
            eng_decide_batch(core, &batch, &sample, samples, &room.batch, room.children);
        if (count == 0)
            break;
        uint32_t before = eng_core_child_count(core);
        apply(storm, IPC_FACT_BATCH, &room, ipc_fact_batch_bytes(&room.batch), count);
        go(storm, before);
    }
}

static void releases(struct storm *storm)
{
    struct world *world = &storm->world;
    struct eng_candidate candidates[8];
    uint32_t count = eng_release_next(world->core, world->now_mono_ns, world->now_wall_ns,
        &world->release_cursor, candidates, LS_COUNT_OF(candidates));
    for (uint32_t i = 0; i < count; i++) {
        struct eng_batch_sample sample = batch_sample(storm);
        const struct eng_follower_sample follower = {.can_send = 1};
        struct ipc_fact_release fact;
        if (!eng_decide_release(world->core, &candidates[i], &sample, &follower, &fact))
            continue;
        apply(storm, IPC_FACT_RELEASE, &fact, sizeof fact, 1);
        go(storm, eng_core_child_count(world->core));
    }
}

/* Breakers are journaled; a person resets them once a second, too hastily. */
static void guards(struct storm *storm)
{
    struct ipc_fact_guard fact;
    while (eng_breaker_pending(storm->world.core) &&
           eng_breaker_next(storm->world.core, storm->world.now_mono_ns, &fact)) {
        apply(storm, IPC_FACT_GUARD, &fact, sizeof fact, 1);
        if (fact.act != IPC_GUARD_ACT_TRIP || pick(storm, 4) == 0)
            continue;
        fact.act = IPC_GUARD_ACT_RESET;
        snprintf(fact.by, sizeof fact.by, "anna");
        apply(storm, IPC_FACT_GUARD, &fact, sizeof fact, 1);
        storm->resets++;
    }
}

/* --- the feed -----------------------------------------------------------------------------------
 */

static void one_event(struct storm *storm)
{
    struct world *world = &storm->world;
    struct ipc_event event;
    uint32_t luck = pick(storm, 100);
    if (storm->event_count == 0 || (luck < 3 && storm->event_count < ORDERS)) {
        event = world_order(
            world, pick(storm, 2) ? IPC_SIDE_BUY : IPC_SIDE_SELL, 1 + pick(storm, 4), PRICE_E8);
        event.instrument = pick(storm, 8) == 0 ? 4 : 1;
        event.order_key.word[1] = storm->event_count;
        event.version = ++world->version;
    } else {
        uint32_t back = 1 + pick(storm, storm->event_count < 64 ? storm->event_count : 64);
        event = storm->events[storm->event_count - back];
        if (luck < 40) { /* the very same again */
        } else if (luck < 80 && event.status == IPC_STATUS_OPEN) {
            event.qty_e8 = (int64_t)(1 + pick(storm, 5)) * LS_E8;
            event.version = ++world->version;
        } else if (luck < 90 && event.status == IPC_STATUS_OPEN) {
            event.status = IPC_STATUS_FILLED;
            event.filled_qty_e8 = event.qty_e8;
            event.average_price_e8 = PRICE_E8;
            event.version = ++world->version;
        } else if (event.status == IPC_STATUS_OPEN) {
            event.status = IPC_STATUS_CANCELLED;
            event.version = ++world->version;
        }
    }
    event.received_mono_ns = world->now_mono_ns;
    storm->events[event.order_key.word[1]] = event;
    if (event.order_key.word[1] == storm->event_count)
        storm->event_count++;
    struct eng_event_facts facts;
    eng_step_event(world->core, &event, 1, ++world->lsn, world->now_mono_ns, &facts);
    assert_false(facts.retry_later);
    for (uint32_t i = 0; i < facts.count; i++)
        apply(storm, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes, 1);
}

static void open_storm(struct storm *storm)
{
    struct world *world = &storm->world;
    world_open(world, FOLLOWERS);
    world->instruments[3].freeze_qty_e8 = 2 * LS_E8; /* up to three slices, two are allowed */
    world->limits.order_max = ORDERS + 1;
    world->limits.child_max = CHILDREN;
    world->config.controls = (struct eng_controls_config){.slices_per_follower = SLICES,
        .messages_per_second = PER_SECOND,
        .instrument_openings_per_minute = PER_SYMBOL,
        .duplicate_window_ms = 1000,
        .reject_streak = STREAK,
        .exposure_max_e8 = (int64_t)FIRM * LS_E8};
    for (uint32_t i = 0; i < LS_COUNT_OF(world->policies); i++)
        world->policies[i] = (struct eng_broker_policy){.orders_per_second = PER_ACCOUNT};
    free(world->memory);
    world->memory = aligned_alloc(4096, eng_core_footprint(&world->limits));
    assert_non_null(world->memory);
    world->core = eng_core_init(world->memory, &world->limits, &world->config);
    struct ipc_fact_adopt fact;
    assert_int_equal(eng_decide_adopt(world->core, &world->view, 7, &fact, NULL), IPC_OK);
    apply(storm, IPC_FACT_ADOPT, &fact, sizeof fact, 1);
    eng_core_adopt(world->core, &world->view, world->policies);
    storm->events = calloc(ORDERS + 1, sizeof *storm->events);
    storm->copies = calloc(ORDERS + 1, sizeof *storm->copies);
    storm->open = calloc(CHILDREN, sizeof *storm->open);
    assert_true(storm->events != NULL && storm->copies != NULL && storm->open != NULL);
}

static void a_runaway_is_held_by_every_cap(void **state)
{
    (void)state;
    struct storm *storm = calloc(1, sizeof *storm);
    assert_non_null(storm);
    open_storm(storm);
    const uint64_t seed = 20261121;
    ipc_prng_seed(&storm->random, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct world *world = &storm->world;
    for (uint32_t i = 0; i < EVENTS; i++) {
        world->now_mono_ns += EVENT_NS;
        world->now_wall_ns += EVENT_NS;
        one_event(storm);
        guards(storm);
        waves(storm);
        if (i % 64 == 0)
            releases(storm);
    }
    const struct eng_core_counters *counters = eng_core_counters(world->core);
    const uint64_t *skips = counters->skips_by_reason;
    print_message("%u events of %u orders: %llu calls, of them %llu openings and %llu exits; "
                  "skipped: copies %llu, instrument %llu, budget %llu, breaker %llu, firm %llu; at "
                  "most %llu units held and working\n",
        EVENTS, storm->event_count, (unsigned long long)storm->calls,
        (unsigned long long)storm->openings, (unsigned long long)storm->exits,
        (unsigned long long)skips[IPC_REASON_CHILDREN_CAP],
        (unsigned long long)skips[IPC_REASON_INSTRUMENT_RATE],
        (unsigned long long)skips[IPC_REASON_RATE_BUDGET],
        (unsigned long long)skips[IPC_REASON_BREAKER],
        (unsigned long long)skips[IPC_REASON_FIRM_EXPOSURE], (unsigned long long)storm->most_held);
    /* Each of them was in the way, so each was tried. */
    static const enum ipc_reason held_back[] = {IPC_REASON_CHILDREN_CAP, IPC_REASON_INSTRUMENT_RATE,
        IPC_REASON_RATE_BUDGET, IPC_REASON_BREAKER, IPC_REASON_FIRM_EXPOSURE};
    for (size_t i = 0; i < LS_COUNT_OF(held_back); i++)
        assert_true(skips[held_back[i]] > 0);
    assert_true(storm->openings > 0 && storm->exits > 0);
    eng_core_verify(world->core);
    free(storm->events);
    free(storm->copies);
    free(storm->open);
    world_close(world);
    free(storm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_runaway_is_held_by_every_cap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
