/* The judge of copied positions: plain lists, whole sums, no tables of the engine. What a line
 * holds is what the brokers' books filled of one subscription's copies; what a follower may be told
 * to close or open is worked out again from the journal's EVENT frames. */
#include <stdio.h>
#include <string.h>

#include "engine/core/core_private.h"
#include "engine/core/positions.h"
#include "ipc/reason.h"
#include "ipc/tag.h"
#include "tests/sim/sim.h"

static struct sim_line *line_find(struct sim *sim, uint32_t follower_no, uint16_t incarnation,
    uint8_t source, uint8_t instrument, uint8_t product)
{
    for (uint32_t i = 0; i < sim->judge.line_count; i++) {
        struct sim_line *line = &sim->judge.lines[i];
        if (line->follower_no == follower_no && line->incarnation == incarnation &&
            line->source == source && line->instrument == instrument && line->product == product)
            return line;
    }
    return NULL;
}

struct sim_line *sim_line_of(struct sim *sim, const struct sim_tag *tag)
{
    struct sim_line *line = line_find(
        sim, tag->follower_no, tag->incarnation, tag->source, tag->instrument, tag->product);
    if (line != NULL)
        return line;
    LS_CHECK(sim->judge.line_count < SIM_LINES);
    line = &sim->judge.lines[sim->judge.line_count++];
    *line = (struct sim_line){.follower_no = tag->follower_no,
        .slot = tag->slot,
        .master = tag->master,
        .incarnation = tag->incarnation,
        .source = tag->source,
        .instrument = tag->instrument,
        .product = tag->product};
    return line;
}

static int64_t line_units(const struct sim_line *line)
{
    return line->entries[1] + line->exits[1] - line->entries[0] - line->exits[0];
}

static int64_t magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

/* ---- the masters' runs ----------------------------------------------------------------------- */

static struct sim_run *run_of(struct sim *sim, uint32_t master, uint8_t instrument, uint8_t product)
{
    struct sim_judge *judge = &sim->judge;
    for (uint32_t i = 0; i < judge->run_count; i++) {
        struct sim_run *run = &judge->runs[i];
        if (run->master == master && run->instrument == instrument && run->product == product)
            return run;
    }
    LS_CHECK(judge->run_count < LS_COUNT_OF(judge->runs));
    struct sim_run *run = &judge->runs[judge->run_count++];
    *run = (struct sim_run){.master = master, .instrument = instrument, .product = product};
    return run;
}

/* Another order of the same account, instrument and product may still fill. */
static bool others_work(const struct sim *sim, uint32_t order)
{
    const struct sim_judge *judge = &sim->judge;
    for (uint32_t i = 0; i < judge->digits_count; i++) {
        if (i != order && !judge->orders[i].is_own &&
            judge->orders[i].master == judge->orders[order].master &&
            judge->orders[i].instrument == judge->orders[order].instrument &&
            judge->orders[i].product == judge->orders[order].product &&
            !ipc_status_final((enum ipc_status)judge->orders[i].status))
            return true;
    }
    return false;
}

/* A run is plain as long as one close follows the other, each whole, and nothing else works. */
void sim_positions_event(
    struct sim *sim, uint32_t order, const struct ipc_fact_event *fact, bool is_new)
{
    struct sim_judge *judge = &sim->judge;
    if (fact->transition == IPC_TRANSITION_FOLLOW_UP || fact->transition == IPC_TRANSITION_NONE)
        return;
    struct sim_run *run = run_of(sim, judge->orders[order].master,
        (uint8_t)judge->orders[order].instrument, judge->orders[order].product);
    int64_t before_e8 = magnitude(fact->master_position_e8);
    if (is_new || fact->transition == IPC_TRANSITION_NEW) {
        judge->orders[order].was_reduction = fact->reduces;
        judge->orders[order].before_e8 = before_e8;
    }
    bool closes = judge->orders[order].was_reduction != 0;
    uint64_t before = run->number;
    judge->orders[order].run = is_new ? run->number : judge->orders[order].run;
    switch (fact->transition) {
    case IPC_TRANSITION_NEW:
        if (closes && (others_work(sim, order) || fact->event.qty_e8 > before_e8 ||
                          fact->event.type > IPC_TYPE_LIMIT))
            run->is_plain = 0;
        if (!closes || fact->event.qty_e8 > before_e8)
            run->number++;
        if (!closes)
            run->is_plain = 1;
        break;
    case IPC_TRANSITION_FILLED_MORE:
        run->number += !closes;
        break;
    default:
        if (closes || fact->transition == IPC_TRANSITION_HISTORY)
            run->is_plain = 0;
        break;
    }
    if (run->number != before)
        run->first_e8 = 0;
    if (closes && run->first_e8 == 0)
        run->first_e8 = before_e8;
}

