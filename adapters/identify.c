#include "adapters/identify.h"

#include "ipc/tag.h"

#include <string.h>

/* Brokers' times have whole seconds. */
#define BROKER_TIME_STEP_NS LS_NS_PER_S

static void set_tag(
    struct ipc_event *event, const struct ipc_row_account *row, const char *client_tag)
{
    struct ipc_tag_parts parts;
    memset(event->client_tag, 0, sizeof(event->client_tag));
    if (ipc_tag_parse(client_tag, strlen(client_tag), &parts) != IPC_OK)
        return;
    memcpy(event->client_tag, client_tag, IPC_TAG_CHARACTERS);
    event->flags = (uint8_t)(event->flags | IPC_EVENT_OWN_TAG);
    if ((row->flags & IPC_ACCOUNT_CHAINING) != 0)
        event->flags = (uint8_t)(event->flags | IPC_EVENT_CHAINED);
}

void adp_identify(const char *cluster_id, const struct ipc_row_account *row, const char *client_tag,
    bool is_from_book, struct ipc_event *event)
{
    event->kind = IPC_EVENT_ORDER;
    event->account = row->account;
    event->flags = (uint8_t)(is_from_book ? IPC_EVENT_FROM_BOOK : 0u);
    event->book_order_count = 0;
    event->reserved = 0;
    set_tag(event, row, client_tag);
    ipc_order_key(
        cluster_id, row->account, event->broker_order_id, &event->order_key, &event->order_digits);
}

int64_t adp_book_version(int64_t broker_version_ns, int64_t read_wall_ns, int64_t book_lag_ns)
{
    if (broker_version_ns == 0)
        return read_wall_ns - book_lag_ns;
    if (broker_version_ns % BROKER_TIME_STEP_NS != 0)
        return broker_version_ns;
    const int64_t since = read_wall_ns - book_lag_ns - broker_version_ns;
    return broker_version_ns + ls_min_i64(ls_max_i64(since, 0), BROKER_TIME_STEP_NS - 1);
}
