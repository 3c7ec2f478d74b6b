/* engine/net/resolve: numbers at once, names from threads, and an owner that leaves first. */
#include "engine/net/resolve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void numbers_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        uint8_t family;
        int rc;
    } rows[] = {
        {"127.0.0.1", 0, IPC_OK},
        {"127.0.0.1", 4, IPC_OK},
        {"127.0.0.1", 6, IPC_NOT_FOUND},
        {"::1", 0, IPC_OK},
        {"::1", 6, IPC_OK},
        {"::1", 4, IPC_NOT_FOUND},
        {"localhost", 0, IPC_NOT_FOUND},
        {"", 0, IPC_NOT_FOUND},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct sockaddr_storage address;
        socklen_t bytes = 0;
        assert_int_equal(
            eng_resolve_numeric(rows[i].host, 443, rows[i].family, &address, &bytes), rows[i].rc);
        if (rows[i].rc == IPC_OK && address.ss_family == AF_INET)
            assert_int_equal(ntohs(((struct sockaddr_in *)(void *)&address)->sin_port), 443);
    }
}

static struct eng_resolver_question question(const char *host, uint32_t cookie)
{
    struct eng_resolver_question question = {.port = 7, .family = 4, .cookie = cookie};
    strcpy(question.broker, "b1");
    strcpy(question.host, host);
    return question;
}

static void names_from_threads(void **state)
{
    (void)state;
    struct eng_resolver *resolver;
    struct ipc_error error;
    assert_int_equal(eng_resolver_make(&resolver, &error), IPC_OK);
    struct eng_resolver_answer answer;
    assert_false(eng_resolver_take(resolver, &answer));
    uint32_t asked = 0, seen = 0, full = 0;
    for (uint32_t i = 0; i < 40; i++) { /* more than may be out at one time, perhaps */
        const struct eng_resolver_question one =
            question(i % 2 == 0 ? "localhost" : "no-such-host.invalid", i);
        const enum ipc_rc rc = eng_resolver_ask(resolver, &one);
        assert_true(rc == IPC_OK || rc == IPC_FULL);
        asked += rc == IPC_OK;
        full += rc == IPC_FULL;
    }
    assert_true(asked >= ENG_RESOLVER_ASKED_MAX);
    for (int waited = 0; seen < asked && waited < 4000; waited++) {
        if (!eng_resolver_take(resolver, &answer)) {
            pause_ms(1);
            continue;
        }
        seen++;
        assert_int_equal(answer.question.port, 7);
        if (answer.question.cookie % 2 == 0) {
            assert_int_equal(answer.rc, IPC_OK);
            assert_int_equal(answer.address.ss_family, AF_INET);
        } else {
            assert_int_equal(answer.rc, IPC_NOT_FOUND);
            assert_non_null(strstr(answer.error.text, "b1"));
            assert_non_null(strstr(answer.error.text, "no-such-host.invalid"));
        }
    }
    assert_int_equal(seen, asked);
    eng_resolver_free(resolver);
}

/* What a question uses outlives the owner: the sanitizers watch. */
static void the_owner_may_leave_first(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        struct eng_resolver *resolver;
        struct ipc_error error;
        assert_int_equal(eng_resolver_make(&resolver, &error), IPC_OK);
        const struct eng_resolver_question one = question("localhost", i);
        assert_int_equal(eng_resolver_ask(resolver, &one), IPC_OK);
        if (i % 3 == 0)
            pause_ms(1);
        eng_resolver_free(resolver);
    }
    pause_ms(100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_at_once),
        cmocka_unit_test(names_from_threads),
        cmocka_unit_test(the_owner_may_leave_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
