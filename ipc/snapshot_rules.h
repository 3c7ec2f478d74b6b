/* snapshot_rules.h: shared by the two halves of ipc_snapshot_validate: rows on their own
 * (snapshot_validate.c) and rows together (snapshot_relations.c). */
#ifndef LS_IPC_SNAPSHOT_RULES_H
#define LS_IPC_SNAPSHOT_RULES_H

#include "ipc/accounts.h"
#include "ipc/prices.h"
#include "ipc/snapshot.h"

/* Bounds beyond any real market, so that products of two stay far inside 128 bits and sums of
 * millions inside 64 or are seen to stop there. */
#define IPC_QTY_E8_MAX        (INT64_C(1000000000) * LS_E8)
#define IPC_RATIO_E8_MAX      (INT64_C(10000) * LS_E8)
#define IPC_FOLLOWER_NO_LIMIT UINT32_C(60466176) /* 36^5 */

#define IPC_PRODUCT_BITS                                                                           \
    ((1u << IPC_PRODUCT_MIS) | (1u << IPC_PRODUCT_CNC) | (1u << IPC_PRODUCT_NRML) |                \
        (1u << IPC_PRODUCT_MTF))
#define IPC_TYPE_BITS                                                                              \
    ((1u << IPC_TYPE_MARKET) | (1u << IPC_TYPE_LIMIT) | (1u << IPC_TYPE_SL) | (1u << IPC_TYPE_SLM))
#define IPC_SIDE_BITS ((1u << IPC_SIDE_BUY) | (1u << IPC_SIDE_SELL))

/* Sets "table X, row N: problem" and returns IPC_BAD_INPUT. */
enum ipc_rc ipc_row_refused(
    struct ipc_error *error, const char *table, uint32_t row, const char *problem);

/* A NUL-padded field that is not empty: printable ASCII that needs no escape; decimal digits. */
LS_MUST_USE bool ipc_row_text_plain(const char *field, size_t bytes);
LS_MUST_USE bool ipc_row_text_digits(const char *field, size_t bytes);

/* A date as 20261121, of any year that an instrument can have. */
LS_MUST_USE bool ipc_row_date_fits(uint32_t yyyymmdd);

/* What ties a follower to its accounts, or NULL. A retired row must have it while it stands in its
 * master's run of slots: exits still reach it there. */
const char *ipc_row_follower_ties_problem(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row);

/* Policies, symbol maps, contracts, sessions, and what followers name of them. Accounts,
 * instruments and followers have passed on their own. */
LS_MUST_USE enum ipc_rc ipc_snapshot_check_policies(
    const struct ipc_snapshot_view *view, struct ipc_error *error);

/* Uniqueness, shards, runs of slots, lists, chains. Every row has passed on its own. */
LS_MUST_USE enum ipc_rc ipc_snapshot_check_relations(
    const struct ipc_snapshot_view *view, void *scratch, struct ipc_error *error);

#endif
