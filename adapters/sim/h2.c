/* h2.c: HTTP/2 of one connection through nghttp2: bytes in, calls; answers, bytes out. No socket.
 */
#include "adapters/sim/net_private.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct h2 {
    nghttp2_session *session;
    size_t header_bytes; /* of the header block being read */
};

static struct h2 *h2_of(struct adp_sim_conn *conn)
{
    return conn->state;
}

static bool is_name(const uint8_t *name, size_t bytes, const char *wanted)
{
    return bytes == strlen(wanted) && memcmp(name, wanted, bytes) == 0;
}

static void copy_text(
    struct adp_sim_call *call, char *out, size_t out_bytes, const uint8_t *value, size_t bytes)
{
    if (bytes >= out_bytes) {
        call->too_large = true;
        bytes = out_bytes - 1;
    }
    memcpy(out, value, bytes);
    out[bytes] = '\0';
}

static void take_path(struct adp_sim_call *call, const uint8_t *value, size_t bytes)
{
    const uint8_t *mark = memchr(value, '?', bytes);
    size_t path_bytes = mark == NULL ? bytes : (size_t)(mark - value);
    copy_text(call, call->path, sizeof(call->path), value, path_bytes);
    if (mark != NULL)
        copy_text(call, call->query, sizeof(call->query), mark + 1, bytes - path_bytes - 1);
}

static void take_authorization(struct adp_sim_call *call, const uint8_t *value, size_t bytes)
{
    if (bytes + 1 > call->authorization_capacity) {
        call->authorization_capacity = bytes + 1;
        call->authorization = realloc(call->authorization, call->authorization_capacity);
        LS_CHECK(call->authorization != NULL);
    }
    memcpy(call->authorization, value, bytes);
    call->authorization[bytes] = '\0';
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct adp_sim_conn *conn = user_data;
    if (conn->dead)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    h2_of(conn)->header_bytes = 0;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct adp_sim_call *call = adp_sim_net_call_begin(conn);
    call->stream = frame->hd.stream_id;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags, void *user_data)
{
    struct adp_sim_conn *conn = user_data;
    struct adp_sim_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags;
    if (conn->dead)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (call == NULL)
        return 0;
    h2_of(conn)->header_bytes += name_bytes + value_bytes + 32;
    if (h2_of(conn)->header_bytes > ADP_SIM_HEADER_BYTES_MAX) {
        call->too_large = true;
        return 0;
    }
    if (is_name(name, name_bytes, ":path"))
        take_path(call, value, value_bytes);
    else if (is_name(name, name_bytes, ":method"))
        copy_text(call, call->method, sizeof(call->method), value, value_bytes);
    else if (is_name(name, name_bytes, "authorization"))
        take_authorization(call, value, value_bytes);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
    size_t count, void *user_data)
{
    struct adp_sim_conn *conn = user_data;
    struct adp_sim_call *call = nghttp2_session_get_stream_user_data(session, stream);
    (void)flags;
    if (conn->dead)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (call == NULL)
        return 0;
    if (call->body.length + count > ADP_SIM_BODY_BYTES_MAX)
        call->too_large = true;
    else
        adp_sim_text_add(&call->body, (const char *)bytes, count);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct adp_sim_conn *conn = user_data;
    if (conn->dead)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->hd.type == NGHTTP2_PING && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        adp_sim_net_stats_of(conn->net)->pings++;
        if (!conn->ignore_pings)
            nghttp2_submit_ping(session, NGHTTP2_FLAG_ACK, frame->ping.opaque_data);
        return 0;
    }
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct adp_sim_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (call != NULL && !call->answered && call->round == 0)
        adp_sim_net_call_run(call); /* may end the connection */
    return conn->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(
    nghttp2_session *session, int32_t stream, uint32_t error_code, void *user_data)
{
    struct adp_sim_conn *conn = user_data;
    struct adp_sim_call *call = nghttp2_session_get_stream_user_data(session, stream);
    (void)error_code;
    if (conn->dead || call == NULL)
        return 0;
    nghttp2_session_set_stream_user_data(session, stream, NULL);
    adp_sim_net_call_end(call);
    return 0;
}

static ssize_t read_answer(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room,
    uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    struct adp_sim_call *call = source->ptr;
    (void)session, (void)stream, (void)user_data;
    size_t count = call->allowed - call->sent;
    if (count > room)
        count = room;
    if (count == 0 && call->sent < call->answer.length)
        return NGHTTP2_ERR_DEFERRED;
    if (count > 0)
        memcpy(out, call->answer.bytes + call->sent, count);
    call->sent += count;
    if (call->sent == call->answer.length)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)count;
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value),
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

