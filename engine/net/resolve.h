/* resolve.h: names to addresses without holding up whoever asks. A numeric host is answered at
 * once; for a name each question runs on a thread of its own, because a resolver that does not
 * answer takes half a minute to say so, and one broker's name server must not hold up the others'
 * connections.
 *
 *     eng_resolver_ask ──► thread: getaddrinfo ──► eng_resolver_take
 *
 * At most ENG_RESOLVER_ASKED_MAX questions are out at one time.
 *
 * Threads: one asks and takes (the porter). Allocates. The lock inside is held for a few stores. */
#ifndef LS_ENGINE_NET_RESOLVE_H
#define LS_ENGINE_NET_RESOLVE_H

#include "ipc/base.h"
#include "ipc/rc.h"

#include <sys/socket.h>

#define ENG_RESOLVER_ASKED_MAX 16u

struct eng_resolver;

struct eng_resolver_question {
    char broker[64]; /* for the sentence */
    char host[96];
    uint16_t port;
    uint8_t family;  /* 0 = any, 4 or 6 */
    uint32_t cookie; /* comes back */
};

struct eng_resolver_answer {
    struct eng_resolver_question question;
    enum ipc_rc rc; /* IPC_OK, or IPC_NOT_FOUND with a sentence in error */
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct ipc_error error;
};

/* eng_resolver_make; _free does not wait for questions that are out: what they use lives until the
 * last of them is over. */
LS_MUST_USE enum ipc_rc eng_resolver_make(struct eng_resolver **resolver, struct ipc_error *error);
void eng_resolver_free(struct eng_resolver *resolver);

/* eng_resolve_numeric answers when `host` is an address, without asking anybody.
 *   returns  IPC_OK; IPC_NOT_FOUND when it is a name or of the other family */
LS_MUST_USE enum ipc_rc eng_resolve_numeric(const char *host, uint16_t port, uint8_t family,
    struct sockaddr_storage *address, socklen_t *address_bytes);

/* eng_resolver_ask starts a question.
 *   returns  IPC_OK; IPC_FULL when too many are out, or no thread could be made: ask again later */
LS_MUST_USE enum ipc_rc eng_resolver_ask(
    struct eng_resolver *resolver, const struct eng_resolver_question *question);

/* eng_resolver_take gives an answer that has come; false when there is none. */
LS_MUST_USE bool eng_resolver_take(
    struct eng_resolver *resolver, struct eng_resolver_answer *answer);

#endif
