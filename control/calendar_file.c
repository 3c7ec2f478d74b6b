#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/calendar_private.h"

#pragma GCC diagnostic ignored "-Wsign-conversion" /* the library's field macros */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

#define TEXT_BYTES_MAX (1u << 20)
#define POINTER        CYAML_FLAG_POINTER
#define OPTIONAL       (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

/* --- shape --------------------------------------------------------------------------------------
 */

static const cyaml_strval_t exchanges[] = {
#define X(name, value, text) {text, value},
    IPC_EXCHANGE_LIST(X)
#undef X
};

static const cyaml_strval_t days[] = {
    {"MON", 0}, {"TUE", 1}, {"WED", 2}, {"THU", 3}, {"FRI", 4}, {"SAT", 5}, {"SUN", 6}};

static const cyaml_schema_value_t exchange_entry = {
    CYAML_VALUE_ENUM(CYAML_FLAG_STRICT, int, exchanges, CYAML_ARRAY_LEN(exchanges))};
static const cyaml_schema_value_t day_entry = {
    CYAML_VALUE_ENUM(CYAML_FLAG_STRICT, int, days, CYAML_ARRAY_LEN(days))};
static const cyaml_schema_value_t year_entry = {CYAML_VALUE_INT(CYAML_FLAG_DEFAULT, int)};

static const cyaml_schema_field_t session_fields[] = {
    CYAML_FIELD_STRING_PTR("open", POINTER, struct ctl_raw_session, open, 1, 8),
    CYAML_FIELD_STRING_PTR("close", POINTER, struct ctl_raw_session, close, 1, 8),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t session_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ctl_raw_session, session_fields)};

static const cyaml_schema_field_t rule_fields[] = {
    CYAML_FIELD_SEQUENCE("names", POINTER, struct ctl_raw_rule, names, &exchange_entry, 1, 16),
    CYAML_FIELD_SEQUENCE("days", POINTER, struct ctl_raw_rule, days, &day_entry, 1, 7),
    CYAML_FIELD_SEQUENCE("sessions", POINTER, struct ctl_raw_rule, sessions, &session_entry, 1, 8),
    CYAML_FIELD_STRING_PTR("intraday_cutoff", OPTIONAL, struct ctl_raw_rule, intraday_cutoff, 1, 8),
    CYAML_FIELD_STRING_PTR("from", OPTIONAL, struct ctl_raw_rule, from, 1, 16),
    CYAML_FIELD_STRING_PTR("to", OPTIONAL, struct ctl_raw_rule, to, 1, 16),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t rule_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ctl_raw_rule, rule_fields)};

static const cyaml_schema_field_t holiday_fields[] = {
    CYAML_FIELD_STRING_PTR("date", POINTER, struct ctl_raw_holiday, date, 1, 16),
    CYAML_FIELD_STRING_PTR("name", POINTER, struct ctl_raw_holiday, name, 1, 100),
    CYAML_FIELD_SEQUENCE(
        "exchanges", OPTIONAL, struct ctl_raw_holiday, exchanges, &exchange_entry, 1, 16),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t holiday_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ctl_raw_holiday, holiday_fields)};

static const cyaml_schema_field_t special_fields[] = {
    CYAML_FIELD_STRING_PTR("date", POINTER, struct ctl_raw_special, date, 1, 16),
    CYAML_FIELD_STRING_PTR("name", POINTER, struct ctl_raw_special, name, 1, 100),
    CYAML_FIELD_SEQUENCE(
        "exchanges", POINTER, struct ctl_raw_special, exchanges, &exchange_entry, 1, 16),
    CYAML_FIELD_STRING_PTR("open", POINTER, struct ctl_raw_special, open, 1, 8),
    CYAML_FIELD_STRING_PTR("close", POINTER, struct ctl_raw_special, close, 1, 8),
    CYAML_FIELD_STRING_PTR(
        "intraday_cutoff", OPTIONAL, struct ctl_raw_special, intraday_cutoff, 1, 8),
    CYAML_FIELD_BOOL("instead", CYAML_FLAG_OPTIONAL, struct ctl_raw_special, instead),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t special_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ctl_raw_special, special_fields)};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("market", POINTER, struct ctl_raw_calendar, market, 1, 60),
    CYAML_FIELD_STRING_PTR("zone", POINTER, struct ctl_raw_calendar, zone, 1, 60),
    CYAML_FIELD_STRING_PTR("utc_offset", OPTIONAL, struct ctl_raw_calendar, utc_offset, 1, 8),
    CYAML_FIELD_STRING_PTR("source", POINTER, struct ctl_raw_calendar, source, 1, 300),
    CYAML_FIELD_STRING_PTR("as_of", POINTER, struct ctl_raw_calendar, as_of, 1, 16),
    CYAML_FIELD_SEQUENCE("years", POINTER, struct ctl_raw_calendar, years, &year_entry, 1, 20),
    CYAML_FIELD_SEQUENCE(
        "exchanges", POINTER, struct ctl_raw_calendar, exchanges, &rule_entry, 1, 64),
    CYAML_FIELD_SEQUENCE(
        "holidays", OPTIONAL, struct ctl_raw_calendar, holidays, &holiday_entry, 0, 2000),
    CYAML_FIELD_SEQUENCE(
        "special", OPTIONAL, struct ctl_raw_calendar, special, &special_entry, 0, 2000),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct ctl_raw_calendar, fields)};

/* --- lines ------------------------------------------------------------------------
 */

