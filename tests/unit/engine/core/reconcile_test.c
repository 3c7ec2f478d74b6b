#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/reconcile.h"
#include "ipc/tag.h"
#include "tests/unit/engine/core/core_world.h"

#include <stdio.h>
#include <string.h>

/* Reconciliation: what a book proves and what it does not, and what follows for the follower. */

#define E8(units)  ((int64_t)(units)*LS_E8)
#define SECONDS(n) ((int64_t)(n)*LS_NS_PER_S)

/* --- the shell's part ---------------------------------------------------------------------------
 */

static void take(struct world *world, const struct eng_event_facts *facts)
{
    for (uint32_t i = 0; i < facts->count; i++)
        world_apply(world, facts->fact[i].type, &facts->fact[i].event, facts->fact[i].bytes, 1);
}

static bool ask(struct world *world, struct eng_book_ask *out)
{
    if (!eng_recon_next(world->core, world->now_mono_ns, world->now_wall_ns, out))
        return false;
    take(world, &out->facts);
    return true;
}

/* Alarms of this kind in the journal. */
static uint32_t alarms(const struct world *world, enum ipc_alarm alarm)
{
    uint32_t count = 0;
    for (const struct world_frame *at = world->first; at != NULL; at = at->next) {
        if (at->frame.type == IPC_FACT_ALARM)
            count += ((const struct ipc_fact_alarm *)at->frame.payload)->alarm == (uint32_t)alarm;
    }
    return count;
}

static uint32_t facts_of(const struct world *world, enum ipc_recon_act act)
{
    uint32_t count = 0;
    for (const struct world_frame *at = world->first; at != NULL; at = at->next) {
        if (at->frame.type == IPC_FACT_RECON)
            count += ((const struct ipc_fact_recon *)at->frame.payload)->act == (uint8_t)act;
    }
    return count;
}

static void answer(struct world *world, const struct eng_book_ask *asked, enum ipc_book result,
    const struct ipc_event *orders, uint32_t count)
{
    struct eng_book_answer reply = {.account = asked->account,
        .ask_no = asked->ask_no,
        .result = (uint8_t)result,
        .complete = 1,
        .http_status = 200,
        .order_count = count,
        .sent_mono_ns = world->now_mono_ns,
        .received_mono_ns = world->now_mono_ns,
        .digest = {1, 2, 3},
        .orders = orders,
        .orders_count = count};
    struct eng_recon_walk walk = {0};
    struct eng_event_facts facts;
    while (eng_recon_answer(
        world->core, &reply, &walk, world->now_mono_ns, world->now_wall_ns, &facts))
        take(world, &facts);
}

static void pass(struct world *world, int64_t ns)
{
    world->now_mono_ns += ns;
    world->now_wall_ns += ns;
    world->price_mono_ns = world->now_mono_ns;
    struct eng_event_facts facts;
    while (eng_recon_time(world->core, world->now_mono_ns, world->now_wall_ns, &facts))
        take(world, &facts);
}

static struct ipc_event row(const struct world *world, uint32_t handle, const char *id,
    enum ipc_status status, int64_t filled)
{
    struct eng_child_view view;
    assert_true(eng_core_child(world->core, handle, &view));
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = view.side,
        .type = view.type,
        .product = view.product,
        .validity = IPC_VALIDITY_DAY,
        .status = (uint8_t)status,
        .flags = IPC_EVENT_OWN_TAG | IPC_EVENT_FROM_BOOK,
        .account = world->followers[view.slot].account,
        .instrument = view.instrument,
        .order_key = {{handle, 7}},
        .qty_e8 = view.qty_e8,
        .price_e8 = view.price_e8,
        .trigger_e8 = view.trigger_e8,
        .filled_qty_e8 = E8(filled),
        .average_price_e8 = filled > 0 ? E8(100) : 0,
        .received_mono_ns = world->now_mono_ns};
    memcpy(event.client_tag, view.tag, sizeof event.client_tag);
    snprintf(event.broker_order_id, sizeof event.broker_order_id, "%s", id);
    return event;
}

/* Follower 0 has one acknowledged order (the sentinel, of instrument 2) and one of unknown outcome
 * in instrument 1. */
struct doubt {
    struct world world;
    uint32_t known, lost;
    struct ipc_event sentinel;
};

