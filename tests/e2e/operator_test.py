"""lockstepctl as its user meets it: every verb against a live simulated broker, ingest and engine.

    operator_test.py --bin DIR

What a verb claims is checked where it counts: at the broker's book, at the broker's tokens, in the files of shared
memory, by exit codes and by the sentences for what is wrong.
"""
import argparse
import glob
import json
import os
import re
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, wait_for  # noqa: E402

BINARIES = "build/release/bin"
SYMBOL, OTHER = "RELIANCE-EQ", "SBIN-EQ"


class Operator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-operator-"), lanes="shared", io="epoll")
        world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256,
                                           "children": 16384, "master_orders": 1024}}
        world.broker_options = {"pool_connections": 2}
        try:
            world.make_market([("NSE", SYMBOL), ("NSE", OTHER)])
            world.add_account("M0001", ["master"])
            for number in (1, 2, 3):
                world.add_account(f"F{number:04}", ["follower"])
                world.follow(f"F{number:04}", "M0001", ratio=str(number))
            world.start_sim()
            world.publish()
            world.start_engine()
            world.start_ingest(interval_ms=50)
        except BaseException:
            world.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        codes = cls.world.stop()
        assert all(code == 0 for code in codes.values()), codes

    def ctl(self, *arguments, code=0, says="", stdin=None):
        """Runs a verb; its exit code and a word of what it says are part of its contract."""
        result = self.world.ctl(*arguments, check=False, stdin=stdin)
        text = result.stdout + result.stderr
        self.assertEqual(result.returncode, code, f"{arguments}: {text}")
        self.assertIn(says, text, arguments)
        return result.stdout

    def master_buys(self, symbol=SYMBOL, price="1000"):
        """A resting order of the master and its copies, when nothing of them is open."""
        order = self.world.terminal("M0001", symbol, "BUY", 10, "LIMIT", price)

        def settled():
            for wave in self.world.orders():
                if wave["order"] == order and len(wave["copies"]) == 3:
                    if all(c["state"] not in ("SENDING", "QUEUED", "WAIT") for c in wave["copies"]):
                        return wave
            return None
        wave = wait_for("the copies", settled)
        return {c["login"]: c for c in wave["copies"]}

    def reasons(self, copies):
        rows = [copies[f"F{n:04}"] for n in (1, 2, 3)]
        return [row["reason"] if row["state"] == "SKIPPED" else "placed" for row in rows]

    def test_switches_of_each_scope(self):
        for scope, name, word, expected in (
                ("global", None, "halt", ["KILL_SWITCH"] * 3),
                ("broker", "sim", "close-only", ["KILL_SWITCH"] * 3),
                ("master", "M0001", "close-only", ["KILL_SWITCH"] * 3),
                ("follower", "2", "halt", ["placed", "KILL_SWITCH", "placed"]),
                ("instrument", SYMBOL, "close-only", ["KILL_SWITCH"] * 3)):
            with self.subTest(scope):
                words = [scope] + ([name] if name else [])
                self.ctl("switch", *words, word, says=f"{word}; holds in 1 of 1 live engines")
                self.assertIn(word, self.ctl("switch", "show"))
                before = len(self.world.book())
                copies = self.master_buys()
                self.ctl("switch", *words, "run", says="run; holds in 1 of 1 live engines")
                self.assertEqual(self.reasons(copies), expected)
                self.assertEqual(len(self.world.book()) - before, expected.count("placed"))
        self.assertEqual(self.ctl("switch", "show").split(), ["global", "run"])
        self.assertEqual(self.reasons(self.master_buys()), ["placed"] * 3)
        self.ctl("switch", "follower", "99", "halt", code=1, says="there is no follower number '99'")
        self.ctl("switch", "global", "stop", code=2, says="'stop' is not run, close-only or halt")
        self.ctl("switch", "master", "F0001", "run", says="is no master")

    def test_tokens(self):
        token = "another-token-of-F0002-0123456789"
        self.world.admin("POST", "/sim/token", {"account": "F0002", "token": token})
        self.ctl("token", "set", "F0002", stdin=token + "\n")
        wait_for("the new token at the broker", lambda: self.reasons(self.master_buys(OTHER, "500"))[1] == "placed" and
                 any(row["account"] == "F0002" and row["symbol"] == OTHER and row["status"] == "OPEN"
                     for row in self.world.book()))
        # No token in the clear in any object of shared memory, nor in a log.
        secrets = [t.encode() for t in [token, *self.world.tokens.values()]]
        paths = [p for p in glob.glob(f"/dev/shm/lockstep.{self.world.instance}/**", recursive=True)
                 if os.path.isfile(p)] + glob.glob(self.world.path("*.log"))
        self.assertGreater(len(paths), 8)
        for path in paths:
            with open(path, "rb") as file:
                data = file.read()
            for secret in secrets:
                self.assertNotIn(secret, data, path)
        self.ctl("token", "set", "F0002", stdin="", code=1, says="must hold one token")
        self.ctl("token", "set", "NOBODY", stdin="x", code=1, says="there is no account 'NOBODY'")
        self.ctl("token", "set", "F0002", "on-the-command-line", code=2)

    def test_snapshot(self):
        self.assertIn("3 followers, 3 enabled", self.ctl("snapshot", "show"))
        path = self.world.path("bad.json")
        good = self.world.snapshot()
        generation = self.ctl("snapshot", "show").split()[1]
        for change, says in (
                ({"cluster": "another"}, "cluster: was"),
                ({"subscriptions": [{**good["subscriptions"][0], "ratio": "-10001"}]},
                 "subscriptions[0].ratio: must lie between -10000 and 10000"),
                ({"subscriptions": [{**good["subscriptions"][0], "limits": {"max_daily_los": 5}}]},
                 "subscriptions[0].limits.max_daily_los: is not a known field here"),
                ({"generation": 1 + int(generation)}, "generation: the file was made from generation"),
                ({"subscriptions": [{**good["subscriptions"][0], "account": "F0002"}]}, "never reused"),
                ({"subscriptions": []}, "--override")):
            with open(path, "w") as file:
                json.dump({**good, **change}, file, indent=1)
            text = self.ctl("snapshot", "publish", path, code=1, says="nothing was published")
            self.ctl("snapshot", "publish", path, code=1, says=says)
            self.assertEqual(text, "")
        self.assertEqual(self.ctl("snapshot", "show").split()[1], generation)
        # What is shown is a document: publishing it changes nothing, and a look at it does not either.
        shown = self.ctl("snapshot", "show", "--json")
        document = json.loads(shown)
        self.assertEqual([row["follower"] for row in document["subscriptions"]], [1, 2, 3])
        self.assertNotIn("token", document["accounts"][0])
        for check in ([], ["--check"]):
            self.ctl("snapshot", "publish", "-", *check, stdin=shown)
            self.assertEqual(self.ctl("snapshot", "show", "--json"), shown)
        document["subscriptions"][0]["limits"] = {"max_daily_loss": 50000, "on_breach": "flatten"}
        del document["generation"]
        changed = json.dumps(document)
        self.ctl("snapshot", "publish", "-", "--check", stdin=changed,
                 says="3 followers, 3 enabled, 1 with settings in 1 sets; nothing was")
        self.assertEqual(self.ctl("snapshot", "show", "--json"), shown)
        self.ctl("snapshot", "publish", "-", stdin=changed, says=f"generation {int(generation) + 1} published")
        limits = json.loads(self.ctl("snapshot", "show", "--json"))["subscriptions"][0]["limits"]
        self.assertEqual(limits, {"max_daily_loss": 50000, "on_breach": "flatten"})
        self.world.publish()
        self.assertEqual(int(self.ctl("snapshot", "show").split()[1]), int(generation) + 2)

    def test_explained_with_settings(self):
        """A follower with settings: its decision is told with the limit that reduced it."""
        document = json.loads(self.ctl("snapshot", "show", "--json"))
        first = document["subscriptions"][0]
        first.update(ratio=2, max_quantity=15, guards={"max_slippage_pct": 5}, limits={"max_trades_per_day": 1000})
        self.ctl("snapshot", "publish", "-", "--override", stdin=json.dumps(document), says="adopted")
        copies = self.master_buys()
        self.assertEqual(self.reasons(copies), ["placed"] * 3)
        told = r"10 × 2 = 20 → max_quantity 15 (\(MAX_QTY_CAPPED\) )?→ BUY 15 LIMIT"
        self.assertRegex(copies["F0001"]["explain"], told)
        self.assertRegex(self.ctl("why", copies["F0001"]["tag"]), told)
        self.world.publish("--override")

    def test_the_end_of_a_subscription(self):
        """An ended subscription makes no more entries, and the master's exit still closes what it copied."""
        held = lambda: {a: sum(int(row["filled"]) * (1 if row["side"] == "BUY" else -1)
                               for row in self.world.book(a) if row["symbol"] == OTHER)
                        for a in ("F0001", "F0002", "F0003")}
        before = held()
        gained = lambda: {a: n - before[a] for a, n in held().items()}

        def trade(side, quantity, expected):
            self.world.ctl("price", "set", "sim", OTHER, "824.65")  # fresh: protection needs it
            self.world.terminal("M0001", OTHER, side, quantity, "MARKET")
            wait_for(f"{expected} after {side} {quantity}", lambda: gained() == expected)

        trade("BUY", 10, {"F0001": 10, "F0002": 20, "F0003": 30})
        self.ctl("sub", "3", "end", "--keep", "--override", says="engine of shard 0: adopted")
        self.assertIn("keep_close_only", self.ctl("sub", "3"))
        trade("BUY", 10, {"F0001": 20, "F0002": 40, "F0003": 30})
        trade("SELL", 10, {"F0001": 10, "F0002": 20, "F0003": 15})
        trade("SELL", 10, {"F0001": 0, "F0002": 0, "F0003": 0})
        self.ctl("snapshot", "publish", self.world.path("snapshot.json"), "--override", says="adopted")
        self.assertIn('"mode":"FIXED_RATIO"', self.ctl("sub", "3"))
        trade("BUY", 10, {"F0001": 10, "F0002": 20, "F0003": 30})
        trade("SELL", 10, {"F0001": 0, "F0002": 0, "F0003": 0})

    def test_reasons(self):
        self.assertIn("below one lot", self.ctl("reasons", "SUB_LOT"))
        rows = json.loads(self.ctl("reasons", "--json"))
        self.assertEqual([row["code"] for row in rows], list(range(len(rows))))
        self.assertTrue(all(row["means"] and row["do"] for row in rows))
        self.ctl("reasons", "NO_SUCH", code=1, says="there is no reason 'NO_SUCH'")

    def test_pages(self):
        self.ctl("price", "set", "sim", SYMBOL, "1410.5", OTHER, "824.65")
        self.assertRegex(self.ctl("price", "show", "sim"), rf"{SYMBOL}\s+1410.5\s+\d+ ms old")
        self.ctl("price", "set", "sim", "NOSUCH", "1", code=1, says="there is no instrument 'NOSUCH'")
        self.ctl("price", "set", "sim", SYMBOL, "abc", code=1, says="'abc' is not a price")
        # Ingest keeps the money page: a person may not write beside it.
        self.ctl("account", "set", "F0001", "--equity", "5", code=1, says="another process writes page accounts.0")
        wait_for("funds", lambda: "10000000" in self.ctl("account", "show", "sim"))

    def test_stories_and_figures(self):
        copies = self.master_buys()
        tag = copies["F0003"]["tag"]
        row = next(row for row in self.world.book() if row["tag"] == tag)
        story = self.ctl("why", tag)
        for words in ("follower 3", SYMBOL, "10 × 3 = 30", "PLACE ACKED", row["broker_order_id"]):
            self.assertIn(words, story)
        self.ctl("why", tag[:10] + "000Z0" + tag[15:], code=1, says="nothing was decided under this tag")
        self.ctl("why", "LNOPE", code=2, says="is not one of our tags")
        table = self.ctl("orders", "--last", "1").splitlines()
        self.assertIn("HOW IT WAS COMPUTED", table[1])
        starts = {line.index(word) for line, word in zip(table[2:5], ["ACKED"] * 3) if word in line}
        self.assertLessEqual(len(starts), 1, "\n".join(table))
        self.ctl("orders", "--wave", "999999", code=1, says="is not in the journal")
        self.assertIn(tag, self.ctl("journal", "ls"))
        self.ctl("journal", "show", "999999", code=1, says="is not in the journal")
        self.assertIn("state ok", self.ctl("journal", "verify"))
        self.assertRegex(self.ctl("top", "--once"),
                         r"engine 0 +running(.|\n)*requests_place +\d+(.|\n)*waves of shard 0")
        seen = {}
        for line in self.ctl("metrics").splitlines():
            if line.startswith("# TYPE"):
                self.assertNotIn(line.split()[2], seen, "a metric is typed once")
                seen[line.split()[2]] = line.split()[3]
            elif not line.startswith("#"):
                self.assertRegex(line, r'^[a-z_]+\{process="[a-z0-9.-]+"[^}]*\} -?[0-9.]+$')
                name = line.split("{")[0]
                self.assertTrue(name in seen or re.sub(r"_(bucket|sum|count)$", "", name) in seen, line)
        self.assertIn("histogram", seen.values())

    def test_objects(self):
        table = self.ctl("shm", "ls")
        for name, kind in (("engine.0", "engine"), ("journal.0", "directory"), ("snapshot", "snapshot"),
                           ("switches", "switches"), ("waves.0", "waves"), ("wake.0", "fifo")):
            self.assertRegex(table, rf"(?m)^{re.escape(name)} +{kind} .*ok$")
        self.assertRegex(self.ctl("shm", "inspect", "engine.0"), r"(?m)^writer +alive$")
        self.ctl("shm", "inspect", "nosuch", code=1, says="nosuch")
        self.ctl("shm", "repair", says="0 objects with a problem")
        stray = f"/dev/shm/lockstep.{self.world.instance}/metrics.stray"
        with open(stray, "wb") as file:
            file.write(b"not one of ours")
        try:
            self.ctl("shm", "repair", code=1, says="metrics.stray")
        finally:
            os.remove(stray)

    def test_configuration(self):
        path = self.world.write("ctl.yaml", f"instance: {self.world.instance}\nkey_file: {self.world.path('seal.key')}\n")
        said = self.world.run("lockstepctl", "--config", path, "--check").stdout
        self.assertIn(f"instance {self.world.instance} (exists), key {self.world.path('seal.key')} (exists)", said)
        self.assertIn("3 followers", self.world.run("lockstepctl", "--config", path, "snapshot", "show").stdout)
        bad = self.world.write("bad.yaml", "instance: x\nkeyfile: y\n")
        refused = self.world.run("lockstepctl", "--config", bad, "--check", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, r"bad\.yaml: .*keyfile.*line")

    def test_no_instance(self):
        for verb in (["shm", "ls"], ["top", "--once"], ["orders"], ["metrics"], ["snapshot", "show"]):
            result = self.world.run("lockstepctl", "--instance", "nobody-here", *verb, check=False)
            self.assertEqual(result.returncode, 1, verb)
            self.assertIn("nothing has run under this instance name", result.stderr)
        self.assertEqual(self.world.run("lockstepctl", check=False).returncode, 2)
        self.assertEqual(self.world.run("lockstepctl", "nonsense", check=False).returncode, 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    options, rest = parser.parse_known_args()
    BINARIES = options.bin
    unittest.main(argv=[sys.argv[0], *rest])
