/* alice_blue.c: requests and capabilities; replies are in alice_blue_reply.c, books and feeds in
 * alice_blue_book.c. */
#include "adapters/broker/alice_blue.h"

#include "adapters/broker/alice_blue_private.h"
#include "ipc/decimal.h"

#include <string.h>

/* "Appendix", August 2026. The carry-forward product of futures and options is printed nowhere:
 * "NRML" is what production clients send; error text EC969 calls it "NORMAL". */
static const char *product_word(uint8_t product)
{
    switch ((enum ipc_product)product) {
    case IPC_PRODUCT_MIS:
        return "INTRADAY";
    case IPC_PRODUCT_CNC:
        return "LONGTERM";
    case IPC_PRODUCT_NRML:
        return "NRML";
    case IPC_PRODUCT_MTF:
        return "MTF";
    }
    return NULL;
}

static const char *exchange_word(uint8_t exchange)
{
    switch ((enum ipc_exchange)exchange) {
    case IPC_EXCHANGE_NSE:
    case IPC_EXCHANGE_BSE:
    case IPC_EXCHANGE_NFO:
    case IPC_EXCHANGE_BFO:
    case IPC_EXCHANGE_CDS:
    case IPC_EXCHANGE_BCD:
    case IPC_EXCHANGE_MCX:
    case IPC_EXCHANGE_NCO:
    case IPC_EXCHANGE_BCO:
        return ipc_exchange_name((enum ipc_exchange)exchange); /* the broker's words are the same */
    }
    return NULL;
}

static bool add_pair(struct adp_segments *out, const char *key, const char *word)
{
    return adp_segments_add(out, ",\"") && adp_segments_add(out, key) &&
           adp_segments_add(out, "\":\"") && adp_segments_add(out, word) &&
           adp_segments_add(out, "\"");
}

static bool add_text_hole(struct adp_segments *out, const char *key, enum adp_hole hole)
{
    return adp_segments_add(out, ",\"") && adp_segments_add(out, key) &&
           adp_segments_add(out, "\":\"") && adp_segments_hole(out, hole) &&
           adp_segments_add(out, "\"");
}

static bool add_qty(struct adp_segments *out)
{
    return adp_segments_add(out, ",\"quantity\":") && adp_segments_hole(out, ADP_HOLE_QTY);
}

/* Type, validity and the prices that the type has: `price` is required for LIMIT and SL,
 * `slTriggerPrice` for SL and SLM ("Orders", August 2026); both are strings. */
static bool add_type_and_prices(const struct ipc_command *command, struct adp_segments *out)
{
    const bool has_price = command->type == IPC_TYPE_LIMIT || command->type == IPC_TYPE_SL;
    const bool has_trigger = command->type == IPC_TYPE_SL || command->type == IPC_TYPE_SLM;
    if (!add_pair(out, "orderType", ipc_type_name((enum ipc_type)command->type)) ||
        !add_pair(out, "validity", ipc_validity_name((enum ipc_validity)command->validity)))
        return false;
    if (has_price && !add_text_hole(out, "price", ADP_HOLE_PRICE))
        return false;
    return !has_trigger || add_text_hole(out, "slTriggerPrice", ADP_HOLE_TRIGGER);
}

/* How far a market order may go, in percent; the broker's own where nothing is asked. A modify
 * leaves it as it was (EC834 may refuse it there). */
static bool add_protection(const struct ipc_command *command, struct adp_segments *out)
{
    char percent[IPC_DECIMAL_BYTES];
    if (command->market_protection_bp == 0 || !ipc_type_valid(command->type) ||
        (command->type != IPC_TYPE_MARKET && command->type != IPC_TYPE_SLM))
        return true;
    (void)ipc_decimal_format(command->market_protection_bp * (LS_E8 / 100), percent);
    return add_pair(out, "marketProtectionPercent", percent);
}

/* EC082 says that the device id cannot be empty, though the page calls it optional. */
#define DEVICE_ID "lockstep"

static bool is_token(const char *token, size_t bytes)
{
    const size_t count = strnlen(token, bytes);
    for (size_t i = 0; i < count; i++)
        if (token[i] < '0' || token[i] > '9')
            return false;
    return count > 0 && count < bytes;
}

