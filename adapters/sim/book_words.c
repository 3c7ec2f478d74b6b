/* book_words.c: the wire words of the book's enums and the sentences of Alice Blue's refusal codes.
 */
#include "adapters/sim/book.h"

#include <string.h>

struct word {
    int value;
    const char *text;
};

static const struct word exchange_words[] = {{ADP_SIM_NSE, "NSE"}, {ADP_SIM_BSE, "BSE"},
    {ADP_SIM_NFO, "NFO"}, {ADP_SIM_BFO, "BFO"}, {ADP_SIM_CDS, "CDS"}, {ADP_SIM_BCD, "BCD"},
    {ADP_SIM_MCX, "MCX"}};
static const struct word side_words[] = {{ADP_SIM_BUY, "BUY"}, {ADP_SIM_SELL, "SELL"}};
static const struct word type_words[] = {
    {ADP_SIM_MARKET, "MARKET"}, {ADP_SIM_LIMIT, "LIMIT"}, {ADP_SIM_SL, "SL"}, {ADP_SIM_SLM, "SLM"}};
/* The first word of a value is the one written; the others are read too. */
static const struct word product_words[] = {{ADP_SIM_INTRADAY, "INTRADAY"},
    {ADP_SIM_LONGTERM, "LONGTERM"}, {ADP_SIM_NORMAL, "NORMAL"}, {ADP_SIM_NORMAL, "NRML"},
    {ADP_SIM_MTF, "MTF"}};
static const struct word validity_words[] = {{ADP_SIM_DAY, "DAY"}, {ADP_SIM_IOC, "IOC"}};
static const struct word status_words[] = {{ADP_SIM_REFUSED, "REFUSED"},
    {ADP_SIM_PENDING, "OPEN PENDING"}, {ADP_SIM_OPEN, "OPEN"},
    {ADP_SIM_TRIGGER_PENDING, "TRIGGER PENDING"}, {ADP_SIM_COMPLETE, "COMPLETE"},
    {ADP_SIM_CANCELLED, "CANCELLED"}, {ADP_SIM_REJECTED, "REJECTED"}};
static const struct word source_words[] = {{ADP_SIM_API, "API"}, {ADP_SIM_TERMINAL, "TERMINAL"}};

static const char *word_of(const struct word *words, size_t count, int value)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].value == value)
            return words[i].text;
    }
    return "";
}

static int value_of(const struct word *words, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i].text, text) == 0)
            return words[i].value;
    }
    return 0;
}

#define WORDS(noun)                                                                                \
    const char *adp_sim_##noun##_word(enum adp_sim_##noun value)                                   \
    {                                                                                              \
        return word_of(noun##_words, LS_COUNT_OF(noun##_words), (int)value);                       \
    }
#define VALUES(noun)                                                                               \
    enum adp_sim_##noun adp_sim_##noun##_of(const char *word)                                      \
    {                                                                                              \
        return (enum adp_sim_##noun)value_of(noun##_words, LS_COUNT_OF(noun##_words), word);       \
    }

WORDS(exchange)
WORDS(side)
WORDS(type)
WORDS(product)
WORDS(validity)
WORDS(status)
WORDS(source)
VALUES(exchange)
VALUES(side)
VALUES(type)
VALUES(product)
VALUES(validity)

/* Only the codes that the simulator can answer with. */
static const struct word code_texts[] = {
    {3, "An error occurred. Please try again later."},
    {86, "You are a read-only user and are not allowed to place, modify, or cancel orders."},
    {87, "Session Expired"},
    {91, "'orderComplexity' should be one of the following values: {'REGULAR', 'AMO'}."},
    {92, "'product' should be one of the following values: {'INTRADAY', 'LONGTERM', 'MTF'}."},
    {801, "Orders with exchange 'BSEEQ/BSEFO/BSECURR' cannot be modified to order type 'SL' (Stop "
          "Loss)."},
    {807, "'product' - 'NORMAL' is not allowed in cash segment."},
    {813, "'deviceId' cannot exceed 98 characters."},
    {837, "This product is not allowed for this segment."},
    {838, "This order type is not allowed."},
    {865, "'product' - 'Delivery' is not allowed in FnO segment."},
    {900, "'exchange' cannot be empty or null."},
    {901, "'exchange' should be one of the following values: { 'NSE', 'BSE', 'MCX', 'NFO', 'BFO', "
          "'CDS', 'BCD'}."},
    {903, "'quantity' cannot be empty or null."},
    {906, "'product' cannot be empty or null."},
    {907, "'transactionType' cannot be empty or null."},
    {912, "Failed to place the order."},
    {914, "'Request parameter' cannot be empty or null."},
    {916, "No orders found for this user."},
    {918, "No order history found for the given order ID."},
    {920, "No positions found for this user."},
    {922, "No holdings found for this user."},
    {926, "No trades found for this user."},
    {929, "'transactionType' should be one of the following values: {'BUY', 'SELL'}."},
    {930, "'orderType' should be one of the following values: {'LIMIT', 'MARKET', 'SL', 'SLM'}."},
    {932, "'validity' should be one of the following values: {'DAY', 'IOC'}."},
    {934, "'orderType' cannot be empty or null."},
    {941, "'instrumentId' cannot be empty or null."},
    {942, "'orderComplexity' cannot be empty or null."},
    {944, "'validity' cannot be empty or null."},
    {945, "'brokerOrderId' cannot be empty or null."},
    {946, "Invalid 'instrumentId'. It must contain only numeric characters."},
    {947, "'instrumentId' does not exist."},
    {948, "'quantity' cannot exceed 50,000,000."},
    {949, "'quantity' should be a positive number."},
    {950, "'price' is required and cannot be empty or null."},
    {951, "'slTriggerPrice' is required and cannot be empty or null."},
    {954, "'quantity' should be a multiple of the lot size."},
    {957, "Invalid 'price'."},
    {958, "'price' cannot be zero or negative."},
    {959, "Invalid 'slTriggerPrice'."},
    {960, "'slTriggerPrice' cannot be zero or negative."},
    {971, "'orderTag' should not exceed 50 characters"},
    {972, "'algoId' should not exceed 12 characters."},
    {973, "For a buy order, 'slTriggerPrice' should be less than the 'price'."},
    {974, "For a sell order, 'slTriggerPrice' should be greater than the 'price'."},
    {975, "'disclosedQuantity' cannot exceed the total order 'quantity'."},
    {980, "Invalid 'instrumentId'."},
    {981, "Invalid 'disclosedQty'."},
    {984, "Invalid 'orderTag'."},
    {988, "'marketProtection' should be a positive number."},
    {990, "'quantity' should be a multiple of the lot size."},
    {993, "Provided 'brokerOrderId' is not in a valid state to modify the order."},
    {996, "'validity' of IOC is not allowed for AMO orders."},
    {997, "The specified order is not available in the order book and cannot be canceled. Please "
          "verify the order details and try again."},
    {998, "The specified order is not available in the order book, and order history cannot be "
          "retrieved. Please verify the order ID and try again."},
    {999, "The specified order is not available in the order book and cannot be modified. Please "
          "verify the order details and try again."},
    {ADP_SIM_CODE_RATE, "Too many requests"},
    {ADP_SIM_CODE_ADDRESS, "IP restriction: You are not allowed to place the order"},
    {ADP_SIM_CODE_FAULT, "a scripted fault answered"},
};

const char *adp_sim_code_text(int code)
{
    return word_of(code_texts, LS_COUNT_OF(code_texts), code);
}