static void doubt_open(struct doubt *doubt, enum ipc_side side)
{
    struct world *world = &doubt->world;
    world_open(world, 1);
    struct ipc_event first = world_order(world, IPC_SIDE_BUY, 65, E8(100));
    first.instrument = 2;
    (void)world_event(world, &first);
    (void)world_waves(world);
    world_ack(world, &world->commands[0]);
    doubt->known = world->commands[0].child;
    struct ipc_event event = world_order(world, side, 10, E8(100));
    (void)world_event(world, &event);
    (void)world_waves(world);
    doubt->lost = world->commands[1].child;
    world_reply(world, &world->commands[1], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    struct eng_child_view view;
    assert_true(eng_core_child(world->core, doubt->known, &view));
    doubt->sentinel = row(world, doubt->known, view.broker_order_id, IPC_STATUS_OPEN, 0);
}

static uint8_t state_of(const struct doubt *doubt)
{
    struct eng_child_view view;
    assert_true(eng_core_child(doubt->world.core, doubt->lost, &view));
    return view.state;
}

static void doubt_close(struct doubt *doubt)
{
    world_check(&doubt->world);
    world_close(&doubt->world);
}

/* --- presence -----------------------------------------------------------------------------------
 */

static void presence_is_proof(void **state)
{
    (void)state;
    static const struct {
        enum ipc_book result;
        enum ipc_status status;
        int64_t filled;
        enum eng_state expected;
    } cases[] = {
        {IPC_BOOK_GOOD, IPC_STATUS_OPEN, 0, ENG_STATE_ADOPTED},
        {IPC_BOOK_GOOD, IPC_STATUS_OPEN, 4, ENG_STATE_PARTIAL},
        {IPC_BOOK_GOOD, IPC_STATUS_FILLED, 10, ENG_STATE_FILLED},
        {IPC_BOOK_GOOD, IPC_STATUS_REJECTED, 0, ENG_STATE_EXCH_REJECTED},
        {IPC_BOOK_GOOD, IPC_STATUS_CANCELLED, 0, ENG_STATE_CANCELLED},
        {IPC_BOOK_ODD, IPC_STATUS_OPEN, 0, ENG_STATE_ADOPTED}, /* what it shows counts */
        {IPC_BOOK_ERROR, IPC_STATUS_OPEN, 0, ENG_STATE_RECONCILING},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct doubt doubt;
        doubt_open(&doubt, IPC_SIDE_BUY);
        assert_int_equal(state_of(&doubt), ENG_STATE_UNKNOWN);
        struct eng_book_ask asked;
        assert_true(ask(&doubt.world, &asked));
        assert_int_equal(asked.account, doubt.world.followers[0].account);
        assert_int_equal(asked.why, IPC_RECON_WHY_UNKNOWN);
        assert_int_equal(state_of(&doubt), ENG_STATE_RECONCILING);
        struct eng_book_ask again;
        assert_false(ask(&doubt.world, &again)); /* one question at a time */
        struct ipc_event book[] = {
            doubt.sentinel, row(&doubt.world, doubt.lost, "B77", cases[i].status, cases[i].filled)};
        answer(&doubt.world, &asked, cases[i].result, book, 2);
        assert_int_equal(state_of(&doubt), cases[i].expected);
        if (cases[i].expected != ENG_STATE_RECONCILING) {
            struct eng_child_view view;
            assert_true(eng_core_child(doubt.world.core, doubt.lost, &view));
            assert_string_equal(view.broker_order_id, "B77");
        }
        doubt_close(&doubt);
    }
}

/* --- absence ------------------------------------------------------------------------------------
 */

enum shows { LACKS, LACKS_AND_BARE, NOTHING };

struct book {
    int64_t after_ms; /* since the one before, or since the doubt began */
    enum ipc_book result;
    enum shows shows;   /* the sentinel alone; a stranger's order alone; nothing */
    uint32_t strangers; /* rows beside it */
    bool cut;           /* not complete */
    enum eng_state expected;
};

static void absence_takes_two_books(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct book books[4];
    } cases[] = {
        {"two complete books, a settle apart",
            {{3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_MISSED}}},
        {"the first within the settle",
            {{2999, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_MISSED}}},
        {"the second within the settle",
            {{3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {2999, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {1000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_MISSED}}},
        {"an error between proves nothing and spoils nothing",
            {{3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {2000, IPC_BOOK_ERROR, NOTHING, 0, false, ENG_STATE_RECONCILING},
                {2000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_MISSED}}},
        {"an empty book between is odd",
            {{3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_EMPTY, NOTHING, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_MISSED}}},
        {"no-orders is no answer",
            {{3000, IPC_BOOK_NO_ORDERS, NOTHING, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_NO_ORDERS, NOTHING, 0, false, ENG_STATE_RECONCILING}}},
        {"rows that nobody understands between",
            {{3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_ODD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_MISSED}}},
        {"a refused token between",
            {{3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_AUTH, NOTHING, 0, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING}}},
        {"a book that is cut", {{3000, IPC_BOOK_GOOD, LACKS, 0, true, ENG_STATE_RECONCILING},
                                   {3000, IPC_BOOK_GOOD, LACKS, 0, true, ENG_STATE_RECONCILING},
                                   {3000, IPC_BOOK_GOOD, LACKS, 0, false, ENG_STATE_RECONCILING}}},
        {"no sentinel at first; a count that stays is one",
            {{3000, IPC_BOOK_GOOD, LACKS_AND_BARE, 2, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS_AND_BARE, 2, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS_AND_BARE, 3, false, ENG_STATE_MISSED}}},
        {"a count that shrinks is odd",
            {{3000, IPC_BOOK_GOOD, LACKS, 2, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 1, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 1, false, ENG_STATE_RECONCILING},
                {3000, IPC_BOOK_GOOD, LACKS, 1, false, ENG_STATE_MISSED}}},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct doubt doubt;
        doubt_open(&doubt, IPC_SIDE_BUY);
        for (size_t b = 0; b < LS_COUNT_OF(cases[i].books) && cases[i].books[b].after_ms != 0;
             b++) {
            const struct book *book = &cases[i].books[b];
            pass(&doubt.world, book->after_ms * LS_NS_PER_MS);
            struct eng_event_facts wanted;
            /* A person asks, so that the time is the table's and not the core's. */
            if (eng_recon_want(doubt.world.core, doubt.world.followers[0].account,
                    IPC_RECON_WHY_PERSON, "somebody", &wanted))
                take(&doubt.world, &wanted);
            struct eng_book_ask asked;
            assert_true(ask(&doubt.world, &asked));
            struct ipc_event rows[8];
            uint32_t count = 0;
            if (book->shows == LACKS)
                rows[count++] = doubt.sentinel;
            for (uint32_t s = 0; s < book->strangers; s++) {
                rows[count] = doubt.sentinel;
                memset(rows[count].client_tag, 0, sizeof rows[count].client_tag);
                snprintf(rows[count].broker_order_id, sizeof rows[count].broker_order_id, "S%u", s);
                count++;
            }
            struct eng_book_answer reply = {.account = asked.account,
                .ask_no = asked.ask_no,
                .result = (uint8_t)book->result,
                .complete = !book->cut,
                .order_count = count,
                .sent_mono_ns = doubt.world.now_mono_ns,
                .received_mono_ns = doubt.world.now_mono_ns,
                .orders = rows,
                .orders_count = count};
            struct eng_recon_walk walk = {0};
            struct eng_event_facts facts;
            while (eng_recon_answer(doubt.world.core, &reply, &walk, doubt.world.now_mono_ns,
                doubt.world.now_wall_ns, &facts))
                take(&doubt.world, &facts);
            pass(&doubt.world, 0);
            if (state_of(&doubt) != book->expected)
                print_error("%s, book %zu\n", cases[i].what, b + 1);
            assert_int_equal(state_of(&doubt), book->expected);
        }
        assert_int_equal(
            alarms(&doubt.world, IPC_ALARM_MISSED), state_of(&doubt) == ENG_STATE_MISSED);
        doubt_close(&doubt);
    }
}

/* The settle time follows the broker's lag. */
static void a_slow_book_settles_later(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    world->policies[0].book_lag_ns = SECONDS(2);
    world_adopt(world);
    static const struct {
        int64_t seconds;
        enum eng_state expected;
    } steps[] = {{7, ENG_STATE_RECONCILING}, {8, ENG_STATE_RECONCILING}, {7, ENG_STATE_RECONCILING},
        {1, ENG_STATE_MISSED}};
    for (size_t i = 0; i < LS_COUNT_OF(steps); i++) {
        pass(world, SECONDS(steps[i].seconds));
        struct eng_event_facts wanted;
        if (eng_recon_want(world->core, 3, IPC_RECON_WHY_PERSON, NULL, &wanted))
            take(world, &wanted);
        struct eng_book_ask asked;
        assert_true(ask(world, &asked));
        answer(world, &asked, IPC_BOOK_GOOD, &doubt.sentinel, 1);
        pass(world, 0);
        assert_int_equal(state_of(&doubt), steps[i].expected);
    }
    doubt_close(&doubt);
}

/* An answer to an older question shows what it shows, and proves nothing absent. */
static void a_late_answer_proves_nothing_absent(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    struct eng_book_ask first, second;
    pass(world, SECONDS(3));
    assert_true(ask(world, &first));
    pass(world, SECONDS(31)); /* it was never answered */
    assert_true(ask(world, &second));
    assert_int_equal(second.ask_no, first.ask_no + 1);
    answer(world, &first, IPC_BOOK_GOOD, &doubt.sentinel, 1);
    pass(world, SECONDS(3));
    answer(world, &first, IPC_BOOK_GOOD, &doubt.sentinel, 1);
    pass(world, 0);
    assert_int_equal(state_of(&doubt), ENG_STATE_RECONCILING);
    struct ipc_event shown = row(world, doubt.lost, "B5", IPC_STATUS_OPEN, 0);
    answer(world, &first, IPC_BOOK_GOOD, &shown, 1);
    assert_int_equal(state_of(&doubt), ENG_STATE_ADOPTED);
    doubt_close(&doubt);
}

/* --- without proof ------------------------------------------------------------------------------
 */

static void without_proof_a_person_is_paged(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    int64_t start = world->now_mono_ns;
    uint32_t asks = 0;
    while (world->now_mono_ns < start + SECONDS(59)) {
        struct eng_book_ask asked;
        if (ask(world, &asked)) {
            asks++;
            answer(world, &asked, IPC_BOOK_EMPTY, NULL, 0);
        }
        pass(world, 100 * LS_NS_PER_MS);
    }
    assert_true(asks >= 10 && asks <= 30);
    assert_int_equal(state_of(&doubt), ENG_STATE_RECONCILING);
    pass(world, SECONDS(1));
    assert_int_equal(state_of(&doubt), ENG_STATE_UNRESOLVED);
    assert_int_equal(alarms(world, IPC_ALARM_UNRESOLVED), 1);
    pass(world, SECONDS(300));
    assert_int_equal(alarms(world, IPC_ALARM_UNRESOLVED), 1);

    /* The instrument is shut, others are not. */
    struct ipc_event event = world_order(world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(world, &event);
    assert_int_equal(world_waves(world), 0);
    assert_int_equal(world_last_fact(world, 0).reason, IPC_REASON_UNKNOWN_PENDING);
    event = world_order(world, IPC_SIDE_BUY, 30, E8(100));
    event.instrument = 3;
    (void)world_event(world, &event);
    assert_int_equal(world_waves(world), 1);

    /* A later proof counts. */
    struct eng_book_ask asked;
    assert_true(ask(world, &asked));
    struct ipc_event shown = row(world, doubt.lost, "B9", IPC_STATUS_FILLED, 10);
    answer(world, &asked, IPC_BOOK_GOOD, &shown, 1);
    assert_int_equal(state_of(&doubt), ENG_STATE_FILLED);
    assert_int_equal(eng_core_copied_position(world->core, 100, 1, IPC_PRODUCT_MIS, NULL), E8(10));
    doubt_close(&doubt);
}

/* --- after the end ------------------------------------------------------------------------------
 */

static void miss(struct doubt *doubt)
{
    for (int i = 0; i < 2; i++) {
        pass(&doubt->world, SECONDS(4));
        struct eng_book_ask asked;
        assert_true(ask(&doubt->world, &asked));
        answer(&doubt->world, &asked, IPC_BOOK_GOOD, &doubt->sentinel, 1);
    }
    pass(&doubt->world, 0);
    assert_int_equal(state_of(doubt), ENG_STATE_MISSED);
}

static void catch_up(struct doubt *doubt, uint32_t handle, const char *tag)
{
    struct ipc_event event = {.kind = IPC_EVENT_OPERATOR,
        .account = doubt->world.followers[0].account,
        .reserved = IPC_OPERATOR_CATCH_UP,
        .broker_order_id = "somebody"};
    struct eng_child_view view;
    if (tag == NULL) {
        assert_true(eng_core_child(doubt->world.core, handle, &view));
        tag = view.tag;
    }
    memcpy(event.client_tag, tag, sizeof event.client_tag);
    assert_int_equal(world_event(&doubt->world, &event), 1);
}

static const char *catch_up_text(const struct world *world, bool *refused)
{
    const struct ipc_fact_catch_up *found = NULL;
    for (const struct world_frame *at = world->first; at != NULL; at = at->next) {
        if (at->frame.type == IPC_FACT_CATCH_UP)
            found = at->frame.payload;
    }
    assert_non_null(found);
    *refused = found->refused != 0;
    return found->text;
}

static void a_missed_order_is_made_good_once(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    bool refused;
    catch_up(&doubt, doubt.lost, NULL);
    assert_string_equal(
        catch_up_text(world, &refused), "its outcome is unknown: the broker's book is being asked");
    assert_true(refused);
    catch_up(&doubt, doubt.known, NULL);
    assert_string_equal(catch_up_text(world, &refused),
        "it was not missed: only an order in state MISSED is made good");
    catch_up(&doubt, 0, "L00000000000000A0000");
    assert_string_equal(catch_up_text(world, &refused), "no order of ours has this tag");
    assert_int_equal(world_waves(world), 0);

    miss(&doubt); /* and long after its age limit */
    catch_up(&doubt, doubt.lost, NULL);
    (void)catch_up_text(world, &refused);
    assert_false(refused);
    assert_int_equal(world_waves(world), 1);
    const struct ipc_command *made = &world->commands[world->command_count - 1];
    assert_int_equal(made->qty_e8, E8(10));
    assert_int_equal(made->price_e8, E8(100));
    struct eng_child_view lost;
    assert_true(eng_core_child(world->core, doubt.lost, &lost));
    assert_string_not_equal(made->tag, lost.tag);
    catch_up(&doubt, doubt.lost, NULL);
    assert_string_equal(catch_up_text(world, &refused), "it was made good already");
    assert_int_equal(world_waves(world), 0);
    doubt_close(&doubt);
}

/* What a control held back was not made good: the one catch-up is not used up. */
static void a_catch_up_that_was_held_back_may_be_repeated(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    miss(&doubt);
    uint8_t word = world->word;
    world->word = IPC_SWITCH_CLOSE_ONLY;
    bool refused;
    catch_up(&doubt, doubt.lost, NULL);
    (void)catch_up_text(world, &refused);
    assert_false(refused);
    assert_int_equal(world_waves(world), 0);
    world->word = word;
    catch_up(&doubt, doubt.lost, NULL);
    (void)catch_up_text(world, &refused);
    assert_false(refused);
    assert_int_equal(world_waves(world), 1);
    catch_up(&doubt, doubt.lost, NULL);
    assert_string_equal(catch_up_text(world, &refused), "it was made good already");
    doubt_close(&doubt);
}

/* --- what a person found out --------------------------------------------------------------------
 */

static const struct ipc_fact_resolve *resolve(
    struct doubt *doubt, const char *tag, int64_t filled_e8, int64_t price_e8)
{
    struct world *world = &doubt->world;
    struct ipc_event event = {.kind = IPC_EVENT_OPERATOR,
        .account = world->followers[0].account,
        .reserved = IPC_OPERATOR_RESOLVE,
        .filled_qty_e8 = filled_e8,
        .average_price_e8 = price_e8,
        .broker_order_id = "somebody"};
    struct eng_child_view view;
    if (tag == NULL) {
        assert_true(eng_core_child(world->core, doubt->lost, &view));
        tag = view.tag;
    }
    memcpy(event.client_tag, tag, sizeof event.client_tag);
    assert_int_equal(world_event(world, &event), 1);
    const struct ipc_fact_resolve *found = NULL;
    for (const struct world_frame *at = world->first; at != NULL; at = at->next) {
        if (at->frame.type == IPC_FACT_RESOLVE)
            found = at->frame.payload;
    }
    assert_non_null(found);
    assert_string_equal(found->by, "somebody");
    return found;
}

static void a_person_decides(void **state)
{
    (void)state;
    static const struct {
        int64_t filled, price;
        const char *refusal;
        enum eng_state expected, shown; /* after it; when the book shows it FILLED later */
    } cases[] = {
        {0, 0, NULL, ENG_STATE_MISSED, ENG_STATE_FILLED},
        {4, 0, NULL, ENG_STATE_CANCELLED, ENG_STATE_CANCELLED},
        {10, 101, NULL, ENG_STATE_FILLED, ENG_STATE_FILLED},
        {11, 0, "it was for less than that", ENG_STATE_UNRESOLVED, ENG_STATE_FILLED},
        {10, 100000000, "the price is out of bounds", ENG_STATE_UNRESOLVED, ENG_STATE_FILLED},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct doubt doubt;
        doubt_open(&doubt, IPC_SIDE_BUY);
        struct world *world = &doubt.world;
        int64_t price_e8 = cases[i].price > 1000 ? INT64_MAX : E8(cases[i].price);
        const struct ipc_fact_resolve *fact = resolve(&doubt, NULL, E8(cases[i].filled), 0);
        assert_string_equal(
            fact->text, "the broker's book is being asked still: wait until it is UNRESOLVED");
        pass(world, SECONDS(60));
        assert_int_equal(state_of(&doubt), ENG_STATE_UNRESOLVED);
        fact = resolve(&doubt, "L00000000000000A0000", E8(1), 0);
        assert_string_equal(fact->text, "no order of ours has this tag");

        fact = resolve(&doubt, NULL, E8(cases[i].filled), price_e8);
        assert_int_equal(fact->refused, cases[i].refusal != NULL);
        if (cases[i].refusal != NULL)
            assert_string_equal(fact->text, cases[i].refusal);
        assert_int_equal(state_of(&doubt), cases[i].expected);
        bool decided = cases[i].refusal == NULL;
        assert_int_equal(eng_core_copied_position(world->core, 100, 1, IPC_PRODUCT_MIS, NULL),
            decided ? E8(cases[i].filled) : 0);
        if (decided) {
            fact = resolve(&doubt, NULL, E8(cases[i].filled), price_e8);
            assert_string_equal(
                fact->text, "only an order in state UNRESOLVED is a person's to decide");
        }
        world_check(world); /* another fold of the journal is the same */

        /* The instrument is open again. */
        struct ipc_event event = world_order(world, IPC_SIDE_BUY, 10, E8(100));
        (void)world_event(world, &event);
        assert_int_equal(world_waves(world), decided ? 1 : 0);
        /* A missed one can be made good. */
        if (cases[i].expected == ENG_STATE_MISSED) {
            bool refused;
            catch_up(&doubt, doubt.lost, NULL);
            (void)catch_up_text(world, &refused);
            assert_false(refused);
            assert_int_equal(world_waves(world), 1);
        }
        /* What the broker shows later counts all the same. */
        uint32_t ghosts = alarms(world, IPC_ALARM_GHOST);
        event = row(world, doubt.lost, "B9", IPC_STATUS_FILLED, 10);
        (void)world_event(world, &event);
        assert_int_equal(state_of(&doubt), cases[i].shown);
        assert_int_equal(alarms(world, IPC_ALARM_GHOST) - ghosts,
            cases[i].expected == ENG_STATE_MISSED ? 1 : 0);
        assert_int_equal(
            eng_core_copied_position(world->core, 100, 1, IPC_PRODUCT_MIS, NULL), E8(10));
        doubt_close(&doubt);
    }
}

/* What the master closed meanwhile is not opened any more. */
static void a_catch_up_follows_the_masters_position(void **state)
{
    (void)state;
    static const struct {
        int64_t sold, expected;
    } cases[] = {{0, 10}, {4, 6}, {10, 0}};
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct doubt doubt;
        doubt_open(&doubt, IPC_SIDE_BUY);
        struct world *world = &doubt.world;
        struct ipc_event event = world_order(world, IPC_SIDE_BUY, 10, E8(100));
        event.order_key = (struct ipc_key){{0, 0}};
        const struct world_frame *found = NULL;
        for (const struct world_frame *at = world->first; at != NULL; at = at->next)
            if (at->frame.type == IPC_FACT_EVENT)
                found = at;
        event = ((const struct ipc_fact_event *)found->frame.payload)->event;
        event.status = IPC_STATUS_FILLED;
        event.filled_qty_e8 = event.qty_e8;
        event.average_price_e8 = E8(100);
        event.version++;
        (void)world_event(world, &event);
        (void)world_waves(world);
        miss(&doubt);
        if (cases[i].sold != 0) {
            event = world_order(world, IPC_SIDE_SELL, cases[i].sold, E8(100));
            event.status = IPC_STATUS_FILLED;
            event.filled_qty_e8 = event.qty_e8;
            event.average_price_e8 = E8(100);
            (void)world_event(world, &event);
            assert_int_equal(world_waves(world), 0); /* nothing is held */
        }
        uint32_t before = world->command_count;
        catch_up(&doubt, doubt.lost, NULL);
        (void)world_waves(world);
        int64_t qty = world->command_count == before ? 0 : world->commands[before].qty_e8;
        assert_int_equal(qty, E8(cases[i].expected));
        doubt_close(&doubt);
    }
}

static void a_ghost_is_applied_and_the_later_order_goes(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    miss(&doubt);
    catch_up(&doubt, doubt.lost, NULL);
    assert_int_equal(world_waves(world), 1);
    struct ipc_command made = world->commands[world->command_count - 1];
    world_ack(world, &made);
    /* It lives: fills count, the alarm is raised, and what was made in its place is cancelled. */
    struct ipc_event shown = row(world, doubt.lost, "GHOST1", IPC_STATUS_FILLED, 10);
    (void)world_event(world, &shown);
    assert_int_equal(state_of(&doubt), ENG_STATE_FILLED);
    assert_int_equal(alarms(world, IPC_ALARM_GHOST), 1);
    assert_int_equal(world_release(world), 1);
    const struct ipc_command *cancel = &world->commands[world->command_count - 1];
    assert_int_equal(cancel->action, IPC_ACTION_CANCEL);
    assert_int_equal(cancel->child, made.child);
    assert_int_equal(world_waves(world), 0); /* never flattened */
    doubt_close(&doubt);
}

/* Two orders with one tag. */
static void of_two_orders_the_later_goes(void **state)
{
    (void)state;
    static const struct {
        enum ipc_status second;
        int64_t filled;
        int cancels; /* 0 = none, 1 = the second, 2 = the first */
    } cases[] = {{IPC_STATUS_OPEN, 0, 1}, {IPC_STATUS_FILLED, 10, 2}, {IPC_STATUS_CANCELLED, 0, 0}};
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct doubt doubt;
        doubt_open(&doubt, IPC_SIDE_BUY);
        struct world *world = &doubt.world;
        struct ipc_event shown = row(world, doubt.lost, "FIRST", IPC_STATUS_OPEN, 0);
        (void)world_event(world, &shown);
        uint32_t before = eng_core_child_count(world->core);
        shown = row(world, doubt.lost, "SECOND", cases[i].second, cases[i].filled);
        (void)world_event(world, &shown);
        assert_int_equal(alarms(world, IPC_ALARM_GHOST), 1);
        assert_int_equal(eng_core_child_count(world->core), before + 1);
        assert_int_equal(eng_core_copied_position(world->core, 100, 1, IPC_PRODUCT_MIS, NULL),
            E8(cases[i].filled));
        (void)world_event(world, &shown); /* it is known now */
        assert_int_equal(eng_core_child_count(world->core), before + 1);
        assert_int_equal(world_release(world), cases[i].cancels != 0);
        if (cases[i].cancels != 0) {
            const struct ipc_command *cancel = &world->commands[world->command_count - 1];
            assert_int_equal(cancel->action, IPC_ACTION_CANCEL);
            assert_string_equal(
                cancel->broker_order_id, cases[i].cancels == 1 ? "SECOND" : "FIRST");
        }
        doubt_close(&doubt);
    }
}

/* --- orphans ------------------------------------------------------------------------------------
 */

static struct ipc_event orphan(
    const struct world *world, uint64_t digits, uint32_t action, enum ipc_side side, int64_t filled)
{
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = (uint8_t)side,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = (uint8_t)(filled == 10 ? IPC_STATUS_FILLED : IPC_STATUS_OPEN),
        .flags = IPC_EVENT_OWN_TAG,
        .account = world->followers[0].account,
        .instrument = 1,
        .order_key = {{5, 5}},
        .qty_e8 = E8(10),
        .price_e8 = E8(100),
        .filled_qty_e8 = E8(filled),
        .average_price_e8 = filled > 0 ? E8(100) : 0,
        .received_mono_ns = world->now_mono_ns,
        .broker_order_id = "ORPHAN"};
    ipc_tag_compose(&(struct ipc_tag_parts){digits, 100, action}, event.client_tag);
    return event;
}

static void an_orphan_is_adopted_and_finds_its_order(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    struct ipc_event master = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    struct ipc_event found = orphan(&world, master.order_digits, 0, IPC_SIDE_BUY, 4);
    (void)world_event(&world, &found);
    assert_int_equal(alarms(&world, IPC_ALARM_ORPHAN), 1);
    assert_int_equal(facts_of(&world, IPC_RECON_ACT_ORPHAN), 1);
    assert_int_equal(world_child(&world, 0).state, ENG_STATE_PARTIAL);
    assert_string_equal(world_child(&world, 0).broker_order_id, "ORPHAN");
    assert_int_equal(eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, NULL), E8(4));
    found.filled_qty_e8 = E8(6);
    (void)world_event(&world, &found); /* a child like any other from here on */
    assert_int_equal(alarms(&world, IPC_ALARM_ORPHAN), 1);
    assert_int_equal(eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, NULL), E8(6));

    /* The master's order is read at last: follower 0 has its copy, follower 1 gets one. */
    (void)world_event(&world, &master);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[0].slot, 1);
    /* Cancelled by him, both end. */
    world_ack(&world, &world.commands[0]);
    master.status = IPC_STATUS_CANCELLED;
    master.version++;
    (void)world_event(&world, &master);
    assert_int_equal(world_waves(&world), 2);
    assert_int_equal(world.commands[1].action, IPC_ACTION_CANCEL);
    assert_int_equal(world.commands[2].action, IPC_ACTION_CANCEL);
    world_check(&world);
    world_close(&world);
}

