#include "control/instruments_merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VANISH_FLOOR 16u /* so few may vanish unasked, whatever share of an exchange they are */

/* ---- tables ---------------------------------------------------------------------------------- */

static struct ipc_row_instrument *instrument_at(const struct ctl_merge *merge, uint32_t id)
{
    return (struct ipc_row_instrument *)merge->instruments.at + (id - 1);
}

static struct ipc_row_contract *contract_at(const struct ctl_merge *merge, uint32_t at)
{
    return (struct ipc_row_contract *)merge->contracts.at + at;
}

static uint32_t head_of(const struct ctl_merge *merge, uint32_t id)
{
    return id <= merge->heads.count ? ((const uint32_t *)merge->heads.at)[id - 1] : 0;
}

static uint32_t next_of(const struct ctl_merge *merge, uint32_t at)
{
    return ((const uint32_t *)merge->links.at)[at - 1];
}

static struct ipc_row_contract *contract_find(
    const struct ctl_merge *merge, uint32_t id, uint32_t broker)
{
    for (uint32_t at = head_of(merge, id); at != 0; at = next_of(merge, at))
        if (contract_at(merge, at - 1)->broker == broker)
            return contract_at(merge, at - 1);
    return NULL;
}

/* Appends a row to an instrument that has none of this broker. */
static struct ipc_row_contract *contract_add(
    struct ctl_merge *merge, uint32_t id, const struct ipc_row_contract *row)
{
    const uint32_t at = merge->contracts.count + 1;
    struct ipc_row_contract *out = ctl_rows_reach(&merge->contracts, at);
    if (id > merge->heads.count)
        (void)ctl_rows_reach(&merge->heads, id);
    uint32_t *head = (uint32_t *)merge->heads.at + (id - 1);
    *(uint32_t *)ctl_rows_reach(&merge->links, at) = *head;
    *head = at;
    *out = *row;
    return out;
}

/* What a broker has that lists the instrument as its own row says. */
static struct ipc_row_contract contract_of(
    const struct ipc_row_instrument *row, uint32_t broker, uint16_t flags)
{
    struct ipc_row_contract out = {.instrument = row->instrument,
        .broker = (uint16_t)broker,
        .flags = flags,
        .identity = adp_contract_identity(row, row->lot_qty_e8, row->tick_e8),
        .lot_qty_e8 = row->lot_qty_e8,
        .tick_e8 = row->tick_e8,
        .freeze_qty_e8 = row->freeze_qty_e8};
    memcpy(out.token, row->token, sizeof(out.token));
    memcpy(out.symbol, row->symbol, sizeof(out.symbol));
    return out;
}

/* Writes down for every other live broker what held for it without a row. */
static void spell_out_others(
    struct ctl_merge *merge, const struct ipc_row_instrument *row, uint32_t broker)
{
    const uint16_t flags = row->flags & IPC_INSTRUMENT_GONE ? IPC_CONTRACT_GONE : 0;
    for (uint32_t other = 0; other < 64; other++)
        if (other != broker && (merge->brokers >> other & 1)) {
            const struct ipc_row_contract said = contract_of(row, other, flags);
            (void)contract_add(merge, row->instrument, &said);
        }
}

static bool same_key(uint32_t row, const void *wanted, const void *context)
{
    return adp_contract_same((const struct ipc_row_instrument *)context + row, wanted);
}

/* ---- start and end --------------------------------------------------------------------------- */

/* Remembers the freeze quantity of an underlying; the smallest of its contracts'. */
static void remember_freeze(struct ctl_merge *merge, const struct ipc_row_instrument *row)
{
    char name[64];
    if (row->freeze_qty_e8 == 0 || (row->flags & IPC_INSTRUMENT_GONE))
        return;
    snprintf(name, sizeof(name), "%u:%s", row->exchange, row->underlying);
    uint32_t at = ctl_name_map_get(&merge->freezes, name);
    if (at >= CTL_NAME_TWICE) {
        at = merge->freeze_values.count;
        (void)ctl_name_map_put(&merge->freezes, name, at);
        *(int64_t *)ctl_rows_reach(&merge->freeze_values, at + 1) = row->freeze_qty_e8;
        return;
    }
    int64_t *value = (int64_t *)merge->freeze_values.at + at;
    *value = row->freeze_qty_e8 < *value ? row->freeze_qty_e8 : *value;
}

