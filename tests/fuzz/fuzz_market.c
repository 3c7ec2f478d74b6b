/* Arbitrary frames of market-data sockets and replies to their session calls: no crash, and a price
 * that is believed is one that a page takes. */
#include "adapters/broker/market.h"

#include <string.h>

#include "adapters/broker/dialect.h"
#include "ipc/prices.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void check_held(enum ipc_exchange exchange, struct adp_span token, void *context)
{
    (void)context;
    LS_CHECK(ipc_exchange_valid(exchange) && token.count > 0 && token.count < 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const struct adp_span frame = {bytes, count};
    for (size_t i = 0; adp_dialect_at(i) != NULL; i++) {
        const struct adp_market *market = adp_market_find(adp_dialect_at(i)->name);
        struct adp_quote quote;
        if (market == NULL)
            continue;
        (void)!market->decode_hello(frame);
        LS_CHECK(market->decode_call(500, frame) != ADP_OK);
        (void)!market->decode_call(200, frame);
        (void)!market->decode_held(200, frame, check_held, NULL);
        if (market->decode_quote(frame, &quote) != ADP_OK)
            continue;
        LS_CHECK(ipc_exchange_valid(quote.exchange));
        LS_CHECK(quote.token[0] != '\0' &&
                 strspn(quote.token, "0123456789") == strnlen(quote.token, sizeof(quote.token)));
        LS_CHECK(memchr(quote.symbol, '\0', sizeof(quote.symbol)) != NULL);
        LS_CHECK(quote.has_last == (quote.last_e8 > 0));
        LS_CHECK(quote.last_e8 >= 0 && quote.last_e8 <= IPC_PRICE_E8_MAX);
        LS_CHECK(quote.feed_wall_s >= 0 && quote.lot_qty_e8 >= 0 && quote.tick_e8 >= 0);
    }
    return 0;
}
