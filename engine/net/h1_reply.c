/* h1_reply.c: replies, a byte at a time where it is the head, so that where the bytes are cut makes
 * no difference (RFC 9112). */
#include "engine/net/bodies.h"
#include "engine/net/h1_private.h"

#include <string.h>

/* Characters of a field name (RFC 9110 5.6.2). */
static const bool tokens[256] = {
    ['0' ... '9'] = true,
    ['A' ... 'Z'] = true,
    ['a' ... 'z'] = true,
    ['!'] = true,
    ['#' ... '\''] = true,
    ['*' ... '+'] = true,
    ['-' ... '.'] = true,
    ['^' ... '`'] = true,
    ['|'] = true,
    ['~'] = true,
};

static bool is_token(uint8_t c)
{
    return tokens[c];
}

/* A character of a field value or of the reason: no control but the tab. */
static bool is_text(uint8_t c)
{
    return (c >= ' ' && c != 0x7f) || c == '\t';
}

static bool finish(struct eng_h1 *h1, const uint8_t *body, const struct eng_h2_sink *sink)
{
    const struct eng_h2_reply reply = {
        .child = h1->child,
        .request_no = h1->request_no,
        .account = h1->account,
        .stream_id = h1->requests,
        .http_status = h1->reply.status,
        .late = h1->overdue,
        .body = {h1->chunk_first == ENG_H2_NO_CHUNK
                     ? body
                     : eng_bodies_whole(h1->bodies, h1->chunk_first, h1->received),
            h1->received},
    };
    h1->replies++;
    sink->reply(&reply, sink->context);
    h1_settle(h1);
    return true;
}

/* Body bytes; what does not end the reply here is kept. */
static bool take_body(struct eng_h1 *h1, const uint8_t *bytes, size_t count)
{
    if (h1->received + count > ENG_H2_REPLY_BODY_MAX)
        return h1_fail(h1, "a reply body above 64 KiB");
    if (!eng_bodies_keep(h1->bodies, &h1->chunk_first, &h1->received, bytes, count))
        return h1_fail(h1, "no memory for the pieces of a reply");
    return true;
}

/* ---- fields -----------------------------------------------------------------------------------
 */

static bool name_is(const struct eng_h1 *h1, const char *name)
{
    return h1->name_bytes == strlen(name) && memcmp(h1->name, name, h1->name_bytes) == 0;
}

/* Value as a number below 10^9; false when it is anything else. */
static bool number_of(const char *digits, size_t count, uint32_t *out)
{
    uint32_t value = 0;
    if (count == 0 || count > 9)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(digits[i] - '0');
    }
    *out = value;
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool same_word(const char *text, size_t count, const char *word)
{
    if (count != strlen(word))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (lower(text[i]) != word[i])
            return false;
    }
    return true;
}

/* The next element of a comma list; false at its end. */
static bool next_element(const char **at, const char *end, const char **element, size_t *count)
{
    while (*at < end && (**at == ' ' || **at == '\t' || **at == ','))
        (*at)++;
    *element = *at;
    while (*at < end && **at != ',')
        (*at)++;
    const char *last = *at;
    while (last > *element && (last[-1] == ' ' || last[-1] == '\t'))
        last--;
    *count = (size_t)(last - *element);
    return *count != 0;
}

static void take_connection(struct eng_h1 *h1)
{
    const char *at = h1->value, *element;
    size_t count;
    while (next_element(&at, h1->value + h1->value_bytes, &element, &count)) {
        if (same_word(element, count, "close"))
            h1->reply.says_close = true;
        if (same_word(element, count, "keep-alive"))
            h1->reply.says_keep = true;
    }
}

/* "timeout=5, max=99": a hint, so what is not understood is passed over. */
static void take_keep_alive(struct eng_h1 *h1)
{
    const char *at = h1->value, *element;
    size_t count;
    while (next_element(&at, h1->value + h1->value_bytes, &element, &count)) {
        if (count > 8 && same_word(element, 8, "timeout="))
            (void)number_of(element + 8, count - 8, &h1->peer_idle_s);
        if (count > 4 && same_word(element, 4, "max="))
            (void)number_of(element + 4, count - 4, &h1->peer_requests_left);
    }
}

