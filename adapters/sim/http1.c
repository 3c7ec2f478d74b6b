/* http1.c: HTTP/1.1 of one connection: small and strict. One request at a time, bodies by
 * Content-Length only. Serves the admin port, and broker calls of clients that do not offer h2. No
 * socket. */
#include "adapters/sim/net_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http1 {
    struct adp_sim_text in;    /* what was read and not yet used */
    struct adp_sim_call *call; /* the one being answered */
    bool close_after;
    bool broken;
};

static struct http1 *http1_of(struct adp_sim_conn *conn)
{
    return conn->state;
}

static bool http1_open(struct adp_sim_conn *conn)
{
    conn->state = calloc(1, sizeof(struct http1));
    LS_CHECK(conn->state != NULL);
    return true;
}

static void refuse(struct adp_sim_conn *conn, int status)
{
    adp_sim_text_printf(&conn->out,
        "HTTP/1.1 %d %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", status,
        adp_sim_status_phrase(status));
    http1_of(conn)->broken = true;
}

/* Finds the value of a header line; NULL when it is another header. */
static const char *value_of(const char *line, const char *name)
{
    size_t bytes = strlen(name);
    if (strncasecmp(line, name, bytes) != 0 || line[bytes] != ':')
        return NULL;
    line += bytes + 1;
    while (*line == ' ' || *line == '\t')
        line++;
    return line;
}

static bool take_number(const char *text, size_t *out)
{
    size_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > ADP_SIM_BODY_BYTES_MAX)
            return false;
        value = value * 10 + (size_t)(*text - '0');
    }
    *out = value;
    return true;
}

