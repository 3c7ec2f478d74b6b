#include "engine/whatif_file.h"

/* A quoted field: its quotes go, doubled ones become one.
 *   returns  false when it does not end, or goes on after its end */
static bool quoted_field(struct whatif_csv *csv, struct adp_span *field)
{
    size_t from = ++csv->at, to = from;
    while (csv->at < csv->bytes) {
        char c = csv->text[csv->at++];
        if (c == '"') {
            bool doubled = csv->at < csv->bytes && csv->text[csv->at] == '"';
            if (!doubled) {
                *field = (struct adp_span){
                    .bytes = (const uint8_t *)csv->text + from, .count = to - from};
                return csv->at == csv->bytes || csv->text[csv->at] == ',' ||
                       csv->text[csv->at] == '\n' || csv->text[csv->at] == '\r';
            }
            csv->at++;
        }
        if (c == '\n')
            csv->next_line++;
        csv->text[to++] = c;
    }
    return false;
}

static bool plain_field(struct whatif_csv *csv, struct adp_span *field)
{
    size_t from = csv->at;
    while (csv->at < csv->bytes && csv->text[csv->at] != ',' && csv->text[csv->at] != '\n' &&
           csv->text[csv->at] != '\r') {
        if (csv->text[csv->at] == '"')
            return false;
        csv->at++;
    }
    *field = (struct adp_span){.bytes = (const uint8_t *)csv->text + from, .count = csv->at - from};
    return true;
}

static void skip_line_ends(struct whatif_csv *csv)
{
    while (csv->at < csv->bytes && (csv->text[csv->at] == '\n' || csv->text[csv->at] == '\r')) {
        if (csv->text[csv->at] == '\n')
            csv->next_line++;
        csv->at++;
    }
}

enum adp_rc whatif_csv_next(struct whatif_csv *csv)
{
    if (csv->next_line == 0)
        csv->next_line = 1;
    skip_line_ends(csv);
    csv->count = 0;
    csv->line = csv->next_line;
    if (csv->at >= csv->bytes)
        return ADP_NOTHING;
    for (;;) {
        if (csv->count == WHATIF_FIELDS_MAX)
            return ADP_TOO_LONG;
        struct adp_span *field = &csv->fields[csv->count++];
        bool whole = csv->at < csv->bytes && csv->text[csv->at] == '"' ? quoted_field(csv, field)
                                                                       : plain_field(csv, field);
        if (!whole)
            return ADP_MALFORMED;
        if (csv->at >= csv->bytes || csv->text[csv->at] != ',')
            return ADP_OK;
        csv->at++;
    }
}
