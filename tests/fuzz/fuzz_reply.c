/* Arbitrary replies, books, funds and feed frames through every dialect: no crash, and what is
 * believed holds together. The first three bytes are the action and the HTTP status. */
#include "adapters/broker/dialect.h"
#include "adapters/json.h"

#include <string.h>

/* What surrounds the order socket's frames. */
static void check_push(const struct adp_push *push, uint32_t status, struct adp_span body)
{
    char token[64], text[512];
    if (push->decode_token(status, body, token, sizeof(token)) == ADP_OK) {
        LS_CHECK(memchr(token, '\0', sizeof(token)) != NULL && token[0] != '\0');
        const size_t written = push->subscribe(token, "AB1234", text, sizeof(text));
        LS_CHECK(written > 0 &&
                 adp_json_check((struct adp_span){(const uint8_t *)text, written}) == ADP_OK);
    }
    (void)!push->decode_ack(body);
    (void)!push->decode_hook(status, body);
    (void)!push->is_of(body, "AB1234");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void check_order(const struct ipc_event *order, const char *client_tag, void *context)
{
    struct ipc_event whole = *order;
    (void)context;
    LS_CHECK(strlen(client_tag) < 64);
    LS_CHECK(order->broker_order_id[0] != '\0');
    if (order->status == 0)
        return; /* exists, not understood: nobody publishes it */
    whole.account = 1;
    if (whole.version == 0)
        whole.version = 1;
    LS_CHECK(ipc_event_check(&whole, NULL) == IPC_OK);
}

static uint32_t find(enum ipc_exchange exchange, struct adp_span token, void *context)
{
    (void)context;
    LS_CHECK(ipc_exchange_valid(exchange) && token.count > 0);
    return (uint32_t)token.count;
}

static void check_outcome(const struct ipc_outcome *out)
{
    LS_CHECK(ipc_outcome_class_valid(out->outcome) && out->outcome != IPC_OUTCOME_NOT_SENT);
    LS_CHECK(ipc_evidence_valid(out->evidence));
    if (out->outcome == IPC_OUTCOME_ACKED)
        LS_CHECK(out->broker_order_id[0] != '\0' && out->http_status == 200);
    if (out->outcome != IPC_OUTCOME_UNKNOWN)
        LS_CHECK(out->evidence == IPC_EVIDENCE_REPLY && out->http_status < 500);
    LS_CHECK(memchr(out->broker_order_id, '\0', sizeof(out->broker_order_id)) != NULL);
    LS_CHECK(memchr(out->text, '\0', sizeof(out->text)) != NULL);
    LS_CHECK(memchr(out->code, '\0', sizeof(out->code)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count < 3)
        return 0;
    const enum ipc_action action = (enum ipc_action)(1 + bytes[0] % 3);
    const uint32_t status = (uint32_t)bytes[1] << 8 | bytes[2];
    const struct adp_span body = {bytes + 3, count - 3};
    for (size_t i = 0; adp_dialect_at(i) != NULL; i++) {
        const struct adp_dialect *dialect = adp_dialect_at(i);
        struct ipc_outcome outcome;
        struct ipc_event event;
        struct adp_funds funds;
        bool is_empty;
        dialect->decode_reply(action, status, body, &outcome);
        check_outcome(&outcome);
        (void)!dialect->decode_book(status, body, find, check_order, NULL, &is_empty);
        if (dialect->decode_push != NULL &&
            dialect->decode_push(body, find, NULL, &event) == ADP_OK) {
            LS_CHECK(event.status != 0);
            check_order(&event, event.client_tag, NULL);
        }
        if (dialect->push != NULL)
            check_push(dialect->push, status, body);
        if (dialect->decode_funds != NULL)
            (void)!dialect->decode_funds(status, body, &funds);
    }
    return 0;
}
