#include "engine/core/money.h"

#include "engine/core/children.h"
#include "engine/core/controls.h"
#include "engine/core/hash.h"
#include "engine/core/limits_private.h"
#include "engine/core/positions.h"

/* What is hashed bytewise has no padding. */
_Static_assert(sizeof(struct eng_purse) == 6 * 4 + 4 * 2 + 5 * 4 + 4 + 11 * 8, "no padding");
_Static_assert(sizeof(struct eng_lot) == 24, "no padding");
_Static_assert(sizeof(struct eng_lots) == 24, "no padding");
_Static_assert(sizeof(struct eng_counted) == 24, "no padding");
_Static_assert(sizeof(struct eng_group) == 48, "no padding");
_Static_assert(sizeof(struct eng_money_fold) == 48, "no padding");

#define HOLD_MS_DEFAULT 60000u
/* From this many lots on, fills of one order at one position are joined. */
#define LOTS_APART_MAX  64u

/* Sums above it may have saturated. */
#define MONEY_SURE_E8   (INT64_MAX / 4)

/* --- memory -------------------------------------------------------------------------------------
 */

/* Every position can have at least one. */
static uint32_t lot_max_of(const struct eng_core_limits *limits)
{
    uint32_t lots =
        limits->lot_max != 0 ? limits->lot_max : limits->position_max + limits->position_max / 2;
    return lots > limits->position_max ? lots : limits->position_max;
}

struct carve {
    uint8_t *base;
    size_t used;
};

static void *take(struct carve *carve, size_t count, size_t bytes)
{
    carve->used = ls_align_up(carve->used, LS_LINE_BYTES);
    void *at = carve->base == NULL ? NULL : carve->base + carve->used;
    carve->used += count * bytes;
    return at;
}

static size_t lay_out(struct eng_money *money, const struct eng_core_limits *limits, void *base)
{
    struct carve carve = {.base = base, .used = sizeof *money};
    money->lot_max = lot_max_of(limits);
    money->lots_spare = money->lot_max - limits->position_max;
    LS_CHECK(money->lot_max < UINT32_C(1) << 29);
    money->purses = take(&carve, limits->follower_slot_max, sizeof *money->purses);
    money->lots_of = take(&carve, limits->position_max, sizeof *money->lots_of);
    money->lots = take(&carve, money->lot_max, sizeof *money->lots);
    money->counted = take(&carve, limits->child_max, sizeof *money->counted);
    money->groups = take(&carve, ENG_GROUPS_MAX, sizeof *money->groups);
    money->owners = take(&carve, (size_t)limits->account_max + 1, sizeof *money->owners);
    money->limited = take(&carve, limits->follower_slot_max, sizeof *money->limited);
    return ls_align_up(carve.used, LS_LINE_BYTES);
}

size_t eng_money_footprint(const struct eng_core_limits *limits)
{
    struct eng_money sizes = {.lot_max = 0};
    return lay_out(&sizes, limits, NULL);
}

struct eng_money *eng_money_init(void *memory, const struct eng_core_limits *limits)
{
    struct eng_money *money = memory;
    (void)lay_out(money, limits, memory);
    return money;
}

/* --- money --------------------------------------------------------------------------------------
 */

int64_t eng_money_value_e8(int64_t qty_e8, int64_t price_e8)
{
    int64_t value;
    /* Whole units, which is nearly always, need no wide division. */
    if (LS_LIKELY(qty_e8 % LS_E8 == 0))
        return __builtin_mul_overflow(qty_e8 / LS_E8, price_e8, &value) ? INT64_MAX : value;
    __int128 wide = (__int128)qty_e8 * price_e8 / LS_E8;
    return wide > INT64_MAX ? INT64_MAX : (int64_t)wide;
}

static int64_t part_of(int64_t whole_e8, int64_t part, int64_t all)
{
    return (int64_t)((__int128)whole_e8 * part / all);
}

