/* memory_test.c: the bounded pool, alone and under OpenSSL and nghttp2 with the allocation trap
 * armed around everything that the pinned thread does. */
#include "engine/net/memory.h"
#include "ipc/clock.h"
#include "ipc/prng.h"
#include "tests/support/alloc_trap.h"
#include "tests/unit/engine/net/net_peer.h"
#include "tests/unit/engine/net/net_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#define POOL_BYTES (4u << 20)

static struct eng_memory *pool;

static struct eng_memory *fresh_pool(size_t bytes, void **memory)
{
    *memory = aligned_alloc(64, bytes);
    assert_non_null(*memory);
    return eng_memory_init(*memory, bytes);
}

/* Random sizes against a pattern: blocks never overlap, resizing keeps what was there. */
static void blocks_are_apart(void **state)
{
    (void)state;
    void *memory;
    struct eng_memory *mine = fresh_pool(POOL_BYTES, &memory);
    eng_memory_enter(mine);
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 11);
    uint8_t *blocks[64] = {0};
    size_t sizes[64] = {0};
    for (uint32_t i = 0; i < 20000; i++) {
        const uint64_t at = ipc_prng_below(&prng, 64);
        for (size_t k = 0; k < sizes[at]; k += 1 + sizes[at] / 16)
            assert_int_equal(blocks[at][k], (uint8_t)(at * 3 + 1));
        const size_t size = 1 + ipc_prng_below(&prng, ipc_prng_chance(&prng, 1, 8) ? 18000 : 900);
        if (ipc_prng_chance(&prng, 1, 3)) {
            OPENSSL_free(blocks[at]);
            blocks[at] = NULL;
            sizes[at] = 0;
            continue;
        }
        uint8_t *block = OPENSSL_realloc(blocks[at], size);
        assert_non_null(block);
        for (size_t k = 0; k < sizes[at] && k < size; k += 1 + sizes[at] / 16)
            assert_int_equal(block[k], (uint8_t)(at * 3 + 1));
        memset(block, (int)(uint8_t)(at * 3 + 1), size);
        blocks[at] = block;
        sizes[at] = size;
    }
    for (uint32_t i = 0; i < 64; i++)
        OPENSSL_free(blocks[i]);
    eng_memory_enter(NULL);
    size_t carved, total;
    uint64_t refused;
    eng_memory_figures(mine, &carved, &total, &refused);
    assert_true(carved <= total);
    assert_int_equal(refused, 0);
    free(memory);
}

static void an_empty_pool_says_no(void **state)
{
    (void)state;
    void *memory;
    struct eng_memory *mine = fresh_pool(128 * 1024, &memory);
    eng_memory_enter(mine);
    void *blocks[1024];
    uint32_t count = 0;
    while (count < 1024 && (blocks[count] = OPENSSL_malloc(4000)) != NULL)
        count++;
    assert_true(count > 20 && count < 32);
    assert_null(OPENSSL_malloc(4000));
    OPENSSL_free(blocks[0]);
    assert_non_null(blocks[0] = OPENSSL_malloc(4000));
    /* Long fields of a hostile peer take a quarter at most. */
    assert_null(OPENSSL_malloc(60000));
    for (uint32_t i = 0; i < count; i++)
        OPENSSL_free(blocks[i]);
    eng_memory_enter(NULL);
    uint64_t refused;
    size_t carved, total;
    eng_memory_figures(mine, &carved, &total, &refused);
    assert_true(refused >= 3);
    free(memory);
}

struct crossing {
    struct eng_memory *pool;
    void *_Atomic to_other;
    void *_Atomic to_owner;
    uint32_t rounds;
};

static void *other_thread(void *context)
{
    struct crossing *crossing = context;
    for (uint32_t i = 0; i < crossing->rounds; i++) {
        void *block;
        while ((block = atomic_exchange(&crossing->to_other, NULL)) == NULL)
            ;
        OPENSSL_free(block); /* of the pool, freed here */
        block = OPENSSL_malloc(100 + i % 500);
        LS_CHECK(block != NULL);
        memset(block, 7, 100);
        while (atomic_load(&crossing->to_owner) != NULL)
            ;
        atomic_store(&crossing->to_owner, block); /* of malloc, freed over there */
        if (i % 64 == 0)
            eng_memory_drain();
    }
    return NULL;
}

/* Blocks freed on the other side come home; malloc's blocks never enter malloc on the pinned one.
 */
