"""./lockstep.sh demo: a master's orders, placed at the broker's terminal, become followers' orders.

Starts the simulated broker, the ingest process that hears the master's orders there (through the broker's order socket;
with --poll from its order book), and the engine; plays a short day (buy, amend, cancel, buy, sell); prints a table per
master order; and judges the broker's own book against tests/e2e/expected.py. Exit 0 only if the book holds exactly what
should be there.
"""
import argparse
import json
import os
import sys
import tempfile
import time
from fractions import Fraction as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import expected  # noqa: E402
from world import BROKER_PRODUCTS, World, WorldError, text_of, wait_for  # noqa: E402

SYMBOLS = [("NSE", "RELIANCE-EQ"), ("NSE", "SBIN-EQ"), ("NFO", r"NIFTY\d\d[A-Z]{3}\d\dF$")]
FUNDS = 10_000_000

# Ten kinds of followers: ratios, caps and filters. More followers repeat them.
PROFILES = [
    {"mode": "FIXED_RATIO", "ratio": "1"},
    {"mode": "FIXED_RATIO", "ratio": "0.5"},
    {"mode": "FIXED_RATIO", "ratio": "2", "max_quantity": 150},
    {"mode": "FIXED_QUANTITY", "quantity": "7"},
    {"mode": "PERCENTAGE", "percent": "5"},
    {"mode": "FIXED_RATIO", "ratio": "0.1"},
    {"mode": "FIXED_RATIO", "ratio": "0.2", "max_order_value": 500000},
    {"mode": "FIXED_RATIO", "ratio": "1", "allowed_instruments": ["SBIN-EQ"]},
    {"mode": "FIXED_RATIO", "ratio": "1", "allowed_products": ["CNC"]},
    {"mode": "FIXED_RATIO", "ratio": "0.29"},
]


def say(text=""):
    print(text, flush=True)


