/* json.c: see json.h. The grammar first, then jsmn's tokens, then what a tokenizer does not see. */
#include "adapters/json.h"

#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

/* The scanner: one position in bytes that are never written. */
struct scan {
    const uint8_t *bytes;
    size_t count;
    size_t at;
};

static int peek(const struct scan *scan)
{
    return scan->at < scan->count ? scan->bytes[scan->at] : -1;
}

static bool take(struct scan *scan, int byte)
{
    if (peek(scan) != byte)
        return false;
    scan->at++;
    return true;
}

static void skip_blanks(struct scan *scan)
{
    for (;;) {
        const int c = peek(scan);
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        scan->at++;
    }
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int hex_digit(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Four hex digits; -1 when they are not. */
static int32_t scan_hex4(struct scan *scan)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(peek(scan));
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
        scan->at++;
    }
    return value;
}

/* What follows a backslash. Surrogates come in pairs or not at all. */
static bool scan_escape(struct scan *scan)
{
    const int c = peek(scan);
    if (c < 0 || strchr("\"\\/bfnrtu", c) == NULL || c == '\0')
        return false;
    scan->at++;
    if (c != 'u')
        return true;
    const int32_t first = scan_hex4(scan);
    if (first < 0 || (first >= 0xDC00 && first <= 0xDFFF))
        return false;
    if (first < 0xD800 || first > 0xDBFF)
        return true;
    if (!take(scan, '\\') || !take(scan, 'u'))
        return false;
    const int32_t second = scan_hex4(scan);
    return second >= 0xDC00 && second <= 0xDFFF;
}

static bool scan_string(struct scan *scan, bool escapes_allowed)
{
    if (!take(scan, '"'))
        return false;
    for (;;) {
        size_t at = scan->at; /* a register: most of a document is inside strings */
        while (at < scan->count && scan->bytes[at] >= 0x20 && scan->bytes[at] != '"' &&
               scan->bytes[at] != '\\')
            at++;
        scan->at = at;
        if (take(scan, '"'))
            return true;
        if (!escapes_allowed || !take(scan, '\\') || !scan_escape(scan))
            return false;
    }
}

static bool scan_digits(struct scan *scan)
{
    const size_t start = scan->at;
    while (is_digit(peek(scan)))
        scan->at++;
    return scan->at > start;
}

static bool scan_number(struct scan *scan)
{
    (void)take(scan, '-');
    if (!take(scan, '0') && !scan_digits(scan))
        return false;
    if (is_digit(peek(scan))) /* a leading zero */
        return false;
    if (take(scan, '.') && !scan_digits(scan))
        return false;
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            (void)take(scan, '-');
        return scan_digits(scan);
    }
    return true;
}

static bool scan_word(struct scan *scan, const char *word)
{
    for (; *word != '\0'; word++)
        if (!take(scan, *word))
            return false;
    return true;
}

static bool scan_value(struct scan *scan, int depth);

static bool scan_object(struct scan *scan, int depth)
{
    scan->at++;
    skip_blanks(scan);
    if (take(scan, '}'))
        return true;
    for (;;) {
        skip_blanks(scan);
        if (!scan_string(scan, false)) /* a key has no escape: a second spelling could hide a key */
            return false;
        skip_blanks(scan);
        if (!take(scan, ':') || !scan_value(scan, depth))
            return false;
        if (take(scan, '}'))
            return true;
        if (!take(scan, ','))
            return false;
    }
}

static bool scan_array(struct scan *scan, int depth)
{
    scan->at++;
    skip_blanks(scan);
    if (take(scan, ']'))
        return true;
    for (;;) {
        if (!scan_value(scan, depth))
            return false;
        if (take(scan, ']'))
            return true;
        if (!take(scan, ','))
            return false;
    }
}

/* One value with the blanks around it. Recursion is bounded by ADP_JSON_DEPTH_MAX. */
static bool scan_value(struct scan *scan, int depth)
{
    if (depth >= ADP_JSON_DEPTH_MAX)
        return false;
    skip_blanks(scan);
    const int c = peek(scan);
    bool is_good = false;
    if (c == '{')
        is_good = scan_object(scan, depth + 1);
    else if (c == '[')
        is_good = scan_array(scan, depth + 1);
    else if (c == '"')
        is_good = scan_string(scan, true);
    else if (c == 't')
        is_good = scan_word(scan, "true");
    else if (c == 'f')
        is_good = scan_word(scan, "false");
    else if (c == 'n')
        is_good = scan_word(scan, "null");
    else
        is_good = scan_number(scan);
    if (is_good)
        skip_blanks(scan);
    return is_good;
}

