/* controls.h: the state of the pre-trade controls of ORDER-SAFETY 3.9 that are not in a row:
 * breakers (breaker.h) and caps over many followers (throttle.h). Private to the core.
 *
 * Two kinds, as in core_private.h. In the fold: which breakers have tripped, by GUARD facts alone,
 * so that they hold through every restart until a named person resets them. Derived: what is
 * counted towards a threshold or a cap; it needs rows or settings, is not hashed, and starts anew
 * with a restart, but for the calls of the engine and the exposure of the firm, which are rebuilt.
 */
#ifndef LS_ENGINE_CORE_CONTROLS_H
#define LS_ENGINE_CORE_CONTROLS_H

#include "engine/core/core_private.h"

#define ENG_CONTROLS_BROKERS 64u
#define ENG_CONTROLS_DUE     64u
#define ENG_CONTROLS_SYMBOLS 4096u /* a power of two */

/* What was counted in the running minute and in the one before: together never too few of any
 * minute. Small, because there is one per position. */
struct eng_minutes {
    uint32_t minute;
    uint16_t running, before; /* saturate */
};

/* Outcomes of an account, or of a broker. */
struct eng_outcomes {
    uint16_t streak;       /* orders refused in a row; saturates */
    uint16_t streak_acked; /* what it was before the newest acknowledgement */
    struct eng_minutes unknown;
};

/* Openings of an instrument. Instruments that share a cell while both are busy count together. */
struct eng_symbol {
    uint32_t instrument, reserved;
    struct eng_window made; /* of the minute */
};

/* A breaker whose threshold was reached and whose TRIP fact is not applied yet: it bars already. */
struct eng_due_trip {
    uint8_t kind, scope; /* enum ipc_guard_kind, ipc_guard_scope */
    uint16_t broker;
    uint32_t account, slot, instrument;
    uint32_t count, limit;
};

struct eng_controls_fold {
    uint32_t engine_tripped; /* bits 1 << enum ipc_guard_kind */
    uint32_t tripped;  /* scopes whose word is not zero; a slot's former owner stays counted */
    uint64_t suspects; /* openings that look like duplicates, sent or not */
    uint64_t suspects_told, capped_told; /* of the newest ALARM facts */
    int64_t told_mono_ns[2];             /* their times: [0] duplicates, [1] caps */
    uint32_t told_era;
    uint32_t reserved;
};

struct eng_controls {
    struct eng_controls_fold fold;
    uint16_t brokers[ENG_CONTROLS_BROKERS]; /* fold: words */
    uint16_t *accounts;                     /* fold: words by account number, [0] unused */

    /* derived: counts of breakers */
    struct eng_outcomes *outcomes; /* by account number */
    struct eng_outcomes broker_outcomes[ENG_CONTROLS_BROKERS];
    struct eng_minutes *accepted; /* by position: openings */
    struct eng_due_trip due[ENG_CONTROLS_DUE];
    uint32_t due_count;

    /* derived: caps */
    uint32_t day, day_calls;
    struct eng_window second, minute;
    struct eng_symbol *symbols;
    int64_t exposure_e8; /* of everybody: cost of open lots, value of working openings */
    uint32_t *working; /* by child: its part of exposure_e8, in whole units of money, rounded up */
    uint32_t *account_slot; /* by account number: 1 + its first slot */
    uint32_t *slot_next;    /* by slot: 1 + the next one of the account */

    /* derived from rows and settings */
    uint32_t slices;           /* openings per matching follower and master order; 0 = not capped */
    uint32_t duplicate_ms_max; /* longest window that anybody looks back; 0 = nobody does */
    bool calls_limited, values, orders, has_capped_accounts;
};

/* eng_controls_footprint / eng_controls_init: as of the core, which calls them; zeroed memory. */
size_t eng_controls_footprint(const struct eng_core_limits *limits);
struct eng_controls *eng_controls_init(void *memory, const struct eng_core_limits *limits);
/* eng_controls_adopt reads what rows and settings say. Part of eng_core_adopt.
 *   first  of this process: what is rebuilt from the fold is rebuilt */
void eng_controls_adopt(struct eng_core *core, bool first);
/* eng_controls_boot forgets what was counted on the clock of another boot. */
void eng_controls_boot(struct eng_core *core);
uint64_t eng_controls_hash(const struct eng_core *core, uint64_t hash);

#endif
