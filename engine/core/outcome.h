/* outcome.h: the class of a request that got no reply (ORDER-SAFETY 3.3). One place, for the engine
 * and for the simulated world; inline, so that the world's planted bug needs no second library.
 * Pure. */
#ifndef LS_ENGINE_CORE_OUTCOME_H
#define LS_ENGINE_CORE_OUTCOME_H

#include "ipc/command.h"

#define ENG_H2_REFUSED_STREAM 7u /* RFC 9113, 7 */

/* eng_loss_class says what is proven. Only what provably was not processed is NOT_SENT and may be
 * sent again; everything else is UNKNOWN. evidence       why there is no reply h2_error       code
 * of RST_STREAM, else not looked at trust_goaway   the broker was shown to process nothing above a
 * GOAWAY's last stream trust_refused  the broker was shown to mean REFUSED_STREAM; haproxy sends it
 * for executed requests */
static inline enum ipc_outcome_class eng_loss_class(
    enum ipc_evidence evidence, uint32_t h2_error, bool trust_goaway, bool trust_refused)
{
    switch (evidence) {
    case IPC_EVIDENCE_NO_BYTES:
        return IPC_OUTCOME_NOT_SENT;
    case IPC_EVIDENCE_GOAWAY:
        return trust_goaway ? IPC_OUTCOME_NOT_SENT : IPC_OUTCOME_UNKNOWN;
    case IPC_EVIDENCE_RST_STREAM:
        return trust_refused && h2_error == ENG_H2_REFUSED_STREAM ? IPC_OUTCOME_NOT_SENT
                                                                  : IPC_OUTCOME_UNKNOWN;
    case IPC_EVIDENCE_TIMEOUT:
#ifdef LS_PLANT_BLIND_RESEND
        return IPC_OUTCOME_NOT_SENT; /* the planted bug: a request that may have been taken */
#else
        return IPC_OUTCOME_UNKNOWN;
#endif
    case IPC_EVIDENCE_REPLY:
    case IPC_EVIDENCE_MALFORMED:
    case IPC_EVIDENCE_RESET:
    case IPC_EVIDENCE_PROTOCOL:
    case IPC_EVIDENCE_RECOVERY:
    case IPC_EVIDENCE_STALE_BYTES:
        return IPC_OUTCOME_UNKNOWN;
    }
    return IPC_OUTCOME_UNKNOWN;
}

#endif
