/* Members of the JSON objects of a case, and the words that stand in them. */
#include <stdio.h>
#include <string.h>

#include "engine/whatif_reader.h"
#include "ipc/decimal.h"

const char *whatif_object_name(const struct whatif_reader *reader, const struct adp_json *json)
{
    return json == &reader->params  ? "params"
           : json == &reader->event ? "master_event"
                                    : "follower_state";
}

void whatif_fault(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, const char *wrong)
{
    if (reader->rc != IPC_OK)
        return;
    reader->rc = IPC_BAD_INPUT;
    ipc_error_set(reader->error, "%s.%s %s", whatif_object_name(reader, json), key, wrong);
}

/* --- members ------------------------------------------------------------------------------------
 */

/* A member that is there and not null. */
bool whatif_find(const struct adp_json *json, const char *key, uint32_t *token)
{
    *token = adp_json_get(json, 0, key);
    if (*token == ADP_JSON_NONE)
        return false;
    struct adp_span span = adp_json_span(json, *token);
    return !(adp_json_is(json, *token, ADP_JSON_WORD) && adp_span_is(span, "null"));
}

/* A number, or a string with one. Digits after the eighth decimal are cut: never up, so that no
 * quantity is above what was asked. */
bool whatif_token_e8(const struct adp_json *json, uint32_t token, int64_t *value_e8)
{
    if (!adp_json_is(json, token, ADP_JSON_NUMBER) && !adp_json_is(json, token, ADP_JSON_STRING))
        return false;
    struct adp_span span = adp_json_span(json, token);
    const char *text = (const char *)span.bytes;
    const char *point = span.count == 0 ? NULL : memchr(text, '.', span.count);
    size_t bytes = span.count;
    bool plain =
        span.count != 0 && memchr(text, 'e', bytes) == NULL && memchr(text, 'E', bytes) == NULL;
    if (plain && point != NULL && bytes - (size_t)(point - text) > 9) {
        for (const char *at = point + 1; at < text + bytes; at++)
            if (*at < '0' || *at > '9')
                return false;
        bytes = (size_t)(point - text) + 9;
    }
    if (plain)
        return ipc_decimal_parse(text, bytes, value_e8) == IPC_OK;
    return adp_json_e8(json, token, ADP_JSON_ROUNDED, value_e8) == ADP_OK;
}

bool whatif_number(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, int64_t *value_e8)
{
    uint32_t token;
    if (!whatif_find(json, key, &token))
        return false;
    if (whatif_token_e8(json, token, value_e8))
        return true;
    whatif_fault(
        reader, json, key, "is not a number that fits: give up to ten digits before the point");
    return false;
}

int64_t whatif_number_or(struct whatif_reader *reader, const struct adp_json *json, const char *key,
    int64_t otherwise_e8)
{
    int64_t value_e8 = otherwise_e8;
    return whatif_number(reader, json, key, &value_e8) ? value_e8 : otherwise_e8;
}

/* Sizes and amounts that have no sign. */
int64_t whatif_amount(struct whatif_reader *reader, const struct adp_json *json, const char *key)
{
    int64_t value_e8 = whatif_number_or(reader, json, key, 0);
    if (value_e8 >= 0)
        return value_e8;
    whatif_fault(reader, json, key, "is negative: give an amount of 0 or more");
    return 0;
}

/* A percent as the fraction that it is. */
int64_t whatif_percent(struct whatif_reader *reader, const struct adp_json *json, const char *key)
{
    return whatif_amount(reader, json, key) / 100;
}

uint32_t whatif_count(struct whatif_reader *reader, const struct adp_json *json, const char *key)
{
    int64_t value_e8 = whatif_amount(reader, json, key);
    if (value_e8 % LS_E8 == 0 && value_e8 / LS_E8 < UINT32_MAX)
        return (uint32_t)(value_e8 / LS_E8);
    whatif_fault(reader, json, key, "is not a whole number below 2^32");
    return 0;
}

bool whatif_flag(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, bool otherwise)
{
    uint32_t token;
    if (!whatif_find(json, key, &token))
        return otherwise;
    struct adp_span span = adp_json_span(json, token);
    if (adp_json_is(json, token, ADP_JSON_WORD))
        return adp_span_is(span, "true");
    whatif_fault(reader, json, key, "is neither true nor false");
    return otherwise;
}

bool whatif_word(struct whatif_reader *reader, const struct adp_json *json, const char *key,
    char out[WHATIF_WORD_BYTES])
{
    uint32_t token;
    out[0] = '\0';
    if (!whatif_find(json, key, &token))
        return false;
    if (!adp_json_is(json, token, ADP_JSON_STRING) ||
        adp_json_span(json, token).count >= WHATIF_WORD_BYTES) {
        whatif_fault(reader, json, key, "is not a word of at most 39 characters");
        return false;
    }
    (void)adp_json_text(json, token, out, WHATIF_WORD_BYTES);
    return true;
}

