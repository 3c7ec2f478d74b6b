/* lockstepctl snapshot and token: publish what engines trade by, and say whether they took it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cli.h"
#include "control/ctl_common.h"
#include "control/publishing.h"
#include "control/snapshot_file.h"
#include "control/snapshot_show.h"
#include "ipc/decimal.h"

#define TOKEN_BYTES_MAX 3072u

/* A key for one look at a file: its tokens are sealed by it and go nowhere. */
static enum ipc_rc passing_key(struct ctl_publishing *p)
{
    char folder[] = "/tmp/lockstep-check-XXXXXX", path[64];
    if (mkdtemp(folder) == NULL) {
        ipc_error_set(&p->error, "cannot make a directory in /tmp: %s", strerror(errno));
        return IPC_SYSTEM;
    }
    snprintf(path, sizeof(path), "%s/key", folder);
    enum ipc_rc rc = ipc_secret_arena_create(64u * 1024u, &p->arena, &p->error);
    if (rc == IPC_OK)
        rc = ipc_seal_key_create(path, &p->error);
    if (rc == IPC_OK)
        rc = ipc_seal_key_load(p->arena, path, &p->key, &p->error);
    unlink(path);
    rmdir(folder);
    return rc;
}

static uint32_t with_settings(const struct ipc_snapshot_view *view)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < view->follower_slots; slot++)
        count += view->followers[slot].policy != 0 &&
                 (view->followers[slot].flags & IPC_FOLLOWER_RETIRED) == 0;
    return count;
}

/* publish --check: everything but the publication; takes no lock and makes no file. */
static int check_file(const struct ctl_cli *cli, const char *file, bool override)
{
    struct ctl_publishing p;
    memset(&p, 0, sizeof(p));
    p.shm.fd = -1;
    enum ipc_rc rc = passing_key(&p);
    if (rc == IPC_OK && ipc_shm_open(&p.shm, NULL, cli->instance, false, &p.error) == IPC_OK) {
        rc = ctl_snapshot_read_live(&p.shm, &p.live, &p.live_memory, &p.error);
        if (rc == IPC_NOT_FOUND || rc == IPC_EMPTY)
            rc = IPC_OK;
    }
    if (rc == IPC_OK)
        rc = ctl_snapshot_read_file(file, p.live_memory != NULL ? &p.live : NULL, p.key, p.arena,
            &p.image, &p.image_memory, &p.error);
    if (rc == IPC_OK)
        rc = ctl_publishing_check(&p, override);
    int code = CTL_DONE;
    if (rc != IPC_OK) {
        code = ctl_refuse("it would be refused: %s", p.error.text);
    } else {
        struct ipc_snapshot_view view;
        struct ipc_snapshot_stats stats;
        ipc_snapshot_view_of(&p.image, &view);
        ipc_snapshot_stats(&view, &stats);
        printf("it would be published: %u followers, %u enabled, %u with settings in %u sets; "
               "nothing was\n",
            stats.followers, stats.enabled_followers, with_settings(&view), view.policy_count);
    }
    ctl_publishing_close(&p);
    return code;
}

static int publish(const struct ctl_cli *cli, const char *file, bool override)
{
    struct ctl_publishing p;
    int code;
    if (ctl_publishing_open(cli, true, &p) != IPC_OK)
        code = ctl_refuse("nothing was published: %s", p.error.text);
    else if (ctl_snapshot_read_file(file, p.live_memory != NULL ? &p.live : NULL, p.key, p.arena,
                 &p.image, &p.image_memory, &p.error) != IPC_OK)
        code = ctl_refuse("nothing was published: %s", p.error.text);
    else
        code = ctl_publishing_publish(cli, &p, override);
    ctl_publishing_close(&p);
    return code;
}

/* ---- show ------------------------------------------------------------------------------------ */

