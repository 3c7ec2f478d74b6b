/* api_private.h: between api.c (requests that act) and api_rows.c (what is read). */
#ifndef LS_ADP_SIM_API_PRIVATE_H
#define LS_ADP_SIM_API_PRIVATE_H

#include "adapters/sim/api.h"

void adp_sim_code_word(int code, char *out, size_t bytes);
void adp_sim_put_error(struct adp_sim_api *api, struct adp_sim_text *out, int code);
void adp_sim_put_request_time(struct adp_sim_text *out, int64_t wall_ns);

/* adp_sim_api_read answers book, trades, positions, holdings and limits; an empty list is an error
 * of its own. */
void adp_sim_api_read(
    struct adp_sim_api *api, struct adp_sim_call *call, enum adp_sim_path path, uint32_t account);
/* adp_sim_api_push answers the calls that open the push side: order token, market session,
 * webhooks. body: the parsed request, NULL when it is none. */
void adp_sim_api_push(struct adp_sim_api *api, struct adp_sim_call *call, enum adp_sim_path path,
    uint32_t account, const struct json_t *body);
void adp_sim_api_history(struct adp_sim_api *api, struct adp_sim_call *call, uint32_t account,
    const char *broker_order_id);

#endif
