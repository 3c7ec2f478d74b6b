/* instruments_merge.h: contract files put into the instrument and contract tables.
 *
 * What always holds: an id is never given to another contract; a contract that is known keeps its
 * id through every change of lot, tick, freeze quantity, token and symbol; one that a broker's
 * files no longer have is marked, never removed. Per-broker contracts stand in the table only where
 * brokers differ: an instrument that every live broker lists alike has none.
 * Control plane; one thread. */
#ifndef LS_CONTROL_INSTRUMENTS_MERGE_H
#define LS_CONTROL_INSTRUMENTS_MERGE_H

#include "control/instruments_file.h"
#include "control/instruments_freeze.h"
#include "control/snapshot_private.h"

#define CTL_EVERY_BROKER (-1)

/* What changed of contracts that were known: one item per exchange, underlying, field, old and new
 * value. */
enum ctl_change_field { CTL_CHANGE_LOT, CTL_CHANGE_TICK, CTL_CHANGE_FREEZE };
struct ctl_change {
    uint8_t exchange, field;
    int16_t broker; /* or CTL_EVERY_BROKER */
    int64_t old_e8, new_e8;
    uint32_t contracts, example; /* how many; id of the first */
    char underlying[24];
};

struct ctl_merge_counts {
    uint32_t added, returned, vanished, expired; /* vanished before its expiry; after it */
    uint32_t tokens_changed, symbols_changed;
    uint32_t in_file_expired; /* rows of the files whose expiry is past */
    uint32_t without_freeze;  /* derivatives of the files with no freeze quantity known */
    uint32_t contract_rows;   /* rows of the contract table */
    uint32_t differing;       /* instruments whose lot or tick differs between brokers */
};

struct ctl_merge {
    struct ctl_rows instruments; /* struct ipc_row_instrument, the new table */
    struct ctl_rows contracts;   /* struct ipc_row_contract, the new table after finish */
    struct ctl_rows changes;     /* struct ctl_change */
    struct ctl_merge_counts counts;
    uint32_t today_yyyymmdd;
    uint64_t brokers; /* live ones, by bit */
    /* private */
    const struct ctl_freeze *freeze;
    struct ctl_row_index index;    /* contracts by key */
    struct ctl_rows heads, links;  /* per instrument: its first row of `contracts` + 1; next ones */
    struct ctl_name_map freezes;   /* freeze quantities that are in force, by underlying */
    struct ctl_rows freeze_values; /* int64_t */
    bool override;
};

/* ctl_merge_init starts from the tables in force.
 *   live      the view in force; not kept
 *   freeze    the exchange's lists; outlives the merge. A derivative that they do not name keeps
 * its quantity; a new one takes that of its underlying today     of the market's day override  a
 * person lets pass that more than half of an exchange vanishes */
void ctl_merge_init(struct ctl_merge *merge, const struct ipc_snapshot_view *live,
    const struct ctl_freeze *freeze, uint32_t today_yyyymmdd, bool override);
void ctl_merge_free(struct ctl_merge *merge);

/* ctl_merge_add puts all that one broker lists in. What it lists of an exchange is taken as all of
 * it: known contracts of that exchange that it does not have are marked.
 *   broker   a live broker's number, or CTL_EVERY_BROKER: the files speak for all
 *   returns  IPC_OK; IPC_BAD_INPUT with a sentence: a freeze quantity below the lot, ids used up,
 *            files for every broker although brokers differ; IPC_REFUSED more than half of what an
 *            exchange still lists would vanish */
LS_MUST_USE enum ipc_rc ctl_merge_add(struct ctl_merge *merge, int broker,
    const struct ctl_contract_set *set, struct ipc_error *error);

/* ctl_merge_finish makes `contracts` the new table: ascending, and only where brokers differ. */
void ctl_merge_finish(struct ctl_merge *merge);

#endif
