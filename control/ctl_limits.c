/* lockstepctl limits and flatten: which money limits have tripped, from the journal; and a
 * person's word that entries may go again, or that copied positions are closed, which reaches the
 * engine through its ring and becomes a fact. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/operator.h"
#include "ipc/decimal.h"
#include "ipc/event.h"
#include "ipc/fact.h"
#include "ipc/journal_reader.h"
#include "ipc/ring.h"

#define WAIT_S 5u
#define KINDS  8u

static const char help_text[] =
    "Usage: lockstepctl limits show [FOLLOWER] [--shard K] [--disk DIR]\n"
    "       lockstepctl limits resume FOLLOWER --by NAME\n"
    "       lockstepctl limits resume --master LOGIN --by NAME\n"
    "       lockstepctl limits resume --all --by NAME [--shard K]\n\n"
    "show tells which money limits have stopped entries, since when, and what lifts them. Limits "
    "of\n"
    "the day lift when the market's next session opens; trailing capital and equity stops wait for "
    "a\n"
    "person. resume lets entries go again: limits of the day are then not judged before the next\n"
    "session, trailing capital starts anew, and an equity stop that is still reached trips again:\n"
    "change its limit first. It returns when the engine has journaled it.\n\n"
    "  --by NAME   who decides; it is in the journal for good\n"
    "  --shard K   the shard (default: the follower's, else 0)\n"
    "  --disk DIR  where the disk files are, when the journal is no longer in memory\n";

static const char flatten_help[] =
    "Usage: lockstepctl flatten FOLLOWER --by NAME [--instrument SYMBOL]\n"
    "       lockstepctl flatten --master LOGIN --by NAME [--instrument SYMBOL]\n"
    "       lockstepctl flatten --all --by NAME [--instrument SYMBOL] [--shard K]\n\n"
    "Closes what was copied: of one follower, of all followers of a master, or of all of a shard.\n"
    "Working entries of these positions are cancelled, what they still fill is closed too. "
    "Positions\n"
    "that the owner holds by hand are not touched. It is an act and no switch: the next entry of "
    "the\n"
    "master is copied again (see switch and pause). Under halt it waits; a close that ends "
    "unfilled\n"
    "is tried again eight times, and an alarm says when it was given up.\n"
    "Returns when the engine has journaled it; the orders are seen with 'orders'.\n\n"
    "  --by NAME            who decides; it is in the journal for good\n"
    "  --instrument SYMBOL  of this instrument only (EXCHANGE:SYMBOL where it is not unique)\n"
    "  --shard K            with --all: the shard (default 0)\n";

struct options {
    const char *name, *by, *master, *disk, *instrument;
    uint32_t shard;
    bool has_shard, all;
};

/* What the journal says of one follower, or of one group. */
struct standing {
    uint32_t follower_no, account;
    struct ipc_fact_limit trips[KINDS]; /* by kind; act 0 = not tripped */
    int64_t wall_ns[KINDS];
    uint32_t session[KINDS]; /* session day when it tripped */
    int64_t base_equity_e8, base_unrealised_e8;
    uint32_t base_day;
};

struct table {
    struct standing *at;
    uint32_t count, room;
    uint32_t day, session_day;
};

static struct standing *standing_of(struct table *table, const struct ipc_fact_limit *fact)
{
    uint32_t account = fact->follower_no == 0 ? fact->account : 0;
    for (uint32_t i = 0; i < table->count; i++)
        if (table->at[i].follower_no == fact->follower_no &&
            (fact->follower_no != 0 || table->at[i].account == account))
            return &table->at[i];
    if (table->count == table->room) {
        table->room = table->room == 0 ? 64 : 2 * table->room;
        table->at = realloc(table->at, table->room * sizeof(*table->at));
        LS_CHECK(table->at != NULL);
    }
    struct standing *made = &table->at[table->count++];
    *made = (struct standing){.follower_no = fact->follower_no, .account = fact->account};
    return made;
}

static bool is_of_the_day(uint32_t kind)
{
    return kind == IPC_LIMIT_DAILY_LOSS || kind == IPC_LIMIT_DAILY_LOSS_FRACTION ||
           kind == IPC_LIMIT_DRAWDOWN || kind == IPC_LIMIT_DRAWDOWN_FRACTION;
}

