/* connection_private.h: a connection's block and steps, shared by connect.c and pool.c. */
#ifndef LS_ENGINE_NET_CONNECTION_PRIVATE_H
#define LS_ENGINE_NET_CONNECTION_PRIVATE_H

#include "engine/net/connection.h"

/* One block: struct, cipher arena, HTTP/2 machine. 64-byte aligned. */
size_t eng_connection_footprint(void);

/* eng_connection_place lays an empty connection out in its block and touches all of it. */
struct eng_connection *eng_connection_place(void *memory, uint32_t handle);

/* eng_connection_open_h2 starts the HTTP/2 machine; false when there is no memory. */
bool eng_connection_open_h2(struct eng_connection *connection, struct eng_h2_bodies *bodies);

struct eng_connection_sent {
    uint64_t sends, records, bytes;
    uint64_t send_ticks; /* of the time stamp counter, inside send calls */
};

/* eng_connection_flush seals and sends while the socket takes it. Not while a rest is out.
 *   returns  0, or the errno with which the socket or the session failed */
int eng_connection_flush(struct eng_connection *connection, struct eng_edge *edge,
    uint32_t record_bytes, struct eng_connection_sent *sent);

#endif