enum adp_rc adp_json_check(struct adp_span text)
{
    struct scan scan = {.bytes = text.bytes, .count = text.count};
    skip_blanks(&scan);
    if (peek(&scan) != '{' && peek(&scan) != '[')
        return ADP_MALFORMED;
    return scan_value(&scan, 0) && scan.at == scan.count ? ADP_OK : ADP_MALFORMED;
}

/* The walk over one level. */

enum adp_rc adp_json_member(struct adp_span object, const char *key, struct adp_span *value)
{
    struct scan scan = {.bytes = object.bytes, .count = object.count};
    enum adp_rc found = ADP_NOTHING;
    *value = (struct adp_span){NULL, 0};
    skip_blanks(&scan);
    if (!take(&scan, '{'))
        return ADP_MALFORMED;
    skip_blanks(&scan);
    if (take(&scan, '}'))
        return ADP_NOTHING;
    for (;;) {
        skip_blanks(&scan);
        const size_t key_at = scan.at + 1;
        if (!scan_string(&scan, false))
            return ADP_MALFORMED;
        const struct adp_span name = {object.bytes + key_at, scan.at - 1 - key_at};
        skip_blanks(&scan);
        if (!take(&scan, ':'))
            return ADP_MALFORMED;
        skip_blanks(&scan);
        const size_t value_at = scan.at;
        if (!scan_value(&scan, 1))
            return ADP_MALFORMED;
        if (adp_span_is(name, key)) {
            if (found == ADP_OK)
                return ADP_MALFORMED;
            found = ADP_OK;
            *value = adp_span_trim((struct adp_span){object.bytes + value_at, scan.at - value_at});
        }
        if (take(&scan, '}'))
            return found;
        if (!take(&scan, ','))
            return ADP_MALFORMED;
    }
}

enum adp_rc adp_json_next(struct adp_span array, size_t *at, struct adp_span *element)
{
    struct scan scan = {.bytes = array.bytes, .count = array.count, .at = *at};
    *element = (struct adp_span){NULL, 0};
    skip_blanks(&scan);
    if (*at == 0) {
        if (!take(&scan, '['))
            return ADP_MALFORMED;
        skip_blanks(&scan);
        if (peek(&scan) == ']')
            return ADP_NOTHING;
    } else {
        if (peek(&scan) == ']')
            return ADP_NOTHING;
        if (!take(&scan, ','))
            return ADP_MALFORMED;
        skip_blanks(&scan);
    }
    const size_t start = scan.at;
    if (!scan_value(&scan, 1))
        return ADP_MALFORMED;
    *element = adp_span_trim((struct adp_span){array.bytes + start, scan.at - start});
    *at = scan.at;
    return ADP_OK;
}

/* Tokens. */

static uint16_t type_of(const jsmntok_t *token, const uint8_t *bytes)
{
    switch (token->type) {
    case JSMN_OBJECT:
        return ADP_JSON_OBJECT;
    case JSMN_ARRAY:
        return ADP_JSON_ARRAY;
    case JSMN_STRING:
        return ADP_JSON_STRING;
    case JSMN_PRIMITIVE:
    case JSMN_UNDEFINED:
        break;
    }
    const int c = bytes[token->start];
    return c == '-' || is_digit(c) ? ADP_JSON_NUMBER : ADP_JSON_WORD;
}

/* Two equal keys in one object: some readers take the first, others the last, so neither is
 * believed. Quadratic in an object's members, which the token bound keeps small. */
static bool has_equal_keys(const struct adp_json *json, uint32_t object)
{
    const uint8_t *bytes = json->text.bytes;
    const uint32_t end = json->tokens[object].next;
    for (uint32_t a = object + 1; a < end; a = json->tokens[a + 1].next) {
        const struct adp_json_token *key = &json->tokens[a];
        const uint32_t count = key->end - key->start;
        for (uint32_t b = object + 1; b < a; b = json->tokens[b + 1].next) {
            const struct adp_json_token *other = &json->tokens[b];
            if (other->end - other->start == count &&
                memcmp(bytes + other->start, bytes + key->start, count) == 0)
                return true;
        }
    }
    return false;
}

