#include "tests/support/journal_facts.h"

#include "ipc/reason.h"
#include "ipc/tag.h"

#include <string.h>

static const struct ipc_key order_key = {{0x1122334455667788, 0x99aabbccddeeff00}};
const char journal_facts_tag[IPC_TAG_BYTES] = "L01KPQZG2C000250000";

static void put(struct journal_fact *out, enum ipc_fact_type type, const void *bytes, size_t count)
{
    out->type = type;
    out->count = 1;
    out->bytes = (uint32_t)count;
    memcpy(out->payload, bytes, count);
}

static void event_fill(struct ipc_fact_event *fact, bool is_update)
{
    memset(fact, 0, sizeof *fact);
    struct ipc_event *event = &fact->event;
    event->kind = IPC_EVENT_ORDER;
    event->side = IPC_SIDE_BUY;
    event->type = IPC_TYPE_LIMIT;
    event->product = IPC_PRODUCT_MIS;
    event->validity = IPC_VALIDITY_DAY;
    event->status = is_update ? IPC_STATUS_FILLED : IPC_STATUS_OPEN;
    event->source = IPC_SOURCE_TERMINAL;
    event->account = is_update ? 12 : 3;
    event->instrument = 5;
    event->order_key = order_key;
    event->order_digits = is_update ? 99 : JOURNAL_FACTS_DIGITS;
    event->qty_e8 = is_update ? 65 * LS_E8 : 100 * LS_E8;
    event->price_e8 = 2215050 * (LS_E8 / 100);
    event->filled_qty_e8 = is_update ? 65 * LS_E8 : 0;
    event->average_price_e8 = is_update ? 2215025 * (LS_E8 / 100) : 0;
    event->received_mono_ns = 5000000;
    strcpy(event->broker_order_id, is_update ? "F-900" : "M-100");
    if (is_update)
        memcpy(event->client_tag, journal_facts_tag, IPC_TAG_BYTES);
    fact->transition = is_update ? IPC_TRANSITION_FILLED_MORE : IPC_TRANSITION_NEW;
    fact->wave = is_update ? 0 : 41;
    fact->follower_count = is_update ? 0 : 3;
}

static void batch_fill(struct journal_fact *out)
{
    struct ipc_fact_batch batch = {.wave = 41,
        .event_lsn = 4,
        .order_key = order_key,
        .generation = 9,
        .switch_sequence = 2,
        .price_sample_e8 = 22149 * LS_E8,
        .price_e8 = 2215050 * (LS_E8 / 100),
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .transition = IPC_TRANSITION_NEW,
        .first_place = 10,
        .child_count = 3};
    struct ipc_fact_child children[3] = {
        {.follower_no = JOURNAL_FACTS_FOLLOWER,
            .slot = 4,
            .incarnation = 1,
            .kind = IPC_CHILD_PLACE,
            .qty_e8 = 65 * LS_E8},
        {.follower_no = 78,
            .slot = 5,
            .incarnation = 1,
            .kind = IPC_CHILD_SKIP,
            .reason = IPC_REASON_SUB_LOT,
            .qty_e8 = 50 * LS_E8,
            .sample_e8 = 5 * LS_E8},
        {.follower_no = 79,
            .slot = 6,
            .incarnation = 2,
            .kind = IPC_CHILD_PLACE_QUEUED,
            .reason = IPC_REASON_MAX_QTY_CAPPED,
            .qty_e8 = 130 * LS_E8},
    };
    put(out, IPC_FACT_BATCH, &batch, sizeof batch);
    memcpy(out->payload + sizeof batch, children, sizeof children);
    out->bytes += (uint32_t)sizeof children;
}