/* ---- decisions ------------------------------------------------------------------------------- */

/* One follower's elements of a frame. */
struct group {
    const struct ipc_fact_batch *fact;
    const struct ipc_row_follower *row;
    const struct ipc_row_policy *policy; /* NULL = none */
    uint32_t order, first, count;
};

static const struct ipc_fact_wide *wide_of(const struct ipc_fact_batch *fact, uint32_t at)
{
    const struct ipc_fact_wide *wides = ipc_fact_batch_wides(fact);
    for (uint32_t i = 0; i < fact->wide_count; i++) {
        if (wides[i].at == at)
            return &wides[i];
    }
    return NULL;
}

static bool is_place(const struct ipc_fact_child *child)
{
    return child->kind == IPC_CHILD_PLACE || child->kind == IPC_CHILD_PLACE_QUEUED;
}

static uint8_t flags_of(const struct ipc_fact_batch *fact, uint32_t at)
{
    const struct ipc_fact_wide *wide = wide_of(fact, at);
    if (wide != NULL)
        return wide->flags;
    return fact->is_exit ? IPC_WIDE_EXIT : 0;
}

static int64_t lots_e8(const struct sim *sim, uint32_t instrument, __int128 qty_e8)
{
    int64_t lot_e8 = sim->published.instruments[instrument - 1].lot_qty_e8;
    return (int64_t)(qty_e8 / lot_e8) * lot_e8;
}

/* Quantity of what is placed for it, and whether nothing cut it. */
static int64_t placed_e8(const struct group *group, uint8_t is_exit, bool *whole)
{
    const struct ipc_fact_child *children = ipc_fact_batch_children(group->fact);
    int64_t sum = 0;
    *whole = true;
    for (uint32_t i = group->first; i < group->first + group->count; i++) {
        bool exits = (flags_of(group->fact, i) & IPC_WIDE_EXIT) != 0;
        if (is_place(&children[i]) && exits == (is_exit != 0))
            sum += children[i].qty_e8;
        else
            *whole = false;
        *whole = *whole && children[i].reason == IPC_REASON_NONE;
    }
    return sum;
}

/* An opening of the plain modes is the master's quantity times the ratio, rounded down once; of
 * fills, over all that has filled. */
static void check_size(struct sim *sim, const struct group *group)
{
    const struct ipc_row_policy *policy = group->policy;
    const struct ipc_row_follower *row = group->row;
    const struct ipc_fact_batch *fact = group->fact;
    uint32_t index = group->order;
    bool whole = false;
    int64_t sum_e8 = placed_e8(group, 0, &whole);
    if (sum_e8 == 0 || row->map != 0)
        return;
    uint32_t slot = (uint32_t)(row - sim->shell.adopted->followers);
    int64_t *given_e8 = &sim->judge.given[index][slot].given_e8;
    int64_t before_e8 = *given_e8;
    if (before_e8 == 0)
        sim->judge.given[index][slot].ratio_e8 = row->ratio_e8;
    bool by_fill =
        (flags_of(fact, group->first) & IPC_WIDE_ON_FILL) != 0 || row->copy == IPC_COPY_ON_FILL;
    *given_e8 += sum_e8;
    /* What was copied at another ratio stays copied. */
    if (!whole || sim->judge.orders[index].was_reduction || fact->wave == 0 ||
        sim->judge.given[index][slot].ratio_e8 != row->ratio_e8 ||
        (policy != NULL && (policy->round != IPC_ROUND_DOWN || policy->step_e8 != 0 ||
                               (policy->flags & (IPC_POLICY_CARRY | IPC_POLICY_FORCE_MIN)))))
        return;
    uint32_t instrument = sim->judge.orders[index].instrument;
    int64_t expected_e8 = 0;
    if (row->mode == IPC_MODE_FIXED_RATIO && (by_fill || fact->transition == IPC_TRANSITION_NEW)) {
        int64_t of_e8 =
            by_fill ? sim->judge.orders[index].filled_e8 : sim->judge.orders[index].qty_e8;
        expected_e8 = lots_e8(sim, instrument, (__int128)of_e8 * row->ratio_e8 / LS_E8);
    } else if (row->mode == IPC_MODE_FIXED_QUANTITY && !by_fill &&
               fact->transition == IPC_TRANSITION_NEW) {
        expected_e8 = lots_e8(sim, instrument, row->fixed_qty_e8);
    } else {
        return;
    }
    sim->figures.sizes_checked++;
    if (before_e8 + sum_e8 != expected_e8)
        sim_fail(sim, "sizes: %s of %u come to %lld, the ratio makes %lld%s",
            by_fill ? "copies of fills" : "copies", row->follower_no,
            (long long)((before_e8 + sum_e8) / LS_E8), (long long)(expected_e8 / LS_E8),
            by_fill ? " of all that filled" : "");
}

