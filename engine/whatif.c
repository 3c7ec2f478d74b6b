/* lockstep-whatif: what the engine would decide. Reads cases, asks eng_judge, writes answers; sends
 * nothing and attaches to nothing. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "engine/whatif_file.h"
#include "version.h"

static const char usage[] =
    "Usage: lockstep-whatif [FILE]\n"
    "       lockstep-whatif --cases FILE.csv [--known FILE.csv]\n"
    "\n"
    "Says what the engine would do for one follower: one JSON object a line in (shape, mode,\n"
    "params, master_event, follower_state; standard input without FILE), one a line out (action,\n"
    "orders, reason_code, explain and what the case asks for). Nothing is sent.\n"
    "\n"
    "  --cases FILE.csv  run a case file: columns id, shape, mode, params, master_event,\n"
    "                    follower_state, expected; a row per difference, then the count. Rows of\n"
    "                    shape 'scenario' are skipped\n"
    "  --known FILE.csv  rows that are skipped because the case is wrong: id, arithmetic\n"
    "  --version, --help\n"
    "\n"
    "Exit: 0 all answered, or all cases passed; 1 a line could not be answered, or a case\n"
    "differs; 2 wrong use, or a file that cannot be read.\n";

struct options {
    const char *cases, *known, *file;
};

/* returns  -1 to go on, else the exit code */
static int parse_options(int argc, char **argv, struct options *options)
{
    enum { OPT_VERSION = 256, OPT_HELP };
    static const struct option names[] = {
        {"cases", required_argument, NULL, 'c'},
        {"known", required_argument, NULL, 'k'},
        {"version", no_argument, NULL, OPT_VERSION},
        {"help", no_argument, NULL, OPT_HELP},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){0};
    for (;;) {
        int option = getopt_long(argc, argv, "", names, NULL);
        switch (option) {
        case -1:
            if (optind < argc)
                options->file = argv[optind++];
            if (optind < argc || (options->cases != NULL && options->file != NULL) ||
                (options->known != NULL && options->cases == NULL)) {
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
