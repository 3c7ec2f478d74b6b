/* What the files are like (all columns by name):
 * - NSE and BSE add `Group Name`, BFO swaps two columns and appends `pdc`, INDICES has exch, symbol
 *   and token in lower case and nothing else;
 * - a future has Option Type XX (NFO) or none (BFO) and strike -1; a cash row has no expiry;
 * - there is no freeze quantity. */
#include "adapters/broker/alice_blue_contract.h"

#include <string.h>

#include "ipc/decimal.h"
#include "ipc/prices.h"

#define LINE_BYTES_MAX 1024u
#define LOT_E8_MAX     (INT64_C(50000000) * LS_E8)
#define INDEX_TICK_E8  (LS_E8 / 100)

static const struct {
    enum adp_contract_column column;
    const char *name;
    bool of_contracts, of_indices; /* cannot be missing there */
} columns[ADP_CONTRACT_COLUMN_COUNT] = {
    {ADP_CONTRACT_EXCHANGE, "Exch", true, true},
    {ADP_CONTRACT_SEGMENT, "Exchange Segment", true, false},
    {ADP_CONTRACT_GROUP, "Group Name", false, false},
    {ADP_CONTRACT_SYMBOL, "Symbol", true, true},
    {ADP_CONTRACT_TOKEN, "Token", true, true},
    {ADP_CONTRACT_TYPE, "Instrument Type", true, false},
    {ADP_CONTRACT_RIGHT, "Option Type", true, false},
    {ADP_CONTRACT_STRIKE, "Strike Price", true, false},
    {ADP_CONTRACT_TRADING_SYMBOL, "Trading Symbol", true, false},
    {ADP_CONTRACT_EXPIRY, "Expiry Date", true, false},
    {ADP_CONTRACT_LOT, "Lot Size", true, false},
    {ADP_CONTRACT_TICK, "Tick Size", true, false},
};

static enum adp_rc read_header(
    struct adp_span line, struct adp_contract_layout *out, struct adp_contract_problem *problem)
{
    struct adp_span fields[ADP_CONTRACT_FIELDS_MAX];
    char scratch[LINE_BYTES_MAX];
    if (line.count > sizeof(scratch))
        return adp_contract_refuse(problem, "the header", line, "is too long for one");
    const int count = adp_contract_split(line, fields, scratch, problem);
    if (count < 0)
        return ADP_MALFORMED;
    memset(out->field, ADP_CONTRACT_ABSENT, sizeof(out->field));
    for (int i = 0; i < count; i++) {
        for (size_t c = 0; c < LS_COUNT_OF(columns); c++) {
            if (!adp_contract_word(fields[i], columns[c].name))
                continue;
            if (out->field[columns[c].column] != ADP_CONTRACT_ABSENT)
                return adp_contract_refuse(problem, "column", fields[i], "is there twice");
            out->field[columns[c].column] = (uint8_t)i;
        }
    }
    /* A list of indices has no lots; anything with a lot must be whole. */
    out->indices = out->field[ADP_CONTRACT_LOT] == ADP_CONTRACT_ABSENT &&
                   out->field[ADP_CONTRACT_TICK] == ADP_CONTRACT_ABSENT &&
                   out->field[ADP_CONTRACT_TRADING_SYMBOL] == ADP_CONTRACT_ABSENT;
    for (size_t c = 0; c < LS_COUNT_OF(columns); c++) {
        const bool needed = out->indices ? columns[c].of_indices : columns[c].of_contracts;
        if (needed && out->field[columns[c].column] == ADP_CONTRACT_ABSENT)
            return adp_contract_refuse(problem, "column",
                (struct adp_span){(const uint8_t *)columns[c].name, strlen(columns[c].name)},
                "is missing in the header");
    }
    return ADP_OK;
}

/* ---- one field ------------------------------------------------------------------------------- */

struct reading {
    const struct adp_contract_layout *layout;
    const struct adp_span *fields;
    struct adp_contract *out;
    struct adp_contract_problem *problem;
};

static struct adp_span field_of(const struct reading *r, enum adp_contract_column column)
{
    const uint8_t at = r->layout->field[column];
    return at == ADP_CONTRACT_ABSENT ? (struct adp_span){NULL, 0} : r->fields[at];
}

static enum adp_rc refuse(
    const struct reading *r, enum adp_contract_column column, const char *sentence)
{
    return adp_contract_refuse(r->problem, columns[column].name, field_of(r, column), sentence);
}

static enum adp_rc read_text(
    const struct reading *r, enum adp_contract_column column, char *out, size_t out_bytes)
{
    const struct adp_span field = field_of(r, column);
    if (field.count == 0)
        return refuse(r, column, "is empty");
    if (field.count >= out_bytes)
        return refuse(r, column, "is too long");
    for (size_t i = 0; i < field.count; i++) {
        const uint8_t byte = field.bytes[i];
        if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '<' ||
            byte == '>')
            return refuse(r, column, "has a character that no symbol has");
    }
    memcpy(out, field.bytes, field.count);
    return ADP_OK;
}

