/* cli.h: what every verb of lockstepctl shares: the instance, output as JSON, and how a verb
 * refuses.
 *
 * Exit codes: 0 done; 1 the request was understood and refused or failed; 2 wrong usage; 3 a wait
 * ran out of time. */
#ifndef LS_CONTROL_CLI_H
#define LS_CONTROL_CLI_H

#include <stdbool.h>

#include "ipc/base.h"
#include "ipc/rc.h"

#define CTL_DONE    0
#define CTL_FAILED  1
#define CTL_USAGE   2
#define CTL_TIMEOUT 3

struct ctl_cli {
    const char *instance; /* name of the instance, "main" unless --instance or LOCKSTEP_INSTANCE */
    const char *key_file; /* key that seals tokens; NULL = the instance's default */
    bool json;            /* --json: one JSON document or one object per line on stdout */
    bool color;           /* stdout is a terminal and NO_COLOR is not set */
};

/* A verb: argv[0] is its own name. Returns an exit code. */
struct ctl_verb {
    const char *name;
    const char *arguments; /* for --help: "publish FILE [--override]" */
    const char *summary;   /* one line */
    int (*run)(const struct ctl_cli *cli, int argc, char **argv);
};

/* ctl_refuse prints "lockstepctl: <sentence>" to stderr and returns CTL_FAILED. */
int ctl_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ctl_usage prints what is wrong and how to see the help, returns CTL_USAGE. */
int ctl_usage(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

int ctl_snapshot_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_token_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_instruments_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_calendar_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_flatten_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_limits_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_breaker_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_catch_up_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_resolve_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_reconcile_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_positions_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_reasons_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_sub_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_switch_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_price_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_account_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_shm_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_top_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_metrics_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_orders_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_journal_main(const struct ctl_cli *cli, int argc, char **argv);
int ctl_why_main(const struct ctl_cli *cli, int argc, char **argv);

#endif
