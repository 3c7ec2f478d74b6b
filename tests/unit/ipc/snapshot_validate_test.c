/* snapshot_validate_test.c: a table of every way a snapshot can be wrong; each is refused with a
 * sentence that names its table and row, and nothing is refused without reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "ipc/prng.h"
#include "ipc/snapshot_rules.h"
#include "snapshot_world.h"

#define FOLLOWERS 12u

/* A row of the table: what to do to a good world, and what the sentence must hold; NULL = good. */
struct spoil {
    void (*change)(struct world *w);
    const char *place;
    const char *problem;
};

#define SPOIL(name, ...)                                                                           \
    static void name(struct world *w)                                                              \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

SPOIL(nothing, (void)w)

SPOIL(no_cluster, w->image.shape.rows[IPC_TABLE_CLUSTER] = 0)
SPOIL(cluster_id_empty, world_cluster(w)->cluster_id[0] = 0)
SPOIL(cluster_id_open, memset(world_cluster(w)->cluster_id, 'a', 64))
SPOIL(cluster_id_tail, world_cluster(w)->cluster_id[60] = 'x')
SPOIL(guard_negative, world_cluster(w)->guard_fraction_e8 = -1)
SPOIL(guard_large, world_cluster(w)->guard_fraction_e8 = 100 * LS_E8 + 1)
SPOIL(no_shards, world_cluster(w)->shard_count = 0)
SPOIL(many_shards, world_cluster(w)->shard_count = 65)
SPOIL(cluster_reserved, world_cluster(w)->reserved[12] = 1)

SPOIL(broker_live, world_broker(w, 1)->live = 2)
SPOIL(broker_name, world_broker(w, 1)->name[0] = 0)
SPOIL(broker_name_quote, world_broker(w, 1)->name[2] = '"')
SPOIL(broker_name_twice, memcpy(world_broker(w, 1)->name, world_broker(w, 0)->name, 32))
SPOIL(broker_dialect, world_broker(w, 0)->dialect[0] = 0)
SPOIL(broker_host, world_broker(w, 0)->host[0] = 0)
SPOIL(broker_host_space, world_broker(w, 0)->host[3] = ' ')
SPOIL(broker_host_line, world_broker(w, 0)->host[3] = '\n')
SPOIL(broker_authority, world_broker(w, 0)->authority[0] = '/')
SPOIL(broker_ca, world_broker(w, 0)->ca_file[0] = '\t')
SPOIL(broker_path, world_broker(w, 0)->base_path[0] = 'x')
SPOIL(broker_path_query, memcpy(world_broker(w, 0)->base_path, "/a?b", 5))
SPOIL(broker_path_good, memcpy(world_broker(w, 0)->base_path, "/rest/v2", 9))
SPOIL(broker_port, world_broker(w, 0)->port = 0)
SPOIL(broker_pool, world_broker(w, 0)->pool_connections = 1025)
SPOIL(broker_pool_good, world_broker(w, 0)->pool_connections = 1024)
SPOIL(broker_alpn, world_broker(w, 0)->alpn = 3)
SPOIL(broker_requests, world_broker(w, 0)->requests_per_connection = 1u << 30)
SPOIL(broker_connects, world_broker(w, 0)->connects_per_second = 1000001)
SPOIL(broker_reply, world_broker(w, 0)->reply_timeout_ms = 600001)
SPOIL(broker_ping, world_broker(w, 0)->ping_interval_ms = 3600001)
SPOIL(broker_keepalive, world_broker(w, 0)->keepalive_get_ms = 3600001)
SPOIL(broker_rate, world_broker(w, 0)->orders_per_day = 1000000001)
SPOIL(broker_flags, world_broker(w, 0)->flags = 8)
SPOIL(broker_fee_turnover, world_broker(w, 0)->fee_turnover_e8 = LS_E8 + 1)
SPOIL(broker_fee_order, world_broker(w, 0)->fee_order_e4 = 1000000001)
SPOIL(broker_fees_good, world_broker(w, 0)->fee_order_e4 = 200000;
      world_broker(w, 0)->fee_turnover_e8 = 30000)
SPOIL(broker_reserved, world_broker(w, 0)->reserved[3] = 1)

SPOIL(account_number, world_account(w, 4)->account = 5)
SPOIL(account_broker, world_account(w, 4)->broker = 2)
SPOIL(account_broker_dead, world_broker(w, 0)->live = 0)
SPOIL(account_shard, world_account(w, 4)->shard = 1)
SPOIL(account_no_roles, world_account(w, 4)->roles = 0)
SPOIL(account_roles, world_account(w, 4)->roles = 6)
SPOIL(account_lanes, world_account(w, 4)->lanes = 3)
SPOIL(account_lanes_none, world_account(w, 4)->lanes = 0)
SPOIL(account_flags, world_account(w, 4)->flags = 8)
SPOIL(account_family, world_account(w, 4)->source_family = 5)
SPOIL(account_address_long, world_account(w, 4)->source_family = 4;
      memset(world_account(w, 4)->source_address, 1, 5))
SPOIL(account_address_any, world_account(w, 4)->source_family = 6)
SPOIL(account_address_stray, world_account(w, 4)->source_address[15] = 1)
SPOIL(account_address_good, world_account(w, 4)->source_family = 6;
      world_account(w, 4)->source_address[15] = 1)
SPOIL(account_token, world_account(w, 4)->token_bytes = 65)
SPOIL(account_token_good, world_account(w, 4)->token_bytes = 64)
SPOIL(account_login, world_account(w, 4)->login[0] = 0)
SPOIL(account_login_byte, world_account(w, 4)->login[1] = (char)0x80)
SPOIL(account_login_twice, memcpy(world_account(w, 6)->login, world_account(w, 4)->login, 32))
SPOIL(
    account_login_other_broker, memcpy(world_account(w, 5)->login, world_account(w, 4)->login, 32))
SPOIL(account_name, world_account(w, 4)->name[0] = 27)
SPOIL(account_name_utf8, memcpy(world_account(w, 4)->name, "Z\xc3\xbcrich", 8))
SPOIL(account_poll, world_account(w, 4)->poll_interval_ms = 3600001)
SPOIL(account_open_orders, world_account(w, 4)->open_orders_max = 1000001)

SPOIL(instrument_number, world_instrument(w, 2)->instrument = 3)
SPOIL(instrument_exchange, world_instrument(w, 2)->exchange = 10)
SPOIL(instrument_kind, world_instrument(w, 2)->kind = 0)
SPOIL(instrument_right, world_instrument(w, 2)->right = 'C')
SPOIL(instrument_no_right, world_instrument(w, 5)->right = 0)
SPOIL(instrument_flags, world_instrument(w, 2)->flags = 2)
SPOIL(instrument_lot, world_instrument(w, 2)->lot_qty_e8 = 0)
SPOIL(instrument_lot_negative, world_instrument(w, 2)->lot_qty_e8 = -LS_E8)
SPOIL(instrument_lot_large, world_instrument(w, 2)->lot_qty_e8 = IPC_QTY_E8_MAX + 1)
SPOIL(instrument_tick, world_instrument(w, 2)->tick_e8 = 0)
SPOIL(instrument_tick_large, world_instrument(w, 2)->tick_e8 = INT64_MAX)
SPOIL(instrument_freeze, world_instrument(w, 4)->freeze_qty_e8 = 64 * LS_E8)
SPOIL(instrument_freeze_negative, world_instrument(w, 4)->freeze_qty_e8 = -1)
SPOIL(instrument_strike, world_instrument(w, 5)->strike_e8 = -1)
SPOIL(instrument_expiry, world_instrument(w, 5)->expiry_yyyymmdd = 20261301)
SPOIL(instrument_no_expiry, world_instrument(w, 5)->expiry_yyyymmdd = 0)
SPOIL(instrument_token, world_instrument(w, 2)->token[0] = 0)
SPOIL(instrument_token_letter, world_instrument(w, 2)->token[1] = 'x')
SPOIL(instrument_token_open, memset(world_instrument(w, 2)->token, '1', 16))
SPOIL(instrument_token_twice,
    memcpy(world_instrument(w, 2)->token, world_instrument(w, 1)->token, 16))
