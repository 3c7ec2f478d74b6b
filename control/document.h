/* document.h: a JSON file for people: strict, exact decimals, and every complaint names file, line
 * and field.
 *
 * The text is first read by jansson (strict, duplicate keys refused), then held as jsmn tokens,
 * because a value's line and its decimal digits are needed and jansson keeps neither. Control plane
 * only: allocates. One thread. */
#ifndef LS_CONTROL_DOCUMENT_H
#define LS_CONTROL_DOCUMENT_H

#include "ipc/rc.h"
#include "ipc/vocab.h"

struct ctl_document;

/* A value is an index into the document: 0 is the root, CTL_NONE is "absent". */
#define CTL_NONE UINT32_MAX

enum ctl_json_type {
    CTL_JSON_NULL,
    CTL_JSON_BOOL,
    CTL_JSON_NUMBER,
    CTL_JSON_STRING,
    CTL_JSON_ARRAY,
    CTL_JSON_OBJECT
};

/* ctl_document_open reads and checks a whole file ("-" = standard input), at most `bytes_max`.
 *   returns  a document to be closed with ctl_document_close, or NULL with the sentence in *error
 */
struct ctl_document *ctl_document_open(const char *path, size_t bytes_max, struct ipc_error *error);

/* ctl_document_close wipes the text (it may hold tokens) and frees it; NULL is allowed. */
void ctl_document_close(struct ctl_document *document);

enum ctl_json_type ctl_document_type(const struct ctl_document *document, uint32_t value);
uint32_t ctl_document_count(
    const struct ctl_document *document, uint32_t value); /* elements or members */
uint32_t ctl_document_first(
    const struct ctl_document *document, uint32_t array); /* CTL_NONE when empty */
uint32_t ctl_document_next(
    const struct ctl_document *document, uint32_t value); /* CTL_NONE at the end */
uint32_t ctl_document_member(const struct ctl_document *document, uint32_t object, const char *key);
uint32_t ctl_document_line(const struct ctl_document *document, uint32_t value);

/* ctl_document_complain writes "file:line: field: sentence". The field is the value's path, as
 * subscriptions[3].ratio. */
void ctl_document_complain(const struct ctl_document *document, uint32_t value,
    struct ipc_error *error, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The getters below read an optional member. An absent or null one leaves *out unchanged and is
 * IPC_NOT_FOUND; a wrong one is IPC_BAD_INPUT with the sentence in *error. */
LS_MUST_USE enum ipc_rc ctl_document_string(const struct ctl_document *document, uint32_t object,
    const char *key, char *out, size_t out_bytes, struct ipc_error *error);
LS_MUST_USE enum ipc_rc ctl_document_e8(const struct ctl_document *document, uint32_t object,
    const char *key, int64_t low_e8, int64_t high_e8, int64_t *out, struct ipc_error *error);
LS_MUST_USE enum ipc_rc ctl_document_uint(const struct ctl_document *document, uint32_t object,
    const char *key, uint64_t low, uint64_t high, uint64_t *out, struct ipc_error *error);
LS_MUST_USE enum ipc_rc ctl_document_bool(const struct ctl_document *document, uint32_t object,
    const char *key, bool *out, struct ipc_error *error);

/* ctl_document_text copies a string value, unescaped. IPC_TOO_LONG or IPC_BAD_INPUT with a
 * sentence. */
LS_MUST_USE enum ipc_rc ctl_document_text(const struct ctl_document *document, uint32_t value,
    char *out, size_t out_bytes, struct ipc_error *error);

/* ctl_document_only refuses members that are not in the NULL-terminated list: a typing error must
 * not be ignored. */
LS_MUST_USE enum ipc_rc ctl_document_only(const struct ctl_document *document, uint32_t object,
    const char *const *keys, struct ipc_error *error);

#endif