static void threads_free_each_others_blocks(void **state)
{
    (void)state;
    void *memory;
    struct crossing crossing = {.pool = fresh_pool(POOL_BYTES, &memory), .rounds = 5000};
    eng_memory_drain();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &crossing), 0);
    eng_memory_enter(crossing.pool);
    ls_alloc_trap_arm();
    for (uint32_t i = 0; i < crossing.rounds; i++) {
        void *block = OPENSSL_malloc(100 + i % 900);
        LS_CHECK(block != NULL);
        memset(block, 9, 100);
        while (atomic_load(&crossing.to_other) != NULL)
            ;
        atomic_store(&crossing.to_other, block);
        while ((block = atomic_exchange(&crossing.to_owner, NULL)) == NULL)
            ;
        OPENSSL_free(block);
    }
    ls_alloc_trap_disarm();
    eng_memory_enter(NULL);
    pthread_join(thread, NULL);
    eng_memory_drain();
    size_t carved, total;
    uint64_t refused;
    eng_memory_figures(crossing.pool, &carved, &total, &refused);
    assert_int_equal(refused, 0);
    assert_true(carved < 512 * 1024); /* they were used again and again */
    free(memory);
}

static void enter_pinned(bool begins)
{
    if (begins) {
        eng_memory_enter(pool);
        ls_alloc_trap_arm();
    } else {
        ls_alloc_trap_disarm();
        eng_memory_enter(NULL);
    }
}

/* The whole pinned side: requests, seals, sends, receives, tickets, key updates, broken
 * connections. */
static void the_pinned_side_never_allocates(enum eng_edge_kind kind)
{
    static struct peer peer;
    static struct rig rig;
    peer_open(&peer, "127.0.0.1", world_path("good", ".crt"), world_path("good", ".key"), "h2", 0);
    rig_open(&rig, &(struct rig_options){.edge = kind,
                       .host = "127.0.0.1",
                       .name = "broker.test",
                       .ca_file = world_path("ca", ".crt"),
                       .port = peer.port});
    rig.pinned = enter_pinned;
    const struct eng_lane_key key = {.account = 1};
    enter_pinned(true);
    eng_pool_account(rig.pool, 1, eng_pool_lane(rig.pool, &key));
    enter_pinned(false);
    uint32_t child = 0;
    for (uint32_t round = 0; round < 3; round++) {
        const uint32_t connection_no = round;
        const int64_t end = ipc_clock_mono_ns() + 3 * LS_NS_PER_S;
        while (eng_pool_serve(rig.pool, 1) == NULL && ipc_clock_mono_ns() < end) {
            rig_pump(&rig);
            peer_pump(&peer);
        }
        struct peer_connection *there = peer.connections[connection_no];
        for (uint32_t i = 0; i < 50; i++) {
            assert_int_equal(
                rig_order(&rig, 1, child++, "{\"qty\":\"65\"}", INT64_MAX), ENG_H2_ADMITTED);
            rig_flush(&rig);
            while (there->requests < i + 1 && ipc_clock_mono_ns() < end) {
                rig_pump(&rig);
                peer_pump(&peer);
            }
            if (i % 10 == 3)
                SSL_new_session_ticket(there->ssl);
            if (i % 10 == 6)
                SSL_key_update(there->ssl, SSL_KEY_UPDATE_REQUESTED);
            char reply[64];
            snprintf(reply, sizeof reply, "H %u e:200 D %u -:{\"a\": D %u s:1}", 2 * i + 1,
                2 * i + 1, 2 * i + 1);
            peer_say(there, reply);
            while (rig.outcomes->count < child && ipc_clock_mono_ns() < end)
                rig_pump(&rig);
            assert_int_equal(rig.outcomes->count, child);
        }
        if (round == 1)
            peer_say(there, "F 5 4 1 abcdef");
        else
            peer_hang_up(there, round == 0);
        while (eng_pool_serve(rig.pool, 1) != NULL && ipc_clock_mono_ns() < end)
            rig_pump(&rig);
        eng_memory_drain();
    }
    for (uint32_t i = 0; i < child; i++)
        assert_true(rig.outcomes->items[i].is_reply);
    rig_close(&rig);
    peer_close(&peer);
}

static void never_with_epoll(void **state)
{
    (void)state;
    the_pinned_side_never_allocates(ENG_EDGE_EPOLL);
}

static void never_with_uring(void **state)
{
    (void)state;
    if (eng_edge_uring_works() != NULL)
        skip();
    the_pinned_side_never_allocates(ENG_EDGE_URING);
}

