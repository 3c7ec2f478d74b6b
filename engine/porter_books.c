#include "engine/porter_books.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/porter_books_private.h"
#include "ipc/clock.h"

#define BODY_BYTES_MAX   (8u << 20)
#define KEPT_CONNECTIONS 256L
#define HEADER_ROOM      192u /* name and prefix of the authorization, beside the token */
#define SAY_AGAIN_NS     (10 * LS_NS_PER_S)

struct porter_books {
    struct eng_porter *porter;
    CURLM *multi;
    bool has_curl;
    struct ipc_secret_arena *secrets;
    size_t authorization_room;
    struct adp_instruments *instruments; /* of the generation in force; NULL = to be built */
    struct eng_books_ask waiting[ENG_BOOKS_MAX];
    uint32_t waiting_first, waiting_count;
    struct books_job jobs[ENG_BOOKS_MAX];
    uint32_t under_way;
    uint32_t of_broker[ENG_BROKERS_MAX];
    struct {
        char sentence[160];
        int64_t said_mono_ns;
        uint32_t unsaid;
    } failures[ENG_BROKERS_MAX];
};

enum ipc_rc porter_books_make(
    struct eng_porter *porter, struct porter_books **out, struct ipc_error *error)
{
    struct porter_books *books = calloc(1, sizeof(*books));
    *out = NULL;
    if (books == NULL) {
        ipc_error_set(error, "no memory for book queries");
        return IPC_SYSTEM;
    }
    books->porter = porter;
    books->authorization_room =
        ls_align_up(porter->wiring.config->token_row_bytes + HEADER_ROOM, 16);
    enum ipc_rc rc = ipc_secret_arena_create(
        ENG_BOOKS_MAX * (books->authorization_room + 16) + 4096, &books->secrets, error);
    if (rc == IPC_OK) {
        books->has_curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
        books->multi = books->has_curl ? curl_multi_init() : NULL;
        if (books->multi == NULL) {
            ipc_error_set(error, "libcurl cannot start");
            rc = IPC_SYSTEM;
        }
    }
    if (rc != IPC_OK) {
        porter_books_free(books);
        return rc;
    }
    for (uint32_t i = 0; i < ENG_BOOKS_MAX; i++) {
        books->jobs[i].authorization = ipc_secret_alloc(books->secrets, books->authorization_room);
        LS_CHECK(books->jobs[i].authorization != NULL);
    }
    (void)curl_multi_setopt(books->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
    *out = books;
    return IPC_OK;
}

/* Ends what a job has under way at libcurl. */
static void job_close(struct porter_books *books, struct books_job *job)
{
    if (job->easy != NULL) {
        (void)curl_multi_remove_handle(books->multi, job->easy);
        curl_easy_cleanup(job->easy);
    }
    curl_slist_free_all(job->connect_to);
    job->easy = NULL;
    job->connect_to = NULL;
    ipc_secret_wipe(job->authorization, books->authorization_room);
    adp_https_body_free(&job->body);
}

void porter_books_free(struct porter_books *books)
{
    if (books == NULL)
        return;
    for (uint32_t i = 0; i < ENG_BOOKS_MAX && books->multi != NULL; i++) {
        if (!books->jobs[i].in_use)
            continue;
        job_close(books, &books->jobs[i]);
        books_drop(books->jobs[i].book);
    }
    if (books->multi != NULL)
        (void)curl_multi_cleanup(books->multi);
    if (books->has_curl)
        curl_global_cleanup();
    ipc_secret_arena_destroy(books->secrets);
    adp_instruments_free(books->instruments);
    free(books);
}

void porter_books_generation(struct porter_books *books)
{
    adp_instruments_free(books->instruments);
    books->instruments = NULL; /* made when a book has to be read */
}

void porter_books_ask(struct porter_books *books, const struct eng_books_ask *ask)
{
    LS_CHECK(books->waiting_count < ENG_BOOKS_MAX);
    books->waiting[(books->waiting_first + books->waiting_count++) % ENG_BOOKS_MAX] = *ask;
}

void porter_books_back(struct porter_books *books, struct eng_book *book)
{
    (void)books;
    books_drop(book);
}

/* ---- what is said ------------------------------------------------------------------------------
 */

static void failure_say(
    struct porter_books *books, uint16_t broker, uint32_t account, const char *what, int64_t now_ns)
{
    const struct eng_porter *porter = books->porter;
    char sentence[160];
    ipc_metric_add(porter->wiring.telemetry->book_failures, 1);
    (void)snprintf(sentence, sizeof(sentence), "%s", what);
    if (strcmp(books->failures[broker].sentence, sentence) == 0 &&
        now_ns - books->failures[broker].said_mono_ns < SAY_AGAIN_NS) {
        books->failures[broker].unsaid++;
        return;
    }
    ipc_log(IPC_LOG_WARN, "broker '%s', account %u: its book cannot be read: %s (%u such before)",
        porter->brokers[broker].name, account, sentence, books->failures[broker].unsaid);
    memcpy(books->failures[broker].sentence, sentence, sizeof(sentence));
    books->failures[broker].said_mono_ns = now_ns;
    books->failures[broker].unsaid = 0;
}

/* Hands a finished book over. */
static void book_tell(struct porter_books *books, struct eng_book *book)
{
    const struct eng_to_turn message = {.kind = ENG_TO_TURN_BOOK, .book = book};
    /* The queue has room for every object that exists. */
    LS_CHECK(porter_tell(books->porter, &message));
}

static void ask_refuse(struct porter_books *books, const struct eng_books_ask *ask,
    enum ipc_book result, int64_t now_mono_ns)
{
    struct eng_book *book = books_new(ask);
    book->answer.result = (uint8_t)result;
    book->answer.sent_mono_ns = book->answer.received_mono_ns = now_mono_ns;
    book_tell(books, book);
}

/* ---- queries -----------------------------------------------------------------------------------
 */

#define SET(option, value) LS_CHECK(curl_easy_setopt(job->easy, option, value) == CURLE_OK)

/* One GET of a job: its step decides which. */
static bool request_start(struct porter_books *books, struct books_job *job)
{
    struct eng_porter *porter = books->porter;
    const struct eng_generation *generation = porter->generation;
    const struct ipc_row_broker *row = &generation->view.brokers[job->broker];
    const struct ipc_row_account *account = &generation->view.accounts[job->ask.account - 1];
    const struct adp_dialect *dialect = generation->brokers[job->broker].dialect;
    const struct eng_auth *auth = &generation->auths[job->ask.account - 1];
    const struct adp_request *request =
        job->step == 0 ? &dialect->requests[ADP_REQUEST_BOOK] : &dialect->positions;
    const struct sockaddr_storage *address =
        porter_address(porter, job->broker, account->source_family);
    if (request->method == NULL || auth->count == 0 || address == NULL)
        return false;
    LS_CHECK(strcmp(request->method, "GET") == 0); /* never an order from here */
    LS_CHECK(auth->text_count > 2 && auth->text_count - 1 <= books->authorization_room);
    job->easy = curl_easy_init();
    if (job->easy == NULL)
        return false;
    /* The field as HTTP/1.1 writes it, without its line end. */
    memcpy(job->authorization, auth->text, auth->text_count - 2);
    job->authorization[auth->text_count - 2] = '\0';
    job->header = (struct curl_slist){.data = job->authorization, .next = NULL};
    job->body.most = BODY_BYTES_MAX;
    adp_https_url(job->easy, row, request->path);
    if (!adp_https_route(job->easy, row, account, address, &job->connect_to)) {
        job_close(books, job);
        return false;
    }
    SET(CURLOPT_TIMEOUT_MS, (long)porter->wiring.config->books_deadline_ms);
    SET(CURLOPT_HTTPHEADER, &job->header);
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_PRIVATE, job);
    SET(CURLOPT_WRITEFUNCTION, adp_https_body_take);
    SET(CURLOPT_WRITEDATA, &job->body);
    job->sent_mono_ns = ipc_clock_mono_ns();
    if (curl_multi_add_handle(books->multi, job->easy) == CURLM_OK) {
        ipc_metric_add(porter->wiring.telemetry->book_requests, 1);
        return true;
    }
    job_close(books, job);
    return false;
}

