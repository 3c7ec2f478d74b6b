"""Money limits, and the market's hours, as a person meets them: a loss stops one follower's entries and not its exits, a
named person lets them go again, and a published calendar closes the market.

    limits_test.py --bin DIR
"""
import argparse
import datetime
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, wait_for  # noqa: E402

BINARIES = "build/release/bin"
SYMBOL, OTHER = "RELIANCE-EQ", "SBIN-EQ"


class Limits(unittest.TestCase):
    def setUp(self):
        self.world = world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-limits-"), lanes="shared", io="epoll")
        world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256,
                                           "children": 16384, "master_orders": 1024}}
        world.broker_options = {"pool_connections": 2}
        try:
            world.make_market([("NSE", SYMBOL), ("NSE", OTHER)])
            world.add_account("M0001", ["master"])
            for number in (1, 2):
                world.add_account(f"F{number:04}", ["follower"])
            world.follow("F0001", "M0001", ratio="1")
            world.follow("F0002", "M0001", ratio="2", limits={"max_daily_loss": 1000})
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

    def copies(self, symbol, side, quantity=10, price="1000"):
        """What became of both copies of one order of the master."""
        order = self.world.terminal("M0001", symbol, side, quantity, "LIMIT", price)

        def settled():
            for wave in self.world.orders():
                if wave["order"] == order and len(wave["copies"]) == 2:
                    if all(c["state"] not in ("SENDING", "QUEUED", "WAIT") for c in wave["copies"]):
                        return wave
            return None
        rows = {c["login"]: c for c in wait_for("the copies", settled)["copies"]}
        return [rows[n]["reason"] if rows[n]["state"] == "SKIPPED" else "placed" for n in ("F0001", "F0002")]

    def held(self, login):
        rows = [r for r in self.world.book() if r["account"] == login]
        return sum(int(float(r["filled"])) * (1 if r["side"] == "BUY" else -1) for r in rows)

    def test_a_loss_stops_entries_until_a_person_resumes(self):
        self.price(SYMBOL, 1000)
        self.price(OTHER, 1000)
        self.ctl("limits", "show", says="no money limit has tripped")
        self.assertEqual(self.copies(SYMBOL, "BUY"), ["placed", "placed"])
        wait_for("the fill", lambda: self.held("F0002") == 20)
        self.price(SYMBOL, 950.05)  # a paisa before the limit: 20 x -49.95 = -999
        self.assertEqual(self.copies(OTHER, "BUY", 1, "900"), ["placed", "placed"])
        self.price(SYMBOL, 950)
        wait_for("the trip", lambda: "daily-loss" in self.ctl("limits", "show"))
        shown = self.ctl("limits", "show", "2", says="follower 2: entries stop")
        self.assertIn("daily-loss: -1000 against 1000", shown)
        self.assertIn("lifts with the next session", shown)
        self.assertEqual(self.copies(OTHER, "BUY", 1, "900"), ["placed", "DAILY_LOSS"])
        # What tripped is in the journal: another process knows it too.
        engine = self.world.processes["engine"]
        engine.kill()
        engine.reap()
        self.world.start_engine()
        self.assertEqual(self.copies(OTHER, "BUY", 1, "900"), ["placed", "DAILY_LOSS"])
        # Never a reduction.
        self.assertEqual(self.copies(SYMBOL, "SELL", 10, "950"), ["placed", "placed"])
        wait_for("the exit", lambda: self.held("F0002") == 0)
        # A person, by name.
        self.ctl("limits", "resume", "2", code=2, says="--by NAME")
        self.ctl("limits", "resume", "99", "--by", "asha", code=1, says="there is no follower 99")
        lsn = self.ctl("limits", "resume", "2", "--by", "asha", says="done, at lsn").split()[-1]
        self.ctl("limits", "show", says="no money limit has tripped")
        self.assertEqual(self.copies(OTHER, "BUY", 1, "900"), ["placed", "placed"])
        self.assertIn("asha", self.ctl("journal", "show", lsn))
        self.ctl("breaker", "reset", "2", "--by", "asha", says="done, at lsn")

    def calendar(self, text):
        year = datetime.datetime.now(datetime.timezone.utc).year
        return self.world.write("calendar.yaml", f"market: test\nzone: Asia/Kolkata\nsource: none\n"
                                f"as_of: \"2026-01-01\"\nyears: [{year - 1}, {year}, {year + 1}]\n{text}")

    def test_a_published_calendar_closes_the_market(self):
        self.price(SYMBOL, 1000)
        every = "[MON, TUE, WED, THU, FRI, SAT, SUN]"
        around = ("exchanges:\n  - names: [NSE]\n    days: " + every +
                  "\n    sessions: [{open: \"00:00\", close: \"24:00\"}]\n")
        self.assertEqual(self.copies(SYMBOL, "BUY"), ["placed", "placed"])
        self.ctl("calendar", "publish", self.calendar(around), says="published")
        self.assertEqual(self.copies(SYMBOL, "BUY"), ["placed", "placed"])
        # Its sessions stay when another document is published.
        closed = around + "    to: \"2026-01-02\"\n"
        self.ctl("calendar", "publish", self.calendar(closed), says="published")
        self.world.publish()
        self.assertEqual(self.copies(SYMBOL, "BUY"), ["MARKET_CLOSED", "MARKET_CLOSED"])
        wait_for("the fills", lambda: self.held("F0001") == 20)
        self.assertEqual(self.copies(SYMBOL, "SELL", 20), ["placed", "placed"])
        broken = self.calendar(around.replace("24:00", "25:00"))
        self.ctl("calendar", "check", broken, code=1, says=f"{broken}:9: close \"25:00\" is no time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=BINARIES)
    options, rest = parser.parse_known_args()
    BINARIES = options.bin
    unittest.main(argv=[sys.argv[0], *rest])
