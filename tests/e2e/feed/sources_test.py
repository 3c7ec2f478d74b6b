"""The same orders by socket, book and webhook together make one set of copies; an account without the feed is polled.

Usage: sources_test.py --bin DIRECTORY [unittest arguments]
"""
import json
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, wait_for  # noqa: E402

BINARIES = "build/release/bin"
SYMBOL = "RELIANCE-EQ"
ARRIVES_S = 10.0


class Sources(unittest.TestCase):
    def world(self, masters=("M0001",), followers=3, **ingest):
        world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-sources-"), lanes="shared", io="epoll")
        world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
        world.broker_options = {"pacing": False}
        world.ingest_options = ingest
        world.make_market([("NSE", SYMBOL)])
        for login in masters:
            world.add_account(login, ["master"], funds="1000000000", **({"feed": "html"} if login == "HTML" else {}),
                              **({"feed": "empty"} if login == "EMPTY" else {}))
        for number in range(1, followers + 1):
            world.add_account(f"F{number:04}", ["follower"], funds="1000000000")
            world.follow(f"F{number:04}", masters[(number - 1) % len(masters)], ratio=str(number))

        def end():
            codes = world.stop()
            shutil.rmtree(world.directory, ignore_errors=True)
            self.assertTrue(all(code == 0 for code in codes.values()), codes)
        self.addCleanup(end)
        return world

    def start(self, world, **more):
        world.start_sim()
        world.publish()
        world.start_engine()
        world.start_ingest(feed=True, **more)

    def feed(self, world):
        return world.admin("GET", "/sim/feed")

    def wait_socket(self, world, account="M0001"):
        wait_for(f"the order socket of {account}", lambda: any(
            c["account"] == account and c["channel"] == "order" for c in self.feed(world)["connections"]), 20)

    def copies(self, world, count, seconds=ARRIVES_S):
        wait_for(f"{count} copies", lambda: len(world.book()) >= count, seconds)
        return world.book()

    def unique(self, world):
        tags = [row["tag"] for row in world.book()]
        self.assertEqual(len(tags), len(set(tags)))

    def test_the_socket_alone_is_enough(self):
        """Books are read so seldom that only frames can have brought the orders in time."""
        world = self.world()
        self.start(world, interval_ms=600000)
        self.wait_socket(world)
        time.sleep(0.5)
        order = world.terminal("M0001", SYMBOL, "BUY", 10, "LIMIT", 1000)
        rows = self.copies(world, 3)
        self.assertEqual({r["account"]: r["quantity"] for r in rows}, {"F0001": 10, "F0002": 20, "F0003": 30})
        world.admin("POST", "/sim/terminal/modify", {"broker_order_id": order, "price": "1001"})
        wait_for("the amended price at the copies", lambda: {r["price"] for r in world.book()} == {1001}, ARRIVES_S)
        world.admin("POST", "/sim/fill", {"broker_order_id": order, "quantity": 4})
        world.admin("POST", "/sim/terminal/cancel", {"broker_order_id": order})
        wait_for("the copies' end", lambda: {r["status"] for r in world.book()} == {"CANCELLED"}, ARRIVES_S)
        self.assertEqual(len(world.book()), 3)
        self.unique(world)

    def test_accounts_without_the_feed_are_polled(self):
        world = self.world(("HTML", "EMPTY", "M0001"), feed_absent_most=2)
        self.start(world, interval_ms=200)
        self.wait_socket(world)
        for number, login in enumerate(("HTML", "EMPTY", "M0001"), start=1):
            world.terminal(login, SYMBOL, "BUY", 10, "LIMIT", 1000)
            rows = self.copies(world, number)
            self.assertEqual(rows[-1]["account"], f"F{number:04}")
        wait_for("both are given up", lambda: world.metrics().get("lockstep_ingest_feeds_absent", 0) == 2, 20)
        self.assertEqual({c["account"] for c in self.feed(world)["connections"] if c["channel"] == "order"},
                         {"M0001", "F0001", "F0002", "F0003"})
        self.unique(world)

    def test_socket_book_and_webhook_make_one_set_of_copies(self):
        world = self.world()
        self.start(world, interval_ms=100)
        self.wait_socket(world)
        url = self.start_webhook(world)
        self.subscribe(world, url)
        for number in range(1, 21):
            order = world.terminal("M0001", SYMBOL, "BUY", number, "LIMIT", 1000)
            if number % 3 == 0:
                world.admin("POST", "/sim/terminal/modify", {"broker_order_id": order, "price": "1002"})
            if number % 4 == 0:
                world.admin("POST", "/sim/terminal/cancel", {"broker_order_id": order})
            time.sleep(0.03)
        wait_for("webhooks", lambda: self.feed(world)["webhooks"]["delivered"] >= 40, ARRIVES_S)
        self.assertEqual(self.feed(world)["webhooks"]["failed"], 0)
        # A cancelled order may have been over before it was seen; the others have three copies each.
        wanted = sorted(number * ratio for number in range(1, 21) if number % 4 for ratio in (1, 2, 3))

        def lasting():
            return sorted(r["asked_quantity"] for r in world.book() if r["status"] == "OPEN") == wanted
        wait_for("three copies of each order", lasting, ARRIVES_S)
        time.sleep(1)
        self.assertTrue(lasting())
        per_order = {}
        for row in world.book():
            per_order.setdefault((row["account"], row["asked_quantity"]), []).append(row)
        self.assertEqual([rows for rows in per_order.values() if len(rows) > 1], [])
        self.unique(world)
        metrics = world.metrics()
        self.assertGreaterEqual(metrics.get("lockstep_ingest_webhook_requests_total", 0), 40)
        self.assertGreaterEqual(metrics.get("lockstep_ingest_feed_messages_total", 0), 40)

    # --- the webhook's process ----------------------------------------------------------------------------

    def start_webhook(self, world):
        secret = "w" * 43
        paths = world.write("hook-paths", f"M0001 {secret}\n", mode=0o400)
        config = world.write("webhook.yaml", f"""instance: {world.instance}
key_file: {world.path('seal.key')}
hook_port: 0
hook_paths: {paths}
""")
        process = world.start("webhook", "lockstep-ingest", "webhook", "--config", config)

        def port():
            process.check()
            with open(process.log) as log:
                found = re.search(r"port (\d+)", log.read())
            return int(found[1]) if found else None
        return f"http://127.0.0.1:{wait_for('the webhook server', port)}/{secret}"

    def subscribe(self, world, url):
        import http.client
        import ssl
        context = ssl.create_default_context(cafile=world.path("certs", "ca.pem"))
        context.check_hostname = False
        connection = http.client.HTTPSConnection("127.0.0.1", world.sim_port, context=context, timeout=5)
        connection.request("POST", "/rest/AliceBlueAPIService/api/webhook/subscribe",
                           json.dumps({"callbackUrl": url}),
                           {"Authorization": f"Bearer {world.tokens['M0001']}"})
        reply = json.loads(connection.getresponse().read())
        connection.close()
        self.assertEqual(reply["status"], "Ok")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--bin"]:
        BINARIES, arguments = arguments[1], arguments[2:]
    unittest.main(argv=[sys.argv[0], *arguments])
