/* admin_acts.c: what a person at the broker's terminal, the market, or a test does through the
 * admin port. */
#include "adapters/sim/admin_private.h"

#include <stdio.h>
#include <string.h>

/* ---- reading bodies: each reader answers with an error that names the field and returns false
 * ------------------ */

static bool known_keys(
    struct adp_sim_call *call, const json_t *object, const char *const *known, size_t count)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < count; i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found) {
            adp_sim_admin_error(call, 400, "%s: is not a field of %s", key, call->path);
            return false;
        }
    }
    return true;
}

#define KNOWN_KEYS(call, object, ...)                                                              \
    known_keys((call), (object), (const char *const[]){__VA_ARGS__},                               \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static const char *text_of(const json_t *object, const char *key, const char *absent)
{
    const json_t *value = json_object_get(object, key);
    return value == NULL ? absent : json_string_value(value);
}

/* A decimal given as a JSON number or string; absent leaves *out as it is. */
static bool read_e8(struct adp_sim_call *call, const json_t *object, const char *key, int64_t *out)
{
    const json_t *value = json_object_get(object, key);
    char text[64] = "";
    if (value == NULL)
        return true;
    if (json_is_integer(value))
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof(text), "%.8f", json_real_value(value));
    else if (json_is_string(value))
        snprintf(text, sizeof(text), "%s", json_string_value(value));
    if (!adp_sim_parse_e8(text, strlen(text), out) || *out < 0) {
        adp_sim_admin_error(call, 400, "%s: must be a number, 0 or more", key);
        return false;
    }
    return true;
}

static bool read_units(
    struct adp_sim_call *call, const json_t *object, const char *key, int64_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL)
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        adp_sim_admin_error(call, 400, "%s: must be a whole number, 0 or more", key);
        return false;
    }
    *out = json_integer_value(value);
    return true;
}

static bool read_account(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *object, uint32_t *out)
{
    const char *id = text_of(object, "account", NULL);
    *out = id == NULL ? ADP_SIM_NONE : adp_sim_book_find_account(admin->broker->book, id);
    if (*out == ADP_SIM_NONE)
        adp_sim_admin_error(
            call, 400, "account: there is no \"%s\"", id == NULL ? "(not given)" : id);
    return *out != ADP_SIM_NONE;
}

/* By symbol, or by token and exchange. */
static bool read_instrument(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *object, uint32_t *out)
{
    const char *word = text_of(object, "exchange", "");
    const char *symbol = text_of(object, "symbol", NULL);
    const json_t *token = json_object_get(object, "token");
    enum adp_sim_exchange exchange = word == NULL ? 0 : adp_sim_exchange_of(word);

    *out = ADP_SIM_NONE;
    if (word == NULL || (word[0] != '\0' && exchange == 0)) {
        adp_sim_admin_error(call, 400, "exchange: must be one of NSE BSE NFO BFO CDS BCD MCX");
        return false;
    }
    if (symbol != NULL)
        *out = adp_sim_book_find_symbol(admin->broker->book, exchange, symbol);
    else if (json_is_integer(token) && json_integer_value(token) >= 0 &&
             json_integer_value(token) <= UINT32_MAX)
        *out = adp_sim_book_find_instrument(admin->broker->book,
            exchange == 0 ? ADP_SIM_NSE : exchange, (uint32_t)json_integer_value(token));
    if (*out == ADP_SIM_NONE)
        adp_sim_admin_error(call, 400, "symbol: \"%s\" is not in the contract files",
            symbol == NULL ? "(not given)" : symbol);
    return *out != ADP_SIM_NONE;
}

static bool read_order(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *object, uint32_t *out)
{
    const char *id = text_of(object, "broker_order_id", NULL);
    *out = id == NULL ? ADP_SIM_NONE : adp_sim_book_find_order(admin->broker->book, id);
    if (*out == ADP_SIM_NONE)
        adp_sim_admin_error(
            call, 404, "broker_order_id: there is no \"%s\"", id == NULL ? "(not given)" : id);
    return *out != ADP_SIM_NONE;
}

