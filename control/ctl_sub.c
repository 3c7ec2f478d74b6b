/* lockstepctl sub: one subscription of the live snapshot: shown, paused, resumed, ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli.h"
#include "control/ctl_common.h"
#include "control/publishing.h"
#include "control/snapshot_file.h"
#include "control/snapshot_show.h"

static const char help[] =
    "Usage: lockstepctl sub FOLLOWER\n"
    "       lockstepctl sub FOLLOWER pause | resume | disable | enable [--override]\n"
    "       lockstepctl sub FOLLOWER end [--flatten | --keep] [--override]\n\n"
    "FOLLOWER is the subscription's number. Without more it is shown as the document has it.\n"
    "The others make a new generation of the live snapshot and return when every live engine\n"
    "has adopted or refused it:\n\n"
    "  pause, resume    entries are skipped meanwhile and not made good; exits follow\n"
    "  disable, enable  the same, and the subscription counts as switched off\n"
    "  end              entries stop for good. What it copied is closed at once (--flatten), or\n"
    "                   kept and closed by the master's exits (--keep); without either as its\n"
    "                   \"flatten_on_unfollow\" says\n"
    "  --override       let it pass the blast-radius guard: a person has looked at it\n\n"
    "A document that is published later says it anew: change it there too.\n";

enum end_kind { END_AS_SET, END_FLATTEN, END_KEEP };

/* A copy of the live image in p->image, with room for one more policy. */
static enum ipc_rc copy_live(struct ctl_publishing *p)
{
    struct ipc_snapshot_shape capacity = p->live.shape;
    capacity.rows[IPC_TABLE_POLICIES]++;
    uint64_t bytes = ipc_snapshot_footprint(&capacity);
    p->image_memory = bytes > 0 ? aligned_alloc(4096, bytes) : NULL;
    if (p->image_memory == NULL) {
        ipc_error_set(&p->error, "not enough memory for a copy of the live snapshot");
        return IPC_SYSTEM;
    }
    memset(p->image_memory, 0, bytes);
    ipc_snapshot_image_init(&p->image, p->image_memory, &capacity);
    p->image.shape = p->live.shape;
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++)
        if (p->live.shape.rows[t] > 0)
            memcpy(p->image.rows[t], p->live.rows[t],
                (size_t)p->live.shape.rows[t] *
                    ipc_table_row_bytes((enum ipc_table)t, p->live.shape.token_row_bytes));
    return IPC_OK;
}

/* The end that was asked for, in a policy row of its own when the present one says otherwise. */
static void set_end(struct ctl_publishing *p, struct ipc_row_follower *row, enum end_kind end)
{
    struct ipc_row_policy *policies = p->image.rows[IPC_TABLE_POLICIES];
    uint32_t *count = &p->image.shape.rows[IPC_TABLE_POLICIES];
    uint32_t flags = row->policy != 0 ? policies[row->policy - 1].flags : 0;
    bool flattens = (flags & IPC_POLICY_END_FLATTENS) != 0;
    if (end == END_AS_SET || flattens == (end == END_FLATTEN))
        return;
    struct ipc_row_policy wanted;
    memset(&wanted, 0, sizeof(wanted));
    if (row->policy != 0)
        wanted = policies[row->policy - 1];
    wanted.flags ^= IPC_POLICY_END_FLATTENS;
    static const struct ipc_row_policy none;
    row->policy = 0;
    if (memcmp(&wanted, &none, sizeof(none)) == 0)
        return;
    uint32_t at = 0; /* equal settings are one row */
    while (at < *count && memcmp(&policies[at], &wanted, sizeof(wanted)) != 0)
        at++;
    if (at == *count)
        policies[(*count)++] = wanted;
    row->policy = at + 1;
}

static void set_flag(struct ipc_row_follower *row, uint8_t flag, bool value)
{
    row->flags = (uint8_t)(value ? row->flags | flag : row->flags & ~flag);
}