/* The master's order is known and its wave has not reached the follower: the one that the book shows
 * is its copy, not a second one beside it. */
static void an_orphan_of_a_running_wave_is_the_copy(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    struct ipc_event master = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &master);
    struct ipc_event found = orphan(&world, master.order_digits, 0, IPC_SIDE_BUY, 4);
    (void)world_event(&world, &found);
    assert_int_equal(facts_of(&world, IPC_RECON_ACT_ORPHAN), 1);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[0].slot, 1);
    assert_int_equal(eng_core_child_count(world.core), 2);
    world_check(&world);
    world_close(&world);
}

static void strangers_are_not_adopted(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    struct ipc_event event = orphan(&world, 77, 0, IPC_SIDE_BUY, 0);
    event.account = world.followers[1].account; /* follower 0's tag in another account */
    assert_int_equal(world_event(&world, &event), 0);
    event = orphan(&world, 77, 0, IPC_SIDE_BUY, 0);
    memset(event.client_tag, 0, sizeof event.client_tag);
    assert_int_equal(world_event(&world, &event), 0);
    memcpy(event.client_tag, "hand made", 10);
    assert_int_equal(world_event(&world, &event), 0);
    assert_int_equal(eng_core_child_count(world.core), 0);
    world_check(&world);
    world_close(&world);
}

