/* resolve.h: names to addresses on a thread of its own.
 *
 * getaddrinfo may take seconds, and libwebsockets 4.1 calls it on the loop's thread; so a loop asks
 * here and connects to the address that comes back. Answers are kept for half a minute. The calls
 * are made by one thread, the loop's. */
#ifndef LS_ADAPTERS_INGEST_RESOLVE_H
#define LS_ADAPTERS_INGEST_RESOLVE_H

#include "ipc/base.h"
#include "ipc/rc.h"

struct adp_resolver;

#define ADP_ADDRESS_BYTES 64 /* text of an address, scope included, with NUL */

struct adp_resolved {
    uint64_t ticket;                 /* of the question */
    char address[ADP_ADDRESS_BYTES]; /* "" when there is none */
    char why[80];                    /* then: the resolver's words */
};

/* adp_resolver_open starts the thread, with all signals blocked.
 *   returns  IPC_OK, or IPC_SYSTEM with a sentence */
LS_MUST_USE enum ipc_rc adp_resolver_open(struct adp_resolver **resolver, struct ipc_error *error);

/* adp_resolver_close waits for a question under way (the C library cannot be interrupted: seconds
 * at worst); NULL is allowed. */
void adp_resolver_close(struct adp_resolver *resolver);

/* adp_resolver_fd can be read while answers wait. */
int adp_resolver_fd(const struct adp_resolver *resolver);

/* adp_resolver_ask queues one question.
 *   host     at most 127 characters
 *   family   0 = either, 4 or 6
 *   turn     which of several addresses: the turn-th, modulo their number
 *   returns  the ticket, > 0; 0 when a thousand questions wait */
uint64_t adp_resolver_ask(
    struct adp_resolver *resolver, const char *host, uint8_t family, uint32_t turn);

/* adp_resolver_take takes one answer; false when none waits. */
bool adp_resolver_take(struct adp_resolver *resolver, struct adp_resolved *answer);

/* adp_address_is_number tells whether a text is an IPv4 or IPv6 address. */
bool adp_address_is_number(const char *text);

#endif
