"""What became of orders whose outcome nobody knows: real processes, judged by the simulated broker's book.

    recon_test.py --bin DIR [--only NAME]

doubt    seven followers, each with a fault of its own around one order of the master: the answer is lost, the order is
         lost, it is taken late, the book lags, fails, is empty, the session ends; and one that nothing happens to
hostile  what comes instead of a book
restart  working orders after a SIGKILL, a request in flight, a journal that is gone
compare  positions against the broker's: equal, by hand, different
"""
import argparse
import contextlib
import datetime
import json
import os
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import World, WorldError, wait_for  # noqa: E402

MASTER = "M0001"
STARTED = time.monotonic()


def say(text):
    print(f"{time.monotonic() - STARTED:6.2f} s  {text}", flush=True)


def expect(truth, text):
    if not truth:
        raise WorldError(text)


class Recon(World):
    """Own lanes, books that only the engine reads (`polled`: followers that ingest reads too, and how often in ms),
    answers waited for a second."""

    def __init__(self, binaries, name, followers, polled=None, books=None,
                 symbols=("RELIANCE-EQ", "SBIN-EQ", "INFY-EQ"), **more):
        super().__init__(binaries, tempfile.mkdtemp(prefix=f"lockstep-recon-{name}-"), lanes="own", **more)
        self.broker_options = {"reply_timeout_ms": 1000}
        self.engine_options = {"books": books} if books else {}
        self.make_market([("NSE", symbol) for symbol in symbols])
        self.add_account(MASTER, ["master"], poll_interval_ms=50)
        for number, follower in enumerate(followers, start=1):
            self.add_account(follower, ["follower"], address=f"127.0.1.{number}",
                             poll_interval_ms=(polled or {}).get(follower, 3600000))
            self.follow(follower, MASTER, ratio="1")
        self.start_sim()
        self.publish()
        self.start_engine()
        self.start_ingest(interval_ms=50)

    def copies(self, symbol=None, login=None):
        """Orders of ours that reached the broker and were taken."""
        return [row for row in self.book(login) if row["status"] != "REFUSED" and symbol in (None, row["symbol"])]

    def follower_no(self, login):
        return next(f["follower"] for f in self.followers if f["account"] == login)

    def facts(self, kind):
        text = self.ctl("journal", "export", "--type", kind).stdout
        return [json.loads(line) for line in text.splitlines()]

    def alarms(self, alarm):
        with open(self.path("engine.log")) as file:
            return [line for line in file if f"ALARM {alarm} " in line]

    def faults(self, *rules, add=False):
        self.admin("POST", "/sim/faults", {"rules": list(rules), "add": add})

    def no_tag_twice(self):
        tags = [row["tag"] for row in self.copies()]
        expect(len(tags) == len(set(tags)), f"a tag is at the broker twice: {sorted(tags)}")


def sentinels(world, logins, price="500"):
    """A working order of each follower, so that a book that lacks another one proves something."""
    order = world.terminal(MASTER, "SBIN-EQ", "BUY", 1, "LIMIT", price)
    wait_for("a first order of every follower",
             lambda: {r["account"] for r in world.copies("SBIN-EQ") if r["status"] == "OPEN"} >= set(logins))
    return order


def outcome(world, order, login, transition="new"):
    """What `lockstepctl orders` says became of a follower's copy."""
    for wave in world.orders("--last", "50"):
        if wave["order"] == order and wave["transition"] == transition:
            for copy in wave["copies"]:
                if copy["login"] == login:
                    return copy
    return {"state": "", "tag": ""}


def place(account, **action):
    return {"match": {"account": account, "path": "placeorder", "nth": 1}, "action": action}


def lag(account, ms):
    return {"match": {"account": account, "path": "@now"}, "action": {"kind": "book_lag", "delay_ms": ms}}


