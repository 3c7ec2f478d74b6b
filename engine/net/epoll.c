/* epoll.c: the edge where io_uring is missing or switched off. Level-triggered; the kernel is asked
 * for writability only while a rest is waiting. */
#include "engine/net/edge_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define NO_BUFFER UINT32_MAX

struct epoll_socket {
    int fd; /* -1 = free */
    bool is_closed, is_removed;
    const uint8_t *rest;
    size_t rest_count;
};

struct epoll_edge {
    struct eng_edge edge;
    int epoll_fd;
    uint32_t socket_count, wake_handle;
    struct epoll_socket *sockets;
    uint8_t *buffers;
    uint32_t *buffer_next; /* free list */
    uint32_t buffer_first, buffer_bytes;
    uint32_t *removed; /* handles whose REMOVED is due */
    uint32_t removed_count;
};

static struct epoll_edge *self_of(struct eng_edge *edge)
{
    return (struct epoll_edge *)(void *)edge;
}

static void want(struct epoll_edge *self, uint32_t handle, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = handle};
    self->edge.calls++;
    const int rc = epoll_ctl(self->epoll_fd, EPOLL_CTL_MOD, self->sockets[handle].fd, &event);
    LS_CHECK(rc == 0);
}

static enum ipc_rc epoll_add(struct eng_edge *edge, uint32_t handle, int fd)
{
    struct epoll_edge *self = self_of(edge);
    LS_CHECK(handle < self->socket_count && self->sockets[handle].fd < 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = handle};
    edge->calls++;
    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return IPC_SYSTEM;
    self->sockets[handle] = (struct epoll_socket){.fd = fd};
    return IPC_OK;
}

/* No more events of a socket: after its end was told, or when it is removed. */
static void stop_watching(struct epoll_edge *self, struct epoll_socket *socket)
{
    if (socket->is_closed)
        return;
    socket->is_closed = true;
    self->edge.calls++;
    const int rc = epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
    LS_CHECK(rc == 0);
}

static void epoll_remove(struct eng_edge *edge, uint32_t handle, bool abort)
{
    struct epoll_edge *self = self_of(edge);
    struct epoll_socket *socket = &self->sockets[handle];
    LS_CHECK(handle < self->socket_count && socket->fd >= 0 && !socket->is_removed);
    stop_watching(self, socket);
    eng_edge_stop_socket(edge, socket->fd, abort);
    socket->is_removed = true;
    self->removed[self->removed_count++] = handle;
}

static enum ipc_rc epoll_watch(struct eng_edge *edge, uint32_t handle, int fd)
{
    struct epoll_edge *self = self_of(edge);
    LS_CHECK(handle >= self->socket_count && self->wake_handle == 0);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = handle};
    if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return IPC_SYSTEM;
    self->wake_handle = handle;
    return IPC_OK;
}

static int64_t epoll_send(
    struct eng_edge *edge, uint32_t handle, const uint8_t *bytes, size_t count)
{
    struct epoll_edge *self = self_of(edge);
    struct epoll_socket *socket = &self->sockets[handle];
    LS_CHECK(socket->fd >= 0 && !socket->is_removed && socket->rest_count == 0);
    const int64_t taken = eng_edge_send_now(edge, socket->fd, bytes, count);
    if (taken < 0 || (size_t)taken == count)
        return taken;
    socket->rest = bytes + taken;
    socket->rest_count = count - (size_t)taken;
    if (!socket->is_closed)
        want(self, handle, EPOLLIN | EPOLLRDHUP | EPOLLOUT);
    return taken;
}

static bool epoll_sending(const struct eng_edge *edge, uint32_t handle)
{
    return ((const struct epoll_edge *)(const void *)edge)->sockets[handle].rest_count != 0;
}

static struct eng_edge_event close_event(struct epoll_edge *self, uint32_t handle, int error)
{
    stop_watching(self, &self->sockets[handle]);
    return (struct eng_edge_event){.kind = ENG_EDGE_CLOSED, .handle = handle, .error = error};
}

/* Gives the rest to the kernel; true when there is an event to tell. */
static bool send_rest(struct epoll_edge *self, uint32_t handle, struct eng_edge_event *event)
{
    struct epoll_socket *socket = &self->sockets[handle];
    const int64_t taken =
        eng_edge_send_now(&self->edge, socket->fd, socket->rest, socket->rest_count);
    if (taken == 0)
        return false;
    if (taken < 0) {
        *event = close_event(self, handle, (int)-taken);
        return true;
    }
    socket->rest = NULL;
    socket->rest_count = 0;
    want(self, handle, EPOLLIN | EPOLLRDHUP);
    *event =
        (struct eng_edge_event){.kind = ENG_EDGE_SENT, .handle = handle, .count = (uint32_t)taken};
    return true;
}