static int64_t minus(int64_t a, int64_t b)
{
    return eng_add_saturated(a, b == INT64_MIN ? INT64_MAX : -b);
}

/* --- purses -------------------------------------------------------------------------------------
 */

/* The next copied position of a follower, 0 = no more. */
static uint32_t next_of(const struct eng_money *money, uint32_t at)
{
    uint32_t next = money->lots_of[at - 1].next_position;
    return next == ENG_NONE ? 0 : next;
}

const struct eng_purse *eng_money_of(
    const struct eng_core *core, uint32_t slot, uint32_t follower_no, uint16_t incarnation)
{
    const struct eng_purse *purse = &core->money->purses[slot];
    return purse->follower_no == follower_no && purse->incarnation == incarnation ? purse : NULL;
}

struct eng_purse *eng_purse_take(
    struct eng_core *core, uint32_t slot, uint32_t follower_no, uint16_t incarnation)
{
    struct eng_purse *purse = &core->money->purses[slot];
    if (LS_LIKELY(purse->follower_no == follower_no && purse->incarnation == incarnation))
        return purse;
    /* What comes late of an earlier owner of the slot, or of an earlier subscription, is its own.
     */
    if (core->slots[slot].follower_no != follower_no ||
        (purse->follower_no == follower_no && incarnation < purse->incarnation))
        return NULL;
    uint32_t positions = purse->follower_no == follower_no ? purse->positions : 0;
    *purse = (struct eng_purse){.follower_no = follower_no,
        .incarnation = incarnation,
        .positions = positions,
        .day = core->money->fold.day};
    for (uint32_t at = positions; at != 0; at = next_of(core->money, at))
        purse->open_cost_e8 =
            eng_add_saturated(purse->open_cost_e8, core->money->lots_of[at - 1].cost_e8);
    return purse;
}

/* Day figures of another day than today's are zero. */
static void roll(const struct eng_core *core, struct eng_purse *purse)
{
    if (LS_LIKELY(purse->day == core->money->fold.day))
        return;
    purse->day = core->money->fold.day;
    purse->trades = 0;
    purse->day_realised_e8 = purse->day_notional_e8 = 0;
}

/* A position that something happened to is in its follower's list. */
static void link_position(struct eng_money *money, struct eng_purse *purse, uint32_t position)
{
    if (LS_LIKELY(money->lots_of[position].next_position != 0))
        return;
    money->lots_of[position].next_position = purse->positions == 0 ? ENG_NONE : purse->positions;
    purse->positions = position + 1;
}

/* --- openings -----------------------------------------------------------------------------------
 */

static enum eng_phase phase_of(uint8_t state)
{
    switch ((enum eng_state)state) {
    case ENG_STATE_NONE:
        return ENG_PHASE_NONE;
    case ENG_STATE_INTENT:
    case ENG_STATE_SENDING:
    case ENG_STATE_NOT_SENT:
        return ENG_PHASE_WAITING;
    case ENG_STATE_UNKNOWN:
    case ENG_STATE_RECONCILING:
    case ENG_STATE_UNRESOLVED:
        return ENG_PHASE_DOUBT;
    case ENG_STATE_ACKED:
    case ENG_STATE_OPEN:
    case ENG_STATE_PARTIAL:
    case ENG_STATE_FILLED:
    case ENG_STATE_CANCELLED:
    case ENG_STATE_EXPIRED:
    case ENG_STATE_ADOPTED:
        return ENG_PHASE_ACCEPTED;
    case ENG_STATE_EXCH_REJECTED:
    case ENG_STATE_REJECTED:
    case ENG_STATE_NOT_PLACED:
    case ENG_STATE_MISSED:
    case ENG_STATE_SKIPPED:
        return ENG_PHASE_REFUSED;
    }
    return ENG_PHASE_NONE;
}

static int64_t own_price(const struct eng_child *child)
{
    return child->price_e8 != 0 ? child->price_e8 : child->trigger_e8;
}

