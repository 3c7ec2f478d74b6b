/* alice_blue_book.c: order book, order feed (`om` frames), webhook, positions and funds.
 *
 * Book rows have readable names and JSON numbers; feed frames and webhooks are of the Noren family:
 * short names, and every number a string. Both become the same event. */
#include "adapters/broker/alice_blue_private.h"

#include <string.h>

struct word {
    const char *text;
    uint8_t value;
};

/* Compares as the broker's clients do: any case, '_' and ' ' alike. */
static bool word_is(struct adp_span span, const char *text)
{
    if (span.count != strlen(text))
        return false;
    for (size_t i = 0; i < span.count; i++) {
        const uint8_t c = span.bytes[i] == '_' ? ' ' : span.bytes[i];
        if (!adp_span_starts_fold((struct adp_span){&c, 1}, (char[]){text[i], '\0'}))
            return false;
    }
    return true;
}

static uint8_t find_word(const struct word *words, size_t count, struct adp_span span)
{
    for (size_t i = 0; i < count; i++)
        if (word_is(span, words[i].text))
            return words[i].value;
    return 0;
}

#define FIND(words, span) find_word(words, LS_COUNT_OF(words), span)

static const struct word sides[] = {
    {"BUY", IPC_SIDE_BUY},
    {"B", IPC_SIDE_BUY},
    {"SELL", IPC_SIDE_SELL},
    {"S", IPC_SIDE_SELL},
};

static const struct word types[] = {
    {"MARKET", IPC_TYPE_MARKET},
    {"MKT", IPC_TYPE_MARKET},
    {"LIMIT", IPC_TYPE_LIMIT},
    {"LMT", IPC_TYPE_LIMIT},
    {"L", IPC_TYPE_LIMIT},
    {"SL", IPC_TYPE_SL},
    {"SL-LMT", IPC_TYPE_SL},
    {"SLM", IPC_TYPE_SLM},
    {"SL-M", IPC_TYPE_SLM},
    {"SL-MKT", IPC_TYPE_SLM},
};

/* Orders, positions and pages spell products differently ("Orders", "Portfolio", EC969, EC092,
 * the Postman collection); one letter is the feed's `pcode`. */
static const struct word products[] = {
    {"INTRADAY", IPC_PRODUCT_MIS},
    {"MIS", IPC_PRODUCT_MIS},
    {"I", IPC_PRODUCT_MIS},
    {"LONGTERM", IPC_PRODUCT_CNC},
    {"DELIVERY", IPC_PRODUCT_CNC},
    {"CNC", IPC_PRODUCT_CNC},
    {"C", IPC_PRODUCT_CNC},
    {"NORMAL", IPC_PRODUCT_NRML},
    {"NRML", IPC_PRODUCT_NRML},
    {"M", IPC_PRODUCT_NRML},
    {"MTF", IPC_PRODUCT_MTF},
};

static const struct word validities[] = {
    {"DAY", IPC_VALIDITY_DAY},
    {"IOC", IPC_VALIDITY_IOC},
};

/* REJECTED, OPEN, COMPLETE and CANCELLED are documented or seen; the others are spellings of
 * brokers with the same back office. There is no word for a partial fill: it is OPEN with a fill.
 */
static const struct word statuses[] = {
    {"PENDING", IPC_STATUS_PENDING},
    {"OPEN PENDING", IPC_STATUS_PENDING},
    {"VALIDATION PENDING", IPC_STATUS_PENDING},
    {"PUT ORDER REQ RECEIVED", IPC_STATUS_PENDING},
    {"OPEN", IPC_STATUS_OPEN},
    {"NEW", IPC_STATUS_OPEN},
    {"REPLACED", IPC_STATUS_OPEN},
    {"MODIFIED", IPC_STATUS_OPEN},
    {"TRIGGER PENDING", IPC_STATUS_OPEN},
    {"MODIFY PENDING", IPC_STATUS_OPEN},
    {"MODIFY VALIDATION PENDING", IPC_STATUS_OPEN},
    {"CANCEL PENDING", IPC_STATUS_OPEN},
    {"COMPLETE", IPC_STATUS_FILLED},
    {"COMPLETED", IPC_STATUS_FILLED},
    {"FILLED", IPC_STATUS_FILLED},
    {"CANCELLED", IPC_STATUS_CANCELLED},
    {"CANCELED", IPC_STATUS_CANCELLED},
    {"REJECTED", IPC_STATUS_REJECTED},
    {"EXPIRED", IPC_STATUS_EXPIRED},
};

