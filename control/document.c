#include "control/document.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#define JSMN_STRICT
#include <jsmn.h>

#include "ipc/decimal.h"

struct ctl_document {
    char name[96]; /* as the person wrote it, for messages */
    char *text;
    size_t text_bytes;
    jsmntok_t *tokens;
    uint32_t *ends; /* index after the value's whole subtree */
    uint32_t token_count;
};

static enum ipc_rc read_all(FILE *file, size_t bytes_max, char **text, size_t *bytes)
{
    size_t room = 65536, used = 0;
    char *buffer = malloc(room);
    if (buffer == NULL)
        return IPC_SYSTEM;
    for (;;) {
        used += fread(buffer + used, 1, room - used - 1, file);
        if (ferror(file) || used > bytes_max) {
            enum ipc_rc rc = ferror(file) ? IPC_SYSTEM : IPC_TOO_LONG;
            explicit_bzero(buffer, used);
            free(buffer);
            return rc;
        }
        if (feof(file))
            break;
        if (used == room - 1) {
            char *larger = malloc(room * 2); /* not realloc: the old bytes are wiped */
            if (larger == NULL) {
                explicit_bzero(buffer, used);
                free(buffer);
                return IPC_SYSTEM;
            }
            memcpy(larger, buffer, used);
            explicit_bzero(buffer, used);
            free(buffer);
            buffer = larger;
            room *= 2;
        }
    }
    buffer[used] = '\0';
    *text = buffer;
    *bytes = used;
    return IPC_OK;
}

/* jansson decides what is JSON; its own tree is thrown away. */
static bool is_strict_json(const struct ctl_document *document, struct ipc_error *error)
{
    json_error_t trouble;
    json_t *root =
        json_loadb(document->text, document->text_bytes, JSON_REJECT_DUPLICATES, &trouble);
    if (root == NULL) {
        ipc_error_set(error, "%s:%d: %s (column %d)", document->name, trouble.line, trouble.text,
            trouble.column);
        return false;
    }
    bool is_object = json_is_object(root);
    json_decref(root);
    if (!is_object)
        ipc_error_set(error, "%s:1: the file must hold one JSON object", document->name);
    return is_object;
}

static bool tokenize(struct ctl_document *document)
{
    jsmn_parser parser;
    jsmn_init(&parser);
    int count = jsmn_parse(&parser, document->text, document->text_bytes, NULL, 0);
    if (count <= 0)
        return false;
    document->token_count = (uint32_t)count;
    document->tokens = calloc((size_t)count, sizeof(*document->tokens));
    document->ends = calloc((size_t)count, sizeof(*document->ends));
    if (document->tokens == NULL || document->ends == NULL)
        return false;
    jsmn_init(&parser);
    if (jsmn_parse(&parser, document->text, document->text_bytes, document->tokens,
            (unsigned)count) != count)
        return false;
    /* A value ends where the next token starts beyond it: one pass from the back, over parents. */
    for (uint32_t i = 0; i < document->token_count; i++)
        document->ends[i] = i + 1;
    for (uint32_t i = document->token_count; i-- > 1;) {
        uint32_t parent = (uint32_t)document->tokens[i].parent;
        if (document->ends[i] > document->ends[parent])
            document->ends[parent] = document->ends[i];
    }
    return true;
}