/* The price guard: an opening that follows a market order or a fill is a limit of an instant. */
static void check_guard(struct sim *sim, const struct group *group, uint32_t at)
{
    const struct ipc_fact_batch *fact = group->fact;
    const struct ipc_fact_wide *wide = wide_of(fact, at);
    if (group->policy == NULL || group->policy->slippage_cap_e8 == 0 || group->row->map != 0 ||
        fact->transition == IPC_TRANSITION_FOLLOW_UP || fact->transition == IPC_TRANSITION_AMENDED)
        return;
    uint8_t flags = flags_of(fact, at);
    if (!(flags & IPC_WIDE_ON_FILL) && sim->judge.orders[group->order].type != IPC_TYPE_MARKET)
        return;
    int64_t sample_e8 =
        wide != NULL && wide->price_sample_e8 != 0 ? wide->price_sample_e8 : fact->price_sample_e8;
    int64_t average_e8 = sim->judge.orders[group->order].average_e8;
    int64_t high_e8 = ls_max_i64(sample_e8, average_e8);
    int64_t low_e8 = sample_e8 == 0    ? average_e8
                     : average_e8 == 0 ? sample_e8
                                       : ls_min_i64(sample_e8, average_e8);
    int64_t price_e8 = wide != NULL ? wide->price_e8 : fact->price_e8;
    uint8_t side = wide != NULL ? wide->side : fact->side;
    uint8_t validity = wide != NULL ? wide->validity : fact->validity;
    int64_t cap_e8 = group->policy->slippage_cap_e8;
    bool within = side == IPC_SIDE_BUY
                      ? (__int128)price_e8 * LS_E8 <= (__int128)high_e8 * (LS_E8 + cap_e8)
                      : (__int128)price_e8 * LS_E8 >= (__int128)low_e8 * (LS_E8 - cap_e8);
    if (validity != IPC_VALIDITY_IOC || price_e8 == 0 || !within)
        sim_fail(sim,
            "guard: an opening of %u (%s, instrument %u, %s%s) leaves at %lld, %s, around %lld and "
            "%lld, "
            "cap %lld",
            group->row->follower_no, ipc_transition_name((enum ipc_transition)fact->transition),
            sim->judge.orders[group->order].instrument, ipc_side_name((enum ipc_side)side),
            flags & IPC_WIDE_ON_FILL ? ", of a fill" : "", (long long)price_e8,
            ipc_validity_name((enum ipc_validity)validity), (long long)low_e8, (long long)high_e8,
            (long long)cap_e8);
}

/* A line with nothing on its way, by the journal: what is held is known. */
static bool line_known(const struct sim *sim, const struct sim_line *line, int64_t *held_e8)
{
    *held_e8 = 0;
    for (uint32_t i = 0; i < SIM_TAGS; i++) {
        const struct sim_tag *tag = &sim->judge.tags[i];
        if (tag->tag[0] == '\0' || tag->follower_no != line->follower_no ||
            tag->incarnation != line->incarnation || tag->source != line->source ||
            tag->instrument != line->instrument || tag->product != line->product)
            continue;
        if (!tag->is_over)
            return false;
        *held_e8 += tag->side == IPC_SIDE_BUY ? tag->filled_e8 : -tag->filled_e8;
    }
    return true;
}

