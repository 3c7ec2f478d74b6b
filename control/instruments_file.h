/* instruments_file.h: a whole text file in memory, and the set of contracts that one broker's files
 * say. Control plane; one thread. */
#ifndef LS_CONTROL_INSTRUMENTS_FILE_H
#define LS_CONTROL_INSTRUMENTS_FILE_H

#include "adapters/broker/contract.h"
#include "control/row_index.h"
#include "ipc/rc.h"

/* ctl_text_read reads a file of at most `bytes_max`; freed by ctl_text_free.
 *   returns  IPC_OK; IPC_BAD_INPUT with a sentence */
LS_MUST_USE enum ipc_rc ctl_text_read(
    const char *path, size_t bytes_max, struct adp_span *out, struct ipc_error *error);
void ctl_text_free(struct adp_span text);

/* ---- contracts ------------------------------------------------------------------------------- */

#define CTL_CONTRACT_FILES 64u

struct ctl_contract_line {
    struct adp_contract contract;
    uint32_t line, file;
};

struct ctl_contract_file {
    const char *path;
    uint32_t rows, repeated, bad; /* taken; the same again; refused */
};

/* What one broker lists, from one or several files: no contract and no token twice. */
struct ctl_contract_set {
    struct ctl_contract_line *lines;
    uint32_t count, room;
    struct ctl_row_index keys, tokens;
    struct ctl_contract_file files[CTL_CONTRACT_FILES];
    uint32_t file_count;
};

/* Told about every bad line, and now and then how far it is (problem NULL). */
typedef void (*ctl_contract_note_fn)(
    const struct ctl_contract_file *file, uint32_t line, const char *problem, void *context);

void ctl_contract_set_init(struct ctl_contract_set *set);
void ctl_contract_set_free(struct ctl_contract_set *set);

/* ctl_contract_set_read adds a file. Bad lines are left out and told; the caller decides whether
 * that is an end.
 *   path     outlives the set
 *   returns  IPC_OK, also with bad lines; IPC_BAD_INPUT the file cannot be read at all (missing, no
 *            header, no rows), with the sentence */
LS_MUST_USE enum ipc_rc ctl_contract_set_read(struct ctl_contract_set *set,
    const struct adp_contract_format *format, const char *path, ctl_contract_note_fn note,
    void *context, struct ipc_error *error);

#endif
