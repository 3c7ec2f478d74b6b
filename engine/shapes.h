/* shapes.h: bodies of requests by their shape: the text is made by the dialect once, with holes;
 * what is equal for a whole wave (price, trigger) is written into it at the wave's second order, so
 * that each further one fills in its quantity and its tag.
 *
 * Thread: the pinned one, whose they are. */
#ifndef LS_ENGINE_SHAPES_H
#define LS_ENGINE_SHAPES_H

#include "adapters/broker/dialect.h"
#include "ipc/command.h"

#define ENG_SHAPES             8u
#define ENG_SHAPE_BODY_BYTES   4096u
#define ENG_SHAPE_BODY_GUESSED 640u /* admission is asked with this until a body is made */

struct eng_shape {
    const struct adp_dialect *dialect; /* NULL = free */
    uint8_t key[8];                    /* action, side, type, product, validity, exchange */
    char token[16];
    bool has_price;               /* a price or trigger stands in it */
    bool has_ids;                 /* or the broker's order id, or a login */
    bool is_priced;               /* `priced` holds the two below */
    int64_t price_e8, trigger_e8; /* of the order before */
    struct adp_segments segments, priced;
};

struct eng_shapes {
    struct eng_shape shapes[ENG_SHAPES];
    uint32_t newest, used;
    uint32_t body_bytes; /* no body of a shape in use is longer */
    bool is_known;       /* a shape was made since the start */
};

void eng_shapes_init(struct eng_shapes *shapes);

/* eng_shapes_forget is for another generation: its tokens may be others. How long bodies get is
 * kept. */
void eng_shapes_forget(struct eng_shapes *shapes);

/* eng_shapes_of returns the shape of a command, made by the dialect when it is new; NULL when that
 * has no body for it. Valid until the next call. */
struct eng_shape *eng_shapes_of(struct eng_shapes *shapes, const struct adp_dialect *dialect,
    const struct ipc_command *command);

/* eng_shape_body writes one order's body.
 *   login    of its account, NUL-padded, IPC_NAME_BYTES
 *   returns  its length; 0 or less when it cannot be written: nothing may be sent */
int eng_shape_body(struct eng_shape *shape, const struct ipc_command *command, const char *login,
    uint8_t *out, size_t out_bytes);

#endif
