#include "adapters/sim/push_frames.h"

#include <stdio.h>
#include <string.h>

/* ---- words
 * ------------------------------------------------------------------------------------------------------
 */

static const char *status_word(enum adp_sim_status status)
{
    switch (status) {
    case ADP_SIM_PENDING:
        return "PENDING";
    case ADP_SIM_OPEN:
        return "OPEN";
    case ADP_SIM_TRIGGER_PENDING:
        return "TRIGGER_PENDING";
    case ADP_SIM_COMPLETE:
        return "COMPLETE";
    case ADP_SIM_CANCELLED:
        return "CANCELED"; /* one L here, two in the order book */
    case ADP_SIM_REJECTED:
        return "REJECTED";
    case ADP_SIM_REFUSED:
        break;
    }
    LS_CHECK(!"an accepted order");
    return "";
}

static const char *report_word(enum adp_sim_report report)
{
    switch (report) {
    case ADP_SIM_REPORT_PENDING:
        return "PendingNew";
    case ADP_SIM_REPORT_NEW:
        return "New";
    case ADP_SIM_REPORT_REPLACED:
        return "Replaced";
    case ADP_SIM_REPORT_REPLACE_REJECTED:
        return "ReplaceRejected";
    case ADP_SIM_REPORT_FILL:
        return "Fill";
    case ADP_SIM_REPORT_CANCELLED:
        return "Canceled";
    case ADP_SIM_REPORT_REJECTED:
        return "Rejected";
    }
    LS_CHECK(!"a report");
    return "";
}

static const char *price_type_word(enum adp_sim_type type)
{
    static const char *const words[] = {[ADP_SIM_MARKET] = "MKT",
        [ADP_SIM_LIMIT] = "LMT",
        [ADP_SIM_SL] = "SL-LMT",
        [ADP_SIM_SLM] = "SL-MKT"};
    return words[type];
}

static const char *product_letter(enum adp_sim_product product)
{
    static const char *const words[] = {[ADP_SIM_INTRADAY] = "I",
        [ADP_SIM_LONGTERM] = "C",
        [ADP_SIM_NORMAL] = "M",
        [ADP_SIM_MTF] = "F"};
    return words[product];
}

static const char *product_code(enum adp_sim_product product)
{
    static const char *const words[] = {[ADP_SIM_INTRADAY] = "MIS",
        [ADP_SIM_LONGTERM] = "CNC",
        [ADP_SIM_NORMAL] = "NRML",
        [ADP_SIM_MTF] = "MTF"};
    return words[product];
}

/* ---- fields: every value is a string
 * ----------------------------------------------------------------------------
 */

static void put_text(struct adp_sim_text *out, const char *key, const char *value)
{
    adp_sim_text_printf(out, ",\"%s\":", key);
    adp_sim_text_quote(out, value);
}

static void put_units(struct adp_sim_text *out, const char *key, int64_t units)
{
    adp_sim_text_printf(out, ",\"%s\":\"%lld\"", key, (long long)units);
}

static void put_price(struct adp_sim_text *out, const char *key, int64_t price_e8)
{
    char text[ADP_SIM_E8_BYTES];
    adp_sim_format_e8(price_e8, 2, text);
    put_text(out, key, text);
}

static void put_date_time(struct adp_sim_text *out, const char *key, int64_t wall_ns)
{
    struct adp_sim_civil at = adp_sim_civil_of(wall_ns);
    adp_sim_text_printf(out, ",\"%s\":\"%02d-%02d-%04d %02d:%02d:%02d\"", key, at.day, at.month,
        at.year, at.hour, at.minute, at.second);
}

static void put_time_date(struct adp_sim_text *out, const char *key, int64_t wall_ns)
{
    struct adp_sim_civil at = adp_sim_civil_of(wall_ns);
    adp_sim_text_printf(out, ",\"%s\":\"%02d:%02d:%02d %02d-%02d-%04d\"", key, at.hour, at.minute,
        at.second, at.day, at.month, at.year);
}

static void put_exchange_order_id(struct adp_sim_text *out, uint32_t index)
{
    adp_sim_text_printf(out, ",\"exchordid\":\"%llu\"", 1100000000000000ull + index + 1);
}

/* ---- order updates
 * ----------------------------------------------------------------------------------------------
 */

static void put_fill(
    struct adp_sim_text *out, const struct adp_sim_book *book, uint32_t trade_index)
{
    const struct adp_sim_trade *trade = adp_sim_book_trade(book, trade_index);
    put_date_time(out, "fltm", trade->wall_ns);
    adp_sim_text_printf(out, ",\"flid\":\"%u\"", 200000000u + trade_index + 1);
    put_units(out, "flqty", trade->units);
    put_price(out, "flprc", trade->price_e8);
}

