#include "engine/core/throttle.h"

#include "engine/core/children.h"
#include "engine/core/fanout.h"
#include "engine/core/money.h"
#include "engine/core/pace.h"

/* A second and the guard against the broker's second, in seven equal buckets. */
#define SECOND_NS (7 * 150 * LS_NS_PER_MS)

/* --- counting -----------------------------------------------------------------------------------
 */

void eng_throttle_frame(struct eng_core *core, int64_t mono_ns, int64_t wall_ns)
{
    struct eng_controls *controls = core->controls;
    const struct eng_controls_config *config = &core->config.controls;
    if (LS_LIKELY((config->messages_per_second | config->messages_per_minute |
                      config->messages_per_day) == 0))
        return;
    uint32_t calls = 0;
    for (uint32_t i = 0; i < core->applied_count; i++)
        calls += core->applied[i] != ENG_NONE;
    uint32_t day = eng_market_day(wall_ns);
    eng_window_add(&controls->second, eng_window_bucket(mono_ns, SECOND_NS), calls);
    eng_window_add(&controls->minute, eng_window_bucket(mono_ns, ENG_MINUTE_NS), calls);
    if (controls->day != day) {
        controls->day = day;
        controls->day_calls = 0;
    }
    controls->day_calls += calls;
}

static struct eng_symbol *symbol_of(const struct eng_core *core, uint32_t instrument)
{
    return &core->controls->symbols[instrument & (ENG_CONTROLS_SYMBOLS - 1)];
}

void eng_throttle_made(struct eng_core *core, uint32_t order, uint32_t openings, int64_t mono_ns)
{
    core->orders[order].openings += openings;
    if (LS_LIKELY(core->config.controls.instrument_openings_per_minute == 0))
        return;
    uint32_t instrument = core->orders[order].instrument;
    struct eng_symbol *symbol = symbol_of(core, instrument);
    int64_t bucket = eng_window_bucket(mono_ns, ENG_MINUTE_NS);
    if (symbol->instrument != instrument && eng_window_sum(&symbol->made, bucket) == 0)
        *symbol = (struct eng_symbol){.instrument = instrument};
    eng_window_add(&symbol->made, bucket, openings);
}

void eng_throttle_value(struct eng_core *core, uint32_t index)
{
    struct eng_controls *controls = core->controls;
    const struct eng_child *child = &core->children[index];
    if (child->flags & ENG_CHILD_EXIT)
        return;
    int64_t price_e8 = child->price_e8 != 0 ? child->price_e8 : child->trigger_e8;
    if (price_e8 == 0)
        price_e8 = core->money->counted[index].price_e8;
    int64_t value_e8 = eng_money_value_e8(eng_child_claim_e8(child), price_e8);
    int64_t units = ls_min_i64(value_e8 / LS_E8 + (value_e8 % LS_E8 != 0), UINT32_MAX);
    controls->exposure_e8 = eng_add_saturated(
        controls->exposure_e8, (units - (int64_t)controls->working[index]) * LS_E8);
    controls->working[index] = (uint32_t)units;
}

/* --- what is left -------------------------------------------------------------------------------
 */

uint32_t eng_throttle_children_left(const struct eng_core *core, const struct eng_order *order)
{
    if (core->controls->slices == 0)
        return UINT32_MAX;
    uint32_t first;
    uint64_t most =
        (uint64_t)eng_followers_of(core, order->account, &first) * core->controls->slices;
    if (order->openings >= most)
        return 0;
    return most - order->openings < UINT32_MAX ? (uint32_t)(most - order->openings) : UINT32_MAX;
}

uint32_t eng_throttle_symbol_left(
    const struct eng_core *core, uint32_t instrument, int64_t now_mono_ns)
{
    uint32_t most = core->config.controls.instrument_openings_per_minute;
    if (LS_LIKELY(most == 0))
        return UINT32_MAX;
    uint32_t made = eng_window_sum(
        &symbol_of(core, instrument)->made, eng_window_bucket(now_mono_ns, ENG_MINUTE_NS));
    return made < most ? most - made : 0;
}

static uint32_t day_calls(const struct eng_controls *controls, int64_t now_wall_ns)
{
    return controls->day == eng_market_day(now_wall_ns) ? controls->day_calls : 0;
}

uint32_t eng_throttle_calls_left(
    const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns)
{
    const struct eng_controls *controls = core->controls;
    const struct eng_controls_config *config = &core->config.controls;
    uint32_t left = UINT32_MAX;
    if (LS_LIKELY(!controls->calls_limited))
        return left;
    const struct {
        uint32_t most, made;
    } rules[] = {
        {config->messages_per_second,
            eng_window_sum(&controls->second, eng_window_bucket(now_mono_ns, SECOND_NS))},
        {config->messages_per_minute,
            eng_window_sum(&controls->minute, eng_window_bucket(now_mono_ns, ENG_MINUTE_NS))},
        {config->messages_per_day, day_calls(controls, now_wall_ns)},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rules); i++) {
        if (rules[i].most == 0)
            continue;
        uint32_t rest = rules[i].made < rules[i].most ? rules[i].most - rules[i].made : 0;
        left = rest < left ? rest : left;
    }
    return left;
}

int64_t eng_throttle_due(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns)
{
    const struct eng_controls *controls = core->controls;
    const struct eng_controls_config *config = &core->config.controls;
    if (LS_LIKELY(!controls->calls_limited))
        return now_mono_ns;
    if (config->messages_per_day != 0 &&
        day_calls(controls, now_wall_ns) >= config->messages_per_day)
        return INT64_MAX;
    int64_t due = now_mono_ns;
    if (config->messages_per_second != 0)
        due = eng_window_due(
            &controls->second, SECOND_NS, config->messages_per_second, 0, now_mono_ns);
    if (config->messages_per_minute != 0)
        due = ls_max_i64(due, eng_window_due(&controls->minute, ENG_MINUTE_NS,
                                  config->messages_per_minute, 0, now_mono_ns));
    return due;
}

uint32_t eng_throttle_orders_left(const struct eng_core *core, uint32_t account)
{
    const struct eng_controls *controls = core->controls;
    if (account > core->limits.account_max)
        return 0;
    uint64_t open = 0;
    for (uint32_t at = controls->account_slot[account]; at != 0; at = controls->slot_next[at - 1]) {
        const struct eng_slot *slot = &core->slots[at - 1];
        if (slot->follower_no == core->view->followers[at - 1].follower_no)
            open += slot->open_orders;
    }
    uint32_t most = core->accounts[account].open_orders_max;
    return open < most ? most - (uint32_t)open : 0;
}

int64_t eng_throttle_value_left(const struct eng_core *core)
{
    if (LS_LIKELY(!core->controls->values))
        return INT64_MAX;
    return core->config.controls.exposure_max_e8 - core->controls->exposure_e8;
}