static bool receive(struct epoll_edge *self, uint32_t handle, struct eng_edge_event *event)
{
    if (self->buffer_first == NO_BUFFER)
        return false; /* level-triggered: told again */
    const uint32_t buffer = self->buffer_first;
    uint8_t *bytes = self->buffers + (size_t)buffer * self->buffer_bytes;
    self->edge.calls++;
    const ssize_t got = recv(self->sockets[handle].fd, bytes, self->buffer_bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        *event = close_event(self, handle, got < 0 ? errno : 0);
        return true;
    }
    self->buffer_first = self->buffer_next[buffer];
    *event = (struct eng_edge_event){
        .kind = ENG_EDGE_RECEIVED,
        .handle = handle,
        .count = (uint32_t)got,
        .bytes = bytes,
        .buffer = buffer,
    };
    return true;
}

#define EPOLL_BATCH 128

static uint32_t epoll_poll(struct eng_edge *edge, struct eng_edge_event *events, uint32_t max)
{
    struct epoll_edge *self = self_of(edge);
    uint32_t count = 0;
    while (count < max && self->removed_count != 0) {
        const uint32_t handle = self->removed[--self->removed_count];
        self->sockets[handle] = (struct epoll_socket){.fd = -1};
        events[count++] = (struct eng_edge_event){.kind = ENG_EDGE_REMOVED, .handle = handle};
    }
    /* A socket tells at most two things at a time: its rest went out, and bytes came in. */
    const uint32_t room = (max - count) / 2;
    if (room == 0)
        return count;
    struct epoll_event ready[EPOLL_BATCH];
    edge->calls++;
    const int ready_count =
        epoll_wait(self->epoll_fd, ready, room < EPOLL_BATCH ? (int)room : EPOLL_BATCH, 0);
    for (int i = 0; i < ready_count; i++) {
        const uint32_t handle = ready[i].data.u32;
        if (handle >= self->socket_count) {
            events[count++] = (struct eng_edge_event){.kind = ENG_EDGE_WAKE, .handle = handle};
            continue;
        }
        const struct epoll_socket *socket = &self->sockets[handle];
        if ((ready[i].events & EPOLLOUT) && socket->rest_count != 0 &&
            send_rest(self, handle, &events[count]))
            count++;
        if (!socket->is_closed && (ready[i].events & ~(uint32_t)EPOLLOUT) != 0 &&
            receive(self, handle, &events[count]))
            count++;
    }
    return count;
}

static void epoll_sleep(struct eng_edge *edge, int64_t timeout_ns)
{
    struct epoll_edge *self = self_of(edge);
    if (self->removed_count != 0 || timeout_ns <= 0)
        return;
    struct epoll_event ready;
    const int64_t timeout_ms = (timeout_ns + LS_NS_PER_MS - 1) / LS_NS_PER_MS;
    edge->calls++;
    epoll_wait(self->epoll_fd, &ready, 1, timeout_ms < 60000 ? (int)timeout_ms : 60000);
}

static void epoll_release(struct eng_edge *edge, const struct eng_edge_event *event)
{
    struct epoll_edge *self = self_of(edge);
    self->buffer_next[event->buffer] = self->buffer_first;
    self->buffer_first = event->buffer;
}

static void epoll_close(struct eng_edge *edge)
{
    struct epoll_edge *self = self_of(edge);
    close(self->epoll_fd);
    free(self->sockets);
    free(self->buffers);
    free(self->buffer_next);
    free(self->removed);
    free(self);
}

static const struct eng_edge_maker epoll_maker = {
    .kind = ENG_EDGE_EPOLL,
    .close = epoll_close,
    .add = epoll_add,
    .remove = epoll_remove,
    .watch = epoll_watch,
    .send = epoll_send,
    .sending = epoll_sending,
    .poll = epoll_poll,
    .wait = epoll_sleep,
    .release = epoll_release,
};

enum ipc_rc eng_edge_epoll_open(
    const struct eng_edge_config *config, struct eng_edge **edge, struct ipc_error *error)
{
    struct epoll_edge *self = calloc(1, sizeof *self);
    LS_CHECK(self != NULL);
    self->edge.maker = &epoll_maker;
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll_fd < 0) {
        ipc_error_set(error, "epoll cannot be opened: %s", strerror(errno));
        free(self);
        return IPC_SYSTEM;
    }
    self->socket_count = config->sockets;
    self->buffer_bytes = config->receive_buffer_bytes;
    self->sockets = calloc(config->sockets, sizeof *self->sockets);
    self->buffers = calloc(config->receive_buffers, config->receive_buffer_bytes);
    self->buffer_next = calloc(config->receive_buffers, sizeof *self->buffer_next);
    self->removed = calloc(config->sockets, sizeof *self->removed);
    LS_CHECK(self->sockets != NULL && self->buffers != NULL && self->buffer_next != NULL &&
             self->removed != NULL);
    memset(self->buffers, 0, (size_t)config->receive_buffers * config->receive_buffer_bytes);
    for (uint32_t i = 0; i < config->sockets; i++)
        self->sockets[i].fd = -1;
    for (uint32_t i = 0; i < config->receive_buffers; i++)
        self->buffer_next[i] = i + 1 < config->receive_buffers ? i + 1 : NO_BUFFER;
    *edge = &self->edge;
    return IPC_OK;
}