/* A close in a plain run is the part of what was held at its begin that the master has closed of
 * his, less what earlier closes of the run took. */
static void check_close(struct sim *sim, const struct group *group)
{
    const struct sim_judge *judge = &sim->judge;
    const struct ipc_row_follower *row = group->row;
    const struct ipc_fact_batch *fact = group->fact;
    const struct ipc_fact_child *first = &ipc_fact_batch_children(fact)[group->first];
    uint32_t index = group->order;
    struct sim_run *run = run_of(sim, judge->orders[index].master,
        (uint8_t)judge->orders[index].instrument, judge->orders[index].product);
    if (fact->wave == 0 || fact->transition != IPC_TRANSITION_NEW || !run->is_plain ||
        judge->orders[index].run != run->number || row->copy == IPC_COPY_ON_FILL || row->map != 0 ||
        group->policy != NULL)
        return;
    const uint8_t traded = (uint8_t)judge->orders[index].instrument;
    struct sim_line *line = line_find(
        sim, row->follower_no, row->incarnation, traded, traded, judge->orders[index].product);
    if (line == NULL)
        return;
    if (sim->by_hand[row->account - 1][line->instrument - 1])
        return;                                   /* what its owner closed is not closed again */
    for (uint32_t i = 0; i < group->count; i++) { /* positions of an earlier subscription too */
        if (first[i].incarnation != row->incarnation)
            return;
    }
    int64_t held_e8 = 0, before_e8 = judge->orders[index].before_e8;
    int64_t closes_e8 = judge->orders[index].qty_e8;
    bool known = line_known(sim, line, &held_e8), whole = false;
    held_e8 = magnitude(held_e8);
    if (line->run != run->number) {
        line->run = run->number;
        line->run_held = held_e8;
        line->run_master = before_e8;
        line->run_reduced = line->run_closed = 0;
    }
    int64_t sum_e8 = placed_e8(group, 1, &whole);
    if (!known || line->run_master != run->first_e8 ||
        line->run_reduced + before_e8 != line->run_master ||
        line->run_held - line->run_closed != held_e8 || before_e8 == 0 ||
        (sum_e8 == 0 && first->reason != IPC_REASON_SUB_LOT &&
            first->reason != IPC_REASON_QTY_ZERO)) {
        line->run_held = -1; /* not to be followed until the next opening */
        return;
    }
    line->run_reduced += closes_e8;
    __int128 share = (__int128)line->run_held * line->run_reduced / line->run_master;
    int64_t expected_e8 = lots_e8(sim, line->instrument, share) - line->run_closed;
    if (line->run_reduced == line->run_master)
        expected_e8 = held_e8;
    line->run_closed += sum_e8;
    sim->figures.closes_checked++;
    if (sum_e8 != expected_e8)
        sim_fail(sim,
            "closes: %u closes %lld of %u, the master's %lld of %lld are %lld of its %lld, less "
            "what was closed",
            row->follower_no, (long long)(sum_e8 / LS_E8), line->instrument,
            (long long)(line->run_reduced / LS_E8), (long long)(line->run_master / LS_E8),
            (long long)(expected_e8 / LS_E8), (long long)(line->run_held / LS_E8));
}

static void check_group(struct sim *sim, const struct group *group)
{
    const struct ipc_fact_child *children = ipc_fact_batch_children(group->fact);
    bool closes = false;
    for (uint32_t i = group->first; i < group->first + group->count; i++) {
        const struct ipc_fact_wide *wide = wide_of(group->fact, i);
        bool is_exit = (flags_of(group->fact, i) & IPC_WIDE_EXIT) != 0;
        uint32_t instrument = wide != NULL && wide->instrument != 0
                                  ? wide->instrument
                                  : sim->judge.orders[group->order].instrument;
        closes = closes || is_exit;
        if (!is_place(&children[i]))
            continue;
        int64_t freeze_e8 = sim->published.instruments[instrument - 1].freeze_qty_e8;
        if (freeze_e8 != 0 && children[i].qty_e8 > freeze_e8)
            sim_fail(sim, "slices: %lld of %u are decided for %u, an order may carry %lld",
                (long long)(children[i].qty_e8 / LS_E8), instrument, children[i].follower_no,
                (long long)(freeze_e8 / LS_E8));
        if (!is_exit)
            check_guard(sim, group, i);
    }
    if (closes)
        check_close(sim, group);
    else
        check_size(sim, group);
}