#define READ_WORD(call, object, key, noun, absent, out)                                            \
    do {                                                                                           \
        const char *word_ = text_of((object), (key), (absent));                                    \
        (out) = word_ == NULL ? 0 : adp_sim_##noun##_of(word_);                                    \
        if ((out) == 0) {                                                                          \
            adp_sim_admin_error(                                                                   \
                (call), 400, "%s: \"%s\" is not valid", (key), word_ == NULL ? "?" : word_);       \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static struct adp_sim_origin terminal_origin(const struct adp_sim_call *call, uint32_t account)
{
    return (struct adp_sim_origin){.account = account,
        .source = ADP_SIM_TERMINAL,
        .mono_ns = call->mono_ns,
        .wall_ns = call->wall_ns,
        .address = call->address};
}

static void answer_order(
    struct adp_sim_admin *admin, struct adp_sim_call *call, uint32_t order, int refusal)
{
    struct adp_sim_text *out = &call->answer;
    out->length = 0;
    adp_sim_text_put(out, "{");
    if (refusal != 0) {
        call->status = 409;
        adp_sim_text_printf(out, "\"error\":\"the broker refused: EC%03d %s\",", refusal,
            adp_sim_code_text(refusal));
    }
    adp_sim_text_put(out, "\"order\":");
    adp_sim_admin_put_order(admin->broker->book, out, order);
    adp_sim_text_put(out, "}\n");
}

/* ---- the terminal
 * -----------------------------------------------------------------------------------------------
 */

void adp_sim_admin_order(struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    struct adp_sim_terms terms = {.complexity = ADP_SIM_REGULAR};
    uint32_t account;

    if (!KNOWN_KEYS(call, body, "account", "symbol", "exchange", "token", "side", "quantity",
            "type", "price", "trigger", "product", "validity", "tag") ||
        !read_account(admin, call, body, &account) ||
        !read_instrument(admin, call, body, &terms.instrument) ||
        !read_units(call, body, "quantity", &terms.units) ||
        !read_e8(call, body, "price", &terms.price_e8) ||
        !read_e8(call, body, "trigger", &terms.trigger_e8))
        return;
    const struct adp_sim_instrument *instrument =
        adp_sim_book_instrument(admin->broker->book, terms.instrument);
    terms.exchange = instrument->exchange;
    terms.token = instrument->token;
    READ_WORD(call, body, "side", side, "", terms.side);
    READ_WORD(call, body, "type", type, terms.price_e8 == 0 ? "MARKET" : "LIMIT", terms.type);
    if (terms.type == ADP_SIM_MARKET || terms.type == ADP_SIM_SLM)
        terms.price_e8 = 0;
    if (terms.type == ADP_SIM_MARKET || terms.type == ADP_SIM_LIMIT)
        terms.trigger_e8 = 0;
    READ_WORD(call, body, "product", product, "INTRADAY", terms.product);
    READ_WORD(call, body, "validity", validity, "DAY", terms.validity);
    const char *tag = text_of(body, "tag", "");
    snprintf(terms.tag, sizeof(terms.tag), "%.50s", tag == NULL ? "" : tag);
    struct adp_sim_origin origin = terminal_origin(call, account);
    uint32_t order = adp_sim_book_place(admin->broker->book, &origin, &terms, 0);
    answer_order(admin, call, order, adp_sim_book_order(admin->broker->book, order)->refusal);
}

void adp_sim_admin_cancel(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    uint32_t order;
    if (!KNOWN_KEYS(call, body, "account", "broker_order_id") ||
        !read_order(admin, call, body, &order))
        return;
    const struct adp_sim_order *found = adp_sim_book_order(admin->broker->book, order);
    struct adp_sim_origin origin = terminal_origin(call, found->origin.account);
    if (json_object_get(body, "account") != NULL &&
        !read_account(admin, call, body, &origin.account))
        return;
    int refusal = adp_sim_book_cancel(admin->broker->book, &origin, found->broker_order_id, NULL);
    answer_order(admin, call, order, refusal);
}

void adp_sim_admin_modify(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    uint32_t order;
    if (!KNOWN_KEYS(call, body, "account", "broker_order_id", "quantity", "type", "price",
            "trigger", "validity") ||
        !read_order(admin, call, body, &order))
        return;
    const struct adp_sim_order *found = adp_sim_book_order(admin->broker->book, order);
    struct adp_sim_origin origin = terminal_origin(call, found->origin.account);
    struct adp_sim_change change = {.units = found->terms.units,
        .price_e8 = found->terms.price_e8,
        .trigger_e8 = found->terms.trigger_e8,
        .protection_e8 = found->terms.protection_e8};
    if ((json_object_get(body, "account") != NULL &&
            !read_account(admin, call, body, &origin.account)) ||
        !read_units(call, body, "quantity", &change.units) ||
        !read_e8(call, body, "price", &change.price_e8) ||
        !read_e8(call, body, "trigger", &change.trigger_e8))
        return;
    READ_WORD(call, body, "type", type, adp_sim_type_word(found->terms.type), change.type);
    READ_WORD(call, body, "validity", validity, adp_sim_validity_word(found->terms.validity),
        change.validity);
    int refusal =
        adp_sim_book_modify(admin->broker->book, &origin, found->broker_order_id, &change, NULL);
    answer_order(admin, call, order, refusal);
}

/* ---- the market
 * -------------------------------------------------------------------------------------------------
 */

static bool set_one_price(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *object)
{
    uint32_t instrument;
    int64_t price_e8 = 0, liquidity = -1;
    if (!json_is_object(object)) {
        adp_sim_admin_error(call, 400, "prices: each must be an object");
        return false;
    }
    if (!KNOWN_KEYS(call, object, "symbol", "exchange", "token", "price", "quantity") ||
        !read_instrument(admin, call, object, &instrument) ||
        !read_e8(call, object, "price", &price_e8) ||
        !read_units(call, object, "quantity", &liquidity))
        return false;
    if (price_e8 == 0) {
        adp_sim_admin_error(call, 400, "price: must be above 0");
        return false;
    }
    adp_sim_book_set_price(admin->broker->book, instrument, price_e8, liquidity, call->wall_ns);
    return true;
}

void adp_sim_admin_set_price(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    const json_t *list = json_object_get(body, "prices");
    size_t count = list == NULL ? 1 : json_array_size(list);
    if (list != NULL && !json_is_array(list)) {
        adp_sim_admin_error(call, 400, "prices: must be an array");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!set_one_price(admin, call, list == NULL ? body : json_array_get(list, i)))
            return;
    }
    adp_sim_text_printf(&call->answer, "{\"set\":%zu}\n", count);
}

void adp_sim_admin_fill(struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    uint32_t order;
    int64_t units = INT64_MAX, price_e8 = 0;
    if (!KNOWN_KEYS(call, body, "broker_order_id", "quantity", "price") ||
        !read_order(admin, call, body, &order) || !read_units(call, body, "quantity", &units) ||
        !read_e8(call, body, "price", &price_e8))
        return;
    if (adp_sim_book_fill(admin->broker->book, order, units, price_e8, call->wall_ns) == 0) {
        adp_sim_admin_error(call, 409, "the order is not working or has no price; it is %s",
            adp_sim_status_word(adp_sim_book_order(admin->broker->book, order)->status));
        return;
    }
    answer_order(admin, call, order, 0);
}

/* ---- the broker itself
 * ------------------------------------------------------------------------------------------ */

void adp_sim_admin_set_faults(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    struct adp_sim_broker *broker = admin->broker;
    const json_t *rules = json_object_get(body, "rules");
    const json_t *seed = json_object_get(body, "seed");
    static struct adp_sim_fault parsed[ADP_SIM_RULES_MAX]; /* too large for the stack; one thread */
    char error[256];

    if (!KNOWN_KEYS(call, body, "rules", "seed", "add"))
        return;
    size_t count = json_array_size(rules);
    bool add = json_is_true(json_object_get(body, "add"));
    size_t before = add ? broker->faults.count : 0;
    if ((rules != NULL && !json_is_array(rules)) || before + count > ADP_SIM_RULES_MAX) {
        adp_sim_admin_error(call, 400, "rules: must be an array of at most %d", ADP_SIM_RULES_MAX);
        return;
    }
    if (seed != NULL && !json_is_integer(seed)) {
        adp_sim_admin_error(call, 400, "seed: must be a whole number");
        return;
    }
    /* All or nothing: every rule is read before the first takes effect. */
    for (size_t i = 0; i < count; i++) {
        if (!adp_sim_fault_parse(json_array_get(rules, i), &parsed[i], error, sizeof(error))) {
            adp_sim_admin_error(call, 400, "rules[%zu]: %s", i, error);
            return;
        }
    }
    if (seed != NULL)
        broker->faults.seed = (uint64_t)json_integer_value(seed);
    if (!add)
        broker->faults.count = 0;
    for (size_t i = 0; i < count; i++) {
        bool done = parsed[i].where == ADP_SIM_WHERE_NOW
                        ? adp_sim_broker_apply_now(broker, &parsed[i])
                        : adp_sim_faults_add(&broker->faults, &parsed[i]);
        if (!done) {
            adp_sim_admin_error(
                call, 400, "rules[%zu]: match.account: there is no \"%s\"", i, parsed[i].account);
            return;
        }
    }
    adp_sim_faults_write(&broker->faults, &call->answer);
    adp_sim_text_put(&call->answer, "\n");
}

void adp_sim_admin_set_feed(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    struct adp_sim_push *push = admin->broker->api.push;
    char error[256];
    if (push == NULL)
        adp_sim_admin_error(call, 404, "there is no push side");
    else if (!adp_sim_push_fault(push, body, error, sizeof(error)))
        adp_sim_admin_error(call, 400, "%s", error);
    else
        adp_sim_push_write(push, admin->feed_port, &call->answer);
}

/* A session that is new or over ends what was opened with the old one. */
static void tell_push(struct adp_sim_broker *broker, uint32_t account)
{
    const struct adp_sim_member *member = &broker->members.rows[account];
    if (broker->api.push != NULL)
        adp_sim_push_set_session(broker->api.push, account, member->expired ? NULL : member->token);
}

void adp_sim_admin_token(struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    uint32_t account;
    if (!KNOWN_KEYS(call, body, "account", "token", "expired") ||
        !read_account(admin, call, body, &account))
        return;
    const char *token = text_of(body, "token", NULL);
    const json_t *expired = json_object_get(body, "expired");
    if (token == NULL && !json_is_boolean(expired)) {
        adp_sim_admin_error(call, 400, "token: give a new token, or \"expired\": true or false");
        return;
    }
    if (token != NULL && !adp_sim_members_set_token(&admin->broker->members, account, token)) {
        adp_sim_admin_error(
            call, 400, "token: must have 1 to 8191 characters and be of no other account");
        return;
    }
    if (json_is_boolean(expired))
        admin->broker->members.rows[account].expired = json_is_true(expired);
    tell_push(admin->broker, account);
    adp_sim_text_put(&call->answer, "{\"status\":\"Ok\"}\n");
}

static bool read_u32(
    struct adp_sim_call *call, const json_t *object, const char *key, uint32_t *out)
{
    int64_t value = *out;
    if (!read_units(call, object, key, &value))
        return false;
    *out = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    return true;
}

void adp_sim_admin_limits(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    struct adp_sim_members *members = &admin->broker->members;
    if (!KNOWN_KEYS(call, body, "orders_per_second", "reads_per_15_min") ||
        !read_u32(call, body, "orders_per_second", &members->orders_per_second) ||
        !read_u32(call, body, "reads_per_15_min", &members->reads_per_quarter))
        return;
    adp_sim_text_printf(&call->answer, "{\"orders_per_second\":%u,\"reads_per_15_min\":%u}\n",
        members->orders_per_second, members->reads_per_quarter);
}

void adp_sim_admin_latency(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    struct adp_sim_latency *latency = &admin->broker->latency;
    uint32_t min_us = (uint32_t)(latency->min_ns / LS_NS_PER_US);
    uint32_t mean_us = (uint32_t)(latency->mean_ns / LS_NS_PER_US);
    if (!KNOWN_KEYS(call, body, "min_us", "mean_us") || !read_u32(call, body, "min_us", &min_us) ||
        !read_u32(call, body, "mean_us", &mean_us))
        return;
    latency->min_ns = min_us * LS_NS_PER_US;
    latency->mean_ns = mean_us * LS_NS_PER_US;
    adp_sim_text_printf(&call->answer, "{\"min_us\":%u,\"mean_us\":%u}\n", min_us, mean_us);
}

void adp_sim_admin_shutdown(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body)
{
    (void)body;
    adp_sim_text_put(&call->answer, "{\"status\":\"Ok\"}\n");
    adp_sim_net_stop(admin->broker->net);
}
