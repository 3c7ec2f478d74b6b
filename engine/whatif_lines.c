#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/whatif_file.h"

/* One question at a time; too large for a stack. */
static struct whatif_case question;
static struct whatif_answer answer;
static char reply[WHATIF_TEXT_BYTES];

static bool blank(const char *line, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (strchr(" \t\r\n", line[i]) == NULL)
            return false;
    return true;
}

/* A line that cannot be answered still gets its line of output, so that answers stay beside their
 * questions. */
static void answer_fault(const char *sentence)
{
    (void)fputs("{\"action\":\"ERROR\",\"orders\":[],\"reason_code\":null,\"explain\":\"", stdout);
    for (const char *at = sentence; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            (void)fputc('\\', stdout);
        (void)fputc((unsigned char)*at < 0x20 ? ' ' : *at, stdout);
    }
    (void)puts("\"}");
}

static bool answer_line(const char *line, size_t bytes, struct ipc_error *error)
{
    if (bytes > WHATIF_LINE_BYTES) {
        ipc_error_set(error, "is longer than %u bytes: shorten it", WHATIF_LINE_BYTES);
        return false;
    }
    struct adp_span span = {.bytes = (const uint8_t *)line, .count = bytes};
    if (whatif_read_line(span, &question, error) != IPC_OK)
        return false;
    whatif_run(&question, &answer);
    (void)whatif_print(&question, &answer, reply, sizeof reply);
    (void)puts(reply);
    return true;
}

int whatif_lines(FILE *in, const char *name)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    int code = 0;
    for (uint32_t number = 1; (bytes = getline(&line, &room, in)) >= 0; number++) {
        struct ipc_error error;
        if (blank(line, (size_t)bytes) || answer_line(line, (size_t)bytes, &error))
            continue;
        answer_fault(error.text);
        (void)fprintf(stderr, "lockstep-whatif: %s:%u %s\n", name, number, error.text);
        code = 1;
    }
    if (ferror(in)) {
        (void)fprintf(stderr, "lockstep-whatif: %s cannot be read: %s\n", name, strerror(errno));
        code = 2;
    }
    free(line);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "lockstep-whatif: the output cannot be written\n");
        code = 2;
    }
    return code;
}
