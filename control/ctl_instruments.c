/* lockstepctl instruments: brokers' contract files and the exchange's freeze lists become the
 * instrument table of the next generation. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/cli.h"
#include "control/ctl_common.h"
#include "control/instruments_merge.h"
#include "control/publishing.h"
#include "ipc/clock.h"
#include "ipc/decimal.h"

#define SOURCES_MAX     64u
#define COMPLAINTS_MAX  10u
#define SHOWN_MAX       40u
#define MARKET_ZONE_NS  (INT64_C(19800) * LS_NS_PER_S) /* IST, UTC + 5:30, without summer time */
#define DEFAULT_DIALECT "alice-blue"

/* ---- the request ----------------------------------------------------------------------------- */

/* Files that follow one --broker, or none. */
struct source {
    const char *broker; /* NULL = of every broker */
    const char **files;
    uint32_t file_count;
};

struct request {
    struct source sources[SOURCES_MAX];
    uint32_t source_count;
    const char **names; /* all FILE arguments, in order; sources point into it */
    uint32_t name_count;
    const char *freezes[CTL_CONTRACT_FILES], *levels[CTL_CONTRACT_FILES];
    uint32_t freeze_count, level_count;
    const char *dialect; /* of `check` */
    bool dry_run, skip_bad, override;
    uint32_t today_yyyymmdd;
};

static uint32_t market_day(void)
{
    const time_t seconds = (time_t)((ipc_clock_wall_ns() + MARKET_ZONE_NS) / LS_NS_PER_S);
    struct tm day;
    gmtime_r(&seconds, &day);
    return (uint32_t)((day.tm_year + 1900) * 10000 + (day.tm_mon + 1) * 100 + day.tm_mday);
}

static int add_value(const char **values, uint32_t *count, const char *value)
{
    if (*count == CTL_CONTRACT_FILES)
        return ctl_usage("instruments", "too many files");
    values[(*count)++] = value;
    return CTL_DONE;
}

static int add_file(struct request *request, const char *path)
{
    if (request->source_count == 0)
        request->sources[request->source_count++] =
            (struct source){.files = &request->names[request->name_count]};
    request->names[request->name_count++] = path;
    request->sources[request->source_count - 1].file_count++;
    return CTL_DONE;
}

static int add_broker(struct request *request, const char *name)
{
    if (request->source_count == SOURCES_MAX)
        return ctl_usage("instruments", "too many brokers");
    request->sources[request->source_count++] =
        (struct source){.broker = name, .files = &request->names[request->name_count]};
    return CTL_DONE;
}

