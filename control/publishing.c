#include "control/publishing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control/ctl_common.h"
#include "control/snapshot_file.h"
#include "ipc/clock.h"
#include "ipc/engine_page.h"

#define ARENA_BYTES   (64u * 1024u)
#define ADOPT_WAIT_NS (20 * LS_NS_PER_S)

void ctl_publishing_close(struct ctl_publishing *p)
{
    ipc_snapshot_writer_close(p->writer);
    ipc_secret_arena_destroy(p->arena);
    free(p->live_memory);
    free(p->image_memory);
    ipc_shm_close(&p->shm);
}

/* Makes missing parents of the key's default place, mode 0700. */
static void make_parent(const char *path)
{
    char parent[512];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent) {
        *slash = '\0';
        (void)mkdir(parent, 0700);
    }
}

static enum ipc_rc load_key(const struct ctl_cli *cli, struct ctl_publishing *p)
{
    char path[512];
    ctl_key_path(cli, path, sizeof(path));
    enum ipc_rc rc = ipc_seal_key_load(p->arena, path, &p->key, &p->error);
    if (rc != IPC_NOT_FOUND)
        return rc;
    make_parent(path);
    rc = ipc_seal_key_create(path, &p->error);
    if (rc != IPC_OK)
        return rc;
    fprintf(stderr, "lockstepctl: made a new key for sealing tokens: %s (0400; engines need it)\n",
        path);
    return ipc_seal_key_load(p->arena, path, &p->key, &p->error);
}

enum ipc_rc ctl_publishing_open(const struct ctl_cli *cli, bool with_key, struct ctl_publishing *p)
{
    memset(p, 0, sizeof(*p));
    p->shm.fd = -1;
    enum ipc_rc rc = ipc_shm_open(&p->shm, NULL, cli->instance, true, &p->error);
    if (rc == IPC_OK && with_key)
        rc = ipc_secret_arena_create(ARENA_BYTES, &p->arena, &p->error);
    if (rc == IPC_OK && with_key)
        rc = load_key(cli, p);
    if (rc == IPC_OK)
        rc = ipc_snapshot_writer_open(&p->shm, &p->writer, &p->error);
    if (rc != IPC_OK)
        return rc;
    rc = ctl_snapshot_read_live(&p->shm, &p->live, &p->live_memory, &p->error);
    return rc == IPC_NOT_FOUND || rc == IPC_EMPTY ? IPC_OK : rc;
}

enum ipc_rc ctl_publishing_check(struct ctl_publishing *p, bool override)
{
    struct ipc_snapshot_view view, old_view;
    struct ipc_snapshot_stats stats, old_stats;
    ipc_snapshot_view_of(&p->image, &view);
    uint64_t bytes = ipc_snapshot_scratch_bytes(&view);
    void *scratch = malloc(bytes + 8);
    LS_CHECK(scratch != NULL);
    enum ipc_rc rc = ipc_snapshot_validate(&view, scratch, bytes, &p->error);
    free(scratch);
    if (rc != IPC_OK || p->live_memory == NULL)
        return rc;
    ipc_snapshot_view_of(&p->live, &old_view);
    ipc_snapshot_stats(&old_view, &old_stats);
    ipc_snapshot_stats(&view, &stats);
    return ipc_snapshot_guard(
        &old_stats, &stats, ipc_snapshot_guard_fraction_e8(&old_view), override, &p->error);
}

static int report_engines(
    const struct ctl_cli *cli, struct ctl_publishing *p, const struct ipc_snapshot_published *done)
{
    static struct ipc_engine_wait wait;
    enum ipc_rc rc = ipc_engine_wait_adopted(&p->shm, done->generation, ADOPT_WAIT_NS, &wait);
    static const char *const words[] = {"no answer", "adopted", "refused", "died"};
    if (cli->json) {
        printf("{\"generation\":%" PRIu64 ",\"chunks_written\":%u,\"engines\":[", done->generation,
            done->chunks_written);
        for (uint32_t i = 0; i < wait.engine_count; i++) {
            char text[2 * IPC_ENGINE_TEXT_BYTES];
            ctl_json_escape(wait.answer[i] == IPC_ENGINE_REFUSED ? wait.status[i].refusal : "",
                text, sizeof(text));
            printf("%s{\"shard\":%u,\"answer\":\"%s\",\"reason\":\"%s\"}", i > 0 ? "," : "",
                wait.status[i].shard, words[wait.answer[i]], text);
        }
        puts("]}");
    } else {
        printf("generation %" PRIu64 " published (%u of %u chunks written)\n", done->generation,
            done->chunks_written, done->chunks_total);
        if (wait.engine_count == 0)
            puts("no engine is running: it is adopted when one starts");
        for (uint32_t i = 0; i < wait.engine_count; i++)
            printf("  engine of shard %u: %s%s%s\n", wait.status[i].shard, words[wait.answer[i]],
                wait.answer[i] == IPC_ENGINE_REFUSED ? ": " : "",
                wait.answer[i] == IPC_ENGINE_REFUSED ? wait.status[i].refusal : "");
    }
    fflush(stdout);
    if (rc == IPC_REFUSED)
        return ctl_refuse("an engine refused generation %" PRIu64
                          " and goes on with the one before; see its reason above",
            done->generation);
    if (rc == IPC_STALE) {
        ctl_refuse("an engine did not answer within 20 s; look at its log");
        return CTL_TIMEOUT;
    }
    return CTL_DONE;
}

int ctl_publishing_publish(const struct ctl_cli *cli, struct ctl_publishing *p, bool override)
{
    if (ctl_publishing_check(p, override) != IPC_OK)
        return ctl_refuse("nothing was published: %s", p->error.text);
    if (ipc_snapshot_writer_publish(p->writer, &p->image, override ? IPC_SNAPSHOT_OVERRIDE : 0,
            ipc_clock_wall_ns(), &p->error) != IPC_OK)
        return ctl_refuse("nothing was published: %s", p->error.text);
    struct ipc_snapshot_published done;
    ipc_snapshot_writer_published(p->writer, &done);
    return report_engines(cli, p, &done);
}
