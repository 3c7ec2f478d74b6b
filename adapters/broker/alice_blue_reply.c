/* alice_blue_reply.c: what a reply to place, modify or cancel proves.
 *
 * The order of questions: is it complete JSON, is the HTTP status one that can carry a verdict, is
 * it this broker's envelope, what does the envelope say, what does the leg inside it say. Each
 * answer that is not clearly one of the listed ones makes the outcome UNKNOWN: the order may live.
 */
#include "adapters/broker/alice_blue_private.h"

#include <string.h>

#define ON_PLACE  (1u << IPC_ACTION_PLACE)
#define ON_MODIFY (1u << IPC_ACTION_MODIFY)
#define ON_CANCEL (1u << IPC_ACTION_CANCEL)
#define ON_TERMS  (ON_PLACE | ON_MODIFY) /* what checks quantity, price, type, validity */
#define ON_ID     (ON_MODIFY | ON_CANCEL)
#define ON_ALL    (ON_PLACE | ON_MODIFY | ON_CANCEL)

/* Definite refusals: "Error Code", August 2026, without those whose text leaves open what happened
 * (EC003 "an error occurred", EC912 "failed to place the order", EC913 "failed to retrieve user
 * details") and without those of other calls. A code in reply to an action that it cannot refuse is
 * no refusal. */
