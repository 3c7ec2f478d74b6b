/* The configuration: accounts, followers with random rows, instruments, the characters of the
 * brokers; and what people change while the day goes on. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

void sim_rows_bind(struct sim_rows *rows)
{
    rows->view = (struct ipc_snapshot_view){.generation = rows->view.generation,
        .cluster = &rows->cluster,
        .brokers = rows->brokers,
        .accounts = rows->accounts,
        .instruments = rows->instruments,
        .followers = rows->followers,
        .masters = rows->masters,
        .master_slots = rows->master_slots,
        .lists = rows->lists,
        .list_items = rows->list_items,
        .policies = rows->policies,
        .maps = rows->maps,
        .map_items = rows->map_items,
        .policy_count = SIM_FOLLOWERS,
        .map_count = 1,
        .map_item_count = 1,
        .broker_count = SIM_BROKERS,
        .account_count = SIM_ACCOUNTS,
        .instrument_count = SIM_INSTRUMENTS,
        .follower_slots = SIM_FOLLOWERS,
        .master_count = SIM_MASTERS,
        .master_slot_count = rows->view.master_slot_count,
        .list_count = 2,
        .list_item_count = 4};
}

void sim_token(uint32_t account, uint64_t version, char *out, size_t out_bytes)
{
    snprintf(out, out_bytes, "token-%u-%llu", account, (unsigned long long)version);
}

/* ---- instruments ----------------------------------------------------------------------------- */

static const struct {
    enum ipc_exchange exchange;
    enum ipc_instrument_kind kind;
    enum adp_sim_kind book_kind;
    int64_t lot, freeze, price;
} contracts[SIM_INSTRUMENTS] = {
    {IPC_EXCHANGE_NSE, IPC_KIND_CASH, ADP_SIM_EQUITY, 1, 0, 500},
    {IPC_EXCHANGE_NFO, IPC_KIND_OPTION, ADP_SIM_OPTION, 65, 1755, 120},
    {IPC_EXCHANGE_NFO, IPC_KIND_FUTURE, ADP_SIM_FUTURE, 30, 600, 2200},
    {IPC_EXCHANGE_NSE, IPC_KIND_CASH, ADP_SIM_EQUITY, 1, 0, 90},
    {IPC_EXCHANGE_BSE, IPC_KIND_CASH, ADP_SIM_EQUITY, 1, 0, 1500},
};

static void instruments_make(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_INSTRUMENTS; i++) {
        struct ipc_row_instrument *row = &sim->published.instruments[i];
        row->instrument = i + 1;
        row->exchange = (uint8_t)contracts[i].exchange;
        row->kind = (uint8_t)contracts[i].kind;
        row->right = contracts[i].kind == IPC_KIND_OPTION ? 'C' : 0;
        row->lot_qty_e8 = contracts[i].lot * LS_E8;
        row->tick_e8 = LS_E8 / 20;
        row->freeze_qty_e8 = contracts[i].freeze * LS_E8;
        row->strike_e8 = contracts[i].kind == IPC_KIND_OPTION ? 2200 * LS_E8 : 0;
        snprintf(row->token, sizeof(row->token), "%u", 1001 + i);
        snprintf(row->symbol, sizeof(row->symbol), "SYMBOL%u", i + 1);
        sim->price_e8[i] = contracts[i].price * LS_E8;
        for (uint32_t broker = 0; broker < SIM_BROKERS; broker++) {
            struct adp_sim_instrument instrument = {
                .exchange = adp_sim_exchange_of(ipc_exchange_name(contracts[i].exchange)),
                .kind = contracts[i].book_kind,
                .token = 1001 + i,
                .call = true,
                .strike_e8 = row->strike_e8,
                .lot_units = contracts[i].lot,
                .tick_e8 = row->tick_e8,
                .freeze_units = contracts[i].freeze,
                .last_e8 = sim->price_e8[i],
                .liquidity_units = -1,
            };
            memcpy(instrument.symbol, row->symbol, sizeof(row->symbol));
            LS_CHECK(adp_sim_book_add_instrument(sim->brokers[broker].book, &instrument) == i);
        }
    }
}

/* ---- brokers --------------------------------------------------------------------------------- */

