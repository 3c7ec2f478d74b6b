"""The simulated broker's push side, by a client of its own: tokens, order frames, market data, webhooks, faults.

Usage: push_test.py --bin DIRECTORY [unittest arguments]
"""
import hashlib
import http.client
import http.server
import json
import os
import shutil
import ssl
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, WorldError, wait_for  # noqa: E402
from ws_client import Closed, Socket  # noqa: E402

BINARIES = "build/release/bin"
SYMBOL = "RELIANCE-EQ"
ORDER, MARKET = "/open-api/order-notify/websocket", "/NorenWS"
TOKEN_CALL = "/open-api/order-notify/ws/createWsToken"
HOOKS = "/rest/AliceBlueAPIService/api/webhook/"
PROFILE = "/open-api/od/v1/profile/"
HEARTBEAT_MS = 1500


class Receiver:
    """Takes webhooks on a free port and keeps their bodies."""

    def __init__(self):
        bodies = self.bodies = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Push(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(BINARIES, tempfile.mkdtemp(prefix="lockstep-push-test-"))
        cls.world.sim_options = {"feed": {"heartbeat_ms": HEARTBEAT_MS, "tick_ms": 0}, "limits": {"reads_per_15_min": 0}}
        cls.world.make_market([("NSE", SYMBOL), ("NSE", "SBIN-EQ")])
        for login in ("M1", "M2"):
            cls.world.add_account(login, ["master"])
        cls.world.add_account("NONE", ["master"], feed="html")
        cls.world.start_sim()
        cls.instrument = cls.world.instrument(SYMBOL)

    @classmethod
    def tearDownClass(cls):
        codes = cls.world.stop()
        shutil.rmtree(cls.world.directory, ignore_errors=True)
        assert all(code == 0 for code in codes.values()), codes

    def setUp(self):
        self.feed("clear")
        self.addCleanup(self.feed, "clear")

    # --- the broker's calls ---------------------------------------------------------------------------

    def call(self, method, path, account="M1", body=None):
        context = ssl.create_default_context(cafile=self.world.path("certs", "ca.pem"))
        context.check_hostname = False
        connection = http.client.HTTPSConnection("127.0.0.1", self.world.sim_port, context=context, timeout=5)
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Authorization": f"Bearer {self.world.tokens[account]}"})
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, reply.headers.get("Content-Type"), text

    def order_token(self, account="M1"):
        status, _, text = self.call("GET", TOKEN_CALL, account)
        reply = json.loads(text)
        self.assertEqual((status, reply["status"], reply["message"]), (200, "Ok", "200"))
        return reply["result"][0]["orderToken"]

    def socket(self, path=ORDER, port=None):
        made = Socket(port or self.world.feed_port, path, self.world.path("certs", "ca.pem"))
        self.addCleanup(made.close)
        return made

    def order_socket(self, account="M1", port=None):
        made = self.socket(port=port)
        made.send({"orderToken": self.order_token(account), "userId": account})
        self.assertEqual(made.receive(), {"status": "Ok"})
        return made

    def market_socket(self, account="M1"):
        for call in ("invalidateWsSess", "createWsSess"):
            _, _, text = self.call("POST", PROFILE + call, account, {"source": "API", "userId": account})
            self.assertEqual(json.loads(text)["status"], "Ok")
        made = self.socket(MARKET)
        made.send(self.market_login(account))
        self.assertEqual(made.receive(), {"t": "cf", "k": "OK"})
        return made

    def market_login(self, account):
        once = hashlib.sha256(self.world.tokens[account].encode()).hexdigest()
        return {"susertoken": hashlib.sha256(once.encode()).hexdigest(), "t": "c", "actid": f"{account}_API",
                "uid": f"{account}_API", "source": "API"}

    def returned(self):
        try:
            return self.order_socket()
        except (Closed, OSError):
            return None

    def feed(self, fault, **more):
        return self.world.admin("POST", "/sim/feed", {"fault": fault, **more})

    def counts(self):
        return self.world.admin("GET", "/sim/feed")["counts"]

    def buy(self, account="M1", quantity=10, price=1000, **more):
        return self.world.terminal(account, SYMBOL, "BUY", quantity, "LIMIT", price, **more)

    def cancel(self, order):
        self.world.admin("POST", "/sim/terminal/cancel", {"broker_order_id": order})

    def set_price(self, price):
        self.world.admin("POST", "/sim/price", {"symbol": SYMBOL, "exchange": "NSE", "price": price})

    # --- order socket ------------------------------------------------------------------------------------

    def test_every_change_of_an_order_is_a_frame(self):
        feed, other = self.order_socket("M1"), self.order_socket("M2")
        order = self.buy(quantity=10)
        frames = [feed.receive(), feed.receive()]
        self.assertEqual([(f["status"], f["reporttype"]) for f in frames], [("PENDING", "PendingNew"), ("OPEN", "New")])
        self.assertTrue(all(isinstance(value, str) for frame in frames for value in frame.values()))
        want = {"t": "om", "norenordno": order, "uid": "M1", "actid": "M1", "qty": "10", "prc": "1000.00",
                "pcode": "I", "remarks": "", "rejreason": "", "prctyp": "LMT", "ret": "DAY", "dscqty": "0",
                "trantype": "B", "exch": "NSE", "tsym": SYMBOL}
        for frame in frames:
            self.assertEqual({key: frame[key] for key in want}, want)
            self.assertNotIn("flqty", frame)
        self.world.admin("POST", "/sim/terminal/modify", {"broker_order_id": order, "quantity": 12, "price": "1001.5"})
        frame = feed.receive()
        self.assertEqual((frame["reporttype"], frame["qty"], frame["prc"]), ("Replaced", "12", "1001.50"))
        self.world.admin("POST", "/sim/terminal/modify", {"broker_order_id": order, "price": "1001.55123"})
        frame = feed.receive()
        self.assertEqual((frame["status"], frame["reporttype"], frame["prc"]), ("OPEN", "ReplaceRejected", "1001.50"))
        self.assertIn("tick size", frame["rejreason"])
        self.world.admin("POST", "/sim/fill", {"broker_order_id": order, "quantity": 5})
        frame = feed.receive()
        self.assertEqual({key: frame[key] for key in ("status", "reporttype", "fillshares", "avgprc", "flqty", "flprc")},
                         {"status": "OPEN", "reporttype": "Fill", "fillshares": "5", "avgprc": "1001.50",
                          "flqty": "5", "flprc": "1001.50"})
        self.assertIn("flid", frame)
        self.cancel(order)
        frame = feed.receive()
        self.assertEqual((frame["status"], frame["reporttype"], frame["cancelqty"], frame["fillshares"]),
                         ("CANCELED", "Canceled", "7", "5"))
        self.assertNotIn("flqty", frame)
        self.assertTrue(other.silent(0.2), "another account's order")

    def test_orders_of_every_channel_and_what_is_refused(self):
        feed = self.order_socket("M2")
        body = [{"exchange": "NSE", "instrumentId": str(self.instrument["token"]), "transactionType": "SELL",
                 "quantity": 3, "product": "INTRADAY", "orderComplexity": "REGULAR", "orderType": "LIMIT",
                 "validity": "DAY", "price": "5000", "orderTag": "tag-1"}]
        self.assertEqual(self.call("POST", "/open-api/od/v1/orders/placeorder", "M2", body)[0], 200)
        frames = [feed.receive(), feed.receive()]
        self.assertEqual([f["remarks"] for f in frames], ["tag-1", "tag-1"])
        body[0]["price"] = "5000.03"  # accepted by the API, rejected by the exchange
        self.call("POST", "/open-api/od/v1/orders/placeorder", "M2", body)
        feed.receive()
        frame = feed.receive()
        self.assertEqual((frame["status"], frame["reporttype"]), ("REJECTED", "Rejected"))
        self.assertIn("tick", frame["rejreason"])

    def test_a_stop_order_is_triggered(self):
        feed = self.order_socket()
        self.set_price(1400)
        self.world.terminal("M1", SYMBOL, "BUY", 5, "SL", price=1430, trigger=1420, product="CNC")
        frames = [feed.receive(), feed.receive()]
        self.assertEqual((frames[1]["status"], frames[1]["prctyp"], frames[1]["trgprc"], frames[1]["pcode"]),
                         ("TRIGGER_PENDING", "SL-LMT", "1420.00", "C"))
        self.set_price(1425)
        self.assertEqual([f["status"] for f in (feed.receive(), feed.receive())], ["OPEN", "COMPLETE"])

    def test_tokens(self):
        token = self.order_token()
        self.assertRegex(token, "^[0-9a-f]{59}$")
        for wrong in ({"orderToken": "x" * 59, "userId": "M1"}, {"orderToken": token, "userId": "M2"},
                      {"orderToken": "", "userId": "M1"}, {"userId": "nobody"}):
            feed = self.socket()
            feed.send(wrong)
            self.assertEqual(feed.receive()["status"], "Not_ok")
            with self.assertRaises(Closed):
                feed.receive()
        first, second = self.socket(), self.socket()
        first.send({"orderToken": token, "userId": "M1"})
        self.assertEqual(first.receive(), {"status": "Ok"})
        second.send({"orderToken": token, "userId": "M1"})  # one connection each
        self.assertEqual(second.receive()["status"], "Not_ok")
        self.assertEqual(self.call("GET", TOKEN_CALL, "NONE")[1:], (self.call("GET", TOKEN_CALL, "NONE")[1:]))
        status, kind, text = self.call("GET", TOKEN_CALL, "NONE")
        self.assertEqual((status, kind), (200, "text/html"))
        self.assertIn("<html", text)
        for answer, want in (("empty", (200, "")), ("404", (404, None)), ("good", (200, None))):
            self.feed("no_token", account="M2", answer=answer)
            status, _, text = self.call("GET", TOKEN_CALL, "M2")
            self.assertEqual(status, want[0])
            if want[1] is not None:
                self.assertEqual(text, want[1])

    def test_silence_is_closed_and_heartbeats_are_heard(self):
        silent, alive, never = self.order_socket(), self.order_socket(), self.socket()
        before = self.counts()["heartbeats_missed"]
        for _ in range(4):
            self.assertTrue(alive.silent(HEARTBEAT_MS / 3000))
            alive.send({"heartbeat": "h", "userId": "M1"})
        with self.assertRaises(Closed):
            silent.receive()
        with self.assertRaises(Closed):
            never.receive()
        self.buy()
        self.assertEqual(alive.receive()["reporttype"], "PendingNew")
        self.assertGreaterEqual(self.counts()["heartbeats_missed"], before + 2)

    def test_a_new_session_ends_the_old_sockets(self):
        feed, market = self.order_socket("M2"), self.market_socket("M2")
        self.world.admin("POST", "/sim/token", {"account": "M2", "token": "another-session-of-m2"})
        self.world.tokens["M2"] = "another-session-of-m2"
        for ended in (feed, market):
            with self.assertRaises(Closed):
                ended.receive()
        self.order_socket("M2")

    # --- market data --------------------------------------------------------------------------------------

    def test_market_data(self):
        self.set_price(1500)
        feed = self.market_socket()
        token = str(self.instrument["token"])
        feed.send({"k": f"NSE|{token}#NSE|999999999", "t": "t"})
        full = feed.receive()
        self.assertTrue({"t": "tk", "e": "NSE", "tk": token, "ts": SYMBOL, "lp": "1500.00"}.items() <= full.items())
        self.assertTrue(all(isinstance(value, str) for value in full.values()))
        self.set_price("1501.5")
        delta = feed.receive()
        self.assertEqual((delta["t"], delta["lp"], delta["bp1"]), ("tf", "1501.50", "1501.40"))
        self.assertNotIn("o", delta)  # the day's first price stays
        self.assertNotIn("bq1", delta)
        self.assertNotIn("ts", delta)
        feed.send({"k": f"NSE|{token}", "t": "d"})
        depth = feed.receive()
        self.assertEqual((depth["t"], "bp5" in depth), ("dk", True))
        self.set_price(1502)
        self.assertEqual({feed.receive()["t"], feed.receive()["t"]}, {"tf", "df"})
        feed.send({"k": f"NSE|{token}", "t": "u"})
        feed.send({"k": f"NSE|{token}", "t": "ud"})
        feed.send({"k": "", "t": "h"})
        wait_for("the heartbeat", lambda: self.counts()["heartbeats"] > 0)
        self.set_price(1503)
        self.assertTrue(feed.silent(0.2))

    def test_market_login(self):
        self.call("POST", PROFILE + "invalidateWsSess", "M1", {"source": "API", "userId": "M1"})
        no_session = self.socket(MARKET)
        no_session.send(self.market_login("M1"))
        self.assertEqual(no_session.receive(), {"t": "cf", "k": "NOT_OK"})
        self.market_socket()
        for change in ({"susertoken": "0" * 64}, {"uid": "M2_API"}, {"uid": "M1"}, {"susertoken": "short"}):
            wrong = self.socket(MARKET)
            wrong.send({**self.market_login("M1"), **change})
            self.assertEqual(wrong.receive(), {"t": "cf", "k": "NOT_OK"})
        with self.assertRaises(Closed):
            self.socket("/other")

    # --- webhooks -----------------------------------------------------------------------------------------

    def test_webhooks(self):
        receiver = Receiver()
        subscribe = {"callbackUrl": receiver.url}
        self.assertEqual(json.loads(self.call("POST", HOOKS + "subscribe", "M1", subscribe)[2])["status"], "Ok")
        order = self.buy(quantity=4)
        wait_for("two webhooks", lambda: len(receiver.bodies) == 2)
        fields = json.loads(receiver.bodies[1])
        self.assertEqual((fields["norenordno"], fields["actid"], fields["prd"], fields["status"], fields["qty"]),
                         (order, "M1", "MIS", "OPEN", "4"))
        sample = {"norenordno", "actid", "exch", "tsym", "qty", "prc", "prd", "status", "reporttype", "trantype",
                  "prctyp", "ret", "fillshares", "avgprc", "fltm", "flid", "flqty", "flprc", "rejreason", "exchordid",
                  "cancelqty", "remarks", "dscqty", "trgprc", "snonum", "snoordt", "blprc", "bpprc", "trailprc",
                  "exch_tm", "amo", "tm", "ntm", "kidid", "sno_fillid", "pcode"}
        self.assertEqual(set(fields), sample)
        self.feed("duplicate", channel="webhook")
        self.feed("drop", channel="webhook", account="M1")
        self.cancel(order)  # dropped: the account's own fault goes first
        self.buy()  # its first change comes twice
        wait_for("the duplicate", lambda: len(receiver.bodies) == 5)
        self.assertEqual(receiver.bodies[2], receiver.bodies[3])
        for number in range(4):
            self.call("POST", HOOKS + "subscribe", "M1", {"callbackUrl": f"http://127.0.0.1:9/{number}"})
        sixth = self.call("POST", HOOKS + "subscribe", "M1", {"callbackUrl": "http://127.0.0.1:9/5"})
        self.assertEqual(json.loads(sixth[2])["status"], "Not_ok")
        for url in [receiver.url] + [f"http://127.0.0.1:9/{number}" for number in range(4)]:
            gone = self.call("POST", HOOKS + "unsubscribe", "M1", {"callbackUrl": url})
            self.assertEqual(json.loads(gone[2])["status"], "Ok")
        self.buy()
        gone = self.call("POST", HOOKS + "unsubscribe", "M1", subscribe)
        self.assertEqual(json.loads(gone[2])["status"], "Not_ok")
        self.assertEqual(len(receiver.bodies), 5)

    # --- faults -------------------------------------------------------------------------------------------

    def orders_heard(self, feed, count, timeout=2.0):
        return [feed.receive(timeout)["norenordno"] for _ in range(count)]

    def test_frames_lost_doubled_and_out_of_order(self):
        feed = self.order_socket()
        self.feed("drop", account="M1", count=3)
        orders = [self.buy() for _ in range(2)]
        self.assertEqual(self.orders_heard(feed, 1), orders[1:])
        self.feed("duplicate", account="M1", channel="order")
        again = self.buy()
        self.assertEqual([feed.receive()["status"] for _ in range(3)], ["PENDING", "PENDING", "OPEN"])
        self.feed("reorder", channel="order")
        self.cancel(again)
        late = self.buy()
        frames = [feed.receive() for _ in range(3)]
        self.assertEqual([(f["norenordno"], f["status"]) for f in frames],
                         [(late, "PENDING"), (again, "CANCELED"), (late, "OPEN")])
        self.feed("reorder", channel="order")  # nothing follows: it comes after a while all the same
        self.cancel(late)
        self.assertTrue(feed.silent(0.1))
        self.assertEqual(feed.receive()["status"], "CANCELED")
        self.feed("delay", channel="order", delay_ms=300, count=1)
        last = self.buy()
        self.assertTrue(feed.silent(0.2))
        self.assertEqual(self.orders_heard(feed, 2), [last, last])
        fired = self.world.admin("GET", "/sim/feed")["faults"]
        self.assertEqual((fired["drop"]["fired"] >= 3, fired["delay"]["fired"] >= 1), (True, True))

    def test_garbage_and_half_a_frame(self):
        feed = self.order_socket()
        self.feed("garbage", account="M1")
        order = self.buy()
        with self.assertRaises(ValueError):
            json.loads(feed.receive_text())
        self.assertEqual(self.orders_heard(feed, 2), [order, order])
        self.feed("half", account="M1")
        self.buy()
        with self.assertRaisesRegex(Closed, "middle of a message"):
            feed.receive()

    def test_cut_stall_refuse_and_restart(self):
        feed, other = self.order_socket("M1"), self.order_socket("M2")
        self.feed("stall", account="M1", for_ms=400)
        order = self.buy()
        self.assertTrue(feed.silent(0.2))
        self.assertEqual(self.orders_heard(feed, 2), [order, order])
        self.feed("stall", account="M1", lose=True)
        self.buy()
        self.assertTrue(feed.silent(0.2))
        self.feed("clear", account="M1")
        self.assertTrue(feed.silent(0.1))
        order = self.buy()
        self.assertEqual(self.orders_heard(feed, 2), [order, order])
        self.feed("cut", account="M1")
        with self.assertRaisesRegex(Closed, "^(reset|TLS|end of)"):
            feed.receive()
        self.buy("M2")
        other.receive()
        feed = self.order_socket("M1")
        self.feed("cut", how="close")
        for ended in (feed, other):
            with self.assertRaisesRegex(Closed, "close frame|end of"):
                while True:
                    ended.receive()
        self.feed("refuse", account="M1")
        refused = self.socket()
        refused.send({"orderToken": self.order_token(), "userId": "M1"})
        self.assertEqual(refused.receive()["status"], "Not_ok")
        self.order_socket("M2")
        self.feed("refuse")
        with self.assertRaises(Closed):
            self.socket()
        self.feed("clear")
        feed = self.order_socket()
        self.feed("restart", for_ms=300)
        with self.assertRaises(Closed):
            feed.receive()
        feed = wait_for("the server's return on its port", self.returned)
        order = self.buy()
        self.assertEqual(self.orders_heard(feed, 2), [order, order])

    def test_the_broker_port_has_the_sockets_too(self):
        feed = self.order_socket(port=self.world.sim_port)
        order = self.buy()
        self.assertEqual(self.orders_heard(feed, 2), [order, order])
        self.socket(MARKET, self.world.sim_port)
        with self.assertRaises(Closed):
            self.socket("/other", self.world.sim_port)
        self.feed("half", account="M1", channel="order")
        self.buy()
        with self.assertRaisesRegex(Closed, "middle of a message"):
            feed.receive()
        feed = self.order_socket(port=self.world.sim_port)
        self.feed("cut", account="M1")
        with self.assertRaisesRegex(Closed, "^(reset|TLS|end of)"):
            feed.receive()
        many = [self.order_socket(port=self.world.sim_port) for _ in range(20)]
        order = self.buy()
        for one in many:
            self.assertEqual(self.orders_heard(one, 2), [order, order])
        for one in many:
            one.close()
        wait_for("the end of what clients left", lambda: self.world.admin("GET", "/sim/feed")["open"]["order"] == 0)
        self.feed("restart", for_ms=300)

        def refused():
            try:
                self.order_socket(port=self.world.sim_port)
            except Closed as error:
                return "503" in str(error)
        wait_for("a refusal while the server is away", refused, step=0.005)
        wait_for("the server's return", self.returned)

    def test_bad_faults_are_refused_with_a_sentence(self):
        for body, word in (({"fault": "none"}, "fault"), ({"fault": "cut", "account": "X"}, "account"),
                           ({"fault": "cut", "channel": "phone"}, "channel"), ({"fault": "drop", "count": -1}, "count"),
                           ({"fault": "half", "channel": "webhook"}, "webhooks"), ({"fault": "cut", "x": 1}, "x")):
            with self.assertRaisesRegex(WorldError, f"400.*{word}"):
                self.world.admin("POST", "/sim/feed", body)

    def test_limits_as_printed(self):
        reply = json.loads(self.call("GET", "/open-api/od/v1/limits/", "M1")[2])
        self.assertEqual(list(reply["result"][0]), [
            "tradingLimit", "openingCashLimit", "intradayPayin", "collateralMargin", "creditForSell", "adhocMargin",
            "utilizedMargin", "blockedForPayout", "utilizedSpanMargin", "utilizedExposureMargin"])


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--bin"]:
        BINARIES, arguments = arguments[1], arguments[2:]
    unittest.main(argv=[sys.argv[0], *arguments])
