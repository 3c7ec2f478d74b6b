#include "control/snapshot_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- equal rows are one ---------------------------------------------------------------------- */

/* A name of some bytes: two of the same kind with one name are compared before they count as equal,
 * so a collision costs a row and nothing else. */
static void name_of(char kind, const void *bytes, size_t count, char *out, size_t out_bytes)
{
    const uint8_t *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    snprintf(out, out_bytes, "%c%016llx", kind, (unsigned long long)hash);
}

/* Rows of a run table (lists, maps) whose items are `bytes` each. */
static uint32_t share_run(struct ctl_reading *r, char kind, struct ctl_rows *runs,
    struct ctl_rows *items, const void *from, uint32_t count)
{
    char name[24];
    size_t bytes = (size_t)count * items->bytes;
    if (count == 0)
        return 0;
    name_of(kind, from, bytes, name, sizeof(name));
    uint32_t known = ctl_name_map_get(&r->shared, name);
    if (known < CTL_NAME_TWICE) {
        const struct ipc_row_list *run = (struct ipc_row_list *)runs->at + known;
        if (run->count == count &&
            memcmp((char *)items->at + (size_t)run->first * items->bytes, from, bytes) == 0)
            return known + 1;
    }
    uint32_t index = runs->count;
    struct ipc_row_list *run = ctl_rows_reach(runs, index + 1);
    *run = (struct ipc_row_list){.first = items->count, .count = count};
    ctl_rows_reach(items, items->count + count);
    memcpy((char *)items->at + (size_t)run->first * items->bytes, from, bytes);
    if (known == CTL_NAME_ABSENT)
        ctl_name_map_put(&r->shared, name, index);
    return index + 1;
}

uint32_t ctl_share_list(struct ctl_reading *r, const uint32_t *ids, uint32_t count)
{
    return share_run(r, 'l', &r->lists, &r->items, ids, count);
}

uint32_t ctl_share_map(struct ctl_reading *r, const struct ipc_row_map_item *items, uint32_t count)
{
    return share_run(r, 'm', &r->maps, &r->map_items, items, count);
}

uint32_t ctl_share_policy(struct ctl_reading *r, const struct ipc_row_policy *policy)
{
    static const struct ipc_row_policy none;
    char name[24];
    if (memcmp(policy, &none, sizeof(none)) == 0)
        return 0;
    name_of('p', policy, sizeof(*policy), name, sizeof(name));
    uint32_t known = ctl_name_map_get(&r->shared, name);
    if (known < CTL_NAME_TWICE &&
        memcmp((struct ipc_row_policy *)r->policies.at + known, policy, sizeof(*policy)) == 0)
        return known + 1;
    uint32_t index = r->policies.count;
    *(struct ipc_row_policy *)ctl_rows_reach(&r->policies, index + 1) = *policy;
    if (known == CTL_NAME_ABSENT)
        ctl_name_map_put(&r->shared, name, index);
    return index + 1;
}

/* ---- the order of slots ---------------------------------------------------------------------- */

/* A table in its new order: `moved[old index]` is 1 + new index, 0 = not named yet. */
struct reorder {
    const struct ctl_rows *runs, *items; /* the old ones; items NULL = plain rows */
    struct ctl_rows new_runs, new_items;
    uint32_t *moved;
};

static struct reorder reorder_start(const struct ctl_rows *runs, const struct ctl_rows *items)
{
    struct reorder order = {.runs = runs, .items = items, .new_runs.bytes = runs->bytes};
    if (items != NULL)
        order.new_items.bytes = items->bytes;
    order.moved = calloc(runs->count > 0 ? runs->count : 1, sizeof(*order.moved));
    LS_CHECK(order.moved != NULL);
    return order;
}

