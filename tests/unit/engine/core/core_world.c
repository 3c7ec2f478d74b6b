#include "tests/unit/engine/core/core_world.h"

#include "engine/core/reconcile.h"

#include "engine/core/recover.h"
#include "ipc/prng.h"
#include "ipc/tag.h"

#include <stdlib.h>
#include <stdio.h>

static void *block(size_t bytes)
{
    void *memory = aligned_alloc(4096, ls_align_up(bytes, 4096));
    LS_CHECK(memory != NULL);
    return memory;
}

static void instrument(
    struct world *world, uint32_t id, enum ipc_instrument_kind kind, int64_t lot, int64_t freeze)
{
    struct ipc_row_instrument *row = &world->instruments[id - 1];
    row->instrument = id;
    row->exchange = kind == IPC_KIND_CASH ? IPC_EXCHANGE_NSE : IPC_EXCHANGE_NFO;
    row->kind = (uint8_t)kind;
    row->lot_qty_e8 = lot * LS_E8;
    row->tick_e8 = LS_E8 / 20;
    row->freeze_qty_e8 = freeze * LS_E8;
    snprintf(row->token, sizeof row->token, "%u", 1000 + id);
    snprintf(row->symbol, sizeof row->symbol, "SYMBOL%u", id);
}

void world_open(struct world *world, uint32_t followers)
{
    LS_CHECK(followers <= WORLD_FOLLOWERS);
    memset(world, 0, sizeof *world);
    world->limits = (struct eng_core_limits){.account_max = WORLD_ACCOUNTS,
        .follower_slot_max = WORLD_FOLLOWERS,
        .order_max = 4096,
        .child_max = 32768,
        .position_max = 8192,
        .master_position_max = 64,
        .wave_max = 16,
        .pace_logs = 2};
    world->config.shard = 0;
    world->memory = block(eng_core_footprint(&world->limits));
    world->core = eng_core_init(world->memory, &world->limits, &world->config);
    world->commands = calloc(WORLD_COMMANDS, sizeof *world->commands);
    LS_CHECK(world->commands != NULL);
    world->now_mono_ns = 1000 * LS_NS_PER_S;
    world->now_wall_ns = INT64_C(1766000000) * LS_NS_PER_S;
    world->price_e8 = 100 * LS_E8;

    instrument(world, 1, IPC_KIND_CASH, 1, 0);
    instrument(world, 2, IPC_KIND_OPTION, 65, 0);
    instrument(world, 3, IPC_KIND_FUTURE, 30, 0);
    instrument(world, 4, IPC_KIND_CASH, 1, 1800);
    for (uint32_t i = 0; i < 2; i++) {
        world->brokers[i].live = 1;
        world->policies[i].no_pacing = true;
    }
    world->policies[1].refuses_market = true;
    for (uint32_t i = 0; i < WORLD_ACCOUNTS; i++) {
        struct ipc_row_account *row = &world->accounts[i];
        row->account = i + 1;
        row->roles = i < WORLD_MASTERS ? IPC_ROLE_MASTER : IPC_ROLE_FOLLOWER;
        row->token_bytes = 64;
        row->token_version = 1;
        row->source_family = 4;
        row->source_address[3] = (uint8_t)i;
    }
    for (uint32_t i = 0; i < followers; i++) {
        struct ipc_row_follower *row = &world->followers[i];
        row->follower_no = 100 + i;
        row->incarnation = 1;
        row->account = WORLD_MASTERS + 1 + i;
        row->master = 1;
        row->mode = IPC_MODE_FIXED_RATIO;
        row->copy = IPC_COPY_ON_ORDER;
        row->flags = IPC_FOLLOWER_ENABLED | IPC_FOLLOWER_ALLOW_SHORT;
        row->ratio_e8 = LS_E8;
        world->master_slots[i] = i;
    }
    world->masters[0] = (struct ipc_row_master){.account = 1, .count = followers};
    world->masters[1] = (struct ipc_row_master){.account = 2};
    world->lists[0] = (struct ipc_row_list){.first = 0, .count = 2}; /* instruments 1 and 3 */
    world->lists[1] = (struct ipc_row_list){.first = 2, .count = 1}; /* instrument 2 */
    world->list_items[0] = 1;
    world->list_items[1] = 3;
    world->list_items[2] = 2;
    world->view = (struct ipc_snapshot_view){.cluster = &world->cluster,
        .brokers = world->brokers,
        .accounts = world->accounts,
        .instruments = world->instruments,
        .followers = world->followers,
        .masters = world->masters,
        .master_slots = world->master_slots,
        .lists = world->lists,
        .list_items = world->list_items,
        .broker_count = 2,
        .account_count = WORLD_ACCOUNTS,
        .instrument_count = WORLD_INSTRUMENTS,
        .follower_slots = followers,
        .master_count = 2,
        .master_slot_count = followers,
        .list_count = 2,
        .list_item_count = 3};
    world_adopt(world);
}