static int parse(struct request *request, int argc, char **argv)
{
    request->dialect = DEFAULT_DIALECT;
    request->today_yyyymmdd = market_day();
    for (int i = 2; i < argc; i++) {
        const char *option = argv[i];
        const bool valued = strcmp(option, "--broker") == 0 || strcmp(option, "--freeze") == 0 ||
                            strcmp(option, "--level") == 0 || strcmp(option, "--dialect") == 0;
        int code = CTL_DONE;
        if (valued && i + 1 == argc)
            return ctl_usage("instruments", "%s needs a value", option);
        if (strcmp(option, "--broker") == 0)
            code = add_broker(request, argv[++i]);
        else if (strcmp(option, "--freeze") == 0)
            code = add_value(request->freezes, &request->freeze_count, argv[++i]);
        else if (strcmp(option, "--level") == 0)
            code = add_value(request->levels, &request->level_count, argv[++i]);
        else if (strcmp(option, "--dialect") == 0)
            request->dialect = argv[++i];
        else if (strcmp(option, "--dry-run") == 0)
            request->dry_run = true;
        else if (strcmp(option, "--skip-bad") == 0)
            request->skip_bad = true;
        else if (strcmp(option, "--override") == 0)
            request->override = true;
        else if (option[0] == '-')
            return ctl_usage("instruments", "there is no option '%s'", option);
        else
            code = add_file(request, option);
        if (code != CTL_DONE)
            return code;
    }
    for (uint32_t i = 0; i < request->source_count; i++)
        if (request->sources[i].file_count == 0)
            return ctl_usage(
                "instruments", "--broker %s has no FILE behind it", request->sources[i].broker);
    return request->name_count > 0 ? CTL_DONE
                                   : ctl_usage("instruments", "%s needs a FILE", argv[1]);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct telling {
    bool progress; /* stderr is a terminal */
    uint32_t bad, told;
};

static void note(
    const struct ctl_contract_file *file, uint32_t line, const char *problem, void *context)
{
    struct telling *telling = context;
    if (problem == NULL) {
        if (telling->progress)
            fprintf(stderr, "\r\033[K%s: line %u", file->path, line);
        return;
    }
    telling->bad++;
    if (telling->told++ < COMPLAINTS_MAX)
        fprintf(stderr, "%s%s:%u: %s\n", telling->progress ? "\r\033[K" : "", file->path, line,
            problem);
}

static enum ipc_rc read_set(struct ctl_contract_set *set, const struct adp_contract_format *format,
    const struct source *source, struct telling *telling, struct ipc_error *error)
{
    enum ipc_rc rc = IPC_OK;
    for (uint32_t i = 0; i < source->file_count && rc == IPC_OK; i++)
        rc = ctl_contract_set_read(set, format, source->files[i], note, telling, error);
    if (telling->progress)
        fputs("\r\033[K", stderr);
    return rc;
}

static void tell_rest(const struct telling *telling)
{
    if (telling->bad > COMPLAINTS_MAX)
        fprintf(stderr, "and %u more bad lines\n", telling->bad - COMPLAINTS_MAX);
}

/* ---- the next generation --------------------------------------------------------------------- */

/* An image like the one in force, but for two tables. */
static enum ipc_rc make_image(struct ctl_publishing *p, const struct ctl_merge *merge)
{
    struct ipc_snapshot_shape shape = p->live.shape;
    shape.rows[IPC_TABLE_INSTRUMENTS] = merge->instruments.count;
    shape.rows[IPC_TABLE_CONTRACTS] = merge->contracts.count;
    const uint64_t bytes = ipc_snapshot_footprint(&shape);
    p->image_memory = bytes > 0 ? aligned_alloc(4096, bytes) : NULL;
    if (p->image_memory == NULL) {
        ipc_error_set(&p->error, "the snapshot does not fit: %" PRIu64 " bytes are needed", bytes);
        return IPC_SYSTEM;
    }
    memset(p->image_memory, 0, bytes);
    ipc_snapshot_image_init(&p->image, p->image_memory, &shape);
    p->image.shape = shape;
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++) {
        const void *from = t == IPC_TABLE_INSTRUMENTS ? merge->instruments.at
                           : t == IPC_TABLE_CONTRACTS ? merge->contracts.at
                                                      : p->live.rows[t];
        if (shape.rows[t] > 0)
            memcpy(p->image.rows[t], from,
                (size_t)shape.rows[t] *
                    ipc_table_row_bytes((enum ipc_table)t, shape.token_row_bytes));
    }
    return IPC_OK;
}

/* ---- report ---------------------------------------------------------------------------------- */

static const char *const field_names[] = {"lot", "tick", "freeze"};

static const char *broker_name(const struct ipc_snapshot_view *view, int broker)
{
    return broker >= 0 && (uint32_t)broker < view->broker_count ? view->brokers[broker].name : "";
}

static void report_text(const struct request *request, const struct ctl_merge *merge,
    const struct ipc_snapshot_view *view, uint32_t bad, int64_t spent_ns)
{
    const struct ctl_merge_counts *n = &merge->counts;
    const struct ctl_change *changes = merge->changes.at;
    for (uint32_t i = 0; i < merge->changes.count; i++) {
        char before[IPC_DECIMAL_BYTES], after[IPC_DECIMAL_BYTES];
        ipc_decimal_format(changes[i].old_e8, before);
        ipc_decimal_format(changes[i].new_e8, after);
        printf("%s %s: %s %s -> %s (%u contract%s%s%s)\n",
            ipc_exchange_name((enum ipc_exchange)changes[i].exchange), changes[i].underlying,
            field_names[changes[i].field], before, after, changes[i].contracts,
            changes[i].contracts == 1 ? "" : "s", changes[i].broker >= 0 ? " at " : "",
            broker_name(view, changes[i].broker));
    }
    printf("%u instruments (%u new, %u back, %u expired, %u vanished before their expiry)\n",
        merge->instruments.count, n->added, n->returned, n->expired, n->vanished);
    if (n->tokens_changed + n->symbols_changed > 0)
        printf("%u tokens and %u trading symbols changed\n", n->tokens_changed, n->symbols_changed);
    if (n->contract_rows > 0)
        printf("%u contracts per broker; %u instruments have another lot or tick at one broker: "
               "entries between such brokers are refused, INSTRUMENT_MISMATCH\n",
            n->contract_rows, n->differing);
    if (n->without_freeze > 0)
        printf("%u derivatives have no freeze quantity: their orders are not sliced (--freeze "
               "FILE)\n",
            n->without_freeze);
    if (n->in_file_expired > 0)
        printf("%u contracts of the files have expired: are these today's files?\n",
            n->in_file_expired);
    if (bad > 0)
        printf("%u bad lines were left out\n", bad);
    printf("%s in %.3f s\n",
        request->dry_run ? "dry run, nothing published: read and checked" : "read and checked",
        (double)spent_ns / 1e9);
}