/* --- restarts -----------------------------------------------------------------------------------
 */

/* In another boot nothing is placed before the book was read; what exits close is derived anew. */
static void another_boot_reads_first(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = event.qty_e8;
    event.average_price_e8 = E8(100);
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[0]);
    uint32_t entry = world.commands[0].child;
    (void)world_update(&world, entry, IPC_STATUS_FILLED, 10, E8(100));
    struct eng_child_view held;
    assert_true(eng_core_child(world.core, entry, &held));
    /* An exit waits in its queue when the power goes. */
    world.cannot_send[0] = 1;
    event = world_order(&world, IPC_SIDE_SELL, 10, E8(100));
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0);
    world_restart(&world, false);
    world.cannot_send[0] = 0;
    assert_false(eng_recon_settled(world.core, world.followers[0].account));
    pass(&world, SECONDS(5));
    assert_int_equal(world_release(&world), 0);
    /* A new entry waits, too, and ages. */
    event = world_order(&world, IPC_SIDE_BUY, 5, E8(100));
    event.instrument = 4;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0);
    pass(&world, SECONDS(6));
    assert_int_equal(world_release(&world), 0);
    assert_int_equal(world_child(&world, 0).reason, IPC_REASON_UNKNOWN_PENDING);

    struct eng_book_ask asked;
    assert_true(ask(&world, &asked));
    assert_int_equal(asked.why, IPC_RECON_WHY_START);
    struct ipc_event book = row(&world, entry, held.broker_order_id, IPC_STATUS_FILLED, 10);
    answer(&world, &asked, IPC_BOOK_GOOD, &book, 1);
    assert_true(eng_recon_settled(world.core, world.followers[0].account));
    (void)world_release(&world); /* the old exit ends */
    uint32_t sent = world_waves(&world) + world_release(&world);
    assert_int_equal(sent, 1); /* and what is held is closed anew */
    const struct ipc_command *close = &world.commands[world.command_count - 1];
    assert_int_equal(close->side, IPC_SIDE_SELL);
    assert_int_equal(close->qty_e8, E8(10));
    event = world_order(&world, IPC_SIDE_BUY, 5, E8(100));
    event.instrument = 4;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    world_check(&world);
    world_close(&world);
}

