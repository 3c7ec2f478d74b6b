/* span.h: bytes that somebody else owns, and the result codes of adapters. */
#ifndef LS_ADAPTERS_SPAN_H
#define LS_ADAPTERS_SPAN_H

#include "ipc/base.h"

struct adp_span {
    const uint8_t *bytes; /* may be NULL when count is 0 */
    size_t count;
};

enum adp_rc {
    ADP_OK = 0,
    ADP_NOTHING = -1,     /* well-formed, but not what was asked for */
    ADP_MALFORMED = -2,   /* cannot be believed */
    ADP_TOO_LONG = -3,    /* does not fit */
    ADP_UNSUPPORTED = -4, /* this broker cannot do it */
    ADP_AUTH = -5,        /* the token is refused */
};

#endif
