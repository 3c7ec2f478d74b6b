/* Generations: what the core takes from a view when it comes into force. */
#include "engine/core/controls.h"
#include "engine/core/core_private.h"
#include "engine/core/dedupe.h"
#include "engine/core/limits_private.h"
#include "engine/core/pace.h"
#include "engine/core/reconcile_private.h"
#include "engine/core/recover.h"

enum ipc_rc eng_decide_adopt(const struct eng_core *core, const struct ipc_snapshot_view *view,
    uint64_t content_hash, struct ipc_fact_adopt *out, struct ipc_error *error)
{
    if (view->account_count > core->limits.account_max) {
        ipc_error_set(error,
            "generation %llu has %u accounts, the engine was started for %u; raise the limit and "
            "restart it",
            (unsigned long long)view->generation, view->account_count, core->limits.account_max);
        return IPC_REFUSED;
    }
    if (view->follower_slots > core->limits.follower_slot_max) {
        ipc_error_set(error,
            "generation %llu has %u follower slots, the engine was started for %u; raise the limit "
            "and restart it",
            (unsigned long long)view->generation, view->follower_slots,
            core->limits.follower_slot_max);
        return IPC_REFUSED;
    }
    memset(out, 0, sizeof *out);
    out->generation = view->generation;
    out->content_hash = content_hash;
    out->follower_slots = view->follower_slots;
    for (uint32_t slot = 0; slot < view->follower_slots; slot++) {
        const struct ipc_row_follower *row = &view->followers[slot];
        if (row->follower_no == 0 || row->shard != core->config.shard ||
            !(row->flags & IPC_FOLLOWER_ENABLED))
            continue;
        out->enabled_followers++;
        if (row->mode != IPC_MODE_FIXED_RATIO)
            continue;
        out->total_multiplier_e8 = eng_add_saturated(out->total_multiplier_e8, row->ratio_e8);
        out->largest_multiplier_e8 = ls_max_i64(out->largest_multiplier_e8, row->ratio_e8);
    }
    return IPC_OK;
}

/* Accounts that leave through one source address of one broker share a group; the group keeps its
 * calls over generations. */
static uint32_t address_group(struct eng_core *core, const struct ipc_row_account *row)
{
    uint64_t word[2];
    memcpy(word, row->source_address, sizeof word);
    uint64_t key = eng_mix(word[0] ^ eng_mix(word[1] + row->source_family)) ^ row->broker;
    key |= UINT64_C(1) << 63; /* never 0 */
    uint32_t at = (uint32_t)eng_mix(key) & core->address_mask;
    for (uint32_t look = 0; look <= core->address_mask; look++) {
        struct eng_address *address = &core->addresses[at];
        if (address->key == 0)
            address->key = key;
        if (address->key == key)
            return at;
        at = (at + 1) & core->address_mask;
    }
    return 0; /* every group was ever used: what is new is counted with the first */
}

static void bind_account(struct eng_core *core, const struct ipc_row_account *row)
{
    struct eng_account *account = &core->accounts[row->account];
    bool raised = row->token_version > account->refused_token_version;
    uint8_t pause = account->flags & ENG_ACCOUNT_AUTH_PAUSE;
    account->flags = ENG_ACCOUNT_BOUND;
    if (pause && !raised)
        account->flags |= ENG_ACCOUNT_AUTH_PAUSE;
    if (row->token_bytes != 0)
        account->flags |= ENG_ACCOUNT_TOKEN;
    if (row->flags & IPC_ACCOUNT_DISABLED)
        account->flags |= ENG_ACCOUNT_DISABLED;
    account->broker = row->broker;
    account->token_version = row->token_version;
    account->address = 0;
    if (core->policies[row->broker].address_orders_per_second != 0) {
        account->address = address_group(core, row);
        account->flags |= ENG_ACCOUNT_SHARED;
    }
}

void eng_core_adopt(struct eng_core *core, const struct ipc_snapshot_view *view,
    const struct eng_broker_policy *policies)
{
    LS_CHECK(core->magic == ENG_CORE_MAGIC);
    LS_CHECK(view->generation == core->fold.generation);
    LS_CHECK(view->broker_count <= LS_COUNT_OF(core->policies));
    LS_CHECK(view->account_count <= core->limits.account_max);
    LS_CHECK(view->follower_slots <= core->limits.follower_slot_max);
    bool first = core->view == NULL;
    core->view = view;
    memset(core->policies, 0, sizeof core->policies);
    memcpy(core->policies, policies, view->broker_count * sizeof *policies);
    eng_pace_rules(core);

    for (uint32_t number = 1; number <= core->limits.account_max; number++) {
        core->accounts[number].master_row = core->accounts[number].slot = 0;
        if (number <= view->account_count && view->accounts[number - 1].account == number)
            bind_account(core, &view->accounts[number - 1]);
        else
            core->accounts[number].flags &= (uint8_t) ~(ENG_ACCOUNT_BOUND | ENG_ACCOUNT_TOKEN);
    }
    for (uint32_t i = 0; i < view->master_count; i++) {
        const struct ipc_row_master *row = &view->masters[i];
        if (row->shard == core->config.shard && row->account <= core->limits.account_max)
            core->accounts[row->account].master_row = i + 1;
    }
    /* An account with several subscriptions may be twice in one batch: its calls are then counted
     * together. */
    for (uint32_t slot = 0; slot < view->follower_slots; slot++) {
        const struct ipc_row_follower *row = &view->followers[slot];
        if (row->follower_no == 0 || row->account == 0 || row->account > view->account_count)
            continue;
        struct eng_account *account = &core->accounts[row->account];
        if (account->flags & ENG_ACCOUNT_FOLLOWS)
            account->flags |= ENG_ACCOUNT_SHARED;
        account->flags |= ENG_ACCOUNT_FOLLOWS;
        if (account->slot == 0)
            account->slot = slot + 1;
        const uint32_t follow = IPC_POLICY_NO_PENDING | IPC_POLICY_REVERSE;
        bool by_fill = row->copy == IPC_COPY_ON_FILL || row->ratio_e8 < 0 ||
                       (row->policy != 0 && (view->policies[row->policy - 1].flags & follow));
        if (by_fill && row->master != 0 && row->master <= view->account_count)
            core->accounts[row->master].flags |= ENG_ACCOUNT_FILLS;
    }
    eng_limits_adopt(core);
    eng_controls_adopt(core, first);
    if (first)
        eng_recover_bind(core);
    eng_recon_bind(core, first);
}