/* A journal with a hole is as good as another boot. */
static void a_hole_gates_in_the_same_boot(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    struct ipc_fact_open open = {.same_boot = 1, .reconcile_all = 1, .previous_lsn = world.lsn};
    world_apply(&world, IPC_FACT_OPEN, &open, sizeof open, 1);
    world_adopt(&world);
    assert_false(eng_recon_settled(world.core, world.followers[0].account));
    assert_int_equal(world_reconcile(&world), 2);
    assert_true(eng_recon_settled(world.core, world.followers[0].account));
    /* A first start reads the books, too, but nobody waits for it. */
    open = (struct ipc_fact_open){.same_boot = 1};
    world_apply(&world, IPC_FACT_OPEN, &open, sizeof open, 1);
    world.now_mono_ns += SECONDS(1);
    world_adopt(&world);
    assert_true(eng_recon_settled(world.core, world.followers[0].account));
    assert_int_equal(world_reconcile(&world), 2);
    assert_int_equal(world_reconcile(&world), 0);
    world_check(&world);
    world_close(&world);
}

/* Nobody had an order: the broker's empty list is enough to go on, a while after the start. */
static void an_empty_book_lets_an_idle_account_go_on(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world_restart(&world, false);
    struct eng_book_ask asked;
    assert_true(ask(&world, &asked));
    answer(&world, &asked, IPC_BOOK_NO_ORDERS, NULL, 0);
    assert_false(eng_recon_settled(world.core, world.followers[0].account));
    pass(&world, SECONDS(4));
    assert_true(ask(&world, &asked));
    answer(&world, &asked, IPC_BOOK_ERROR, NULL, 0);
    assert_false(eng_recon_settled(world.core, world.followers[0].account));
    pass(&world, SECONDS(4));
    assert_true(ask(&world, &asked));
    answer(&world, &asked, IPC_BOOK_NO_ORDERS, NULL, 0);
    assert_true(eng_recon_settled(world.core, world.followers[0].account));
    world_check(&world);
    world_close(&world);
}

