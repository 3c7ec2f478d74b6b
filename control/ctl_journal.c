/* ctl_journal.c: lockstepctl journal ls | show LSN | export. Reads only; the engine does not
 * notice. verify is ctl_verify.c.
 */
#include "control/ctl_journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FOLLOW_PAUSE_MS 20

static const char help_text[] =
    "Usage: lockstepctl journal ls [OPTIONS]       the facts, one line each\n"
    "       lockstepctl journal show LSN [OPTIONS] one fact, a line per order in it\n"
    "       lockstepctl journal export [OPTIONS]   every fact with all its fields, one JSON "
    "object\n"
    "                                              a line\n"
    "       lockstepctl journal verify [OPTIONS]   check every record, and that every decision is\n"
    "                                              accounted for\n"
    "\n"
    "The journal is what the engine did, in order: events seen, decisions, requests, replies.\n"
    "It is read from memory first and from the disk files where memory no longer has it.\n"
    "\n"
    "  --shard K      the shard (default: 0; verify: all that there are)\n"
    "  --from LSN     first record (default: the oldest kept)\n"
    "  --to LSN       last record\n"
    "  --type NAME    only one type: open adopt event batch release reply update checkpoint alarm\n"
    "                 book limit recon guard catch-up positions\n"
    "  --follow       ls, export: go on as the engine writes, until interrupted\n"
    "  --disk DIR     where the disk files are, when the journal is no longer in memory (after a\n"
    "                 reboot): the directory that holds journal.<shard>\n"
    "  --json         one JSON object per record\n"
    "\n"
    "verify ends with 1 when a committed record is damaged or missing, or when the decisions do\n"
    "not add up: events x followers = skipped + placed + acts + vanished + remaining, and\n"
    "placed + extra = terminal + open. It says where.\n";

static bool number_take(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

/* One option with a value.
 *   returns NULL, or what the value must be */
static const char *value_take(struct ctl_journal_options *out, const char *name, const char *value)
{
    uint64_t number = 0;
    if (strcmp(name, "--disk") == 0) {
        out->disk = value;
        return value[0] != '\0' ? NULL : "a directory";
    }
    if (strcmp(name, "--type") == 0) {
        enum ipc_fact_type type;
        if (!ipc_fact_type_parse(value, strlen(value), &type))
            return "a type of record, as batch or reply";
        out->type = type;
        return NULL;
    }
    if (!number_take(value, &number))
        return "a number";
    if (strcmp(name, "--from") == 0) {
        out->from_lsn = number;
    } else if (strcmp(name, "--to") == 0) {
        out->to_lsn = number;
    } else {
        if (number >= CTL_SHARDS_MAX)
            return "a number below 64";
        out->shard = (uint32_t)number;
        out->has_shard = true;
    }
    return NULL;
}

int ctl_journal_options_take(
    const char *verb, int argc, char **argv, struct ctl_journal_options *out)
{
    static const char *const valued[] = {"--disk", "--type", "--from", "--to", "--shard"};
    memset(out, 0, sizeof *out);
    out->to_lsn = UINT64_MAX;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            out->help = true;
            continue;
        }
        if (strcmp(argument, "--follow") == 0) {
            out->follow = true;
            continue;
        }
        if (argument[0] != '-') {
            if (out->word_count == (int)LS_COUNT_OF(out->words))
                return ctl_usage(verb, "too many words at '%s'", argument);
            out->words[out->word_count++] = argument;
            continue;
        }
        size_t name_bytes = strcspn(argument, "=");
        const char *name = NULL, *value = NULL;
        for (size_t k = 0; k < LS_COUNT_OF(valued); k++)
            if (strlen(valued[k]) == name_bytes && strncmp(argument, valued[k], name_bytes) == 0)
                name = valued[k];
        if (name == NULL)
            return ctl_usage(verb, "there is no option %s", argument);
        if (argument[name_bytes] == '=')
            value = argument + name_bytes + 1;
        else if (i + 1 < argc)
            value = argv[++i];
        if (value == NULL)
            return ctl_usage(verb, "%s needs a value", name);
        const char *wanted = value_take(out, name, value);
        if (wanted != NULL)
            return ctl_usage(verb, "%s must be %s, not '%s'", name, wanted, value);
    }
    return CTL_DONE;
}

