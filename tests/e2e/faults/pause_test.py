"""SIGSTOP of the engine for ten seconds while the master trades: what is old stays away, what was closed is closed, no burst.

    pause_test.py --bin DIR [--seconds 10] [--followers 8]

The verdict is the simulated broker's book: when each order arrived, and what each follower holds.
"""
import argparse
import os
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scene import SYMBOLS, World, WorldError, wait_for  # noqa: E402

AGE_S = {"MARKET": 2.0, "LIMIT": 5.0}
CLOSED, KEPT, ENTERED = SYMBOLS[0:3], SYMBOLS[3:5], SYMBOLS[5:12]
SLACK_S = 0.5  # the poll of the master's book and a busy machine


def held(world, followers):
    """login, symbol -> what the broker says that each follower holds."""
    found = {}
    for row in world.book():
        if row["filled"]:
            key = row["account"], row["symbol"]
            found[key] = found.get(key, 0) + (row["filled"] if row["side"] == "BUY" else -row["filled"])
    return {(f"F{n:04}", symbol): found.get((f"F{n:04}", symbol), 0)
            for n in range(1, followers + 1) for symbol in SYMBOLS[:12]}


def play(world, followers, seconds):
    for symbol in CLOSED + KEPT:
        world.terminal("M0001", symbol, "BUY", 10, "MARKET")
    wait_for("the first positions", lambda: all(held(world, followers)[f"F{n:04}", symbol] == 10 * n for n in
                                                range(1, followers + 1) for symbol in CLOSED + KEPT), 40, 0.1)
    wait_for("the engine's knowledge of them", lambda: sum(
        copy["state"] == "FILLED" for wave in world.orders() for copy in wave["copies"]) >= 5 * followers, 30, 0.1)
    prices = {row["symbol"]: row["price"] for row in world.price_rows()}
    engine, before = world.processes["engine"], len(world.book())
    engine.kill(signal.SIGSTOP)
    stopped, entries, closed = time.monotonic(), {}, []
    while time.monotonic() < stopped + seconds:
        passed = time.monotonic() - stopped
        symbol = ENTERED[len(entries) % len(ENTERED)]
        kind = "MARKET" if len(entries) % 4 == 3 else "LIMIT"
        order = world.terminal("M0001", symbol, "BUY", 10, kind, round(prices[symbol] * 0.9) if kind == "LIMIT" else None)
        entries[order] = kind, time.monotonic(), symbol
        if passed > 1 and len(closed) < len(CLOSED):
            world.terminal("M0001", CLOSED[len(closed)], "SELL", 10, "MARKET")
            closed.append(CLOSED[len(closed)])
        time.sleep(0.2)
    asleep = len(world.book()) - before
    engine.kill(signal.SIGCONT)
    woken = time.monotonic()
    wait_for("the exits", lambda: all(held(world, followers)[f"F{n:04}", symbol] == 0 for n in range(1, followers + 1)
                                      for symbol in CLOSED), 30, 0.05)
    exits_s = time.monotonic() - woken
    time.sleep(1.5)
    # --- the book ------------------------------------------------------------------------------------
    book = world.book()
    tags = [row["tag"] for row in book]
    if len(tags) != len(set(tags)):
        raise WorldError("a tag is twice in the book")
    if asleep > 0:
        raise WorldError(f"{asleep} orders arrived from a stopped engine")
    waves = {wave["order"]: wave for wave in world.orders() if wave["transition"].upper() == "NEW"}
    order_of = {copy["tag"]: order for order, wave in waves.items() for copy in wave["copies"]}
    fresh = stale = 0
    for row in book[before:]:
        order = order_of.get(row["tag"])
        if order in entries:
            kind, said, symbol = entries[order]
            age = row["arrival_mono_ns"] / 1e9 - said
            fresh += 1
            if age > AGE_S[kind] + SLACK_S:
                raise WorldError(f"an entry of {symbol} ({kind}) arrived {age:.1f} s after the master's order")
        elif row["side"] != "SELL" or row["symbol"] not in CLOSED:
            raise WorldError(f"an order that nobody asked for: {row['side']} {row['quantity']} {row['symbol']}")
    for order, (kind, said, symbol) in entries.items():
        if order not in waves or len(waves[order]["copies"]) < followers:
            raise WorldError(f"the master's order {order} is not in the journal for everybody: lost in silence")
        stale += sum(copy["reason"] == "STALE_EVENT" for copy in waves[order]["copies"])
        if woken - said > AGE_S[kind] + SLACK_S and any(copy["kind"] != "skip" for copy in waves[order]["copies"]):
            raise WorldError(f"an entry of {woken - said:.1f} s ago was not skipped")
    sells = {}
    for row in book[before:]:
        if row["side"] == "SELL":
            sells[row["account"], row["symbol"]] = sells.get((row["account"], row["symbol"]), 0) + row["quantity"]
    for number in range(1, followers + 1):
        for symbol in CLOSED:
            if sells.get((f"F{number:04}", symbol)) != 10 * number:
                raise WorldError(f"F{number:04} sold {sells.get((f'F{number:04}', symbol))} {symbol}, {10 * number} wanted")
        for symbol in KEPT:
            if held(world, followers)[f"F{number:04}", symbol] != 10 * number:
                raise WorldError(f"F{number:04} holds another quantity of {symbol} than before")
    could = sum(woken - said <= AGE_S[kind] + SLACK_S for kind, said, _ in entries.values())
    if fresh > could * followers:
        raise WorldError(f"a burst: {fresh} entries after the pause, {could * followers} were fresh")
    if stale == 0 or fresh == 0:
        raise WorldError(f"{stale} stale and {fresh} fresh copies: the test shows nothing")
    if world.metrics()["lockstep_engine_conservation_gap"]:
        raise WorldError("conservation gap")
    print(f"{seconds:.0f} s asleep: {len(entries)} entries of the master meanwhile, {stale} copies too old and said so, {fresh} "
          f"fresh ones placed, {len(CLOSED) * followers} exits made good {exits_s:.2f} s after the wake")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--followers", type=int, default=8)
    options = parser.parse_args()
    world = World(options.bin, tempfile.mkdtemp(prefix="lockstep-pause-"))
    world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
    world.broker_options = {"pacing": False, "connects_per_second": 500}
    world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256, "children": 16384,
                                       "master_orders": 1024}}
    try:
        world.make_market([("NSE", symbol) for symbol in SYMBOLS[:12]])
        world.add_account("M0001", ["master"], funds="10000000000")
        for number in range(1, options.followers + 1):
            world.add_account(f"F{number:04}", ["follower"], funds="10000000000", address=f"127.20.0.{number}")
            world.follow(f"F{number:04}", "M0001", ratio=str(number))
        world.start_sim()
        world.publish()
        world.keep_prices(0.5)
        world.start_engine()
        world.start_ingest(interval_ms=50)
        play(world, options.followers, options.seconds)
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