static void brokers_make(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        struct sim_broker *broker = &sim->brokers[i];
        struct adp_sim_book_config config = {
            .seed = ipc_prng_next(&sim->prng),
            .short_delivery = sim_chance(sim, 1, 2),
            .partial_ppm = (uint32_t)sim_between(sim, 0, 500000),
            .exchange_latency_ns =
                sim_chance(sim, 1, 2) ? 0 : sim_between(sim, 0, 30 * LS_NS_PER_MS),
        };
        broker->book = adp_sim_book_create(&config);
        broker->api = (struct adp_sim_api){.book = broker->book,
            .members = &broker->members,
            .error_form = (enum adp_sim_error_form)sim_below(sim, 3),
            .prng = {ipc_prng_next(&sim->prng)}};
        sim_character_draw(sim, &broker->character);
        struct ipc_row_broker *row = &sim->published.brokers[i];
        row->live = 1;
        snprintf(row->name, sizeof(row->name), "broker%u", i);
        snprintf(row->dialect, sizeof(row->dialect), "alice-blue");
        row->reply_timeout_ms = (uint32_t)sim_between(sim, 200, 4000);
        row->orders_per_second = sim_chance(sim, 1, 3) ? (uint32_t)sim_between(sim, 3, 9) : 0;
        row->flags = broker->character.trusts_goaway ? IPC_BROKER_TRUST_GOAWAY : 0;
    }
}

/* ---- accounts and followers ------------------------------------------------------------------ */

static void accounts_make(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++) {
        struct ipc_row_account *row = &sim->published.accounts[i];
        char token[48];
        row->account = i + 1;
        row->broker = (uint16_t)sim_below(sim, SIM_BROKERS);
        row->roles = i < SIM_MASTERS ? IPC_ROLE_MASTER : IPC_ROLE_FOLLOWER;
        row->lanes = sim_chance(sim, 1, 2) ? IPC_LANES_OWN : IPC_LANES_SHARED;
        row->token_bytes = 64;
        row->token_version = 1;
        snprintf(row->login, sizeof(row->login), "LOGIN%u", i + 1);
        sim_token(i + 1, 1, token, sizeof(token));
        for (uint32_t broker = 0; broker < SIM_BROKERS; broker++) {
            struct adp_sim_book *book = sim->brokers[broker].book;
            LS_CHECK(adp_sim_book_add_account(book, row->login, 100000000 * LS_E8) == i);
            LS_CHECK(adp_sim_members_add(&sim->brokers[broker].members, token));
        }
    }
}

static void follower_draw(struct sim *sim, uint32_t slot)
{
    struct ipc_row_follower *row = &sim->published.followers[slot];
    static const int64_t ratios[] = {
        LS_E8 / 4, LS_E8 / 2, LS_E8, LS_E8, 3 * LS_E8 / 2, 2 * LS_E8, 5 * LS_E8};
    row->follower_no = sim->next_follower_no++;
    row->incarnation = 1;
    row->mode = (uint8_t)(sim_chance(sim, 3, 5) ? IPC_MODE_FIXED_RATIO : sim_between(sim, 2, 3));
    row->flags = IPC_FOLLOWER_ENABLED;
    row->flags |= sim_chance(sim, 3, 4) ? IPC_FOLLOWER_ALLOW_SHORT : 0;
    row->flags |= sim_chance(sim, 1, 4) ? IPC_FOLLOWER_CAP_SKIPS : 0;
    row->flags |= sim_chance(sim, 1, 2) ? IPC_FOLLOWER_VALUE_REDUCES : 0;
    row->products = sim_chance(sim, 1, 8) ? 1u << IPC_PRODUCT_MIS : 0;
    row->types = sim_chance(sim, 1, 8) ? 1u << IPC_TYPE_LIMIT : 0;
    row->sides = sim_chance(sim, 1, 10) ? 1u << IPC_SIDE_BUY : 0;
    row->ratio_e8 = row->mode == IPC_MODE_PERCENTAGE ? sim_between(sim, 1, 30) * LS_E8
                                                     : ratios[sim_below(sim, LS_COUNT_OF(ratios))];
    row->fixed_qty_e8 = sim_between(sim, 1, 200) * LS_E8;
    row->max_qty_e8 = sim_chance(sim, 1, 2) ? sim_between(sim, 1, 300) * LS_E8 : 0;
    row->max_order_value_e8 = sim_chance(sim, 1, 3) ? sim_between(sim, 5000, 200000) * LS_E8 : 0;
    row->max_position_e8 = sim_chance(sim, 1, 2) ? sim_between(sim, 10, 600) * LS_E8 : 0;
    row->allowed_list = sim_chance(sim, 1, 10) ? 1 : 0;
    row->denied_list = sim_chance(sim, 1, 10) ? 2 : 0;
    row->max_age_market_ms = sim_chance(sim, 1, 3) ? (uint32_t)sim_between(sim, 20, 4000) : 0;
    row->max_age_limit_ms = sim_chance(sim, 1, 3) ? (uint32_t)sim_between(sim, 20, 8000) : 0;
    sim_policy_draw(sim, slot);
}

