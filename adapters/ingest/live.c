#include "adapters/ingest/live.h"

#include "adapters/instruments.h"
#include "ipc/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct adp_live {
    const struct ipc_shm *shm;
    struct ipc_snapshot_reader *reader;
    struct ipc_snapshot_image image;
    struct ipc_snapshot_view view;
    void *memory;                           /* of the image; NULL before the first */
    uint64_t seen_generation, seen_lineage; /* last looked at, taken or refused */
    struct adp_instruments *instruments;    /* of the view */
    char complaint[256];                    /* the last, so that it is said once */
};

struct adp_live *adp_live_open(const struct ipc_shm *shm)
{
    struct adp_live *live = calloc(1, sizeof(*live));
    LS_CHECK(live != NULL);
    live->shm = shm;
    return live;
}

void adp_live_close(struct adp_live *live)
{
    if (live == NULL)
        return;
    ipc_snapshot_reader_close(live->reader);
    free(live->memory);
    adp_instruments_free(live->instruments);
    free(live);
}

static void complain(struct adp_live *live, const struct ipc_error *error)
{
    if (strcmp(live->complaint, error->text) == 0)
        return;
    (void)snprintf(live->complaint, sizeof(live->complaint), "%s", error->text);
    ipc_log(IPC_LOG_WARN, "snapshot: %s", error->text);
}

/* Copies and checks the generation in force into new memory. */
static enum ipc_rc read_generation(
    struct adp_live *live, struct ipc_snapshot_image *image, void **memory, struct ipc_error *error)
{
    struct ipc_snapshot_shape shape;
    struct ipc_snapshot_view view;
    enum ipc_rc rc = ipc_snapshot_reader_shape(live->reader, &shape, error);
    if (rc != IPC_OK)
        return rc;
    const uint64_t bytes = ipc_snapshot_footprint(&shape);
    if (bytes == 0)
        return IPC_BAD_LAYOUT;
    *memory = aligned_alloc(4096, bytes);
    LS_CHECK(*memory != NULL);
    memset(*memory, 0, bytes);
    ipc_snapshot_image_init(image, *memory, &shape);
    rc = ipc_snapshot_reader_copy(live->reader, image, error);
    if (rc != IPC_OK)
        return rc;
    ipc_snapshot_view_of(image, &view);
    const uint64_t scratch_bytes = ipc_snapshot_scratch_bytes(&view);
    void *scratch = aligned_alloc(64, ls_align_up(scratch_bytes + 1, 64));
    LS_CHECK(scratch != NULL);
    rc = ipc_snapshot_validate(&view, scratch, scratch_bytes, error);
    free(scratch);
    return rc;
}

static bool take_generation(struct adp_live *live, uint64_t generation, uint64_t lineage)
{
    struct ipc_snapshot_image image;
    struct ipc_error error = {.text = ""};
    void *memory = NULL;
    const enum ipc_rc rc = read_generation(live, &image, &memory, &error);
    if (rc != IPC_OK) {
        free(memory);
        if (rc == IPC_TORN || rc == IPC_EMPTY || rc == IPC_TOO_LONG)
            return false; /* being written: the next look will find it */
        live->seen_generation = generation;
        live->seen_lineage = lineage;
        if (error.text[0] == '\0')
            ipc_error_set(&error, "%s", ipc_rc_text(rc));
        ipc_log(IPC_LOG_ERROR, "snapshot generation %llu is refused, the last good one stays: %s",
            (unsigned long long)generation, error.text);
        return false;
    }
    free(live->memory);
    live->memory = memory;
    live->image = image;
    ipc_snapshot_view_of(&live->image, &live->view);
    live->seen_generation = live->image.generation;
    live->seen_lineage = live->image.lineage;
    live->complaint[0] = '\0';
    adp_instruments_free(live->instruments);
    live->instruments = adp_instruments_build(&live->view);
    ipc_log(IPC_LOG_INFO, "snapshot generation %llu: %u accounts, %u instruments",
        (unsigned long long)live->image.generation, live->view.account_count,
        live->view.instrument_count);
    return true;
}

bool adp_live_follow(struct adp_live *live)
{
    struct ipc_error error = {.text = ""};
    uint64_t generation = 0, lineage = 0;
    if (live->reader == NULL &&
        ipc_snapshot_reader_open(live->shm, &live->reader, &error) != IPC_OK) {
        live->reader = NULL;
        complain(live, &error);
        return false;
    }
    if (ipc_snapshot_reader_poll(live->reader, &generation, &lineage, &error) != IPC_OK) {
        complain(live, &error);
        return false;
    }
    if (generation == 0 || (generation == live->seen_generation && lineage == live->seen_lineage))
        return false;
    return take_generation(live, generation, lineage);
}

const struct ipc_snapshot_view *adp_live_view(const struct adp_live *live)
{
    return live->memory == NULL ? NULL : &live->view;
}

const struct ipc_row_account *adp_live_account(const struct adp_live *live, uint32_t account)
{
    if (live->memory == NULL || account == 0 || account > live->view.account_count)
        return NULL;
    const struct ipc_row_account *row = &live->view.accounts[account - 1];
    return row->account == account ? row : NULL;
}

static bool is_number(const char *name, uint32_t *number)
{
    uint64_t value = 0;
    for (const char *at = name; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || value > UINT32_MAX)
            return false;
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *number = (uint32_t)value;
    return value > 0 && value <= UINT32_MAX;
}

enum ipc_rc adp_live_find_account(
    const struct adp_live *live, const char *name, const char *broker, uint32_t *account)
{
    uint32_t found = 0, number = 0;
    if (live->memory == NULL)
        return IPC_NOT_FOUND;
    for (uint32_t i = 0; i < live->view.account_count; i++) {
        const struct ipc_row_account *row = &live->view.accounts[i];
        if (row->account == 0 || strncmp(row->login, name, sizeof(row->login)) != 0)
            continue;
        if (broker[0] != '\0' && strcmp(live->view.brokers[row->broker].name, broker) != 0)
            continue;
        if (found != 0)
            return IPC_EXISTS;
        found = row->account;
    }
    /* A login goes first: some brokers' logins are numbers. */
    if (found == 0 && broker[0] == '\0' && is_number(name, &number) &&
        adp_live_account(live, number) != NULL)
        found = number;
    *account = found;
    return found == 0 ? IPC_NOT_FOUND : IPC_OK;
}

uint32_t adp_live_find_instrument_at(
    const struct adp_live *live, uint32_t broker, enum ipc_exchange exchange, struct adp_span text)
{
    return live->instruments == NULL
               ? 0
               : adp_instruments_find(live->instruments, broker, exchange, text);
}

uint32_t adp_live_find_instrument(
    const struct adp_live *live, enum ipc_exchange exchange, struct adp_span text)
{
    return adp_live_find_instrument_at(live, ADP_LIVE_ANY_BROKER, exchange, text);
}

uint64_t adp_live_order_shards(const struct adp_live *live, const struct ipc_row_account *account)
{
    uint64_t shards = 0;
    for (uint32_t i = 0; i < live->view.master_count; i++)
        if (live->view.masters[i].account == account->account && live->view.masters[i].count > 0)
            shards |= UINT64_C(1) << live->view.masters[i].shard;
    return shards != 0 ? shards : UINT64_C(1) << account->shard;
}
