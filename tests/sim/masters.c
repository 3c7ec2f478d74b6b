/* The masters: people who place, amend, cancel and get filled at their own broker. */
#include <stdio.h>
#include <string.h>

#include "ipc/tag.h"
#include "tests/sim/sim.h"

static void told(struct sim *sim, struct sim_master_order *order)
{
    order->state.version = sim->version = ls_max_i64(sim->version + 1, sim_wall(sim));
    order->state.event_key = ipc_event_key(&order->state);
    order->changed_ns = sim->now_ns;
    sim_feed_tell(sim, &order->state);
}

static int64_t near_price(struct sim *sim, uint32_t instrument)
{
    const int64_t tick = sim->published.instruments[instrument - 1].tick_e8;
    int64_t price = sim->price_e8[instrument - 1] / tick + sim_between(sim, -15, 15);
    return ls_max_i64(price, 1) * tick;
}

static int64_t lots(struct sim *sim, uint32_t instrument)
{
    const int64_t lot_e8 = sim->published.instruments[instrument - 1].lot_qty_e8;
    /* Some are larger than what one order may carry. */
    if (lot_e8 > LS_E8 && sim_chance(sim, 1, 12))
        return sim_between(sim, 20, 90) * lot_e8;
    return sim_between(sim, 1, lot_e8 > LS_E8 ? 12 : 150) * lot_e8;
}

static void fill(struct sim *sim, struct sim_master_order *order, int64_t qty_e8)
{
    struct ipc_event *state = &order->state;
    state->filled_qty_e8 += qty_e8;
    state->average_price_e8 = sim->price_e8[state->instrument - 1];
    state->status = state->filled_qty_e8 == state->qty_e8 ? IPC_STATUS_FILLED : IPC_STATUS_OPEN;
}

/* What the master holds of an instrument and product, by its own book. */
int64_t sim_masters_held(
    const struct sim *sim, uint32_t account, uint32_t instrument, uint8_t product)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < sim->order_count; i++) {
        const struct ipc_event *state = &sim->orders[i].state;
        if (state->account == account && state->instrument == instrument &&
            state->product == product)
            sum += state->side == IPC_SIDE_BUY ? state->filled_qty_e8 : -state->filled_qty_e8;
    }
    return sum;
}

/* A close: all of it, a piece, more than there is (a reversal), or a stop that protects it. */
static void reduction(struct sim *sim, struct ipc_event *state, int64_t position)
{
    const int64_t lot_e8 = sim->published.instruments[state->instrument - 1].lot_qty_e8;
    int64_t all = position > 0 ? position : -position;
    state->side = position > 0 ? IPC_SIDE_SELL : IPC_SIDE_BUY;
    switch (sim_below(sim, 6)) {
    case 0:
    case 1:
        state->qty_e8 = all;
        break;
    case 2:
    case 3:
        state->qty_e8 = sim_between(sim, 1, ls_max_i64(all / lot_e8, 1)) * lot_e8;
        break;
    case 4:
        state->qty_e8 = all + sim_between(sim, 1, 6) * lot_e8;
        break;
    default:
        state->qty_e8 = all;
        state->type = sim_chance(sim, 1, 2) ? IPC_TYPE_SL : IPC_TYPE_SLM;
        break;
    }
}

/* The nine characters that tags of its copies have of it. */
static const char *digits_of(const struct ipc_event *state, char out[IPC_TAG_BYTES])
{
    ipc_tag_order_text(state->order_digits, out);
    out[IPC_TAG_ORDER_DIGITS] = '\0';
    return out;
}