static void master_slots_draw(struct sim *sim)
{
    struct sim_rows *rows = &sim->published;
    uint32_t count = 0;
    for (uint32_t master = 0; master < SIM_MASTERS; master++) {
        uint32_t first = count;
        for (uint32_t slot = 0; slot < sim->follower_count; slot++) {
            if (rows->followers[slot].follower_no != 0 &&
                rows->followers[slot].master == master + 1)
                rows->master_slots[count++] = slot;
        }
        for (uint32_t i = count; i > first + 1; i--) { /* the dispatch order changes too */
            uint32_t other = first + sim_below(sim, i - first);
            uint32_t kept = rows->master_slots[i - 1];
            rows->master_slots[i - 1] = rows->master_slots[other];
            rows->master_slots[other] = kept;
        }
        rows->masters[master] =
            (struct ipc_row_master){.account = master + 1, .first = first, .count = count - first};
    }
    rows->view.master_slot_count = count;
}

static void generation_end(struct sim *sim)
{
    struct sim_rows *rows = &sim->published;
    master_slots_draw(sim);
    rows->view.generation++;
    memcpy(sim->judge.rows[rows->view.generation % SIM_GENERATIONS], rows->followers,
        sizeof(rows->followers));
    memcpy(sim->judge.policies[rows->view.generation % SIM_GENERATIONS], rows->policies,
        sizeof(rows->policies));
    sim->figures.generations++;
}

void sim_world_make(struct sim *sim)
{
    struct sim_rows *rows = &sim->published;
    sim->next_follower_no = SIM_FOLLOWER_FIRST;
    sim->master_count = (uint32_t)sim_between(sim, 1, SIM_MASTERS);
    sim->follower_count = (uint32_t)sim_between(sim, 2, SIM_FOLLOWERS);
    sim->order_max = (uint32_t)sim_between(sim, 5, 300);
    sim->is_calm = sim_chance(sim, 1, 3);
    sim->is_restless = sim_chance(sim, 1, 12);
    sim->owners_trade = sim_chance(sim, 1, 3);
    sim->feed.ring_room = SIM_FEED;
    if (sim_chance(sim, 1, 6)) /* a book fits always: masters' orders, its begin and its end */
        sim->feed.ring_room = SIM_ORDERS + (uint32_t)sim_between(sim, 2, 200);
    sim->shell.is_slow = sim_chance(sim, 1, 12);
    sim->can_crash = sim_chance(sim, 2, 3) && !sim->is_calm;
    sim->can_lose_power = sim_chance(sim, 1, 4) && !sim->is_calm;
    sim->takes_entries = true;
    sim->shell.is_power_tier = sim_chance(sim, 1, 4);
    snprintf(rows->cluster.cluster_id, sizeof(rows->cluster.cluster_id), SIM_CLUSTER);
    rows->cluster.shard_count = 1;
    brokers_make(sim);
    instruments_make(sim);
    accounts_make(sim);
    for (uint32_t slot = 0; slot < sim->follower_count; slot++) {
        rows->followers[slot].account = SIM_MASTERS + 1 + slot;
        rows->followers[slot].broker = rows->accounts[SIM_MASTERS + slot].broker;
        rows->followers[slot].master = 1 + sim_below(sim, sim->master_count);
        follower_draw(sim, slot);
        sim->capital_e8[slot] = sim_between(sim, 50000, 1000000) * LS_E8;
    }
    rows->lists[0] = (struct ipc_row_list){.first = 0, .count = 3};
    rows->lists[1] = (struct ipc_row_list){.first = 3, .count = 1};
    rows->list_items[0] = 1, rows->list_items[1] = 2, rows->list_items[2] = 4;
    rows->list_items[3] = 3;
    rows->maps[0] = (struct ipc_row_list){.first = 0, .count = 1};
    rows->map_items[0] = (struct ipc_row_map_item){.from = 1, .to = 4};
    generation_end(sim);
}

