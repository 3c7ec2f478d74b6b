#include "engine/core/fanout.h"

static const uint8_t ramp[] = {4, 8, 16, 32};
#define BATCH_FULL 54u

uint32_t eng_followers_of(const struct eng_core *core, uint32_t master, uint32_t *first)
{
    *first = 0;
    if (core->view == NULL || master == 0 || master > core->limits.account_max)
        return 0;
    uint32_t row = core->accounts[master].master_row;
    if (row == 0)
        return 0;
    *first = core->view->masters[row - 1].first;
    return core->view->masters[row - 1].count;
}

/* --- apply
 * ---------------------------------------------------------------------------------------- */

void eng_wave_start(struct eng_core *core, uint64_t number, uint32_t order, uint32_t master,
    enum ipc_transition transition, bool is_exit, uint32_t follower_count)
{
    LS_CHECK(core->fold.wave_count < core->limits.wave_max && follower_count > 0);
    uint32_t index = 0;
    while (core->waves[index].number != 0)
        index++;
    struct eng_wave *wave = &core->waves[index];
    *wave = (struct eng_wave){.number = number,
        .rotation = eng_mix(number),
        .order = order,
        .master = master,
        .follower_count = follower_count,
        .transition = (uint8_t)transition,
        .is_exit = is_exit};
    /* Behind an unfinished wave of the same master it starts at the same follower, so that it can
     * follow closely instead of waiting for the whole of the other. */
    for (uint32_t i = 0; i < core->fold.wave_count; i++) {
        const struct eng_wave *earlier = &core->waves[core->wave_active[i]];
        if (earlier->master == master) {
            wave->previous = earlier->number;
            wave->rotation = earlier->rotation;
        }
    }
    core->wave_cursor[index] = 0;
    core->wave_active[core->fold.wave_count++] = index;
    core->fold.wave_number = number;
    core->fold.counters.waves++;
    core->fold.counters.expected += follower_count;
    core->fold.counters.remaining += follower_count;
}

struct eng_wave *eng_wave_by_number(const struct eng_core *core, uint64_t number)
{
    for (uint32_t i = 0; i < core->fold.wave_count; i++) {
        struct eng_wave *wave = &core->waves[core->wave_active[i]];
        if (wave->number == number)
            return wave;
    }
    return NULL;
}

void eng_wave_decided(struct eng_core *core, struct eng_wave *wave)
{
    wave->decided++;
    if (wave->decided <= wave->follower_count)
        core->fold.counters.remaining--;
    else
        core->fold.counters.expected++; /* joined the master's list after the event */
}

void eng_wave_close(struct eng_core *core, struct eng_wave *wave)
{
    uint64_t number = wave->number;
    uint32_t remaining = eng_wave_remaining(wave);
    core->fold.counters.remaining -= remaining;
    core->fold.counters.vanished += remaining;
    uint32_t at = 0;
    while (&core->waves[core->wave_active[at]] != wave)
        at++;
    core->fold.wave_count--;
    for (; at < core->fold.wave_count; at++)
        core->wave_active[at] = core->wave_active[at + 1];
    memset(wave, 0, sizeof *wave);
    for (uint32_t i = 0; i < core->fold.wave_count; i++) {
        if (core->waves[core->wave_active[i]].previous == number)
            core->waves[core->wave_active[i]].previous = 0;
    }
}

static uint64_t last_wave_of(const struct eng_core *core, uint32_t slot)
{
    const struct eng_slot *state = eng_slot_of(core, slot, core->view->followers[slot].follower_no);
    return state == NULL ? 0 : state->last_wave;
}

static bool is_urgent(const struct eng_wave *wave)
{
    return wave->is_exit || wave->transition == IPC_TRANSITION_CANCELLED ||
           wave->transition == IPC_TRANSITION_REJECTED;
}

