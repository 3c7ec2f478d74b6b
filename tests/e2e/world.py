"""A whole Lockstep on this machine: simulated broker, engine, ingest, and the tools, for the demo and end-to-end tests.

Everything is started on free ports and a private instance, with its files in one directory, and stopped by process
handle. Standard library only.
"""
import contextlib
import csv
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction as F


# Our product names and the broker's.
BROKER_PRODUCTS = {"MIS": "INTRADAY", "CNC": "LONGTERM", "NRML": "NORMAL", "MTF": "MTF"}


class WorldError(Exception):
    """One sentence for a person."""


def wait_for(what, condition, seconds=20.0, step=0.02):
    """Returns condition()'s first true value; WorldError naming `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise WorldError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(step)


def text_of(number):
    """Shortest decimal text of a Fraction that has one."""
    number = F(number)
    sign, number = ("-", -number) if number < 0 else ("", number)
    whole, rest = divmod(number.numerator * 10**8 // number.denominator, 10**8)
    return sign + (f"{whole}.{rest:08d}".rstrip("0") if rest else str(whole))


class Process:
    """A child whose output goes to a file; ended by its own handle."""

    def __init__(self, name, command, log, env=None, stdin=None):
        self.name, self.log = name, log
        self.file = open(log, "ab")
        self.child = subprocess.Popen(command, stdout=self.file, stderr=self.file,
                                      stdin=stdin or subprocess.DEVNULL, env=env)

    def alive(self):
        return self.child.poll() is None

    def check(self):
        if not self.alive():
            raise WorldError(f"{self.name} ended with {self.child.returncode}: {self.tail()} (log: {self.log})")

    def tail(self):
        with open(self.log, "rb") as file:
            lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"

    def kill(self, sign=signal.SIGKILL):
        if self.alive():
            self.child.send_signal(sign)

    def stop(self, seconds=10.0):
        """SIGTERM, and SIGKILL when that does not help. Returns the exit code."""
        self.kill(signal.SIGTERM)
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            code = self.child.wait()
        self.file.close()
        return code

    def reap(self):
        self.child.wait()
        self.file.close()


class World:
    def __init__(self, binaries, directory, instance=None, lanes="own", io="uring", tier="process", env=None,
                 cores=None):
        self.binaries = os.path.abspath(binaries)
        self.directory = os.path.abspath(directory)
        self.instance = instance or f"t{os.getpid()}-{secrets.token_hex(3)}"
        self.lanes, self.io, self.tier = lanes, io, tier
        self.cores = cores or {}
        self.env = dict(os.environ, **(env or {}))
        self.processes = {}
        self.followers, self.accounts, self.instruments, self.tokens = [], [], [], {}
        self.sim_options, self.broker_options, self.engine_options, self.ingest_options = {}, {}, {}, {}
        self.sim_port = self.admin_port = self.feed_port = None
        os.makedirs(self.directory, exist_ok=True)
        for program in ("lockstep-engine", "lockstep-ingest", "lockstep-brokersim", "lockstepctl"):
            if not os.path.exists(os.path.join(self.binaries, program)):
                raise WorldError(f"{program} is not in {self.binaries}: run ./lockstep.sh build")

    # --- files ---------------------------------------------------------------------------------

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def binary(self, name):
        return os.path.join(self.binaries, name)

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
        return path

    def run(self, program, *arguments, stdin=None, check=True, timeout=60):
        result = subprocess.run([self.binary(program), *arguments], input=stdin, capture_output=True, text=True,
                                timeout=timeout, env=self.env)
        if check and result.returncode != 0:
            raise WorldError(f"{program} {' '.join(arguments[:4])} failed: "
                             f"{(result.stderr or result.stdout).strip().splitlines()[-1:] or ['no message']}")
        return result

    def ctl(self, *arguments, stdin=None, check=True, timeout=60):
        return self.run("lockstepctl", "--instance", self.instance, "--key", self.path("seal.key"), *arguments,
                        stdin=stdin, check=check, timeout=timeout)

    # --- the market ----------------------------------------------------------------------------

    def make_market(self, symbols):
        """Contract files and certificates; `symbols` as (exchange, trading symbol). Numbers instruments from 1."""
        self.run("lockstep-brokersim", "--write-contracts", self.path("contracts"))
        self.run("lockstep-brokersim", "--make-certs", self.path("certs"))
        rows = {}
        for name in ("NSE", "BSE", "NFO", "BFO"):
            with open(self.path("contracts", f"{name}.csv"), newline="") as file:
                for row in csv.DictReader(file):
                    rows[name, row["Trading Symbol"]] = row
        for number, (exchange, symbol) in enumerate(symbols, start=1):
            if (exchange, symbol) not in rows and exchange in ("NFO", "BFO"):
                candidates = sorted(s for e, s in rows if e == exchange and re.match(symbol, s))
                if candidates:
                    symbol = candidates[0]
            row = rows.get((exchange, symbol))
            if row is None:
                raise WorldError(f"the contract files have no {exchange}:{symbol}")
            kind = {"": "CASH", "EQ": "CASH"}.get(row["Instrument Type"], "")
            if not kind:
                kind = "FUTURE" if row["Option Type"] == "XX" else "OPTION"
            if exchange in ("NSE", "BSE"):
                kind = "CASH"
            instrument = {"instrument": number, "exchange": exchange, "kind": kind, "token": row["Token"],
                          "symbol": symbol, "underlying": row["Symbol"], "lot": int(row["Lot Size"]),
                          "tick": row["Tick Size"].rstrip("0").rstrip(".")}
            if row.get("Expiry Date"):
                instrument["expiry"] = int(row["Expiry Date"].replace("-", ""))
            if kind == "OPTION":
                instrument["right"] = row["Option Type"]
                instrument["strike"] = row["Strike Price"]
            self.instruments.append(instrument)
        return self.instruments

    def instrument(self, symbol):
        for instrument in self.instruments:
            if instrument["symbol"] == symbol:
                return instrument
        raise WorldError(f"no instrument {symbol}")

    def add_account(self, login, roles, address=None, funds="10000000", token=None, **more):
        token = token or secrets.token_urlsafe(48)[:64]
        account = {"account": len(self.accounts) + 1, "broker": "sim", "login": login, "roles": roles,
                   "lanes": self.lanes if "follower" in roles else "shared", "token": token, **more}
        if address:
            account["source_address"] = address
        self.accounts.append(account)
        self.tokens[login] = token
        self.funds = getattr(self, "funds", {})
        self.funds[login] = funds
        return account

    def follow(self, login, master, **settings):
        follower = {"follower": len(self.followers) + 1, "account": login, "master": master, **settings}
        self.followers.append(follower)
        return follower

    def snapshot(self, **more):
        broker = {"name": "sim", "dialect": "alice-blue", "host": "127.0.0.1", "port": self.sim_port,
                  "authority": "localhost", "ca_file": self.path("certs", "ca.pem"), **self.broker_options}
        # What only the simulator is to know of an account is no field of a snapshot.
        accounts = [{key: value for key, value in account.items() if key != "feed"} for account in self.accounts]
        return {"cluster": f"e2e-{self.instance}", "shards": 1, "brokers": [broker], "accounts": accounts,
                "instruments": self.instruments, "subscriptions": self.followers, **more}

    # --- processes -----------------------------------------------------------------------------

    def start(self, name, program, *arguments, stdin=None, env=None):
        command = [self.binary(program), *arguments]
        if name in self.cores and shutil.which("taskset"):
            command = ["taskset", "-c", str(self.cores[name]), *command]
        process = Process(name, command, self.path(f"{name}.log"), env=dict(self.env, **(env or {})), stdin=stdin)
        self.processes[name] = process
        return process

    def start_sim(self):
        options = {"market_orders": "refuse", "seed": 7, **self.sim_options}
        options["feed"] = {"port": self.feed_port or 0, **options.get("feed", {})}
        nested = "".join(f"{key}: {value}\n" for key, value in options.items() if not isinstance(value, dict))
        for key, value in options.items():
            if isinstance(value, dict):
                nested += f"{key}:\n" + "".join(f"  {k}: {v}\n" for k, v in value.items())
        accounts = [{"account": a["login"], "token": self.tokens[a["login"]], "funds": self.funds[a["login"]],
                     **({"feed": a["feed"]} if a.get("feed") else {}),
                     **({"addresses": [a["source_address"]]} if a.get("source_address") and
                        a["lanes"] == "own" and "follower" in a["roles"] else {})} for a in self.accounts]
        self.write("sim-accounts.json", json.dumps(accounts))
        config = self.write("brokersim.yaml", f"""listen:
  addresses: ["127.0.0.1", "::1"]
  port: {self.sim_port or 0}
