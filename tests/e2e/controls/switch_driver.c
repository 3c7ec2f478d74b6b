/* switch_driver.c: offers orders to a live engine and throws a switch back and forth meanwhile, as
 * `lockstepctl switch` does: set, wait for the acknowledgement, and only then bar the page that
 * send_judge.c looks at.
 *
 *     switch_driver INSTANCE CLUSTER ACCOUNT INSTRUMENTS ORDERS PAGE WAITS SCOPE
 *
 *     ORDERS   events to publish, one new order of ACCOUNT each, in instruments 1 to INSTRUMENTS
 *     WAITS    1 = waits for the acknowledgement; 0 = does not: the judge must see something then
 *     SCOPE    global, or the broker 0, or the master ACCOUNT
 * Prints one line of JSON. */
#include "ipc/clock.h"
#include "ipc/engine_page.h"
#include "ipc/ring.h"
#include "ipc/switches.h"
#include "ipc/tag.h"
#include "ipc/wake.h"
#include "tests/e2e/controls/send_judge.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EVENT_NS  (5 * LS_NS_PER_MS)
#define HOLD_NS   (300 * LS_NS_PER_US)
#define PAUSE_NS  (2 * LS_NS_PER_MS)
#define SEEN_NS   (10 * LS_NS_PER_S)
#define RING_SIZE 4096u

struct driver {
    struct ipc_shm shm;
    const char *cluster;
    uint32_t account, instruments, orders;
    struct ipc_ring_producer ring;
    struct ipc_wake wake;
    _Atomic uint32_t published;
    _Atomic uint32_t is_done;
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "switch_driver: %s: %s\n", what, why);
    exit(1);
}

static void nap(int64_t ns)
{
    struct timespec pause = {.tv_sec = ns / LS_NS_PER_S, .tv_nsec = ns % LS_NS_PER_S};
    (void)nanosleep(&pause, NULL);
}

/* A new limit order that rests. Its quantity goes round, so that no two look alike. */
static struct ipc_event order_of(const struct driver *driver, uint32_t number)
{
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_CNC,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_OPEN,
        .source = IPC_SOURCE_TERMINAL,
        .account = driver->account,
        .instrument = 1 + number % driver->instruments,
        .qty_e8 = (int64_t)(1 + number % 997) * LS_E8,
        .price_e8 = 100 * LS_E8};
    event.version = ipc_clock_wall_ns();
    event.received_mono_ns = event.published_mono_ns = ipc_clock_mono_ns();
    snprintf(event.broker_order_id, sizeof event.broker_order_id, "J%d-%u", (int)getpid(), number);
    ipc_order_key(driver->cluster, driver->account, event.broker_order_id, &event.order_key,
        &event.order_digits);
    event.event_key = ipc_event_key(&event);
    return event;
}

static void *publish(void *context)
{
    struct driver *driver = context;
    for (uint32_t i = 0; i < driver->orders; i++) {
        struct ipc_event event = order_of(driver, i);
        while (ipc_ring_offer(&driver->ring, &event, sizeof event, NULL) != IPC_OK)
            nap(EVENT_NS);
        ipc_wake_notify(&driver->wake);
        atomic_fetch_add(&driver->published, 1);
        nap(EVENT_NS);
    }
    atomic_store(&driver->is_done, 1);
    return NULL;
}

/* What `lockstepctl switch` does. */
static void throw_switch(struct driver *driver, enum ipc_switch_scope scope, uint32_t index,
    enum ipc_switch value, bool waits)
{
    static const struct ipc_switches_shape shape = IPC_SWITCHES_DEFAULT_SHAPE;
    static struct ipc_engine_wait wait;
    struct ipc_switches page;
    struct ipc_error error = {{0}};
    uint64_t sequence = 0;
    if (ipc_switches_open_writer(&driver->shm, &shape, &page, &error) != IPC_OK)
        fail("switches", error.text);
    if (ipc_switches_set(&page, scope, index, value, &sequence) != IPC_OK)
        fail("switches", "the word is out of range");
    ipc_switches_close(&page);
    if (!waits)
        return;
    if (ipc_engine_wait_switch(&driver->shm, sequence, SEEN_NS, &wait) != IPC_OK)
        fail("acknowledgement", "the engine did not answer in 10 s");
    if (wait.engine_count != 1 || wait.answer[0] != IPC_ENGINE_DONE)
        fail("acknowledgement", "there is not one live engine");
}

