#include "adapters/sim/hooks.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

struct job {
    struct job *next;
    int64_t due_ns;
    char *url;
    size_t bytes;
    char body[];
};

struct adp_sim_hooks {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first, *last;
    uint32_t waiting;
    bool stop;
    struct adp_sim_hooks_counts counts;
    char *ca_file;
};

static size_t swallow(char *bytes, size_t size, size_t count, void *context)
{
    (void)bytes;
    (void)context;
    return size * count;
}

static bool deliver(const struct adp_sim_hooks *hooks, CURL *curl, const struct job *job)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    const char *body = job->body;
    long status = 0;
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_reset(curl); /* keeps the connections */
    curl_easy_setopt(curl, CURLOPT_URL, job->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 2000L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)job->bytes);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    if (hooks->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, hooks->ca_file);
    bool good = curl_easy_perform(curl) == CURLE_OK &&
                curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
                status >= 200 && status < 300;
    curl_slist_free_all(headers);
    return good;
}

/* Waits, locked, until the first job is due or the thread is to stop. NULL means stop. */
static struct job *next_job(struct adp_sim_hooks *hooks)
{
    while (!hooks->stop) {
        struct job *job = hooks->first;
        if (job == NULL) {
            pthread_cond_wait(&hooks->changed, &hooks->lock);
            continue;
        }
        if (job->due_ns <= adp_sim_mono_ns()) {
            hooks->first = job->next;
            if (job->next == NULL)
                hooks->last = NULL;
            hooks->waiting--;
            return job;
        }
        struct timespec until = {
            .tv_sec = job->due_ns / LS_NS_PER_S, .tv_nsec = job->due_ns % LS_NS_PER_S};
        pthread_cond_timedwait(&hooks->changed, &hooks->lock, &until);
    }
    return NULL;
}

static void *work(void *context)
{
    struct adp_sim_hooks *hooks = context;
    CURL *curl = curl_easy_init();
    LS_CHECK(curl != NULL);
    pthread_mutex_lock(&hooks->lock);
    for (;;) {
        struct job *job = next_job(hooks);
        if (job == NULL)
            break;
        pthread_mutex_unlock(&hooks->lock);
        bool good = deliver(hooks, curl, job);
        free(job->url);
        free(job);
        pthread_mutex_lock(&hooks->lock);
        if (good)
            hooks->counts.delivered++;
        else
            hooks->counts.failed++;
    }
    pthread_mutex_unlock(&hooks->lock);
    curl_easy_cleanup(curl);
    return NULL;
}

struct adp_sim_hooks *adp_sim_hooks_start(const char *ca_file)
{
    struct adp_sim_hooks *hooks = calloc(1, sizeof(*hooks));
    pthread_condattr_t monotonic;
    sigset_t all, before;
    LS_CHECK(hooks != NULL);
    LS_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    hooks->ca_file = ca_file == NULL ? NULL : strdup(ca_file);
    pthread_mutex_init(&hooks->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&hooks->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    LS_CHECK(pthread_create(&hooks->thread, NULL, work, hooks) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return hooks;
}

void adp_sim_hooks_stop(struct adp_sim_hooks *hooks)
{
    if (hooks == NULL)
        return;
    pthread_mutex_lock(&hooks->lock);
    hooks->stop = true;
    pthread_cond_signal(&hooks->changed);
    pthread_mutex_unlock(&hooks->lock);
    pthread_join(hooks->thread, NULL);
    while (hooks->first != NULL) {
        struct job *job = hooks->first;
        hooks->first = job->next;
        free(job->url);
        free(job);
    }
    pthread_cond_destroy(&hooks->changed);
    pthread_mutex_destroy(&hooks->lock);
    free(hooks->ca_file);
    free(hooks);
    curl_global_cleanup();
}

void adp_sim_hooks_post(struct adp_sim_hooks *hooks, const char *url, const char *body,
    size_t bytes, int64_t due_mono_ns)
{
    struct job *job = malloc(sizeof(*job) + bytes + 1);
    LS_CHECK(job != NULL);
    *job = (struct job){.due_ns = due_mono_ns, .url = strdup(url), .bytes = bytes};
    LS_CHECK(job->url != NULL);
    memcpy(job->body, body, bytes);
    job->body[bytes] = '\0';
    pthread_mutex_lock(&hooks->lock);
    hooks->counts.queued++;
    if (hooks->waiting == ADP_SIM_HOOKS_WAITING_MAX) {
        hooks->counts.dropped++;
        pthread_mutex_unlock(&hooks->lock);
        free(job->url);
        free(job);
        return;
    }
    if (hooks->last == NULL)
        hooks->first = job;
    else
        hooks->last->next = job;
    hooks->last = job;
    hooks->waiting++;
    pthread_cond_signal(&hooks->changed);
    pthread_mutex_unlock(&hooks->lock);
}

struct adp_sim_hooks_counts adp_sim_hooks_counts(struct adp_sim_hooks *hooks)
{
    pthread_mutex_lock(&hooks->lock);
    struct adp_sim_hooks_counts counts = hooks->counts;
    pthread_mutex_unlock(&hooks->lock);
    return counts;
}
