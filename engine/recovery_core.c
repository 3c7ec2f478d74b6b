/* recovery_core.c: the fold into the real core, apart so that the journal can be used without it.
 */
#include "engine/recovery.h"

#include "core_version.h"

#include <string.h>

_Static_assert(sizeof(struct eng_core_limits) <= ENG_CHECKPOINT_LIMITS_MAX, "limits fit");

static const uint8_t core_version[32] = LS_CORE_VERSION;

static enum ipc_rc core_apply(void *context, const struct eng_frame *frame, bool maybe)
{
    (void)maybe; /* an intent that may have been sent is in flight, as any */
    return eng_apply(context, frame);
}

static void core_recovered(void *context, struct ipc_fact_open *out)
{
    eng_core_recovered(context, out);
}

struct eng_recovery_fold eng_recovery_fold_core(struct eng_core *core)
{
    return (struct eng_recovery_fold){
        .apply = core_apply, .recovered = core_recovered, .context = core};
}

/* --- with checkpoints --- */

static enum ipc_rc keeper_apply(void *context, const struct eng_frame *frame, bool maybe)
{
    const struct eng_recovery_core *keeper = context;
    return core_apply(keeper->core, frame, maybe);
}

static void keeper_recovered(void *context, struct ipc_fact_open *out)
{
    const struct eng_recovery_core *keeper = context;
    eng_core_recovered(keeper->core, out);
}

static void limits_write(const struct eng_core_limits *limits, uint8_t out[])
{
    memset(out, 0, ENG_CHECKPOINT_LIMITS_MAX);
    memcpy(out, limits, sizeof *limits);
}

static enum ipc_rc keeper_restore(
    void *context, int directory_fd, uint32_t shard, uint64_t lsn, struct eng_checkpoint_about *out)
{
    struct eng_recovery_core *keeper = context;
    uint8_t limits[ENG_CHECKPOINT_LIMITS_MAX];
    enum ipc_rc rc = eng_checkpoint_look(directory_fd, lsn, out);
    if (rc != IPC_OK)
        return rc;
    limits_write(&keeper->limits, limits);
    if (memcmp(out->version, core_version, sizeof core_version) != 0 || out->shard != shard ||
        memcmp(out->limits, limits, sizeof limits) != 0 ||
        out->block_bytes != eng_core_footprint(&keeper->limits))
        return IPC_BAD_LAYOUT;
    rc = eng_checkpoint_read(directory_fd, out, keeper->core);
    if (rc != IPC_OK)
        return rc;
    rc = eng_core_settle_image(keeper->core, &keeper->limits, &keeper->config);
    if (rc == IPC_OK && eng_core_hash(keeper->core) != out->state_hash)
        rc = IPC_BAD_CRC;
    return rc;
}

static void keeper_reset(void *context)
{
    struct eng_recovery_core *keeper = context;
    keeper->core = eng_core_init(keeper->core, &keeper->limits, &keeper->config);
}

struct eng_recovery_fold eng_recovery_fold_restored(struct eng_recovery_core *keeper)
{
    return (struct eng_recovery_fold){.apply = keeper_apply,
        .recovered = keeper_recovered,
        .restore = keeper_restore,
        .reset = keeper_reset,
        .context = keeper};
}

void eng_recovery_about(
    const struct eng_recovery_core *keeper, uint32_t shard, struct eng_checkpoint_about *out)
{
    memset(out, 0, sizeof *out);
    out->shard = shard;
    out->block_bytes = eng_core_footprint(&keeper->limits);
    out->state_hash = eng_core_hash(keeper->core);
    memcpy(out->version, core_version, sizeof out->version);
    limits_write(&keeper->limits, out->limits);
}
