/* dialect.c: the register of dialects, and bodies made of text and holes. */
#include "adapters/broker/dialect.h"

#include "adapters/broker/alice_blue.h"
#include "ipc/decimal.h"
#include "ipc/enum.h"

#include <string.h>

IPC_DEFINE_ENUM(adp_hole, ADP_HOLE_LIST)

static const struct adp_dialect *const dialects[] = {
    &adp_alice_blue,
};

const struct adp_dialect *adp_dialect_at(size_t index)
{
    return index < LS_COUNT_OF(dialects) ? dialects[index] : NULL;
}

const struct adp_dialect *adp_dialect_find(const char *name)
{
    for (size_t i = 0; i < LS_COUNT_OF(dialects); i++)
        if (strcmp(dialects[i]->name, name) == 0)
            return dialects[i];
    return NULL;
}

bool adp_segments_add(struct adp_segments *segments, const char *text)
{
    const size_t count = strlen(text);
    if (count > sizeof(segments->text) - segments->text_bytes)
        return false;
    memcpy(segments->text + segments->text_bytes, text, count);
    segments->text_bytes = (uint16_t)(segments->text_bytes + count);
    return true;
}

bool adp_segments_hole(struct adp_segments *segments, enum adp_hole hole)
{
    if (segments->hole_count >= ADP_SEGMENT_HOLE_MAX)
        return false;
    segments->holes[segments->hole_count].at = segments->text_bytes;
    segments->holes[segments->hole_count].hole = (uint8_t)hole;
    segments->holes[segments->hole_count].quoted = 0;
    segments->hole_count++;
    return true;
}

static bool is_plain(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-';
}

/* One hole's value; the caller has checked that IPC_DECIMAL_BYTES fit. Returns its length, or a
 * negative adp_rc. */
static int put_number(int64_t value_e8, bool may_be_fraction, uint8_t *out)
{
    LS_CHECK(value_e8 >= 0);
    LS_CHECK(may_be_fraction || value_e8 % LS_E8 == 0);
    return (int)ipc_decimal_format(value_e8, (char *)out);
}

static int put_text(struct adp_span text, uint8_t *out, size_t out_bytes)
{
    if (text.count == 0)
        return ADP_MALFORMED;
    if (text.count > out_bytes)
        return ADP_TOO_LONG;
    for (size_t i = 0; i < text.count; i++) {
        if (!is_plain(text.bytes[i]))
            return ADP_MALFORMED;
        out[i] = text.bytes[i];
    }
    return (int)text.count;
}

static int put_hole(uint8_t hole, const struct adp_hole_values *values, bool fractional_qty,
    uint8_t *out, size_t out_bytes)
{
    LS_CHECK(adp_hole_valid(hole));
    if (hole <= ADP_HOLE_TRIGGER && out_bytes < IPC_DECIMAL_BYTES)
        return ADP_TOO_LONG;
    switch ((enum adp_hole)hole) {
    case ADP_HOLE_QTY:
        return put_number(values->qty_e8, fractional_qty, out);
    case ADP_HOLE_PRICE:
        return put_number(values->price_e8, true, out);
    case ADP_HOLE_TRIGGER:
        return put_number(values->trigger_e8, true, out);
    case ADP_HOLE_TAG:
        return put_text(values->tag, out, out_bytes);
    case ADP_HOLE_ORDER_ID:
        return put_text(values->order_id, out, out_bytes);
    case ADP_HOLE_LOGIN:
        return put_text(values->login, out, out_bytes);
    }
    return ADP_MALFORMED;
}

int adp_segments_fill(const struct adp_segments *segments, const struct adp_hole_values *values,
    bool fractional_qty, uint8_t *out, size_t out_bytes)
{
    size_t text_at = 0, out_at = 0;
    LS_CHECK(segments->text_bytes <= ADP_SEGMENT_TEXT_MAX);
    LS_CHECK(segments->hole_count <= ADP_SEGMENT_HOLE_MAX);
    for (size_t i = 0; i <= segments->hole_count; i++) {
        const size_t until =
            i < segments->hole_count ? segments->holes[i].at : segments->text_bytes;
        LS_CHECK(until >= text_at && until <= segments->text_bytes);
        const size_t count = until - text_at;
        if (count > out_bytes - out_at)
            return ADP_TOO_LONG;
        memcpy(out + out_at, segments->text + text_at, count);
        out_at += count;
        text_at = until;
        if (i == segments->hole_count)
            break;
        const int written = put_hole(
            segments->holes[i].hole, values, fractional_qty, out + out_at, out_bytes - out_at);
        if (written < 0)
            return written;
        out_at += (size_t)written;
    }
    return (int)out_at;
}
