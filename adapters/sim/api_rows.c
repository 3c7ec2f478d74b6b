/* api_rows.c: the rows of order book, history, trade book, positions, holdings and limits. */
#include "adapters/sim/api_private.h"

#include <stdio.h>
#include <string.h>

/* "2025-05-26 14:27:43", the form of the trade book; empty for a time that has not come. */
static void put_time(struct adp_sim_text *out, int64_t wall_ns)
{
    if (wall_ns == 0) {
        adp_sim_text_put(out, "\"\"");
        return;
    }
    struct adp_sim_civil at = adp_sim_civil_of(wall_ns);
    adp_sim_text_printf(out, "\"%04d-%02d-%02d %02d:%02d:%02d\"", at.year, at.month, at.day,
        at.hour, at.minute, at.second);
}

static void put_key(struct adp_sim_text *out, const char *key)
{
    adp_sim_text_put(out, ",\"");
    adp_sim_text_put(out, key);
    adp_sim_text_put(out, "\":");
}

static void put_string(struct adp_sim_text *out, const char *key, const char *value)
{
    put_key(out, key);
    adp_sim_text_quote(out, value);
}

static void put_int(struct adp_sim_text *out, const char *key, int64_t value)
{
    put_key(out, key);
    adp_sim_text_int(out, value);
}

static void put_e8(struct adp_sim_text *out, const char *key, int64_t value_e8)
{
    put_key(out, key);
    adp_sim_text_e8(out, value_e8);
}

static void put_exchange_order_id(
    struct adp_sim_text *out, const struct adp_sim_order *order, uint32_t index)
{
    if (order->at_exchange)
        adp_sim_text_printf(out, "\"%llu\"", 1100000000000000ull + index + 1);
    else
        adp_sim_text_put(out, "\"\"");
}

static void put_order(struct adp_sim_api *api, struct adp_sim_text *out, uint32_t index)
{
    const struct adp_sim_order *order = adp_sim_book_order(api->book, index);
    const struct adp_sim_instrument *instrument =
        adp_sim_book_instrument(api->book, order->terms.instrument);
    const char *client = adp_sim_book_account(api->book, order->origin.account)->id;
    bool live = order->status == ADP_SIM_PENDING || order->status == ADP_SIM_OPEN ||
                order->status == ADP_SIM_TRIGGER_PENDING;

    adp_sim_text_put(out, "{\"clientId\":");
    adp_sim_text_quote(out, client);
    put_string(out, "placedBy", client);
    put_string(out, "brokerOrderId", order->broker_order_id);
    put_string(out, "exchange", adp_sim_exchange_word(instrument->exchange));
    put_key(out, "exchangeOrderId");
    put_exchange_order_id(out, order, index);
    put_string(out, "formattedInstrumentName", instrument->name);
    put_string(out, "tradingSymbol", instrument->symbol);
    adp_sim_text_printf(out, ",\"instrumentId\":\"%u\"", instrument->token);
    put_string(out, "transactionType", adp_sim_side_word(order->terms.side));
    put_int(out, "quantity", order->terms.units);
    put_string(out, "product", adp_sim_product_word(order->terms.product));
    put_string(out, "orderComplexity", order->terms.complexity == ADP_SIM_AMO ? "AMO" : "REGULAR");
    put_string(out, "orderType", adp_sim_type_word(order->terms.type));
    put_e8(out, "price", order->terms.price_e8);
    put_e8(out, "averageTradedPrice", adp_sim_order_average(order));
    put_e8(out, "slTriggerPrice", order->terms.trigger_e8);
    put_string(out, "validity", adp_sim_validity_word(order->terms.validity));
    put_int(out, "disclosedQuantity", order->terms.disclosed_units);
    put_key(out, "orderTime");
    put_time(out, order->origin.wall_ns);
    put_key(out, "exchangeUpdateTime");
    put_time(out, order->at_exchange ? order->updated_wall_ns : 0);
    put_string(out, "rejectionReason", order->reason == NULL ? "" : order->reason);
    put_string(out, "mainLegOrderId", "");
    put_int(out, "cancelledQuantity", order->cancelled_units);
    put_int(out, "pendingQuantity", live ? order->terms.units - order->filled_units : 0);
    put_int(out, "filledQuantity", order->filled_units);
    put_string(out, "appKey", "");
    put_string(out, "algoId", order->terms.algo_id);
    put_string(out, "source", order->origin.source == ADP_SIM_API ? "API" : "WEB");
    put_string(out, "orderTag", order->terms.tag);
    put_int(out, "trailingSlAmount", 0);
    put_key(out, "brokerUpdateTime");
    put_time(out, order->updated_wall_ns);
    put_key(out, "marketProtectionPercent");
    if (order->terms.protection_e8 == 0) {
        adp_sim_text_put(out, "\"\"");
    } else {
        char percent[ADP_SIM_E8_BYTES];
        adp_sim_format_e8(order->terms.protection_e8, 0, percent);
        adp_sim_text_quote(out, percent);
    }
    put_key(out, "exchangeTimestamp");
    put_time(out, order->at_exchange ? order->updated_wall_ns : 0);
    put_string(out, "orderStatus", adp_sim_status_word(order->status));
    adp_sim_text_put(out, "}");
}

