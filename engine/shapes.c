#include "engine/shapes.h"

#include "ipc/rows.h"

#include <string.h>

void eng_shapes_init(struct eng_shapes *shapes)
{
    memset(shapes, 0, sizeof *shapes);
    shapes->body_bytes = ENG_SHAPE_BODY_GUESSED;
}

void eng_shapes_forget(struct eng_shapes *shapes)
{
    memset(shapes->shapes, 0, sizeof shapes->shapes);
}

/* No body of this shape is longer. Numbers are at most 20 digits, a sign and a point. */
static uint32_t bytes_max(const struct adp_segments *segments)
{
    uint32_t bytes = segments->text_bytes;
    for (uint32_t i = 0; i < segments->hole_count; i++) {
        switch ((enum adp_hole)segments->holes[i].hole) {
        case ADP_HOLE_QTY:
        case ADP_HOLE_PRICE:
        case ADP_HOLE_TRIGGER:
            bytes += 22;
            break;
        case ADP_HOLE_TAG:
            bytes += IPC_TAG_BYTES;
            break;
        case ADP_HOLE_ORDER_ID:
        case ADP_HOLE_LOGIN:
            bytes += IPC_NAME_BYTES;
            break;
        }
    }
    return bytes;
}

static void holes_note(struct eng_shape *shape)
{
    shape->has_price = shape->has_ids = false;
    for (uint32_t i = 0; i < shape->segments.hole_count; i++) {
        const uint8_t hole = shape->segments.holes[i].hole;
        shape->has_price |= hole == ADP_HOLE_PRICE || hole == ADP_HOLE_TRIGGER;
        shape->has_ids |= hole == ADP_HOLE_ORDER_ID || hole == ADP_HOLE_LOGIN;
    }
}

static LS_COLD struct eng_shape *make(
    struct eng_shapes *shapes, const struct adp_dialect *dialect, const struct ipc_command *command)
{
    const uint32_t index = shapes->used++ % ENG_SHAPES;
    struct eng_shape *shape = &shapes->shapes[index];
    shape->dialect = NULL;
    shape->is_priced = false;
    shape->price_e8 = shape->trigger_e8 = -1; /* no order has these */
    if (dialect->body(command, &shape->segments) != ADP_OK)
        return NULL;
    shape->dialect = dialect;
    memcpy(shape->key, command, sizeof shape->key);
    memcpy(shape->token, command->token, sizeof shape->token);
    holes_note(shape);
    shapes->newest = index;
    /* Admission counts with the longest shape in use. A longer one than before comes with the
     * first, small batch of its wave. */
    const uint32_t longest = bytes_max(&shape->segments);
    if (!shapes->is_known || longest > shapes->body_bytes)
        shapes->body_bytes = longest;
    shapes->is_known = true;
    return shape;
}

static inline bool is_of(const struct eng_shape *shape, const struct adp_dialect *dialect,
    const struct ipc_command *command)
{
    _Static_assert(offsetof(struct ipc_command, market_protection_bp) == 6, "a key of eight bytes");
    return shape->dialect == dialect && memcmp(shape->key, command, sizeof shape->key) == 0 &&
           memcmp(shape->token, command->token, sizeof shape->token) == 0;
}

struct eng_shape *eng_shapes_of(
    struct eng_shapes *shapes, const struct adp_dialect *dialect, const struct ipc_command *command)
{
    struct eng_shape *shape = &shapes->shapes[shapes->newest];
    if (LS_LIKELY(is_of(shape, dialect, command)))
        return shape;
    for (uint32_t i = 0; i < ENG_SHAPES; i++) {
        if (is_of(&shapes->shapes[i], dialect, command)) {
            shapes->newest = i;
            return &shapes->shapes[i];
        }
    }
    return make(shapes, dialect, command);
}

static struct adp_span text(const char *bytes, size_t max)
{
    return (struct adp_span){(const uint8_t *)bytes, strnlen(bytes, max)};
}

/* The second order with equal prices: they are written into the text. */
static LS_COLD void price(struct eng_shape *shape, const struct adp_hole_values *values)
{
    shape->is_priced = adp_segments_set(
        &shape->segments, values, 1u << ADP_HOLE_PRICE | 1u << ADP_HOLE_TRIGGER, &shape->priced);
}

int eng_shape_body(struct eng_shape *shape, const struct ipc_command *command, const char *login,
    uint8_t *out, size_t out_bytes)
{
    const bool fractional = shape->dialect->capabilities.fractional_qty;
    struct adp_hole_values values = {.qty_e8 = command->qty_e8,
        .price_e8 = command->price_e8,
        .trigger_e8 = command->trigger_e8,
        .tag = {(const uint8_t *)command->tag, IPC_TAG_BYTES - 1}};
    if (LS_UNLIKELY(shape->has_ids)) {
        values.order_id = text(command->broker_order_id, IPC_BROKER_ORDER_ID_BYTES);
        values.login = text(login, IPC_NAME_BYTES);
    }
    if (LS_LIKELY(shape->has_price)) {
        if (shape->price_e8 != command->price_e8 || shape->trigger_e8 != command->trigger_e8) {
            shape->price_e8 = command->price_e8;
            shape->trigger_e8 = command->trigger_e8;
            shape->is_priced = false;
        } else if (LS_UNLIKELY(!shape->is_priced)) {
            price(shape, &values);
        }
    }
    return adp_segments_fill(
        shape->is_priced ? &shape->priced : &shape->segments, &values, fractional, out, out_bytes);
}