enum adp_rc adp_json_parse(struct adp_json *json, struct adp_span text)
{
    jsmntok_t raw[ADP_JSON_TOKENS_MAX];
    jsmn_parser parser;
    json->text = text;
    json->count = 0;
    if (text.count > INT32_MAX || adp_json_check(text) != ADP_OK)
        return ADP_MALFORMED;
    jsmn_init(&parser);
    const int count =
        jsmn_parse(&parser, (const char *)text.bytes, text.count, raw, ADP_JSON_TOKENS_MAX);
    if (count == JSMN_ERROR_NOMEM)
        return ADP_TOO_LONG;
    if (count < 1)
        return ADP_MALFORMED;
    json->count = (uint32_t)count;
    for (uint32_t i = 0; i < json->count; i++)
        json->tokens[i] = (struct adp_json_token){
            .start = (uint32_t)raw[i].start,
            .end = (uint32_t)raw[i].end,
            .type = type_of(&raw[i], text.bytes),
            .size = (uint16_t)raw[i].size,
            .next = i + 1,
        };
    /* A value ends where the last value inside it ends: children come after their parents, so one
     * pass from the back hands each end upwards. A key's "child" is its value. */
    for (uint32_t i = json->count - 1; i > 0; i--) {
        if (raw[i].parent < 0)
            return ADP_MALFORMED;
        struct adp_json_token *parent = &json->tokens[raw[i].parent];
        if (json->tokens[i].next > parent->next)
            parent->next = json->tokens[i].next;
    }
    for (uint32_t i = 0; i < json->count; i++)
        if (json->tokens[i].type == ADP_JSON_OBJECT && has_equal_keys(json, i))
            return ADP_MALFORMED;
    return ADP_OK;
}

bool adp_json_is(const struct adp_json *json, uint32_t token, enum adp_json_type type)
{
    return token < json->count && json->tokens[token].type == type;
}

struct adp_span adp_json_span(const struct adp_json *json, uint32_t token)
{
    if (token >= json->count)
        return (struct adp_span){NULL, 0};
    const struct adp_json_token *t = &json->tokens[token];
    return (struct adp_span){json->text.bytes + t->start, t->end - t->start};
}

uint32_t adp_json_get(const struct adp_json *json, uint32_t object, const char *key)
{
    if (!adp_json_is(json, object, ADP_JSON_OBJECT))
        return ADP_JSON_NONE;
    const size_t count = strlen(key);
    const uint32_t end = json->tokens[object].next;
    for (uint32_t at = object + 1; at < end; at = json->tokens[at + 1].next) {
        const struct adp_json_token *name = &json->tokens[at];
        if (name->end - name->start == count &&
            memcmp(json->text.bytes + name->start, key, count) == 0)
            return at + 1;
    }
    return ADP_JSON_NONE;
}

uint32_t adp_json_element(const struct adp_json *json, uint32_t array, uint32_t index)
{
    if (!adp_json_is(json, array, ADP_JSON_ARRAY) || index >= json->tokens[array].size)
        return ADP_JSON_NONE;
    uint32_t at = array + 1;
    for (; index > 0; index--)
        at = json->tokens[at].next;
    return at;
}

/* One character of a checked string at *at, as printable ASCII or '?'. */
static char printable(struct adp_span in, size_t *at)
{
    uint32_t c = in.bytes[(*at)++];
    if (c == '\\') {
        c = in.bytes[(*at)++];
        if (c == 'u') {
            c = 0;
            for (int i = 0; i < 4; i++)
                c = c * 16 + (uint32_t)hex_digit(in.bytes[(*at)++]);
        } else if (strchr("bfnrt", (int)c) != NULL) {
            c = ' ';
        }
    }
    return c >= 0x20 && c < 0x7F ? (char)c : '?';
}

size_t adp_json_text(const struct adp_json *json, uint32_t token, char *out, size_t out_bytes)
{
    struct adp_span in = {NULL, 0};
    size_t count = 0;
    LS_CHECK(out_bytes > 0);
    if (!adp_json_is(json, token, ADP_JSON_OBJECT) && !adp_json_is(json, token, ADP_JSON_ARRAY))
        in = adp_span_trim(adp_json_span(json, token));
    for (size_t at = 0; at < in.count && count + 1 < out_bytes;)
        out[count++] = printable(in, &at);
    out[count] = '\0';
    return count;
}

/* Numbers. */

/* A number taken apart: its digits without leading zeros, and where the point belongs. */
struct digits {
    struct adp_span text; /* digits and perhaps a point; no sign, no exponent */
    int32_t exponent;     /* of ten */
    bool is_negative;
};

