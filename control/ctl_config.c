#include "control/ctl_config.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wsign-conversion" /* the library's field macros */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR(
        "instance", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ctl_config, instance, 1, 31),
    CYAML_FIELD_STRING_PTR(
        "key_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ctl_config, key_file, 1, 255),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct ctl_config, fields),
};

/* libcyaml says what and where in log lines; the first ones are the sentence. */
static void keep_line(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct ipc_error *error = context;
    char line[160];
    (void)level;
    vsnprintf(line, sizeof(line), format, arguments);
    line[strcspn(line, "\n")] = '\0';
    size_t used = strlen(error->text);
    if (strncmp(line, "Load: Backtrace", 15) != 0)
        snprintf(
            error->text + used, sizeof(error->text) - used, "%s%s", used > 0 ? ", " : "", line);
}

struct ctl_config *ctl_config_load(const char *path, struct ipc_error *error)
{
    struct ipc_error lines = {.text = ""};
    struct ctl_config *config = NULL;
    const cyaml_config_t reader = {
        .log_fn = keep_line, .log_ctx = &lines, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};
    cyaml_err_t rc = cyaml_load_file(path, &reader, &schema, (cyaml_data_t **)&config, NULL);
    if (rc == CYAML_OK)
        return config;
    ipc_error_set(error, "%s: %s%s%.150s", path, cyaml_strerror(rc),
        lines.text[0] != '\0' ? ": " : "", lines.text);
    return NULL;
}

void ctl_config_free(struct ctl_config *config)
{
    const cyaml_config_t reader = {.mem_fn = cyaml_mem};
    (void)cyaml_free(&reader, &schema, config, 0);
}