void journal_facts_wide(struct journal_fact *out)
{
    struct ipc_fact_batch batch = {.wave = 0, /* outside of waves */
        .event_lsn = 4,
        .order_key = order_key,
        .generation = 9,
        .side = IPC_SIDE_SELL,
        .type = IPC_TYPE_MARKET,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .transition = IPC_TRANSITION_FILLED_MORE,
        .first_place = 20,
        .child_count = 4,
        .wide_count = 4};
    struct ipc_fact_child children[4] = {
        {.follower_no = 80, .action = ipc_tag_action(0, 0, 0), .qty_e8 = 50 * LS_E8},
        {.follower_no = 80, .action = ipc_tag_action(1, 0, 0), .qty_e8 = 1755 * LS_E8},
        {.follower_no = 80, .action = ipc_tag_action(1, 1, 0), .qty_e8 = 130 * LS_E8},
        {.follower_no = 81, .reason = IPC_REASON_SLIPPAGE, .qty_e8 = 65 * LS_E8}};
    static const struct ipc_step steps[4][5] = {
        {{.code = IPC_STEP_LEG_CLOSE}, {.code = IPC_STEP_HELD, .value_e8 = 50 * LS_E8},
            {.code = IPC_STEP_ALL}, {.code = IPC_STEP_SELL, .value_e8 = 50 * LS_E8}},
        {{.code = IPC_STEP_LEG_OPEN}, {.code = IPC_STEP_MASTER_QTY, .value_e8 = 1885 * LS_E8},
            {.code = IPC_STEP_RATIO, .value_e8 = LS_E8},
            {.code = IPC_STEP_RAW, .value_e8 = 1885 * LS_E8},
            {.code = IPC_STEP_SLICE, .value_e8 = 1755 * LS_E8}},
        {{.code = IPC_STEP_LEG_OPEN}, {.code = IPC_STEP_SLICE, .value_e8 = 1755 * LS_E8}},
        {{.code = IPC_STEP_REFERENCE, .value_e8 = 100 * LS_E8},
            {.code = IPC_STEP_SLIPPAGE_CAP, .value_e8 = LS_E8 / 200},
            {.code = IPC_STEP_PRICE_LIMIT, .value_e8 = 9950 * (LS_E8 / 100)},
            {.code = IPC_STEP_MARKET_AT, .value_e8 = 98 * LS_E8},
            {.code = IPC_STEP_SKIP, .reason = IPC_REASON_SLIPPAGE}}};
    static const uint8_t flags[4] = {
        IPC_WIDE_EXIT, IPC_WIDE_OPEN_LEG, IPC_WIDE_OPEN_LEG, IPC_WIDE_ON_FILL};
    struct ipc_fact_wide wides[4];
    memset(wides, 0, sizeof wides);
    for (uint8_t i = 0; i < 4; i++) {
        children[i].kind = i < 3 ? IPC_CHILD_PLACE : IPC_CHILD_SKIP;
        children[i].incarnation = 1;
        wides[i].at = i;
        wides[i].side = IPC_SIDE_SELL;
        wides[i].type = i == 0 ? IPC_TYPE_MARKET : IPC_TYPE_LIMIT;
        wides[i].product = IPC_PRODUCT_NRML;
        wides[i].validity = i == 0 ? IPC_VALIDITY_DAY : IPC_VALIDITY_IOC;
        wides[i].flags = flags[i];
        wides[i].instrument = i == 0 ? 5 : 6;
        wides[i].price_e8 = i == 0 ? 0 : 9950 * (LS_E8 / 100);
        wides[i].price_sample_e8 = 98 * LS_E8;
        wides[i].equity_e8 = i == 3 ? 7000 * LS_E8 : 0;
        for (; wides[i].step_count < 5 && steps[i][wides[i].step_count].code != 0;
             wides[i].step_count++)
            wides[i].steps[wides[i].step_count] = steps[i][wides[i].step_count];
    }
    put(out, IPC_FACT_BATCH, &batch, sizeof batch);
    memcpy(out->payload + sizeof batch, children, sizeof children);
    memcpy(out->payload + sizeof batch + sizeof children, wides, sizeof wides);
    out->bytes += (uint32_t)(sizeof children + sizeof wides);
}

static void reply_fill(struct journal_fact *out)
{
    struct ipc_fact_reply reply = {.request_no = 1,
        .action = IPC_ACTION_PLACE,
        .accepted_mono_ns = 7000000,
        .parsed_mono_ns = 9000000,
        .outcome = {.outcome = IPC_OUTCOME_ACKED,
            .evidence = IPC_EVIDENCE_REPLY,
            .http_status = 200,
            .stream_id = 5,
            .broker_order_id = "F-900"}};
    memcpy(reply.tag, journal_facts_tag, IPC_TAG_BYTES);
    put(out, IPC_FACT_REPLY, &reply, sizeof reply);
    reply.tag[14] = '7'; /* the released one */
    reply.outcome = (struct ipc_outcome){.outcome = IPC_OUTCOME_REJECTED,
        .evidence = IPC_EVIDENCE_REPLY,
        .http_status = 400,
        .code = "RMS-17",
        .text = "margin \"short\" \\ by 10%\n"};
    memcpy(out->payload + sizeof reply, &reply, sizeof reply);
    out->bytes += (uint32_t)sizeof reply;
    out->count = 2;
}

bool journal_facts_make(uint32_t index, struct journal_fact *out)
{
    memset(out, 0, sizeof *out);
    switch (index) {
    case 0: {
        struct ipc_fact_open fact = {.shard = 0, .same_boot = 1, .cluster_id = "cluster-1"};
        put(out, IPC_FACT_OPEN, &fact, sizeof fact);
        return true;
    }
    case 1: {
        struct ipc_fact_adopt fact = {.generation = 9,
            .content_hash = 0xabc,
            .follower_slots = 10,
            .enabled_followers = 8,
            .total_multiplier_e8 = 12 * LS_E8,
            .largest_multiplier_e8 = 250000000};
        put(out, IPC_FACT_ADOPT, &fact, sizeof fact);
        return true;
    }
    case 2: {
        struct ipc_fact_book fact = {.account = 3, .order_count = 2, .is_history = 1, .phase = 2};
        put(out, IPC_FACT_BOOK, &fact, sizeof fact);
        return true;
    }
    case 3: {
        struct ipc_fact_event fact;
        event_fill(&fact, false);
        put(out, IPC_FACT_EVENT, &fact, sizeof fact);
        return true;
    }
    case 4:
        batch_fill(out);
        return true;
    case 5: {
        struct ipc_fact_release fact = {.request_no = 1,
            .kind = IPC_CHILD_PLACE,
            .qty_e8 = 130 * LS_E8,
            .price_e8 = 2215050 * (LS_E8 / 100)};
        memcpy(fact.tag, journal_facts_tag, IPC_TAG_BYTES);
        fact.tag[14] = '7';
        put(out, IPC_FACT_RELEASE, &fact, sizeof fact);
        return true;
    }
    case 6:
        reply_fill(out);
        return true;
    case 7: {
        struct ipc_fact_event fact;
        event_fill(&fact, true);
        put(out, IPC_FACT_UPDATE, &fact, sizeof fact);
        return true;
    }
    case 8: {
        struct ipc_fact_alarm fact = {
            .alarm = IPC_ALARM_GHOST, .account = 12, .text = "late reply"};
        memcpy(fact.tag, journal_facts_tag, IPC_TAG_BYTES);
        put(out, IPC_FACT_ALARM, &fact, sizeof fact);
        return true;
    }
    case 9:
        put(out, IPC_FACT_CHECKPOINT, "piece", 5);
        return true;
    default:
        return false;
    }
}
