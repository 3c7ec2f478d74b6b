"""The engine as a process: simulated broker, engine, and order states fed through `lockstep-ingest ndjson`.

Every verdict about orders is read from the broker's book (GET /sim/orders), never from our own tables.
Usage: engine_test.py --bin DIRECTORY [--trap LIBRARY] [--clock LIBRARY] [--alpn http/1.1] [unittest arguments]
"""
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from fractions import Fraction

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import World, text_of, wait_for  # noqa: E402

BINARIES = "build/release/bin"
CLOCK = None  # library that steps the engine's wall clock
SYNC = None  # library that makes the disk fail
ALPN = "any"  # what the broker's row says: with http/1.1 the same verdicts, one request in flight a connection
NAMES = None  # library whose names below .slow take ten seconds to be unknown
TRAP = None  # library that stops the engine when its pinned thread allocates
SYMBOL, OTHER = "RELIANCE-EQ", "SBIN-EQ"
FAR_BELOW = "1000"  # rests in the book: the simulator's price is well above


class Feeder:
    """A master's order feed: each state is one line to `lockstep-ingest ndjson -`."""

    def __init__(self, world):
        self.world, self.numbers = world, itertools.count(1)
        self.log = open(world.path("feed.log"), "a")
        self.process = subprocess.Popen(
            [world.binary("lockstep-ingest"), "--instance", world.instance, "--key", world.path("seal.key"),
             "ndjson", "-"],
            stdin=subprocess.PIPE, text=True, env=world.env, stdout=subprocess.DEVNULL,
            stderr=self.log)

    def state(self, order, side="BUY", qty=10, price=FAR_BELOW, status="OPEN", filled=0, symbol=SYMBOL, **more):
        type_ = "LIMIT" if price is not None else "MARKET"
        row = {"account": "M0001", "broker_order_id": order, "exchange": "NSE", "symbol": symbol, "side": side,
               "type": type_, "product": "MIS", "qty": str(qty), "status": status, "filled_qty": str(filled), **more}
        if price is not None:
            row["price"] = str(price)
        if filled:
            row["average_price"] = str(price if price is not None else 1400)
        self.process.stdin.write(json.dumps(row) + "\n")
        self.process.stdin.flush()

    def new(self, **terms):
        order = f"T{next(self.numbers):06}"
        self.state(order, **terms)
        return order

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.log.close()


def frames_only(test):
    """A test about frames, which HTTP/1.1 does not have."""
    def run(self):
        if ALPN == "http/1.1":
            self.skipTest("HTTP/1.1 has no frames")
        test(self)
    return run


def make_world(test, followers=4, lanes="shared", io="epoll", tier="process", ratios=None, **engine):
    directory = tempfile.mkdtemp(prefix="lockstep-engine-test-")
    world = World(BINARIES, directory, lanes=lanes, io=io, tier=tier)
    world.broker_options = {"connects_per_second": 500, "pool_connections": 2, "alpn": ALPN}
    world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256, "children": 16384,
                                       "master_orders": 1024}, **engine}
    world.sim_options = {"market_orders": "accept"}
    world.make_market([("NSE", SYMBOL), ("NSE", OTHER)])
    world.add_account("M0001", ["master"])
    for number in range(1, followers + 1):
        address = f"127.20.0.{number}" if lanes == "own" else None
        world.add_account(f"F{number:04}", ["follower"], address=address)
        ratio = (ratios or {}).get(number, str(number))
        world.follow(f"F{number:04}", "M0001", mode="FIXED_RATIO", ratio=ratio)
    with open(os.open(world.path("seal.key"), os.O_WRONLY | os.O_CREAT, 0o400), "wb") as file:
        file.write(os.urandom(32))

    def end():
        codes = world.stop()
        shutil.rmtree(directory, ignore_errors=True)
        return codes
    test.addCleanup(end)
    return world


def start(test, world, engine_env=None):
    world.start_sim()
    world.publish()
    world.start_engine(env=engine_env)
    feeder = Feeder(world)
    test.addCleanup(feeder.close)
    return feeder


