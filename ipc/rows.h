/* rows.h: the rows of the snapshot's tables. Written by whoever publishes (lockstepctl, lockstepd),
 * copied and bounded by the engine's porter before anything uses them. Fixed layout, no padding,
 * zero means "not set".
 *
 * Rows are addressed by slot or by dense id; a slot belongs to one subscription for its life, and a
 * reused slot has another follower number or incarnation: state is keyed by these, never by the
 * slot alone. */
#ifndef LS_IPC_ROWS_H
#define LS_IPC_ROWS_H

#include "ipc/policy.h"
#include "ipc/vocab.h"

/* Identity and firm-wide settings of one snapshot. One row. */
struct ipc_row_cluster {
    char cluster_id[64]; /* NUL-padded; the same on every host that may own a follower; part of
                            every key */
    int64_t guard_fraction_e8; /* blast-radius guard: largest change of a total, a fraction of the
                                  last generation; 0 = 0.5 */
    uint32_t shard_count;      /* shards that this snapshot serves, [1, 64] */
    uint32_t reserved[13];
};
_Static_assert(sizeof(struct ipc_row_cluster) == 128, "cluster row");

/* One broker endpoint. Index = broker number, [0, 64). */
struct ipc_row_broker {
    char name[IPC_NAME_BYTES]; /* what people call it, unique */
    char dialect[16];          /* "alice-blue" */
    char host[96];             /* DNS name or address to connect to */
    char authority[96];        /* :authority and TLS name; empty = host[:port] */
    char ca_file[128];         /* trust anchors of this broker; empty = the system's */
    char base_path[64];        /* put before every path, usually empty */
    uint16_t port;
    uint16_t live;             /* 1 = row in use */
    uint16_t pool_connections; /* shared pool: connections per source address, [1, 1024]; 0 = 8 */
    uint16_t alpn;             /* 0 = h2 and http/1.1 offered, 1 = h2 only, 2 = http/1.1 only */
    uint32_t requests_per_connection;   /* rotate before this many; 0 = 900 */
    uint32_t connects_per_second;       /* reconnect cap; 0 = 50 */
    uint32_t reply_timeout_ms;          /* 0 = 5000 */
    uint32_t orders_per_second;         /* per account and exchange; 0 = dialect's */
    uint32_t orders_per_minute;         /* 0 = dialect's */
    uint32_t orders_per_day;            /* 0 = dialect's */
    uint32_t address_orders_per_second; /* per source address; 0 = not limited */
    uint32_t ping_interval_ms;          /* 0 = 1000 */
    uint32_t keepalive_get_ms;          /* cheap GET inside the idle limit; 0 = 20000 */
    uint32_t flags;                     /* IPC_BROKER_* */
    uint32_t fee_turnover_e8; /* charged on the value of fills: a fraction, e8; for money limits */
    uint32_t fee_order_e4;    /* charged for an order with a fill: money, e4 */
    uint32_t reserved[4];
};
#define IPC_BROKER_TRUST_GOAWAY         1u
#define IPC_BROKER_TRUST_REFUSED_STREAM 2u
#define IPC_BROKER_NO_PACING            4u /* measurements only */
_Static_assert(sizeof(struct ipc_row_broker) == 512 - 8, "broker row");

/* One account: a login at a broker. Index = dense account number - 1. */
struct ipc_row_account {
    uint32_t account; /* ipc_account_id, 0 = row not in use */
    uint16_t broker;  /* broker number */
    uint16_t shard;
    uint8_t roles;              /* IPC_ROLE_* */
    uint8_t lanes;              /* enum ipc_lanes */
    uint8_t flags;              /* IPC_ACCOUNT_* */
    uint8_t source_family;      /* 0 = any address, 4 or 6 */
    uint32_t token_bytes;       /* sealed length in the token table; 0 = no token */
    uint8_t source_address[16]; /* network order; IPv4 in the first 4 bytes */
    char login[IPC_NAME_BYTES]; /* the broker's client id, NUL-padded, unique per broker */
    char name[IPC_NAME_BYTES];  /* for people */
    uint64_t token_version;     /* raised by every `token set` */
    uint32_t poll_interval_ms;  /* ingest's book poll; 0 = default */
    uint32_t open_orders_max;   /* working copies of all its subscriptions; 0 = the engine's */
};
#define IPC_ACCOUNT_API_TRADER 1u /* a master whose own orders come from an API source */
#define IPC_ACCOUNT_CHAINING   2u /* orders that carry our tag are master orders too */
#define IPC_ACCOUNT_DISABLED   4u
_Static_assert(sizeof(struct ipc_row_account) == 112, "account row");

