/* books.h: what the pinned thread asks the porter of an account's broker, and what comes back: the
 * order book, for what became of orders whose outcome nobody knows (core/reconcile.h), and the
 * positions, for a comparison.
 *
 *     pinned thread ── ask ──► porter: HTTPS, decode ── book ──► pinned thread ── given back ──►
 * porter
 *
 * At most ENG_BOOKS_MAX are on the way at one time, queued, asked and not given back together; the
 * pinned thread counts. A book belongs to the thread that has its pointer. */
#ifndef LS_ENGINE_BOOKS_H
#define LS_ENGINE_BOOKS_H

#include "engine/core/reconcile.h"

#define ENG_BOOKS_MAX 64u

enum eng_books_what {
    ENG_BOOKS_ORDERS = 1,
    ENG_BOOKS_POSITIONS = 2, /* the order book, then the positions, in one go */
};

struct eng_books_ask {
    uint32_t account, ask_no; /* ask_no 0 for POSITIONS */
    uint8_t what;             /* enum eng_books_what */
};

/* One line of an account's positions, with what the same account's order book says of today. */
struct eng_books_line {
    uint32_t instrument; /* 0 = not of the snapshot */
    uint8_t product;     /* enum ipc_product */
    uint8_t reserved[3];
    int64_t net_qty_e8;    /* the broker's, signed */
    int64_t others_qty_e8; /* filled today by orders that carry no tag of ours, signed */
    int64_t ours_qty_e8;   /* filled today by orders that do */
};

struct eng_book {
    uint8_t what;
    /* For POSITIONS only account, result, http_status and times count. `orders` is this book's. */
    struct eng_book_answer answer;
    struct eng_books_line *lines;
    uint32_t line_count;
    struct ipc_event *orders;
};

#endif
