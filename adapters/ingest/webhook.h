/* webhook.h: an HTTP server for a broker's order webhook. The broker posts each order state as one
 * JSON object to an address that was registered with it; there is no signature, so what is known of
 * the sender is where it comes from and that it knows the account's secret path.
 *
 *     POST /<secret path> ──▶ account ──dialect──▶ feed (ADP_PUSH_WITHOUT_BOOK) ──▶ rings
 *
 * What always holds: a peer outside of the allow-list is closed before it has said anything; a path
 * that is no account's gets 404, whatever it is, and every stored path is compared in full, in time
 * that does not depend on what is equal; a body is bounded before it is stored; a connection that
 * says nothing is closed; every answer is one of ours, and says nothing of what is known here.
 * Secret paths come from a file of mode 0400 and reach no log.
 *
 * One thread. */
#ifndef LS_ADAPTERS_INGEST_WEBHOOK_H
#define LS_ADAPTERS_INGEST_WEBHOOK_H

#include "adapters/broker/dialect.h"
#include "adapters/ingest/config.h"
#include "adapters/ingest/feed.h"
#include "ipc/hist.h"

struct adp_webhook;

struct adp_webhook_counts {
    uint64_t requests;       /* finished, whatever the answer */
    uint64_t states;         /* order states taken */
    uint64_t refused;        /* answered with 4xx */
    uint64_t strangers;      /* connections from outside of the allow-list */
    uint64_t not_understood; /* bodies that are no order this build knows */
    uint64_t undated;        /* states without any time: nobody can say how old they are */
    uint64_t turned_back;    /* answered 503: a ring was full, the broker may post again */
    uint32_t connections;    /* now */
};

/* adp_webhook_validate checks what adp_webhook_open would refuse, all but the port.
 *   paths    how many accounts have one */
LS_MUST_USE enum ipc_rc adp_webhook_validate(
    const struct adp_ingest_config *config, uint32_t *paths, struct ipc_error *error);

/* adp_webhook_open reads the paths, takes the port and serves from the next wait on.
 *   dialect        its decode_push reads the bodies
 *   frame_to_ring  histogram of ns from the request's last byte to its event in the ring; NULL =
 *                  none
 *   returns        IPC_OK; IPC_BAD_INPUT or IPC_SYSTEM with a sentence */
LS_MUST_USE enum ipc_rc adp_webhook_open(const struct adp_ingest_config *config,
    const struct adp_dialect *dialect, struct adp_live *live, struct adp_feed *feed,
    struct adp_publisher *publisher, struct ipc_hist *frame_to_ring, struct adp_webhook **webhook,
    struct ipc_error *error);
void adp_webhook_close(struct adp_webhook *webhook);

/* adp_webhook_wait serves for at most `wait_ns`. */
void adp_webhook_wait(struct adp_webhook *webhook, int64_t wait_ns);

uint16_t adp_webhook_port(const struct adp_webhook *webhook); /* that it listens at */

/* adp_webhook_generation is called after the live view changed: paths are matched with accounts
 * again. */
void adp_webhook_generation(struct adp_webhook *webhook);

void adp_webhook_counts(const struct adp_webhook *webhook, struct adp_webhook_counts *out);

#endif
