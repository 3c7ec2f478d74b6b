"""`lockstep-whatif --live` says what would happen, then the master does it, and the broker's book says what did.

    whatif_test.py --bin DIR [unittest arguments]
"""
import argparse
import hashlib
import json
import os
import pty
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from fractions import Fraction as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, text_of, wait_for  # noqa: E402

BINARIES = "build/release/bin"
SYMBOLS = [("NSE", "RELIANCE-EQ"), ("NSE", "SBIN-EQ"), ("NSE", "TCS-EQ"), ("NFO", r"NIFTY\d\d[A-Z]{3}\d\dF$")]
FOLLOWERS = {
    "HALF": {"ratio": "0.5", "allow_short": True},
    "CAPPED": {"ratio": "2", "max_quantity": 150},
    "SEVEN": {"mode": "FIXED_QUANTITY", "quantity": "7"},
    "SHARE": {"mode": "PERCENTAGE", "percent": "5"},
    "VALUE": {"ratio": "0.2", "max_order_value": 15000},
    "LISTED": {"ratio": "1", "allowed_instruments": ["SBIN-EQ"]},
    "PAUSED": {"ratio": "1", "paused": True},
    "FILLS": {"ratio": "0.3", "copy": "fill", "on_fill": "each", "guards": {"max_slippage_pct": "1"}},
    "TENTH": {"ratio": "0.1", "rounding": {"round": "nearest"}},
}
DONE = ("SENDING", "QUEUED", "WAIT")  # states that are none of an answer


