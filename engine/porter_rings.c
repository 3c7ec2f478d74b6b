#include <stdlib.h>
#include <string.h>

#include "engine/porter_private.h"

/* ---- rings ------------------------------------------------------------------------------------
 */

static bool ring_known(const struct eng_porter *porter, const struct ipc_ring_name *name)
{
    for (uint32_t i = 0; i < porter->ring_count; i++) {
        const struct porter_ring *ring = &porter->rings[i];
        if (ring->consumer != NULL && ring->name.ring_class == name->ring_class &&
            strcmp(ring->name.producer, name->producer) == 0)
            return true;
    }
    return false;
}

static uint32_t ring_place(const struct eng_porter *porter)
{
    uint32_t place = 0;
    while (place < porter->ring_count && porter->rings[place].consumer != NULL)
        place++;
    return place;
}

static void ring_take(struct eng_porter *porter, const struct ipc_ring_name *name)
{
    struct ipc_error error = {{0}};
    uint32_t place = ring_place(porter);
    if (place >= porter->wiring.config->rings) {
        if (!porter->rings_full_said)
            ipc_log(IPC_LOG_ERROR, "ring of '%s' is not read: limits.rings (%u) are in use",
                name->producer, porter->wiring.config->rings);
        porter->rings_full_said = true;
        return;
    }
    struct ipc_ring_consumer *consumer = calloc(1, sizeof(*consumer));
    if (consumer == NULL)
        return; /* tried again at the next look */
    enum ipc_rc rc = ipc_ring_attach_consumer(porter->wiring.shm, name, consumer, &error);
    if (rc != IPC_OK) {
        free(consumer);
        if (rc != IPC_NOT_FOUND && porter->rings_refused++ % 200 == 0)
            ipc_log(IPC_LOG_ERROR, "ring of '%s' is not read: %s", name->producer, error.text);
        return;
    }
    struct eng_to_turn message = {
        .kind = ENG_TO_TURN_RING,
        .index = place,
        .ring = consumer,
        .ring_class = name->ring_class,
    };
    if (!porter_tell(porter, &message)) {
        ipc_ring_detach_consumer(consumer);
        free(consumer);
        return;
    }
    porter->rings[place] = (struct porter_ring){.consumer = consumer, .name = *name};
    if (place == porter->ring_count)
        porter->ring_count++;
    ipc_log(IPC_LOG_INFO, "reading ring '%s' (%s)", name->producer,
        ipc_ring_class_name(name->ring_class));
}

void porter_rings_find(struct eng_porter *porter)
{
    static const enum ipc_ring_class classes[] = {IPC_RING_ORDERS, IPC_RING_UPDATES};
    struct ipc_ring_name names[64];
    for (size_t c = 0; c < LS_COUNT_OF(classes); c++) {
        struct ipc_error error;
        uint32_t count = 0;
        if (ipc_ring_find(porter->wiring.shm, porter->wiring.config->shard, classes[c], names,
                LS_COUNT_OF(names), &count, &error) != IPC_OK)
            continue;
        for (uint32_t i = 0; i < count && i < LS_COUNT_OF(names); i++)
            if (!ring_known(porter, &names[i]))
                ring_take(porter, &names[i]);
    }
}

/* A ring whose file was removed or replaced has nothing more to say: the pinned thread gives it
 * back, and a new file of that name is found as a new ring. */
void porter_rings_check(struct eng_porter *porter)
{
    for (uint32_t i = 0; i < porter->ring_count; i++) {
        struct porter_ring *ring = &porter->rings[i];
        struct ipc_error error = {{0}};
        if (ring->consumer == NULL || ring->leaving ||
            ipc_region_current(porter->wiring.shm, &ring->consumer->region, &error) != IPC_GONE)
            continue;
        struct eng_to_turn message = {.kind = ENG_TO_TURN_RING_GONE, .index = i};
        if (porter_tell(porter, &message))
            ring->leaving = true;
    }
}

void porter_ring_given_back(struct eng_porter *porter, uint32_t index)
{
    LS_CHECK(index < porter->ring_count && porter->rings[index].consumer != NULL);
    struct porter_ring *ring = &porter->rings[index];
    ipc_log(IPC_LOG_WARN,
        "ring '%s' (%s) is not read any more: its file is damaged or was replaced",
        ring->name.producer, ipc_ring_class_name(ring->name.ring_class));
    ipc_ring_detach_consumer(ring->consumer);
    free(ring->consumer);
    memset(ring, 0, sizeof(*ring));
}

/* ---- pages ------------------------------------------------------------------------------------
 */

