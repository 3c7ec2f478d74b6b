#include "tests/support/stepkill.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_NO_PTRACE 77

enum stop {
    STOP_STEP,       /* one instruction was executed */
    STOP_BREAKPOINT, /* an int3, ours or one that was put in */
    STOP_GONE,       /* the child is dead */
    STOP_NO_PTRACE,
    STOP_BROKEN,
};

/* The int3 before run is where stepping begins, the one after it is where it ends. */
static _Noreturn void be_child(const struct stepkill *plan)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(CHILD_NO_PTRACE);
    if (plan->prepare != NULL)
        plan->prepare(plan->context);
    __asm__ volatile("int3" ::: "memory");
    plan->run(plan->context);
    __asm__ volatile("int3" ::: "memory");
    _exit(0);
}

static enum stop wait_stop(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return STOP_BROKEN;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_NO_PTRACE)
        return STOP_NO_PTRACE;
    if (!WIFSTOPPED(status)) {
        fprintf(stderr, "stepkill: the child ended by itself, status 0x%x\n", (unsigned)status);
        return STOP_GONE;
    }
    siginfo_t info;
    if (WSTOPSIG(status) != SIGTRAP || ptrace(PTRACE_GETSIGINFO, child, NULL, &info) != 0) {
        struct user_regs_struct registers = {.rip = 0};
        ptrace(PTRACE_GETREGS, child, NULL, &registers);
        fprintf(stderr, "stepkill: the child stopped on signal %d at %#llx\n", WSTOPSIG(status),
            (unsigned long long)registers.rip);
        return STOP_BROKEN;
    }
    /* The kernel tells an int3 (SI_KERNEL) from a trace trap (TRAP_TRACE, TRAP_BRKPT). */
    return info.si_code == SI_KERNEL ? STOP_BREAKPOINT : STOP_STEP;
}

static enum stop resume(pid_t child, int how)
{
    if (ptrace((enum __ptrace_request)how, child, NULL, NULL) != 0)
        return STOP_BROKEN;
    return wait_stop(child);
}

static bool poke_int3(pid_t child, const void *at, long *original)
{
    errno = 0;
    *original = ptrace(PTRACE_PEEKTEXT, child, at, NULL);
    if (errno != 0)
        return false;
    long patched = (long)(((unsigned long)*original & ~0xfful) | 0xcc);
    return ptrace(PTRACE_POKETEXT, child, at, patched) == 0;
}

/* Takes the int3 out again and puts the program counter back on the instruction it replaced. */
static bool step_back(pid_t child, const void *at, long original)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_POKETEXT, child, at, original) != 0 ||
        ptrace(PTRACE_GETREGS, child, NULL, &registers) != 0)
        return false;
    registers.rip = (unsigned long)at;
    return ptrace(PTRACE_SETREGS, child, NULL, &registers) == 0;
}

static bool is_at(pid_t child, const void *at)
{
    struct user_regs_struct registers;
    return ptrace(PTRACE_GETREGS, child, NULL, &registers) == 0 &&
           registers.rip == (unsigned long)at + 1;
}

/* Lets the child run freely to the start_hits-th entry of the function. */
static enum stepkill_end run_to(pid_t child, const void *at, unsigned hits)
{
    for (unsigned hit = 1;; hit++) {
        long original;
        if (!poke_int3(child, at, &original))
            return STEPKILL_BROKEN;
        if (resume(child, PTRACE_CONT) != STOP_BREAKPOINT)
            return STEPKILL_BROKEN;
        if (!is_at(child, at))
            return STEPKILL_NEVER_STARTED;
        if (!step_back(child, at, original))
            return STEPKILL_BROKEN;
        if (hit >= hits)
            return STEPKILL_FINISHED;
        if (resume(child, PTRACE_SINGLESTEP) != STOP_STEP)
            return STEPKILL_BROKEN;
    }
}

static enum stepkill_end bring_to_start(pid_t child, const struct stepkill *plan)
{
    switch (wait_stop(child)) {
    case STOP_BREAKPOINT:
        break;
    case STOP_NO_PTRACE:
        return STEPKILL_NO_PTRACE;
    case STOP_STEP:
    case STOP_GONE:
    case STOP_BROKEN:
        return STEPKILL_BROKEN;
    }
    if (ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_EXITKILL) != 0)
        return STEPKILL_BROKEN;
    if (plan->start_at == NULL)
        return STEPKILL_FINISHED;
    return run_to(child, plan->start_at, plan->start_hits == 0 ? 1 : plan->start_hits);
}

static enum stepkill_end start(const struct stepkill *plan, pid_t *child)
{
    fflush(NULL);
    *child = fork();
    if (*child < 0)
        return STEPKILL_BROKEN;
    if (*child == 0)
        be_child(plan);
    return bring_to_start(*child, plan);
}

static enum stepkill_end step(
    const struct stepkill *plan, pid_t child, uint64_t *steps, bool *finished)
{
    enum stop stop = resume(child, plan->by_syscall ? PTRACE_SYSCALL : PTRACE_SINGLESTEP);
    if (stop == STOP_STEP)
        ++*steps;
    else if (stop == STOP_BREAKPOINT)
        *finished = true;
    else
        return STEPKILL_BROKEN;
    return STEPKILL_FINISHED;
}

static void finish_off(pid_t child)
{
    if (child <= 0)
        return;
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
        /* Until it is reaped it may not be gone. */
    }
}

/* One child: n steps, then the kill. */
static enum stepkill_end one_point(
    const struct stepkill *plan, uint64_t n, uint64_t *steps, bool *finished)
{
    *steps = 0;
    *finished = false;
    pid_t child;
    enum stepkill_end end = start(plan, &child);
    while (end == STEPKILL_FINISHED && *steps < n && !*finished)
        end = step(plan, child, steps, finished);
    finish_off(child);
    return end;
}

enum stepkill_end stepkill_run(const struct stepkill *plan, struct stepkill_result *result)
{
    *result = (struct stepkill_result){.points = 0};
    uint64_t stride = plan->stride == 0 ? 1 : plan->stride;
    bool finished = false;
    for (uint64_t n = 0; !finished; n += stride) {
        if (plan->points_max != 0 && result->points >= plan->points_max)
            return STEPKILL_BOUND;
        if (plan->reset != NULL)
            plan->reset(plan->context);
        uint64_t steps;
        enum stepkill_end end = one_point(plan, n, &steps, &finished);
        if (end != STEPKILL_FINISHED)
            return end;
        result->points++;
        result->longest_steps = steps;
        plan->check(plan->context, steps, finished);
    }
    return STEPKILL_FINISHED;
}

enum stepkill_end stepkill_walk(const struct stepkill *plan, struct stepkill_result *result)
{
    *result = (struct stepkill_result){.points = 0};
    uint64_t stride = plan->stride == 0 ? 1 : plan->stride;
    if (plan->reset != NULL)
        plan->reset(plan->context);
    pid_t child;
    bool finished = false;
    enum stepkill_end end = start(plan, &child);
    while (end == STEPKILL_FINISHED) {
        if (finished || result->longest_steps % stride == 0) {
            result->points++;
            plan->check(plan->context, result->longest_steps, finished);
        }
        if (finished)
            break;
        if (plan->points_max != 0 && result->points >= plan->points_max) {
            end = STEPKILL_BOUND;
            break;
        }
        end = step(plan, child, &result->longest_steps, &finished);
    }
    finish_off(child);
    return end;
}
