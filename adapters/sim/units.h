/* units.h: the simulated broker's numbers: decimals times 1e8, the exchange's wall clock, a seeded
 * generator.
 *
 * Pure functions; no clock read, no allocation, no global, no floating point. Any thread. */
#ifndef LS_ADP_SIM_UNITS_H
#define LS_ADP_SIM_UNITS_H

#include "ipc/base.h"

/* adp_sim_parse_e8 reads a plain decimal ("1120.15", "-3", ".5") of text[0, bytes) into a number
 * times 1e8. At most 8 decimals, no exponent, no blanks. returns   false when the text is anything
 * else or does not fit; *out is then unchanged */
LS_MUST_USE bool adp_sim_parse_e8(const char *text, size_t bytes, int64_t *out);

/* Longest text of adp_sim_format_e8, with its zero. */
#define ADP_SIM_E8_BYTES 24

/* adp_sim_format_e8 writes value / 1e8 with at least min_decimals [0, 8] decimals and no other
 * trailing zeros. out       ADP_SIM_E8_BYTES bytes returns   the length without the zero */
size_t adp_sim_format_e8(int64_t value_e8, int min_decimals, char *out);

/* adp_sim_mul_e8 returns a * b / 1e8, rounded down in magnitude and held inside int64_t. */
int64_t adp_sim_mul_e8(int64_t a_e8, int64_t b_e8);

/* The exchange's calendar: India, UTC + 5:30, no summer time. */
#define ADP_SIM_ZONE_NS (INT64_C(19800) * LS_NS_PER_S)

struct adp_sim_civil {
    int year, month, day, hour, minute, second; /* month and day from 1 */
};

/* adp_sim_civil_of returns the exchange's date and time of a wall clock reading (UTC, since 1970).
 */
struct adp_sim_civil adp_sim_civil_of(int64_t wall_ns);

/* adp_sim_days_of returns the days since 1970-01-01 of a date; adp_sim_date_of is its inverse (time
 * fields 0). */
int64_t adp_sim_days_of(int year, int month, int day);
struct adp_sim_civil adp_sim_date_of(int64_t days);

/* A splitmix64 sequence: equal seeds give equal sequences on every machine. */
struct adp_sim_prng {
    uint64_t state;
};

uint64_t adp_sim_prng_next(struct adp_sim_prng *prng);

/* adp_sim_prng_below returns a number of [0, bound); bound > 0. */
uint64_t adp_sim_prng_below(struct adp_sim_prng *prng, uint64_t bound);

#endif