static void switches_find(struct eng_porter *porter)
{
    struct ipc_error error = {{0}};
    enum ipc_rc rc = ipc_switches_open_reader(porter->wiring.shm, &porter->switches, &error);
    if (rc == IPC_NOT_FOUND && !porter->had_switches) {
        /* Nobody has set a switch yet: the page is made here, all words `run`, so that the first
         * `lockstepctl switch` finds an engine that reads it. A page that vanished while we run is
         * not made anew: what it barred is not known, and nothing leaves until a person acts. */
        const struct ipc_switches_shape shape = IPC_SWITCHES_DEFAULT_SHAPE;
        struct ipc_switches made;
        rc = ipc_switches_open_writer(porter->wiring.shm, &shape, &made, &error);
        if (rc == IPC_OK) {
            ipc_switches_close(&made);
            rc = ipc_switches_open_reader(porter->wiring.shm, &porter->switches, &error);
        }
    }
    if (rc != IPC_OK) {
        if (rc != IPC_BUSY && porter->switches_refused++ % 200 == 0)
            ipc_log(IPC_LOG_ERROR, "no order leaves: the switches cannot be read: %s", error.text);
        return;
    }
    struct eng_to_turn message = {.kind = ENG_TO_TURN_SWITCHES, .switches = porter->switches};
    porter->has_switches = porter_tell(porter, &message);
    if (!porter->has_switches)
        ipc_switches_close(&porter->switches);
    porter->had_switches = true;
}

void porter_pages_find(struct eng_porter *porter)
{
    if (!porter->has_switches)
        switches_find(porter);
    if (porter->generation == NULL)
        return;
    const struct ipc_snapshot_view *view = &porter->generation->view;
    for (uint32_t i = 0; i < view->broker_count && i < ENG_BROKERS_MAX; i++) {
        struct porter_broker *broker = &porter->brokers[i];
        struct ipc_error error;
        if (!view->brokers[i].live)
            continue;
        if (!broker->has_prices &&
            ipc_prices_open_reader(porter->wiring.shm, i, &broker->prices, &error) == IPC_OK) {
            struct eng_to_turn message = {
                .kind = ENG_TO_TURN_PRICES, .index = i, .prices = broker->prices};
            broker->has_prices = porter_tell(porter, &message);
            if (!broker->has_prices)
                ipc_prices_close(&broker->prices);
        }
        if (!broker->has_money &&
            ipc_accounts_open_reader(porter->wiring.shm, i, &broker->money, &error) == IPC_OK) {
            struct eng_to_turn message = {
                .kind = ENG_TO_TURN_MONEY, .index = i, .accounts = broker->money};
            broker->has_money = porter_tell(porter, &message);
            if (!broker->has_money)
                ipc_accounts_close(&broker->money);
        }
    }
    /* Events that waited for this engine are decided with switches and prices, not without. */
    if (!porter->told_pages && porter->has_switches) {
        struct eng_to_turn message = {.kind = ENG_TO_TURN_PAGES};
        porter->told_pages = porter_tell(porter, &message);
    }
}

/* The pinned thread gets a second to pick the message up before the old mapping goes. */
static void pages_close_old(struct eng_porter *porter)
{
    for (uint32_t i = 0; i < ENG_BROKERS_MAX; i++) {
        struct porter_broker *broker = &porter->brokers[i];
        if (broker->has_old_prices)
            ipc_prices_close(&broker->old_prices);
        if (broker->has_old_money)
            ipc_accounts_close(&broker->old_money);
        broker->has_old_prices = broker->has_old_money = false;
    }
    if (porter->has_old_switches)
        ipc_switches_close(&porter->old_switches);
    porter->has_old_switches = false;
}

void porter_pages_check(struct eng_porter *porter)
{
    const struct ipc_shm *shm = porter->wiring.shm;
    struct ipc_error error;
    /* The messages of the last round were taken long ago unless the pinned thread stands still:
     * then the old mappings stay. */
    if (!ipc_queue_drained(&porter->wiring.link->to_turn))
        return;
    pages_close_old(porter);
    for (uint32_t i = 0; i < ENG_BROKERS_MAX; i++) {
        struct porter_broker *broker = &porter->brokers[i];
        struct eng_to_turn message = {.kind = ENG_TO_TURN_PRICES, .index = i};
        if (broker->has_prices &&
            ipc_region_current(shm, &broker->prices.region, &error) == IPC_GONE &&
            porter_tell(porter, &message)) {
            broker->old_prices = broker->prices;
            broker->has_old_prices = true;
            broker->has_prices = false;
        }
        message = (struct eng_to_turn){.kind = ENG_TO_TURN_MONEY, .index = i};
        if (broker->has_money &&
            ipc_region_current(shm, &broker->money.region, &error) == IPC_GONE &&
            porter_tell(porter, &message)) {
            broker->old_money = broker->money;
            broker->has_old_money = true;
            broker->has_money = false;
        }
    }
    struct eng_to_turn message = {.kind = ENG_TO_TURN_SWITCHES};
    if (porter->has_switches &&
        ipc_region_current(shm, &porter->switches.region, &error) == IPC_GONE &&
        porter_tell(porter, &message)) {
        ipc_log(IPC_LOG_ERROR, "no order leaves: the switches page was removed or replaced");
        porter->old_switches = porter->switches;
        porter->has_old_switches = true;
        porter->has_switches = false;
    }
}
