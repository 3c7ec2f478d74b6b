/* lockstepctl: the operator's command line. Every verb works on the shared memory of one instance
 * on this machine. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cli.h"
#include "control/ctl_common.h"
#include "control/ctl_config.h"
#include "version.h"

static const struct ctl_verb verbs[] = {
    {"snapshot", "publish FILE [--override] [--check] | show",
        "publish or show accounts, limits and instruments", ctl_snapshot_main},
    {"token", "set ACCOUNT < FILE", "give an account a new broker token, read from standard input",
        ctl_token_main},
    {"instruments", "import FILE... | check FILE... | show [NAME]",
        "contract masters and freeze lists of the broker and the exchange", ctl_instruments_main},
    {"sub", "FOLLOWER [pause|resume|disable|enable|end]",
        "one subscription: show it, pause it, end it", ctl_sub_main},
    {"switch", "SCOPE [NAME] run|close-only|halt | show",
        "stop or allow orders, and wait until it holds", ctl_switch_main},
    {"price", "set BROKER SYMBOL PRICE... | show BROKER", "last prices, where no feed keeps them",
        ctl_price_main},
    {"account", "set LOGIN --equity N | show BROKER", "capital, where no feed keeps it",
        ctl_account_main},
    {"calendar", "check FILE | show FILE [--date D] | publish FILE",
        "when the market trades: sessions, holidays, cut-offs", ctl_calendar_main},
    {"flatten", "FOLLOWER | --master LOGIN | --all, --by NAME [--instrument SYMBOL]",
        "close what was copied, now; it stops no later entry", ctl_flatten_main},
    {"limits", "show [FOLLOWER] | resume FOLLOWER --by NAME",
        "money limits that stopped entries, and who lets them go again", ctl_limits_main},
    {"breaker", "list | reset FOLLOWER|--account LOGIN|--broker NAME|--clock --by NAME",
        "what stopped openings until a person has looked, and that person's word",
        ctl_breaker_main},
    {"catch-up", "TAG --by NAME", "make a missed order good: what of it is still wanted",
        ctl_catch_up_main},
    {"resolve", "TAG --filled QTY [--price P] | --not-placed, --by NAME",
        "what a person found out about an UNRESOLVED order", ctl_resolve_main},
    {"reconcile", "ACCOUNT --by NAME", "ask an account's order book at its broker, now",
        ctl_reconcile_main},
    {"positions", "compare [--account LOGIN]", "what was copied against what the broker says",
        ctl_positions_main},
    {"orders", "[--last N] [--wave N]", "master orders and what became of each copy",
        ctl_orders_main},
    {"why", "TAG", "the story of one order", ctl_why_main},
    {"reasons", "[NAME]", "why a copy is not, or is less than, what was asked: every code",
        ctl_reasons_main},
    {"top", "[--once]", "live counters and latencies of the engines", ctl_top_main},
    {"metrics", "", "all metrics as Prometheus text", ctl_metrics_main},
    {"journal", "ls | show LSN | verify", "read the journal", ctl_journal_main},
    {"shm", "ls | inspect NAME | repair", "the objects in shared memory", ctl_shm_main},
};

static void print_help(void)
{
    puts("Usage: lockstepctl [--instance NAME] [--json] VERB ...\n\n"
         "Works on one instance of Lockstep on this machine.\n");
    for (size_t i = 0; i < LS_COUNT_OF(verbs); i++)
        printf("  %-11s %-44s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
    puts("\nOptions, before or after the verb:\n"
         "  --instance NAME  the instance (default: $LOCKSTEP_INSTANCE, else 'main')\n"
         "  --key FILE       key that seals tokens (default: $LOCKSTEP_KEY, else\n"
         "                   /etc/lockstep/<instance>.key)\n"
         "  --config FILE    YAML, see conf/lockstepctl.yaml; options and environment go first\n"
         "  --check          validate, say what would be worked on, and exit\n"
         "  --json           machine-readable output\n"
         "  --help, --version\n\n"
         "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 ran out of time.");
}

/* Options of lockstepctl itself. */
struct own {
    const char *config;
    bool check;
};

/* Takes the shared options out of argv, wherever they stand, so that verbs see only their own. */
static int take_options(struct ctl_cli *cli, struct own *own, int argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        const char **target = strcmp(argv[i], "--instance") == 0 ? &cli->instance
                              : strcmp(argv[i], "--key") == 0    ? &cli->key_file
                              : strcmp(argv[i], "--config") == 0 ? &own->config
                                                                 : NULL;
        if (target != NULL) {
            if (i + 1 == argc) {
                fprintf(stderr, "lockstepctl: %s needs a value\n", argv[i]);
                return -1;
            }
            *target = argv[++i];
        } else if (strncmp(argv[i], "--instance=", 11) == 0) {
            cli->instance = argv[i] + 11;
        } else if (strncmp(argv[i], "--key=", 6) == 0) {
            cli->key_file = argv[i] + 6;
        } else if (strcmp(argv[i], "--json") == 0) {
            cli->json = true;
        } else if (strcmp(argv[i], "--check") == 0 && kept == 1) { /* behind a verb it is the verb's */
            own->check = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    return kept;
}

/* --check: what the verbs would work on. */
static int check(const struct ctl_cli *cli)
{
    char key[512];
    struct ipc_shm shm;
    struct ipc_error error;
    ctl_key_path(cli, key, sizeof(key));
    enum ipc_rc rc = ipc_shm_open(&shm, NULL, cli->instance, false, &error);
    if (rc != IPC_OK && rc != IPC_NOT_FOUND)
        return ctl_refuse("%s", error.text);
    printf("valid: instance %s (%s), key %s (%s)\n", cli->instance,
        rc == IPC_OK ? "exists" : "made by 'snapshot publish'", key,
        access(key, F_OK) == 0 ? "exists" : "made by 'snapshot publish'");
    if (rc == IPC_OK)
        ipc_shm_close(&shm);
    return CTL_DONE;
}

static int run(const struct ctl_cli *cli, int argc, char **argv)
{
    if (argc < 2) {
        print_help();
        return CTL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help();
        return CTL_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("lockstepctl " LS_VERSION " (" LS_COMMIT ")");
        return CTL_DONE;
    }
    for (size_t i = 0; i < LS_COUNT_OF(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(cli, argc - 1, argv + 1);
    fprintf(stderr, "lockstepctl: there is no verb '%s'; see 'lockstepctl --help'\n", argv[1]);
    return CTL_USAGE;
}

int main(int argc, char **argv)
{
    struct ctl_cli cli = {
        .instance = getenv("LOCKSTEP_INSTANCE"),
        .key_file = getenv("LOCKSTEP_KEY"),
        .color = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL,
    };
    struct own own = {0};
    argc = take_options(&cli, &own, argc, argv);
    if (argc < 0)
        return CTL_USAGE;
    struct ipc_error error;
    struct ctl_config *config = NULL;
    if (own.config != NULL) {
        config = ctl_config_load(own.config, &error);
        if (config == NULL)
            return ctl_refuse("%s", error.text);
        cli.instance = cli.instance != NULL ? cli.instance : config->instance;
        cli.key_file = cli.key_file != NULL ? cli.key_file : config->key_file;
    }
    if (cli.instance == NULL)
        cli.instance = "main";
    int code = own.check ? check(&cli) : run(&cli, argc, argv);
    ctl_config_free(config);
    return code;
}
