/* lockstepctl positions: what was copied, by the fold of our own fills, against what the broker
 * says that the account has. A difference is told to a person and never corrected. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/operator.h"
#include "ipc/decimal.h"
#include "ipc/fact.h"

#define WAIT_S 60u
#define BY     "lockstepctl"

static const char help_text[] =
    "Usage: lockstepctl positions compare [--account LOGIN] [--shard K]\n\n"
    "The engine asks each broker for order book and positions and compares, by instrument and\n"
    "product, the fold of its own fills with the broker's net, less what other orders of the "
    "account\n"
    "filled today. Of deliveries only today's fills are compared, since they move to the holdings\n"
    "overnight. A difference counts when two readings give the same one; it raises the alarm\n"
    "POSITION, is in the journal, and nothing is corrected. The engine does the same two minutes\n"
    "after the market's day.\n\n"
    "  --account LOGIN  of this account only (default: all that follow)\n"
    "  --shard K        the shard (default 0, or the account's)\n\n"
    "Exit code 0: nothing differs; 1: something does, or a broker could not be read.\n";

struct comparison {
    const struct ctl_cli *cli;
    const struct ipc_snapshot_view *view;
    uint8_t *is_wanted; /* by account - 1 */
    uint32_t wanted, seen;
    bool is_bad;
};

static void put_line(const struct comparison *comparison, const struct ipc_fact_positions *fact,
    const struct ipc_fact_position_line *line)
{
    const struct ipc_snapshot_view *view = comparison->view;
    char ours[IPC_DECIMAL_BYTES], broker[IPC_DECIMAL_BYTES], others[IPC_DECIMAL_BYTES];
    const char *symbol = line->instrument > 0 && line->instrument <= view->instrument_count
                             ? view->instruments[line->instrument - 1].symbol
                             : "?";
    ipc_decimal_format(line->ours_e8, ours);
    ipc_decimal_format(line->broker_e8, broker);
    ipc_decimal_format(line->others_e8, others);
    const char *product =
        ipc_product_valid(line->product) ? ipc_product_name((enum ipc_product)line->product) : "?";
    const char *login = view->accounts[fact->account - 1].login;
    if (comparison->cli->json)
        printf("{\"account\":\"%s\",\"symbol\":\"%s\",\"product\":\"%s\",\"ours\":%s,\"broker\":%s,"
               "\"others\":%s}\n",
            login, symbol, product, ours, broker, others);
    else
        printf("  %s %s: ours %s, the broker has %s, of it %s by other orders today\n", symbol,
            product, ours, broker, others);
}

static void put_account(const struct comparison *comparison, const struct ipc_fact_positions *fact)
{
    const char *login = comparison->view->accounts[fact->account - 1].login;
    const char *result =
        ipc_book_valid(fact->result) ? ipc_book_name((enum ipc_book)fact->result) : "?";
    if (comparison->cli->json)
        printf("{\"account\":\"%s\",\"result\":\"%s\",\"compared\":%u,\"differing\":%u}\n", login,
            result, fact->compared, fact->differing);
    else if (fact->result != IPC_BOOK_GOOD)
        printf("%s: could not be read (%s)\n", login, result);
    else
        printf("%s: %u compared, %u differ\n", login, fact->compared, fact->differing);
}

static int take(const struct ipc_journal_entry *entry, void *context)
{
    struct comparison *comparison = context;
    struct ipc_fact_positions fact;
    if (entry->frame->type != IPC_FACT_POSITIONS || entry->frame->payload_bytes != sizeof(fact))
        return -1;
    memcpy(&fact, entry->payload, sizeof(fact));
    if (strncmp(fact.by, BY, sizeof(fact.by)) != 0 || fact.account == 0 ||
        fact.account > comparison->view->account_count ||
        comparison->is_wanted[fact.account - 1] == 0 || fact.line_count > IPC_POSITION_LINES_MAX)
        return -1;
    if (comparison->is_wanted[fact.account - 1] == 1)
        put_account(comparison, &fact);
    comparison->is_wanted[fact.account - 1] = 2; /* begun: its further lines follow */
    for (uint32_t i = 0; i < fact.line_count; i++)
        put_line(comparison, &fact, &fact.lines[i]);
    comparison->is_bad |= fact.differing > 0 || fact.result != IPC_BOOK_GOOD;
    if (fact.more)
        return -1;
    comparison->is_wanted[fact.account - 1] = 0;
    if (++comparison->seen < comparison->wanted)
        return -1;
    return comparison->is_bad ? CTL_FAILED : CTL_DONE;
}

