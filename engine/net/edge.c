/* edge.c: the interface over its two makers, and what both do alike. */
#include "engine/net/edge_private.h"

#include <errno.h>
#include <sys/socket.h>

enum ipc_rc eng_edge_open(
    const struct eng_edge_config *config, struct eng_edge **edge, struct ipc_error *error)
{
    LS_CHECK(config->sockets >= 1 && config->sockets <= 65536);
    LS_CHECK(ls_is_power_of_two(config->receive_buffers) && config->receive_buffers >= 8 &&
             config->receive_buffers <= 32768);
    LS_CHECK(config->receive_buffer_bytes >= 1024 && config->receive_buffer_bytes <= 65536);
    if (config->kind == ENG_EDGE_EPOLL ||
        (config->kind == ENG_EDGE_AUTO && eng_edge_uring_works() != NULL))
        return eng_edge_epoll_open(config, edge, error);
    return eng_edge_uring_open(config, edge, error);
}

void eng_edge_close(struct eng_edge *edge)
{
    edge->maker->close(edge);
}

enum eng_edge_kind eng_edge_kind(const struct eng_edge *edge)
{
    return edge->maker->kind;
}

enum ipc_rc eng_edge_add(struct eng_edge *edge, uint32_t handle, int fd)
{
    return edge->maker->add(edge, handle, fd);
}

void eng_edge_remove(struct eng_edge *edge, uint32_t handle, bool abort)
{
    edge->maker->remove(edge, handle, abort);
}

enum ipc_rc eng_edge_watch(struct eng_edge *edge, uint32_t handle, int fd)
{
    return edge->maker->watch(edge, handle, fd);
}

int64_t eng_edge_send(struct eng_edge *edge, uint32_t handle, const uint8_t *bytes, size_t count)
{
    return edge->maker->send(edge, handle, bytes, count);
}

bool eng_edge_sending(const struct eng_edge *edge, uint32_t handle)
{
    return edge->maker->sending(edge, handle);
}

uint32_t eng_edge_poll(struct eng_edge *edge, struct eng_edge_event *events, uint32_t max)
{
    LS_CHECK(max >= 1 && max <= 256);
    return edge->maker->poll(edge, events, max);
}

void eng_edge_wait(struct eng_edge *edge, int64_t timeout_ns)
{
    edge->maker->wait(edge, timeout_ns);
}

void eng_edge_release(struct eng_edge *edge, const struct eng_edge_event *event)
{
    LS_CHECK(event->kind == ENG_EDGE_RECEIVED);
    edge->maker->release(edge, event);
}

uint64_t eng_edge_calls(const struct eng_edge *edge)
{
    return edge->calls;
}

int64_t eng_edge_send_now(struct eng_edge *edge, int fd, const uint8_t *bytes, size_t count)
{
    for (;;) {
        edge->calls++;
        const ssize_t taken = send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (taken >= 0)
            return taken;
        if (errno == EAGAIN || errno == ENOBUFS)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

void eng_edge_stop_socket(struct eng_edge *edge, int fd, bool abort)
{
    edge->calls++;
    if (abort) {
        /* Dissolving the association resets a TCP connection and drops what is queued, also while
         * an operation holds the descriptor, where close would only take effect later. */
        const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
        if (connect(fd, &nobody, sizeof nobody) == 0)
            return;
    }
    shutdown(fd, SHUT_RDWR);
}
