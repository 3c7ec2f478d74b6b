/* note.h: what the pinned thread has to say to people. It never formats and never writes: it fills
 * a fixed record and offers it to a queue that the porter prints. A full queue drops the record and
 * counts it; nothing waits. */
#ifndef LS_ENGINE_NOTE_H
#define LS_ENGINE_NOTE_H

#include "ipc/log.h"
#include "ipc/queue.h"

/* number and text are used as the line needs them. */
enum eng_note_kind {
    ENG_NOTE_WAVE = 1, /* number: placed, acked, skipped, waiting, span_ns, unknown; the
                          Replication line */
    ENG_NOTE_ALARM,    /* number[0]: enum ipc_alarm, [1]: account; text: sentence */
    ENG_NOTE_ADOPTED,  /* number: generation, enabled followers, followers */
    ENG_NOTE_LOST,     /* a connection ended: number: broker, account, errno or code, in flight;
                          text: why */
    ENG_NOTE_EVENT_REFUSED, /* number: ring, sequence; text: sentence */
    ENG_NOTE_STOPPED,       /* number: turns */
};

struct eng_note {
    uint8_t kind;  /* enum eng_note_kind */
    uint8_t level; /* enum ipc_log_level */
    uint8_t reserved[6];
    int64_t number[7];
    char text[128]; /* NUL-terminated, printable */
};

/* eng_note_print formats one record; porter's thread. */
void eng_note_print(const struct eng_note *note);

#endif