void world_close(struct world *world)
{
    for (struct world_frame *at = world->first; at != NULL;) {
        struct world_frame *next = at->next;
        free(at);
        at = next;
    }
    free(world->commands);
    free(world->memory);
}

void world_apply(struct world *world, enum ipc_fact_type type, const void *payload, uint32_t bytes,
    uint32_t count)
{
    struct world_frame *kept = calloc(1, sizeof *kept + bytes);
    LS_CHECK(kept != NULL);
    memcpy(kept + 1, payload, bytes);
    kept->frame = (struct eng_frame){.type = type,
        .count = count,
        .payload = kept + 1,
        .payload_bytes = bytes,
        .lsn = ++world->lsn,
        .mono_ns = world->now_mono_ns,
        .wall_ns = world->now_wall_ns};
    if (world->last == NULL)
        world->first = kept;
    else
        world->last->next = kept;
    world->last = kept;
    world->frame_count++;
    LS_CHECK(eng_apply(world->core, &kept->frame) == IPC_OK);
}

void world_adopt(struct world *world)
{
    struct ipc_fact_adopt fact;
    struct ipc_error error;
    world->view.generation++;
    LS_CHECK(eng_decide_adopt(world->core, &world->view, 7, &fact, &error) == IPC_OK);
    world_apply(world, IPC_FACT_ADOPT, &fact, sizeof fact, 1);
    eng_core_adopt(world->core, &world->view, world->policies);
}

/* --- events
 * ----------------------------------------------------------------------------------------- */

struct ipc_event world_order(
    struct world *world, enum ipc_side side, int64_t units, int64_t price_e8)
{
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = (uint8_t)side,
        .type = price_e8 == 0 ? IPC_TYPE_MARKET : IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_OPEN,
        .source = IPC_SOURCE_TERMINAL,
        .account = 1,
        .instrument = 1,
        .qty_e8 = units * LS_E8,
        .price_e8 = price_e8};
    uint64_t number = ++world->order_counter;
    event.order_key = (struct ipc_key){{number * UINT64_C(0x9e3779b97f4a7c15), number}};
    event.order_digits = number * UINT64_C(2654435761) % IPC_TAG_ORDERS;
    snprintf(
        event.broker_order_id, sizeof event.broker_order_id, "M%llu", (unsigned long long)number);
    return event;
}

uint32_t world_event(struct world *world, struct ipc_event *event)
{
    if (event->version == 0)
        event->version = ++world->version;
    if (event->received_mono_ns == 0)
        event->received_mono_ns = world->now_mono_ns;
    struct eng_event_facts facts;
    eng_step_event(world->core, event, 3, ++world->lsn, world->now_mono_ns, &facts);
    for (uint32_t i = 0; i < facts.count; i++)
        world_apply(world, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes, 1);
    return facts.count;
}

/* --- waves
 * ------------------------------------------------------------------------------------------ */

static struct eng_batch_sample batch_sample(const struct world *world)
{
    return (struct eng_batch_sample){.generation = world->view.generation,
        .switch_sequence = 5,
        .price_e8 = world->price_e8,
        .price_mono_ns = world->price_mono_ns != 0 ? world->price_mono_ns : world->now_mono_ns,
        .master_equity_e8 = world->master_capital_e8,
        .master_balance_e8 = world->master_capital_e8,
        .master_free_e8 = world->master_capital_e8,
        .master_capital_mono_ns = world->master_capital_mono_ns,
        .now_mono_ns = world->now_mono_ns,
        .now_wall_ns = world->now_wall_ns,
        .switch_word = world->word,
        .journal_takes_entries = !world->journal_full};
}