static void put_trade(struct adp_sim_api *api, struct adp_sim_text *out, uint32_t index)
{
    const struct adp_sim_trade *trade = adp_sim_book_trade(api->book, index);
    const struct adp_sim_order *order = adp_sim_book_order(api->book, trade->order);
    const struct adp_sim_instrument *instrument =
        adp_sim_book_instrument(api->book, order->terms.instrument);
    const char *client = adp_sim_book_account(api->book, order->origin.account)->id;

    adp_sim_text_put(out, "{\"clientId\":");
    adp_sim_text_quote(out, client);
    put_string(out, "placedBy", client);
    put_string(out, "brokerOrderId", order->broker_order_id);
    put_key(out, "exchangeOrderId");
    put_exchange_order_id(out, order, trade->order);
    adp_sim_text_printf(out, ",\"exchangeTradeId\":\"%u\"", 200000000u + index + 1);
    put_string(out, "formattedInstrumentName", instrument->name);
    put_string(out, "tradingSymbol", instrument->symbol);
    adp_sim_text_printf(out, ",\"instrumentId\":\"%u\"", instrument->token);
    put_string(out, "exchange", adp_sim_exchange_word(instrument->exchange));
    put_string(out, "transactionType", adp_sim_side_word(order->terms.side));
    put_string(out, "product", adp_sim_product_word(order->terms.product));
    put_string(out, "orderComplexity", order->terms.complexity == ADP_SIM_AMO ? "AMO" : "REGULAR");
    put_string(out, "orderType", adp_sim_type_word(order->terms.type));
    put_string(out, "validity", adp_sim_validity_word(order->terms.validity));
    put_e8(out, "tradedPrice", trade->price_e8);
    put_int(out, "filledQuantity", trade->units);
    put_key(out, "orderTime");
    put_time(out, order->origin.wall_ns);
    put_key(out, "fillTimestamp");
    put_time(out, trade->wall_ns);
    put_string(out, "orderTag", order->terms.tag[0] == '\0' ? "--" : order->terms.tag);
    put_string(out, "algoId", order->terms.algo_id);
    adp_sim_text_put(out, "}");
}

/* Positions come back in the older product codes. */
static const char *position_product(enum adp_sim_product product)
{
    switch (product) {
    case ADP_SIM_INTRADAY:
        return "MIS";
    case ADP_SIM_LONGTERM:
        return "CNC";
    case ADP_SIM_NORMAL:
        return "NRML";
    case ADP_SIM_MTF:
        return "MTF";
    }
    return "";
}