struct ctl_document *ctl_document_open(const char *path, size_t bytes_max, struct ipc_error *error)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (file == NULL) {
        ipc_error_set(error, "cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    struct ctl_document *document = calloc(1, sizeof(*document));
    LS_CHECK(document != NULL);
    snprintf(document->name, sizeof(document->name), "%s", is_stdin ? "standard input" : path);
    enum ipc_rc rc = read_all(file, bytes_max, &document->text, &document->text_bytes);
    if (!is_stdin)
        fclose(file);
    if (rc != IPC_OK) {
        ipc_error_set(error, "cannot read %s: %s", document->name,
            rc == IPC_TOO_LONG ? "the file is larger than allowed" : strerror(errno));
        free(document);
        return NULL;
    }
    if (!is_strict_json(document, error)) {
        ctl_document_close(document);
        return NULL;
    }
    if (!tokenize(document)) {
        ipc_error_set(error, "%s: not enough memory for the file", document->name);
        ctl_document_close(document);
        return NULL;
    }
    return document;
}

void ctl_document_close(struct ctl_document *document)
{
    if (document == NULL)
        return;
    if (document->text != NULL)
        explicit_bzero(document->text, document->text_bytes);
    free(document->text);
    free(document->tokens);
    free(document->ends);
    free(document);
}

enum ctl_json_type ctl_document_type(const struct ctl_document *document, uint32_t value)
{
    LS_CHECK(value < document->token_count);
    const jsmntok_t *token = &document->tokens[value];
    if (token->type == JSMN_OBJECT)
        return CTL_JSON_OBJECT;
    if (token->type == JSMN_ARRAY)
        return CTL_JSON_ARRAY;
    if (token->type == JSMN_STRING)
        return CTL_JSON_STRING;
    char first = document->text[token->start];
    if (first == 't' || first == 'f')
        return CTL_JSON_BOOL;
    return first == 'n' ? CTL_JSON_NULL : CTL_JSON_NUMBER;
}

uint32_t ctl_document_count(const struct ctl_document *document, uint32_t value)
{
    LS_CHECK(value < document->token_count);
    return (uint32_t)document->tokens[value].size;
}

uint32_t ctl_document_first(const struct ctl_document *document, uint32_t array)
{
    return ctl_document_count(document, array) > 0 ? array + 1 : CTL_NONE;
}

uint32_t ctl_document_next(const struct ctl_document *document, uint32_t value)
{
    uint32_t next = document->ends[value];
    if (next >= document->token_count ||
        document->tokens[next].parent != document->tokens[value].parent)
        return CTL_NONE;
    return next;
}

static bool token_is(const struct ctl_document *document, uint32_t value, const char *text)
{
    const jsmntok_t *token = &document->tokens[value];
    size_t bytes = (size_t)(token->end - token->start);
    return strlen(text) == bytes && memcmp(document->text + token->start, text, bytes) == 0;
}

uint32_t ctl_document_member(const struct ctl_document *document, uint32_t object, const char *key)
{
    uint32_t end = document->ends[object];
    for (uint32_t name = object + 1; name < end; name = document->ends[name])
        if (token_is(document, name, key))
            return name + 1;
    return CTL_NONE;
}

uint32_t ctl_document_line(const struct ctl_document *document, uint32_t value)
{
    uint32_t line = 1;
    for (int i = 0; i < document->tokens[value].start; i++)
        line += document->text[i] == '\n';
    return line;
}

/* Writes "subscriptions[3].ratio" for a value, from the root down. */
static void write_path(
    const struct ctl_document *document, uint32_t value, char *out, size_t out_bytes)
{
    int parent = document->tokens[value].parent;
    if (parent < 0) {
        out[0] = '\0';
        return;
    }
    const jsmntok_t *above = &document->tokens[parent];
    if (above->type == JSMN_STRING) { /* the value of a member: its parent token is the key */
        write_path(document, (uint32_t)above->parent, out, out_bytes);
        size_t used = strlen(out);
        snprintf(out + used, out_bytes - used, "%s%.*s", used > 0 ? "." : "",
            above->end - above->start, document->text + above->start);
        return;
    }
    write_path(document, (uint32_t)parent, out, out_bytes);
    size_t used = strlen(out);
    if (above->type == JSMN_OBJECT) { /* the value is a key itself */
        snprintf(out + used, out_bytes - used, "%s%.*s", used > 0 ? "." : "",
            document->tokens[value].end - document->tokens[value].start,
            document->text + document->tokens[value].start);
        return;
    }
    uint32_t index = 0;
    for (uint32_t i = (uint32_t)parent + 1; i < value; i = document->ends[i])
        index++;
    snprintf(out + used, out_bytes - used, "[%u]", index);
}

void ctl_document_complain(const struct ctl_document *document, uint32_t value,
    struct ipc_error *error, const char *format, ...)
{
    char path[96], sentence[160];
    write_path(document, value, path, sizeof(path));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    ipc_error_set(error, "%s:%u: %s%s%s", document->name, ctl_document_line(document, value), path,
        path[0] != '\0' ? ": " : "", sentence);
}

static enum ipc_rc find(
    const struct ctl_document *document, uint32_t object, const char *key, uint32_t *value)
{
    *value = ctl_document_member(document, object, key);
    if (*value == CTL_NONE || ctl_document_type(document, *value) == CTL_JSON_NULL)
        return IPC_NOT_FOUND;
    return IPC_OK;
}

static int hex_value(const char *digits)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
        value = value * 16 + digit; /* jansson has checked the digits */
    }
    return value;
}

/* Copies a JSON string without its escapes; code points above ASCII are kept as they stand or
 * written as UTF-8. */
static bool unescape(const char *in, const char *end, char *out, size_t out_bytes)
{
    size_t used = 0;
    while (in < end) {
        char bytes[3];
        size_t count = 1;
        bytes[0] = *in;
        if (*in != '\\') {
            in++;
        } else if (in[1] != 'u') {
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
            bytes[0] = to[strchr(from, in[1]) - from];
            in += 2;
        } else {
            int code = hex_value(in + 2);
            in += 6;
            if (code < 0x80) {
                bytes[0] = (char)code;
            } else if (code < 0x800) {
                bytes[0] = (char)(0xC0 | code >> 6);
                bytes[1] = (char)(0x80 | (code & 0x3F));
                count = 2;
            } else if (code >= 0xD800 && code < 0xE000) {
                return false; /* a pair outside the basic plane: nothing here is written so */
            } else {
                bytes[0] = (char)(0xE0 | code >> 12);
                bytes[1] = (char)(0x80 | (code >> 6 & 0x3F));
                bytes[2] = (char)(0x80 | (code & 0x3F));
                count = 3;
            }
        }
        if (used + count >= out_bytes)
            return false;
        memcpy(out + used, bytes, count);
        used += count;
    }
    out[used] = '\0';
    return strlen(out) == used; /* no NUL inside */
}

