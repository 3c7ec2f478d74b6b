/* contracts_load.c: reads contract masters, the freeze list and prices into a book. */
#include "adapters/sim/contracts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS_MAX    32
#define LINE_BYTES_MAX 2048

struct freeze {
    char symbol[24];
    int64_t units;
};

struct sheet { /* one CSV file being read */
    const char *path;
    FILE *file;
    unsigned line;
    char header[LINE_BYTES_MAX], row[LINE_BYTES_MAX];
    char *columns[COLUMNS_MAX], *cells[COLUMNS_MAX];
    size_t column_count, cell_count;
};

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t bytes = strlen(text);
    while (bytes > 0 && strchr(" \t\r\n", text[bytes - 1]) != NULL)
        text[--bytes] = '\0';
    return text;
}

/* Splits at commas outside quotes, in place. */
static size_t split(char *line, char **cells)
{
    size_t count = 0;
    char *start = line;
    bool quoted = false;
    for (char *at = line;; at++) {
        if (*at == '"') {
            quoted = !quoted;
        } else if ((*at == ',' && !quoted) || *at == '\0') {
            bool end = *at == '\0';
            *at = '\0';
            char *cell = trim(start);
            size_t bytes = strlen(cell);
            if (bytes >= 2 && cell[0] == '"' && cell[bytes - 1] == '"') {
                cell[bytes - 1] = '\0';
                cell++;
            }
            if (count < COLUMNS_MAX)
                cells[count++] = cell;
            if (end)
                return count;
            start = at + 1;
        }
    }
}

/* 1: a row; 0: the end. Empty lines are passed over. */
static int next_row(struct sheet *sheet)
{
    while (fgets(sheet->row, sizeof(sheet->row), sheet->file) != NULL) {
        sheet->line++;
        if (trim(sheet->row)[0] == '\0')
            continue;
        sheet->cell_count = split(sheet->row, sheet->cells);
        return 1;
    }
    return 0;
}

/* 1: open, header read; 0: no such file; negative: error set. */
static int open_sheet(struct sheet *sheet, const char *path, struct adp_sim_error *error)
{
    memset(sheet, 0, sizeof(*sheet));
    sheet->path = path;
    sheet->file = fopen(path, "re");
    if (sheet->file == NULL) {
        if (errno == ENOENT)
            return 0;
        snprintf(error->text, sizeof(error->text), "cannot read %.300s: %s", path, strerror(errno));
        return -1;
    }
    if (fgets(sheet->header, sizeof(sheet->header), sheet->file) == NULL) {
        snprintf(error->text, sizeof(error->text), "%.300s: has no header line", path);
        fclose(sheet->file);
        return -1;
    }
    sheet->line = 1;
    sheet->column_count = split(sheet->header, sheet->columns);
    return 1;
}

/* A cell by its column's name in any case; NULL when the file has no such column. */
static const char *cell(const struct sheet *sheet, const char *column)
{
    for (size_t i = 0; i < sheet->column_count; i++) {
        if (strcasecmp(sheet->columns[i], column) == 0)
            return i < sheet->cell_count ? sheet->cells[i] : "";
    }
    return NULL;
}

static bool bad(
    const struct sheet *sheet, const char *column, const char *what, struct adp_sim_error *error)
{
    const char *value = cell(sheet, column);
    snprintf(error->text, sizeof(error->text), "%.200s line %u, column %s: %s (found \"%.60s\")",
        sheet->path, sheet->line, column, what, value == NULL ? "no such column" : value);
    return false;
}

static bool read_units(const struct sheet *sheet, const char *column, int64_t max, int64_t *out,
    struct adp_sim_error *error)
{
    const char *text = cell(sheet, column);
    int64_t value_e8 = 0;
    if (text == NULL || !adp_sim_parse_e8(text, strlen(text), &value_e8) || value_e8 % LS_E8 != 0 ||
        value_e8 < 0 || value_e8 / LS_E8 > max)
        return bad(sheet, column, "must be a whole number", error);
    *out = value_e8 / LS_E8;
    return true;
}