def rows_when(world, count, what="orders in the broker's book", seconds=15.0):
    wait_for(f"{count} {what}", lambda: len(world.book()) >= count, seconds)
    return world.book()


def log_of(world, name="engine"):
    with open(world.path(f"{name}.log")) as file:
        return file.read()


def wait_log(world, pattern, count=1, seconds=15.0, name="engine"):
    wait_for(f"{pattern!r} in the {name}'s log", lambda: len(re.findall(pattern, log_of(world, name))) >= count, seconds)


def outcomes(world):
    text = world.ctl("metrics").stdout
    return {name: int(float(value)) for name, value in
            re.findall(r'lockstep_engine_outcomes_total\{[^}]*outcome="(\w+)"[^}]*\} (\S+)', text) if float(value)}


def tags_unique(test, world):
    tags = [row["tag"] for row in world.book()]
    test.assertEqual(len(tags), len(set(tags)), "a tag is twice in the broker's book")


class Copies(unittest.TestCase):
    """Place, amend, cancel; every lane mode and both edges."""

    def one(self, lanes, io):
        world = make_world(self, lanes=lanes, io=io)
        feed = start(self, world)
        order = feed.new(qty=10)
        rows = rows_when(world, 4)
        self.assertEqual({r["account"]: r["quantity"] for r in rows},
                         {f"F{n:04}": 10 * n for n in range(1, 5)})
        self.assertEqual({r["status"] for r in rows}, {"OPEN"})
        self.assertTrue(all(re.fullmatch(r"L[0-9A-Z]{18}", r["tag"]) for r in rows), rows)
        if lanes == "own":
            self.assertEqual({r["account"]: r["address"] for r in rows},
                             {f"F{n:04}": f"127.20.0.{n}" for n in range(1, 5)})
        wait_log(world, r"Replication: 4/4 successful in \d+\.\d{3}ms \(0 skipped\)")
        feed.state(order, qty=20, price="1001")
        wait_for("the amendments", lambda: all(r["quantity"] == 20 * int(r["account"][1:]) for r in world.book()))
        self.assertEqual({str(r["price"]) for r in world.book()}, {"1001"})
        feed.state(order, qty=20, price="1001", status="CANCELLED")
        wait_for("the cancels", lambda: all(r["status"] == "CANCELLED" for r in world.book()))
        self.assertEqual(len(world.book()), 4)
        tags_unique(self, world)
        wait_log(world, r"Replication: 4/4", count=3)
        # The page is a few milliseconds behind the log.
        wait_for("12 expected", lambda: world.metrics()["lockstep_engine_expected"] == 12)
        metrics = world.metrics()
        self.assertEqual(metrics["lockstep_engine_conservation_gap"], 0)
        self.assertEqual(metrics["lockstep_engine_requests_open"], 0)
        self.assertEqual(world.processes["engine"].stop(), 0)
        self.assertIn("pinned thread stopped", log_of(world))

    def test_shared_epoll(self):
        self.one("shared", "epoll")

    def test_shared_uring(self):
        self.one("shared", "uring")

    def test_own_epoll(self):
        self.one("own", "epoll")

    def test_own_uring(self):
        self.one("own", "uring")

    def test_power_tier(self):
        world = make_world(self, tier="power")
        feed = start(self, world)
        for _ in range(3):
            feed.new(qty=1)
        rows_when(world, 12)
        wait_log(world, r"Replication: 4/4", count=3)
        self.assertGreater(world.metrics()["lockstep_engine_power_waits_total"], 0)
        tags_unique(self, world)

    def test_power_tier_without_its_disk(self):
        if SYNC is None:
            self.skipTest("no --sync library")
        world = make_world(self, tier="power")
        mark = world.path("sync-fails")
        feed = start(self, world, {"LD_PRELOAD": SYNC, "LS_SYNC_FAILS_FILE": mark})
        order = feed.new(qty=10)
        rows_when(world, 4)
        wait_log(world, r"Replication: 4/4")
        with open(mark, "w"):
            pass
        feed.new(qty=10)  # decided before the failure or after: without the disk no entry leaves
        wait_log(world, "ALARM DISK")
        feed.state(order, qty=10, status="CANCELLED")
        wait_for("cancels", lambda: all(r["status"] == "CANCELLED" for r in world.book()))
        self.assertEqual(len(world.book()), 4)

    def test_waves_have_records(self):
        world = make_world(self)
        feed = start(self, world)
        feed.new(qty=5)
        wait_log(world, "Replication: 4/4")
        wait_for("the counters", lambda: world.metrics()["lockstep_engine_reply_seconds_count"] == 4)
        metrics = world.metrics()
        for name in ("first_accepted", "last_accepted", "wave_parsed"):
            self.assertEqual(metrics[f"lockstep_engine_{name}_seconds_count"], 1, name)
        self.assertEqual(metrics["lockstep_engine_reply_seconds_count"], 4)


