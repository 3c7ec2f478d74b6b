/* log.h: what the engine tells people, one line each on stderr, with a level.
 *
 * Cold threads (main, porter, scribe) call eng_log. The pinned thread never formats and never
 * writes: it fills a fixed record and offers it to a queue that the porter prints
 * (eng_note_print). A full queue drops the record and counts it; nothing waits. */
#ifndef LS_ENGINE_LOG_H
#define LS_ENGINE_LOG_H

#include "ipc/queue.h"

enum eng_level { ENG_LOG_ERROR = 0, ENG_LOG_WARN, ENG_LOG_INFO, ENG_LOG_DEBUG };

/* eng_log_init sets the process's name ("lockstep-engine[0]") and the least level that is printed.
 * Start-up, before other threads. */
void eng_log_init(const char *name, enum eng_level level);

/* eng_log prints one line: time (UTC), level, name, text. One write call, so lines do not mix. */
void eng_log(enum eng_level level, const char *format, ...) LS_PRINTF(2, 3);

/* What the pinned thread has to say. number and text are used as the line needs them. */
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
    uint8_t level; /* enum eng_level */
    uint8_t reserved[6];
    int64_t number[7];
    char text[128]; /* NUL-terminated, printable */
};

/* eng_note_print formats one record; porter's thread. */
void eng_note_print(const struct eng_note *note);

#endif
