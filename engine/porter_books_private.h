/* porter_books_private.h: what querying (porter_books.c) and decoding (porter_books_decode.c)
 * share. Porter only. */
#ifndef LS_ENGINE_PORTER_BOOKS_PRIVATE_H
#define LS_ENGINE_PORTER_BOOKS_PRIVATE_H

#include "adapters/https.h"
#include "adapters/instruments.h"
#include "engine/porter_books.h"
#include "engine/porter_private.h"

/* One query under way. */
struct books_job {
    struct eng_books_ask ask;
    bool in_use;
    uint8_t step; /* of POSITIONS: 0 = the order book, 1 = the positions */
    uint16_t broker;
    CURL *easy;
    struct curl_slist *connect_to;
    struct curl_slist header; /* points at `authorization` */
    char *authorization;      /* locked memory of authorization_room bytes, wiped between queries */
    struct adp_https_body body;
    int64_t sent_mono_ns, first_sent_mono_ns;
    struct eng_book *book; /* being made; NULL before the first decode */
};

/* books_new makes an empty answer. Never NULL. */
struct eng_book *books_new(const struct eng_books_ask *ask);
void books_drop(struct eng_book *book);

/* books_decode takes the body of a finished query into job->book. Clocks are read inside.
 *   instruments  of the generation in force
 *   returns      the result, also in the book; of POSITIONS the first step's GOOD means: go on */
enum ipc_book books_decode(struct eng_porter *porter, const struct adp_instruments *instruments,
    struct books_job *job, uint32_t http_status);

#endif
