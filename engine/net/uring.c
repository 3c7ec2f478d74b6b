/* uring.c: the edge on io_uring: one issuer, deferred task work, multishot receive into a ring of
 * provided buffers. Sends go directly first; the ring takes what the socket did not. */
#include "engine/net/edge_private.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel's header of Debian 12 has all of these; the running kernel is asked by the probe. */
#define RING_FLAGS                                                                                 \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |         \
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE)

/* Submissions between two enters; more only cost another enter. */
#define RING_ENTRIES 256u

enum operation { OPERATION_RECEIVE = 1, OPERATION_SEND = 2, OPERATION_WAKE = 3 };

struct uring_socket {
    int fd;                        /* -1 = free */
    bool is_receiving, is_sending; /* an operation is in the kernel */
    bool is_closed, is_removed, needs_receive;
    const uint8_t *rest;
    size_t rest_count;
};

struct uring_edge {
    struct eng_edge edge;
    struct io_uring ring;
    uint32_t socket_count;
    struct uring_socket *sockets;
    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;
    uint32_t buffer_count, buffer_bytes, buffers_free;
    size_t buffer_ring_bytes;
    uint32_t *pending; /* handles to look at in the next poll: receive again, or REMOVED is due */
    uint32_t pending_count;
    uint32_t wake_handle;
    int wake_fd;
};

static struct uring_edge *self_of(struct eng_edge *edge)
{
    return (struct uring_edge *)(void *)edge;
}

static struct io_uring_sqe *next_sqe(struct uring_edge *self)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    if (sqe == NULL) { /* the queue is full: hand it over and try again */
        self->edge.calls++;
        io_uring_submit(&self->ring);
        sqe = io_uring_get_sqe(&self->ring);
        LS_CHECK(sqe != NULL);
    }
    return sqe;
}

static void mark(struct io_uring_sqe *sqe, enum operation operation, uint32_t handle)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)operation << 32 | handle);
}

/* The file descriptor's operations are named by handle; a handle is used again only after REMOVED,
 * when none is left in the kernel, so a completion always belongs to the present user. */
