/* lockstepctl shm: the objects in shared memory: list, inspect, repair. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control/ctl_common.h"

struct listing {
    const struct ctl_cli *cli;
    struct ipc_region_info *rows;
    uint32_t count, room, problems;
};

static bool collect(const struct ipc_region_info *info, void *context)
{
    struct listing *listing = context;
    if (listing->count == listing->room) {
        listing->room = listing->room ? listing->room * 2 : 32;
        listing->rows = realloc(listing->rows, listing->room * sizeof(*listing->rows));
        LS_CHECK(listing->rows != NULL);
    }
    listing->rows[listing->count++] = *info;
    listing->problems += info->problem[0] != '\0';
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(
        ((const struct ipc_region_info *)a)->name, ((const struct ipc_region_info *)b)->name);
}

static const char *kind_of(const struct ipc_region_info *info)
{
    if (info->is_temporary)
        return "unfinished";
    if (info->has_header)
        return ipc_region_kind_name((enum ipc_region_kind)info->header.kind);
    return S_ISDIR(info->mode) ? "directory" : S_ISFIFO(info->mode) ? "fifo" : "-";
}

static void print_rows(const struct listing *listing)
{
    if (listing->cli->json)
        putchar('[');
    else
        printf("%-28s %-10s %12s  %-9s %s\n", "NAME", "KIND", "BYTES", "OWNER", "STATE");
    for (uint32_t i = 0; i < listing->count; i++) {
        const struct ipc_region_info *row = &listing->rows[i];
        char problem[600];
        ctl_json_escape(row->problem, problem, sizeof(problem));
        if (listing->cli->json)
            printf("%s{\"name\":\"%s\",\"kind\":\"%s\",\"bytes\":%" PRIu64
                   ",\"writer_alive\":%s,\"reader_alive\":%s,\"problem\":\"%s\"}",
                i > 0 ? "," : "", row->name, kind_of(row), row->file_bytes,
                (row->locks_held & 1u << IPC_LOCK_WRITER) ? "true" : "false",
                (row->locks_held & 1u << IPC_LOCK_READER) ? "true" : "false", problem);
        else
            printf("%-28s %-10s %12" PRIu64 "  %-9s %s\n", row->name, kind_of(row), row->file_bytes,
                (row->locks_held & 1u << IPC_LOCK_WRITER) ? "alive" : "none",
                row->problem[0] != '\0' ? row->problem : "ok");
    }
    if (listing->cli->json)
        puts("]");
}

static int inspect(const struct ctl_cli *cli, const struct ipc_shm *shm, const char *name)
{
    struct ipc_region_info info;
    struct ipc_error error;
    if (ipc_region_inspect(shm, name, &info, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    if (cli->json) {
        struct listing one = {.cli = cli, .rows = &info, .count = 1};
        print_rows(&one);
        return info.problem[0] == '\0' ? CTL_DONE : CTL_FAILED;
    }
    char when[40] = "-";
    if (info.has_header)
        ctl_format_wall(info.header.created_wall_ns, when, sizeof(when));
    printf("name        %s\nkind        %s\nfile bytes  %" PRIu64 "\nmode        %04o, uid %u\n",
        info.name, kind_of(&info), info.file_bytes, info.mode & 07777u, info.uid);
    if (info.has_header)
        printf("abi         %u\nlayout      %016" PRIx64 "\nbody bytes  %" PRIu64
               "\ngeneration  %016" PRIx64 "\ncreated     %s by pid %d (%s), %s\n",
            info.header.abi, info.header.layout_hash, info.header.body_bytes,
            info.header.generation, when, info.header.creator_pid,
            info.creator_alive ? "alive" : "gone", info.header.version);
    printf("writer      %s\nreader      %s\n",
        (info.locks_held & 1u << IPC_LOCK_WRITER) ? "alive" : "none",
        (info.locks_held & 1u << IPC_LOCK_READER) ? "alive" : "none");
    if (info.problem[0] != '\0')
        return ctl_refuse("%s", info.problem);
    return CTL_DONE;
}

static int repair(const struct ctl_cli *cli, const struct ipc_shm *shm)
{
    struct ipc_error error;
    uint32_t removed = 0;
    if (ipc_region_sweep(shm, &removed, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    struct listing listing = {.cli = cli};
    if (ipc_region_list(shm, collect, &listing, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    if (cli->json)
        printf("{\"removed\":%u,\"problems\":%u}\n", removed, listing.problems);
    else
        printf("%u unfinished objects of dead makers removed, %u objects with a problem\n", removed,
            listing.problems);
    for (uint32_t i = 0; i < listing.count; i++)
        if (listing.rows[i].problem[0] != '\0' && !listing.rows[i].is_temporary)
            ctl_refuse("%s: %s; if nobody uses it, remove it and start its owner again",
                listing.rows[i].name, listing.rows[i].problem);
    free(listing.rows);
    return listing.problems == 0 ? CTL_DONE : CTL_FAILED;
}

int ctl_shm_main(const struct ctl_cli *cli, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        puts("Usage: lockstepctl shm ls | inspect NAME | repair\n\n"
             "ls       every object, its kind, size, whether its writer lives, and what is wrong "
             "with it\n"
             "inspect  one object's header and locks\n"
             "repair   removes what makers left unfinished when they died; nothing else needs "
             "repair,\n"
             "         since locks and half-written records end with their process");
        return CTL_DONE;
    }
    bool is_ls = argc == 2 && strcmp(argv[1], "ls") == 0;
    bool is_inspect = argc == 3 && strcmp(argv[1], "inspect") == 0;
    bool is_repair = argc == 2 && strcmp(argv[1], "repair") == 0;
    if (!is_ls && !is_inspect && !is_repair)
        return ctl_usage("shm", "say ls, inspect NAME or repair");
    struct ipc_shm shm;
    struct ipc_error error;
    if (ipc_shm_open(&shm, NULL, cli->instance, false, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    int code = CTL_DONE;
    if (is_inspect) {
        code = inspect(cli, &shm, argv[2]);
    } else if (is_repair) {
        code = repair(cli, &shm);
    } else {
        struct listing listing = {.cli = cli};
        if (ipc_region_list(&shm, collect, &listing, &error) != IPC_OK) {
            code = ctl_refuse("%s", error.text);
        } else {
            qsort(listing.rows, listing.count, sizeof(*listing.rows), by_name);
            print_rows(&listing);
        }
        free(listing.rows);
    }
    ipc_shm_close(&shm);
    return code;
}