/* Where the values of one order are found. NULL: the form does not have it. */
struct names {
    const char *id, *exchange, *token, *symbol, *side, *qty, *product, *product_other, *type;
    const char *validity, *price, *trigger, *average, *filled, *status, *reason, *tag;
    const char *update_time, *update_time_other, *order_time, *source;
    bool filled_is_optional; /* the feed has it on fills only */
};

static const struct names book_names = {
    .id = "brokerOrderId",
    .exchange = "exchange",
    .token = "instrumentId",
    .symbol = "tradingSymbol",
    .side = "transactionType",
    .qty = "quantity",
    .product = "product",
    .type = "orderType",
    .validity = "validity",
    .price = "price",
    .trigger = "slTriggerPrice",
    .average = "averageTradedPrice",
    .filled = "filledQuantity",
    .status = "orderStatus",
    .reason = "rejectionReason",
    .tag = "orderTag",
    .update_time = "brokerUpdateTime",
    .update_time_other = "exchangeUpdateTime",
    .order_time = "orderTime",
    .source = "source",
};

static const struct names feed_names = {
    .id = "norenordno",
    .exchange = "exch",
    .token = "token", /* not in the printed frames; the family has it */
    .symbol = "tsym",
    .side = "trantype",
    .qty = "qty",
    .product = "pcode",
    .product_other = "prd",
    .type = "prctyp",
    .validity = "ret",
    .price = "prc",
    .trigger = "trgprc",
    .average = "avgprc",
    .filled = "fillshares",
    .status = "status",
    .reason = "rejreason",
    .tag = "remarks",
    .update_time = "exch_tm",
    .update_time_other = "fltm",
    .order_time = "tm",
    .filled_is_optional = true,
};

/* Times are of Indian Standard Time, without a zone: UTC+05:30 all year. */
#define IST_OFFSET_S 19800

static int two_digits(const uint8_t *at)
{
    return at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9'
               ? -1
               : (at[0] - '0') * 10 + (at[1] - '0');
}

static int month_of(const uint8_t *at)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (int i = 0; i < 12; i++)
        if (adp_span_starts_fold((struct adp_span){at, 3},
                (char[]){months[i * 3], months[i * 3 + 1], months[i * 3 + 2], '\0'}))
            return i + 1;
    return -1;
}

/* Days from 1 January 1970 of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    const int64_t y = month > 2 ? year : year - 1;
    const int64_t era = y / 400;
    const int64_t year_of_era = y - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct moment {
    int year, month, day, hour, minute, second;
};

static bool read_clock(const uint8_t *at, struct moment *out) /* HH:MM:SS */
{
    out->hour = two_digits(at);
    out->minute = two_digits(at + 3);
    out->second = two_digits(at + 6);
    return at[2] == ':' && at[5] == ':' && out->hour >= 0 && out->hour < 24 && out->minute >= 0 &&
           out->minute < 60 && out->second >= 0 && out->second < 60;
}

static bool read_year(const uint8_t *at, struct moment *out)
{
    const int high = two_digits(at), low = two_digits(at + 2);
    out->year = high * 100 + low;
    return high >= 19 && low >= 0;
}

static bool is_date_mark(uint8_t c)
{
    return c == '-' || c == '/';
}

