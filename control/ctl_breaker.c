/* lockstepctl breaker: which breakers of the pre-trade controls have tripped, from the journal; and
 * a named person's word that openings may go again, which the engine journals as a fact. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/operator.h"
#include "ipc/fact.h"
#include "ipc/ring.h"

#define WAIT_S 5u

static const char help_text[] =
    "Usage: lockstepctl breaker list [--shard K] [--disk DIR]\n"
    "       lockstepctl breaker reset FOLLOWER --by NAME\n"
    "       lockstepctl breaker reset --account LOGIN --by NAME\n"
    "       lockstepctl breaker reset --broker NAME --by NAME [--shard K]\n"
    "       lockstepctl breaker reset --clock --by NAME [--shard K]\n\n"
    "A breaker stops openings of its scope: orders refused in a row or outcomes that nobody knows, "
    "of\n"
    "an account or a broker; one follower's executions repeated in one instrument; a step of the "
    "wall\n"
    "clock, of the whole engine. Exits and cancels go on. It holds through every restart until a "
    "named\n"
    "person resets it; what was counted starts at nothing then. reset FOLLOWER also closes the "
    "circuit\n"
    "that consecutive_failures of its subscription opened. Look at the cause first: it trips "
    "again.\n"
    "reset returns when the engine has journaled it.\n\n"
    "  --by NAME   who decides, without blanks; it is in the journal for good\n"
    "  --shard K   the shard (default: the follower's or account's, else 0)\n"
    "  --disk DIR  where the disk files are, when the journal is no longer in memory\n";

struct options {
    const char *follower, *account, *broker, *by, *disk;
    uint32_t shard;
    bool has_shard, clock;
};

/* --- list ---------------------------------------------------------------------------------------
 */

struct trip {
    struct ipc_fact_guard fact;
    int64_t wall_ns;
};

struct table {
    struct trip *at;
    size_t count, room;
};

static bool same_scope(const struct ipc_fact_guard *a, const struct ipc_fact_guard *b)
{
    return a->scope == b->scope && a->broker == b->broker && a->follower_no == b->follower_no &&
           (a->scope == IPC_GUARD_SCOPE_FOLLOWER || a->account == b->account);
}

/* Folds as the engine does. */
static void take(struct table *table, const struct ipc_fact_guard *fact, int64_t wall_ns)
{
    size_t kept = 0;
    if (fact->act == IPC_GUARD_ACT_ALARM)
        return;
    for (size_t i = 0; i < table->count; i++) {
        const struct ipc_fact_guard *old = &table->at[i].fact;
        bool goes = same_scope(old, fact) && (fact->kind == 0 || fact->kind == old->kind);
        if (!goes)
            table->at[kept++] = table->at[i];
    }
    table->count = kept;
    if (fact->act != IPC_GUARD_ACT_TRIP)
        return;
    if (table->count == table->room) {
        table->room = table->room == 0 ? 64 : 2 * table->room;
        table->at = realloc(table->at, table->room * sizeof(*table->at));
        LS_CHECK(table->at != NULL);
    }
    table->at[table->count++] = (struct trip){*fact, wall_ns};
}