static uint32_t reorder_take(struct reorder *order, uint32_t one_plus)
{
    if (one_plus == 0)
        return 0;
    LS_CHECK(one_plus <= order->runs->count);
    uint32_t *moved = &order->moved[one_plus - 1];
    if (*moved != 0)
        return *moved;
    *moved = order->new_runs.count + 1;
    void *row = ctl_rows_reach(&order->new_runs, *moved);
    memcpy(row, (char *)order->runs->at + (size_t)(one_plus - 1) * order->runs->bytes,
        order->runs->bytes);
    if (order->items != NULL) {
        struct ipc_row_list *run = row;
        uint32_t first = order->new_items.count;
        ctl_rows_reach(&order->new_items, first + run->count);
        memcpy((char *)order->new_items.at + (size_t)first * order->items->bytes,
            (char *)order->items->at + (size_t)run->first * order->items->bytes,
            (size_t)run->count * order->items->bytes);
        run->first = first;
    }
    return *moved;
}

static void reorder_end(struct reorder *order, struct ctl_rows *runs, struct ctl_rows *items)
{
    free(runs->at);
    *runs = order->new_runs;
    if (items != NULL) {
        free(items->at);
        *items = order->new_items;
    }
    free(order->moved);
}

/* The tables that followers name rows of. */
struct shared_tables {
    struct ctl_rows *lists, *items, *policies, *maps, *map_items;
};

static void order_tables(
    struct ipc_row_follower *followers, uint32_t count, const struct shared_tables *tables)
{
    struct reorder lists = reorder_start(tables->lists, tables->items);
    struct reorder policies = reorder_start(tables->policies, NULL);
    struct reorder maps = reorder_start(tables->maps, tables->map_items);
    for (uint32_t slot = 0; slot < count; slot++) {
        struct ipc_row_follower *row = &followers[slot];
        row->allowed_list = reorder_take(&lists, row->allowed_list);
        row->denied_list = reorder_take(&lists, row->denied_list);
        row->policy = reorder_take(&policies, row->policy);
        row->map = reorder_take(&maps, row->map);
    }
    reorder_end(&lists, tables->lists, tables->items);
    reorder_end(&policies, tables->policies, NULL);
    reorder_end(&maps, tables->maps, tables->map_items);
}

void ctl_shared_order(struct ctl_reading *r)
{
    const struct shared_tables tables = {.lists = &r->lists,
        .items = &r->items,
        .policies = &r->policies,
        .maps = &r->maps,
        .map_items = &r->map_items};
    order_tables(r->followers.at, r->followers.count, &tables);
}

void ctl_shared_order_image(struct ipc_snapshot_image *image)
{
    static const enum ipc_table which[] = {IPC_TABLE_LISTS, IPC_TABLE_LIST_ITEMS,
        IPC_TABLE_POLICIES, IPC_TABLE_MAPS, IPC_TABLE_MAP_ITEMS};
    struct ctl_rows rows[LS_COUNT_OF(which)];
    for (size_t i = 0; i < LS_COUNT_OF(which); i++) {
        uint32_t count = image->shape.rows[which[i]];
        rows[i] = (struct ctl_rows){.bytes = ipc_table_row_bytes(which[i], 0)};
        if (count == 0)
            continue;
        ctl_rows_reach(&rows[i], count);
        memcpy(rows[i].at, image->rows[which[i]], (size_t)count * rows[i].bytes);
        memset(image->rows[which[i]], 0, (size_t)count * rows[i].bytes);
    }
    const struct shared_tables tables = {.lists = &rows[0],
        .items = &rows[1],
        .policies = &rows[2],
        .maps = &rows[3],
        .map_items = &rows[4]};
    order_tables(image->rows[IPC_TABLE_FOLLOWERS], image->shape.rows[IPC_TABLE_FOLLOWERS], &tables);
    for (size_t i = 0; i < LS_COUNT_OF(which); i++) {
        LS_CHECK(rows[i].count <= image->capacity.rows[which[i]]);
        image->shape.rows[which[i]] = rows[i].count;
        if (rows[i].count > 0)
            memcpy(image->rows[which[i]], rows[i].at, (size_t)rows[i].count * rows[i].bytes);
        free(rows[i].at);
    }
}