/* Moves the cursor of an open-ended wave over followers that it has decided. */
static void skip_decided(struct eng_core *core, const struct eng_wave *wave)
{
    uint32_t first;
    uint32_t count = eng_followers_of(core, wave->master, &first);
    uint32_t *cursor = &core->wave_cursor[wave - core->waves];
    while (*cursor < count &&
           last_wave_of(core, core->view->master_slots[first + *cursor]) >= wave->number)
        ++*cursor;
}

void eng_wave_batch_done(struct eng_core *core, struct eng_wave *wave)
{
    wave->batches++;
    if (is_urgent(wave))
        core->fold.turn_urgent = wave->number;
    else
        core->fold.turn_plain = wave->number;
    if (wave->open_ended)
        skip_decided(core, wave);
    else if (wave->decided >= wave->follower_count)
        eng_wave_close(core, wave);
}

void eng_waves_open_end(struct eng_core *core)
{
    for (uint32_t i = 0; i < core->fold.wave_count; i++) {
        core->waves[core->wave_active[i]].open_ended = 1;
        core->wave_cursor[core->wave_active[i]] = 0;
    }
}

void eng_waves_adopted(struct eng_core *core, uint32_t order)
{
    for (uint32_t i = 0; i < core->fold.wave_count; i++) {
        struct eng_wave *wave = &core->waves[core->wave_active[i]];
        if (wave->order == order)
            wave->has_adopted = 1;
    }
}

/* --- the next batch
 * --------------------------------------------------------------------------------- */

struct wave_run {
    const uint32_t *slots; /* of the master, in dispatch order */
    uint32_t count;
    uint32_t at; /* where it looks next */
    bool wraps;
};

static struct wave_run run_of(const struct eng_core *core, const struct eng_wave *wave)
{
    uint32_t first;
    struct wave_run run = {.count = eng_followers_of(core, wave->master, &first)};
    run.slots = core->view->master_slots + first;
    if (wave->open_ended) {
        run.at = core->wave_cursor[wave - core->waves];
    } else if (run.count != 0) {
        uint64_t start = wave->rotation % run.count;
        run.at = (uint32_t)((start + wave->decided) % run.count);
        run.wraps = true;
    }
    return run;
}

/* Fills the batch from the wave's list.
 *   returns false when its next follower still waits for an earlier wave */
static bool take_slots(
    const struct eng_core *core, const struct eng_wave *wave, struct eng_batch *out)
{
    struct wave_run run = run_of(core, wave);
    uint32_t most = wave->batches < LS_COUNT_OF(ramp) ? ramp[wave->batches] : BATCH_FULL;
    if (!wave->open_ended && most > eng_wave_remaining(wave))
        most = eng_wave_remaining(wave);
    LS_CHECK(wave->open_ended || run.count >= eng_wave_remaining(wave));

    out->slot_count = 0;
    while (out->slot_count < most && run.at < run.count) {
        uint32_t slot = run.slots[run.at];
        uint64_t last = wave->previous != 0 || wave->open_ended ? last_wave_of(core, slot) : 0;
        bool taken = wave->open_ended && last >= wave->number;
        if (!taken) {
            if (last < wave->previous)
                return out->slot_count != 0;
            uint8_t refuses_market =
                core->policies[core->view->followers[slot].broker].refuses_market;
            if (out->slot_count == 0)
                out->refuses_market = refuses_market;
            else if (out->refuses_market != refuses_market)
                return true; /* one batch has one shape */
            out->slots[out->slot_count++] = slot;
        }
        run.at++;
        if (run.wraps && run.at == run.count)
            run.at = 0;
    }
    if (out->slot_count == 0)
        out->ends_wave = 1;
    return true;
}

static bool fill_batch(
    const struct eng_core *core, const struct eng_wave *wave, struct eng_batch *out)
{
    const struct eng_order *order = &core->orders[wave->order];
    out->wave = wave->number;
    out->order = wave->order;
    out->master = wave->master;
    out->instrument = order->instrument;
    out->first_place = wave->decided;
    out->transition = wave->transition;
    out->is_exit = wave->is_exit;
    out->refuses_market = 0;
    out->ends_wave = 0;
    return take_slots(core, wave, out);
}