SPOIL(
    instrument_token_gone, memcpy(world_instrument(w, 2)->token, world_instrument(w, 1)->token, 16);
    world_instrument(w, 2)->flags = IPC_INSTRUMENT_GONE)
SPOIL(instrument_token_other,
    memcpy(world_instrument(w, 4)->token, world_instrument(w, 1)->token, 16))
SPOIL(instrument_symbol, world_instrument(w, 2)->symbol[0] = 0)
SPOIL(instrument_symbol_quote, world_instrument(w, 2)->symbol[0] = '\\')
SPOIL(instrument_underlying, world_instrument(w, 2)->underlying[0] = '\r')
SPOIL(instrument_gone, world_instrument(w, 6)->instrument = 0)

SPOIL(follower_number, world_follower(w, 7)->follower_no = 60466176)
SPOIL(follower_number_good, world_follower(w, 7)->follower_no = 60466175)
SPOIL(follower_twice, world_follower(w, 7)->follower_no = world_follower(w, 3)->follower_no)
SPOIL(follower_account_zero, world_follower(w, 7)->account = 0)
SPOIL(follower_account, world_follower(w, 7)->account = WORLD_MASTERS + FOLLOWERS + 1)
SPOIL(follower_account_huge, world_follower(w, 7)->account = UINT32_MAX)
SPOIL(follower_account_unused, world_account(w, 10)->account = 0)
SPOIL(follower_account_role, world_account(w, 10)->roles = IPC_ROLE_MASTER)
SPOIL(follower_master_zero, world_follower(w, 7)->master = 0)
SPOIL(follower_master, world_follower(w, 7)->master = UINT32_MAX)
SPOIL(follower_master_role, world_account(w, 2)->roles = IPC_ROLE_FOLLOWER)
SPOIL(follower_itself, world_account(w, 10)->roles = 3; world_follower(w, 7)->master = 10)
SPOIL(follower_broker, world_follower(w, 7)->broker ^= 1)
SPOIL(follower_broker_range, world_follower(w, 7)->broker = 2)
SPOIL(follower_shard, world_cluster(w)->shard_count = 2; world_follower(w, 7)->shard = 1)
SPOIL(follower_shard_range, world_follower(w, 7)->shard = 1)
SPOIL(follower_mode, world_follower(w, 7)->mode = IPC_MODE_LIMIT)
SPOIL(follower_mode_zero, world_follower(w, 7)->mode = 0)
SPOIL(follower_copy, world_follower(w, 7)->copy = 3)
SPOIL(follower_flags, world_follower(w, 7)->flags |= 64)
SPOIL(follower_products, world_follower(w, 7)->products = 1)
SPOIL(follower_products_good, world_follower(w, 7)->products = 30)
SPOIL(follower_types, world_follower(w, 7)->types = 32)
SPOIL(follower_sides, world_follower(w, 7)->sides = 8)
SPOIL(follower_ratio, world_follower(w, 7)->ratio_e8 = 0)
SPOIL(follower_ratio_negative, world_follower(w, 7)->ratio_e8 = -LS_E8)
SPOIL(follower_ratio_large, world_follower(w, 7)->ratio_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(follower_percent, world_follower(w, 7)->mode = IPC_MODE_PERCENTAGE;
      world_follower(w, 7)->ratio_e8 = 0)
SPOIL(follower_fixed, world_follower(w, 7)->mode = IPC_MODE_FIXED_QUANTITY)
SPOIL(follower_fixed_good, world_follower(w, 7)->mode = IPC_MODE_FIXED_QUANTITY;
      world_follower(w, 7)->ratio_e8 = 0; world_follower(w, 7)->fixed_qty_e8 = LS_E8)
SPOIL(follower_fixed_negative, world_follower(w, 7)->fixed_qty_e8 = -1)
SPOIL(follower_max_qty, world_follower(w, 7)->max_qty_e8 = -1)
SPOIL(follower_max_value, world_follower(w, 7)->max_order_value_e8 = -1)
SPOIL(follower_max_position, world_follower(w, 7)->max_position_e8 = INT64_MAX)
SPOIL(follower_allowed, world_follower(w, 7)->allowed_list = 3)
SPOIL(follower_denied, world_follower(w, 7)->denied_list = UINT32_MAX)
SPOIL(follower_age, world_follower(w, 7)->max_age_market_ms = 86400001)
SPOIL(follower_price_age, world_follower(w, 7)->price_max_age_ms = UINT32_MAX)
SPOIL(follower_reserved, world_follower(w, 7)->reserved[3] = 1)
SPOIL(follower_unused, memset(world_follower(w, 7), 0, 128))
SPOIL(follower_retired, world_follower(w, 7)->flags = IPC_FOLLOWER_RETIRED)
SPOIL(follower_retired_enabled, world_follower(w, 7)->flags |= IPC_FOLLOWER_RETIRED)
SPOIL(follower_retired_range, world_follower(w, 7)->flags = IPC_FOLLOWER_RETIRED;
      world_follower(w, 7)->account = UINT32_MAX)

SPOIL(master_account_zero, world_master(w, 1)->account = 0)
SPOIL(master_account, world_master(w, 1)->account = UINT32_MAX)
SPOIL(master_role, world_master(w, 1)->account = 5)
SPOIL(master_shard, world_master(w, 1)->shard = 1)
SPOIL(master_twice, world_master(w, 1)->account = 1)
SPOIL(master_first, world_master(w, 1)->first = UINT32_MAX)
SPOIL(master_count, world_master(w, 1)->count = UINT32_MAX)
SPOIL(master_count_more, world_master(w, 1)->count++)
SPOIL(master_count_less, world_master(w, 1)->count--)
SPOIL(master_overlap, world_master(w, 0)->count++)
SPOIL(slot_range, *world_slot(w, 9) = FOLLOWERS)
SPOIL(slot_huge, *world_slot(w, 9) = UINT32_MAX)
SPOIL(slot_twice, *world_slot(w, 9) = *world_slot(w, 8))
SPOIL(slot_other_master, *world_slot(w, 9) = 0)
SPOIL(unlisted_disabled, world_follower(w, *world_slot(w, 11))->flags = 0;
      world_master(w, 1)->count--)

SPOIL(list_first, world_list(w, 1)->first = UINT32_MAX)
SPOIL(list_count, world_list(w, 1)->count = 2)
SPOIL(item_zero, *world_item(w, 0) = 0)
SPOIL(item_range, *world_item(w, 2) = WORLD_INSTRUMENTS + 1)
SPOIL(item_unused, world_instrument(w, 3)->instrument = 0)
SPOIL(item_equal, *world_item(w, 1) = 1)
SPOIL(item_falls, *world_item(w, 0) = 4)

/* Slots 0 and 1 belong to accounts 3 and 4: 3 follows 1 already; 4 follows 3 here, 3 follows 4. */
static void chain(struct world *w, bool loop)
{
    for (uint32_t account = 3; account <= 4; account++) {
        world_account(w, account)->roles = IPC_ROLE_MASTER | IPC_ROLE_FOLLOWER;
        world_account(w, account)->flags = IPC_ACCOUNT_CHAINING;
    }
    world_follower(w, 1)->master = 3;
    if (loop)
        world_follower(w, 0)->master = 4;
    /* Runs: master 1 without slot 0, master 2 without slot 1; 3 and 4 take theirs. */
    if (loop)
        world_follower(w, 0)->flags = 0;
    world_follower(w, 1)->flags = 0;
    world_master(w, 0)->first += loop ? 1 : 0;
    world_master(w, 0)->count -= loop ? 1 : 0;
    world_master(w, 1)->first += 1;
    world_master(w, 1)->count -= 1;
}

SPOIL(chain_line, chain(w, false))
SPOIL(chain_loop, chain(w, true))

static void two_shards(struct world *w)
{
    world_cluster(w)->shard_count = 2;
    world_account(w, 5)->shard = 1;
    world_follower(w, 2)->shard = 1;
    world_follower(w, 2)->flags = 0;
    world_master(w, 0)->first += 2; /* without slots 0 and 2 */
    world_master(w, 0)->count -= 2;
    world_follower(w, 0)->flags = 0;
}

static void share_source(struct world *w, uint32_t a, uint32_t b)
{
    world_account(w, a)->source_family = world_account(w, b)->source_family = 4;
    world_account(w, a)->source_address[0] = world_account(w, b)->source_address[0] = 127;
}

SPOIL(shards_good, two_shards(w))
SPOIL(shards_run, two_shards(w); world_master(w, 0)->first--; world_master(w, 0)->count++)
SPOIL(source_shared, two_shards(w); share_source(w, 3, 5))
SPOIL(source_other_broker, two_shards(w); share_source(w, 4, 5))
SPOIL(source_limited, two_shards(w); world_broker(w, 1)->address_orders_per_second = 10)
SPOIL(source_limited_elsewhere, two_shards(w); world_broker(w, 0)->address_orders_per_second = 10)

SPOIL(policy_basis, world_policy(w, 1)->basis = 4)
SPOIL(policy_round, world_policy(w, 1)->round = 4)
SPOIL(policy_on_fill, world_policy(w, 1)->on_fill = 4)
SPOIL(policy_drift, world_policy(w, 1)->drift = 4)
SPOIL(policy_basis_good, world_policy(w, 1)->basis = IPC_BASIS_FREE_MARGIN)
SPOIL(policy_flags, world_policy(w, 1)->flags = IPC_POLICY_LAST * 2)
SPOIL(policy_flags_good, world_policy(w, 1)->flags = IPC_POLICY_LAST | IPC_POLICY_REVERSE)
SPOIL(policy_mult_e8_negative, world_policy(w, 1)->mult_e8 = -1)
SPOIL(policy_mult_e8_large, world_policy(w, 1)->mult_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(policy_leverage_e8_negative, world_policy(w, 1)->leverage_e8 = -1)
SPOIL(policy_leverage_e8_large, world_policy(w, 1)->leverage_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(policy_frozen_coefficient_e8_negative, world_policy(w, 1)->frozen_coefficient_e8 = -1)
SPOIL(policy_frozen_coefficient_e8_large,
    world_policy(w, 1)->frozen_coefficient_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(policy_available_factor_e8_negative, world_policy(w, 1)->available_factor_e8 = -1)
SPOIL(policy_available_factor_e8_large,
    world_policy(w, 1)->available_factor_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(policy_fx_e8_negative, world_policy(w, 1)->fx_e8 = -1)
SPOIL(policy_fx_e8_large, world_policy(w, 1)->fx_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(policy_follower_leverage_e8_negative, world_policy(w, 1)->follower_leverage_e8 = -1)
SPOIL(policy_follower_leverage_e8_large,
    world_policy(w, 1)->follower_leverage_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(policy_master_leverage_e8_negative, world_policy(w, 1)->master_leverage_e8 = -1)
SPOIL(
    policy_master_leverage_e8_large, world_policy(w, 1)->master_leverage_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(policy_contract_factor_e8_negative, world_policy(w, 1)->contract_factor_e8 = -1)
SPOIL(
    policy_contract_factor_e8_large, world_policy(w, 1)->contract_factor_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(policy_deposit_fraction_e8_negative, world_policy(w, 1)->deposit_fraction_e8 = -1)
SPOIL(policy_deposit_fraction_e8_large,
    world_policy(w, 1)->deposit_fraction_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(policy_slippage_discount_e8_negative, world_policy(w, 1)->slippage_discount_e8 = -1)
SPOIL(policy_slippage_discount_e8_large, world_policy(w, 1)->slippage_discount_e8 = LS_E8 + 1)
SPOIL(policy_slippage_discount_e8_one, world_policy(w, 1)->slippage_discount_e8 = LS_E8)
SPOIL(policy_slippage_cap_e8_negative, world_policy(w, 1)->slippage_cap_e8 = -1)
SPOIL(policy_slippage_cap_e8_large, world_policy(w, 1)->slippage_cap_e8 = LS_E8 + 1)
SPOIL(policy_slippage_cap_e8_one, world_policy(w, 1)->slippage_cap_e8 = LS_E8)
SPOIL(policy_market_protection_e8_negative, world_policy(w, 1)->market_protection_e8 = -1)
SPOIL(policy_market_protection_e8_large, world_policy(w, 1)->market_protection_e8 = LS_E8 + 1)
SPOIL(policy_market_protection_e8_one, world_policy(w, 1)->market_protection_e8 = LS_E8)
SPOIL(policy_max_trade_risk_e8_negative, world_policy(w, 1)->max_trade_risk_e8 = -1)
SPOIL(policy_max_trade_risk_e8_large, world_policy(w, 1)->max_trade_risk_e8 = LS_E8 + 1)
SPOIL(policy_max_trade_risk_e8_one, world_policy(w, 1)->max_trade_risk_e8 = LS_E8)
SPOIL(policy_daily_loss_fraction_e8_negative, world_policy(w, 1)->daily_loss_fraction_e8 = -1)
SPOIL(policy_daily_loss_fraction_e8_large, world_policy(w, 1)->daily_loss_fraction_e8 = LS_E8 + 1)
SPOIL(policy_daily_loss_fraction_e8_one, world_policy(w, 1)->daily_loss_fraction_e8 = LS_E8)
SPOIL(policy_drawdown_fraction_e8_negative, world_policy(w, 1)->drawdown_fraction_e8 = -1)
SPOIL(policy_drawdown_fraction_e8_large, world_policy(w, 1)->drawdown_fraction_e8 = LS_E8 + 1)
SPOIL(policy_drawdown_fraction_e8_one, world_policy(w, 1)->drawdown_fraction_e8 = LS_E8)
SPOIL(policy_equity_stop_fraction_e8_negative, world_policy(w, 1)->equity_stop_fraction_e8 = -1)
SPOIL(policy_equity_stop_fraction_e8_large, world_policy(w, 1)->equity_stop_fraction_e8 = LS_E8 + 1)
SPOIL(policy_equity_stop_fraction_e8_one, world_policy(w, 1)->equity_stop_fraction_e8 = LS_E8)
SPOIL(policy_margin_use_max_e8_negative, world_policy(w, 1)->margin_use_max_e8 = -1)
SPOIL(policy_margin_use_max_e8_large, world_policy(w, 1)->margin_use_max_e8 = LS_E8 + 1)
SPOIL(policy_margin_use_max_e8_one, world_policy(w, 1)->margin_use_max_e8 = LS_E8)
SPOIL(policy_fraction_e8_negative, world_policy(w, 1)->fraction_e8 = -1)
SPOIL(policy_fraction_e8_large, world_policy(w, 1)->fraction_e8 = LS_E8 + 1)
SPOIL(policy_fraction_e8_one, world_policy(w, 1)->fraction_e8 = LS_E8)
SPOIL(policy_step_qty_e8_negative, world_policy(w, 1)->step_qty_e8 = -1)
SPOIL(policy_step_qty_e8_large, world_policy(w, 1)->step_qty_e8 = IPC_QTY_E8_MAX + 1)
SPOIL(policy_step_e8_negative, world_policy(w, 1)->step_e8 = -1)
SPOIL(policy_step_e8_large, world_policy(w, 1)->step_e8 = IPC_QTY_E8_MAX + 1)
SPOIL(policy_refuse_below_e8_negative, world_policy(w, 1)->refuse_below_e8 = -1)
SPOIL(policy_refuse_below_e8_large, world_policy(w, 1)->refuse_below_e8 = IPC_QTY_E8_MAX + 1)
SPOIL(policy_master_min_e8_negative, world_policy(w, 1)->master_min_e8 = -1)
SPOIL(policy_master_min_e8_large, world_policy(w, 1)->master_min_e8 = IPC_QTY_E8_MAX + 1)
SPOIL(policy_master_max_e8_negative, world_policy(w, 1)->master_max_e8 = -1)
SPOIL(policy_master_max_e8_large, world_policy(w, 1)->master_max_e8 = IPC_QTY_E8_MAX + 1)
SPOIL(policy_split_qty_e8_negative, world_policy(w, 1)->split_qty_e8 = -1)
SPOIL(policy_split_qty_e8_large, world_policy(w, 1)->split_qty_e8 = IPC_QTY_E8_MAX + 1)
SPOIL(policy_system_max_e8_negative, world_policy(w, 1)->system_max_e8 = -1)
SPOIL(policy_system_max_e8_large, world_policy(w, 1)->system_max_e8 = IPC_QTY_E8_MAX + 1)
SPOIL(policy_user_max_e8_negative, world_policy(w, 1)->user_max_e8 = -1)
SPOIL(policy_user_max_e8_large, world_policy(w, 1)->user_max_e8 = IPC_QTY_E8_MAX + 1)
SPOIL(policy_invest_e8_negative, world_policy(w, 1)->invest_e8 = -1)
SPOIL(policy_invest_e8_large, world_policy(w, 1)->invest_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_step_money_e8_negative, world_policy(w, 1)->step_money_e8 = -1)
SPOIL(policy_step_money_e8_large, world_policy(w, 1)->step_money_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_basis_money_e8_negative, world_policy(w, 1)->basis_money_e8 = -1)
SPOIL(policy_basis_money_e8_large, world_policy(w, 1)->basis_money_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_min_notional_e8_negative, world_policy(w, 1)->min_notional_e8 = -1)
SPOIL(policy_min_notional_e8_large, world_policy(w, 1)->min_notional_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_day_notional_e8_negative, world_policy(w, 1)->day_notional_e8 = -1)
SPOIL(policy_day_notional_e8_large, world_policy(w, 1)->day_notional_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_daily_loss_e8_negative, world_policy(w, 1)->daily_loss_e8 = -1)
SPOIL(policy_daily_loss_e8_large, world_policy(w, 1)->daily_loss_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_drawdown_e8_negative, world_policy(w, 1)->drawdown_e8 = -1)
SPOIL(policy_drawdown_e8_large, world_policy(w, 1)->drawdown_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_trailing_protect_e8_negative, world_policy(w, 1)->trailing_protect_e8 = -1)
SPOIL(policy_trailing_protect_e8_large,
    world_policy(w, 1)->trailing_protect_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_equity_stop_e8_negative, world_policy(w, 1)->equity_stop_e8 = -1)
SPOIL(policy_equity_stop_e8_large, world_policy(w, 1)->equity_stop_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_exposure_max_e8_negative, world_policy(w, 1)->exposure_max_e8 = -1)
SPOIL(policy_exposure_max_e8_large, world_policy(w, 1)->exposure_max_e8 = IPC_MONEY_E8_MAX + 1)
SPOIL(policy_slices_max, world_policy(w, 1)->slices_max = 1000001)
SPOIL(policy_modifications_max, world_policy(w, 1)->modifications_max = 1000001)
SPOIL(policy_open_positions_max, world_policy(w, 1)->open_positions_max = 1000001)
SPOIL(policy_trades_day_max, world_policy(w, 1)->trades_day_max = 1000001)
SPOIL(policy_failures_max, world_policy(w, 1)->failures_max = 1000001)
SPOIL(policy_circuit_hold_ms, world_policy(w, 1)->circuit_hold_ms = 86400001)
SPOIL(policy_duplicate_window_ms, world_policy(w, 1)->duplicate_window_ms = 86400001)
SPOIL(policy_window_from_min, world_policy(w, 1)->window_from_min = 1441)
SPOIL(policy_window_to_min, world_policy(w, 1)->window_to_min = 1441)
SPOIL(policy_intraday_cutoff_min, world_policy(w, 1)->intraday_cutoff_min = 1441)
SPOIL(policy_window, world_policy(w, 1)->window_from_min = 900;
      world_policy(w, 1)->window_to_min = 899)
SPOIL(policy_window_good, world_policy(w, 1)->window_from_min = 0;
      world_policy(w, 1)->window_to_min = 1440)
SPOIL(policy_master_window, world_policy(w, 1)->master_min_e8 = 2;
      world_policy(w, 1)->master_max_e8 = 1)
SPOIL(policy_master_open, world_policy(w, 1)->master_min_e8 = 2)
SPOIL(policy_scope, world_policy(w, 1)->trip_scope = 5)
SPOIL(policy_scope_good, world_policy(w, 1)->trip_scope = 4)
SPOIL(policy_reserved16, world_policy(w, 1)->reserved16 = 1)
SPOIL(policy_reserved8, world_policy(w, 1)->reserved8[1] = 1)
SPOIL(policy_reserved, world_policy(w, 1)->reserved[12] = 1)
SPOIL(tier_count, world_policy(w, 1)->tier_count = 9)
SPOIL(tier_mult_zero, world_policy(w, 1)->tiers[0].mult_e8 = 0)
SPOIL(tier_mult_large, world_policy(w, 1)->tiers[0].mult_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(tier_negative, world_policy(w, 1)->tiers[0].from_e8 = -1)
SPOIL(tier_end, world_policy(w, 1)->tiers[0].to_e8 = LS_E8)
SPOIL(tier_open, world_policy(w, 1)->tiers[0].to_e8 = 0)
SPOIL(tier_overlap, world_policy(w, 1)->tiers[1].from_e8 = 9 * LS_E8)
SPOIL(tier_gap_good, world_policy(w, 1)->tiers[1].from_e8 = 11 * LS_E8)
SPOIL(follower_policy, world_follower(w, 7)->policy = 3)
SPOIL(follower_map, world_follower(w, 7)->map = 2)
SPOIL(follower_policy_good, world_follower(w, 7)->policy = 2; world_follower(w, 7)->map = 1)
SPOIL(follower_pooled, world_follower(w, 7)->mode = IPC_MODE_POOLED_EQUAL)
SPOIL(mode_auto_risk_good, world_follower(w, 7)->mode = IPC_MODE_AUTO_RISK;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->basis = 1)
SPOIL(mode_auto_risk_basis, world_follower(w, 7)->mode = IPC_MODE_AUTO_RISK;
      world_follower(w, 7)->policy = 1)
SPOIL(mode_mql5_pct_good, world_follower(w, 7)->mode = IPC_MODE_MQL5_PCT;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->deposit_fraction_e8 = LS_E8)
SPOIL(mode_mql5_pct_deposit_fraction_e8, world_follower(w, 7)->mode = IPC_MODE_MQL5_PCT;
      world_follower(w, 7)->policy = 1)
SPOIL(mode_usage_ratio_good, world_follower(w, 7)->mode = IPC_MODE_USAGE_RATIO;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->invest_e8 = LS_E8)
SPOIL(mode_usage_ratio_invest_e8, world_follower(w, 7)->mode = IPC_MODE_USAGE_RATIO;
      world_follower(w, 7)->policy = 1)
SPOIL(mode_usage_ratio_discount_good, world_follower(w, 7)->mode = IPC_MODE_USAGE_RATIO_DISCOUNT;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->invest_e8 = LS_E8;
      world_policy(w, 0)->slippage_discount_e8 = LS_E8; world_policy(w, 0)->leverage_e8 = LS_E8)
SPOIL(
    mode_usage_ratio_discount_invest_e8, world_follower(w, 7)->mode = IPC_MODE_USAGE_RATIO_DISCOUNT;
    world_follower(w, 7)->policy = 1; world_policy(w, 0)->slippage_discount_e8 = LS_E8;
    world_policy(w, 0)->leverage_e8 = LS_E8)
SPOIL(mode_usage_ratio_discount_slippage_discount_e8,
      world_follower(w, 7)->mode = IPC_MODE_USAGE_RATIO_DISCOUNT;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->invest_e8 = LS_E8;
      world_policy(w, 0)->leverage_e8 = LS_E8)
SPOIL(mode_usage_ratio_discount_leverage_e8,
      world_follower(w, 7)->mode = IPC_MODE_USAGE_RATIO_DISCOUNT;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->invest_e8 = LS_E8;
      world_policy(w, 0)->slippage_discount_e8 = LS_E8)
SPOIL(mode_step_of_balance_good, world_follower(w, 7)->mode = IPC_MODE_STEP_OF_BALANCE;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->step_money_e8 = LS_E8;
      world_policy(w, 0)->step_qty_e8 = LS_E8)
SPOIL(mode_step_of_balance_step_money_e8, world_follower(w, 7)->mode = IPC_MODE_STEP_OF_BALANCE;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->step_qty_e8 = LS_E8)
SPOIL(mode_step_of_balance_step_qty_e8, world_follower(w, 7)->mode = IPC_MODE_STEP_OF_BALANCE;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->step_money_e8 = LS_E8)
SPOIL(mode_fixed_risk_good, world_follower(w, 7)->mode = IPC_MODE_FIXED_RISK;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->fraction_e8 = LS_E8)
SPOIL(mode_fixed_risk_fraction_e8, world_follower(w, 7)->mode = IPC_MODE_FIXED_RISK;
      world_follower(w, 7)->policy = 1)
SPOIL(mode_copy_ratio_frozen_good, world_follower(w, 7)->mode = IPC_MODE_COPY_RATIO_FROZEN;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->frozen_coefficient_e8 = LS_E8)
SPOIL(mode_copy_ratio_frozen_frozen_coefficient_e8,
      world_follower(w, 7)->mode = IPC_MODE_COPY_RATIO_FROZEN;
      world_follower(w, 7)->policy = 1)
SPOIL(mode_pct_balance_basis_good, world_follower(w, 7)->mode = IPC_MODE_PCT_BALANCE_BASIS;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->basis_money_e8 = LS_E8;
      world_policy(w, 0)->fraction_e8 = LS_E8)
SPOIL(
    mode_pct_balance_basis_basis_money_e8, world_follower(w, 7)->mode = IPC_MODE_PCT_BALANCE_BASIS;
    world_follower(w, 7)->policy = 1; world_policy(w, 0)->fraction_e8 = LS_E8)
SPOIL(mode_pct_balance_basis_fraction_e8, world_follower(w, 7)->mode = IPC_MODE_PCT_BALANCE_BASIS;
      world_follower(w, 7)->policy = 1; world_policy(w, 0)->basis_money_e8 = LS_E8)
SPOIL(
    mode_available_ratio_capped_good, world_follower(w, 7)->mode = IPC_MODE_AVAILABLE_RATIO_CAPPED;
    world_follower(w, 7)->policy = 1; world_policy(w, 0)->available_factor_e8 = LS_E8)
SPOIL(mode_available_ratio_capped_available_factor_e8,
      world_follower(w, 7)->mode = IPC_MODE_AVAILABLE_RATIO_CAPPED;
      world_follower(w, 7)->policy = 1)
SPOIL(mode_tiered_good, world_follower(w, 7)->mode = IPC_MODE_TIERED_MULTIPLIER;
      world_follower(w, 7)->policy = 2)
SPOIL(mode_tiered_none, world_follower(w, 7)->mode = IPC_MODE_TIERED_MULTIPLIER;
      world_follower(w, 7)->policy = 1)
SPOIL(mode_risk_no_policy, world_follower(w, 7)->mode = IPC_MODE_FIXED_RISK;
      world_follower(w, 7)->policy = 0)
SPOIL(mode_equity_no_policy, world_follower(w, 7)->mode = IPC_MODE_EQUITY_PROPORTIONAL;
      world_follower(w, 7)->policy = 0; world_follower(w, 7)->ratio_e8 = 0)
SPOIL(mode_target_ratio, world_follower(w, 7)->mode = IPC_MODE_SMART_TARGET;
      world_follower(w, 7)->ratio_e8 = 0)
SPOIL(map_run, world_map(w, 0)->count = 3)
SPOIL(map_first, world_map(w, 0)->first = UINT32_MAX)
SPOIL(map_from_zero, world_map_item(w, 0)->from = 0)
SPOIL(map_from_range, world_map_item(w, 1)->from = WORLD_INSTRUMENTS + 1)
SPOIL(map_to_zero, world_map_item(w, 1)->to = 0)
SPOIL(map_to_range, world_map_item(w, 1)->to = UINT32_MAX)
SPOIL(map_to_unused, world_instrument(w, 2)->instrument = 0)
SPOIL(map_factor, world_map_item(w, 1)->factor_e8 = -1)
SPOIL(map_factor_large, world_map_item(w, 1)->factor_e8 = IPC_RATIO_E8_MAX + 1)
SPOIL(map_equal, world_map_item(w, 1)->from = 1)
SPOIL(map_to_itself, world_map_item(w, 1)->to = 4)
SPOIL(contract_instrument_zero, world_contract(w, 1)->instrument = 0)
SPOIL(contract_instrument, world_contract(w, 1)->instrument = WORLD_INSTRUMENTS + 1)
SPOIL(contract_broker, world_contract(w, 1)->broker = 2)
SPOIL(contract_flags, world_contract(w, 1)->flags = 0x8000)
SPOIL(contract_lot_qty_e8, world_contract(w, 1)->lot_qty_e8 = 0)
SPOIL(contract_lot_qty_e8_negative, world_contract(w, 1)->lot_qty_e8 = -1)
SPOIL(contract_lot_qty_e8_large, world_contract(w, 1)->lot_qty_e8 = INT64_MAX)
SPOIL(contract_tick_e8, world_contract(w, 1)->tick_e8 = 0)
SPOIL(contract_tick_e8_negative, world_contract(w, 1)->tick_e8 = -1)
SPOIL(contract_tick_e8_large, world_contract(w, 1)->tick_e8 = INT64_MAX)
SPOIL(contract_freeze, world_contract(w, 1)->freeze_qty_e8 = 64 * LS_E8)
SPOIL(contract_freeze_none, world_contract(w, 1)->freeze_qty_e8 = 0)
SPOIL(contract_token, world_contract(w, 1)->token[0] = 'x')
SPOIL(contract_token_empty, world_contract(w, 1)->token[0] = 0)
SPOIL(contract_symbol, world_contract(w, 1)->symbol[0] = '\n')
SPOIL(contract_twice, world_contract(w, 1)->broker = 0)
SPOIL(contract_falls, world_contract(w, 1)->instrument = 3)
SPOIL(session_exchange, world_session(w, 1)->exchange = 10)
SPOIL(session_midnight, world_session(w, 1)->midnight_wall_ns = -1)
SPOIL(session_midnight_large, world_session(w, 1)->midnight_wall_ns = INT64_MAX)
SPOIL(session_open, world_session(w, 1)->open_wall_ns = world_session(w, 1)->midnight_wall_ns - 1)
SPOIL(session_close, world_session(w, 1)->close_wall_ns = world_session(w, 1)->open_wall_ns)
SPOIL(session_long, world_session(w, 1)->close_wall_ns += INT64_C(3) * 86400 * LS_NS_PER_S)
SPOIL(session_cutoff,
    world_session(w, 1)->intraday_cutoff_wall_ns = world_session(w, 1)->close_wall_ns + 1)
SPOIL(session_cutoff_early,
    world_session(w, 1)->intraday_cutoff_wall_ns = world_session(w, 1)->open_wall_ns - 1)
SPOIL(session_cutoff_none, world_session(w, 1)->intraday_cutoff_wall_ns = 0)
SPOIL(session_overlap, *world_session(w, 1) = *world_session(w, 0))
SPOIL(session_falls, world_session(w, 1)->exchange = IPC_EXCHANGE_NFO)
SPOIL(session_date, world_session(w, 1)->yyyymmdd = 20261301)
SPOIL(session_reserved, world_session(w, 1)->reserved[1] = 1)
SPOIL(follower_retired_listed_gone, world_follower(w, 7)->flags = IPC_FOLLOWER_RETIRED;
      world_account(w, 10)->roles = IPC_ROLE_MASTER)

static const struct spoil spoils[] = {
    {nothing, NULL, NULL},
    {no_cluster, "cluster, row 0", "no row"},
    {cluster_id_empty, "cluster, row 0", "cluster_id"},
    {cluster_id_open, "cluster, row 0", "cluster_id"},
    {cluster_id_tail, "cluster, row 0", "cluster_id"},
    {guard_negative, "cluster, row 0", "guard_fraction_e8"},
    {guard_large, "cluster, row 0", "guard_fraction_e8"},
    {no_shards, "cluster, row 0", "shard_count"},
    {many_shards, "cluster, row 0", "shard_count"},
    {cluster_reserved, "cluster, row 0", "reserved"},

    {broker_live, "brokers, row 1", "live"},
    {broker_name, "brokers, row 1", "name"},
    {broker_name_quote, "brokers, row 1", "name"},
    {broker_name_twice, "brokers, row 1", "earlier row"},
    {broker_dialect, "brokers, row 0", "dialect"},
    {broker_host, "brokers, row 0", "host"},
    {broker_host_space, "brokers, row 0", "host"},
    {broker_host_line, "brokers, row 0", "host"},
    {broker_authority, "brokers, row 0", "authority"},
    {broker_ca, "brokers, row 0", "ca_file"},
    {broker_path, "brokers, row 0", "base_path"},
    {broker_path_query, "brokers, row 0", "base_path"},
    {broker_path_good, NULL, NULL},
    {broker_port, "brokers, row 0", "port"},
    {broker_pool, "brokers, row 0", "pool_connections"},
    {broker_pool_good, NULL, NULL},
    {broker_alpn, "brokers, row 0", "alpn"},
    {broker_requests, "brokers, row 0", "requests_per_connection"},
    {broker_connects, "brokers, row 0", "connects_per_second"},
    {broker_reply, "brokers, row 0", "reply_timeout_ms"},
    {broker_ping, "brokers, row 0", "ping_interval_ms"},
    {broker_keepalive, "brokers, row 0", "keepalive_get_ms"},
    {broker_rate, "brokers, row 0", "order rate"},
    {broker_flags, "brokers, row 0", "flags"},
    {broker_fee_turnover, "brokers, row 0", "fee"},
    {broker_fee_order, "brokers, row 0", "fee"},
    {broker_fees_good, NULL, NULL},
    {broker_reserved, "brokers, row 0", "reserved"},

    {account_number, "accounts, row 3", "account"},
    {account_broker, "accounts, row 3", "broker"},
    {account_broker_dead, "accounts, row 1", "broker"},
    {account_shard, "accounts, row 3", "shard"},
    {account_no_roles, "accounts, row 3", "roles"},
    {account_roles, "accounts, row 3", "roles"},
    {account_lanes, "accounts, row 3", "lanes"},
    {account_lanes_none, "accounts, row 3", "lanes"},
    {account_flags, "accounts, row 3", "flags"},
    {account_family, "accounts, row 3", "source_family"},
    {account_address_long, "accounts, row 3", "source_address"},
    {account_address_any, "accounts, row 3", "wildcard"},
    {account_address_stray, "accounts, row 3", "source_address"},
    {account_address_good, NULL, NULL},
    {account_token, "accounts, row 3", "token_bytes"},
    {account_token_good, NULL, NULL},
    {account_login, "accounts, row 3", "login"},
    {account_login_byte, "accounts, row 3", "login"},
    {account_login_twice, "accounts, row 5", "earlier row"},
    {account_login_other_broker, NULL, NULL},
    {account_name, "accounts, row 3", "name"},
    {account_name_utf8, NULL, NULL},
    {account_poll, "accounts, row 3", "poll_interval_ms"},
    {account_open_orders, "accounts, row 3", "open_orders_max"},

    {instrument_number, "instruments, row 1", "instrument"},
    {instrument_exchange, "instruments, row 1", "exchange"},
    {instrument_kind, "instruments, row 1", "kind"},
    {instrument_right, "instruments, row 1", "right"},
    {instrument_no_right, "instruments, row 4", "right"},
    {instrument_flags, "instruments, row 1", "flags"},
    {instrument_lot, "instruments, row 1", "lot_qty_e8"},
    {instrument_lot_negative, "instruments, row 1", "lot_qty_e8"},
    {instrument_lot_large, "instruments, row 1", "lot_qty_e8"},
    {instrument_tick, "instruments, row 1", "tick_e8"},
    {instrument_tick_large, "instruments, row 1", "tick_e8"},
    {instrument_freeze, "instruments, row 3", "freeze_qty_e8"},
    {instrument_freeze_negative, "instruments, row 3", "freeze_qty_e8"},
    {instrument_strike, "instruments, row 4", "strike_e8"},
    {instrument_expiry, "instruments, row 4", "expiry_yyyymmdd"},
    {instrument_no_expiry, "instruments, row 4", "expiry_yyyymmdd"},
    {instrument_token, "instruments, row 1", "token"},
    {instrument_token_letter, "instruments, row 1", "token"},
    {instrument_token_open, "instruments, row 1", "token"},
    {instrument_token_twice, "instruments, row 1", "earlier row"},
    {instrument_token_gone, NULL, NULL},
    {instrument_token_other, NULL, NULL},
    {instrument_symbol, "instruments, row 1", "symbol"},
    {instrument_symbol_quote, "instruments, row 1", "symbol"},
    {instrument_underlying, "instruments, row 1", "underlying"},
    {instrument_gone, NULL, NULL},

    {follower_number, "followers, row 7", "follower_no"},
    {follower_number_good, NULL, NULL},
    {follower_twice, "followers, row 7", "earlier row"},
    {follower_account_zero, "followers, row 7", "account"},
    {follower_account, "followers, row 7", "account"},
    {follower_account_huge, "followers, row 7", "account"},
    {follower_account_unused, "followers, row 7", "account"},
    {follower_account_role, "followers, row 7", "account"},
    {follower_master_zero, "followers, row 7", "master"},
    {follower_master, "followers, row 7", "master"},
    {follower_master_role, "followers, row 1", "master"},
    {follower_itself, "followers, row 7", "same account"},
    {follower_broker, "followers, row 7", "broker"},
    {follower_broker_range, "followers, row 7", "broker"},
    {follower_shard, "followers, row 7", "shard"},
    {follower_shard_range, "followers, row 7", "shard"},
    {follower_mode, "followers, row 7", "mode"},
    {follower_mode_zero, "followers, row 7", "mode"},
    {follower_copy, "followers, row 7", "copy"},
    {follower_flags, "followers, row 7", "flags"},
    {follower_products, "followers, row 7", "products"},
    {follower_products_good, NULL, NULL},
    {follower_types, "followers, row 7", "types"},
    {follower_sides, "followers, row 7", "sides"},
    {follower_ratio, "followers, row 7", "ratio_e8"},
    {follower_ratio_negative, "followers, row 7", "ratio_e8"},
    {follower_ratio_large, "followers, row 7", "ratio_e8"},
    {follower_percent, "followers, row 7", "ratio_e8"},
    {follower_fixed, "followers, row 7", "fixed_qty_e8"},
    {follower_fixed_good, NULL, NULL},
    {follower_fixed_negative, "followers, row 7", "fixed_qty_e8"},
    {follower_max_qty, "followers, row 7", "max_qty_e8"},
    {follower_max_value, "followers, row 7", "max_order_value_e8"},
    {follower_max_position, "followers, row 7", "max_position_e8"},
    {follower_allowed, "followers, row 7", "allowed_list"},
    {follower_denied, "followers, row 7", "denied_list"},
    {follower_age, "followers, row 7", "age limit"},
    {follower_price_age, "followers, row 7", "age limit"},
    {follower_reserved, "followers, row 7", "reserved"},
    {follower_unused, "master slots, row 9", "not in use"},
    {follower_retired, NULL, NULL},
    {follower_retired_enabled, "followers, row 7", "retired"},
    {follower_retired_range, "followers, row 7", "account"},

    {master_account_zero, "masters, row 1", "account"},
    {master_account, "masters, row 1", "account"},
    {master_role, "masters, row 1", "account"},
    {master_shard, "masters, row 1", "shard"},
    {master_twice, "masters, row 1", "earlier row"},
    {master_first, "masters, row 1", "run"},
    {master_count, "masters, row 1", "run"},
    {master_count_more, "masters, row 1", "run"},
    {master_count_less, "followers, row 11", "no master's run"},
    {master_overlap, "master slots, row 6", "another master"},
    {slot_range, "master slots, row 9", "out of range"},
    {slot_huge, "master slots, row 9", "out of range"},
    {slot_twice, "master slots, row 9", "twice"},
    {slot_other_master, "master slots, row 9", "another master"},
    {unlisted_disabled, NULL, NULL},

    {list_first, "lists, row 1", "run"},
    {list_count, "lists, row 1", "run"},
    {item_zero, "list items, row 0", "not an instrument"},
    {item_range, "list items, row 2", "not an instrument"},
    {item_unused, "list items, row 1", "not an instrument"},
    {item_equal, "list items, row 1", "above"},
    {item_falls, "list items, row 1", "above"},

    {chain_line, NULL, NULL},
    {chain_loop, "followers, row", "loop"},
    {shards_good, NULL, NULL},
    {shards_run, "master slots, row 1", "another shard"},
    {source_shared, "accounts, row 4", "source address"},
    {source_other_broker, NULL, NULL},
    {source_limited, "accounts, row", "source address"},
    {source_limited_elsewhere, NULL, NULL},

    {policy_basis, "policies, row 1", "basis"},
    {policy_round, "policies, row 1", "basis"},
    {policy_on_fill, "policies, row 1", "basis"},
    {policy_drift, "policies, row 1", "basis"},
    {policy_basis_good, NULL, NULL},
    {policy_flags, "policies, row 1", "flags"},
    {policy_flags_good, NULL, NULL},
    {policy_mult_e8_negative, "policies, row 1", "factor"},
    {policy_mult_e8_large, "policies, row 1", "factor"},
    {policy_leverage_e8_negative, "policies, row 1", "factor"},
    {policy_leverage_e8_large, "policies, row 1", "factor"},
    {policy_frozen_coefficient_e8_negative, "policies, row 1", "factor"},
    {policy_frozen_coefficient_e8_large, "policies, row 1", "factor"},
    {policy_available_factor_e8_negative, "policies, row 1", "factor"},
    {policy_available_factor_e8_large, "policies, row 1", "factor"},
    {policy_fx_e8_negative, "policies, row 1", "factor"},
    {policy_fx_e8_large, "policies, row 1", "factor"},
    {policy_follower_leverage_e8_negative, "policies, row 1", "factor"},
    {policy_follower_leverage_e8_large, "policies, row 1", "factor"},
    {policy_master_leverage_e8_negative, "policies, row 1", "factor"},
    {policy_master_leverage_e8_large, "policies, row 1", "factor"},
    {policy_contract_factor_e8_negative, "policies, row 1", "factor"},
    {policy_contract_factor_e8_large, "policies, row 1", "factor"},
    {policy_deposit_fraction_e8_negative, "policies, row 1", "factor"},
    {policy_deposit_fraction_e8_large, "policies, row 1", "factor"},
    {policy_slippage_discount_e8_negative, "policies, row 1", "fraction"},
    {policy_slippage_discount_e8_large, "policies, row 1", "fraction"},
    {policy_slippage_discount_e8_one, NULL, NULL},
    {policy_slippage_cap_e8_negative, "policies, row 1", "fraction"},
    {policy_slippage_cap_e8_large, "policies, row 1", "fraction"},
    {policy_slippage_cap_e8_one, NULL, NULL},
    {policy_market_protection_e8_negative, "policies, row 1", "fraction"},
    {policy_market_protection_e8_large, "policies, row 1", "fraction"},
    {policy_market_protection_e8_one, NULL, NULL},
    {policy_max_trade_risk_e8_negative, "policies, row 1", "fraction"},
    {policy_max_trade_risk_e8_large, "policies, row 1", "fraction"},
    {policy_max_trade_risk_e8_one, NULL, NULL},
    {policy_daily_loss_fraction_e8_negative, "policies, row 1", "fraction"},
    {policy_daily_loss_fraction_e8_large, "policies, row 1", "fraction"},
    {policy_daily_loss_fraction_e8_one, NULL, NULL},
    {policy_drawdown_fraction_e8_negative, "policies, row 1", "fraction"},
    {policy_drawdown_fraction_e8_large, "policies, row 1", "fraction"},
    {policy_drawdown_fraction_e8_one, NULL, NULL},
    {policy_equity_stop_fraction_e8_negative, "policies, row 1", "fraction"},
    {policy_equity_stop_fraction_e8_large, "policies, row 1", "fraction"},
    {policy_equity_stop_fraction_e8_one, NULL, NULL},
    {policy_margin_use_max_e8_negative, "policies, row 1", "fraction"},
    {policy_margin_use_max_e8_large, "policies, row 1", "fraction"},
    {policy_margin_use_max_e8_one, NULL, NULL},
    {policy_fraction_e8_negative, "policies, row 1", "fraction"},
    {policy_fraction_e8_large, "policies, row 1", "fraction"},
    {policy_fraction_e8_one, NULL, NULL},
    {policy_step_qty_e8_negative, "policies, row 1", "quantity"},
    {policy_step_qty_e8_large, "policies, row 1", "quantity"},
    {policy_step_e8_negative, "policies, row 1", "quantity"},
    {policy_step_e8_large, "policies, row 1", "quantity"},
    {policy_refuse_below_e8_negative, "policies, row 1", "quantity"},
    {policy_refuse_below_e8_large, "policies, row 1", "quantity"},
    {policy_master_min_e8_negative, "policies, row 1", "quantity"},
    {policy_master_min_e8_large, "policies, row 1", "quantity"},
    {policy_master_max_e8_negative, "policies, row 1", "quantity"},
    {policy_master_max_e8_large, "policies, row 1", "quantity"},
    {policy_split_qty_e8_negative, "policies, row 1", "quantity"},
    {policy_split_qty_e8_large, "policies, row 1", "quantity"},
    {policy_system_max_e8_negative, "policies, row 1", "quantity"},
    {policy_system_max_e8_large, "policies, row 1", "quantity"},
    {policy_user_max_e8_negative, "policies, row 1", "quantity"},
    {policy_user_max_e8_large, "policies, row 1", "quantity"},
    {policy_invest_e8_negative, "policies, row 1", "amount"},
    {policy_invest_e8_large, "policies, row 1", "amount"},
    {policy_step_money_e8_negative, "policies, row 1", "amount"},
    {policy_step_money_e8_large, "policies, row 1", "amount"},
    {policy_basis_money_e8_negative, "policies, row 1", "amount"},
    {policy_basis_money_e8_large, "policies, row 1", "amount"},
    {policy_min_notional_e8_negative, "policies, row 1", "amount"},
    {policy_min_notional_e8_large, "policies, row 1", "amount"},
    {policy_day_notional_e8_negative, "policies, row 1", "amount"},
    {policy_day_notional_e8_large, "policies, row 1", "amount"},
    {policy_daily_loss_e8_negative, "policies, row 1", "amount"},
    {policy_daily_loss_e8_large, "policies, row 1", "amount"},
    {policy_drawdown_e8_negative, "policies, row 1", "amount"},
    {policy_drawdown_e8_large, "policies, row 1", "amount"},
    {policy_trailing_protect_e8_negative, "policies, row 1", "amount"},
    {policy_trailing_protect_e8_large, "policies, row 1", "amount"},
    {policy_equity_stop_e8_negative, "policies, row 1", "amount"},
    {policy_equity_stop_e8_large, "policies, row 1", "amount"},
    {policy_exposure_max_e8_negative, "policies, row 1", "amount"},
    {policy_exposure_max_e8_large, "policies, row 1", "amount"},
    {policy_slices_max, "policies, row 1", "count"},
    {policy_modifications_max, "policies, row 1", "count"},
    {policy_open_positions_max, "policies, row 1", "count"},
    {policy_trades_day_max, "policies, row 1", "count"},
    {policy_failures_max, "policies, row 1", "count"},
    {policy_circuit_hold_ms, "policies, row 1", "a day"},
    {policy_duplicate_window_ms, "policies, row 1", "a day"},
    {policy_window_from_min, "policies, row 1", "time of day"},
    {policy_window_to_min, "policies, row 1", "time of day"},
    {policy_intraday_cutoff_min, "policies, row 1", "time of day"},
    {policy_window, "policies, row 1", "copy window"},
    {policy_window_good, NULL, NULL},
    {policy_master_window, "policies, row 1", "master's quantity"},
    {policy_master_open, NULL, NULL},
    {policy_scope, "policies, row 1", "trip_scope"},
    {policy_scope_good, NULL, NULL},
    {policy_reserved16, "policies, row 1", "reserved"},
    {policy_reserved8, "policies, row 1", "reserved"},
    {policy_reserved, "policies, row 1", "reserved"},
    {tier_count, "policies, row 1", "tier_count"},
    {tier_mult_zero, "policies, row 1", "multiplier"},
    {tier_mult_large, "policies, row 1", "multiplier"},
    {tier_negative, "policies, row 1", "bounds"},
    {tier_end, "policies, row 1", "ends before"},
    {tier_open, "policies, row 1", "no end"},
    {tier_overlap, "policies, row 1", "overlap"},
    {tier_gap_good, NULL, NULL},
    {follower_policy, "followers, row 7", "policy or map"},
    {follower_map, "followers, row 7", "policy or map"},
    {follower_policy_good, NULL, NULL},
    {follower_pooled, "followers, row 7", "POOLED"},
    {mode_auto_risk_good, NULL, NULL},
    {mode_auto_risk_basis, "followers, row 7", "mode AUTO_RISK needs"},
    {mode_mql5_pct_good, NULL, NULL},
    {mode_mql5_pct_deposit_fraction_e8, "followers, row 7", "mode MQL5_PCT needs"},
    {mode_usage_ratio_good, NULL, NULL},
    {mode_usage_ratio_invest_e8, "followers, row 7", "mode USAGE_RATIO needs"},
    {mode_usage_ratio_discount_good, NULL, NULL},
    {mode_usage_ratio_discount_invest_e8, "followers, row 7", "mode USAGE_RATIO_DISCOUNT needs"},
    {mode_usage_ratio_discount_slippage_discount_e8, "followers, row 7",
        "mode USAGE_RATIO_DISCOUNT needs"},
    {mode_usage_ratio_discount_leverage_e8, "followers, row 7", "mode USAGE_RATIO_DISCOUNT needs"},
    {mode_step_of_balance_good, NULL, NULL},
    {mode_step_of_balance_step_money_e8, "followers, row 7", "mode STEP_OF_BALANCE needs"},
    {mode_step_of_balance_step_qty_e8, "followers, row 7", "mode STEP_OF_BALANCE needs"},
    {mode_fixed_risk_good, NULL, NULL},
    {mode_fixed_risk_fraction_e8, "followers, row 7", "mode FIXED_RISK needs"},
    {mode_copy_ratio_frozen_good, NULL, NULL},
    {mode_copy_ratio_frozen_frozen_coefficient_e8, "followers, row 7",
        "mode COPY_RATIO_FROZEN needs"},
    {mode_pct_balance_basis_good, NULL, NULL},
    {mode_pct_balance_basis_basis_money_e8, "followers, row 7", "mode PCT_BALANCE_BASIS needs"},
    {mode_pct_balance_basis_fraction_e8, "followers, row 7", "mode PCT_BALANCE_BASIS needs"},
    {mode_available_ratio_capped_good, NULL, NULL},
    {mode_available_ratio_capped_available_factor_e8, "followers, row 7",
        "mode AVAILABLE_RATIO_CAPPED needs"},
    {mode_tiered_good, NULL, NULL},
    {mode_tiered_none, "followers, row 7", "needs tiers"},
    {mode_risk_no_policy, "followers, row 7", "mode FIXED_RISK needs"},
    {mode_equity_no_policy, NULL, NULL},
    {mode_target_ratio, "followers, row 7", "ratio_e8"},
    {map_run, "symbol maps, row 0", "run"},
    {map_first, "symbol maps, row 0", "run"},
    {map_from_zero, "symbol map items, row 0", "not an instrument"},
    {map_from_range, "symbol map items, row 1", "not an instrument"},
    {map_to_zero, "symbol map items, row 1", "not an instrument"},
    {map_to_range, "symbol map items, row 1", "not an instrument"},
    {map_to_unused, "symbol map items, row 0", "not an instrument"},
    {map_factor, "symbol map items, row 1", "factor_e8"},
    {map_factor_large, "symbol map items, row 1", "factor_e8"},
    {map_equal, "symbol map items, row 1", "not above"},
    {map_to_itself, NULL, NULL},
    {contract_instrument_zero, "contracts, row 1", "instrument in use"},
    {contract_instrument, "contracts, row 1", "instrument in use"},
    {contract_broker, "contracts, row 1", "broker"},
    {contract_flags, "contracts, row 1", "flags"},
    {contract_lot_qty_e8, "contracts, row 1", "lot_qty_e8 or tick_e8"},
    {contract_lot_qty_e8_negative, "contracts, row 1", "lot_qty_e8 or tick_e8"},
    {contract_lot_qty_e8_large, "contracts, row 1", "lot_qty_e8 or tick_e8"},
    {contract_tick_e8, "contracts, row 1", "lot_qty_e8 or tick_e8"},
    {contract_tick_e8_negative, "contracts, row 1", "lot_qty_e8 or tick_e8"},
    {contract_tick_e8_large, "contracts, row 1", "lot_qty_e8 or tick_e8"},
    {contract_freeze, "contracts, row 1", "freeze"},
    {contract_freeze_none, NULL, NULL},
    {contract_token, "contracts, row 1", "token"},
    {contract_token_empty, "contracts, row 1", "token"},
    {contract_symbol, "contracts, row 1", "symbol"},
    {contract_twice, "contracts, row 1", "ascend"},
    {contract_falls, "contracts, row 1", "ascend"},
    {session_exchange, "sessions, row 1", "exchange"},
    {session_midnight, "sessions, row 1", "midnight"},
    {session_midnight_large, "sessions, row 1", "midnight"},
    {session_open, "sessions, row 1", "midnight"},
    {session_close, "sessions, row 1", "midnight"},
    {session_long, "sessions, row 1", "midnight"},
    {session_cutoff, "sessions, row 1", "cutoff"},
    {session_cutoff_early, "sessions, row 1", "cutoff"},
    {session_cutoff_none, NULL, NULL},
    {session_overlap, "sessions, row 1", "ascend"},
    {session_falls, "sessions, row 2", "ascend"},
    {session_date, "sessions, row 1", "date"},
    {session_reserved, "sessions, row 1", "reserved"},
    {follower_retired_listed_gone, "master slots, row", "accounts are gone"},
};

static void test_table(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, FOLLOWERS, FOLLOWERS, 64);
    for (size_t i = 0; i < LS_COUNT_OF(spoils); i++) {
        struct ipc_error error = {{0}};
        world_fill(&world, FOLLOWERS);
        spoils[i].change(&world);
        enum ipc_rc rc = world_validate(&world, &error);
        bool as_expected = spoils[i].place
                               ? rc == IPC_BAD_INPUT && strstr(error.text, spoils[i].place) &&
                                     strstr(error.text, spoils[i].problem)
                               : rc == IPC_OK;
        if (!as_expected)
            fail_msg("row %zu (%s: %s): %d %s", i, spoils[i].place ? spoils[i].place : "good",
                spoils[i].problem ? spoils[i].problem : "", (int)rc, error.text);
    }
    world_free(&world);
}

/* Whatever bits are flipped: an answer, and never a read outside (the sanitizers look). A snapshot
 * that passes has only slots in range. */
static void test_random_damage(void **state)
{
    (void)state;
    struct world world;
    struct ipc_prng prng;
    const uint64_t seed = 20;
    uint64_t passed = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    ipc_prng_seed(&prng, seed);
    world_make(&world, FOLLOWERS, FOLLOWERS, 64);
    for (uint32_t round = 0; round < 20000; round++) {
        world_fill(&world, FOLLOWERS);
        for (uint64_t flips = 1 + ipc_prng_below(&prng, 3); flips > 0; flips--) {
            enum ipc_table table = (enum ipc_table)ipc_prng_below(&prng, IPC_TABLE_COUNT);
            uint64_t bytes = (uint64_t)world.image.shape.rows[table] *
                             ipc_table_row_bytes(table, world.image.shape.token_row_bytes);
            ((uint8_t *)world.image.rows[table])[ipc_prng_below(&prng, bytes)] ^=
                (uint8_t)(1u << ipc_prng_below(&prng, 8));
        }
        if (world_validate(&world, NULL) != IPC_OK)
            continue;
        passed++;
        for (uint32_t i = 0; i < WORLD_MASTERS; i++) {
            for (uint32_t j = 0; j < world_master(&world, i)->count; j++)
                assert_true(*world_slot(&world, world_master(&world, i)->first + j) < FOLLOWERS);
        }
    }
    assert_in_range(
        passed, 1000, 19000); /* tokens, names and ratios may change; the rest may not */
    world_free(&world);
}

/* An empty instance is a valid snapshot. */
static void test_empty_is_valid(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 0, 1, 0);
    assert_int_equal(world_validate(&world, NULL), IPC_OK);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_empty_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
