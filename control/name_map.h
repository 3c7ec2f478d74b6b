/* name_map.h: names to numbers, for files with up to millions of rows. Control plane only; one
 * thread. */
#ifndef LS_CONTROL_NAME_MAP_H
#define LS_CONTROL_NAME_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct ctl_name_map {
    struct ctl_name_entry *entries;
    uint32_t room, count; /* room is a power of two */
};

#define CTL_NAME_ABSENT UINT32_MAX
#define CTL_NAME_TWICE  (UINT32_MAX - 1) /* the name was put with two values: ambiguous */

/* ctl_name_map_init makes room for `expected` names; freed by ctl_name_map_free. */
void ctl_name_map_init(struct ctl_name_map *map, uint32_t expected);
void ctl_name_map_free(struct ctl_name_map *map);

/* ctl_name_map_put adds a name (copied). A second value for a name makes it CTL_NAME_TWICE; returns
 * false then. value < CTL_NAME_TWICE. */
bool ctl_name_map_put(struct ctl_name_map *map, const char *name, uint32_t value);

/* ctl_name_map_get returns the value, CTL_NAME_ABSENT or CTL_NAME_TWICE. */
uint32_t ctl_name_map_get(const struct ctl_name_map *map, const char *name);

#endif