/* ---- what people change ---------------------------------------------------------------------- */

/* A new token at the broker, and in the next generation. */
static void tokens_renew(struct sim *sim, bool all)
{
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++) {
        struct ipc_row_account *row = &sim->published.accounts[i];
        struct adp_sim_members *members = &sim->brokers[row->broker].members;
        char token[48];
        if (!all && !members->rows[i].expired && !sim_chance(sim, 1, 40))
            continue;
        row->token_version++;
        sim_token(i + 1, row->token_version, token, sizeof(token));
        LS_CHECK(adp_sim_members_set_token(members, i, token));
    }
}

/* A subscription ends and another takes its slot. Publishers do so only when every order of the
 * old one has ended: what belongs to a number that left its slot has no route to its account. */
static void slot_reuse(struct sim *sim, uint32_t slot)
{
    struct eng_child_view child;
    /* A power cut may take the frames back that told of the ends. */
    if (!sim->shell.lives || sim->can_lose_power)
        return;
    for (uint32_t i = 0; i < eng_core_child_count(sim->shell.core); i++) {
        if (eng_core_child(sim->shell.core, i, &child) && child.slot == slot &&
            child.state != ENG_STATE_FILLED && child.state != ENG_STATE_CANCELLED &&
            child.state != ENG_STATE_EXCH_REJECTED && child.state != ENG_STATE_SKIPPED &&
            child.state != ENG_STATE_REJECTED)
            return;
    }
    follower_draw(sim, slot);
}

static void follower_change(struct sim *sim)
{
    uint32_t slot = sim_below(sim, sim->follower_count);
    struct ipc_row_follower *row = &sim->published.followers[slot];
    uint32_t what = sim_below(sim, 10);
    static const char *const names[] = {"enabled or not", "paused or not", "ratio", "max_quantity",
        "max_order_value", "allowed list", "policy", "ended or not", "subscription", "slot"};
    sim_note(sim, "%u changes: %s", row->follower_no, names[what]);
    switch (what) {
    case 0:
        row->flags |= IPC_FOLLOWER_ENABLED;
        if (sim_chance(sim, 1, 3))
            row->flags &= (uint8_t)~IPC_FOLLOWER_ENABLED;
        break;
    case 1:
        row->flags &= (uint8_t)~IPC_FOLLOWER_PAUSED;
        if (sim_chance(sim, 1, 3))
            row->flags |= IPC_FOLLOWER_PAUSED;
        break;
    case 2:
        row->ratio_e8 = sim_between(sim, 1, 12) * LS_E8 / 4;
        break;
    case 3:
        row->max_qty_e8 = sim_chance(sim, 1, 2) ? sim_between(sim, 1, 300) * LS_E8 : 0;
        break;
    case 4:
        row->max_order_value_e8 =
            sim_chance(sim, 1, 2) ? sim_between(sim, 5000, 200000) * LS_E8 : 0;
        break;
    case 5:
        row->allowed_list = sim_chance(sim, 1, 4) ? 1 : 0;
        break;
    case 6:
        sim_policy_change(sim, slot);
        break;
    case 7: /* it ends, or goes on as the same subscription */
        row->flags &= (uint8_t)~IPC_FOLLOWER_RETIRED;
        if (sim_chance(sim, 1, 2))
            row->flags |= IPC_FOLLOWER_RETIRED;
        break;
    case 8: /* made anew: what was copied before is close-only */
        if (row->incarnation < 4 && sim_chance(sim, 1, 2)) {
            row->incarnation++;
            sim_policy_draw(sim, slot);
        }
        break;
    default:
        slot_reuse(sim, slot);
        break;
    }
}

void sim_world_publish(struct sim *sim)
{
    /* The judge remembers the rows of every generation of a world. */
    if (sim->published.view.generation + 3 >= SIM_GENERATIONS ||
        sim->next_follower_no + 4 >= SIM_FOLLOWER_FIRST + SIM_FOLLOWER_NOS)
        return;
    tokens_renew(sim, false);
    for (uint32_t changes = sim_below(sim, 3); changes > 0; changes--)
        follower_change(sim);
    generation_end(sim);
    sim_note(
        sim, "generation %llu is published", (unsigned long long)sim->published.view.generation);
}