static enum adp_rc read_token(const struct reading *r)
{
    enum adp_rc rc = read_text(r, ADP_CONTRACT_TOKEN, r->out->row.token, sizeof(r->out->row.token));
    for (const char *at = r->out->row.token; rc == ADP_OK && *at != '\0'; at++)
        if (*at < '0' || *at > '9')
            return refuse(r, ADP_CONTRACT_TOKEN, "is not digits");
    return rc;
}

static enum adp_rc read_decimal(
    const struct reading *r, enum adp_contract_column column, int64_t largest_e8, int64_t *out_e8)
{
    const struct adp_span field = field_of(r, column);
    if (ipc_decimal_parse((const char *)field.bytes, field.count, out_e8) != IPC_OK)
        return refuse(r, column, "is not a number that can be held exactly");
    if (*out_e8 < 1 || *out_e8 > largest_e8)
        return refuse(r, column, "is not above 0, or absurd");
    return ADP_OK;
}

static int digits_of(const uint8_t *at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

static enum adp_rc read_expiry(const struct reading *r)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const struct adp_span field = field_of(r, ADP_CONTRACT_EXPIRY);
    if (field.count != 10 || field.bytes[4] != '-' || field.bytes[7] != '-')
        return refuse(r, ADP_CONTRACT_EXPIRY, "is not a date like 2026-09-24");
    const int year = digits_of(field.bytes, 4);
    const int month = digits_of(field.bytes + 5, 2);
    const int day = digits_of(field.bytes + 8, 2);
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year < 1990 || year > 2200 || month < 1 || month > 12 || day < 1 ||
        day > days[month - 1] + (month == 2 && leap))
        return refuse(r, ADP_CONTRACT_EXPIRY, "is not a date of the calendar");
    r->out->row.expiry_yyyymmdd = (uint32_t)(year * 10000 + month * 100 + day);
    return ADP_OK;
}

/* ---- one line -------------------------------------------------------------------------------- */

static enum adp_rc read_exchange(const struct reading *r)
{
    static const struct {
        enum ipc_exchange exchange;
        const char *segment;
    } segments[] = {
        {IPC_EXCHANGE_NSE, "nse_cm"},
        {IPC_EXCHANGE_BSE, "bse_cm"},
        {IPC_EXCHANGE_NFO, "nse_fo"},
        {IPC_EXCHANGE_BFO, "bse_fo"},
    };
    const struct adp_span field = field_of(r, ADP_CONTRACT_EXCHANGE);
    enum ipc_exchange exchange;
    if (field.count == 0 || !ipc_exchange_parse((const char *)field.bytes, field.count, &exchange))
        return refuse(r, ADP_CONTRACT_EXCHANGE, "is not an exchange that is known here");
    r->out->row.exchange = (uint8_t)exchange;
    if (r->layout->indices)
        return ADP_OK;
    /* The segment says the same again; where its word is known, it must. */
    for (size_t i = 0; i < LS_COUNT_OF(segments); i++)
        if (segments[i].exchange == exchange &&
            !adp_contract_word(field_of(r, ADP_CONTRACT_SEGMENT), segments[i].segment))
            return refuse(r, ADP_CONTRACT_SEGMENT, "is not the segment of this exchange");
    return ADP_OK;
}

static bool begins(struct adp_span field, const char *text)
{
    const size_t count = strlen(text);
    return field.count >= count && memcmp(field.bytes, text, count) == 0;
}

static bool no_strike(struct adp_span field)
{
    int64_t value_e8;
    return field.count == 0 ||
           (ipc_decimal_parse((const char *)field.bytes, field.count, &value_e8) == IPC_OK &&
               (value_e8 == -LS_E8 || value_e8 == 0));
}

/* Cash, future or option, by expiry and right; what the type column says must not contradict. */
static enum adp_rc read_kind(const struct reading *r)
{
    struct ipc_row_instrument *row = &r->out->row;
    const struct adp_span type = field_of(r, ADP_CONTRACT_TYPE);
    const struct adp_span right = field_of(r, ADP_CONTRACT_RIGHT);
    const struct adp_span strike = field_of(r, ADP_CONTRACT_STRIKE);
    const bool derivatives = row->exchange != IPC_EXCHANGE_NSE && row->exchange != IPC_EXCHANGE_BSE;
    const bool no_right = right.count == 0 || adp_contract_word(right, "XX");

