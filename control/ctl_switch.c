/* lockstepctl switch: stop or allow orders, and return only when it holds in every live engine. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/ctl_common.h"
#include "ipc/engine_page.h"
#include "ipc/switches.h"

#define SEEN_WAIT_NS (10 * LS_NS_PER_S)

/* The place of one word. */
struct place {
    enum ipc_switch_scope scope;
    uint32_t index;
};

/* Finds what a person named; complains itself. */
static int find_place(
    const struct ipc_snapshot_view *view, const char *scope, const char *name, struct place *place)
{
    if (strcmp(scope, "broker") == 0) {
        int broker = ctl_find_broker(view, name);
        *place = (struct place){IPC_SWITCH_BROKER, (uint32_t)broker};
        return broker >= 0 ? CTL_DONE : ctl_refuse("there is no broker '%s'", name);
    }
    if (strcmp(scope, "master") == 0) {
        *place = (struct place){IPC_SWITCH_MASTER, ctl_find_account(view, name)};
        if (place->index == 0)
            return ctl_refuse("there is no account '%s'", name);
        if ((view->accounts[place->index - 1].roles & IPC_ROLE_MASTER) == 0)
            fprintf(stderr,
                "lockstepctl: note: account '%s' is no master: nothing is copied from it; a "
                "follower's orders "
                "are stopped by 'switch follower NUMBER'\n",
                name);
        return CTL_DONE;
    }
    if (strcmp(scope, "follower") == 0) {
        int64_t slot = ctl_find_slot(view, name);
        *place = (struct place){IPC_SWITCH_FOLLOWER, (uint32_t)slot};
        return slot >= 0 ? CTL_DONE : ctl_refuse("there is no follower number '%s'", name);
    }
    if (strcmp(scope, "instrument") == 0) {
        *place = (struct place){IPC_SWITCH_INSTRUMENT, ctl_find_instrument(view, name)};
        return place->index != 0
                   ? CTL_DONE
                   : ctl_refuse(
                         "there is no instrument '%s', or more than one: write EXCHANGE:SYMBOL",
                         name);
    }
    return ctl_usage(
        "switch", "scope is global, broker, master, follower or instrument, not '%s'", scope);
}

static int show(const struct ctl_cli *cli)
{
    struct ctl_live live;
    struct ipc_switches page;
    struct ipc_error error;
    int code = ctl_live_open(cli, &live);
    if (code == CTL_DONE && ipc_switches_open_reader(&live.shm, &page, &error) != IPC_OK)
        code = ctl_refuse("%s", error.text);
    if (code != CTL_DONE) {
        ctl_live_close(&live);
        return code;
    }
    const struct ipc_snapshot_view *v = &live.view;
    const char *separator = "";
    bool json = cli->json;
    if (json)
        printf("{\"global\":\"%s\",\"others\":[",
            ipc_switch_name(ipc_switches_get(&page, IPC_SWITCH_GLOBAL, 0)));
    else
        printf("global      %s\n", ipc_switch_name(ipc_switches_get(&page, IPC_SWITCH_GLOBAL, 0)));
#define ROW(scope, index, label)                                                                   \
    do {                                                                                           \
        enum ipc_switch word = ipc_switches_get(&page, (scope), (index));                          \
        if (word != IPC_SWITCH_RUN && json) {                                                      \
            printf("%s{\"scope\":\"%s\",\"name\":\"%s\",\"switch\":\"%s\"}", separator,            \
                ipc_switch_scope_name(scope), (label), ipc_switch_name(word));                     \
            separator = ",";                                                                       \
        } else if (word != IPC_SWITCH_RUN) {                                                       \
            printf(                                                                                \
                "%-11s %-24s %s\n", ipc_switch_scope_name(scope), (label), ipc_switch_name(word)); \
        }                                                                                          \
    } while (0)
    for (uint32_t i = 0; i < v->broker_count; i++)
        if (v->brokers[i].live)
            ROW(IPC_SWITCH_BROKER, i, v->brokers[i].name);
    for (uint32_t i = 0; i < v->account_count; i++)
        if (v->accounts[i].account != 0)
            ROW(IPC_SWITCH_MASTER, i + 1, v->accounts[i].login);
    for (uint32_t i = 0; i < v->follower_slots; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%u", v->followers[i].follower_no);
        if (v->followers[i].follower_no != 0)
            ROW(IPC_SWITCH_FOLLOWER, i, number);
    }
    for (uint32_t i = 0; i < v->instrument_count; i++)
        if (v->instruments[i].instrument != 0)
            ROW(IPC_SWITCH_INSTRUMENT, i + 1, v->instruments[i].symbol);
#undef ROW
    if (json)
        puts("]}");
    ipc_switches_close(&page);
    ctl_live_close(&live);
    return CTL_DONE;
}