void eng_money_opening_first(struct eng_core *core, uint32_t index, int64_t last_price_e8)
{
    const struct eng_child *child = &core->children[index];
    if (eng_purse_take(core, child->slot, child->follower_no, child->incarnation) != NULL)
        eng_money_opening(core, index, last_price_e8);
}

static bool is_trade(const struct eng_child *child)
{
    return ipc_tag_action_slice(child->action) == 0;
}

static int64_t value_of(const struct eng_child *child, const struct eng_counted *counted)
{
    int64_t price_e8 = own_price(child) != 0 ? own_price(child) : counted->price_e8;
    return eng_money_value_e8(child->qty_e8, price_e8);
}

/* Answered: it leaves the list. The list is short, and answers come about in its order. */
static void flight_end(struct eng_core *core, struct eng_purse *purse, uint32_t index)
{
    struct eng_counted *counted = core->money->counted;
    uint32_t *link = &purse->flight;
    while (*link != 0 && *link != index + 1)
        link = &counted[*link - 1].mark;
    if (*link != 0)
        *link = counted[index].mark;
}

/* An opening that is not in flight any more is counted, or counted no more. */
static void count(struct eng_purse *purse, const struct eng_child *child,
    struct eng_counted *counted, const struct eng_counted *before)
{
    bool was_counted = before->phase != ENG_PHASE_WAITING && before->phase != ENG_PHASE_REFUSED;
    bool is_counted = counted->phase != ENG_PHASE_REFUSED;
    if (was_counted && counted->mark != purse->day)
        return; /* on another day */
    counted->mark = purse->day;
    /* What was accepted stays counted with the most that it ever was. */
    int64_t value_e8 = is_counted ? ls_max_i64(before->value_e8, value_of(child, counted)) : 0;
    counted->value_e8 = value_e8;
    purse->day_notional_e8 = eng_add_saturated(purse->day_notional_e8, value_e8 - before->value_e8);
    if (is_trade(child))
        purse->trades = purse->trades + is_counted - was_counted;
}

void eng_money_change(struct eng_core *core, uint32_t index, int64_t before_claim_e8)
{
    const struct eng_child *child = &core->children[index];
    struct eng_counted *counted = &core->money->counted[index];
    if (counted->phase == ENG_PHASE_NONE)
        return;
    struct eng_counted before = *counted;
    enum eng_phase phase = phase_of(child->state);
    if (phase == ENG_PHASE_WAITING && before.phase == ENG_PHASE_WAITING)
        return;
    if (phase == ENG_PHASE_WAITING)
        phase = ENG_PHASE_DOUBT; /* once counted it stays so until it is refused */
    counted->phase = (uint8_t)phase;
    struct eng_purse *purse =
        eng_purse_take(core, child->slot, child->follower_no, child->incarnation);
    if (purse == NULL)
        return;
    roll(core, purse);
    link_position(core->money, purse, child->position);
    if (own_price(child) != 0)
        counted->price_e8 = own_price(child);
    int64_t before_e8 = 0;
    if (before.phase == ENG_PHASE_WAITING)
        flight_end(core, purse, index);
    else
        before_e8 = eng_money_value_e8(before_claim_e8, before.price_e8);
    int64_t rest_e8 = eng_money_value_e8(eng_child_claim_e8(child), counted->price_e8) - before_e8;
    purse->working_e8 = ls_max_i64(eng_add_saturated(purse->working_e8, rest_e8), 0);
    count(purse, child, counted, &before);
}

/* What is in flight, beside what is counted. */
struct flight {
    uint32_t trades;
    int64_t value_e8;
};
static struct flight flight_of(const struct eng_core *core, const struct eng_purse *purse)
{
    struct flight flight = {.trades = 0};
    const struct eng_counted *counted = core->money->counted;
    for (uint32_t at = purse->flight; at != 0; at = counted[at - 1].mark) {
        const struct eng_child *child = &core->children[at - 1];
        flight.trades += is_trade(child);
        flight.value_e8 = eng_add_saturated(flight.value_e8, value_of(child, &counted[at - 1]));
    }
    return flight;
}