static void start_receive(struct uring_edge *self, uint32_t handle)
{
    struct uring_socket *socket = &self->sockets[handle];
    struct io_uring_sqe *sqe = next_sqe(self);
    io_uring_prep_recv_multishot(sqe, socket->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    mark(sqe, OPERATION_RECEIVE, handle);
    socket->is_receiving = true;
}

static void look_again(struct uring_edge *self, uint32_t handle)
{
    LS_CHECK(self->pending_count < 2 * self->socket_count);
    self->pending[self->pending_count++] = handle;
}

static enum ipc_rc uring_add(struct eng_edge *edge, uint32_t handle, int fd)
{
    struct uring_edge *self = self_of(edge);
    LS_CHECK(handle < self->socket_count && self->sockets[handle].fd < 0);
    self->sockets[handle] = (struct uring_socket){.fd = fd};
    start_receive(self, handle);
    return IPC_OK;
}

/* After the stop every operation of the socket completes; REMOVED waits for them. */
static void uring_remove(struct eng_edge *edge, uint32_t handle, bool abort)
{
    struct uring_edge *self = self_of(edge);
    struct uring_socket *socket = &self->sockets[handle];
    LS_CHECK(handle < self->socket_count && socket->fd >= 0 && !socket->is_removed);
    edge->calls++;
    io_uring_submit(&self->ring); /* nothing may start on the socket after the stop */
    eng_edge_stop_socket(edge, socket->fd, abort);
    socket->is_removed = socket->is_closed = true;
    if (socket->is_receiving || socket->is_sending) {
        struct io_uring_sqe *sqe = next_sqe(self);
        io_uring_prep_cancel_fd(sqe, socket->fd, IORING_ASYNC_CANCEL_ALL);
        io_uring_sqe_set_data64(sqe, 0);
    } else {
        look_again(self, handle);
    }
}

static void start_wake(struct uring_edge *self)
{
    struct io_uring_sqe *sqe = next_sqe(self);
    io_uring_prep_poll_multishot(sqe, self->wake_fd, POLLIN);
    mark(sqe, OPERATION_WAKE, self->wake_handle);
}

static enum ipc_rc uring_watch(struct eng_edge *edge, uint32_t handle, int fd)
{
    struct uring_edge *self = self_of(edge);
    LS_CHECK(handle >= self->socket_count && self->wake_fd < 0);
    self->wake_fd = fd;
    self->wake_handle = handle;
    start_wake(self);
    return IPC_OK;
}

static void start_send(struct uring_edge *self, uint32_t handle)
{
    struct uring_socket *socket = &self->sockets[handle];
    struct io_uring_sqe *sqe = next_sqe(self);
    io_uring_prep_send(sqe, socket->fd, socket->rest, socket->rest_count, MSG_NOSIGNAL);
    mark(sqe, OPERATION_SEND, handle);
    socket->is_sending = true;
}

static int64_t uring_send(
    struct eng_edge *edge, uint32_t handle, const uint8_t *bytes, size_t count)
{
    struct uring_edge *self = self_of(edge);
    struct uring_socket *socket = &self->sockets[handle];
    LS_CHECK(socket->fd >= 0 && !socket->is_removed && !socket->is_sending);
    const int64_t taken = eng_edge_send_now(edge, socket->fd, bytes, count);
    if (taken < 0 || (size_t)taken == count)
        return taken;
    socket->rest = bytes + taken;
    socket->rest_count = count - (size_t)taken;
    start_send(self, handle);
    return taken;
}

static bool uring_sending(const struct eng_edge *edge, uint32_t handle)
{
    return ((const struct uring_edge *)(const void *)edge)->sockets[handle].is_sending;
}

static void give_buffer(struct uring_edge *self, uint32_t buffer)
{
    io_uring_buf_ring_add(self->buffer_ring, self->buffers + (size_t)buffer * self->buffer_bytes,
        self->buffer_bytes, (unsigned short)buffer, io_uring_buf_ring_mask(self->buffer_count), 0);
    io_uring_buf_ring_advance(self->buffer_ring, 1);
    self->buffers_free++;
}

/* What one receive completion says; true when there is an event to tell. */
static bool take_received(struct uring_edge *self, const struct io_uring_cqe *cqe, uint32_t handle,
    struct eng_edge_event *event)
{
    struct uring_socket *socket = &self->sockets[handle];
    const bool has_ended = (cqe->flags & IORING_CQE_F_MORE) == 0;
    if (has_ended)
        socket->is_receiving = false;
    const bool has_buffer = (cqe->flags & IORING_CQE_F_BUFFER) != 0;
    const uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    if (has_buffer)
        self->buffers_free--;
    if (socket->is_closed) { /* being removed, or its end was told */
        if (has_buffer)
            give_buffer(self, buffer);
        return false;
    }
    if (cqe->res > 0) {
        if (has_ended)
            look_again(self, handle);
        socket->needs_receive = has_ended;
        *event = (struct eng_edge_event){
            .kind = ENG_EDGE_RECEIVED,
            .handle = handle,
            .count = (uint32_t)cqe->res,
            .bytes = self->buffers + (size_t)buffer * self->buffer_bytes,
            .buffer = buffer,
        };
        return true;
    }
    if (has_buffer)
        give_buffer(self, buffer);
    if (cqe->res == -ENOBUFS || cqe->res == -EAGAIN || cqe->res == -EINTR) {
        if (has_ended) {
            socket->needs_receive = true;
            look_again(self, handle);
        }
        return false;
    }
    socket->is_closed = true;
    *event = (struct eng_edge_event){
        .kind = ENG_EDGE_CLOSED, .handle = handle, .error = cqe->res < 0 ? -cqe->res : 0};
    return true;
}

static bool take_sent(struct uring_edge *self, const struct io_uring_cqe *cqe, uint32_t handle,
    struct eng_edge_event *event)
{
    struct uring_socket *socket = &self->sockets[handle];
    socket->is_sending = false;
    if (socket->is_removed)
        return false;
    if (cqe->res > 0) {
        *event = (struct eng_edge_event){
            .kind = ENG_EDGE_SENT, .handle = handle, .count = (uint32_t)cqe->res};
        return true;
    }
    if (cqe->res == -EAGAIN || cqe->res == -EINTR) {
        start_send(self, handle);
        return false;
    }
    if (socket->is_closed)
        return false;
    socket->is_closed = true;
    *event = (struct eng_edge_event){
        .kind = ENG_EDGE_CLOSED, .handle = handle, .error = cqe->res < 0 ? -cqe->res : 0};
    return true;
}

/* Handles whose receive must start again, and those that are gone. */
static uint32_t take_pending(struct uring_edge *self, struct eng_edge_event *events, uint32_t max)
{
    uint32_t count = 0, kept = 0;
    for (uint32_t i = 0; i < self->pending_count; i++) {
        const uint32_t handle = self->pending[i];
        struct uring_socket *socket = &self->sockets[handle];
        if (socket->is_removed && !socket->is_receiving && !socket->is_sending) {
            if (count == max) {
                self->pending[kept++] = handle;
                continue;
            }
            *socket = (struct uring_socket){.fd = -1};
            events[count++] = (struct eng_edge_event){.kind = ENG_EDGE_REMOVED, .handle = handle};
        } else if (socket->needs_receive && !socket->is_closed) {
            if (self->buffers_free == 0) { /* it would end at once */
                self->pending[kept++] = handle;
                continue;
            }
            socket->needs_receive = false;
            start_receive(self, handle);
        }
    }
    self->pending_count = kept;
    return count;
}

static uint32_t uring_poll(struct eng_edge *edge, struct eng_edge_event *events, uint32_t max)
{
    struct uring_edge *self = self_of(edge);
    uint32_t count = take_pending(self, events, max);
    if (io_uring_sq_ready(&self->ring) != 0) {
        edge->calls++;
        io_uring_submit(&self->ring);
    }
    while (count < max) {
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&self->ring, head, cqe)
        {
            if (count == max)
                break;
            seen++;
            const uint32_t handle = (uint32_t)cqe->user_data;
            const uint64_t operation = cqe->user_data >> 32;
            if (operation == OPERATION_WAKE) {
                events[count++] = (struct eng_edge_event){.kind = ENG_EDGE_WAKE, .handle = handle};
                if (!(cqe->flags & IORING_CQE_F_MORE))
                    start_wake(self);
                continue;
            }
            if (operation != OPERATION_RECEIVE && operation != OPERATION_SEND)
                continue; /* a cancellation's own completion */
            if (operation == OPERATION_RECEIVE)
                count += take_received(self, cqe, handle, &events[count]);
            else
                count += take_sent(self, cqe, handle, &events[count]);
            const struct uring_socket *socket = &self->sockets[handle];
            if (socket->is_removed && !socket->is_receiving && !socket->is_sending)
                look_again(self, handle);
        }
        io_uring_cq_advance(&self->ring, seen);
        /* Deferred task work and overflown completions come in by an enter; the kernel runs a
         * bounded number each time, so ask until nothing is waiting. The flag alone proves nothing:
         * the kernel sets it after it queued the work, so it stays set when the work was run in
         * between (seen on 6.18: the thread span here for ever). An enter that brings no completion
         * ends the round. */
        const unsigned flags = IO_URING_READ_ONCE(*self->ring.sq.kflags);
        if (count == max || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0)
            break;
        edge->calls++;
        io_uring_get_events(&self->ring);
        if (io_uring_cq_ready(&self->ring) == 0)
            break;
    }
    if (io_uring_sq_ready(&self->ring) != 0) {
        edge->calls++;
        io_uring_submit(&self->ring);
    }
    return count;
}

