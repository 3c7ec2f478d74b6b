/* The socket speaks one JSON object a message, all values strings:
 * - first {"susertoken":sha256hex(sha256hex(session)),"t":"c",...}, answered {"t":"cf","k":"OK"} by
 *   the page and {"t":"ck","s":"OK"} as SDKs see it;
 * - {"k":"NFO|54957#MCX|239484","t":"t"} subscribes touchlines (u: ends it), each answered by one
 * tk frame; tf frames follow with what changed. dk and df are the same with five levels of depth;
 * - {"k":"","t":"h"} at least every 50 s, answered by {"t":"hk"...} or not at all. */
#include "adapters/broker/alice_blue_market.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "adapters/json.h"
#include "ipc/prices.h"
#include "ipc/secret.h"

#define HEX_BYTES (2u * SHA256_DIGEST_LENGTH)

/* ---- calls and messages ---------------------------------------------------------------------- */

static bool is_plain(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (!((*text >= '0' && *text <= '9') || (*text >= 'A' && *text <= 'Z') ||
                (*text >= 'a' && *text <= 'z') || *text == '_' || *text == '-'))
            return false;
    return true;
}

static size_t fits(int written, size_t out_bytes)
{
    return written > 0 && (size_t)written < out_bytes ? (size_t)written : 0;
}

static size_t call_body(const char *login, char *out, size_t out_bytes)
{
    if (!is_plain(login))
        return 0;
    return fits(
        snprintf(out, out_bytes, "{\"source\":\"API\",\"userId\":\"%s\"}", login), out_bytes);
}

static enum adp_rc decode_call(uint32_t http_status, struct adp_span body)
{
    struct adp_json json;
    char status[16];
    if (http_status == 401 || http_status == 403)
        return ADP_AUTH;
    if (http_status != 200 || adp_json_parse(&json, body) != ADP_OK)
        return ADP_MALFORMED;
    (void)adp_json_text(&json, adp_json_get(&json, 0, "status"), status, sizeof(status));
    return strcmp(status, "Ok") == 0 || strcmp(status, "OK") == 0 ? ADP_OK : ADP_MALFORMED;
}