/* Parses the zero-terminated head. Returns 0 or the status to refuse with. */
static int parse_head(
    struct adp_sim_conn *conn, struct adp_sim_call *call, char *head, size_t *body_bytes)
{
    char *save = NULL;
    char *line = strtok_r(head, "\r\n", &save);
    if (line == NULL)
        return 400;
    char *target = strchr(line, ' ');
    char *version = target == NULL ? NULL : strchr(target + 1, ' ');
    if (version == NULL || target == line)
        return 400;
    *target++ = '\0';
    *version++ = '\0';
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return 505;
    http1_of(conn)->close_after = strcmp(version, "HTTP/1.0") == 0;
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    if (strlen(line) >= sizeof(call->method) || strlen(target) >= sizeof(call->path) ||
        (query != NULL && strlen(query) >= sizeof(call->query)))
        return 414;
    memcpy(call->method, line, strlen(line) + 1);
    memcpy(call->path, target, strlen(target) + 1);
    if (query != NULL)
        memcpy(call->query, query, strlen(query) + 1);
    bool has_length = false;
    while ((line = strtok_r(NULL, "\r\n", &save)) != NULL) {
        const char *value;
        if ((value = value_of(line, "content-length")) != NULL) {
            if (has_length || !take_number(value, body_bytes))
                return 400;
            has_length = true;
        } else if (value_of(line, "transfer-encoding") != NULL) {
            return 501;
        } else if ((value = value_of(line, "authorization")) != NULL) {
            size_t bytes = strlen(value);
            if (bytes + 1 > call->authorization_capacity) {
                call->authorization = realloc(call->authorization, bytes + 1);
                LS_CHECK(call->authorization != NULL);
                call->authorization_capacity = bytes + 1;
            }
            memcpy(call->authorization, value, bytes + 1);
        } else if ((value = value_of(line, "connection")) != NULL) {
            if (strcasecmp(value, "close") == 0)
                http1_of(conn)->close_after = true;
        } else if ((value = value_of(line, "expect")) != NULL) {
            if (strcasecmp(value, "100-continue") == 0)
                adp_sim_text_put(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n");
        }
    }
    return *body_bytes > ADP_SIM_BODY_BYTES_MAX ? 413 : 0;
}

/* Whether a head asks to go on as a WebSocket. */
static bool wants_websocket(const char *head, const char *end)
{
    static const char field[] = "\r\nupgrade: websocket\r\n";
    const size_t bytes = sizeof(field) - 1;
    for (const char *at = head; at + bytes <= end + 2; at++) {
        if (strncasecmp(at, field, bytes) == 0)
            return true;
    }
    return false;
}

/* Starts the next request if all its bytes are there and none is being answered. */
static bool start_next(struct adp_sim_conn *conn)
{
    struct http1 *http1 = http1_of(conn);
    if (http1->call != NULL && http1->call->round > 0)
        return false;
    if (http1->broken || http1->in.length == 0)
        return false;
    if (http1->call == NULL) {
        char *end = memmem(http1->in.bytes, http1->in.length, "\r\n\r\n", 4);
        if (end == NULL) {
            if (http1->in.length > ADP_SIM_HEADER_BYTES_MAX)
                refuse(conn, 431);
            return false;
        }
        size_t head_bytes = (size_t)(end - http1->in.bytes) + 4;
        if (wants_websocket(http1->in.bytes, end)) {
            if (!adp_sim_net_relay(conn, http1->in.bytes, http1->in.length))
                refuse(conn, 503);
            return false;
        }
        struct adp_sim_call *call = adp_sim_net_call_begin(conn);
        size_t body_bytes = 0;
        *end = '\0';
        int status = memchr(http1->in.bytes, '\0', head_bytes - 4) != NULL
                         ? 400
                         : parse_head(conn, call, http1->in.bytes, &body_bytes);
        adp_sim_text_drop(&http1->in, head_bytes);
        if (status != 0) {
            adp_sim_net_call_end(call);
            refuse(conn, status);
            return false;
        }
        call->allowed = body_bytes; /* until the body is there, what is still to come */
        http1->call = call;
    }
    struct adp_sim_call *call = http1->call;
    if (http1->in.length < call->allowed)
        return false;
    adp_sim_text_add(&call->body, http1->in.bytes == NULL ? "" : http1->in.bytes, call->allowed);
    adp_sim_text_drop(&http1->in, call->allowed);
    call->allowed = 0;
    call->stream = 0;
    adp_sim_net_call_run(call); /* may end the connection, may answer at once */
    return !conn->dead;
}

static bool http1_receive(struct adp_sim_conn *conn, const uint8_t *bytes, size_t count)
{
    struct http1 *http1 = http1_of(conn);
    if (http1->in.length + count > ADP_SIM_BODY_BYTES_MAX + 2 * ADP_SIM_HEADER_BYTES_MAX)
        return false;
    adp_sim_text_add(&http1->in, (const char *)bytes, count);
    while (start_next(conn))
        ;
    return true;
}

static bool http1_produce(struct adp_sim_conn *conn)
{
    while (start_next(conn))
        ;
    /* It may not be ours any more: given to the relay. */
    return conn->dead || conn->protocol != &adp_sim_http1 || !http1_of(conn)->broken;
}

static void http1_answer(struct adp_sim_conn *conn, struct adp_sim_call *call)
{
    struct http1 *http1 = http1_of(conn);
    adp_sim_text_printf(&conn->out, "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\n",
        call->status, adp_sim_status_phrase(call->status), call->content_type, call->answer.length);
    if (call->location[0] != '\0')
        adp_sim_text_printf(&conn->out, "location: %s\r\n", call->location);
    if (call->retry_after_s != 0)
        adp_sim_text_printf(&conn->out, "retry-after: %u\r\n", call->retry_after_s);
    if (http1->close_after) {
        adp_sim_text_put(&conn->out, "connection: close\r\n");
        http1->broken = true;
    }
    adp_sim_text_put(&conn->out, "\r\n");
    if (strcmp(call->method, "HEAD") != 0 && call->answer.length > 0)
        adp_sim_text_add(&conn->out, call->answer.bytes, call->answer.length);
    http1->call = NULL;
    adp_sim_net_call_end(call);
}

static void http1_close(struct adp_sim_conn *conn)
{
    adp_sim_text_free(&http1_of(conn)->in);
    free(conn->state);
    conn->state = NULL;
}

const char *adp_sim_status_phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 302:
        return "Found";
    case 307:
        return "Temporary Redirect";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Status";
    }
}

const struct adp_sim_protocol adp_sim_http1 = {
    .open = http1_open,
    .receive = http1_receive,
    .produce = http1_produce,
    .answer = http1_answer,
    .close = http1_close,
};