def doubt(binaries):
    lost, never, late, lagging, failing, empty, ended, plain = followers = [
        "LOST", "NEVER", "LATE", "LAGGING", "FAILING", "EMPTY", "ENDED", "PLAIN"]
    with Recon(binaries, "doubt", followers, polled={late: 500}) as world:
        try:
            sentinels(world, followers)
            time.sleep(1.2)  # the sentinels are a second old: a second's budget is free again
            world.faults(place(lost, kind="drop_reply"), place(never, kind="drop_reply", accept=False),
                         place(late, kind="late_accept", delay_ms=11000), place(lagging, kind="drop_reply"),
                         place(failing, kind="drop_reply"), place(empty, kind="drop_reply", accept=False),
                         place(ended, kind="drop_reply"),
                         {"match": {"account": failing, "path": "book"}, "action": {"kind": "reply", "status": 500}},
                         lag(lagging, 4700), lag(empty, 3600000))
            reads = Reads(world)
            sent = time.monotonic()
            order = world.terminal(MASTER, "RELIANCE-EQ", "BUY", 10, "LIMIT", "1300")
            wait_for("the orders' arrival", lambda: len(world.book(plain)) == 2)
            world.admin("POST", "/sim/token", {"account": ended, "expired": True})

            # Presence is proof: one book is enough, and nothing is sent again.
            wait_for("the lost answer's order adopted",
                     lambda: outcome(world, order, lost)["state"] == "OPEN" and sent, 4)
            found = time.monotonic() - sent
            local = addresses(world, "engine")
            expect(local.count("127.0.1.1") == 2, f"its lane and its book come from its address: {sorted(local)}")
            expect(all(address.startswith("127.0.1.") for address in local), f"from elsewhere: {sorted(local)}")
            say(f"answer lost: adopted after {found:.1f} s, asked from the account's own address")

            # Meanwhile nothing new of this instrument is sent for those that are in doubt.
            second = world.terminal(MASTER, "RELIANCE-EQ", "BUY", 5, "LIMIT", "1290")
            wait_for("the second order's copies", lambda: len(world.copies("RELIANCE-EQ", plain)) == 2)
            for login in (never, late, lagging, failing, empty, ended):
                copy = outcome(world, second, login)
                expect("UNKNOWN_PENDING" in copy["state"] + copy.get("reason", ""),
                       f"{login} in doubt: its next entry is {copy['state']} {copy.get('reason')}")
            expect(outcome(world, second, lost)["reason"] == "NONE", "an adopted order's follower goes on")
            say("in doubt: the next entries are UNKNOWN_PENDING")

            # A book that lags shows it after the first absence: found, not missed.
            wait_for("the lagging book's order adopted", lambda: outcome(world, order, lagging)["state"] == "OPEN", 8)
            say(f"book lags 4.7 s: adopted after {time.monotonic() - sent:.1f} s")
            expect(time.monotonic() - sent > 4.6, "it cannot have been in the book")

            # Absence needs two books: never before twice the settle time.
            wait_for("the lost order reported", lambda: outcome(world, order, never)["state"] == "MISSED", 12)
            waited = time.monotonic() - sent
            expect(waited >= 6, f"believed absent after {waited:.1f} s: two settle times are 6 s")
            wait_for("the late order reported", lambda: outcome(world, order, late)["state"] == "MISSED", 4)
            expect(len(world.alarms("MISSED")) == 2, f"alarms: {world.alarms('MISSED')}")
            say(f"order lost: MISSED after {waited:.1f} s, with an alarm; nothing was sent again")
            expect([len(world.copies("RELIANCE-EQ", login)) for login in (lost, never, late, lagging, failing, empty,
                                                                       ended)] == [2, 0, 0, 1, 1, 0, 1],
                   "orders at the broker: " + str([(r["account"], r["tag"]) for r in world.copies("RELIANCE-EQ")]))

            # A person makes it good, once.
            tag = outcome(world, order, never)["tag"]
            world.ctl("catch-up", tag, "--by", "asha")
            wait_for("the catch-up's order", lambda: len(world.copies("RELIANCE-EQ", never)) == 1, 4)
            made = world.copies("RELIANCE-EQ", never)[0]
            expect(made["quantity"] == 10 and made["tag"] != tag and made["tag"][:15] == tag[:15],
                   f"the catch-up of {tag} is {made}")
            again = world.ctl("catch-up", tag, "--by", "asha", check=False)
            expect(again.returncode == 1, f"a second catch-up: {again.returncode} {again.stdout} {again.stderr}")
            other = world.ctl("catch-up", outcome(world, order, plain)["tag"], "--by", "asha", check=False)
            expect(other.returncode == 1 and "MISSED" in other.stderr, f"of an open order: {other.stderr}")
            for verdict in (["--not-placed"], ["--filled", "10"]):
                word = world.ctl("resolve", tag, *verdict, "--by", "asha", check=False)
                expect(word.returncode == 1 and "UNRESOLVED" in word.stderr, f"what is MISSED was resolved: {word.stderr}")
            say(f"catch-up by asha: one order; again: {again.stderr.strip()[13:]}")

            # The session is renewed: what it could not ask is asked now.
            token = "renewed-" + os.urandom(16).hex()
            world.admin("POST", "/sim/token", {"account": ended, "token": token, "expired": False})
            world.ctl("token", "set", ended, stdin=token)
            wait_for("the order behind an ended session", lambda: outcome(world, order, ended)["state"] == "OPEN", 8)
            say(f"session ended and renewed: adopted after {time.monotonic() - sent:.1f} s")

            # A failing book and an empty one prove nothing.
            expect(outcome(world, order, failing)["state"] == "RECONCILING", "an error is an answer")
            expect(outcome(world, order, empty)["state"] == "RECONCILING", "no orders is an answer")
            world.faults(lag(empty, 0))
            wait_for("the failing book's order", lambda: outcome(world, order, failing)["state"] == "OPEN", 12)
            say("a book that fails or is empty is never taken as absence")

            # Taken late, after it was reported: GHOST.
            wait_for("the late order", lambda: len(world.copies("RELIANCE-EQ", late)) == 1, 8)
            wait_for("the alarm GHOST", lambda: world.alarms("GHOST"), 8)
            say(f"taken late: GHOST {time.monotonic() - sent:.1f} s after it was sent")

            # What was adopted can be amended and cancelled.
            world.admin("POST", "/sim/terminal/modify", {"account": MASTER, "broker_order_id": order, "quantity": 12,
                                                         "price": "1299"})

            def amended():
                rows = {r["account"]: r for r in world.copies("RELIANCE-EQ") if r["price"] == 1299}
                return all(rows.get(login, {}).get("quantity") == 12 for login in (lost, lagging, ended, plain))
            wait_for("the amendment of adopted orders", amended, 6)
            world.admin("POST", "/sim/terminal/cancel", {"account": MASTER, "broker_order_id": order})
            wait_for("the cancel of adopted orders", lambda: not [
                r for r in world.copies("RELIANCE-EQ") if r["price"] == 1299 and r["status"] == "OPEN"], 6)
            say("adopted orders were amended and cancelled")
            world.no_tag_twice()
            reads.judge(login for login in followers if login != late)
        except WorldError:
            keep(world)
            raise