static void job_end(struct porter_books *books, struct books_job *job, enum ipc_book result)
{
    struct eng_book *book = job->book;
    job_close(books, job);
    book->answer.result = (uint8_t)result;
    book->answer.sent_mono_ns = job->first_sent_mono_ns;
    book->answer.received_mono_ns = ipc_clock_mono_ns();
    job->book = NULL;
    job->in_use = false;
    books->under_way--;
    books->of_broker[job->broker]--;
    book_tell(books, book);
}

/* What libcurl's result means for a query. */
static enum ipc_book failure_of(const struct books_job *job, CURLcode code)
{
    if (job->body.is_too_long)
        return IPC_BOOK_TOO_LARGE;
    curl_off_t connected_us = 0;
    (void)curl_easy_getinfo(job->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    return code == CURLE_COULDNT_CONNECT || connected_us == 0 ? IPC_BOOK_NO_CONNECTION
                                                              : IPC_BOOK_ERROR;
}

static void job_done(struct porter_books *books, struct books_job *job, CURLcode code)
{
    struct eng_porter *porter = books->porter;
    const int64_t now_mono_ns = ipc_clock_mono_ns();
    long status = 0;
    char why[96];
    (void)curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK) {
        const enum ipc_book result = failure_of(job, code);
        failure_say(books, job->broker, job->ask.account,
            job->body.is_too_long ? "it has more than 8 MiB" : curl_easy_strerror(code),
            now_mono_ns);
        job_end(books, job, result);
        return;
    }
    const struct ipc_snapshot_view *view = &porter->generation->view;
    ipc_metric_add(porter->wiring.telemetry->book_bytes, (int64_t)job->body.count);
    job->book->answer.http_status = (uint16_t)status;
    /* The account may have moved while its answer was on the way. */
    if (job->ask.account > view->account_count ||
        view->accounts[job->ask.account - 1].account != job->ask.account ||
        view->accounts[job->ask.account - 1].broker != job->broker ||
        porter->generation->brokers[job->broker].dialect == NULL) {
        job_end(books, job, IPC_BOOK_ERROR);
        return;
    }
    if (books->instruments == NULL)
        books->instruments = adp_instruments_build(view);
    const enum ipc_book result = books_decode(porter, books->instruments, job, (uint32_t)status);
    if (result == IPC_BOOK_GOOD && job->ask.what == ENG_BOOKS_POSITIONS && job->step == 0) {
        job_close(books, job);
        job->step = 1;
        if (!request_start(books, job))
            job_end(books, job, IPC_BOOK_NO_CONNECTION);
        return;
    }
    if (result == IPC_BOOK_ERROR || result == IPC_BOOK_AUTH || result == IPC_BOOK_ODD) {
        (void)snprintf(why, sizeof(why), "HTTP %ld, %s", status,
            result == IPC_BOOK_AUTH  ? "the token is refused"
            : result == IPC_BOOK_ODD ? "with rows that are not understood or come twice"
                                     : "not a book");
        failure_say(books, job->broker, job->ask.account, why, now_mono_ns);
    }
    job_end(books, job, result);
}