static void show_text(const struct ipc_snapshot_image *image, const struct ipc_snapshot_view *v)
{
    struct ipc_snapshot_stats stats;
    ipc_snapshot_stats(v, &stats);
    char when[32];
    ctl_format_wall(image->published_wall_ns, when, sizeof(when));
    printf("generation %" PRIu64 " of cluster %s, published %s\n", image->generation,
        v->cluster->cluster_id, when);
    printf("%u followers, %u enabled; %u instruments\n", stats.followers, stats.enabled_followers,
        v->instrument_count);
    for (uint32_t i = 0; i < v->broker_count; i++)
        if (v->brokers[i].live)
            printf("broker %-12s %s at %s:%u\n", v->brokers[i].name, v->brokers[i].dialect,
                v->brokers[i].host, v->brokers[i].port);
    for (uint32_t i = 0; i < v->master_count; i++) {
        const struct ipc_row_master *m = &v->masters[i];
        printf("master %s (account %u, shard %u): %u followers\n",
            v->accounts[m->account - 1].login, m->account, m->shard, m->count);
        for (uint32_t k = 0; k < m->count && k < 20; k++) {
            const struct ipc_row_follower *f = &v->followers[v->master_slots[m->first + k]];
            const struct ipc_row_account *a = &v->accounts[f->account - 1];
            char value[IPC_DECIMAL_BYTES] = "-"; /* its numbers are in the settings */
            if (f->mode == IPC_MODE_FIXED_QUANTITY || f->ratio_e8 != 0)
                ipc_decimal_format(
                    f->mode == IPC_MODE_FIXED_QUANTITY ? f->fixed_qty_e8 : f->ratio_e8, value);
            bool ended = (f->flags & IPC_FOLLOWER_RETIRED) != 0;
            printf("  follower %-6u %-16s %-15s %-10s%s%s%s%s\n", f->follower_no, a->login,
                ipc_mode_name((enum ipc_mode)f->mode), value,
                ended                               ? " ended, exits only"
                : (f->flags & IPC_FOLLOWER_ENABLED) ? ""
                                                    : " disabled",
                (f->flags & IPC_FOLLOWER_PAUSED) ? " paused" : "",
                f->policy != 0 || f->map != 0 ? " settings" : "",
                a->token_bytes == 0 ? " no token" : "");
        }
        if (m->count > 20)
            printf("  ... and %u more (--json shows all)\n", m->count - 20);
    }
}

static int show(const struct ctl_cli *cli)
{
    struct ctl_live live;
    int code = ctl_live_open(cli, &live);
    if (code == CTL_DONE && cli->json)
        ctl_snapshot_show(&live.image, stdout);
    else if (code == CTL_DONE)
        show_text(&live.image, &live.view);
    ctl_live_close(&live);
    return code;
}

int ctl_snapshot_main(const struct ctl_cli *cli, int argc, char **argv)
{
    static const char help[] =
        "Usage: lockstepctl snapshot publish FILE [--override] [--check]\n"
        "       lockstepctl snapshot show [--json]\n\n"
        "publish reads brokers, accounts, instruments and subscriptions from a JSON file ('-' is\n"
        "standard input; conf/snapshot.example.json has every field), checks all of it, seals the\n"
        "tokens, and returns when every live engine has adopted or refused it. An error publishes\n"
        "nothing. What the file leaves out (\"instruments\", an account's \"token\") stays as it "
        "is.\n\n"
        "  --override  let this one pass the blast-radius guard: a person has looked at it\n"
        "  --check     do all of it but publish\n\n"
        "show --json prints the live snapshot as such a file, without the tokens: publishing it\n"
        "changes nothing. A subscription that the file leaves out ends: its entries stop, exits\n"
        "of what it copied follow; with \"flatten_on_unfollow\" it is closed at once.\n";
    if (argc < 2)
        return ctl_usage("snapshot", "say publish or show");
    if (strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return CTL_DONE;
    }
    if (strcmp(argv[1], "show") == 0 && argc == 2)
        return show(cli);
    if (strcmp(argv[1], "publish") != 0)
        return ctl_usage("snapshot", "there is no '%s'", argv[1]);
    const char *file = NULL;
    bool override = false, check = false;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--override") == 0)
            override = true;
        else if (strcmp(argv[i], "--check") == 0)
            check = true;
        else if (file == NULL && (argv[i][0] != '-' || argv[i][1] == '\0'))
            file = argv[i];
        else
            return ctl_usage(
                "snapshot", "publish takes one FILE, --override and --check, not '%s'", argv[i]);
    }
    if (file == NULL)
        return ctl_usage("snapshot", "publish needs a FILE");
    return check ? check_file(cli, file, override) : publish(cli, file, override);
}

/* ---- token ----------------------------------------------------------------------------------- */