admin:
  address: 127.0.0.1
  port: {self.admin_port or 0}
tls:
  certificate: {self.path('certs', self.sim_options.get('_certificate', 'server.pem'))}
  key: {self.path('certs', self.sim_options.get('_key', 'server.key'))}
contracts: {self.path('contracts')}
accounts_file: {self.path('sim-accounts.json')}
ports_file: {self.path('sim-ports')}
""" + "".join(line + "\n" for line in nested.splitlines() if not line.startswith("_")))
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path("sim-ports"))
        process = self.start("brokersim", "lockstep-brokersim", "--config", config)

        def ports():
            process.check()
            try:
                with open(self.path("sim-ports")) as file:
                    return json.load(file)
            except (FileNotFoundError, ValueError):
                return None
        found = wait_for("the simulated broker's start", ports)
        self.sim_port, self.admin_port, self.feed_port = found["port"], found["admin_port"], found["feed_port"]
        return process

    def publish(self, *options, check=True, **more):
        path = self.write("snapshot.json", json.dumps(self.snapshot(**more), indent=1))
        return self.ctl("snapshot", "publish", path, *options, check=check)

    def start_engine(self, env=None, name="engine", wait=True):
        defaults = {"instance": self.instance, "key_file": self.path("seal.key"), "io": self.io, "tier": self.tier}
        text = "".join(f"{key}: {value}\n" for key, value in {**defaults, **self.flat_engine_options()}.items())
        for key, value in self.engine_options.items():
            if isinstance(value, dict):
                text += f"{key}:\n" + "".join(f"  {k}: {v}\n" for k, v in value.items())
        if not any(isinstance(v, dict) and k == "journal" for k, v in self.engine_options.items()):
            text += f"journal:\n  directory: {self.path('journal')}\n"
        os.makedirs(self.path("journal"), exist_ok=True)
        config = self.write("engine.yaml", text)
        process = self.start(name, "lockstep-engine", "--config", config, "--shard", "0", env=env)
        if wait:
            self.wait_engine(process)
        return process

    def flat_engine_options(self):
        return {key: value for key, value in self.engine_options.items() if not isinstance(value, dict)}

    def wait_engine(self, process, seconds=30.0):
        """Until it runs, has adopted the snapshot, and its connections are warm."""
        def ready():
            process.check()
            metrics = self.metrics()
            want = metrics.get("lockstep_engine_connections_wanted", 0)
            return want > 0 and metrics.get("lockstep_engine_connections_ready", 0) >= want
        wait_for("the engine's readiness", ready, seconds, 0.05)

    def start_ingest(self, interval_ms=200, follower_ms=None, wait=True, feed=False):
        """lockstep-ingest alice-blue: by the books alone, or with the broker's sockets (feed)."""
        config = self.write("ingest.yaml", f"""instance: {self.instance}
key_file: {self.path('seal.key')}
poll_master_ms: {interval_ms}
poll_follower_ms: {follower_ms or interval_ms}
""" + "".join(f"{key}: {value}\n" for key, value in self.ingest_options.items()))
        before = self.metrics().get("lockstep_engine_ring_records_total", 0)
        process = self.start("ingest", "lockstep-ingest", "alice-blue", *([] if feed else ["--poll"]),
                             "--config", config)
        if wait:
            def ready():
                process.check()
                # Each book is published between a begin and an end record.
                return self.metrics().get("lockstep_engine_ring_records_total", 0) >= before + 2 * len(self.accounts)
            wait_for("the first look at every order book", ready, 60)
        return process

    def keep_prices(self, interval=0.5):
        """Feeds the simulator's last prices to the prices page, by a process that a kept demo leaves behind."""
        feed = os.path.join(os.path.dirname(os.path.abspath(__file__)), "price_feed.py")
        self.processes["prices"] = Process("prices", [
            sys.executable, feed, "--ctl", self.binary("lockstepctl"), "--instance", self.instance, "--admin-port",
            str(self.admin_port), "--snapshot", self.path("snapshot.json"), "--interval", str(interval)],
            self.path("prices.log"), env=self.env)

    def stop(self):
        codes = {name: process.stop() for name, process in reversed(list(self.processes.items()))}
        shutil.rmtree(f"/dev/shm/lockstep.{self.instance}", ignore_errors=True)
        return codes

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # --- the simulated broker's admin port ---------------------------------------------------------

    def admin(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=30)
        try:
            connection.request(method, path, body=json.dumps(body) if body is not None else None,
                               headers={"Content-Type": "application/json"} if body is not None else {})
            reply = connection.getresponse()
            text = reply.read().decode()
        finally:
            connection.close()
        data = json.loads(text) if text else {}
        if reply.status >= 300:
            raise WorldError(f"{method} {path}: {reply.status} {text[:200]}")
        return data

    def book(self, account=None, source="API"):
        """Orders that the broker ever received, of one source; the truth that a run is judged by."""
        data = self.admin("GET", "/sim/orders" + (f"?account={account}" if account else ""))
        rows = data["orders"] if isinstance(data, dict) else data
        return [row for row in rows if source is None or row["source"] == source]

    def price_rows(self):
        """Last prices of the world's own instruments."""
        rows = []
        for symbol in {i["symbol"] for i in self.instruments}:
            rows += self.admin("GET", f"/sim/price?symbol={symbol}")["prices"]
        return rows

    def terminal(self, account, symbol, side, quantity, type="LIMIT", price=None, trigger=None, product="MIS"):
        body = {"account": account, "symbol": symbol, "side": side, "quantity": quantity, "type": type,
                "product": BROKER_PRODUCTS[product], "validity": "DAY"}
        instrument = self.instrument(symbol)
        body["exchange"] = instrument["exchange"]
        if price is not None:
            body["price"] = text_of(price)
        if trigger is not None:
            body["trigger"] = text_of(trigger)
        reply = self.admin("POST", "/sim/terminal/order", body)
        return reply.get("broker_order_id") or reply["order"]["broker_order_id"]

    # --- what the instance says of itself ------------------------------------------------------------

    def metrics(self):
        """Sums of samples by name over processes and labels."""
        result = self.ctl("metrics", check=False)
        sums = {}
        for line in result.stdout.splitlines():
            if line and not line.startswith("#"):
                name = re.split(r"[{ ]", line, maxsplit=1)[0]
                with contextlib.suppress(ValueError):
                    sums[name] = sums.get(name, 0) + float(line.rsplit(" ", 1)[1])
        return sums

    def orders(self, *options):
        return [json.loads(line) for line in self.ctl("orders", "--json", *options).stdout.splitlines()]
