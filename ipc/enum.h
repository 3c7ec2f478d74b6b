/* enum.h: the name tables of enums that are declared by IPC_DECLARE_ENUM (ipc/vocab.h).
 *
 * IPC_DEFINE_ENUM(tag, LIST) stands once, in one source file, for each IPC_DECLARE_ENUM(tag, LIST).
 * The functions are pure and may be called from any thread. */
#ifndef LS_IPC_ENUM_H
#define LS_IPC_ENUM_H

#include "ipc/vocab.h"

#include <string.h>

/* One word of a list: what IPC_DEFINE_ENUM makes its parse table of. */
struct ipc_enum_row {
    const char *text;
    uint32_t text_bytes;
    uint32_t value;
};

/* ipc_enum_find looks a word up, exact and case-sensitive.
 *   returns the row, or NULL when the word is not in the list */
static inline const struct ipc_enum_row *ipc_enum_find(
    const struct ipc_enum_row *rows, size_t row_count, const char *text, size_t bytes)
{
    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].text_bytes == bytes && memcmp(rows[i].text, text, bytes) == 0)
            return &rows[i];
    }
    return NULL;
}

#define IPC_ENUM_ROW_(name, value, text) {text, sizeof(text) - 1, (uint32_t)(name)},
#define IPC_ENUM_NAME_(name, value, text)                                                          \
    case name:                                                                                     \
        return text;
#define IPC_ENUM_CASE_(name, value, text) case (uint32_t)(name):

#define IPC_DEFINE_ENUM(tag, LIST)                                                                 \
    const char *tag##_name(enum tag value)                                                         \
    {                                                                                              \
        switch (value) {                                                                           \
            LIST(IPC_ENUM_NAME_)                                                                   \
        }                                                                                          \
        return "?";                                                                                \
    }                                                                                              \
    bool tag##_parse(const char *text, size_t bytes, enum tag *out)                                \
    {                                                                                              \
        static const struct ipc_enum_row rows[] = {LIST(IPC_ENUM_ROW_)};                           \
        const struct ipc_enum_row *row = ipc_enum_find(rows, LS_COUNT_OF(rows), text, bytes);      \
        if (row == NULL)                                                                           \
            return false;                                                                          \
        *out = (enum tag)row->value;                                                               \
        return true;                                                                               \
    }                                                                                              \
    bool tag##_valid(uint32_t value)                                                               \
    {                                                                                              \
        switch (value) {                                                                           \
            LIST(IPC_ENUM_CASE_)                                                                   \
            return true;                                                                           \
        }                                                                                          \
        return false;                                                                              \
    }

#endif
