/* admin_reads.c: what the admin port shows. */
#include "adapters/sim/admin_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_string(struct adp_sim_text *out, const char *key, const char *value)
{
    adp_sim_text_printf(out, ",\"%s\":", key);
    adp_sim_text_quote(out, value);
}

static void put_int(struct adp_sim_text *out, const char *key, int64_t value)
{
    adp_sim_text_printf(out, ",\"%s\":%lld", key, (long long)value);
}

static void put_e8(struct adp_sim_text *out, const char *key, int64_t value_e8)
{
    adp_sim_text_printf(out, ",\"%s\":", key);
    adp_sim_text_e8(out, value_e8);
}

static void put_refusal(struct adp_sim_text *out, int code)
{
    if (code == 0)
        adp_sim_text_put(out, ",\"refusal\":null");
    else if (code == ADP_SIM_CODE_RATE)
        put_string(out, "refusal", "RATE");
    else if (code == ADP_SIM_CODE_ADDRESS)
        put_string(out, "refusal", "ADDRESS");
    else if (code == ADP_SIM_CODE_FAULT)
        put_string(out, "refusal", "FAULT");
    else
        adp_sim_text_printf(out, ",\"refusal\":\"EC%03d\"", code);
}

static void put_outcome(struct adp_sim_text *out, const char *outcome)
{
    if (outcome == NULL)
        adp_sim_text_put(out, ",\"outcome\":null");
    else
        put_string(out, "outcome", outcome);
}

static const char *account_id(const struct adp_sim_book *book, uint32_t account)
{
    return account == ADP_SIM_NONE ? "" : adp_sim_book_account(book, account)->id;
}

static void put_origin(
    const struct adp_sim_book *book, struct adp_sim_text *out, const struct adp_sim_origin *origin)
{
    put_string(out, "source", adp_sim_source_word(origin->source));
    put_int(out, "arrival_mono_ns", origin->mono_ns);
    put_int(out, "arrival_wall_ns", origin->wall_ns);
    put_int(out, "connection", (int64_t)origin->connection);
    put_int(out, "stream", origin->stream);
    put_string(out, "address",
        origin->source == ADP_SIM_TERMINAL ? "" : adp_sim_book_address_text(book, origin->address));
}

void adp_sim_admin_put_order(
    const struct adp_sim_book *book, struct adp_sim_text *out, uint32_t index)
{
    const struct adp_sim_order *order = adp_sim_book_order(book, index);
    const struct adp_sim_terms *terms = &order->terms;
    const char *symbol = terms->instrument == ADP_SIM_NONE
                             ? ""
                             : adp_sim_book_instrument(book, terms->instrument)->symbol;

    adp_sim_text_printf(out, "{\"seq\":%u", index);
    put_string(out, "account", account_id(book, order->origin.account));
    put_string(out, "tag", terms->tag);
    put_string(out, "exchange", adp_sim_exchange_word(terms->exchange));
    put_int(out, "token", terms->token);
    put_string(out, "symbol", symbol);
    put_string(out, "side", adp_sim_side_word(terms->side));
    put_int(out, "quantity", terms->units);
    put_e8(out, "price", terms->price_e8);
    put_e8(out, "trigger", terms->trigger_e8);
    put_string(out, "type", adp_sim_type_word(terms->type));
    put_string(out, "product", adp_sim_product_word(terms->product));
    put_string(out, "validity", adp_sim_validity_word(terms->validity));
    put_string(out, "status", adp_sim_status_word(order->status));
    put_int(out, "filled", order->filled_units);
    put_e8(out, "average_price", adp_sim_order_average(order));
    put_int(out, "cancelled", order->cancelled_units);
    put_int(out, "asked_quantity", order->asked_units);
    put_e8(out, "asked_price", order->asked_price_e8);
    put_int(out, "modifies", order->modify_count);
    put_refusal(out, order->refusal);
    put_string(out, "reason", order->reason == NULL ? "" : order->reason);
    put_string(out, "broker_order_id", order->broker_order_id);
    put_int(out, "leg", order->leg);
    put_origin(book, out, &order->origin);
    put_int(out, "updated_wall_ns", order->updated_wall_ns);
    put_outcome(out, order->outcome);
    adp_sim_text_put(out, "}");
}

