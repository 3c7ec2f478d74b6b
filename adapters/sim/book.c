/* book.c: records, look-ups, and the requests place, modify and cancel up to the point where the
 * exchange decides. */
#include "adapters/sim/book_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNITS_MAX INT64_C(50000000) /* EC948 */

/* ---- records
 * ----------------------------------------------------------------------------------------------------
 */

void *adp_sim_records_at(const struct adp_sim_records *records, uint32_t index)
{
    LS_CHECK(index < records->count);
    return records->blocks[index / ADP_SIM_BLOCK_RECORDS] +
           (size_t)(index % ADP_SIM_BLOCK_RECORDS) * records->record_bytes;
}

void *adp_sim_records_add(struct adp_sim_records *records)
{
    if (records->count == records->block_count * ADP_SIM_BLOCK_RECORDS) {
        if (records->block_count == records->block_capacity) {
            records->block_capacity =
                records->block_capacity == 0 ? 16 : records->block_capacity * 2;
            records->blocks =
                realloc(records->blocks, records->block_capacity * sizeof(*records->blocks));
            LS_CHECK(records->blocks != NULL);
        }
        char *block = calloc(ADP_SIM_BLOCK_RECORDS, records->record_bytes);
        LS_CHECK(block != NULL);
        records->blocks[records->block_count++] = block;
    }
    return adp_sim_records_at(records, records->count++);
}

static void records_free(struct adp_sim_records *records)
{
    for (uint32_t i = 0; i < records->block_count; i++)
        free(records->blocks[i]);
    free(records->blocks);
}

/* ---- maps
 * -------------------------------------------------------------------------------------------------------
 */

static uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 29);
}

/* A key of any of the maps; the map decides which fields count. */
struct key {
    enum adp_sim_exchange exchange;
    uint32_t token;
    const char *text;
};

static struct key key_of(
    const struct adp_sim_book *book, const struct adp_sim_map *map, uint32_t index)
{
    struct key key = {0};
    if (map == &book->by_account) {
        key.text = adp_sim_account_at(book, index)->id;
    } else if (map == &book->by_address) {
        key.text = adp_sim_records_at(&book->addresses, index);
    } else {
        const struct adp_sim_instrument *instrument = &adp_sim_listing_at(book, index)->instrument;
        key.exchange = instrument->exchange;
        if (map == &book->by_token)
            key.token = instrument->token;
        else
            key.text = instrument->symbol;
    }
    return key;
}

static uint64_t key_hash(const struct key *key)
{
    uint64_t seed = ((uint64_t)key->exchange << 32 | key->token) * UINT64_C(0x9e3779b97f4a7c15);
    const char *text = key->text == NULL ? "" : key->text;
    return hash_bytes(seed, text, strlen(text));
}

static bool key_equal(const struct key *a, const struct key *b)
{
    return a->exchange == b->exchange && a->token == b->token &&
           strcmp(a->text == NULL ? "" : a->text, b->text == NULL ? "" : b->text) == 0;
}

static uint32_t map_find(
    const struct adp_sim_book *book, const struct adp_sim_map *map, const struct key *key)
{
    if (map->capacity == 0)
        return ADP_SIM_NONE;
    for (uint64_t at = key_hash(key);; at++) {
        uint32_t slot = map->slots[at & (map->capacity - 1)];
        if (slot == 0)
            return ADP_SIM_NONE;
        struct key found = key_of(book, map, slot - 1);
        if (key_equal(&found, key))
            return slot - 1;
    }
}

static void map_put(const struct adp_sim_book *book, struct adp_sim_map *map, uint32_t index)
{
    if ((map->count + 1) * 2 > map->capacity) {
        struct adp_sim_map larger = {.capacity = map->capacity == 0 ? 64 : map->capacity * 2};
        larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
        LS_CHECK(larger.slots != NULL);
        for (uint32_t i = 0; i < map->capacity; i++) {
            if (map->slots[i] == 0)
                continue;
            struct key key = key_of(book, map, map->slots[i] - 1);
            uint64_t at = key_hash(&key);
            while (larger.slots[at & (larger.capacity - 1)] != 0)
                at++;
            larger.slots[at & (larger.capacity - 1)] = map->slots[i];
        }
        larger.count = map->count;
        free(map->slots);
        *map = larger;
    }
    struct key key = key_of(book, map, index);
    uint64_t at = key_hash(&key);
    while (map->slots[at & (map->capacity - 1)] != 0)
        at++;
    map->slots[at & (map->capacity - 1)] = index + 1;
    map->count++;
}