/* Folds as the engine does. */
static void take(struct table *table, const struct ipc_fact_limit *fact, int64_t wall_ns)
{
    if (!ipc_limit_act_valid(fact->act) || fact->kind >= KINDS)
        return;
    struct standing *standing;
    switch ((enum ipc_limit_act)fact->act) {
    case IPC_LIMIT_ACT_DAY:
        table->day = fact->day;
        return;
    case IPC_LIMIT_ACT_SESSION:
        table->session_day = fact->day;
        return;
    case IPC_LIMIT_ACT_BASE:
        standing = standing_of(table, fact);
        standing->base_day = fact->day;
        standing->base_equity_e8 = fact->equity_e8;
        standing->base_unrealised_e8 = fact->unrealised_e8;
        return;
    case IPC_LIMIT_ACT_TRIP:
        standing = standing_of(table, fact);
        standing->trips[fact->kind] = *fact;
        standing->wall_ns[fact->kind] = wall_ns;
        standing->session[fact->kind] = table->session_day;
        return;
    case IPC_LIMIT_ACT_LIFT:
        memset(&standing_of(table, fact)->trips[fact->kind], 0, sizeof(*fact));
        return;
    case IPC_LIMIT_ACT_RESUME:
        standing = standing_of(table, fact);
        for (uint32_t kind = 0; kind < KINDS; kind++)
            if (kind != IPC_LIMIT_FIGURES)
                memset(&standing->trips[kind], 0, sizeof(*fact));
        return;
    case IPC_LIMIT_ACT_PEAK:
    case IPC_LIMIT_ACT_BREAKER:
    case IPC_LIMIT_ACT_FLATTEN:
        return;
    }
}

/* Reads what there is of the journal. */
static int journal_take(struct ipc_journal_reader *reader, struct table *table)
{
    for (;;) {
        struct ipc_journal_entry entry;
        struct ipc_fact_limit fact;
        switch (ipc_journal_reader_next(reader, &entry)) {
        case IPC_JOURNAL_FRAME:
            if (entry.frame->type == IPC_FACT_LIMIT && entry.frame->payload_bytes == sizeof(fact)) {
                memcpy(&fact, entry.payload, sizeof(fact));
                take(table, &fact, entry.frame->wall_ns);
            }
            break;
        case IPC_JOURNAL_HOLE:
            fprintf(stderr, "lockstepctl: %s\n", entry.error.text);
            break;
        case IPC_JOURNAL_END:
            return CTL_DONE;
        case IPC_JOURNAL_TORN:
        case IPC_JOURNAL_CORRUPT:
        case IPC_JOURNAL_GONE:
            return ctl_refuse("%s", entry.error.text);
        }
    }
}

/* --- show ---------------------------------------------------------------------------------------
 */

static void put_trip(const struct ctl_cli *cli, const struct standing *standing, uint32_t kind)
{
    const struct ipc_fact_limit *trip = &standing->trips[kind];
    char when[32], value[IPC_DECIMAL_BYTES], limit[IPC_DECIMAL_BYTES];
    const char *name = ipc_limit_kind_name((enum ipc_limit_kind)kind);
    ctl_format_wall(standing->wall_ns[kind], when, sizeof(when));
    ipc_decimal_format(trip->value_e8, value);
    ipc_decimal_format(trip->limit_e8, limit);
    if (cli->json) {
        printf("{\"follower\":%u,\"account\":%u,\"limit\":\"%s\",\"scope\":\"%s\",\"value\":%s,"
               "\"at\":%s,\"flatten\":%s,\"since\":\"%s\",\"lifts\":\"%s\"}\n",
            trip->follower_no, trip->account, name,
            ipc_limit_scope_name((enum ipc_limit_scope)trip->scope), value, limit,
            trip->flatten ? "true" : "false", when,
            is_of_the_day(kind)         ? "session"
            : kind == IPC_LIMIT_FIGURES ? "figures"
                                        : "person");
        return;
    }
    if (kind == IPC_LIMIT_FIGURES) {
        printf("  figures that its limits need are unknown or too old, since %s\n", when);
        return;
    }
    printf("  %s: %s against %s, since %s; %s%s\n", name, value, limit, when,
        is_of_the_day(kind) ? "lifts with the next session"
                            : "stays until a person resumes (limits resume)",
        trip->flatten ? "; its positions are closed" : "");
}

static void show_table(const struct ctl_cli *cli, const struct table *table, uint32_t follower_no)
{
    uint32_t shown = 0;
    if (!cli->json && table->day != 0)
        printf("market day %u, last session of %u\n", table->day, table->session_day);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct standing *standing = &table->at[i];
        bool is_named = false;
        if (follower_no != 0 && standing->follower_no != follower_no)
            continue;
        for (uint32_t kind = 1; kind < KINDS; kind++) {
            if (standing->trips[kind].act == 0 ||
                (is_of_the_day(kind) && standing->session[kind] != table->session_day))
                continue;
            if (!is_named && !cli->json) {
                if (standing->follower_no != 0)
                    printf("follower %u: entries stop\n", standing->follower_no);
                else
                    printf("group of master account %u: entries stop\n", standing->account);
            }
            is_named = true;
            shown++;
            put_trip(cli, standing, kind);
        }
        if (follower_no != 0 && !cli->json && standing->base_day != 0) {
            char equity[IPC_DECIMAL_BYTES], open[IPC_DECIMAL_BYTES];
            ipc_decimal_format(standing->base_equity_e8, equity);
            ipc_decimal_format(standing->base_unrealised_e8, open);
            printf(
                "  day %u began with equity %s, unrealised %s\n", standing->base_day, equity, open);
        }
    }
    if (shown == 0 && !cli->json)
        puts("no money limit has tripped");
}

