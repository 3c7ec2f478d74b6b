#include "bench/report.h"

#include <stdarg.h>
#include <string.h>

void bench_report_begin(struct bench_report *report, const char *name)
{
    *report = (struct bench_report){.name = name, .rows = json_array()};
    LS_CHECK(report->rows != NULL);
    bench_machine_read(&report->machine);
}

void bench_report_add(struct bench_report *report, json_t *row)
{
    LS_CHECK(row != NULL && json_array_append_new(report->rows, row) == 0);
}

void bench_report_doubt(struct bench_report *report, const char *format, ...)
{
    const size_t bytes = sizeof report->noise;
    size_t used = strlen(report->noise);
    va_list arguments;
    if (used != 0)
        used += (size_t)snprintf(report->noise + used, bytes - used, "; ");
    va_start(arguments, format);
    if (used < bytes)
        (void)vsnprintf(report->noise + used, bytes - used, format, arguments);
    va_end(arguments);
}

static void cell(const json_t *value, char out[64])
{
    if (json_is_string(value))
        (void)snprintf(out, 64, "%.60s", json_string_value(value));
    else if (json_is_integer(value))
        (void)snprintf(out, 64, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        (void)snprintf(
            out, 64, json_real_value(value) < 10 ? "%.3f" : "%.1f", json_real_value(value));
    else
        (void)snprintf(out, 64, "%s",
            json_is_true(value)    ? "yes"
            : json_is_false(value) ? "no"
                                   : "-");
}

static void print_table(const struct bench_report *report, FILE *out)
{
    size_t width[32] = {0}, columns = 0, i;
    json_t *row, *value;
    const char *key;
    char text[64];
    json_array_foreach(report->rows, i, row)
    {
        columns = 0;
        json_object_foreach(row, key, value)
        {
            cell(value, text);
            LS_CHECK(columns < LS_COUNT_OF(width));
            const size_t need = strlen(text) > strlen(key) ? strlen(text) : strlen(key);
            width[columns] = need > width[columns] ? need : width[columns];
            columns++;
        }
    }
    json_array_foreach(report->rows, i, row)
    {
        columns = 0;
        if (i == 0) {
            json_object_foreach(row, key, value)(void)
                fprintf(out, "%*s  ", (int)width[columns++], key);
            (void)fputc('\n', out);
            columns = 0;
        }
        json_object_foreach(row, key, value)
        {
            cell(value, text);
            (void)fprintf(out, "%*s  ", (int)width[columns++], text);
        }
        (void)fputc('\n', out);
    }
}

void bench_report_end(struct bench_report *report, bool as_json, FILE *out)
{
    const struct bench_machine *machine = &report->machine;
    if (as_json) {
        json_t *object = json_pack("{s:s, s:{s:s, s:i, s:s, s:s, s:s, s:f, s:b}, s:s, s:s, s:o}",
            "bench", report->name, "machine", "cpu", machine->cpu, "cores", (int)machine->cores,
            "kernel", machine->kernel, "openssl", machine->openssl, "governor", machine->governor,
            "load", machine->load, "realtime", (int)machine->is_alone, "noise", report->noise,
            "remark", report->remark, "rows", report->rows);
        LS_CHECK(object != NULL);
        (void)json_dumpf(object, out, JSON_REAL_PRECISION(7));
        (void)fputc('\n', out);
        json_decref(object);
        return;
    }
    (void)fprintf(out, "%s  (%s, %u processors, kernel %s, load %.1f)\n\n", report->name,
        machine->cpu, machine->cores, machine->kernel, machine->load);
    print_table(report, out);
    if (report->remark[0] != '\0')
        (void)fprintf(out, "\n%s\n", report->remark);
    if (report->noise[0] != '\0')
        (void)fprintf(out, "\nnoisy: %s\n", report->noise);
    json_decref(report->rows);
}