/* ---- the book
 * ---------------------------------------------------------------------------------------------------
 */

struct adp_sim_book *adp_sim_book_create(const struct adp_sim_book_config *config)
{
    struct adp_sim_book *book = calloc(1, sizeof(*book));
    LS_CHECK(book != NULL);
    LS_CHECK(config->exchange_latency_ns >= 0 && config->partial_ppm <= 1000000);
    book->config = *config;
    book->prng.state = config->seed;
    book->listings.record_bytes = sizeof(struct adp_sim_listing);
    book->accounts.record_bytes = sizeof(struct adp_sim_account);
    book->orders.record_bytes = sizeof(struct adp_sim_order);
    book->trades.record_bytes = sizeof(struct adp_sim_trade);
    book->acts.record_bytes = sizeof(struct adp_sim_act);
    book->addresses.record_bytes = 64;
    return book;
}

void adp_sim_book_destroy(struct adp_sim_book *book)
{
    if (book == NULL)
        return;
    for (uint32_t i = 0; i < book->orders.count; i++)
        free((char *)adp_sim_order_at(book, i)->reason);
    for (uint32_t i = 0; i < book->accounts.count; i++) {
        free(adp_sim_account_at(book, i)->positions);
        free(adp_sim_account_at(book, i)->holdings);
    }
    records_free(&book->listings);
    records_free(&book->accounts);
    records_free(&book->orders);
    records_free(&book->trades);
    records_free(&book->acts);
    records_free(&book->addresses);
    free(book->by_token.slots);
    free(book->by_symbol.slots);
    free(book->by_account.slots);
    free(book->by_address.slots);
    free(book->waiting);
    free(book);
}

uint32_t adp_sim_book_add_instrument(
    struct adp_sim_book *book, const struct adp_sim_instrument *instrument)
{
    if (instrument->exchange < ADP_SIM_NSE || instrument->exchange >= ADP_SIM_EXCHANGE_COUNT ||
        instrument->lot_units < 1 || instrument->tick_e8 < 1 || instrument->symbol[0] == '\0')
        return ADP_SIM_NONE;
    if (adp_sim_book_find_instrument(book, instrument->exchange, instrument->token) != ADP_SIM_NONE)
        return ADP_SIM_NONE;
    struct adp_sim_listing *listing = adp_sim_records_add(&book->listings);
    uint32_t index = book->listings.count - 1;
    listing->instrument = *instrument;
    listing->working_first = listing->working_last = ADP_SIM_NONE;
    map_put(book, &book->by_token, index);
    map_put(book, &book->by_symbol, index);
    return index;
}

uint32_t adp_sim_book_add_account(struct adp_sim_book *book, const char *id, int64_t funds_e8)
{
    if (id[0] == '\0' || strlen(id) > 31 || funds_e8 < 0 ||
        adp_sim_book_find_account(book, id) != ADP_SIM_NONE)
        return ADP_SIM_NONE;
    struct adp_sim_account *account = adp_sim_records_add(&book->accounts);
    snprintf(account->id, sizeof(account->id), "%s", id);
    account->funds_e8 = funds_e8;
    account->order_first = account->order_last = ADP_SIM_NONE;
    account->trade_first = account->trade_last = ADP_SIM_NONE;
    map_put(book, &book->by_account, book->accounts.count - 1);
    return book->accounts.count - 1;
}

void adp_sim_book_add_holding(struct adp_sim_book *book, uint32_t account_index,
    uint32_t instrument, int64_t units, int64_t price_e8)
{
    struct adp_sim_account *account = adp_sim_account_at(book, account_index);
    LS_CHECK(units > 0 && instrument < book->listings.count);
    account->holdings =
        realloc(account->holdings, (account->holding_count + 1) * sizeof(*account->holdings));
    LS_CHECK(account->holdings != NULL);
    account->holdings[account->holding_count++] =
        (struct adp_sim_holding){.instrument = instrument, .units = units, .price_e8 = price_e8};
}

