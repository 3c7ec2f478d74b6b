/* snapshot_private.h: what the three parts of reading a snapshot file share: rows that grow,
 * getters that complain. */
#ifndef LS_CONTROL_SNAPSHOT_PRIVATE_H
#define LS_CONTROL_SNAPSHOT_PRIVATE_H

#include "control/document.h"
#include "control/name_map.h"
#include "control/snapshot_file.h"

#define ACCOUNT_MAX     (1u << 20)
#define INSTRUMENT_MAX  (1u << 18)
#define SLOT_MAX        (1u << 20)
#define FOLLOWER_NO_MAX 60466175u /* 36^5 - 1 */
#define TOKEN_BYTES_MAX 3072u
#define QTY_E8_MAX      (INT64_C(50000000) * LS_E8)
#define MONEY_E8_MAX    (INT64_C(10000000000) * LS_E8)

/* A vector of plain rows. */
struct ctl_rows {
    void *at;
    uint32_t count, room, bytes;
};

/* ctl_rows_reach makes the vector hold at least `count` rows, new ones zero, and returns the last.
 */
void *ctl_rows_reach(struct ctl_rows *rows, uint32_t count);

/* Everything that is gathered from one file. */
struct ctl_reading {
    const struct ctl_document *document;
    const struct ipc_snapshot_image *live;
    const struct ipc_seal_key *key;
    struct ipc_secret_arena *arena;
    struct ipc_error *error;
    struct ipc_row_cluster cluster;
    struct ctl_rows brokers, accounts, tokens, instruments, followers, masters, slots, lists, items;
    struct ctl_rows policies, maps, map_items, contracts, sessions;
    uint32_t token_row_bytes;
    struct ctl_name_map broker_names, logins, symbols, live_numbers;
    struct ctl_name_map map_names; /* of "symbol_maps": 1 + index, 0 of an empty one */
    struct ctl_name_map shared;    /* contents of lists, policies and maps */
    char *secret;                  /* TOKEN_BYTES_MAX + 1 bytes of the arena */
};

#define CTL_COMPLAIN(r, value, ...)                                                                \
    (ctl_document_complain((r)->document, (value), (r)->error, __VA_ARGS__), IPC_BAD_INPUT)

/* Getters of optional fields: IPC_NOT_FOUND when absent, IPC_BAD_INPUT with the complaint made.
 * `ctl_read_failed` passes an absent one, `ctl_read_need` complains about it. */
bool ctl_read_failed(enum ipc_rc rc);
enum ipc_rc ctl_read_need(
    const struct ctl_reading *r, uint32_t object, const char *key, enum ipc_rc rc);
enum ipc_rc ctl_read_u32(struct ctl_reading *r, uint32_t object, const char *key, uint32_t low,
    uint32_t high, uint32_t *out);
enum ipc_rc ctl_read_u16(struct ctl_reading *r, uint32_t object, const char *key, uint16_t low,
    uint16_t high, uint16_t *out);
enum ipc_rc ctl_read_text(
    struct ctl_reading *r, uint32_t object, const char *key, char *out, size_t out_bytes);
enum ipc_rc ctl_read_e8(struct ctl_reading *r, uint32_t object, const char *key, int64_t low,
    int64_t high, int64_t *out);
enum ipc_rc ctl_read_flag(
    struct ctl_reading *r, uint32_t object, const char *key, bool fallback, bool *out);

/* snapshot_rows.c: one element of "brokers", "accounts", "instruments"; the live instruments taken
 * over; the live contracts of what is left of instruments and brokers taken over. */
enum ipc_rc ctl_read_broker(struct ctl_reading *r, uint32_t object);
enum ipc_rc ctl_read_account(struct ctl_reading *r, uint32_t object);
enum ipc_rc ctl_read_instrument(struct ctl_reading *r, uint32_t object);
void ctl_keep_instruments(struct ctl_reading *r);
void ctl_keep_contracts(struct ctl_reading *r);

/* ctl_find_symbol reads an instrument's name: "ACC-EQ", "NSE:ACC-EQ", or "#12", its number. */
enum ipc_rc ctl_find_symbol(
    const struct ctl_reading *r, uint32_t value, const char *symbol, uint32_t *instrument);

/* Sessions of the live generation go on: the file has none. */
void ctl_keep_sessions(struct ctl_reading *r);

/* snapshot_shared.c: what several followers name: instrument lists, policies, symbol maps. Equal
 * ones are one row. Each returns 1 + index, or 0 for an empty one; `ids` ascend, items ascend by
 * `from`. ctl_shared_order puts the rows in the order in which slots name them and drops those that
 * nobody names, so that equal followers make equal tables, whatever order the file has. */
uint32_t ctl_share_list(struct ctl_reading *r, const uint32_t *ids, uint32_t count);
uint32_t ctl_share_policy(struct ctl_reading *r, const struct ipc_row_policy *policy);
uint32_t ctl_share_map(struct ctl_reading *r, const struct ipc_row_map_item *items, uint32_t count);
void ctl_shared_order(struct ctl_reading *r);
/* "symbol_maps" of the file. */
enum ipc_rc ctl_read_symbol_maps(struct ctl_reading *r);

/* snapshot_subscriptions.c: live rows come over retired, those that the file names come back to
 * life in their slots; one element of "subscriptions"; those that ended stay in their master's run;
 * accounts that share a login or a source address share a shard. */
void ctl_retire_live(struct ctl_reading *r);
enum ipc_rc ctl_read_subscription(struct ctl_reading *r, uint32_t object);
enum ipc_rc ctl_list_retired(struct ctl_reading *r);
enum ipc_rc ctl_check_shards(struct ctl_reading *r);

#endif