static void a_book_that_is_never_read_pages(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    world_restart(&world, false);
    pass(&world, SECONDS(59));
    assert_int_equal(alarms(&world, IPC_ALARM_UNRESOLVED), 0);
    pass(&world, SECONDS(1));
    assert_int_equal(alarms(&world, IPC_ALARM_UNRESOLVED), 2);
    pass(&world, SECONDS(600));
    assert_int_equal(alarms(&world, IPC_ALARM_UNRESOLVED), 2);
    assert_false(eng_recon_settled(world.core, world.followers[0].account));
    world_check(&world);
    world_close(&world);
}

/* Same boot: only accounts that had requests under way wait. */
static void the_same_boot_asks_the_unsettled(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    uint32_t lost = world.commands[1].slot;
    world_ack(&world, &world.commands[0]);
    world_ack(&world, &world.commands[2]);
    world_restart(&world, true);
    for (uint32_t slot = 0; slot < 3; slot++)
        assert_int_equal(
            eng_recon_settled(world.core, world.followers[slot].account), slot != lost);
    event = world_order(&world, IPC_SIDE_BUY, 30, E8(100));
    event.instrument = 3;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 2);
    /* The first to be asked is the one with a doubt. */
    struct eng_book_ask asked;
    bool found = false;
    while (ask(&world, &asked)) {
        if (asked.account != world.followers[lost].account)
            continue;
        found = true;
        struct ipc_event book = row(&world, world.commands[1].child, "X1", IPC_STATUS_OPEN, 0);
        answer(&world, &asked, IPC_BOOK_GOOD, &book, 1);
    }
    assert_true(found);
    assert_int_equal(world_child(&world, lost).instrument, 3);
    assert_true(eng_recon_settled(world.core, world.followers[lost].account));
    assert_int_equal(world_release(&world), 1); /* fresh still */

    /* Adopted, it can be cancelled like any other. */
    struct eng_child_view view;
    assert_true(eng_core_child(world.core, world.commands[1].child, &view));
    assert_int_equal(view.state, ENG_STATE_ADOPTED);
    event = *(&(struct ipc_event){0});
    for (const struct world_frame *at = world.first; at != NULL; at = at->next) {
        if (at->frame.type == IPC_FACT_EVENT && event.kind == 0)
            event = ((const struct ipc_fact_event *)at->frame.payload)->event;
    }
    event.status = IPC_STATUS_CANCELLED;
    event.version += 10;
    (void)world_event(&world, &event);
    uint32_t before = world.command_count;
    assert_int_equal(world_waves(&world), 3);
    bool cancelled = false;
    for (uint32_t i = before; i < world.command_count; i++)
        cancelled |= world.commands[i].slot == lost &&
                     world.commands[i].action == IPC_ACTION_CANCEL &&
                     strcmp(world.commands[i].broker_order_id, "X1") == 0;
    assert_true(cancelled);
    world_check(&world);
    world_close(&world);
}

/* --- cancels and changes ------------------------------------------------------------------------
 */

