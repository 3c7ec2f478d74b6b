#include "bench/option_file.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/base.h"

#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* libcyaml hands over a format */

/* libcyaml says what and where in log lines; the first ones are the sentence. */
static void keep_line(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct ipc_error *error = context;
    char line[160];
    (void)level;
    (void)vsnprintf(line, sizeof(line), format, arguments);
    line[strcspn(line, "\n")] = '\0';
    size_t used = strlen(error->text);
    if (strncmp(line, "Load: Backtrace", 15) != 0)
        (void)snprintf(
            error->text + used, sizeof(error->text) - used, "%s%s", used > 0 ? ", " : "", line);
}

/* Takes --config out of argv and returns its file, NULL when there is none. */
static const char *take_config(int *argc, char **argv)
{
    const char *path = NULL;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < *argc)
            path = argv[++i];
        else if (strncmp(argv[i], "--config=", 9) == 0)
            path = argv[i] + 9;
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    *argc = kept;
    return path;
}

/* One optional string per option: what a value must be, the option's own reader says. */
static uint32_t make_fields(const struct option *names, cyaml_schema_field_t *fields)
{
    uint32_t count = 0;
    for (; names[count].name != NULL; count++) {
        LS_CHECK(count < BENCH_OPTION_NAMES_MAX);
        fields[count] = (cyaml_schema_field_t){.key = names[count].name,
            .data_offset = count * (uint32_t)sizeof(char *),
            .value = {.type = CYAML_STRING,
                .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                .data_size = sizeof(char),
                .string = {.min = 0, .max = 255}}};
    }
    return count;
}

enum ipc_rc bench_option_file(
    const struct option *names, int *argc, char ***argv, struct ipc_error *error)
{
    const char *path = take_config(argc, *argv);
    if (path == NULL)
        return IPC_OK;
    cyaml_schema_field_t fields[BENCH_OPTION_NAMES_MAX + 1] = {{0}};
    const uint32_t count = make_fields(names, fields);
    const cyaml_schema_value_t schema = {.type = CYAML_MAPPING,
        .flags = CYAML_FLAG_POINTER,
        .data_size = BENCH_OPTION_NAMES_MAX * (uint32_t)sizeof(char *),
        .mapping = {.fields = fields}};
    struct ipc_error lines = {.text = ""};
    const cyaml_config_t reader = {
        .log_fn = keep_line, .log_ctx = &lines, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};
    char **values = NULL;
    const cyaml_err_t rc = cyaml_load_file(path, &reader, &schema, (cyaml_data_t **)&values, NULL);
    if (rc != CYAML_OK) {
        ipc_error_set(error, "%s: %s%s%.150s", path, cyaml_strerror(rc),
            lines.text[0] != '\0' ? ": " : "", lines.text);
        return IPC_BAD_INPUT;
    }
    char **words = calloc((size_t)*argc + 2u * count + 1, sizeof(*words));
    LS_CHECK(words != NULL);
    int used = 0;
    words[used++] = (*argv)[0];
    for (uint32_t i = 0; i < count; i++) {
        const bool is_flag = names[i].has_arg == no_argument;
        if (values[i] == NULL || (is_flag && strcmp(values[i], "false") == 0))
            continue;
        if (is_flag && strcmp(values[i], "true") != 0) {
            ipc_error_set(error, "%s: %s: must be true or false", path, names[i].name);
            return IPC_BAD_INPUT;
        }
        char *word = malloc(strlen(names[i].name) + strlen(values[i]) + 4);
        LS_CHECK(word != NULL);
        (void)sprintf(
            word, "--%s%s%s", names[i].name, is_flag ? "" : "=", is_flag ? "" : values[i]);
        words[used++] = word;
    }
    for (int i = 1; i < *argc; i++)
        words[used++] = (*argv)[i];
    *argc = used;
    *argv = words;
    return IPC_OK;
}