static void h2_answer(struct adp_sim_conn *conn, struct adp_sim_call *call)
{
    char status[16], length[24], retry[16];
    nghttp2_nv headers[6];
    size_t count = 0;

    snprintf(status, sizeof(status), "%d", call->status);
    snprintf(length, sizeof(length), "%zu", call->answer.length);
    headers[count++] = pair(":status", status);
    headers[count++] = pair("content-type", call->content_type);
    headers[count++] = pair("content-length", length);
    if (call->location[0] != '\0')
        headers[count++] = pair("location", call->location);
    if (call->retry_after_s != 0) {
        snprintf(retry, sizeof(retry), "%u", call->retry_after_s);
        headers[count++] = pair("retry-after", retry);
    }
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_answer};
    nghttp2_submit_response(h2_of(conn)->session, call->stream, headers, count, &provider);
}

static bool h2_open(struct adp_sim_conn *conn)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    const struct adp_sim_h2_settings *settings = adp_sim_net_usual_settings(conn->net);
    struct h2 *h2 = calloc(1, sizeof(*h2));

    LS_CHECK(h2 != NULL);
    LS_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_option_set_no_auto_ping_ack(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    LS_CHECK(nghttp2_session_server_new2(&h2->session, callbacks, conn, option) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    conn->state = h2;

    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings->max_concurrent_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings->initial_window_bytes},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, settings->header_table_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, ADP_SIM_HEADER_BYTES_MAX}};
    if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, LS_COUNT_OF(entries)) != 0)
        return false;
    if (settings->connection_window_bytes > 65535)
        nghttp2_session_set_local_window_size(
            h2->session, NGHTTP2_FLAG_NONE, 0, (int32_t)settings->connection_window_bytes);
    return true;
}

static bool h2_receive(struct adp_sim_conn *conn, const uint8_t *bytes, size_t count)
{
    ssize_t used = nghttp2_session_mem_recv(h2_of(conn)->session, bytes, count);
    return conn->dead || used == (ssize_t)count;
}

static bool h2_produce(struct adp_sim_conn *conn)
{
    nghttp2_session *session = h2_of(conn)->session;
    for (;;) {
        const uint8_t *bytes = NULL;
        ssize_t count = nghttp2_session_mem_send(session, &bytes);
        if (count < 0)
            return false;
        if (count == 0)
            break;
        adp_sim_text_add(&conn->out, (const char *)bytes, (size_t)count);
    }
    return nghttp2_session_want_read(session) || nghttp2_session_want_write(session);
}

static void h2_close(struct adp_sim_conn *conn)
{
    nghttp2_session_del(h2_of(conn)->session);
    free(conn->state);
    conn->state = NULL;
}

void adp_sim_h2_settings(struct adp_sim_conn *conn, const struct adp_sim_settings_change *change)
{
    nghttp2_settings_entry entries[3];
    size_t count = 0;
    if (change->header_table_bytes != UINT32_MAX)
        entries[count++] = (nghttp2_settings_entry){
            NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, change->header_table_bytes};
    if (change->initial_window_bytes != UINT32_MAX)
        entries[count++] = (nghttp2_settings_entry){
            NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, change->initial_window_bytes};
    if (change->max_concurrent_streams != UINT32_MAX)
        entries[count++] = (nghttp2_settings_entry){
            NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, change->max_concurrent_streams};
    nghttp2_submit_settings(h2_of(conn)->session, NGHTTP2_FLAG_NONE, entries, count);
}

void adp_sim_h2_goaway(struct adp_sim_conn *conn, int32_t last_stream, uint32_t error_code)
{
    nghttp2_session *session = h2_of(conn)->session;
    if (last_stream < 0)
        last_stream = nghttp2_session_get_last_proc_stream_id(session);
    nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, last_stream, error_code, NULL, 0);
}

void adp_sim_h2_rst_stream(struct adp_sim_conn *conn, int32_t stream, uint32_t error_code)
{
    nghttp2_submit_rst_stream(h2_of(conn)->session, NGHTTP2_FLAG_NONE, stream, error_code);
}

void adp_sim_h2_resume(struct adp_sim_conn *conn, int32_t stream)
{
    nghttp2_session_resume_data(h2_of(conn)->session, stream);
}

const struct adp_sim_protocol adp_sim_h2 = {
    .open = h2_open,
    .receive = h2_receive,
    .produce = h2_produce,
    .answer = h2_answer,
    .close = h2_close,
};
