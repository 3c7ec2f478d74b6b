"""SIGKILL of engine and ingest at random moments while a master trades: no order twice, none lost in silence.

    kill_test.py --bin DIR [--kills 200] [--orders 1000] [--followers 20] [--seed N] [--lanes own]

--kills counts the engine's; ingest dies a third as often. The verdict comes from the simulated broker: every order it ever
received, with its tag, and the master's own book: each of its orders is, for each follower, in the broker's book or in
the journal with a reason. At the end he takes all back and closes all: nothing works, no copy is queued; what followers
still hold is printed and not judged. Prints the seed first; the moments of the kills follow from it, the interleaving with the
kernel does not.
"""
import argparse
import os
import random
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scene import DOUBTED, HELD, REPORTED, SYMBOLS, World, WorldError, wait_for  # noqa: E402

WORKING = ("OPEN", "PENDING", "TRIGGER_PENDING", "PARTIAL")


class Load(threading.Thread):
    """A person at the master's terminal who never rests: buys, amends, cancels, sells; `orders` new ones in `seconds`."""

    def __init__(self, world, seed, orders, seconds):
        super().__init__(daemon=True)
        self.world, self.random, self.halt = world, random.Random(seed), threading.Event()
        self.wanted, self.seconds, self.allowed = orders, seconds, 0
        self.placed, self.acts, self.failed = [], 0, 0

    def run(self):
        prices = {row["symbol"]: row["price"] for row in self.world.price_rows()}
        working, began = [], time.monotonic()
        while len(self.placed) < self.wanted and not self.halt.is_set():
            # Spread over the kills, however fast the machine makes them.
            due = began + self.seconds * len(self.placed) / self.wanted
            if self.halt.wait(max(0.0, due - time.monotonic()) + self.random.uniform(0.0, 0.03)):
                return
            if len(self.placed) > self.allowed:
                continue
            act, instrument = self.random.random(), self.random.choice(self.world.instruments)
            symbol = instrument["symbol"]
            try:
                if act < 0.45 or not working:
                    side = self.random.choice(("BUY", "BUY", "SELL"))
                    price = round(prices[symbol] * (0.95 if side == "BUY" else 1.05)) or 1
                    order = self.world.terminal("M0001", symbol, side, 10 * self.random.randint(1, 9), "LIMIT", price)
                    self.placed.append(order)
                    working.append((order, price))
                elif act < 0.7:
                    self.placed.append(self.world.terminal("M0001", symbol, self.random.choice(("BUY", "SELL")), 20,
                                                           "MARKET"))
                elif act < 0.85:
                    order, price = self.random.choice(working)
                    self.world.admin("POST", "/sim/terminal/modify", {
                        "account": "M0001", "broker_order_id": order, "quantity": 10 * self.random.randint(1, 9),
                        "price": str(price)})
                else:
                    order, _ = working.pop(self.random.randrange(len(working)))
                    self.world.admin("POST", "/sim/terminal/cancel", {"account": "M0001", "broker_order_id": order})
                self.acts += 1
            except (WorldError, OSError):
                self.failed += 1  # the broker refuses some: an amendment of a filled order


def no_order_twice(book):
    tags = {}
    for row in book:
        tags.setdefault(row["tag"], []).append(row)
    twice = {tag: rows for tag, rows in tags.items() if len(rows) > 1 or len(tag) != 19}
    for tag, rows in list(twice.items())[:5]:
        print(f"tag {tag!r}: {[(r['account'], r['broker_order_id'], r['arrival_mono_ns']) for r in rows]}")
    if twice:
        raise WorldError(f"{len(twice)} tags stand in the book more than once")
    return tags