uint32_t adp_sim_book_address(struct adp_sim_book *book, const char *text)
{
    struct key key = {.text = text};
    LS_CHECK(strlen(text) < book->addresses.record_bytes);
    uint32_t found = map_find(book, &book->by_address, &key);
    if (found != ADP_SIM_NONE)
        return found;
    snprintf(adp_sim_records_add(&book->addresses), book->addresses.record_bytes, "%s", text);
    map_put(book, &book->by_address, book->addresses.count - 1);
    return book->addresses.count - 1;
}

const char *adp_sim_book_address_text(const struct adp_sim_book *book, uint32_t address)
{
    return address < book->addresses.count ? adp_sim_records_at(&book->addresses, address) : "";
}

uint32_t adp_sim_book_find_account(const struct adp_sim_book *book, const char *id)
{
    struct key key = {.text = id};
    return map_find(book, &book->by_account, &key);
}

uint32_t adp_sim_book_find_instrument(
    const struct adp_sim_book *book, enum adp_sim_exchange exchange, uint32_t token)
{
    struct key key = {.exchange = exchange, .token = token};
    return map_find(book, &book->by_token, &key);
}

uint32_t adp_sim_book_find_symbol(
    const struct adp_sim_book *book, enum adp_sim_exchange exchange, const char *symbol)
{
    for (int i = ADP_SIM_NSE; i < ADP_SIM_EXCHANGE_COUNT; i++) {
        struct key key = {.exchange = (enum adp_sim_exchange)i, .text = symbol};
        if (exchange != 0 && (int)exchange != i)
            continue;
        uint32_t found = map_find(book, &book->by_symbol, &key);
        if (found != ADP_SIM_NONE)
            return found;
    }
    return ADP_SIM_NONE;
}

/* The nine digits of an id are the number of the order's record, so finding one is arithmetic. */
uint32_t adp_sim_book_find_order(const struct adp_sim_book *book, const char *broker_order_id)
{
    if (strlen(broker_order_id) != 15)
        return ADP_SIM_NONE;
    uint32_t ordinal = 0;
    for (int i = 6; i < 15; i++) {
        if (broker_order_id[i] < '0' || broker_order_id[i] > '9')
            return ADP_SIM_NONE;
        ordinal = ordinal * 10 + (uint32_t)(broker_order_id[i] - '0');
    }
    if (ordinal == 0 || ordinal > book->orders.count ||
        strcmp(adp_sim_order_at(book, ordinal - 1)->broker_order_id, broker_order_id) != 0)
        return ADP_SIM_NONE;
    return ordinal - 1;
}

uint32_t adp_sim_book_account_count(const struct adp_sim_book *book)
{
    return book->accounts.count;
}

uint32_t adp_sim_book_instrument_count(const struct adp_sim_book *book)
{
    return book->listings.count;
}

uint32_t adp_sim_book_order_count(const struct adp_sim_book *book)
{
    return book->orders.count;
}

uint32_t adp_sim_book_trade_count(const struct adp_sim_book *book)
{
    return book->trades.count;
}

uint32_t adp_sim_book_act_count(const struct adp_sim_book *book)
{
    return book->acts.count;
}

const struct adp_sim_account *adp_sim_book_account(const struct adp_sim_book *book, uint32_t index)
{
    return adp_sim_account_at(book, index);
}

const struct adp_sim_instrument *adp_sim_book_instrument(
    const struct adp_sim_book *book, uint32_t index)
{
    return &adp_sim_listing_at(book, index)->instrument;
}

const struct adp_sim_order *adp_sim_book_order(const struct adp_sim_book *book, uint32_t index)
{
    return adp_sim_order_at(book, index);
}

const struct adp_sim_trade *adp_sim_book_trade(const struct adp_sim_book *book, uint32_t index)
{
    return adp_sim_records_at(&book->trades, index);
}

