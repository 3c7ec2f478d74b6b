/* From JSON to a case. */
#include "engine/whatif_case.h"

#include <string.h>

#include "engine/whatif_reader.h"

/* --- the whole ----------------------------------------------------------------------------------
 */

static bool parse(struct whatif_reader *reader, struct adp_json *json, struct adp_span span)
{
    static const struct adp_span empty = {.bytes = (const uint8_t *)"{}", .count = 2};
    bool is_null = span.count == 4 && memcmp(span.bytes, "null", 4) == 0;
    enum adp_rc rc = adp_json_parse(json, span.count == 0 || is_null ? empty : span);
    if (rc == ADP_OK && adp_json_is(json, 0, ADP_JSON_OBJECT))
        return true;
    reader->rc = IPC_BAD_INPUT;
    ipc_error_set(reader->error, "%s %s", whatif_object_name(reader, json),
        rc == ADP_TOO_LONG ? "has more than 256 values: shorten its lists"
                           : "is not a JSON object: correct its quotes, commas and braces");
    return false;
}

enum ipc_rc whatif_read(struct adp_span mode, struct adp_span params, struct adp_span event,
    struct adp_span state, struct whatif_case *out, struct ipc_error *error)
{
    struct whatif_reader reader = {.out = out, .error = error, .rc = IPC_OK};
    char name[WHATIF_WORD_BYTES];
    *out = (struct whatif_case){0};
    out->judged.shared = &out->shared;
    out->judged.follower.row = &out->row;
    out->judged.follower.policy = &out->policy;
    if (mode.count >= sizeof name) {
        ipc_error_set(error, "mode is longer than 39 characters");
        return IPC_BAD_INPUT;
    }
    memcpy(name, mode.count == 0 ? (const uint8_t *)"" : mode.bytes, mode.count);
    name[mode.count] = '\0';
    if (!parse(&reader, &reader.params, params) || !parse(&reader, &reader.event, event) ||
        !parse(&reader, &reader.state, state))
        return reader.rc;
    out->row.follower_no = 1;
    char copy[WHATIF_WORD_BYTES];
    bool on_fill =
        strcmp(name, "COPY_ON_FILL") == 0 ||
        (whatif_word(&reader, &reader.params, "copy", copy) && strcmp(copy, "fill") == 0);
    out->row.copy = on_fill ? IPC_COPY_ON_FILL : IPC_COPY_ON_ORDER;
    out->shared.instrument = 1;
    out->shared.money_answers = 1;
    whatif_read_params(&reader, name);
    whatif_read_event(&reader);
    whatif_read_state(&reader);
    return reader.rc;
}

enum ipc_rc whatif_read_line(struct adp_span line, struct whatif_case *out, struct ipc_error *error)
{
    static const char *const keys[] = {"mode", "params", "master_event", "follower_state"};
    struct adp_span spans[4] = {0};
    line = adp_span_trim(line);
    if (adp_json_check(line) != ADP_OK) {
        ipc_error_set(error, "is not JSON: one object a line is expected");
        return IPC_BAD_INPUT;
    }
    for (size_t i = 0; i < LS_COUNT_OF(keys); i++) {
        enum adp_rc rc = adp_json_member(line, keys[i], &spans[i]);
        if (rc == ADP_MALFORMED) {
            ipc_error_set(error, "is not an object, or has '%s' twice", keys[i]);
            return IPC_BAD_INPUT;
        }
    }
    if (spans[2].count == 0) {
        ipc_error_set(error, "has no 'master_event': say what happened");
        return IPC_BAD_INPUT;
    }
    struct adp_span mode = spans[0];
    if (mode.count != 0 && (mode.count < 2 || mode.bytes[0] != '"')) {
        ipc_error_set(error, "has a mode that is not a string");
        return IPC_BAD_INPUT;
    }
    if (mode.count != 0)
        mode = (struct adp_span){.bytes = mode.bytes + 1, .count = mode.count - 2};
    return whatif_read(mode, spans[1], spans[2], spans[3], out, error);
}
