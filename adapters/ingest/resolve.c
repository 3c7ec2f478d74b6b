#include "adapters/ingest/resolve.h"

#include "ipc/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define QUEUE     1000u
#define CACHE     16u
#define ADDRESSES 8u
#define KEEP_NS   (30 * LS_NS_PER_S)

struct question {
    uint64_t ticket;
    char host[128];
    uint8_t family;
    uint32_t turn;
};

/* Answers of one name; the thread's own. */
struct kept {
    char host[128];
    uint8_t family;
    int64_t until_ns;
    uint32_t count;
    char addresses[ADDRESSES][ADP_ADDRESS_BYTES];
    char why[80];
};

struct adp_resolver {
    pthread_t thread;
    pthread_mutex_t lock; /* over all below but cache */
    pthread_cond_t asked;
    struct question questions[QUEUE];
    struct adp_resolved answers[QUEUE];
    uint32_t question_first, question_count, answer_first, answer_count;
    uint64_t next_ticket;
    int answered_fd;
    bool stop;
    struct kept cache[CACHE];
    uint32_t next_kept;
};

bool adp_address_is_number(const char *text)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static void look_up(struct kept *kept)
{
    const struct addrinfo hints = {
        .ai_family = kept->family == 4   ? AF_INET
                     : kept->family == 6 ? AF_INET6
                                         : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_ADDRCONFIG,
    };
    struct addrinfo *found = NULL;
    kept->count = 0;
    kept->why[0] = '\0';
    const int rc = getaddrinfo(kept->host, NULL, &hints, &found);
    if (rc != 0) {
        (void)snprintf(kept->why, sizeof(kept->why), "%s", gai_strerror(rc));
        kept->until_ns = 0; /* asked again the next time */
        return;
    }
    for (const struct addrinfo *at = found; at != NULL && kept->count < ADDRESSES; at = at->ai_next)
        if (getnameinfo(at->ai_addr, at->ai_addrlen, kept->addresses[kept->count],
                ADP_ADDRESS_BYTES, NULL, 0, NI_NUMERICHOST) == 0)
            kept->count++;
    freeaddrinfo(found);
    kept->until_ns = ipc_clock_mono_ns() + KEEP_NS;
}

static struct kept *find_kept(struct adp_resolver *resolver, const struct question *question)
{
    struct kept *kept = NULL;
    for (uint32_t i = 0; i < CACHE && kept == NULL; i++)
        if (resolver->cache[i].family == question->family &&
            strcmp(resolver->cache[i].host, question->host) == 0)
            kept = &resolver->cache[i];
    if (kept == NULL) {
        kept = &resolver->cache[resolver->next_kept++ % CACHE];
        kept->family = question->family;
        memcpy(kept->host, question->host, sizeof(kept->host));
        kept->until_ns = 0;
    }
    if (ipc_clock_mono_ns() >= kept->until_ns)
        look_up(kept);
    return kept;
}

static void answer(struct adp_resolver *resolver, const struct question *question)
{
    const struct kept *kept = find_kept(resolver, question);
    struct adp_resolved *out;
    const uint64_t one = 1;
    (void)pthread_mutex_lock(&resolver->lock);
    /* As many answers as questions fit: ask refuses beyond both together. */
    LS_CHECK(resolver->answer_count < QUEUE);
    out = &resolver->answers[(resolver->answer_first + resolver->answer_count++) % QUEUE];
    memset(out, 0, sizeof(*out));
    out->ticket = question->ticket;
    if (kept->count > 0)
        memcpy(out->address, kept->addresses[question->turn % kept->count], ADP_ADDRESS_BYTES);
    memcpy(out->why, kept->why, sizeof(out->why));
    (void)pthread_mutex_unlock(&resolver->lock);
    (void)!write(resolver->answered_fd, &one, sizeof(one)); /* fails only when it is readable */
}

static void *serve(void *context)
{
    struct adp_resolver *resolver = context;
    (void)pthread_mutex_lock(&resolver->lock);
    while (!resolver->stop) {
        if (resolver->question_count == 0) {
            (void)pthread_cond_wait(&resolver->asked, &resolver->lock);
            continue;
        }
        const struct question question = resolver->questions[resolver->question_first];
        (void)pthread_mutex_unlock(&resolver->lock);
        answer(resolver, &question);
        (void)pthread_mutex_lock(&resolver->lock);
        /* Taken out only now, so that the two queues together never exceed QUEUE. */
        resolver->question_first = (resolver->question_first + 1) % QUEUE;
        resolver->question_count--;
    }
    (void)pthread_mutex_unlock(&resolver->lock);
    return NULL;
}

enum ipc_rc adp_resolver_open(struct adp_resolver **resolver, struct ipc_error *error)
{
    struct adp_resolver *made = calloc(1, sizeof(*made));
    sigset_t all, old;
    LS_CHECK(made != NULL);
    *resolver = NULL;
    made->answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->answered_fd < 0) {
        ipc_error_set(error, "no eventfd for the resolver: %s", strerror(errno));
        free(made);
        return IPC_SYSTEM;
    }
    LS_CHECK(pthread_mutex_init(&made->lock, NULL) == 0);
    LS_CHECK(pthread_cond_init(&made->asked, NULL) == 0);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    const int rc = pthread_create(&made->thread, NULL, serve, made);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        ipc_error_set(error, "the resolver's thread does not start: %s", strerror(rc));
        (void)close(made->answered_fd);
        free(made);
        return IPC_SYSTEM;
    }
    *resolver = made;
    return IPC_OK;
}

void adp_resolver_close(struct adp_resolver *resolver)
{
    if (resolver == NULL)
        return;
    (void)pthread_mutex_lock(&resolver->lock);
    resolver->stop = true;
    (void)pthread_cond_signal(&resolver->asked);
    (void)pthread_mutex_unlock(&resolver->lock);
    (void)pthread_join(resolver->thread, NULL);
    (void)pthread_cond_destroy(&resolver->asked);
    (void)pthread_mutex_destroy(&resolver->lock);
    (void)close(resolver->answered_fd);
    free(resolver);
}

int adp_resolver_fd(const struct adp_resolver *resolver)
{
    return resolver->answered_fd;
}

uint64_t adp_resolver_ask(
    struct adp_resolver *resolver, const char *host, uint8_t family, uint32_t turn)
{
    uint64_t ticket = 0;
    (void)pthread_mutex_lock(&resolver->lock);
    if (resolver->question_count + resolver->answer_count < QUEUE &&
        strlen(host) < sizeof(resolver->questions[0].host)) {
        struct question *question =
            &resolver->questions[(resolver->question_first + resolver->question_count++) % QUEUE];
        ticket = ++resolver->next_ticket;
        memset(question, 0, sizeof(*question));
        question->ticket = ticket;
        question->family = family;
        question->turn = turn;
        memcpy(question->host, host, strlen(host) + 1);
        (void)pthread_cond_signal(&resolver->asked);
    }
    (void)pthread_mutex_unlock(&resolver->lock);
    return ticket;
}

bool adp_resolver_take(struct adp_resolver *resolver, struct adp_resolved *answer)
{
    uint64_t count;
    (void)pthread_mutex_lock(&resolver->lock);
    const bool has = resolver->answer_count > 0;
    if (has) {
        *answer = resolver->answers[resolver->answer_first];
        resolver->answer_first = (resolver->answer_first + 1) % QUEUE;
        resolver->answer_count--;
    } else {
        /* Under the lock: an answer that comes next writes again. */
        (void)!read(resolver->answered_fd, &count, sizeof(count));
    }
    (void)pthread_mutex_unlock(&resolver->lock);
    return has;
}