static void hash_hex(const void *bytes, size_t count, char out[HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_LENGTH];
    LS_CHECK(SHA256(bytes, count, digest) == digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    ipc_secret_wipe(digest, sizeof(digest));
}

static size_t hello(struct adp_span bearer, const char *login, char *out, size_t out_bytes)
{
    char once[HEX_BYTES], twice[HEX_BYTES];
    if (!is_plain(login) || bearer.count == 0)
        return 0;
    hash_hex(bearer.bytes, bearer.count, once);
    hash_hex(once, sizeof(once), twice);
    const int written = snprintf(out, out_bytes,
        "{\"susertoken\":\"%.*s\",\"t\":\"c\",\"actid\":\"%s_API\",\"uid\":\"%s_API\","
        "\"source\":\"API\"}",
        (int)HEX_BYTES, twice, login, login);
    ipc_secret_wipe(once, sizeof(once));
    ipc_secret_wipe(twice, sizeof(twice));
    return fits(written, out_bytes);
}

static enum adp_rc decode_hello(struct adp_span frame)
{
    struct adp_json json;
    if (adp_json_parse(&json, frame) != ADP_OK)
        return ADP_NOTHING;
    const struct adp_span kind = adp_json_span(&json, adp_json_get(&json, 0, "t"));
    if (!adp_span_is(kind, "cf") && !adp_span_is(kind, "ck"))
        return ADP_NOTHING;
    const struct adp_span k = adp_json_span(&json, adp_json_get(&json, 0, "k"));
    const struct adp_span s = adp_json_span(&json, adp_json_get(&json, 0, "s"));
    return adp_span_is_fold(k.count > 0 ? k : s, "OK") ? ADP_OK : ADP_UNSUPPORTED;
}

static size_t subscribe(
    const struct adp_market_key *keys, uint32_t count, bool on, char *out, size_t out_bytes)
{
    size_t used = fits(snprintf(out, out_bytes, "{\"k\":\""), out_bytes);
    for (uint32_t i = 0; used > 0 && i < count; i++) {
        const size_t more =
            fits(snprintf(out + used, out_bytes - used, "%s%s|%.15s", i > 0 ? "#" : "",
                     ipc_exchange_name(keys[i].exchange), keys[i].token),
                out_bytes - used);
        used = more > 0 ? used + more : 0;
    }
    if (used == 0)
        return 0;
    const size_t end =
        fits(snprintf(out + used, out_bytes - used, "\",\"t\":\"%s\"}", on ? "t" : "u"),
            out_bytes - used);
    return end > 0 ? used + end : 0;
}

static size_t heartbeat(char *out, size_t out_bytes)
{
    return fits(snprintf(out, out_bytes, "{\"k\":\"\",\"t\":\"h\"}"), out_bytes);
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* Copies a member that must be there as text of this size; digits only where they are asked for. */
static bool take_token(const struct adp_json *json, char out[16])
{
    const struct adp_span span = adp_json_span(json, adp_json_get(json, 0, "tk"));
    if (span.count == 0 || span.count >= 16)
        return false;
    for (size_t i = 0; i < span.count; i++)
        if (span.bytes[i] < '0' || span.bytes[i] > '9')
            return false;
    memcpy(out, span.bytes, span.count);
    return true;
}

/* A member that may be absent or empty; a value that is there must be a number in [0, most]. */
static bool take_number(
    const struct adp_json *json, const char *key, int64_t most_e8, int64_t *out_e8)
{
    const enum adp_rc rc = adp_json_e8(json, adp_json_get(json, 0, key), ADP_JSON_EXACT, out_e8);
    if (rc == ADP_NOTHING) {
        *out_e8 = 0;
        return true;
    }
    return rc == ADP_OK && *out_e8 >= 0 && *out_e8 <= most_e8;
}

static enum adp_rc decode_quote(struct adp_span frame, struct adp_quote *out)
{
    struct adp_json json;
    int64_t feed_e8 = 0;
    memset(out, 0, sizeof(*out));
    if (adp_json_parse(&json, frame) != ADP_OK || !adp_json_is(&json, 0, ADP_JSON_OBJECT))
        return ADP_MALFORMED;
    const struct adp_span kind = adp_json_span(&json, adp_json_get(&json, 0, "t"));
    out->is_snapshot = adp_span_is(kind, "tk") || adp_span_is(kind, "dk");
    if (!out->is_snapshot && !adp_span_is(kind, "tf") && !adp_span_is(kind, "df"))
        return ADP_NOTHING;
    const struct adp_span exchange = adp_json_span(&json, adp_json_get(&json, 0, "e"));
    if (exchange.count == 0 ||
        !ipc_exchange_parse((const char *)exchange.bytes, exchange.count, &out->exchange) ||
        !take_token(&json, out->token) ||
        !take_number(&json, "lp", IPC_PRICE_E8_MAX, &out->last_e8) ||
        !take_number(&json, "ft", INT64_C(90000000000) * LS_E8, &feed_e8))
        return ADP_MALFORMED;
    /* Before the first trade of a contract some frames say 0.00: that is no price. */
    out->has_last = out->last_e8 > 0;
    out->feed_wall_s = feed_e8 / LS_E8;
    if (!out->is_snapshot)
        return ADP_OK;
    (void)adp_json_text(&json, adp_json_get(&json, 0, "ts"), out->symbol, sizeof(out->symbol));
    if (!take_number(&json, "ls", INT64_C(1000000000) * LS_E8, &out->lot_qty_e8) ||
        !take_number(&json, "ti", IPC_PRICE_E8_MAX, &out->tick_e8))
        return ADP_MALFORMED;
    return ADP_OK;
}

/* ---- what is held ---------------------------------------------------------------------------- */

static struct adp_span member(struct adp_span row, const char *key)
{
    struct adp_span value = {NULL, 0};
    if (adp_json_member(row, key, &value) != ADP_OK)
        return (struct adp_span){NULL, 0};
    value = adp_span_trim(value);
    if (value.count >= 2 && value.bytes[0] == '"')
        value = (struct adp_span){value.bytes + 1, value.count - 2};
    return value;
}

static bool is_digits(struct adp_span text)
{
    for (size_t i = 0; i < text.count; i++)
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return false;
    return text.count > 0 && text.count < 16;
}

/* A row of positions has instrumentId and exchange, a row of holdings one id per exchange. */
static void read_held(struct adp_span row,
    void (*each)(enum ipc_exchange exchange, struct adp_span token, void *context), void *context)
{
    static const struct {
        const char *key;
        enum ipc_exchange exchange;
    } holdings[] = {{"nseInstrumentId", IPC_EXCHANGE_NSE}, {"bseInstrumentId", IPC_EXCHANGE_BSE}};
    const struct adp_span token = member(row, "instrumentId");
    const struct adp_span word = member(row, "exchange");
    const struct adp_span net = member(row, "netQuantity");
    enum ipc_exchange exchange;
    if (is_digits(token) && word.count > 0 && !adp_span_is(net, "0") &&
        ipc_exchange_parse((const char *)word.bytes, word.count, &exchange))
        each(exchange, token, context);
    for (size_t i = 0; i < LS_COUNT_OF(holdings); i++) {
        const struct adp_span id = member(row, holdings[i].key);
        if (is_digits(id) && !adp_span_is(id, "0"))
            each(holdings[i].exchange, id, context);
    }
}

static enum adp_rc decode_held(uint32_t http_status, struct adp_span body,
    void (*each)(enum ipc_exchange exchange, struct adp_span token, void *context), void *context)
{
    struct adp_span rows = {NULL, 0}, row;
    size_t at = 0;
    if (http_status == 401 || http_status == 403)
        return ADP_AUTH;
    if (http_status != 200 || adp_json_check(body) != ADP_OK ||
        !adp_span_is_fold(member(body, "status"), "Ok") ||
        adp_json_member(body, "result", &rows) != ADP_OK)
        return ADP_MALFORMED;
    enum adp_rc rc;
    while ((rc = adp_json_next(rows, &at, &row)) == ADP_OK)
        read_held(row, each, context);
    return rc == ADP_NOTHING ? ADP_OK : ADP_MALFORMED;
}

const struct adp_market adp_alice_blue_market = {
    .api_domain = ".aliceblueonline.com",
    .socket_host = "ws1.aliceblueonline.com",
    .socket_path = "/NorenWS",
    .heartbeat_ms = 50000,
    .keys_max = 100,
    .end_session = {"/open-api/od/v1/profile/invalidateWsSess"},
    .begin_session = {"/open-api/od/v1/profile/createWsSess"},
    .call_body = call_body,
    .decode_call = decode_call,
    .hello = hello,
    .decode_hello = decode_hello,
    .subscribe = subscribe,
    .heartbeat = heartbeat,
    .decode_quote = decode_quote,
    .positions_path = "/open-api/od/v1/positions",
    .holdings_path = "/open-api/od/v1/holdings/CNC",
    .decode_held = decode_held,
};
