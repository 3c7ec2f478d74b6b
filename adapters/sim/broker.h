/* broker.h: the simulated broker as one thing: API, members, faults, latency, over a book and an
 * event loop. Its handler carries out what faults.c decides. Main thread only. */
#ifndef LS_ADP_SIM_BROKER_H
#define LS_ADP_SIM_BROKER_H

#include "adapters/sim/faults.h"
#include "adapters/sim/net.h"

struct adp_sim_latency { /* of each answer: at least min, on average mean, exponential between; 0, 0
                            is none */
    int64_t min_ns, mean_ns;
};

struct adp_sim_broker {
    struct adp_sim_book *book;
    struct adp_sim_members members;
    struct adp_sim_api api;
    struct adp_sim_faults faults;
    struct adp_sim_latency latency;
    struct adp_sim_prng prng;
    struct adp_sim_net *net; /* not owned */
    uint64_t requests_by_path[ADP_SIM_PATH_COUNT];
    uint64_t unauthorized, rate_limited, address_refused;
    uint64_t faults_fired[ADP_SIM_FAULT_COUNT];
};

/* adp_sim_broker_start connects the broker to its net: book timers and what happens on new
 * connections. Call once, after book, members, faults and net are set. */
void adp_sim_broker_start(struct adp_sim_broker *broker);

/* adp_sim_broker_call handles one request of the broker's port; context is the broker. */
void adp_sim_broker_call(struct adp_sim_call *call, void *context);

/* adp_sim_broker_apply_now carries out a rule of path @now.
 *   returns   false when it names an account that does not exist */
LS_MUST_USE bool adp_sim_broker_apply_now(
    struct adp_sim_broker *broker, const struct adp_sim_fault *fault);

#endif
