/* api_push.c: the calls that open the push side: order token, market session, webhooks. */
#include "adapters/sim/api_private.h"

#include <string.h>

#include <jansson.h>

static const char web_page[] = "<!doctype html><html lang=\"en\"><head><title>Login</title></head>"
                               "<body><div id=\"root\"></div></body></html>";

/* The answers that an account without the feed has been seen to get: nothing, or the web app. */
static void order_token(struct adp_sim_api *api, struct adp_sim_call *call, uint32_t account)
{
    char token[ADP_SIM_ORDER_TOKEN_HEX + 1];
    switch (adp_sim_push_order_token(api->push, account, token)) {
    case ADP_SIM_TOKEN_GOOD:
        adp_sim_text_printf(&call->answer,
            "{\"status\":\"Ok\",\"message\":\"200\",\"result\":[{\"orderToken\":\"%s\"}]}", token);
        return;
    case ADP_SIM_TOKEN_EMPTY:
        return;
    case ADP_SIM_TOKEN_HTML:
        call->content_type = "text/html";
        adp_sim_text_put(&call->answer, web_page);
        return;
    case ADP_SIM_TOKEN_404:
        call->status = 404;
        adp_sim_text_put(&call->answer, "{\"status\":404,\"error\":\"Not Found\"}");
        return;
    case ADP_SIM_TOKEN_ANSWER_COUNT:
        break;
    }
    LS_CHECK(!"an answer");
}

static void say(struct adp_sim_call *call, bool good, const char *text)
{
    adp_sim_text_printf(
        &call->answer, "{\"status\":\"%s\",\"message\":\"%s\"}", good ? "Ok" : "Not_ok", text);
}

/* {"source":"API","userId":"..."} of the caller's own account. */
static void market_session(struct adp_sim_api *api, struct adp_sim_call *call, uint32_t account,
    const json_t *body, bool begin)
{
    const char *user = json_string_value(json_object_get(body, "userId"));
    const char *source = json_string_value(json_object_get(body, "source"));
    if (user == NULL || source == NULL || strcmp(source, "API") != 0 ||
        strcmp(user, adp_sim_book_account(api->book, account)->id) != 0) {
        say(call, false, "Invalid request");
        return;
    }
    adp_sim_push_market_session(api->push, account, begin);
    adp_sim_text_put(&call->answer, "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[]}");
}

static void webhook(struct adp_sim_api *api, struct adp_sim_call *call, uint32_t account,
    const json_t *body, bool add)
{
    const char *url = json_string_value(json_object_get(body, "callbackUrl"));
    bool done = url != NULL && (add ? adp_sim_push_subscribe(api->push, account, url)
                                    : adp_sim_push_unsubscribe(api->push, account, url));
    if (done)
        say(call, true, "Success");
    else
        say(call, false,
            url == NULL ? "callbackUrl cannot be empty"
            : add       ? "Invalid callbackUrl, or 5 are subscribed"
                        : "callbackUrl is not subscribed");
}

void adp_sim_api_push(struct adp_sim_api *api, struct adp_sim_call *call, enum adp_sim_path path,
    uint32_t account, const struct json_t *body)
{
    if (api->push == NULL) {
        call->status = 404;
        adp_sim_text_put(&call->answer, "{\"status\":404,\"error\":\"Not Found\"}");
    } else if (path == ADP_SIM_PATH_ORDER_TOKEN) {
        order_token(api, call, account);
    } else if (path == ADP_SIM_PATH_SUBSCRIBE || path == ADP_SIM_PATH_UNSUBSCRIBE) {
        webhook(api, call, account, body, path == ADP_SIM_PATH_SUBSCRIBE);
    } else {
        market_session(api, call, account, body, path == ADP_SIM_PATH_MARKET_BEGIN);
    }
}
