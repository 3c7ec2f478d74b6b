/* command.h: what the core asks the edge to do, and what comes back. Never in shared memory; the
 * journal has facts. */
#ifndef LS_IPC_COMMAND_H
#define LS_IPC_COMMAND_H

#include "ipc/vocab.h"

/* One request to a broker, complete. Made by the core from facts, encoded by the follower's
 * dialect. */
struct ipc_command {
    /* the first eight bytes name the shape of its body */
    uint8_t action; /* enum ipc_action */
    uint8_t side, type, product, validity, exchange;
    uint16_t market_protection_bp; /* of a market order, in hundredths of a percent; 0 = the
                                      broker's own */
    uint32_t slot;                 /* follower slot in the adopted generation */
    uint32_t account;              /* follower account */
    uint32_t instrument;
    uint32_t child; /* handle of the child in the core; comes back with the reply */
    uint32_t
        request_no; /* the child's requests counted, so that a late reply is told from a new one */
    uint32_t wave_place; /* place in the wave, from 0 */
    uint8_t is_exit;     /* reduces the follower's copied position, or is a cancel */
    uint8_t reserved7[7];
    int64_t qty_e8, price_e8, trigger_e8;
    int64_t deadline_mono_ns; /* bytes must leave before it; INT64_MAX for exits */
    char tag[IPC_TAG_BYTES];
    char broker_order_id[IPC_BROKER_ORDER_ID_BYTES]; /* MODIFY, CANCEL */
    char token[16];                                  /* the broker's instrument token */
};

/* Classes of ORDER-SAFETY 3.3. */
#define IPC_OUTCOME_LIST(X)                                                                        \
    X(IPC_OUTCOME_ACKED, 1, "ACKED")       /* accepted, broker_order_id is set (PLACE) */          \
    X(IPC_OUTCOME_REJECTED, 2, "REJECTED") /* a definite refusal that is listed */                 \
    X(IPC_OUTCOME_AUTH, 3, "AUTH")       /* definite: token refused in the broker's own format */  \
    X(IPC_OUTCOME_LIMITED, 4, "LIMITED") /* definite: rate refusal in the broker's own format */   \
    X(IPC_OUTCOME_NOT_SENT, 5, "NOT_SENT") /* proof that the request was not processed */          \
    X(IPC_OUTCOME_UNKNOWN, 6, "UNKNOWN")   /* everything else */
IPC_DECLARE_ENUM(ipc_outcome_class, IPC_OUTCOME_LIST)

/* Why an outcome is what it is: kept as evidence. */
#define IPC_EVIDENCE_LIST(X)                                                                       \
    X(IPC_EVIDENCE_REPLY, 1, "reply")         /* a complete reply was decoded */                   \
    X(IPC_EVIDENCE_MALFORMED, 2, "malformed") /* a complete reply that could not be */             \
    X(IPC_EVIDENCE_TIMEOUT, 3, "timeout")     /* deadline from the first byte passed */            \
    X(IPC_EVIDENCE_RESET, 4, "reset")         /* TCP reset, FIN or TLS alert */                    \
    X(IPC_EVIDENCE_RST_STREAM, 5, "rst-stream")                                                    \
    X(IPC_EVIDENCE_GOAWAY, 6, "goaway")            /* stream id above last_stream_id */            \
    X(IPC_EVIDENCE_NO_BYTES, 7, "no-bytes")        /* no byte was handed to the kernel */          \
    X(IPC_EVIDENCE_PROTOCOL, 8, "protocol")        /* the peer broke HTTP/2 */                     \
    X(IPC_EVIDENCE_RECOVERY, 9, "recovery")        /* in flight when the process died */           \
    X(IPC_EVIDENCE_STALE_BYTES, 10, "stale-bytes") /* bytes of an aged entry sat in the socket */
IPC_DECLARE_ENUM(ipc_evidence, IPC_EVIDENCE_LIST)

struct ipc_outcome {
    uint8_t outcome;      /* enum ipc_outcome_class */
    uint8_t evidence;     /* enum ipc_evidence */
    uint16_t http_status; /* 0 = none */
    uint32_t stream_id;
    uint32_t h2_error; /* RST_STREAM or GOAWAY code */
    char broker_order_id[IPC_BROKER_ORDER_ID_BYTES];
    char code[12]; /* broker's short code, NUL-padded, printable */
    char text[64]; /* start of the broker's message, printable ASCII, NUL-terminated */
};

#endif
