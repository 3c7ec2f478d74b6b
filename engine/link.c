#include "engine/link.h"

#include <stdlib.h>

#define NOTES 4096u

static uint32_t power_of_two_from(uint32_t value)
{
    uint32_t power = 1;
    while (power < value)
        power *= 2;
    return power;
}

enum ipc_rc eng_link_make(
    struct eng_link *link, uint32_t connections, uint32_t rings, struct ipc_error *error)
{
    uint32_t count = power_of_two_from(2 * connections + rings + 4 * ENG_BOOKS_MAX + 256);
    size_t turn_bytes = ls_align_up((size_t)count * sizeof(struct eng_to_turn), 64);
    size_t porter_bytes = ls_align_up((size_t)count * sizeof(struct eng_to_porter), 64);
    size_t note_bytes = (size_t)NOTES * sizeof(struct eng_note);
    uint8_t *memory = calloc(1, turn_bytes + porter_bytes + note_bytes);
    if (memory == NULL) {
        ipc_error_set(error, "no memory for the queues between porter and pinned thread");
        return IPC_SYSTEM;
    }
    link->memory = memory;
    ipc_queue_init(&link->to_turn, memory, sizeof(struct eng_to_turn), count);
    ipc_queue_init(&link->to_porter, memory + turn_bytes, sizeof(struct eng_to_porter), count);
    ipc_queue_init(
        &link->notes, memory + turn_bytes + porter_bytes, sizeof(struct eng_note), NOTES);
    return IPC_OK;
}

void eng_link_free(struct eng_link *link)
{
    free(link->memory);
    link->memory = NULL;
}
