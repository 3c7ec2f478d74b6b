/* contract.h: contract masters: a broker's own list of what can be traded there, as text lines,
 * turned into rows of the instrument table.
 *
 * Columns are found by their names in the header, never by position. Decimals are exact. A line
 * that cannot be believed whole is refused with a problem that names column and value; nothing is
 * guessed and nothing is rounded. Pure: no file, no allocation; control plane, any thread. */
#ifndef LS_ADAPTERS_BROKER_CONTRACT_H
#define LS_ADAPTERS_BROKER_CONTRACT_H

#include "adapters/span.h"
#include "ipc/rows.h"

#define ADP_CONTRACT_FIELDS_MAX 32u

/* Which field of a line holds a column. */
enum adp_contract_column {
    ADP_CONTRACT_EXCHANGE = 0,
    ADP_CONTRACT_SEGMENT,
    ADP_CONTRACT_GROUP,
    ADP_CONTRACT_SYMBOL,
    ADP_CONTRACT_TOKEN,
    ADP_CONTRACT_TYPE,
    ADP_CONTRACT_RIGHT,
    ADP_CONTRACT_STRIKE,
    ADP_CONTRACT_TRADING_SYMBOL,
    ADP_CONTRACT_EXPIRY,
    ADP_CONTRACT_LOT,
    ADP_CONTRACT_TICK,
    ADP_CONTRACT_COLUMN_COUNT
};
#define ADP_CONTRACT_ABSENT UINT8_MAX

struct adp_contract_layout {
    uint8_t field[ADP_CONTRACT_COLUMN_COUNT]; /* index of the field, or ADP_CONTRACT_ABSENT */
    bool indices;                             /* a list of indices: exchange, symbol, token only */
};

/* One line. `row` has everything but instrument, flags, freeze_qty_e8 and symbol_group, which are
 * 0. Cash: `underlying` is the share and, unless it is NSE's EQ, its series ("ABC-BE"). */
struct adp_contract {
    struct ipc_row_instrument row;
    bool on_index; /* a derivative of an index */
};

struct adp_contract_problem {
    char text[192]; /* "Strike Price '12,5' is not a number"; printable ASCII */
};

/* How one broker writes its files. */
struct adp_contract_format {
    const char *dialect; /* as in struct adp_dialect */

    /* header reads the first line.
     *   returns  ADP_OK; ADP_MALFORMED with the problem: a column is missing or there twice */
    enum adp_rc (*header)(struct adp_span line, struct adp_contract_layout *out,
        struct adp_contract_problem *problem);

    /* row reads another line; it depends on nothing but the line.
     *   returns  ADP_OK; ADP_MALFORMED with the problem, *out is then undefined */
    enum adp_rc (*row)(const struct adp_contract_layout *layout, struct adp_span line,
        struct adp_contract *out, struct adp_contract_problem *problem);
};

/* adp_contract_format_find returns the format of a dialect, NULL when it has none here. */
const struct adp_contract_format *adp_contract_format_find(const char *dialect);

/* adp_contract_same is true when two rows are the same contract, whatever lot, tick, token and
 * symbol they have: exchange, kind, underlying, expiry, strike and right agree.
 * adp_contract_key hashes just these. */
LS_MUST_USE bool adp_contract_same(
    const struct ipc_row_instrument *a, const struct ipc_row_instrument *b);
uint64_t adp_contract_key(const struct ipc_row_instrument *row);

/* adp_contract_identity is ipc_row_contract.identity: the first 64 bits of a SHA-256 over exchange,
 * segment (which exchange and kind give), underlying, expiry, strike, right, lot and tick. Two
 * brokers that list the same contract with another lot or tick have two identities. */
uint64_t adp_contract_identity(
    const struct ipc_row_instrument *row, int64_t lot_qty_e8, int64_t tick_e8);

/* ---- lines, for formats and for other lists of an exchange ----------------------------------- */

/* adp_contract_next_line takes the next line off *rest: without its line end (LF or CR LF), and,
 * with `first`, without a byte order mark.
 *   returns  false at the end */
LS_MUST_USE bool adp_contract_next_line(struct adp_span *rest, bool first, struct adp_span *line);

/* adp_contract_split cuts a line at commas, blanks around a field off. A field in double quotes may
 * hold commas, and doubled quotes; it is unquoted into `scratch`.
 *   fields   ADP_CONTRACT_FIELDS_MAX spans into line or scratch
 *   scratch  line.count bytes
 *   returns  number of fields; 0 = a blank line; negative = more fields than the maximum, or a
 *            quote that is not closed, with the problem */
int adp_contract_split(struct adp_span line, struct adp_span *fields, char *scratch,
    struct adp_contract_problem *problem);

/* adp_contract_refuse writes the problem "column 'value' sentence", what is not printable as '?'.
 *   returns ADP_MALFORMED */
enum adp_rc adp_contract_refuse(struct adp_contract_problem *problem, const char *column,
    struct adp_span value, const char *sentence);

/* True when a field is the text, letters compared without case. */
LS_MUST_USE bool adp_contract_word(struct adp_span field, const char *text);

#endif