void sim_world_flip(struct sim *sim)
{
    struct sim_switches *words = &sim->switches;
    if (sim_chance(sim, 1, 2)) {
        uint64_t sequence = words->sequence;
        *words = (struct sim_switches){.sequence = sequence};
    }
    uint8_t word = (uint8_t)(sim_chance(sim, 3, 4) ? IPC_SWITCH_RUN : sim_between(sim, 1, 2));
    switch (sim_below(sim, 6)) {
    case 0:
        words->everything = sim_chance(sim, 1, 2) ? IPC_SWITCH_RUN : word;
        break;
    case 1:
        words->brokers[sim_below(sim, SIM_BROKERS)] = word;
        break;
    case 2:
        words->masters[sim_below(sim, SIM_MASTERS)] = word;
        break;
    case 3:
        words->instruments[sim_below(sim, SIM_INSTRUMENTS)] = word;
        break;
    default:
        words->slots[sim_below(sim, sim->follower_count)] = word;
        break;
    }
    words->sequence++;
    sim->figures.flips++;
    sim_note(sim, "switches are now %llu", (unsigned long long)words->sequence);
}

static uint8_t stricter(uint8_t a, uint8_t b)
{
    return a > b ? a : b;
}

uint8_t sim_switch_word(const struct sim_switches *words, uint32_t master, uint32_t instrument,
    uint32_t slot, uint32_t broker)
{
    uint8_t word = stricter(words->everything, words->masters[master - 1]);
    if (instrument != 0)
        word = stricter(word, words->instruments[instrument - 1]);
    if (slot < SIM_FOLLOWERS)
        word = stricter(word, words->slots[slot]);
    if (broker < SIM_BROKERS)
        word = stricter(word, words->brokers[broker]);
    return word;
}

void sim_world_price(struct sim *sim)
{
    uint32_t i = sim_below(sim, SIM_INSTRUMENTS);
    const int64_t tick = sim->published.instruments[i].tick_e8;
    int64_t price = sim->price_e8[i] + sim_between(sim, -20, 20) * tick;
    sim->price_e8[i] = ls_max_i64(price, 20 * tick);
    if (!sim_fault(sim, SIM_FAULT_TICK_LOST, sim->step, 1, 6))
        sim->price_ns[i] = sim->now_ns;
    int64_t liquidity = sim_chance(sim, 1, 3) ? sim_between(sim, 0, 200) : -1;
    for (uint32_t broker = 0; broker < SIM_BROKERS; broker++)
        adp_sim_book_set_price(
            sim->brokers[broker].book, i, sim->price_e8[i], liquidity, sim_wall(sim));
    uint32_t slot = sim_below(sim, SIM_FOLLOWERS);
    sim->capital_ns[slot] = sim->now_ns;
    sim->capital_e8[slot] += sim->capital_e8[slot] / 1000 * sim_between(sim, -4, 4);
}

void sim_world_heal(struct sim *sim)
{
    sim->is_healing = true;
    sim->healed_ns = sim->now_ns;
    sim->can_crash = sim->can_lose_power = false;
    sim->takes_entries = true;
    sim->shell.crash_in = 0;
    sim->shell.restart_ns = ls_min_i64(sim->shell.restart_ns, sim->now_ns);
    sim->shell.paused_until_ns = 0;
    sim->shell.is_slow = sim->shell.is_stepped = false;
    sim->feed.is_whole = true;
    sim->feed.ring_room = SIM_FEED;
    uint64_t sequence = sim->switches.sequence + 1;
    sim->switches = (struct sim_switches){.sequence = sequence};
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        struct sim_character *is = &sim->brokers[i].character;
        sim_character_heal(is);
        for (struct sim_call *call = sim->brokers[i].calls; call != NULL; call = call->next)
            call->fate = 0;
    }
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &sim->connections[i];
        connection->stalled_until_ns = 0;
        /* Old connections may be half-open or have windows of zero: each ends now. */
        if (connection->number != 0)
            sim_net_server_gone(sim, connection, false);
        connection->down.is_black = connection->up.is_black = false;
    }
    tokens_renew(sim, true);
    generation_end(sim);
    sim_note(sim, "no more faults");
}
