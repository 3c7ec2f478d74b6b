/* The network: bytes with a due time, cut anywhere, lost when an end is reset. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define PIECES_PER_STEP 6u

void sim_pipe_put(
    struct sim *sim, struct sim_pipe *pipe, const uint8_t *bytes, size_t count, int64_t latency_ns)
{
    if (count == 0 || pipe->is_black)
        return;
    if (pipe->first > 0 && pipe->first == pipe->count)
        pipe->first = pipe->count = 0;
    if (pipe->count + count > pipe->capacity) {
        pipe->capacity = ls_align_up((pipe->count + count) * 2, 4096);
        pipe->bytes = realloc(pipe->bytes, pipe->capacity);
        LS_CHECK(pipe->bytes != NULL);
    }
    memcpy(pipe->bytes + pipe->count, bytes, count);
    pipe->count += count;
    int64_t due = sim->now_ns + sim_between(sim, latency_ns / 8, latency_ns);
    struct sim_chunk *last =
        pipe->chunk_count == 0
            ? NULL
            : &pipe->chunks[(pipe->chunk_first + pipe->chunk_count - 1) % SIM_CHUNKS];
    if (last != NULL && last->due_ns > due)
        due = last->due_ns; /* a stream of bytes keeps its order */
    if (pipe->chunk_count == SIM_CHUNKS) {
        last->end = pipe->count;
        last->due_ns = due;
        return;
    }
    pipe->chunks[(pipe->chunk_first + pipe->chunk_count++) % SIM_CHUNKS] =
        (struct sim_chunk){.end = pipe->count, .due_ns = due};
}

/* Bytes that have arrived by now. */
static size_t pipe_ready(const struct sim *sim, const struct sim_pipe *pipe)
{
    size_t end = pipe->first;
    if (pipe->is_black)
        return 0;
    for (uint32_t i = 0; i < pipe->chunk_count; i++) {
        const struct sim_chunk *chunk = &pipe->chunks[(pipe->chunk_first + i) % SIM_CHUNKS];
        if (chunk->due_ns > sim->now_ns)
            break;
        end = chunk->end;
    }
    return end - pipe->first;
}

static void pipe_take(struct sim_pipe *pipe, size_t count)
{
    pipe->first += count;
    while (pipe->chunk_count > 0 && pipe->chunks[pipe->chunk_first].end <= pipe->first) {
        pipe->chunk_first = (pipe->chunk_first + 1) % SIM_CHUNKS;
        pipe->chunk_count--;
    }
    if (pipe->first == pipe->count) {
        pipe->first = pipe->count = 0;
        pipe->chunk_count = 0;
    }
}

/* A reset throws away what was under way, from some byte on. */
static void pipe_lose(struct sim *sim, struct sim_pipe *pipe)
{
    size_t left = pipe->count - pipe->first;
    if (left == 0)
        return;
    size_t kept = (size_t)sim_between(sim, 0, (int64_t)left);
    pipe->count = pipe->first + kept;
    while (pipe->chunk_count > 0) {
        struct sim_chunk *last =
            &pipe->chunks[(pipe->chunk_first + pipe->chunk_count - 1) % SIM_CHUNKS];
        size_t before =
            pipe->chunk_count == 1
                ? pipe->first
                : pipe->chunks[(pipe->chunk_first + pipe->chunk_count - 2) % SIM_CHUNKS].end;
        if (before < pipe->count) {
            last->end = pipe->count;
            break;
        }
        pipe->chunk_count--;
    }
}

static void pipe_clear(struct sim_pipe *pipe)
{
    uint8_t *bytes = pipe->bytes;
    size_t capacity = pipe->capacity;
    memset(pipe, 0, sizeof(*pipe));
    pipe->bytes = bytes;
    pipe->capacity = capacity;
}

