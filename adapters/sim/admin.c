#include "adapters/sim/admin_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *method, *path;
    adp_sim_admin_fn fn;
} endpoints[] = {
    {"GET", "/sim/orders", adp_sim_admin_orders},
    {"GET", "/sim/requests", adp_sim_admin_requests},
    {"GET", "/sim/price", adp_sim_admin_prices},
    {"GET", "/sim/positions", adp_sim_admin_positions},
    {"GET", "/sim/accounts", adp_sim_admin_accounts},
    {"GET", "/sim/stats", adp_sim_admin_stats},
    {"GET", "/sim/faults", adp_sim_admin_faults},
    {"GET", "/sim/feed", adp_sim_admin_feed},
    {"POST", "/sim/feed", adp_sim_admin_set_feed},
    {"POST", "/sim/terminal/order", adp_sim_admin_order},
    {"POST", "/sim/terminal/cancel", adp_sim_admin_cancel},
    {"POST", "/sim/terminal/modify", adp_sim_admin_modify},
    {"POST", "/sim/fill", adp_sim_admin_fill},
    {"POST", "/sim/price", adp_sim_admin_set_price},
    {"POST", "/sim/faults", adp_sim_admin_set_faults},
    {"POST", "/sim/token", adp_sim_admin_token},
    {"POST", "/sim/limits", adp_sim_admin_limits},
    {"POST", "/sim/latency", adp_sim_admin_latency},
    {"POST", "/sim/shutdown", adp_sim_admin_shutdown},
};

void adp_sim_admin_error(struct adp_sim_call *call, int status, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    call->status = status;
    call->answer.length = 0;
    adp_sim_text_put(&call->answer, "{\"error\":");
    adp_sim_text_quote(&call->answer, text);
    adp_sim_text_put(&call->answer, "}\n");
}

static int hex_of(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

bool adp_sim_admin_query(const struct adp_sim_call *call, const char *name, char *out, size_t bytes)
{
    size_t name_bytes = strlen(name);
    const char *at = call->query;
    while (at != NULL && *at != '\0') {
        if (strncmp(at, name, name_bytes) == 0 && at[name_bytes] == '=') {
            size_t length = 0;
            for (at += name_bytes + 1; *at != '\0' && *at != '&' && length + 1 < bytes; at++) {
                if (*at == '%' && hex_of(at[1]) >= 0 && hex_of(at[2]) >= 0) {
                    out[length++] = (char)(hex_of(at[1]) * 16 + hex_of(at[2]));
                    at += 2;
                } else {
                    out[length++] = *at == '+' ? ' ' : *at;
                }
            }
            out[length] = '\0';
            return true;
        }
        at = strchr(at, '&');
        if (at != NULL)
            at++;
    }
    return false;
}

void adp_sim_admin_call(struct adp_sim_call *call, void *context)
{
    struct adp_sim_admin *admin = context;
    bool path_exists = false;

    call->status = 200;
    call->content_type = "application/json";
    for (size_t i = 0; i < LS_COUNT_OF(endpoints); i++) {
        if (strcmp(call->path, endpoints[i].path) != 0)
            continue;
        path_exists = true;
        if (strcmp(call->method, endpoints[i].method) != 0)
            continue;
        json_t *body = NULL;
        if (strcmp(call->method, "POST") == 0) {
            json_error_t where;
            /* An empty body stands for an empty object, so that curl -X POST works. */
            const char *bytes = call->body.length == 0 ? "{}" : call->body.bytes;
            body = json_loadb(bytes, call->body.length == 0 ? 2 : call->body.length,
                JSON_REJECT_DUPLICATES, &where);
            if (!json_is_object(body)) {
                if (body == NULL)
                    adp_sim_admin_error(call, 400, "the body is not JSON: line %d column %d: %s",
                        where.line, where.column, where.text);
                else
                    adp_sim_admin_error(call, 400, "the body must be a JSON object");
                json_decref(body);
                return;
            }
        }
        endpoints[i].fn(admin, call, body);
        json_decref(body);
        return;
    }
    if (path_exists)
        adp_sim_admin_error(call, 405, "%s does not take %s", call->path, call->method);
    else
        adp_sim_admin_error(
            call, 404, "there is no %s; see adapters/sim/README.md for the endpoints", call->path);
}
