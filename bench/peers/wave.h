/* wave.h: what a peer program is asked to do, the same for all of them.
 *
 *   PEER PORT CA_FILE BODIES_FILE CONNECTIONS TOKEN_BYTES
 *
 * BODIES_FILE has one order's JSON body per line; follower i has a bearer of TOKEN_BYTES of its
 * own. The peer connects, warms each connection by one small request, prints "ready", and then
 * reads lines: "wave MONO_NS" sends all orders at once at that time (CLOCK_MONOTONIC) and answers
 * "done MONO_NS" when the last reply is parsed, or "failed REASON"; end of input ends it. */
#ifndef LS_BENCH_PEERS_WAVE_H
#define LS_BENCH_PEERS_WAVE_H

#include <stdint.h>

struct wave {
    uint16_t port;
    const char *ca_file;
    uint32_t connections, token_bytes;
    uint32_t count; /* orders */
    char **bodies;  /* NUL-terminated */
    uint32_t *body_bytes;
    char **tokens; /* "Bearer ..." */
};

/* wave_read_arguments fills *wave or ends the process with a sentence. The memory is never freed.
 */
void wave_read_arguments(struct wave *wave, int argc, char **argv);

/* wave_serve prints "ready" and runs `send_all` for each command until end of input. `send_all`
 * returns NULL, or what went wrong. Spins until the intended time.
 *   returns an exit code */
int wave_serve(const char *(*send_all)(void *context), void *context);

int64_t wave_now_ns(void);

/* wave_order_accepted is true for a reply that acknowledges the order. */
int wave_order_accepted(const char *body, uint32_t bytes);

#endif
