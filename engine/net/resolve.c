/* resolve.c: one detached thread per question; the last user frees. */
#include "engine/net/resolve.h"
#include "engine/net/connect.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asked {
    struct eng_resolver *resolver;
    struct asked *next; /* in the list of answers */
    struct eng_resolver_answer answer;
};

struct eng_resolver {
    pthread_mutex_t lock;  /* of what follows */
    struct asked *answers; /* newest first */
    uint32_t out;          /* threads that have not ended */
    bool is_free;          /* its owner has gone */
};

enum ipc_rc eng_resolver_make(struct eng_resolver **out, struct ipc_error *error)
{
    struct eng_resolver *resolver = calloc(1, sizeof(*resolver));
    *out = resolver;
    if (resolver == NULL) {
        ipc_error_set(error, "no memory for the resolver of names");
        return IPC_SYSTEM;
    }
    LS_CHECK(pthread_mutex_init(&resolver->lock, NULL) == 0);
    return IPC_OK;
}

static void discard(struct eng_resolver *resolver)
{
    while (resolver->answers != NULL) {
        struct asked *asked = resolver->answers;
        resolver->answers = asked->next;
        free(asked);
    }
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

void eng_resolver_free(struct eng_resolver *resolver)
{
    if (resolver == NULL)
        return;
    pthread_mutex_lock(&resolver->lock);
    resolver->is_free = true;
    const bool is_last = resolver->out == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (is_last)
        discard(resolver);
}

enum ipc_rc eng_resolve_numeric(const char *host, uint16_t port, uint8_t family,
    struct sockaddr_storage *address, socklen_t *address_bytes)
{
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {
        .ai_family = family == 4   ? AF_INET
                     : family == 6 ? AF_INET6
                                   : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST,
    };
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return IPC_NOT_FOUND;
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *address_bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return IPC_OK;
}

static void *ask_main(void *context)
{
    struct asked *asked = context;
    struct eng_resolver *resolver = asked->resolver;
    struct eng_resolver_answer *answer = &asked->answer;
    const struct eng_resolver_question *question = &answer->question;
    answer->rc = eng_connect_resolve(question->broker, question->host, question->port,
        question->family, &answer->address, &answer->address_bytes, &answer->error);
    pthread_mutex_lock(&resolver->lock);
    asked->next = resolver->answers;
    resolver->answers = asked;
    resolver->out--;
    const bool is_last = resolver->is_free && resolver->out == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (is_last)
        discard(resolver);
    return NULL;
}

enum ipc_rc eng_resolver_ask(
    struct eng_resolver *resolver, const struct eng_resolver_question *question)
{
    pthread_mutex_lock(&resolver->lock);
    const bool is_full = resolver->out >= ENG_RESOLVER_ASKED_MAX;
    resolver->out += !is_full;
    pthread_mutex_unlock(&resolver->lock);
    if (is_full)
        return IPC_FULL;
    struct asked *asked = calloc(1, sizeof(*asked));
    LS_CHECK(asked != NULL);
    asked->resolver = resolver;
    asked->answer.question = *question;
    /* Signals are for the threads that know what to do with them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t detached;
    pthread_t thread;
    LS_CHECK(pthread_attr_init(&detached) == 0);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 256 * 1024);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int refused = pthread_create(&thread, &detached, ask_main, asked);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    if (refused == 0)
        return IPC_OK;
    free(asked);
    pthread_mutex_lock(&resolver->lock);
    resolver->out--;
    pthread_mutex_unlock(&resolver->lock);
    return IPC_FULL;
}

bool eng_resolver_take(struct eng_resolver *resolver, struct eng_resolver_answer *answer)
{
    pthread_mutex_lock(&resolver->lock);
    struct asked *asked = resolver->answers;
    if (asked != NULL)
        resolver->answers = asked->next;
    pthread_mutex_unlock(&resolver->lock);
    if (asked == NULL)
        return false;
    *answer = asked->answer;
    free(asked);
    return true;
}