static enum adp_rc place_body(const struct ipc_command *command, struct adp_segments *out)
{
    const char *exchange = exchange_word(command->exchange);
    const char *product = product_word(command->product);
    if (exchange == NULL || product == NULL || !ipc_side_valid(command->side) ||
        !is_token(command->token, sizeof(command->token)))
        return ADP_UNSUPPORTED;
    const bool fits =
        adp_segments_add(out, "[{\"exchange\":\"") && adp_segments_add(out, exchange) &&
        adp_segments_add(out, "\"") && add_pair(out, "instrumentId", command->token) &&
        add_pair(out, "transactionType", ipc_side_name((enum ipc_side)command->side)) &&
        add_qty(out) && add_pair(out, "product", product) &&
        add_pair(out, "orderComplexity", "REGULAR") && add_type_and_prices(command, out) &&
        add_protection(command, out) && add_pair(out, "deviceId", DEVICE_ID) &&
        add_text_hole(out, "orderTag", ADP_HOLE_TAG) && adp_segments_add(out, "}]");
    return fits ? ADP_OK : ADP_TOO_LONG;
}

/* No symbol, side, product or tag in a modify. */
static enum adp_rc modify_body(const struct ipc_command *command, struct adp_segments *out)
{
    const bool fits = adp_segments_add(out, "{\"brokerOrderId\":\"") &&
                      adp_segments_hole(out, ADP_HOLE_ORDER_ID) && adp_segments_add(out, "\"") &&
                      add_qty(out) && add_type_and_prices(command, out) &&
                      add_pair(out, "deviceId", DEVICE_ID) && adp_segments_add(out, "}");
    return fits ? ADP_OK : ADP_TOO_LONG;
}

static enum adp_rc cancel_body(struct adp_segments *out)
{
    const bool fits = adp_segments_add(out, "{\"brokerOrderId\":\"") &&
                      adp_segments_hole(out, ADP_HOLE_ORDER_ID) && adp_segments_add(out, "\"}");
    return fits ? ADP_OK : ADP_TOO_LONG;
}

static enum adp_rc body(const struct ipc_command *command, struct adp_segments *out)
{
    out->text_bytes = 0;
    out->hole_count = 0;
    if (command->action == IPC_ACTION_CANCEL)
        return cancel_body(out);
    if (!ipc_type_valid(command->type) || !ipc_validity_valid(command->validity))
        return ADP_UNSUPPORTED;
    if (command->action == IPC_ACTION_PLACE)
        return place_body(command, out);
    if (command->action == IPC_ACTION_MODIFY)
        return modify_body(command, out);
    return ADP_UNSUPPORTED;
}

#define JSON_TYPE "application/json"

const struct adp_dialect adp_alice_blue = {
    .name = "alice-blue",
    .capabilities =
        {
            /* `orderTag` is echoed in book, history, trades and feed; nothing refuses a second
             * order with the same one ("Orders", August 2026). */
            .idempotency = ADP_IDEMPOTENCY_TAG_ONLY,
            .tag_bytes_max = 50, /* EC971 */
            .book_by_tag = false,
            .book_complete = true, /* the printed book row is a rejected order */
            /* Nothing is published on how soon a taken order shows; a second is an assumption,
             * which the settling time of a reconciliation multiplies by four. */
            .book_lag_ns = LS_NS_PER_S,
            .trust_refused_stream = false,
            .trust_goaway = false,
            /* "Rates Limits" says orders are not limited; the exchanges' rule for retail algorithms
             * (in force since 1 April 2026) lets a broker take 10 a second per client and
             * exchange. One less than that leaves room for the broker's own second. */
            .orders_per_second = 9,
            .orders_per_minute = 0,
            .orders_per_day = 0,
            .modifications_max = 0,
            /* NSE/CMTR/68802 of 30 June 2025 and the exchange's FAQ of November 2025: market orders
             * of algorithms are cancelled, and every API order counts as one. The words MARKET and
             * SLM exist, so `body` encodes them. */
            .refuses_market = true,
            .fractional_qty = false,
        },
    .auth = {.header = "authorization", .prefix = "Bearer "},
    .requests =
        {
            [ADP_REQUEST_PLACE] = {"POST", "/open-api/od/v1/orders/placeorder", JSON_TYPE, false},
            [ADP_REQUEST_MODIFY] = {"POST", "/open-api/od/v1/orders/modify", JSON_TYPE, false},
            [ADP_REQUEST_CANCEL] = {"POST", "/open-api/od/v1/orders/cancel", JSON_TYPE, false},
            [ADP_REQUEST_BOOK] = {"GET", "/open-api/od/v1/orders/book", NULL, false},
            [ADP_REQUEST_KEEPALIVE] = {"GET", "/open-api/od/v1/limits/", NULL, false},
        },
    .body = body,
    .decode_reply = alice_decode_reply,
    .decode_book = alice_decode_book,
    .decode_push = alice_decode_push,
    .push = &alice_push,
    .sign = NULL,
    .follow_up = NULL,
    .funds = {"GET", "/open-api/od/v1/limits/", NULL, false},
    .decode_funds = alice_decode_funds,
    .positions = {"GET", "/open-api/od/v1/positions", NULL, false},
    .decode_positions = alice_decode_positions,
};
