#include "control/instruments_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)1 << 30)
#define NOTE_EVERY     16384u

enum ipc_rc ctl_text_read(
    const char *path, size_t bytes_max, struct adp_span *out, struct ipc_error *error)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        ipc_error_set(error, "%s: cannot be opened: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return IPC_BAD_INPUT;
    }
    const size_t size = (size_t)info.st_size;
    uint8_t *bytes = S_ISREG(info.st_mode) && size <= bytes_max ? malloc(size + 1) : NULL;
    size_t used = 0;
    while (bytes != NULL && used < size) {
        const ssize_t got = read(fd, bytes + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    close(fd);
    if (bytes == NULL || used < size) {
        ipc_error_set(error, "%s: %s", path,
            bytes == NULL ? "is not a file, or too large" : "changed while it was read");
        free(bytes);
        return IPC_BAD_INPUT;
    }
    *out = (struct adp_span){bytes, used};
    return IPC_OK;
}

void ctl_text_free(struct adp_span text)
{
    free((void *)(uintptr_t)text.bytes);
}

/* ---- contracts ------------------------------------------------------------------------------- */

void ctl_contract_set_init(struct ctl_contract_set *set)
{
    memset(set, 0, sizeof(*set));
    ctl_row_index_init(&set->keys, 4096);
    ctl_row_index_init(&set->tokens, 4096);
}

void ctl_contract_set_free(struct ctl_contract_set *set)
{
    ctl_row_index_free(&set->keys);
    ctl_row_index_free(&set->tokens);
    free(set->lines);
}

static bool same_contract(uint32_t row, const void *wanted, const void *context)
{
    const struct ctl_contract_set *set = context;
    return adp_contract_same(&set->lines[row].contract.row, wanted);
}

static bool same_token(uint32_t row, const void *wanted, const void *context)
{
    const struct ctl_contract_set *set = context;
    const struct ipc_row_instrument *a = &set->lines[row].contract.row, *b = wanted;
    return a->exchange == b->exchange && memcmp(a->token, b->token, sizeof(a->token)) == 0;
}

static uint64_t token_hash(const struct ipc_row_instrument *row)
{
    uint64_t word[2];
    memcpy(word, row->token, sizeof(word));
    uint64_t hash = (word[0] ^ row->exchange) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 32 ^ word[1]) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 29;
}

/* Where a line stands, for a sentence about another one. */
static void place_of(const struct ctl_contract_set *set, uint32_t row, char *out, size_t bytes)
{
    const struct ctl_contract_line *line = &set->lines[row];
    if (line->file + 1 == set->file_count)
        snprintf(out, bytes, "line %u", line->line);
    else
        snprintf(out, bytes, "%s:%u", set->files[line->file].path, line->line);
}

/* Adds a contract that is new; says what is wrong with one that is not. */
static bool take(struct ctl_contract_set *set, const struct adp_contract *contract, uint32_t line,
    struct adp_contract_problem *problem)
{
    struct ctl_contract_file *file = &set->files[set->file_count - 1];
    const uint64_t key = adp_contract_key(&contract->row), token = token_hash(&contract->row);
    char place[96];
    uint32_t before = ctl_row_index_find(&set->keys, key, same_contract, &contract->row, set);
    if (before != CTL_ROW_ABSENT) {
        if (memcmp(&set->lines[before].contract, contract, sizeof(*contract)) == 0) {
            file->repeated++;
            return true;
        }
        place_of(set, before, place, sizeof(place));
        snprintf(problem->text, sizeof(problem->text),
            "it is the contract of %s again, with another token, lot or tick", place);
        return false;
    }
    before = ctl_row_index_find(&set->tokens, token, same_token, &contract->row, set);
    if (before != CTL_ROW_ABSENT) {
        place_of(set, before, place, sizeof(place));
        snprintf(problem->text, sizeof(problem->text), "its Token '%s' is that of %s",
            contract->row.token, place);
        return false;
    }
    if (set->count == set->room) {
        set->room = set->room == 0 ? 4096 : set->room * 2;
        set->lines = realloc(set->lines, set->room * sizeof(*set->lines));
        LS_CHECK(set->lines != NULL);
    }
    set->lines[set->count] = (struct ctl_contract_line){*contract, line, set->file_count - 1};
    ctl_row_index_add(&set->keys, key, set->count);
    ctl_row_index_add(&set->tokens, token, set->count);
    set->count++;
    file->rows++;
    return true;
}

static bool is_blank(struct adp_span line)
{
    for (size_t i = 0; i < line.count; i++)
        if (line.bytes[i] != ' ' && line.bytes[i] != '\t')
            return false;
    return true;
}

enum ipc_rc ctl_contract_set_read(struct ctl_contract_set *set,
    const struct adp_contract_format *format, const char *path, ctl_contract_note_fn note,
    void *context, struct ipc_error *error)
{
    if (set->file_count == CTL_CONTRACT_FILES) {
        ipc_error_set(error, "more than %u files at once", CTL_CONTRACT_FILES);
        return IPC_BAD_INPUT;
    }
    struct adp_span text;
    if (ctl_text_read(path, FILE_BYTES_MAX, &text, error) != IPC_OK)
        return IPC_BAD_INPUT;
    struct ctl_contract_file *file = &set->files[set->file_count++];
    *file = (struct ctl_contract_file){.path = path};
    struct adp_span rest = text, line;
    struct adp_contract_layout layout;
    struct adp_contract_problem problem;
    bool header = false;
    enum ipc_rc rc = IPC_OK;
    for (uint32_t number = 1; adp_contract_next_line(&rest, number == 1, &line); number++) {
        struct adp_contract contract;
        if (is_blank(line))
            continue;
        if (!header) {
            if (format->header(line, &layout, &problem) != ADP_OK) {
                ipc_error_set(error, "%s:%u: %s", path, number, problem.text);
                rc = IPC_BAD_INPUT;
                break;
            }
            header = true;
            continue;
        }
        if (format->row(&layout, line, &contract, &problem) != ADP_OK ||
            !take(set, &contract, number, &problem)) {
            file->bad++;
            note(file, number, problem.text, context);
        }
        if (number % NOTE_EVERY == 0)
            note(file, number, NULL, context);
    }
    if (rc == IPC_OK && file->rows + file->repeated + file->bad == 0) {
        ipc_error_set(error, "%s: there is no contract in it", path);
        rc = IPC_BAD_INPUT;
    }
    ctl_text_free(text);
    return rc;
}