struct place {
    const char *at;
    unsigned line;
};

static bool line_next(struct place *place)
{
    const char *end = strchr(place->at, '\n');
    if (end == NULL)
        return false;
    place->at = end + 1;
    place->line++;
    return *place->at != '\0';
}

static bool has_key(const char *line, const char *key)
{
    size_t bytes = strlen(key);
    for (const char *at = line; *at != '\0' && *at != '\n' && *at != '#'; at++)
        if (strncmp(at, key, bytes) == 0 && at[bytes] == ':' &&
            (at == line || strchr(" {,-", at[-1]) != NULL))
            return true;
    return false;
}

static unsigned line_of_key(const char *text, const char *key, unsigned otherwise)
{
    struct place place = {text, 1};
    while (!has_key(place.at, key))
        if (!line_next(&place))
            return otherwise;
    return place.line;
}

/* --- loading ------------------------------------------------------------------------------------
 */

/* libcyaml says what and where in log lines; the first line number among them is the place. */
struct lines {
    char text[160];
    unsigned line;
};

static void keep_line(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct lines *lines = context;
    char line[160];
    (void)level;
    vsnprintf(line, sizeof(line), format, arguments);
    line[strcspn(line, "\n")] = '\0';
    const char *place = strstr(line, "line: ");
    if (lines->line == 0 && place != NULL)
        lines->line = (unsigned)strtoul(place + 6, NULL, 10);
    if (lines->text[0] == '\0' && strstr(line, "Backtrace") == NULL) {
        const char *said = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
        snprintf(lines->text, sizeof(lines->text), "%s", said);
    }
}

static const cyaml_config_t quiet = {.mem_fn = cyaml_mem};

static enum ipc_rc text_read(struct ctl_calendar_file *file, struct ipc_error *error)
{
    FILE *stream = fopen(file->path, "r");
    if (stream == NULL) {
        ipc_error_set(error, "%s: the file cannot be opened", file->path);
        return IPC_BAD_INPUT;
    }
    file->text = malloc(TEXT_BYTES_MAX + 1);
    LS_CHECK(file->text != NULL);
    size_t bytes = fread(file->text, 1, TEXT_BYTES_MAX + 1, stream);
    fclose(stream);
    if (bytes > TEXT_BYTES_MAX) {
        ipc_error_set(error, "%s: longer than a calendar can be", file->path);
        return IPC_BAD_INPUT;
    }
    file->text[bytes] = '\0';
    return IPC_OK;
}

enum ipc_rc ctl_calendar_file_load(
    const char *path, struct ctl_calendar_file *file, struct ipc_error *error)
{
    struct lines lines = {.line = 0};
    *file = (struct ctl_calendar_file){.path = path};
    enum ipc_rc rc = text_read(file, error);
    if (rc != IPC_OK)
        return rc;
    const cyaml_config_t reader = {
        .log_fn = keep_line, .log_ctx = &lines, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};
    cyaml_err_t read = cyaml_load_data((const uint8_t *)file->text, strlen(file->text), &reader,
        &schema, (cyaml_data_t **)&file->raw, NULL);
    if (read == CYAML_OK)
        return IPC_OK;
    /* Of a key that it does not know, the library tells no line. */
    static const char unexpected[] = "Unexpected key: ";
    const char *key = strstr(lines.text, unexpected);
    if (key != NULL)
        lines.line = line_of_key(file->text, key + sizeof(unexpected) - 1, lines.line);
    ipc_error_set(error, "%s:%u: %s%s%.120s", path, lines.line, cyaml_strerror(read),
        lines.text[0] != '\0' ? ": " : "", lines.text);
    return IPC_BAD_INPUT;
}

void ctl_calendar_file_free(struct ctl_calendar_file *file)
{
    if (file->raw != NULL)
        (void)cyaml_free(&quiet, &schema, file->raw, 0);
    free(file->text);
    *file = (struct ctl_calendar_file){.path = NULL};
}

/* --- complaints of what is read --------------------------------------------------------------
 */

/* The n-th list item of a top-level section begins at the n-th line whose first character, at the
 * indentation of the first such line, is a dash. */
static unsigned line_of(const char *text, const char *section, int item, const char *key)
{
    struct place place = {text, 1};
    size_t bytes = strlen(section);
    while (strncmp(place.at, section, bytes) != 0 || place.at[bytes] != ':')
        if (!line_next(&place))
            return 1;
    unsigned found = place.line;
    int indent = -1;
    while (item >= 0 && line_next(&place)) {
        int blanks = (int)strspn(place.at, " ");
        char first = place.at[blanks];
        if (blanks == 0 && first != '-' && first != '#' && first != '\n')
            return found; /* the next section */
        if (first == '-' && (indent < 0 || blanks == indent)) {
            indent = blanks;
            if (item-- == 0)
                break;
        }
    }
    if (item > -1)
        return found;
    found = place.line;
    while (key != NULL && !has_key(place.at, key)) {
        if (!line_next(&place) || (int)strspn(place.at, " ") <= indent)
            return found;
    }
    return key != NULL ? place.line : found;
}

enum ipc_rc ctl_calendar_complain(const struct ctl_calendar_file *file, const char *section,
    int item, const char *key, struct ipc_error *error, const char *format, ...)
{
    char sentence[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    ipc_error_set(error, "%s:%u: %s", file->path,
        section != NULL ? line_of(file->text, section, item, item >= 0 ? key : NULL) : 1, sentence);
    return IPC_BAD_INPUT;
}
