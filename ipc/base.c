#include "ipc/base.h"
#include "ipc/rc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ls_check_failed(const char *condition, const char *file, int line)
{
    char text[512];
    int bytes = snprintf(text, sizeof text, "%s:%d: check failed: %s\n", file, line, condition);
    if (bytes > (int)sizeof text - 1)
        bytes = (int)sizeof text - 1;
    if (bytes > 0 && write(STDERR_FILENO, text, (size_t)bytes) < 0) {
        /* Nothing is left to report to; abort says enough. */
    }
    abort();
}

const char *ipc_rc_text(enum ipc_rc rc)
{
    switch (rc) {
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        IPC_RC_LIST(X)
#undef X
    }
    return "unknown result code";
}

void ipc_error_set(struct ipc_error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    if (bytes < 0)
        error->text[0] = '\0';
}
