"""What the right copy is, end to end: a master trades at the simulated broker, and its book says what each follower did.

    semantics_test.py --bin DIR [unittest arguments]

Quantities are worked out by hand in each test, or by rationals; nothing here is read from Lockstep's own tables except
the reason of a skip, which is its promise to people.
"""
import argparse
import http.client
import json
import os
import sys
import tempfile
import time
import unittest
from fractions import Fraction as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import World, WorldError, wait_for  # noqa: E402

BINARIES = "build/release/bin"
# One symbol a test, so that no test sees another's positions.
SYMBOLS = ["RELIANCE-EQ", "SBIN-EQ", "TCS-EQ", "WIPRO-EQ", "SUNPHARMA-EQ", "TATASTEEL-EQ", "INFY-EQ", "ITC-EQ", "ACC-EQ",
           "HDFCBANK-EQ", "ICICIBANK-EQ", "LT-EQ", "AXISBANK-EQ", "MARUTI-EQ"]
QUIET_S = 0.5  # nothing more comes: several polls and a settle


def wait_prices(world):
    """Until the prices page has a value of every instrument."""
    def known():
        shown = world.ctl("price", "show", "sim", check=False).stdout
        return all(i["symbol"] in shown for i in world.instruments)
    wait_for("the prices", known, 10)


