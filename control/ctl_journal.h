/* ctl_journal.h: what `lockstepctl journal` and `lockstepctl why` share: options, and readers of
 * one or all shards. The verbs' entry points are declared in control/cli.h. */
#ifndef LS_CONTROL_CTL_JOURNAL_H
#define LS_CONTROL_CTL_JOURNAL_H

#include "control/cli.h"
#include "ipc/journal_text.h"
#include "ipc/region.h"

#define CTL_SHARDS_MAX 64u

struct ctl_journal_options {
    bool help, follow;
    bool has_shard;
    uint32_t shard;
    uint64_t from_lsn, to_lsn; /* to_lsn: UINT64_MAX = no end */
    uint32_t type;             /* enum ipc_fact_type, 0 = all */
    const char *disk;     /* --disk: the instance's directory of journals on disk; NULL = as the
                             journal in memory says */
    const char *words[4]; /* what is no option */
    int word_count;
};

/* ctl_journal_options_take reads the options of a verb.
 *   returns CTL_DONE, or CTL_USAGE after having complained */
int ctl_journal_options_take(
    const char *verb, int argc, char **argv, struct ctl_journal_options *out);

/* ctl_journal_reader_open opens a shard's journal for reading.
 *   returns as ipc_journal_reader_open */
LS_MUST_USE enum ipc_rc ctl_journal_reader_open(const struct ctl_cli *cli,
    const struct ctl_journal_options *options, uint32_t shard, struct ipc_journal_reader **out,
    struct ipc_error *error);

/* ctl_verify_run is `lockstepctl journal verify`.
 *   returns CTL_DONE; CTL_FAILED when a shard's journal is damaged or does not add up, or there is
 *           none */
int ctl_verify_run(const struct ctl_cli *cli, const struct ctl_journal_options *options);

#endif
