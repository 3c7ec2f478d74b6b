#include "ipc/tag.h"

#include <openssl/evp.h>
#include <string.h>

/* The longest input: three length prefixes, a cluster id of 64, an account, an order id of 32. */
#define HASH_INPUT_BYTES_MAX 256

struct hash_input {
    uint8_t bytes[HASH_INPUT_BYTES_MAX];
    size_t used;
};

/* Every part is preceded by its length, so that ("ab", "c") and ("a", "bc") differ. Numbers are
 * little-endian whatever the host is, because another host must derive the same key. */
static void hash_put(struct hash_input *input, const void *part, size_t bytes)
{
    LS_CHECK(bytes <= 255);
    LS_CHECK(input->used + 1 + bytes <= sizeof input->bytes);
    input->bytes[input->used++] = (uint8_t)bytes;
    memcpy(input->bytes + input->used, part, bytes);
    input->used += bytes;
}

static void hash_put_u64(struct hash_input *input, uint64_t value)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    hash_put(input, bytes, sizeof bytes);
}

static void hash_words(const struct hash_input *input, uint64_t words[4])
{
    uint8_t digest[32];
    unsigned digest_bytes = 0;
    LS_CHECK(EVP_Digest(input->bytes, input->used, digest, &digest_bytes, EVP_sha256(), NULL) == 1);
    LS_CHECK(digest_bytes == sizeof digest);
    for (unsigned w = 0; w < 4; w++) {
        words[w] = 0;
        for (unsigned i = 0; i < 8; i++)
            words[w] |= (uint64_t)digest[8 * w + i] << (8 * i);
    }
}

void ipc_order_key(const char *cluster_id, uint32_t account, const char *broker_order_id,
    struct ipc_key *key, uint64_t *order_digits)
{
    struct hash_input input = {.used = 0};
    hash_put(&input, cluster_id, strnlen(cluster_id, 64));
    hash_put_u64(&input, account);
    hash_put(&input, broker_order_id, strnlen(broker_order_id, IPC_BROKER_ORDER_ID_BYTES));
    uint64_t words[4];
    hash_words(&input, words);
    *key = (struct ipc_key){.word = {words[0], words[1]}};
    /* 2^64 over 36^9 is 181,635: the modulo's bias is below 6 in a million. */
    *order_digits = words[2] % IPC_TAG_ORDERS;
}

struct ipc_key ipc_event_key(const struct ipc_event *event)
{
    struct hash_input input = {.used = 0};
    hash_put_u64(&input, event->order_key.word[0]);
    hash_put_u64(&input, event->order_key.word[1]);
    hash_put_u64(&input, (uint64_t)event->version);
    const uint8_t words_of_terms[6] = {
        event->side, event->type, event->product, event->validity, event->status, event->kind};
    hash_put(&input, words_of_terms, sizeof words_of_terms);
    hash_put_u64(&input, event->instrument);
    hash_put_u64(&input, (uint64_t)event->qty_e8);
    hash_put_u64(&input, (uint64_t)event->price_e8);
    hash_put_u64(&input, (uint64_t)event->trigger_e8);
    hash_put_u64(&input, (uint64_t)event->filled_qty_e8);
    uint64_t words[4];
    hash_words(&input, words);
    return (struct ipc_key){.word = {words[0], words[1]}};
}

static const char digits36[37] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* Divisions by the constant 36 are multiplications for the compiler. */
static void put_digits(uint64_t value, char *out, unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        out[i] = digits36[value % 36];
        value /= 36;
    }
    LS_CHECK(value == 0);
}

void ipc_tag_order_text(uint64_t order_digits, char out[IPC_TAG_ORDER_DIGITS])
{
    put_digits(order_digits, out, IPC_TAG_ORDER_DIGITS);
}

void ipc_tag_follower_text(uint32_t follower_no, char out[IPC_TAG_FOLLOWER_DIGITS])
{
    LS_CHECK(follower_no > 0);
    put_digits(follower_no, out, IPC_TAG_FOLLOWER_DIGITS);
}

void ipc_tag_action_text(uint32_t action, char out[IPC_TAG_ACTION_DIGITS])
{
    LS_CHECK(action < IPC_TAG_ACTIONS);
    put_digits(action, out, IPC_TAG_ACTION_DIGITS);
}

uint32_t ipc_tag_action(uint32_t leg, uint32_t slice, uint32_t ordinal)
{
    LS_CHECK(leg < IPC_TAG_LEGS);
    LS_CHECK(slice < IPC_TAG_SLICES);
    LS_CHECK(ordinal < IPC_TAG_ORDINALS);
    return (leg * IPC_TAG_SLICES + slice) * IPC_TAG_ORDINALS + ordinal;
}

void ipc_tag_compose(const struct ipc_tag_parts *parts, char tag[IPC_TAG_BYTES])
{
    char order[IPC_TAG_ORDER_DIGITS];
    char follower[IPC_TAG_FOLLOWER_DIGITS];
    char action[IPC_TAG_ACTION_DIGITS];
    ipc_tag_order_text(parts->order_digits, order);
    ipc_tag_follower_text(parts->follower_no, follower);
    ipc_tag_action_text(parts->action, action);
    ipc_tag_join(tag, order, follower, action);
}

static bool take_digits(const char *text, unsigned count, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        char c = text[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'A' && c <= 'Z')
            digit = (unsigned)(c - 'A') + 10;
        else
            return false;
        value = value * 36 + digit;
    }
    *out = value;
    return true;
}

enum ipc_rc ipc_tag_parse(const char *text, size_t bytes, struct ipc_tag_parts *out)
{
    if (bytes != IPC_TAG_CHARACTERS || text[0] != IPC_TAG_VERSION)
        return IPC_BAD_INPUT;
    uint64_t order, follower, action;
    if (!take_digits(text + 1, IPC_TAG_ORDER_DIGITS, &order) ||
        !take_digits(text + 10, IPC_TAG_FOLLOWER_DIGITS, &follower) ||
        !take_digits(text + 15, IPC_TAG_ACTION_DIGITS, &action))
        return IPC_BAD_INPUT;
    if (follower == 0 || action >= IPC_TAG_ACTIONS)
        return IPC_BAD_INPUT;
    *out = (struct ipc_tag_parts){
        .order_digits = order, .follower_no = (uint32_t)follower, .action = (uint32_t)action};
    return IPC_OK;
}

uint64_t ipc_tag_hash(const char tag[IPC_TAG_BYTES])
{
    /* Three overlapping words cover the 19 characters; the multiplier is 2^64 over the golden
     * ratio, the rotations keep equal words from cancelling. */
    uint64_t a, b, c;
    memcpy(&a, tag + 1, 8);
    memcpy(&b, tag + 9, 8);
    memcpy(&c, tag + 11, 8);
    const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t h = (a ^ (b << 29 | b >> 35)) * golden;
    h = (h ^ (h >> 32) ^ c) * golden;
    return h ^ (h >> 29);
}