const struct adp_sim_act *adp_sim_book_act(const struct adp_sim_book *book, uint32_t index)
{
    return adp_sim_records_at(&book->acts, index);
}

/* ---- requests
 * ---------------------------------------------------------------------------------------------------
 */

static int check_type_and_prices(const struct adp_sim_book *book, enum adp_sim_source source,
    enum adp_sim_side side, enum adp_sim_type type, int64_t price_e8, int64_t trigger_e8,
    int64_t protection_e8)
{
    bool priced = type == ADP_SIM_LIMIT || type == ADP_SIM_SL;
    bool stop = type == ADP_SIM_SL || type == ADP_SIM_SLM;

    if (protection_e8 < 0)
        return 988;
    /* Since April 2026 an algorithm may not send market orders; a person at the terminal may. */
    if (!priced && source == ADP_SIM_API && !book->config.api_market_orders && protection_e8 == 0)
        return 838;
    if (priced && price_e8 <= 0)
        return 958;
    if (stop && trigger_e8 <= 0)
        return 960;
    if (type == ADP_SIM_SL && side == ADP_SIM_BUY && trigger_e8 > price_e8)
        return 973;
    if (type == ADP_SIM_SL && side == ADP_SIM_SELL && trigger_e8 < price_e8)
        return 974;
    return 0;
}

static int check_place(
    const struct adp_sim_book *book, enum adp_sim_source source, const struct adp_sim_terms *terms)
{
    if (terms->instrument == ADP_SIM_NONE)
        return 947;
    const struct adp_sim_instrument *instrument =
        &adp_sim_listing_at(book, terms->instrument)->instrument;
    bool cash = instrument->kind == ADP_SIM_EQUITY;

    if (instrument->kind == ADP_SIM_INDEX)
        return 980;
    if (terms->units <= 0)
        return 949;
    if (terms->units > UNITS_MAX)
        return 948;
    if (terms->units % instrument->lot_units != 0)
        return 954;
    if (cash && terms->product == ADP_SIM_NORMAL)
        return 807;
    if (!cash && terms->product == ADP_SIM_LONGTERM)
        return 865;
    if (!cash && terms->product == ADP_SIM_MTF)
        return 837;
    if (terms->disclosed_units < 0)
        return 981;
    if (terms->disclosed_units > terms->units)
        return 975;
    if (terms->complexity == ADP_SIM_AMO && terms->validity == ADP_SIM_IOC)
        return 996;
    return check_type_and_prices(book, source, terms->side, terms->type, terms->price_e8,
        terms->trigger_e8, terms->protection_e8);
}

static uint32_t record_order(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    const struct adp_sim_terms *terms, uint32_t leg)
{
    struct adp_sim_order *order = adp_sim_records_add(&book->orders);
    order->terms = *terms;
    order->origin = *origin;
    order->leg = leg;
    order->asked_units = terms->units;
    order->asked_price_e8 = terms->price_e8;
    order->updated_wall_ns = origin->wall_ns;
    order->next_of_account = order->next_working = order->previous_working = ADP_SIM_NONE;
    return book->orders.count - 1;
}

uint32_t adp_sim_book_refuse(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    const struct adp_sim_terms *terms, uint32_t leg, int code)
{
    LS_CHECK(code != 0);
    uint32_t index = record_order(book, origin, terms, leg);
    adp_sim_order_at(book, index)->refusal = code;
    return index;
}

static void wait_for_exchange(struct adp_sim_book *book, uint32_t index)
{
    if (book->waiting_count == book->waiting_capacity) {
        uint32_t capacity = book->waiting_capacity == 0 ? 1024 : book->waiting_capacity * 2;
        uint32_t *larger = malloc(capacity * sizeof(*larger));
        LS_CHECK(larger != NULL);
        for (uint32_t i = 0; i < book->waiting_count; i++)
            larger[i] = book->waiting[(book->waiting_first + i) & (book->waiting_capacity - 1)];
        free(book->waiting);
        book->waiting = larger;
        book->waiting_capacity = capacity;
        book->waiting_first = 0;
    }
    book->waiting[(book->waiting_first + book->waiting_count) & (book->waiting_capacity - 1)] =
        index;
    book->waiting_count++;
}