enum ipc_rc ctl_document_text(const struct ctl_document *document, uint32_t value, char *out,
    size_t out_bytes, struct ipc_error *error)
{
    if (ctl_document_type(document, value) != CTL_JSON_STRING) {
        ctl_document_complain(document, value, error, "must be a string");
        return IPC_BAD_INPUT;
    }
    const jsmntok_t *token = &document->tokens[value];
    memset(out, 0, out_bytes);
    if (!unescape(document->text + token->start, document->text + token->end, out, out_bytes)) {
        explicit_bzero(out, out_bytes);
        ctl_document_complain(document, value, error,
            "must be a string of at most %zu bytes without NUL", out_bytes - 1);
        return IPC_BAD_INPUT;
    }
    return IPC_OK;
}

enum ipc_rc ctl_document_string(const struct ctl_document *document, uint32_t object,
    const char *key, char *out, size_t out_bytes, struct ipc_error *error)
{
    uint32_t value;
    if (find(document, object, key, &value) != IPC_OK)
        return IPC_NOT_FOUND;
    return ctl_document_text(document, value, out, out_bytes, error);
}

enum ipc_rc ctl_document_e8(const struct ctl_document *document, uint32_t object, const char *key,
    int64_t low_e8, int64_t high_e8, int64_t *out, struct ipc_error *error)
{
    uint32_t value;
    if (find(document, object, key, &value) != IPC_OK)
        return IPC_NOT_FOUND;
    const jsmntok_t *token = &document->tokens[value];
    enum ctl_json_type type = ctl_document_type(document, value);
    int64_t number = 0;
    if ((type != CTL_JSON_NUMBER && type != CTL_JSON_STRING) ||
        ipc_decimal_parse(document->text + token->start, (size_t)(token->end - token->start),
            &number) != IPC_OK) {
        ctl_document_complain(
            document, value, error, "must be a decimal number with at most 8 places");
        return IPC_BAD_INPUT;
    }
    if (number < low_e8 || number > high_e8) {
        char low[IPC_DECIMAL_BYTES], high[IPC_DECIMAL_BYTES];
        ipc_decimal_format(low_e8, low);
        ipc_decimal_format(high_e8, high);
        ctl_document_complain(document, value, error, "must lie between %s and %s", low, high);
        return IPC_BAD_INPUT;
    }
    *out = number;
    return IPC_OK;
}

enum ipc_rc ctl_document_uint(const struct ctl_document *document, uint32_t object, const char *key,
    uint64_t low, uint64_t high, uint64_t *out, struct ipc_error *error)
{
    uint32_t value;
    if (find(document, object, key, &value) != IPC_OK)
        return IPC_NOT_FOUND;
    const jsmntok_t *token = &document->tokens[value];
    const char *digits = document->text + token->start;
    size_t count = (size_t)(token->end - token->start);
    bool good = ctl_document_type(document, value) == CTL_JSON_NUMBER && count <= 18;
    uint64_t number = 0;
    for (size_t i = 0; good && i < count; i++) {
        good = digits[i] >= '0' && digits[i] <= '9';
        number = number * 10 + (uint64_t)(digits[i] - '0');
    }
    if (!good || number < low || number > high) {
        ctl_document_complain(document, value, error,
            "must be a whole number between %llu and %llu", (unsigned long long)low,
            (unsigned long long)high);
        return IPC_BAD_INPUT;
    }
    *out = number;
    return IPC_OK;
}

enum ipc_rc ctl_document_bool(const struct ctl_document *document, uint32_t object, const char *key,
    bool *out, struct ipc_error *error)
{
    uint32_t value;
    if (find(document, object, key, &value) != IPC_OK)
        return IPC_NOT_FOUND;
    if (ctl_document_type(document, value) != CTL_JSON_BOOL) {
        ctl_document_complain(document, value, error, "must be true or false");
        return IPC_BAD_INPUT;
    }
    *out = document->text[document->tokens[value].start] == 't';
    return IPC_OK;
}

enum ipc_rc ctl_document_only(const struct ctl_document *document, uint32_t object,
    const char *const *keys, struct ipc_error *error)
{
    if (ctl_document_type(document, object) != CTL_JSON_OBJECT) {
        ctl_document_complain(document, object, error, "must be an object");
        return IPC_BAD_INPUT;
    }
    uint32_t end = document->ends[object];
    for (uint32_t name = object + 1; name < end; name = document->ends[name]) {
        bool known = false;
        for (size_t i = 0; keys[i] != NULL && !known; i++)
            known = token_is(document, name, keys[i]);
        if (!known) {
            ctl_document_complain(
                document, name, error, "is not a known field here; correct or remove it");
            return IPC_BAD_INPUT;
        }
    }
    return IPC_OK;
}