static void report_json(const struct request *request, const struct ctl_merge *merge,
    const struct ipc_snapshot_view *view, uint32_t bad, int64_t spent_ns)
{
    const struct ctl_merge_counts *n = &merge->counts;
    const struct ctl_change *changes = merge->changes.at;
    printf("{\"dry_run\":%s,\"instruments\":%u,\"new\":%u,\"returned\":%u,\"expired\":%u,"
           "\"vanished\":%u,\"tokens_changed\":%u,\"symbols_changed\":%u,\"contract_rows\":%u,"
           "\"differing\":%u,\"without_freeze\":%u,\"in_file_expired\":%u,\"bad\":%u,"
           "\"milliseconds\":%lld,\"changes\":[",
        request->dry_run ? "true" : "false", merge->instruments.count, n->added, n->returned,
        n->expired, n->vanished, n->tokens_changed, n->symbols_changed, n->contract_rows,
        n->differing, n->without_freeze, n->in_file_expired, bad,
        (long long)(spent_ns / LS_NS_PER_MS));
    for (uint32_t i = 0; i < merge->changes.count; i++) {
        char before[IPC_DECIMAL_BYTES], after[IPC_DECIMAL_BYTES];
        char underlying[64], broker[2 * IPC_NAME_BYTES];
        ipc_decimal_format(changes[i].old_e8, before);
        ipc_decimal_format(changes[i].new_e8, after);
        ctl_json_escape(changes[i].underlying, underlying, sizeof(underlying));
        ctl_json_escape(broker_name(view, changes[i].broker), broker, sizeof(broker));
        printf("%s{\"exchange\":\"%s\",\"underlying\":\"%s\",\"broker\":\"%s\",\"field\":\"%s\","
               "\"old\":%s,\"new\":%s,\"contracts\":%u,\"instrument\":%u}",
            i > 0 ? "," : "", ipc_exchange_name((enum ipc_exchange)changes[i].exchange), underlying,
            broker, field_names[changes[i].field], before, after, changes[i].contracts,
            changes[i].example);
    }
    puts("]}");
}

/* ---- import ---------------------------------------------------------------------------------- */

/* Whose files a source has, and how they are written. */
static int source_broker(const struct ipc_snapshot_view *view, const struct source *source,
    int *broker, const struct adp_contract_format **format)
{
    const char *dialect = NULL;
    *broker = source->broker == NULL ? CTL_EVERY_BROKER : ctl_find_broker(view, source->broker);
    if (source->broker != NULL && *broker < 0)
        return ctl_refuse("there is no broker '%s' in the live snapshot", source->broker);
    for (uint32_t i = 0; i < view->broker_count; i++) {
        if (!view->brokers[i].live || (*broker >= 0 && i != (uint32_t)*broker))
            continue;
        if (dialect != NULL && strcmp(dialect, view->brokers[i].dialect) != 0)
            return ctl_refuse("brokers of several kinds are live: say whose files these are with "
                              "--broker NAME before them");
        dialect = view->brokers[i].dialect;
    }
    *format = dialect == NULL ? NULL : adp_contract_format_find(dialect);
    if (*format == NULL)
        return ctl_refuse("contract files of dialect '%s' cannot be read by this build",
            dialect == NULL ? "(none)" : dialect);
    return CTL_DONE;
}