/* True when `word` is one that is known. */
static bool apply(
    struct ctl_publishing *p, struct ipc_row_follower *row, const char *word, enum end_kind end)
{
    if (strcmp(word, "pause") == 0 || strcmp(word, "resume") == 0) {
        set_flag(row, IPC_FOLLOWER_PAUSED, word[0] == 'p');
    } else if (strcmp(word, "disable") == 0 || strcmp(word, "enable") == 0) {
        set_flag(row, IPC_FOLLOWER_ENABLED, word[0] == 'e');
    } else if (strcmp(word, "end") == 0) {
        row->flags = IPC_FOLLOWER_RETIRED;
        row->allowed_list = row->denied_list = 0;
        set_end(p, row, end);
    } else {
        return false;
    }
    return true;
}

static int change(const struct ctl_cli *cli, const char *number, const char *word,
    enum end_kind end, bool override)
{
    struct ctl_publishing p;
    struct ipc_snapshot_view view;
    int code;
    enum ipc_rc rc = ctl_publishing_open(cli, false, &p);
    if (rc == IPC_OK && p.live_memory == NULL) {
        ipc_error_set(
            &p.error, "instance %s has no snapshot yet: publish one first", cli->instance);
        rc = IPC_NOT_FOUND;
    }
    if (rc == IPC_OK)
        rc = copy_live(&p);
    if (rc != IPC_OK) {
        code = ctl_refuse("nothing was changed: %s", p.error.text);
        goto out;
    }
    ipc_snapshot_view_of(&p.live, &view);
    int64_t slot = ctl_find_slot(&view, number);
    if (slot < 0) {
        code = ctl_refuse("there is no follower number '%s' in the live snapshot", number);
        goto out;
    }
    struct ipc_row_follower *row =
        (struct ipc_row_follower *)p.image.rows[IPC_TABLE_FOLLOWERS] + slot;
    if ((row->flags & IPC_FOLLOWER_RETIRED) != 0 && strcmp(word, "end") != 0) {
        code = ctl_refuse("follower %s has ended; a document that names it starts it anew", number);
        goto out;
    }
    if (!apply(&p, row, word, end)) {
        code = ctl_usage("sub", "'%s' is not pause, resume, disable, enable or end", word);
        goto out;
    }
    ctl_shared_order_image(&p.image);
    code = ctl_publishing_publish(cli, &p, override);
out:
    ctl_publishing_close(&p);
    return code;
}

static int show(const struct ctl_cli *cli, const char *number)
{
    struct ctl_live live;
    int code = ctl_live_open(cli, &live);
    if (code == CTL_DONE) {
        int64_t slot = ctl_find_slot(&live.view, number);
        if (slot < 0)
            code = ctl_refuse("there is no follower number '%s' in the live snapshot", number);
        else
            ctl_snapshot_show_one(&live.view, (uint32_t)slot, stdout);
    }
    ctl_live_close(&live);
    return code;
}

int ctl_sub_main(const struct ctl_cli *cli, int argc, char **argv)
{
    const char *words[2] = {NULL, NULL};
    size_t count = 0;
    enum end_kind end = END_AS_SET;
    bool override = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return CTL_DONE;
        }
        if (strcmp(argv[i], "--override") == 0)
            override = true;
        else if (strcmp(argv[i], "--flatten") == 0 && end != END_KEEP)
            end = END_FLATTEN;
        else if (strcmp(argv[i], "--keep") == 0 && end != END_FLATTEN)
            end = END_KEEP;
        else if (argv[i][0] != '-' && count < LS_COUNT_OF(words))
            words[count++] = argv[i];
        else
            return ctl_usage("sub", "cannot take '%s' here", argv[i]);
    }
    if (count == 0)
        return ctl_usage("sub", "say a follower number");
    if (end != END_AS_SET && (count < 2 || strcmp(words[1], "end") != 0))
        return ctl_usage("sub", "--flatten and --keep belong to 'end'");
    return count == 1 ? show(cli, words[0]) : change(cli, words[0], words[1], end, override);
}
