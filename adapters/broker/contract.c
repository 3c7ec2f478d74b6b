#include "adapters/broker/contract.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "adapters/broker/alice_blue_contract.h"

const struct adp_contract_format *adp_contract_format_find(const char *dialect)
{
    return strcmp(dialect, adp_alice_blue_contracts.dialect) == 0 ? &adp_alice_blue_contracts
                                                                  : NULL;
}

/* ---- identity -------------------------------------------------------------------------------- */

bool adp_contract_same(const struct ipc_row_instrument *a, const struct ipc_row_instrument *b)
{
    return a->exchange == b->exchange && a->kind == b->kind && a->right == b->right &&
           a->expiry_yyyymmdd == b->expiry_yyyymmdd && a->strike_e8 == b->strike_e8 &&
           memcmp(a->underlying, b->underlying, sizeof(a->underlying)) == 0;
}

uint64_t adp_contract_key(const struct ipc_row_instrument *row)
{
    uint64_t words[5] = {0};
    memcpy(words, row->underlying, sizeof(row->underlying));
    words[3] = (uint64_t)row->strike_e8;
    words[4] = (uint64_t)row->expiry_yyyymmdd << 24 | (uint64_t)row->exchange << 16 |
               (uint64_t)row->kind << 8 | row->right;
    uint64_t hash = UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < LS_COUNT_OF(words); i++) {
        hash = (hash ^ words[i]) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    return hash;
}

uint64_t adp_contract_identity(
    const struct ipc_row_instrument *row, int64_t lot_qty_e8, int64_t tick_e8)
{
    /* Fixed places, so that no two fields can run into each other. */
    struct {
        int64_t lot_qty_e8, tick_e8, strike_e8;
        uint32_t expiry_yyyymmdd;
        uint8_t exchange, kind, right, zero;
        char underlying[24];
    } input = {.lot_qty_e8 = lot_qty_e8,
        .tick_e8 = tick_e8,
        .strike_e8 = row->strike_e8,
        .expiry_yyyymmdd = row->expiry_yyyymmdd,
        .exchange = row->exchange,
        .kind = row->kind,
        .right = row->right};
    _Static_assert(sizeof(input) == 56, "no padding is hashed");
    memcpy(input.underlying, row->underlying, sizeof(input.underlying));
    uint8_t digest[SHA256_DIGEST_LENGTH];
    LS_CHECK(SHA256((const uint8_t *)&input, sizeof(input), digest) == digest);
    uint64_t identity;
    memcpy(&identity, digest, sizeof(identity));
    return identity;
}

/* ---- lines ----------------------------------------------------------------------------------- */

bool adp_contract_next_line(struct adp_span *rest, bool first, struct adp_span *line)
{
    static const uint8_t mark[3] = {0xef, 0xbb, 0xbf};
    if (first && rest->count >= sizeof(mark) && memcmp(rest->bytes, mark, sizeof(mark)) == 0) {
        rest->bytes += sizeof(mark);
        rest->count -= sizeof(mark);
    }
    if (rest->count == 0)
        return false;
    const uint8_t *end = memchr(rest->bytes, '\n', rest->count);
    size_t count = end != NULL ? (size_t)(end - rest->bytes) : rest->count;
    size_t taken = end != NULL ? count + 1 : count;
    *line = (struct adp_span){rest->bytes, count};
    if (count > 0 && line->bytes[count - 1] == '\r')
        line->count--;
    rest->bytes += taken;
    rest->count -= taken;
    return true;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static struct adp_span trimmed(const uint8_t *from, const uint8_t *to)
{
    while (from < to && is_blank(*from))
        from++;
    while (to > from && is_blank(to[-1]))
        to--;
    return (struct adp_span){from, (size_t)(to - from)};
}

/* A field in quotes, `at` behind the opening one. Returns where the field ends, NULL when it is not
 * closed or something follows the closing quote. */
static const uint8_t *unquote(
    const uint8_t *at, const uint8_t *end, char **scratch, struct adp_span *field)
{
    char *out = *scratch;
    for (; at < end; at++) {
        if (*at == '"' && at + 1 < end && at[1] == '"')
            at++;
        else if (*at == '"')
            break;
        *(*scratch)++ = (char)*at;
    }
    if (at == end)
        return NULL;
    *field = trimmed((const uint8_t *)out, (const uint8_t *)*scratch);
    for (at++; at < end && is_blank(*at); at++)
        ;
    return at == end || *at == ',' ? at : NULL;
}

int adp_contract_split(struct adp_span line, struct adp_span *fields, char *scratch,
    struct adp_contract_problem *problem)
{
    const uint8_t *at = line.bytes, *end = line.bytes + line.count;
    if (trimmed(at, end).count == 0)
        return 0;
    for (uint32_t count = 0;; at++) {
        if (count == ADP_CONTRACT_FIELDS_MAX)
            return adp_contract_refuse(problem, "the line", line, "has more than 32 fields");
        while (at < end && is_blank(*at))
            at++;
        if (at < end && *at == '"') {
            at = unquote(at + 1, end, &scratch, &fields[count]);
            if (at == NULL)
                return adp_contract_refuse(
                    problem, "the line", line, "has a quote that does not end with its field");
        } else {
            const uint8_t *from = at;
            while (at < end && *at != ',')
                at++;
            fields[count] = trimmed(from, at);
        }
        count++;
        if (at == end)
            return (int)count;
    }
}

enum adp_rc adp_contract_refuse(struct adp_contract_problem *problem, const char *column,
    struct adp_span value, const char *sentence)
{
    char shown[49];
    size_t count = value.count < sizeof(shown) - 1 ? value.count : sizeof(shown) - 1;
    for (size_t i = 0; i < count; i++)
        shown[i] = value.bytes[i] >= 0x20 && value.bytes[i] < 0x7f ? (char)value.bytes[i] : '?';
    shown[count] = '\0';
    snprintf(problem->text, sizeof(problem->text), "%s '%s%s' %s", column, shown,
        count < value.count ? "..." : "", sentence);
    return ADP_MALFORMED;
}

bool adp_contract_word(struct adp_span field, const char *text)
{
    size_t i = 0;
    for (; i < field.count && text[i] != '\0'; i++) {
        uint8_t a = field.bytes[i], b = (uint8_t)text[i];
        a = a >= 'A' && a <= 'Z' ? (uint8_t)(a + 32) : a;
        b = b >= 'A' && b <= 'Z' ? (uint8_t)(b + 32) : b;
        if (a != b)
            return false;
    }
    return i == field.count && text[i] == '\0';
}