static const struct {
    uint16_t code;
    uint8_t actions;
    uint8_t meaning; /* enum alice_meaning */
} codes[] = {
    {82, ON_TERMS, ALICE_MEANS_REJECTED},   /* deviceId empty */
    {86, ON_ALL, ALICE_MEANS_AUTH},         /* read-only user */
    {87, ON_ALL, ALICE_MEANS_AUTH},         /* session expired */
    {88, ON_TERMS, ALICE_MEANS_REJECTED},   /* single order slicing limit exceeded */
    {89, ON_TERMS, ALICE_MEANS_REJECTED},   /* disclosedQuantity equals quantity */
    {90, ON_PLACE, ALICE_MEANS_REJECTED},   /* exchange */
    {91, ON_PLACE, ALICE_MEANS_REJECTED},   /* orderComplexity */
    {92, ON_PLACE, ALICE_MEANS_REJECTED},   /* product */
    {801, ON_MODIFY, ALICE_MEANS_REJECTED}, /* BSE orders cannot become SL */
    {806, ON_PLACE, ALICE_MEANS_REJECTED},  /* exchange */
    {807, ON_PLACE, ALICE_MEANS_REJECTED},  /* NORMAL not allowed in cash */
    {813, ON_TERMS, ALICE_MEANS_REJECTED},  /* deviceId too long */
    {814, ON_ID, ALICE_MEANS_REJECTED},     /* brokerOrderId empty */
    {815, ON_ID, ALICE_MEANS_REJECTED},     /* brokerOrderId not valid */
    {819, ON_MODIFY, ALICE_MEANS_REJECTED}, /* only the trigger can be modified */
    {822, ON_TERMS, ALICE_MEANS_REJECTED},  /* 822..825: trigger against price */
    {823, ON_TERMS, ALICE_MEANS_REJECTED}, {824, ON_TERMS, ALICE_MEANS_REJECTED},
    {825, ON_TERMS, ALICE_MEANS_REJECTED},
    {826, ON_TERMS, ALICE_MEANS_REJECTED}, /* 826..828: price, target, trigger missing */
    {827, ON_TERMS, ALICE_MEANS_REJECTED}, {828, ON_TERMS, ALICE_MEANS_REJECTED},
    {829, ON_PLACE, ALICE_MEANS_REJECTED}, /* 829..832: after-market orders not allowed */
    {830, ON_PLACE, ALICE_MEANS_REJECTED}, {831, ON_PLACE, ALICE_MEANS_REJECTED},
    {832, ON_PLACE, ALICE_MEANS_REJECTED},
    {834, ON_MODIFY, ALICE_MEANS_REJECTED}, /* market protection cannot be modified */
    {837, ON_PLACE, ALICE_MEANS_REJECTED},  /* product not allowed for the segment */
    {838, ON_TERMS, ALICE_MEANS_REJECTED},  /* order type not allowed */
    {842, ON_TERMS, ALICE_MEANS_REJECTED},  /* disclosed share too small */
    {843, ON_MODIFY, ALICE_MEANS_REJECTED}, /* 843, 844: fields that can be modified */
    {844, ON_MODIFY, ALICE_MEANS_REJECTED},
    {846, ON_TERMS, ALICE_MEANS_REJECTED}, /* 846..851: trigger and price distances */
    {847, ON_TERMS, ALICE_MEANS_REJECTED}, {848, ON_TERMS, ALICE_MEANS_REJECTED},
    {849, ON_TERMS, ALICE_MEANS_REJECTED}, {850, ON_TERMS, ALICE_MEANS_REJECTED},
    {851, ON_TERMS, ALICE_MEANS_REJECTED},
    {852, ON_PLACE, ALICE_MEANS_REJECTED},  /* product not allowed */
    {855, ON_MODIFY, ALICE_MEANS_REJECTED}, /* modification not allowed */
    {856, ON_TERMS, ALICE_MEANS_REJECTED},  /* 856, 857: trigger against main leg */
    {857, ON_TERMS, ALICE_MEANS_REJECTED},
    {858, ON_PLACE, ALICE_MEANS_REJECTED}, /* no orders for this exchange */
    {865, ON_PLACE, ALICE_MEANS_REJECTED}, /* delivery not allowed in F&O */
    {900, ON_PLACE, ALICE_MEANS_REJECTED}, /* 900, 901: exchange */
    {901, ON_PLACE, ALICE_MEANS_REJECTED},
    {902, ON_PLACE, ALICE_MEANS_REJECTED}, /* tradingSymbol */
    {903, ON_TERMS, ALICE_MEANS_REJECTED}, /* 903, 904: quantity */
    {904, ON_TERMS, ALICE_MEANS_REJECTED},
    {906, ON_PLACE, ALICE_MEANS_REJECTED}, /* product empty */
    {907, ON_PLACE, ALICE_MEANS_REJECTED}, /* transactionType empty */
    {908, ON_PLACE, ALICE_MEANS_REJECTED}, /* token empty */
    {909, ON_TERMS, ALICE_MEANS_REJECTED}, /* disclosedQty empty */
    {910, ON_TERMS, ALICE_MEANS_REJECTED}, /* price empty */
    {911, ON_TERMS, ALICE_MEANS_REJECTED}, /* triggerPrice empty */
    {914, ON_ALL, ALICE_MEANS_REJECTED},   /* request parameter empty */
    {925, ON_ID, ALICE_MEANS_REJECTED},    /* nestOrderNo empty */
    {929, ON_PLACE, ALICE_MEANS_REJECTED}, /* transactionType */
    {930, ON_TERMS, ALICE_MEANS_REJECTED}, /* orderType */
    {932, ON_TERMS, ALICE_MEANS_REJECTED}, /* validity */
    {933, ON_TERMS, ALICE_MEANS_REJECTED}, /* priceType empty */
    {934, ON_TERMS, ALICE_MEANS_REJECTED}, /* orderType empty */
    {936, ON_PLACE, ALICE_MEANS_REJECTED}, /* product empty */
    {941, ON_PLACE, ALICE_MEANS_REJECTED}, /* instrumentId empty */
    {942, ON_PLACE, ALICE_MEANS_REJECTED}, /* orderComplexity empty */
    {944, ON_TERMS, ALICE_MEANS_REJECTED}, /* validity empty */
    {945, ON_ID, ALICE_MEANS_REJECTED},    /* brokerOrderId empty */
    {946, ON_PLACE, ALICE_MEANS_REJECTED}, /* 946, 947: instrumentId */
    {947, ON_PLACE, ALICE_MEANS_REJECTED},
    {948, ON_TERMS, ALICE_MEANS_REJECTED}, /* 948, 949: quantity */
    {949, ON_TERMS, ALICE_MEANS_REJECTED},
    {950, ON_TERMS, ALICE_MEANS_REJECTED}, /* price missing */
    {951, ON_TERMS, ALICE_MEANS_REJECTED}, /* trigger missing */
    {953, ON_TERMS, ALICE_MEANS_REJECTED}, /* target missing */
    {954, ON_TERMS, ALICE_MEANS_REJECTED}, /* not a multiple of the lot */
    {957, ON_TERMS, ALICE_MEANS_REJECTED}, /* 957..960: price and trigger values */
    {958, ON_TERMS, ALICE_MEANS_REJECTED}, {959, ON_TERMS, ALICE_MEANS_REJECTED},
    {960, ON_TERMS, ALICE_MEANS_REJECTED},
    {962, ON_TERMS, ALICE_MEANS_REJECTED}, /* 962..964, 966..968: leg and trailing prices */
    {963, ON_TERMS, ALICE_MEANS_REJECTED}, {964, ON_TERMS, ALICE_MEANS_REJECTED},
    {966, ON_TERMS, ALICE_MEANS_REJECTED}, {967, ON_TERMS, ALICE_MEANS_REJECTED},
    {968, ON_TERMS, ALICE_MEANS_REJECTED}, {969, ON_PLACE, ALICE_MEANS_REJECTED}, /* product */
    {970, ON_TERMS, ALICE_MEANS_REJECTED}, /* disclosedQuantity not for this segment */
    {971, ON_PLACE, ALICE_MEANS_REJECTED}, /* orderTag too long */
    {972, ON_PLACE, ALICE_MEANS_REJECTED}, /* algoId too long */
    {973, ON_TERMS, ALICE_MEANS_REJECTED}, /* 973, 974: trigger against price */
    {974, ON_TERMS, ALICE_MEANS_REJECTED},
    {975, ON_TERMS, ALICE_MEANS_REJECTED},  /* disclosed above quantity */
    {979, ON_ID, ALICE_MEANS_REJECTED},     /* brokerOrderId not valid */
    {980, ON_PLACE, ALICE_MEANS_REJECTED},  /* instrumentId */
    {981, ON_TERMS, ALICE_MEANS_REJECTED},  /* disclosedQty */
    {982, ON_PLACE, ALICE_MEANS_REJECTED},  /* AMO disclosedQuantity */
    {983, ON_PLACE, ALICE_MEANS_REJECTED},  /* algoId */
    {984, ON_PLACE, ALICE_MEANS_REJECTED},  /* orderTag */
    {988, ON_TERMS, ALICE_MEANS_REJECTED},  /* marketProtection */
    {990, ON_TERMS, ALICE_MEANS_REJECTED},  /* not a multiple of the lot */
    {991, ON_TERMS, ALICE_MEANS_REJECTED},  /* disclosed not a multiple of the lot */
    {992, ON_MODIFY, ALICE_MEANS_REJECTED}, /* 992..994: the order cannot be modified */
    {993, ON_MODIFY, ALICE_MEANS_REJECTED}, {994, ON_MODIFY, ALICE_MEANS_REJECTED},
    {996, ON_PLACE, ALICE_MEANS_REJECTED},  /* IOC not for AMO */
    {997, ON_CANCEL, ALICE_MEANS_REJECTED}, /* not in the book, cannot be cancelled */
    {999, ON_MODIFY, ALICE_MEANS_REJECTED}, /* not in the book, cannot be modified */
};

