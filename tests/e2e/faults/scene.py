"""What the fault tests share: a world whose master is heard by `lockstep-ingest ndjson`, and the verdict on its copies.

The verdict is the broker's: a copy that the broker has must be there once, and one that it has not must be reported.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import World, WorldError, wait_for  # noqa: E402

SHARES = ["RELIANCE", "SBIN", "INFY", "ITC", "TCS", "WIPRO", "HDFCBANK", "ICICIBANK", "LT", "ACC", "AXISBANK",
          "TATASTEEL", "SUNPHARMA", "MARUTI", "KOTAKBANK", "BHARTIARTL", "HINDUNILVR", "BAJFINANCE", "IDEA", "YESBANK"]
SYMBOLS = [f"{share}-EQ" for share in SHARES]

# What the engine may say of a copy that the broker has not: every one is a report, none claims that it works.
REPORTED = {"NOT_SENT", "UNKNOWN", "RECONCILING", "NOT_PLACED", "MISSED", "UNRESOLVED", "SKIPPED", "REJECTED", "AUTH",
            "LIMITED"}
# What it may say of one that the broker has and works. UNKNOWN and what follows from it are honest here, too.
HELD = {"ACKED", "OPEN", "TRIGGER_PENDING", "PENDING", "ADOPTED", "UNKNOWN", "RECONCILING", "UNRESOLVED", "PARTIAL",
        "COMPLETE", "FILLED", "CANCELLED", "REJECTED", "GHOST"}
# Before reconciliation has looked, and what it can make of it.
DOUBTED = {"UNKNOWN", "RECONCILING", "ADOPTED", "NOT_PLACED", "MISSED", "UNRESOLVED", "OPEN", "COMPLETE", "GHOST"}


class Scene:
    """A world of `followers` who copy one to one, and a master who is heard by lines of text."""

    def __init__(self, binaries, name, followers=4, lanes="shared", io="epoll", symbols=4, broker=None, limits=None,
                 sim=None, address=None, settings=None, **engine):
        self.world = world = World(binaries, tempfile.mkdtemp(prefix=f"lockstep-{name}-"), lanes=lanes, io=io)
        world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}, **(sim or {})}
        world.broker_options = {"pacing": False, "connects_per_second": 500, "pool_connections": 2, **(broker or {})}
        slots = 1 << max(8, followers.bit_length())
        world.engine_options = {"limits": {"connections": 64 if lanes == "shared" else followers + 16,
                                           "follower_slots": slots, "accounts": slots, "children": 65536,
                                           "master_orders": 4096, **(limits or {})}, **engine}
        self.followers, self.feed, self.number, self.feed_log = followers, None, 0, None
        try:
            world.make_market([("NSE", symbol) for symbol in SYMBOLS[:symbols]])
            world.add_account("M0001", ["master"])
            for number in range(1, followers + 1):
                own = (address or (lambda n: f"127.20.{n // 250}.{n % 250 + 1}"))(number) if lanes == "own" else None
                world.add_account(f"F{number:04}", ["follower"], address=own)
                world.follow(f"F{number:04}", "M0001", ratio="1", **(settings or {}))
        except BaseException:
            self.close(False)
            raise

    def begin(self, prices=True, **start):
        """Publishes, starts the engine and the master's feed. The simulator is started before, by who needs its port."""
        self.world.publish()
        self.world.start_engine(**start)
        if prices:
            self.prices = {row["symbol"]: row["price"] for row in self.world.price_rows()}
        self.start_feed()
        return self

    def start_feed(self):
        world = self.world
        self.feed_log = open(world.path("feed.log"), "a")
        self.feed = subprocess.Popen(
            [world.binary("lockstep-ingest"), "--instance", world.instance, "--key", world.path("seal.key"), "ndjson",
             "-"], stdin=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL, stderr=self.feed_log, env=world.env)

    def say(self, order=None, symbol=SYMBOLS[0], side="BUY", qty=10, price=None, status="OPEN", filled=0, account="M0001"):
        """One state of a master's order; a new limit order far from the market when nothing is said."""
        if order is None:
            self.number += 1
            order = f"T{self.number:06}"
        if price is None:
            price = round(self.prices[symbol] * (0.9 if side == "BUY" else 1.1))
        row = {"account": account, "broker_order_id": order, "exchange": "NSE", "symbol": symbol, "side": side,
               "type": "LIMIT", "product": "MIS", "qty": str(qty), "price": str(price), "status": status,
               "filled_qty": str(filled)}
        if filled:
            row["average_price"] = str(price)
        self.feed.stdin.write(json.dumps(row) + "\n")
        self.feed.stdin.flush()
        return order

    # --- what can be seen ------------------------------------------------------------------------

    def log(self, name="engine"):
        with open(self.world.path(f"{name}.log"), errors="replace") as file:
            return file.read()

    def wait_log(self, pattern, count=1, seconds=15.0, name="engine"):
        wait_for(f"{pattern!r} in the {name}'s log", lambda: len(re.findall(pattern, self.log(name))) >= count, seconds)

    def copies(self, order):
        """Newest state of each follower's copy of a master's order: login -> copy."""
        found = {}
        for wave in self.world.orders():
            if wave["order"] == order and wave["transition"].upper() == "NEW":
                found.update({copy["login"]: copy for copy in wave["copies"]})
        return found

    def settled(self, order, seconds=30.0, count=None):
        """Waits until no copy of the order is on its way; returns them."""
        last = {}

        def done():
            last.clear()
            last.update(self.copies(order))
            return len(last) >= (count or self.followers) and not any(
                copy["state"] in ("SENDING", "QUEUED", "WAIT") for copy in last.values())
        try:
            wait_for(f"the end of every copy of {order}", done, seconds, 0.1)
        except WorldError as error:
            states = [copy["state"] for copy in last.values()]
            raise WorldError(f"{error}: {({s: states.count(s) for s in set(states)})}") from None
        return last

    def outcomes(self):
        text = self.world.ctl("metrics").stdout
        return {name: int(float(value)) for name, value in
                re.findall(r'lockstep_engine_outcomes_total\{[^}]*outcome="(\w+)"[^}]*\} (\S+)', text)
                if float(value)}

    # --- the verdict ------------------------------------------------------------------------------

    def judge(self, order, copies, rows=None):
        """No copy twice in the book, none there and said to be refused, none missing and said to work; a second try only
        after a definite refusal, and no third. Returns the logins that the book has."""
        rows = self.world.book() if rows is None else rows
        tags, tries = {}, {}
        for row in rows:
            tries[row["tag"]] = tries.get(row["tag"], 0) + 1
            if row["status"] != "REFUSED":
                tags[row["tag"]] = tags.get(row["tag"], 0) + 1
        twice = [tag for tag, count in tries.items() if count > 2 or tags.get(tag, 0) > 1]
        if twice:
            raise WorldError(f"{order}: {len(twice)} tags are twice in the broker's book: {twice[:3]}")
        held = set()
        for login, copy in copies.items():
            state = copy["state"].split(" ")[0]
            if copy["tag"] in tags:
                held.add(login)
                if state not in HELD:
                    raise WorldError(f"{order}: the broker has {login}'s copy, and the engine says {copy['state']}")
            elif state not in REPORTED:
                raise WorldError(f"{order}: the broker has no copy of {login}, and the engine says {copy['state']}")
        return held

    def engine_stops(self):
        code = self.world.processes.pop("engine").stop()
        if code != 0:
            raise WorldError(f"the engine ended with {code}")

    def close(self, keep):
        if self.feed is not None:
            with contextlib.suppress(OSError):
                self.feed.stdin.close()
            self.feed.wait(10)
            self.feed_log.close()
            self.feed = None
        self.world.stop()
        if not keep:
            shutil.rmtree(self.world.directory, ignore_errors=True)


def run(make, play):
    """Plays a scene made by make(); returns the exit code. Its directory stays when it fails."""
    scene, keep, began = None, True, time.monotonic()
    try:
        scene = make()
        play(scene)
        keep = False
        print(f"ok ({time.monotonic() - began:.1f} s)")
        return 0
    except (WorldError, OSError) as error:
        where = scene.world.directory if scene is not None else "no directory"
        print(f"FAIL: {error}; logs are in {where}", file=sys.stderr)
        return 1
    finally:
        if scene is not None:
            scene.close(keep)