static struct eng_follower_sample follower_sample(const struct world *world, uint32_t slot)
{
    return (struct eng_follower_sample){.capital_e8 = world->capital_e8[slot],
        .balance_e8 = world->capital_e8[slot],
        .free_e8 = world->capital_e8[slot] - world->margin_used_e8[slot],
        .capital_mono_ns = world->capital_mono_ns[slot],
        .switch_word = world->follower_word[slot],
        .can_send = !world->cannot_send[slot]};
}

/* Of a follower that trades another instrument than the batch's: that one's price. */
static struct eng_follower_sample batch_follower_sample(
    const struct world *world, const struct eng_batch *batch, uint32_t at)
{
    struct eng_follower_sample sample = follower_sample(world, batch->slots[at]);
    uint32_t instrument = eng_batch_instrument(world->core, batch, at);
    if (instrument == batch->instrument)
        return sample;
    sample.instrument = instrument;
    sample.price_e8 = world->mapped_price_e8;
    sample.price_mono_ns = world->price_mono_ns != 0 ? world->price_mono_ns : world->now_mono_ns;
    return sample;
}

static uint32_t take_commands(struct world *world)
{
    const uint32_t *handles;
    uint32_t count = eng_core_applied(world->core, &handles);
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (handles[i] == ENG_NONE)
            continue;
        LS_CHECK(world->command_count < WORLD_COMMANDS);
        struct ipc_command *command = &world->commands[world->command_count++];
        LS_CHECK(eng_core_command(world->core, handles[i], command) == IPC_OK);
        LS_CHECK(command->deadline_mono_ns >= world->now_mono_ns); /* nothing stale leaves */
        left++;
    }
    return left;
}

static uint32_t run_batch(struct world *world, const struct eng_batch *batch)
{
    struct ipc_fact_batch_room live, again;
    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    struct eng_batch_sample sample = batch_sample(world);
    for (uint32_t i = 0; i < batch->slot_count; i++)
        samples[i] = batch_follower_sample(world, batch, i);
    uint32_t count =
        eng_decide_batch(world->core, batch, &sample, samples, &live.batch, live.children);
    if (count == 0)
        return 0;
    if (world->on_batch != NULL)
        world->on_batch(world, batch, &sample, samples, &live.batch, live.children, world->context);

    struct eng_batch stored;
    LS_CHECK(eng_recover_batch(world->core, &live.batch, live.children, world->now_mono_ns,
                 world->now_wall_ns, &stored, &sample, samples) == IPC_OK);
    LS_CHECK(eng_decide_batch(
                 world->core, &stored, &sample, samples, &again.batch, again.children) == count);
    LS_CHECK(memcmp(&live.batch, &again.batch, sizeof live.batch) == 0);
    uint32_t bytes = ipc_fact_batch_bytes(&live.batch);
    LS_CHECK(memcmp(live.children, again.children, bytes - sizeof live.batch) == 0);

    world_apply(world, IPC_FACT_BATCH, &live, bytes, count);
    return take_commands(world);
}

bool world_wave_step(struct world *world)
{
    struct eng_batch batch;
    if (!eng_wave_next(world->core, &batch) && !eng_settle_next(world->core, &batch))
        return false;
    (void)run_batch(world, &batch);
    return true;
}

uint32_t world_waves(struct world *world)
{
    uint32_t before = world->command_count;
    while (world_wave_step(world)) {
    }
    return world->command_count - before;
}

uint32_t world_release(struct world *world)
{
    uint32_t before = world->command_count;
    for (int round = 0; round < 200; round++) {
        struct eng_candidate candidates[8];
        uint32_t count = eng_release_next(world->core, world->now_mono_ns, world->now_wall_ns,
            &world->release_cursor, candidates, LS_COUNT_OF(candidates));
        uint32_t decided = 0;
        for (uint32_t i = 0; i < count; i++) {
            struct eng_batch_sample sample = batch_sample(world);
            struct eng_follower_sample follower = follower_sample(world, candidates[i].slot);
            struct ipc_fact_release fact;
            if (!eng_decide_release(world->core, &candidates[i], &sample, &follower, &fact))
                continue;
            decided++;
            world_apply(world, IPC_FACT_RELEASE, &fact, sizeof fact, 1);
            (void)take_commands(world);
        }
        if (decided == 0 && round > 20)
            break;
    }
    return world->command_count - before;
}