enum alice_meaning alice_code_meaning(uint32_t code, enum ipc_action action)
{
    for (size_t i = 0; i < LS_COUNT_OF(codes); i++)
        if (codes[i].code == code && (codes[i].actions & (1u << action)) != 0)
            return (enum alice_meaning)codes[i].meaning;
    return ALICE_MEANS_NOTHING;
}

/* "EC912", "ec087", "EC916 - No orders found": the number; 0 when the text does not start so. */
static uint32_t code_of(struct adp_span text)
{
    uint32_t code = 0;
    size_t at = 2;
    if (!adp_span_starts_fold(text, "EC"))
        return 0;
    for (; at < text.count && at < 6 && text.bytes[at] >= '0' && text.bytes[at] <= '9'; at++)
        code = code * 10 + (text.bytes[at] - (uint32_t)'0');
    const bool ends_here = at == text.count || text.bytes[at] == ' ' || text.bytes[at] == ':' ||
                           text.bytes[at] == '-' || text.bytes[at] == ',' || text.bytes[at] == '.';
    return at >= 5 && ends_here ? code : 0;
}

static uint32_t first_of(
    const struct adp_json *json, uint32_t object, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t token = adp_json_get(json, object, names[i]);
        if (adp_json_is(json, token, ADP_JSON_STRING))
            return token;
    }
    return ADP_JSON_NONE;
}

