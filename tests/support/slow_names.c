/* slow_names.c: preloaded into a program, a name server that does not answer: getaddrinfo of a name
 * below .slow takes ten seconds and says EAI_AGAIN. Everything else goes to libc. */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <time.h>

typedef int (*getaddrinfo_fn)(
    const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int is_slow(const char *node, const struct addrinfo *hints)
{
    const char *dot = node != NULL ? strrchr(node, '.') : NULL;
    return dot != NULL && strcmp(dot, ".slow") == 0 &&
           (hints == NULL || (hints->ai_flags & AI_NUMERICHOST) == 0);
}

__attribute__((visibility("default"))) int getaddrinfo(const char *restrict node,
    const char *restrict service, const struct addrinfo *restrict hints,
    struct addrinfo **restrict found)
{
    if (is_slow(node, hints)) {
        nanosleep(&(struct timespec){.tv_sec = 10}, NULL);
        return EAI_AGAIN;
    }
    getaddrinfo_fn real;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, found);
}
