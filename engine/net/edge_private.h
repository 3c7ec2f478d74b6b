/* edge_private.h: what the two makers of edges share. */
#ifndef LS_ENGINE_NET_EDGE_PRIVATE_H
#define LS_ENGINE_NET_EDGE_PRIVATE_H

#include "engine/net/edge.h"

struct eng_edge_maker {
    enum eng_edge_kind kind;
    void (*close)(struct eng_edge *edge);
    enum ipc_rc (*add)(struct eng_edge *edge, uint32_t handle, int fd);
    void (*remove)(struct eng_edge *edge, uint32_t handle, bool abort);
    enum ipc_rc (*watch)(struct eng_edge *edge, uint32_t handle, int fd);
    int64_t (*send)(struct eng_edge *edge, uint32_t handle, const uint8_t *bytes, size_t count);
    bool (*sending)(const struct eng_edge *edge, uint32_t handle);
    uint32_t (*poll)(struct eng_edge *edge, struct eng_edge_event *events, uint32_t max);
    void (*wait)(struct eng_edge *edge, int64_t timeout_ns);
    void (*release)(struct eng_edge *edge, const struct eng_edge_event *event);
};

/* First member of either. */
struct eng_edge {
    const struct eng_edge_maker *maker;
    uint64_t calls;
};

enum ipc_rc eng_edge_epoll_open(
    const struct eng_edge_config *config, struct eng_edge **edge, struct ipc_error *error);
enum ipc_rc eng_edge_uring_open(
    const struct eng_edge_config *config, struct eng_edge **edge, struct ipc_error *error);

/* eng_edge_send_now: one non-blocking send; 0 when the socket takes nothing now, negative errno. */
int64_t eng_edge_send_now(struct eng_edge *edge, int fd, const uint8_t *bytes, size_t count);

/* eng_edge_stop_socket ends a connection; with abort the kernel drops its unsent bytes at once. */
void eng_edge_stop_socket(struct eng_edge *edge, int fd, bool abort);

#endif