def none_lost(world, load, tags, followers):
    """Every master order x every follower: in the book, or in the journal with what became of it."""
    journal, ends = {}, {}
    for wave in world.orders("--disk", world.path("journal", f"lockstep.{world.instance}")):
        for copy in wave["copies"]:
            known = journal.setdefault((wave["order"], copy["login"]), {})
            before = known.get(copy["tag"])
            # What was to be done later, and that it was nothing, is no end of an order that left. It is one of an order
            # that waited.
            if copy["kind"].startswith("place") or before is not None and before["state"] == "QUEUED" or \
                    wave["transition"].upper() == "NEW" and (before is None or before["kind"] in ("skip", "wait")):
                known[copy["tag"]] = copy
    terms = {row["broker_order_id"]: row for row in world.book("M0001", source=None)}
    unseen = 0
    for order in load.placed:
        of_order = 0
        for number in range(1, followers + 1):
            copies = journal.get((order, f"F{number:04}"), {})
            of_order += bool(copies)
            for copy in copies.values():
                state = copy["state"].split(" ")[0]
                if copy["kind"] == "flatten":
                    state = "FLATTEN"  # no order: what the entry still fills is closed
                elif state not in (HELD if copy["tag"] in tags else REPORTED) and \
                        state not in DOUBTED:
                    raise WorldError(f"{copy['login']}'s copy {copy['tag']} of {order} is said to be {copy['state']} "
                                     f"and is {'' if copy['tag'] in tags else 'not '}in the broker's book")
                end = copy["reason"] if state == "SKIPPED" else state
                ends[end] = ends.get(end, 0) + 1
        if of_order == followers:
            continue
        # Nobody can copy what was over before anybody could see it: the master took it back unfilled.
        if of_order == 0 and terms[order]["status"] == "CANCELLED" and not terms[order]["filled"]:
            unseen += 1
            continue
        raise WorldError(f"the master's order {order} ({terms[order]['status']}) is known for {of_order} of {followers} "
                         "followers: lost in silence")
    if sum(ends.values()) < (len(load.placed) - unseen) * followers:
        raise WorldError(f"only {sum(ends.values())} copies have an end: {ends}")
    return ends, unseen


def nets(book):
    """What each account holds of each symbol by its fills."""
    held = {}
    for row in book:
        key = row["account"], row["symbol"]
        held[key] = held.get(key, 0) + (row["filled"] if row["side"] == "BUY" else -row["filled"])
    return {key: net for key, net in held.items() if net}


def master_ends(world):
    """He takes back every order that still works and closes what he holds: there is nothing left to copy."""
    for row in world.book("M0001", source=None):
        if row["status"] in WORKING:
            world.admin("POST", "/sim/terminal/cancel", {"account": "M0001", "broker_order_id": row["broker_order_id"]})
    for (_, symbol), net in sorted(nets(world.book("M0001", source=None)).items()):
        world.terminal("M0001", symbol, "SELL" if net > 0 else "BUY", abs(net), "MARKET")
    left = nets(world.book("M0001", source=None))
    if left:
        raise WorldError(f"the master is not flat: {left}")


def all_settled(world, seconds):
    """Nothing works at the broker and no copy waits once the master has ended. Returns how long it took and who still
    holds what the master does not: a known gap, counted and not yet judged."""
    began, seen = time.monotonic(), {}

    def settled():
        seen["works"] = [row["tag"] for row in world.book() if row["status"] in WORKING]
        if seen["works"]:
            return False
        newest = {}
        for wave in world.orders("--disk", world.path("journal", f"lockstep.{world.instance}")):
            newest.update({copy["tag"]: copy["state"] for copy in wave["copies"]})
        seen["queued"] = [tag for tag, state in newest.items() if state.startswith("QUEUED")]
        return not seen["queued"] and not any(row["status"] in WORKING for row in world.book())
    try:
        wait_for("the end of every copy of a flat master", settled, seconds, 0.5)
    except WorldError as error:
        raise WorldError(f"{error}: " + "; ".join(f"{what} {len(tags)}: {tags[:4]}" for what, tags in seen.items())) from None
    return time.monotonic() - began, nets(world.book())


def kill_and_restart(world, dice, victim):
    process = world.processes[victim]
    if not process.alive():
        raise WorldError(f"{victim} ended by itself with {process.child.returncode}: {process.tail()} "
                         f"(log: {process.log})")
    process.kill()
    process.reap()
    if victim == "engine":
        world.start_engine(wait=False)
    else:
        world.start_ingest(interval_ms=50, follower_ms=500, wait=False)


