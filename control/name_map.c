#include "control/name_map.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/base.h"

struct ctl_name_entry {
    char *name; /* NULL = free */
    uint32_t value;
};

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

void ctl_name_map_init(struct ctl_name_map *map, uint32_t expected)
{
    uint32_t room = 64;
    while (room < expected * 2)
        room *= 2;
    *map = (struct ctl_name_map){.entries = calloc(room, sizeof(*map->entries)), .room = room};
    LS_CHECK(map->entries != NULL);
}

void ctl_name_map_free(struct ctl_name_map *map)
{
    for (uint32_t i = 0; i < map->room; i++)
        free(map->entries[i].name);
    free(map->entries);
    *map = (struct ctl_name_map){0};
}

static struct ctl_name_entry *place_of(const struct ctl_name_map *map, const char *name)
{
    uint32_t at = hash_of(name) & (map->room - 1);
    while (map->entries[at].name != NULL && strcmp(map->entries[at].name, name) != 0)
        at = (at + 1) & (map->room - 1);
    return &map->entries[at];
}

static void grow(struct ctl_name_map *map)
{
    struct ctl_name_map larger;
    ctl_name_map_init(&larger, map->room);
    for (uint32_t i = 0; i < map->room; i++)
        if (map->entries[i].name != NULL)
            *place_of(&larger, map->entries[i].name) = map->entries[i];
    larger.count = map->count;
    free(map->entries);
    *map = larger;
}

bool ctl_name_map_put(struct ctl_name_map *map, const char *name, uint32_t value)
{
    LS_CHECK(value < CTL_NAME_TWICE);
    if ((map->count + 1) * 2 > map->room)
        grow(map);
    struct ctl_name_entry *entry = place_of(map, name);
    if (entry->name != NULL) {
        if (entry->value != value)
            entry->value = CTL_NAME_TWICE;
        return entry->value == value;
    }
    entry->name = strdup(name);
    LS_CHECK(entry->name != NULL);
    entry->value = value;
    map->count++;
    return true;
}

uint32_t ctl_name_map_get(const struct ctl_name_map *map, const char *name)
{
    const struct ctl_name_entry *entry = place_of(map, name);
    return entry->name != NULL ? entry->value : CTL_NAME_ABSENT;
}
