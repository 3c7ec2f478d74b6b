#include "control/ctl_common.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/snapshot_file.h"

int ctl_refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("lockstepctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return CTL_FAILED;
}

int ctl_usage(const char *verb, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "lockstepctl %s: ", verb);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "; see 'lockstepctl %s --help'\n", verb);
    va_end(arguments);
    return CTL_USAGE;
}

void ctl_key_path(const struct ctl_cli *cli, char *out, size_t out_bytes)
{
    if (cli->key_file != NULL)
        snprintf(out, out_bytes, "%s", cli->key_file);
    else
        snprintf(out, out_bytes, "/etc/lockstep/%s.key", cli->instance);
}

void ctl_json_escape(const char *text, char *out, size_t out_bytes)
{
    size_t used = 0;
    for (; *text != '\0' && used + 7 < out_bytes; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            out[used++] = '\\';
            out[used++] = (char)c;
        } else if (c < 0x20) {
            used += (size_t)snprintf(out + used, out_bytes - used, "\\u%04x", c);
        } else {
            out[used++] = (char)c;
        }
    }
    out[used] = '\0';
}

void ctl_format_wall(int64_t wall_ns, char *out, size_t out_bytes)
{
    time_t seconds = (time_t)(wall_ns / LS_NS_PER_S);
    struct tm utc;
    char text[24];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, out_bytes, "%s.%06lldZ", text, (long long)(wall_ns % LS_NS_PER_S / 1000));
}

static bool is_number(const char *text, uint32_t *value)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *value = (uint32_t)number;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && number <= UINT32_MAX;
}

uint32_t ctl_find_account(const struct ipc_snapshot_view *view, const char *name)
{
    uint32_t found = 0, number;
    for (uint32_t i = 0; i < view->account_count; i++)
        if (view->accounts[i].account != 0 && strcmp(view->accounts[i].login, name) == 0) {
            if (found != 0)
                return 0;
            found = i + 1;
        }
    if (found == 0 && is_number(name, &number) && number >= 1 && number <= view->account_count &&
        view->accounts[number - 1].account == number)
        found = number;
    return found;
}

int ctl_find_broker(const struct ipc_snapshot_view *view, const char *name)
{
    for (uint32_t i = 0; i < view->broker_count; i++)
        if (view->brokers[i].live && strcmp(view->brokers[i].name, name) == 0)
            return (int)i;
    return -1;
}

uint32_t ctl_find_instrument(const struct ipc_snapshot_view *view, const char *name)
{
    uint32_t found = 0;
    bool found_gone = false;
    for (uint32_t i = 0; i < view->instrument_count; i++) {
        const struct ipc_row_instrument *row = &view->instruments[i];
        const bool gone = (row->flags & IPC_INSTRUMENT_GONE) != 0;
        if (row->instrument == 0)
            continue;
        char full[64];
        snprintf(full, sizeof(full), "%s:%s", ipc_exchange_name((enum ipc_exchange)row->exchange),
            row->symbol);
        if (strcmp(row->symbol, name) != 0 && strcmp(full, name) != 0)
            continue;
        /* A symbol of a contract that is gone may be another's by now. */
        if (found != 0 && gone && !found_gone)
            continue;
        if (found != 0 && gone == found_gone)
            return 0;
        found = row->instrument;
        found_gone = gone;
    }
    return found;
}

int64_t ctl_find_slot(const struct ipc_snapshot_view *view, const char *follower_no)
{
    uint32_t number;
    if (!is_number(follower_no, &number) || number == 0)
        return -1;
    for (uint32_t slot = 0; slot < view->follower_slots; slot++)
        if (view->followers[slot].follower_no == number)
            return slot;
    return -1;
}

int ctl_live_open(const struct ctl_cli *cli, struct ctl_live *live)
{
    struct ipc_error error;
    memset(live, 0, sizeof(*live));
    live->shm.fd = -1;
    if (ipc_shm_open(&live->shm, NULL, cli->instance, false, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    enum ipc_rc rc = ctl_snapshot_read_live(&live->shm, &live->image, &live->memory, &error);
    if (rc == IPC_NOT_FOUND || rc == IPC_EMPTY)
        return ctl_refuse(
            "instance %s has no snapshot yet: lockstepctl snapshot publish FILE", cli->instance);
    if (rc == IPC_OK) {
        ipc_snapshot_view_of(&live->image, &live->view);
        uint64_t bytes = ipc_snapshot_scratch_bytes(&live->view);
        void *scratch = malloc(bytes + 8);
        LS_CHECK(scratch != NULL);
        rc = ipc_snapshot_validate(&live->view, scratch, bytes, &error);
        free(scratch);
    }
    return rc == IPC_OK ? CTL_DONE : ctl_refuse("%s", error.text);
}

void ctl_live_close(struct ctl_live *live)
{
    free(live->memory);
    ipc_shm_close(&live->shm);
}