/* A whole field. Lengths in trailers come too late to mean anything. */
static bool take_field(struct eng_h1 *h1)
{
    struct h1_head *reply = &h1->reply;
    if (!h1->value_matters)
        return true;
    const bool is_cut = h1->value_bytes > H1_VALUE_BYTES;
    while (!is_cut && h1->value_bytes != 0 &&
           (h1->value[h1->value_bytes - 1] == ' ' || h1->value[h1->value_bytes - 1] == '\t'))
        h1->value_bytes--;
    if (name_is(h1, "content-length")) {
        if (reply->has_length)
            return h1_fail(h1, "a second Content-Length");
        if (is_cut || !number_of(h1->value, h1->value_bytes, &reply->length))
            return h1_fail(h1, "a Content-Length that is no number");
        reply->has_length = true;
    } else if (name_is(h1, "transfer-encoding")) {
        if (reply->has_coding || is_cut || !same_word(h1->value, h1->value_bytes, "chunked"))
            return h1_fail(h1, "a Transfer-Encoding other than chunked");
        if (reply->minor == 0)
            return h1_fail(h1, "Transfer-Encoding in HTTP/1.0");
        reply->has_coding = true;
    } else if (name_is(h1, "connection")) {
        if (is_cut)
            reply->says_close = true; /* it may be behind what was not read */
        else
            take_connection(h1);
    } else if (name_is(h1, "keep-alive") && !is_cut) {
        take_keep_alive(h1);
    }
    return true;
}

/* The empty line after the fields: interim reply, final one, or the end of trailers. */
static bool take_head(struct eng_h1 *h1, const struct eng_h2_sink *sink)
{
    struct h1_head *reply = &h1->reply;
    if (reply->is_trailer)
        return finish(h1, NULL, sink);
    if (reply->has_length && reply->has_coding)
        return h1_fail(h1, "Content-Length and Transfer-Encoding together");
    if (reply->status < 200) {
        if (reply->status == 101)
            return h1_fail(h1, "101, which was not asked for");
        if (reply->has_length || reply->has_coding)
            return h1_fail(h1, "an interim reply with a body");
        if (++h1->interims > ENG_H1_INTERIMS_MAX)
            return h1_fail(h1, "interim replies without end");
        h1->at = H1_AT_START;
        return true;
    }
    if (reply->says_close || (reply->minor == 0 && !reply->says_keep))
        h1->draining = true;
    if (reply->status == 204 || reply->status == 304)
        return finish(h1, NULL, sink);
    if (reply->has_coding) {
        h1->at = H1_AT_CHUNK_SIZE;
        h1->left = h1->chunk_digits = 0;
        return true;
    }
    if (!reply->has_length) {
        h1->draining = true;
        h1->at = H1_AT_UNTIL_CLOSE;
        return true;
    }
    if (reply->length > ENG_H2_REPLY_BODY_MAX)
        return h1_fail(h1, "a reply body above 64 KiB");
    h1->left = reply->length;
    h1->at = H1_AT_BODY;
    return h1->left != 0 || finish(h1, NULL, sink);
}

/* ---- bytes ------------------------------------------------------------------------------------
 */

static bool begin_reply(struct eng_h1 *h1)
{
    if (!h1->in_flight)
        return h1_fail(h1, "bytes without a request");
    /* An answer to a part of a request says nothing about what the whole of it will do. */
    if (h1->head != h1->tail)
        return h1_fail(h1, "a reply before the request was there");
    h1->reply = (struct h1_head){0};
    h1->matched = 0;
    h1->at = H1_AT_VERSION;
    return true;
}

static bool take_status_byte(struct eng_h1 *h1, uint8_t c)
{
    struct h1_head *reply = &h1->reply;
    if (reply->digits == 0 && c == ' ') {
        reply->digits = 1;
        return true;
    }
    if (reply->digits == 4) {
        h1->at = c == '\r' ? H1_AT_LINE_END : H1_AT_REASON;
        return (c == '\r' || c == ' ') || h1_fail(h1, "a status that is not three digits");
    }
    if (reply->digits == 0 || c < '0' || c > '9' || (reply->digits == 1 && c == '0'))
        return h1_fail(h1, "a status that is not three digits");
    reply->status = (uint16_t)(reply->status * 10 + (c - '0'));
    reply->digits++;
    return true;
}