    if (field_of(r, ADP_CONTRACT_EXPIRY).count == 0) {
        if (derivatives)
            return refuse(r, ADP_CONTRACT_EXPIRY, "is missing, and this exchange has derivatives");
        if (!no_right || !no_strike(strike))
            return refuse(r, ADP_CONTRACT_STRIKE, "of a row that has no expiry");
        row->kind = IPC_KIND_CASH;
        return ADP_OK;
    }
    if (!derivatives)
        return refuse(r, ADP_CONTRACT_EXPIRY, "of a row of a cash exchange");
    if (read_expiry(r) != ADP_OK)
        return ADP_MALFORMED;
    const bool type_option =
        begins(type, "OPT") || adp_contract_word(type, "IO") || adp_contract_word(type, "SO");
    const bool type_future =
        begins(type, "FUT") || adp_contract_word(type, "IF") || adp_contract_word(type, "SF");
    r->out->on_index = begins(type, "FUTIDX") || begins(type, "OPTIDX") ||
                       adp_contract_word(type, "IF") || adp_contract_word(type, "IO");
    if (no_right) {
        if (type_option)
            return refuse(r, ADP_CONTRACT_RIGHT, "of an option is not CE or PE");
        if (!no_strike(strike))
            return refuse(r, ADP_CONTRACT_STRIKE, "of a future is not -1");
        row->kind = IPC_KIND_FUTURE;
        return ADP_OK;
    }
    if (type_future)
        return refuse(r, ADP_CONTRACT_RIGHT, "of a future is not XX");
    row->kind = IPC_KIND_OPTION;
    row->right = adp_contract_word(right, "CE") ? 'C' : adp_contract_word(right, "PE") ? 'P' : 0;
    if (row->right == 0)
        return refuse(r, ADP_CONTRACT_RIGHT, "is not CE, PE or XX");
    return read_decimal(r, ADP_CONTRACT_STRIKE, IPC_PRICE_E8_MAX, &row->strike_e8);
}

/* A share of another series than EQ is another instrument of the same name. BSE's groups change
 * from month to month and name no instrument. */
static enum adp_rc read_series(const struct reading *r)
{
    struct ipc_row_instrument *row = &r->out->row;
    const struct adp_span group = field_of(r, ADP_CONTRACT_GROUP);
    if (row->kind != IPC_KIND_CASH || row->exchange != IPC_EXCHANGE_NSE || group.count == 0 ||
        adp_contract_word(group, "EQ"))
        return ADP_OK;
    char series[sizeof(row->underlying)] = {0};
    enum adp_rc rc = read_text(r, ADP_CONTRACT_GROUP, series, sizeof(series));
    const size_t used = strlen(row->underlying), more = strlen(series);
    if (rc != ADP_OK)
        return rc;
    if (used + 1 + more >= sizeof(row->underlying))
        return refuse(r, ADP_CONTRACT_SYMBOL, "is too long with its group");
    row->underlying[used] = '-';
    memcpy(row->underlying + used + 1, series, more);
    return ADP_OK;
}

static enum adp_rc read_index(const struct reading *r)
{
    struct ipc_row_instrument *row = &r->out->row;
    row->kind = IPC_KIND_INDEX;
    row->lot_qty_e8 = LS_E8;
    row->tick_e8 = INDEX_TICK_E8;
    if (read_text(r, ADP_CONTRACT_SYMBOL, row->underlying, sizeof(row->underlying)) != ADP_OK ||
        read_text(r, ADP_CONTRACT_SYMBOL, row->symbol, sizeof(row->symbol)) != ADP_OK)
        return ADP_MALFORMED;
    return read_token(r);
}

static enum adp_rc read_row(const struct adp_contract_layout *layout, struct adp_span line,
    struct adp_contract *out, struct adp_contract_problem *problem)
{
    struct adp_span fields[ADP_CONTRACT_FIELDS_MAX];
    char scratch[LINE_BYTES_MAX];
    if (line.count > sizeof(scratch))
        return adp_contract_refuse(problem, "the line", line, "is too long for a contract");
    const int count = adp_contract_split(line, fields, scratch, problem);
    if (count < 0)
        return ADP_MALFORMED;
    for (size_t c = 0; c < LS_COUNT_OF(columns); c++)
        if (layout->field[c] != ADP_CONTRACT_ABSENT && layout->field[c] >= count)
            return adp_contract_refuse(problem, "the line", line, "ends before its last column");
    memset(out, 0, sizeof(*out));
    const struct reading r = {layout, fields, out, problem};
    struct ipc_row_instrument *row = &out->row;
    if (read_exchange(&r) != ADP_OK)
        return ADP_MALFORMED;
    if (layout->indices)
        return read_index(&r);
    if (read_kind(&r) != ADP_OK ||
        read_text(&r, ADP_CONTRACT_SYMBOL, row->underlying, sizeof(row->underlying)) != ADP_OK ||
        read_series(&r) != ADP_OK ||
        read_text(&r, ADP_CONTRACT_TRADING_SYMBOL, row->symbol, sizeof(row->symbol)) != ADP_OK ||
        read_token(&r) != ADP_OK ||
        read_decimal(&r, ADP_CONTRACT_LOT, LOT_E8_MAX, &row->lot_qty_e8) != ADP_OK)
        return ADP_MALFORMED;
    if (row->lot_qty_e8 % LS_E8 != 0)
        return refuse(&r, ADP_CONTRACT_LOT, "is not whole units");
    return read_decimal(&r, ADP_CONTRACT_TICK, IPC_PRICE_E8_MAX, &row->tick_e8);
}

const struct adp_contract_format adp_alice_blue_contracts = {
    .dialect = "alice-blue", .header = read_header, .row = read_row};