/* One instrument. Index = dense instrument id - 1, ids never reused. */
struct ipc_row_instrument {
    uint32_t instrument;   /* ipc_instrument_id, 0 = row not in use */
    uint8_t exchange;      /* enum ipc_exchange */
    uint8_t kind;          /* enum ipc_instrument_kind */
    uint8_t right;         /* 'C', 'P' or 0 */
    uint8_t flags;         /* IPC_INSTRUMENT_* */
    int64_t lot_qty_e8;    /* >= 1e8 for whole units; quantities are multiples of it */
    int64_t tick_e8;       /* > 0 */
    int64_t freeze_qty_e8; /* largest quantity of one order; 0 = none */
    int64_t strike_e8;
    uint32_t expiry_yyyymmdd; /* 0 = none */
    uint32_t symbol_group;    /* same underlying: number of its group; 0 = none */
    char token[16];           /* the broker's exchange token, digits, NUL-padded */
    char symbol[32];          /* trading symbol, NUL-padded */
    char underlying[24];
};
/* No broker's newest contract file has it any more: entries are refused, exits go. It keeps its id,
 * and its token may belong to another instrument since. */
#define IPC_INSTRUMENT_GONE 1u
#define IPC_KIND_LIST(X)                                                                           \
    X(IPC_KIND_CASH, 1, "CASH")                                                                    \
    X(IPC_KIND_FUTURE, 2, "FUTURE")                                                                \
    X(IPC_KIND_OPTION, 3, "OPTION")                                                                \
    X(IPC_KIND_INDEX, 4, "INDEX")
IPC_DECLARE_ENUM(ipc_instrument_kind, IPC_KIND_LIST)
_Static_assert(sizeof(struct ipc_row_instrument) == 120, "instrument row");

/* One subscription: a follower account tied to one master. Index = permanent slot. 128 bytes: one
 * line pair. */
struct ipc_row_follower {
    uint32_t follower_no; /* ipc_follower_no, 0 = slot not in use */
    uint16_t incarnation; /* raised when the subscription is made anew */
    uint16_t broker;      /* of the account, copied here so that the wave reads one row */
    uint32_t account;     /* follower account */
    uint32_t master;      /* master account */
    uint8_t mode;         /* enum ipc_mode */
    uint8_t copy;         /* enum ipc_copy */
    uint8_t flags;        /* IPC_FOLLOWER_* */
    uint8_t products;     /* bit (1 << enum ipc_product); 0 = all */
    uint8_t types;        /* bit (1 << enum ipc_type); 0 = all */
    uint8_t sides;        /* bit (1 << enum ipc_side); 0 = both */
    uint16_t shard;
    int64_t ratio_e8;            /* FIXED_RATIO: multiplier; PERCENTAGE: percent of capital */
    int64_t fixed_qty_e8;        /* FIXED_QUANTITY */
    int64_t max_qty_e8;          /* per order; 0 = not set; reduces */
    int64_t max_order_value_e8;  /* per order, the follower's own value; 0 = not set; skips */
    int64_t max_position_e8;     /* per instrument; 0 = not set; reduces */
    uint32_t allowed_list;       /* 1 + index into the list table, 0 = all instruments */
    uint32_t denied_list;        /* 1 + index into the list table, 0 = none */
    uint32_t max_age_market_ms;  /* entries; 0 = 2000 */
    uint32_t max_age_limit_ms;   /* entries; 0 = 5000 */
    uint32_t capital_max_age_ms; /* PERCENTAGE; 0 = 60000 */
    uint32_t price_max_age_ms;   /* value caps and protection; 0 = 5000 */
    uint32_t policy;             /* 1 + index into the policy table; 0 = none of its settings */
    uint32_t map;                /* 1 + index into the symbol map table; 0 = no mapping */
    int64_t reserved[4];
};
#define IPC_FOLLOWER_ENABLED       1u
#define IPC_FOLLOWER_PAUSED        2u
#define IPC_FOLLOWER_ALLOW_SHORT   4u
#define IPC_FOLLOWER_CAP_SKIPS     8u  /* on_cap = skip for max_qty */
#define IPC_FOLLOWER_VALUE_REDUCES 16u /* on_cap = reduce for max_order_value */
#define IPC_FOLLOWER_RETIRED       32u /* ended; the row keeps its number so that nobody reuses it */
_Static_assert(sizeof(struct ipc_row_follower) == 128, "follower row");

