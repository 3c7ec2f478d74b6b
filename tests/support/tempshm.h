/* tempshm.h: a private stand-in for /dev/shm, so that tests run beside each other and beside a live
 * instance. A directory of its own in /dev/shm, mode 0755, of this process. */
#ifndef LS_TEST_TEMPSHM_H
#define LS_TEST_TEMPSHM_H

/* tempshm_make makes one; pass its path to ipc_shm_open as
 * base. tempshm_remove removes it and everything in it. Failures end the test process. */
struct tempshm {
    char path[64];
};
void tempshm_make(struct tempshm *out);
void tempshm_remove(struct tempshm *temporary);

#endif