class Semantics(unittest.TestCase):
    FOLLOWERS = {
        # login: settings beside the master; each test names those it looks at
        "HALF": {"ratio": "0.5", "allow_short": True},
        "THIRD": {"ratio": "0.3", "allow_short": False},
        "EACH": {"ratio": "0.3", "copy": "fill", "on_fill": "each", "guards": {"max_slippage_pct": "1"}},
        "DONE": {"ratio": "0.3", "copy": "fill", "on_fill": "complete"},
        "INVERSE": {"ratio": "0.5", "reverse": True, "allow_short": True},
    }

    @classmethod
    def setUpClass(cls):
        cls.world = world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-semantics-"), lanes="shared", io="epoll")
        world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256,
                                           "children": 16384, "master_orders": 1024}}
        world.broker_options = {"pool_connections": 2, "pacing": False}
        world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
        try:
            world.make_market([("NSE", symbol) for symbol in SYMBOLS])
            world.add_account("MASTER", ["master"])
            for login, settings in cls.FOLLOWERS.items():
                world.add_account(login, ["follower"])
                world.follow(login, "MASTER", **settings)
            world.start_sim()
            world.publish()
            world.start_engine()
            world.keep_prices(0.2)
            wait_prices(world)
            world.start_ingest(interval_ms=30, feed=True)
        except BaseException:
            world.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        codes = cls.world.stop()
        assert all(code in (0, None) for code in codes.values()), codes

    # --- words of the tests ---------------------------------------------------------------------

    def price(self, symbol):
        return F(str(self.world.admin("GET", f"/sim/price?symbol={symbol}")["prices"][0]["price"]))

    def rests(self, symbol, side="BUY"):
        """A price at which an order of that side rests, well inside any band."""
        tick = F(str(self.world.instrument(symbol)["tick"]))
        wanted = self.price(symbol) * (F(995, 1000) if side == "BUY" else F(1005, 1000))
        return wanted / tick // 1 * tick

    def master(self, symbol, side, quantity, price=None, **more):
        return self.world.terminal("MASTER", symbol, side, quantity, "LIMIT" if price else "MARKET", price, **more)

    def fill(self, order, quantity=None, price=None):
        body = {"broker_order_id": order}
        if quantity:
            body["quantity"] = quantity
        if price:
            body["price"] = str(float(price))
        self.world.admin("POST", "/sim/fill", body)

    def orders(self, login, symbol, side=None):
        return [r for r in self.world.book(login) if r["symbol"] == symbol and side in (None, r["side"]) and
                r["status"] != "REFUSED"]

    def quantities(self, login, symbol, side=None):
        return [r["quantity"] for r in self.orders(login, symbol, side)]

    def held(self, login, symbol):
        rows = self.orders(login, symbol)
        return sum(r["filled"] * (1 if r["side"] == "BUY" else -1) for r in rows)

    def expect(self, what, login, symbol, side, quantities):
        """The follower's orders of that side become exactly these, in this order."""
        try:
            wait_for(what, lambda: self.quantities(login, symbol, side) == quantities, 8)
        except WorldError:
            self.fail(f"{what}: {login} {side} is {self.quantities(login, symbol, side)}, should be {quantities}; "
                      f"all: {[(r['side'], r['quantity'], r['filled'], r['status']) for r in self.orders(login, symbol)]}")

    def stays(self, what, login, symbol, side, quantities):
        time.sleep(QUIET_S)
        self.assertEqual(self.quantities(login, symbol, side), quantities, what)

    def faults(self, *rules):
        """The simulator's rules until the test ends."""
        self.world.admin("POST", "/sim/faults", {"rules": list(rules)})
        self.addCleanup(self.world.admin, "POST", "/sim/faults", {"rules": []})

    def fired(self, kind):
        return self.world.admin("GET", "/sim/stats")["faults_fired"].get(kind, 0)

    def working(self, login, symbol):
        return [r for r in self.orders(login, symbol) if r["status"] in ("OPEN", "OPEN PENDING", "TRIGGER PENDING")]

    def set_follower(self, login, **settings):
        """Publishes; the verb returns when the engine has adopted it."""
        for row in self.world.followers:
            if row["account"] == login:
                row.update(settings)
        self.world.publish("--override")

    def reasons(self, order, login):
        return [c.get("reason") for wave in self.world.orders() if wave["order"] == order
                for c in wave["copies"] if c["login"] == login]

    def bought(self, symbol, quantity=100):
        """The master buys at the market and everyone has its copy."""
        self.master(symbol, "BUY", quantity)
        wait_for("the copies' fills", lambda: self.held("HALF", symbol) == quantity // 2, 8)

    # --- entries, fills, exits --------------------------------------------------------------------

    def test_entries_and_partial_fills(self):
        """One resting order is filled in four parts: 10, 20, 30, 40 of 100."""
        symbol = "RELIANCE-EQ"
        price = self.rests(symbol)
        order = self.master(symbol, "BUY", 100, price)
        self.expect("pending copied as pending", "HALF", symbol, "BUY", [50])
        for part, total in ((10, 3), (20, 9), (30, 18), (40, 30)):
            self.fill(order, part)
            wait_for(f"EACH holds {total}", lambda t=total: sum(self.quantities("EACH", symbol, "BUY")) == t, 8)
        self.expect("each fill is followed by the difference", "EACH", symbol, "BUY", [3, 6, 9, 12])
        self.expect("the whole order is followed once", "DONE", symbol, "BUY", [30])
        for row in self.orders("EACH", symbol, "BUY"):
            self.assertEqual((row["type"], row["validity"]), ("LIMIT", "IOC"), row)
            self.assertLessEqual(F(str(row["price"])), price * F(101, 100))
        self.stays("nothing is copied twice", "HALF", symbol, "BUY", [50])
        self.assertEqual(self.quantities("INVERSE", symbol, "SELL"), [50])

    def test_scale_in(self):
        symbol = "SBIN-EQ"
        for number, quantity in enumerate((100, 51, 7), start=1):
            self.master(symbol, "BUY", quantity)
            wait_for(f"copy {number}", lambda n=number: len(self.quantities("HALF", symbol, "BUY")) == n, 8)
        self.expect("each increment by the ratio", "HALF", symbol, "BUY", [50, 25, 3])
        self.expect("each increment by the ratio", "THIRD", symbol, "BUY", [30, 15, 2])
        time.sleep(0.3)  # the last fills are known
        self.master(symbol, "SELL", 158)
        self.expect("the master is flat", "HALF", symbol, "SELL", [78])
        self.expect("the master is flat", "THIRD", symbol, "SELL", [47])

    def test_exits_in_seven_pieces_and_a_last_big_one(self):
        """THIRD holds 3 of the master's 10: cumulative floor(3 n / 10) gives 0 0 0 1 0 0 1, and the last closes all."""
        symbol = "TCS-EQ"
        self.bought(symbol, 10)
        self.expect("the entry", "THIRD", symbol, "BUY", [3])
        wait_for("its fill", lambda: self.held("THIRD", symbol) == 3, 8)
        for part in (1, 1, 1, 1, 1, 1, 1, 3):
            self.master(symbol, "SELL", part)
            time.sleep(0.15)
        self.expect("the pieces", "THIRD", symbol, "SELL", [1, 1, 1])
        self.expect("half of ten", "HALF", symbol, "SELL", [1, 1, 1, 2])
        wait_for("flat", lambda: self.held("THIRD", symbol) == 0 and self.held("HALF", symbol) == 0, 8)

    def test_reversal(self):
        symbol = "WIPRO-EQ"
        self.bought(symbol)
        wait_for("all fills", lambda: self.held("THIRD", symbol) == 30 and self.held("INVERSE", symbol) == -50, 8)
        self.master(symbol, "SELL", 150)
        self.expect("close, then open", "HALF", symbol, "SELL", [50, 25])
        self.expect("no shorts here: the close only", "THIRD", symbol, "SELL", [30])
        self.expect("the mirror closes and opens too", "INVERSE", symbol, "BUY", [50, 25])
        self.stays("the close only", "THIRD", symbol, "SELL", [30])
        close, opening = self.orders("HALF", symbol, "SELL")
        self.assertLess(close["arrival_mono_ns"], opening["arrival_mono_ns"])
        wait_for("positions", lambda: self.held("HALF", symbol) == -25 and self.held("THIRD", symbol) == 0 and
                 self.held("INVERSE", symbol) == 25, 8)
        self.master(symbol, "BUY", 50)
        wait_for("flat", lambda: self.held("HALF", symbol) == 0 and self.held("INVERSE", symbol) == 0, 8)

    def test_pause_and_resume(self):
        symbol = "SUNPHARMA-EQ"
        self.bought(symbol)
        self.set_follower("HALF", paused=True)
        entry = self.master(symbol, "BUY", 40)
        wait_for("the entry of the others", lambda: len(self.quantities("THIRD", symbol, "BUY")) == 2, 8)
        self.stays("paused: no entry", "HALF", symbol, "BUY", [50])
        self.assertIn("COPY_PAUSED", self.reasons(entry, "HALF"))
        self.master(symbol, "SELL", 70)  # half of the master's 140
        self.expect("paused: the exit passes", "HALF", symbol, "SELL", [25])
        self.set_follower("HALF", paused=False)
        self.stays("what was missed is not replayed", "HALF", symbol, "BUY", [50])
        self.master(symbol, "BUY", 20)
        self.expect("resumed", "HALF", symbol, "BUY", [50, 10])
        wait_for("its fill", lambda: self.held("HALF", symbol) == 35, 8)
        time.sleep(0.3)  # it is known
        self.master(symbol, "SELL", 90)
        self.expect("flat with the master", "HALF", symbol, "SELL", [25, 35])

    def test_ratio_changed_between_entry_and_exit(self):
        symbol = "TATASTEEL-EQ"
        self.bought(symbol)
        self.set_follower("HALF", ratio="1")
        try:
            self.master(symbol, "SELL", 50)
            self.expect("the fraction of what is held", "HALF", symbol, "SELL", [25])
            self.master(symbol, "SELL", 50)
            self.expect("the rest", "HALF", symbol, "SELL", [25, 25])
        finally:
            self.set_follower("HALF", ratio="0.5")

    def test_follower_who_sold_part_by_hand(self):
        symbol = "HDFCBANK-EQ"
        self.bought(symbol)
        self.world.terminal("HALF", symbol, "SELL", 20, "MARKET")
        time.sleep(0.3)  # its account's book was read
        self.master(symbol, "SELL", 100)
        self.expect("what is left", "HALF", symbol, "SELL", [30])
        wait_for("THIRD is flat", lambda: self.held("THIRD", symbol) == 0, 8)

    # --- orders that change -----------------------------------------------------------------------

    def test_25_amendments_in_200_ms(self):
        """A modify is answered after 100 ms: meanwhile only the newest terms wait, so there are far fewer calls than
        amendments; the last terms are reached."""
        symbol, answer_ms = "INFY-EQ", 100
        price = self.rests(symbol)
        order = self.master(symbol, "BUY", 200, price)
        self.expect("pending", "HALF", symbol, "BUY", [100])
        for login in ("HALF", "THIRD"):
            wait_for("its answer", lambda who=login: self.working(who, symbol), 8)
        self.faults({"match": {"path": "modify"}, "action": {"kind": "delay", "delay_ms": answer_ms}})
        connection = http.client.HTTPConnection("127.0.0.1", self.world.admin_port, timeout=10)
        started = time.monotonic()
        for number in range(1, 26):
            connection.request("POST", "/sim/terminal/modify", json.dumps(
                {"account": "MASTER", "broker_order_id": order, "quantity": 200 + 4 * number}),
                {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            self.assertEqual(answer.status, 200, body)
            time.sleep(max(0, started + number * 0.008 - time.monotonic()))
        took = time.monotonic() - started
        connection.close()
        self.assertLess(took, 0.6)
        wait_for("the last terms", lambda: self.quantities("HALF", symbol, "BUY") == [150] and
                 self.quantities("THIRD", symbol, "BUY") == [90], 8)
        time.sleep(QUIET_S)  # a call too many would be here
        seen = [json.loads(line) for line in self.world.ctl("journal", "export", "--type", "event").stdout.splitlines()]
        seen = sum(1 for fact in seen if fact["order_id"] == order and fact["transition"] == "amended")
        # The first leaves at once, then one with each answer: without joining there would be as many as were seen.
        most = int(took * 1000 / answer_ms) + 2
        self.assertGreater(seen, 2 * most, "the master's amendments came joined already; nothing was tested")
        for login in ("HALF", "THIRD"):
            calls = self.orders(login, symbol, "BUY")[0]["modifies"]
            self.assertTrue(1 <= calls <= most, f"{login}: {calls} calls, at most {most} should be")
        print(f"25 amendments in {took * 1000:.0f} ms: {seen} seen, {calls} calls a follower", file=sys.stderr)
        self.world.admin("POST", "/sim/terminal/cancel", {"account": "MASTER", "broker_order_id": order})
        wait_for("cancelled", lambda: not self.working("HALF", symbol) and not self.working("THIRD", symbol), 8)

    def test_cancel_racing_a_fill(self):
        """The copy fills while the master's cancel is on its way to it: what is filled stays, nothing is placed again."""
        symbol = "ITC-EQ"
        order = self.master(symbol, "BUY", 100, self.rests(symbol))
        self.expect("pending", "HALF", symbol, "BUY", [50])
        wait_for("its answer", lambda: self.working("HALF", symbol), 8)
        child = self.orders("HALF", symbol, "BUY")[0]["broker_order_id"]
        before = self.fired("late_accept")
        self.faults({"match": {"account": "HALF", "path": "cancel"},
                     "action": {"kind": "late_accept", "delay_ms": 600, "answer": True}})
        self.world.admin("POST", "/sim/terminal/cancel", {"account": "MASTER", "broker_order_id": order})
        wait_for("the others' cancels", lambda: not self.working("THIRD", symbol), 8)
        wait_for("HALF's cancel is on its way", lambda: self.fired("late_accept") > before, 8)
        self.fill(child)
        wait_for("the refused cancel", lambda: any(
            r["kind"] == "CANCEL" and r["broker_order_id"] == child and r["refusal"] for r in
            self.world.admin("GET", "/sim/requests?account=HALF")["requests"]), 8)
        self.stays("no second order", "HALF", symbol, None, [50])
        self.assertEqual(self.held("HALF", symbol), 50)
        copy = [c for wave in self.world.orders() if wave["order"] == order for c in wave["copies"]
                if c["login"] == "HALF"]
        self.assertEqual([(c["kind"], c["state"], c["filled"]) for c in copy],
                         [("place", "FILLED", 50), ("cancel", "FILLED", 50)])
        # A held copy of an order that its master never filled: the tag's history says how that came.
        why = self.world.ctl("why", copy[0]["tag"]).stdout
        self.assertIn("FILLED, filled 50 of 50", why)
        self.assertIn("CANCEL REJECTED", why)

    def test_exit_while_the_entry_works(self):
        """The master fills and sells while HALF has 20 of 50: the rest is cancelled, 20 are sold, a late fill too."""
        symbol = "ACC-EQ"
        order = self.master(symbol, "BUY", 100, self.rests(symbol))
        self.expect("pending", "HALF", symbol, "BUY", [50])
        self.fill(order)
        child = self.orders("HALF", symbol, "BUY")[0]
        self.fill(child["broker_order_id"], 20)
        time.sleep(0.2)
        self.master(symbol, "SELL", 100)
        wait_for("the rest of the entry is cancelled", lambda: not self.working("HALF", symbol), 8)
        wait_for("flat", lambda: self.held("HALF", symbol) == 0, 8)
        self.assertEqual(sum(self.quantities("HALF", symbol, "SELL")), 20)
        self.assertEqual(sum(self.quantities("THIRD", symbol, "SELL")), 0)
        wait_for("THIRD's entry is cancelled", lambda: not self.working("THIRD", symbol), 8)

    def test_stop_follows_as_a_close(self):
        """A stop of the master below its position is a close: sized from what is held, and it follows amendments."""
        symbol = "ICICIBANK-EQ"
        self.bought(symbol)
        price = self.rests(symbol)
        order = self.world.terminal("MASTER", symbol, "SELL", 100, "SL", price - 2, trigger=price)
        self.expect("the stop", "HALF", symbol, "SELL", [50])
        row = self.orders("HALF", symbol, "SELL")[0]
        self.assertEqual((row["status"], F(str(row["trigger"]))), ("TRIGGER PENDING", price))
        self.world.admin("POST", "/sim/terminal/modify", {"account": "MASTER", "broker_order_id": order,
                                                          "trigger": str(float(price - 1)), "price": str(float(price - 3))})
        wait_for("the trigger follows", lambda: F(str(self.orders("HALF", symbol, "SELL")[0]["trigger"])) == price - 1, 8)
        self.world.admin("POST", "/sim/terminal/cancel", {"account": "MASTER", "broker_order_id": order})
        wait_for("cancelled", lambda: not self.working("HALF", symbol), 8)
        self.master(symbol, "SELL", 100)
        wait_for("flat", lambda: self.held("HALF", symbol) == 0, 8)


class Slices(unittest.TestCase):
    """A NIFTY exit of 3,640 with a freeze quantity of 1,800 at two orders a second."""

    def test_exit_in_slices(self):
        world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-slices-"), lanes="shared", io="epoll")
        world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256,
                                           "children": 16384, "master_orders": 1024}}
        # The engine keeps one below what the row says.
        world.broker_options = {"pool_connections": 2, "orders_per_second": 3}
        world.sim_options = {"limits": {"orders_per_second": 3, "reads_per_15_min": 0}}
        try:
            world.make_market([("NFO", r"NIFTY\d+[A-Z]{3}\d+F$")])
            future = world.instruments[0]
            self.assertEqual(future["lot"], 65)
            future["freeze"] = 1800
            world.add_account("MASTER", ["master"], funds="9000000000")
            world.add_account("ONE", ["follower"], funds="9000000000")
            world.follow("ONE", "MASTER", ratio="1", max_age_market_ms=20000)
            world.start_sim()
            world.publish()
            world.start_engine()
            world.keep_prices(0.2)
            wait_prices(world)
            world.start_ingest(interval_ms=50)
            symbol = future["symbol"]

            def of(side):
                return [r for r in world.book("ONE") if r["side"] == side and r["status"] != "REFUSED"]
            for quantity in (1755, 1755, 130):
                world.terminal("MASTER", symbol, "BUY", quantity, "MARKET", product="NRML")
                time.sleep(0.6)
            wait_for("the entry", lambda: sum(r["filled"] for r in of("BUY")) == 3640, 20)
            time.sleep(1.2)
            for quantity in (1755, 1755, 130):
                world.terminal("MASTER", symbol, "SELL", quantity, "MARKET", product="NRML")
            wait_for("flat", lambda: sum(r["filled"] for r in of("SELL")) == 3640, 20)
            self.assertTrue(all(r["quantity"] <= 1755 and r["quantity"] % 65 == 0 for r in of("SELL")), of("SELL"))
            # One entry above the freeze quantity, sliced; its exit in one event as well.
            before = len(of("BUY"))
            self.assertEqual(world.admin("GET", "/sim/stats").get("limit_breaches", 0), 0)
            self.assertGreaterEqual(before, 3)
            refused = [r for r in world.book("ONE") if r["status"] in ("REFUSED", "REJECTED")]
            self.assertEqual(refused, [])
        finally:
            world.stop()


class Maps(unittest.TestCase):
    """A master in the NIFTY future, a follower who trades the BANKNIFTY future in its place: another lot and price."""

    def test_master_in_one_future_follower_in_another(self):
        world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-maps-"), lanes="shared", io="epoll")
        world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256,
                                           "children": 16384, "master_orders": 1024}}
        world.broker_options = {"pool_connections": 2, "pacing": False}
        world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
        try:
            world.make_market([("NFO", r"NIFTY\d+[A-Z]{3}\d+F$"), ("NFO", r"BANKNIFTY\d+[A-Z]{3}\d+F$")])
            source, target = world.instruments
            lot, target["freeze"] = target["lot"], 600
            self.assertEqual(source["lot"], 65)
            self.assertNotEqual(lot, 65)
            for login in ("MASTER", "SAME", "OTHER"):
                world.add_account(login, ["master"] if login == "MASTER" else ["follower"], funds="9000000000")
            world.follow("SAME", "MASTER", ratio="1", allow_short=True)
            world.follow("OTHER", "MASTER", ratio="1", allow_short=True, symbol_map="banks")
            maps = {"banks": {f"NFO:{source['symbol']}": {"to": f"NFO:{target['symbol']}", "factor": 0.5}}}
            world.start_sim()
            world.publish(symbol_maps=maps)
            world.start_engine()
            world.keep_prices(0.2)
            wait_prices(world)
            world.start_ingest(interval_ms=30)

            def rows(login, side=None):
                return [r for r in world.book(login) if side in (None, r["side"]) and r["status"] != "REFUSED"]

            def quantities(login, side):
                return [r["quantity"] for r in rows(login, side)]

            def held(login):
                return sum(r["filled"] * (1 if r["side"] == "BUY" else -1) for r in rows(login))

            def lots(quantity):
                return int(quantity // lot * lot)
            world.terminal("MASTER", source["symbol"], "BUY", 1300, "MARKET", product="NRML")
            opened = lots(F(1300, 2))
            wait_for("the copies", lambda: held("SAME") == 1300 and held("OTHER") == opened, 8)
            self.assertEqual(quantities("OTHER", "BUY"), [600, opened - 600])  # its own freeze quantity
            row = rows("OTHER", "BUY")[0]
            self.assertEqual(row["symbol"], target["symbol"])
            price = F(str(world.admin("GET", f"/sim/price?symbol={target['symbol']}")["prices"][0]["price"]))
            self.assertLess(abs(F(str(row["price"])) / price - 1), F(1, 10), row)  # protected at its own price
            time.sleep(0.3)  # the last fills are known
            world.terminal("MASTER", source["symbol"], "SELL", 455, "MARKET", product="NRML")
            first = lots(F(opened * 455, 1300))
            wait_for("a part is closed", lambda: quantities("OTHER", "SELL") == [first], 8)
            wait_for("its fill", lambda: held("OTHER") == opened - first, 8)
            time.sleep(0.3)
            # The map goes: what is held stays in its contract, and nothing new opens there.
            world.followers[1].pop("symbol_map")
            world.publish("--override")
            world.terminal("MASTER", source["symbol"], "SELL", 845 + 130, "MARKET", product="NRML")
            wait_for("flat, and turned round in the master's own contract", lambda: held("SAME") == -130 and
                     [(r["symbol"], r["quantity"]) for r in rows("OTHER", "SELL")] ==
                     [(target["symbol"], first), (target["symbol"], opened - first), (source["symbol"], 130)], 8)
            world.terminal("MASTER", source["symbol"], "BUY", 130, "MARKET", product="NRML")
            for symbol in (source["symbol"], target["symbol"]):
                wait_for("flat", lambda s=symbol: sum(r["filled"] * (1 if r["side"] == "BUY" else -1)
                                                      for r in rows("OTHER") if r["symbol"] == s) == 0, 8)
            wait_for("flat", lambda: held("SAME") == 0, 8)
        finally:
            world.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=BINARIES)
    options, rest = parser.parse_known_args()
    BINARIES = options.bin
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