static int64_t remembered_freeze(
    const struct ctl_merge *merge, const struct ipc_row_instrument *row)
{
    char name[64];
    snprintf(name, sizeof(name), "%u:%s", row->exchange, row->underlying);
    const uint32_t at = ctl_name_map_get(&merge->freezes, name);
    return at >= CTL_NAME_TWICE ? 0 : ((const int64_t *)merge->freeze_values.at)[at];
}

void ctl_merge_init(struct ctl_merge *merge, const struct ipc_snapshot_view *live,
    const struct ctl_freeze *freeze, uint32_t today_yyyymmdd, bool override)
{
    *merge = (struct ctl_merge){.instruments.bytes = sizeof(struct ipc_row_instrument),
        .contracts.bytes = sizeof(struct ipc_row_contract),
        .changes.bytes = sizeof(struct ctl_change),
        .heads.bytes = sizeof(uint32_t),
        .links.bytes = sizeof(uint32_t),
        .freeze_values.bytes = sizeof(int64_t),
        .freeze = freeze,
        .today_yyyymmdd = today_yyyymmdd,
        .override = override};
    ctl_row_index_init(&merge->index, live->instrument_count);
    ctl_name_map_init(&merge->freezes, 512);
    for (uint32_t i = 0; i < live->broker_count && i < 64; i++)
        merge->brokers |= live->brokers[i].live ? UINT64_C(1) << i : 0;
    for (uint32_t i = 0; i < live->instrument_count; i++) {
        struct ipc_row_instrument *row = ctl_rows_reach(&merge->instruments, i + 1);
        *row = live->instruments[i];
        if (row->instrument == 0)
            continue;
        ctl_row_index_add(&merge->index, adp_contract_key(row), i);
        remember_freeze(merge, row);
    }
    for (uint32_t i = 0; i < live->contract_count; i++)
        (void)contract_add(merge, live->contracts[i].instrument, &live->contracts[i]);
}

void ctl_merge_free(struct ctl_merge *merge)
{
    struct ctl_rows *vectors[] = {&merge->instruments, &merge->contracts, &merge->changes,
        &merge->heads, &merge->links, &merge->freeze_values};
    for (size_t i = 0; i < LS_COUNT_OF(vectors); i++)
        free(vectors[i]->at);
    ctl_row_index_free(&merge->index);
    ctl_name_map_free(&merge->freezes);
}

/* ---- changes --------------------------------------------------------------------------------- */

static void note_change(struct ctl_merge *merge, const struct ipc_row_instrument *row, int broker,
    enum ctl_change_field field, int64_t old_e8, int64_t new_e8)
{
    if (old_e8 == new_e8)
        return;
    struct ctl_change *changes = merge->changes.at;
    for (uint32_t i = merge->changes.count; i > 0; i--) {
        struct ctl_change *change = &changes[i - 1];
        if (change->field == field && change->broker == broker && change->old_e8 == old_e8 &&
            change->new_e8 == new_e8 && change->exchange == row->exchange &&
            memcmp(change->underlying, row->underlying, sizeof(change->underlying)) == 0) {
            change->contracts++;
            return;
        }
    }
    struct ctl_change *change = ctl_rows_reach(&merge->changes, merge->changes.count + 1);
    *change = (struct ctl_change){.exchange = row->exchange,
        .field = (uint8_t)field,
        .broker = (int16_t)broker,
        .old_e8 = old_e8,
        .new_e8 = new_e8,
        .contracts = 1,
        .example = row->instrument};
    memcpy(change->underlying, row->underlying, sizeof(change->underlying));
}

/* Old and new as contracts, whichever table they are in. */
static void note_changes(struct ctl_merge *merge, const struct ipc_row_instrument *row, int broker,
    const struct ipc_row_contract *before, const struct ipc_row_contract *after)
{
    note_change(merge, row, broker, CTL_CHANGE_LOT, before->lot_qty_e8, after->lot_qty_e8);
    note_change(merge, row, broker, CTL_CHANGE_TICK, before->tick_e8, after->tick_e8);
    note_change(merge, row, broker, CTL_CHANGE_FREEZE, before->freeze_qty_e8, after->freeze_qty_e8);
    merge->counts.tokens_changed += memcmp(before->token, after->token, sizeof(after->token)) != 0;
    merge->counts.symbols_changed +=
        memcmp(before->symbol, after->symbol, sizeof(after->symbol)) != 0;
}

