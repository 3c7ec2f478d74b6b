/* hooks.h: webhook deliveries: one thread that posts bodies to addresses, in order, each once.
 *
 * http and https; certificates are verified. No redirect, no proxy of the environment, no second
 * try: what an address does not take within two seconds is counted and lost, as the broker
 * documents no retry. */
#ifndef LS_ADP_SIM_HOOKS_H
#define LS_ADP_SIM_HOOKS_H

#include "adapters/sim/net.h"

#define ADP_SIM_HOOKS_WAITING_MAX 65536 /* beyond this, deliveries are dropped and counted */

struct adp_sim_hooks;

struct adp_sim_hooks_counts {
    uint64_t queued, delivered, failed, dropped;
};

/* adp_sim_hooks_start begins the thread. ca_file: NULL for the system's anchors. */
struct adp_sim_hooks *adp_sim_hooks_start(const char *ca_file);

/* adp_sim_hooks_stop ends the thread after the delivery under way; what waits is dropped. NULL is
 * allowed. */
void adp_sim_hooks_stop(struct adp_sim_hooks *hooks);

/* adp_sim_hooks_post queues one delivery; url and body are copied. Any thread.
 *   due_mono_ns  not before this; an address's deliveries keep the order of posting */
void adp_sim_hooks_post(struct adp_sim_hooks *hooks, const char *url, const char *body,
    size_t bytes, int64_t due_mono_ns);

struct adp_sim_hooks_counts adp_sim_hooks_counts(struct adp_sim_hooks *hooks);

#endif