void sim_positions_batch(struct sim *sim, uint32_t order, const struct ipc_fact_batch *fact)
{
    const struct ipc_fact_child *children = ipc_fact_batch_children(fact);
    const struct sim_rows *rows = sim->shell.adopted;
    if (sim->judge.is_rereading || rows == NULL || sim->judge.orders[order].is_own)
        return;
    for (uint32_t i = 0; i < fact->child_count;) {
        struct group group = {.fact = fact, .order = order, .first = i};
        for (;
             i < fact->child_count && children[i].follower_no == children[group.first].follower_no;
             i++)
            group.count++;
        if (children[group.first].follower_no == 0)
            continue;
        group.row = &rows->followers[children[group.first].slot];
        if (group.row->policy != 0)
            group.policy = &rows->policies[group.row->policy - 1];
        if (group.row->follower_no == children[group.first].follower_no)
            check_group(sim, &group);
    }
}

/* ---- what leaves ----------------------------------------------------------------------------- */

static bool is_tripped(
    const struct sim *sim, const struct sim_tag *tag, const struct ipc_row_follower *row)
{
    for (uint32_t i = 0; i < sim->judge.trip_count; i++) {
        const struct sim_trip *trip = &sim->judge.trips[i];
        if ((trip->scope == IPC_LIMIT_SCOPE_LINK && trip->follower_no == tag->follower_no &&
                trip->incarnation == tag->incarnation) ||
            (trip->scope == IPC_LIMIT_SCOPE_FOLLOWER && trip->account == row->account) ||
            (trip->scope == IPC_LIMIT_SCOPE_GROUP && trip->account == row->master) ||
            trip->scope == IPC_LIMIT_SCOPE_ALL)
            return true;
    }
    return false;
}

static bool same_line(const struct sim_tag *a, const struct sim_tag *b)
{
    return a->follower_no == b->follower_no && a->incarnation == b->incarnation &&
           a->source == b->source && a->instrument == b->instrument && a->product == b->product;
}

/* A close goes alone: no other of its line is unanswered. Of what is in doubt the worst counts:
 * exits as done, entries as not. */
static void check_exit(struct sim *sim, const struct sim_tag *tag)
{
    const struct sim_tag *doubtful = NULL;
    if (tag->is_unanswered == SIM_IN_DOUBT)
        return;             /* the same id once more, which counts as done already */
    int64_t certain_e8 = 0; /* signed */
    for (uint32_t i = 0; i < SIM_TAGS; i++) {
        const struct sim_tag *other = &sim->judge.tags[i];
        if (other->tag[0] == '\0' || !same_line(other, tag))
            continue;
        if (other != tag && other->is_exit && other->is_unanswered == SIM_UNANSWERED &&
            other->decision != tag->decision)
            sim_fail(
                sim, "exits: %s goes although %s is sent and unanswered", tag->tag, other->tag);
        if (other->is_exit && other->is_unanswered == SIM_IN_DOUBT)
            doubtful = other;
        bool may_fill = other->is_exit && (other == tag || (other->was_sent && !other->is_over));
        int64_t part_e8 = may_fill ? other->ordered_e8 : other->filled_e8;
        certain_e8 += other->side == IPC_SIDE_BUY ? part_e8 : -part_e8;
    }
    /* What its owner closed by hand is less to close, and is in no fill of a copy. */
    const struct ipc_row_follower *row = &sim->shell.adopted->followers[tag->slot];
    if (sim->by_hand[row->account - 1][tag->instrument - 1])
        return;
    if (doubtful != NULL && (tag->side == IPC_SIDE_BUY ? certain_e8 > 0 : certain_e8 < 0))
        sim_fail(sim, "exits: %s goes and may close %lld more than is certain: %s is in doubt",
            tag->tag, (long long)(magnitude(certain_e8) / LS_E8), doubtful->tag);
}

