"""SIGKILL of engine and ingest at random moments of a demo-like load: the broker's book never shows a tag twice.

    kill_test.py --bin DIR [--kills 200] [--seed N] [--followers 20]

The verdict comes from the simulated broker: every order it ever received, with its tag. Prints the seed first; the
moments of the kills follow from it, the interleaving with the kernel does not.
"""
import argparse
import os
import random
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, WorldError, wait_for  # noqa: E402

SHARES = ["RELIANCE", "SBIN", "INFY", "ITC", "TCS", "WIPRO", "HDFCBANK", "ICICIBANK", "LT", "ACC", "AXISBANK",
          "TATASTEEL", "SUNPHARMA", "MARUTI", "KOTAKBANK", "BHARTIARTL", "HINDUNILVR", "BAJFINANCE", "IDEA", "YESBANK"]


class Load(threading.Thread):
    """A person at the master's terminal who never rests: buys, amends, cancels, sells."""

    def __init__(self, world, seed):
        super().__init__(daemon=True)
        self.world, self.random, self.halt = world, random.Random(seed), threading.Event()
        self.placed = self.failed = 0

    def run(self):
        prices = {row["symbol"]: row["price"] for row in self.world.price_rows()}
        working = []
        while not self.halt.wait(self.random.uniform(0.01, 0.06)):
            act, instrument = self.random.random(), self.random.choice(self.world.instruments)
            symbol = instrument["symbol"]
            try:
                if act < 0.5 or not working:
                    side = self.random.choice(("BUY", "BUY", "SELL"))
                    price = round(prices[symbol] * (0.95 if side == "BUY" else 1.05)) or 1
                    working.append((self.world.terminal("M0001", symbol, side, 10 * self.random.randint(1, 9),
                                                        "LIMIT", price), price))
                elif act < 0.7:
                    self.world.terminal("M0001", symbol, self.random.choice(("BUY", "SELL")), 20, "MARKET")
                elif act < 0.85:
                    order, price = self.random.choice(working)
                    self.world.admin("POST", "/sim/terminal/modify", {
                        "account": "M0001", "broker_order_id": order, "quantity": 10 * self.random.randint(1, 9),
                        "price": str(price)})
                else:
                    order, _ = working.pop(self.random.randrange(len(working)))
                    self.world.admin("POST", "/sim/terminal/cancel", {"account": "M0001", "broker_order_id": order})
                self.placed += 1
            except (WorldError, OSError):
                self.failed += 1  # the broker refuses some: an amendment of a filled order


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--followers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--lanes", default="own")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.kills} kills, {options.followers} followers", flush=True)
    dice = random.Random(options.seed)
    world = World(options.bin, tempfile.mkdtemp(prefix="lockstep-kill-"), lanes=options.lanes)
    world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}, "latency": {"min_us": 200,
                                                                                              "mean_us": 2000}}
    world.engine_options = {
        "limits": {"follower_slots": 256, "accounts": 256, "master_orders": 16384, "children": 131072,
                   "positions": 8192, "waves": 256, "connections": 256},
        "journal": {"directory": world.path("journal"), "segment_kib": 8192, "segments": 4}}
    world.broker_options = {"pacing": False}
    kills = {"engine": 0, "ingest": 0}
    try:
        world.make_market([("NSE", f"{share}-EQ") for share in SHARES])
        world.add_account("M0001", ["master"], funds="10000000000")
        for number in range(1, options.followers + 1):
            world.add_account(f"F{number:04}", ["follower"], funds="10000000000",
                              address=f"127.20.0.{number}" if options.lanes == "own" else None)
            world.follow(f"F{number:04}", "M0001", ratio=dice.choice(("1", "0.5", "0.1", "2")))
        world.start_sim()
        world.publish()
        world.keep_prices(1.0)
        world.start_engine()
        world.start_ingest(interval_ms=50, follower_ms=500)
        load = Load(world, options.seed)
        load.start()
        started = time.monotonic()
        while sum(kills.values()) < options.kills:
            victim = "engine" if dice.random() < 0.75 else "ingest"
            # Mostly in the middle of work; sometimes right after the start, in the middle of recovery.
            time.sleep(dice.uniform(0.0, 0.25) if dice.random() < 0.3 else dice.uniform(0.35, 1.0))
            process = world.processes[victim]
            if not process.alive():
                raise WorldError(f"{victim} ended by itself with {process.child.returncode}: {process.tail()} "
                                 f"(log: {process.log})")
            process.kill()
            process.reap()
            kills[victim] += 1
            if victim == "engine":
                world.start_engine(wait=False)
            else:
                world.start_ingest(interval_ms=50, follower_ms=500, wait=False)
            if sum(kills.values()) % 25 == 0:
                print(f"{sum(kills.values())} kills in {time.monotonic() - started:.0f} s, "
                      f"{load.placed} acts of the master, {len(world.book())} orders at the broker", flush=True)
        wait_for("the engine's calm", lambda: world.metrics().get("lockstep_engine_connections_ready", 0) > 0, 60)
        load.halt.set()
        load.join(10)
        time.sleep(2)
        metrics = world.metrics()
        book = world.book()
        tags = {}
        for row in book:
            tags.setdefault(row["tag"], []).append(row)
        twice = {tag: rows for tag, rows in tags.items() if len(rows) > 1 or len(tag) != 19}
        print(f"{kills['engine']} kills of the engine, {kills['ingest']} of ingest in "
              f"{time.monotonic() - started:.0f} s; {load.placed} acts of the master, {len(book)} orders at the "
              f"broker, {len(tags)} tags, {metrics.get('lockstep_engine_unknown_orders', 0):.0f} with an unknown "
              f"outcome, conservation gap {metrics.get('lockstep_engine_conservation_gap', 0):.0f}")
        if len(book) < options.kills * 5:
            raise WorldError(f"the load was too small to mean anything: {len(book)} orders")
        if metrics.get("lockstep_engine_conservation_gap", 0) != 0:
            raise WorldError("events x followers is not the sum of terminal and open")
        if twice:
            for tag, rows in list(twice.items())[:5]:
                print(f"tag {tag!r}: {[(r['account'], r['broker_order_id'], r['arrival_mono_ns']) for r in rows]}")
            raise WorldError(f"{len(twice)} tags stand in the book more than once (seed {options.seed})")
        print("no tag stands in the book twice")
        return 0
    except WorldError as error:
        print(f"FAIL: {error}\nseed {options.seed}; logs are in {world.directory}", file=sys.stderr)
        return 1
    finally:
        world.stop()


if __name__ == "__main__":
    sys.exit(main())
