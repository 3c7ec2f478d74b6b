#include "adapters/sim/units.h"

#include <string.h>

bool adp_sim_parse_e8(const char *text, size_t bytes, int64_t *out)
{
    bool negative = false, digits = false;
    size_t at = 0;
    __int128 value = 0;
    int decimals = -1;

    if (bytes == 0 || bytes > 40)
        return false;
    if (text[0] == '-' || text[0] == '+') {
        negative = text[0] == '-';
        at = 1;
    }
    for (; at < bytes; at++) {
        if (text[at] == '.') {
            if (decimals >= 0)
                return false;
            decimals = 0;
            continue;
        }
        if (text[at] < '0' || text[at] > '9')
            return false;
        digits = true;
        if (decimals == 8) {
            if (text[at] != '0')
                return false;
            continue;
        }
        value = value * 10 + (text[at] - '0');
        if (value > INT64_MAX)
            return false;
        if (decimals >= 0)
            decimals++;
    }
    if (!digits)
        return false;
    for (int i = decimals < 0 ? 0 : decimals; i < 8; i++)
        value *= 10;
    if (value > INT64_MAX)
        return false;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

size_t adp_sim_format_e8(int64_t value_e8, int min_decimals, char *out)
{
    char digits[24];
    size_t len = 0, count = 0;
    uint64_t rest = value_e8 < 0 ? (uint64_t)0 - (uint64_t)value_e8 : (uint64_t)value_e8;
    uint64_t whole = rest / (uint64_t)LS_E8, part = rest % (uint64_t)LS_E8;

    if (value_e8 < 0)
        out[len++] = '-';
    do {
        digits[count++] = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole != 0);
    while (count > 0)
        out[len++] = digits[--count];

    char decimals[8];
    int kept = 8;
    for (int i = 7; i >= 0; i--) {
        decimals[i] = (char)('0' + part % 10);
        part /= 10;
    }
    while (kept > min_decimals && decimals[kept - 1] == '0')
        kept--;
    if (kept > 0) {
        out[len++] = '.';
        memcpy(out + len, decimals, (size_t)kept);
        len += (size_t)kept;
    }
    out[len] = '\0';
    return len;
}

int64_t adp_sim_mul_e8(int64_t a_e8, int64_t b_e8)
{
    __int128 product = (__int128)a_e8 * b_e8 / LS_E8;
    if (product > INT64_MAX)
        return INT64_MAX;
    if (product < -INT64_MAX)
        return -INT64_MAX;
    return (int64_t)product;
}

/* Days are counted in 400-year eras that start on 1 March, so that the leap day is the last of its
 * year. */
int64_t adp_sim_days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2 ? 1 : 0);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct adp_sim_civil adp_sim_date_of(int64_t days)
{
    struct adp_sim_civil civil = {0};
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    civil.day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    civil.month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    civil.year = (int)(year_of_era + era * 400 + (civil.month <= 2 ? 1 : 0));
    return civil;
}

struct adp_sim_civil adp_sim_civil_of(int64_t wall_ns)
{
    int64_t seconds = (wall_ns + ADP_SIM_ZONE_NS) / LS_NS_PER_S;
    int64_t days = seconds / 86400, rest = seconds % 86400;

    if (rest < 0) {
        rest += 86400;
        days--;
    }
    struct adp_sim_civil civil = adp_sim_date_of(days);
    civil.hour = (int)(rest / 3600);
    civil.minute = (int)(rest / 60 % 60);
    civil.second = (int)(rest % 60);
    return civil;
}

uint64_t adp_sim_prng_next(struct adp_sim_prng *prng)
{
    uint64_t z = (prng->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t adp_sim_prng_below(struct adp_sim_prng *prng, uint64_t bound)
{
    LS_CHECK(bound > 0);
    return adp_sim_prng_next(prng) % bound;
}