/* dd-mm-yyyy, 10 bytes. */
static bool read_date(const uint8_t *at, struct moment *out)
{
    out->day = two_digits(at);
    out->month = two_digits(at + 3);
    return is_date_mark(at[2]) && at[5] == at[2] && read_year(at + 6, out);
}

/* "26-May-2025 11:42:10", "2025-05-26 14:27:43", "26-05-2025 14:27:43" (also with '/'), and the
 * feed's "14:27:43 26-05-2025". Returns ns UTC, 0 for anything else: an unreadable time is unknown,
 * not an error. */
static int64_t read_time(struct adp_span text)
{
    struct moment m = {0};
    const uint8_t *at = text.bytes;
    bool is_good = false;
    if (text.count == 20 && at[2] == '-' && at[6] == '-' && at[11] == ' ') {
        m.day = two_digits(at);
        m.month = month_of(at + 3);
        is_good = read_year(at + 7, &m) && read_clock(at + 12, &m);
    } else if (text.count == 19 && at[4] == '-' && at[7] == '-' &&
               (at[10] == ' ' || at[10] == 'T')) {
        m.month = two_digits(at + 5);
        m.day = two_digits(at + 8);
        is_good = read_year(at, &m) && read_clock(at + 11, &m);
    } else if (text.count == 19 && at[10] == ' ') {
        is_good = read_date(at, &m) && read_clock(at + 11, &m);
    } else if (text.count == 19 && at[8] == ' ') {
        is_good = read_clock(at, &m) && read_date(at + 9, &m);
    }
    if (!is_good || m.month < 1 || m.month > 12 || m.day < 1 || m.day > 31 || m.year < 2000 ||
        m.year > 2200)
        return 0; /* nanoseconds of later years do not fit */
    const int64_t seconds = days_of(m.year, m.month, m.day) * 86400 + m.hour * 3600 +
                            m.minute * 60 + m.second - IST_OFFSET_S;
    return seconds * LS_NS_PER_S;
}

static struct adp_span value_of(const struct adp_json *json, uint32_t row, const char *name)
{
    if (name == NULL)
        return (struct adp_span){NULL, 0};
    const uint32_t token = adp_json_get(json, row, name);
    if (!adp_json_is(json, token, ADP_JSON_STRING) && !adp_json_is(json, token, ADP_JSON_NUMBER))
        return (struct adp_span){NULL, 0};
    return adp_span_trim(adp_json_span(json, token));
}

static int64_t time_of(const struct adp_json *json, uint32_t row, const char *name)
{
    return read_time(value_of(json, row, name));
}

/* Printable, no blanks, as the event's text fields want it. */
static void copy_plain(struct adp_span text, char *out, size_t out_bytes)
{
    size_t count = 0;
    memset(out, 0, out_bytes);
    while (count < text.count && count + 1 < out_bytes && text.bytes[count] > ' ' &&
           text.bytes[count] <= '~')
        count++;
    memcpy(out, text.bytes, count);
}

/* "ORA:Price ... tick size" has the code ORA; a text without a colon has none. The margin check is
 * told apart from what else the risk system refuses: "RED:Margin Shortfall:..." is RED:MARGIN. */
static void copy_reject_code(struct adp_span reason, char out[12])
{
    static const char margin[] = "Margin ", mark[] = ":MARGIN";
    const uint8_t *colon = reason.count > 0 ? memchr(reason.bytes, ':', reason.count) : NULL;
    memset(out, 0, 12);
    if (colon == NULL)
        return;
    size_t before = (size_t)(colon - reason.bytes), after = reason.count - before - 1;
    copy_plain((struct adp_span){reason.bytes, before}, out, 12);
    if (after >= sizeof(margin) - 1 && memcmp(colon + 1, margin, sizeof(margin) - 1) == 0 &&
        strlen(out) + sizeof(mark) <= 12)
        memcpy(out + strlen(out), mark, sizeof(mark));
}

