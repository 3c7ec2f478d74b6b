/* CRC32C by the instruction of SSE4.2. The instruction takes a new word every cycle but answers
 * after three, so long inputs run as three streams that a carry-less multiplication joins: 24 bytes
 * in flight instead of 8. */
#include "ipc/journal_format.h"

#include <immintrin.h>
#include <string.h>

/* x^(8 * bytes - 33) modulo the polynomial 0x1EDC6F41, bit-reflected; the unit test derives them
 * again. */
#define K_64_TWO  0x0d3b6092u
#define K_64_ONE  0x9e4addf8u
#define K_256_TWO 0xdd7e3b0cu
#define K_256_ONE 0xb9e02b86u

static uint64_t load_u64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t crc_serial(uint64_t crc, const uint8_t *at, size_t count)
{
    for (; count >= 8; count -= 8, at += 8)
        crc = _mm_crc32_u64(crc, load_u64(at));
    uint32_t narrow = (uint32_t)crc;
    if (count >= 4) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        narrow = _mm_crc32_u32(narrow, word);
        at += 4;
        count -= 4;
    }
    for (; count > 0; count--, at++)
        narrow = _mm_crc32_u8(narrow, *at);
    return narrow;
}

/* shift_join appends to a stream's CRC as many zero bytes as `power` stands for. With operands and
 * CRC bit-reflected, a carry-less product is one power of x short and the CRC instruction
 * multiplies by x^32, hence power = x^(8 * bytes - 33) modulo the Castagnoli polynomial. */
__attribute__((target("pclmul"))) static inline uint64_t shift_join(uint64_t crc, uint32_t power)
{
    __m128i product = _mm_clmulepi64_si128(
        _mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)power), 0x00);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* Takes 3 * lane_bytes bytes; power_two and power_one stand for 2 and 1 lane_bytes of zeros. */
__attribute__((target("pclmul"), always_inline)) static inline uint64_t crc_three_lanes(
    uint64_t crc, const uint8_t *at, size_t lane_bytes, uint32_t power_two, uint32_t power_one)
{
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < lane_bytes; i += 8) {
        crc = _mm_crc32_u64(crc, load_u64(at + i));
        second = _mm_crc32_u64(second, load_u64(at + lane_bytes + i));
        third = _mm_crc32_u64(third, load_u64(at + 2 * lane_bytes + i));
    }
    return shift_join(crc, power_two) ^ shift_join(second, power_one) ^ third;
}

__attribute__((target("pclmul"))) static uint64_t crc_long(
    uint64_t crc, const uint8_t **at, size_t *count)
{
    for (; *count >= 3 * 256; *count -= 3 * 256, *at += 3 * 256)
        crc = crc_three_lanes(crc, *at, 256, K_256_TWO, K_256_ONE);
    for (; *count >= 3 * 64; *count -= 3 * 64, *at += 3 * 64)
        crc = crc_three_lanes(crc, *at, 64, K_64_TWO, K_64_ONE);
    return crc;
}

uint32_t ipc_crc32c(uint32_t crc, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    uint64_t running = ~crc;
    /* Every x86-64 processor since 2010 multiplies without carry; the first with SSE4.2 does not.
     */
    if (count >= 3 * 64 && __builtin_cpu_supports("pclmul"))
        running = crc_long(running, &at, &count);
    return ~(uint32_t)crc_serial(running, at, count);
}
