/* lockstepctl catch-up and reconcile: a person makes a missed order good, which the engine refuses
 * for what is not MISSED, and of which it decides what the follower still needs; and a person has
 * an account's book asked now. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/operator.h"
#include "ipc/fact.h"

#define WAIT_S 5u
#define READ_S 15u

static const char help_text[] = "Usage: lockstepctl catch-up TAG --by NAME\n\n"
                                "Places again what an order that was never placed (state MISSED) "
                                "should have done, as far as the\n"
                                "follower still needs it: limits, switches and prices of now "
                                "decide. It is a new order under a\n"
                                "tag of its own, once: a second catch-up of the same tag is "
                                "refused. If the missed order shows\n"
                                "up after all, both are there, and the alarm GHOST says so.\n\n"
                                "  --by NAME   who decides, up to 15 characters without blanks; it "
                                "is in the journal for good\n";

struct wanted {
    const char *tag, *by;
};

static int is_answer(const struct ipc_journal_entry *entry, void *context)
{
    const struct wanted *wanted = context;
    struct ipc_fact_catch_up fact;
    if (entry->frame->type != IPC_FACT_CATCH_UP || entry->frame->payload_bytes != sizeof(fact))
        return -1;
    memcpy(&fact, entry->payload, sizeof(fact));
    if (strncmp(fact.tag, wanted->tag, sizeof(fact.tag)) != 0 ||
        strncmp(fact.by, wanted->by, sizeof(fact.by)) != 0)
        return -1;
    if (fact.refused != 0)
        return ctl_refuse("%s: %.*s", wanted->tag, (int)sizeof(fact.text), fact.text);
    printf("done, at lsn %" PRIu64 "\n", entry->frame->lsn);
    return CTL_DONE;
}

static int run(const struct ctl_cli *cli, struct wanted *wanted)
{
    struct ctl_live live;
    struct ipc_journal_reader *reader = NULL;
    struct ipc_event event;
    uint32_t shard = 0;
    int code = ctl_live_open(cli, &live);
    ctl_operator_act(&event, IPC_OPERATOR_CATCH_UP, wanted->by);
    if (code == CTL_DONE)
        code = ctl_operator_order(&live, wanted->tag, &event, &shard);
    if (code == CTL_DONE)
        code = ctl_operator_begin(&live, shard, &reader);
    if (code == CTL_DONE)
        code = ctl_operator_send(&live, shard, &event);
    if (code == CTL_DONE)
        code = ctl_operator_wait(reader, WAIT_S, is_answer, wanted);
    if (code == CTL_TIMEOUT)
        ctl_refuse(
            "the engine has not journaled it within %u s: it counts when an engine runs", WAIT_S);
    if (reader != NULL)
        ipc_journal_reader_close(reader);
    ctl_live_close(&live);
    return code;
}

/* --- reconcile ----------------------------------------------------------------------------------
 */

static const char reconcile_help[] =
    "Usage: lockstepctl reconcile ACCOUNT --by NAME\n\n"
    "Has the broker's order book of an account asked now: for orders whose outcome is unknown, "
    "and\n"
    "for those that are UNRESOLVED. What it proves is in the journal: see 'why' and 'orders'.\n"
    "Returns when the engine has read an answer, with 1 when it was no good one.\n\n"
    "  --by NAME   who decides, up to 15 characters without blanks; it is in the journal for "
    "good\n";

struct reading {
    uint32_t account;
    const char *by;
    bool is_wanted, is_asked;
};

static int is_answered(const struct ipc_journal_entry *entry, void *context)
{
    struct reading *reading = context;
    const struct ipc_fact_recon *fact = (const void *)entry->payload;
    if (entry->frame->type != IPC_FACT_RECON || entry->frame->payload_bytes < sizeof(*fact) ||
        fact->account != reading->account)
        return -1;
    if (fact->act == IPC_RECON_ACT_WANT && strncmp(fact->by, reading->by, sizeof(fact->by)) == 0)
        reading->is_wanted = true;
    if (fact->act == IPC_RECON_ACT_ASK && reading->is_wanted)
        reading->is_asked = true;
    if (fact->act != IPC_RECON_ACT_ANSWER || !reading->is_asked)
        return -1;
    printf("%s, %u orders, at lsn %" PRIu64 "\n",
        ipc_book_valid(fact->result) ? ipc_book_name((enum ipc_book)fact->result) : "?",
        fact->order_count, entry->frame->lsn);
    return fact->result == IPC_BOOK_GOOD ? CTL_DONE : CTL_FAILED;
}

int ctl_reconcile_main(const struct ctl_cli *cli, int argc, char **argv)
{
    struct ctl_live live;
    struct reading reading = {.account = 0};
    struct ipc_journal_reader *reader = NULL;
    struct ipc_event event;
    uint32_t shard = 0;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(reconcile_help, stdout);
        return CTL_DONE;
    }
    if (argc != 4 || strcmp(argv[2], "--by") != 0 || !ctl_operator_by_is_sound(argv[3], 15))
        return ctl_usage("reconcile", "say whose book, and who decides: ACCOUNT --by NAME");
    reading.by = argv[3];
    int code = ctl_live_open(cli, &live);
    ctl_operator_act(&event, IPC_OPERATOR_RECONCILE, reading.by);
    if (code == CTL_DONE) {
        event.account = reading.account = ctl_find_account(&live.view, argv[1]);
        if (event.account == 0)
            code = ctl_refuse("there is no account '%s' in the live snapshot", argv[1]);
        else
            shard = live.view.accounts[event.account - 1].shard;
    }
    if (code == CTL_DONE)
        code = ctl_operator_begin(&live, shard, &reader);
    if (code == CTL_DONE)
        code = ctl_operator_send(&live, shard, &event);
    if (code == CTL_DONE)
        code = ctl_operator_wait(reader, READ_S, is_answered, &reading);
    if (code == CTL_TIMEOUT)
        ctl_refuse("no answer was read within %u s: %s", READ_S,
            reading.is_wanted ? "its share of the account's calls may be spent, or the broker is "
                                "silent; it goes on"
                              : "it is wanted already, or the account is no follower's");
    if (reader != NULL)
        ipc_journal_reader_close(reader);
    ctl_live_close(&live);
    return code;
}

int ctl_catch_up_main(const struct ctl_cli *cli, int argc, char **argv)
{
    struct wanted wanted = {NULL, NULL};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help_text, stdout);
            return CTL_DONE;
        }
        if (strcmp(argv[i], "--by") == 0) {
            if (++i == argc)
                return ctl_usage("catch-up", "--by needs a value");
            wanted.by = argv[i];
        } else if (wanted.tag == NULL && argv[i][0] != '-') {
            wanted.tag = argv[i];
        } else {
            return ctl_usage("catch-up", "'%s' is one too many", argv[i]);
        }
    }
    if (wanted.tag == NULL)
        return ctl_usage("catch-up", "say which order: its TAG");
    if (wanted.by == NULL || !ctl_operator_by_is_sound(wanted.by, 15))
        return ctl_usage(
            "catch-up", "say who decides: --by NAME, up to 15 characters without blanks");
    return run(cli, &wanted);
}
