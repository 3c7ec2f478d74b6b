/* porter_books.h: the porter's book queries (books.h) over libcurl, from the account's registered
 * source address, on connections that no order uses.
 *
 * Nothing here waits: a query is started, looked at once a round, and decoded when it is whole.
 * Queries over the bound per broker queue in the order in which they came. Bounds: ENG_BOOKS_MAX on
 * the way, `books.per_broker` under way per broker, 8 MiB of body, `books.deadline_ms` from start
 * to last byte. Connections are kept as long as libcurl has room for them (256), so a few accounts
 * are asked again without a handshake and ten thousand are asked with one each.
 *
 * A token exists in locked memory while its query is under way, and is wiped after it. Names are
 * asked of the porter's resolver; libcurl gets an address.
 *
 * Thread: the porter. */
#ifndef LS_ENGINE_PORTER_BOOKS_H
#define LS_ENGINE_PORTER_BOOKS_H

#include "engine/books.h"
#include "engine/porter.h"

struct porter_books;

LS_MUST_USE enum ipc_rc porter_books_make(
    struct eng_porter *porter, struct porter_books **books, struct ipc_error *error);
void porter_books_free(struct porter_books *books);

/* porter_books_ask queues a query; it is answered in any case, with a result that says why not. */
void porter_books_ask(struct porter_books *books, const struct eng_books_ask *ask);

/* porter_books_back takes a book's memory back. */
void porter_books_back(struct porter_books *books, struct eng_book *book);

/* porter_books_generation: another generation is in force. */
void porter_books_generation(struct porter_books *books);

/* porter_books_run starts what waits, moves what is under way, hands over what is done.
 *   returns  how many were started or done */
uint32_t porter_books_run(struct porter_books *books, int64_t now_mono_ns);

#endif