class Deaths(unittest.TestCase):
    """SIGKILL at random moments; a second engine; SIGTERM."""

    def test_sigkill_and_restart(self):
        self.kills("process", "epoll")

    def test_sigkill_and_restart_in_tier_power(self):
        self.kills("power", "uring")

    def kills(self, tier, io):
        world = make_world(self, followers=8, tier=tier, io=io)
        feed = start(self, world)
        placed = 0
        for round_ in range(4):
            for _ in range(5):
                feed.new(qty=1)
                placed += 1
            time.sleep(0.004 * round_)
            world.processes["engine"].kill(signal.SIGKILL)
            world.processes["engine"].reap()
            world.start_engine()
            tags_unique(self, world)
        before = len(world.book())
        feed.new(qty=1)
        rows_when(world, before + 8, "orders after the last restart")
        tags_unique(self, world)
        for row in world.book():
            self.assertEqual(row["quantity"], int(row["account"][1:]))
        self.assertLessEqual(len(world.book()), (placed + 1) * 8)
        self.assertEqual(world.metrics()["lockstep_engine_conservation_gap"], 0)

    def test_another_cluster_is_refused(self):
        """Identities derive from the cluster id: a journal of one is no journal of another, also after a reboot."""
        world = make_world(self, followers=1)
        world.start_sim()
        world.publish()
        world.start_engine()
        wait_log(world, r"is in force")
        world.processes["engine"].stop()
        shutil.rmtree(f"/dev/shm/lockstep.{world.instance}")  # what a reboot does: the disk copy stays
        world.publish(cluster="somebody-else")
        world.start_engine(wait=False)
        wait_log(world, r"refused.*cluster 'somebody-else'.*journal of")
        self.assertEqual(world.metrics().get("lockstep_engine_connections_ready", 0), 0)

    def test_second_engine_is_refused(self):
        world = make_world(self)
        start(self, world)
        second = world.start_engine(name="second", wait=False)
        self.assertEqual(second.child.wait(15), 1)
        self.assertIn("0", log_of(world, "second"))
        self.assertTrue(world.processes["engine"].alive())

    def test_orders_of_a_dead_engine_wait_in_the_ring(self):
        world = make_world(self)
        for follower in world.followers:
            follower["max_age_limit_ms"] = 60000  # a slow machine's start must not make them stale
        feed = start(self, world)
        world.processes["engine"].stop()
        feed.new(qty=1)
        world.start_engine()
        rows_when(world, 4)
        tags_unique(self, world)