/* "Session Expired" is seen inside 200 replies of the older API (pya3 issue 7), "IP restriction:
 * You are not allowed to place the order" in third-party notes; both are refusals in words. */
static bool says_session(struct adp_span text)
{
    return adp_span_starts_fold(text, "session expired") ||
           adp_span_starts_fold(text, "ip restriction");
}

struct alice_verdict alice_verdict(const struct adp_json *json, uint32_t object)
{
    static const char *const status_names[] = {"status", "stat"};
    static const char *const message_names[] = {"message", "emsg", "Emsg"};
    struct alice_verdict out = {.state = ALICE_SILENT};
    const uint32_t status = first_of(json, object, status_names, LS_COUNT_OF(status_names));
    out.message = first_of(json, object, message_names, LS_COUNT_OF(message_names));
    const struct adp_span word = adp_span_trim(adp_json_span(json, status));
    const struct adp_span text = adp_span_trim(adp_json_span(json, out.message));
    if (status == ADP_JSON_NONE)
        return out;
    out.code = code_of(word);
    if (adp_span_is_fold(word, "ok") || adp_span_is_fold(word, "success"))
        out.state = ALICE_OK;
    else if (adp_span_is_fold(word, "not_ok") || adp_span_is_fold(word, "error") || out.code != 0)
        out.state = ALICE_REFUSED;
    else
        out.state = ALICE_ODD;
    if (out.code == 0)
        out.code = code_of(text);
    out.is_session = out.code == 0 && says_session(text);
    return out;
}

enum adp_rc alice_read_rc(uint32_t http_status, const struct alice_verdict *verdict)
{
    if (verdict->state != ALICE_REFUSED)
        return ADP_MALFORMED;
    if (verdict->is_session || verdict->code == 87 || verdict->code == 86)
        return ADP_AUTH;
    return (http_status == 401 || http_status == 403) && verdict->code == 0 ? ADP_AUTH
                                                                            : ADP_MALFORMED;
}

bool alice_order_id(
    const struct adp_json *json, uint32_t token, char out[IPC_BROKER_ORDER_ID_BYTES])
{
    const struct adp_span id = adp_json_span(json, token);
    bool has_digit = false;
    memset(out, 0, IPC_BROKER_ORDER_ID_BYTES);
    if (!adp_json_is(json, token, ADP_JSON_STRING) && !adp_json_is(json, token, ADP_JSON_NUMBER))
        return false;
    if (id.count < 6 || id.count >= IPC_BROKER_ORDER_ID_BYTES)
        return false;
    for (size_t i = 0; i < id.count; i++) {
        const uint8_t c = id.bytes[i];
        const bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z'))
            return false;
        has_digit |= is_digit;
    }
    if (!has_digit)
        return false;
    memcpy(out, id.bytes, id.count);
    return true;
}

static void write_code(uint32_t code, char out[12])
{
    if (code == 0 || code > 9999)
        return;
    out[0] = 'E';
    out[1] = 'C';
    char *at = out + 2;
    if (code > 999)
        *at++ = (char)('0' + code / 1000);
    *at++ = (char)('0' + code / 100 % 10);
    *at++ = (char)('0' + code / 10 % 10);
    *at = (char)('0' + code % 10);
}

/* A refusal, of the envelope or of the leg. `http_status` is one that may carry a verdict. */
static enum ipc_outcome_class refusal_class(
    enum ipc_action action, uint32_t http_status, const struct alice_verdict *verdict)
{
    if (http_status == 429)
        return IPC_OUTCOME_LIMITED;
    if (verdict->is_session)
        return IPC_OUTCOME_AUTH;
    if (verdict->code == 0)
        return http_status == 401 || http_status == 403 ? IPC_OUTCOME_AUTH : IPC_OUTCOME_UNKNOWN;
    switch (alice_code_meaning(verdict->code, action)) {
    case ALICE_MEANS_REJECTED:
        return IPC_OUTCOME_REJECTED;
    case ALICE_MEANS_AUTH:
        return IPC_OUTCOME_AUTH;
    case ALICE_MEANS_NOTHING:
        break;
    }
    return IPC_OUTCOME_UNKNOWN;
}

