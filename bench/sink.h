/* sink.h: connections to nowhere: the engine's own HTTP/2 and TLS machines, warm, whose cipher text
 * is counted and dropped where a socket would take it.
 *
 * The other end of the handshake is an OpenSSL server in this process; afterwards answers are made
 * by the sink itself, as plain frames, so that streams and windows come back. One thread. */
#ifndef LS_BENCH_SINK_H
#define LS_BENCH_SINK_H

#include "engine/net/h2.h"
#include "engine/net/tls.h"

struct bench_sink;

/* bench_sink_open makes `connections` of them.
 *   directory  where its certificate goes
 *   returns    IPC_OK, or IPC_SYSTEM with a sentence and *out NULL */
LS_MUST_USE enum ipc_rc bench_sink_open(
    struct bench_sink **out, uint32_t connections, const char *directory, struct ipc_error *error);
void bench_sink_close(struct bench_sink *sink); /* NULL is allowed */

/* bench_sink_h2 is the machine of a connection, [0, connections), for eng_h2_request. */
struct eng_h2 *bench_sink_h2(struct bench_sink *sink, uint32_t connection);

/* bench_sink_sent notes that a request was put into it. */
void bench_sink_sent(struct bench_sink *sink, uint32_t connection, uint32_t stream_id);

/* bench_sink_seal makes records of what waits on the connections that were noted, and drops them.
 *   record_bytes  as eng_tls_seal
 *   records       how many were made, added
 *   returns       bytes of cipher text */
uint64_t bench_sink_seal(struct bench_sink *sink, uint32_t record_bytes, uint64_t *records);

/* bench_sink_answer answers every request since the last call, with an empty 200. */
void bench_sink_answer(struct bench_sink *sink, int64_t now_mono_ns);

#endif
