#include "adapters/sim/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void adp_sim_text_free(struct adp_sim_text *text)
{
    free(text->bytes);
    *text = (struct adp_sim_text){0};
}

char *adp_sim_text_room(struct adp_sim_text *text, size_t bytes)
{
    if (text->length + bytes + 1 > text->capacity) {
        size_t capacity = text->capacity == 0 ? 512 : text->capacity;
        while (capacity < text->length + bytes + 1)
            capacity *= 2;
        text->bytes = realloc(text->bytes, capacity);
        LS_CHECK(text->bytes != NULL);
        text->capacity = capacity;
    }
    return text->bytes + text->length;
}

void adp_sim_text_add(struct adp_sim_text *text, const char *bytes, size_t count)
{
    char *at = adp_sim_text_room(text, count);
    if (count > 0)
        memcpy(at, bytes, count);
    text->length += count;
    text->bytes[text->length] = '\0';
}

void adp_sim_text_put(struct adp_sim_text *text, const char *string)
{
    adp_sim_text_add(text, string, strlen(string));
}

void adp_sim_text_printf(struct adp_sim_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    LS_CHECK(length >= 0);
    char *at = adp_sim_text_room(text, (size_t)length);
    va_start(arguments, format);
    vsnprintf(at, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

void adp_sim_text_quote(struct adp_sim_text *text, const char *string)
{
    adp_sim_text_add(text, "\"", 1);
    for (const char *at = string; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\') {
            char pair[2] = {'\\', *at};
            adp_sim_text_add(text, pair, 2);
        } else if (byte < 0x20 || byte == 0x7f) {
            adp_sim_text_printf(text, "\\u%04x", (unsigned)byte);
        } else {
            adp_sim_text_add(text, at, 1);
        }
    }
    adp_sim_text_add(text, "\"", 1);
}

void adp_sim_text_int(struct adp_sim_text *text, int64_t value)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%lld", (long long)value);
    adp_sim_text_add(text, digits, (size_t)length);
}

void adp_sim_text_e8(struct adp_sim_text *text, int64_t value_e8)
{
    char digits[ADP_SIM_E8_BYTES];
    adp_sim_text_add(text, digits, adp_sim_format_e8(value_e8, 0, digits));
}

void adp_sim_text_drop(struct adp_sim_text *text, size_t count)
{
    LS_CHECK(count <= text->length);
    if (count == 0)
        return;
    memmove(text->bytes, text->bytes + count, text->length - count);
    text->length -= count;
    text->bytes[text->length] = '\0';
}