static void uring_wait(struct eng_edge *edge, int64_t timeout_ns)
{
    struct uring_edge *self = self_of(edge);
    if (self->pending_count != 0 || timeout_ns <= 0)
        return;
    struct __kernel_timespec timeout = {
        .tv_sec = timeout_ns / LS_NS_PER_S, .tv_nsec = timeout_ns % LS_NS_PER_S};
    struct io_uring_cqe *cqe;
    edge->calls++;
    io_uring_submit_and_wait_timeout(&self->ring, &cqe, 1, &timeout, NULL);
}

static void uring_release(struct eng_edge *edge, const struct eng_edge_event *event)
{
    give_buffer(self_of(edge), event->buffer);
}

static void uring_close(struct eng_edge *edge)
{
    struct uring_edge *self = self_of(edge);
    if (self->buffer_ring != NULL)
        io_uring_unregister_buf_ring(&self->ring, 0);
    io_uring_queue_exit(&self->ring);
    if (self->buffer_ring != NULL)
        munmap(self->buffer_ring, self->buffer_ring_bytes);
    free(self->buffers);
    free(self->sockets);
    free(self->pending);
    free(self);
}

static const struct eng_edge_maker uring_maker = {
    .kind = ENG_EDGE_URING,
    .close = uring_close,
    .add = uring_add,
    .remove = uring_remove,
    .watch = uring_watch,
    .send = uring_send,
    .sending = uring_sending,
    .poll = uring_poll,
    .wait = uring_wait,
    .release = uring_release,
};

