"""Breakers over real processes: a broker that refuses what is too large, a death of the engine, a named person.

    breaker_test.py --bin DIR

The verdict is the simulated broker's own count of what it was asked: with a breaker open no opening reaches it, before
and after a SIGKILL; exits do; and `lockstepctl breaker reset --by NAME` is what lets openings go again.
"""
import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import World, wait_for  # noqa: E402

SYMBOL, OTHER = "RELIANCE-EQ", "SBIN-EQ"
STREAK = 3


def expect(is_so, what):
    if not is_so:
        raise AssertionError(what)


def breakers(world):
    return [json.loads(line) for line in world.ctl("--json", "breaker", "list").stdout.splitlines()]


def buy(world, symbol=SYMBOL, kind="LIMIT", side="BUY", quantity=10):
    price = {row["symbol"]: row["price"] for row in world.price_rows()}[symbol]
    limit = round(price * (0.95 if side == "BUY" else 1.05)) if kind == "LIMIT" else None
    return world.terminal("M0001", symbol, side, quantity, kind, limit)


def decided(world):
    """What became of all copies so far: state -> count, by the engine."""
    states = {}
    for wave in world.orders():
        for copy in wave["copies"]:
            states[copy["state"]] = states.get(copy["state"], 0) + 1
    return states


def refused(world):
    states = decided(world)
    return states.get("REJECTED", 0) + states.get("EXCH_REJECTED", 0)


def barred(world):
    return sum(copy.get("reason") == "BREAKER" for wave in world.orders() for copy in wave["copies"])


def asked(world):
    return len(world.book())


def play(world):
    prices = {row["symbol"]: row["price"] for row in world.price_rows()}
    for symbol in (SYMBOL, OTHER):   # fresh ones for the two market orders, also on a slow day
        world.ctl("price", "set", "sim", symbol, str(prices[symbol]), check=False)
    wait_for("prices", lambda: all(symbol in world.ctl("price", "show", "sim").stdout for symbol in (SYMBOL, OTHER)))
    for symbol in (SYMBOL, OTHER):
        buy(world, symbol, "MARKET")
    wait_for("the first positions", lambda: decided(world).get("FILLED", 0) == 4)
    expect(breakers(world) == [], breakers(world))

    for count in range(1, STREAK + 1):   # far above what the accounts can pay
        buy(world, quantity=40000)
        wait_for("a refusal of each", lambda: refused(world) == 2 * count)
    wait_for("two breakers", lambda: len(breakers(world)) == 2)
    for row in breakers(world):
        expect((row["breaker"], row["scope"], row["value"]) == ("reject-streak", "account", STREAK), row)

    before = asked(world)
    buy(world)
    wait_for("a skip of each", lambda: barred(world) == 2)
    world.processes["engine"].kill(signal.SIGKILL)
    world.processes["engine"].reap()
    world.start_engine(name="engine2")
    expect(len(breakers(world)) == 2, "a restart has lost a breaker")
    buy(world)
    wait_for("a skip of each after the restart", lambda: barred(world) == 4)
    expect(asked(world) == before, "an opening reached the broker past an open breaker")

    buy(world, OTHER, "MARKET", "SELL")
    wait_for("the exits", lambda: decided(world).get("FILLED", 0) == 6)

    for word in (["reset", "--account", "F0001"], ["reset", "--account", "F0001", "--by", ""],
                 ["reset", "--account", "F0001", "--by", "an na"], ["reset", "--by", "anna"]):
        expect(world.ctl("breaker", *word, check=False).returncode != 0, word)
    world.ctl("breaker", "reset", "--account", "F0001", "--by", "anna")
    expect([row["name"] for row in breakers(world)] == ["F0002"], breakers(world))
    working = asked(world)
    buy(world)
    wait_for("one order", lambda: asked(world) == working + 1)
    facts = world.ctl("journal", "export").stdout.splitlines()
    resets = [row for row in map(json.loads, facts) if row["fact"] == "guard" and row["act"] == "reset"]
    expect([(row["by"], row["scope"]) for row in resets] == [("anna", "account")], resets)
    time.sleep(0.1)
    expect(asked(world) == working + 1, "the other account's breaker did not hold")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="lockstep-breaker-")
    world = World(options.bin, directory, lanes="shared", io="epoll")
    world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
    world.broker_options = {"pacing": False, "connects_per_second": 500, "pool_connections": 2}
    world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256, "children": 16384,
                                       "master_orders": 1024},
                            "controls": {"reject_streak": STREAK}}
    try:
        world.make_market([("NSE", SYMBOL), ("NSE", OTHER)])
        world.add_account("M0001", ["master"], funds="9000000000")
        for number in (1, 2):
            world.add_account(f"F{number:04}", ["follower"], funds="1000000")
            world.follow(f"F{number:04}", "M0001", ratio="1")
        world.start_sim()
        world.publish()
        world.start_engine()
        world.start_ingest(interval_ms=50)
        world.keep_prices()
        play(world)
        print("breakers held through a death, exits passed, a named person reset one of them")
    finally:
        world.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