static void place(struct sim *sim)
{
    char digits[IPC_TAG_BYTES];
    if (sim->order_count >= sim->order_max)
        return;
    struct sim_master_order *order = &sim->orders[sim->order_count];
    struct ipc_event *state = &order->state;
    static const uint8_t types[] = {IPC_TYPE_LIMIT, IPC_TYPE_LIMIT, IPC_TYPE_LIMIT, IPC_TYPE_MARKET,
        IPC_TYPE_MARKET, IPC_TYPE_SL, IPC_TYPE_SLM};
    *state = (struct ipc_event){.kind = IPC_EVENT_ORDER,
        .account = 1 + sim_below(sim, sim->master_count),
        .instrument = 1 + sim_below(sim, SIM_INSTRUMENTS),
        .side = sim_chance(sim, 2, 3) ? IPC_SIDE_BUY : IPC_SIDE_SELL,
        .type = types[sim_below(sim, LS_COUNT_OF(types))],
        .validity = sim_chance(sim, 1, 12) ? IPC_VALIDITY_IOC : IPC_VALIDITY_DAY,
        .status = sim_chance(sim, 1, 6) ? IPC_STATUS_PENDING : IPC_STATUS_OPEN,
        .source = IPC_SOURCE_TERMINAL};
    bool is_cash = sim->published.instruments[state->instrument - 1].kind == IPC_KIND_CASH;
    state->product = sim_chance(sim, 2, 3) ? IPC_PRODUCT_MIS
                     : is_cash             ? IPC_PRODUCT_CNC
                                           : IPC_PRODUCT_NRML;
    state->qty_e8 = lots(sim, state->instrument);
    int64_t position = sim_masters_held(sim, state->account, state->instrument, state->product);
    if (position != 0 && sim_chance(sim, sim->is_calm ? 2 : 1, sim->is_calm ? 3 : 2))
        reduction(sim, state, position);
    if (sim->is_calm && state->type != IPC_TYPE_LIMIT)
        state->type = IPC_TYPE_MARKET;
    if (state->type == IPC_TYPE_LIMIT || state->type == IPC_TYPE_SL)
        state->price_e8 = near_price(sim, state->instrument);
    if (state->type == IPC_TYPE_SL || state->type == IPC_TYPE_SLM)
        state->trigger_e8 = near_price(sim, state->instrument);
    if (state->type == IPC_TYPE_SL) { /* a stop's limit is beyond its trigger */
        int64_t low = ls_min_i64(state->price_e8, state->trigger_e8);
        int64_t high = ls_max_i64(state->price_e8, state->trigger_e8);
        state->price_e8 = state->side == IPC_SIDE_BUY ? high : low;
        state->trigger_e8 = state->side == IPC_SIDE_BUY ? low : high;
    }
    snprintf(state->broker_order_id, sizeof(state->broker_order_id), "M%06u", ++sim->order_count);
    ipc_order_key(SIM_CLUSTER, state->account, state->broker_order_id, &state->order_key,
        &state->order_digits);
    if (state->type == IPC_TYPE_MARKET && (sim->is_calm || sim_chance(sim, 1, 2)))
        fill(sim, order, state->qty_e8);
    sim_note(sim, "master %u places %s (L%s): %s %lld of %u", state->account,
        state->broker_order_id, digits_of(state, digits), ipc_side_name((enum ipc_side)state->side),
        (long long)(state->qty_e8 / LS_E8), state->instrument);
    told(sim, order);
}

static void amend(struct sim *sim, struct ipc_event *state)
{
    const int64_t lot_e8 = sim->published.instruments[state->instrument - 1].lot_qty_e8;
    if (state->type != IPC_TYPE_MARKET && state->type != IPC_TYPE_SLM && sim_chance(sim, 1, 2)) {
        int64_t move = sim_between(sim, -5, 5) * (LS_E8 / 20);
        state->price_e8 = ls_max_i64(state->price_e8 + move, LS_E8 / 20);
    }
    if (state->trigger_e8 != 0 && sim_chance(sim, 1, 2))
        state->trigger_e8 = ls_max_i64(state->trigger_e8 + LS_E8 / 20, LS_E8 / 20);
    if (sim_chance(sim, 1, 2)) {
        int64_t qty = lots(sim, state->instrument);
        state->qty_e8 = ls_max_i64(qty, state->filled_qty_e8 + lot_e8);
    }
}

