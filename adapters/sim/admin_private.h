/* admin_private.h: between admin.c (dispatch), admin_reads.c and admin_acts.c. */
#ifndef LS_ADP_SIM_ADMIN_PRIVATE_H
#define LS_ADP_SIM_ADMIN_PRIVATE_H

#include "adapters/sim/admin.h"

#include <jansson.h>

/* Every endpoint is one of these: body is the parsed object of a POST, NULL for a GET. */
typedef void (*adp_sim_admin_fn)(
    struct adp_sim_admin *admin, struct adp_sim_call *call, const json_t *body);

void adp_sim_admin_orders(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_requests(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_prices(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_positions(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_accounts(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_stats(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_faults(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_feed(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);

void adp_sim_admin_order(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_cancel(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_modify(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_fill(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_set_price(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_set_faults(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_set_feed(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_token(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_limits(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_latency(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);
void adp_sim_admin_shutdown(struct adp_sim_admin *, struct adp_sim_call *, const json_t *);

/* adp_sim_admin_error answers {"error":"<sentence>"}. */
void adp_sim_admin_error(struct adp_sim_call *call, int status, const char *format, ...)
    LS_PRINTF(3, 4);

/* adp_sim_admin_query finds a parameter of the query, percent-decoded; false when it is absent. */
bool adp_sim_admin_query(
    const struct adp_sim_call *call, const char *name, char *out, size_t bytes);

/* adp_sim_admin_put_order adds one order of the book as JSON. */
void adp_sim_admin_put_order(
    const struct adp_sim_book *book, struct adp_sim_text *out, uint32_t index);

#endif
