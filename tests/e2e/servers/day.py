"""The scripted day: a master's orders, amendments and cancels through a server that is not ours, and the verdict on it
from the broker's book and the server's own log.
"""
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

SYMBOL, OTHER = "RELIANCE-EQ", "SBIN-EQ"


class Day:
    """A world whose broker is behind `front`, and what its master does."""

    def __init__(self, binaries, name, front, lanes="shared", io="epoll", followers=6, broker=None, sim=True,
                 **options):
        self.followers, self.orders, self.waves, self.feed = followers, {}, 0, None
        self.world = world = World(binaries, tempfile.mkdtemp(prefix=f"lockstep-{name}-"), lanes=lanes, io=io)
        world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
        world.make_market([("NSE", SYMBOL), ("NSE", OTHER)])
        world.add_account("M0001", ["master"])
        for number in range(1, followers + 1):
            world.add_account(f"F{number:04}", ["follower"])
            world.follow(f"F{number:04}", "M0001", ratio=str(number))
        if sim:
            world.start_sim()
        self.front = front(world, **options).start()
        world.broker_options = {"pacing": False, "connects_per_second": 500, "pool_connections": 3,
                                "port": self.front.port, **(broker or {})}

    def begin(self):
        world = self.world
        world.publish()
        world.start_engine()
        self.feed = subprocess.Popen(
            [world.binary("lockstep-ingest"), "--instance", world.instance, "--key", world.path("seal.key"), "ndjson",
             "-"], stdin=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL, stderr=open(world.path("feed.log"), "w"))
        return self

    def end(self):
        if self.feed is not None:
            self.feed.stdin.close()
            self.feed.wait(10)
        return self.world.stop()

    # --- the master ------------------------------------------------------------------------------

    def say(self, order, qty, status="OPEN", symbol=SYMBOL):
        self.orders[order] = (qty, status)
        self.feed.stdin.write(json.dumps({
            "account": "M0001", "broker_order_id": order, "exchange": "NSE", "symbol": symbol, "side": "BUY",
            "type": "LIMIT", "product": "MIS", "qty": qty, "price": "1000" if symbol == SYMBOL else "100", "status": status}) + "\n")
        self.feed.stdin.flush()
        self.waves += 1

    def log(self):
        with open(self.world.processes["engine"].log, errors="replace") as file:
            return file.read()

    def settle(self, seconds=15):
        """Until every wave so far has its last outcome."""
        def done():
            self.world.processes["engine"].check()
            return len(re.findall(r"Replication: ", self.log())) >= self.waves
        wait_for(f"{self.waves} waves' ends", done, seconds, 0.02)

    def run(self, orders=5, pause=0.0):
        """New orders; every second is amended, every third cancelled; each wave ends before the next begins."""
        first = len(self.orders)
        names = [f"N{first + n:05}" for n in range(1, orders + 1)]
        for number, order in enumerate(names):
            self.say(order, 10 + number)
            self.settle()
            time.sleep(pause)
        for order in names[1::2]:
            self.say(order, self.orders[order][0] + 100)
            self.settle()
        for order in names[::3]:
            self.say(order, self.orders[order][0], "CANCELLED")
            self.settle()

    # --- the verdict -----------------------------------------------------------------------------

    def rows(self):
        return self.world.book()

    def no_doubles(self):
        tags = [row["tag"] for row in self.rows()]
        if len(tags) != len(set(tags)):
            raise WorldError(f"{len(tags) - len(set(tags))} orders are twice in the broker's book")
        return set(tags)

    def exact(self, orders, outcomes=("ACKED",)):
        """Each order once at each follower, with the last terms; the front's log has as many requests."""
        self.no_doubles()
        rows = self.rows()
        if len(rows) != orders * self.followers:
            raise WorldError(f"{len(rows)} orders in the broker's book, {orders * self.followers} wanted; "
                             f"outcomes {self.outcomes()}")
        want = sorted((f"F{number:04}", qty * number, "CANCELLED" if status == "CANCELLED" else "OPEN")
                      for qty, status in self.orders.values() for number in range(1, self.followers + 1))
        got = sorted((row["account"], row["quantity"], row["status"]) for row in rows)
        if want != got:
            raise WorldError(f"the book differs from the master's day: {[g for g in got if g not in want][:3]}")
        # Nobody watches the followers' accounts here, so a cancel that nobody saw done is said again after a second, and
        # the broker answers that there is nothing to cancel.
        repeats = self.repeated_cancels()
        strange = {name: count for name, count in self.outcomes().items() if name not in outcomes}
        if strange and strange != {"REJECTED": repeats}:
            raise WorldError(f"outcomes {self.outcomes()}, {repeats} cancels repeated")
        statuses = list(self.orders.values())
        self.in_front_log("placeorder", orders * self.followers)
        self.in_front_log("cancel", self.followers * sum(status == "CANCELLED" for _, status in statuses) + repeats)

    def repeated_cancels(self):
        text = self.world.ctl("journal", "ls", "--type", "recon", check=False).stdout
        return len(re.findall(r"act=repeat ", text))

    def in_front_log(self, what, wanted):
        try:
            wait_for(what, lambda: self.front.count(what) >= wanted, 4)
        except WorldError:
            pass
        if self.front.count(what) != wanted:
            raise WorldError(f"{self.front.name}'s log has {self.front.count(what)} {what}, {wanted} wanted")

    def copies(self):
        """What the engine says of each copy of a new order: tag and state."""
        return [(copy["tag"], copy["state"]) for wave in self.world.orders() if wave["transition"].upper() == "NEW"
                for copy in wave["copies"]]

    def honest(self, orders):
        """None doubled; what is acknowledged is in the book; what is not in the book was reported as such."""
        copies = self.copies()
        tags = self.no_doubles()  # afterwards: what was acknowledged by then must be there
        if len(copies) != orders * self.followers:
            raise WorldError(f"the engine knows {len(copies)} copies of {orders * self.followers}")
        lies = [copy for copy in copies if copy[1] == "ACKED" and copy[0] not in tags]
        if lies:
            raise WorldError(f"{len(lies)} acknowledged orders are not in the broker's book: {lies[:3]}")
        missing = [copy for copy in copies if copy[0] not in tags]
        states = {}
        for _, state in missing:
            states[state] = states.get(state, 0) + 1
        return states

    def outcomes(self):
        text = self.world.ctl("metrics").stdout
        return {name: int(float(value)) for name, value in
                re.findall(r'lockstep_engine_outcomes_total\{[^}]*outcome="(\w+)"[^}]*\} (\S+)', text)
                if float(value)}

    def engine_stops(self):
        code = self.world.processes.pop("engine").stop()
        if code != 0:
            raise WorldError(f"the engine ended with {code}")

    def cleanup(self, keep):
        self.end()
        if not keep:
            shutil.rmtree(self.world.directory, ignore_errors=True)