/* The same over HTTP/1.1: bodies whole, in pieces and in chunks, tickets, key updates, ends. */
static void http_1_1_never_allocates(enum eng_edge_kind kind)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nkeep-alive: timeout=5, max=90\r\n"
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nt: u\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    };
    static struct peer peer;
    static struct rig rig;
    peer_open(
        &peer, "127.0.0.1", world_path("good", ".crt"), world_path("good", ".key"), "http/1.1", 0);
    rig_open(&rig, &(struct rig_options){.edge = kind,
                       .host = "127.0.0.1",
                       .name = "broker.test",
                       .ca_file = world_path("ca", ".crt"),
                       .port = peer.port,
                       .alpn = 2});
    rig.pinned = enter_pinned;
    const struct eng_lane_key key = {.account = 1};
    enter_pinned(true);
    eng_pool_account(rig.pool, 1, eng_pool_lane(rig.pool, &key));
    enter_pinned(false);
    uint32_t child = 0;
    for (uint32_t round = 0; round < 3; round++) {
        const int64_t end = ipc_clock_mono_ns() + 3 * LS_NS_PER_S;
        while (eng_pool_serve(rig.pool, 1) == NULL && ipc_clock_mono_ns() < end) {
            rig_pump(&rig);
            peer_pump(&peer);
        }
        struct peer_connection *there = peer.connections[round];
        for (uint32_t i = 0; i < 30; i++) {
            assert_int_equal(
                rig_order(&rig, 1, child++, "{\"qty\":\"65\"}", INT64_MAX), ENG_H2_ADMITTED);
            rig_flush(&rig);
            while (there->requests < i + 1 && ipc_clock_mono_ns() < end) {
                rig_pump(&rig);
                peer_pump(&peer);
            }
            if (i % 10 == 3)
                SSL_new_session_ticket(there->ssl);
            if (i % 10 == 6)
                SSL_key_update(there->ssl, SSL_KEY_UPDATE_REQUESTED);
            const char *reply = replies[i % 3];
            if (i % 4 == 1) { /* two records */
                char half[80];
                const size_t bytes = strlen(reply) / 2 < 79 ? strlen(reply) / 2 : 79;
                memcpy(half, reply, bytes);
                half[bytes] = '\0';
                peer_text(there, half);
                reply += bytes;
            }
            peer_text(there, reply);
            while (rig.outcomes->count < child && ipc_clock_mono_ns() < end)
                rig_pump(&rig);
            assert_int_equal(rig.outcomes->count, child);
        }
        if (round == 1)
            peer_text(there, "HTTP/1.1 408 Request Timeout\r\n\r\n");
        else
            peer_hang_up(there, round == 0);
        while (eng_pool_serve(rig.pool, 1) != NULL && ipc_clock_mono_ns() < end)
            rig_pump(&rig);
        eng_memory_drain();
    }
    for (uint32_t i = 0; i < child; i++)
        assert_true(rig.outcomes->items[i].is_reply);
    rig_close(&rig);
    peer_close(&peer);
}

static void http_1_1_never_with_epoll(void **state)
{
    (void)state;
    http_1_1_never_allocates(ENG_EDGE_EPOLL);
}

static void http_1_1_never_with_uring(void **state)
{
    (void)state;
    if (eng_edge_uring_works() != NULL)
        skip();
    http_1_1_never_allocates(ENG_EDGE_URING);
}

/* The trap itself: it sees what it should see. */
static void the_trap_counts(void **state)
{
    (void)state;
    if (!ls_alloc_trap_works())
        skip();
    ls_alloc_trap_count_from_here();
    void *volatile block = malloc(10);
    free(block);
    assert_int_equal(ls_alloc_trap_disarm(), 2);
}

int main(void)
{
    if (eng_memory_install() != IPC_OK)
        return 1;
    void *memory;
    pool = fresh_pool(POOL_BYTES, &memory);
    world_certificate(&(struct world_leaf){.name = "ca", .ends_in_days = 10});
    world_certificate(&(struct world_leaf){
        .name = "good", .ca = "ca", .san = "DNS:broker.test", .ends_in_days = 5});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trap_counts),
        cmocka_unit_test(blocks_are_apart),
        cmocka_unit_test(an_empty_pool_says_no),
        cmocka_unit_test(threads_free_each_others_blocks),
        cmocka_unit_test(never_with_epoll),
        cmocka_unit_test(never_with_uring),
        cmocka_unit_test(http_1_1_never_with_epoll),
        cmocka_unit_test(http_1_1_never_with_uring),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world_end();
    return failed;
}
