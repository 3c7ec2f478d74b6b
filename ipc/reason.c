#include "ipc/reason.h"

const char *ipc_reason_name(enum ipc_reason reason)
{
    switch (reason) {
#define X(name, value, text, sentence, advice)                                                             \
    case name:                                                                                     \
        return text;
        IPC_REASON_LIST(X)
#undef X
    case IPC_REASON_COUNT:
        break;
    }
    return "?";
}

const char *ipc_reason_sentence(enum ipc_reason reason)
{
    switch (reason) {
#define X(name, value, text, sentence, advice)                                                             \
    case name:                                                                                     \
        return sentence;
        IPC_REASON_LIST(X)
#undef X
    case IPC_REASON_COUNT:
        break;
    }
    return "not a reason that this build knows";
}

const char *ipc_reason_advice(enum ipc_reason reason)
{
    switch (reason) {
#define X(name, value, text, sentence, advice)                                                     \
    case name:                                                                                     \
        return advice;
        IPC_REASON_LIST(X)
#undef X
    case IPC_REASON_COUNT:
        break;
    }
    return "ask the build that wrote it";
}
