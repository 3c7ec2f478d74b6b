/* hpack.c: literals, static references, Huffman (RFC 7541). */
#include "engine/net/hpack.h"

#include <string.h>

/* RFC 7541 appendix A, entries 1 to 61. */
static const struct {
    const char *name, *value;
} static_table[] = {
    {":authority", ""},
    {":method", "GET"},
    {":method", "POST"},
    {":path", "/"},
    {":path", "/index.html"},
    {":scheme", "http"},
    {":scheme", "https"},
    {":status", "200"},
    {":status", "204"},
    {":status", "206"},
    {":status", "304"},
    {":status", "400"},
    {":status", "404"},
    {":status", "500"},
    {"accept-charset", ""},
    {"accept-encoding", "gzip, deflate"},
    {"accept-language", ""},
    {"accept-ranges", ""},
    {"accept", ""},
    {"access-control-allow-origin", ""},
    {"age", ""},
    {"allow", ""},
    {"authorization", ""},
    {"cache-control", ""},
    {"content-disposition", ""},
    {"content-encoding", ""},
    {"content-language", ""},
    {"content-length", ""},
    {"content-location", ""},
    {"content-range", ""},
    {"content-type", ""},
    {"cookie", ""},
    {"date", ""},
    {"etag", ""},
    {"expect", ""},
    {"expires", ""},
    {"from", ""},
    {"host", ""},
    {"if-match", ""},
    {"if-modified-since", ""},
    {"if-none-match", ""},
    {"if-range", ""},
    {"if-unmodified-since", ""},
    {"last-modified", ""},
    {"link", ""},
    {"location", ""},
    {"max-forwards", ""},
    {"proxy-authenticate", ""},
    {"proxy-authorization", ""},
    {"range", ""},
    {"referer", ""},
    {"refresh", ""},
    {"retry-after", ""},
    {"server", ""},
    {"set-cookie", ""},
    {"strict-transport-security", ""},
    {"transfer-encoding", ""},
    {"user-agent", ""},
    {"vary", ""},
    {"via", ""},
    {"www-authenticate", ""},
};
_Static_assert(LS_COUNT_OF(static_table) == 61, "RFC 7541 appendix A");

/* Bits of each symbol's Huffman code, RFC 7541 appendix B. The code is canonical: within a length,
 * codes ascend with the symbol, so the lengths say everything. */
/* clang-format off */
static const uint8_t code_bits[256] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
};
/* clang-format on */

#define CODE_BITS_MAX 30u

/* The codes that follow from the lengths. Made per string on the stack: half a microsecond, and
 * only the porter makes blocks. */
static void make_codes(uint32_t codes[256])
{
    uint32_t next[CODE_BITS_MAX + 1] = {0}, count[CODE_BITS_MAX + 1] = {0};
    for (uint32_t s = 0; s < 256; s++)
        count[code_bits[s]]++;
    for (uint32_t bits = 2; bits <= CODE_BITS_MAX; bits++)
        next[bits] = (next[bits - 1] + count[bits - 1]) << 1;
    for (uint32_t s = 0; s < 256; s++)
        codes[s] = next[code_bits[s]]++;
}

static size_t huffman_bytes(const uint8_t *text, size_t count)
{
    size_t bits = 0;
    for (size_t i = 0; i < count; i++)
        bits += code_bits[text[i]];
    return (bits + 7) / 8;
}

static void put_byte(struct eng_hpack *block, uint32_t byte)
{
    block->bytes[block->count++] = (uint8_t)byte;
}

/* An integer with a prefix of `prefix` bits, `first` holding the bits above it (RFC 7541 5.1). */
static void put_integer(struct eng_hpack *block, uint32_t first, uint32_t prefix, size_t value)
{
    const uint32_t limit = (1u << prefix) - 1;
    if (value < limit) {
        put_byte(block, first | (uint32_t)value);
        return;
    }
    put_byte(block, first | limit);
    for (value -= limit; value >= 128; value >>= 7)
        put_byte(block, (uint32_t)(value & 127) | 128u);
    put_byte(block, (uint32_t)value);
}