/* Numbers of a row. Quantities are exact and whole; prices may carry binary noise. */
static bool read_numbers(
    const struct adp_json *json, uint32_t row, const struct names *names, struct ipc_event *out)
{
    const enum adp_rc qty =
        adp_json_e8(json, adp_json_get(json, row, names->qty), ADP_JSON_EXACT, &out->qty_e8);
    const enum adp_rc filled = adp_json_e8(
        json, adp_json_get(json, row, names->filled), ADP_JSON_EXACT, &out->filled_qty_e8);
    const enum adp_rc price =
        adp_json_e8(json, adp_json_get(json, row, names->price), ADP_JSON_ROUNDED, &out->price_e8);
    const enum adp_rc trigger = adp_json_e8(
        json, adp_json_get(json, row, names->trigger), ADP_JSON_ROUNDED, &out->trigger_e8);
    const enum adp_rc average = adp_json_e8(
        json, adp_json_get(json, row, names->average), ADP_JSON_ROUNDED, &out->average_price_e8);
    if (qty != ADP_OK || price == ADP_MALFORMED || trigger == ADP_MALFORMED ||
        average == ADP_MALFORMED)
        return false;
    if (filled != ADP_OK && !(filled == ADP_NOTHING && names->filled_is_optional))
        return false;
    return out->qty_e8 % LS_E8 == 0 && out->filled_qty_e8 % LS_E8 == 0;
}

/* Numbers and words must tell one story, else the state is not understood. Fields that a type does
 * not have are cleared: brokers put zeros, last prices or old values there. */
static bool settle_numbers(struct ipc_event *out)
{
    const bool has_price = out->type == IPC_TYPE_LIMIT || out->type == IPC_TYPE_SL;
    const bool has_trigger = out->type == IPC_TYPE_SL || out->type == IPC_TYPE_SLM;
    if (!has_price)
        out->price_e8 = 0;
    if (!has_trigger)
        out->trigger_e8 = 0;
    if (out->filled_qty_e8 == 0)
        out->average_price_e8 = 0;
    if (out->qty_e8 <= 0 || out->filled_qty_e8 < 0 || out->filled_qty_e8 > out->qty_e8)
        return false;
    if ((has_price && out->price_e8 <= 0) || (has_trigger && out->trigger_e8 <= 0) ||
        out->average_price_e8 < 0)
        return false;
    if (out->status == IPC_STATUS_FILLED && out->filled_qty_e8 != out->qty_e8)
        return false;
    return out->status != IPC_STATUS_REJECTED || out->filled_qty_e8 == 0;
}

/* The book says where an order came from ("Web, App, API, etc."); the feed does not. */
static uint8_t source_of(struct adp_span text)
{
    if (text.count == 0 || adp_span_is(text, "--"))
        return IPC_SOURCE_UNKNOWN;
    return adp_span_is_fold(text, "API") ? IPC_SOURCE_API : IPC_SOURCE_TERMINAL;
}

static bool read_words(const struct adp_json *json, uint32_t row, const struct names *names,
    adp_find_instrument_fn find_instrument, void *context, struct ipc_event *out)
{
    enum ipc_exchange exchange = IPC_EXCHANGE_NSE;
    const struct adp_span venue = value_of(json, row, names->exchange);
    out->side = FIND(sides, value_of(json, row, names->side));
    out->type = FIND(types, value_of(json, row, names->type));
    out->validity = FIND(validities, value_of(json, row, names->validity));
    out->status = FIND(statuses, value_of(json, row, names->status));
    out->product = FIND(products, value_of(json, row, names->product));
    if (out->product == 0)
        out->product = FIND(products, value_of(json, row, names->product_other));
    out->source = source_of(value_of(json, row, names->source));
    const bool has_venue = ipc_exchange_parse((const char *)venue.bytes, venue.count, &exchange);
    if (has_venue && find_instrument != NULL) {
        struct adp_span token = value_of(json, row, names->token);
        if (token.count == 0)
            token = value_of(json, row, names->symbol);
        out->instrument = token.count > 0 ? find_instrument(exchange, token, context) : 0;
    }
    return has_venue && out->side != 0 && out->type != 0 && out->validity != 0 &&
           out->status != 0 && out->product != 0;
}