/* A frame lets the bytes of a place leave. */
void sim_positions_permit(struct sim *sim, struct sim_tag *tag)
{
    const struct ipc_row_follower *row = &sim->shell.adopted->followers[tag->slot];
    if (sim->judge.lost_tail)
        return;
    if (tag->is_exit) {
        check_exit(sim, tag);
        tag->is_unanswered = SIM_UNANSWERED;
        return;
    }
    if (row->follower_no != tag->follower_no)
        return;
    if (!(row->flags & IPC_FOLLOWER_ENABLED) ||
        (row->flags & (IPC_FOLLOWER_PAUSED | IPC_FOLLOWER_RETIRED)))
        sim_fail(sim, "bars: entry %s goes although its follower is paused or ended", tag->tag);
    if (!(row->flags & IPC_FOLLOWER_ALLOW_SHORT) && tag->side == IPC_SIDE_SELL)
        sim_fail(sim, "bars: entry %s sells although its follower goes not short", tag->tag);
    if (tag->incarnation == row->incarnation && is_tripped(sim, tag, row))
        sim_fail(sim, "bars: entry %s goes although a money limit is reached", tag->tag);
}

static void excuse(struct sim *sim, const struct sim_tag *tag)
{
    if (tag->is_exit)
        sim_line_of(sim, tag)->is_excused = 1;
}

void sim_positions_reply(struct sim *sim, const struct ipc_fact_reply *replies, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sim_tag *tag = sim_tag_find(sim, replies[i].tag);
        if (tag == NULL || replies[i].action != IPC_ACTION_PLACE)
            continue;
        uint8_t outcome = replies[i].outcome.outcome;
        tag->is_unanswered =
            outcome == IPC_OUTCOME_UNKNOWN && tag->is_unanswered ? SIM_IN_DOUBT : 0;
        if (outcome != IPC_OUTCOME_ACKED)
            excuse(sim, tag);
        if (outcome == IPC_OUTCOME_REJECTED)
            tag->is_over = 1;
        if (outcome == IPC_OUTCOME_LIMITED || outcome == IPC_OUTCOME_AUTH ||
            outcome == IPC_OUTCOME_NOT_SENT)
            tag->was_sent = 0; /* it may go again, by another frame */
    }
}

void sim_positions_update(struct sim *sim, const struct ipc_fact_event *fact)
{
    struct sim_tag *tag = sim_tag_find(sim, fact->event.client_tag);
    if (tag == NULL)
        return;
    tag->is_unanswered = tag->is_unresolved = 0;
    tag->filled_e8 = ls_max_i64(tag->filled_e8, fact->event.filled_qty_e8);
    if (ipc_status_final((enum ipc_status)fact->event.status)) {
        tag->is_over = 1;
        if (fact->event.status != IPC_STATUS_FILLED)
            excuse(sim, tag);
    }
}

/* ---- money limits ---------------------------------------------------------------------------- */

static bool ends_trip(const struct sim_trip *trip, const struct ipc_fact_limit *fact)
{
    bool same = fact->scope == IPC_LIMIT_SCOPE_ALL ||
                (trip->follower_no != 0 && trip->follower_no == fact->follower_no) ||
                (trip->account != 0 && trip->account == fact->account);
    switch (fact->act) {
    case IPC_LIMIT_ACT_LIFT:
        return trip->kind == fact->kind && same;
    case IPC_LIMIT_ACT_RESUME:
        return same;
    case IPC_LIMIT_ACT_SESSION:
        return trip->kind <= IPC_LIMIT_DRAWDOWN_FRACTION;
    default:
        return false;
    }
}

void sim_positions_limit(struct sim *sim, const struct ipc_fact_limit *fact)
{
    struct sim_judge *judge = &sim->judge;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < judge->trip_count; i++) {
        if (!ends_trip(&judge->trips[i], fact))
            judge->trips[kept++] = judge->trips[i];
    }
    judge->trip_count = kept;
    if (fact->act != IPC_LIMIT_ACT_TRIP || judge->trip_count == LS_COUNT_OF(judge->trips))
        return;
    judge->trips[judge->trip_count++] = (struct sim_trip){.kind = fact->kind,
        .scope = fact->scope,
        .incarnation = fact->incarnation,
        .follower_no = fact->follower_no,
        .account = fact->account};
}