/* The ring of provided buffers; 0 or negative errno. */
static int make_buffers(struct uring_edge *self, const struct eng_edge_config *config)
{
    self->buffer_count = config->receive_buffers;
    self->buffer_bytes = config->receive_buffer_bytes;
    self->buffer_ring_bytes = config->receive_buffers * sizeof(struct io_uring_buf);
    void *ring = mmap(
        NULL, self->buffer_ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED)
        return -errno;
    self->buffer_ring = ring;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)ring,
        .ring_entries = config->receive_buffers,
        .bgid = 0,
    };
    io_uring_buf_ring_init(self->buffer_ring);
    const int rc = io_uring_register_buf_ring(&self->ring, &registration, 0);
    if (rc != 0) {
        munmap(ring, self->buffer_ring_bytes);
        self->buffer_ring = NULL;
        return rc;
    }
    const size_t bytes = (size_t)config->receive_buffers * config->receive_buffer_bytes;
    self->buffers = malloc(bytes);
    LS_CHECK(self->buffers != NULL);
    memset(self->buffers, 0, bytes);
    for (uint32_t i = 0; i < config->receive_buffers; i++)
        give_buffer(self, i);
    return 0;
}

enum ipc_rc eng_edge_uring_open(
    const struct eng_edge_config *config, struct eng_edge **edge, struct ipc_error *error)
{
    struct uring_edge *self = calloc(1, sizeof *self);
    LS_CHECK(self != NULL);
    self->edge.maker = &uring_maker;
    self->wake_fd = -1;
    self->socket_count = config->sockets;
    self->sockets = calloc(config->sockets, sizeof *self->sockets);
    self->pending = calloc(2 * (size_t)config->sockets, sizeof *self->pending);
    LS_CHECK(self->sockets != NULL && self->pending != NULL);
    for (uint32_t i = 0; i < config->sockets; i++)
        self->sockets[i].fd = -1;
    struct io_uring_params params = {
        .flags = RING_FLAGS,
        .cq_entries = 2 * (RING_ENTRIES + config->sockets + config->receive_buffers),
    };
    int rc = io_uring_queue_init_params(RING_ENTRIES, &self->ring, &params);
    if (rc == 0) {
        io_uring_ring_dontfork(&self->ring);
        rc = make_buffers(self, config);
        if (rc != 0)
            io_uring_queue_exit(&self->ring);
    }
    if (rc != 0) {
        ipc_error_set(error,
            "io_uring cannot be used here (%s); use the epoll edge (io: epoll) or a kernel of 6.1 "
            "or later",
            strerror(-rc));
        free(self->sockets);
        free(self->pending);
        free(self);
        return IPC_SYSTEM;
    }
    *edge = &self->edge;
    return IPC_OK;
}

const char *eng_edge_uring_works(void)
{
    const struct eng_edge_config config = {
        .kind = ENG_EDGE_URING, .sockets = 1, .receive_buffers = 8, .receive_buffer_bytes = 1024};
    struct eng_edge *edge;
    int pair[2];
    if (eng_edge_uring_open(&config, &edge, NULL) != IPC_OK)
        return "io_uring with deferred task work and provided buffers is not allowed or not there";
    const char *missing = "a socket pair cannot be made";
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0) {
        missing = "multishot receive does not work";
        struct eng_edge_event event;
        const enum ipc_rc added = eng_edge_add(edge, 0, pair[0]);
        /* Twice, so that a receive that is not multishot is told apart. */
        uint32_t seen = 0;
        for (uint32_t round = 0; added == IPC_OK && round < 2; round++) {
            if (eng_edge_poll(edge, &event, 1) != 0 || send(pair[1], "probe", 5, 0) != 5)
                break;
            eng_edge_wait(edge, 100 * LS_NS_PER_MS);
            if (eng_edge_poll(edge, &event, 1) != 1 || event.kind != ENG_EDGE_RECEIVED ||
                event.count != 5 || memcmp(event.bytes, "probe", 5) != 0)
                break;
            seen += self_of(edge)->sockets[0].is_receiving;
            eng_edge_release(edge, &event);
        }
        if (seen == 2)
            missing = NULL;
        close(pair[1]);
        eng_edge_close(edge);
        close(pair[0]);
        return missing;
    }
    eng_edge_close(edge);
    return missing;
}