static bool take_field_start(struct eng_h1 *h1, uint8_t c)
{
    if (c == '\r') {
        h1->at = H1_AT_HEAD_END;
        return true;
    }
    if (c == ' ' || c == '\t')
        return h1_fail(h1, "a folded field");
    h1->name_bytes = 0;
    h1->at = H1_AT_NAME;
    return true;
}

static bool take_name_byte(struct eng_h1 *h1, uint8_t c)
{
    if (c == ':' && h1->name_bytes != 0) {
        h1->value_bytes = 0;
        h1->at = H1_AT_VALUE;
        /* Of the names that take_field looks for, no others have these lengths often. */
        h1->value_matters = !h1->reply.is_trailer &&
                            (h1->name_bytes == 10 || h1->name_bytes == 14 || h1->name_bytes == 17);
        return true;
    }
    if (!is_token(c))
        return h1_fail(h1, "a field name with a character that may not stand there");
    if (h1->name_bytes < H1_NAME_BYTES)
        h1->name[h1->name_bytes++] = lower((char)c);
    else
        h1->name_bytes = H1_NAME_BYTES + 1;
    return true;
}

static bool take_value_byte(struct eng_h1 *h1, uint8_t c)
{
    if (c == '\r') {
        h1->at = H1_AT_FIELD_END;
        return true;
    }
    if (!is_text(c))
        return h1_fail(h1, "a field value with a control character");
    if (h1->value_bytes == 0 && (c == ' ' || c == '\t'))
        return true;
    if (h1->value_bytes < H1_VALUE_BYTES)
        h1->value[h1->value_bytes++] = (char)c;
    else
        h1->value_bytes = H1_VALUE_BYTES + 1;
    return true;
}

static bool take_chunk_size_byte(struct eng_h1 *h1, uint8_t c)
{
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit >= 0) {
        if (++h1->chunk_digits > 8)
            return h1_fail(h1, "a chunk size of more than eight digits");
        h1->left = h1->left << 4 | (uint32_t)digit;
        return true;
    }
    if (h1->chunk_digits == 0 || (c != '\r' && c != ';'))
        return h1_fail(h1, "a chunk size that is no number");
    if (h1->left > ENG_H2_REPLY_BODY_MAX)
        return h1_fail(h1, "a reply body above 64 KiB");
    h1->at = c == '\r' ? H1_AT_CHUNK_SIZE_END : H1_AT_CHUNK_EXTENSION;
    return true;
}

static bool take_chunk_size_end(struct eng_h1 *h1)
{
    h1->reply.is_trailer = h1->left == 0;
    h1->at = h1->left == 0 ? H1_AT_FIELD : H1_AT_CHUNK;
    return true;
}

static bool wants(struct eng_h1 *h1, uint8_t c, uint8_t wanted, enum h1_at next)
{
    h1->at = next;
    return c == wanted || h1_fail(h1, "a line that does not end with CR LF");
}

