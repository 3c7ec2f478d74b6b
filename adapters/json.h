/* json.h: a strict scan of JSON that a peer sent, without allocation.
 *
 * Two views of the same bytes. The cursor functions walk one level of a document of any length (an
 * order book of thousands of rows); adp_json_parse makes a bounded table of tokens of one small
 * value (a reply, one row), with jsmn as the tokenizer. Both stand on adp_json_check, which holds
 * the bytes against the grammar of RFC 8259 first, because a tokenizer alone lets much pass.
 *
 * Refused, always: trailing bytes, trailing commas, comments, NaN and Infinity, leading zeros and
 * plus signs, control characters in strings, unknown escapes, lone surrogates as escapes, depth
 * above ADP_JSON_DEPTH_MAX, an escape in a key, and a key that occurs twice in one object. Bytes
 * above 0x7F in strings are taken as they come: brokers' texts are not always UTF-8, and no
 * decision hangs on them.
 *
 * Pure functions, any thread. Spans point into the caller's bytes. */
#ifndef LS_ADAPTERS_JSON_H
#define LS_ADAPTERS_JSON_H

#include "adapters/span.h"

#define ADP_JSON_DEPTH_MAX  16
#define ADP_JSON_TOKENS_MAX 256u
#define ADP_JSON_NONE       UINT32_MAX /* no such token */

enum adp_json_type {
    ADP_JSON_OBJECT = 1,
    ADP_JSON_ARRAY = 2,
    ADP_JSON_STRING = 3,
    ADP_JSON_NUMBER = 4,
    ADP_JSON_WORD = 5, /* true, false, null */
};

/* One value. A key is a string token, and its value is the token after it. */
struct adp_json_token {
    uint32_t start, end; /* bytes of the text; strings without their quotes */
    uint16_t type;       /* enum adp_json_type */
    uint16_t size;       /* members of an object, elements of an array */
    uint32_t next;       /* the token after this value and all that is in it */
};

/* A small document. About 6 KiB: lives on the stack. Token 0 is the root. */
struct adp_json {
    struct adp_span text;
    uint32_t count;
    struct adp_json_token tokens[ADP_JSON_TOKENS_MAX];
};

/* What to do with digits after the eighth decimal. */
enum adp_json_exactness {
    ADP_JSON_EXACT = 1,   /* refuse, unless they are zeros */
    ADP_JSON_ROUNDED = 2, /* half away from zero: binary noise of prices and averages */
};

/* adp_json_check holds the whole text against the grammar; one object or array, blanks around it
 * allowed. Keys that occur twice are found by the functions below, not here.
 *   returns ADP_OK or ADP_MALFORMED */
LS_MUST_USE enum adp_rc adp_json_check(struct adp_span text);

/* adp_json_parse checks the text and makes the tokens.
 *   returns ADP_OK; ADP_MALFORMED; ADP_TOO_LONG above ADP_JSON_TOKENS_MAX values */
LS_MUST_USE enum adp_rc adp_json_parse(struct adp_json *json, struct adp_span text);

/* adp_json_get finds a member by its exact name.
 *   returns its value's token, or ADP_JSON_NONE; also when `object` is not an object */
uint32_t adp_json_get(const struct adp_json *json, uint32_t object, const char *key);

/* adp_json_element returns element `index` of an array, ADP_JSON_NONE past the end. */
uint32_t adp_json_element(const struct adp_json *json, uint32_t array, uint32_t index);

/* adp_json_is tells the type of a token; false for ADP_JSON_NONE. */
bool adp_json_is(const struct adp_json *json, uint32_t token, enum adp_json_type type);

/* adp_json_span returns a token's bytes as they are in the text (escapes not resolved); empty for
 * ADP_JSON_NONE. */
struct adp_span adp_json_span(const struct adp_json *json, uint32_t token);

/* adp_json_text copies a string, number or word for people and logs: escapes resolved, what is not
 * printable ASCII becomes '?', blanks at both ends cut, cut at out_bytes - 1, NUL-terminated. A
 * missing token, an object or an array gives "".
 *   returns the length of the copy */
size_t adp_json_text(const struct adp_json *json, uint32_t token, char *out, size_t out_bytes);

/* adp_json_e8 reads a number, or a string that holds one and nothing else, as fixed point; an
 * exponent is taken ("1.12E7").
 *   returns ADP_OK; ADP_NOTHING for a missing token, null, "" and "--" (*value_e8 is 0 then);
 *           ADP_MALFORMED when it is no number, or int64_t times 1e8 does not hold it */
LS_MUST_USE enum adp_rc adp_json_e8(const struct adp_json *json, uint32_t token,
    enum adp_json_exactness exactness, int64_t *value_e8);

/* adp_json_member finds a member of a checked object of any length, by its exact name, looking at
 * all of them.
 *   value    the bytes of the value as they are in the text, quotes included
 *   returns  ADP_OK; ADP_NOTHING when there is none; ADP_MALFORMED when `object` is no object or
 *            has it twice */
LS_MUST_USE enum adp_rc adp_json_member(
    struct adp_span object, const char *key, struct adp_span *value);

/* adp_json_next walks a checked array of any length.
 *   at       0 before the first call; where the walk is
 *   returns  ADP_OK and the next element's bytes; ADP_NOTHING at the end; ADP_MALFORMED when
 *            `array` is no array */
LS_MUST_USE enum adp_rc adp_json_next(struct adp_span array, size_t *at, struct adp_span *element);

/* Comparisons of spans with ASCII text; fold ignores the case of letters. */
bool adp_span_is(struct adp_span span, const char *text);
bool adp_span_is_fold(struct adp_span span, const char *text);
bool adp_span_starts_fold(struct adp_span span, const char *text);

/* adp_span_trim cuts blanks, tabs and line ends at both ends. */
struct adp_span adp_span_trim(struct adp_span span);

#endif