uint32_t adp_sim_book_place(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    const struct adp_sim_terms *terms, uint32_t leg)
{
    struct adp_sim_account *account = adp_sim_account_at(book, origin->account);
    LS_CHECK(adp_sim_side_word(terms->side)[0] != '\0');
    LS_CHECK(adp_sim_type_word(terms->type)[0] != '\0');
    LS_CHECK(adp_sim_product_word(terms->product)[0] != '\0');
    LS_CHECK(adp_sim_validity_word(terms->validity)[0] != '\0');

    int code = check_place(book, origin->source, terms);
    if (code != 0)
        return adp_sim_book_refuse(book, origin, terms, leg, code);

    uint32_t index = record_order(book, origin, terms, leg);
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    struct adp_sim_civil day = adp_sim_civil_of(origin->wall_ns);
    snprintf(order->broker_order_id, sizeof(order->broker_order_id), "%02u%02u%02u%09u",
        (unsigned)(day.year % 100) % 100, (unsigned)day.month % 100, (unsigned)day.day % 100,
        (index + 1) % 1000000000u);
    order->status = ADP_SIM_PENDING;
    order->due_mono_ns = origin->mono_ns + book->config.exchange_latency_ns;
    if (account->order_last == ADP_SIM_NONE)
        account->order_first = index;
    else
        adp_sim_order_at(book, account->order_last)->next_of_account = index;
    account->order_last = index;
    account->order_count++;
    adp_sim_book_tell(book, index, ADP_SIM_REPORT_PENDING, ADP_SIM_NONE);

    if (book->config.exchange_latency_ns == 0)
        adp_sim_exchange_see(book, index, origin->wall_ns);
    else
        wait_for_exchange(book, index);
    return index;
}

static bool is_live(const struct adp_sim_order *order)
{
    return order->status == ADP_SIM_PENDING || order->status == ADP_SIM_OPEN ||
           order->status == ADP_SIM_TRIGGER_PENDING;
}

static uint32_t record_act(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    bool cancel, const char *broker_order_id)
{
    struct adp_sim_act *act = adp_sim_records_add(&book->acts);
    act->cancel = cancel;
    act->origin = *origin;
    act->order = adp_sim_book_find_order(book, broker_order_id);
    snprintf(act->broker_order_id, sizeof(act->broker_order_id), "%.23s", broker_order_id);
    return book->acts.count - 1;
}

uint32_t adp_sim_book_refuse_act(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    bool cancel, const char *broker_order_id, int code)
{
    LS_CHECK(code != 0);
    uint32_t index = record_act(book, origin, cancel, broker_order_id);
    ((struct adp_sim_act *)adp_sim_records_at(&book->acts, index))->refusal = code;
    return index;
}

static int check_modify(const struct adp_sim_book *book, const struct adp_sim_origin *origin,
    uint32_t index, const struct adp_sim_change *change)
{
    if (index == ADP_SIM_NONE || adp_sim_order_at(book, index)->origin.account != origin->account)
        return 999;
    const struct adp_sim_order *order = adp_sim_order_at(book, index);
    const struct adp_sim_instrument *instrument =
        &adp_sim_listing_at(book, order->terms.instrument)->instrument;

    if (!is_live(order))
        return 993;
    if (change->units <= 0)
        return 949;
    if (change->units > UNITS_MAX)
        return 948;
    if (change->units % instrument->lot_units != 0)
        return 990;
    if (change->units <= order->filled_units)
        return 993;
    if ((instrument->exchange == ADP_SIM_BSE || instrument->exchange == ADP_SIM_BFO) &&
        change->type == ADP_SIM_SL && order->terms.type != ADP_SIM_SL)
        return 801;
    return check_type_and_prices(book, origin->source, order->terms.side, change->type,
        change->price_e8, change->trigger_e8, change->protection_e8);
}