void adp_sim_put_order_frame(struct adp_sim_text *out, const struct adp_sim_book *book,
    uint32_t index, enum adp_sim_report report, uint32_t trade)
{
    const struct adp_sim_order *order = adp_sim_book_order(book, index);
    const struct adp_sim_instrument *instrument =
        adp_sim_book_instrument(book, order->terms.instrument);
    const char *id = adp_sim_book_account(book, order->origin.account)->id;

    adp_sim_text_put(out, "{\"t\":\"om\"");
    put_text(out, "norenordno", order->broker_order_id);
    put_text(out, "uid", id);
    put_text(out, "actid", id);
    put_units(out, "qty", order->terms.units);
    put_price(out, "prc", order->terms.price_e8);
    put_text(out, "pcode", product_letter(order->terms.product));
    put_text(out, "remarks", order->terms.tag);
    put_text(out, "rejreason", order->reason == NULL ? "" : order->reason);
    put_text(out, "prctyp", price_type_word(order->terms.type));
    put_text(out, "ret", adp_sim_validity_word(order->terms.validity));
    put_units(out, "dscqty", order->terms.disclosed_units);
    put_text(out, "trantype", order->terms.side == ADP_SIM_BUY ? "B" : "S");
    put_text(out, "exch", adp_sim_exchange_word(instrument->exchange));
    put_text(out, "tsym", instrument->symbol);
    put_text(out, "status", status_word(order->status));
    put_text(out, "reporttype", report_word(report));
    if (order->terms.trigger_e8 != 0)
        put_price(out, "trgprc", order->terms.trigger_e8);
    if (order->at_exchange) {
        put_exchange_order_id(out, index);
        put_date_time(out, "exch_tm", order->updated_wall_ns);
    }
    if (order->filled_units > 0) {
        put_units(out, "fillshares", order->filled_units);
        put_price(out, "avgprc", adp_sim_order_average(order));
    }
    if (trade != ADP_SIM_NONE)
        put_fill(out, book, trade);
    if (order->cancelled_units > 0)
        put_units(out, "cancelqty", order->cancelled_units);
    put_date_time(out, "tm", order->updated_wall_ns);
    put_time_date(out, "ntm", order->updated_wall_ns);
    adp_sim_text_put(out, "}");
}

void adp_sim_put_webhook(struct adp_sim_text *out, const struct adp_sim_book *book, uint32_t index,
    enum adp_sim_report report, uint32_t trade)
{
    const struct adp_sim_order *order = adp_sim_book_order(book, index);
    const struct adp_sim_instrument *instrument =
        adp_sim_book_instrument(book, order->terms.instrument);

    adp_sim_text_put(out, "{\"norenordno\":");
    adp_sim_text_quote(out, order->broker_order_id);
    put_text(out, "actid", adp_sim_book_account(book, order->origin.account)->id);
    put_text(out, "exch", adp_sim_exchange_word(instrument->exchange));
    put_text(out, "tsym", instrument->symbol);
    put_units(out, "qty", order->terms.units);
    put_price(out, "prc", order->terms.price_e8);
    put_text(out, "prd", product_code(order->terms.product));
    put_text(out, "status", status_word(order->status));
    put_text(out, "reporttype", report_word(report));
    put_text(out, "trantype", order->terms.side == ADP_SIM_BUY ? "B" : "S");
    put_text(out, "prctyp", price_type_word(order->terms.type));
    put_text(out, "ret", adp_sim_validity_word(order->terms.validity));
    put_units(out, "fillshares", order->filled_units);
    put_price(out, "avgprc", adp_sim_order_average(order));
    if (trade != ADP_SIM_NONE)
        put_fill(out, book, trade);
    else
        adp_sim_text_put(out, ",\"fltm\":\"\",\"flid\":\"\",\"flqty\":\"\",\"flprc\":\"\"");
    put_text(out, "rejreason", order->reason == NULL ? "" : order->reason);
    if (order->at_exchange)
        put_exchange_order_id(out, index);
    else
        put_text(out, "exchordid", "");
    put_units(out, "cancelqty", order->cancelled_units);
    put_text(out, "remarks", order->terms.tag);
    put_units(out, "dscqty", order->terms.disclosed_units);
    put_price(out, "trgprc", order->terms.trigger_e8);
    adp_sim_text_put(out, ",\"snonum\":\"\",\"snoordt\":\"\",\"blprc\":\"\",\"bpprc\":\"\","
                          "\"trailprc\":\"\"");
    if (order->at_exchange)
        put_date_time(out, "exch_tm", order->updated_wall_ns);
    else
        put_text(out, "exch_tm", "");
    put_text(out, "amo", order->terms.complexity == ADP_SIM_AMO ? "Yes" : "");
    put_date_time(out, "tm", order->updated_wall_ns);
    put_time_date(out, "ntm", order->updated_wall_ns);
    adp_sim_text_put(out, ",\"kidid\":\"\",\"sno_fillid\":\"\"");
    put_text(out, "pcode", product_letter(order->terms.product));
    adp_sim_text_put(out, "}");
}

/* ---- market data
 * ------------------------------------------------------------------------------------------------
 */

