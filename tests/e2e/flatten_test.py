"""Copied positions that are closed though no order of the master says so; the verdict is the simulated broker's book: a
money limit that was reached, a subscription that ended, a person's word, and an engine killed in the middle.

    flatten_test.py --bin DIR
"""
import argparse
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, wait_for  # noqa: E402

BINARIES = "build/release/bin"
SYMBOL, OTHER = "RELIANCE-EQ", "SBIN-EQ"


class Flatten(unittest.TestCase):
    def setUp(self):
        self.world = world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-flatten-"), lanes="shared", io="epoll")
        world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256,
                                           "children": 16384, "master_orders": 1024}}
        world.broker_options = {"pool_connections": 2}
        try:
            world.make_market([("NSE", SYMBOL), ("NSE", OTHER)])
            world.add_account("M0001", ["master"])
            for number in (1, 2, 3):
                world.add_account(f"F{number:04}", ["follower"])
            world.follow("F0001", "M0001", ratio="1")
            world.follow("F0002", "M0001", ratio="2", limits={"max_daily_loss": 1000, "on_breach": "flatten"})
            world.follow("F0003", "M0001", ratio="3")
            world.start_sim()
            world.publish()
            world.start_engine()
            world.start_ingest(interval_ms=50)
        except BaseException:
            world.stop()
            raise

    def tearDown(self):
        codes = self.world.stop()
        assert all(code == 0 for code in codes.values()), codes

    def ctl(self, *arguments, code=0, says=""):
        result = self.world.ctl(*arguments, check=False)
        text = result.stdout + result.stderr
        self.assertEqual(result.returncode, code, f"{arguments}: {text}")
        self.assertIn(says, text, arguments)
        return result.stdout

    def price(self, symbol, price):
        self.world.admin("POST", "/sim/price", {"exchange": "NSE", "symbol": symbol, "price": price})
        self.ctl("price", "set", "sim", symbol, str(price))

    def rows(self, login, side=None):
        return [r for r in self.world.book() if r["account"] == login and side in (None, r["side"])]

    def held(self, login, symbol=SYMBOL):
        return sum(int(float(r["filled"])) * (1 if r["side"] == "BUY" else -1)
                   for r in self.rows(login) if r["symbol"] == symbol)

    def master_buys(self, symbol=SYMBOL, quantity=10, price="1000"):
        before = [self.held(f"F000{n}", symbol) for n in (1, 2, 3)]
        self.world.terminal("M0001", symbol, "BUY", quantity, "LIMIT", price)
        wait_for("the copies", lambda: [self.held(f"F000{n}", symbol) for n in (1, 2, 3)] ==
                 [b + n * quantity for n, b in zip((1, 2, 3), before)])

    def stays(self, login, sells, seconds=1.0):
        """Nothing more is sold than these orders."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.assertEqual(len(self.rows(login, "SELL")), sells, self.rows(login))
            time.sleep(0.05)

    def test_a_limit_a_person_and_an_end_close(self):
        self.price(SYMBOL, 1000)
        self.price(OTHER, 500)
        self.master_buys()
        self.master_buys(OTHER, 4, "500")
        # F26: the loss closes the one that chose it, once, in both instruments.
        self.price(SYMBOL, 950)
        wait_for("the closes", lambda: self.held("F0002") == 0 and self.held("F0002", OTHER) == 0)
        self.assertEqual((self.held("F0001"), self.held("F0003")), (10, 30))
        self.ctl("limits", "show", "2", says="its positions are closed")
        self.stays("F0002", 2, 0.6)
        # A person, in one instrument.
        self.ctl("flatten", "1", code=2, says="--by NAME")
        self.ctl("flatten", "99", "--by", "asha", code=1, says="there is no follower 99")
        self.ctl("flatten", "1", "--by", "asha", "--instrument", "NOWHERE", code=1, says="there is no instrument")
        lsn = self.ctl("flatten", "1", "--by", "asha", "--instrument", SYMBOL, says="done, at lsn").split()[-1]
        self.assertIn("asha", self.ctl("journal", "show", lsn))
        wait_for("the close", lambda: self.held("F0001") == 0)
        self.assertEqual(self.held("F0001", OTHER), 4)
        # D29: the end of a subscription.
        self.ctl("sub", "3", "end", "--flatten", "--override")
        wait_for("the closes", lambda: self.held("F0003") == 0 and self.held("F0003", OTHER) == 0)
        # It is an act and no switch: the next entry is copied by who is not stopped.
        self.world.terminal("M0001", SYMBOL, "BUY", 2, "LIMIT", "950")
        wait_for("the copy", lambda: self.held("F0001") == 2)
        self.stays("F0001", 1, 0.3)
        self.assertEqual((self.held("F0002"), self.held("F0003")), (0, 0))
        self.stays("F0003", 2, 0.3)
        # The own orders are in the table of orders, their closes filled.
        own = [w for w in self.world.orders() if w["order"].startswith("flatten-")]
        self.assertEqual(sum(c["state"] == "FILLED" for w in own for c in w["copies"]), 5, own)

    def test_a_kill_in_the_middle_doubles_nothing(self):
        self.price(SYMBOL, 1000)
        for i in range(3):
            self.master_buys(SYMBOL, 2, "1000")
            self.ctl("flatten", "--master", "M0001", "--by", "asha", says="done, at lsn")
            if i < 2:
                time.sleep(0.002 * i)
                engine = self.world.processes["engine"]
                engine.kill()
                engine.reap()
                self.world.start_engine()
            wait_for("all flat", lambda: all(self.held(f"F000{n}") == 0 for n in (1, 2, 3)))
        for number in (1, 2, 3):
            self.stays(f"F000{number}", 3, 0.3)
        self.ctl("journal", "verify")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=BINARIES)
    options, rest = parser.parse_known_args()
    BINARIES = options.bin
    unittest.main(argv=[sys.argv[0], *rest])
