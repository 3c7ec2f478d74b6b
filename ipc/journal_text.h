/* journal_text.h: a journal frame as one line for people, and as one JSON object.
 *
 * Prices and quantities are exact decimals, enums are the words of their tables, a value outside
 * its table is "?" and a payload whose size is not its type's is said to be so: the bytes come from
 * files. Control characters never get through. Not for hot threads. */
#ifndef LS_IPC_JOURNAL_TEXT_H
#define LS_IPC_JOURNAL_TEXT_H

#include "ipc/journal_reader.h"

/* A place for text: cut, never overrun. */
struct ipc_text {
    char *bytes;     /* NUL-terminated after every call */
    size_t capacity; /* with the NUL, >= 1 */
    size_t used;     /* without it */
    bool is_cut;
};

/* Room that holds any frame's line or JSON. */
#define IPC_JOURNAL_TEXT_BYTES (1024u * 1024u)

void ipc_text_start(struct ipc_text *text, char *bytes, size_t capacity);
void ipc_text_put(struct ipc_text *text, const char *format, ...) LS_PRINTF(2, 3);
/* ipc_text_put_e8 appends an exact decimal. */
void ipc_text_put_e8(struct ipc_text *text, int64_t value_e8);
/* ipc_text_put_time appends wall time as 2026-01-31T09:15:00.123456789Z. */
void ipc_text_put_time(struct ipc_text *text, int64_t wall_ns);
/* ipc_text_put_clean appends bytes up to the first NUL or `bytes_max`, other characters than
 * printable ASCII as '.'. */
void ipc_text_put_clean(struct ipc_text *text, const char *from, size_t bytes_max);
/* ipc_text_put_json appends the same, quoted and escaped for JSON. */
void ipc_text_put_json(struct ipc_text *text, const char *from, size_t bytes_max);

/* ipc_text_span returns to - from, stopped at the ends of the range: times from files may be any.
 */
int64_t ipc_text_span(int64_t from, int64_t to);

/* What is learned from EVENT facts on the way: a batch names its order by key only, and its
 * children's tags need the order's digits. */
struct ipc_journal_orders;

/* ipc_journal_orders_make allocates the table (it grows); NULL without memory. */
struct ipc_journal_orders *ipc_journal_orders_make(void);
void ipc_journal_orders_free(struct ipc_journal_orders *orders);
/* ipc_journal_orders_learn takes a frame; others than EVENT teach nothing. */
void ipc_journal_orders_learn(struct ipc_journal_orders *orders, const struct ipc_frame *frame);
/* ipc_journal_orders_digits finds an order's digits; false when its event was not seen. */
LS_MUST_USE bool ipc_journal_orders_digits(
    const struct ipc_journal_orders *orders, struct ipc_key key, uint64_t *digits);

/* ipc_journal_tag writes the tag of a batch's child, or "?" when the order was not seen. */
void ipc_journal_tag(const struct ipc_journal_orders *orders, struct ipc_key order_key,
    const struct ipc_fact_child *child, char tag[IPC_TAG_BYTES]);

/* ipc_journal_line appends the frame as one line without the newline: lsn, time, type, content. */
void ipc_journal_line(struct ipc_text *text, const struct ipc_journal_orders *orders,
    const struct ipc_journal_entry *entry);

/* ipc_journal_json appends the frame as one JSON object without the newline. */
void ipc_journal_json(struct ipc_text *text, const struct ipc_journal_orders *orders,
    const struct ipc_journal_entry *entry);

/* ipc_journal_list returns a frame's fixed part and its list, bounds-checked.
 *   element_bytes  of the type's list
 *   fixed_bytes    before the list
 *   returns        elements, or -1 when sizes and count do not agree */
int64_t ipc_journal_list(
    const struct ipc_frame *frame, uint32_t fixed_bytes, uint32_t element_bytes, uint32_t count);

/* ipc_journal_batch is the same for a BATCH: compact children, then wide ones.
 *   batch    the fixed part, already read from the frame
 *   returns  compact children, or -1 when sizes and counts do not agree */
int64_t ipc_journal_batch(const struct ipc_frame *frame, const struct ipc_fact_batch *batch);

#endif