static void a_cancel_is_repeated_until_it_is_done(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    struct ipc_event shown = row(world, doubt.lost, "B3", IPC_STATUS_OPEN, 0);
    (void)world_event(world, &shown);
    struct ipc_event event = {0};
    for (const struct world_frame *at = world->first; at != NULL; at = at->next) {
        if (at->frame.type == IPC_FACT_EVENT)
            event = ((const struct ipc_fact_event *)at->frame.payload)->event;
    }
    event.status = IPC_STATUS_CANCELLED;
    event.version++;
    (void)world_event(world, &event);
    assert_int_equal(world_waves(world), 1);
    uint32_t cancels = 1;
    int64_t start = world->now_mono_ns;
    world_reply(world, &world->commands[world->command_count - 1], IPC_OUTCOME_ACKED,
        IPC_EVIDENCE_REPLY, NULL);
    while (world->now_mono_ns < start + SECONDS(40)) {
        pass(world, 100 * LS_NS_PER_MS);
        if (world_release(world) != 0) {
            const struct ipc_command *again = &world->commands[world->command_count - 1];
            assert_int_equal(again->action, IPC_ACTION_CANCEL);
            assert_int_equal(again->child, doubt.lost);
            cancels++;
            /* accepted and refused in turn: neither is the end */
            world_reply(world, again, cancels % 2 ? IPC_OUTCOME_ACKED : IPC_OUTCOME_REJECTED,
                IPC_EVIDENCE_REPLY, NULL);
        }
    }
    assert_int_equal(cancels, 1 + 5); /* after 1, 2, 4, 8, 16 s */
    shown.status = IPC_STATUS_CANCELLED;
    (void)world_event(world, &shown);
    pass(world, SECONDS(100));
    assert_int_equal(world_release(world), 0);
    doubt_close(&doubt);
}

static void a_lost_change_is_read_and_goes_once_more(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    struct ipc_event shown = row(world, doubt.lost, "B3", IPC_STATUS_OPEN, 0);
    (void)world_event(world, &shown);
    struct ipc_event event = {0};
    for (const struct world_frame *at = world->first; at != NULL; at = at->next) {
        if (at->frame.type == IPC_FACT_EVENT)
            event = ((const struct ipc_fact_event *)at->frame.payload)->event;
    }
    event.price_e8 = E8(101);
    event.version++;
    (void)world_event(world, &event);
    assert_int_equal(world_waves(world), 1);
    uint32_t changes = 1;
    for (int turn = 0; turn < 6; turn++) {
        if (changes > (uint32_t)turn)
            world_reply(world, &world->commands[world->command_count - 1], IPC_OUTCOME_UNKNOWN,
                IPC_EVIDENCE_TIMEOUT, NULL);
        /* Read too early, the old terms say nothing. */
        (void)world_event(world, &shown);
        assert_int_equal(world_waves(world), 0);
        pass(world, SECONDS(4));
        struct eng_book_ask asked;
        while (ask(world, &asked)) {
            struct ipc_event book = shown;
            answer(world, &asked, IPC_BOOK_GOOD, &book, 1);
            changes += world_waves(world); /* fresh still */
            pass(world, SECONDS(4));
        }
        changes += world_waves(world);
    }
    assert_int_equal(changes, 2); /* at most one more */
    doubt_close(&doubt);
}

/* --- the same id once more ----------------------------------------------------------------------
 */

static void an_enforced_id_goes_once_more_while_fresh(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t idempotency;
        int64_t wait_s, window_s;
        enum ipc_outcome_class first, second;
        int sent; /* places in total */
        enum eng_state expected;
    } cases[] = {
        {"accepted at last", ENG_ID_ENFORCED, 0, 60, IPC_OUTCOME_UNKNOWN, IPC_OUTCOME_ACKED, 2,
            ENG_STATE_ACKED},
        {"refused as a duplicate: the book says the rest", ENG_ID_ENFORCED, 0, 60,
            IPC_OUTCOME_UNKNOWN, IPC_OUTCOME_REJECTED, 2, ENG_STATE_UNKNOWN},
        {"lost again", ENG_ID_ENFORCED, 0, 60, IPC_OUTCOME_UNKNOWN, IPC_OUTCOME_UNKNOWN, 2,
            ENG_STATE_UNKNOWN},
        {"the second was not sent: that says nothing of the first", ENG_ID_ENFORCED, 0, 60,
            IPC_OUTCOME_UNKNOWN, IPC_OUTCOME_NOT_SENT, 2, ENG_STATE_UNKNOWN},
        {"too old by then", ENG_ID_ENFORCED, 6, 60, IPC_OUTCOME_UNKNOWN, 0, 1, ENG_STATE_UNKNOWN},
        {"ids are remembered for a while", ENG_ID_ENFORCED, 0, 0, IPC_OUTCOME_UNKNOWN, 0, 1,
            ENG_STATE_UNKNOWN},
        {"ids are echoed", ENG_ID_ECHOED, 0, 60, IPC_OUTCOME_UNKNOWN, 0, 1, ENG_STATE_UNKNOWN},
        {"no ids", ENG_ID_NONE, 0, 60, IPC_OUTCOME_UNKNOWN, 0, 1, ENG_STATE_UNKNOWN},
        {"a definite refusal", ENG_ID_ENFORCED, 0, 60, IPC_OUTCOME_REJECTED, 0, 1,
            ENG_STATE_REJECTED},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct world world;
        world_open(&world, 1);
        world.policies[0].idempotency = cases[i].idempotency;
        world.policies[0].dedupe_window_ns = SECONDS(cases[i].window_s);
        world_adopt(&world);
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 1);
        struct ipc_command first = world.commands[0];
        world.now_mono_ns += LS_NS_PER_MS;
        world_reply(&world, &first, cases[i].first, IPC_EVIDENCE_TIMEOUT, NULL);
        pass(&world, SECONDS(cases[i].wait_s) + 100 * LS_NS_PER_MS);
        (void)world_release(&world);
        if ((int)world.command_count != cases[i].sent)
            print_error("%s\n", cases[i].what);
        assert_int_equal(world.command_count, cases[i].sent);
        if (cases[i].sent == 2) {
            assert_string_equal(world.commands[1].tag, first.tag);
            assert_int_equal(world.commands[1].qty_e8, first.qty_e8);
            assert_int_equal(world.commands[1].price_e8, first.price_e8);
            world_reply(&world, &world.commands[1], cases[i].second,
                cases[i].second == IPC_OUTCOME_UNKNOWN    ? IPC_EVIDENCE_RESET
                : cases[i].second == IPC_OUTCOME_NOT_SENT ? IPC_EVIDENCE_NO_BYTES
                                                          : IPC_EVIDENCE_REPLY,
                cases[i].second == IPC_OUTCOME_ACKED ? "B1" : NULL);
        }
        pass(&world, SECONDS(1));
        assert_int_equal(world_release(&world), 0); /* never a third time */
        assert_int_equal(world_child(&world, 0).state, cases[i].expected);
        world_check(&world);
        world_close(&world);
    }
}

