/* Arbitrary bytes through the JSON scan: no crash, and the views of one document agree. */
#include "adapters/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void walk(const struct adp_json *json)
{
    char text[32];
    for (uint32_t i = 0; i < json->count; i++) {
        const struct adp_json_token *token = &json->tokens[i];
        int64_t value_e8;
        LS_CHECK(token->start <= token->end && token->end <= json->text.count);
        LS_CHECK(token->next > i && token->next <= json->count);
        for (enum adp_json_exactness how = ADP_JSON_EXACT; how <= ADP_JSON_ROUNDED; how++)
            (void)!adp_json_e8(json, i, how, &value_e8);
        const size_t length = adp_json_text(json, i, text, sizeof(text));
        LS_CHECK(length < sizeof(text) && text[length] == '\0');
        for (size_t c = 0; c < length; c++)
            LS_CHECK(text[c] >= ' ' && text[c] <= '~');
        for (uint32_t e = 0; e < token->size; e++)
            if (token->type == ADP_JSON_ARRAY)
                LS_CHECK(adp_json_element(json, i, e) < token->next);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const struct adp_span text = {bytes, count};
    struct adp_json json;
    struct adp_span part;
    size_t at = 0, elements = 0;
    const enum adp_rc checked = adp_json_check(text);
    const enum adp_rc parsed = adp_json_parse(&json, text);
    if (parsed == ADP_OK) {
        LS_CHECK(checked == ADP_OK);
        walk(&json);
    }
    if (checked != ADP_OK) {
        LS_CHECK(parsed == ADP_MALFORMED);
        return 0;
    }
    while (adp_json_next(text, &at, &part) == ADP_OK)
        elements++;
    if (parsed == ADP_OK && json.tokens[0].type == ADP_JSON_ARRAY)
        LS_CHECK(elements == json.tokens[0].size);
    const enum adp_rc member = adp_json_member(text, "status", &part);
    if (parsed == ADP_OK && json.tokens[0].type == ADP_JSON_OBJECT)
        LS_CHECK((member == ADP_OK) == (adp_json_get(&json, 0, "status") != ADP_JSON_NONE));
    return 0;
}