/* One order.
 *   returns ADP_OK; ADP_MALFORMED without an order id. status 0: exists, not understood */
static enum adp_rc read_order(const struct adp_json *json, uint32_t row, const struct names *names,
    adp_find_instrument_fn find_instrument, void *context, struct ipc_event *out)
{
    memset(out, 0, sizeof(*out));
    out->kind = IPC_EVENT_ORDER;
    if (!alice_order_id(json, adp_json_get(json, row, names->id), out->broker_order_id))
        return ADP_MALFORMED;
    const bool has_words = read_words(json, row, names, find_instrument, context, out);
    const bool has_numbers = read_numbers(json, row, names, out);
    if (!has_words || !has_numbers || !settle_numbers(out))
        out->status = 0;
    if (out->status == IPC_STATUS_REJECTED)
        copy_reject_code(value_of(json, row, names->reason), out->reject_code);
    out->version = time_of(json, row, names->update_time);
    if (out->version == 0)
        out->version = time_of(json, row, names->update_time_other);
    out->broker_wall_ns = time_of(json, row, names->order_time);
    return ADP_OK;
}

/* The tag as text; "" where the broker writes "--" or nothing. */
static void read_tag(
    const struct adp_json *json, uint32_t row, const char *name, char *out, size_t out_bytes)
{
    adp_json_text(json, adp_json_get(json, row, name), out, out_bytes);
    if (strcmp(out, "--") == 0)
        out[0] = '\0';
}

static void keep_tag(const char *tag, struct ipc_event *out)
{
    const size_t count = strlen(tag);
    memset(out->client_tag, 0, sizeof(out->client_tag));
    if (count < sizeof(out->client_tag) && strchr(tag, ' ') == NULL)
        memcpy(out->client_tag, tag, count);
}

/* Walks the rows. With each == NULL it only finds out whether all of them can be believed. */
static enum adp_rc walk_rows(
    struct adp_span rows, adp_find_instrument_fn find_instrument, adp_book_fn each, void *context)
{
    struct adp_json json;
    struct adp_span row;
    size_t at = 0;
    enum adp_rc rc;
    while ((rc = adp_json_next(rows, &at, &row)) == ADP_OK) {
        struct ipc_event order;
        char tag[64];
        if (adp_json_parse(&json, row) != ADP_OK || !adp_json_is(&json, 0, ADP_JSON_OBJECT))
            return ADP_MALFORMED;
        if (read_order(&json, 0, &book_names, each == NULL ? NULL : find_instrument, context,
                &order) != ADP_OK)
            return ADP_MALFORMED;
        if (each == NULL)
            continue;
        read_tag(&json, 0, book_names.tag, tag, sizeof(tag));
        keep_tag(tag, &order);
        each(&order, tag, context);
    }
    return rc == ADP_NOTHING ? ADP_OK : rc;
}

/* Envelope of a read: status words and messages are small, the rows may be many, so the envelope is
 * looked at without them. */