class Stops(unittest.TestCase):
    """Switches, the halt file, the guard: nothing barred reaches the broker."""

    def setUp(self):
        self.world = make_world(self)
        self.feed = start(self, self.world)

    def test_switches(self):
        first = self.feed.new(qty=1)
        rows_when(self.world, 4)
        self.world.ctl("switch", "global", "halt")
        self.feed.new(qty=1)
        wait_log(self.world, r"Replication: 0/0 successful in \S+ \(4 skipped\)")
        self.feed.state(first, qty=1, status="CANCELLED")
        wait_for("cancels under halt", lambda: all(r["status"] == "CANCELLED" for r in self.world.book()))
        self.assertEqual(len(self.world.book()), 4)
        self.world.ctl("switch", "global", "run")
        self.feed.new(qty=1)
        self.assertEqual(len(rows_when(self.world, 8)), 8)

    def test_halt_file(self):
        halt = f"/dev/shm/lockstep.{self.world.instance}/halt"
        with open(halt, "w"):
            pass
        wait_log(self.world, "halt file is there")
        time.sleep(0.05)
        self.feed.new(qty=1)
        wait_log(self.world, r"\(4 skipped\)")
        self.assertEqual(self.world.book(), [])
        os.remove(halt)
        wait_log(self.world, "halt file is gone")
        time.sleep(0.05)
        self.feed.new(qty=1)
        rows_when(self.world, 4)

    def test_guard_keeps_the_last_good_generation(self):
        """Two steps that the publisher allows one by one are one step too far for an engine that slept."""
        engine = self.world.processes["engine"]
        engine.kill(signal.SIGSTOP)
        for factor in ("1.4", "1.96"):
            for number, follower in enumerate(self.world.followers, start=1):
                follower["ratio"] = text_of(Fraction(factor) * number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.world.run("lockstepctl", "--instance", self.world.instance, "--key", self.world.path("seal.key"),
                               "snapshot", "publish", self.world.write("s.json", json.dumps(self.world.snapshot())),
                               check=False, timeout=0.7)
        engine.kill(signal.SIGCONT)
        wait_log(self.world, "generation 3 is refused")
        self.feed.new(qty=100)
        self.assertEqual(sorted(r["quantity"] for r in rows_when(self.world, 4)), [100, 200, 300, 400])
        self.world.publish("--override")
        wait_log(self.world, "generation 4 is in force")
        self.feed.new(qty=100)
        self.assertEqual(sorted(r["quantity"] for r in rows_when(self.world, 8)),
                         [100, 196, 200, 300, 392, 400, 588, 784])


class Outcomes(unittest.TestCase):
    """ORDER-SAFETY 3.3: each fault has its class, and only proof is sent again."""

    def setUp(self):
        self.world = make_world(self, followers=1)
        self.world.broker_options["reply_timeout_ms"] = 700
        self.feed = start(self, self.world)

    def fault(self, **action):
        self.world.admin("POST", "/sim/faults",
                         {"rules": [{"match": {"path": "placeorder", "nth": 1}, "action": action}]})

    def one(self, expected, orders, **action):
        """Orders of the book afterwards: what the broker has taken, refused ones apart."""
        self.fault(**action)
        self.feed.new(qty=1)
        wait_log(self.world, r"Replication: ./1")
        wait_for(f"outcomes {expected}", lambda: outcomes(self.world) == expected)
        taken = [r for r in self.world.book() if r["status"] != "REFUSED"]
        self.assertEqual(len(taken), orders, self.world.book())
        tags_unique(self, self.world)

    def test_drop_reply_is_unknown(self):
        self.one({"UNKNOWN": 1}, 1, kind="drop_reply", accept=True)

    def test_dropped_request_is_unknown_too(self):
        self.one({"UNKNOWN": 1}, 0, kind="drop_reply", accept=False)

    def test_reset_is_unknown(self):
        self.one({"UNKNOWN": 1}, 1, kind="reset", accept=True)

    def test_502_is_unknown(self):
        self.one({"UNKNOWN": 1}, 1, kind="reply", status=502, body="html", accept=True)

    def test_redirect_is_unknown(self):
        self.one({"UNKNOWN": 1}, 0, kind="reply", status=302, location="https://localhost/", accept=False)

    def test_garbage_is_unknown(self):
        self.one({"UNKNOWN": 1}, 1, kind="reply", status=200, body="garbage", accept=True)

    @frames_only
    def test_refused_stream_is_unknown(self):
        self.one({"UNKNOWN": 1}, 1, kind="rst_stream", code="REFUSED_STREAM", accept=True)

    @frames_only
    def test_goaway_before_is_unknown(self):
        self.one({"UNKNOWN": 1}, 0, kind="goaway", last_stream="before", close_after_ms=50)

    def test_late_reply_is_applied(self):
        self.fault(kind="delay", delay_ms=1500)
        self.feed.new(qty=1)
        wait_log(self.world, r"Replication: 0/1")
        wait_for("the late reply", lambda: outcomes(self.world) == {"UNKNOWN": 1, "ACKED": 1})
        self.assertEqual(len(self.world.book()), 1)

    def test_next_order_works_after_a_reset(self):
        self.one({"UNKNOWN": 1}, 1, kind="reset", accept=True)
        self.world.wait_engine(self.world.processes["engine"])
        self.feed.new(qty=1, symbol=OTHER, price="100")
        rows_when(self.world, 2)


class Peers(unittest.TestCase):
    """What a legal peer may do at any moment, and what a stopped machine must not do afterwards."""

    @frames_only
    def test_few_streams(self):
        """Orders above the peer's limit wait and leave as replies come; nothing is lost or sent twice."""
        world = make_world(self, followers=12)
        world.broker_options["pool_connections"] = 1
        feed = start(self, world)
        world.admin("POST", "/sim/faults", {"rules": [
            {"match": {"path": "@now"},
             "action": {"kind": "settings", "max_concurrent_streams": 2, "initial_window_size": 1200,
                        "header_table_size": 0}}]})
        time.sleep(0.2)
        for _ in range(3):
            feed.new(qty=1)
        rows = rows_when(world, 36)
        wait_log(world, r"Replication: 12/12", count=3)
        self.assertEqual(len(rows), 36)
        tags_unique(self, world)

    def test_rotation(self):
        """Connections are replaced before the peer's request limit, without a loss."""
        world = make_world(self, followers=4)
        world.broker_options.update(pool_connections=1, requests_per_connection=6)
        feed = start(self, world)
        for number in range(8):
            feed.new(qty=1)
            wait_log(world, r"Replication: 4/4", count=number + 1)
        self.assertEqual(len(world.book()), 32)
        self.assertGreater(len({r["connection"] for r in world.book()}), 1)
        # A connection that was full when its order came: proof that no byte left, and sent on the next.
        wait_for("32 acknowledged", lambda: outcomes(world).get("ACKED") == 32)
        self.assertLessEqual(set(outcomes(world)), {"ACKED", "NOT_SENT"})
        tags_unique(self, world)

    def test_broker_moves(self):
        """Another host name in the snapshot: new connections, and the orders go there."""
        world = make_world(self)
        feed = start(self, world)
        feed.new(qty=1)
        rows_when(world, 4)
        before = world.metrics()["lockstep_engine_connects_total"]
        world.broker_options["host"] = "localhost"
        world.publish()
        wait_for("new connections", lambda: world.metrics()["lockstep_engine_connects_total"] >= before + 2)
        world.wait_engine(world.processes["engine"])
        feed.new(qty=1)
        rows = rows_when(world, 8)
        self.assertTrue({r["connection"] for r in rows[:4]}.isdisjoint({r["connection"] for r in rows[4:]}))
        wait_log(world, "Replication: 4/4", count=2)
        tags_unique(self, world)

    def test_silent_name_server(self):
        """A broker whose name nobody answers for holds up its own connections only."""
        if NAMES is None:
            self.skipTest("no --names library")
        world = make_world(self, followers=2)
        world.add_account("S0001", ["follower"], broker="other")
        world.follow("S0001", "M0001", mode="FIXED_RATIO", ratio="1")
        world.start_sim()
        sim = world.snapshot()["brokers"][0]
        world.publish(brokers=[{**sim, "name": "other", "host": "broker.slow", "authority": "localhost"}, sim])
        began = time.monotonic()
        world.start_engine(env={"LD_PRELOAD": NAMES}, wait=False)
        wait_for("the other broker's connections",
                 lambda: world.metrics().get("lockstep_engine_connections_ready", 0) >= 2)
        feed = Feeder(world)
        self.addCleanup(feed.close)
        feed.new(qty=1)
        rows_when(world, 2, seconds=5)
        self.assertLess(time.monotonic() - began, 8)
        self.assertNotIn("broker.slow has no", log_of(world))  # the question is still out
        wait_log(world, "broker other: broker.slow has no address")
        self.assertEqual(world.processes["engine"].stop(), 0)

    @frames_only
    def test_graceful_goaway(self):
        world = make_world(self, followers=2)
        world.broker_options["pool_connections"] = 1
        feed = start(self, world)
        world.admin("POST", "/sim/faults", {"rules": [
            {"match": {"path": "placeorder", "nth": 2}, "action": {"kind": "goaway", "last_stream": "all"}}]})
        feed.new(qty=1)
        wait_log(world, r"Replication: 2/2")
        feed.new(qty=1)
        wait_log(world, r"Replication: 2/2", count=2)
        wait_for("4 acknowledged", lambda: outcomes(world) == {"ACKED": 4})

    def test_machine_that_was_paused_sends_nothing_old(self):
        world = make_world(self, followers=2)
        for follower in world.followers:
            follower["max_age_limit_ms"] = 400
        feed = start(self, world)
        engine = world.processes["engine"]
        engine.kill(signal.SIGSTOP)
        feed.new(qty=1)
        time.sleep(0.8)
        engine.kill(signal.SIGCONT)
        wait_log(world, r"Replication: 0/0 successful in \S+ \(2 skipped\)")
        self.assertEqual(world.book(), [])
        feed.new(qty=1)
        rows_when(world, 2)

    def test_stepped_wall_clock_stops_entries(self):
        if CLOCK is None:
            self.skipTest("no --clock library")
        world = make_world(self)
        step, halt = world.path("step"), f"/dev/shm/lockstep.{world.instance}/halt"
        feed = start(self, world, {"LD_PRELOAD": CLOCK, "LS_CLOCK_STEP_FILE": step})
        order = feed.new(qty=1)
        rows_when(world, 4)
        self.assertEqual(world.ctl("breaker", "list").stdout.strip(), "no breaker has tripped")
        with open(step, "w"):
            pass
        wait_log(world, "ALARM CLOCK")
        feed.new(qty=1)
        wait_log(world, r"Replication: 0/0 successful in \S+ \(4 skipped\)")
        feed.state(order, qty=1, status="CANCELLED")
        wait_for("cancels", lambda: all(r["status"] == "CANCELLED" for r in world.book()))
        self.assertEqual(len(world.book()), 4)
        with open(halt, "w"):
            pass
        wait_log(world, "halt file is there")
        os.remove(halt)
        wait_log(world, "halt file is gone")
        feed.new(qty=1)   # no file acknowledges it, a named person does
        wait_log(world, r"Replication: 0/0 successful in \S+ \(4 skipped\)", count=2)
        self.assertIn("clock-step", world.ctl("breaker", "list").stdout)
        world.ctl("breaker", "reset", "--clock", "--by", "anna")
        feed.new(qty=1)
        rows_when(world, 8)
        self.assertIn('"act":"reset","guard":"clock-step","scope":"engine"', world.ctl("journal", "export").stdout)

    def test_pinned_thread_never_allocates(self):
        """Orders, amendments, resets, time-outs and a new generation, with the allocator trapped."""
        if TRAP is None:
            self.skipTest("no --trap library")
        for io in ("epoll", "uring"):
            world = make_world(self, io=io)
            world.broker_options["reply_timeout_ms"] = 400
            feed = start(self, world, {"LD_PRELOAD": TRAP})
            self.assertIn("alloc_trap: armed", log_of(world))
            order = feed.new(qty=1)
            rows_when(world, 4)
            feed.state(order, qty=2)
            wait_log(world, "Replication: 4/4", count=2)
            world.admin("POST", "/sim/faults", {"rules": [
                {"match": {"path": "placeorder", "nth": 1}, "action": {"kind": "reset"}},
                {"match": {"path": "placeorder", "nth": 3}, "action": {"kind": "drop_reply"}},
                {"match": {"path": "placeorder", "nth": 4}, "action": {"kind": "goaway", "last_stream": "all"}}]})
            feed.new(qty=1)
            wait_log(world, r"Replication: ./4", count=3)
            for follower in world.followers:
                follower["ratio"] = text_of(Fraction(follower["ratio"]) * Fraction("1.1"))
            world.publish()
            world.wait_engine(world.processes["engine"])
            feed.new(qty=100, symbol=OTHER, price="100")
            wait_log(world, r"Replication: ./.", count=4)
            feed.state(order, qty=2, status="CANCELLED")
            wait_log(world, r"Replication: ./.", count=5)
            self.assertEqual(world.processes["engine"].stop(), 0, log_of(world)[-2000:])
            self.assertNotIn("called", log_of(world))


class Starts(unittest.TestCase):
    """What stops a start, and what stops a connection, is one sentence that names it."""

    def run_engine(self, *arguments):
        return subprocess.run([os.path.join(BINARIES, "lockstep-engine"), *arguments], capture_output=True, text=True,
                              timeout=30)

    def test_options(self):
        self.assertEqual(self.run_engine("--help").returncode, 0)
        version = self.run_engine("--version")
        self.assertRegex(version.stdout, r"^lockstep-engine \d+\.\d+\.\d+ \([0-9a-f]{12}(-dirty)?|unknown\)")
        for arguments, says in ((["--shard", "64"], "from 0 to 63"), (["--io", "kqueue"], "uring, epoll or auto"),
                                (["--nonsense"], "--help"), (["stray"], "stray"),
                                (["--instance", "Bad"], "lower-case"),
                                (["--instance", "x" * 40], "at most"),
                                (["--config", "/nonexistent.yaml"], "/nonexistent.yaml")):
            result = self.run_engine(*arguments)
            self.assertNotEqual(result.returncode, 0, arguments)
            self.assertIn(says, result.stderr, arguments)

    def test_check(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "engine.yaml")
            with open(path, "w") as file:
                file.write("instance: check-only\nlimits: { connections: 32 }\n")
            result = self.run_engine("--config", path, "--check")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("check-only", result.stdout)
            self.assertFalse(os.path.exists("/dev/shm/lockstep.check-only"))
            key = os.path.join(directory, "key")
            with open(key, "wb") as file:
                file.write(os.urandom(32))
            os.chmod(key, 0o644)
            with open(path, "a") as file:
                file.write(f"key_file: {key}\n")
            result = self.run_engine("--config", path, "--check")
            self.assertEqual(result.returncode, 1)
            self.assertIn("key", result.stderr)

    def test_descriptor_limit(self):
        result = subprocess.run(["sh", "-c", f"ulimit -n 100; exec {BINARIES}/lockstep-engine --check"],
                                capture_output=True, text=True, timeout=30)
        self.assertEqual(result.returncode, 1)
        self.assertIn("RLIMIT_NOFILE", result.stderr)

    def test_bad_certificates_stop_every_byte(self):
        for certificate, says in (("expired", "expired"), ("wrong-host", "(name|host|mismatch)"),
                                  ("unknown-ca", "(issuer|unknown|self.signed|trust)")):
            with self.subTest(certificate):
                world = make_world(self, followers=1)
                world.sim_options.update(_certificate=f"{certificate}.pem", _key=f"{certificate}.key")
                world.start_sim()
                world.publish()
                world.start_engine(wait=False)
                feed = Feeder(world)
                self.addCleanup(feed.close)
                wait_log(world, f"(?i)'?sim'?.*{says}")
                feed.new(qty=1)
                time.sleep(0.3)
                self.assertEqual(world.book(source=None), [])
                requests = world.admin("GET", "/sim/stats")["requests"]
                self.assertEqual(sum(requests.values()), 0, requests)
                self.assertEqual(world.metrics().get("lockstep_engine_connections_ready", 0), 0)

    @unittest.skipUnless(shutil.which("nghttpd"), "nghttpd is not installed")
    @frames_only
    def test_nghttpd_accepts_the_requests(self):
        """A real server in the broker's place: it decodes every request; what it answers is UNKNOWN."""
        world = make_world(self, followers=4)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            world.sim_port = probe.getsockname()[1]
        log = open(world.path("nghttpd.log"), "w")
        server = subprocess.Popen(["nghttpd", "-v", "--echo-upload", "-a", "127.0.0.1", str(world.sim_port),
                                   world.path("certs", "server.key"), world.path("certs", "server.pem")],
                                  stdout=log, stderr=subprocess.STDOUT)

        def end():
            server.kill()
            server.wait()
            log.close()
        self.addCleanup(end)
        world.publish()
        world.start_engine()
        feed = Feeder(world)
        self.addCleanup(feed.close)
        feed.new(qty=1)
        wait_log(world, r"Replication: 0/4")
        wait_for("4 unknown outcomes", lambda: outcomes(world) == {"UNKNOWN": 4})
        text = re.sub(r"\x1b\[[0-9;]*m", "", log_of(world, "nghttpd"))
        for line, count in ((":method: POST", 4), (":path: /open-api/od/v1/orders/placeorder", 4),
                            ("content-type: application/json", 4)):
            self.assertEqual(text.count(line), count, line)
        # The books of what is UNKNOWN are asked too, by GET.
        self.assertEqual(len(re.findall(r":method: POST(?:(?!:method:).)*?:authority: localhost", text, re.S)), 4)
        tokens = {world.tokens[f"F{n:04}"] for n in range(1, 5)}
        self.assertEqual({t for t in tokens if f"authorization: Bearer {t}" in text}, tokens)
        self.assertNotIn("GOAWAY", text.split("placeorder")[-1])

    def test_too_few_connections_refuse_the_generation(self):
        world = make_world(self, followers=8, lanes="own")
        world.engine_options["limits"]["connections"] = 4
        world.start_sim()
        world.publish()
        world.start_engine(wait=False)
        wait_log(world, "asks for 8 connections, and limits.connections is 4")
        self.assertEqual(world.processes["engine"].stop(), 0)

    def test_tokens_sealed_with_another_key_do_not_open(self):
        world = make_world(self, followers=1)
        world.start_sim()
        world.publish()
        world.engine_options["key_file"] = world.path("other.key")
        with open(os.open(world.path("other.key"), os.O_WRONLY | os.O_CREAT, 0o400), "wb") as file:
            file.write(os.urandom(32))
        world.start_engine(wait=False)
        wait_log(world, "its token cannot be used")
        self.assertEqual(world.metrics().get("lockstep_engine_connections_ready", 0), 0)


if __name__ == "__main__":
    while len(sys.argv) > 2 and sys.argv[1] in ("--bin", "--trap", "--clock", "--sync", "--alpn", "--names"):
        if sys.argv[1] == "--bin":
            BINARIES = os.path.abspath(sys.argv[2])
        elif sys.argv[1] == "--clock":
            CLOCK = os.path.abspath(sys.argv[2])
        elif sys.argv[1] == "--names":
            NAMES = os.path.abspath(sys.argv[2])
        elif sys.argv[1] == "--alpn":
            ALPN = sys.argv[2]
        elif sys.argv[1] == "--sync":
            SYNC = os.path.abspath(sys.argv[2])
        else:
            TRAP = os.path.abspath(sys.argv[2])
        del sys.argv[1:3]
    unittest.main(verbosity=2)
