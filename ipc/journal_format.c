#include "ipc/journal_format.h"

#include "ipc/enum.h"
#include "ipc/journal_reader.h"

IPC_DEFINE_ENUM(ipc_journal_state, IPC_JOURNAL_STATE_LIST)
IPC_DEFINE_ENUM(ipc_journal_step, IPC_JOURNAL_STEP_LIST)

uint32_t ipc_frame_crc(const struct ipc_frame *frame, uint64_t salt, uint32_t previous_crc)
{
    uint32_t crc = ipc_crc32c(0, &salt, sizeof salt);
    crc = ipc_crc32c(crc, &previous_crc, sizeof previous_crc);
    const uint8_t *from = (const uint8_t *)&frame->lsn;
    size_t header_bytes = sizeof *frame - offsetof(struct ipc_frame, lsn);
    return ipc_crc32c(crc, from, header_bytes + frame->payload_bytes);
}