/* Without client ids nothing tells two orders apart: an account has one out at a time. */
static void without_ids_one_order_is_out_at_a_time(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.policies[0].one_in_flight = true;
    world_adopt(&world);
    for (uint32_t instrument = 1; instrument <= 3; instrument++) {
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 390, E8(100));
        event.instrument = instrument;
        (void)world_event(&world, &event);
    }
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world_release(&world), 0);
    world_reply(&world, &world.commands[0], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_RESET, NULL);
    pass(&world, SECONDS(1));
    assert_int_equal(world_release(&world), 0); /* what became of it is asked first */
    struct eng_book_ask asked;
    assert_true(ask(&world, &asked));
    struct ipc_event shown = row(&world, world.commands[0].child, "B1", IPC_STATUS_OPEN, 0);
    answer(&world, &asked, IPC_BOOK_GOOD, &shown, 1);
    assert_int_equal(world_release(&world), 1);
    assert_int_equal(world_release(&world), 0);
    world_ack(&world, &world.commands[1]);
    assert_int_equal(world_release(&world), 1);
    world_check(&world);
    world_close(&world);
}

/* By the follower's choice nobody is asked. */
static void a_follower_may_choose_to_catch_up(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    struct ipc_row_policy policy = {.flags = IPC_POLICY_CATCH_UP};
    world->view.policies = &policy;
    world->view.policy_count = 1;
    world->followers[0].policy = 1;
    world_adopt(world);
    uint32_t before = world->command_count;
    miss(&doubt);
    assert_int_equal(world_waves(world), 1);
    assert_int_equal(world->commands[before].qty_e8, E8(10));
    assert_int_equal(alarms(world, IPC_ALARM_MISSED), 1);
    doubt_close(&doubt);
}

/* --- the day's end ------------------------------------------------------------------------------
 */

static void orders_are_of_their_day(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    struct ipc_fact_limit begins = {.act = IPC_LIMIT_ACT_DAY, .day = 20251217};
    world_apply(world, IPC_FACT_LIMIT, &begins, sizeof begins, 1); /* at a start, of this day */
    struct eng_child_view view;
    assert_true(eng_core_child(world->core, doubt.known, &view));
    assert_int_equal(view.state, ENG_STATE_ACKED);
    assert_int_equal(state_of(&doubt), ENG_STATE_UNKNOWN);
    world->now_mono_ns += SECONDS(86400);
    world->now_wall_ns += SECONDS(86400);
    begins.day = 20251218;
    world_apply(world, IPC_FACT_LIMIT, &begins, sizeof begins, 1);
    assert_true(eng_core_child(world->core, doubt.known, &view));
    assert_int_equal(view.state, ENG_STATE_EXPIRED);
    assert_int_equal(alarms(world, IPC_ALARM_UNRESOLVED), 0);
    pass(world, 0); /* the time pages a person */
    assert_int_equal(state_of(&doubt), ENG_STATE_UNRESOLVED);
    assert_int_equal(alarms(world, IPC_ALARM_UNRESOLVED), 1);
    doubt_close(&doubt);
}

/* --- the budget ---------------------------------------------------------------------------------
 */

static void questions_take_a_fifth_at_most(void **state)
{
    (void)state;
    static const struct {
        uint32_t second, minute, day;
        uint32_t asks; /* in 120 s */
    } cases[] = {{10, 0, 0, 240}, {5, 0, 0, 120}, {10, 120, 0, 48}, {10, 0, 200, 40}};
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct world world;
        world_open(&world, 1);
        world.policies[0] = (struct eng_broker_policy){.orders_per_second = cases[i].second,
            .orders_per_minute = cases[i].minute,
            .orders_per_day = cases[i].day};
        world_adopt(&world);
        int64_t start = world.now_mono_ns;
        uint32_t asks = 0;
        while (world.now_mono_ns < start + SECONDS(120)) {
            struct eng_event_facts wanted;
            if (eng_recon_want(world.core, 3, IPC_RECON_WHY_OUTAGE, NULL, &wanted))
                take(&world, &wanted);
            struct eng_book_ask asked;
            if (ask(&world, &asked)) {
                asks++;
                answer(&world, &asked, IPC_BOOK_EMPTY, NULL, 0);
            }
            pass(&world, 50 * LS_NS_PER_MS);
        }
        assert_true(asks <= cases[i].asks && asks >= cases[i].asks * 9 / 10);
        world_check(&world);
        world_close(&world);
    }
}

/* The sleep bound: nothing is due before it, something is from then on. */
static void due_is_when_something_is_due(void **state)
{
    (void)state;
    struct doubt doubt;
    doubt_open(&doubt, IPC_SIDE_BUY);
    struct world *world = &doubt.world;
    for (int i = 0; i < 40; i++) {
        int64_t due = eng_recon_due(world->core, world->now_mono_ns, world->now_wall_ns);
        assert_true(due != INT64_MAX);
        struct eng_book_ask asked;
        if (due > world->now_mono_ns) {
            pass(world, due - world->now_mono_ns - 1);
            assert_false(ask(world, &asked));
            pass(world, 1);
        }
        if (ask(world, &asked))
            answer(world, &asked, i % 3 ? IPC_BOOK_ERROR : IPC_BOOK_NO_CONNECTION, NULL, 0);
    }
    doubt_close(&doubt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presence_is_proof),
        cmocka_unit_test(absence_takes_two_books),
        cmocka_unit_test(a_slow_book_settles_later),
        cmocka_unit_test(a_late_answer_proves_nothing_absent),
        cmocka_unit_test(without_proof_a_person_is_paged),
        cmocka_unit_test(a_missed_order_is_made_good_once),
        cmocka_unit_test(a_catch_up_that_was_held_back_may_be_repeated),
        cmocka_unit_test(a_person_decides),
        cmocka_unit_test(a_catch_up_follows_the_masters_position),
        cmocka_unit_test(a_ghost_is_applied_and_the_later_order_goes),
        cmocka_unit_test(of_two_orders_the_later_goes),
        cmocka_unit_test(an_orphan_is_adopted_and_finds_its_order),
        cmocka_unit_test(an_orphan_of_a_running_wave_is_the_copy),
        cmocka_unit_test(strangers_are_not_adopted),
        cmocka_unit_test(another_boot_reads_first),
        cmocka_unit_test(a_hole_gates_in_the_same_boot),
        cmocka_unit_test(an_empty_book_lets_an_idle_account_go_on),
        cmocka_unit_test(a_book_that_is_never_read_pages),
        cmocka_unit_test(the_same_boot_asks_the_unsettled),
        cmocka_unit_test(a_cancel_is_repeated_until_it_is_done),
        cmocka_unit_test(a_lost_change_is_read_and_goes_once_more),
        cmocka_unit_test(an_enforced_id_goes_once_more_while_fresh),
        cmocka_unit_test(without_ids_one_order_is_out_at_a_time),
        cmocka_unit_test(a_follower_may_choose_to_catch_up),
        cmocka_unit_test(orders_are_of_their_day),
        cmocka_unit_test(questions_take_a_fifth_at_most),
        cmocka_unit_test(due_is_when_something_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