def play(world, options, dice):
    kills = {"engine": 0, "ingest": 0}
    load = Load(world, options.seed, options.orders, options.kills * 0.44)
    load.start()
    started = time.monotonic()
    while kills["engine"] < options.kills:
        load.allowed = options.orders * (kills["engine"] + 2) // options.kills
        victim = "engine" if dice.random() < 0.8 else "ingest"
        # Mostly in the middle of work; sometimes right after the start, in the middle of recovery.
        time.sleep(dice.uniform(0.0, 0.2) if dice.random() < 0.4 else dice.uniform(0.2, 0.5))
        kill_and_restart(world, dice, victim)
        kills[victim] += 1
        if victim == "engine" and kills["engine"] % 25 == 0:
            print(f"{kills['engine']} kills in {time.monotonic() - started:.0f} s, {len(load.placed)} orders of the "
                  f"master, {len(world.book())} at the broker", flush=True)
    load.allowed = options.orders
    load.join(60)
    load.halt.set()
    if load.is_alive() or len(load.placed) < options.orders:
        raise WorldError(f"the master placed {len(load.placed)} orders of {options.orders} in "
                         f"{time.monotonic() - started:.0f} s")
    wait_for("the engine's calm", lambda: world.metrics().get("lockstep_engine_connections_ready", 0) > 0, 60)
    wait_for("the last requests' ends", lambda: world.metrics().get("lockstep_engine_requests_open", 1) == 0, 20)
    master_ends(world)
    settled_s, held = all_settled(world, 60)
    metrics, book = world.metrics(), world.book()
    tags = no_order_twice(book)
    ends, unseen = none_lost(world, load, tags, options.followers)
    took = time.monotonic() - started
    print(f"{kills['engine']} SIGKILLs of the engine, {kills['ingest']} of ingest in {took:.0f} s; {len(load.placed)} master "
          f"orders x {options.followers} followers ({load.acts} acts): {len(book)} orders at the broker, {len(tags)} tags; "
          f"{unseen} master orders were taken back before anybody saw them\n"
          f"the master ended: nothing works and no copy waits {settled_s:.1f} s later; {len(held)} positions of followers "
          f"stand against a flat master {list(held.items())[:4]}\n"
          f"0 duplicated, 0 lost; ends {dict(sorted(ends.items(), key=lambda e: -e[1]))}")
    if ends.get("KILL_SWITCH"):
        raise WorldError(f"{ends['KILL_SWITCH']} copies ended by a switch that nobody threw")
    if len(book) < 3 * options.orders:
        raise WorldError(f"the load was too small to mean anything: {len(book)} orders at the broker")
    if metrics.get("lockstep_engine_conservation_gap", 0) != 0:
        raise WorldError("events x followers is not the sum of terminal and open")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--followers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--lanes", default="own")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.kills} kills, {options.orders} orders, {options.followers} followers", flush=True)
    dice = random.Random(options.seed)
    world = World(options.bin, tempfile.mkdtemp(prefix="lockstep-kill-"), lanes=options.lanes)
    world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}, "latency": {"min_us": 200,
                                                                                              "mean_us": 2000}}
    world.engine_options = {
        "limits": {"follower_slots": 256, "accounts": 256, "master_orders": 16384, "children": 131072,
                   "positions": 8192, "waves": 256, "connections": 256},
        "journal": {"directory": world.path("journal"), "segment_kib": 8192, "segments": 4}}
    world.broker_options = {"pacing": False}
    try:
        world.make_market([("NSE", symbol) for symbol in SYMBOLS])
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
        play(world, options, dice)
        return 0
    except WorldError as error:
        print(f"FAIL: {error}\nseed {options.seed}; logs are in {world.directory}", file=sys.stderr)
        return 1
    finally:
        world.stop()


if __name__ == "__main__":
    sys.exit(main())
