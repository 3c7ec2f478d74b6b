/* net_relay.c: WebSocket connections that came to the broker's port: two connections that are each
 * other's other half. What one receives the other sends; when one ends, the other does, after what
 * it still had to send. */
#include "adapters/sim/net_private.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct relay {
    struct adp_sim_conn *other; /* NULL once it has ended */
};

static struct relay *relay_of(struct adp_sim_conn *conn)
{
    return conn->state;
}

static bool relay_open(struct adp_sim_conn *conn)
{
    conn->state = calloc(1, sizeof(struct relay));
    LS_CHECK(conn->state != NULL);
    return true;
}

static bool relay_receive(struct adp_sim_conn *conn, const uint8_t *bytes, size_t count)
{
    struct adp_sim_conn *other = relay_of(conn)->other;
    if (other == NULL || other->dead)
        return true; /* nobody listens any more */
    adp_sim_text_add(&other->out, (const char *)bytes, count);
    adp_sim_net_dirty(other);
    return true;
}

static bool relay_produce(struct adp_sim_conn *conn)
{
    return relay_of(conn)->other != NULL;
}

static void relay_answer(struct adp_sim_conn *conn, struct adp_sim_call *call)
{
    (void)conn;
    (void)call;
    LS_CHECK(!"a relay makes no calls");
}

static void relay_close(struct adp_sim_conn *conn)
{
    struct adp_sim_conn *other = relay_of(conn)->other;
    if (other != NULL) {
        relay_of(other)->other = NULL;
        adp_sim_net_dirty(other);
    }
    free(conn->state);
    conn->state = NULL;
}

const struct adp_sim_protocol adp_sim_relay = {
    .open = relay_open,
    .receive = relay_receive,
    .produce = relay_produce,
    .answer = relay_answer,
    .close = relay_close,
};

bool adp_sim_net_relay(struct adp_sim_conn *conn, const char *bytes, size_t count)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(adp_sim_net_relay_port(conn->net))};
    int one = 1;
    if (at.sin_port == 0 || conn->ssl == NULL)
        return false;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    /* On the loopback this succeeds or fails at once, also before the server accepts. */
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        close(fd);
        return false;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct adp_sim_conn *server = adp_sim_net_conn_add(conn->net, fd);
    server->protocol = &adp_sim_relay;
    server->address_text = "";
    adp_sim_text_add(&server->out, bytes, count);
    conn->protocol->close(conn);
    conn->protocol = &adp_sim_relay;
    LS_CHECK(relay_open(conn) && relay_open(server));
    relay_of(conn)->other = server;
    relay_of(server)->other = conn;
    adp_sim_net_dirty(server);
    return true;
}
