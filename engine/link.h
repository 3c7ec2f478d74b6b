/* link.h: what the porter and the pinned thread hand each other: three queues, one direction each.
 * Pointers change their owner with the message that carries them.
 *
 *     porter ── to_turn ──► pinned thread     connections, generations, rings, pages, books, halt
 *     porter ◄── to_porter ── pinned thread   wants, retired connections, answers, asks of books
 *     porter ◄── notes ── pinned thread       log records */
#ifndef LS_ENGINE_LINK_H
#define LS_ENGINE_LINK_H

#include "engine/adopt.h"
#include "engine/books.h"
#include "engine/note.h"
#include "engine/net/pool.h"
#include "ipc/accounts.h"
#include "ipc/prices.h"
#include "ipc/ring.h"
#include "ipc/switches.h"
#include "ipc/wake.h"

enum eng_to_turn_kind {
    ENG_TO_TURN_ATTACH = 1, /* connection: warm, of its lane and member */
    ENG_TO_TURN_FAILED,     /* lane, member: the attempt ended without one */
    ENG_TO_TURN_GENERATION, /* generation: offered */
    ENG_TO_TURN_RING,       /* ring, index: read it from now on */
    ENG_TO_TURN_RING_GONE,  /* index: its file was replaced or removed; give it back */
    ENG_TO_TURN_PRICES,     /* index: broker number; page is its price page */
    ENG_TO_TURN_MONEY,      /* index: broker number; page is its accounts page */
    ENG_TO_TURN_SWITCHES,   /* switches: the page of switch words */
    ENG_TO_TURN_PAGES,      /* all pages that exist were handed over: rings may be read */
    ENG_TO_TURN_BOOK,       /* book: what an account's broker said; to be given back */
    ENG_TO_TURN_HALT,       /* index: enum ipc_switch, the engine's own word from the halt file */
    ENG_TO_TURN_STOP,       /* finish waves and replies, then end */
};

struct eng_to_turn {
    enum eng_to_turn_kind kind;
    uint32_t index;
    uint32_t lane, member;
    struct eng_connection *connection;
    const struct eng_generation *generation;
    struct ipc_ring_consumer *ring;
    struct eng_book *book;
    enum ipc_ring_class ring_class;
    union {
        struct ipc_prices prices;
        struct ipc_accounts accounts;
        struct ipc_switches switches;
    };
};

enum eng_to_porter_kind {
    ENG_TO_PORTER_WANT = 1, /* want */
    ENG_TO_PORTER_RETIRED,  /* connection */
    ENG_TO_PORTER_TAKEN,    /* generation: in force; the one before is not read any more */
    ENG_TO_PORTER_REFUSED,  /* generation, text */
    ENG_TO_PORTER_RING,     /* index: not read any more */
    ENG_TO_PORTER_ASK,      /* ask */
    ENG_TO_PORTER_BOOK,     /* book: read */
    ENG_TO_PORTER_STOPPED,  /* the pinned thread ends now */
};

struct eng_to_porter {
    enum eng_to_porter_kind kind;
    uint32_t index;
    struct eng_pool_want want;
    struct eng_connection *connection;
    const struct eng_generation *generation;
    struct eng_books_ask ask;
    struct eng_book *book;
    char text[200];
};

struct eng_link {
    struct ipc_queue to_turn, to_porter, notes;
    void *memory;
};

/* Lanes that can exist at one time: one per account, and the shared pools. */
static inline uint32_t eng_lanes_of(const struct eng_config *config)
{
    return config->accounts + ENG_BROKERS_MAX;
}

/* eng_link_make allocates the queues; sized so that every connection and ring can be on the way at
 * once. Start-up. */
LS_MUST_USE enum ipc_rc eng_link_make(
    struct eng_link *link, uint32_t connections, uint32_t rings, struct ipc_error *error);
void eng_link_free(struct eng_link *link);

#endif
