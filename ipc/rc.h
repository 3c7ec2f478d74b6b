/* rc.h: the result codes of ipc. 0 is done, negative is an error; policy looks at the class in the
 * high bits. */
#ifndef LS_IPC_RC_H
#define LS_IPC_RC_H

enum ipc_rc_class {
    IPC_CLASS_RETRY = 1,   /* try again later, nothing happened */
    IPC_CLASS_REFUSED = 2, /* the input is wrong, nothing happened */
    IPC_CLASS_SYSTEM = 3,  /* the operating system refused; errno is kept */
    IPC_CLASS_CORRUPT = 4, /* bytes are not what they should be */
};

#define IPC_RC(class, n) (-((class) * 100 + (n)))

#define IPC_RC_LIST(X)                                                                             \
    X(IPC_OK, 0, "done")                                                                           \
    X(IPC_FULL, IPC_RC(IPC_CLASS_RETRY, 1), "full, nothing was written")                           \
    X(IPC_EMPTY, IPC_RC(IPC_CLASS_RETRY, 2), "nothing to read")                                    \
    X(IPC_BUSY, IPC_RC(IPC_CLASS_RETRY, 3), "another process holds the lock")                      \
    X(IPC_TORN, IPC_RC(IPC_CLASS_RETRY, 4), "a writer was active, the value is unknown")           \
    X(IPC_STALE, IPC_RC(IPC_CLASS_RETRY, 5), "older than allowed")                                 \
    X(IPC_BAD_INPUT, IPC_RC(IPC_CLASS_REFUSED, 1), "the input is not valid")                       \
    X(IPC_TOO_LONG, IPC_RC(IPC_CLASS_REFUSED, 2), "longer than the buffer or limit")               \
    X(IPC_NOT_FOUND, IPC_RC(IPC_CLASS_REFUSED, 3), "not found")                                    \
    X(IPC_EXISTS, IPC_RC(IPC_CLASS_REFUSED, 4), "exists already")                                  \
    X(IPC_REFUSED, IPC_RC(IPC_CLASS_REFUSED, 5), "refused by a guard")                             \
    X(IPC_SYSTEM, IPC_RC(IPC_CLASS_SYSTEM, 1), "a system call failed")                             \
    X(IPC_BAD_MAGIC, IPC_RC(IPC_CLASS_CORRUPT, 1), "not an object of this kind")                   \
    X(IPC_BAD_ABI, IPC_RC(IPC_CLASS_CORRUPT, 2), "another ABI version")                            \
    X(IPC_BAD_LAYOUT, IPC_RC(IPC_CLASS_CORRUPT, 3), "another layout")                              \
    X(IPC_BAD_SIZE, IPC_RC(IPC_CLASS_CORRUPT, 4), "sizes do not agree")                            \
    X(IPC_BAD_CRC, IPC_RC(IPC_CLASS_CORRUPT, 5), "checksum differs")                               \
    X(IPC_GONE, IPC_RC(IPC_CLASS_CORRUPT, 6), "the object was replaced or removed")

enum ipc_rc {
#define X(name, value, text) name = (value),
    IPC_RC_LIST(X)
#undef X
};

/* ipc_rc_text returns the sentence of a code; never NULL. */
const char *ipc_rc_text(enum ipc_rc rc);

/* struct ipc_error: one sentence for a person (what, where, what to do), filled by functions that
 * open or validate. */
struct ipc_error {
    char text[256];
};

/* ipc_error_set formats the sentence, cut at 255 characters; error may be NULL. */
void ipc_error_set(struct ipc_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