static bool says_the_same(const struct ipc_row_contract *a, const struct ipc_row_contract *b)
{
    return a->lot_qty_e8 == b->lot_qty_e8 && a->tick_e8 == b->tick_e8 &&
           a->freeze_qty_e8 == b->freeze_qty_e8 && a->flags == b->flags &&
           memcmp(a->token, b->token, sizeof(a->token)) == 0 &&
           memcmp(a->symbol, b->symbol, sizeof(a->symbol)) == 0;
}

/* ---- one contract ---------------------------------------------------------------------------- */

static bool one_broker(const struct ctl_merge *merge, int broker)
{
    return broker == CTL_EVERY_BROKER || merge->brokers == UINT64_C(1) << broker;
}

static void base_set(struct ipc_row_instrument *row, const struct ipc_row_contract *said)
{
    row->lot_qty_e8 = said->lot_qty_e8;
    row->tick_e8 = said->tick_e8;
    row->freeze_qty_e8 = said->freeze_qty_e8;
    memcpy(row->token, said->token, sizeof(row->token));
    memcpy(row->symbol, said->symbol, sizeof(row->symbol));
}

/* A contract that has an id. `said` is what the broker's files say now. */
static void update(
    struct ctl_merge *merge, int broker, uint32_t id, const struct ipc_row_contract *said)
{
    struct ipc_row_instrument *row = instrument_at(merge, id);
    const bool gone = (row->flags & IPC_INSTRUMENT_GONE) != 0;
    const struct ipc_row_contract base =
        contract_of(row, said->broker, gone ? IPC_CONTRACT_GONE : 0);
    if (one_broker(merge, broker)) {
        merge->counts.returned += gone;
        note_changes(merge, row, broker, &base, said);
        base_set(row, said);
        row->flags &= (uint8_t)~IPC_INSTRUMENT_GONE;
        return;
    }
    struct ipc_row_contract *own = contract_find(merge, id, said->broker);
    if (own != NULL) {
        merge->counts.returned += (own->flags & IPC_CONTRACT_GONE) != 0;
        note_changes(merge, row, broker, own, said);
        *own = *said;
        return;
    }
    if (head_of(merge, id) == 0) {
        if (says_the_same(&base, said))
            return;
        merge->counts.returned += gone;
        note_changes(merge, row, broker, &base, said);
        spell_out_others(merge, row, said->broker);
    }
    (void)contract_add(merge, id, said);
}

/* The freeze quantity: what the lists say, else what it was, else what its underlying has. */
static int64_t freeze_of(
    const struct ctl_merge *merge, const struct adp_contract *contract, int64_t before_e8)
{
    if (contract->row.kind != IPC_KIND_FUTURE && contract->row.kind != IPC_KIND_OPTION)
        return before_e8;
    const int64_t listed_e8 = ctl_freeze_qty_e8(merge->freeze, contract);
    if (listed_e8 != 0)
        return listed_e8;
    return before_e8 != 0 ? before_e8 : remembered_freeze(merge, &contract->row);
}

/* What the broker said of it before; 0 when it is new there. */
static int64_t freeze_before(const struct ctl_merge *merge, int broker, uint32_t id)
{
    const struct ipc_row_contract *own =
        broker == CTL_EVERY_BROKER ? NULL : contract_find(merge, id, (uint32_t)broker);
    return own != NULL ? own->freeze_qty_e8 : instrument_at(merge, id)->freeze_qty_e8;
}

