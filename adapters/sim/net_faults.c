/* net_faults.c: what scripted faults do to open connections. */
#include "adapters/sim/net_private.h"

#include <stdlib.h>

void adp_sim_net_settings(
    struct adp_sim_net *net, uint64_t connection, const struct adp_sim_settings_change *change)
{
    struct adp_sim_conn *conn = NULL;
    while ((conn = adp_sim_net_next(net, conn, connection)) != NULL) {
        if (conn->protocol != &adp_sim_h2)
            continue;
        adp_sim_h2_settings(conn, change);
        adp_sim_net_dirty(conn);
    }
}

struct close_later {
    struct adp_sim_net *net;
    uint64_t connection;
};

static void close_timer(void *context)
{
    struct close_later *later = context;
    struct adp_sim_conn *conn = adp_sim_net_next(later->net, NULL, later->connection);
    if (conn != NULL) {
        conn->closing = true;
        adp_sim_net_dirty(conn);
    }
    free(later);
}

void adp_sim_net_goaway(struct adp_sim_net *net, uint64_t connection, int32_t last_stream,
    uint32_t error_code, int64_t close_after_ns)
{
    struct adp_sim_conn *conn = NULL;
    while ((conn = adp_sim_net_next(net, conn, connection)) != NULL) {
        if (conn->protocol == &adp_sim_h2) {
            adp_sim_h2_goaway(conn, last_stream, error_code);
            adp_sim_net_dirty(conn);
        }
        if (close_after_ns >= 0) {
            struct close_later *later = malloc(sizeof(*later));
            LS_CHECK(later != NULL);
            *later = (struct close_later){.net = net, .connection = conn->number};
            adp_sim_net_after(net, close_after_ns, close_timer, later);
        }
    }
}

void adp_sim_net_no_ping(struct adp_sim_net *net, uint64_t connection, bool ignore_pings)
{
    struct adp_sim_conn *conn = NULL;
    while ((conn = adp_sim_net_next(net, conn, connection)) != NULL)
        conn->ignore_pings = ignore_pings;
}

void adp_sim_net_freeze(struct adp_sim_net *net, uint64_t connection, bool frozen)
{
    struct adp_sim_conn *conn = NULL;
    while ((conn = adp_sim_net_next(net, conn, connection)) != NULL)
        adp_sim_net_conn_freeze(conn, frozen);
}

void adp_sim_net_reset(struct adp_sim_net *net, uint64_t connection)
{
    /* A connection that was reset keeps its memory but not its place in the list, so the next one
     * is found first. */
    struct adp_sim_conn *conn = adp_sim_net_next(net, NULL, connection);
    while (conn != NULL) {
        struct adp_sim_conn *following = adp_sim_net_next(net, conn, connection);
        adp_sim_net_conn_reset(conn);
        conn = following;
    }
}