static enum adp_rc read_envelope(uint32_t http_status, struct adp_span body,
    struct alice_verdict *verdict, struct adp_span *rows)
{
    struct adp_json json;
    struct adp_span part;
    char small[1024];
    static const char *const names[] = {"status", "stat", "message", "emsg", "Emsg"};
    size_t count = 0;
    if (adp_json_check(body) != ADP_OK)
        return ADP_MALFORMED;
    const enum adp_rc has_rows = adp_json_member(body, "result", rows);
    if (has_rows == ADP_MALFORMED)
        return ADP_MALFORMED;
    small[count++] = '{';
    for (size_t i = 0; i < LS_COUNT_OF(names); i++) {
        const enum adp_rc rc = adp_json_member(body, names[i], &part);
        const size_t name_bytes = strlen(names[i]);
        if (rc == ADP_MALFORMED)
            return ADP_MALFORMED;
        if (rc != ADP_OK)
            continue;
        if (part.count + name_bytes + 8 > sizeof(small) - count)
            return ADP_MALFORMED;
        if (count > 1)
            small[count++] = ',';
        small[count++] = '"';
        memcpy(small + count, names[i], name_bytes);
        count += name_bytes;
        small[count++] = '"';
        small[count++] = ':';
        memcpy(small + count, part.bytes, part.count);
        count += part.count;
    }
    small[count++] = '}';
    if (adp_json_parse(&json, (struct adp_span){(const uint8_t *)small, count}) != ADP_OK)
        return ADP_MALFORMED;
    *verdict = alice_verdict(&json, 0);
    if (verdict->state == ALICE_OK)
        return http_status == 200 && has_rows == ADP_OK ? ADP_OK : ADP_MALFORMED;
    return ADP_NOTHING;
}

/* What a refused read means, the broker's code for "nothing there" apart: the HTTP status of that
 * code is printed nowhere. */
static enum adp_rc read_refusal(uint32_t http_status, const struct alice_verdict *verdict,
    uint32_t empty_code, bool *is_empty_code)
{
    *is_empty_code = verdict->state == ALICE_REFUSED && verdict->code == empty_code &&
                     (http_status == 200 || http_status == 400 || http_status == 404);
    return *is_empty_code ? ADP_OK : alice_read_rc(http_status, verdict);
}

enum adp_rc alice_decode_book(uint32_t http_status, struct adp_span body,
    adp_find_instrument_fn find_instrument, adp_book_fn each, void *context, bool *is_empty_code)
{
    struct alice_verdict verdict = {0};
    struct adp_span rows = {NULL, 0};
    *is_empty_code = false;
    const enum adp_rc envelope = read_envelope(http_status, body, &verdict, &rows);
    if (envelope == ADP_MALFORMED)
        return ADP_MALFORMED;
    if (envelope == ADP_NOTHING) /* "No orders found for this user" */
        return read_refusal(http_status, &verdict, ALICE_EC_EMPTY_BOOK, is_empty_code);
    const enum adp_rc rc = walk_rows(rows, NULL, NULL, NULL);
    return rc == ADP_OK ? walk_rows(rows, find_instrument, each, context) : rc;
}

enum adp_rc alice_decode_push(struct adp_span frame, adp_find_instrument_fn find_instrument,
    void *context, struct ipc_event *out)
{
    struct adp_json json;
    char tag[64];
    memset(out, 0, sizeof(*out));
    if (adp_json_parse(&json, frame) != ADP_OK || !adp_json_is(&json, 0, ADP_JSON_OBJECT))
        return ADP_MALFORMED;
    const uint32_t kind = adp_json_get(&json, 0, "t"); /* the webhook has none */
    if (kind != ADP_JSON_NONE && !adp_span_is(adp_json_span(&json, kind), "om"))
        return ADP_NOTHING;
    if (kind == ADP_JSON_NONE && adp_json_get(&json, 0, feed_names.id) == ADP_JSON_NONE)
        return ADP_NOTHING; /* acknowledgement of the socket, heartbeat */
    if (read_order(&json, 0, &feed_names, find_instrument, context, out) != ADP_OK)
        return ADP_MALFORMED;
    read_tag(&json, 0, feed_names.tag, tag, sizeof(tag));
    keep_tag(tag, out);
    return out->status == 0 ? ADP_MALFORMED : ADP_OK;
}

