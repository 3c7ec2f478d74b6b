/* lockstepctl resolve: what a person found out at the broker about an order that is UNRESOLVED. The
 * engine refuses it for any other, and journals the verdict with the name. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/operator.h"
#include "ipc/decimal.h"
#include "ipc/fact.h"

#define WAIT_S 5u

static const char help_text[] =
    "Usage: lockstepctl resolve TAG --filled QTY [--price P] --by NAME\n"
    "       lockstepctl resolve TAG --not-placed --by NAME\n\n"
    "Says what became of an order that no book proved either way (state UNRESOLVED). Look at the\n"
    "follower's order book, order history and positions at the broker first: nothing checks it.\n\n"
    "  --filled QTY   so much of it filled in all, and no more will: it counts as held or closed.\n"
    "                 If it is working there still, cancel it there first\n"
    "  --price P      at which average; without it the order's limit, which a market order lacks\n"
    "  --not-placed   nothing of it filled or will: it is MISSED, 'catch-up' may make it good, "
    "and\n"
    "                 what it was to close is closed anew\n"
    "  --by NAME      who decides, up to 15 characters without blanks; it is in the journal for "
    "good\n\n"
    "Either opens the instrument for the follower again. It cannot be taken back.\n";

struct verdict {
    const char *tag, *by;
    int64_t filled_e8, price_e8; /* 0 = not said */
    bool not_placed;
};

static int is_answer(const struct ipc_journal_entry *entry, void *context)
{
    const struct verdict *verdict = context;
    struct ipc_fact_resolve fact;
    if (entry->frame->type != IPC_FACT_RESOLVE || entry->frame->payload_bytes != sizeof(fact))
        return -1;
    memcpy(&fact, entry->payload, sizeof(fact));
    if (strncmp(fact.tag, verdict->tag, sizeof(fact.tag)) != 0 ||
        strncmp(fact.by, verdict->by, sizeof(fact.by)) != 0 ||
        fact.filled_qty_e8 != verdict->filled_e8)
        return -1;
    if (fact.refused != 0)
        return ctl_refuse("%s: %.*s", verdict->tag, (int)sizeof(fact.text), fact.text);
    printf("done, at lsn %" PRIu64 "\n", entry->frame->lsn);
    return CTL_DONE;
}

static int run(const struct ctl_cli *cli, struct verdict *verdict)
{
    struct ctl_live live;
    struct ipc_journal_reader *reader = NULL;
    struct ipc_event event;
    uint32_t shard = 0;
    int code = ctl_live_open(cli, &live);
    ctl_operator_act(&event, IPC_OPERATOR_RESOLVE, verdict->by);
    event.filled_qty_e8 = verdict->filled_e8;
    event.average_price_e8 = verdict->price_e8;
    if (code == CTL_DONE)
        code = ctl_operator_order(&live, verdict->tag, &event, &shard);
    if (code == CTL_DONE)
        code = ctl_operator_begin(&live, shard, &reader);
    if (code == CTL_DONE)
        code = ctl_operator_send(&live, shard, &event);
    if (code == CTL_DONE)
        code = ctl_operator_wait(reader, WAIT_S, is_answer, verdict);
    if (code == CTL_TIMEOUT)
        ctl_refuse(
            "the engine has not journaled it within %u s: it counts when an engine runs", WAIT_S);
    if (reader != NULL)
        ipc_journal_reader_close(reader);
    ctl_live_close(&live);
    return code;
}

/* A number above 0. */
static int number_of(const char *option, const char *text, int64_t *out)
{
    if (ipc_decimal_parse(text, strlen(text), out) != IPC_OK || *out <= 0)
        return ctl_usage("resolve", "%s '%s' is no number above 0", option, text);
    return CTL_DONE;
}

static int option_read(int argc, char **argv, int *at, struct verdict *verdict)
{
    const char *word = argv[*at];
    if (strcmp(word, "--not-placed") == 0) {
        verdict->not_placed = true;
        return CTL_DONE;
    }
    if (word[0] != '-' && verdict->tag == NULL) {
        verdict->tag = word;
        return CTL_DONE;
    }
    const bool is_by = strcmp(word, "--by") == 0, is_filled = strcmp(word, "--filled") == 0;
    if (!is_by && !is_filled && strcmp(word, "--price") != 0)
        return ctl_usage("resolve", "'%s' is one too many", word);
    if (++*at == argc)
        return ctl_usage("resolve", "%s needs a value", word);
    if (!is_by)
        return number_of(word, argv[*at], is_filled ? &verdict->filled_e8 : &verdict->price_e8);
    verdict->by = argv[*at];
    return CTL_DONE;
}

int ctl_resolve_main(const struct ctl_cli *cli, int argc, char **argv)
{
    struct verdict verdict = {.tag = NULL};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help_text, stdout);
            return CTL_DONE;
        }
        int code = option_read(argc, argv, &i, &verdict);
        if (code != CTL_DONE)
            return code;
    }
    if (verdict.tag == NULL)
        return ctl_usage("resolve", "say which order: its TAG");
    if (verdict.not_placed == (verdict.filled_e8 != 0))
        return ctl_usage("resolve", "say what became of it: --filled QTY or --not-placed");
    if (verdict.not_placed && verdict.price_e8 != 0)
        return ctl_usage("resolve", "what was not placed has no --price");
    if (verdict.by == NULL || !ctl_operator_by_is_sound(verdict.by, 15))
        return ctl_usage(
            "resolve", "say who decides: --by NAME, up to 15 characters without blanks");
    return run(cli, &verdict);
}