/* --- lots ---------------------------------------------------------------------------------------
 */

/* The first lot of a position is its right; further ones share what is spare. */
static uint32_t lot_new(struct eng_money *money, bool is_first)
{
    if (!is_first && money->fold.lots_further >= money->lots_spare)
        return 0;
    money->fold.lots_further += !is_first;
    uint32_t at = money->fold.lot_free;
    if (at == 0) {
        LS_CHECK(money->fold.lot_count < money->lot_max);
        return ++money->fold.lot_count;
    }
    money->fold.lot_free = money->lots[at - 1].next;
    return at;
}

/* A lot on its own; where there is none left it joins the newest of its position. */
static void lot_push(
    struct eng_money *money, struct eng_lots *of, uint32_t child, int64_t qty_e8, int64_t cost_e8)
{
    struct eng_lot *newest = of->newest == 0 ? NULL : &money->lots[of->newest - 1];
    bool same_order = newest != NULL && newest->child == child && of->count >= LOTS_APART_MAX;
    uint32_t at = same_order ? 0 : lot_new(money, newest == NULL);
    of->cost_e8 = eng_add_saturated(of->cost_e8, cost_e8);
    if (at == 0) {
        money->fold.lots_joined += !same_order;
        newest->qty_e8 = eng_add_saturated(newest->qty_e8, qty_e8);
        newest->cost_e8 = eng_add_saturated(newest->cost_e8, cost_e8);
        return;
    }
    money->lots[at - 1] = (struct eng_lot){.qty_e8 = qty_e8, .cost_e8 = cost_e8, .child = child};
    if (newest != NULL)
        newest->next = at;
    else
        of->oldest = at;
    of->newest = at;
    of->count++;
}

/* Takes up to qty_e8 from the oldest lot. Returns what was taken, and its cost. */
static int64_t lot_pop(
    struct eng_money *money, struct eng_lots *of, int64_t qty_e8, int64_t *cost_e8)
{
    uint32_t at = of->oldest;
    struct eng_lot *lot = &money->lots[at - 1];
    int64_t taken_e8 = ls_min_i64(qty_e8, lot->qty_e8);
    /* The last part takes what is left, so that parts add up. */
    *cost_e8 =
        taken_e8 == lot->qty_e8 ? lot->cost_e8 : part_of(lot->cost_e8, taken_e8, lot->qty_e8);
    lot->qty_e8 -= taken_e8;
    lot->cost_e8 -= *cost_e8;
    of->cost_e8 -= *cost_e8;
    if (lot->qty_e8 == 0) {
        of->oldest = lot->next;
        if (of->oldest == 0)
            of->newest = 0;
        else
            money->fold.lots_further--;
        of->count--;
        *lot = (struct eng_lot){.next = money->fold.lot_free};
        money->fold.lot_free = at;
    }
    return taken_e8;
}