void sim_masters_act(struct sim *sim)
{
    if (sim->order_count == 0 || sim_chance(sim, 1, 3)) {
        place(sim);
        return;
    }
    /* Recent orders are likelier to be touched. */
    uint32_t back = sim_chance(sim, 3, 4) ? 6 : sim->order_count;
    uint32_t index =
        sim->order_count - 1 - sim_below(sim, back < sim->order_count ? back : sim->order_count);
    struct sim_master_order *order = &sim->orders[index];
    struct ipc_event *state = &order->state;
    if (ipc_status_final((enum ipc_status)state->status))
        return;
    const int64_t lot_e8 = sim->published.instruments[state->instrument - 1].lot_qty_e8;
    int64_t left = state->qty_e8 - state->filled_qty_e8;
    if (sim->is_calm) {
        bool in_part = left > lot_e8 && sim_chance(sim, 2, 3);
        fill(sim, order, in_part ? sim_between(sim, 1, left / lot_e8 - 1) * lot_e8 : left);
        told(sim, order);
        return;
    }
    switch (sim_below(sim, 6)) {
    case 0:
        /* A storm: many states of one order within a moment. */
        for (uint32_t more = sim_chance(sim, 1, 8) ? 24 : 0; more > 0; more--) {
            amend(sim, state);
            told(sim, order);
        }
        amend(sim, state);
        break;
    case 1:
        amend(sim, state);
        break;
    case 2:
        if (left > lot_e8)
            fill(sim, order, sim_between(sim, 1, left / lot_e8) * lot_e8);
        else
            fill(sim, order, left);
        break;
    case 3:
        fill(sim, order, left);
        break;
    case 4:
        state->status = IPC_STATUS_CANCELLED;
        break;
    default:
        if (state->filled_qty_e8 > 0)
            return;
        state->status = sim_chance(sim, 1, 2) ? IPC_STATUS_REJECTED : IPC_STATUS_OPEN;
        break;
    }
    sim_note(sim, "master %u: %s is %s, %lld of %lld", state->account, state->broker_order_id,
        ipc_status_name((enum ipc_status)state->status), (long long)(state->filled_qty_e8 / LS_E8),
        (long long)(state->qty_e8 / LS_E8));
    told(sim, order);
}

static void flat_order(
    struct sim *sim, uint32_t account, uint32_t instrument, uint8_t product, int64_t qty_e8)
{
    if (sim->order_count == SIM_ORDERS)
        return;
    struct sim_master_order *order = &sim->orders[sim->order_count];
    struct ipc_event *state = &order->state;
    *state = (struct ipc_event){.kind = IPC_EVENT_ORDER,
        .account = account,
        .instrument = instrument,
        .side = qty_e8 > 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL,
        .type = IPC_TYPE_MARKET,
        .product = product,
        .validity = IPC_VALIDITY_DAY,
        .qty_e8 = qty_e8 > 0 ? qty_e8 : -qty_e8,
        .source = IPC_SOURCE_TERMINAL};
    snprintf(state->broker_order_id, sizeof(state->broker_order_id), "M%06u", ++sim->order_count);
    ipc_order_key(SIM_CLUSTER, state->account, state->broker_order_id, &state->order_key,
        &state->order_digits);
    fill(sim, order, state->qty_e8);
    sim_note(sim, "master %u %s %s %lld of %u", account, qty_e8 > 0 ? "buys" : "sells",
        state->broker_order_id, (long long)(state->qty_e8 / LS_E8), instrument);
    told(sim, order);
}

void sim_masters_flat(struct sim *sim)
{
    for (uint32_t account = 1; account <= sim->master_count; account++) {
        for (uint32_t instrument = 1; instrument <= SIM_INSTRUMENTS; instrument++) {
            for (uint8_t product = IPC_PRODUCT_MIS; product <= IPC_PRODUCT_MTF; product++) {
                int64_t position = sim_masters_held(sim, account, instrument, product);
                if (position != 0)
                    flat_order(sim, account, instrument, product, -position);
            }
        }
    }
}

void sim_masters_rescan(struct sim *sim, uint32_t account, bool is_new_boot)
{
    struct ipc_event mark = {.kind = IPC_EVENT_BOOK_BEGIN,
        .account = account,
        .received_mono_ns = sim_mono(sim),
        .published_mono_ns = sim_mono(sim)};
    sim_feed_put(sim, &mark);
    for (uint32_t i = 0; i < sim->order_count; i++) {
        struct ipc_event event = sim->orders[i].state;
        if (event.account != account)
            continue;
        event.flags |= IPC_EVENT_FROM_BOOK;
        event.received_mono_ns = event.published_mono_ns = sim_mono(sim);
        event.feed_lag_ns =
            is_new_boot ? 24 * 3600 * LS_NS_PER_S : sim->now_ns - sim->orders[i].changed_ns;
        sim_feed_put(sim, &event);
        mark.book_order_count++;
    }
    mark.kind = IPC_EVENT_BOOK_END;
    sim_feed_put(sim, &mark);
}