/* ---- the books ------------------------------------------------------------------------------- */

void sim_positions_trade(
    struct sim *sim, const struct sim_tag *tag, bool is_buy, const struct adp_sim_trade *trade)
{
    struct sim_line *line = sim_line_of(sim, tag);
    (tag->is_exit ? line->exits : line->entries)[is_buy] += trade->units;
    sim_note(sim, "book fills %s: %s %lld, position %lld", tag->tag, is_buy ? "BUY" : "SELL",
        (long long)trade->units, (long long)line_units(line));
    /* Orders of a lost tail are not in any account that the engine keeps. */
    if (sim->judge.lost_tail)
        return;
    /* What exits have bought is never more than what entries have sold, and the other way. */
    if (tag->is_exit && line->exits[is_buy] > line->entries[!is_buy])
        sim_fail(sim, "caps: exits like %s have filled %lld units, entries only %lld", tag->tag,
            (long long)line->exits[is_buy], (long long)line->entries[!is_buy]);
    const struct ipc_row_follower *row = &sim->published.followers[tag->slot];
    if (!tag->is_exit && !is_buy && line_units(line) < 0 && row->follower_no == tag->follower_no &&
        !(row->flags & IPC_FOLLOWER_ALLOW_SHORT))
        sim_fail(sim, "caps: %s makes a follower short that may not be", tag->tag);
}

void sim_positions_works(
    struct sim *sim, const struct adp_sim_book *book, const struct sim_tag *tag)
{
    struct sim_line *line = sim_line_of(sim, tag);
    int64_t works[2] = {0, 0};
    if (sim->judge.lost_tail || !tag->is_exit)
        return;
    for (uint32_t i = 0; i < adp_sim_book_order_count(book); i++) {
        const struct adp_sim_order *order = adp_sim_book_order(book, i);
        const struct sim_tag *other = sim_tag_find(sim, order->terms.tag);
        if (other == NULL || !other->is_exit || order->refusal != 0 || order->reason != NULL ||
            other->follower_no != tag->follower_no || other->incarnation != tag->incarnation ||
            other->source != tag->source || other->instrument != tag->instrument ||
            other->product != tag->product)
            continue;
        works[order->terms.side == ADP_SIM_BUY] +=
            order->terms.units - order->filled_units - order->cancelled_units;
    }
    for (uint32_t side = 0; side < 2; side++) {
        if (works[side] > 0 && line->exits[side] + works[side] > line->entries[!side])
            sim_fail(sim,
                "caps: with %s exits have filled %lld and may fill %lld more, entries only %lld",
                tag->tag, (long long)line->exits[side], (long long)works[side],
                (long long)line->entries[!side]);
    }
}

/* ---- after healing --------------------------------------------------------------------------- */

static bool is_current(const struct sim *sim, const struct sim_line *line)
{
    return sim->published.followers[line->slot].follower_no == line->follower_no;
}

static int64_t copied_position_e8(const struct eng_core *core, const struct sim_line *line)
{
    uint32_t index = eng_position_of(
        core, line->follower_no, line->incarnation, line->source, line->instrument, line->product);
    if (index == ENG_NONE)
        return 0;
    return core->positions[index].held_e8 + core->positions[index].gone_e8;
}

/* What of the line's fills the account still has by the book: not what its owner closed by hand,
 * which is written off when all else is closed. */
static int64_t units_there(const struct sim *sim, const struct sim_line *line)
{
    const struct eng_core *core = sim->shell.core;
    uint32_t index = eng_position_of(
        core, line->follower_no, line->incarnation, line->source, line->instrument, line->product);
    return line_units(line) - (index == ENG_NONE ? 0 : core->positions[index].gone_e8 / LS_E8);
}