enum ipc_rc ctl_journal_reader_open(const struct ctl_cli *cli,
    const struct ctl_journal_options *options, uint32_t shard, struct ipc_journal_reader **out,
    struct ipc_error *error)
{
    struct ipc_shm shm;
    *out = NULL;
    enum ipc_rc rc = ipc_shm_open(&shm, NULL, cli->instance, false, error);
    if (rc != IPC_OK && (rc != IPC_NOT_FOUND || options->disk == NULL))
        return rc;
    struct ipc_journal_reader_options wanted = {
        .memory_directory = rc == IPC_OK ? shm.path : NULL,
        .disk_directory = options->disk,
        .shard = shard,
        .from_lsn = options->from_lsn,
    };
    bool opened = rc == IPC_OK;
    rc = ipc_journal_reader_open(&wanted, out, error);
    if (opened)
        ipc_shm_close(&shm);
    return rc;
}

/* --- ls and show --- */

struct listing {
    const struct ctl_cli *cli;
    const struct ctl_journal_options *options;
    struct ipc_journal_orders *orders;
    struct ipc_text text;
    char *bytes;
    bool is_export;
};

static bool listing_make(struct listing *listing)
{
    listing->bytes = malloc(IPC_JOURNAL_TEXT_BYTES);
    listing->orders = ipc_journal_orders_make();
    return listing->bytes != NULL && listing->orders != NULL;
}

static void listing_free(struct listing *listing)
{
    free(listing->bytes);
    ipc_journal_orders_free(listing->orders);
}

static void frame_print(struct listing *listing, const struct ipc_journal_entry *entry)
{
    ipc_text_start(&listing->text, listing->bytes, IPC_JOURNAL_TEXT_BYTES);
    if (listing->cli->json || listing->is_export)
        ipc_journal_json(&listing->text, listing->orders, entry);
    else
        ipc_journal_line(&listing->text, listing->orders, entry);
    puts(listing->bytes);
}

/* The elements of a line on lines of their own. */
static void frame_show(struct listing *listing, const struct ipc_journal_entry *entry)
{
    if (listing->cli->json) {
        frame_print(listing, entry);
        return;
    }
    ipc_text_start(&listing->text, listing->bytes, IPC_JOURNAL_TEXT_BYTES);
    ipc_journal_line(&listing->text, listing->orders, entry);
    for (char *at = listing->bytes, *bar; at != NULL; at = bar) {
        bar = strstr(at, " | ");
        if (bar != NULL) {
            *bar = '\0';
            bar += 3;
        }
        printf("%s%s\n", at == listing->bytes ? "" : "    ", at);
    }
    printf("    segment %llu, offset %u, %u bytes of payload, read from %s\n",
        (unsigned long long)entry->segment_no, entry->offset, entry->frame->payload_bytes,
        (entry->flags & IPC_ENTRY_FROM_DISK) != 0 ? "disk" : "memory");
}

static void follow_pause(void)
{
    struct timespec pause = {.tv_nsec = FOLLOW_PAUSE_MS * LS_NS_PER_MS};
    fflush(stdout);
    nanosleep(&pause, NULL);
}

static int step_refuse(const struct ipc_journal_entry *entry)
{
    fflush(stdout);
    return ctl_refuse("%s", entry->error.text);
}