static bool read_e8(
    const struct sheet *sheet, const char *column, int64_t *out, struct adp_sim_error *error)
{
    const char *text = cell(sheet, column);
    if (text == NULL || !adp_sim_parse_e8(text, strlen(text), out))
        return bad(sheet, column, "must be a number", error);
    return true;
}

static bool read_text(const struct sheet *sheet, const char *column, char *out, size_t bytes,
    struct adp_sim_error *error)
{
    const char *text = cell(sheet, column);
    if (text == NULL || text[0] == '\0')
        return bad(sheet, column, "must not be empty", error);
    snprintf(out, bytes, "%s", text);
    return true;
}

static bool read_instrument(
    const struct sheet *sheet, struct adp_sim_instrument *out, struct adp_sim_error *error)
{
    const char *exchange = cell(sheet, "Exch"), *right = cell(sheet, "Option Type");
    int64_t token = 0;

    memset(out, 0, sizeof(*out));
    out->liquidity_units = -1;
    if (exchange == NULL || (out->exchange = adp_sim_exchange_of(exchange)) == 0)
        return bad(sheet, "Exch", "is not an exchange", error);
    if (!read_units(sheet, "Token", UINT32_MAX, &token, error))
        return false;
    out->token = (uint32_t)token;
    if (cell(sheet, "Lot Size") == NULL) { /* the list of indices has three columns only */
        out->kind = ADP_SIM_INDEX;
        out->lot_units = 1;
        out->tick_e8 = LS_E8 / 20;
        snprintf(out->underlying, sizeof(out->underlying), "%.23s", cell(sheet, "Symbol"));
        snprintf(out->name, sizeof(out->name), "%.47s", cell(sheet, "Symbol"));
        return read_text(sheet, "Symbol", out->symbol, sizeof(out->symbol), error);
    }
    if (!read_text(sheet, "Trading Symbol", out->symbol, sizeof(out->symbol), error) ||
        !read_text(sheet, "Symbol", out->underlying, sizeof(out->underlying), error) ||
        !read_text(sheet, "Formatted Ins Name", out->name, sizeof(out->name), error) ||
        !read_units(sheet, "Lot Size", INT32_MAX, &out->lot_units, error) ||
        !read_e8(sheet, "Tick Size", &out->tick_e8, error))
        return false;
    if (out->lot_units < 1)
        return bad(sheet, "Lot Size", "must be at least 1", error);
    if (out->tick_e8 < 1)
        return bad(sheet, "Tick Size", "must be above 0", error);
    if (out->exchange == ADP_SIM_NSE || out->exchange == ADP_SIM_BSE) {
        out->kind = ADP_SIM_EQUITY;
        return true;
    }
    const char *expiry = cell(sheet, "Expiry Date");
    snprintf(out->expiry, sizeof(out->expiry), "%.11s", expiry == NULL ? "" : expiry);
    if (right == NULL)
        return bad(sheet, "Option Type", "must be CE, PE or XX", error);
    if (strcmp(right, "XX") == 0 || right[0] == '\0') {
        out->kind = ADP_SIM_FUTURE;
        return true;
    }
    out->kind = ADP_SIM_OPTION;
    out->call = strcmp(right, "CE") == 0;
    if (!out->call && strcmp(right, "PE") != 0)
        return bad(sheet, "Option Type", "must be CE, PE or XX", error);
    return read_e8(sheet, "Strike Price", &out->strike_e8, error);
}

static int64_t freeze_of(const struct freeze *freezes, size_t count, const char *symbol)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(freezes[i].symbol, symbol) == 0)
            return freezes[i].units;
    }
    return 0;
}

