/* peer.h: the other side of the measurement: a broker that only answers, and the master's feed.
 *
 * One process, one thread, on a processor of its own. It serves TLS with HTTP/2 to any number of
 * connections, answers each order with an acknowledgement in the words of the Alice Blue dialect,
 * and counts what it received, so that a lost order cannot pass for a fast one. It also publishes
 * the master's order states into the shard's ring, at the moment it is told to: the thread that
 * waits for the intended time is the one that publishes, so nothing has to be scheduled in between.
 *
 * Between rounds it sleeps in epoll; inside a round it spins, so that a send does not pay for
 * waking a sleeping processor. The parent talks to it through one shared page. */
#ifndef LS_BENCH_PEER_H
#define LS_BENCH_PEER_H

#include "ipc/event.h"
#include "ipc/rc.h"

#include <stdatomic.h>
#include <sys/types.h>

#define BENCH_FOLLOWERS_MAX 5000u
#define BENCH_CAPTURE_BYTES (16u << 20)
#define BENCH_SERIES_MAX    16384u

/* One order as it arrived: its HEADERS frame and its DATA frame, back to back. */
struct bench_capture {
    uint32_t connection, stream;
    uint32_t offset, bytes; /* in the page's captured_bytes */
    uint32_t data_at;       /* where its DATA frame starts, from its own beginning */
};

struct bench_peer_page {
    /* Writer: parent. Each store that the peer acts on is a release, its load an acquire. */
    LS_LINE _Atomic uint32_t spin; /* 1 = a round is on */
    _Atomic uint32_t stop;
    _Atomic uint32_t capture;      /* 1 = keep the orders' frames */
    _Atomic uint64_t armed;        /* number of the event to publish; above `published` = do it */
    int64_t intended_mono_ns;      /* when */
    struct ipc_event event;        /* what */
    _Atomic uint32_t series_count; /* release, after the three below: publish them all */
    int64_t series_start_mono_ns, series_interval_ns;
    struct ipc_event series[BENCH_SERIES_MAX];
    LS_LINE _Atomic uint64_t ping;
    /* Writer: peer. */
    LS_LINE _Atomic uint64_t pong;
    _Atomic uint32_t is_spinning; /* what it has seen of `spin` */
    LS_LINE _Atomic uint64_t published;
    int64_t published_mono_ns;
    _Atomic uint32_t series_done; /* of the series, published */
    _Atomic uint64_t orders;      /* complete order requests received */
    _Atomic uint64_t connections; /* accepted so far */
    _Atomic uint64_t warm;        /* connections whose client has sent a PING or an order */
    _Atomic uint64_t errors;      /* connections that ended with an error of protocol or TLS */
    _Atomic uint64_t refused;     /* offers that found the ring full */
    uint32_t capture_count;
    uint32_t captured_used;
    struct bench_capture captures[BENCH_FOLLOWERS_MAX];
    uint8_t captured_bytes[BENCH_CAPTURE_BYTES];
};

struct bench_peer {
    struct bench_peer_page *page;
    pid_t pid;
    uint16_t port;
};

struct bench_peer_options {
    int cpu;                      /* where it runs */
    const char *certificate_file; /* PEM, both made by bench_peer_certificate */
    const char *key_file;
    const char *instance; /* whose ring it feeds; "" = none */
};

/* bench_peer_certificate writes a self-signed certificate for localhost and 127.0.0.1, and its key.
 * returns IPC_OK or IPC_SYSTEM with a sentence */
LS_MUST_USE enum ipc_rc bench_peer_certificate(
    const char *certificate_file, const char *key_file, struct ipc_error *error);

/* bench_peer_start forks the peer, listening on a free port of 127.0.0.1. It ends with its parent.
 * returns IPC_OK or IPC_SYSTEM with a sentence; bench_peer_stop ends it and frees the page */
LS_MUST_USE enum ipc_rc bench_peer_start(
    struct bench_peer *peer, const struct bench_peer_options *options, struct ipc_error *error);
void bench_peer_stop(struct bench_peer *peer);

/* bench_peer_spin tells the peer to spin, or to sleep between events again, and waits until it has
 * seen that. At most 100 ms: on a crowded processor the round is measured all the same. */
void bench_peer_spin(struct bench_peer_page *page, bool spin);

#endif
