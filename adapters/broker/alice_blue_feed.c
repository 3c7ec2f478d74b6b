/* alice_blue_feed.c: the order socket around its frames: token, first message, acknowledgement,
 * heartbeat; and the webhook's registration. "Webhooks", August 2026, and what production clients
 * saw on live accounts. */
#include "adapters/broker/alice_blue_private.h"

#include <stdio.h>
#include <string.h>

/* An account without the feature gets 200 with an empty body; a host or path that is not the feed's
 * answers 200 with the web app's HTML, or 404. */
static bool says_no_feed(uint32_t http_status, struct adp_span body)
{
    const struct adp_span text = adp_span_trim(body);
    if (http_status == 404 || http_status == 405 || http_status == 501)
        return true;
    return http_status == 200 && (text.count == 0 || text.bytes[0] == '<');
}

/* A token is put into a frame of ours, so it must not be able to end a JSON string. */
static bool copy_token(struct adp_span text, char *out, size_t out_bytes)
{
    if (text.count < 8 || text.count >= out_bytes)
        return false;
    for (size_t i = 0; i < text.count; i++)
        if (text.bytes[i] <= ' ' || text.bytes[i] > '~' || text.bytes[i] == '"' ||
            text.bytes[i] == '\\')
            return false;
    memcpy(out, text.bytes, text.count);
    out[text.count] = '\0';
    return true;
}

/* The printed sample has prose after its object; that is of the page, not of the broker: a reply
 * with anything after its object is refused. */
static enum adp_rc decode_token(
    uint32_t http_status, struct adp_span body, char *token, size_t token_bytes)
{
    struct adp_json json;
    if (token_bytes > 0)
        token[0] = '\0';
    if (says_no_feed(http_status, body))
        return ADP_UNSUPPORTED;
    if (adp_json_parse(&json, body) != ADP_OK)
        return http_status == 401 ? ADP_AUTH : ADP_MALFORMED;
    const struct alice_verdict verdict = alice_verdict(&json, 0);
    if (verdict.state != ALICE_OK || http_status != 200)
        return alice_read_rc(http_status, &verdict);
    const uint32_t row = adp_json_element(&json, adp_json_get(&json, 0, "result"), 0);
    const uint32_t at = adp_json_get(&json, row, "orderToken");
    if (!adp_json_is(&json, at, ADP_JSON_STRING))
        return ADP_MALFORMED;
    return copy_token(adp_json_span(&json, at), token, token_bytes) ? ADP_OK : ADP_MALFORMED;
}

static bool is_login(const char *login)
{
    const size_t count = strlen(login);
    return count > 0 && strspn(login, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvw"
                                      "xyz_-.") == count;
}

static size_t written(int count, size_t out_bytes)
{
    return count > 0 && (size_t)count < out_bytes ? (size_t)count : 0;
}

/* `userId` is the numeric client code, which is the login at this broker. */
static size_t subscribe(const char *token, const char *login, char *out, size_t out_bytes)
{
    if (!is_login(login))
        return 0;
    return written(
        snprintf(out, out_bytes, "{\"orderToken\":\"%s\",\"userId\":\"%s\"}", token, login),
        out_bytes);
}

static size_t heartbeat(const char *login, char *out, size_t out_bytes)
{
    if (!is_login(login))
        return 0;
    return written(
        snprintf(out, out_bytes, "{\"heartbeat\":\"h\",\"userId\":\"%s\"}", login), out_bytes);
}

/* {"status":"Ok"}: the acknowledgement has no kind of its own. */
static enum adp_rc decode_ack(struct adp_span frame)
{
    struct adp_json json;
    if (adp_json_parse(&json, frame) != ADP_OK || !adp_json_is(&json, 0, ADP_JSON_OBJECT) ||
        adp_json_get(&json, 0, "t") != ADP_JSON_NONE ||
        adp_json_get(&json, 0, "norenordno") != ADP_JSON_NONE)
        return ADP_NOTHING;
    const struct alice_verdict verdict = alice_verdict(&json, 0);
    if (verdict.state == ALICE_SILENT)
        return ADP_NOTHING;
    return verdict.state == ALICE_OK ? ADP_OK : ADP_UNSUPPORTED;
}

/* `actid` is the account; `uid` the user, who may be a dealer. */
static bool is_of(struct adp_span frame, const char *login)
{
    struct adp_json json;
    if (adp_json_parse(&json, frame) != ADP_OK)
        return true; /* decode_push refuses it */
    const struct adp_span account =
        adp_span_trim(adp_json_span(&json, adp_json_get(&json, 0, "actid")));
    return account.count == 0 || adp_span_is_fold(account, login);
}

static size_t hook_body(const char *callback_url, char *out, size_t out_bytes)
{
    if (strncmp(callback_url, "https://", 8) != 0 || strpbrk(callback_url, "\"\\ \r\n\t") != NULL)
        return 0;
    return written(snprintf(out, out_bytes, "{\"callbackUrl\":\"%s\"}", callback_url), out_bytes);
}

static enum adp_rc decode_hook(uint32_t http_status, struct adp_span body)
{
    struct adp_json json;
    if (adp_json_parse(&json, body) != ADP_OK)
        return http_status == 401 ? ADP_AUTH : ADP_MALFORMED;
    const struct alice_verdict verdict = alice_verdict(&json, 0);
    return verdict.state == ALICE_OK && http_status == 200 ? ADP_OK
                                                           : alice_read_rc(http_status, &verdict);
}

#define JSON_TYPE "application/json"
#define HOOK_PATH "/rest/AliceBlueAPIService/api/webhook/"

const struct adp_push alice_push = {
    .token = {"GET", "/open-api/order-notify/ws/createWsToken", NULL, false},
    .socket_path = "/open-api/order-notify/websocket",
    .heartbeat_ms = 50000, /* the server closes after 60 s without one; clients use 55 */
    .decode_token = decode_token,
    .subscribe = subscribe,
    .heartbeat = heartbeat,
    .decode_ack = decode_ack,
    .is_of = is_of,
    .hook_on = {"POST", HOOK_PATH "subscribe", JSON_TYPE, false},
    .hook_off = {"POST", HOOK_PATH "unsubscribe", JSON_TYPE, false},
    .hook_body = hook_body,
    .decode_hook = decode_hook,
};
