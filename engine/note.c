#include "engine/note.h"

#include <inttypes.h>

#include "ipc/fact.h"

void eng_note_print(const struct eng_note *note)
{
    const int64_t *n = note->number;
    enum ipc_log_level level = (enum ipc_log_level)note->level;
    switch ((enum eng_note_kind)note->kind) {
    case ENG_NOTE_WAVE:
        ipc_log(level,
            "Replication: %" PRId64 "/%" PRId64 " successful in %" PRId64 ".%03" PRId64
            "ms (%" PRId64 " skipped%s)",
            n[1], n[0], n[4] / 1000000, n[4] / 1000 % 1000, n[2], note->text);
        return;
    case ENG_NOTE_ALARM:
        ipc_log(level, "ALARM %s account %" PRId64 ": %s", ipc_alarm_name((enum ipc_alarm)n[0]),
            n[1], note->text);
        return;
    case ENG_NOTE_ADOPTED:
        ipc_log(level,
            "snapshot generation %" PRId64 " is in force: %" PRId64 " of %" PRId64
            " followers enabled",
            n[0], n[1], n[2]);
        return;
    case ENG_NOTE_LOST:
        ipc_log(level,
            "connection to broker %" PRId64 " (account %" PRId64 ") ended: %s, %" PRId64
            " requests in flight",
            n[0], n[1], note->text, n[3]);
        return;
    case ENG_NOTE_EVENT_REFUSED:
        ipc_log(
            level, "record %" PRId64 " of ring %" PRId64 " is refused: %s", n[1], n[0], note->text);
        return;
    case ENG_NOTE_STOPPED:
        ipc_log(level, "pinned thread stopped after %" PRId64 " turns", n[0]);
        return;
    }
}