bool sim_positions_agree(const struct sim *sim, char *why, size_t why_bytes)
{
    for (uint32_t i = 0; i < sim->judge.line_count && !sim->judge.lost_tail; i++) {
        const struct sim_line *line = &sim->judge.lines[i];
        if (!is_current(sim, line) ||
            sim->published.followers[line->slot].incarnation != line->incarnation)
            continue;
        int64_t copied_e8 = copied_position_e8(sim->shell.core, line);
        if (copied_e8 != line_units(line) * LS_E8) {
            snprintf(why, why_bytes, "fills of %u in %u come to %lld, its copied position is %lld",
                line->follower_no, line->instrument, (long long)line_units(line),
                (long long)(copied_e8 / LS_E8));
            return false;
        }
    }
    return true;
}

static bool in_doubt(const struct sim *sim, const struct sim_line *line)
{
    for (uint32_t i = 0; i < SIM_TAGS; i++) {
        const struct sim_tag *tag = &sim->judge.tags[i];
        if (tag->tag[0] != '\0' && (tag->is_unanswered || tag->is_unresolved) &&
            tag->follower_no == line->follower_no && tag->instrument == line->instrument)
            return true;
    }
    return false;
}

/* By the newest rows of the line's own subscription: the one that has its slot now may copy the
 * other way round. A change of a policy leaves that flag as it is. */
static bool is_reversed(const struct sim *sim, const struct sim_line *line)
{
    for (uint64_t at = sim->published.view.generation; at > 0; at--) {
        uint32_t kept = (uint32_t)(at % SIM_GENERATIONS);
        const struct ipc_row_follower *row = &sim->judge.rows[kept][line->slot];
        if (row->follower_no == line->follower_no && row->incarnation == line->incarnation)
            return row->policy != 0 &&
                   (sim->judge.policies[kept][row->policy - 1].flags & IPC_POLICY_REVERSE) != 0;
    }
    return false;
}

/* What was copied of an order that its master cancelled is drift, and no close of his own. */
void sim_positions_begin_flat(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->judge.line_count; i++) {
        struct sim_line *line = &sim->judge.lines[i];
        int64_t master = sim_masters_held(sim, line->master, line->source, line->product);
        if (is_reversed(sim, line))
            master = -master;
        line->is_excused =
            !((master > 0 && line_units(line) > 0) || (master < 0 && line_units(line) < 0));
    }
}

/* What the engine knows of a line's copies goes on the tape. */
static void line_note(struct sim *sim, const struct sim_line *line)
{
    struct eng_child_view child;
    for (uint32_t i = 0; i < eng_core_child_count(sim->shell.core); i++) {
        if (eng_core_child(sim->shell.core, i, &child) && child.follower_no == line->follower_no &&
            child.instrument == line->instrument && child.product == line->product)
            sim_note(sim, "%s of %u: %s%s %lld of %lld, %s, %s", child.tag, child.follower_no,
                child.is_exit ? "exit " : "", ipc_side_name((enum ipc_side)child.side),
                (long long)(child.filled_qty_e8 / LS_E8), (long long)(child.qty_e8 / LS_E8),
                eng_state_name((enum eng_state)child.state),
                ipc_reason_name((enum ipc_reason)child.reason));
    }
}

void sim_positions_flat(struct sim *sim)
{
    if (sim->judge.lost_tail || sim->shell.halt_word)
        return;
    for (uint32_t i = 0; i < sim->judge.line_count; i++) {
        const struct sim_line *line = &sim->judge.lines[i];
        uint32_t account = sim->published.followers[line->slot].account;
        if (!is_current(sim, line) || line->is_excused || sim_check_shut(sim, line->slot) ||
            sim->by_hand[account - 1][line->instrument - 1])
            continue;
        sim->figures.flats_checked++;
        if (units_there(sim, line) != 0 && !in_doubt(sim, line))
            line_note(sim, line);
        if (units_there(sim, line) != 0 && !in_doubt(sim, line))
            sim_fail(sim,
                "flat: master %u is (%lld by the engine), but %u (subscription %u) holds %lld of "
                "%u, "
                "product %u",
                line->master,
                (long long)(eng_core_master_position(sim->shell.core, line->master, line->source,
                                (enum ipc_product)line->product) /
                            LS_E8),
                line->follower_no, line->incarnation, (long long)line_units(line), line->instrument,
                line->product);
    }
}
