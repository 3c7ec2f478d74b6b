"""A ring that is full: the engine stands still while the master trades, and its ring and what ingest holds back overflow.

    ring_test.py --bin DIR

Ingest goes on reading, blocks nowhere, says that it has a gap and counts what it could not hand over. When the engine wakes the
master's whole book follows: each order is known for each follower, fresh ones are placed once, old ones are said to be too old.
"""
import argparse
import os
import re
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scene import SYMBOLS, World, WorldError, wait_for  # noqa: E402

FOLLOWERS, ORDERS, AGE_S = 4, 40, 3.0
AMENDMENTS = 3  # of each, so that there are more events than the ring and what is held back can take


def ingest_says(world, name):
    text = world.ctl("metrics", check=False).stdout
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.M))


def play(world):
    prices = {row["symbol"]: row["price"] for row in world.price_rows()}
    engine = world.processes["engine"]
    engine.kill(signal.SIGSTOP)
    said = {}
    for number in range(ORDERS):
        symbol = SYMBOLS[number % 20]
        order = world.terminal("M0001", symbol, "BUY", 10, "LIMIT", round(prices[symbol] * 0.9))
        said[order] = time.monotonic()
        for change in range(AMENDMENTS):
            time.sleep(0.06)
            world.admin("POST", "/sim/terminal/modify", {"account": "M0001", "broker_order_id": order,
                                                         "quantity": 11 + change})
    with open(world.path("ingest.log")) as file:
        log = file.read()
    gaps = len(re.findall(r"(?i)(ring .*full|gap|overflow)", log))
    world.processes["ingest"].check()
    engine.kill(signal.SIGCONT)
    woken = time.monotonic()

    def known():
        waves = {wave["order"]: wave for wave in world.orders() if wave["transition"].upper() == "NEW"}
        return waves if all(order in waves and len(waves[order]["copies"]) == FOLLOWERS for order in said) else None
    waves = wait_for("every order of the master in the journal, for everybody", known, 30, 0.2)
    known_s = time.monotonic() - woken
    time.sleep(1)
    book = world.book()
    tags = [row["tag"] for row in book]
    if len(tags) != len(set(tags)):
        raise WorldError("a tag is twice in the book")
    arrivals = {row["tag"]: row["arrival_mono_ns"] / 1e9 for row in book}
    fresh = stale = 0
    for order, at in said.items():
        for copy in waves[order]["copies"]:
            if copy["tag"] in arrivals:
                fresh += 1
                if arrivals[copy["tag"]] - at > AGE_S + 0.5:
                    raise WorldError(f"{copy['tag']} arrived {arrivals[copy['tag']] - at:.1f} s after the master's order")
            elif copy["reason"] == "STALE_EVENT":
                stale += 1
            else:
                raise WorldError(f"{copy['tag']} is not in the book and {copy['state']} {copy['reason']}")
    served, end = False, time.monotonic() + 40
    for number in range(50, 90):
        world.terminal("M0001", SYMBOLS[number % 20], "BUY", number, "LIMIT", round(prices[SYMBOLS[number % 20]] * 0.9))
        for _ in range(20):
            time.sleep(0.1)
            served = sum(row["quantity"] == number for row in world.book()) == FOLLOWERS
            if served:
                break
        if served or time.monotonic() > end:
            break
    if not served:
        raise WorldError("new orders are not copied any more")
    if gaps == 0 or stale == 0:
        raise WorldError(f"{gaps} lines about a full ring, {stale} stale and {fresh} fresh copies: the test shows nothing")
    if world.metrics()["lockstep_engine_conservation_gap"]:
        raise WorldError("conservation gap")
    print(f"{ORDERS} orders and their {AMENDMENTS * ORDERS} amendments for a ring of {world.ingest_options['ring_slots']} slots and {world.ingest_options['held_events']} events held: "
          f"{gaps} lines about it, the whole book {known_s:.1f} s after the wake; {fresh} copies placed, {stale} too old, 0 lost")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    options = parser.parse_args()
    world = World(options.bin, tempfile.mkdtemp(prefix="lockstep-ring-"), lanes="shared", io="epoll")
    world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
    world.broker_options = {"pacing": False, "connects_per_second": 500, "pool_connections": 2}
    world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256, "children": 16384,
                                       "master_orders": 1024}}
    world.ingest_options = {"ring_slots": 128, "held_events": 32}
    try:
        world.make_market([("NSE", symbol) for symbol in SYMBOLS])
        world.add_account("M0001", ["master"], funds="10000000000")
        for number in range(1, FOLLOWERS + 1):
            world.add_account(f"F{number:04}", ["follower"], funds="10000000000")
            world.follow(f"F{number:04}", "M0001", ratio="1", max_age_limit_ms=int(1000 * AGE_S))
        world.start_sim()
        world.publish()
        world.start_engine()
        world.start_ingest(interval_ms=50)
        play(world)
        print("ok")
        return 0
    except WorldError as error:
        print(f"FAIL: {error}; logs are in {world.directory}", file=sys.stderr)
        return 1
    finally:
        if "engine" in world.processes:
            world.processes["engine"].kill(signal.SIGCONT)
        world.stop()


if __name__ == "__main__":
    sys.exit(main())
