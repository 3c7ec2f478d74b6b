/* text.h: a growing byte buffer and the JSON that the simulator writes into it. One thread; memory
 * from malloc, stops the process when memory is short. */
#ifndef LS_ADP_SIM_TEXT_H
#define LS_ADP_SIM_TEXT_H

#include "adapters/sim/units.h"

struct adp_sim_text {
    char *bytes; /* zero-terminated when not NULL */
    size_t length, capacity;
};

void adp_sim_text_free(struct adp_sim_text *text);

/* adp_sim_text_room makes room for bytes more and returns where they go; add to ->length what was
 * written. */
char *adp_sim_text_room(struct adp_sim_text *text, size_t bytes);

void adp_sim_text_add(struct adp_sim_text *text, const char *bytes, size_t count);
void adp_sim_text_put(struct adp_sim_text *text, const char *string);
void adp_sim_text_printf(struct adp_sim_text *text, const char *format, ...) LS_PRINTF(2, 3);

/* adp_sim_text_quote adds a JSON string, quotes included; control characters are escaped. */
void adp_sim_text_quote(struct adp_sim_text *text, const char *string);

/* adp_sim_text_int and adp_sim_text_e8 add a JSON number. */
void adp_sim_text_int(struct adp_sim_text *text, int64_t value);
void adp_sim_text_e8(struct adp_sim_text *text, int64_t value_e8);

/* adp_sim_text_drop removes the first count [0, length] bytes. */
void adp_sim_text_drop(struct adp_sim_text *text, size_t count);

#endif