/* Reads the token into secret memory, without a trailing newline. Returns its length, 0 = none. */
static size_t read_secret_line(char *out, size_t room)
{
    size_t used = 0;
    while (used < room) {
        ssize_t got = read(STDIN_FILENO, out + used, room - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    while (used > 0 && (out[used - 1] == '\n' || out[used - 1] == '\r'))
        used--;
    return used;
}

static int set_token(const struct ctl_cli *cli, const char *name)
{
    struct ctl_publishing p;
    if (ctl_publishing_open(cli, true, &p) != IPC_OK) {
        ctl_publishing_close(&p);
        return ctl_refuse("the token was not set: %s", p.error.text);
    }
    int code = CTL_FAILED;
    char *plain = ipc_secret_alloc(p.arena, TOKEN_BYTES_MAX + 1);
    struct ipc_snapshot_view view;
    if (p.live_memory == NULL) {
        code = ctl_refuse("instance %s has no snapshot yet: publish one first", cli->instance);
        goto out;
    }
    ipc_snapshot_view_of(&p.live, &view);
    uint32_t account = ctl_find_account(&view, name);
    if (account == 0) {
        code = ctl_refuse("there is no account '%s' in the live snapshot", name);
        goto out;
    }
    size_t bytes = read_secret_line(plain, TOKEN_BYTES_MAX + 1);
    bool printable = bytes > 0 && bytes <= TOKEN_BYTES_MAX;
    for (size_t i = 0; printable && i < bytes; i++)
        printable = plain[i] > ' ' && plain[i] <= '~';
    if (!printable) {
        code =
            ctl_refuse("standard input must hold one token: 1 to %u printable characters without "
                       "blanks",
                TOKEN_BYTES_MAX);
        goto out;
    }
    struct ipc_snapshot_shape shape = p.live.shape;
    uint32_t row_bytes = (uint32_t)ls_align_up(bytes + IPC_SEAL_OVERHEAD_BYTES, 64);
    if (row_bytes > shape.token_row_bytes)
        shape.token_row_bytes = row_bytes;
    shape.rows[IPC_TABLE_TOKENS] = shape.rows[IPC_TABLE_ACCOUNTS];
    uint64_t need = ipc_snapshot_footprint(&shape);
    p.image_memory = aligned_alloc(4096, need);
    LS_CHECK(p.image_memory != NULL);
    memset(p.image_memory, 0, need);
    ipc_snapshot_image_init(&p.image, p.image_memory, &shape);
    p.image.shape = shape;
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++)
        if (t != IPC_TABLE_TOKENS && shape.rows[t] > 0)
            memcpy(p.image.rows[t], p.live.rows[t],
                (size_t)shape.rows[t] * ipc_table_row_bytes((enum ipc_table)t, 0));
    for (uint32_t i = 0; i < p.live.shape.rows[IPC_TABLE_TOKENS]; i++)
        memcpy((uint8_t *)p.image.rows[IPC_TABLE_TOKENS] + (size_t)i * shape.token_row_bytes,
            (const uint8_t *)p.live.rows[IPC_TABLE_TOKENS] +
                (size_t)i * p.live.shape.token_row_bytes,
            p.live.shape.token_row_bytes);
    struct ipc_row_account *row =
        (struct ipc_row_account *)p.image.rows[IPC_TABLE_ACCOUNTS] + (account - 1);
    struct ipc_seal_binding binding = {.account = account, .token_version = ++row->token_version};
    memcpy(binding.cluster_id, view.cluster->cluster_id, sizeof(binding.cluster_id));
    size_t sealed = 0;
    uint8_t *cell =
        (uint8_t *)p.image.rows[IPC_TABLE_TOKENS] + (size_t)(account - 1) * shape.token_row_bytes;
    enum ipc_rc rc = ipc_seal(p.key, &binding, plain, bytes, cell, shape.token_row_bytes, &sealed);
    ipc_secret_wipe(plain, bytes);
    if (rc != IPC_OK) {
        code = ctl_refuse("the token cannot be sealed: %s", ipc_rc_text(rc));
        goto out;
    }
    row->token_bytes = (uint32_t)sealed;
    code = ctl_publishing_publish(cli, &p, false);
out:
    ctl_publishing_close(&p);
    return code;
}

int ctl_token_main(const struct ctl_cli *cli, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        puts("Usage: lockstepctl token set ACCOUNT < FILE\n\n"
             "Gives an account (login or number) a new broker token, read from standard input,\n"
             "sealed before it reaches shared memory. Returns when every live engine has it.");
        return CTL_DONE;
    }
    if (argc != 3 || strcmp(argv[1], "set") != 0)
        return ctl_usage("token", "say: token set ACCOUNT, with the token on standard input");
    if (isatty(STDIN_FILENO))
        fputs("token (end with Enter, then Ctrl-D): ", stderr);
    return set_token(cli, argv[2]);
}