static int merge_source(const struct request *request, const struct source *source,
    const struct ipc_snapshot_view *view, struct ctl_merge *merge, struct telling *telling)
{
    const struct adp_contract_format *format;
    struct ctl_contract_set set;
    struct ipc_error error;
    int broker, code = source_broker(view, source, &broker, &format);
    if (code != CTL_DONE)
        return code;
    ctl_contract_set_init(&set);
    if (read_set(&set, format, source, telling, &error) != IPC_OK)
        code = ctl_refuse("nothing was imported: %s", error.text);
    else if (telling->bad > 0 && !request->skip_bad) {
        tell_rest(telling);
        code = ctl_refuse(
            "nothing was imported: %u bad lines; --skip-bad leaves them out", telling->bad);
    } else if (ctl_merge_add(merge, broker, &set, &error) != IPC_OK)
        code = ctl_refuse("nothing was imported: %s", error.text);
    ctl_contract_set_free(&set);
    return code;
}

static int read_freezes(const struct request *request, struct ctl_freeze *freeze)
{
    struct ipc_error error;
    for (uint32_t i = 0; i < request->freeze_count; i++)
        if (ctl_freeze_read(freeze, request->freezes[i], &error) != IPC_OK)
            return ctl_refuse("nothing was imported: %s", error.text);
    for (uint32_t i = 0; i < request->level_count; i++)
        if (ctl_freeze_level(freeze, request->levels[i], &error) != IPC_OK)
            return ctl_refuse("nothing was imported: %s", error.text);
    return CTL_DONE;
}

static int import(const struct ctl_cli *cli, const struct request *request)
{
    const int64_t started_ns = ipc_clock_mono_ns();
    struct ctl_publishing p;
    struct ctl_freeze freeze;
    struct ctl_merge merge;
    struct telling telling = {.progress = isatty(STDERR_FILENO) != 0};
    if (ctl_publishing_open(cli, false, &p) != IPC_OK || p.live_memory == NULL) {
        const int code = p.live_memory == NULL && p.writer != NULL
                             ? ctl_refuse("instance %s has no snapshot yet: lockstepctl snapshot "
                                          "publish FILE, then import",
                                   cli->instance)
                             : ctl_refuse("nothing was imported: %s", p.error.text);
        ctl_publishing_close(&p);
        return code;
    }
    struct ipc_snapshot_view view;
    ipc_snapshot_view_of(&p.live, &view);
    ctl_freeze_init(&freeze);
    ctl_merge_init(&merge, &view, &freeze, request->today_yyyymmdd, request->override);
    int code = read_freezes(request, &freeze);
    for (uint32_t i = 0; i < request->source_count && code == CTL_DONE; i++)
        code = merge_source(request, &request->sources[i], &view, &merge, &telling);
    if (code == CTL_DONE) {
        ctl_merge_finish(&merge);
        tell_rest(&telling);
        if (make_image(&p, &merge) != IPC_OK || ctl_publishing_check(&p, false) != IPC_OK)
            code = ctl_refuse("nothing was imported: %s", p.error.text);
    }
    if (code == CTL_DONE) {
        const int64_t spent_ns = ipc_clock_mono_ns() - started_ns;
        (cli->json ? report_json : report_text)(request, &merge, &view, telling.bad, spent_ns);
        if (!request->dry_run)
            code = ctl_publishing_publish(cli, &p, false);
    }
    ctl_merge_free(&merge);
    ctl_freeze_free(&freeze);
    ctl_publishing_close(&p);
    return code;
}

/* ---- check ----------------------------------------------------------------------------------- */

static int check(const struct ctl_cli *cli, const struct request *request)
{
    const struct adp_contract_format *format = adp_contract_format_find(request->dialect);
    if (format == NULL)
        return ctl_refuse(
            "contract files of dialect '%s' cannot be read by this build", request->dialect);
    struct ctl_freeze freeze;
    ctl_freeze_init(&freeze);
    int code = read_freezes(request, &freeze);
    struct telling telling = {.progress = isatty(STDERR_FILENO) != 0};
    for (uint32_t s = 0; s < request->source_count && code == CTL_DONE; s++) {
        struct ctl_contract_set set;
        struct ipc_error error;
        ctl_contract_set_init(&set);
        if (read_set(&set, format, &request->sources[s], &telling, &error) != IPC_OK)
            code = ctl_refuse("%s", error.text);
        for (uint32_t i = 0; i < set.file_count && code == CTL_DONE; i++) {
            const struct ctl_contract_file *file = &set.files[i];
            char path[1024];
            ctl_json_escape(file->path, path, sizeof(path));
            printf(cli->json ? "{\"file\":\"%s\",\"contracts\":%u,\"repeated\":%u,\"bad\":%u}\n"
                             : "%s: %u contracts, %u repeated, %u bad\n",
                cli->json ? path : file->path, file->rows, file->repeated, file->bad);
        }
        ctl_contract_set_free(&set);
    }
    ctl_freeze_free(&freeze);
    tell_rest(&telling);
    return code != CTL_DONE ? code : telling.bad > 0 ? CTL_FAILED : CTL_DONE;
}