/* ---- symbol maps ----------------------------------------------------------------------------- */

static int compare_from(const void *a, const void *b)
{
    uint32_t left = ((const struct ipc_row_map_item *)a)->from;
    uint32_t right = ((const struct ipc_row_map_item *)b)->from;
    return left < right ? -1 : left > right;
}

/* One line: "NSE:ABC": "NSE:XYZ", or "NSE:ABC": {"to": "NSE:XYZ", "factor": 0.1}. */
static enum ipc_rc read_line(struct ctl_reading *r, uint32_t name, struct ipc_row_map_item *item)
{
    static const char *const keys[] = {"to", "factor", NULL};
    char symbol[48];
    uint32_t value = name + 1, to = value;
    if (ctl_document_text(r->document, name, symbol, sizeof(symbol), r->error) != IPC_OK ||
        ctl_find_symbol(r, name, symbol, &item->from) != IPC_OK)
        return IPC_BAD_INPUT;
    if (ctl_document_type(r->document, value) == CTL_JSON_OBJECT) {
        if (ctl_document_only(r->document, value, keys, r->error) != IPC_OK ||
            ctl_read_failed(ctl_read_e8(r, value, "factor", 1, 10000 * LS_E8, &item->factor_e8)))
            return IPC_BAD_INPUT;
        to = ctl_document_member(r->document, value, "to");
        if (to == CTL_NONE)
            return CTL_COMPLAIN(
                r, value, "\"to\" is missing: the instrument that is traded instead");
    }
    if (ctl_document_text(r->document, to, symbol, sizeof(symbol), r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    if (item->factor_e8 == LS_E8)
        item->factor_e8 = 0; /* one way to say it */
    return ctl_find_symbol(r, to, symbol, &item->to);
}

static enum ipc_rc read_map(struct ctl_reading *r, uint32_t name)
{
    char text[64];
    uint32_t object = name + 1;
    if (ctl_document_text(r->document, name, text, sizeof(text), r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    if (ctl_document_type(r->document, object) != CTL_JSON_OBJECT)
        return CTL_COMPLAIN(r, object, "must be an object of instruments");
    uint32_t count = ctl_document_count(r->document, object), at = 0;
    struct ipc_row_map_item *items = calloc(count > 0 ? count : 1, sizeof(*items));
    LS_CHECK(items != NULL);
    enum ipc_rc rc = IPC_OK;
    for (uint32_t line = ctl_document_first(r->document, object); line != CTL_NONE && rc == IPC_OK;
         line = ctl_document_next(r->document, line))
        rc = read_line(r, line, &items[at++]);
    if (rc == IPC_OK) {
        qsort(items, count, sizeof(*items), compare_from);
        for (uint32_t i = 1; i < count && rc == IPC_OK; i++)
            if (items[i].from == items[i - 1].from)
                rc = CTL_COMPLAIN(
                    r, object, "names instrument %u twice; keep one line", items[i].from);
    }
    if (rc == IPC_OK)
        ctl_name_map_put(&r->map_names, text, ctl_share_map(r, items, count));
    free(items);
    return rc;
}

enum ipc_rc ctl_read_symbol_maps(struct ctl_reading *r)
{
    uint32_t maps = ctl_document_member(r->document, 0, "symbol_maps");
    if (maps == CTL_NONE || ctl_document_type(r->document, maps) == CTL_JSON_NULL)
        return IPC_OK;
    if (ctl_document_type(r->document, maps) != CTL_JSON_OBJECT)
        return CTL_COMPLAIN(r, maps, "must be an object: a name, and what it maps");
    for (uint32_t name = ctl_document_first(r->document, maps); name != CTL_NONE;
         name = ctl_document_next(r->document, name)) {
        enum ipc_rc rc = read_map(r, name);
        if (rc != IPC_OK)
            return rc;
    }
    return IPC_OK;
}
