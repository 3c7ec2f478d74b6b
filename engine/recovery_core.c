/* recovery_core.c: the fold into the real core, apart so that the journal can be used without it. */
#include "engine/recovery.h"

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
