/* uring_flag_test: IORING_SQ_TASKRUN without any work behind it must not hold the pinned thread.
 * The kernel (6.18) leaves the flag set when the work was run between its queueing and the setting
 * of the flag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/net/uring.c" /* the flag lies in the ring that the edge keeps to itself */

static void a_flag_without_work_ends_the_round(void **state)
{
    (void)state;
    struct eng_edge *edge = NULL;
    struct ipc_error error = {.text = ""};
    const struct eng_edge_config config = {
        .sockets = 4, .receive_buffers = 8, .receive_buffer_bytes = 4096};
    if (eng_edge_uring_open(&config, &edge, &error) != IPC_OK) {
        print_message("skipped: %s\n", error.text);
        skip();
    }
    struct uring_edge *self = self_of(edge);
    struct eng_edge_event events[8];
    alarm(10); /* the defect was an endless loop */
    for (int i = 0; i < 100; i++) {
        __atomic_store_n(self->ring.sq.kflags, IORING_SQ_TASKRUN, __ATOMIC_RELAXED);
        assert_int_equal(uring_poll(edge, events, 8), 0);
    }
    alarm(0);
    assert_true(edge->calls >= 100);
    uring_close(edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_flag_without_work_ends_the_round)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
