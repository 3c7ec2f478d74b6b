/* faults.h: what goes wrong in a world, one thing at a time.
 *
 * Each fault has a kind and a site: the step, the request or the state that it befalls. Whether it
 * happens there, and how, comes from the seed, its kind and its site alone, never from what
 * happened before. So one fault can be left out and the others stay: a failure shrinks to the few
 * faults that it needs (shrink.c), and a list of them can be played again (--replay). */
#ifndef LS_TESTS_SIM_FAULTS_H
#define LS_TESTS_SIM_FAULTS_H

#include "ipc/base.h"
#include "ipc/prng.h"

#define SIM_FAULT_LIST(X)                                                                          \
    /* of a request, by its tag, action and number */                                              \
    X(LOSE_REPLY, "lose-reply")         /* executed, never answered */                             \
    X(LOSE_REQUEST, "lose-request")     /* neither */                                              \
    X(RESET_BEFORE, "reset-before")     /* the connection is reset instead of executing */         \
    X(RESET_AFTER, "reset-after")       /* executed, then the connection is reset */               \
    X(REFUSED_BEFORE, "refused-before") /* RST_STREAM, some as REFUSED_STREAM, not executed */     \
    X(REFUSED_AFTER, "refused-after")   /* the same after executing */                             \
    X(ERROR_BEFORE, "error-before")     /* a proxy's 5xx, not executed */                          \
    X(ERROR_AFTER, "error-after")       /* executed */                                             \
    X(GARBAGE, "garbage")               /* executed, and an answer that cannot be read */          \
    X(LIMITED, "limited")               /* 429 in the broker's own form */                         \
    X(LIMITED_AFTER, "limited-after")   /* a proxy's 429, and it was executed */                   \
    X(EXPIRE, "expire")                 /* 401 in the broker's own form until a new token */       \
    X(GOAWAY, "goaway")                 /* executed, and the connection is shut down in order */   \
    X(LATE_ACCEPT, "late-accept")       /* executed seconds later */                               \
    X(LATE_REPLY, "late-reply")         /* answered seconds later */                               \
    /* of a connection, by the step */                                                             \
    X(SETTINGS, "settings")   /* other streams, windows, header table; 0 too */                    \
    X(SHUT_DOWN, "shut-down") /* GOAWAY of itself */                                               \
    X(HALF_OPEN, "half-open") /* nothing arrives any more */                                       \
    X(STALL, "stall")         /* the peer's window is shut for a while */                          \
    X(RESET, "reset")                                                                              \
    /* of the feed, by the state and how often it was told */                                      \
    X(FEED_LOST, "feed-lost")                                                                      \
    X(FEED_LATE, "feed-late")                                                                      \
    X(FEED_TWICE, "feed-twice")                                                                    \
    X(TICK_LOST, "tick-lost") /* a price does not reach the engine */                              \
    /* of the machine, by the step; a power cut by the crash */                                    \
    X(CRASH, "crash") /* the engine's process dies at a crash point */                             \
    X(POWER, "power") /* with it the machine: pages that were not durable are gone */              \
    X(PAUSE, "pause") /* the engine's thread does not run */                                       \
    X(CLOCK, "clock") /* the wall clock is set */                                                  \
    X(DISK, "disk")   /* the journal takes no entries for a while */                               \
    /* of people, by the step */                                                                   \
    X(RESCAN, "rescan")     /* a master's book is told again */                                    \
    X(FLIP, "flip")         /* a switch word */                                                    \
    X(PUBLISH, "publish")   /* another generation of the configuration */                          \
    X(OWNER, "owner")       /* the owner of an account trades by hand */                           \
    X(OPERATOR, "operator") /* resume, reset, flatten */                                           \
    /* of an answer to a question for the book, by account and question */                         \
    X(BOOK_LOST, "book-lost")   /* no answer */                                                    \
    X(BOOK_ERROR, "book-error") /* an error, a refusal, something that is no book */               \
    X(BOOK_EMPTY, "book-empty") /* a list without rows, or the code for no orders */               \
    X(BOOK_CUT, "book-cut")     /* rows are missing, and it shows */                               \
    X(BOOK_OLD, "book-old")     /* the book of a replica that is behind, within the broker's lag */

enum sim_fault {
    SIM_FAULT_NONE = 0,
#define X(name, text) SIM_FAULT_##name,
    SIM_FAULT_LIST(X)
#undef X
        SIM_FAULT_COUNT
};

#define SIM_FIRED_MAX 32768u /* of one world; more are not kept, and it cannot be shrunk */

struct sim_fired {
    uint64_t site;
    uint32_t step;
    uint8_t kind;
};

struct sim_faults {
    struct sim_fired fired[SIM_FIRED_MAX];
    uint32_t count;
    struct ipc_prng prng; /* of the fault that was asked for last: how it happens */
};

/* The faults that may happen; all others do not. */
struct sim_replay {
    struct sim_fired *list;
    uint32_t count;
    bool is_set;
};

struct sim;

const char *sim_fault_name(enum sim_fault kind);

/* sim_fault says whether this fault happens here, in `hits` of `of` cases, and keeps it. Never
 * while the world heals. */
bool sim_fault(struct sim *sim, enum sim_fault kind, uint64_t site, uint32_t hits, uint32_t of);

/* sim_fault_between draws how the fault that was asked for last happens: in [low, high]. */
int64_t sim_fault_between(struct sim *sim, int64_t low, int64_t high);

/* sim_site makes a site of two numbers; short enough to be typed. */
uint64_t sim_site(uint64_t a, uint64_t b);

/* sim_replay_read reads "kind@site,kind@site"; "none" is a list without a fault.
 *   returns  false with *error in words when it cannot be read */
bool sim_replay_read(const char *text, struct sim_replay *out, char *error, size_t error_bytes);

/* sim_replay_print writes the list in the form that sim_replay_read takes. */
void sim_replay_print(const struct sim_fired *list, uint32_t count);

#endif