#define EXPONENT_MAX 100000 /* beyond any use; keeps the sums below in range */

static struct digits take_apart(struct adp_span text)
{
    struct digits out = {.is_negative = text.count > 0 && text.bytes[0] == '-'};
    struct scan scan = {text.bytes, text.count, out.is_negative ? 1u : 0u};
    const size_t start = scan.at;
    while (is_digit(peek(&scan)) || peek(&scan) == '.')
        scan.at++;
    out.text = (struct adp_span){text.bytes + start, scan.at - start};
    if (!take(&scan, 'e') && !take(&scan, 'E'))
        return out;
    const bool is_down = take(&scan, '-');
    (void)take(&scan, '+');
    for (; is_digit(peek(&scan)); scan.at++)
        if (out.exponent < EXPONENT_MAX)
            out.exponent = out.exponent * 10 + (peek(&scan) - '0');
    if (is_down)
        out.exponent = -out.exponent;
    return out;
}

/* Digits to value * 1e8. `place` is the power of ten of the digit in scaled units. */
static enum adp_rc put_together(
    const struct digits *in, enum adp_json_exactness exactness, int64_t *value_e8)
{
    const uint64_t largest = INT64_MAX;
    size_t whole = in->text.count;
    const uint8_t *point = in->text.count > 0 ? memchr(in->text.bytes, '.', in->text.count) : NULL;
    uint64_t value = 0;
    bool has_rest = false, rounds_up = false;
    if (point != NULL)
        whole = (size_t)(point - in->text.bytes);
    int64_t place = (int64_t)whole - 1 + in->exponent + 8;
    for (size_t i = 0; i < in->text.count; i++) {
        if (in->text.bytes[i] == '.')
            continue;
        const unsigned digit = in->text.bytes[i] - (unsigned)'0';
        if (place >= 0) {
            if (__builtin_mul_overflow(value, 10u, &value) ||
                __builtin_add_overflow(value, digit, &value) || value > largest)
                return ADP_MALFORMED;
        } else if (digit != 0) {
            has_rest = true;
            if (place == -1 && digit >= 5)
                rounds_up = true;
        }
        place--;
    }
    for (; place >= 0 && value != 0; place--)
        if (__builtin_mul_overflow(value, 10u, &value) || value > largest)
            return ADP_MALFORMED;
    if (has_rest && exactness == ADP_JSON_EXACT)
        return ADP_MALFORMED;
    if (rounds_up && ++value > largest)
        return ADP_MALFORMED;
    *value_e8 = in->is_negative ? -(int64_t)value : (int64_t)value;
    return ADP_OK;
}

enum adp_rc adp_json_e8(const struct adp_json *json, uint32_t token,
    enum adp_json_exactness exactness, int64_t *value_e8)
{
    struct adp_span text = adp_json_span(json, token);
    *value_e8 = 0;
    if (token >= json->count)
        return ADP_NOTHING;
    if (adp_json_is(json, token, ADP_JSON_WORD))
        return adp_span_is(text, "null") ? ADP_NOTHING : ADP_MALFORMED;
    if (adp_json_is(json, token, ADP_JSON_STRING)) {
        text = adp_span_trim(text);
        if (text.count == 0 || adp_span_is(text, "--"))
            return ADP_NOTHING;
        struct scan scan = {.bytes = text.bytes, .count = text.count};
        if (!scan_number(&scan) || scan.at != scan.count)
            return ADP_MALFORMED;
    } else if (!adp_json_is(json, token, ADP_JSON_NUMBER)) {
        return ADP_MALFORMED;
    }
    const struct digits digits = take_apart(text);
    return put_together(&digits, exactness, value_e8);
}

/* Spans. */

static int fold(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool adp_span_is(struct adp_span span, const char *text)
{
    const size_t count = strlen(text);
    return span.count == count && (count == 0 || memcmp(span.bytes, text, count) == 0);
}

bool adp_span_starts_fold(struct adp_span span, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++)
        if (i >= span.count || fold(span.bytes[i]) != fold((unsigned char)text[i]))
            return false;
    return true;
}

bool adp_span_is_fold(struct adp_span span, const char *text)
{
    return span.count == strlen(text) && adp_span_starts_fold(span, text);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct adp_span adp_span_trim(struct adp_span span)
{
    while (span.count > 0 && is_blank(span.bytes[0])) {
        span.bytes++;
        span.count--;
    }
    while (span.count > 0 && is_blank(span.bytes[span.count - 1]))
        span.count--;
    return span;
}