static enum ipc_rc take(struct ctl_merge *merge, int broker, const struct ctl_contract_set *set,
    const struct ctl_contract_line *line, uint32_t *id, struct ipc_error *error)
{
    const struct adp_contract *contract = &line->contract;
    const uint64_t key = adp_contract_key(&contract->row);
    const uint32_t known =
        ctl_row_index_find(&merge->index, key, same_key, &contract->row, merge->instruments.at);
    struct ipc_row_instrument row = contract->row;
    *id = known == CTL_ROW_ABSENT ? merge->instruments.count + 1 : known + 1;
    row.instrument = *id;
    row.freeze_qty_e8 =
        freeze_of(merge, contract, known == CTL_ROW_ABSENT ? 0 : freeze_before(merge, broker, *id));
    if (row.freeze_qty_e8 != 0 && row.freeze_qty_e8 < row.lot_qty_e8) {
        ipc_error_set(error,
            "%s:%u: the freeze quantity of %s is %lld, below its lot of %lld: one of the two files "
            "is wrong",
            set->files[line->file].path, line->line, row.symbol,
            (long long)(row.freeze_qty_e8 / LS_E8), (long long)(row.lot_qty_e8 / LS_E8));
        return IPC_BAD_INPUT;
    }
    const bool derivative = row.kind == IPC_KIND_FUTURE || row.kind == IPC_KIND_OPTION;
    merge->counts.without_freeze += derivative && row.freeze_qty_e8 == 0;
    merge->counts.in_file_expired += derivative && row.expiry_yyyymmdd < merge->today_yyyymmdd;
    const struct ipc_row_contract said =
        contract_of(&row, broker == CTL_EVERY_BROKER ? 0 : (uint32_t)broker, 0);
    if (known != CTL_ROW_ABSENT) {
        update(merge, broker, *id, &said);
        return IPC_OK;
    }
    if (*id > INSTRUMENT_MAX) {
        ipc_error_set(error, "%s:%u: all %u instrument ids are used up",
            set->files[line->file].path, line->line, INSTRUMENT_MAX);
        return IPC_BAD_INPUT;
    }
    *(struct ipc_row_instrument *)ctl_rows_reach(&merge->instruments, *id) = row;
    ctl_row_index_add(&merge->index, key, *id - 1);
    if (!one_broker(merge, broker))
        (void)contract_add(merge, *id, &said); /* nobody else lists it yet */
    merge->counts.added++;
    return IPC_OK;
}

/* ---- what the files no longer have ----------------------------------------------------------- */

static bool is_gone(const struct ctl_merge *merge, int broker, const struct ipc_row_instrument *row)
{
    if (one_broker(merge, broker) || head_of(merge, row->instrument) == 0)
        return (row->flags & IPC_INSTRUMENT_GONE) != 0;
    const struct ipc_row_contract *own = contract_find(merge, row->instrument, (uint32_t)broker);
    return own == NULL || (own->flags & IPC_CONTRACT_GONE);
}

static void mark_gone(struct ctl_merge *merge, int broker, struct ipc_row_instrument *row)
{
    if (one_broker(merge, broker)) {
        row->flags |= IPC_INSTRUMENT_GONE;
        return;
    }
    struct ipc_row_contract *own = contract_find(merge, row->instrument, (uint32_t)broker);
    if (own == NULL) {
        const struct ipc_row_contract said = contract_of(row, (uint32_t)broker, 0);
        spell_out_others(merge, row, (uint32_t)broker);
        own = contract_add(merge, row->instrument, &said);
    }
    own->flags |= IPC_CONTRACT_GONE;
}

/* A list of an exchange's contracts says nothing about its indices, and the other way round. */
static uint32_t part_of(const struct ipc_row_instrument *row)
{
    return row->exchange * 2u + (row->kind == IPC_KIND_INDEX);
}

struct part {
    bool covered;
    uint32_t known, vanished, expired; /* before its expiry: known, vanished */
};

static enum ipc_rc check_parts(
    const struct ctl_merge *merge, const struct part *parts, size_t count, struct ipc_error *error)
{
    for (size_t p = 0; p < count; p++) {
        if (merge->override || parts[p].vanished <= VANISH_FLOOR ||
            2 * (uint64_t)parts[p].vanished <= parts[p].known)
            continue;
        ipc_error_set(error,
            "%u of the %u contracts that %s still lists are not in the files: a file is cut off or "
            "is another one; give --override when that is right",
            parts[p].vanished, parts[p].known, ipc_exchange_name((enum ipc_exchange)(p / 2)));
        return IPC_REFUSED;
    }
    return IPC_OK;
}