/* What one of our instruments is at one broker, where brokers differ. Ascending by (instrument,
 * broker); an instrument without any such row is at every broker what its own row says; where it
 * has some, a broker without one does not know the instrument. An entry is refused,
 * INSTRUMENT_MISMATCH, unless the follower's and the master's contract agree in `identity`. */
struct ipc_row_contract {
    uint32_t instrument; /* ipc_instrument_id, never 0 */
    uint16_t broker;     /* broker number */
    uint16_t flags;      /* IPC_CONTRACT_* */
    uint64_t identity;   /* hash over exchange, segment, underlying, expiry, strike, right, lot and
                            tick as the broker's own file says */
    int64_t lot_qty_e8, tick_e8, freeze_qty_e8; /* as in the instrument's row */
    char token[16];
    char symbol[32];
};
/* The broker's newest contract file has it no more: entries are refused, exits go. */
#define IPC_CONTRACT_GONE 1u
_Static_assert(sizeof(struct ipc_row_contract) == 88, "contract row");

/* One line of a symbol map: what the follower trades instead. Runs ascend by `from`. */
struct ipc_row_map_item {
    uint32_t from, to; /* ipc_instrument_id */
    int64_t factor_e8; /* the quantity is multiplied by it; 0 = 1 */
};
_Static_assert(sizeof(struct ipc_row_map_item) == 16, "map item row");

/* One trading session of one exchange on one of the market's days, made by control from the market
 * calendar. Ascending by (exchange, open). A date that the calendar does not know has none. */
struct ipc_row_session {
    int64_t midnight_wall_ns; /* 00:00 of the market's day in the market's zone, UTC ns */
    int64_t open_wall_ns, close_wall_ns;
    int64_t intraday_cutoff_wall_ns; /* MIS entries stop; 0 = at the close */
    uint32_t yyyymmdd;               /* the market's day */
    uint8_t exchange;                /* enum ipc_exchange */
    uint8_t reserved[3];
};
_Static_assert(sizeof(struct ipc_row_session) == 40, "session row");

/* Followers of one master in one shard: a run of the slot table. */
struct ipc_row_master {
    uint32_t account; /* master account */
    uint32_t shard;
    uint32_t first; /* first entry in the slot table */
    uint32_t count;
};
_Static_assert(sizeof(struct ipc_row_master) == 16, "master row");

/* One instrument list (allowed or denied): a run of the list-item table, ascending ids. */
struct ipc_row_list {
    uint32_t first;
    uint32_t count;
};

/* ipc_snapshot_view: one adopted generation as the engine sees it, in the engine's own memory,
 * read-only. Every index in it has been bounds-checked by ipc_snapshot_validate. */
struct ipc_snapshot_view {
    uint64_t generation;
    const struct ipc_row_cluster *cluster;
    const struct ipc_row_broker *brokers;
    const struct ipc_row_account *accounts;
    const struct ipc_row_instrument *instruments;
    const struct ipc_row_follower *followers; /* by slot */
    const struct ipc_row_master *masters;
    const uint32_t *master_slots; /* slots, grouped by (master, shard), in dispatch order */
    const struct ipc_row_list *lists;
    const uint32_t *list_items;
    const uint8_t *tokens; /* sealed; row i belongs to account i + 1 */
    const struct ipc_row_policy *policies;
    const struct ipc_row_list *maps; /* runs of map_items */
    const struct ipc_row_map_item *map_items;
    const struct ipc_row_contract *contracts;
    const struct ipc_row_session *sessions;
    uint32_t policy_count, map_count, map_item_count, contract_count, session_count;
    uint32_t broker_count, account_count, instrument_count, follower_slots;
    uint32_t master_count, master_slot_count, list_count, list_item_count;
    uint32_t token_row_bytes;
};

#endif