void eng_money_fill(
    struct eng_core *core, uint32_t index, int64_t before_qty_e8, int64_t before_price_e8)
{
    struct eng_money *money = core->money;
    const struct eng_child *child = &core->children[index];
    struct eng_lots *of = &money->lots_of[child->position];
    int64_t more_e8 = child->filled_qty_e8 - before_qty_e8;
    /* Sums of money telescope: what one report rounded away comes with the next. */
    int64_t money_e8 =
        ls_max_i64(eng_money_value_e8(child->filled_qty_e8, child->average_price_e8) -
                       eng_money_value_e8(before_qty_e8, before_price_e8),
            0);
    bool is_buy = child->side == IPC_SIDE_BUY;
    int64_t held_before_e8 =
        core->positions[child->position].held_e8 - (is_buy ? more_e8 : -more_e8);
    int64_t cost_before_e8 = of->cost_e8;
    int64_t left_e8 = more_e8, left_money_e8 = money_e8, realised_e8 = 0;
    if (is_buy ? held_before_e8 < 0 : held_before_e8 > 0) {
        while (left_e8 > 0 && of->oldest != 0) {
            int64_t cost_e8;
            int64_t taken_e8 = lot_pop(money, of, left_e8, &cost_e8);
            int64_t part_e8 = part_of(left_money_e8, taken_e8, left_e8);
            realised_e8 =
                eng_add_saturated(realised_e8, is_buy ? cost_e8 - part_e8 : part_e8 - cost_e8);
            left_e8 -= taken_e8;
            left_money_e8 -= part_e8;
        }
    }
    if (left_e8 > 0)
        lot_push(money, of, index, left_e8, left_money_e8);
    if (LS_UNLIKELY(core->controls->values))
        core->controls->exposure_e8 =
            eng_add_saturated(core->controls->exposure_e8, of->cost_e8 - cost_before_e8);

    struct eng_purse *purse =
        eng_purse_take(core, child->slot, child->follower_no, child->incarnation);
    if (purse == NULL) {
        /* Of an earlier subscription: only what its position costs is still counted. */
        struct eng_purse *heir = &money->purses[child->slot];
        if (heir->follower_no == child->follower_no) {
            link_position(money, heir, child->position);
            heir->open_cost_e8 =
                eng_add_saturated(heir->open_cost_e8, of->cost_e8 - cost_before_e8);
        }
        return;
    }
    roll(core, purse);
    link_position(money, purse, child->position);
    int64_t fee_e8 = (int64_t)((__int128)money_e8 * purse->fee_fraction_e8 / LS_E8);
    if (before_qty_e8 == 0)
        fee_e8 = eng_add_saturated(fee_e8, (int64_t)purse->fee_order_e4 * (LS_E8 / 10000));
    realised_e8 = minus(realised_e8, fee_e8);
    purse->day_realised_e8 = eng_add_saturated(purse->day_realised_e8, realised_e8);
    purse->realised_e8 = eng_add_saturated(purse->realised_e8, realised_e8);
    purse->realised_high_e8 = ls_max_i64(purse->realised_high_e8, purse->realised_e8);
    purse->open_cost_e8 = eng_add_saturated(purse->open_cost_e8, of->cost_e8 - cost_before_e8);
}

void eng_money_write_off(struct eng_core *core, uint32_t index)
{
    struct eng_money *money = core->money;
    struct eng_lots *of = &money->lots_of[index];
    const struct eng_position *position = &core->positions[index];
    int64_t cost_before_e8 = of->cost_e8, cost_e8;
    while (of->oldest != 0)
        (void)lot_pop(money, of, money->lots[of->oldest - 1].qty_e8, &cost_e8);
    of->cost_e8 = 0;
    if (LS_UNLIKELY(core->controls->values))
        core->controls->exposure_e8 =
            eng_add_saturated(core->controls->exposure_e8, -cost_before_e8);
    struct eng_purse *purse = &money->purses[position->slot];
    if (purse->follower_no == position->follower_no)
        purse->open_cost_e8 = eng_add_saturated(purse->open_cost_e8, -cost_before_e8);
}

/* --- broker errors ------------------------------------------------------------------------------
 */

static void failed(struct eng_core *core, struct eng_purse *purse, int64_t mono_ns)
{
    if (purse->failures < UINT16_MAX)
        purse->failures++;
    purse->failed_mono_ns = mono_ns;
    purse->failed_era = (uint16_t)core->fold.era;
}