static int listing_run(struct listing *listing, struct ipc_journal_reader *reader)
{
    const struct ctl_journal_options *options = listing->options;
    struct ipc_journal_entry entry;
    for (;;) {
        switch (ipc_journal_reader_next(reader, &entry)) {
        case IPC_JOURNAL_FRAME:
            ipc_journal_orders_learn(listing->orders, entry.frame);
            if (entry.frame->lsn > options->to_lsn)
                return CTL_DONE;
            if (options->type == 0 || options->type == entry.frame->type)
                frame_print(listing, &entry);
            if (entry.frame->lsn == options->to_lsn)
                return CTL_DONE;
            break;
        case IPC_JOURNAL_HOLE:
            fflush(stdout);
            fprintf(stderr, "lockstepctl: %s\n", entry.error.text);
            break;
        case IPC_JOURNAL_END:
            if (!options->follow || ferror(stdout))
                return CTL_DONE;
            follow_pause();
            break;
        case IPC_JOURNAL_TORN:
        case IPC_JOURNAL_CORRUPT:
        case IPC_JOURNAL_GONE:
            return step_refuse(&entry);
        }
    }
}

/* show reads from the start, so that the tags of a batch are known: their order's event lies
 * somewhere before it. */
static int show_run(struct listing *listing, struct ipc_journal_reader *reader, uint64_t lsn)
{
    struct ipc_journal_entry entry;
    for (;;) {
        switch (ipc_journal_reader_next(reader, &entry)) {
        case IPC_JOURNAL_FRAME:
            ipc_journal_orders_learn(listing->orders, entry.frame);
            if (entry.frame->lsn == lsn) {
                frame_show(listing, &entry);
                return CTL_DONE;
            }
            if (entry.frame->lsn > lsn)
                return ctl_refuse("lsn %llu is not in the journal", (unsigned long long)lsn);
            break;
        case IPC_JOURNAL_HOLE:
            break;
        case IPC_JOURNAL_END:
            return ctl_refuse("lsn %llu is not in the journal", (unsigned long long)lsn);
        case IPC_JOURNAL_TORN:
        case IPC_JOURNAL_CORRUPT:
        case IPC_JOURNAL_GONE:
            return step_refuse(&entry);
        }
    }
}

enum what { WHAT_LIST, WHAT_EXPORT, WHAT_SHOW };

static int records_run(
    const struct ctl_cli *cli, struct ctl_journal_options *options, enum what what, uint64_t lsn)
{
    struct ipc_error error = {{0}};
    struct ipc_journal_reader *reader;
    struct listing listing = {.cli = cli, .options = options, .is_export = what == WHAT_EXPORT};
    bool is_show = what == WHAT_SHOW;
    if (is_show)
        options->from_lsn = 0;
    if (ctl_journal_reader_open(cli, options, options->shard, &reader, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    int result = CTL_FAILED;
    if (!listing_make(&listing))
        result = ctl_refuse("no memory");
    else
        result = is_show ? show_run(&listing, reader, lsn) : listing_run(&listing, reader);
    listing_free(&listing);
    ipc_journal_reader_close(reader);
    return result;
}

int ctl_journal_main(const struct ctl_cli *cli, int argc, char **argv)
{
    struct ctl_journal_options options;
    int result = ctl_journal_options_take("journal", argc, argv, &options);
    if (result != CTL_DONE)
        return result;
    if (options.help) {
        fputs(help_text, stdout);
        return CTL_DONE;
    }
    const char *what = options.word_count > 0 ? options.words[0] : "";
    if (strcmp(what, "verify") == 0 && options.word_count == 1)
        return ctl_verify_run(cli, &options);
    if (strcmp(what, "ls") == 0 && options.word_count == 1)
        return records_run(cli, &options, WHAT_LIST, 0);
    if (strcmp(what, "export") == 0 && options.word_count == 1)
        return records_run(cli, &options, WHAT_EXPORT, 0);
    uint64_t lsn;
    if (strcmp(what, "show") == 0 && options.word_count == 2 && number_take(options.words[1], &lsn))
        return records_run(cli, &options, WHAT_SHOW, lsn);
    return ctl_usage("journal", "ls, show LSN, export or verify is wanted");
}