/* One byte that is not of the body. */
static bool take_byte(struct eng_h1 *h1, uint8_t c, const struct eng_h2_sink *sink)
{
    static const char version[] = "HTTP/1.";
    if (++h1->overhead > ENG_H1_OVERHEAD_MAX)
        return h1_fail(h1, "a reply's head above 32 KiB");
    switch (h1->at) {
    case H1_AT_START:
        if (!begin_reply(h1))
            return false;
        /* fall through */
    case H1_AT_VERSION:
        if (h1->matched < sizeof version - 1)
            return c == (uint8_t)version[h1->matched++] || h1_fail(h1, "no HTTP/1.1 reply");
        h1->reply.minor = (uint8_t)(c - '0');
        h1->at = H1_AT_STATUS;
        return c == '0' || c == '1' || h1_fail(h1, "a version other than HTTP/1.0 and 1.1");
    case H1_AT_STATUS:
        return take_status_byte(h1, c);
    case H1_AT_REASON:
        if (c == '\r')
            h1->at = H1_AT_LINE_END;
        return c == '\r' || is_text(c) || h1_fail(h1, "a reason with a control character");
    case H1_AT_LINE_END:
        return wants(h1, c, '\n', H1_AT_FIELD);
    case H1_AT_FIELD:
        if (!take_field_start(h1, c))
            return false;
        return h1->at != H1_AT_NAME || take_name_byte(h1, c);
    case H1_AT_NAME:
        return take_name_byte(h1, c);
    case H1_AT_VALUE:
        return take_value_byte(h1, c);
    case H1_AT_FIELD_END:
        return wants(h1, c, '\n', H1_AT_FIELD) && take_field(h1);
    case H1_AT_HEAD_END:
        return wants(h1, c, '\n', H1_AT_START) && take_head(h1, sink);
    case H1_AT_CHUNK_SIZE:
        return take_chunk_size_byte(h1, c);
    case H1_AT_CHUNK_EXTENSION:
        if (c == '\r')
            h1->at = H1_AT_CHUNK_SIZE_END;
        return c == '\r' || is_text(c) || h1_fail(h1, "a chunk extension with a control character");
    case H1_AT_CHUNK_SIZE_END:
        return wants(h1, c, '\n', H1_AT_CHUNK) && take_chunk_size_end(h1);
    case H1_AT_CHUNK_CR:
        return wants(h1, c, '\r', H1_AT_CHUNK_LF);
    case H1_AT_CHUNK_LF:
        h1->left = h1->chunk_digits = 0;
        return wants(h1, c, '\n', H1_AT_CHUNK_SIZE);
    case H1_AT_BODY:
    case H1_AT_CHUNK:
    case H1_AT_UNTIL_CLOSE:
        break;
    }
    return h1_fail(h1, "a reply in no known place"); /* body bytes do not come here */
}

/* Text that nobody looks at, as far as it goes: most of a head. */
static bool skip_text(struct eng_h1 *h1, const uint8_t **bytes, const uint8_t *end)
{
    const uint8_t *at = *bytes;
    while (at < end && is_text(*at))
        at++;
    h1->overhead += (uint32_t)(at - *bytes);
    *bytes = at;
    return h1->overhead <= ENG_H1_OVERHEAD_MAX || h1_fail(h1, "a reply's head above 32 KiB");
}

/* Body bytes as far as they go. */
static bool take_span(
    struct eng_h1 *h1, const uint8_t **bytes, const uint8_t *end, const struct eng_h2_sink *sink)
{
    const size_t there = (size_t)(end - *bytes);
    if (h1->at == H1_AT_UNTIL_CLOSE) {
        const uint8_t *from = *bytes;
        *bytes = end;
        return take_body(h1, from, there);
    }
    const size_t take = there < h1->left ? there : h1->left;
    const uint8_t *from = *bytes;
    *bytes += take;
    if (h1->at == H1_AT_BODY && h1->received == 0 && take == h1->left) {
        h1->received = (uint32_t)take; /* all of it lies here: nothing is copied */
        h1->left = 0;
        return finish(h1, from, sink);
    }
    if (!take_body(h1, from, take))
        return false;
    h1->left -= (uint32_t)take;
    if (h1->left != 0)
        return true;
    if (h1->at == H1_AT_BODY)
        return finish(h1, NULL, sink);
    h1->at = H1_AT_CHUNK_CR;
    return true;
}

bool eng_h1_receive(
    struct eng_h1 *h1, const uint8_t *bytes, size_t count, const struct eng_h2_sink *sink)
{
    const uint8_t *const end = bytes + count;
    while (bytes < end && !h1->shut) {
        const bool is_body =
            h1->at == H1_AT_BODY || h1->at == H1_AT_CHUNK || h1->at == H1_AT_UNTIL_CLOSE;
        const bool is_passed_over =
            (h1->at == H1_AT_VALUE && !h1->value_matters) || h1->at == H1_AT_REASON;
        if (is_passed_over && is_text(*bytes)) {
            if (!skip_text(h1, &bytes, end))
                return false;
        } else if (is_body) {
            if (!take_span(h1, &bytes, end, sink))
                return false;
        } else if (!take_byte(h1, *bytes++, sink)) {
            return false;
        }
    }
    return !h1->shut;
}

void eng_h1_closed(struct eng_h1 *h1, const struct eng_h2_sink *sink)
{
    if (!h1->shut && h1->in_flight && h1->at == H1_AT_UNTIL_CLOSE)
        (void)finish(h1, NULL, sink);
}
