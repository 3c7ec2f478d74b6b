"""A master's order that carries a stop and a target, end to end: the simulated broker's book says what stands for the
follower after its own fill (E31), and that one leg takes the other with it (E32).

    bracket_test.py --bin DIR
"""
import argparse
import json
import os
import sys
import tempfile
import time
import unittest
from fractions import Fraction as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import World, wait_for  # noqa: E402

BINARIES = "build/release/bin"
SYMBOL = "RELIANCE-EQ"


class Bracket(unittest.TestCase):
    def setUp(self):
        self.world = world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-bracket-"), lanes="shared", io="epoll")
        world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256,
                                           "children": 16384, "master_orders": 1024}}
        world.broker_options = {"pool_connections": 2}
        try:
            world.make_market([("NSE", SYMBOL)])
            world.add_account("M0001", ["master"])
            world.add_account("F0001", ["follower"])
            world.follow("F0001", "M0001", ratio="0.5")
            world.start_sim()
            world.publish()
            world.start_engine()
            # Only the follower's states are read from the broker: the master's come as lines.
            world.start_ingest(interval_ms=50)
        except BaseException:
            world.stop()
            raise

    def tearDown(self):
        codes = self.world.stop()
        assert all(code == 0 for code in codes.values()), codes

    def rows(self, side):
        return [r for r in self.world.book("F0001") if r["side"] == side and r["status"] != "REFUSED"]

    def say(self, **order):
        """One state of the master's order, as a line."""
        line = json.dumps({"account": "M0001", "exchange": "NSE", "symbol": SYMBOL, "product": "MIS", **order}) + "\n"
        self.world.run("lockstep-ingest", "--instance", self.world.instance, "--key", self.world.path("seal.key"),
                       "ndjson", "-", stdin=line)

    def fill(self, row, quantity, price):
        self.world.admin("POST", "/sim/fill", {"broker_order_id": row["broker_order_id"], "quantity": quantity,
                                               "price": str(price)})

    def legs(self):
        """Working sells: (type, quantity, price, trigger), the stop first."""
        working = [r for r in self.rows("SELL") if r["status"] in ("OPEN", "TRIGGER PENDING")]
        return sorted((float(r.get("trigger") or 0), r["quantity"], float(r.get("price") or 0)) for r in working)[::-1]

    def test_legs_stand_on_the_own_fill_and_take_each_other(self):
        self.world.admin("POST", "/sim/price", {"exchange": "NSE", "symbol": SYMBOL, "price": 505})
        entry = {"broker_order_id": "T1", "side": "BUY", "type": "LIMIT", "qty": 100, "price": 500, "stop": 490,
                 "target": 520}
        self.say(status="OPEN", **entry)
        wait_for("the copy", lambda: [r["quantity"] for r in self.rows("BUY")] == [50], 8)
        self.fill(self.rows("BUY")[0], 50, 502)
        wait_for("both legs", lambda: len(self.legs()) == 2, 8)  # E31
        stop, target = self.legs()
        tick = F(str(self.world.instrument(SYMBOL)["tick"]))
        below, near = F("491.96") // tick * tick, (F("522.08") / tick + F(1, 2)) // 1 * tick
        self.assertEqual((stop[:2], target[1:]), ((float(below), 50), (50, float(near))), self.rows("SELL"))
        # E32: the target fills, the stop goes, and nothing else is sent.
        row = next(r for r in self.rows("SELL") if float(r.get("trigger") or 0) == 0)
        self.fill(row, 50, float(near))
        wait_for("the stop to go", lambda: self.legs() == [], 8)
        self.assertEqual(sum(r["filled"] for r in self.rows("SELL")), 50)
        self.assertEqual(len(self.rows("SELL")), 2, self.rows("SELL"))

    def test_legs_survive_a_killed_engine(self):
        """kill -9 while both legs work: nothing is sent twice, and they still take each other."""
        self.world.admin("POST", "/sim/price", {"exchange": "NSE", "symbol": SYMBOL, "price": 505})
        self.say(broker_order_id="T2", side="BUY", type="LIMIT", qty=100, price=500, stop=490, target=520, status="OPEN")
        wait_for("the copy", lambda: [r["quantity"] for r in self.rows("BUY")] == [50], 8)
        self.fill(self.rows("BUY")[0], 50, 502)
        wait_for("both legs", lambda: len(self.legs()) == 2, 8)
        legs = self.legs()
        engine = self.world.processes["engine"]
        engine.kill()
        engine.child.wait()
        self.world.start_engine()
        time.sleep(1.0)
        self.assertEqual(self.legs(), legs)
        self.assertEqual(len(self.rows("SELL")), 2, self.rows("SELL"))
        row = next(r for r in self.rows("SELL") if float(r.get("trigger") or 0) == 0)
        self.fill(row, 50, row["price"])
        wait_for("the stop to go", lambda: self.legs() == [], 10)
        self.assertEqual(sum(r["filled"] for r in self.rows("SELL")), 50)
        self.assertEqual((len(self.rows("BUY")), len(self.rows("SELL"))), (1, 2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=BINARIES)
    options, rest = parser.parse_known_args()
    BINARIES = options.bin
    unittest.main(argv=[sys.argv[0], *rest])
