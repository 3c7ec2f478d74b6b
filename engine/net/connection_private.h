/* connection_private.h: a connection's block and steps, shared by connect.c and pool.c. */
#ifndef LS_ENGINE_NET_CONNECTION_PRIVATE_H
#define LS_ENGINE_NET_CONNECTION_PRIVATE_H

#include "engine/net/connection.h"

/* One block: struct, cipher arena, HTTP machine. 64-byte aligned. */
size_t eng_connection_footprint(void);

/* eng_connection_place lays an empty connection out in its block and touches all of it. */
struct eng_connection *eng_connection_place(void *memory, uint32_t handle);

/* eng_connection_open starts the machine that ALPN chose; false when there is no memory. _shut
 * gives it back. Porter. */
bool eng_connection_open(struct eng_connection *connection, struct eng_h2_bodies *bodies);
void eng_connection_shut(struct eng_connection *connection);

/* The machine that the connection has, whichever it is: as eng_h2_* and eng_h1_*. */
enum eng_h2_admission eng_connection_request(
    struct eng_connection *connection, const struct eng_h2_request *request);
LS_MUST_USE bool eng_connection_receive(struct eng_connection *connection, const uint8_t *bytes,
    size_t count, int64_t now_mono_ns, const struct eng_h2_sink *sink);
void eng_connection_expire(
    struct eng_connection *connection, int64_t now_mono_ns, const struct eng_h2_sink *sink);
bool eng_connection_has_stale(const struct eng_connection *connection, int64_t now_mono_ns);
void eng_connection_end(
    struct eng_connection *connection, enum ipc_evidence evidence, const struct eng_h2_sink *sink);
void eng_connection_set_bodies(struct eng_connection *connection, struct eng_h2_bodies *bodies);
bool eng_connection_draining(const struct eng_connection *connection);
const char *eng_connection_error_text(const struct eng_connection *connection);

struct eng_connection_sent {
    uint64_t sends, records, bytes;
    uint64_t send_ticks; /* of the time stamp counter, inside send calls */
};

/* eng_connection_flush seals and sends while the socket takes it. Not while a rest is out.
 *   returns  0, or the errno with which the socket or the session failed */
int eng_connection_flush(struct eng_connection *connection, struct eng_edge *edge,
    uint32_t record_bytes, struct eng_connection_sent *sent);

#endif
