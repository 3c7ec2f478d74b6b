/* instruments_freeze.h: the largest quantity of one order, as the exchange publishes it. Brokers'
 * contract files do not have it.
 *
 * Two kinds of file, told apart by their header: a list per underlying (NSE's qtyfreeze.csv:
 * SYMBOL, VOL_FRZ_QTY), and bands of an index's level (FROM, UP_TO, QUANTITY_FREEZE_LIMIT), which
 * count for derivatives of an index whose level is told. Where both speak, the smaller counts.
 * Control plane; one thread. */
#ifndef LS_CONTROL_INSTRUMENTS_FREEZE_H
#define LS_CONTROL_INSTRUMENTS_FREEZE_H

#include "adapters/broker/contract.h"
#include "control/name_map.h"
#include "ipc/rc.h"

#define CTL_FREEZE_BANDS 64u

struct ctl_freeze_band {
    uint8_t exchange;
    int64_t from_e8, to_e8, qty_e8; /* the level in [from, to + 1) */
};

struct ctl_freeze_item {
    int64_t qty_e8;   /* 0 = not in a list */
    int64_t level_e8; /* 0 = not told */
};

struct ctl_freeze {
    struct ctl_name_map names; /* "NFO:NIFTY" to an item */
    struct ctl_freeze_item *items;
    uint32_t item_count, item_room, listed;
    struct ctl_freeze_band bands[CTL_FREEZE_BANDS];
    uint32_t band_count;
};

void ctl_freeze_init(struct ctl_freeze *freeze);
void ctl_freeze_free(struct ctl_freeze *freeze);

/* ctl_freeze_read adds a file.
 *   spec     "FILE", which is of NFO, or "EXCHANGE:FILE"
 *   returns  IPC_OK; IPC_BAD_INPUT with "file:line: what is wrong" */
LS_MUST_USE enum ipc_rc ctl_freeze_read(
    struct ctl_freeze *freeze, const char *spec, struct ipc_error *error);

/* ctl_freeze_level tells an index's level: "NIFTY=24615.5" (of NFO) or "BFO:SENSEX=80620". */
LS_MUST_USE enum ipc_rc ctl_freeze_level(
    struct ctl_freeze *freeze, const char *spec, struct ipc_error *error);

/* ctl_freeze_qty_e8 returns the limit of a contract, 0 when nothing is said about it. */
int64_t ctl_freeze_qty_e8(const struct ctl_freeze *freeze, const struct adp_contract *contract);

#endif
