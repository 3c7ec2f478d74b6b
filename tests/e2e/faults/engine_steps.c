/* engine_steps: lets one thread of a living engine run to a function, then to another, then
 * instruction by instruction, and kills the process there.
 *
 *     engine_steps PID TID TEXT_BEGIN TEXT_END STEPS FUNCTION...
 *
 * TEXT_BEGIN, TEXT_END and each FUNCTION are addresses in the process, hexadecimal. Says "armed"
 * when the thread is held before the first. A step is one instruction of our own text; what a call
 * into a library does counts as part of the step that made it. After STEPS of them the process is
 * killed by SIGKILL and "killed RIP STEPS" says where. After ten seconds it is killed wherever it
 * is, and the line is "late".
 *
 * Only this thread may run the functions: a breakpoint is in the text of all threads. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct target {
    pid_t process, thread;
    uint64_t text_begin, text_end;
};

static _Noreturn void give_up(const struct target *target, const char *what)
{
    fprintf(stderr, "engine_steps: %s: %s\n", what, strerror(errno));
    if (errno != EPERM) /* when it may not be traced it lives on, and the caller skips */
        kill(target->process, SIGKILL);
    exit(errno == EPERM ? 77 : 1);
}

/* Waits for the thread's next stop; false when the process is gone. */
static bool wait_stop(const struct target *target, int *signal_number)
{
    int status;
    while (waitpid(target->thread, &status, __WALL) < 0) {
        if (errno != EINTR)
            return false;
    }
    if (!WIFSTOPPED(status))
        return false;
    *signal_number = WSTOPSIG(status);
    return true;
}

/* Resumes by `how` until a SIGTRAP; other signals are passed on. */
static bool run_to_trap(const struct target *target, enum __ptrace_request how)
{
    int pass = 0;
    for (;;) {
        if (ptrace(how, target->thread, NULL, (void *)(intptr_t)pass) != 0)
            return false;
        if (!wait_stop(target, &pass))
            return false;
        if (pass == SIGTRAP)
            return true;
        if (pass == SIGSTOP)
            pass = 0;
    }
}

/* Runs to an address by an int3 that is taken out again; the program counter stands on it. */
static bool run_to(const struct target *target, uint64_t address)
{
    errno = 0;
    void *at = (void *)(uintptr_t)address;
    const long original = ptrace(PTRACE_PEEKTEXT, target->thread, at, NULL);
    if (errno != 0 || ptrace(PTRACE_POKETEXT, target->thread, at, (original & ~0xffl) | 0xcc) != 0)
        return false;
    struct user_regs_struct registers;
    do {
        if (!run_to_trap(target, PTRACE_CONT) ||
            ptrace(PTRACE_GETREGS, target->thread, NULL, &registers) != 0)
            return false;
    } while (registers.rip != address + 1);
    registers.rip = address;
    return ptrace(PTRACE_POKETEXT, target->thread, at, original) == 0 &&
           ptrace(PTRACE_SETREGS, target->thread, NULL, &registers) == 0;
}

static bool is_ours(const struct target *target, uint64_t address)
{
    return address >= target->text_begin && address < target->text_end;
}

/* One instruction of ours; a library's call is run to its return. */
static bool step(const struct target *target, uint64_t *rip)
{
    if (!run_to_trap(target, PTRACE_SINGLESTEP))
        return false;
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, target->thread, NULL, &registers) != 0)
        return false;
    if (!is_ours(target, registers.rip)) {
        errno = 0;
        const long back =
            ptrace(PTRACE_PEEKDATA, target->thread, (void *)(uintptr_t)registers.rsp, NULL);
        if (errno == 0 && is_ours(target, (uint64_t)back)) {
            if (!run_to(target, (uint64_t)back) ||
                ptrace(PTRACE_GETREGS, target->thread, NULL, &registers) != 0)
                return false;
        }
    }
    *rip = registers.rip;
    return true;
}

static _Noreturn void too_long(int signal_number)
{
    (void)signal_number;
    static const char text[] = "late\n";
    if (write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        _exit(2);
    _exit(0); /* which kills the process, too: EXITKILL */
}

int main(int argc, char **argv)
{
    if (argc < 7)
        return 2;
    const struct target target = {.process = (pid_t)strtol(argv[1], NULL, 10),
        .thread = (pid_t)strtol(argv[2], NULL, 10),
        .text_begin = strtoull(argv[3], NULL, 16),
        .text_end = strtoull(argv[4], NULL, 16)};
    const uint64_t steps = strtoull(argv[5], NULL, 10);
    int signal_number;
    if (ptrace(PTRACE_SEIZE, target.thread, NULL, (void *)PTRACE_O_EXITKILL) != 0)
        give_up(&target, "the engine cannot be traced");
    if (ptrace(PTRACE_INTERRUPT, target.thread, NULL, NULL) != 0 ||
        !wait_stop(&target, &signal_number))
        give_up(&target, "it does not stop");
    signal(SIGALRM, too_long);
    puts("armed");
    fflush(stdout);
    alarm(10);
    uint64_t rip = 0, done = 0;
    for (int i = 6; i < argc; i++) {
        if (i > 6 && !step(&target, &rip)) /* off the one before, which may be the same */
            give_up(&target, "a function was not left");
        if (!run_to(&target, strtoull(argv[i], NULL, 16)))
            give_up(&target, "a function was not reached");
    }
    while (done < steps && step(&target, &rip))
        done++;
    kill(target.process, SIGKILL);
    printf("killed %llx %llu\n", (unsigned long long)rip, (unsigned long long)done);
    return done == steps ? 0 : 1;
}
