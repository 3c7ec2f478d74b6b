#include "ipc/journal_text.h"

#include "ipc/decimal.h"
#include "ipc/reason.h"
#include "ipc/tag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- text --- */

void ipc_text_start(struct ipc_text *text, char *bytes, size_t capacity)
{
    LS_CHECK(capacity >= 1);
    *text = (struct ipc_text){.bytes = bytes, .capacity = capacity};
    bytes[0] = '\0';
}

void ipc_text_put(struct ipc_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = text->capacity - text->used;
    int wanted = vsnprintf(text->bytes + text->used, room, format, arguments);
    va_end(arguments);
    if (wanted < 0)
        return;
    if ((size_t)wanted >= room) {
        text->is_cut = true;
        text->used = text->capacity - 1;
    } else {
        text->used += (size_t)wanted;
    }
}

void ipc_text_put_e8(struct ipc_text *text, int64_t value_e8)
{
    char decimal[IPC_DECIMAL_BYTES];
    ipc_decimal_format(value_e8, decimal);
    ipc_text_put(text, "%s", decimal);
}

void ipc_text_put_time(struct ipc_text *text, int64_t wall_ns)
{
    int64_t seconds = wall_ns / LS_NS_PER_S, rest = wall_ns % LS_NS_PER_S;
    if (rest < 0) {
        rest += LS_NS_PER_S;
        seconds--;
    }
    struct tm broken;
    time_t when = (time_t)seconds;
    if (gmtime_r(&when, &broken) == NULL) {
        ipc_text_put(text, "?");
        return;
    }
    ipc_text_put(text, "%04d-%02d-%02dT%02d:%02d:%02d.%09lldZ", broken.tm_year + 1900,
        broken.tm_mon + 1, broken.tm_mday, broken.tm_hour, broken.tm_min, broken.tm_sec,
        (long long)rest);
}

void ipc_text_put_clean(struct ipc_text *text, const char *from, size_t bytes_max)
{
    for (size_t i = 0; i < bytes_max && from[i] != '\0'; i++) {
        char c = from[i];
        ipc_text_put(text, "%c", c >= ' ' && c <= '~' ? c : '.');
    }
}

void ipc_text_put_json(struct ipc_text *text, const char *from, size_t bytes_max)
{
    ipc_text_put(text, "\"");
    for (size_t i = 0; i < bytes_max && from[i] != '\0'; i++) {
        unsigned char c = (unsigned char)from[i];
        if (c == '"' || c == '\\')
            ipc_text_put(text, "\\%c", c);
        else if (c < ' ' || c > '~')
            ipc_text_put(text, "\\u%04x", c);
        else
            ipc_text_put(text, "%c", c);
    }
    ipc_text_put(text, "\"");
}

int64_t ipc_text_span(int64_t from, int64_t to)
{
    int64_t span;
    if (!__builtin_sub_overflow(to, from, &span))
        return span;
    return from > to ? -INT64_MAX : INT64_MAX;
}

/* --- orders seen --- */

struct order_row {
    struct ipc_key key; /* zeros = free */
    uint64_t digits;
};

struct ipc_journal_orders {
    struct order_row *rows;
    size_t room, count; /* room is a power of two, at most three quarters full */
};

static struct order_row *order_find(const struct ipc_journal_orders *orders, struct ipc_key key)
{
    size_t at = (size_t)(key.word[0] ^ key.word[1] * 3) & (orders->room - 1);
    static const struct ipc_key free_key;
    while (
        !ipc_key_equal(orders->rows[at].key, free_key) && !ipc_key_equal(orders->rows[at].key, key))
        at = (at + 1) & (orders->room - 1);
    return &orders->rows[at];
}

struct ipc_journal_orders *ipc_journal_orders_make(void)
{
    struct ipc_journal_orders *orders = calloc(1, sizeof *orders);
    if (orders == NULL)
        return NULL;
    orders->room = 1024;
    orders->rows = calloc(orders->room, sizeof *orders->rows);
    if (orders->rows == NULL) {
        free(orders);
        return NULL;
    }
    return orders;
}

void ipc_journal_orders_free(struct ipc_journal_orders *orders)
{
    if (orders == NULL)
        return;
    free(orders->rows);
    free(orders);
}

static bool orders_grow(struct ipc_journal_orders *orders)
{
    struct ipc_journal_orders grown = {.room = orders->room * 2, .count = orders->count};
    grown.rows = calloc(grown.room, sizeof *grown.rows);
    if (grown.rows == NULL)
        return false;
    static const struct ipc_key free_key;
    for (size_t i = 0; i < orders->room; i++)
        if (!ipc_key_equal(orders->rows[i].key, free_key))
            *order_find(&grown, orders->rows[i].key) = orders->rows[i];
    free(orders->rows);
    *orders = grown;
    return true;
}

void ipc_journal_orders_learn(struct ipc_journal_orders *orders, const struct ipc_frame *frame)
{
    static const struct ipc_key free_key;
    if (frame->type != IPC_FACT_EVENT || frame->payload_bytes < sizeof(struct ipc_fact_event))
        return;
    struct ipc_fact_event fact;
    memcpy(&fact, frame + 1, sizeof fact);
    if (ipc_key_equal(fact.event.order_key, free_key))
        return;
    if (orders->count * 4 >= orders->room * 3 && !orders_grow(orders))
        return; /* without memory a tag is shown as "?" */
    struct order_row *row = order_find(orders, fact.event.order_key);
    if (ipc_key_equal(row->key, free_key))
        orders->count++;
    row->key = fact.event.order_key;
    row->digits = fact.event.order_digits;
}

bool ipc_journal_orders_digits(
    const struct ipc_journal_orders *orders, struct ipc_key key, uint64_t *digits)
{
    if (orders == NULL)
        return false;
    const struct order_row *row = order_find(orders, key);
    if (!ipc_key_equal(row->key, key) || (key.word[0] == 0 && key.word[1] == 0))
        return false;
    *digits = row->digits;
    return true;
}

void ipc_journal_tag(const struct ipc_journal_orders *orders, struct ipc_key order_key,
    const struct ipc_fact_child *child, char tag[IPC_TAG_BYTES])
{
    struct ipc_tag_parts parts = {.follower_no = child->follower_no, .action = child->action};
    memset(tag, 0, IPC_TAG_BYTES);
    tag[0] = '?';
    if (ipc_journal_orders_digits(orders, order_key, &parts.order_digits) &&
        parts.order_digits < IPC_TAG_ORDERS && parts.follower_no >= 1 &&
        parts.follower_no < IPC_TAG_FOLLOWERS && parts.action < IPC_TAG_ACTIONS)
        ipc_tag_compose(&parts, tag);
}

int64_t ipc_journal_list(
    const struct ipc_frame *frame, uint32_t fixed_bytes, uint32_t element_bytes, uint32_t count)
{
    uint64_t wanted = fixed_bytes + (uint64_t)element_bytes * count;
    return wanted == frame->payload_bytes ? (int64_t)count : -1;
}

int64_t ipc_journal_batch(const struct ipc_frame *frame, const struct ipc_fact_batch *batch)
{
    if (batch->child_count > IPC_BATCH_CHILDREN_MAX || batch->wide_count > batch->child_count)
        return -1;
    return frame->payload_bytes == ipc_fact_batch_bytes(batch) ? (int64_t)batch->child_count : -1;
}
