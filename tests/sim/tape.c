#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/sim.h"

void sim_note(struct sim *sim, const char *format, ...)
{
    char *line = sim->tape.lines[sim->tape.count++ % SIM_TAPE_LINES];
    int used =
        snprintf(line, SIM_TAPE_BYTES, "step %llu  %lld.%06lld ms  ", (unsigned long long)sim->step,
            (long long)(sim->now_ns / LS_NS_PER_MS), (long long)(sim->now_ns % LS_NS_PER_MS));
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line + used, SIM_TAPE_BYTES - (size_t)used, format, arguments);
    va_end(arguments);
    if (sim->options->verbose)
        fprintf(stderr, "%s\n", line);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sim->tape.failure, sizeof(sim->tape.failure), format, arguments);
    va_end(arguments);
    longjmp(sim->failed, 1);
}

void sim_tape_print(const struct sim *sim)
{
    uint64_t first = sim->tape.count > SIM_TAPE_LINES ? sim->tape.count - SIM_TAPE_LINES : 0;
    for (uint64_t i = first; i < sim->tape.count; i++) {
        const char *line = sim->tape.lines[i % SIM_TAPE_LINES];
        ssize_t ignored = write(STDERR_FILENO, line, strnlen(line, SIM_TAPE_BYTES));
        ignored = write(STDERR_FILENO, "\n", 1);
        (void)ignored;
    }
}