static bool load_sheet(struct adp_sim_book *book, const char *path, const struct freeze *freezes,
    size_t freeze_count, int64_t *loaded, bool *found, struct adp_sim_error *error)
{
    struct sheet *sheet = malloc(sizeof(*sheet));
    LS_CHECK(sheet != NULL);
    int opened = open_sheet(sheet, path, error);
    bool good = opened >= 0;
    while (opened > 0 && good && next_row(sheet) > 0) {
        struct adp_sim_instrument instrument;
        good = read_instrument(sheet, &instrument, error);
        if (!good)
            break;
        if (instrument.exchange == ADP_SIM_NFO)
            instrument.freeze_units = freeze_of(freezes, freeze_count, instrument.underlying);
        if (adp_sim_book_add_instrument(book, &instrument) == ADP_SIM_NONE) {
            good = bad(sheet, "Token", "is there twice on this exchange", error);
            break;
        }
        (*loaded)++;
    }
    if (opened > 0) {
        *found = true;
        fclose(sheet->file);
    }
    free(sheet);
    return good;
}

static bool load_freezes(
    const char *path, struct freeze **out, size_t *count, struct adp_sim_error *error)
{
    struct sheet *sheet = malloc(sizeof(*sheet));
    LS_CHECK(sheet != NULL);
    int opened = open_sheet(sheet, path, error);
    bool good = opened >= 0;
    while (opened > 0 && good && next_row(sheet) > 0) {
        *out = realloc(*out, (*count + 1) * sizeof(**out));
        LS_CHECK(*out != NULL);
        struct freeze *freeze = &(*out)[*count];
        good = read_text(sheet, "SYMBOL", freeze->symbol, sizeof(freeze->symbol), error) &&
               read_units(sheet, "VOL_FRZ_QTY", INT64_C(1) << 40, &freeze->units, error);
        (*count)++;
    }
    if (opened > 0)
        fclose(sheet->file);
    free(sheet);
    return good;
}

static bool load_prices(struct adp_sim_book *book, const char *path, struct adp_sim_error *error)
{
    struct sheet *sheet = malloc(sizeof(*sheet));
    LS_CHECK(sheet != NULL);
    int opened = open_sheet(sheet, path, error);
    bool good = opened >= 0;
    while (opened > 0 && good && next_row(sheet) > 0) {
        const char *exchange = cell(sheet, "Exch");
        int64_t token = 0, price_e8 = 0;
        good = read_units(sheet, "Token", UINT32_MAX, &token, error) &&
               read_e8(sheet, "Price", &price_e8, error);
        if (!good)
            break;
        uint32_t instrument = exchange == NULL
                                  ? ADP_SIM_NONE
                                  : adp_sim_book_find_instrument(
                                        book, adp_sim_exchange_of(exchange), (uint32_t)token);
        if (instrument == ADP_SIM_NONE) {
            good = bad(sheet, "Token", "is not in the contract files", error);
        } else if (price_e8 <= 0) {
            good = bad(sheet, "Price", "must be above 0", error);
        } else {
            adp_sim_book_set_price(book, instrument, price_e8, -1, 0);
        }
    }
    if (opened > 0)
        fclose(sheet->file);
    free(sheet);
    return good;
}

int64_t adp_sim_contracts_load(
    struct adp_sim_book *book, const char *folder, struct adp_sim_error *error)
{
    static const char *const files[] = {"NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "INDICES"};
    struct freeze *freezes = NULL;
    size_t freeze_count = 0;
    int64_t loaded = 0;
    bool found = false;
    char path[1024];

    snprintf(path, sizeof(path), "%s/qtyfreeze.csv", folder);
    bool good = load_freezes(path, &freezes, &freeze_count, error);
    for (size_t i = 0; good && i < LS_COUNT_OF(files); i++) {
        snprintf(path, sizeof(path), "%s/%s.csv", folder, files[i]);
        good = load_sheet(book, path, freezes, freeze_count, &loaded, &found, error);
    }
    free(freezes);
    if (good && !found) {
        snprintf(error->text, sizeof(error->text),
            "%.300s holds none of NSE.csv, BSE.csv, NFO.csv, ...; lockstep-brokersim "
            "--write-contracts "
            "DIR makes them",
            folder);
        good = false;
    }
    snprintf(path, sizeof(path), "%s/prices.csv", folder);
    good = good && load_prices(book, path, error);
    return good ? loaded : -1;
}
