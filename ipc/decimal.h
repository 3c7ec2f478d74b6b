/* decimal.h: decimal text to fixed point (times 1e8) and back, exactly. What cannot be held exactly
 * is refused; nothing is rounded. Pure, any thread. */
#ifndef LS_IPC_DECIMAL_H
#define LS_IPC_DECIMAL_H

#include "ipc/base.h"
#include "ipc/rc.h"

/* The longest text of a value and its NUL: "-92233720368.54775808". */
#define IPC_DECIMAL_BYTES 24u

/* ipc_decimal_parse reads [-]digits[.digits]: no plus sign, blank, exponent or grouping.
 *   text, bytes  not NUL-terminated; at most 40 bytes are taken
 *   returns      IPC_OK; IPC_BAD_INPUT when the text is not a number of this form; IPC_TOO_LONG
 *                when it is one that int64_t times 1e8 does not hold exactly: too large, or a
 *                non-zero digit after the eighth decimal. *value_e8 is then unchanged */
LS_MUST_USE enum ipc_rc ipc_decimal_parse(const char *text, size_t bytes, int64_t *value_e8);

/* ipc_decimal_parse_whole reads an unsigned number without a point, below or equal `largest`.
 *   returns as above */
LS_MUST_USE enum ipc_rc ipc_decimal_parse_whole(
    const char *text, size_t bytes, uint64_t largest, uint64_t *value);

/* ipc_decimal_format writes the shortest exact text: no trailing zeros, no point without decimals,
 * "0" for zero.
 *   out      NUL-terminated
 *   returns  its length without the NUL */
size_t ipc_decimal_format(int64_t value_e8, char out[IPC_DECIMAL_BYTES]);

/* ipc_decimal_format_places writes at least `places` decimals, [0, 8], as in "22150.50" with 2. */
size_t ipc_decimal_format_places(int64_t value_e8, unsigned places, char out[IPC_DECIMAL_BYTES]);

#endif
