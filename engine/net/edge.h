/* edge.h: the sockets. The only part of engine/net that makes system calls on the pinned thread,
 * with two makers behind one interface: io_uring and epoll.
 *
 * A socket is named by its handle, a number the caller chose in [0, sockets). Sends go to the
 * kernel at once (non-blocking); what the socket did not take is left to the edge, which reports
 * SENT later: at most one such rest per socket, and its bytes stay untouched until SENT or REMOVED.
 * Received bytes lie in the edge's buffers until eng_edge_release.
 *
 * Threads: opened and used by the pinned thread only (an io_uring with one issuer). No allocation
 * from libc after eng_edge_open. */
#ifndef LS_ENGINE_NET_EDGE_H
#define LS_ENGINE_NET_EDGE_H

#include "adapters/span.h"
#include "ipc/rc.h"

enum eng_edge_kind {
    ENG_EDGE_AUTO = 0, /* uring when the kernel has what we need, else epoll */
    ENG_EDGE_URING = 1,
    ENG_EDGE_EPOLL = 2,
};

struct eng_edge_config {
    enum eng_edge_kind kind;
    uint32_t sockets;              /* handles are [0, sockets), [1, 65536] */
    uint32_t receive_buffers;      /* a power of two, [8, 32768] */
    uint32_t receive_buffer_bytes; /* [1024, 65536]; a TLS record needs not fit */
};

enum eng_edge_event_kind {
    ENG_EDGE_RECEIVED = 1, /* bytes; release the event afterwards */
    ENG_EDGE_SENT = 2,     /* `count` bytes of the rest were taken by the kernel; call send again
                              with what is left */
    ENG_EDGE_CLOSED = 3,   /* the peer closed (error 0) or the socket failed; remove it */
    ENG_EDGE_REMOVED = 4,  /* last event of a handle after eng_edge_remove: the descriptor may be
                              closed, the handle and the memory of a rest may be used again */
    ENG_EDGE_WAKE = 5,     /* a watched descriptor is readable */
};

struct eng_edge_event {
    enum eng_edge_event_kind kind;
    uint32_t handle;
    int error;            /* CLOSED: errno, 0 = end of stream */
    uint32_t count;       /* SENT, RECEIVED */
    const uint8_t *bytes; /* RECEIVED */
    uint32_t buffer;      /* RECEIVED: the edge's own number of the buffer */
};

struct eng_edge;

/* eng_edge_uring_works asks the running kernel, over a socket pair, for what the uring maker needs:
 * multishot receive, provided buffers, deferred task work. NULL when it has it, else what is
 * missing. Any thread, at start. */
const char *eng_edge_uring_works(void);

/* eng_edge_open makes an edge on the calling thread. Allocates, at start-up only.
 *   returns  IPC_OK; IPC_SYSTEM with the reason in *error */
LS_MUST_USE enum ipc_rc eng_edge_open(
    const struct eng_edge_config *config, struct eng_edge **edge, struct ipc_error *error);
void eng_edge_close(struct eng_edge *edge);

/* The maker in use: ENG_EDGE_URING or ENG_EDGE_EPOLL. */
enum eng_edge_kind eng_edge_kind(const struct eng_edge *edge);

/* eng_edge_add takes a connected, non-blocking socket and starts receiving. The handle is free. */
LS_MUST_USE enum ipc_rc eng_edge_add(struct eng_edge *edge, uint32_t handle, int fd);

/* eng_edge_remove stops a socket: nothing more is sent by the edge, and REMOVED follows.
 *   abort  true: the kernel drops what it has not sent yet and resets the connection; false: what
 *          the kernel has taken still goes out, then FIN */
void eng_edge_remove(struct eng_edge *edge, uint32_t handle, bool abort);

/* eng_edge_watch reports WAKE with `handle` (>= config.sockets, chosen by the caller) while fd is
 * readable: the shard's FIFO. The caller reads it empty. One at most. */
LS_MUST_USE enum ipc_rc eng_edge_watch(struct eng_edge *edge, uint32_t handle, int fd);

/* eng_edge_send gives bytes to the kernel without blocking.
 *   returns  bytes taken now, [0, count]; a rest (count - taken > 0) is then the edge's to send and
 *            is reported by SENT; negative errno when the socket failed (nothing was taken now)
 *   Not while a rest is out (eng_edge_sending). */
int64_t eng_edge_send(struct eng_edge *edge, uint32_t handle, const uint8_t *bytes, size_t count);
bool eng_edge_sending(const struct eng_edge *edge, uint32_t handle);

/* eng_edge_poll collects what happened, never blocks.
 *   returns  number of events, [0, max]; max in [1, 256] */
uint32_t eng_edge_poll(struct eng_edge *edge, struct eng_edge_event *events, uint32_t max);

/* eng_edge_wait sleeps until something happens or the time is over; poll afterwards. */
void eng_edge_wait(struct eng_edge *edge, int64_t timeout_ns);

/* eng_edge_release gives the buffer of a RECEIVED event back. */
void eng_edge_release(struct eng_edge *edge, const struct eng_edge_event *event);

/* System calls made since the start, for the bench. */
uint64_t eng_edge_calls(const struct eng_edge *edge);

#endif
