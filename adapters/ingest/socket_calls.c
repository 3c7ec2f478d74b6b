/* socket_calls.c: what libwebsockets tells of a connection. */
#include "adapters/ingest/socket_private.h"

#include "ipc/clock.h"
#include "ipc/log.h"
#include "ipc/secret.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES_MAX 65536u

int64_t socket_pass_ns(struct adp_sockets *sockets)
{
    if (sockets->pass_ns == 0)
        sockets->pass_ns = ipc_clock_mono_ns();
    return sockets->pass_ns;
}

static void take_error(struct adp_socket *socket, struct lws *wsi, const char *in, size_t bytes)
{
    char text[96] = "";
    const uint32_t status = lws_http_client_http_response(wsi);
    if (in != NULL && bytes > 0)
        (void)ipc_log_escape(in, bytes < 90 ? bytes : 90, text, sizeof(text));
    socket->turn++; /* a name may have several addresses, and one of them may be dead */
    socket->end.http_status = status;
    socket_finish(socket, status != 0 ? ADP_SOCKET_END_REFUSED : ADP_SOCKET_END_UNREACHED, text);
}

static void take_open(struct adp_socket *socket)
{
    const int64_t now = socket_pass_ns(socket->sockets);
    socket->state = SOCKET_OPEN;
    socket->heard_ns = now;
    socket->pinged_ns = now;
    socket->beat_ns = now + (int64_t)socket->rules.heartbeat_ms * LS_NS_PER_MS;
    socket->sockets->has_work = true; /* its deadlines are new */
    if (socket->calls->opened != NULL)
        socket->calls->opened(socket, socket->context);
}

static bool keep_piece(struct adp_socket *socket, const uint8_t *bytes, size_t count)
{
    const size_t most = socket->rules.message_bytes_max;
    if (count > most - socket->message_bytes)
        return false;
    if (socket->message_bytes + count > socket->message_room) {
        size_t room = socket->message_room == 0 ? 4096 : socket->message_room;
        while (room < socket->message_bytes + count)
            room *= 2;
        socket->message = realloc(socket->message, room);
        LS_CHECK(socket->message != NULL);
        socket->message_room = room;
    }
    if (count > 0)
        memcpy(socket->message + socket->message_bytes, bytes, count);
    socket->message_bytes += count;
    return true;
}

static void give_message(
    struct adp_socket *socket, struct lws *wsi, const uint8_t *bytes, size_t count)
{
    const struct adp_socket_message message = {
        .bytes = {bytes, count},
        .is_binary = lws_frame_is_binary(wsi) != 0,
        .received_mono_ns = socket->message_mono_ns,
    };
    socket->has_message = false;
    if (socket->calls->message != NULL)
        socket->calls->message(socket, &message, socket->context);
}

static void take_piece(struct adp_socket *socket, struct lws *wsi, const uint8_t *in, size_t bytes)
{
    const bool is_last = lws_is_final_fragment(wsi) != 0 && lws_remaining_packet_payload(wsi) == 0;
    socket->heard_ns = socket_pass_ns(socket->sockets);
    if (!socket->has_message) {
        socket->has_message = true;
        socket->message_bytes = 0;
        socket->message_mono_ns = socket->heard_ns;
        if (is_last && bytes <= socket->rules.message_bytes_max) { /* the common case: no copy */
            give_message(socket, wsi, in, bytes);
            return;
        }
    }
    if (!keep_piece(socket, in, bytes)) {
        socket_finish(socket, ADP_SOCKET_END_TOO_LONG, "");
        return;
    }
    if (is_last)
        give_message(socket, wsi, socket->message, socket->message_bytes);
}

static void free_text(struct adp_socket *socket)
{
    struct socket_text *text = socket->first_text;
    socket->first_text = text->next;
    if (socket->first_text == NULL)
        socket->last_text = &socket->first_text;
    socket->text_bytes -= text->bytes;
    ipc_secret_wipe(text->memory, LWS_PRE + text->bytes);
    free(text);
}

/* One write per call: libwebsockets keeps what the kernel did not take, and says when it may have
 * more.
 *   returns  false when the connection is broken */
static bool write_one(struct adp_socket *socket, struct lws *wsi)
{
    uint8_t empty[LWS_PRE + 1];
    if (socket->first_text != NULL) {
        struct socket_text *text = socket->first_text;
        const size_t bytes = text->bytes;
        const int written = lws_write(wsi, text->memory + LWS_PRE, bytes, LWS_WRITE_TEXT);
        free_text(socket);
        if (written < (int)bytes)
            return false;
    } else if (socket->wants_ping) {
        socket->wants_ping = false;
        if (lws_write(wsi, empty + LWS_PRE, 0, LWS_WRITE_PING) < 0)
            return false;
    }
    if (socket->first_text != NULL || socket->wants_ping)
        (void)lws_callback_on_writable(wsi);
    return true;
}

static void take_close(struct adp_socket *socket, const uint8_t *in, size_t bytes)
{
    if (bytes < 2)
        return;
    socket->end.close_code = (uint32_t)in[0] << 8 | in[1];
    (void)ipc_log_escape((const char *)in + 2, bytes - 2 < 90 ? bytes - 2 : 90, socket->end.text,
        sizeof(socket->end.text));
}

/* A connection whose socket has ended or gone: whatever it says, it is closed. */
static int dismiss(struct lws *wsi, int reason)
{
    switch (reason) {
    case LWS_CALLBACK_CLIENT_WRITEABLE:
    case LWS_CALLBACK_CLIENT_RECEIVE:
        lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
        return -1;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        return -1;
    default:
        return 0;
    }
}

static int on_socket(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes)
{
    struct adp_socket *socket = user;
    if (socket == NULL || socket->wsi != wsi)
        return dismiss(wsi, (int)reason);
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        take_error(socket, wsi, in, bytes);
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        take_open(socket);
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        lws_validity_confirmed(wsi);
        take_piece(socket, wsi, in, bytes);
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        socket->heard_ns = socket_pass_ns(socket->sockets);
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (!write_one(socket, wsi))
            return -1;
        break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        take_close(socket, in, bytes);
        break;
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        socket_finish(socket, ADP_SOCKET_END_PEER, NULL);
        return 0;
    default:
        return 0;
    }
    /* What was called may have ended or freed the socket. */
    return socket->wsi == wsi ? 0 : dismiss(wsi, LWS_CALLBACK_CLIENT_RECEIVE);
}

static int on_watch(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes)
{
    const struct socket_watch *watch = lws_get_opaque_user_data(wsi);
    (void)user;
    (void)in;
    (void)bytes;
    if ((int)reason == LWS_CALLBACK_RAW_RX_FILE && watch != NULL)
        watch->ready(watch->context);
    return 0;
}

const struct lws_protocols socket_protocols[] = {
    {.name = SOCKET_PROTOCOL, .callback = on_socket, .rx_buffer_size = MESSAGE_BYTES_MAX},
    {.name = SOCKET_WATCH_PROTOCOL, .callback = on_watch},
    {.name = NULL},
};