/* The envelope said Ok: what does its one leg say? One order was sent, so one leg is believed. */
static enum ipc_outcome_class leg_class(
    const struct adp_json *json, uint32_t envelope, enum ipc_action action, struct ipc_outcome *out)
{
    const uint32_t result = adp_json_get(json, envelope, "result");
    const uint32_t leg = adp_json_element(json, result, 0);
    if (!adp_json_is(json, leg, ADP_JSON_OBJECT) || json->tokens[result].size != 1)
        return IPC_OUTCOME_UNKNOWN;
    const struct alice_verdict verdict = alice_verdict(json, leg);
    const bool has_id =
        alice_order_id(json, adp_json_get(json, leg, "brokerOrderId"), out->broker_order_id);
    if (verdict.message != ADP_JSON_NONE)
        adp_json_text(json, verdict.message, out->text, sizeof(out->text));
    write_code(verdict.code, out->code);
    if (verdict.state == ALICE_REFUSED) /* refused and yet numbered: it may live */
        return has_id ? IPC_OUTCOME_UNKNOWN : refusal_class(action, 200, &verdict);
    if (verdict.state == ALICE_ODD || !has_id)
        return IPC_OUTCOME_UNKNOWN;
    return IPC_OUTCOME_ACKED;
}

/* Statuses whose body can carry a verdict. All others (1xx, 3xx, 408, 5xx) prove nothing. */
static bool may_carry_verdict(uint32_t http_status)
{
    switch (http_status) {
    case 200:
    case 400:
    case 401:
    case 403:
    case 404:
    case 409:
    case 422:
    case 429:
        return true;
    default:
        return false;
    }
}

/* A refusal that names an order inside it is a contradiction. */
static bool names_an_order(const struct adp_json *json, uint32_t envelope)
{
    char id[IPC_BROKER_ORDER_ID_BYTES];
    const uint32_t leg = adp_json_element(json, adp_json_get(json, envelope, "result"), 0);
    return alice_order_id(json, adp_json_get(json, leg, "brokerOrderId"), id) ||
           alice_order_id(json, adp_json_get(json, envelope, "brokerOrderId"), id);
}

void alice_decode_reply(
    enum ipc_action action, uint32_t http_status, struct adp_span body, struct ipc_outcome *out)
{
    struct adp_json json;
    memset(out, 0, sizeof(*out));
    out->http_status = (uint16_t)(http_status <= UINT16_MAX ? http_status : 0);
    out->outcome = IPC_OUTCOME_UNKNOWN;
    out->evidence = IPC_EVIDENCE_MALFORMED;
    if (adp_json_parse(&json, body) != ADP_OK)
        return;
    uint32_t envelope = 0;
    if (adp_json_is(&json, 0, ADP_JSON_ARRAY) && json.tokens[0].size == 1)
        envelope = 1; /* errors of the older API: [{"stat":"Not_Ok","Emsg":"Session Expired"}] */
    const struct alice_verdict verdict = alice_verdict(&json, envelope);
    if (verdict.state == ALICE_SILENT || verdict.state == ALICE_ODD)
        return;
    out->evidence = IPC_EVIDENCE_REPLY;
    adp_json_text(&json, verdict.message, out->text, sizeof(out->text));
    write_code(verdict.code, out->code);
    if (!may_carry_verdict(http_status))
        return;
    if (verdict.state == ALICE_OK) {
        if (http_status == 200 &&
            verdict.code == 0) /* "Ok" with an error code is a contradiction */
            out->outcome = (uint8_t)leg_class(&json, envelope, action, out);
        return;
    }
    if (!names_an_order(&json, envelope))
        out->outcome = (uint8_t)refusal_class(action, http_status, &verdict);
}