/* The oldest wave of the class after the one served last, else the oldest of all. */
static bool next_of_class(const struct eng_core *core, bool urgent, struct eng_batch *out)
{
    uint64_t turn = urgent ? core->fold.turn_urgent : core->fold.turn_plain;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < core->fold.wave_count; i++) {
            const struct eng_wave *wave = &core->waves[core->wave_active[i]];
            bool after = wave->number > turn;
            if (is_urgent(wave) == urgent && after == (round == 0) && fill_batch(core, wave, out))
                return true;
        }
    }
    return false;
}

bool eng_wave_next(const struct eng_core *core, struct eng_batch *out)
{
    if (core->view == NULL || core->fold.wave_count == 0)
        return false;
    return next_of_class(core, true, out) || next_of_class(core, false, out);
}

uint32_t eng_follow_order(const struct eng_core *core, uint32_t position)
{
    uint32_t newest = core->positions[position].exit_order;
    for (uint32_t at = newest; at != ENG_NONE; at = core->orders[at].exit_previous) {
        const struct eng_order *order = &core->orders[at];
        if (order->status <= IPC_STATUS_FILLED || order->filled_qty_e8 > 0)
            return at;
    }
    return newest;
}

/* Positions that have something to close, of one order. */
static bool next_follow_ups(const struct eng_core *core, struct eng_batch *out)
{
    uint32_t at = core->due_head;
    if (at == ENG_NONE)
        return false;
    uint32_t order_index = eng_follow_order(core, at);
    const struct eng_order *order = &core->orders[order_index];
    *out = (struct eng_batch){.order = order_index,
        .master = order->account,
        .instrument = order->instrument,
        .transition = IPC_TRANSITION_FOLLOW_UP,
        .is_exit = 1};
    for (; at != ENG_NONE && out->slot_count < IPC_BATCH_CHILDREN_MAX; at = core->due_next[at]) {
        const struct eng_position *position = &core->positions[at];
        if (eng_follow_order(core, at) != order_index)
            break;
        const struct ipc_row_follower *row = eng_follower_row(core->view, position->slot);
        uint8_t refuses_market = row == NULL ? 0 : core->policies[row->broker].refuses_market;
        if (out->slot_count == 0)
            out->refuses_market = refuses_market;
        else if (out->refuses_market != refuses_market)
            break;
        out->children[out->slot_count] = at;
        out->slots[out->slot_count++] = position->slot;
    }
    return true;
}

bool eng_settle_next(const struct eng_core *core, struct eng_batch *out)
{
    if (core->view == NULL)
        return false;
    if (core->settle_head == ENG_NONE)
        return next_follow_ups(core, out);
    uint32_t child = core->settle_head;
    uint32_t order_index = core->children[child].order;
    const struct eng_order *order = &core->orders[order_index];
    *out = (struct eng_batch){.order = order_index,
        .master = order->account,
        .instrument = order->instrument,
        .transition =
            order->status > IPC_STATUS_FILLED ? IPC_TRANSITION_CANCELLED : IPC_TRANSITION_AMENDED,
        .is_exit = (order->flags & ENG_ORDER_EXIT) != 0};
    bool out_steps = false;
    for (; child != ENG_NONE && out->slot_count < IPC_BATCH_CHILDREN_MAX;
         child = core->settle_next[child]) {
        const struct eng_child *state = &core->children[child];
        if (state->order != order_index)
            break;
        /* What may go again with less is decided alone, so that its frame names it. */
        bool steps = eng_child_settles_alone(state);
        if (out->slot_count != 0 && (steps || out_steps))
            break;
        out_steps = steps;
        const struct ipc_row_follower *row = eng_follower_row(core->view, state->slot);
        uint8_t refuses_market = row == NULL ? 0 : core->policies[row->broker].refuses_market;
        if (out->slot_count == 0)
            out->refuses_market = refuses_market;
        else if (out->refuses_market != refuses_market)
            break;
        out->children[out->slot_count] = child;
        out->slots[out->slot_count++] = state->slot;
    }
    return out->slot_count != 0;
}
