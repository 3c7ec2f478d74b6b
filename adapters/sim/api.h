/* api.h: Alice Blue's v2 order API over the book: paths, JSON in, JSON out. No socket, no fault, no
 * rate limit.
 *
 * Written from the broker's documentation and the samples printed there, on purpose without any
 * code of the engine's dialect. Main thread only. */
#ifndef LS_ADP_SIM_API_H
#define LS_ADP_SIM_API_H

#include "adapters/sim/call.h"
#include "adapters/sim/members.h"
#include "adapters/sim/push.h"

#define ADP_SIM_API_PREFIX "/open-api/od/v1/"

enum adp_sim_path {
    ADP_SIM_PATH_UNKNOWN = 0,
    ADP_SIM_PATH_PLACE,
    ADP_SIM_PATH_MODIFY,
    ADP_SIM_PATH_CANCEL,
    ADP_SIM_PATH_BOOK,
    ADP_SIM_PATH_HISTORY,
    ADP_SIM_PATH_TRADES,
    ADP_SIM_PATH_POSITIONS,
    ADP_SIM_PATH_HOLDINGS,
    ADP_SIM_PATH_LIMITS,
    ADP_SIM_PATH_ORDER_TOKEN,
    ADP_SIM_PATH_MARKET_BEGIN,
    ADP_SIM_PATH_MARKET_END,
    ADP_SIM_PATH_SUBSCRIBE,
    ADP_SIM_PATH_UNSUBSCRIBE,
    ADP_SIM_PATH_COUNT
};

/* How a refusal is written: brokers of this family use several forms. */
enum adp_sim_error_form {
    ADP_SIM_FORM_STATUS = 0, /* {"status":"EC997","message":"<sentence>"} */
    ADP_SIM_FORM_BARE,       /* {"status":"Not_ok","message":"EC997"} */
    ADP_SIM_FORM_MIXED       /* one of them, from the seed */
};

struct adp_sim_api {
    struct adp_sim_book *book;
    struct adp_sim_members *members;
    struct adp_sim_push *push; /* NULL: there is no push side, its calls answer 404 */
    enum adp_sim_error_form error_form;
    struct adp_sim_prng prng;
    struct json_t *parsed; /* a body that adp_sim_api_exchange parsed, until the request is run */
    const struct adp_sim_call *parsed_for;
};

/* adp_sim_path_name returns the short name of a path ("placeorder", "book", ...). */
const char *adp_sim_path_name(enum adp_sim_path path);
/* adp_sim_path_is_order tells the calls that place or change orders from those that read. */
bool adp_sim_path_is_order(enum adp_sim_path path);

/* adp_sim_api_path finds the path of a request, case-sensitive.
 *   method_ok is false when the path exists with another method */
enum adp_sim_path adp_sim_api_path(const struct adp_sim_call *call, bool *method_ok);

/* adp_sim_api_exchange returns the exchange that an order call is for and how many orders it holds,
 * for rate limits; 0 when the body does not say. */
enum adp_sim_exchange adp_sim_api_exchange(struct adp_sim_api *api, const struct adp_sim_call *call,
    enum adp_sim_path path, uint32_t *calls);

/* adp_sim_api_run carries a request out and writes its answer.
 *   account   of the book; ADP_SIM_NONE only with a refusal
 *   refusal   0, or the code with which every order of the request is recorded and refused; the
 * caller then writes the answer outcome   NULL or static text for the records */
void adp_sim_api_run(struct adp_sim_api *api, struct adp_sim_call *call, enum adp_sim_path path,
    uint32_t account, int refusal, const char *outcome);

/* adp_sim_api_error writes an error answer with a code's sentence. */
void adp_sim_api_error(
    struct adp_sim_api *api, struct adp_sim_call *call, int http_status, int code);

#endif
