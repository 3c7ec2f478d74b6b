/* ring_private.h: what ring.c and ring_attach.c share about a slot. */
#ifndef LS_IPC_RING_PRIVATE_H
#define LS_IPC_RING_PRIVATE_H

#include "ipc/ring.h"

#include <immintrin.h>
#include <string.h>

/* Slots that a record of [1, IPC_RING_RECORD_BYTES_MAX] bytes takes. */
static inline uint32_t ipc_ring_parts(size_t record_bytes)
{
    return (uint32_t)((record_bytes + IPC_RING_PAYLOAD_BYTES - 1) / IPC_RING_PAYLOAD_BYTES);
}

/* Payload bytes that part `part` of a record uses. */
static inline size_t ipc_ring_part_bytes(size_t record_bytes, uint32_t part)
{
    size_t left = record_bytes - (size_t)part * IPC_RING_PAYLOAD_BYTES;
    return left < IPC_RING_PAYLOAD_BYTES ? left : IPC_RING_PAYLOAD_BYTES;
}

/* CRC32C over the 16 bytes of stamp and lengths and the payload, padded with zeros to 8. The stamp
 * is in it, so that an old slot cannot pass for a new one. */
static inline uint32_t ipc_ring_slot_crc(
    uint64_t stamp, size_t record_bytes, uint32_t part, const uint8_t *payload, size_t bytes)
{
    uint64_t crc = _mm_crc32_u64(UINT32_MAX, stamp);
    crc = _mm_crc32_u64(crc, (uint64_t)record_bytes | (uint64_t)part << 32);
    uint64_t word;
    for (; bytes >= sizeof word; bytes -= sizeof word, payload += sizeof word) {
        memcpy(&word, payload, sizeof word);
        crc = _mm_crc32_u64(crc, word);
    }
    if (bytes > 0) {
        word = 0;
        memcpy(&word, payload, bytes);
        crc = _mm_crc32_u64(crc, word);
    }
    return (uint32_t)crc;
}

#endif