static int show(const struct ctl_cli *cli, const struct options *options)
{
    struct ctl_live live;
    struct table table = {.at = NULL};
    struct ipc_error error;
    struct ipc_journal_reader *reader = NULL;
    int code = ctl_live_open(cli, &live);
    uint32_t follower_no = 0, shard = options->shard;
    if (code == CTL_DONE && options->name != NULL) {
        int64_t slot = ctl_find_slot(&live.view, options->name);
        if (slot < 0)
            code = ctl_refuse("there is no follower %s in the live snapshot", options->name);
        else
            follower_no = live.view.followers[slot].follower_no;
        if (slot >= 0 && !options->has_shard)
            shard = live.view.followers[slot].shard;
    }
    struct ipc_journal_reader_options reading = {
        .memory_directory = live.shm.path, .disk_directory = options->disk, .shard = shard};
    if (code == CTL_DONE && ipc_journal_reader_open(&reading, &reader, &error) != IPC_OK)
        code = ctl_refuse("%s", error.text);
    if (code == CTL_DONE)
        code = journal_take(reader, &table);
    if (code == CTL_DONE)
        show_table(cli, &table, follower_no);
    if (reader != NULL)
        ipc_journal_reader_close(reader);
    free(table.at);
    ctl_live_close(&live);
    return code;
}

/* --- a person's act -----------------------------------------------------------------------------
 */

struct act {
    struct ipc_event event;
    uint32_t shard;
};

static int act_make(const struct ipc_snapshot_view *view, const struct options *options,
    enum ipc_operator_act what, struct act *act)
{
    *act = (struct act){.shard = options->shard};
    ctl_operator_act(&act->event, what, options->by);
    if (options->instrument != NULL) {
        act->event.instrument = ctl_find_instrument(view, options->instrument);
        if (act->event.instrument == 0)
            return ctl_refuse("there is no instrument '%s' in the live snapshot, or more than one",
                options->instrument);
    }
    if (options->all) {
        act->event.reserved = what == IPC_OPERATOR_FLATTEN ? (uint32_t)IPC_OPERATOR_FLATTEN_ALL
                                                           : (uint32_t)IPC_OPERATOR_RESUME_ALL;
        act->event.account = 1; /* every event names one; this act is about none */
        return CTL_DONE;
    }
    if (options->master != NULL) {
        act->event.account = ctl_find_account(view, options->master);
        for (uint32_t i = 0; i < view->master_count && !options->has_shard; i++)
            if (view->masters[i].account == act->event.account)
                act->shard = view->masters[i].shard;
        return act->event.account != 0
                   ? CTL_DONE
                   : ctl_refuse("there is no account '%s' in the live snapshot", options->master);
    }
    int64_t slot = ctl_find_slot(view, options->name);
    if (slot < 0)
        return ctl_refuse("there is no follower %s in the live snapshot", options->name);
    act->event.book_order_count = view->followers[slot].follower_no;
    act->event.account = view->followers[slot].account;
    act->shard = view->followers[slot].shard;
    return CTL_DONE;
}

static int is_answer(const struct ipc_journal_entry *entry, void *context)
{
    const struct act *act = context;
    struct ipc_fact_limit fact;
    if (entry->frame->type != IPC_FACT_LIMIT || entry->frame->payload_bytes != sizeof(fact))
        return -1;
    memcpy(&fact, entry->payload, sizeof(fact));
    enum ipc_limit_act wanted = IPC_LIMIT_ACT_RESUME;
    if (act->event.reserved == IPC_OPERATOR_FLATTEN ||
        act->event.reserved == IPC_OPERATOR_FLATTEN_ALL)
        wanted = IPC_LIMIT_ACT_FLATTEN;
    if (fact.act != wanted || fact.follower_no != act->event.book_order_count ||
        (fact.follower_no == 0 && fact.account != act->event.account) ||
        strncmp(fact.by, act->event.broker_order_id, sizeof(fact.by)) != 0)
        return -1;
    printf("done, at lsn %" PRIu64 "\n", entry->frame->lsn);
    return CTL_DONE;
}

