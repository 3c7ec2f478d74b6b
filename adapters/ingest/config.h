/* config.h: what an ingest process is told before it starts: the YAML file given by --config, then
 * the options of the command line on top. conf/ingest.yaml has every field with its default.
 * Nothing here is secret: the seal key is named by its path only. */
#ifndef LS_ADAPTERS_INGEST_CONFIG_H
#define LS_ADAPTERS_INGEST_CONFIG_H

#include "ipc/log.h"
#include "ipc/rc.h"
#include "ipc/region.h"
#include "ipc/ring.h"

struct adp_ingest_config {
    char instance[IPC_INSTANCE_BYTES];         /* names the shared-memory directory */
    char producer[IPC_RING_PRODUCER_BYTES];    /* names the rings; empty = the subcommand's name */
    char key_file[256];                        /* opens sealed tokens; empty = by the instance */
    uint32_t ring_slots;                       /* of a ring that does not exist yet */
    uint32_t held_events;                      /* per ring, while the ring is full */
    uint32_t account_cells;                    /* of an accounts page that does not exist yet */
    uint32_t poll_master_ms, poll_follower_ms; /* where the account's row says nothing */
    uint32_t funds_ms;                         /* 0 = no funds calls */
    uint32_t parallel_requests;                /* under way at one time, all accounts together */
    uint32_t backoff_max_ms;
    /* The order socket. */
    uint32_t feed_book_ms;      /* book of an account whose feed is live */
    uint32_t feed_heartbeat_ms; /* at most the broker's own */
    uint32_t feed_ping_ms, feed_silence_ms;
    uint32_t feed_absent_most, feed_failed_most; /* in a row, then a pause of feed_retry_s */
    uint32_t feed_retry_s;
    uint32_t feed_connects_per_second; /* per broker */

    /* The market-data socket. */
    uint32_t market;                 /* 1 = prices are kept, except with --poll */
    uint32_t market_instruments_max; /* of one connection */
    uint32_t market_held_s;          /* accounts are asked so often what they hold; 0 = never */
    uint32_t price_cells;            /* of a prices page that does not exist yet */
    char market_account[32];         /* login whose session it is; empty = any, followers first */
    char market_socket[128];         /* host[:port]; empty = the broker's own */
    char market_instruments[2048];   /* wanted from the start: EXCHANGE:SYMBOL, blanks between */

    /* The webhook's server. */
    char hook_address[64];      /* bound; never a wildcard by default */
    uint32_t hook_port;         /* 0 = any free one (tests) */
    char hook_certificate[256]; /* PEM chain and key; empty = plain HTTP behind a proxy of ours */
    char hook_private_key[256];
    char hook_paths[256]; /* file of secret paths, 0400 */
    char hook_allow[512]; /* peers: addresses and networks, separated by blanks */
    uint32_t hook_body_bytes_max, hook_connections_max, hook_idle_s;
    char hook_url[256];      /* what the broker is to call, without the secret path */
    char hook_register[128]; /* host[:port] of the registration call; empty = the broker's */

    uint32_t memory_lock; /* 1 = refuse to start when memory cannot be locked */
    enum ipc_log_level log_level;
};

/* adp_ingest_config_defaults fills every field with its default. */
void adp_ingest_config_defaults(struct adp_ingest_config *config);

/* adp_ingest_config_load reads a YAML file over `config`; fields that it lacks keep their value.
 *   returns  IPC_OK; IPC_SYSTEM when the file cannot be read; IPC_BAD_INPUT with line or field in
 *            the sentence */
LS_MUST_USE enum ipc_rc adp_ingest_config_load(
    struct adp_ingest_config *config, const char *path, struct ipc_error *error);

/* adp_ingest_config_finish checks ranges and fills what depends on other fields.
 *   returns  IPC_OK or IPC_BAD_INPUT with the field named */
LS_MUST_USE enum ipc_rc adp_ingest_config_finish(
    struct adp_ingest_config *config, const char *subcommand, struct ipc_error *error);

#endif
