#include "ipc/decimal.h"

#define DECIMALS       8u
#define TEXT_BYTES_MAX 40u

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Magnitudes are unsigned and bounded by 2^63, so that INT64_MIN parses and prints too. */
static bool push_digit(uint64_t *magnitude, unsigned digit)
{
    const uint64_t largest = (uint64_t)1 << 63;
    if (*magnitude > (largest - digit) / 10)
        return false;
    *magnitude = *magnitude * 10 + digit;
    return true;
}

enum ipc_rc ipc_decimal_parse(const char *text, size_t bytes, int64_t *value_e8)
{
    if (bytes == 0)
        return IPC_BAD_INPUT;
    bool too_long = bytes > TEXT_BYTES_MAX;
    size_t at = 0;
    bool negative = text[0] == '-';
    if (negative)
        at++;
    uint64_t magnitude = 0;
    size_t whole_from = at;
    for (; at < bytes && is_digit(text[at]); at++)
        too_long |= !push_digit(&magnitude, (unsigned)(text[at] - '0'));
    if (at == whole_from)
        return IPC_BAD_INPUT;
    unsigned decimals = 0;
    if (at < bytes && text[at] == '.') {
        at++;
        size_t fraction_from = at;
        for (; at < bytes && is_digit(text[at]); at++) {
            if (decimals < DECIMALS) {
                too_long |= !push_digit(&magnitude, (unsigned)(text[at] - '0'));
                decimals++;
            } else {
                too_long |= text[at] != '0';
            }
        }
        if (at == fraction_from)
            return IPC_BAD_INPUT;
    }
    if (at != bytes)
        return IPC_BAD_INPUT;
    for (; decimals < DECIMALS; decimals++)
        too_long |= !push_digit(&magnitude, 0);
    if (too_long || (!negative && magnitude > (uint64_t)INT64_MAX))
        return IPC_TOO_LONG;
    *value_e8 = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return IPC_OK;
}

enum ipc_rc ipc_decimal_parse_whole(
    const char *text, size_t bytes, uint64_t largest, uint64_t *value)
{
    if (bytes == 0)
        return IPC_BAD_INPUT;
    uint64_t sum = 0;
    bool too_long = false;
    for (size_t at = 0; at < bytes; at++) {
        if (!is_digit(text[at]))
            return IPC_BAD_INPUT;
        uint64_t digit = (uint64_t)(text[at] - '0');
        too_long |= __builtin_mul_overflow(sum, (uint64_t)10, &sum);
        too_long |= __builtin_add_overflow(sum, digit, &sum);
    }
    if (too_long || sum > largest)
        return IPC_TOO_LONG;
    *value = sum;
    return IPC_OK;
}

size_t ipc_decimal_format_places(int64_t value_e8, unsigned places, char out[IPC_DECIMAL_BYTES])
{
    LS_CHECK(places <= DECIMALS);
    char reversed[IPC_DECIMAL_BYTES];
    unsigned used = 0;
    uint64_t magnitude = value_e8 < 0 ? 0 - (uint64_t)value_e8 : (uint64_t)value_e8;
    bool printing = false;
    for (unsigned i = DECIMALS; i > 0; i--) {
        unsigned digit = (unsigned)(magnitude % 10);
        magnitude /= 10;
        printing = printing || digit != 0 || i <= places;
        if (printing)
            reversed[used++] = (char)('0' + digit);
    }
    if (printing)
        reversed[used++] = '.';
    do {
        reversed[used++] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (value_e8 < 0)
        reversed[used++] = '-';
    for (unsigned i = 0; i < used; i++)
        out[i] = reversed[used - 1 - i];
    out[used] = '\0';
    return used;
}

size_t ipc_decimal_format(int64_t value_e8, char out[IPC_DECIMAL_BYTES])
{
    return ipc_decimal_format_places(value_e8, 0, out);
}
