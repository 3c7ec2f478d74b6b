#include "engine/core/lifecycle.h"

#include "ipc/enum.h"

IPC_DEFINE_ENUM(eng_state, ENG_STATE_LIST)
IPC_DEFINE_ENUM(eng_life, ENG_LIFE_LIST)

/* clang-format off */
#define K        {ENG_LIFE_KEEP, ENG_STATE_NONE}
#define L        {ENG_LIFE_LATE, ENG_STATE_NONE}
#define X        {ENG_LIFE_IMPOSSIBLE, ENG_STATE_NONE}
#define M(state) {ENG_LIFE_MOVE, ENG_STATE_##state}
#define G(state) {ENG_LIFE_GHOST, ENG_STATE_##state}

/* Sightings of an order that was known not to exist: it lives after all. */
#define GHOSTS   G(OPEN), G(PARTIAL), G(FILLED), G(CANCELLED), G(EXPIRED), G(EXCH_REJECTED)
/* Sightings of an order that exists. */
#define SIGHTS   M(OPEN), M(PARTIAL), M(FILLED), M(CANCELLED), M(EXPIRED), M(EXCH_REJECTED)
/* Sightings that settle a doubt. */
#define ADOPTS   M(ADOPTED), M(PARTIAL), M(FILLED), M(CANCELLED), M(EXPIRED), M(EXCH_REJECTED)

static const struct eng_life_cell table[ENG_STATE_COUNT][ENG_LIFE_COUNT] = {
/*                 send        queue      release     skip         acked     rejected     not-sent       lost        open, partial, filled, cancelled, expired, rejected                    recovered   reconcile       absent         give-up         miss       day-end */
[ENG_STATE_NONE] =
                  {M(SENDING), M(INTENT), X,          X,           X,        X,           X,             X,          X, X, X, X, X, X,                                                      X,          X,              X,             X,              X,         X},
[ENG_STATE_INTENT] =
                  {X,          K,         M(SENDING), M(SKIPPED),  G(ACKED), X,           X,             X,          GHOSTS,                                                                K,          X,              K,             X,              X,         M(SKIPPED)},
[ENG_STATE_SENDING] =
                  {X,          X,         X,          X,           M(ACKED), M(REJECTED), M(NOT_SENT),   M(UNKNOWN), SIGHTS,                                                                M(UNKNOWN), X,              X,             X,              X,         M(UNKNOWN)},
[ENG_STATE_ACKED] =
                  {X,          X,         X,          X,           K,        X,           X,             L,          SIGHTS,                                                                K,          K,              X,             M(UNRESOLVED),  X,         M(EXPIRED)},
[ENG_STATE_OPEN] =
                  {X,          X,         X,          X,           K,        X,           X,             L,          K, M(PARTIAL), M(FILLED), M(CANCELLED), M(EXPIRED), M(EXCH_REJECTED),  K,          K,              X,             M(UNRESOLVED),  X,         M(EXPIRED)},
[ENG_STATE_PARTIAL] =
                  {X,          X,         X,          X,           K,        X,           X,             L,          L, K, M(FILLED), M(CANCELLED), M(EXPIRED), M(EXCH_REJECTED),           K,          K,              X,             M(UNRESOLVED),  X,         M(EXPIRED)},
[ENG_STATE_FILLED] =
                  {X,          X,         X,          X,           K,        X,           X,             L,          L, L, K, L, L, L,                                                      K,          K,              X,             K,              X,         K},
[ENG_STATE_CANCELLED] =
                  {X,          X,         X,          X,           K,        X,           X,             L,          L, L, L, K, L, L,                                                      K,          K,              X,             K,              X,         K},
[ENG_STATE_EXPIRED] =
                  {X,          X,         X,          X,           K,        X,           X,             L,          L, L, L, L, K, L,                                                      K,          K,              X,             K,              X,         K},
[ENG_STATE_EXCH_REJECTED] =
                  {X,          X,         X,          X,           K,        K,           X,             L,          L, G(PARTIAL), G(FILLED), L, L, K,                                     K,          K,              K,             K,              X,         K},
[ENG_STATE_REJECTED] =
                  {X,          X,         X,          X,           G(ACKED), K,           L,             L,          G(OPEN), G(PARTIAL), G(FILLED), G(CANCELLED), G(EXPIRED), K,            K,          K,              K,             K,              X,         K},
[ENG_STATE_NOT_SENT] =
                  {X,          K,         M(SENDING), M(SKIPPED),  G(ACKED), M(REJECTED), K,             L,          GHOSTS,                                                                K,          K,              K,             X,              X,         M(SKIPPED)},
[ENG_STATE_UNKNOWN] =
                  {X,          X,         M(SENDING), X,           M(ACKED), M(REJECTED), M(NOT_PLACED), K,          ADOPTS,                                                                K,          M(RECONCILING), X,             M(UNRESOLVED),  X,         K},
[ENG_STATE_RECONCILING] =
                  {X,          X,         M(SENDING), X,           M(ACKED), M(REJECTED), M(NOT_PLACED), K,          ADOPTS,                                                                M(UNKNOWN), K,              M(NOT_PLACED), M(UNRESOLVED),  X,         K},
[ENG_STATE_ADOPTED] =
                  {X,          X,         X,          X,           K,        X,           X,             L,          M(OPEN), M(PARTIAL), M(FILLED), M(CANCELLED), M(EXPIRED), M(EXCH_REJECTED), K,     K,              X,             M(UNRESOLVED),  X,         M(EXPIRED)},
[ENG_STATE_NOT_PLACED] =
                  {X,          X,         X,          X,           G(ACKED), M(REJECTED), K,             L,          GHOSTS,                                                                K,          K,              K,             K,              M(MISSED), M(MISSED)},
[ENG_STATE_MISSED] =
                  {X,          X,         X,          X,           G(ACKED), L,           L,             L,          GHOSTS,                                                                K,          K,              K,             K,              K,         K},
[ENG_STATE_UNRESOLVED] =
                  {X,          X,         X,          X,           M(ACKED), M(REJECTED), M(NOT_PLACED), K,          ADOPTS,                                                                K,          M(RECONCILING), K,             K,              M(MISSED), K},
[ENG_STATE_SKIPPED] =
                  {X,          X,         X,          X,           G(ACKED), L,           L,             L,          GHOSTS,                                                                K,          K,              K,             K,              X,         K},
};
/* clang-format on */

struct eng_life_cell eng_life_cell(enum eng_state state, enum eng_life event)
{
    LS_CHECK((unsigned)state < ENG_STATE_COUNT && (unsigned)event < ENG_LIFE_COUNT);
    return table[state][event];
}