static enum ipc_rc vanish(struct ctl_merge *merge, int broker, const struct ctl_contract_set *set,
    const uint8_t *seen, uint32_t known_count, struct ipc_error *error)
{
    struct part parts[32] = {0};
    for (uint32_t i = 0; i < set->count; i++)
        parts[part_of(&set->lines[i].contract.row) % LS_COUNT_OF(parts)].covered = true;
    for (uint32_t id = 1; id <= known_count; id++) {
        const struct ipc_row_instrument *row = instrument_at(merge, id);
        struct part *part = &parts[part_of(row) % LS_COUNT_OF(parts)];
        if (row->instrument == 0 || !part->covered || (!seen[id] && is_gone(merge, broker, row)))
            continue;
        const bool expired =
            row->expiry_yyyymmdd != 0 && row->expiry_yyyymmdd < merge->today_yyyymmdd;
        part->known += !expired;
        part->vanished += !seen[id] && !expired;
        part->expired += !seen[id] && expired;
    }
    enum ipc_rc rc = check_parts(merge, parts, LS_COUNT_OF(parts), error);
    if (rc != IPC_OK)
        return rc;
    for (uint32_t id = 1; id <= known_count; id++) {
        struct ipc_row_instrument *row = instrument_at(merge, id);
        if (row->instrument != 0 && !seen[id] && !is_gone(merge, broker, row) &&
            parts[part_of(row) % LS_COUNT_OF(parts)].covered)
            mark_gone(merge, broker, row);
    }
    for (size_t p = 0; p < LS_COUNT_OF(parts); p++) {
        merge->counts.vanished += parts[p].vanished;
        merge->counts.expired += parts[p].expired;
    }
    return IPC_OK;
}

enum ipc_rc ctl_merge_add(struct ctl_merge *merge, int broker, const struct ctl_contract_set *set,
    struct ipc_error *error)
{
    if (broker == CTL_EVERY_BROKER && merge->contracts.count > 0) {
        ipc_error_set(error, "brokers list some contracts differently here: say whose files these "
                             "are with --broker NAME before them");
        return IPC_BAD_INPUT;
    }
    const uint32_t known_count = merge->instruments.count;
    uint8_t *seen = calloc((size_t)known_count + 1, 1);
    LS_CHECK(seen != NULL);
    enum ipc_rc rc = IPC_OK;
    for (uint32_t i = 0; i < set->count && rc == IPC_OK; i++) {
        uint32_t id;
        rc = take(merge, broker, set, &set->lines[i], &id, error);
        if (rc == IPC_OK && id <= known_count)
            seen[id] = 1;
    }
    if (rc == IPC_OK)
        rc = vanish(merge, broker, set, seen, known_count, error);
    free(seen);
    return rc;
}

/* ---- the new contract table ------------------------------------------------------------------ */

static int by_broker(const void *a, const void *b)
{
    const struct ipc_row_contract *x = a, *y = b;
    return x->broker < y->broker ? -1 : x->broker > y->broker;
}

/* The rows of one instrument: none when all live brokers say the same. The instrument's own row
 * says what the first broker that still lists it says. */
static uint32_t settle(struct ctl_merge *merge, uint32_t id, struct ipc_row_contract rows[64])
{
    uint32_t count = 0, gone = 0;
    for (uint32_t at = head_of(merge, id); at != 0 && count < 64; at = next_of(merge, at)) {
        const struct ipc_row_contract *row = contract_at(merge, at - 1);
        if (row->broker < 64 && (merge->brokers >> row->broker & 1))
            rows[count++] = *row;
    }
    if (count == 0)
        return 0;
    qsort(rows, count, sizeof(rows[0]), by_broker);
    const struct ipc_row_contract *first = NULL;
    bool alike = count == (uint32_t)__builtin_popcountll(merge->brokers), differ = false;
    for (uint32_t i = 0; i < count; i++) {
        alike = alike && says_the_same(&rows[0], &rows[i]);
        gone += (rows[i].flags & IPC_CONTRACT_GONE) != 0;
        if (rows[i].flags & IPC_CONTRACT_GONE)
            continue;
        first = first == NULL ? &rows[i] : first;
        differ = differ || rows[i].identity != first->identity;
    }
    struct ipc_row_instrument *row = instrument_at(merge, id);
    base_set(row, first != NULL ? first : &rows[0]);
    row->flags = gone == count ? IPC_INSTRUMENT_GONE : 0;
    merge->counts.differing += differ;
    return alike ? 0 : count;
}

void ctl_merge_finish(struct ctl_merge *merge)
{
    struct ctl_rows table = {.bytes = sizeof(struct ipc_row_contract)};
    for (uint32_t id = 1; merge->contracts.count > 0 && id <= merge->instruments.count; id++) {
        struct ipc_row_contract rows[64];
        const uint32_t count = head_of(merge, id) == 0 ? 0 : settle(merge, id, rows);
        for (uint32_t i = 0; i < count; i++)
            *(struct ipc_row_contract *)ctl_rows_reach(&table, table.count + 1) = rows[i];
    }
    free(merge->contracts.at);
    merge->contracts = table;
    merge->counts.contract_rows = table.count;
}