static int journal_take(struct ipc_journal_reader *reader, struct table *table)
{
    for (;;) {
        struct ipc_journal_entry entry;
        struct ipc_fact_guard fact;
        switch (ipc_journal_reader_next(reader, &entry)) {
        case IPC_JOURNAL_FRAME:
            if (entry.frame->type == IPC_FACT_GUARD && entry.frame->payload_bytes == sizeof(fact)) {
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

/* What people call the scope. */
static void name_of(const struct ipc_snapshot_view *view, const struct ipc_fact_guard *fact,
    char *out, size_t bytes)
{
    out[0] = '\0';
    if (fact->scope == IPC_GUARD_SCOPE_FOLLOWER)
        (void)snprintf(out, bytes, "%u", fact->follower_no);
    if (fact->scope == IPC_GUARD_SCOPE_ACCOUNT && fact->account <= view->account_count)
        (void)snprintf(out, bytes, "%s", view->accounts[fact->account - 1].login);
    if (fact->scope == IPC_GUARD_SCOPE_BROKER && fact->broker < view->broker_count)
        (void)snprintf(out, bytes, "%s", view->brokers[fact->broker].name);
}

static void put(
    const struct ctl_cli *cli, const struct ipc_snapshot_view *view, const struct trip *trip)
{
    char when[32], name[64];
    const struct ipc_fact_guard *fact = &trip->fact;
    ctl_format_wall(trip->wall_ns, when, sizeof(when));
    name_of(view, fact, name, sizeof(name));
    const char *kind = ipc_guard_kind_name((enum ipc_guard_kind)fact->kind);
    const char *scope = ipc_guard_scope_name((enum ipc_guard_scope)fact->scope);
    if (cli->json) {
        printf("{\"breaker\":\"%s\",\"scope\":\"%s\",\"name\":\"%s\",\"value\":%" PRId64
               ",\"limit\":%" PRId64 ",\"instrument\":%u,\"generation\":%" PRIu64
               ",\"since\":\"%s\"}\n",
            kind, scope, name, fact->value, fact->limit, fact->instrument, fact->generation, when);
        return;
    }
    if (fact->kind == IPC_GUARD_CLOCK)
        printf("%-19s %s: stepped by %.3f s, since %s\n", kind, scope, (double)fact->value / 1e9,
            when);
    else
        printf("%-19s %s %s: %" PRId64 " of %" PRId64 ", since %s\n", kind, scope, name,
            fact->value, fact->limit, when);
}

static int list(const struct ctl_cli *cli, const struct options *options)
{
    struct ctl_live live;
    struct table table = {.at = NULL};
    struct ipc_error error;
    struct ipc_journal_reader *reader = NULL;
    int code = ctl_live_open(cli, &live);
    struct ipc_journal_reader_options reading = {.memory_directory = live.shm.path,
        .disk_directory = options->disk,
        .shard = options->shard};
    if (code == CTL_DONE && ipc_journal_reader_open(&reading, &reader, &error) != IPC_OK)
        code = ctl_refuse("%s", error.text);
    if (code == CTL_DONE)
        code = journal_take(reader, &table);
    for (size_t i = 0; code == CTL_DONE && i < table.count; i++)
        put(cli, &live.view, &table.at[i]);
    if (code == CTL_DONE && table.count == 0 && !cli->json)
        puts("no breaker has tripped");
    if (reader != NULL)
        ipc_journal_reader_close(reader);
    free(table.at);
    ctl_live_close(&live);
    return code;
}

/* --- reset --------------------------------------------------------------------------------------
 */

struct act {
    struct ipc_event event;
    uint32_t shard;
    uint8_t scope;
};

/* What stands in the event for each scope: ipc/event.h. */
static int act_make(
    const struct ipc_snapshot_view *view, const struct options *options, struct act *act)
{
    ctl_operator_act(&act->event, IPC_OPERATOR_GUARD_RESET, options->by);
    act->shard = options->shard;
    act->event.account = 1; /* every event names one */
    if (options->clock) {
        act->scope = IPC_GUARD_SCOPE_ENGINE;
        act->event.type = IPC_GUARD_CLOCK;
    } else if (options->broker != NULL) {
        int broker = ctl_find_broker(view, options->broker);
        if (broker < 0)
            return ctl_refuse("there is no broker '%s' in the live snapshot", options->broker);
        act->scope = IPC_GUARD_SCOPE_BROKER;
        act->event.instrument = (uint32_t)broker;
    } else if (options->account != NULL) {
        act->event.account = ctl_find_account(view, options->account);
        if (act->event.account == 0)
            return ctl_refuse("there is no account '%s' in the live snapshot", options->account);
        act->scope = IPC_GUARD_SCOPE_ACCOUNT;
        if (!options->has_shard)
            act->shard = view->accounts[act->event.account - 1].shard;
    } else {
        int64_t slot = ctl_find_slot(view, options->follower);
        if (slot < 0)
            return ctl_refuse("there is no follower %s in the live snapshot", options->follower);
        const struct ipc_row_follower *row = &view->followers[slot];
        ctl_operator_act(&act->event, IPC_OPERATOR_BREAKER_RESET, options->by);
        act->scope = IPC_GUARD_SCOPE_FOLLOWER;
        act->event.account = row->account;
        act->event.book_order_count = row->follower_no;
        if (!options->has_shard)
            act->shard = row->shard;
    }
    act->event.side = act->scope;
    return CTL_DONE;
}

static int is_answer(const struct ipc_journal_entry *entry, void *context)
{
    const struct act *act = context;
    struct ipc_fact_guard fact;
    if (entry->frame->type != IPC_FACT_GUARD || entry->frame->payload_bytes != sizeof(fact))
        return -1;
    memcpy(&fact, entry->payload, sizeof(fact));
    if (fact.act != IPC_GUARD_ACT_RESET || fact.scope != act->scope ||
        fact.follower_no != act->event.book_order_count ||
        strncmp(fact.by, act->event.broker_order_id, sizeof(act->event.broker_order_id)) != 0)
        return -1;
    printf("done, at lsn %" PRIu64 "\n", entry->frame->lsn);
    return CTL_DONE;
}

static int reset(const struct ctl_cli *cli, const struct options *options)
{
    struct ctl_live live;
    struct act act;
    struct ipc_journal_reader *reader = NULL;
    int code = ctl_live_open(cli, &live);
    if (code == CTL_DONE)
        code = act_make(&live.view, options, &act);
    if (code == CTL_DONE)
        code = ctl_operator_begin(&live, act.shard, &reader);
    if (code == CTL_DONE)
        code = ctl_operator_send(&live, act.shard, &act.event);
    if (code == CTL_DONE)
        code = ctl_operator_wait(reader, WAIT_S, is_answer, &act);
    if (code == CTL_TIMEOUT)
        ctl_refuse(
            "the engine has not journaled it within %u s: it counts when an engine runs; look with "
            "'breaker list'",
            WAIT_S);
    if (reader != NULL)
        ipc_journal_reader_close(reader);
    ctl_live_close(&live);
    return code;
}

/* --- arguments ----------------------------------------------------------------------------------
 */

static int parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){.follower = NULL};
    for (int i = 2; i < argc; i++) {
        const char **target = strcmp(argv[i], "--by") == 0        ? &options->by
                              : strcmp(argv[i], "--account") == 0 ? &options->account
                              : strcmp(argv[i], "--broker") == 0  ? &options->broker
                              : strcmp(argv[i], "--disk") == 0    ? &options->disk
                                                                  : NULL;
        if (strcmp(argv[i], "--clock") == 0) {
            options->clock = true;
        } else if (strcmp(argv[i], "--shard") == 0 && i + 1 < argc) {
            char *end;
            unsigned long shard = strtoul(argv[++i], &end, 10);
            if (*end != '\0' || shard >= IPC_RING_SHARDS_MAX)
                return ctl_usage("breaker", "'%s' is no shard", argv[i]);
            options->shard = (uint32_t)shard;
            options->has_shard = true;
        } else if (target != NULL) {
            if (i + 1 == argc)
                return ctl_usage("breaker", "%s needs a value", argv[i]);
            *target = argv[++i];
        } else if (options->follower == NULL && argv[i][0] != '-') {
            options->follower = argv[i];
        } else {
            return ctl_usage("breaker", "'%s' is one too many", argv[i]);
        }
    }
    return CTL_DONE;
}

int ctl_breaker_main(const struct ctl_cli *cli, int argc, char **argv)
{
    struct options options;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return CTL_DONE;
    }
    if (argc < 2)
        return ctl_usage("breaker", "say list or reset");
    int code = parse(argc, argv, &options);
    if (code != CTL_DONE)
        return code;
    int scopes = (options.follower != NULL) + (options.account != NULL) + (options.broker != NULL) +
                 options.clock;
    if (strcmp(argv[1], "list") == 0) {
        if (scopes != 0 || options.by != NULL)
            return ctl_usage("breaker", "list takes --shard and --disk");
        return list(cli, &options);
    }
    if (strcmp(argv[1], "reset") != 0)
        return ctl_usage("breaker", "there is no '%s'", argv[1]);
    if (scopes != 1)
        return ctl_usage(
            "breaker", "say whose: a FOLLOWER's number, --account LOGIN, --broker NAME or --clock");
    if (options.by == NULL || !ctl_operator_by_is_sound(options.by, IPC_LIMIT_BY_BYTES - 1))
        return ctl_usage("breaker",
            "say who decides: --by NAME, up to %u characters without blanks",
            IPC_LIMIT_BY_BYTES - 1);
    return reset(cli, &options);
}
