/* send_judge.h: the page that the driver and the preloaded send share. */
#ifndef LS_TEST_SEND_JUDGE_H
#define LS_TEST_SEND_JUDGE_H

#include <stdatomic.h>
#include <stdint.h>

/* Control frames and their record stay below it, an order's header block and body never. */
#define JUDGE_ORDER_BYTES 128u

struct judge_page {
    _Atomic uint32_t barred; /* 1 = a switch has been acknowledged and not lifted yet */
    uint32_t reserved;
    _Atomic uint64_t sends, bytes; /* of orders */
    _Atomic uint64_t violations;   /* of them, begun while barred */
};

#endif