/* One line of "Portfolio", August 2026: the net quantity is a signed JSON number. */
static enum adp_rc read_position(const struct adp_json *json,
    adp_find_instrument_fn find_instrument, void *context, struct adp_position *out)
{
    const struct adp_span venue = value_of(json, 0, "exchange");
    const struct adp_span token = value_of(json, 0, "instrumentId");
    const uint8_t product = FIND(products, value_of(json, 0, "product"));
    memset(out, 0, sizeof(*out));
    if (adp_json_e8(json, adp_json_get(json, 0, "netQuantity"), ADP_JSON_EXACT, &out->net_qty_e8) !=
            ADP_OK ||
        out->net_qty_e8 % LS_E8 != 0)
        return ADP_MALFORMED;
    if (product == 0 || !ipc_exchange_parse((const char *)venue.bytes, venue.count, &out->exchange))
        return ADP_UNSUPPORTED; /* a word of this line that this build does not know */
    out->product = (enum ipc_product)product;
    copy_plain(value_of(json, 0, "tradingSymbol"), out->symbol, sizeof(out->symbol));
    copy_plain(token, out->token, sizeof(out->token));
    if (find_instrument != NULL && token.count > 0)
        out->instrument = find_instrument(out->exchange, token, context);
    return ADP_OK;
}

/* As walk_rows; a line that is not understood makes the whole of it unbelievable, because what it
 * holds would be missing from a sum. */
static enum adp_rc walk_positions(struct adp_span rows, adp_find_instrument_fn find_instrument,
    adp_position_fn each, void *context)
{
    struct adp_json json;
    struct adp_span row;
    size_t at = 0;
    enum adp_rc rc;
    while ((rc = adp_json_next(rows, &at, &row)) == ADP_OK) {
        struct adp_position position;
        if (adp_json_parse(&json, row) != ADP_OK || !adp_json_is(&json, 0, ADP_JSON_OBJECT) ||
            read_position(&json, each == NULL ? NULL : find_instrument, context, &position) !=
                ADP_OK)
            return ADP_MALFORMED;
        if (each != NULL)
            each(&position, context);
    }
    return rc == ADP_NOTHING ? ADP_OK : rc;
}

enum adp_rc alice_decode_positions(uint32_t http_status, struct adp_span body,
    adp_find_instrument_fn find_instrument, adp_position_fn each, void *context,
    bool *is_empty_code)
{
    struct alice_verdict verdict = {0};
    struct adp_span rows = {NULL, 0};
    *is_empty_code = false;
    const enum adp_rc envelope = read_envelope(http_status, body, &verdict, &rows);
    if (envelope == ADP_MALFORMED)
        return ADP_MALFORMED;
    if (envelope == ADP_NOTHING)
        return read_refusal(http_status, &verdict, ALICE_EC_EMPTY_POSITIONS, is_empty_code);
    const enum adp_rc rc = walk_positions(rows, NULL, NULL, NULL);
    return rc == ADP_OK ? walk_positions(rows, find_instrument, each, context) : rc;
}

enum adp_rc alice_decode_funds(uint32_t http_status, struct adp_span body, struct adp_funds *out)
{
    struct adp_json json;
    memset(out, 0, sizeof(*out));
    if (adp_json_parse(&json, body) != ADP_OK)
        return ADP_MALFORMED;
    const struct alice_verdict verdict = alice_verdict(&json, 0);
    if (verdict.state != ALICE_OK)
        return alice_read_rc(http_status, &verdict);
    const uint32_t row = adp_json_element(&json, adp_json_get(&json, 0, "result"), 0);
    if (http_status != 200 ||
        adp_json_e8(&json, adp_json_get(&json, row, "tradingLimit"), ADP_JSON_ROUNDED,
            &out->available_e8) != ADP_OK ||
        adp_json_e8(&json, adp_json_get(&json, row, "utilizedMargin"), ADP_JSON_ROUNDED,
            &out->used_e8) != ADP_OK)
        return ADP_MALFORMED;
    /* The page has no field for equity; that it is the sum of these two is an assumption. */
    return __builtin_add_overflow(out->available_e8, out->used_e8, &out->equity_e8) ? ADP_MALFORMED
                                                                                    : ADP_OK;
}
