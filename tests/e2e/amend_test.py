"""Amendments faster than the broker's clock: its book has whole seconds, and the last terms must win all the same.

    amend_test.py --bin DIR

The master amends one order up and down several times within a second; the verdict is the terms that each follower's
order has in the simulated broker's book at the end, and the number of calls that it took.
"""
import argparse
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, WorldError, wait_for  # noqa: E402

RATIOS = ["1", "0.5", "2", "0.1"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    world = World(parser.parse_args().bin, tempfile.mkdtemp(prefix="lockstep-amend-"), lanes="shared")
    world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
    world.broker_options = {"pacing": False}
    try:
        world.make_market([("NSE", "RELIANCE-EQ")])
        world.add_account("M0001", ["master"])
        for number, ratio in enumerate(RATIOS, start=1):
            world.add_account(f"F{number:04}", ["follower"])
            world.follow(f"F{number:04}", "M0001", ratio=ratio)
        world.start_sim()
        world.publish()
        world.start_engine()
        world.start_ingest(interval_ms=30)
        for round_number in range(4):
            time.sleep(1.05 - time.time() % 1)  # just after a full second
            order = world.terminal("M0001", "RELIANCE-EQ", "BUY", 100, "LIMIT", 1300)
            quantities = [140, 120, 60, 90, 20 + 10 * round_number]
            for quantity in quantities:
                time.sleep(0.12)
                world.admin("POST", "/sim/terminal/modify", {"account": "M0001", "broker_order_id": order,
                                                             "quantity": quantity, "price": str(1300 - quantity / 10)})
            want = {f"F{n:04}": int(float(r) * quantities[-1]) for n, r in enumerate(RATIOS, start=1)}

            def settled():
                rows = {r["account"]: r for r in world.book() if r["status"] == "OPEN"}
                return rows and all(account in rows and rows[account]["quantity"] == quantity and
                                    rows[account]["price"] == 1300 - quantities[-1] / 10
                                    for account, quantity in want.items()) and rows
            rows = wait_for(f"the last of {len(quantities)} amendments at every follower", settled, 6)
            calls = sum(row["modifies"] for row in rows.values())
            if calls > len(quantities) * len(RATIOS):
                raise WorldError(f"{calls} modifications for {len(quantities)} amendments of {len(RATIOS)} followers")
            world.admin("POST", "/sim/terminal/cancel", {"account": "M0001", "broker_order_id": order})
            wait_for("the cancels", lambda: all(r["status"] != "OPEN" for r in world.book()), 6)
            print(f"round {round_number}: {len(quantities)} amendments within a second, {calls} calls, last terms won",
                  flush=True)
        return 0
    except WorldError as error:
        print(f"FAIL: {error}; {[(r['account'], r['quantity'], r['price'], r['status']) for r in world.book()]}; "
              f"logs are in {world.directory}", file=sys.stderr)
        return 1
    finally:
        world.stop()


if __name__ == "__main__":
    sys.exit(main())
