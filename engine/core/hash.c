#include "engine/core/hash.h"

#include "engine/core/controls.h"
#include "engine/core/core_private.h"
#include "engine/core/hand.h"
#include "engine/core/money.h"
#include "engine/core/reconcile_private.h"

/* What is hashed bytewise has no padding; a new field that makes some fails here. */
_Static_assert(sizeof(struct eng_order) == 16 + 20 * 8 + 10 * 4 + 8 + 16, "no padding");
_Static_assert(sizeof(struct eng_child) == 8 * 4 + 8 + 24 + 6 * 4 + 13 * 8 + 8 + 32, "no padding");
_Static_assert(sizeof(struct eng_position) == 176, "no padding");
_Static_assert(sizeof(struct eng_master_position) == 88, "no padding");
_Static_assert(sizeof(struct eng_wave) == 3 * 8 + 5 * 4 + 4, "no padding");
_Static_assert(
    sizeof(struct eng_fold) == 9 * 8 + 18 * 4 + sizeof(struct eng_core_counters), "no padding");

uint64_t eng_hash(uint64_t hash, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    hash ^= count * UINT64_C(0x9e3779b97f4a7c15);
    for (; count >= 8; count -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    uint64_t rest = 0;
    memcpy(&rest, at, count);
    return eng_mix(hash ^ rest);
}

uint64_t eng_core_hash(const struct eng_core *core)
{
    const struct eng_fold *fold = &core->fold;
    uint64_t hash = eng_hash(0, fold, sizeof *fold);
    hash = eng_hash(hash, core->orders, fold->order_count * sizeof *core->orders);
    hash = eng_hash(hash, core->children, fold->child_count * sizeof *core->children);
    hash = eng_hash(hash, core->positions, fold->position_count * sizeof *core->positions);
    hash = eng_hash(
        hash, core->master_positions, fold->master_position_count * sizeof *core->master_positions);
    hash = eng_hash(hash, core->slots, core->limits.follower_slot_max * sizeof *core->slots);
    hash = eng_hash(hash, core->waves, core->limits.wave_max * sizeof *core->waves);
    hash = eng_hand_hash(core, hash);
    hash = eng_hash(hash, core->account_folds,
        ((size_t)core->limits.account_max + 1) * sizeof *core->account_folds);
    hash = eng_hash(hash, core->recon_accounts,
        ((size_t)core->limits.account_max + 1) * sizeof *core->recon_accounts);
    hash = eng_hash(hash, core->recon_children, fold->child_count * sizeof *core->recon_children);
    return eng_controls_hash(core, eng_money_hash(core, hash));
}