/* ---- show ------------------------------------------------------------------------------------ */

static void show_row(const struct ctl_cli *cli, const struct ipc_snapshot_view *view,
    const struct ipc_row_instrument *row)
{
    char lot[IPC_DECIMAL_BYTES], tick[IPC_DECIMAL_BYTES], freeze[IPC_DECIMAL_BYTES];
    char strike[IPC_DECIMAL_BYTES], symbol[80], underlying[64];
    ipc_decimal_format(row->lot_qty_e8, lot);
    ipc_decimal_format(row->tick_e8, tick);
    ipc_decimal_format(row->freeze_qty_e8, freeze);
    ipc_decimal_format(row->strike_e8, strike);
    ctl_json_escape(row->symbol, symbol, sizeof(symbol));
    ctl_json_escape(row->underlying, underlying, sizeof(underlying));
    const char right[3] = {(char)row->right, row->right != 0 ? 'E' : '\0', '\0'};
    const bool gone = (row->flags & IPC_INSTRUMENT_GONE) != 0;
    printf(cli->json
               ? "{\"instrument\":%u,\"exchange\":\"%s\",\"symbol\":\"%s\",\"kind\":\"%s\","
                 "\"token\":\"%s\",\"underlying\":\"%s\",\"expiry\":%u,\"strike\":%s,\"right\":"
                 "\"%s\",\"lot\":%s,\"tick\":%s,\"freeze\":%s,\"gone\":%s,\"brokers\":["
               : "#%u %s:%s %s token %s underlying %s expiry %u strike %s%s lot %s tick %s "
                 "freeze %s%s\n",
        row->instrument, ipc_exchange_name((enum ipc_exchange)row->exchange),
        cli->json ? symbol : row->symbol,
        ipc_instrument_kind_name((enum ipc_instrument_kind)row->kind), row->token,
        cli->json ? underlying : row->underlying, row->expiry_yyyymmdd, strike, right, lot, tick,
        freeze,
        cli->json ? (gone ? "true" : "false")
        : gone    ? " GONE"
                  : "");
    bool first = true;
    for (uint32_t i = 0; i < view->contract_count; i++) {
        const struct ipc_row_contract *own = &view->contracts[i];
        if (own->instrument != row->instrument)
            continue;
        ipc_decimal_format(own->lot_qty_e8, lot);
        ipc_decimal_format(own->tick_e8, tick);
        ipc_decimal_format(own->freeze_qty_e8, freeze);
        printf(cli->json ? "%s{\"broker\":\"%s\",\"symbol\":\"%s\",\"token\":\"%s\",\"lot\":%s,"
                           "\"tick\":%s,\"freeze\":%s,\"identity\":\"%016" PRIx64 "\",\"gone\":%s}"
                         : "%s   at %s: %s token %s lot %s tick %s freeze %s identity %016" PRIx64
                           "%s\n",
            cli->json && !first ? "," : "", view->brokers[own->broker].name, own->symbol,
            own->token, lot, tick, freeze, own->identity,
            cli->json ? (own->flags & IPC_CONTRACT_GONE ? "true" : "false")
                      : (own->flags & IPC_CONTRACT_GONE ? " GONE" : ""));
        first = false;
    }
    if (cli->json)
        puts("]}");
}

static bool is_named(const struct ipc_row_instrument *row, const char *name)
{
    char full[64];
    snprintf(full, sizeof(full), "%s:%s", ipc_exchange_name((enum ipc_exchange)row->exchange),
        row->symbol);
    return strcmp(row->symbol, name) == 0 || strcmp(full, name) == 0 ||
           strcmp(row->underlying, name) == 0;
}

