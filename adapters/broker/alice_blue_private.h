/* alice_blue_private.h: what the files of this dialect share. */
#ifndef LS_ADAPTERS_BROKER_ALICE_BLUE_PRIVATE_H
#define LS_ADAPTERS_BROKER_ALICE_BLUE_PRIVATE_H

#include "adapters/broker/dialect.h"
#include "adapters/json.h"

/* What one status object says: the envelope of a reply, or one leg inside it. */
enum alice_state {
    ALICE_SILENT = 0, /* neither status nor stat */
    ALICE_OK,
    ALICE_REFUSED, /* "Not_ok", "Error", "EC9xx" */
    ALICE_ODD,     /* a word that is none of them */
};

struct alice_verdict {
    enum alice_state state;
    uint32_t code;    /* number of an "EC" code, 0 = none */
    uint32_t message; /* token of the text, ADP_JSON_NONE */
    bool is_session;  /* the text says that session or address are refused */
};

/* What a listed code means for an order request. */
enum alice_meaning {
    ALICE_MEANS_NOTHING = 0, /* not listed, or generic: the outcome is unknown */
    ALICE_MEANS_REJECTED,
    ALICE_MEANS_AUTH,
};

#define ALICE_EC_EMPTY_BOOK      916u
#define ALICE_EC_EMPTY_POSITIONS 920u

/* alice_verdict reads status|stat, message|emsg|Emsg of one object. */
struct alice_verdict alice_verdict(const struct adp_json *json, uint32_t object);

/* alice_code_meaning looks a code up in the table of definite refusals for one action. */
enum alice_meaning alice_code_meaning(uint32_t code, enum ipc_action action);

/* alice_read_rc maps the refusal of a read (book, funds) to a result code: ADP_AUTH or
 * ADP_MALFORMED. */
enum adp_rc alice_read_rc(uint32_t http_status, const struct alice_verdict *verdict);

/* alice_order_id copies a broker order id: a string or number of 6..31 of [0-9A-Za-z] with a digit
 * in it; false, and "" in out, when it is none. */
bool alice_order_id(
    const struct adp_json *json, uint32_t token, char out[IPC_BROKER_ORDER_ID_BYTES]);

void alice_decode_reply(
    enum ipc_action action, uint32_t http_status, struct adp_span body, struct ipc_outcome *out);
enum adp_rc alice_decode_book(uint32_t http_status, struct adp_span body,
    adp_find_instrument_fn find_instrument, adp_book_fn each, void *context, bool *is_empty_code);
enum adp_rc alice_decode_push(struct adp_span frame, adp_find_instrument_fn find_instrument,
    void *context, struct ipc_event *out);
extern const struct adp_push alice_push;
enum adp_rc alice_decode_positions(uint32_t http_status, struct adp_span body,
    adp_find_instrument_fn find_instrument, adp_position_fn each, void *context,
    bool *is_empty_code);
enum adp_rc alice_decode_funds(uint32_t http_status, struct adp_span body, struct adp_funds *out);

#endif
