"""Kill, stop and cut the feed at random during a scripted day, and read the broker's book.

    feed_test.py --bin DIR [--cuts 100] [--seed N] [--followers 4] [--poll]

Each master order has each copy at most once, and exactly once if it could be seen within its age; exits made in a gap
are made good; entries older than their age are not sent, and `lockstepctl orders` says why. The seed is printed first; it
decides the day and the disturbances, not the interleaving with the kernel.
"""
import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from day import LIMITS, MASTER, RATIOS, TRIPS, Day, Judge  # noqa: E402
from world import World, WorldError, wait_for  # noqa: E402

AGE_S = 5.0

# How often each disturbance is drawn, of 100.
LONG = {10: "kill", 30: "stop", 50: "stall"}  # by number: longer than the age, so that entries go stale
KINDS = {"kill": 20, "stop": 18, "cut": 18, "close": 6, "restart": 8, "refuse": 4, "stall": 8, "half": 5, "garbage": 4,
         "duplicate": 3, "reorder": 3, "delay": 3}


class Feed:
    """Ingest and the broker's push side, and what is done to them."""

    def __init__(self, world, dice, poll):
        self.world, self.dice, self.poll = world, dice, poll
        self.windows, self.counts = [], {}
        self.slowest_return_s = 0.0

    def state(self):
        return self.world.admin("GET", "/sim/feed")

    def push(self, fault, **more):
        self.world.admin("POST", "/sim/feed", {"fault": fault, **more})

    def start(self, wait=False):
        self.world.start_ingest(interval_ms=200 if self.poll else 1000, feed=not self.poll, wait=wait)

    def logins(self):
        return self.state()["counts"]["logins"]

    def is_well(self, least_logins=0):
        """A socket of the master that is logged in and not stalled."""
        if self.poll:
            return True
        state = self.state()
        return state["counts"]["logins"] >= least_logins and any(
            c["account"] == MASTER and c["channel"] == "order" and not c["stalled"] for c in state["connections"])

    def disturb(self, kind, for_s):
        begin, logins, least = time.monotonic(), self.logins(), 0
        ingest = self.world.processes["ingest"]
        if not ingest.alive():
            raise WorldError(f"ingest ended by itself with {ingest.child.returncode}: {ingest.tail()} "
                             f"(log: {ingest.log})")
        if kind == "kill":
            ingest.kill()
            ingest.reap()
            time.sleep(for_s)
            self.start()
            least = logins + 1
        elif kind == "stop":
            ingest.kill(signal.SIGSTOP)
            time.sleep(for_s)
            ingest.kill(signal.SIGCONT)
        elif kind in ("cut", "close"):
            self.push("cut", how="reset" if kind == "cut" else "close",
                      **({"account": MASTER} if self.dice.random() < 0.5 else {}))
            least = logins + 1
        elif kind == "restart":
            self.push("restart", for_ms=round(1000 * for_s))
            time.sleep(for_s)
            least = logins + 1
        elif kind == "refuse":
            self.push("refuse")
            self.push("cut")
            time.sleep(for_s)
            self.push("refuse", on=False)
            least = logins + 1
        elif kind == "stall":
            self.push("stall", for_ms=round(1000 * for_s))
            time.sleep(for_s)
        elif kind == "half":
            self.push("half", account=MASTER, channel="order")
            self.fired("half")
            least = logins + 1
        else:
            self.push(kind, account=MASTER, channel="order", count=self.dice.randint(1, 4),
                      **({"delay_ms": round(1000 * for_s)} if kind == "delay" else {}))
            self.fired(kind)
        wait_for(f"the feed's return after '{kind}'", lambda: self.is_well(least), 20, 0.01)
        back = time.monotonic()
        self.slowest_return_s = max(self.slowest_return_s, back - begin - for_s)
        self.windows.append((begin, back, kind))
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def fired(self, kind):
        before = self.state()["faults"][kind]
        wait_for(f"a frame that meets '{kind}'",
                 lambda: self.state()["faults"][kind]["fired"] > before["fired"] or
                 before["fired"] >= before["asked"], 5, 0.01)


