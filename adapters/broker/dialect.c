/* dialect.c: the register of dialects, and bodies made of text and holes. */
#include "adapters/broker/dialect.h"

#include "adapters/broker/alice_blue.h"
#include "ipc/decimal.h"
#include "ipc/enum.h"

#include <nmmintrin.h>
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

/* Appends text. */
static bool add_span(struct adp_segments *out, const char *text, size_t count)
{
    if (count > sizeof out->text - out->text_bytes)
        return false;
    memcpy(out->text + out->text_bytes, text, count);
    out->text_bytes = (uint16_t)(out->text_bytes + count);
    return true;
}

bool adp_segments_add(struct adp_segments *segments, const char *text)
{
    return add_span(segments, text, strlen(text));
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

/* Two digits at a time: half the divisions. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                            "34353637383940414243444546474849505152535455565758596061626364656667"
                            "6869707172737475767778798081828384858687888990919293949596979899";

/* Digits of a whole number, without leading zeros. Writes up to IPC_DECIMAL_BYTES bytes, of which
 * the returned count are the number's. */
static int put_whole(uint64_t value, uint8_t *out)
{
    uint8_t digits[2 * IPC_DECIMAL_BYTES];
    size_t at = IPC_DECIMAL_BYTES;
    for (; value >= 100; value /= 100) {
        at -= 2;
        memcpy(digits + at, pairs + 2 * (value % 100), 2);
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + 2 * value, 2);
    } else {
        digits[--at] = (uint8_t)('0' + value);
    }
    memcpy(out, digits + at, IPC_DECIMAL_BYTES); /* a fixed length is three moves */
    return (int)(IPC_DECIMAL_BYTES - at);
}

/* What follows the point, in [1, 1e8), without trailing zeros. */
static int put_fraction(uint64_t fraction, uint8_t *out)
{
    int digits = 8;
    out[0] = '.';
    if (fraction % 1000000 == 0) { /* paise */
        memcpy(out + 1, pairs + 2 * (fraction / 1000000), 2);
        return out[2] == '0' ? 2 : 3;
    }
    for (; fraction % 10 == 0; fraction /= 10)
        digits--;
    for (int at = digits; at > 0; at--) {
        out[at] = (uint8_t)('0' + fraction % 10);
        fraction /= 10;
    }
    return digits + 1;
}

/* A quantity or price, exact, without trailing zeros: what ipc_decimal_format writes, in a fifth of
 * its instructions, because every follower's order passes here. The caller has checked that
 * NUMBER_ROOM bytes fit. */
#define NUMBER_ROOM (2 * IPC_DECIMAL_BYTES)
static int put_number(int64_t value_e8, bool may_be_fraction, uint8_t *out)
{
    if (LS_UNLIKELY(value_e8 < 0))
        return ADP_MALFORMED;
    const uint64_t whole = (uint64_t)value_e8 / (uint64_t)LS_E8;
    const uint64_t fraction = (uint64_t)value_e8 - whole * (uint64_t)LS_E8;
    if (LS_UNLIKELY(!may_be_fraction && fraction != 0))
        return ADP_MALFORMED; /* an instrument whose lot this broker cannot trade */
    const int count = put_whole(whole, out);
    return fraction == 0 ? count : count + put_fraction(fraction, out + count);
}

static bool is_plain(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-';
}

/* The same question for 16 characters: pcmpestri finds the first outside of the ranges. */
static bool are_plain(__m128i characters)
{
    const __m128i ranges =
        _mm_setr_epi8('0', '9', 'A', 'Z', 'a', 'z', '_', '_', '-', '-', 0, 0, 0, 0, 0, 0);
    return _mm_cmpestri(ranges, 10, characters, 16,
               _SIDD_UBYTE_OPS | _SIDD_CMP_RANGES | _SIDD_NEGATIVE_POLARITY) == 16;
}

/* Copies and checks a text value; 16 to 32 characters, as all tags and most ids have, in two
 * overlapping halves. */
static int put_text(struct adp_span text, uint8_t *out, size_t out_bytes)
{
    if (text.count == 0)
        return ADP_MALFORMED;
    if (text.count > out_bytes)
        return ADP_TOO_LONG;
    if (text.count >= 16 && text.count <= 32) {
        const __m128i head = _mm_loadu_si128((const __m128i *)text.bytes);
        const __m128i tail = _mm_loadu_si128((const __m128i *)(text.bytes + text.count - 16));
        _mm_storeu_si128((__m128i *)out, head);
        _mm_storeu_si128((__m128i *)(out + text.count - 16), tail);
        return are_plain(head) && are_plain(tail) ? (int)text.count : ADP_MALFORMED;
    }
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
    if (hole <= ADP_HOLE_TRIGGER && out_bytes < NUMBER_ROOM)
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
    LS_CHECK(!"a hole that is none");
    return ADP_MALFORMED; /* not reached; the thread sanitizer's build does not see that */
}

bool adp_segments_set(const struct adp_segments *segments, const struct adp_hole_values *values,
    uint32_t holes, struct adp_segments *out)
{
    size_t at = 0;
    out->text_bytes = out->hole_count = 0;
    for (size_t i = 0; i < segments->hole_count; i++) {
        const uint8_t hole = segments->holes[i].hole;
        uint8_t number[NUMBER_ROOM];
        if (!add_span(out, segments->text + at, segments->holes[i].at - at))
            return false;
        at = segments->holes[i].at;
        if ((holes >> hole & 1) == 0) {
            if (!adp_segments_hole(out, (enum adp_hole)hole))
                return false;
            continue;
        }
        LS_CHECK(hole <= ADP_HOLE_TRIGGER);
        const int count = put_hole(hole, values, false, number, sizeof number);
        if (count < 0 || !add_span(out, (const char *)number, (size_t)count))
            return false;
    }
    return add_span(out, segments->text + at, segments->text_bytes - at);
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