int adp_sim_book_modify(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    const char *broker_order_id, const struct adp_sim_change *change, uint32_t *act_out)
{
    uint32_t act_index = record_act(book, origin, false, broker_order_id);
    struct adp_sim_act *act = adp_sim_records_at(&book->acts, act_index);
    act->type = change->type;
    act->validity = change->validity;
    act->units = change->units;
    act->price_e8 = change->price_e8;
    act->trigger_e8 = change->trigger_e8;
    if (act_out != NULL)
        *act_out = act_index;
    act->refusal = check_modify(book, origin, act->order, change);
    if (act->refusal == 0)
        adp_sim_exchange_modify(book, act->order, change, origin->wall_ns);
    return act->refusal;
}

int adp_sim_book_cancel(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    const char *broker_order_id, uint32_t *act_out)
{
    uint32_t act_index = record_act(book, origin, true, broker_order_id);
    struct adp_sim_act *act = adp_sim_records_at(&book->acts, act_index);
    if (act_out != NULL)
        *act_out = act_index;
    if (act->order == ADP_SIM_NONE ||
        adp_sim_order_at(book, act->order)->origin.account != origin->account ||
        !is_live(adp_sim_order_at(book, act->order))) {
        act->refusal = 997;
        return 997;
    }
    adp_sim_exchange_cancel(book, act->order, origin->wall_ns);
    return 0;
}

void adp_sim_book_set_watch(struct adp_sim_book *book, const struct adp_sim_book_watch *watch)
{
    book->watch = *watch;
}

void adp_sim_book_set_order_outcome(struct adp_sim_book *book, uint32_t order, const char *text)
{
    adp_sim_order_at(book, order)->outcome = text;
}

void adp_sim_book_set_act_outcome(struct adp_sim_book *book, uint32_t act, const char *text)
{
    ((struct adp_sim_act *)adp_sim_records_at(&book->acts, act))->outcome = text;
}

void adp_sim_book_advance(struct adp_sim_book *book, int64_t mono_ns, int64_t wall_ns)
{
    while (book->waiting_count > 0) {
        uint32_t index = book->waiting[book->waiting_first];
        if (adp_sim_order_at(book, index)->due_mono_ns > mono_ns)
            return;
        book->waiting_first = (book->waiting_first + 1) & (book->waiting_capacity - 1);
        book->waiting_count--;
        if (adp_sim_order_at(book, index)->status == ADP_SIM_PENDING)
            adp_sim_exchange_see(book, index, wall_ns);
    }
}

bool adp_sim_book_has_latency(const struct adp_sim_book *book)
{
    return book->config.exchange_latency_ns > 0;
}

int64_t adp_sim_book_next_due(const struct adp_sim_book *book)
{
    if (book->waiting_count == 0)
        return INT64_MAX;
    return adp_sim_order_at(book, book->waiting[book->waiting_first])->due_mono_ns;
}

uint64_t adp_sim_book_hash(const struct adp_sim_book *book)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < book->orders.count; i++) {
        const struct adp_sim_order *order = adp_sim_order_at(book, i);
        int64_t fields[] = {order->origin.account, order->terms.instrument, order->terms.side,
            order->terms.type, order->terms.units, order->terms.price_e8, order->terms.trigger_e8,
            order->status, order->refusal, order->filled_units, adp_sim_order_average(order)};
        hash = hash_bytes(hash, fields, sizeof(fields));
        hash = hash_bytes(hash, order->terms.tag, strlen(order->terms.tag));
    }
    for (uint32_t i = 0; i < book->trades.count; i++) {
        const struct adp_sim_trade *trade = adp_sim_records_at(&book->trades, i);
        int64_t fields[] = {trade->order, trade->units, trade->price_e8};
        hash = hash_bytes(hash, fields, sizeof(fields));
    }
    for (uint32_t i = 0; i < book->accounts.count; i++) {
        const struct adp_sim_account *account = adp_sim_account_at(book, i);
        for (uint32_t p = 0; p < account->position_count; p++) {
            const struct adp_sim_position *position = &account->positions[p];
            if (position->buy_units == 0 && position->sell_units == 0)
                continue;
            int64_t fields[] = {position->instrument, position->product, position->net_units,
                position->realized_e8};
            hash = hash_bytes(hash, fields, sizeof(fields));
        }
    }
    return hash;
}
