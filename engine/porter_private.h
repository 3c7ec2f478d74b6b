/* porter_private.h: the porter's own shapes, shared by porter.c (rounds, snapshot, signals),
 * porter_rings.c (what producers make), porter_connects.c (connections) and porter_books.c (book
 * queries). */
#ifndef LS_ENGINE_PORTER_PRIVATE_H
#define LS_ENGINE_PORTER_PRIVATE_H

#include "engine/net/connect.h"
#include "engine/net/resolve.h"
#include "engine/porter.h"

#define PORTER_OLD_CONTEXTS_MAX 64u

struct porter_ring {
    struct ipc_ring_consumer *consumer; /* NULL = place is free */
    struct ipc_ring_name name;
    bool leaving; /* the pinned thread was asked to give it back */
};

struct porter_broker {
    struct eng_tls_context *context; /* of the row below */
    char host[96], authority[96], ca_file[128];
    char name[IPC_NAME_BYTES];
    uint16_t port;
    uint16_t alpn;
    bool context_failed; /* said so already; not tried again before the row changes */
    struct {
        struct sockaddr_storage address;
        socklen_t bytes;
        int64_t resolved_mono_ns; /* 0 = never: nobody connects yet */
        bool asked;               /* a question is out: an old address serves meanwhile */
        bool failed;              /* the last answer, told to the next want and then asked again */
        char failure[256];
    } addresses[3]; /* by family: any, 4, 6 */
    struct ipc_prices prices, old_prices;
    struct ipc_accounts money, old_money;
    bool has_prices, has_money;
    bool has_old_prices, has_old_money; /* replaced: closed a second later, when nobody reads it */
    char last_failure[256];             /* the same sentence is printed once in 10 s */
    int64_t last_failure_mono_ns;
    uint32_t failures_unsaid;
};

struct porter_books; /* porter_books.h */

struct eng_porter {
    struct eng_porter_wiring wiring;
    struct eng_connector *connector;
    struct eng_resolver *resolver;
    struct porter_books *books;
    struct ipc_wake bell;                    /* the shard's, rung by us as by any producer */
    const struct eng_generation *generation; /* in force; NULL before the first */
    struct porter_ring *rings;
    uint32_t ring_count; /* places used so far */
    struct eng_pool_want *wants;
    uint32_t want_count;
    struct porter_broker brokers[ENG_BROKERS_MAX];
    struct eng_tls_context *old_contexts[PORTER_OLD_CONTEXTS_MAX];
    uint32_t old_context_count;
    struct ipc_switches switches, old_switches;
    uint32_t rings_refused, switches_refused; /* so that a lasting fault is said now and then */
    uint16_t *lane_broker;                    /* broker of a lane that was wanted */
    bool had_switches, has_old_switches;
    bool told_pages; /* the pinned thread may read rings */
    bool has_switches, has_bell, halted, must_ring, stopped, rings_full_said;
    int64_t handed; /* connections that the pinned thread has */
    int64_t snapshot_mono_ns, halt_mono_ns, find_mono_ns, check_mono_ns;
    int64_t stop_by_mono_ns; /* 0 = not stopping */
};

/* porter_tell offers a message to the pinned thread; false when the queue is full. */
LS_MUST_USE bool porter_tell(struct eng_porter *porter, const struct eng_to_turn *message);

void porter_rings_find(struct eng_porter *porter);
void porter_rings_check(struct eng_porter *porter);
void porter_ring_given_back(struct eng_porter *porter, uint32_t index);
void porter_pages_find(struct eng_porter *porter);
void porter_pages_check(struct eng_porter *porter);

/* porter_brokers_changed: another generation is in force. */
void porter_brokers_changed(struct eng_porter *porter);
/* porter_want_refuse answers a want with "failed" without trying. */
void porter_want_refuse(struct eng_porter *porter, const struct eng_pool_want *want);
/* porter_address_find makes sure of the broker's address, asked for again when it is old; what was
 * known serves until the answer.
 *   returns  IPC_OK; IPC_EMPTY while there is none yet; IPC_NOT_FOUND with a sentence */
LS_MUST_USE enum ipc_rc porter_address_find(struct eng_porter *porter, uint16_t number,
    uint8_t source_family, int64_t now_mono_ns, struct ipc_error *error);
/* porter_address returns it, NULL before it was found; valid until the broker's row changes. */
const struct sockaddr_storage *porter_address(
    const struct eng_porter *porter, uint16_t number, uint8_t source_family);
void porter_contexts_sweep(struct eng_porter *porter);
/* porter_connects_run starts wanted connections and hands over finished ones; returns how many. */
uint32_t porter_connects_run(struct eng_porter *porter, int64_t now_mono_ns);

#endif