def make_world(options, dice):
    world = World(options.bin, tempfile.mkdtemp(prefix="lockstep-feed-"), lanes="shared", io=options.io)
    world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
    world.broker_options = {"pacing": False}
    # A hundred cuts in a minute and a half are no reason here to wait longer and longer.
    world.ingest_options = {} if options.poll else {"backoff_max_ms": 200, "feed_failed_most": 1000,
                                                    "feed_connects_per_second": 100, "feed_book_ms": 3000}
    world.engine_options = {"limits": {"follower_slots": 64, "accounts": 64, "master_orders": 16384,
                                       "children": 65536, "positions": 4096, "connections": 64},
                            "journal": {"directory": world.path("journal"), "segment_kib": 16384, "segments": 8}}
    world.make_market([("NSE", f"{name}-EQ") for name in TRIPS + LIMITS])
    world.add_account(MASTER, ["master"], funds="10000000000")
    for number in range(1, options.followers + 1):
        world.add_account(f"F{number:04}", ["follower"], funds="10000000000")
        world.follow(f"F{number:04}", MASTER, ratio=str(RATIOS[(number - 1) % len(RATIOS)]),
                     max_age_market_ms=round(1000 * AGE_S), max_age_limit_ms=round(1000 * AGE_S),
                     price_max_age_ms=3600000)
    return world


def calm(world, seconds=30):
    """Until no copy is under way and the book has stood still for a second."""
    last = {"book": None, "since": time.monotonic()}

    def still():
        book = [(r["tag"], r["status"], r["filled"], r["price"]) for r in world.book()]
        now = time.monotonic()
        if book != last["book"]:
            last.update(book=book, since=now)
        return now - last["since"] > 3.5  # the next look at the book as well
    wait_for("calm after the day", still, seconds, 0.1)


def keep_evidence(world, judge, feed):
    """What a person needs to see why, beside the logs."""
    lines = [*judge.problems, *(f"{kind}: from {begin:.3f} to {back:.3f}, {back - begin:.3f} s"
                                for begin, back, kind in feed.windows)]
    world.write("problems.txt", "\n".join(lines) + "\n")
    for name, arguments in (("orders.json", ("orders", "--json")), ("journal.json", ("journal", "ls", "--json"))):
        world.write(name, world.ctl(*arguments, check=False).stdout)
    for name, path in (("book.json", "orders"), ("requests.json", "requests")):
        world.write(name, "\n".join(json.dumps(row) for row in world.admin("GET", f"/sim/{path}")[path]) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--followers", type=int, default=4)
    parser.add_argument("--io", choices=("uring", "epoll"), default="uring")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--poll", action="store_true", help="poll the books instead: kills and stops only")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.cuts} disturbances, {options.followers} followers", flush=True)
    dice = random.Random(options.seed)
    world = make_world(options, dice)
    kinds = {kind: KINDS[kind] for kind in ("kill", "stop")} if options.poll else KINDS
    keep = True
    try:
        world.start_sim()
        world.publish()
        world.keep_prices(1.0)
        world.start_engine()
        feed = Feed(world, dice, options.poll)
        feed.start(wait=True)
        wait_for("the feed", feed.is_well, 20)
        day = Day(world, options.seed)
        day.start()
        started = time.monotonic()
        for number in range(options.cuts):
            # Now and then some quiet, so that not every order of the day is one of a gap.
            time.sleep(1.0 if number % 5 == 4 else dice.uniform(0.03, 0.25))
            kind = dice.choices(list(kinds), list(kinds.values()))[0]
            if number in LONG and LONG[number] in kinds:
                feed.disturb(LONG[number], AGE_S + 0.5)
            else:
                feed.disturb(kind, dice.uniform(0.02, 0.5) if kind != "kill" else dice.uniform(0.0, 0.25))
            if day.error:
                break
            if (number + 1) % 25 == 0:
                print(f"{number + 1} disturbances in {time.monotonic() - started:.0f} s, {day.acts} acts of the "
                      f"master, {len(world.book())} orders at the broker", flush=True)
        feed.push("clear")
        day.finish()
        calm(world)
        judge = Judge(world, day, AGE_S, feed.windows)
        judge.run()
        print(f"{', '.join(f'{count} x {kind}' for kind, count in sorted(feed.counts.items()))} in "
              f"{time.monotonic() - started:.0f} s; the feed was back at most {feed.slowest_return_s:.1f} s after")
        print(", ".join(f"{value} {name}" for name, value in judge.figures.items()), flush=True)
        figures = judge.figures
        if figures["owed"] < figures["copies wanted"] / 8 or figures["exactly once"] < figures["copies wanted"] / 4 or \
                figures["exits made good"] == 0 or (options.cuts > 50 and figures["reported STALE_EVENT"] == 0):
            raise WorldError("too little of the day was copied to mean anything")
        if judge.problems:
            keep_evidence(world, judge, feed)
            for problem in judge.problems[:20]:
                print(f"  {problem}")
            raise WorldError(f"{len(judge.problems)} differences between the day and the broker's book")
        print("the broker's book holds what the day asks for")
        keep = False
        return 0
    except WorldError as error:
        print(f"FAIL: {error}\nseed {options.seed}; logs are in {world.directory}", file=sys.stderr)
        return 1
    finally:
        world.stop()
        if not keep:
            import shutil
            shutil.rmtree(world.directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