def addresses(world, name):
    """Local addresses of a process's connections to the broker, by its own descriptors."""
    inodes = set()
    for descriptor in os.scandir(f"/proc/{world.processes[name].child.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(descriptor.path)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file][1:]
    return [".".join(str(byte) for byte in reversed(bytes.fromhex(row[1][:8]))) for row in rows
            if row[9] in inodes and row[3] == "01" and int(row[2][9:], 16) == world.sim_port]


class Reads(threading.Thread):
    """Reads of each account at the broker, sampled."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.samples, self.over = world, [], threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            rows = self.world.admin("GET", "/sim/stats")["accounts"]
            self.samples.append((time.monotonic(), {row["account"]: row["reads"] for row in rows}))
            self.over.wait(0.2)

    def judge(self, logins):
        """Books take at most a fifth of an account's calls in any stretch of a second or more; nine a second are the
        dialect's."""
        self.over.set()
        self.join()
        most = 0
        for login in logins:
            for i, (began, first) in enumerate(self.samples):
                for ended, last in self.samples[i + 1:]:
                    seconds, reads = ended - began, last[login] - first[login]
                    expect(seconds < 1 or reads <= 0.2 * 9 * seconds + 1,
                           f"{login}: {reads} reads in {seconds:.1f} s are more than a fifth of nine a second")
                    most = max(most, reads)
        say(f"books: at most {most} reads of an account in {self.samples[-1][0] - self.samples[0][0]:.0f} s")


def keep(world):
    print(f"logs are in {world.directory}", file=sys.stderr)
    for line in open(world.path("engine.log")).read().splitlines()[-15:]:
        print("   ", line, file=sys.stderr)


def answers(world, login):
    """Results of the account's book queries, oldest first."""
    number = next(a["account"] for a in world.accounts if a["login"] == login)
    return [fact["result"] for fact in world.facts("recon") if fact["act"] == "answer" and fact["account"] == number]


def hostile(binaries):
    """Books that are none: whatever comes instead proves nothing, and the order is found when the book is there."""
    bad = {
        "MOVED": {"kind": "reply", "status": 302, "location": "/open-api/od/v1/orders/book"},
        "PAGE": {"kind": "reply", "status": 200, "body": "html"},
        "HALF": {"kind": "reply", "status": 200, "body": "truncated"},
        "DRIP": {"kind": "drip", "bytes": 1, "every_ms": 50},
        "STREAM": {"kind": "rst_stream", "code": "REFUSED_STREAM"},
        "RESET": {"kind": "reset"},
        "SILENT": {"kind": "drop_reply"},
        "BUSY": {"kind": "reply", "status": 429},
    }
    # A proxy that nobody should ask.
    proxy = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY")}
    with Recon(binaries, "hostile", list(bad), env=proxy, books={"deadline_ms": 1500}) as world:
        try:
            sentinels(world, bad)
            world.faults(*[place(login, kind="drop_reply") for login in bad],
                         *[{"match": {"account": login, "path": "book"}, "action": action}
                           for login, action in bad.items()])
            time.sleep(0.3)  # what was asked before the faults is answered
            before = {login: len(answers(world, login)) for login in bad}
            order = world.terminal(MASTER, "RELIANCE-EQ", "BUY", 10, "LIMIT", "1300")
            wait_for("two answers of each",
                     lambda: all(len(answers(world, login)) >= before[login] + 2 for login in bad), 15, 0.2)
            for login in bad:
                got = set(answers(world, login)[before[login]:])
                expect(got <= {"error", "no-connection"}, f"{login}: {got}")
                state = outcome(world, order, login)["state"]
                expect(state in ("RECONCILING", "UNKNOWN"), f"{login}: {state} by a book that is none")
            fired = world.admin("GET", "/sim/stats")["faults_fired"]
            expect(not world.alarms("MISSED"), str(world.alarms("MISSED")))
            say(f"eight answers that are no books ({sum(fired.values())} faults): nothing is believed")
            world.faults()
            wait_for("the orders", lambda: all(outcome(world, order, login)["state"] == "OPEN" for login in bad), 15, 0.2)
            expect(len(world.copies("RELIANCE-EQ")) == len(bad), "something was sent again")
            world.no_tag_twice()
            say("the books are back: every order was found, none was sent again")

            # Somebody else's certificate: no book is asked for.
            world.processes["brokersim"].stop()
            world.sim_options = {"_certificate": "wrong-host.pem", "_key": "wrong-host.key"}
            world.start_sim()
            world.ctl("positions", "compare", "--account", "MOVED", check=False)
            expect(world.alarms("POSITION") and "no-connection" in world.alarms("POSITION")[0],
                   str(world.alarms("POSITION")))
            stats = world.admin("GET", "/sim/stats")
            expect(stats["requests"]["book"] == 0 and stats["handshakes_failed"] > 0, str(stats["requests"]))
            say("another's certificate: the query ends before a byte of it leaves")
        except WorldError:
            keep(world)
            raise


def restart(binaries):
    flight, other = followers = ["FLIGHT", "OTHER"]
    with Recon(binaries, "restart", followers) as world:
        try:
            order = sentinels(world, followers)
            world.faults(place(flight, kind="drop_reply"))
            second = world.terminal(MASTER, "RELIANCE-EQ", "BUY", 10, "LIMIT", "1300")
            wait_for("the second order's copies", lambda: len(world.copies("RELIANCE-EQ")) == 2)
            world.processes["engine"].kill()
            world.processes["engine"].reap()
            world.start_engine()
            wait_for("the request in flight adopted", lambda: outcome(world, second, flight)["state"] == "OPEN", 8)
            say("killed with a request in flight: adopted, not sent again")
            for master_order, price in ((order, "499"), (second, "1299")):
                world.admin("POST", "/sim/terminal/modify", {
                    "account": MASTER, "broker_order_id": master_order, "quantity": 7, "price": price})
            wait_for("the amendments", lambda: [r["quantity"] for r in world.copies()] == [7] * 4, 8)
            world.admin("POST", "/sim/terminal/cancel", {"account": MASTER, "broker_order_id": order})
            wait_for("the cancels", lambda: [r["status"] for r in world.copies("SBIN-EQ")] == ["CANCELLED"] * 2, 8)
            say("working orders were amended and cancelled after the restart")

            # The journal is gone: what works at the broker is adopted by its tag.
            world.processes["ingest"].stop()
            world.processes["engine"].stop()
            shutil.rmtree(world.path("journal"))
            shutil.rmtree(f"/dev/shm/lockstep.{world.instance}/journal.0")
            before = len(world.book())
            world.start_engine()
            world.start_ingest(interval_ms=50)
            wait_for("the orphans", lambda: len(world.alarms("ORPHAN")) >= 2, 10)
            third = world.terminal(MASTER, "INFY-EQ", "BUY", 4, "LIMIT", "1400")
            wait_for("orders after it", lambda: len(world.copies("INFY-EQ")) == 2, 10)
            expect(len(world.book()) == before + 2, "something else was sent")
            states = [copy["state"] for wave in world.orders() for copy in wave["copies"]]
            expect(third and states == ["ACKED"] * 2 or states == ["OPEN"] * 2, str(states))
            world.admin("POST", "/sim/terminal/cancel", {"account": MASTER, "broker_order_id": second})
            wait_for("the cancel of adopted orders", lambda: [
                r["status"] for r in world.copies("RELIANCE-EQ")] == ["CANCELLED"] * 2, 8)
            say("journal gone: orders of ours at the broker were adopted, none was sent again, they went with their "
                "master's")
            world.no_tag_twice()
        except WorldError:
            keep(world)
            raise


def fill_all(world, symbol, quantity, price):
    """The master buys, and every copy fills."""
    order = world.terminal(MASTER, symbol, "BUY", quantity, "LIMIT", price)
    followers = {f["account"] for f in world.followers}
    wait_for("the copies", lambda: {r["account"] for r in world.copies(symbol)} >= followers)
    for row in world.copies(symbol):
        if row["status"] == "OPEN":
            world.admin("POST", "/sim/fill", {"broker_order_id": row["broker_order_id"]})
    return order


def market_day_ends(world):
    """Publishes a calendar whose session of today closed three minutes ago."""
    now = datetime.datetime.now(datetime.timezone.utc)
    close = now - datetime.timedelta(minutes=3)
    until = close.strftime("%H:%M") if (close.hour, close.minute) != (0, 0) else "24:00"
    every = "[MON, TUE, WED, THU, FRI, SAT, SUN]"
    world.ctl("calendar", "publish", world.write("calendar.yaml", f"""market: test
zone: UTC
source: none
as_of: "2026-01-01"
years: [{now.year - 1}, {now.year}, {now.year + 1}]
exchanges:
  - names: [NSE]
    days: {every}
    sessions: [{{open: "00:00", close: "{until}"}}]
"""))


def compare(binaries):
    equal, by_hand, differs = followers = ["EQUAL", "BYHAND", "DIFFERS"]
    with Recon(binaries, "compare", followers, polled={name: 100 for name in ("EQUAL", "BYHAND", "DIFFERS")}) as world:
        try:
            fill_all(world, "SBIN-EQ", 50, "500")
            wait_for("the fills", lambda: all(outcome(world, w["order"], login)["state"] == "FILLED"
                                              for w in world.orders() for login in followers), 8)
            good = world.ctl("positions", "compare", check=False)
            expect(good.returncode == 0 and good.stdout.count("1 compared, 0 differ") == 3, good.stdout + good.stderr)
            say("equal: " + good.stdout.replace("\n", "; "))

            asked = world.ctl("reconcile", equal, "--by", "asha", check=False)
            expect(asked.returncode == 0 and asked.stdout.startswith("good, 1 orders"), asked.stdout + asked.stderr)
            wrong = world.ctl("reconcile", MASTER, check=False)
            expect(wrong.returncode == 2 and "--by NAME" in wrong.stderr, wrong.stderr)

            # What the owner trades by hand is not ours (G11); what nobody can explain is an incident (G12, G13).
            world.terminal(by_hand, "SBIN-EQ", "BUY", 30, "MARKET")
            # A tag of our form whose follower does not exist: it is nobody's order, and no order of another's either.
            world.admin("POST", "/sim/terminal/order", {
                "account": differs, "symbol": "SBIN-EQ", "exchange": "NSE", "side": "SELL", "quantity": 10,
                "type": "MARKET", "product": "INTRADAY", "validity": "DAY", "tag": "L000000001ZZZZ90000"})
            sent = len(world.copies())
            bad = world.ctl("positions", "compare", "--account", differs, "--json", check=False)
            rows = [json.loads(line) for line in bad.stdout.splitlines()]
            expect(bad.returncode == 1 and rows[0]["differing"] == 1, bad.stdout + bad.stderr)
            expect((rows[1]["symbol"], rows[1]["ours"], rows[1]["broker"]) == ("SBIN-EQ", 50, 40), str(rows))
            hand = world.ctl("positions", "compare", "--account", by_hand, check=False)
            expect(hand.returncode == 0, hand.stdout + hand.stderr)
            expect(len(world.alarms("POSITION")) == 1, str(world.alarms("POSITION")))
            time.sleep(1)
            expect(len(world.copies()) == sent, "a difference was corrected")
            say("a difference of 10 is told with both numbers and never corrected; what is by hand is no difference")

            # Flattening closes what was copied, not what the owner holds (G11).
            world.ctl("price", "set", "sim", "SBIN-EQ", "500")
            world.ctl("flatten", str(world.follower_no(by_hand)), "--by", "asha")
            wait_for("the close", lambda: [r for r in world.copies("SBIN-EQ", by_hand) if r["side"] == "SELL"], 8)
            closes = [r["quantity"] for r in world.copies("SBIN-EQ", by_hand) if r["side"] == "SELL"]
            expect(closes == [50], f"50 copied and 30 by hand: closed {closes}")
            say("flattened: 50 copied of 80 held")

            # Connections that were cut off for more than a second: the books are asked.
            world.faults({"match": {"path": "@connect"}, "action": {"kind": "reset"}},
                         {"match": {"path": "@now"}, "action": {"kind": "reset"}})
            time.sleep(2.5)
            world.faults()

            wait_for("books asked for after the outage", lambda: len(
                {f["account"] for f in world.facts("recon") if f["act"] == "ask" and f["why"] == "outage"}) == 3, 12)
            say("after an outage every account's book was asked")

            # The market's day is over: books and positions once more, of every account, and nobody had to ask.
            market_day_ends(world)
            wait_for("the day's end", lambda: len({f["account"] for f in world.facts("positions")
                                                   if not f.get("by")}) == 3, 15, 0.2)
            ended = {f["account"]: f["differing"] for f in world.facts("positions") if not f.get("by")}
            expect(sorted(ended.values()) == [0, 0, 1], str(ended))
            wait_for("the day's last books", lambda: len({f["account"] for f in world.facts("recon")
                                                          if f.get("why") == "day-end"}) == 3, 5, 0.2)
            say("two minutes after the day's last close books are read and positions compared")
        except WorldError:
            keep(world)
            raise


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    tests = {"doubt": doubt, "hostile": hostile, "restart": restart, "compare": compare}
    try:
        for name, test in tests.items():
            if arguments.only in (None, name):
                test(arguments.bin)
        return 0
    except WorldError as error:
        print(f"FAIL: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
