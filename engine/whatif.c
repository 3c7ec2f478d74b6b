/* lockstep-whatif: what the engine would decide. Reads cases, asks eng_judge, writes answers; or
 * asks a core of its own about one order, with what a live instance has on record. Sends nothing
 * and writes nothing but its answer. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config.h"
#include "engine/whatif_file.h"
#include "engine/whatif_live.h"
#include "version.h"

static const char usage[] =
    "Usage: lockstep-whatif [FILE]\n"
    "       lockstep-whatif --cases FILE.csv [--known FILE.csv]\n"
    "       lockstep-whatif --live [--instance NAME] [--shard K] [--config FILE] [ORDER.json|-]\n"
    "\n"
    "Says what the engine would do for one follower: one JSON object a line in (shape, mode,\n"
    "params, master_event, follower_state; standard input without FILE), one a line out (action,\n"
    "orders, reason_code, explain and what the case asks for). Nothing is sent.\n"
    "\n"
    "  --cases FILE.csv  run a case file: columns id, shape, mode, params, master_event,\n"
    "                    follower_state, expected; a row per difference, then the count. Rows of\n"
    "                    shape 'scenario' are skipped\n"
    "  --known FILE.csv  rows that are skipped because the case is wrong: id, arithmetic\n"
    "\n"
    "  --live            one order of a master, as JSON: what would happen now, for every follower "
    "of\n"
    "                    the published snapshot: positions, working orders and day figures from "
    "the\n"
    "                    journal, switches, prices and money from their pages, every connection\n"
    "                    ready. The fields are those of lockstep-ingest ndjson; 'account' (or\n"
    "                    'master'), symbol or token, side, product and qty are required, and "
    "without\n"
    "                    a status it is an order of this moment. A table on a terminal, else a "
    "JSON\n"
    "                    object per follower: follower, login, action, orders, reason_code, "
    "explain\n"
    "  --instance NAME   whose snapshot and journal (default: the configuration's, else main)\n"
    "  --shard K         only the followers of this shard\n"
    "  --config FILE     the engine's configuration, where its limits or price bands are its own\n"
    "  --json            JSON on a terminal too\n"
    "\n"
    "  --version, --help\n"
    "\n"
    "Exit: 0 all answered, or all cases passed; 1 a line could not be answered, or a case\n"
    "differs, or the order changes nothing; 2 wrong use, or something that cannot be read.\n";

struct options {
    const char *cases, *known, *file;
    bool is_live;
    struct whatif_live_options live;
};

static bool options_agree(const struct options *options)
{
    const struct whatif_live_options *live = &options->live;
    if (options->is_live)
        return options->cases == NULL && options->known == NULL;
    return (options->cases == NULL || options->file == NULL) &&
           (options->known == NULL || options->cases != NULL) && live->instance == NULL &&
           live->config == NULL && live->shard < 0 && !live->json;
}

static bool parse_shard(const char *text, int *out)
{
    char *end = NULL;
    long number = strtol(text, &end, 10);
    *out = (int)number;
    return *text >= '0' && *text <= '9' && *end == '\0' && number < ENG_SHARD_MAX;
}

/* returns  -1 to go on, else the exit code */
static int parse_options(int argc, char **argv, struct options *options)
{
    enum { OPT_VERSION = 256, OPT_HELP, OPT_LIVE, OPT_JSON };
    static const struct option names[] = {
        {"cases", required_argument, NULL, 'c'},
        {"known", required_argument, NULL, 'k'},
        {"live", no_argument, NULL, OPT_LIVE},
        {"instance", required_argument, NULL, 'i'},
        {"shard", required_argument, NULL, 's'},
        {"config", required_argument, NULL, 'f'},
        {"json", no_argument, NULL, OPT_JSON},
        {"version", no_argument, NULL, OPT_VERSION},
        {"help", no_argument, NULL, OPT_HELP},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.live.shard = -1};
    for (;;) {
        int option = getopt_long(argc, argv, "", names, NULL);
        switch (option) {
        case -1:
            if (optind < argc)
                options->file = argv[optind++];
            if (optind < argc || !options_agree(options)) {
                (void)fputs(usage, stderr);
                return 2;
            }
            return -1;
        case 'c':
            options->cases = optarg;
            break;
        case 'k':
            options->known = optarg;
            break;
        case OPT_LIVE:
            options->is_live = true;
            break;
        case OPT_JSON:
            options->live.json = true;
            break;
        case 'i':
            options->live.instance = optarg;
            break;
        case 'f':
            options->live.config = optarg;
            break;
        case 's':
            if (!parse_shard(optarg, &options->live.shard)) {
                (void)fprintf(stderr, "lockstep-whatif: --shard %s: give a number from 0 to %u\n",
                    optarg, ENG_SHARD_MAX - 1);
                return 2;
            }
            break;
        case OPT_VERSION:
            (void)printf("lockstep-whatif %s (%s)\n", LS_VERSION, LS_COMMIT);
            return 0;
        case OPT_HELP:
            (void)fputs(usage, stdout);
            return 0;
        default:
            (void)fputs("try --help\n", stderr);
            return 2;
        }
    }
}

int main(int argc, char **argv)
{
    struct options options;
    int code = parse_options(argc, argv, &options);
    if (code >= 0)
        return code;
    if (options.is_live) {
        options.live.file = options.file;
        return whatif_live(&options.live);
    }
    if (options.cases != NULL)
        return whatif_cases(options.cases, options.known);
    if (options.file == NULL)
        return whatif_lines(stdin, "standard input");
    FILE *in = fopen(options.file, "re");
    if (in == NULL) {
        (void)fprintf(
            stderr, "lockstep-whatif: %s cannot be opened: %s\n", options.file, strerror(errno));
        return 2;
    }
    code = whatif_lines(in, options.file);
    (void)fclose(in);
    return code;
}