/* --- the broker
 * ------------------------------------------------------------------------------------- */

void world_reply(struct world *world, const struct ipc_command *command,
    enum ipc_outcome_class outcome, enum ipc_evidence evidence, const char *id)
{
    struct ipc_outcome out = {.outcome = (uint8_t)outcome, .evidence = (uint8_t)evidence};
    if (id != NULL)
        memcpy(out.broker_order_id, id, strlen(id));
    struct ipc_fact_reply fact;
    struct ipc_fact_alarm alarm;
    bool has_alarm;
    LS_CHECK(eng_decide_reply(world->core, command->child, command->request_no,
                 (enum ipc_action)command->action, &out, world->now_mono_ns, world->now_mono_ns,
                 &fact, &alarm, &has_alarm) == IPC_OK);
    if (has_alarm)
        world_apply(world, IPC_FACT_ALARM, &alarm, sizeof alarm, 1);
    world_apply(world, IPC_FACT_REPLY, &fact, sizeof fact, 1);
}

void world_ack(struct world *world, const struct ipc_command *command)
{
    char id[IPC_BROKER_ORDER_ID_BYTES];
    snprintf(id, sizeof id, "B%u", command->child);
    world_reply(world, command, IPC_OUTCOME_ACKED, IPC_EVIDENCE_REPLY, id);
}

uint32_t world_update(struct world *world, uint32_t child, enum ipc_status status,
    int64_t filled_units, int64_t average_e8)
{
    struct eng_child_view view;
    LS_CHECK(eng_core_child(world->core, child, &view));
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = view.side,
        .type = view.type,
        .product = view.product,
        .validity = IPC_VALIDITY_DAY,
        .status = (uint8_t)status,
        .flags = IPC_EVENT_OWN_TAG,
        .account = world->followers[view.slot].account,
        .instrument = view.instrument,
        .qty_e8 = view.qty_e8,
        .price_e8 = view.price_e8,
        .trigger_e8 = view.trigger_e8,
        .filled_qty_e8 = filled_units * LS_E8,
        .average_price_e8 = average_e8};
    event.order_key = (struct ipc_key){{child, 99}};
    memcpy(event.client_tag, view.tag, sizeof event.client_tag);
    snprintf(event.broker_order_id, sizeof event.broker_order_id, "B%u", child);
    return world_event(world, &event);
}

/* --- looking
 * ---------------------------------------------------------------------------------------- */

struct eng_child_view world_child(const struct world *world, uint32_t slot)
{
    struct eng_child_view view = {0}, found = {0};
    for (uint32_t i = 0; eng_core_child(world->core, i, &view); i++) {
        if (view.slot == slot)
            found = view;
    }
    return found;
}

struct ipc_fact_child world_last_fact(const struct world *world, uint32_t slot)
{
    struct ipc_fact_child found = {0};
    for (const struct world_frame *at = world->first; at != NULL; at = at->next) {
        if (at->frame.type != IPC_FACT_BATCH)
            continue;
        const struct ipc_fact_batch *batch = at->frame.payload;
        const struct ipc_fact_child *children = (const struct ipc_fact_child *)(batch + 1);
        for (uint32_t i = 0; i < batch->child_count; i++) {
            if (children[i].slot == slot)
                found = children[i];
        }
    }
    return found;
}

/* --- recovery
 * --------------------------------------------------------------------------------------- */

static struct eng_core *folded(const struct world *world, void **memory)
{
    *memory = block(eng_core_footprint(&world->limits));
    struct eng_core *core = eng_core_init(*memory, &world->limits, &world->config);
    for (const struct world_frame *at = world->first; at != NULL; at = at->next)
        LS_CHECK(eng_apply(core, &at->frame) == IPC_OK);
    return core;
}