static int64_t average(int64_t value_e8, int64_t units)
{
    return units == 0 ? 0 : value_e8 / units;
}

static void put_position(
    struct adp_sim_api *api, struct adp_sim_text *out, const struct adp_sim_position *position)
{
    const struct adp_sim_instrument *instrument =
        adp_sim_book_instrument(api->book, position->instrument);

    adp_sim_text_printf(out, "{\"instrumentId\":\"%u\"", instrument->token);
    put_string(out, "tradingSymbol", instrument->symbol);
    put_string(out, "formattedInstrumentName", instrument->name);
    put_string(out, "exchange", adp_sim_exchange_word(instrument->exchange));
    put_string(out, "product", position_product(position->product));
    put_int(out, "netQuantity", position->net_units);
    put_e8(out, "netAveragePrice", position->net_price_e8);
    put_int(out, "overnightQuantity", position->overnight_units);
    put_e8(out, "overnightPrice", position->overnight_price_e8);
    put_int(out, "buyQuantity", position->buy_units);
    put_int(out, "sellQuantity", position->sell_units);
    put_int(out, "daySellQuantity", position->sell_units);
    put_int(out, "dayBuyQuantity", position->buy_units);
    put_e8(out, "dayBuyPrice", average(position->buy_value_e8, position->buy_units));
    put_e8(out, "daySellPrice", average(position->sell_value_e8, position->sell_units));
    put_int(out, "multiplier", 1);
    put_int(out, "lotsize", instrument->lot_units);
    put_e8(out, "ticksize", instrument->tick_e8);
    put_key(out, "previousDayClose");
    if (instrument->previous_e8 == 0)
        adp_sim_text_put(out, "null");
    else
        adp_sim_text_e8(out, instrument->previous_e8);
    put_e8(out, "realizedPnl", position->realized_e8);
    put_e8(out, "buyPrice", average(position->buy_value_e8, position->buy_units));
    put_e8(out, "sellPrice", average(position->sell_value_e8, position->sell_units));
    put_e8(out, "dayBuyValue", position->buy_value_e8);
    put_e8(out, "daySellValue", position->sell_value_e8);
    put_string(out, "validity", "");
    adp_sim_text_put(out, "}");
}

static void put_holding(
    struct adp_sim_api *api, struct adp_sim_text *out, const struct adp_sim_holding *holding)
{
    const struct adp_sim_instrument *instrument =
        adp_sim_book_instrument(api->book, holding->instrument);
    bool nse = instrument->exchange == ADP_SIM_NSE;

    adp_sim_text_put(out, "{\"isin\":\"\"");
    put_key(out, "nseInstrumentId");
    adp_sim_text_printf(out, nse ? "\"%u\"" : "\"\"", instrument->token);
    put_key(out, "bseInstrumentId");
    adp_sim_text_printf(out, nse ? "\"\"" : "\"%u\"", instrument->token);
    put_string(out, "nseTradingSymbol", nse ? instrument->symbol : "");
    put_string(out, "bseTradingSymbol", nse ? "" : instrument->symbol);
    put_e8(out, "previousDayClose", instrument->previous_e8);
    put_string(out, "product", "DELIVERY");
    put_string(out, "formattedInstrumentName", instrument->name);
    put_e8(out, "averageTradedPrice", holding->price_e8);
    put_int(out, "collateralQuantity", 0);
    put_int(out, "authorizedQuantity", 0);
    put_int(out, "dpQuantity", holding->units);
    put_int(out, "totalQuantity", holding->units);
    put_int(out, "t1Quantity", 0);
    put_e8(out, "ltp", instrument->last_e8);
    put_int(out, "sellableQty", holding->units);
    put_e8(out, "investedPrice", holding->price_e8);
    adp_sim_text_put(out, "}");
}