static void show_summary(const struct ctl_cli *cli, const struct ipc_snapshot_view *view)
{
    uint32_t counts[16][5] = {{0}}, gone[16] = {0};
    for (uint32_t i = 0; i < view->instrument_count; i++) {
        const struct ipc_row_instrument *row = &view->instruments[i];
        if (row->instrument == 0)
            continue;
        counts[row->exchange % 16][row->kind % 5]++;
        gone[row->exchange % 16] += (row->flags & IPC_INSTRUMENT_GONE) != 0;
    }
    for (uint32_t e = 1; e < 16; e++) {
        const uint32_t *n = counts[e];
        if (n[IPC_KIND_CASH] + n[IPC_KIND_FUTURE] + n[IPC_KIND_OPTION] + n[IPC_KIND_INDEX] == 0)
            continue;
        printf(cli->json ? "{\"exchange\":\"%s\",\"cash\":%u,\"futures\":%u,\"options\":%u,"
                           "\"indices\":%u,\"gone\":%u}\n"
                         : "%s: %u cash, %u futures, %u options, %u indices; %u of them gone\n",
            ipc_exchange_name((enum ipc_exchange)e), n[IPC_KIND_CASH], n[IPC_KIND_FUTURE],
            n[IPC_KIND_OPTION], n[IPC_KIND_INDEX], gone[e]);
    }
    if (!cli->json)
        printf("%u instruments, %u contracts per broker\n", view->instrument_count,
            view->contract_count);
}

static int show(const struct ctl_cli *cli, const char *name)
{
    struct ctl_live live;
    int code = ctl_live_open(cli, &live);
    if (code == CTL_DONE && name == NULL)
        show_summary(cli, &live.view);
    if (code == CTL_DONE && name != NULL) {
        char *end;
        const unsigned long id = strtoul(name, &end, 10);
        uint32_t found = 0;
        for (uint32_t i = 0; i < live.view.instrument_count; i++) {
            const struct ipc_row_instrument *row = &live.view.instruments[i];
            const bool by_id = *end == '\0' && row->instrument == id;
            if (row->instrument == 0 || (!by_id && !is_named(row, name)))
                continue;
            if (found++ < SHOWN_MAX)
                show_row(cli, &live.view, row);
        }
        if (found > SHOWN_MAX && !cli->json)
            printf("and %u more\n", found - SHOWN_MAX);
        if (found == 0)
            code = ctl_refuse("there is no instrument '%s' in the live snapshot", name);
    }
    ctl_live_close(&live);
    return code;
}

/* ---- verb ------------------------------------------------------------------------------------ */

int ctl_instruments_main(const struct ctl_cli *cli, int argc, char **argv)
{
    static const char help[] =
        "Usage: lockstepctl instruments import [--broker NAME] FILE... [--freeze FILE]...\n"
        "       lockstepctl instruments check FILE... [--freeze FILE]...\n"
        "       lockstepctl instruments show [SYMBOL|UNDERLYING|ID]\n\n"
        "import reads a broker's contract masters (one file per exchange, CSV) and publishes a\n"
        "generation with the instrument table changed and the rest kept. Known contracts keep\n"
        "their ids; what the files no longer have of an exchange that they cover is marked; a\n"
        "changed lot, tick or freeze quantity is reported. One bad line refuses the whole import.\n"
        "check only reads.\n\n"
        "  --broker NAME    the FILEs behind it are this broker's; without, they speak for all\n"
        "  --freeze FILE    the exchange's freeze list (NSE's qtyfreeze.csv), or its bands per\n"
        "                   index level; BFO:FILE when it is not NFO's\n"
        "  --level I=LEVEL  level of an index, for the bands: NIFTY=24615.5\n"
        "  --dry-run        report, publish nothing\n"
        "  --skip-bad       leave bad lines out, and count them\n"
        "  --override       more than half of an exchange may vanish: a person has looked at it\n"
        "  --dialect NAME   check: whose format it is (alice-blue)\n";
    if (argc < 2)
        return ctl_usage("instruments", "say import, check or show");
    if (strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return CTL_DONE;
    }
    if (strcmp(argv[1], "show") == 0)
        return argc > 3 ? ctl_usage("instruments", "show takes one name")
                        : show(cli, argc == 3 ? argv[2] : NULL);
    if (strcmp(argv[1], "import") != 0 && strcmp(argv[1], "check") != 0)
        return ctl_usage("instruments", "there is no '%s'", argv[1]);
    struct request request = {.names = calloc((size_t)argc, sizeof(char *))};
    LS_CHECK(request.names != NULL);
    int code = parse(&request, argc, argv);
    if (code == CTL_DONE)
        code = strcmp(argv[1], "import") == 0 ? import(cli, &request) : check(cli, &request);
    free(request.names);
    return code;
}