struct sim_connection *sim_net_open(struct sim *sim, uint32_t broker, uint32_t account)
{
    struct sim_connection *connection = NULL;
    for (uint32_t i = 0; i < SIM_CONNECTIONS && connection == NULL; i++) {
        if (sim->connections[i].number == 0)
            connection = &sim->connections[i];
    }
    if (connection == NULL)
        return NULL;
    connection->number = ++sim->connection_number;
    connection->broker = broker;
    connection->account = account;
    connection->client_lives = true;
    connection->is_retiring = false;
    connection->sealed_count = 0;
    connection->handed = 0;
    connection->stalled_until_ns = 0;
    connection->request_count = 0;
    connection->header_have = connection->frame_left = 0;
    connection->preface_left = 24;
    connection->server_ends_ns = SIM_NEVER;
    connection->server_fin = false;
    pipe_clear(&connection->up);
    pipe_clear(&connection->down);
    sim_broker_session(sim, connection);
    return connection;
}

void sim_net_client_gone(struct sim *sim, struct sim_connection *connection, bool loses_bytes)
{
    if (!connection->client_lives)
        return;
    connection->client_lives = false;
    connection->up.ended = true;
    if (loses_bytes)
        pipe_lose(sim, &connection->up);
    connection->up.is_black = false; /* the far end gives up in the end */
}

void sim_net_server_gone(struct sim *sim, struct sim_connection *connection, bool loses_bytes)
{
    if (connection->server == NULL)
        return;
    sim_broker_forget(sim, connection);
    nghttp2_session_del(connection->server);
    connection->server = NULL;
    connection->down.ended = true;
    if (loses_bytes)
        pipe_lose(sim, &connection->down);
}

void sim_net_up(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &sim->connections[i];
        if (connection->number == 0 || connection->server == NULL)
            continue;
        for (uint32_t piece = 0; piece < PIECES_PER_STEP && connection->server != NULL; piece++) {
            size_t ready = pipe_ready(sim, &connection->up);
            if (ready == 0)
                break;
            if (piece + 1 < PIECES_PER_STEP && ready > 1)
                ready = (size_t)sim_between(sim, 1, (int64_t)ready);
            sim_broker_receive(sim, connection, connection->up.bytes + connection->up.first, ready);
            pipe_take(&connection->up, ready);
        }
        if (connection->server != NULL && connection->up.ended && connection->up.count == 0)
            sim_net_server_gone(sim, connection, false);
    }
}

size_t sim_net_down(
    struct sim *sim, struct sim_connection *connection, uint8_t *out, size_t room, bool *ended)
{
    size_t ready = pipe_ready(sim, &connection->down);
    if (ready > room)
        ready = room;
    if (ready > 1 && sim_chance(sim, 1, 3))
        ready = (size_t)sim_between(sim, 1, (int64_t)ready);
    *ended = connection->down.ended && connection->down.count == ready + connection->down.first &&
             !connection->down.is_black;
    if (ready == 0)
        return 0;
    memcpy(out, connection->down.bytes + connection->down.first, ready);
    pipe_take(&connection->down, ready);
    return ready;
}

int64_t sim_net_due(const struct sim *sim)
{
    int64_t due = SIM_NEVER;
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        const struct sim_connection *connection = &sim->connections[i];
        if (connection->number == 0)
            continue;
        const struct sim_pipe *pipes[2] = {&connection->up, &connection->down};
        for (uint32_t k = 0; k < 2; k++) {
            if (pipes[k]->chunk_count > 0 && !pipes[k]->is_black)
                due = ls_min_i64(due, pipes[k]->chunks[pipes[k]->chunk_first].due_ns);
        }
        if (connection->server != NULL)
            due = ls_min_i64(due, connection->server_ends_ns);
        if (connection->client_lives && connection->stalled_until_ns > sim->now_ns)
            due = ls_min_i64(due, connection->stalled_until_ns);
    }
    return due;
}

void sim_net_sweep(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &sim->connections[i];
        if (connection->number != 0 && !connection->client_lives && connection->server == NULL)
            connection->number = 0;
    }
}
