#!/usr/bin/env python3
"""Contract files into a live instance: what is imported is copied; what changes is said by import and by the engine; a
contract that two brokers list differently is not copied between them, and what is held of it can still be closed. The
verdict is the simulated broker's book."""
import argparse
import csv
import json
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, wait_for  # noqa: E402

BINARIES = None
OTHER = "other"


class Instruments(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="lockstep-instruments-")
        self.world = world = World(BINARIES, self.folder.name, lanes="shared")
        self.addCleanup(self.folder.cleanup)
        self.addCleanup(world.stop)
        world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
        world.make_market([])
        self.files = [world.path("contracts", f"{name}.csv") for name in ("NSE", "NFO", "INDICES")]
        self.freeze = world.path("contracts", "qtyfreeze.csv")
        with open(self.files[1], newline="") as file:
            self.future = next(row for row in csv.DictReader(file)
                               if row["Symbol"] == "NIFTY" and row["Option Type"] == "XX")

    def start(self, brokers):
        world = self.world
        world.add_account("M0001", ["master"])
        world.add_account("F0001", ["follower"])
        world.add_account("F0002", ["follower"], broker=OTHER if brokers == 2 else "sim")
        world.follow("F0001", "M0001", mode="FIXED_RATIO", ratio=1)
        world.follow("F0002", "M0001", mode="FIXED_RATIO", ratio=1)
        world.start_sim()
        document = world.snapshot()
        del document["instruments"]
        if brokers == 2:
            document["brokers"].append({**document["brokers"][0], "name": OTHER})
        world.ctl("snapshot", "publish", world.write("snapshot.json", json.dumps(document)))

    def import_(self, *arguments, check=True):
        return self.world.ctl("instruments", "import", *arguments, check=check)

    def changed(self, name, lot):
        """NFO's file with another lot of NIFTY."""
        with open(self.files[1]) as file:
            lines = [line.replace(",65,0.05", f",{lot},0.05") if ",NIFTY," in line else line for line in file]
        return self.world.write(name, "".join(lines))

    def order(self, side, lots, price):
        reply = self.world.admin("POST", "/sim/terminal/order", {
            "account": "M0001", "exchange": "NFO", "symbol": self.future["Trading Symbol"], "side": side,
            "quantity": 65 * lots, "type": "LIMIT", "price": price, "product": "NORMAL", "validity": "DAY"})
        return reply.get("broker_order_id") or reply["order"]["broker_order_id"]

    def copies(self, side):
        return {r["account"]: r["quantity"] for r in self.world.book() if r["side"] == side}

    def said(self, name):
        with open(self.world.path(f"{name}.log")) as log:
            return log.read()

    def test_what_is_imported_is_copied(self):
        self.start(1)
        self.assertRegex(self.import_(*self.files, "--freeze", self.freeze).stdout, r"^(\d+) instruments \(\1 new")
        self.world.start_engine()
        self.world.start_ingest(interval_ms=50)
        self.order("BUY", 2, 1000)
        wait_for("the copies", lambda: self.copies("BUY") == {"F0001": 130, "F0002": 130})
        # A changed freeze list and a changed lot reach engine and log of the running instance.
        self.world.write("freeze.csv", "SYMBOL,VOL_FRZ_QTY\nNIFTY,1300\n")
        said = self.import_(self.changed("lots.csv", 75), "--freeze", self.world.path("freeze.csv")).stdout
        self.assertIn("NFO NIFTY: lot 65 -> 75 (45 contracts)", said)
        self.assertIn("NFO NIFTY: freeze 1800 -> 1300 (45 contracts)", said)
        self.assertIn("engine of shard 0: adopted", said)
        wait_for("the engine's word of it", lambda: "changes the lot of NFO NIFTY: 65 -> 75, 45 contracts" in
                 self.said("engine") and "changes the freeze quantity of NFO NIFTY: 1800 -> 1300" in self.said("engine"))
        # A file that one line spoils changes nothing.
        with open(self.files[1]) as file:
            spoiled = self.world.write("spoiled.csv", file.read() + "NFO,nse_fo,X,1,FUTSTK,XX,-1,X,X,X,2026-13-01,5,1\n")
        refused = self.import_(spoiled, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("spoiled.csv:474: Expiry Date", refused.stderr)
        self.assertIn("lot 75", self.world.ctl("instruments", "show", self.future["Trading Symbol"]).stdout)

    def test_brokers_that_differ(self):
        self.start(2)
        self.import_("--broker", "sim", *self.files, "--broker", OTHER, *self.files, "--freeze", self.freeze)
        self.world.start_engine()
        self.world.start_ingest(interval_ms=50)
        self.world.admin("POST", "/sim/price", {"symbol": self.future["Trading Symbol"], "exchange": "NFO", "price": 1000})
        self.order("BUY", 2, 1001)
        wait_for("both copies", lambda: self.copies("BUY") == {"F0001": 130, "F0002": 130})
        wait_for("their fills", lambda: all(r["status"] == "COMPLETE" for r in self.world.book()))
        # The other broker's file changes: the same contract is another one there.
        said = self.import_("--broker", OTHER, self.changed("other.csv", 75)).stdout
        self.assertIn("lot 65 -> 75 (45 contracts at other)", said)
        self.assertIn("45 instruments have another lot or tick at one broker", said)
        wait_for("the engine's word of it", lambda: "changes the lot of NFO NIFTY at other: 65 -> 75" in self.said("engine"))
        self.order("BUY", 1, 1001)
        wait_for("the one copy", lambda: sum(r["side"] == "BUY" for r in self.world.book()) == 3)

        def reasons():
            return [copy["reason"] for order in self.world.orders() for copy in order["copies"]]
        wait_for("the refusal", lambda: "INSTRUMENT_MISMATCH" in reasons())
        # The exit of what is held goes all the same.
        time.sleep(0.3)
        self.order("SELL", 3, 999)
        wait_for("both exits", lambda: self.copies("SELL") == {"F0001": 195, "F0002": 130})
        self.assertEqual(reasons().count("INSTRUMENT_MISMATCH"), 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    options, rest = parser.parse_known_args()
    BINARIES = options.bin
    unittest.main(argv=[sys.argv[0], *rest])