bool whatif_is_word(const char *text, const char *const *words, size_t count, size_t *at)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) != 0)
            continue;
        *at = i;
        return true;
    }
    return false;
}

/* One of a few words; missing = the first.
 *   returns  its place */
size_t whatif_choice(struct whatif_reader *reader, const struct adp_json *json, const char *key,
    const char *const *words, size_t count)
{
    char text[WHATIF_WORD_BYTES];
    size_t at = 0;
    if (!whatif_word(reader, json, key, text) || whatif_is_word(text, words, count, &at))
        return at;
    whatif_fault(reader, json, key, "is not a word that is known there");
    return 0;
}

/* --- words of the market ------------------------------------------------------------------------
 */

uint8_t whatif_type(const char *text)
{
    static const struct {
        const char *word;
        uint8_t type;
    } types[] = {{"MARKET", IPC_TYPE_MARKET}, {"LIMIT", IPC_TYPE_LIMIT}, {"SL", IPC_TYPE_SL},
        {"STOP_LIMIT", IPC_TYPE_SL}, {"SL-L", IPC_TYPE_SL}, {"SLM", IPC_TYPE_SLM},
        {"SL-M", IPC_TYPE_SLM}, {"STOP", IPC_TYPE_SLM}, {"STOP_MARKET", IPC_TYPE_SLM}};
    for (size_t i = 0; i < LS_COUNT_OF(types); i++)
        if (strcmp(text, types[i].word) == 0)
            return types[i].type;
    return 0;
}

/* Products of the vocabulary by their numbers, other words by numbers of their own. */
uint8_t whatif_product(struct whatif_reader *reader, const char *text)
{
    enum ipc_product product;
    if (text[0] == '\0')
        return 0;
    if (ipc_product_parse(text, strlen(text), &product))
        return (uint8_t)product;
    struct whatif_case *out = reader->out;
    for (uint32_t i = 0; i < out->product_count; i++)
        if (strcmp(out->products[i], text) == 0)
            return (uint8_t)(IPC_PRODUCT_MTF + 1 + i);
    if (out->product_count == 3) /* as many bits as a row's mask has */
        return IPC_PRODUCT_MTF + 4;
    (void)snprintf(out->products[out->product_count], WHATIF_WORD_BYTES, "%s", text);
    return (uint8_t)(IPC_PRODUCT_MTF + 1 + out->product_count++);
}

uint8_t whatif_side(struct whatif_reader *reader, const struct adp_json *json, const char *key)
{
    static const char *const sides[] = {"", "BUY", "SELL", "buy", "sell"};
    size_t at = whatif_choice(reader, json, key, sides, LS_COUNT_OF(sides));
    return (uint8_t)(at > 2 ? at - 2 : at);
}

/* "09:20" or "09:20:30" as minutes of the day; -1 = it is no time. */
int32_t whatif_minute_of(const char *text, size_t bytes)
{
    if (bytes < 4 || bytes > 8)
        return -1;
    int32_t part[3] = {0, 0, 0};
    int at = 0, digits = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == ':' && digits > 0 && at < 2) {
            at++;
            digits = 0;
        } else if (text[i] >= '0' && text[i] <= '9' && digits < 2) {
            part[at] = part[at] * 10 + (text[i] - '0');
            digits++;
        } else {
            return -1;
        }
    }
    bool fits = at >= 1 && digits == 2 && part[0] < 24 && part[1] < 60 && part[2] < 60;
    return fits ? part[0] * 60 + part[1] : -1;
}

int32_t whatif_minute(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, int32_t otherwise)
{
    char text[WHATIF_WORD_BYTES];
    if (!whatif_word(reader, json, key, text))
        return otherwise;
    int32_t value = whatif_minute_of(text, strlen(text));
    if (value < 0)
        whatif_fault(reader, json, key, "is not a time of day: give HH:MM");
    return value;
}

/* True when the list is missing, empty, or has the word. */
bool whatif_list_allows(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, const char *text)
{
    uint32_t token;
    if (!whatif_find(json, key, &token))
        return true;
    if (!adp_json_is(json, token, ADP_JSON_ARRAY)) {
        whatif_fault(reader, json, key, "is not a list");
        return true;
    }
    uint32_t element, count = 0;
    while ((element = adp_json_element(json, token, count)) != ADP_JSON_NONE) {
        char item[WHATIF_WORD_BYTES];
        (void)adp_json_text(json, element, item, sizeof item);
        if (strcmp(item, text) == 0)
            return true;
        count++;
    }
    return count == 0;
}
