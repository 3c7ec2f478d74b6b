"""Restart after SIGKILL with many followers in one shared pool: how long until the first order of an unaffected follower.

    restart_test.py --bin DIR [--followers 10000] [--restarts 3] [--limit-s 1.0] [--json]

The engine is killed in the middle of a master's wave and started again, while an event of another master lies in the ring,
whose followers have nothing in doubt. The figure is the time from the start of the new process to the arrival of the first
copy of that event at the broker, by the broker's clock. Nothing may be at the broker twice, and every decision must add up (`journal verify`) and be made again from its samples (`--verify-journal`).
"""
import argparse
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from scene import SYMBOLS, Scene, WorldError, wait_for  # noqa: E402


def arrivals(world, symbol, after_ns):
    """When the broker's orders of one share arrived, those that came later."""
    return [row["arrival_mono_ns"] for row in world.book()
            if row["symbol"] == symbol and row["arrival_mono_ns"] > after_ns]


def no_order_twice(world):
    tags = {}
    for row in world.book():
        tags[row["tag"]] = tags.get(row["tag"], 0) + 1
    twice = [tag for tag, count in tags.items() if count > 1]
    if twice:
        raise WorldError(f"{len(twice)} tags are at the broker more than once: {twice[:3]}")
    return len(tags)


def other_master_says(scene, symbol):
    """An order of the master whose followers have nothing in doubt."""
    scene.number += 1
    scene.feed.stdin.write(json.dumps({
        "account": "M0002", "broker_order_id": f"U{scene.number:06}", "exchange": "NSE", "symbol": symbol, "side": "BUY",
        "type": "LIMIT", "product": "MIS", "qty": "10", "price": str(round(scene.prices[symbol] * 0.9)),
        "status": "OPEN", "filled_qty": "0"}) + "\n")
    scene.feed.stdin.flush()


def restart(scene, number, options):
    """Kills the engine in the middle of a wave and starts it again. Returns seconds to the first order."""
    world = scene.world
    engine = world.processes["engine"]
    before = len(world.book())
    cut_symbol, waiting_symbol = SYMBOLS[2 * number], SYMBOLS[2 * number + 1]
    scene.say(symbol=cut_symbol)
    wait_for("the wave's beginning", lambda: len(world.book()) > before, 10, 0.001)
    engine.kill()
    engine.reap()
    cut = len(world.book()) - before
    other_master_says(scene, waiting_symbol)  # it lies in the ring while nobody is there
    started_ns = time.monotonic_ns()
    world.start_engine(wait=False)
    time.sleep(0.5)  # the book is long: reading it takes the processor from the engine
    wait_for("the first order after the restart", lambda: arrivals(world, waiting_symbol, started_ns), 20, 0.2)
    first_ns = min(arrivals(world, waiting_symbol, started_ns))
    return {"cut": cut, "first_s": (first_ns - started_ns) / 1e9}


def measure(options):
    """A world of options.followers; one row for each restart. Returns (rows, orders at the broker)."""
    rows = []
    followers = options.followers
    scene = Scene(options.bin, "restart", followers=followers, symbols=2 * options.restarts,
                  broker={"pool_connections": 8},
                  limits={"children": 1 << max(16, (followers * 12).bit_length()), "positions": 1 << max(
                      12, (followers * 5).bit_length()), "connections": 64})
    try:
        scene.world.add_account("M0002", ["master"])
        for follower in scene.world.followers[followers // 2:]:
            follower["master"] = "M0002"
        scene.world.start_sim()
        scene.begin()
        for number in range(options.restarts):
            rows.append(restart(scene, number, options))
            scene.world.wait_engine(scene.world.processes["engine"])
            print(f"restart {number + 1}: killed after {rows[-1]['cut']} of {followers // 2}; first order after "
                  f"{rows[-1]['first_s'] * 1000:.0f} ms", flush=True)
        time.sleep(1.0)
        orders = no_order_twice(scene.world)
        print(scene.world.ctl("journal", "verify").stdout.strip())
        verified = scene.world.run("lockstep-engine", "--config", scene.world.path("engine.yaml"), "--shard", "0",
                                   "--verify-journal", check=False, timeout=120)
        print(verified.stdout.strip())
        if verified.returncode != 0:
            raise WorldError(f"--verify-journal: {verified.stderr or verified.stdout}")
        scene.close(True)
        return rows, orders
    except BaseException:
        print(scene.log()[-3000:])
        scene.close(False)
        raise


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--followers", type=int, default=10000)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--limit-s", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows, orders = measure(options)
    first_s = sorted(row["first_s"] for row in rows)
    median = statistics.median(first_s)
    if options.json:
        print(json.dumps({"followers": options.followers, "first_order_s": [row["first_s"] for row in rows],
                          "orders": orders}))
    print(f"restart with {options.followers} followers: first order after {median:.3f} s, the median of "
          f"{', '.join(f'{seconds:.3f}' for seconds in first_s)} s; {orders} orders, none twice")
    if median > options.limit_s:
        print(f"the median is above {options.limit_s} s: see which part of the restart took it in the engine's log")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
