/* connection.c: the block of memory of one connection, and its steps on the pinned thread. */
#include "engine/net/connection_private.h"

#include "ipc/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static const struct eng_h2_limits limits = {
    .plain_bytes = ENG_CONNECTION_PLAIN_BYTES, .stream_slots = ENG_CONNECTION_STREAM_SLOTS};

static size_t machine_footprint(void)
{
    const size_t h2 = eng_h2_footprint(&limits), h1 = eng_h1_footprint(ENG_CONNECTION_PLAIN_BYTES);
    return ls_align_up(h2 > h1 ? h2 : h1, 64);
}

size_t eng_connection_footprint(void)
{
    return ls_align_up(sizeof(struct eng_connection), 64) +
           ls_align_up(ENG_CONNECTION_CIPHER_BYTES, 64) + machine_footprint();
}

struct eng_connection *eng_connection_place(void *memory, uint32_t handle)
{
    LS_CHECK(((uintptr_t)memory & 63) == 0);
    memset(memory, 0, eng_connection_footprint()); /* every page is there before it is needed */
    struct eng_connection *connection = memory;
    uint8_t *at = (uint8_t *)memory + ls_align_up(sizeof *connection, 64);
    connection->handle = handle;
    connection->fd = -1;
    connection->cipher_arena = at;
    connection->machine_memory = at + ls_align_up(ENG_CONNECTION_CIPHER_BYTES, 64);
    return connection;
}

bool eng_connection_open(struct eng_connection *connection, struct eng_h2_bodies *bodies)
{
    LS_CHECK(connection->h2 == NULL && connection->h1 == NULL);
    if (connection->tls.is_h2)
        connection->h2 = eng_h2_init(connection->machine_memory, &limits, bodies);
    else
        connection->h1 =
            eng_h1_init(connection->machine_memory, ENG_CONNECTION_PLAIN_BYTES, bodies);
    return connection->h2 != NULL || connection->h1 != NULL;
}

void eng_connection_shut(struct eng_connection *connection)
{
    if (connection->h2 != NULL)
        eng_h2_free(connection->h2);
    connection->h2 = NULL;
    connection->h1 = NULL;
}

/* Has the peer of an idle HTTP/1.1 connection hung up, or said something, that nobody has read yet?
 * Servers close idle connections at their own time (nginx 75 s, Apache 5 s, others 60 s), and what
 * is sent into a closed one is neither lost for certain nor done. The system call takes 0.2 µs. */
static enum eng_h2_admission ask_socket(const struct eng_connection *connection)
{
    uint8_t byte;
    const ssize_t got = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (LS_LIKELY(got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)))
        return ENG_H2_ADMITTED;
    return got > 0 ? ENG_H2_NO_STREAM : ENG_H2_SHUT;
}

enum eng_h2_admission eng_connection_can_send(const struct eng_connection *connection,
    uint32_t header_bytes, uint32_t list_bytes, uint32_t body_bytes)
{
    if (LS_UNLIKELY(connection->ended || connection->draining || connection->clogged))
        return connection->clogged && !connection->ended ? ENG_H2_NO_ROOM : ENG_H2_SHUT;
    if (connection->h1 == NULL)
        return eng_h2_can_send(connection->h2, header_bytes, list_bytes, body_bytes);
    const enum eng_h2_admission admission =
        eng_h1_can_send(connection->h1, header_bytes, body_bytes);
    return admission != ENG_H2_ADMITTED ? admission : ask_socket(connection);
}

enum eng_h2_admission eng_connection_request(
    struct eng_connection *connection, const struct eng_h2_request *request)
{
    return connection->h1 != NULL ? eng_h1_request(connection->h1, request, NULL)
                                  : eng_h2_request(connection->h2, request, NULL);
}

bool eng_connection_receive(struct eng_connection *connection, const uint8_t *bytes, size_t count,
    int64_t now_mono_ns, const struct eng_h2_sink *sink)
{
    return connection->h1 != NULL ? eng_h1_receive(connection->h1, bytes, count, sink)
                                  : eng_h2_receive(connection->h2, bytes, count, now_mono_ns, sink);
}

void eng_connection_expire(
    struct eng_connection *connection, int64_t now_mono_ns, const struct eng_h2_sink *sink)
{
    if (connection->h1 != NULL)
        eng_h1_expire(connection->h1, now_mono_ns, sink);
    else
        eng_h2_expire(connection->h2, now_mono_ns, sink);
}

bool eng_connection_has_stale(const struct eng_connection *connection, int64_t now_mono_ns)
{
    return connection->h1 != NULL ? eng_h1_has_stale(connection->h1, now_mono_ns)
                                  : eng_h2_has_stale(connection->h2, now_mono_ns);
}

void eng_connection_end(
    struct eng_connection *connection, enum ipc_evidence evidence, const struct eng_h2_sink *sink)
{
    if (connection->h1 != NULL)
        eng_h1_end(connection->h1, evidence, connection->tls.plain_handed, sink);
    else
        eng_h2_end(connection->h2, evidence, connection->tls.plain_handed, sink);
}

void eng_connection_set_bodies(struct eng_connection *connection, struct eng_h2_bodies *bodies)
{
    if (connection->h1 != NULL)
        eng_h1_set_bodies(connection->h1, bodies);
    else
        eng_h2_set_bodies(connection->h2, bodies);
}

bool eng_connection_draining(const struct eng_connection *connection)
{
    return connection->h1 != NULL ? eng_h1_draining(connection->h1)
                                  : eng_h2_draining(connection->h2);
}

const char *eng_connection_error_text(const struct eng_connection *connection)
{
    return connection->h1 != NULL ? eng_h1_error_text(connection->h1)
                                  : eng_h2_error_text(connection->h2);
}

/* Seals what the arena holds room for and gives it to the socket, until one of them is through. */
int eng_connection_flush(struct eng_connection *connection, struct eng_edge *edge,
    uint32_t record_bytes, struct eng_connection_sent *sent)
{
    for (;;) {
        const struct adp_span plain = eng_connection_output(connection);
        if (plain.count != 0) {
            const uint32_t records = connection->tls.record_count;
            const int64_t sealed = eng_tls_seal(&connection->tls, plain.bytes, plain.count,
                record_bytes, eng_connection_sealed(connection));
            if (LS_UNLIKELY(sealed < 0))
                return EPROTO;
            eng_connection_output_taken(connection, (size_t)sealed);
            sent->records += connection->tls.record_count - records;
        }
        size_t count;
        const uint8_t *cipher = eng_tls_pending(&connection->tls, &count);
        if (count == 0)
            return 0;
        const uint64_t before_tsc = ipc_clock_tsc();
        const int64_t taken = eng_edge_send(edge, connection->handle, cipher, count);
        connection->handed_tsc = ipc_clock_tsc();
        sent->send_ticks += connection->handed_tsc - before_tsc;
        if (LS_UNLIKELY(taken < 0))
            return (int)-taken;
        eng_tls_handed(&connection->tls, (size_t)taken);
        sent->sends++;
        sent->bytes += (uint64_t)taken;
        if (LS_UNLIKELY((size_t)taken < count)) {
            /* The edge has the rest and may give it to the kernel at any moment: from here on it
             * counts as handed over. */
            eng_tls_attempted(&connection->tls, count - (size_t)taken);
            return 0;
        }
    }
}
