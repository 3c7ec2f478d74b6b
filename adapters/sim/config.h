/* config.h: the simulator's configuration: a YAML file, overridden by the command line, and the
 * accounts. */
#ifndef LS_ADP_SIM_CONFIG_H
#define LS_ADP_SIM_CONFIG_H

#include "adapters/sim/broker.h"

struct adp_sim_config_holding {
    char *exchange, *symbol, *quantity, *price;
};

struct adp_sim_config_account {
    char *account, *token, *funds, *name;
    bool read_only;
    char *feed; /* what createWsToken answers: good, empty, html, 404; NULL is good */
    char **addresses;
    unsigned addresses_count;
    struct adp_sim_config_holding *holdings;
    unsigned holdings_count;
};

struct adp_sim_config_listen {
    char **addresses;
    unsigned addresses_count;
    uint16_t port;
};

struct adp_sim_config_admin {
    char *address;
    uint16_t port;
};

struct adp_sim_config_tls {
    char *certificate, *key, *min_version, *max_version;
    bool *h2;
};

struct adp_sim_config_limits { /* NULL: the default */
    uint32_t *orders_per_second, *reads_per_15_min;
};

struct adp_sim_config_latency {
    uint32_t min_us, mean_us;
};

struct adp_sim_config_feed {
    char *address;
    uint16_t port;
    uint32_t *heartbeat_ms, *tick_ms;
    enum adp_sim_market_ack { ADP_SIM_MARKET_CF = 0, ADP_SIM_MARKET_CK } market_ack;
    char *webhook_ca;
};

struct adp_sim_config_http2 {
    uint32_t *max_concurrent_streams, *initial_window_bytes, *connection_window_bytes,
        *header_table_bytes;
};

enum adp_sim_market_orders { ADP_SIM_MARKET_REFUSE = 0, ADP_SIM_MARKET_ACCEPT };

/* What the file says; absent values are NULL or 0. */
struct adp_sim_config {
    struct adp_sim_config_listen listen;
    struct adp_sim_config_admin admin;
    struct adp_sim_config_tls tls;
    struct adp_sim_config_limits limits;
    struct adp_sim_config_latency latency;
    struct adp_sim_config_http2 http2;
    struct adp_sim_config_feed feed;
    char *contracts, *accounts_file, *ports_file;
    struct adp_sim_config_account *accounts;
    unsigned accounts_count;
    uint64_t seed;
    enum adp_sim_market_orders market_orders;
    enum adp_sim_error_form error_form;
    bool short_delivery;
    uint32_t exchange_latency_ms, partial_fill_ppm, connections_max;
};

/* adp_sim_config_load reads a file.
 *   returns   the configuration, to be freed with adp_sim_config_free, or NULL with a sentence that
 * names line and field */
struct adp_sim_config *adp_sim_config_load(const char *path, struct adp_sim_error *error);
void adp_sim_config_free(struct adp_sim_config *config);

/* adp_sim_config_accounts adds the accounts of the file, then those of accounts_file (JSON), to
 * book and members. accounts_file  NULL, or a path that overrides the configuration's returns false
 * with a sentence that names file, account and field */
LS_MUST_USE bool adp_sim_config_accounts(const struct adp_sim_config *config,
    const char *accounts_file, struct adp_sim_book *book, struct adp_sim_members *members,
    struct adp_sim_error *error);

#endif
