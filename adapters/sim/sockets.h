/* sockets.h: the WebSocket server of the push side: libwebsockets on a thread of its own, wss only.
 *
 * One port has both sockets, told apart by path: /open-api/order-notify/websocket for orders,
 * /NorenWS for market data. All that is decided is decided in push.h; here are bytes, TLS and time.
 * The port stays the same over restarts of the server. */
#ifndef LS_ADP_SIM_SOCKETS_H
#define LS_ADP_SIM_SOCKETS_H

#include "adapters/sim/net.h"
#include "adapters/sim/push.h"

#define ADP_SIM_ORDER_SOCKET_PATH  "/open-api/order-notify/websocket"
#define ADP_SIM_MARKET_SOCKET_PATH "/NorenWS"

struct adp_sim_sockets;

/* adp_sim_sockets_start listens and begins the thread.
 *   address   IPv4 or IPv6 address to listen on
 *   port      in: the port asked for, 0 takes a free one; out: the port bound
 *   plain     gets the port on 127.0.0.1 that serves the same without TLS, for the broker port's
 *             relay
 *   returns   NULL with a sentence in error */
struct adp_sim_sockets *adp_sim_sockets_start(struct adp_sim_push *push, const char *address,
    uint16_t *port, uint16_t *plain, const char *certificate, const char *key,
    struct adp_sim_error *error);

/* adp_sim_sockets_stop closes every connection and ends the thread. NULL is allowed. */
void adp_sim_sockets_stop(struct adp_sim_sockets *sockets);

#endif
