/* lockstepctl reasons: every reason code, what it means and what to do. */
#include <stdio.h>
#include <string.h>

#include "control/cli.h"
#include "control/ctl_common.h"
#include "ipc/reason.h"

static void print_one(const struct ctl_cli *cli, enum ipc_reason reason, bool first)
{
    char means[256], advice[256];
    if (!cli->json) {
        printf("%-24s %s\n%-24s -> %s\n", ipc_reason_name(reason), ipc_reason_sentence(reason), "",
            ipc_reason_advice(reason));
        return;
    }
    ctl_json_escape(ipc_reason_sentence(reason), means, sizeof(means));
    ctl_json_escape(ipc_reason_advice(reason), advice, sizeof(advice));
    printf("%s{\"code\":%u,\"name\":\"%s\",\"means\":\"%s\",\"do\":\"%s\"}", first ? "" : ",\n",
        (unsigned)reason, ipc_reason_name(reason), means, advice);
}

int ctl_reasons_main(const struct ctl_cli *cli, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        puts("Usage: lockstepctl reasons [NAME] [--json]\n\n"
             "Every reason why a copy is not, or is less than, what was asked: its name, what it\n"
             "means, and what can be done. Orders, 'why' and what-if name them.");
        return CTL_DONE;
    }
    if (argc > 2)
        return ctl_usage("reasons", "takes one NAME or none");
    bool first = true;
    if (cli->json)
        fputs("[", stdout);
    for (uint32_t i = 0; i < IPC_REASON_COUNT; i++) {
        enum ipc_reason reason = (enum ipc_reason)i;
        if (strcmp(ipc_reason_name(reason), "?") == 0 ||
            (argc == 2 && strcmp(ipc_reason_name(reason), argv[1]) != 0))
            continue;
        print_one(cli, reason, first);
        first = false;
    }
    if (cli->json)
        puts("]");
    return first ? ctl_refuse("there is no reason '%s'", argv[1]) : CTL_DONE;
}