static struct judge_page *judge_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        fail(path, "cannot be opened");
    void *at = mmap(NULL, sizeof(struct judge_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        fail(path, "cannot be mapped");
    close(fd);
    return at;
}

int main(int argc, char **argv)
{
    static struct driver driver;
    struct ipc_error error = {{0}};
    if (argc != 9)
        fail("usage", "switch_driver INSTANCE CLUSTER ACCOUNT INSTRUMENTS ORDERS PAGE WAITS SCOPE");
    driver.cluster = argv[2];
    driver.account = (uint32_t)strtoul(argv[3], NULL, 10);
    driver.instruments = (uint32_t)strtoul(argv[4], NULL, 10);
    driver.orders = (uint32_t)strtoul(argv[5], NULL, 10);
    struct judge_page *judge = judge_open(argv[6]);
    bool waits = strcmp(argv[7], "1") == 0;
    enum ipc_switch_scope scope = strcmp(argv[8], "global") == 0   ? IPC_SWITCH_GLOBAL
                                  : strcmp(argv[8], "broker") == 0 ? IPC_SWITCH_BROKER
                                                                   : IPC_SWITCH_MASTER;
    uint32_t index = scope == IPC_SWITCH_MASTER ? driver.account : 0;
    if (ipc_shm_open(&driver.shm, NULL, argv[1], true, &error) != IPC_OK)
        fail("instance", error.text);
    struct ipc_ring_name name = {.producer = "judge", .shard = 0, .ring_class = IPC_RING_ORDERS};
    if (ipc_ring_create(&driver.shm, &name, RING_SIZE, &error) != IPC_OK ||
        ipc_ring_attach_producer(&driver.shm, &name, &driver.ring, &error) != IPC_OK ||
        ipc_wake_open_producer(&driver.shm, 0, &driver.wake, &error) != IPC_OK)
        fail("ring", error.text);

    uint64_t throws = 0, violations = atomic_load(&judge->violations);
    uint64_t sends = atomic_load(&judge->sends);
    int64_t began_ns = ipc_clock_mono_ns();
    pthread_t thread;
    if (pthread_create(&thread, NULL, publish, &driver) != 0)
        fail("thread", "cannot be started");
    while (!atomic_load(&driver.is_done)) {
        enum ipc_switch word = throws % 2 == 0 ? IPC_SWITCH_CLOSE_ONLY : IPC_SWITCH_HALT;
        throw_switch(&driver, scope, index, word, waits);
        /* Release: pairs with the acquire in send_judge.c. From here on nothing may begin. */
        atomic_store_explicit(&judge->barred, 1, memory_order_release);
        nap(HOLD_NS);
        atomic_store_explicit(&judge->barred, 0, memory_order_release);
        throw_switch(&driver, scope, index, IPC_SWITCH_RUN, false);
        nap(PAUSE_NS + (int64_t)(throws % 5) * HOLD_NS);
        throws++;
    }
    pthread_join(thread, NULL);
    printf("{\"events\":%u,\"throws\":%" PRIu64 ",\"sends\":%" PRIu64 ",\"violations\":%" PRIu64
           ",\"seconds\":%.1f}\n",
        atomic_load(&driver.published), throws, atomic_load(&judge->sends) - sends,
        atomic_load(&judge->violations) - violations,
        (double)(ipc_clock_mono_ns() - began_ns) / 1e9);
    ipc_ring_detach_producer(&driver.ring);
    ipc_wake_close(&driver.wake);
    ipc_shm_close(&driver.shm);
    return 0;
}
