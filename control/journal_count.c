#include "control/journal_count.h"

#include "ipc/enum.h"
#include "ipc/journal_text.h"
#include "ipc/tag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

IPC_DEFINE_ENUM(ctl_stand, CTL_STAND_LIST)

/* One of our orders, by the parts of its tag. */
struct order_row {
    uint64_t digits;
    uint32_t follower_no, action;
    uint8_t stand;    /* enum ctl_stand, 0 = a free row */
    uint8_t sendings; /* of the place, not proved unsent */
    uint8_t again;    /* a second one is allowed: the broker knows a repeated id */
};

/* One wave and its followers so far. */
struct wave_row {
    uint64_t number; /* 0 = a free row */
    uint64_t expected, visited;
    uint64_t adopts; /* generations in force when it began */
    bool is_closed;
};

/* One visit, so that a second one of the same wave shows. */
struct visit_row {
    uint64_t wave; /* 0 = a free row */
    uint32_t follower_no;
};

/* A table by open addressing: rows of one size, grown at half full. */
struct table {
    uint8_t *rows;
    uint64_t room, used; /* room: a power of two */
};

struct ctl_journal_count {
    struct ctl_journal_counts counts;
    struct ipc_journal_orders *orders; /* digits of an order's key */
    struct table children, waves, visits, ids;
    uint64_t adopts, first_lsn, lsn;
    bool has_gap; /* the journal does not begin with its first fact, or there was a hole */
};