class Step:
    def __init__(self, title):
        self.title, self.started = title, time.monotonic()
        print(f"  {title} ...", end="", file=sys.stderr, flush=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        print(f" {'failed' if kind else 'done'} ({time.monotonic() - self.started:.1f} s)", file=sys.stderr, flush=True)


def address_of(number):
    """A loopback address of its own for each account: 127.10.0.1 and up."""
    return f"127.10.{number // 250}.{number % 250 + 1}"


def make_world(world, follower_count):
    world.make_market(SYMBOLS)
    world.add_account("M0001", ["master"], funds=str(FUNDS), name="master")
    for number in range(1, follower_count + 1):
        login = f"F{number:04}"
        address = address_of(number) if world.lanes == "own" else None
        world.add_account(login, ["follower"], address=address, funds=str(FUNDS))
        world.follow(login, "M0001", **PROFILES[(number - 1) % len(PROFILES)])


class Day:
    """Plays the day and remembers what each follower's book must hold."""

    def __init__(self, world, table):
        self.world, self.table = world, table
        self.wanted = {f["account"]: [] for f in world.followers}  # rows in the order of placing
        self.problems = []

    def last_price(self, symbol):
        rows = self.world.admin("GET", f"/sim/price?symbol={symbol}")["prices"]
        return F(str(rows[0]["price"]))

    def wave_done(self, wave):
        """The wave of a number, when nothing of it is open any more."""
        rows = [w for w in self.world.orders() if w["wave"] == wave]
        if not rows or len(rows[0]["copies"]) < rows[0]["followers"]:
            return None
        return rows[0] if all(c["state"] not in ("SENDING", "QUEUED", "WAIT") for c in rows[0]["copies"]) else None

    def play(self, number, title, act, fills=False):
        """One act of the master at the terminal, and the wave that it starts."""
        say(f"\n{number}. The master, at the broker's terminal: {title}")
        result = act()
        wave = wait_for(f"the copies of '{title}'", lambda: self.wave_done(number), 60, 0.05)
        if fills:
            placed = [c["tag"] for c in wave["copies"] if c["kind"].startswith("place")]
            wait_for("the followers' fills", lambda: self.filled(number, placed), 120, 0.2)
        if self.table:
            say(self.world.ctl("orders", "--wave", str(number)).stdout.rstrip())
        say("  " + wait_for("the engine's count of it", lambda: self.count_line(number), 20, 0.05))
        say("  " + self.came_by(number))
        return result

    def came_by(self, wave):
        """How the master's order reached the engine, by what the journal has of it: a frame of the socket has no lag;
        a book's row is at most so much older than its reading."""
        for line in self.world.ctl("journal", "ls", "--json", "--type", "event").stdout.splitlines():
            event = json.loads(line)
            if event.get("wave") == wave:
                if event["feed_lag_ns"] == 0:
                    return "it came by the broker's order socket"
                return f"it came with a reading of the order book, at most {event['feed_lag_ns'] / 1e6:.0f} ms old"
        return "the journal has no event of it"

    def count_line(self, number):
        """What the engine says of the day's order of a number: one line each, in their order."""
        with open(self.world.processes["engine"].log, errors="replace") as log:
            lines = [line[line.index("Replication:"):].rstrip() for line in log if "Replication:" in line]
        return lines[number - 1] if len(lines) >= number else None

    def filled(self, wave, tags):
        rows = [w for w in self.world.orders() if w["wave"] == wave]
        return rows and all(c["state"] == "FILLED" for c in rows[0]["copies"] if c["tag"] in tags)

    def expect_entry(self, symbol, side, qty, type_, price, product):
        """What an opening order must become in each follower's book."""
        instrument, last = self.world.instrument(symbol), self.last_price(symbol)
        order = {"side": side, "qty": qty, "type": type_, "price": price, "product": product}
        for follower in self.world.followers:
            quantity, reason = expected.entry(follower, instrument, order, last, FUNDS)
            if reason:
                continue
            limit = expected.protected_price(side, last, instrument["tick"]) if type_ == "MARKET" else F(price)
            self.wanted[follower["account"]].append({
                "symbol": symbol, "side": side, "quantity": quantity, "price": limit, "type": "LIMIT",
                "product": product, "status": "COMPLETE" if type_ == "MARKET" else "OPEN",
                "filled": quantity if type_ == "MARKET" else F(0), "open": True})

    def expect_amend(self, symbol, side, qty, price, product):
        instrument, last = self.world.instrument(symbol), self.last_price(symbol)
        for follower in self.world.followers:
            for row in self.wanted[follower["account"]]:
                if row["open"] and row["status"] == "OPEN" and row["symbol"] == symbol:
                    row["quantity"], _ = expected.entry(
                        follower, instrument,
                        {"side": side, "qty": qty, "type": "LIMIT", "price": price, "product": product}, last, FUNDS)
                    row["price"] = F(price)

    def expect_cancel(self, symbol):
        for rows in self.wanted.values():
            for row in rows:
                if row["status"] == "OPEN" and row["symbol"] == symbol:
                    row["status"] = "CANCELLED"

    def expect_close(self, symbol, before, reduction, product):
        instrument, last = self.world.instrument(symbol), self.last_price(symbol)
        for follower in self.world.followers:
            rows = self.wanted[follower["account"]]
            held = sum(r["filled"] * (1 if r["side"] == "BUY" else -1) for r in rows if r["symbol"] == symbol)
            quantity = expected.close(held, before, reduction, instrument["lot"])
            if quantity:
                rows.append({"symbol": symbol, "side": "SELL", "quantity": quantity,
                             "price": expected.protected_price("SELL", last, instrument["tick"]), "type": "LIMIT",
                             "product": product, "status": "COMPLETE", "filled": quantity, "open": True})

    def judge(self):
        """Compares the broker's book with what should be there; returns the number of orders compared."""
        book, compared, tags = {}, 0, set()
        for row in self.world.book():
            book.setdefault(row["account"], []).append(row)
            if row["tag"] in tags or len(row["tag"]) != 19:
                self.problems.append(f"{row['account']}: tag {row['tag']!r} is not unique and ours")
            tags.add(row["tag"])
        for account, wanted in self.wanted.items():
            rows = book.pop(account, [])
            if len(rows) != len(wanted):
                self.problems.append(f"{account}: {len(rows)} orders in the book, {len(wanted)} wanted")
            for row, want in zip(rows, wanted):
                compared += 1
                for key in ("symbol", "side", "quantity", "price", "type", "product", "status", "filled"):
                    got, need = row[key], want[key]
                    if key == "product":
                        need = BROKER_PRODUCTS[need]
                    if (F(str(got)) if isinstance(need, F) else got) != need:
                        shown = text_of(need) if isinstance(need, F) else need
                        self.problems.append(f"{account}, {want['side']} {want['symbol']}: {key} is {got}, "
                                             f"{shown} wanted")
        for account, rows in book.items():
            self.problems.append(f"{account}: {len(rows)} orders nobody asked for")
        return compared


def play_day(world, table=True):
    day = Day(world, table)
    reliance, sbin, nifty = (i["symbol"] for i in world.instruments)
    low = day.last_price(reliance) * F(95, 100)
    low -= low % F(world.instrument(reliance)["tick"])
    lower = low - 10
    day.expect_entry(reliance, "BUY", 100, "LIMIT", low, "MIS")
    order = day.play(1, f"BUY 100 {reliance} LIMIT {text_of(low)}",
                     lambda: world.terminal("M0001", reliance, "BUY", 100, "LIMIT", low))
    day.expect_amend(reliance, "BUY", 140, lower, "MIS")
    day.play(2, f"amend it to 140 at {text_of(lower)}",
             lambda: world.admin("POST", "/sim/terminal/modify", {
                 "account": "M0001", "broker_order_id": order, "quantity": 140, "price": text_of(lower)}))
    day.expect_cancel(reliance)
    day.play(3, "cancel it", lambda: world.admin("POST", "/sim/terminal/cancel", {
        "account": "M0001", "broker_order_id": order}))
    day.expect_entry(sbin, "BUY", 200, "MARKET", None, "MIS")
    day.play(4, f"BUY 200 {sbin} MARKET", lambda: world.terminal("M0001", sbin, "BUY", 200, "MARKET"), fills=True)
    day.expect_entry(nifty, "BUY", 130, "MARKET", None, "NRML")
    day.play(5, f"BUY 130 {nifty} MARKET (2 lots of 65)",
             lambda: world.terminal("M0001", nifty, "BUY", 130, "MARKET", product="NRML"), fills=True)
    day.expect_close(sbin, 200, 50, "MIS")
    day.play(6, f"SELL 50 {sbin} MARKET (a quarter of it)",
             lambda: world.terminal("M0001", sbin, "SELL", 50, "MARKET"), fills=True)
    day.expect_close(sbin, 150, 150, "MIS")
    day.play(7, f"SELL 150 {sbin} MARKET (the rest)",
             lambda: world.terminal("M0001", sbin, "SELL", 150, "MARKET"), fills=True)
    return day


def live(world):
    """Every order socket is logged in, every instrument has a fresh price, and the engine reads prices."""
    state = world.admin("GET", "/sim/feed")
    sockets = {c["account"] for c in state["connections"] if c["channel"] == "order"}
    # A quote says when its instrument last traded, which an idle market repeats once a second only.
    prices = json.loads(world.ctl("price", "show", "sim", "--json", check=False).stdout or "[]")
    fresh = [price for price in prices if price["age_ms"] < 2000]
    # The engine looks for a page that is new now and then; until it has it, a price is unknown to it.
    with open(f"/proc/{world.processes['engine'].child.pid}/maps") as maps:
        if "/prices." not in maps.read():
            return False
    return sockets >= {"M0001"} and state["open"]["order"] >= len(world.accounts) and len(fresh) >= len(world.instruments)


def keep_running(world, keep):
    stop = world.path("stop.sh")
    pids = [p.child.pid for p in world.processes.values()]
    with open(stop, "w") as file:
        file.write("#!/bin/sh\n# Ends what a kept demo left running.\n")
        file.write(f"kill {' '.join(map(str, pids))} 2>/dev/null\nsleep 1\nrm -rf /dev/shm/lockstep.{world.instance}\n")
    os.chmod(stop, 0o755)
    ctl = os.path.relpath(world.binary("lockstepctl"))
    flags = f"--instance {world.instance} --key {world.path('seal.key')}"
    say(f"""
Everything is still running. To look at it:
  {ctl} {flags} top
  {ctl} {flags} orders
  {ctl} {flags} why TAG
  curl -s http://127.0.0.1:{world.admin_port}/sim/orders
  curl -s -X POST http://127.0.0.1:{world.admin_port}/sim/terminal/order -d '{{"account":"M0001","symbol":"SBIN-EQ","exchange":"NSE","side":"BUY","quantity":10,"type":"MARKET"}}'
Logs are in {keep}. To stop it: sh {stop}""")


def main():
    parser = argparse.ArgumentParser(prog="./lockstep.sh demo", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin", help=argparse.SUPPRESS)
    parser.add_argument("--followers", type=int, default=10, help="number of followers, 1 to 5000 (10)")
    parser.add_argument("--lanes", choices=("own", "shared"), default="own",
                        help="a connection per account bound to its own address, or a shared pool (own)")
    parser.add_argument("--io", choices=("uring", "epoll"), default="uring", help="socket edge (uring)")
    parser.add_argument("--poll", action="store_true",
                        help="watch the order books, as for accounts without the broker's order feed")
    parser.add_argument("--keep", action="store_true", help="leave all running, print how to look at it and stop it")
    parser.add_argument("--no-table", action="store_true", help="print no table per order")
    options = parser.parse_args()
    if not 1 <= options.followers <= 5000:
        parser.error("--followers must lie between 1 and 5000")
    directory = os.path.abspath("run/demo") if options.keep else tempfile.mkdtemp(prefix="lockstep-demo-")
    if options.keep and os.path.exists(os.path.join(directory, "stop.sh")):
        os.system(f"sh {directory}/stop.sh")
    many = options.followers > 50
    try:
        world = World(options.bin, directory, lanes=options.lanes, io=options.io)
    except WorldError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    world.sim_options = {"limits": {"orders_per_second": 10, "reads_per_15_min": 0}}
    world.engine_options = {"limits": {"follower_slots": 8192, "accounts": 8192, "connections": 8192}}
    try:
        say(f"Lockstep demo: 1 master, {options.followers} followers, {options.lanes} lanes, {options.io}, "
            f"{'order books polled' if options.poll else 'live order feed'}")
        with Step("market, certificates and accounts"):
            make_world(world, options.followers)
        world.ingest_options = {} if options.poll else {
            "market_instruments": " ".join(f"{i['exchange']}:{i['symbol']}" for i in world.instruments),
            "feed_connects_per_second": 200}
        with Step("simulated broker (TLS, HTTP/2, Alice Blue v2)"):
            world.start_sim()
        with Step("snapshot of accounts, limits and instruments"):
            world.publish()
            if options.poll:
                world.keep_prices()
        with Step("engine: connections, TLS handshakes"):
            world.start_engine()
        with Step("ingest: first look at every order book"):
            world.start_ingest(interval_ms=200, follower_ms=2000 if many else 200, feed=not options.poll)
        if not options.poll:
            with Step("ingest: order sockets and market data"):
                wait_for("the order sockets and prices", lambda: live(world), 60, 0.1)
        day = play_day(world, table=not options.no_table and not many)
        compared = day.judge()
        if day.problems:
            say(f"\nThe broker's book is NOT what it should be: {len(day.problems)} differences")
            for problem in day.problems[:20]:
                say(f"  {problem}")
            say(f"Logs are in {directory}")
            return 1
        say(f"\nThe broker's book holds exactly what it should: {compared} orders of {options.followers} followers, "
            "compared one by one.")
        if options.keep:
            keep_running(world, directory)
            return 0
        bad = {name: code for name, code in world.stop().items() if code != 0}
        for name, code in bad.items():
            say(f"{name} ended with {code} when it was told to stop: {world.processes[name].tail()}")
        return 1 if bad else 0
    except WorldError as error:
        print(f"\nerror: {error}\nLogs are in {directory}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if not options.keep:
            world.stop()


if __name__ == "__main__":
    sys.exit(main())