/* Which accounts will be answered: those that the engine of the shard sends for. */
static void wanted_find(struct comparison *comparison, uint32_t account, uint32_t shard)
{
    for (uint32_t i = 0; i < comparison->view->account_count; i++) {
        const struct ipc_row_account *row = &comparison->view->accounts[i];
        if (row->account == 0 || row->shard != shard || row->token_bytes == 0 ||
            (row->roles & IPC_ROLE_FOLLOWER) == 0 || (row->flags & IPC_ACCOUNT_DISABLED) != 0 ||
            (account != 0 && row->account != account))
            continue;
        comparison->is_wanted[i] = 1;
        comparison->wanted++;
    }
}

static int compare(const struct ctl_cli *cli, const char *login, uint32_t shard)
{
    struct ctl_live live;
    struct comparison comparison = {.cli = cli};
    struct ipc_journal_reader *reader = NULL;
    struct ipc_event event;
    uint32_t account = 0;
    int code = ctl_live_open(cli, &live);
    if (code == CTL_DONE && login != NULL) {
        account = ctl_find_account(&live.view, login);
        if (account == 0)
            code = ctl_refuse("there is no account '%s' in the live snapshot", login);
        else
            shard = live.view.accounts[account - 1].shard;
    }
    if (code == CTL_DONE) {
        comparison.view = &live.view;
        comparison.is_wanted = calloc(live.view.account_count + 1, 1);
        LS_CHECK(comparison.is_wanted != NULL);
        wanted_find(&comparison, account, shard);
        if (comparison.wanted == 0)
            code = ctl_refuse("no account with a token follows here: there is nothing to compare");
    }
    ctl_operator_act(
        &event, account != 0 ? IPC_OPERATOR_POSITIONS : IPC_OPERATOR_POSITIONS_ALL, BY);
    event.account = account != 0 ? account : 1; /* every event names one */
    if (code == CTL_DONE)
        code = ctl_operator_begin(&live, shard, &reader);
    if (code == CTL_DONE)
        code = ctl_operator_send(&live, shard, &event);
    if (code == CTL_DONE)
        code = ctl_operator_wait(reader, WAIT_S, take, &comparison);
    if (code == CTL_TIMEOUT)
        ctl_refuse("%u of %u accounts were compared within %u s; the others will be in the journal",
            comparison.seen, comparison.wanted, WAIT_S);
    free(comparison.is_wanted);
    if (reader != NULL)
        ipc_journal_reader_close(reader);
    ctl_live_close(&live);
    return code;
}

int ctl_positions_main(const struct ctl_cli *cli, int argc, char **argv)
{
    const char *login = NULL;
    uint32_t shard = 0;
    if (argc < 2)
        return ctl_usage("positions", "say compare");
    if (strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return CTL_DONE;
    }
    if (strcmp(argv[1], "compare") != 0)
        return ctl_usage("positions", "there is no '%s'", argv[1]);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--account") == 0 && i + 1 < argc) {
            login = argv[++i];
        } else if (strcmp(argv[i], "--shard") == 0 && i + 1 < argc) {
            char *end;
            const unsigned long value = strtoul(argv[++i], &end, 10);
            if (*end != '\0' || value >= 64)
                return ctl_usage("positions", "'%s' is no shard", argv[i]);
            shard = (uint32_t)value;
        } else {
            return ctl_usage("positions", "'%s' is one too many, or lacks its value", argv[i]);
        }
    }
    return compare(cli, login, shard);
}
