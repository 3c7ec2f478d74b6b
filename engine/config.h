/* config.h: what an engine process is told before it starts: the file given by --config (YAML),
 * then the options of the command line on top.
 *
 * Read once by the main thread before any other thread runs; never changed afterwards. A value that
 * is not in the file has the default written in conf/engine.yaml. Nothing here is secret: the seal
 * key is named by its path only. */
#ifndef LS_ENGINE_CONFIG_H
#define LS_ENGINE_CONFIG_H

#include "engine/core/step.h"
#include "ipc/base.h"
#include "ipc/rc.h"

#define ENG_SHARD_MAX 64u

enum eng_idle {
    ENG_IDLE_AUTO = 0, /* adaptive below 4 cores, or when no core is given to the pinned thread */
    ENG_IDLE_SPIN = 1,
    ENG_IDLE_ADAPTIVE = 2, /* spin for spin_us, then sleep until a producer or a socket wakes it */
};

enum eng_io {
    ENG_IO_AUTO = 0, /* uring when the kernel has what we need, else epoll */
    ENG_IO_URING = 1,
    ENG_IO_EPOLL = 2,
};

enum eng_tier {
    ENG_TIER_PROCESS =
        0,              /* orders leave when their frame is in memory: survives any process death */
    ENG_TIER_POWER = 1, /* orders leave when their frame is on disk */
};

struct eng_config {
    char instance[32]; /* [a-z0-9-], names /dev/shm/lockstep.<instance> */
    uint32_t shard;    /* [0, ENG_SHARD_MAX) */

    int pinned_cpu, porter_cpu, scribe_cpu; /* -1 = not pinned */
    enum eng_idle idle;                     /* never AUTO after eng_config_finish */
    uint32_t spin_us;                       /* adaptive: idle turns for this long before sleeping */
    enum eng_io io;
    enum eng_tier tier;

    char key_file[256];  /* seal key, mode 0400; after eng_config_finish never empty */
    bool key_is_default; /* nobody named it: then it may be missing while no token needs it */
    char halt_file[256]; /* while it exists the engine halts itself; empty = <instance dir>/halt */

    char journal_directory[256]; /* disk copy */
    uint32_t journal_segment_bytes;
    uint32_t journal_segments; /* in memory */
    uint32_t checkpoint_kib;   /* of facts between two checkpoints at most */
    uint32_t checkpoint_s;     /* and so much time, if there were any */

    uint32_t follower_slots, accounts, brokers, instruments, masters;
    uint32_t master_orders, children, positions, master_positions, waves;
    uint32_t token_row_bytes; /* longest sealed token that a generation may carry */
    uint32_t connections;     /* sockets at one time */
    uint32_t rings;           /* rings of both classes together */
    uint32_t memory_lock;     /* 1 = refuse to start when memory cannot be locked */

    uint32_t books_per_broker;  /* order books that are read at one time, of one broker */
    uint32_t books_deadline_ms; /* from the start of a query to its last byte */

    uint32_t exit_share;            /* calls of a second that entries leave to exits */
    uint32_t pace_guard_ms;         /* added to the second of the sliding log */
    uint32_t exit_price_max_age_ms; /* what counts as a fresh price for an exit's limit */
    uint32_t replies_per_turn, events_per_turn, updates_per_turn;
    uint32_t orders_per_look; /* a wave is left after this many orders, or turn_budget_us */
    uint32_t turn_budget_us;

    uint32_t equity_band_count, option_band_count; /* market-price protection */
    struct eng_band equity_bands[ENG_BANDS_MAX];
    struct eng_band option_bands[ENG_BANDS_MAX];

    struct eng_controls_config controls; /* pre-trade controls of the whole shard */
};

/* eng_config_defaults fills every field with its default. */
void eng_config_defaults(struct eng_config *config);

/* eng_config_load reads a YAML file over `config` (fields that the file lacks keep their value).
 *   returns IPC_OK; IPC_SYSTEM when the file cannot be read; IPC_BAD_INPUT with line and field in
 *           *error, and then *config is unchanged
 *   thread  main, before the others start; allocates and frees */
LS_MUST_USE enum ipc_rc eng_config_load(
    struct eng_config *config, const char *path, struct ipc_error *error);

/* eng_config_finish checks that the fields agree with one another and resolves the AUTO values that
 * do not need the kernel's word (idle).
 *   cores  number of processors that this process may use, >= 1
 *   returns IPC_OK or IPC_BAD_INPUT with one sentence in *error */
LS_MUST_USE enum ipc_rc eng_config_finish(
    struct eng_config *config, uint32_t cores, struct ipc_error *error);

/* eng_config_core fills what the core is made with. */
void eng_config_core(
    const struct eng_config *config, struct eng_core_limits *limits, struct eng_core_config *core);

/* Names as in the file; never NULL. */
const char *eng_idle_name(enum eng_idle idle);
const char *eng_io_name(enum eng_io io);
const char *eng_tier_name(enum eng_tier tier);
LS_MUST_USE bool eng_io_parse(const char *text, enum eng_io *out);

#endif
