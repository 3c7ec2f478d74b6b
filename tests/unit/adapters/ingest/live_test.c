#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "adapters/ingest/live.h"
#include "tests/unit/adapters/ingest/world.h"

static struct adp_span span_of(const char *text)
{
    return (struct adp_span){(const uint8_t *)text, strlen(text)};
}

/* A snapshot with more instruments and contracts than the world's. */
static void publish_more(struct world *world, const struct ipc_row_instrument *instruments,
    uint32_t count, const struct ipc_row_contract *contracts, uint32_t contract_count)
{
    struct ipc_snapshot_shape shape = world->image.shape;
    shape.rows[IPC_TABLE_INSTRUMENTS] = count;
    shape.rows[IPC_TABLE_CONTRACTS] = contract_count;
    const uint64_t bytes = ipc_snapshot_footprint(&shape);
    void *memory = aligned_alloc(4096, bytes);
    struct ipc_snapshot_image image;
    memset(memory, 0, bytes);
    ipc_snapshot_image_init(&image, memory, &shape);
    image.shape = shape;
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++) {
        const void *from = t == IPC_TABLE_INSTRUMENTS ? (const void *)instruments
                           : t == IPC_TABLE_CONTRACTS ? (const void *)contracts
                                                      : world->image.rows[t];
        if (shape.rows[t] > 0)
            memcpy(image.rows[t], from,
                (size_t)shape.rows[t] *
                    ipc_table_row_bytes((enum ipc_table)t, shape.token_row_bytes));
    }
    free(world->memory);
    world->memory = memory;
    world->image = image;
    world_publish(world);
}

static struct ipc_row_instrument future(
    uint32_t id, const char *token, const char *symbol, uint8_t flags)
{
    struct ipc_row_instrument row = {.instrument = id,
        .exchange = IPC_EXCHANGE_NFO,
        .kind = IPC_KIND_FUTURE,
        .flags = flags,
        .lot_qty_e8 = 65 * LS_E8,
        .tick_e8 = LS_E8 / 20,
        .expiry_yyyymmdd = 20261229};
    snprintf(row.token, sizeof(row.token), "%s", token);
    snprintf(row.symbol, sizeof(row.symbol), "%s", symbol);
    return row;
}

static struct ipc_row_contract contract(
    uint32_t id, uint16_t broker, const char *token, const char *symbol, uint16_t flags)
{
    struct ipc_row_contract row = {.instrument = id,
        .broker = broker,
        .flags = flags,
        .identity = 1,
        .lot_qty_e8 = 65 * LS_E8,
        .tick_e8 = LS_E8 / 20};
    snprintf(row.token, sizeof(row.token), "%s", token);
    snprintf(row.symbol, sizeof(row.symbol), "%s", symbol);
    return row;
}

static void instruments_are_found_as_a_broker_calls_them(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    const struct ipc_row_instrument instruments[] = {
        future(1, "101", "GONE-OLD", IPC_INSTRUMENT_GONE), /* its token went on to 2 */
        future(2, "101", "A", 0),
        future(3, "103", "B", 0), /* brokers differ: 103 is 3 at broker 0, and 4 at broker 1 */
        future(4, "104", "C", 0),
        future(5, "105", "105x", 0),
        future(6, "106", "GONE", IPC_INSTRUMENT_GONE),
    };
    const struct ipc_row_contract contracts[] = {
        contract(3, 0, "103", "B", 0),
        contract(3, 1, "203", "B1", 0),
        contract(4, 1, "103", "C1", 0),
        contract(5, 0, "105", "S5", IPC_CONTRACT_GONE),
    };
    publish_more(&world, instruments, 6, contracts, 4);
    struct adp_live *live = adp_live_open(&world.shm);
    assert_true(adp_live_follow(live));
    static const struct {
        uint32_t broker;
        const char *text;
        uint32_t instrument;
    } rows[] = {
        {0, "101", 2},
        {1, "101", 2},
        {ADP_LIVE_ANY_BROKER, "101", 2},
        {0, "GONE-OLD", 1},
        {0, "106", 6}, /* orders of what is gone are still known */
        {0, "103", 3},
        {1, "103", 4},
        {1, "203", 3},
        {0, "203", 0},
        {0, "104", 0}, /* broker 0 does not have it, whatever its own row says */
        {1, "104", 0},
        {ADP_LIVE_ANY_BROKER, "104", 4},
        {ADP_LIVE_ANY_BROKER, "103", 3},
        {1, "C1", 4},
        {0, "C1", 0},
        {0, "105", 5},
        {1, "105", 0},
        {0, "S5", 5},
        {0, "nothing", 0},
        {0, "", 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        if (adp_live_find_instrument_at(live, rows[i].broker, IPC_EXCHANGE_NFO,
                span_of(rows[i].text)) != rows[i].instrument)
            fail_msg("row %zu", i);
    assert_int_equal(adp_live_find_instrument(live, IPC_EXCHANGE_NFO, span_of("103")), 3);
    assert_int_equal(adp_live_find_instrument(live, IPC_EXCHANGE_NSE, span_of("103")), 0);
    adp_live_close(live);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instruments_are_found_as_a_broker_calls_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