void adp_sim_quote_update(struct adp_sim_quote *quote, const struct adp_sim_instrument *instrument,
    int64_t last_e8, int64_t units, int64_t wall_ns)
{
    int64_t shown = units < 0 ? instrument->lot_units * 100 : units;
    __int128 weighted = (__int128)quote->average_e8 * (__int128)quote->changes + last_e8;

    quote->previous_e8 = instrument->previous_e8;
    quote->last_e8 = last_e8;
    if (quote->changes == 0)
        quote->open_e8 = quote->high_e8 = quote->low_e8 = last_e8;
    quote->high_e8 = ls_max_i64(quote->high_e8, last_e8);
    quote->low_e8 = ls_min_i64(quote->low_e8, last_e8);
    quote->changes++;
    quote->average_e8 = (int64_t)(weighted / (__int128)quote->changes);
    quote->average_e8 -= quote->average_e8 % (LS_E8 / 100);
    quote->bid_e8 = ls_max_i64(instrument->tick_e8, last_e8 - instrument->tick_e8);
    quote->ask_e8 = last_e8 + instrument->tick_e8;
    quote->bid_units = quote->ask_units = shown;
    quote->last_units = instrument->lot_units;
    quote->volume_units += instrument->lot_units;
    quote->time_s = wall_ns / LS_NS_PER_S;
}

static int64_t change_percent_e8(const struct adp_sim_quote *quote)
{
    if (quote->previous_e8 == 0)
        return 0;
    __int128 change = (__int128)(quote->last_e8 - quote->previous_e8) * 10000;
    return (int64_t)(change / quote->previous_e8) * (LS_E8 / 100); /* two decimals */
}

/* The fields that can differ between two quotes. */
static void put_values(struct adp_sim_text *out, bool depth, int64_t tick_e8,
    const struct adp_sim_quote *before, const struct adp_sim_quote *now)
{
    static const struct adp_sim_quote nothing = {0};
    const struct adp_sim_quote *old = before == NULL ? &nothing : before;

    if (now->last_e8 != old->last_e8) {
        put_price(out, "lp", now->last_e8);
        put_price(out, "pc", change_percent_e8(now));
    }
    if (now->time_s != old->time_s)
        put_units(out, "ft", now->time_s);
    if (now->open_e8 != old->open_e8)
        put_price(out, "o", now->open_e8);
    if (now->high_e8 != old->high_e8)
        put_price(out, "h", now->high_e8);
    if (now->low_e8 != old->low_e8)
        put_price(out, "l", now->low_e8);
    if (now->average_e8 != old->average_e8)
        put_price(out, "ap", now->average_e8);
    if (now->volume_units != old->volume_units)
        put_units(out, "v", now->volume_units);
    if (depth && now->last_units != old->last_units)
        put_units(out, "ltq", now->last_units);
    for (unsigned char level = 0; level < (depth ? 5 : 1); level++) {
        char key[8];
        int64_t away_e8 = tick_e8 * level;
        snprintf(key, sizeof(key), "bp%d", level + 1);
        if (now->bid_e8 != old->bid_e8)
            put_price(out, key, ls_max_i64(tick_e8, now->bid_e8 - away_e8));
        snprintf(key, sizeof(key), "sp%d", level + 1);
        if (now->ask_e8 != old->ask_e8)
            put_price(out, key, now->ask_e8 + away_e8);
        snprintf(key, sizeof(key), "bq%d", level + 1);
        if (now->bid_units != old->bid_units)
            put_units(out, key, now->bid_units);
        snprintf(key, sizeof(key), "sq%d", level + 1);
        if (now->ask_units != old->ask_units)
            put_units(out, key, now->ask_units);
    }
}

bool adp_sim_put_quote(struct adp_sim_text *out, const struct adp_sim_instrument *instrument,
    bool depth, const struct adp_sim_quote *before, const struct adp_sim_quote *now)
{
    char text[ADP_SIM_E8_BYTES];
    if (before != NULL && memcmp(before, now, sizeof(*now)) == 0)
        return false;
    if (before != NULL) {
        adp_sim_text_printf(out, "{\"t\":\"%s\"", depth ? "df" : "tf");
    } else {
        adp_sim_text_printf(out, "{\"t\":\"%s\",\"pp\":\"2\",\"ml\":\"1\"", depth ? "dk" : "tk");
    }
    put_text(out, "e", adp_sim_exchange_word(instrument->exchange));
    adp_sim_text_printf(out, ",\"tk\":\"%u\"", instrument->token);
    if (before == NULL) {
        put_text(out, "ts", instrument->symbol);
        put_units(out, "ls", instrument->lot_units);
        adp_sim_format_e8(instrument->tick_e8, 2, text);
        put_text(out, "ti", text);
        if (instrument->previous_e8 != 0)
            put_price(out, "c", instrument->previous_e8);
    }
    put_values(out, depth, instrument->tick_e8, before, now);
    adp_sim_text_put(out, "}");
    return true;
}
