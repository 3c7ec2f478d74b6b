"""A scripted day of a master at the broker's terminal, and the judge of what became of it.

Everything is judged by the simulated broker's book. What belongs together is found by quantity: every entry of the
master has a quantity of its own, and each follower multiplies it by a whole number.
"""
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import WorldError, text_of  # noqa: E402

TRIPS = ["RELIANCE", "SBIN", "INFY", "TCS", "WIPRO", "HDFCBANK", "ICICIBANK", "LT", "ACC", "AXISBANK"]
LIMITS = ["ITC", "TATASTEEL", "SUNPHARMA", "MARUTI", "KOTAKBANK", "BHARTIARTL", "HINDUNILVR", "BAJFINANCE"]
RATIOS = (1, 2, 3)
MASTER = "M0001"


class Entry:
    """One opening order of the master and the times of its life, CLOCK_MONOTONIC seconds."""

    def __init__(self, order, symbol, quantity, limit):
        self.order, self.symbol, self.quantity, self.limit = order, symbol, quantity, limit
        self.acts = [time.monotonic()]  # placing and amendments
        self.ended = None  # when the master cancelled it or began to close what it bought
        self.price, self.filled = None, 0


class Day(threading.Thread):
    """Round trips at the market in some instruments; in others limit orders that are amended, partly filled and
    cancelled. Never rests until `halt` is set; then `finish` brings the master home."""

    def __init__(self, world, seed, pause=(0.04, 0.14)):
        super().__init__(daemon=True)
        self.world, self.random, self.halt, self.pause = world, random.Random(seed), threading.Event(), pause
        self.entries, self.error = [], None
        self.held = {}  # symbol -> [entry, what is left, when it may be sold]
        self.working = []  # entries that work
        self.quantity = 0
        self.acts = 0
        self.prices = {row["symbol"]: row["price"] for row in world.price_rows()}

    def next_quantity(self):
        self.quantity += 1
        return self.quantity

    def buy(self, symbol):
        quantity = 2 * self.next_quantity()  # even, so that it can be sold by halves
        entry = Entry(None, symbol, quantity, False)
        entry.order = self.world.terminal(MASTER, symbol, "BUY", quantity, "MARKET")
        self.entries.append(entry)
        self.held[symbol] = [entry, quantity, time.monotonic() + self.random.uniform(0.1, 2.0)]

    def sell(self, symbol, all_of_it):
        entry, left, _ = self.held[symbol]
        quantity = left if all_of_it or left < entry.quantity else left // 2
        if entry.ended is None:
            entry.ended = time.monotonic()
        self.world.terminal(MASTER, symbol, "SELL", quantity, "MARKET")
        if quantity == left:
            del self.held[symbol]
        else:
            self.held[symbol][1:] = [left - quantity, time.monotonic() + self.random.uniform(0.1, 1.0)]

    def place_limit(self, symbol):
        entry = Entry(None, symbol, 2 * self.next_quantity(), True)
        entry.price = round(self.prices[symbol] * self.random.uniform(0.90, 0.97))
        entry.order = self.world.terminal(MASTER, symbol, "BUY", entry.quantity, "LIMIT", entry.price)
        self.entries.append(entry)
        self.working.append(entry)

    def amend(self, entry):
        entry.price = round(self.prices[entry.symbol] * self.random.uniform(0.90, 0.97))
        entry.acts.append(time.monotonic())
        self.world.admin("POST", "/sim/terminal/modify", {
            "account": MASTER, "broker_order_id": entry.order, "price": text_of(entry.price)})

    def fill_a_part(self, entry):
        entry.filled += 1
        self.world.admin("POST", "/sim/fill", {"broker_order_id": entry.order, "quantity": 1})

    def cancel(self, entry):
        entry.ended = time.monotonic()
        self.world.admin("POST", "/sim/terminal/cancel", {"account": MASTER, "broker_order_id": entry.order})
        self.working.remove(entry)

    def act(self):
        now, dice = time.monotonic(), self.random.random()
        ripe = [symbol for symbol, (_, _, when) in self.held.items() if when <= now]
        flat = [f"{name}-EQ" for name in TRIPS if f"{name}-EQ" not in self.held]
        if ripe:
            self.sell(self.random.choice(ripe), self.random.random() < 0.7)
        elif dice < 0.4 and flat:
            self.buy(self.random.choice(flat))
        elif dice < 0.6 or not self.working:
            self.place_limit(f"{self.random.choice(LIMITS)}-EQ")
        elif dice < 0.8:
            self.amend(self.random.choice(self.working))
        elif dice < 0.87:
            entry = self.random.choice(self.working)
            if entry.filled + 1 < entry.quantity:  # it stays a working order
                self.fill_a_part(entry)
        else:
            self.cancel(self.random.choice(self.working))
        self.acts += 1

    def run(self):
        try:
            while not self.halt.wait(self.random.uniform(*self.pause)):
                self.act()
        except Exception as error:  # noqa: BLE001 - shown by the main thread
            self.error = error

    def finish(self):
        """Sells what the master holds of its round trips and cancels half of what works."""
        self.halt.set()
        self.join(30)
        if self.error:
            raise WorldError(f"the day ended early: {self.error!r}")
        for symbol in list(self.held):
            self.sell(symbol, True)
        for entry in list(self.working)[::2]:
            self.cancel(entry)