void world_check(const struct world *world)
{
    void *memory;
    struct eng_core *core = folded(world, &memory);
    eng_core_verify(world->core);
    eng_core_verify(core);
    LS_CHECK(eng_core_hash(core) == eng_core_hash(world->core));
    free(memory);
}

static uint32_t book_of(
    const struct world *world, uint32_t account, struct ipc_event *rows, uint32_t most)
{
    uint32_t count = 0;
    struct eng_child_view view;
    for (uint32_t i = 0; eng_core_child(world->core, i, &view) && count + 1 < most; i++) {
        if (view.broker_order_id[0] == '\0' || world->followers[view.slot].account != account)
            continue;
        enum ipc_status status = IPC_STATUS_OPEN;
        if (view.state == ENG_STATE_FILLED)
            status = IPC_STATUS_FILLED;
        if (view.state == ENG_STATE_CANCELLED)
            status = IPC_STATUS_CANCELLED;
        if (view.state == ENG_STATE_EXPIRED)
            status = IPC_STATUS_EXPIRED;
        if (view.state == ENG_STATE_EXCH_REJECTED || view.state == ENG_STATE_REJECTED)
            status = IPC_STATUS_REJECTED;
        struct ipc_event *row = &rows[count++];
        *row = (struct ipc_event){.kind = IPC_EVENT_ORDER,
            .side = view.side,
            .type = view.type,
            .product = view.product,
            .validity = IPC_VALIDITY_DAY,
            .status = (uint8_t)status,
            .flags = IPC_EVENT_OWN_TAG | IPC_EVENT_FROM_BOOK,
            .account = account,
            .instrument = view.instrument,
            .qty_e8 = view.qty_e8,
            .price_e8 = view.price_e8,
            .trigger_e8 = view.trigger_e8,
            .filled_qty_e8 = view.filled_qty_e8,
            .average_price_e8 = view.average_price_e8};
        memcpy(row->client_tag, view.tag, sizeof row->client_tag);
        memcpy(row->broker_order_id, view.broker_order_id, sizeof row->broker_order_id);
    }
    rows[count] = (struct ipc_event){.kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_OPEN,
        .account = account,
        .instrument = 1,
        .qty_e8 = LS_E8,
        .price_e8 = LS_E8,
        .broker_order_id = "STRANGER"};
    return count + 1;
}

static void world_take(struct world *world, const struct eng_event_facts *facts)
{
    for (uint32_t i = 0; i < facts->count; i++)
        world_apply(world, facts->fact[i].type, &facts->fact[i].event, facts->fact[i].bytes, 1);
}

uint32_t world_reconcile(struct world *world)
{
    uint32_t count = 0;
    struct eng_book_ask asked;
    struct ipc_event rows[1024];
    for (; eng_recon_next(world->core, world->now_mono_ns, world->now_wall_ns, &asked); count++) {
        world_take(world, &asked.facts);
        struct eng_book_answer answer = {.account = asked.account,
            .ask_no = asked.ask_no,
            .result = IPC_BOOK_GOOD,
            .complete = 1,
            .http_status = 200,
            .sent_mono_ns = world->now_mono_ns,
            .received_mono_ns = world->now_mono_ns,
            .orders = rows};
        answer.orders_count = answer.order_count =
            book_of(world, asked.account, rows, LS_COUNT_OF(rows));
        struct eng_recon_walk walk = {0};
        struct eng_event_facts facts;
        while (eng_recon_answer(
            world->core, &answer, &walk, world->now_mono_ns, world->now_wall_ns, &facts))
            world_take(world, &facts);
    }
    return count;
}

void world_restart(struct world *world, bool same_boot)
{
    void *memory;
    struct eng_core *core = folded(world, &memory);
    LS_CHECK(eng_core_hash(core) == eng_core_hash(world->core));
    free(world->memory);
    world->memory = memory;
    world->core = core;
    world->release_cursor = 0;
    struct ipc_fact_open open = {.same_boot = same_boot};
    eng_core_recovered(core, &open);
    world_apply(world, IPC_FACT_OPEN, &open, sizeof open, 1);
    world_adopt(world);
}
