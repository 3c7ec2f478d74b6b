/* alloc_trap.h: catches allocations on threads that must not allocate.
 *
 * Preloaded under lockstep-engine, or linked into a test, it stands in front of malloc and its kin,
 * libc's and jemalloc's alike, and passes on to glibc. A program that cannot include tests declares
 * ls_alloc_trap_arm weak and calls it when it is there. Under a sanitizer, which brings its own
 * allocator, nothing is caught (ls_alloc_trap_works). */
#ifndef LS_TESTS_ALLOC_TRAP_H
#define LS_TESTS_ALLOC_TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* After arm, an allocation or a free on the calling thread writes what it was and aborts; every
 * other thread goes on. The first call in a process says so on stderr. */
void ls_alloc_trap_arm(void);

/* As arm, but calls are only counted. */
void ls_alloc_trap_count_from_here(void);

/* The calling thread may allocate again. Returns the calls counted since count_from_here. */
uint64_t ls_alloc_trap_disarm(void);

bool ls_alloc_trap_works(void);

#endif