void eng_money_reply(struct eng_core *core, uint32_t index, enum ipc_action action,
    enum ipc_outcome_class outcome, int64_t mono_ns)
{
    const struct eng_child *child = &core->children[index];
    struct eng_purse *purse =
        eng_purse_take(core, child->slot, child->follower_no, child->incarnation);
    if (purse == NULL || action != IPC_ACTION_PLACE)
        return; /* a change that is refused lost to a fill more often than to a broker */
    switch (outcome) {
    case IPC_OUTCOME_ACKED:
        /* It may yet be rejected behind the broker's door; then the row goes on. */
        if (purse->failures != 0)
            purse->failures_acked = purse->failures;
        purse->failures = 0;
        return;
    case IPC_OUTCOME_REJECTED:
    case IPC_OUTCOME_UNKNOWN:
        failed(core, purse, mono_ns);
        return;
    case IPC_OUTCOME_AUTH:    /* pauses the account by itself */
    case IPC_OUTCOME_LIMITED: /* our own pace */
    case IPC_OUTCOME_NOT_SENT:
        return;
    }
}

void eng_money_status(struct eng_core *core, uint32_t index, enum eng_state state, int64_t mono_ns)
{
    const struct eng_child *child = &core->children[index];
    struct eng_purse *purse =
        eng_purse_take(core, child->slot, child->follower_no, child->incarnation);
    if (purse == NULL)
        return;
    if (state == ENG_STATE_EXCH_REJECTED) {
        if (purse->failures < purse->failures_acked)
            purse->failures = purse->failures_acked;
        failed(core, purse, mono_ns);
        purse->failures_acked = purse->failures;
    } else if (state == ENG_STATE_OPEN || state == ENG_STATE_PARTIAL || state == ENG_STATE_FILLED) {
        purse->failures = purse->failures_acked = 0;
    }
}

bool eng_circuit_probe(const struct eng_core *core, const struct eng_purse *purse,
    const struct ipc_row_policy *policy, int64_t now_mono_ns)
{
    uint32_t hold_ms = policy->circuit_hold_ms != 0 ? policy->circuit_hold_ms : HOLD_MS_DEFAULT;
    bool is_over = purse->failed_era != (uint16_t)core->fold.era ||
                   now_mono_ns - purse->failed_mono_ns >= (int64_t)hold_ms * LS_NS_PER_MS;
    return is_over && purse->flight == 0;
}

/* --- what decisions ask -------------------------------------------------------------------------
 */

static bool is_open(const struct eng_position *position)
{
    return (position->held_e8 | position->opening_e8[0] | position->opening_e8[1]) != 0;
}

/* Those that only openings in flight are of are in no list yet. */
static uint32_t open_positions(const struct eng_core *core, const struct eng_purse *purse)
{
    const struct eng_money *money = core->money;
    uint32_t open = 0;
    for (uint32_t at = purse->positions; at != 0; at = next_of(money, at))
        open += is_open(&core->positions[at - 1]);
    for (uint32_t at = purse->flight; at != 0; at = money->counted[at - 1].mark) {
        uint32_t position = core->children[at - 1].position;
        bool is_known = money->lots_of[position].next_position != 0;
        for (uint32_t k = purse->flight; k != at && !is_known; k = money->counted[k - 1].mark)
            is_known = core->children[k - 1].position == position;
        open += !is_known;
    }
    return open;
}

void eng_money_figures(const struct eng_core *core, uint32_t slot, uint32_t follower_no,
    uint16_t incarnation, struct eng_figures *out)
{
    const struct eng_purse *purse = eng_money_of(core, slot, follower_no, incarnation);
    *out = (struct eng_figures){0};
    if (purse == NULL)
        return;
    struct flight flight = flight_of(core, purse);
    out->total_e8 = purse->realised_e8;
    out->exposure_e8 = eng_add_saturated(
        eng_add_saturated(purse->open_cost_e8, purse->working_e8), flight.value_e8);
    out->failures = purse->failures;
    out->open_positions = open_positions(core, purse);
    if (purse->base_day == core->money->fold.day)
        out->base_equity_e8 = purse->base_equity_e8;
    out->day_notional_e8 = flight.value_e8;
    out->trades = flight.trades;
    if (purse->day != core->money->fold.day)
        return;
    out->realised_e8 = purse->day_realised_e8;
    out->day_notional_e8 = eng_add_saturated(out->day_notional_e8, purse->day_notional_e8);
    out->trades += purse->trades;
}

