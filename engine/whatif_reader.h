/* whatif_reader.h: what the files of the reader share: members of the three JSON objects of a case.
 * A name that is not known is passed over, a word that must be known or a number that is none is a
 * fault: an answer to half of a question would be worse than none. The first fault stays. Private
 * to whatif_read.c and the files beside it. */
#ifndef LS_ENGINE_WHATIF_READER_H
#define LS_ENGINE_WHATIF_READER_H

#include "adapters/json.h"
#include "engine/whatif_case.h"

struct whatif_reader {
    struct adp_json params, event, state;
    struct whatif_case *out;
    struct ipc_error *error;
    enum ipc_rc rc;
};

/* whatif_object_name returns "params", "master_event" or "follower_state". */
const char *whatif_object_name(const struct whatif_reader *reader, const struct adp_json *json);

/* whatif_fault keeps a sentence: object, member, and what is wrong with it. */
void whatif_fault(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, const char *wrong);

/* whatif_find: a member that is there and not null. */
bool whatif_find(const struct adp_json *json, const char *key, uint32_t *token);

/* whatif_token_e8 reads a number, or a string with one. Digits after the eighth decimal are cut:
 * never up, so that no quantity is above what was asked. */
bool whatif_token_e8(const struct adp_json *json, uint32_t token, int64_t *value_e8);

/* A number; false when it is missing or null. */
bool whatif_number(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, int64_t *value_e8);
int64_t whatif_number_or(struct whatif_reader *reader, const struct adp_json *json, const char *key,
    int64_t otherwise_e8);
/* A number of 0 or more, 0 when missing. */
int64_t whatif_amount(struct whatif_reader *reader, const struct adp_json *json, const char *key);
/* A percent as the fraction that it is. */
int64_t whatif_percent(struct whatif_reader *reader, const struct adp_json *json, const char *key);
/* A whole number below 2^32 - 1. */
uint32_t whatif_count(struct whatif_reader *reader, const struct adp_json *json, const char *key);
bool whatif_flag(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, bool otherwise);
/* A short string; false and "" when it is missing. */
bool whatif_word(struct whatif_reader *reader, const struct adp_json *json, const char *key,
    char out[WHATIF_WORD_BYTES]);
/* One of a few words; missing = the first. Returns its place. */
size_t whatif_choice(struct whatif_reader *reader, const struct adp_json *json, const char *key,
    const char *const *words, size_t count);
bool whatif_is_word(const char *text, const char *const *words, size_t count, size_t *at);

/* Words of the market. */
uint8_t whatif_type(const char *text); /* enum ipc_type, 0 = not known */
uint8_t whatif_product(struct whatif_reader *reader, const char *text);
uint8_t whatif_side(struct whatif_reader *reader, const struct adp_json *json, const char *key);
/* "09:20" or "09:20:30" as minutes of the day; -1 = it is no time. */
int32_t whatif_minute_of(const char *text, size_t bytes);
int32_t whatif_minute(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, int32_t otherwise);
/* True when the list is missing, empty, or has the word. */
bool whatif_list_allows(
    struct whatif_reader *reader, const struct adp_json *json, const char *key, const char *text);

/* The parts of a case, in this order. */
void whatif_read_params(struct whatif_reader *reader, const char *mode);
void whatif_read_event(struct whatif_reader *reader);
void whatif_read_state(struct whatif_reader *reader);

static inline void whatif_policy_flag(struct whatif_case *out, uint32_t bit, bool on)
{
    if (on)
        out->policy.flags |= bit;
}

/* Sums and sizes that stay in range. */
static inline int64_t whatif_plus(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}

static inline int64_t whatif_magnitude(int64_t value)
{
    return value < 0 ? -(value + (value == INT64_MIN)) : value;
}

#endif
