/* faults.h: scripted faults: which request meets one, and what it is. Decides only; broker.c
 * carries out.
 *
 * A set of rules is looked at in order for each request; the first rule that matches and fires is
 * the request's fault. Each rule has its own generator, made from the set's seed and the rule's
 * place, so the same requests in the same order meet the same faults. No clock, no socket, no
 * global. Main thread only. */
#ifndef LS_ADP_SIM_FAULTS_H
#define LS_ADP_SIM_FAULTS_H

#include "adapters/sim/api.h"

#include <jansson.h>

#define ADP_SIM_RULES_MAX 256

/* name in JSON, the words noted on the orders it met */
#define ADP_SIM_FAULT_LIST(X)                                                                      \
    X(ADP_SIM_FAULT_NONE, "none", NULL)                                                            \
    X(ADP_SIM_FAULT_DELAY, "delay", "reply delayed")                                               \
    X(ADP_SIM_FAULT_LATE_ACCEPT, "late_accept", "accepted late")                                   \
    X(ADP_SIM_FAULT_DROP_REPLY, "drop_reply", "never answered")                                    \
    X(ADP_SIM_FAULT_RESET, "reset", "connection reset")                                            \
    X(ADP_SIM_FAULT_REPLY, "reply", "scripted reply")                                              \
    X(ADP_SIM_FAULT_RST_STREAM, "rst_stream", "stream reset")                                      \
    X(ADP_SIM_FAULT_GOAWAY, "goaway", "goaway")                                                    \
    X(ADP_SIM_FAULT_DRIP, "drip", "reply dripped")                                                 \
    X(ADP_SIM_FAULT_SETTINGS, "settings", "settings changed")                                      \
    X(ADP_SIM_FAULT_TOKEN_EXPIRED, "token_expired", "token expired")                               \
    X(ADP_SIM_FAULT_BOOK_LAG, "book_lag", NULL)                                                    \
    X(ADP_SIM_FAULT_NO_PING, "no_ping", NULL)                                                      \
    X(ADP_SIM_FAULT_FREEZE, "freeze", "connection frozen")

enum adp_sim_fault_kind {
#define X(name, word, outcome) name,
    ADP_SIM_FAULT_LIST(X)
#undef X
        ADP_SIM_FAULT_COUNT
};

enum adp_sim_fault_body {
    ADP_SIM_BODY_JSON = 0,  /* an error in the broker's form */
    ADP_SIM_BODY_ORIGINAL,  /* what the broker would have said */
    ADP_SIM_BODY_TRUNCATED, /* the first half of that */
    ADP_SIM_BODY_HTML,
    ADP_SIM_BODY_GARBAGE,
    ADP_SIM_BODY_EMPTY,
    ADP_SIM_BODY_COUNT
};

enum adp_sim_last_stream {
    ADP_SIM_LAST_THIS = 0, /* the request's stream is covered */
    ADP_SIM_LAST_BEFORE,   /* the stream before it: the request counts as not processed */
    ADP_SIM_LAST_ALL,      /* the highest stream seen */
    ADP_SIM_LAST_NUMBER
};

/* Where a rule looks. CONNECT rules fire when a connection opens, NOW rules at once and are not
 * kept. */
enum adp_sim_fault_where {
    ADP_SIM_WHERE_ANY = 0,
    ADP_SIM_WHERE_ORDERS,
    ADP_SIM_WHERE_READS,
    ADP_SIM_WHERE_PATH,
    ADP_SIM_WHERE_CONNECT,
    ADP_SIM_WHERE_NOW
};

struct adp_sim_fault {
    /* match */
    char account[32]; /* empty: any */
    enum adp_sim_fault_where where;
    enum adp_sim_path path;
    uint64_t connection; /* 0: any */
    uint64_t nth;        /* only the nth matching request, from 1; 0: all */
    uint64_t every;      /* only each every-th matching request; 0: all */
    uint64_t times;      /* at most so often; 0: no bound */
    uint32_t probability_ppm;
    /* action */
    enum adp_sim_fault_kind kind;
    bool accept, answer, sticky;
    int64_t delay_ns, restore_ns, close_ns; /* restore and close: negative is never */
    int status;
    enum adp_sim_fault_body body;
    char location[128];
    uint32_t error_code, retry_after_s;
    enum adp_sim_last_stream last;
    int32_t last_stream;
    uint32_t header_table_bytes, initial_window_bytes, max_concurrent_streams;
    uint32_t drip_bytes;
    int64_t drip_every_ns;
    /* counted */
    uint64_t seen, fired;
    struct adp_sim_prng prng;
};

struct adp_sim_faults {
    uint64_t seed;
    uint32_t count;
    struct adp_sim_fault rules[ADP_SIM_RULES_MAX];
};

const char *adp_sim_fault_name(enum adp_sim_fault_kind kind);
const char *adp_sim_fault_outcome(enum adp_sim_fault_kind kind);

/* adp_sim_fault_parse reads one rule {"match":{...},"action":{...}} (README.md lists the fields).
 *   returns   false with a sentence in error that names the field */
LS_MUST_USE bool adp_sim_fault_parse(
    const json_t *rule, struct adp_sim_fault *out, char *error, size_t error_bytes);

/* adp_sim_faults_add appends a rule and seeds its generator; false when there are
 * ADP_SIM_RULES_MAX. */
LS_MUST_USE bool adp_sim_faults_add(
    struct adp_sim_faults *faults, const struct adp_sim_fault *rule);

/* adp_sim_faults_pick counts a request against the rules and returns the one that fires, or NULL.
 *   account   "" when the caller is unknown
 *   where     ADP_SIM_WHERE_CONNECT for a new connection, else ADP_SIM_WHERE_PATH with its path */
const struct adp_sim_fault *adp_sim_faults_pick(struct adp_sim_faults *faults, const char *account,
    enum adp_sim_fault_where where, enum adp_sim_path path, uint64_t connection);

/* adp_sim_faults_write appends the set as JSON, with counters. */
void adp_sim_faults_write(const struct adp_sim_faults *faults, struct adp_sim_text *out);

#endif
