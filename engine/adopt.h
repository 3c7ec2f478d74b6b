/* adopt.h: from the published snapshot to a generation that the pinned thread can read: copied into
 * the engine's own memory, validated, past the blast-radius guard, with every header block made.
 *
 *     eng_adopter_poll (porter) ──► generation ──► pinned thread: ADOPT fact, pointer swap
 *     eng_adopter_taken, eng_adopter_refused ◄── answer
 *
 * Three generations exist: the one in force, the one that is offered, and one to copy into. Opened
 * tokens exist only inside header blocks, in memory that is locked, left out of core files and
 * wiped. A generation that fails anywhere leaves the one in force as it is.
 *
 * Threads: the porter calls; the pinned thread reads a generation between taking it and giving it
 * back, and nobody writes it meanwhile. */
#ifndef LS_ENGINE_ADOPT_H
#define LS_ENGINE_ADOPT_H

#include "adapters/broker/dialect.h"
#include "engine/config.h"
#include "engine/net/h2.h"
#include "engine/net/pool.h"
#include "ipc/seal.h"
#include "ipc/snapshot.h"

#define ENG_BROKERS_MAX         64u
#define ENG_REQUEST_BLOCK_BYTES 640u

/* The part of a request that is equal for all accounts of a broker. */
struct eng_request_block {
    uint32_t count, list_bytes; /* 0 = this broker has no such request */
    uint32_t regular_at;        /* with a path hole: where ordinary fields begin, */
    uint32_t regular_list_bytes;
    bool has_path_hole; /* :path is made per order, between the two halves */
    bool has_body;
    char path[160]; /* with base path; the hole is "{order_id}" */
    uint8_t bytes[ENG_REQUEST_BLOCK_BYTES];
    /* The same for HTTP/1.1: the request line and fields, each with its CRLF. With a path hole:
     * where the order id goes. */
    uint32_t text_count, text_hole_at;
    uint8_t text[ENG_REQUEST_BLOCK_BYTES];
};

struct eng_broker_terms {
    const struct adp_dialect *dialect; /* NULL = row not in use */
    struct eng_pool_broker pool;
    int64_t reply_timeout_ns, keepalive_idle_ns;
    struct eng_request_block requests[ADP_REQUEST_COUNT];
};

/* An account's credentials as a header part, in secret memory. count 0 = it cannot send. */
struct eng_auth {
    const uint8_t *bytes;
    uint32_t count, list_bytes;
    uint32_t text_count; /* for HTTP/1.1: the field and its CRLF */
    const uint8_t *text;
};

struct eng_lane_plan {
    uint32_t account;
    struct eng_lane_key key;
};

struct eng_generation {
    struct ipc_snapshot_view view;
    struct ipc_snapshot_stats stats;
    uint64_t content_hash;
    struct eng_broker_policy policies[ENG_BROKERS_MAX];
    struct eng_broker_terms brokers[ENG_BROKERS_MAX];
    struct eng_auth *auths;      /* by account - 1, view.account_count of them */
    struct eng_lane_plan *lanes; /* follower accounts of this shard with a token */
    uint32_t lane_count;
    uint32_t connections; /* that these lanes will have */
    uint32_t tokens_unopened;

    /* The adopter's own. */
    struct ipc_snapshot_image image;
    struct ipc_secret_arena *secrets;
    size_t secret_bytes;
    uint8_t state;
};

struct eng_adopter;

/* eng_adopter_make reads the seal key and maps memory for three images.
 *   shm      the instance; must outlive the adopter
 *   returns  IPC_OK; IPC_REFUSED, IPC_NOT_FOUND for the key file; IPC_SYSTEM no memory. A missing
 *            snapshot is no error: it may be published later. Start-up thread. */
LS_MUST_USE enum ipc_rc eng_adopter_make(const struct eng_config *config, const struct ipc_shm *shm,
    struct eng_adopter **adopter, struct ipc_error *error);
void eng_adopter_free(struct eng_adopter *adopter);

/* eng_adopter_poll looks for a generation that is new and prepares it.
 *   out       the prepared generation, to be offered to the pinned thread
 *   returns   IPC_OK with *out; IPC_EMPTY nothing new, or the last one is not answered yet;
 *             IPC_REFUSED with *refused and the sentence: the one in force stays, and this
 *             generation is not tried again */
LS_MUST_USE enum ipc_rc eng_adopter_poll(struct eng_adopter *adopter,
    const struct eng_generation **out, uint64_t *refused, struct ipc_error *error);

/* The pinned thread's answer: it reads the offered one now and never again the one before. */
void eng_adopter_taken(struct eng_adopter *adopter, const struct eng_generation *generation);
/* Or it did not take it. */
void eng_adopter_refused(struct eng_adopter *adopter, const struct eng_generation *generation);

/* eng_adopter_cluster copies the cluster id of the published snapshot, "" when there is none. For
 * the journal's OPEN fact, before anything is adopted. */
void eng_adopter_cluster(struct eng_adopter *adopter, char out[64]);

/* eng_adopter_bind names the cluster that the journal belongs to ("" = none yet): a snapshot of
 * another one is refused, since the same orders would get other identities. Adopting binds too. */
void eng_adopter_bind(struct eng_adopter *adopter, const char cluster_id[64]);

#endif