class Judge:
    """Compares the book with the day. Windows are spans in which the feed was disturbed: (begin, back, kind)."""

    def __init__(self, world, day, age_s, windows, grace_s=1.0, lost=()):
        self.world, self.day, self.age_s, self.windows, self.grace_s = world, day, age_s, windows, grace_s
        self.lost = lost  # spans in which frames were lost unseen: only the next look at the book can tell
        self.problems = []
        self.figures = {"entries": 0, "copies wanted": 0, "exactly once": 0, "reported STALE_EVENT": 0,
                        "reported otherwise": 0, "owed": 0, "late amendments reported": 0, "exits made good": 0, "slowest copy ms": 0}
        self.rows = world.book()
        self.reports = self.read_reports()

    def read_reports(self):
        """Reasons by (order of the master, login), from the journal: each decision stands in a batch of its wave."""
        logins = {number: follower["account"] for number, follower in enumerate(self.world.followers, start=1)}
        waves, reports = {}, {}
        for line in self.world.ctl("journal", "ls", "--json").stdout.splitlines():
            fact = json.loads(line)
            if fact["fact"] == "event" and fact.get("wave"):
                waves[fact["wave"]] = fact["order_id"]
            elif fact["fact"] == "batch" and fact["wave"] in waves:
                for child in fact["children"]:
                    key = waves[fact["wave"]], logins[child["follower_no"]]
                    if child["reason"] != "NONE":
                        reports.setdefault(key, set()).add(child["reason"])
        return reports

    def say(self, text):
        self.problems.append(text)

    def deliverable(self, moment):
        """When the latest disturbance that an act of this moment fell into was over."""
        over = moment
        for begin, back, _ in self.windows:
            if begin - 0.2 <= over <= back:
                over = back
        return over

    def owed(self, entry):
        """Whether a copy is owed: the feed was well, or well again, while the entry was young enough. The broker's
        clock has whole seconds and ingest adds one, so an order of a gap may look two seconds older than it is."""
        over = self.deliverable(entry.acts[0])
        if any(begin <= entry.acts[0] <= end for begin, end in self.lost):
            return False
        if over == entry.acts[0]:
            return entry.ended is None or entry.ended - entry.acts[0] > self.grace_s
        if entry.ended is not None and entry.ended < over + self.grace_s:
            return False  # already over when it could be seen
        return over + self.grace_s - entry.acts[0] < self.age_s - 2.0

    def entry(self, entry, login, ratio, copies):
        self.figures["copies wanted"] += 1
        owed = self.owed(entry)
        self.figures["owed"] += owed
        name = f"{login}, {entry.symbol} x {entry.quantity} (order {entry.order})"
        if len(copies) > 1:
            self.say(f"{name}: {len(copies)} copies in the book, tags {[c['tag'] for c in copies]}")
        elif copies:
            self.figures["exactly once"] += 1
            arrived = copies[0]["arrival_mono_ns"] / 1e9
            age = min(arrived - act for act in entry.acts if act <= arrived + 0.001)
            self.figures["slowest copy ms"] = max(self.figures["slowest copy ms"], round(1000 * age))
            if age > self.age_s + 0.3:
                self.say(f"{name}: sent when it was {age:.2f} s old, {self.age_s} s are allowed")
        else:
            reasons = self.reports.get((entry.order, login), set())
            if "STALE_EVENT" in reasons:
                self.figures["reported STALE_EVENT"] += 1
            elif reasons:
                self.figures["reported otherwise"] += 1
            if owed:
                self.say(f"{name}: no copy, although {self.deliverable(entry.acts[0]) - entry.acts[0]:.2f} s after it "
                         f"the feed was well; reported {sorted(reasons)}")
            elif not reasons and entry.ended is None:
                self.say(f"{name}: neither a copy nor a reason")
            elif reasons and not reasons & {"STALE_EVENT", "SUPERSEDED"}:
                self.say(f"{name}: no copy because of {sorted(reasons)}")

    def working(self, entry, login, name, copies):
        """A limit order's copy ends or stands as the master's does. An amendment that was found too late is not sent,
        which must be reported."""
        for copy in copies:
            if entry.ended is not None and copy["status"] == "OPEN":
                self.say(f"{name}: the master cancelled {entry.order}, the copy works on")
            elif entry.ended is None and copy["status"] == "OPEN" and copy["price"] != entry.price:
                if "STALE_EVENT" in self.reports.get((entry.order, login), ()):
                    self.figures["late amendments reported"] += 1
                    continue
                self.say(f"{name}: the copy of {entry.order} works at {copy['price']}, the master's at {entry.price}")

    def positions(self, login):
        """Exits are never too old: where the master is flat, so is the follower, and nothing was sold twice."""
        for name in TRIPS:
            rows = [r for r in self.rows if r["account"] == login and r["symbol"] == f"{name}-EQ"]
            bought = sum(r["filled"] for r in rows if r["side"] == "BUY")
            sold = sum(r["filled"] for r in rows if r["side"] == "SELL")
            self.figures["exits made good"] += sold > 0
            if bought != sold:
                self.say(f"{login} holds {bought - sold} of {name}-EQ and the master nothing")

    def run(self):
        seen = set()
        for row in self.rows:
            if row["tag"] in seen or len(row["tag"]) != 19:
                self.say(f"{row['account']}: the tag {row['tag']!r} is not ours or there twice")
            seen.add(row["tag"])
        by_key = {}
        for row in self.rows:
            if row["side"] == "BUY":
                by_key.setdefault((row["account"], row["symbol"], row["asked_quantity"]), []).append(row)
        for entry in self.day.entries:
            self.figures["entries"] += 1
            for follower in self.world.followers:
                login, ratio = follower["account"], int(follower["ratio"])
                copies = by_key.pop((login, entry.symbol, entry.quantity * ratio), [])
                self.entry(entry, login, ratio, copies)
                if entry.limit:
                    self.working(entry, login, f"{login}, {entry.symbol}", copies)
        for (login, symbol, quantity), rows in by_key.items():
            self.say(f"{login}: {len(rows)} orders for {quantity} of {symbol} that nobody asked for")
        for follower in self.world.followers:
            self.positions(follower["account"])
        return self.problems