static void put_string(struct eng_hpack *block, const uint8_t *text, size_t count)
{
    const size_t coded = huffman_bytes(text, count);
    if (coded >= count) {
        put_integer(block, 0, 7, count);
        memcpy(block->bytes + block->count, text, count);
        block->count += (uint32_t)count;
        return;
    }
    put_integer(block, 128, 7, coded);
    uint32_t codes[256];
    make_codes(codes);
    uint64_t window = 0;
    uint32_t held = 0;
    for (size_t i = 0; i < count; i++) {
        window = (window << code_bits[text[i]]) | codes[text[i]];
        held += code_bits[text[i]];
        for (; held >= 8; held -= 8)
            put_byte(block, (uint32_t)(window >> (held - 8)) & 255u);
    }
    if (held != 0) /* padded with the first bits of the end-of-string symbol, all ones */
        put_byte(block, (uint32_t)((window << (8 - held)) | (255u >> held)) & 255u);
}

static bool name_may_stand(const char *name)
{
    const char *rest = name[0] == ':' ? name + 1 : name;
    if (*rest == '\0')
        return false;
    for (; *rest != '\0'; rest++) {
        const bool is_token = (*rest >= 'a' && *rest <= 'z') || (*rest >= '0' && *rest <= '9') ||
                              strchr("!#$%&'*+-.^_`|~", *rest) != NULL;
        if (!is_token)
            return false;
    }
    return true;
}

static bool value_may_stand(const uint8_t *value, size_t count)
{
    if (count == 0)
        return true;
    if (value[0] == ' ' || value[0] == '\t' || value[count - 1] == ' ' || value[count - 1] == '\t')
        return false;
    for (size_t i = 0; i < count; i++) {
        if ((value[i] < 32 && value[i] != '\t') || value[i] == 127)
            return false;
    }
    return true;
}

void eng_hpack_begin(struct eng_hpack *block, uint8_t *memory, size_t capacity)
{
    LS_CHECK(capacity <= ENG_HPACK_BLOCK_MAX);
    *block = (struct eng_hpack){.bytes = memory, .capacity = (uint32_t)capacity};
}

enum ipc_rc eng_hpack_add(
    struct eng_hpack *block, const char *name, const void *value, size_t value_bytes, bool secret)
{
    if (!name_may_stand(name) || !value_may_stand(value, value_bytes))
        return IPC_BAD_INPUT;
    const size_t name_bytes = strlen(name);
    /* The longest form: prefix, two lengths of at most 4 bytes each, both strings as they are. */
    if (value_bytes > block->capacity || name_bytes > block->capacity ||
        block->count + 9 + name_bytes + value_bytes > block->capacity)
        return IPC_TOO_LONG;
    uint32_t name_index = 0;
    for (uint32_t i = 0; i < LS_COUNT_OF(static_table); i++) {
        if (strcmp(static_table[i].name, name) != 0)
            continue;
        if (name_index == 0)
            name_index = i + 1;
        if (!secret && static_table[i].value[0] != '\0' &&
            strlen(static_table[i].value) == value_bytes &&
            memcmp(static_table[i].value, value, value_bytes) == 0) {
            put_integer(block, 128, 7, i + 1);
            block->list_bytes += (uint32_t)(name_bytes + value_bytes) + 32u;
            return IPC_OK;
        }
    }
    put_integer(block, secret ? 16u : 0u, 4, name_index);
    if (name_index == 0)
        put_string(block, (const uint8_t *)name, name_bytes);
    put_string(block, value, value_bytes);
    block->list_bytes += (uint32_t)(name_bytes + value_bytes) + 32u;
    return IPC_OK;
}

enum ipc_rc eng_hpack_add_text(struct eng_hpack *block, const char *name, const char *value)
{
    return eng_hpack_add(block, name, value, strlen(value), false);
}

uint32_t eng_hpack_put_length(uint8_t *out, uint32_t n, uint32_t *digits)
{
    LS_CHECK(n < 100000);
    if (LS_LIKELY(n >= 100 && n < 1000)) { /* an order's body: three digits, without a loop */
        const uint32_t tens = n / 10, hundreds = n / 100;
        out[0] = 0x0f;
        out[1] = 0x0d;
        out[2] = 3;
        out[3] = (uint8_t)('0' + hundreds);
        out[4] = (uint8_t)('0' + (tens - hundreds * 10));
        out[5] = (uint8_t)('0' + (n - tens * 10));
        *digits = 3;
        return 6;
    }
    const uint32_t count = n < 10 ? 1u : n < 100 ? 2u : n < 1000 ? 3u : n < 10000 ? 4u : 5u;
    out[0] = 0x0f; /* literal without indexing, name 28 = 15 + 13 of the static table */
    out[1] = 0x0d;
    out[2] = (uint8_t)count;
    for (uint32_t i = count; i > 0; i--) {
        out[2 + i] = (uint8_t)('0' + n % 10);
        n /= 10;
    }
    *digits = count;
    return 3 + count;
}
