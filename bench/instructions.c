#include "bench/instructions.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void nothing(void *context)
{
    (void)context;
}

/* From one stop to the next. */
static int64_t count(void (*run)(void *), void *context, int64_t most)
{
    const pid_t parent = getpid(), pid = fork();
    int status = 0;
    int64_t steps = 0;
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(1);
        (void)kill(getpid(), SIGSTOP);
        run(context);
        (void)kill(getpid(), SIGSTOP);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return -1;
    while (steps < most && ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 &&
           waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
        steps++;
    const bool is_whole = WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
    if (!WIFEXITED(status)) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    return is_whole ? steps : -1;
}

int64_t bench_instructions(void (*run)(void *context), void *context, int64_t most)
{
    const int64_t empty = count(nothing, NULL, 100000);
    const int64_t all = count(run, context, most);
    return empty < 0 || all < 0 ? -1 : all - empty;
}
