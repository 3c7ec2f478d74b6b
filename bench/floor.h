/* floor.h: the floor: the same bytes, encrypted by SSL_write over as many sessions and sent by bare
 * sends. What no engine that uses this TLS library and these sockets can be faster than.
 *
 * The bytes are those that the peer saw arrive from the engine, with other stream numbers. Making
 * them is not part of the floor. Sessions use the engine's cipher suites, its largest record and a
 * write BIO into memory, as the engine does; one send per session takes what was sealed for it.
 * One thread. */
#ifndef LS_BENCH_FLOOR_H
#define LS_BENCH_FLOOR_H

#include "bench/peer.h"

struct bench_floor;

/* bench_floor_open connects as many sessions as the captured orders had connections, and one more
 * for the single order.
 *   page     the peer's, with captures of one whole wave; copied
 *   returns  IPC_OK or IPC_SYSTEM with a sentence */
LS_MUST_USE enum ipc_rc bench_floor_open(struct bench_floor **floor,
    const struct bench_peer_page *page, uint16_t port, const char *ca_file,
    struct ipc_error *error);
void bench_floor_close(struct bench_floor *floor);

/* One round's times, from its own start. */
struct bench_floor_times {
    int64_t first_ns;  /* one order alone: one record sealed and sent to a waiting peer */
    int64_t median_ns; /* half of the bytes sealed and sent, to a session's end */
    int64_t last_ns;   /* all sessions sealed and sent */
    uint32_t sends, records;
};

/* bench_floor_prepare writes the next stream numbers into the bytes; outside the measurement. */
void bench_floor_prepare(struct bench_floor *floor);

/* bench_floor_single sends one order on the spare session; bench_floor_wave sends all of them.
 *   returns  IPC_OK; IPC_SYSTEM when a socket has failed */
LS_MUST_USE enum ipc_rc bench_floor_single(
    struct bench_floor *floor, struct bench_floor_times *times);
LS_MUST_USE enum ipc_rc bench_floor_wave(
    struct bench_floor *floor, struct bench_floor_times *times);

/* bench_floor_drain throws away what the peer answered. */
void bench_floor_drain(struct bench_floor *floor);

uint32_t bench_floor_sessions(const struct bench_floor *floor);
uint64_t bench_floor_plain_bytes(const struct bench_floor *floor);
/* The cipher suite in use, for the report. */
const char *bench_floor_cipher(const struct bench_floor *floor);

#endif