static int run_act(
    const struct ctl_cli *cli, const struct options *options, enum ipc_operator_act what)
{
    struct ctl_live live;
    struct act act;
    struct ipc_journal_reader *reader = NULL;
    int code = ctl_live_open(cli, &live);
    if (code == CTL_DONE)
        code = act_make(&live.view, options, what, &act);
    if (code == CTL_DONE)
        code = ctl_operator_begin(&live, act.shard, &reader);
    if (code == CTL_DONE)
        code = ctl_operator_send(&live, act.shard, &act.event);
    if (code == CTL_DONE)
        code = ctl_operator_wait(reader, WAIT_S, is_answer, &act);
    if (code == CTL_TIMEOUT)
        ctl_refuse("the engine has not journaled it within %u s: it lies in the ring lockstepctl "
                   "and counts when an engine runs; look with 'limits show'",
            WAIT_S);
    if (reader != NULL)
        ipc_journal_reader_close(reader);
    ctl_live_close(&live);
    return code;
}

/* --- arguments ----------------------------------------------------------------------------------
 */

/* `first` is the index of the first argument. */
static int parse(const char *verb, int first, int argc, char **argv, struct options *options)
{
    *options = (struct options){.name = NULL};
    for (int i = first; i < argc; i++) {
        const char **target = strcmp(argv[i], "--by") == 0           ? &options->by
                              : strcmp(argv[i], "--master") == 0     ? &options->master
                              : strcmp(argv[i], "--disk") == 0       ? &options->disk
                              : strcmp(argv[i], "--instrument") == 0 ? &options->instrument
                                                                     : NULL;
        if (strcmp(argv[i], "--all") == 0) {
            options->all = true;
        } else if (strcmp(argv[i], "--shard") == 0 && i + 1 < argc) {
            char *end;
            unsigned long shard = strtoul(argv[++i], &end, 10);
            if (*end != '\0' || shard >= IPC_RING_SHARDS_MAX)
                return ctl_usage(verb, "'%s' is no shard", argv[i]);
            options->shard = (uint32_t)shard;
            options->has_shard = true;
        } else if (target != NULL) {
            if (i + 1 == argc)
                return ctl_usage(verb, "%s needs a value", argv[i]);
            *target = argv[++i];
        } else if (options->name == NULL && argv[i][0] != '-') {
            options->name = argv[i];
        } else {
            return ctl_usage(verb, "'%s' is one too many", argv[i]);
        }
    }
    return CTL_DONE;
}

static int check_act(const char *verb, const struct options *options)
{
    if ((options->name != NULL) + (options->master != NULL) + options->all != 1)
        return ctl_usage(verb, "say whose: a FOLLOWER, --master LOGIN or --all");
    if (options->by == NULL || !ctl_operator_by_is_sound(options->by, IPC_LIMIT_BY_BYTES - 1))
        return ctl_usage(verb, "say who decides: --by NAME, up to %u characters without blanks",
            IPC_LIMIT_BY_BYTES - 1);
    return CTL_DONE;
}

int ctl_limits_main(const struct ctl_cli *cli, int argc, char **argv)
{
    struct options options;
    if (argc < 2)
        return ctl_usage("limits", "say show or resume");
    if (strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return CTL_DONE;
    }
    int code = parse("limits", 2, argc, argv, &options);
    if (code != CTL_DONE)
        return code;
    if (strcmp(argv[1], "show") == 0) {
        if (options.by != NULL || options.master != NULL || options.all ||
            options.instrument != NULL)
            return ctl_usage("limits", "show takes a FOLLOWER, --shard and --disk");
        return show(cli, &options);
    }
    if (strcmp(argv[1], "resume") != 0)
        return ctl_usage("limits", "there is no '%s'", argv[1]);
    code = check_act("limits", &options);
    if (code == CTL_DONE && options.instrument != NULL)
        code = ctl_usage("limits", "limits are a follower's, not an instrument's");
    return code != CTL_DONE ? code : run_act(cli, &options, IPC_OPERATOR_RESUME);
}

int ctl_flatten_main(const struct ctl_cli *cli, int argc, char **argv)
{
    struct options options;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(flatten_help, stdout);
        return CTL_DONE;
    }
    int code = parse("flatten", 1, argc, argv, &options);
    if (code == CTL_DONE && options.disk != NULL)
        code = ctl_usage("flatten", "there is no --disk");
    if (code == CTL_DONE)
        code = check_act("flatten", &options);
    return code != CTL_DONE ? code : run_act(cli, &options, IPC_OPERATOR_FLATTEN);
}
