/* connection.c: the block of memory of one connection, and its steps on the pinned thread. */
#include "engine/net/connection_private.h"

#include "ipc/clock.h"

#include <errno.h>
#include <string.h>

static const struct eng_h2_limits limits = {
    .plain_bytes = ENG_CONNECTION_PLAIN_BYTES, .stream_slots = ENG_CONNECTION_STREAM_SLOTS};

size_t eng_connection_footprint(void)
{
    return ls_align_up(sizeof(struct eng_connection), 64) +
           ls_align_up(ENG_CONNECTION_CIPHER_BYTES, 64) +
           ls_align_up(eng_h2_footprint(&limits), 64);
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
    connection->h2_memory = at + ls_align_up(ENG_CONNECTION_CIPHER_BYTES, 64);
    return connection;
}

bool eng_connection_open_h2(struct eng_connection *connection, struct eng_h2_bodies *bodies)
{
    connection->h2 = eng_h2_init(connection->h2_memory, &limits, bodies);
    return connection->h2 != NULL;
}

enum eng_h2_admission eng_connection_can_send(const struct eng_connection *connection,
    uint32_t header_bytes, uint32_t list_bytes, uint32_t body_bytes)
{
    if (LS_UNLIKELY(connection->ended || connection->draining || connection->clogged))
        return connection->clogged && !connection->ended ? ENG_H2_NO_ROOM : ENG_H2_SHUT;
    return eng_h2_can_send(connection->h2, header_bytes, list_bytes, body_bytes);
}

/* Seals what the arena holds room for and gives it to the socket, until one of them is through. */
int eng_connection_flush(struct eng_connection *connection, struct eng_edge *edge,
    uint32_t record_bytes, struct eng_connection_sent *sent)
{
    for (;;) {
        const struct adp_span plain = eng_h2_output(connection->h2);
        if (plain.count != 0) {
            const uint32_t records = connection->tls.record_count;
            const int64_t sealed = eng_tls_seal(&connection->tls, plain.bytes, plain.count,
                record_bytes, eng_h2_sealed(connection->h2));
            if (LS_UNLIKELY(sealed < 0))
                return EPROTO;
            eng_h2_output_taken(connection->h2, (size_t)sealed);
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
