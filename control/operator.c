#include "control/operator.h"

#include <string.h>
#include <time.h>

#include "ipc/clock.h"
#include "ipc/ring.h"
#include "ipc/tag.h"

#define RING_SLOTS 256u
#define LOOK_NS    (20 * LS_NS_PER_MS)
#define PRODUCER   "lockstepctl"

void ctl_operator_act(struct ipc_event *event, enum ipc_operator_act act, const char *by)
{
    LS_CHECK(strlen(by) < sizeof(event->broker_order_id));
    memset(event, 0, sizeof(*event));
    event->kind = IPC_EVENT_OPERATOR;
    event->reserved = act;
    event->received_mono_ns = event->published_mono_ns = ipc_clock_mono_ns();
    memcpy(event->broker_order_id, by, strlen(by));
}

int ctl_operator_order(
    const struct ctl_live *live, const char *tag, struct ipc_event *event, uint32_t *shard)
{
    struct ipc_tag_parts parts;
    if (ipc_tag_parse(tag, strlen(tag), &parts) != IPC_OK)
        return ctl_refuse("'%s' is no tag of an order: see 'orders'", tag);
    memcpy(event->client_tag, tag, IPC_TAG_CHARACTERS);
    event->book_order_count = parts.follower_no;
    for (uint32_t i = 0; i < live->view.follower_slots; i++) {
        const struct ipc_row_follower *row = &live->view.followers[i];
        if (row->follower_no != parts.follower_no)
            continue;
        event->account = row->account;
        *shard = row->shard;
        return CTL_DONE;
    }
    return ctl_refuse("follower %u of this tag is not in the live snapshot", parts.follower_no);
}

bool ctl_operator_by_is_sound(const char *by, size_t most)
{
    const size_t bytes = strlen(by);
    if (bytes == 0 || bytes > most)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (by[i] <= ' ' || by[i] > '~')
            return false;
    return true;
}

static int nothing_is_it(const struct ipc_journal_entry *entry, void *context)
{
    (void)entry;
    (void)context;
    return -1;
}

/* Reads what there is. Returns -1 at its end, or what `answer` returned. */
static int read_on(struct ipc_journal_reader *reader, ctl_operator_answer_fn answer, void *context)
{
    for (;;) {
        struct ipc_journal_entry entry;
        switch (ipc_journal_reader_next(reader, &entry)) {
        case IPC_JOURNAL_FRAME: {
            const int code = answer(&entry, context);
            if (code >= 0)
                return code;
            break;
        }
        case IPC_JOURNAL_HOLE:
            break;
        case IPC_JOURNAL_END:
            return -1;
        case IPC_JOURNAL_TORN:
        case IPC_JOURNAL_CORRUPT:
        case IPC_JOURNAL_GONE:
            return ctl_refuse("%s", entry.error.text);
        }
    }
}

int ctl_operator_begin(
    const struct ctl_live *live, uint32_t shard, struct ipc_journal_reader **reader)
{
    const struct ipc_journal_reader_options reading = {
        .memory_directory = live->shm.path, .shard = shard};
    struct ipc_error error;
    *reader = NULL;
    if (ipc_journal_reader_open(&reading, reader, &error) != IPC_OK)
        return ctl_refuse("%s: an engine of shard %u must run", error.text, shard);
    const int code = read_on(*reader, nothing_is_it, NULL);
    return code < 0 ? CTL_DONE : code;
}

int ctl_operator_send(const struct ctl_live *live, uint32_t shard, const struct ipc_event *event)
{
    const struct ipc_ring_name name = {
        .producer = PRODUCER, .shard = shard, .ring_class = IPC_RING_ORDERS};
    struct ipc_ring_producer ring;
    struct ipc_error error;
    if (ipc_event_check(event, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    if (ipc_ring_create(&live->shm, &name, RING_SLOTS, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    enum ipc_rc rc = ipc_ring_attach_producer(&live->shm, &name, &ring, &error);
    if (rc == IPC_BUSY)
        return ctl_refuse("another lockstepctl is at it: try again");
    if (rc != IPC_OK)
        return ctl_refuse("%s", error.text);
    rc = ipc_ring_offer(&ring, event, sizeof(*event), NULL);
    ipc_ring_detach_producer(&ring);
    if (rc != IPC_OK)
        return ctl_refuse(
            "the ring %s is full: no engine of shard %u takes from it", PRODUCER, shard);
    return CTL_DONE;
}

int ctl_operator_wait(struct ipc_journal_reader *reader, uint32_t seconds,
    ctl_operator_answer_fn answer, void *context)
{
    const int64_t until_ns = ipc_clock_mono_ns() + seconds * LS_NS_PER_S;
    for (;;) {
        const int code = read_on(reader, answer, context);
        if (code >= 0)
            return code;
        if (ipc_clock_mono_ns() >= until_ns)
            return CTL_TIMEOUT;
        const struct timespec pause = {.tv_nsec = LOOK_NS};
        (void)nanosleep(&pause, NULL);
    }
}
