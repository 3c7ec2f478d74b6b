/* contract.h: what one instrument is at each broker: lot, tick, freeze quantity, token, symbol, and
 * whether two brokers mean the same contract by it (the identity guard of SEMANTICS 2 step 4).
 *
 * An instrument without rows in the contract table is at every broker what its own row says: the
 * common case, and one comparison a follower. Where it has rows, a broker without one does not know
 * it. Pure lookups in the adopted view; everything returned points into it and is good while it is
 * in force. */
#ifndef LS_ENGINE_CORE_CONTRACT_H
#define LS_ENGINE_CORE_CONTRACT_H

#include "ipc/reason.h"
#include "ipc/rows.h"

#define ENG_CONTRACT_BROKERS 64u

/* One instrument at all brokers; made once per batch. */
struct eng_contracts {
    const struct ipc_row_instrument *instrument; /* NULL = not in the snapshot */
    const struct ipc_row_contract *rows;         /* its run of the contract table */
    uint32_t count;                              /* 0 = at every broker as its own row says */
    uint8_t place[ENG_CONTRACT_BROKERS];         /* only with count > 0: 1 + index into rows, by
                                                    broker; 0 = not known there */
};

/* One instrument at one broker. */
struct eng_contract {
    int64_t lot_qty_e8, tick_e8;
    int64_t freeze_qty_e8; /* 0 = none */
    const char *token;     /* 16 bytes, NUL-padded */
    const char *symbol;    /* 32 bytes, NUL-padded */
    bool gone;             /* the broker's newest file has it no more: no entries */
};

/* eng_contracts_of finds an instrument's rows: O(log rows), no search when the table is empty.
 *   instrument   0, or an id that is not in the view: out->instrument is NULL */
void eng_contracts_of(
    const struct ipc_snapshot_view *view, uint32_t instrument, struct eng_contracts *out);

/* eng_contract_at says what it is at one broker.
 *   returns  false when the broker does not know it (*out is then unchanged) */
LS_MUST_USE bool eng_contract_at(
    const struct eng_contracts *contracts, uint32_t broker, struct eng_contract *out);

/* eng_contract_freeze_e8 is the smallest freeze quantity of all brokers, 0 = none: a slice of that
 * size is taken everywhere. */
int64_t eng_contract_freeze_e8(const struct eng_contracts *contracts);

/* eng_contract_bars is the guard.
 *   master    the broker number of the master's account; of an instrument that a symbol map put in
 *             place of the master's, the follower's broker: there is nothing to compare it with
 *   follower  the broker number of the follower's account
 *   is_exit   a reduction of what is held passes with any lot and tick, and while the contract is
 *             gone from the newest file, since only the broker may stop an exit (SEMANTICS 4.7); it
 *             needs the follower's broker to know the instrument, because a token of another broker
 *             may be another instrument
 *   returns   NONE; INSTRUMENT_UNKNOWN not in the snapshot, not known at the follower's broker, or
 *             gone; INSTRUMENT_MISMATCH the two contracts differ, or the master's is not known */
enum ipc_reason eng_contract_bars(
    const struct eng_contracts *contracts, uint32_t master, uint32_t follower, bool is_exit);

#endif
