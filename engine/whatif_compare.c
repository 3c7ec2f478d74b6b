/* Whether an answer has what a case expects. */
#include <stdio.h>
#include <string.h>

#include "adapters/json.h"
#include "engine/whatif_case.h"

/* Where the comparison is: for the sentence on a difference. */
struct place {
    char *text;
    size_t bytes;
    char key[96];
};

static enum ipc_rc differs(
    struct place *place, struct adp_span expected, struct adp_span answer, unsigned depth);

static int shown(struct adp_span span)
{
    return span.count > 90 ? 90 : (int)span.count;
}

static enum ipc_rc say(struct place *place, struct adp_span expected, struct adp_span answer)
{
    (void)snprintf(place->text, place->bytes, "%s: expected %.*s, got %.*s", place->key,
        shown(expected), (const char *)expected.bytes, shown(answer),
        answer.count == 0 ? "" : (const char *)answer.bytes);
    return IPC_REFUSED;
}

static bool is_number(struct adp_span span)
{
    return span.count != 0 &&
           (span.bytes[0] == '-' || (span.bytes[0] >= '0' && span.bytes[0] <= '9'));
}

/* The value of a number by itself. */
static bool number_of(struct adp_span span, int64_t *value_e8)
{
    char wrapped[64];
    struct adp_json json;
    if (!is_number(span) || span.count + 3 > sizeof wrapped)
        return false;
    int bytes =
        snprintf(wrapped, sizeof wrapped, "[%.*s]", (int)span.count, (const char *)span.bytes);
    struct adp_span text = {.bytes = (const uint8_t *)wrapped, .count = (size_t)bytes};
    return adp_json_parse(&json, text) == ADP_OK &&
           adp_json_e8(&json, adp_json_element(&json, 0, 0), ADP_JSON_EXACT, value_e8) == ADP_OK;
}

static enum ipc_rc objects_differ(
    struct place *place, struct adp_span expected, struct adp_span answer, unsigned depth)
{
    struct adp_json json;
    if (adp_json_parse(&json, expected) != ADP_OK)
        return IPC_BAD_INPUT;
    size_t start = strlen(place->key);
    uint32_t token = 1;
    while (token < json.count) {
        char key[64];
        uint32_t value = token + 1;
        (void)adp_json_text(&json, token, key, sizeof key);
        (void)snprintf(
            place->key + start, sizeof place->key - start, "%s%s", start == 0 ? "" : ".", key);
        struct adp_span want = adp_json_span(&json, value), have = {0};
        if (adp_json_is(&json, value, ADP_JSON_STRING)) { /* with its quotes */
            want.bytes--;
            want.count += 2;
        }
        enum adp_rc found = adp_json_member(answer, key, &have);
        enum ipc_rc rc = found == ADP_OK
                             ? differs(place, want, have, depth + 1)
                             : say(place, want, (struct adp_span){(const uint8_t *)"nothing", 7});
        if (rc != IPC_OK)
            return rc;
        place->key[start] = '\0';
        token = json.tokens[value].next;
    }
    return IPC_OK;
}

static enum ipc_rc lists_differ(
    struct place *place, struct adp_span expected, struct adp_span answer, unsigned depth)
{
    size_t want_at = 0, have_at = 0, start = strlen(place->key);
    for (uint32_t i = 0;; i++) {
        struct adp_span want, have;
        enum adp_rc wants = adp_json_next(expected, &want_at, &want);
        enum adp_rc has = adp_json_next(answer, &have_at, &have);
        if (wants == ADP_NOTHING && has == ADP_NOTHING)
            return IPC_OK;
        if (wants != ADP_OK || has != ADP_OK)
            return say(place, expected, answer);
        (void)snprintf(place->key + start, sizeof place->key - start, "[%u]", i);
        enum ipc_rc rc = differs(place, want, have, depth + 1);
        if (rc != IPC_OK)
            return rc;
        place->key[start] = '\0';
    }
}

static enum ipc_rc differs(
    struct place *place, struct adp_span expected, struct adp_span answer, unsigned depth)
{
    expected = adp_span_trim(expected);
    answer = adp_span_trim(answer);
    if (expected.count == 0 || answer.count == 0 || depth > ADP_JSON_DEPTH_MAX)
        return IPC_BAD_INPUT;
    if (expected.bytes[0] == '{')
        return answer.bytes[0] == '{' ? objects_differ(place, expected, answer, depth)
                                      : say(place, expected, answer);
    if (expected.bytes[0] == '[')
        return answer.bytes[0] == '[' ? lists_differ(place, expected, answer, depth)
                                      : say(place, expected, answer);
    int64_t want, have;
    if (number_of(expected, &want) && number_of(answer, &have))
        return want == have ? IPC_OK : say(place, expected, answer);
    bool same =
        expected.count == answer.count && memcmp(expected.bytes, answer.bytes, expected.count) == 0;
    return same ? IPC_OK : say(place, expected, answer);
}

enum ipc_rc whatif_differs(
    struct adp_span expected, struct adp_span answer, char *text, size_t text_bytes)
{
    struct place place = {.text = text, .bytes = text_bytes};
    text[0] = '\0';
    expected = adp_span_trim(expected);
    if (expected.count == 0 || expected.bytes[0] != '{' || adp_json_check(expected) != ADP_OK)
        return IPC_BAD_INPUT;
    enum ipc_rc rc = differs(&place, expected, answer, 0);
    if (rc == IPC_BAD_INPUT)
        (void)snprintf(text, text_bytes, "%s: cannot be compared", place.key);
    return rc;
}