/* Sets one word and waits until no engine can hand barred bytes to the kernel any more. */
static int set(
    const struct ctl_cli *cli, const struct ipc_shm *shm, struct place place, enum ipc_switch value)
{
    static const struct ipc_switches_shape shape = IPC_SWITCHES_DEFAULT_SHAPE;
    struct ipc_switches page;
    struct ipc_error error;
    uint64_t sequence = 0;
    if (ipc_switches_open_writer(shm, &shape, &page, &error) != IPC_OK)
        return ctl_refuse("the switch was not set: %s", error.text);
    enum ipc_rc rc = ipc_switches_set(&page, place.scope, place.index, value, &sequence);
    ipc_switches_close(&page);
    if (rc != IPC_OK)
        return ctl_refuse("the switch was not set: %s", ipc_rc_text(rc));
    static struct ipc_engine_wait wait;
    rc = ipc_engine_wait_switch(shm, sequence, SEEN_WAIT_NS, &wait);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < wait.engine_count; i++)
        seen += wait.answer[i] == IPC_ENGINE_DONE;
    if (cli->json)
        printf("{\"switch\":\"%s\",\"sequence\":%" PRIu64 ",\"engines\":%u,\"seen\":%u}\n",
            ipc_switch_name(value), sequence, wait.engine_count, seen);
    else
        printf("%s; holds in %u of %u live engines\n", ipc_switch_name(value), seen,
            wait.engine_count);
    fflush(stdout);
    if (rc == IPC_OK)
        return CTL_DONE;
    ctl_refuse("an engine has not confirmed the switch within 10 s: orders of it may still leave; "
               "look at its log, or kill it");
    return CTL_TIMEOUT;
}

int ctl_switch_main(const struct ctl_cli *cli, int argc, char **argv)
{
    static const char help[] =
        "Usage: lockstepctl switch global run|close-only|halt\n"
        "       lockstepctl switch broker|master|follower|instrument NAME run|close-only|halt\n"
        "       lockstepctl switch show\n\n"
        "run          everything may leave\n"
        "close-only   exits and cancels only: the everyday stop\n"
        "halt         cancels only\n\n"
        "The strictest word that concerns an order counts. Returns when every live engine has "
        "seen\n"
        "it: after that nothing barred is handed to the kernel. Flattening is a separate act.\n"
        "NAME is a broker's name, an account's login, a follower's number, a symbol.\n";
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return CTL_DONE;
    }
    if (argc == 2 && strcmp(argv[1], "show") == 0)
        return show(cli);
    bool global = argc == 3 && strcmp(argv[1], "global") == 0;
    if (!global && argc != 4)
        return ctl_usage("switch", "say SCOPE [NAME] run|close-only|halt");
    enum ipc_switch value;
    const char *word = argv[argc - 1];
    if (!ipc_switch_parse(word, strlen(word), &value))
        return ctl_usage("switch", "'%s' is not run, close-only or halt", word);
    struct place place = {IPC_SWITCH_GLOBAL, 0};
    if (global) { /* works without a snapshot: a stop must not depend on one */
        struct ipc_shm shm;
        struct ipc_error error;
        if (ipc_shm_open(&shm, NULL, cli->instance, true, &error) != IPC_OK)
            return ctl_refuse("the switch was not set: %s", error.text);
        int code = set(cli, &shm, place, value);
        ipc_shm_close(&shm);
        return code;
    }
    struct ctl_live live;
    int code = ctl_live_open(cli, &live);
    if (code == CTL_DONE)
        code = find_place(&live.view, argv[1], argv[2], &place);
    if (code == CTL_DONE)
        code = set(cli, &live.shm, place, value);
    ctl_live_close(&live);
    return code;
}