/* The filters that both lists take. */
struct filter {
    bool by_account, by_tag;
    uint32_t account;
    char tag[64];
    uint32_t since, limit;
};

static bool read_number(struct adp_sim_call *call, const char *name, uint32_t absent, uint32_t *out)
{
    char text[32], *end = NULL;
    *out = absent;
    if (!adp_sim_admin_query(call, name, text, sizeof(text)))
        return true;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] == '\0' || text[0] == '-' || *end != '\0' || value > UINT32_MAX) {
        adp_sim_admin_error(call, 400, "%s: must be a whole number, not \"%s\"", name, text);
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool read_filter(
    const struct adp_sim_book *book, struct adp_sim_call *call, struct filter *filter)
{
    char account[64];
    memset(filter, 0, sizeof(*filter));
    if (adp_sim_admin_query(call, "account", account, sizeof(account))) {
        filter->by_account = true;
        filter->account = adp_sim_book_find_account(book, account);
        if (filter->account == ADP_SIM_NONE) {
            adp_sim_admin_error(call, 404, "account: there is no \"%s\"", account);
            return false;
        }
    }
    filter->by_tag = adp_sim_admin_query(call, "tag", filter->tag, sizeof(filter->tag));
    return read_number(call, "since", 0, &filter->since) &&
           read_number(call, "limit", UINT32_MAX, &filter->limit);
}

void adp_sim_admin_orders(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    const struct adp_sim_book *book = admin->broker->book;
    struct filter filter;
    uint32_t shown = 0, at;
    (void)body;

    if (!read_filter(book, call, &filter))
        return;
    adp_sim_text_put(&call->answer, "{\"orders\":[");
    uint32_t count = adp_sim_book_order_count(book);
    for (at = filter.since; at < count && shown < filter.limit; at++) {
        const struct adp_sim_order *order = adp_sim_book_order(book, at);
        if ((filter.by_account && order->origin.account != filter.account) ||
            (filter.by_tag && strcmp(order->terms.tag, filter.tag) != 0))
            continue;
        adp_sim_text_put(&call->answer, shown++ == 0 ? "\n" : ",\n");
        adp_sim_admin_put_order(book, &call->answer, at);
    }
    adp_sim_text_printf(
        &call->answer, "],\"count\":%u,\"next\":%u}\n", shown, at > count ? filter.since : at);
}

void adp_sim_admin_requests(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    const struct adp_sim_book *book = admin->broker->book;
    struct filter filter;
    uint32_t shown = 0, at;
    (void)body;

    if (!read_filter(book, call, &filter))
        return;
    adp_sim_text_put(&call->answer, "{\"requests\":[");
    uint32_t count = adp_sim_book_act_count(book);
    for (at = filter.since; at < count && shown < filter.limit; at++) {
        const struct adp_sim_act *act = adp_sim_book_act(book, at);
        const char *tag =
            act->order == ADP_SIM_NONE ? "" : adp_sim_book_order(book, act->order)->terms.tag;
        if ((filter.by_account && act->origin.account != filter.account) ||
            (filter.by_tag && strcmp(tag, filter.tag) != 0))
            continue;
        struct adp_sim_text *out = &call->answer;
        adp_sim_text_printf(out, "%s{\"seq\":%u,\"kind\":\"%s\"", shown++ == 0 ? "\n" : ",\n", at,
            act->cancel ? "CANCEL" : "MODIFY");
        put_string(out, "account", account_id(book, act->origin.account));
        put_string(out, "broker_order_id", act->broker_order_id);
        put_string(out, "tag", tag);
        put_string(out, "type", adp_sim_type_word(act->type));
        put_int(out, "quantity", act->units);
        put_e8(out, "price", act->price_e8);
        put_e8(out, "trigger", act->trigger_e8);
        put_refusal(out, act->refusal);
        put_origin(book, out, &act->origin);
        put_outcome(out, act->outcome);
        adp_sim_text_put(out, "}");
    }
    adp_sim_text_printf(
        &call->answer, "],\"count\":%u,\"next\":%u}\n", shown, at > count ? filter.since : at);
}

void adp_sim_admin_prices(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    const struct adp_sim_book *book = admin->broker->book;
    char symbol[64];
    bool one = adp_sim_admin_query(call, "symbol", symbol, sizeof(symbol));
    uint32_t shown = 0;
    (void)body;

    adp_sim_text_put(&call->answer, "{\"prices\":[");
    for (uint32_t i = 0; i < adp_sim_book_instrument_count(book); i++) {
        const struct adp_sim_instrument *instrument = adp_sim_book_instrument(book, i);
        if (one && strcmp(instrument->symbol, symbol) != 0)
            continue;
        struct adp_sim_text *out = &call->answer;
        adp_sim_text_printf(out, "%s{\"exchange\":\"%s\",\"token\":%u", shown++ == 0 ? "\n" : ",\n",
            adp_sim_exchange_word(instrument->exchange), instrument->token);
        put_string(out, "symbol", instrument->symbol);
        put_string(out, "underlying", instrument->underlying);
        put_string(out, "expiry", instrument->expiry);
        put_e8(out, "price", instrument->last_e8);
        put_int(out, "lot", instrument->lot_units);
        put_e8(out, "tick", instrument->tick_e8);
        put_int(out, "freeze", instrument->freeze_units);
        adp_sim_text_put(out, "}");
    }
    adp_sim_text_put(&call->answer, "]}\n");
}

void adp_sim_admin_positions(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    const struct adp_sim_book *book = admin->broker->book;
    struct filter filter;
    uint32_t shown = 0;
    (void)body;

    if (!read_filter(book, call, &filter))
        return;
    adp_sim_text_put(&call->answer, "{\"positions\":[");
    for (uint32_t a = 0; a < adp_sim_book_account_count(book); a++) {
        const struct adp_sim_account *account = adp_sim_book_account(book, a);
        if (filter.by_account && filter.account != a)
            continue;
        for (uint32_t i = 0; i < account->position_count; i++) {
            const struct adp_sim_position *position = &account->positions[i];
            const struct adp_sim_instrument *instrument =
                adp_sim_book_instrument(book, position->instrument);
            if (position->buy_units == 0 && position->sell_units == 0)
                continue;
            struct adp_sim_text *out = &call->answer;
            adp_sim_text_put(out, shown++ == 0 ? "\n{\"account\":" : ",\n{\"account\":");
            adp_sim_text_quote(out, account->id);
            put_string(out, "exchange", adp_sim_exchange_word(instrument->exchange));
            put_int(out, "token", instrument->token);
            put_string(out, "symbol", instrument->symbol);
            put_string(out, "product", adp_sim_product_word(position->product));
            put_int(out, "net", position->net_units);
            put_int(out, "bought", position->buy_units);
            put_int(out, "sold", position->sell_units);
            put_e8(out, "average_price", position->net_price_e8);
            put_e8(out, "realized", position->realized_e8);
            adp_sim_text_put(out, "}");
        }
    }
    adp_sim_text_put(&call->answer, "]}\n");
}

void adp_sim_admin_accounts(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    const struct adp_sim_book *book = admin->broker->book;
    (void)body;

    adp_sim_text_put(&call->answer, "{\"accounts\":[");
    for (uint32_t a = 0; a < adp_sim_book_account_count(book); a++) {
        const struct adp_sim_account *account = adp_sim_book_account(book, a);
        const struct adp_sim_member *member = &admin->broker->members.rows[a];
        struct adp_sim_text *out = &call->answer;
        adp_sim_text_put(out, a == 0 ? "\n{\"account\":" : ",\n{\"account\":");
        adp_sim_text_quote(out, account->id);
        put_e8(out, "funds", account->funds_e8);
        put_e8(out, "available", adp_sim_book_available(account));
        put_e8(out, "realized", account->realized_e8);
        put_int(out, "orders", account->order_count);
        adp_sim_text_printf(out, ",\"token_expired\":%s,\"read_only\":%s,\"addresses\":[",
            member->expired ? "true" : "false", member->read_only ? "true" : "false");
        for (uint32_t i = 0; i < member->address_count; i++) {
            if (i > 0)
                adp_sim_text_put(out, ",");
            adp_sim_text_quote(out, member->addresses[i]);
        }
        adp_sim_text_put(out, "]}");
    }
    adp_sim_text_put(&call->answer, "]}\n");
}

/* ---- statistics
 * -------------------------------------------------------------------------------------------------
 */

static int compare_tags(const void *a, const void *b, void *context)
{
    const struct adp_sim_book *book = context;
    uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
    const struct adp_sim_order *first = adp_sim_book_order(book, ia);
    const struct adp_sim_order *second = adp_sim_book_order(book, ib);
    if (first->origin.account != second->origin.account)
        return first->origin.account < second->origin.account ? -1 : 1;
    int rc = strcmp(first->terms.tag, second->terms.tag);
    return rc != 0 ? rc : ia < ib ? -1 : ia > ib;
}

/* Accepted orders of one account with the same tag: what must never be. */
static void put_duplicates(const struct adp_sim_book *book, struct adp_sim_text *out)
{
    uint32_t count = adp_sim_book_order_count(book), tagged = 0, duplicated = 0;
    uint32_t *order = malloc(((size_t)count + 1) * sizeof(*order));
    LS_CHECK(order != NULL);
    for (uint32_t i = 0; i < count; i++) {
        const struct adp_sim_order *one = adp_sim_book_order(book, i);
        if (one->refusal == 0 && one->terms.tag[0] != '\0')
            order[tagged++] = i;
    }
    qsort_r(order, tagged, sizeof(*order), compare_tags, (void *)(uintptr_t)book);
    adp_sim_text_put(out, ",\"duplicates\":[");
    for (uint32_t i = 0; i < tagged;) {
        const struct adp_sim_order *first = adp_sim_book_order(book, order[i]);
        uint32_t end = i + 1;
        while (end < tagged) {
            const struct adp_sim_order *other = adp_sim_book_order(book, order[end]);
            if (other->origin.account != first->origin.account ||
                strcmp(other->terms.tag, first->terms.tag) != 0)
                break;
            end++;
        }
        if (end - i > 1 && duplicated++ < 20) {
            adp_sim_text_put(out, duplicated == 1 ? "{\"account\":" : ",{\"account\":");
            adp_sim_text_quote(out, account_id(book, first->origin.account));
            put_string(out, "tag", first->terms.tag);
            put_int(out, "count", end - i);
            adp_sim_text_put(out, "}");
        }
        i = end;
    }
    adp_sim_text_printf(out, "],\"duplicate_tags\":%u", duplicated);
    free(order);
}

static void put_connections(const struct adp_sim_net *net, struct adp_sim_text *out)
{
    const struct adp_sim_net_stats *stats = adp_sim_net_stats(net);
    put_int(out, "connections_opened", (int64_t)stats->connections_opened);
    put_int(out, "connections_open_now", adp_sim_net_open_count(net));
    put_int(out, "handshakes_failed", (int64_t)stats->handshakes_failed);
    put_int(out, "tls_1_2", (int64_t)stats->tls12);
    put_int(out, "tls_1_3", (int64_t)stats->tls13);
    put_int(out, "tls_resumed", (int64_t)stats->resumed);
    put_int(out, "alpn_h2", (int64_t)stats->alpn_h2);
    put_int(out, "alpn_http_1_1", (int64_t)stats->alpn_http11);
    put_int(out, "alpn_none", (int64_t)stats->alpn_none);
    put_int(out, "pings", (int64_t)stats->pings);
    put_int(out, "protocol_errors", (int64_t)stats->protocol_errors);
    put_int(out, "bytes_in", (int64_t)stats->bytes_in);
    put_int(out, "bytes_out", (int64_t)stats->bytes_out);
}

void adp_sim_admin_stats(struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    const struct adp_sim_broker *broker = admin->broker;
    struct adp_sim_text *out = &call->answer;
    uint64_t breaches = 0;
    (void)body;

    adp_sim_text_printf(
        out, "{\"version\":\"%s\",\"commit\":\"%s\"", admin->version, admin->commit);
    put_int(out, "uptime_ns", adp_sim_mono_ns() - admin->started_mono_ns);
    adp_sim_text_put(out, ",\"requests\":{\"unknown\":");
    adp_sim_text_int(out, (int64_t)broker->requests_by_path[ADP_SIM_PATH_UNKNOWN]);
    for (int i = 1; i < ADP_SIM_PATH_COUNT; i++)
        put_int(out, adp_sim_path_name((enum adp_sim_path)i), (int64_t)broker->requests_by_path[i]);
    adp_sim_text_put(out, "}");
    put_int(out, "unauthorized", (int64_t)broker->unauthorized);
    put_int(out, "rate_limited", (int64_t)broker->rate_limited);
    put_int(out, "address_refused", (int64_t)broker->address_refused);
    put_int(out, "orders", adp_sim_book_order_count(broker->book));
    put_int(out, "trades", adp_sim_book_trade_count(broker->book));
    put_int(out, "modify_and_cancel_requests", adp_sim_book_act_count(broker->book));
    put_connections(broker->net, out);
    adp_sim_text_put(out, ",\"faults_fired\":{");
    bool first = true;
    for (int i = 1; i < ADP_SIM_FAULT_COUNT; i++) {
        if (broker->faults_fired[i] == 0)
            continue;
        adp_sim_text_printf(out, "%s\"%s\":%llu", first ? "" : ",",
            adp_sim_fault_name((enum adp_sim_fault_kind)i),
            (unsigned long long)broker->faults_fired[i]);
        first = false;
    }
    adp_sim_text_put(out, "},\"accounts\":[");
    first = true;
    for (uint32_t a = 0; a < broker->members.count; a++) {
        const struct adp_sim_member *member = &broker->members.rows[a];
        breaches += member->breaches;
        if (member->orders_in_second_max == 0 && member->breaches == 0)
            continue;
        adp_sim_text_put(out, first ? "{\"account\":" : ",{\"account\":");
        adp_sim_text_quote(out, account_id(broker->book, a));
        put_int(out, "orders_per_second_max", member->orders_in_second_max);
        put_int(out, "reads", (int64_t)member->reads);
        put_int(out, "rate_limit_breaches", (int64_t)member->breaches);
        adp_sim_text_put(out, "}");
        first = false;
    }
    adp_sim_text_put(out, "]");
    put_int(out, "rate_limit_breaches", (int64_t)breaches);
    put_duplicates(broker->book, out);
    adp_sim_text_put(out, "}\n");
}

void adp_sim_admin_faults(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    (void)body;
    adp_sim_faults_write(&admin->broker->faults, &call->answer);
    adp_sim_text_put(&call->answer, "\n");
}

void adp_sim_admin_feed(struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    (void)body;
    if (admin->broker->api.push == NULL)
        adp_sim_admin_error(call, 404, "there is no push side: feed.port is off");
    else
        adp_sim_push_write(admin->broker->api.push, admin->feed_port, &call->answer);
}
