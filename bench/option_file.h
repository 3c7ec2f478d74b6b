/* option_file.h: `--config FILE` for programs whose configuration is their options: a YAML mapping
 * whose keys are the long options, read before the command line, which goes first. Main thread;
 * allocates. */
#ifndef LS_BENCH_OPTION_FILE_H
#define LS_BENCH_OPTION_FILE_H

#include <getopt.h>

#include "ipc/base.h"
#include "ipc/rc.h"

#define BENCH_OPTION_NAMES_MAX 24

/* bench_option_file puts the options of the file that argv names by --config FILE (or
 * --config=FILE) in front of argv's own, and takes --config out. Without --config argv stays as it
 * is. names    getopt's table, ended by a NULL name; `config` must not be in it. An option without
 * an argument is true or false in the file argc     in and out argv     in and out; a new array
 * lives until the program ends returns  IPC_OK; IPC_BAD_INPUT with a sentence that names file, line
 * and field */
LS_MUST_USE enum ipc_rc bench_option_file(
    const struct option *names, int *argc, char ***argv, struct ipc_error *error);

#endif