static void put_limits(struct adp_sim_text *out, const struct adp_sim_account *account)
{
    adp_sim_text_put(out, "{\"tradingLimit\":");
    adp_sim_text_e8(out, adp_sim_book_available(account));
    put_e8(out, "openingCashLimit", account->funds_e8);
    put_int(out, "intradayPayin", 0);
    put_int(out, "collateralMargin", 0);
    put_int(out, "creditForSell", 0);
    put_int(out, "adhocMargin", 0);
    put_e8(out, "utilizedMargin", account->blocked_e8 + account->used_e8);
    put_int(out, "blockedForPayout", 0);
    put_int(out, "utilizedSpanMargin", 0);
    put_int(out, "utilizedExposureMargin", 0);
    adp_sim_text_put(out, "}");
}

/* The separator goes before every row but the first; rows are written straight into the answer. */
static void begin_row(struct adp_sim_text *out, uint32_t *rows)
{
    if (*rows > 0)
        adp_sim_text_put(out, ",");
    (*rows)++;
}

static uint32_t put_rows(struct adp_sim_api *api, struct adp_sim_call *call, enum adp_sim_path path,
    uint32_t account_index)
{
    const struct adp_sim_account *account = adp_sim_book_account(api->book, account_index);
    const struct adp_sim_member *member = &api->members->rows[account_index];
    struct adp_sim_text *out = &call->answer;
    uint32_t rows = 0;

    if (path == ADP_SIM_PATH_BOOK) {
        for (uint32_t at = account->order_first; at != ADP_SIM_NONE;
             at = adp_sim_book_order(api->book, at)->next_of_account) {
            if (adp_sim_book_order(api->book, at)->origin.mono_ns + member->book_lag_ns >
                call->mono_ns)
                continue;
            begin_row(out, &rows);
            put_order(api, out, at);
        }
    } else if (path == ADP_SIM_PATH_TRADES) {
        for (uint32_t at = account->trade_first; at != ADP_SIM_NONE;
             at = adp_sim_book_trade(api->book, at)->next_of_account) {
            begin_row(out, &rows);
            put_trade(api, out, at);
        }
    } else if (path == ADP_SIM_PATH_POSITIONS) {
        for (uint32_t i = 0; i < account->position_count; i++) {
            if (account->positions[i].buy_units == 0 && account->positions[i].sell_units == 0)
                continue;
            begin_row(out, &rows);
            put_position(api, out, &account->positions[i]);
        }
    } else if (path == ADP_SIM_PATH_HOLDINGS) {
        bool delivery = strcmp(call->path, ADP_SIM_API_PREFIX "holdings/CNC") == 0;
        for (uint32_t i = 0; delivery && i < account->holding_count; i++) {
            begin_row(out, &rows);
            put_holding(api, out, &account->holdings[i]);
        }
    } else {
        begin_row(out, &rows);
        put_limits(out, account);
    }
    return rows;
}

void adp_sim_api_read(
    struct adp_sim_api *api, struct adp_sim_call *call, enum adp_sim_path path, uint32_t account)
{
    adp_sim_text_put(&call->answer, "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[");
    if (put_rows(api, call, path, account) == 0) {
        int code = path == ADP_SIM_PATH_BOOK        ? 916
                   : path == ADP_SIM_PATH_TRADES    ? 926
                   : path == ADP_SIM_PATH_POSITIONS ? 920
                                                    : 922;
        adp_sim_api_error(api, call, 200, code);
        return;
    }
    adp_sim_text_put(&call->answer, "]}");
}

void adp_sim_api_history(struct adp_sim_api *api, struct adp_sim_call *call, uint32_t account,
    const char *broker_order_id)
{
    uint32_t index = adp_sim_book_find_order(api->book, broker_order_id);
    if (index == ADP_SIM_NONE || adp_sim_book_order(api->book, index)->origin.account != account) {
        adp_sim_api_error(api, call, 200, 998);
        return;
    }
    adp_sim_text_put(&call->answer, "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[");
    put_order(api, &call->answer, index);
    adp_sim_text_put(&call->answer, "]}");
}