/* ---- the round ---------------------------------------------------------------------------------
 */

/* Starts one that waits.
 *   returns  false when it must wait on: its broker has enough under way, or its address is asked
 */
static bool ask_start(struct porter_books *books, const struct eng_books_ask *ask, int64_t now_ns)
{
    struct eng_porter *porter = books->porter;
    const struct eng_generation *generation = porter->generation;
    const struct ipc_row_account *account = NULL;
    struct ipc_error error = {{0}};
    if (generation != NULL && ask->account > 0 && ask->account <= generation->view.account_count)
        account = &generation->view.accounts[ask->account - 1];
    if (account == NULL || account->account != ask->account ||
        generation->brokers[account->broker].dialect == NULL) {
        ask_refuse(books, ask, IPC_BOOK_NO_CONNECTION, now_ns);
        return true;
    }
    if (generation->auths[ask->account - 1].count == 0) {
        ask_refuse(books, ask, IPC_BOOK_AUTH, now_ns);
        return true;
    }
    if (books->of_broker[account->broker] >= porter->wiring.config->books_per_broker)
        return false;
    const enum ipc_rc rc =
        porter_address_find(porter, account->broker, account->source_family, now_ns, &error);
    if (rc == IPC_EMPTY)
        return false;
    if (rc != IPC_OK) {
        failure_say(books, account->broker, ask->account, error.text, now_ns);
        ask_refuse(books, ask, IPC_BOOK_NO_CONNECTION, now_ns);
        return true;
    }
    uint32_t at = 0;
    while (books->jobs[at].in_use)
        at++; /* asks and jobs together are at most ENG_BOOKS_MAX: there is one */
    struct books_job *job = &books->jobs[at];
    job->ask = *ask;
    job->step = 0;
    job->broker = account->broker;
    if (!request_start(books, job)) {
        failure_say(books, account->broker, ask->account,
            "its source address or libcurl refuses the request", now_ns);
        ask_refuse(books, ask, IPC_BOOK_NO_CONNECTION, now_ns);
        return true;
    }
    job->in_use = true;
    job->first_sent_mono_ns = job->sent_mono_ns;
    job->book = books_new(ask);
    books->under_way++;
    books->of_broker[job->broker]++;
    return true;
}

/* Looks at each of those that wait once; what must wait on keeps its order. */
static uint32_t asks_start(struct porter_books *books, int64_t now_mono_ns)
{
    const uint32_t count = books->waiting_count;
    uint32_t started = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct eng_books_ask ask = books->waiting[books->waiting_first];
        books->waiting_first = (books->waiting_first + 1) % ENG_BOOKS_MAX;
        books->waiting_count--;
        if (ask_start(books, &ask, now_mono_ns))
            started++;
        else
            porter_books_ask(books, &ask);
    }
    return started;
}

uint32_t porter_books_run(struct porter_books *books, int64_t now_mono_ns)
{
    uint32_t work = books->waiting_count > 0 ? asks_start(books, now_mono_ns) : 0;
    struct eng_telemetry *telemetry = books->porter->wiring.telemetry;
    int running, left;
    if (books->under_way > 0) {
        (void)curl_multi_perform(books->multi, &running);
        const CURLMsg *message;
        while ((message = curl_multi_info_read(books->multi, &left)) != NULL) {
            struct books_job *job = NULL;
            if (message->msg != CURLMSG_DONE)
                continue;
            const CURLcode code = message->data.result;
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&job);
            job_done(books, job, code);
            work++;
        }
    }
    if (work > 0) {
        ipc_metric_set(telemetry->books_under_way, books->under_way);
        ipc_metric_set(telemetry->books_waiting, books->waiting_count);
    }
    return work;
}
