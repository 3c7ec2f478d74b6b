/* admin.h: the admin port: JSON over plain HTTP/1.1, the truth that tests are judged by (README.md
 * lists the endpoints). Bind it to a loopback address: it has no authentication. Main thread only.
 */
#ifndef LS_ADP_SIM_ADMIN_H
#define LS_ADP_SIM_ADMIN_H

#include "adapters/sim/broker.h"

struct adp_sim_admin {
    struct adp_sim_broker *broker;
    int64_t started_mono_ns;
    const char *version, *commit;
    uint16_t feed_port;
};

/* adp_sim_admin_call handles one request of the admin port; context is the admin. Errors are
 * {"error":"<sentence>"} with status 400, 404, 405 or, for what the broker refused, 409. */
void adp_sim_admin_call(struct adp_sim_call *call, void *context);

#endif