static bool is_open_of(
    const struct eng_core *core, uint32_t position, uint32_t instrument, uint8_t product)
{
    const struct eng_position *of = &core->positions[position];
    return of->instrument == instrument && of->product == product && is_open(of);
}

/* A position of this instrument is open, or will be when what is in flight fills. */
static bool holds(const struct eng_core *core, const struct eng_purse *purse, uint32_t instrument,
    uint8_t product)
{
    const struct eng_money *money = core->money;
    for (uint32_t at = purse->positions; at != 0; at = next_of(money, at)) {
        if (is_open_of(core, at - 1, instrument, product))
            return true;
    }
    for (uint32_t at = purse->flight; at != 0; at = money->counted[at - 1].mark) {
        if (is_open_of(core, core->children[at - 1].position, instrument, product))
            return true;
    }
    return false;
}

void eng_money_case(const struct eng_core *core, uint32_t slot, const struct ipc_row_follower *row,
    const struct ipc_row_policy *policy, uint32_t instrument, uint8_t product, int64_t now_mono_ns,
    struct eng_case_follower *out)
{
    const struct eng_purse *purse = eng_money_of(core, slot, row->follower_no, row->incarnation);
    out->limit = (uint8_t)eng_limits_bar(core, slot, row);
    if (purse == NULL)
        return;
    struct eng_figures figures;
    eng_money_figures(core, slot, row->follower_no, row->incarnation, &figures);
    out->failures = figures.failures;
    if (policy->failures_max != 0 && purse->failures >= policy->failures_max)
        out->probe = eng_circuit_probe(core, purse, policy, now_mono_ns);
    out->holds = holds(core, purse, instrument, product);
    out->open_positions = figures.open_positions;
    out->exposure_e8 = figures.exposure_e8;
    out->day_start_equity_e8 = figures.base_equity_e8;
    out->trades = figures.trades;
    out->day_notional_e8 = figures.day_notional_e8;
}

/* --- pure rules ---------------------------------------------------------------------------------
 */

int64_t eng_margin_step_e8(int64_t qty_e8, int64_t lot_e8)
{
    LS_CHECK(lot_e8 > 0);
    return qty_e8 > lot_e8 ? qty_e8 - lot_e8 : 0;
}

/* True when the word stands in the text, whatever its case. */
static bool has_word(const char *text, size_t bytes, const char *word, size_t length)
{
    for (size_t i = 0; i + length <= bytes && text[i] != '\0'; i++) {
        size_t at = 0;
        while (at < length && (text[i + at] | 0x20) == word[at])
            at++;
        if (at == length)
            return true;
    }
    return false;
}

#define HAS_WORD(field, word) has_word(field, sizeof(field), word, sizeof(word) - 1)

bool eng_reject_is_margin(const struct ipc_outcome *outcome)
{
    if (outcome->outcome != IPC_OUTCOME_REJECTED)
        return false;
    return HAS_WORD(outcome->text, "margin") || HAS_WORD(outcome->text, "insufficient fund") ||
           HAS_WORD(outcome->code, "margin");
}

bool eng_code_is_margin(const char code[12])
{
    return has_word(code, 12, "margin", sizeof "margin" - 1);
}

int64_t eng_high_water_fee_e8(int64_t total_e8, int64_t share_e8, int64_t paid_e8)
{
    int64_t due_e8 = (int64_t)((__int128)ls_max_i64(total_e8, 0) * share_e8 / LS_E8);
    return ls_max_i64(minus(due_e8, paid_e8), 0);
}