class Whatif(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-whatif-"), lanes="shared", io="epoll")
        world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256,
                                           "children": 16384, "master_orders": 1024}}
        world.broker_options = {"pool_connections": 2, "pacing": False}
        world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
        try:
            world.make_market(SYMBOLS)
            world.add_account("MASTER", ["master"])
            for login, settings in FOLLOWERS.items():
                world.add_account(login, ["follower"])
                world.follow(login, "MASTER", **settings)
            world.start_sim()
            world.publish()
            world.start_engine()
            world.keep_prices(0.2)
            wait_for("the prices", lambda: all(i["symbol"] in world.ctl("price", "show", "sim", check=False).stdout
                                               for i in world.instruments), 10)
            world.start_ingest(interval_ms=30)
        except BaseException:
            world.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        codes = cls.world.stop()
        assert all(code in (0, None) for code in codes.values()), codes

    # --- words of the tests ---------------------------------------------------------------------

    def whatif(self, order, *options, code=0):
        world = self.world
        result = subprocess.run([world.binary("lockstep-whatif"), "--live", "--instance", world.instance, "--config",
                                 world.path("engine.yaml"), *options],
                                input=order if isinstance(order, str) else json.dumps(order), text=True,
                                capture_output=True, env=world.env, timeout=30, check=False)
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        return result

    def ask(self, **order):
        result = self.whatif({"master": "MASTER", "product": "MIS", **order})
        said = {row["login"]: row for row in map(json.loads, result.stdout.splitlines())}
        self.assertEqual(set(said), set(FOLLOWERS))
        return said

    def price(self, symbol):
        return F(str(self.world.admin("GET", f"/sim/price?symbol={symbol}")["prices"][0]["price"]))

    def rests(self, symbol, side):
        tick = F(str(self.world.instrument(symbol)["tick"]))
        return self.price(symbol) * (F(99, 100) if side == "BUY" else F(101, 100)) / tick // 1 * tick

    def rows(self, login):
        return {row["broker_order_id"]: row for row in self.world.book(login)}

    def copies(self, order, event="NEW"):
        """What the engine recorded of one order's newest wave, when nothing of it is under way."""
        def settled():
            waves = [wave for wave in self.world.orders() if wave["order"] == order]
            copies = waves[-1]["copies"] if waves else []
            done = len({c["login"] for c in copies}) == len(FOLLOWERS) and all(c["state"] not in DONE for c in copies)
            return copies if done else None
        return wait_for(f"the copies of {order}", settled, 8)

    def compare(self, said, copies, before):
        """The book's new orders, and the reasons on record, are what was said."""
        for login, answer in said.items():
            real = sorted((r["side"], F(str(r["quantity"])), r["type"], F(str(r["price"] or 0)), r["validity"])
                          for number, r in self.rows(login).items() if number not in before[login])
            told = sorted((o["side"], F(str(o["qty"])), o["type"], F(str(o.get("price", 0))), o["tif"])
                          for o in answer["orders"] if o["act"] == "PLACE")
            self.assertEqual(told, real, f"{login}: {answer}")
            own = [c for c in copies if c["login"] == login]
            if answer["action"] == "SKIP":
                self.assertEqual([(c["state"], c["reason"]) for c in own], [("SKIPPED", answer["reason_code"])], answer)
            else:
                self.assertTrue(all(c["state"] != "SKIPPED" for c in own), (answer, own))

    def happens(self, symbol, side, qty, price=None, **more):
        """Asked, then done. Returns what was said, and the order."""
        before = {login: self.rows(login) for login in FOLLOWERS}
        asked = {"symbol": symbol, "side": side, "qty": qty, **more}
        if price is not None:
            asked["price"] = text_of(price)
        said = self.ask(**asked)
        order = self.world.terminal("MASTER", symbol, side, qty, "LIMIT" if price else "MARKET", price, **more)
        self.compare(said, self.copies(order), before)
        return said, order

    def held(self, login, symbol):
        return sum(r["filled"] * (1 if r["side"] == "BUY" else -1) for r in self.world.book(login)
                   if r["symbol"] == symbol)

    # --- what is said is what happens -------------------------------------------------------------

    def test_entry_exit_amendment_and_cancel(self):
        symbol = "RELIANCE-EQ"
        self.world.admin("POST", "/sim/price", {"exchange": "NSE", "symbol": symbol, "price": 1000})
        wait_for("the price", lambda: any(symbol in line and " 1000" in line for line in
                                          self.world.ctl("price", "show", "sim").stdout.splitlines()), 5)
        said, _ = self.happens(symbol, "BUY", 100)  # at the market: it fills at once, and so do its copies
        told = {login: (a["action"], [o["qty"] for o in a["orders"]], a["reason_code"]) for login, a in said.items()}
        capital = 500  # 5 % of 10,000,000 at 1000
        self.assertEqual(told, {
            "HALF": ("PLACE", [50], None), "CAPPED": ("PLACE", [150], "MAX_QTY_CAPPED"), "SEVEN": ("PLACE", [7], None),
            "SHARE": ("PLACE", [capital], None), "VALUE": ("SKIP", [], "MAX_ORDER_VALUE"),
            "LISTED": ("SKIP", [], "SYMBOL_NOT_ALLOWED"), "PAUSED": ("SKIP", [], "COPY_PAUSED"),
            "FILLS": ("PLACE", [30], None), "TENTH": ("PLACE", [10], None)})
        self.assertIn("100 × 0.5 = 50", said["HALF"]["explain"])
        self.assertEqual([(o["price"], o["tif"]) for o in said["FILLS"]["orders"]], [(1010, "IOC")])
        wait_for("the fills", lambda: [self.held(n, symbol) for n in ("HALF", "CAPPED", "SEVEN", "TENTH", "FILLS")] ==
                 [50, 150, 7, 10, 30], 8)
        time.sleep(0.3)  # the engine has read them

        # An exit that rests: the share of what each really holds, whatever its mode and its caps.
        price = self.rests(symbol, "SELL")
        said, order = self.happens(symbol, "SELL", 30, price)
        self.assertEqual({n: a["orders"][0]["qty"] for n, a in said.items() if a["orders"]},
                         {"HALF": 15, "CAPPED": 45, "SEVEN": 2, "SHARE": capital * 3 // 10, "TENTH": 3})
        self.assertTrue(all(o["reduce_only"] and o["leg"] == "close" for a in said.values() for o in a["orders"]))
        # Another, while the first works: what is reserved is not closed twice.
        said, second = self.happens(symbol, "SELL", 70, price)
        self.assertEqual(said["HALF"]["orders"][0]["qty"], 35)

        # The second is amended and then cancelled: asked about by its own id.
        known = {"symbol": symbol, "side": "SELL", "price": text_of(price), "broker_order_id": second}
        said = self.ask(**known, qty=20)
        self.assertEqual({n: [(o["act"], o["qty"]) for o in a["orders"]] for n, a in said.items() if a["orders"]}
                         ["HALF"], [("MODIFY", 10)])
        self.world.admin("POST", "/sim/terminal/modify", {"account": "MASTER", "broker_order_id": second,
                                                          "quantity": 20})
        for login, answer in said.items():
            for wanted in answer["orders"]:
                self.assertEqual(wanted["act"], "MODIFY")
                wait_for(f"{login}'s amendment", lambda n=login, q=wanted["qty"]: any(
                    r["side"] == "SELL" and r["quantity"] == q and r["modifies"] > 0
                    for r in self.world.book(n)), 8)
        said = self.ask(**known, qty=20, status="CANCELLED")
        self.assertEqual(said["HALF"]["action"], "CANCEL")
        self.world.admin("POST", "/sim/terminal/cancel", {"account": "MASTER", "broker_order_id": second})
        for login, answer in said.items():
            if answer["action"] == "CANCEL":
                wait_for(f"{login}'s cancel", lambda n=login: any(
                    r["side"] == "SELL" and r["status"] == "CANCELLED" for r in self.world.book(n)), 8)
        self.assertTrue(order)

    def test_switches(self):
        symbol = "SBIN-EQ"
        self.happens(symbol, "BUY", 100)
        wait_for("the fill", lambda: self.held("HALF", symbol) == 50, 8)
        time.sleep(0.3)
        self.world.ctl("switch", "follower", "1", "close-only")
        try:
            said, _ = self.happens(symbol, "BUY", 10, self.rests(symbol, "BUY"))
            self.assertEqual((said["HALF"]["action"], said["HALF"]["reason_code"]), ("SKIP", "KILL_SWITCH"))
            self.assertEqual(said["CAPPED"]["action"], "PLACE")
            said, _ = self.happens(symbol, "SELL", 50, self.rests(symbol, "SELL"))
            self.assertEqual([o["side"] for o in said["HALF"]["orders"]], ["SELL"])
        finally:
            self.world.ctl("switch", "follower", "1", "run")

    def test_lots_and_market_orders(self):
        future = self.world.instruments[3]
        said, _ = self.happens(future["symbol"], "BUY", future["lot"], self.rests(future["symbol"], "BUY"),
                               product="NRML")
        self.assertEqual((said["HALF"]["action"], said["HALF"]["reason_code"]), ("SKIP", "SUB_LOT"))
        # A market order of which nothing else is said has filled: who copies fills is asked too.
        said = self.ask(symbol="TCS-EQ", side="BUY", qty=100)
        self.assertEqual([(o["qty"], o["tif"]) for o in said["FILLS"]["orders"]], [(30, "IOC")])
        self.assertEqual(said["HALF"]["orders"][0]["qty"], 50)

    # --- and nothing else happens -----------------------------------------------------------------

    def files(self):
        """Every file of the instance and of its journal: content and times of change."""
        found = {}
        for top in (f"/dev/shm/lockstep.{self.world.instance}", self.world.path("journal")):
            for folder, names, files in os.walk(top):
                for name in names + files:
                    path = os.path.join(folder, name)
                    status = os.stat(path)
                    digest = None
                    if stat.S_ISREG(status.st_mode):
                        with open(path, "rb") as file:
                            digest = hashlib.sha256(file.read()).hexdigest()
                    found[path] = (digest, status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        return found

    def test_nothing_is_touched(self):
        world = self.world
        symbol = "TCS-EQ"
        price = text_of(self.rests(symbol, "BUY"))
        with open(f"/proc/{world.processes['engine'].child.pid}/status") as file:
            self.assertIn("lockstep-engine", file.readline() + "lockstep-engine")
        books = {login: self.rows(login) for login in FOLLOWERS}
        recorded = world.orders()
        paused = [world.processes[name] for name in ("ingest", "prices", "engine")]
        for process in paused:
            process.kill(signal.SIGSTOP)
        try:
            time.sleep(0.05)
            before = self.files()
            self.assertGreater(len(before), 8)
            for side in ("BUY", "SELL"):
                for _ in range(3):
                    self.ask(symbol=symbol, side=side, qty=100, price=price)
            self.assertEqual(self.files(), before)
        finally:
            for process in paused:
                process.kill(signal.SIGCONT)
        time.sleep(0.4)
        self.assertEqual({login: self.rows(login) for login in FOLLOWERS}, books)
        self.assertEqual(world.orders(), recorded)

    def test_no_key_and_no_engine(self):
        """Only what is published and recorded is needed: not the seal key, and no engine that runs."""
        world = self.world
        order = {"symbol": "TCS-EQ", "side": "BUY", "qty": 100, "price": text_of(self.rests("TCS-EQ", "BUY"))}
        world.ctl("switch", "global", "run")
        with_engine = self.ask(**order)
        engine = world.processes["engine"]
        engine.stop()
        key = world.path("seal.key")
        os.rename(key, key + ".away")
        try:
            result = self.whatif({"master": "MASTER", "product": "MIS", **order})
            self.assertIn("no engine of shard 0 runs", result.stderr)
            without = {row["login"]: row for row in map(json.loads, result.stdout.splitlines())}
            self.assertEqual(without, with_engine)
        finally:
            os.rename(key + ".away", key)
            world.start_engine()

    # --- what cannot be answered ------------------------------------------------------------------

    def test_errors_are_sentences(self):
        good = {"master": "MASTER", "symbol": "TCS-EQ", "side": "BUY", "qty": 1, "product": "MIS"}
        for change, options, says in (
                ({"master": "NOBODY"}, (), "account: NOBODY is not in the snapshot"),
                ({"master": "HALF"}, (), "account: is no master in this snapshot"),
                ({"symbol": "NOSUCH-EQ"}, (), "the snapshot has no instrument 'NOSUCH-EQ'"),
                ({"symbol": "NOSUCH-EQ", "exchange": "NSE"}, (), "no instrument of the snapshot is called that"),
                ({"symbol": None}, (), "symbol: "),
                ({"product": "XX"}, (), "product: is not one of the words"),
                ({"qty": -1}, (), "qty: must not be negative"),
                ({"colour": 1}, (), "colour: there is no such field"),
                ({"account": "MASTER"}, (), "master: says the same as another member"),
                ({}, ("--shard", "1"), "--shard 1: the snapshot serves 1 shards"),
                ({}, ("--shard", "x"), "--shard x: give a number"),
                ({}, ("--instance", "nosuch"), "nosuch"),
                ({}, ("--config", "/nosuch/file"), "/nosuch/file cannot be read")):
            text = self.whatif({**good, **change}, *options, code=2).stderr
            self.assertIn(says, text)
            self.assertEqual(len(text.splitlines()), 1, text)
        self.assertIn("is not one JSON object", self.whatif("nonsense", code=2).stderr)
        empty = f"{self.world.instance}-e"
        folder = f"/dev/shm/lockstep.{empty}"
        os.mkdir(folder)
        os.chmod(folder, 0o2770)
        try:
            self.assertIn("has no snapshot that can be used",
                          self.whatif(good, "--instance", empty, code=2).stderr)
            self.assertEqual(os.listdir(folder), [])
        finally:
            os.rmdir(folder)

    def test_a_terminal_gets_a_table(self):
        world = self.world
        ours, theirs = pty.openpty()
        order = world.write("order.json", json.dumps({"account": "MASTER", "symbol": "TCS-EQ", "side": "BUY",
                                                      "qty": 100, "product": "MIS", "type": "order"}))
        subprocess.run([world.binary("lockstep-whatif"), "--live", "--instance", world.instance, order],
                       stdout=theirs, check=True, env=world.env, timeout=30)
        os.close(theirs)
        text = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertIn("FOLLOWER LOGIN", text)
        self.assertEqual(len(text.splitlines()), 1 + len(FOLLOWERS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=BINARIES)
    known, rest = parser.parse_known_args()
    BINARIES = known.bin
    unittest.main(argv=[sys.argv[0], *rest])