/* A broker's order id and the order that has it. */
struct id_row {
    char id[IPC_BROKER_ORDER_ID_BYTES];
    uint64_t digits;
    uint32_t follower_no, action;
    bool is_used, is_ambiguous; /* two accounts may have equal ids */
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

static LS_PRINTF(2, 3) void differs(struct ctl_journal_count *count, const char *format, ...)
{
    uint64_t at = count->counts.differences++;
    if (at >= CTL_DIFFERENCES_KEPT)
        return;
    va_list arguments;
    va_start(arguments, format);
    count->counts.kept[at].lsn = count->lsn;
    vsnprintf(count->counts.kept[at].text, sizeof count->counts.kept[at].text, format, arguments);
    va_end(arguments);
}

/* What an order or wave from before the journal's beginning would explain. */
static LS_PRINTF(2, 3) void differs_if_whole(
    struct ctl_journal_count *count, const char *format, ...)
{
    char text[120];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (count->has_gap)
        count->counts.unnamed++;
    else
        differs(count, "%s", text);
}

/* --- tables -------------------------------------------------------------------------------------
 */

typedef bool is_row_fn(const void *row, const void *key);

static bool order_is(const void *row, const void *key)
{
    const struct order_row *left = row, *right = key;
    return left->stand == 0 || (left->digits == right->digits && left->action == right->action &&
                                   left->follower_no == right->follower_no);
}
static uint64_t order_hash(const void *row)
{
    const struct order_row *order = row;
    return mix(order->digits ^ mix(((uint64_t)order->follower_no << 32) | order->action));
}
static bool order_used(const void *row)
{
    return ((const struct order_row *)row)->stand != 0;
}

static bool wave_is(const void *row, const void *key)
{
    const struct wave_row *left = row, *right = key;
    return left->number == 0 || left->number == right->number;
}
static uint64_t wave_hash(const void *row)
{
    return mix(((const struct wave_row *)row)->number);
}
static bool wave_used(const void *row)
{
    return ((const struct wave_row *)row)->number != 0;
}

static bool visit_is(const void *row, const void *key)
{
    const struct visit_row *left = row, *right = key;
    return left->wave == 0 ||
           (left->wave == right->wave && left->follower_no == right->follower_no);
}
static uint64_t visit_hash(const void *row)
{
    const struct visit_row *visit = row;
    return mix(visit->wave ^ mix(visit->follower_no));
}
static bool visit_used(const void *row)
{
    return ((const struct visit_row *)row)->wave != 0;
}

static bool id_is(const void *row, const void *key)
{
    const struct id_row *left = row, *right = key;
    return !left->is_used || memcmp(left->id, right->id, sizeof left->id) == 0;
}
static uint64_t id_hash(const void *row)
{
    uint64_t words[IPC_BROKER_ORDER_ID_BYTES / 8], hash = 0;
    memcpy(words, ((const struct id_row *)row)->id, sizeof words);
    for (size_t i = 0; i < LS_COUNT_OF(words); i++)
        hash = mix(hash ^ words[i]);
    return hash;
}
static bool id_used(const void *row)
{
    return ((const struct id_row *)row)->is_used;
}

/* What a kind of row is. */
struct kind {
    size_t bytes;
    is_row_fn *is;
    uint64_t (*hash)(const void *row);
    bool (*used)(const void *row);
};
static const struct kind order_kind = {sizeof(struct order_row), order_is, order_hash, order_used};
static const struct kind wave_kind = {sizeof(struct wave_row), wave_is, wave_hash, wave_used};
static const struct kind visit_kind = {sizeof(struct visit_row), visit_is, visit_hash, visit_used};
static const struct kind id_kind = {sizeof(struct id_row), id_is, id_hash, id_used};

/* The row with the key, or the free row where it belongs. */
static void *row_at(const struct kind *kind, const struct table *table, const void *key)
{
    uint64_t at = kind->hash(key) & (table->room - 1);
    while (!kind->is(table->rows + at * kind->bytes, key))
        at = (at + 1) & (table->room - 1);
    return table->rows + at * kind->bytes;
}

static void table_grow(const struct kind *kind, struct table *table)
{
    struct table grown = {.room = table->room == 0 ? 1024 : 2 * table->room, .used = table->used};
    grown.rows = calloc(grown.room, kind->bytes);
    LS_CHECK(grown.rows != NULL);
    for (uint64_t i = 0; i < table->room; i++) {
        const uint8_t *row = table->rows + i * kind->bytes;
        if (kind->used(row))
            memcpy(row_at(kind, &grown, row), row, kind->bytes);
    }
    free(table->rows);
    *table = grown;
}

/* The row with the key; made, a copy of it, when there is none. */
static void *row_take(const struct kind *kind, struct table *table, const void *key, bool *is_new)
{
    if (table->used * 2 >= table->room)
        table_grow(kind, table);
    uint8_t *row = row_at(kind, table, key);
    *is_new = !kind->used(row);
    if (*is_new) {
        memcpy(row, key, kind->bytes);
        table->used++;
    }
    return row;
}

static void *row_find(const struct kind *kind, const struct table *table, const void *key)
{
    if (table->room == 0)
        return NULL;
    uint8_t *row = row_at(kind, table, key);
    return kind->used(row) ? row : NULL;
}

/* --- orders -------------------------------------------------------------------------------------
 */

static struct order_row *order_by_tag(
    struct ctl_journal_count *count, const char tag[IPC_TAG_BYTES])
{
    struct ipc_tag_parts parts;
    if (tag[IPC_TAG_CHARACTERS] != '\0' || ipc_tag_parse(tag, IPC_TAG_CHARACTERS, &parts) != IPC_OK)
        return NULL;
    struct order_row key = {
        .digits = parts.order_digits, .follower_no = parts.follower_no, .action = parts.action};
    return row_find(&order_kind, &count->children, &key);
}

static bool stand_ended(uint8_t stand)
{
    return stand >= CTL_STAND_FILLED;
}

/* Its bytes may leave. The second time only after proof that the first did not, or to a broker that
 * knows a repeated id (ORDER-SAFETY 3.2 c). */
static void order_sends(struct ctl_journal_count *count, struct order_row *order)
{
    if (order->sendings > 0 && order->again == 0)
        differs(count, "a second place of follower %u, action %u, while the first may be out",
            order->follower_no, order->action);
    order->sendings++;
    order->again = 0;
    order->stand = CTL_STAND_SENDING;
}

static void id_learn(struct ctl_journal_count *count, const struct order_row *order,
    const char id[IPC_BROKER_ORDER_ID_BYTES])
{
    struct id_row key = {.digits = order->digits,
        .follower_no = order->follower_no,
        .action = order->action,
        .is_used = true};
    bool is_new;
    if (id[0] == '\0')
        return;
    memcpy(key.id, id, sizeof key.id);
    struct id_row *row = row_take(&id_kind, &count->ids, &key, &is_new);
    if (!is_new && (row->digits != key.digits || row->follower_no != key.follower_no ||
                       row->action != key.action))
        row->is_ambiguous = true;
}

static struct order_row *order_by_id(
    struct ctl_journal_count *count, const char id[IPC_BROKER_ORDER_ID_BYTES])
{
    struct id_row key = {.is_used = true};
    memcpy(key.id, id, sizeof key.id);
    const struct id_row *row = row_find(&id_kind, &count->ids, &key);
    if (row == NULL || row->is_ambiguous)
        return NULL;
    struct order_row wanted = {
        .digits = row->digits, .follower_no = row->follower_no, .action = row->action};
    return row_find(&order_kind, &count->children, &wanted);
}

/* --- facts --------------------------------------------------------------------------------------
 */

static bool is_place(uint8_t kind)
{
    return kind == IPC_CHILD_PLACE || kind == IPC_CHILD_PLACE_QUEUED;
}

static void take_event(struct ctl_journal_count *count, const struct ipc_fact_event *fact)
{
    bool is_new;
    count->counts.events++;
    if (fact->wave == 0)
        return;
    struct wave_row key = {
        .number = fact->wave, .expected = fact->follower_count, .adopts = count->adopts};
    (void)row_take(&wave_kind, &count->waves, &key, &is_new);
    if (!is_new) {
        differs(count, "wave %llu begins a second time", (unsigned long long)fact->wave);
        return;
    }
    count->counts.waves++;
    count->counts.expected += fact->follower_count;
}

/* One follower's decision.
 *   visit  it stands for the follower's visit by the wave */
static void take_child(struct ctl_journal_count *count, const struct ipc_fact_child *child,
    uint64_t digits, bool visit)
{
    struct ctl_journal_counts *counts = &count->counts;
    struct order_row key = {.digits = digits,
        .follower_no = child->follower_no,
        .action = child->action,
        .stand = CTL_STAND_QUEUED};
    if (!is_place(child->kind)) {
        bool nothing = child->kind == IPC_CHILD_SKIP || child->kind == IPC_CHILD_FLATTEN;
        counts->skipped += visit && nothing;
        counts->acts += visit && !nothing;
        struct order_row *order = row_find(&order_kind, &count->children, &key);
        if (child->kind == IPC_CHILD_SKIP && order != NULL &&
            (order->stand == CTL_STAND_QUEUED || order->stand == CTL_STAND_NOT_SENT))
            order->stand = CTL_STAND_SKIPPED; /* what waited is not wanted any more */
        if (!nothing && order == NULL)
            differs_if_whole(count, "%s of an order that was never placed (follower %u, action %u)",
                ipc_child_kind_name((enum ipc_child_kind)child->kind), child->follower_no,
                child->action);
        return;
    }
    bool is_new;
    struct order_row *order = row_take(&order_kind, &count->children, &key, &is_new);
    counts->placed += visit && is_new;
    counts->acts += visit && !is_new;
    counts->extra += !visit && is_new;
    if (!is_new && order->stand != CTL_STAND_QUEUED && order->stand != CTL_STAND_NOT_SENT)
        differs(count, "follower %u, action %u is placed again while it is %s", child->follower_no,
            child->action, ctl_stand_name((enum ctl_stand)order->stand));
    if (child->kind == IPC_CHILD_PLACE)
        order_sends(count, order);
}

static void take_visit(struct ctl_journal_count *count, struct wave_row *wave, uint32_t follower_no)
{
    bool is_new;
    struct visit_row key = {.wave = wave->number, .follower_no = follower_no};
    (void)row_take(&visit_kind, &count->visits, &key, &is_new);
    if (!is_new)
        differs(count, "wave %llu decides follower %u twice", (unsigned long long)wave->number,
            follower_no);
    if (wave->is_closed)
        differs(count, "wave %llu goes on after its end", (unsigned long long)wave->number);
    if (++wave->visited <= wave->expected)
        return;
    /* Who joined the list after the event counts as expected then. */
    wave->expected++;
    count->counts.expected++;
    if (wave->adopts == count->adopts)
        differs(count, "wave %llu visits more followers than its event has",
            (unsigned long long)wave->number);
}

static void take_batch(struct ctl_journal_count *count, const struct ipc_frame *frame,
    const struct ipc_fact_batch *batch)
{
    uint64_t digits = 0;
    count->counts.batches++;
    if (ipc_journal_batch(frame, batch) < 0) {
        differs(count, "a batch whose sizes do not agree");
        return;
    }
    const struct ipc_fact_child *children = ipc_fact_batch_children(batch);
    struct wave_row *wave = NULL;
    if (batch->wave != 0) {
        struct wave_row key = {.number = batch->wave};
        wave = row_find(&wave_kind, &count->waves, &key);
        if (wave == NULL)
            differs_if_whole(count, "a batch of wave %llu, which no event began",
                (unsigned long long)batch->wave);
    }
    if (batch->child_count == 1 && children[0].follower_no == 0) { /* the end marker */
        if (wave != NULL) {
            count->counts.vanished += wave->expected - wave->visited;
            wave->visited = wave->expected;
            wave->is_closed = true;
        }
        return;
    }
    if (!ipc_journal_orders_digits(count->orders, batch->order_key, &digits)) {
        differs_if_whole(count, "a batch of an order that no event showed");
        return;
    }
    for (uint32_t i = 0; i < batch->child_count; i++) {
        bool first = i == 0 || children[i].follower_no != children[i - 1].follower_no;
        if (first && wave != NULL)
            take_visit(count, wave, children[i].follower_no);
        take_child(count, &children[i], digits, first && wave != NULL);
    }
}

static void take_release(struct ctl_journal_count *count, const struct ipc_fact_release *fact)
{
    struct order_row *order = order_by_tag(count, fact->tag);
    count->counts.releases++;
    if (order == NULL) {
        differs_if_whole(count, "a release of an order that was never decided");
        return;
    }
    bool waits = order->stand == CTL_STAND_QUEUED || order->stand == CTL_STAND_NOT_SENT;
    if (fact->kind == IPC_CHILD_PLACE) {
        if (!waits && order->again == 0)
            differs(count, "a place is released while its order is %s",
                ctl_stand_name((enum ctl_stand)order->stand));
        order_sends(count, order);
    } else if (fact->kind == IPC_CHILD_SKIP && waits) {
        order->stand = CTL_STAND_SKIPPED;
    }
}

static void take_reply(struct ctl_journal_count *count, const struct ipc_fact_reply *fact)
{
    struct order_row *order = order_by_tag(count, fact->tag);
    count->counts.replies++;
    if (order == NULL) {
        differs_if_whole(count, "an outcome of an order that was never decided");
        return;
    }
    id_learn(count, order, fact->outcome.broker_order_id);
    if (fact->action != IPC_ACTION_PLACE)
        return;
    bool is_late = stand_ended(order->stand) && order->stand != CTL_STAND_MISSED &&
                   order->stand != CTL_STAND_SKIPPED;
    uint8_t stand = order->stand;
    switch ((enum ipc_outcome_class)fact->outcome.outcome) {
    case IPC_OUTCOME_ACKED:
        stand = CTL_STAND_WORKING;
        break;
    case IPC_OUTCOME_REJECTED:
        stand = CTL_STAND_REJECTED;
        break;
    case IPC_OUTCOME_AUTH:
    case IPC_OUTCOME_LIMITED:
    case IPC_OUTCOME_NOT_SENT:
        order->sendings = 0; /* definite: it is not there */
        stand = order->stand == CTL_STAND_SENDING ? CTL_STAND_NOT_SENT : CTL_STAND_NOT_PLACED;
        break;
    case IPC_OUTCOME_UNKNOWN:
        stand = order->stand == CTL_STAND_SENDING ? CTL_STAND_UNKNOWN : order->stand;
        break;
    }
    if (!is_late && order->stand != CTL_STAND_WORKING)
        order->stand = stand;
}

static void take_status(struct order_row *order, uint8_t status)
{
    static const uint8_t stands[] = {
        [IPC_STATUS_PENDING] = CTL_STAND_WORKING,
        [IPC_STATUS_OPEN] = CTL_STAND_WORKING,
        [IPC_STATUS_FILLED] = CTL_STAND_FILLED,
        [IPC_STATUS_CANCELLED] = CTL_STAND_CANCELLED,
        [IPC_STATUS_REJECTED] = CTL_STAND_REJECTED,
        [IPC_STATUS_EXPIRED] = CTL_STAND_EXPIRED,
    };
    if (status >= LS_COUNT_OF(stands) || stands[status] == 0)
        return;
    bool reopens = stand_ended(order->stand) && stands[status] == CTL_STAND_WORKING &&
                   order->stand != CTL_STAND_MISSED && order->stand != CTL_STAND_SKIPPED;
    if (!reopens && order->stand != CTL_STAND_FILLED) /* filled is the last of all */
        order->stand = stands[status];
}

static void take_update(struct ctl_journal_count *count, const struct ipc_event *event)
{
    char tag[IPC_TAG_BYTES];
    count->counts.updates++;
    memcpy(tag, event->client_tag, sizeof tag);
    struct order_row *order = order_by_tag(count, tag);
    if (order == NULL)
        order = order_by_id(count, event->broker_order_id);
    if (order == NULL) {
        count->counts.unnamed++;
        return;
    }
    id_learn(count, order, event->broker_order_id);
    take_status(order, event->status);
}

static void take_orphan(struct ctl_journal_count *count, const struct ipc_fact_orphan *orphan)
{
    struct ipc_tag_parts parts;
    bool is_new;
    if (ipc_tag_parse(orphan->tag, IPC_TAG_CHARACTERS, &parts) != IPC_OK) {
        differs(count, "an orphan without a tag");
        return;
    }
    struct order_row key = {.digits = parts.order_digits,
        .follower_no = parts.follower_no,
        .action = parts.action,
        .stand = CTL_STAND_WORKING,
        .sendings = 1};
    struct order_row *order = row_take(&order_kind, &count->children, &key, &is_new);
    count->counts.extra += is_new;
    id_learn(count, order, orphan->event.broker_order_id);
    take_status(order, orphan->event.status);
}

static void take_verdict(struct ctl_journal_count *count, const struct ipc_fact_recon_child *fact)
{
    struct order_row *order = order_by_tag(count, fact->tag);
    if (order == NULL) {
        differs_if_whole(count, "a verdict about an order that was never decided");
        return;
    }
    switch ((enum ipc_verdict)fact->verdict) {
    case IPC_VERDICT_ASKED:
    case IPC_VERDICT_ABSENT:
        break;
    case IPC_VERDICT_NOT_PLACED:
        order->stand = CTL_STAND_NOT_PLACED;
        break;
    case IPC_VERDICT_MISSED:
        order->stand = CTL_STAND_MISSED;
        break;
    case IPC_VERDICT_UNRESOLVED:
        order->stand = CTL_STAND_UNRESOLVED;
        break;
    case IPC_VERDICT_AGAIN:
        order->again = 1;
        break;
    case IPC_VERDICT_DAY_END:
        if (order->stand == CTL_STAND_QUEUED || order->stand == CTL_STAND_NOT_SENT)
            order->stand = CTL_STAND_SKIPPED;
        else if (order->stand == CTL_STAND_UNKNOWN)
            order->stand = CTL_STAND_UNRESOLVED;
        else if (order->stand == CTL_STAND_NOT_PLACED)
            order->stand = CTL_STAND_MISSED;
        else if (order->stand == CTL_STAND_WORKING)
            order->stand = CTL_STAND_EXPIRED;
        break;
    }
}

static void take_recon(struct ctl_journal_count *count, const struct ipc_frame *frame,
    const struct ipc_fact_recon *fact)
{
    if (fact->child_count > IPC_RECON_CHILDREN_MAX ||
        frame->payload_bytes != ipc_fact_recon_bytes(fact))
        return;
    if (fact->act == IPC_RECON_ACT_ORPHAN) {
        take_orphan(count, ipc_fact_recon_orphan(fact));
        return;
    }
    const struct ipc_fact_recon_child *children = ipc_fact_recon_children(fact);
    for (uint32_t i = 0; i < fact->child_count; i++)
        take_verdict(count, &children[i]);
}

/* A new life: what was under way may have left. */
static void take_open(struct ctl_journal_count *count)
{
    struct order_row *rows = (struct order_row *)count->children.rows;
    for (uint64_t i = 0; i < count->children.room; i++)
        if (rows[i].stand == CTL_STAND_SENDING)
            rows[i].stand = CTL_STAND_UNKNOWN;
}

/* --- the journal --------------------------------------------------------------------------------
 */

struct ctl_journal_count *ctl_journal_count_make(void)
{
    struct ctl_journal_count *count = calloc(1, sizeof *count);
    if (count == NULL)
        return NULL;
    count->orders = ipc_journal_orders_make();
    if (count->orders == NULL) {
        free(count);
        return NULL;
    }
    return count;
}

void ctl_journal_count_free(struct ctl_journal_count *count)
{
    if (count == NULL)
        return;
    ipc_journal_orders_free(count->orders);
    free(count->children.rows);
    free(count->waves.rows);
    free(count->visits.rows);
    free(count->ids.rows);
    free(count);
}

void ctl_journal_count_take(
    struct ctl_journal_count *count, const struct ipc_frame *frame, const void *payload, bool maybe)
{
    uint32_t bytes = frame->payload_bytes;
    count->lsn = frame->lsn;
    if (count->first_lsn == 0)
        count->first_lsn = frame->lsn;
    count->has_gap |= maybe || count->first_lsn != 1;
    ipc_journal_orders_learn(count->orders, frame);
    if (frame->type == IPC_FACT_OPEN) {
        take_open(count);
    } else if (frame->type == IPC_FACT_ADOPT) {
        count->adopts++;
    } else if (frame->type == IPC_FACT_EVENT && bytes == sizeof(struct ipc_fact_event)) {
        take_event(count, payload);
    } else if (frame->type == IPC_FACT_UPDATE && bytes == sizeof(struct ipc_fact_event)) {
        take_update(count, &((const struct ipc_fact_event *)payload)->event);
    } else if (frame->type == IPC_FACT_BATCH && bytes >= sizeof(struct ipc_fact_batch)) {
        take_batch(count, frame, payload);
    } else if (frame->type == IPC_FACT_RECON && bytes >= sizeof(struct ipc_fact_recon)) {
        take_recon(count, frame, payload);
    } else if (frame->type == IPC_FACT_REPLY) {
        const struct ipc_fact_reply *facts = payload;
        for (uint32_t i = 0; i < frame->count && (i + 1) * sizeof *facts <= bytes; i++)
            take_reply(count, &facts[i]);
    } else if (frame->type == IPC_FACT_RELEASE) {
        const struct ipc_fact_release *facts = payload;
        for (uint32_t i = 0; i < frame->count && (i + 1) * sizeof *facts <= bytes; i++)
            take_release(count, &facts[i]);
    }
}

void ctl_journal_count_end(struct ctl_journal_count *count, struct ctl_journal_counts *out)
{
    struct ctl_journal_counts *counts = &count->counts;
    memset(counts->stands, 0, sizeof counts->stands);
    counts->terminal = counts->open = counts->remaining = 0;
    const struct order_row *rows = (const struct order_row *)count->children.rows;
    for (uint64_t i = 0; i < count->children.room; i++) {
        if (rows[i].stand == 0)
            continue;
        counts->stands[rows[i].stand]++;
        *(stand_ended(rows[i].stand) ? &counts->terminal : &counts->open) += 1;
    }
    const struct wave_row *waves = (const struct wave_row *)count->waves.rows;
    for (uint64_t i = 0; i < count->waves.room; i++)
        if (waves[i].number != 0)
            counts->remaining += waves[i].expected - waves[i].visited;
    *out = *counts;
    if (!count->has_gap && counts->expected != counts->skipped + counts->placed + counts->acts +
                                                   counts->vanished + counts->remaining)
        out->differences++;
    if (!count->has_gap && counts->placed + counts->extra != counts->terminal + counts->open)
        out->differences++;
}