struct eng_slip eng_slip_of(
    uint8_t side, int64_t master_price_e8, int64_t follower_price_e8, int64_t qty_e8)
{
    LS_CHECK(master_price_e8 > 0 && qty_e8 >= 0);
    int64_t worse_e8 = follower_price_e8 - master_price_e8;
    if (side == IPC_SIDE_SELL)
        worse_e8 = -worse_e8;
    int64_t size_e8 = eng_money_value_e8(qty_e8, eng_abs(worse_e8));
    return (struct eng_slip){.per_unit_e8 = worse_e8,
        .money_e8 = worse_e8 < 0 ? -size_e8 : size_e8,
        .points_e8 = (int64_t)((__int128)worse_e8 * 10000 * LS_E8 / master_price_e8)};
}

/* --- hash and invariants ------------------------------------------------------------------------
 */

uint64_t eng_money_hash(const struct eng_core *core, uint64_t hash)
{
    const struct eng_money *money = core->money;
    const struct eng_core_limits *limits = &core->limits;
    hash = eng_hash(hash, &money->fold, sizeof money->fold);
    hash = eng_hash(hash, money->purses, limits->follower_slot_max * sizeof *money->purses);
    hash = eng_hash(hash, money->lots_of, core->fold.position_count * sizeof *money->lots_of);
    hash = eng_hash(hash, money->lots, money->fold.lot_count * sizeof *money->lots);
    hash = eng_hash(hash, money->counted, core->fold.child_count * sizeof *money->counted);
    hash = eng_hash(hash, money->groups, money->fold.group_count * sizeof *money->groups);
    return eng_hash(hash, money->owners, ((size_t)limits->account_max + 1) * sizeof *money->owners);
}

void eng_money_verify(const struct eng_core *core)
{
    const struct eng_money *money = core->money;
    uint32_t used = 0, free_lots = 0;
    for (uint32_t p = 0; p < core->fold.position_count; p++) {
        const struct eng_lots *of = &money->lots_of[p];
        int64_t qty_e8 = 0, cost_e8 = 0;
        uint32_t count = 0;
        for (uint32_t at = of->oldest; at != 0; at = money->lots[at - 1].next) {
            const struct eng_lot *lot = &money->lots[at - 1];
            LS_CHECK(lot->qty_e8 > 0 && lot->cost_e8 >= 0);
            qty_e8 += lot->qty_e8;
            cost_e8 = eng_add_saturated(cost_e8, lot->cost_e8);
            if (lot->next == 0)
                LS_CHECK(at == of->newest);
            count++;
        }
        used += count;
        LS_CHECK(count == of->count && (count == 0) == (of->newest == 0));
        LS_CHECK(qty_e8 == eng_abs(core->positions[p].held_e8));
        if (cost_e8 < MONEY_SURE_E8)
            LS_CHECK(cost_e8 == of->cost_e8);
    }
    for (uint32_t at = money->fold.lot_free; at != 0; at = money->lots[at - 1].next)
        free_lots++;
    LS_CHECK(used + free_lots == money->fold.lot_count);
    for (uint32_t slot = 0; slot < core->limits.follower_slot_max; slot++) {
        const struct eng_purse *purse = &money->purses[slot];
        int64_t cost_e8 = 0;
        for (uint32_t at = purse->positions; at != 0; at = next_of(money, at)) {
            LS_CHECK(core->positions[at - 1].follower_no == purse->follower_no);
            cost_e8 = eng_add_saturated(cost_e8, money->lots_of[at - 1].cost_e8);
        }
        if (cost_e8 < MONEY_SURE_E8)
            LS_CHECK(cost_e8 == purse->open_cost_e8);
        LS_CHECK(purse->working_e8 >= 0 && purse->realised_high_e8 >= 0);
        for (uint32_t at = purse->flight; at != 0; at = money->counted[at - 1].mark)
            LS_CHECK(money->counted[at - 1].phase == ENG_PHASE_WAITING);
    }
}
