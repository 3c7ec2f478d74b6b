#include "ipc/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct ipc_event sound_order(void)
{
    struct ipc_event event = {
        .kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_OPEN,
        .source = IPC_SOURCE_TERMINAL,
        .account = 7,
        .instrument = 0,
        .order_digits = 36,
        .qty_e8 = 100 * LS_E8,
        .price_e8 = 1050 * LS_E8,
        .filled_qty_e8 = 25 * LS_E8,
        .average_price_e8 = 1049 * LS_E8,
        .version = INT64_C(1748239930000000000),
        .broker_wall_ns = INT64_C(1748239930000000000),
        .received_mono_ns = 5,
        .published_mono_ns = 6,
    };
    strcpy(event.broker_order_id, "25052600123456");
    return event;
}

static void test_sound_events_pass(void **state)
{
    (void)state;
    struct ipc_event event = sound_order();
    assert_int_equal(ipc_event_check(&event, NULL), IPC_OK);
    event.type = IPC_TYPE_SL;
    event.trigger_e8 = LS_E8;
    assert_int_equal(ipc_event_check(&event, NULL), IPC_OK);
    event.type = IPC_TYPE_SLM;
    event.price_e8 = 0;
    assert_int_equal(ipc_event_check(&event, NULL), IPC_OK);
    event.type = IPC_TYPE_MARKET;
    event.trigger_e8 = 0;
    assert_int_equal(ipc_event_check(&event, NULL), IPC_OK);
    event.filled_qty_e8 = event.qty_e8;
    event.flags = IPC_EVENT_FROM_BOOK | IPC_EVENT_OWN_TAG | IPC_EVENT_CHAINED;
    assert_int_equal(ipc_event_check(&event, NULL), IPC_OK);
    struct ipc_event marker = {.kind = IPC_EVENT_BOOK_END, .account = 7, .book_order_count = 3};
    assert_int_equal(ipc_event_check(&marker, NULL), IPC_OK);
    marker.kind = IPC_EVENT_FEED_GAP;
    assert_int_equal(ipc_event_check(&marker, NULL), IPC_OK);
}

/* One field is spoiled per row; the refusal must name it. */
#define SPOIL(member, value)                                                                       \
    do {                                                                                           \
        struct ipc_event event = sound_order();                                                    \
        struct ipc_error error = {.text = ""};                                                     \
        event.member = (value);                                                                    \
        assert_int_equal(ipc_event_check(&event, &error), IPC_BAD_INPUT);                          \
        if (strstr(error.text, "field " #member " ") == NULL)                                      \
            fail_msg("'%s' does not name " #member, error.text);                                   \
        assert_int_equal(ipc_event_check(&event, NULL), IPC_BAD_INPUT);                            \
    } while (0)

static void test_each_spoiled_field_is_named(void **state)
{
    (void)state;
    SPOIL(kind, 0);
    SPOIL(kind, 7);
    SPOIL(kind, IPC_EVENT_COPY_SELECTED);
    SPOIL(side, 0);
    SPOIL(side, 3);
    SPOIL(type, 5);
    SPOIL(product, 0);
    SPOIL(validity, 9);
    SPOIL(status, 7);
    SPOIL(source, 3);
    SPOIL(flags, 8);
    SPOIL(account, 0);
    SPOIL(reserved, 1);
    SPOIL(order_digits, UINT64_C(101559956668416));
    SPOIL(qty_e8, 0);
    SPOIL(qty_e8, INT64_MIN);
    SPOIL(filled_qty_e8, -1);
    SPOIL(filled_qty_e8, 100 * LS_E8 + 1);
    SPOIL(average_price_e8, -1);
    SPOIL(price_e8, 0);
    SPOIL(price_e8, -1);
    SPOIL(trigger_e8, 1);
    SPOIL(version, 0);
    SPOIL(broker_wall_ns, -1);
    SPOIL(received_mono_ns, -1);
    SPOIL(published_mono_ns, -1);
    SPOIL(feed_lag_ns, -1);
    SPOIL(type, IPC_TYPE_MARKET + 250);
}
#undef SPOIL

static void test_texts_are_printable_and_padded(void **state)
{
    (void)state;
    struct ipc_event event = sound_order();
    memset(event.broker_order_id, 0, sizeof event.broker_order_id);
    assert_int_equal(ipc_event_check(&event, NULL), IPC_BAD_INPUT);
    memset(event.broker_order_id, 'A', sizeof event.broker_order_id);
    assert_int_equal(ipc_event_check(&event, NULL), IPC_BAD_INPUT);
    event.broker_order_id[sizeof event.broker_order_id - 1] = '\0';
    assert_int_equal(ipc_event_check(&event, NULL), IPC_OK);
    event.broker_order_id[3] = '\0';
    assert_int_equal(ipc_event_check(&event, NULL), IPC_BAD_INPUT);
    event = sound_order();
    event.client_tag[0] = '\n';
    assert_int_equal(ipc_event_check(&event, NULL), IPC_BAD_INPUT);
    event = sound_order();
    event.reject_code[0] = (char)0xc3;
    assert_int_equal(ipc_event_check(&event, NULL), IPC_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_events_pass),
        cmocka_unit_test(test_each_spoiled_field_is_named),
        cmocka_unit_test(test_texts_are_printable_and_padded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
