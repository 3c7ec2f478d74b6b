"""Certificates that are no proof of who answers: `openssl s_server` with ten of them, each a broker of its own.

    certs_test.py --bin DIR

No byte of an order reaches any of the servers, the log names the broker and what is wrong, the copies are said to be unsent,
and a healthy broker beside them is served. A good certificate of the same authority is the proof that the rest is right.
"""
import argparse
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
from fronts import free_port  # noqa: E402
from hostile import Server  # noqa: E402
from scene import Scene, WorldError, run, wait_for  # noqa: E402
from world import Process  # noqa: E402

# name: (what the log must say, key, digest, start, end, subject, extensions, authority)
SAN = "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth"
LEAVES = {
    "good": ("", "ec", "sha256", -1, 30, "localhost", SAN, "ca"),
    "expired": ("expired", "ec", "sha256", -30, -1, "localhost", SAN, "ca"),
    "early": ("not valid yet", "ec", "sha256", 1, 30, "localhost", SAN, "ca"),
    "other-host": ("(name|host|mismatch)", "ec", "sha256", -1, 30, "elsewhere",
                   "subjectAltName=DNS:elsewhere.example", "ca"),
    "self-signed": ("(self.signed|issuer|trust)", "ec", "sha256", -1, 30, "localhost", SAN, None),
    "unknown-authority": ("(issuer|self.signed|trust|unknown)", "ec", "sha256", -1, 30, "localhost", SAN, "stranger"),
    "weak-key": ("(key too weak|key too small|weak)", "rsa:1024", "sha256", -1, 30, "localhost", SAN, "ca"),
    "weak-digest": ("(digest|weak|md too)", "ec", "sha1", -1, 30, "localhost", SAN, "ca"),
    "name-only-in-cn": ("(name|host|mismatch)", "ec", "sha256", -1, 30, "localhost", "extendedKeyUsage=serverAuth", "ca"),
    "for-clients": ("(purpose|unsuitable)", "ec", "sha256", -1, 30, "localhost",
                    "subjectAltName=DNS:localhost\nextendedKeyUsage=clientAuth", "ca"),
    "wildcard-of-everything": ("(name|host|mismatch)", "ec", "sha256", -1, 30, "*", "subjectAltName=DNS:*", "ca"),
}


# libcurl, which reads books, falls back to the subject where a certificate has no names; orders never do.
READ_ANYWAY = {"name-only-in-cn"}


class Authority:
    """Certificates by the command line, in the directory of the test."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory)
        with open(self.path("ca.conf"), "w") as file:
            file.write(f"""[ca]
default_ca = here
[here]
new_certs_dir = {directory}
database = {self.path('index')}
serial = {self.path('serial')}
unique_subject = no
policy = any
[any]
commonName = supplied
""")
        for name in ("ca", "stranger"):
            self.run("req", "-x509", *self.key("ec"), "-nodes", "-days", "30", "-subj", f"/CN=test {name}", "-keyout",
                     self.path(f"{name}.key"), "-out", self.path(f"{name}.pem"), "-addext", "keyUsage=keyCertSign",
                     "-addext", "basicConstraints=critical,CA:TRUE")

    def path(self, name):
        return os.path.join(self.directory, name)

    def run(self, *words):
        done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise WorldError(f"openssl {words[0]}: {done.stderr.strip().splitlines()[-1:]}")

    @staticmethod
    def key(kind):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256") if kind == "ec" else ("-newkey", kind)

    @staticmethod
    def day(days):
        return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 86400 * days))

    def leaf(self, name):
        _, key, digest, start, end, subject, extensions, authority = LEAVES[name]
        files = "-keyout", self.path(f"{name}.key")
        if authority is None:
            more = [word for line in extensions.splitlines() for word in ("-addext", line)]
            self.run("req", "-x509", *self.key(key), "-nodes", "-days", str(end), "-subj", f"/CN={subject}", *files,
                     "-out", self.path(f"{name}.pem"), *more)
            return
        self.run("req", "-new", *self.key(key), "-nodes", "-subj", f"/CN={subject}", *files, "-out", self.path(f"{name}.csr"))
        with open(self.path(f"{name}.ext"), "w") as file:
            file.write(f"[leaf]\nbasicConstraints=CA:FALSE\n{extensions}\n")
        with open(self.path("index"), "w"):
            pass
        with open(self.path("serial"), "w") as file:
            file.write("%02X\n" % (16 + list(LEAVES).index(name)))
        self.run("ca", "-batch", "-notext", "-config", self.path("ca.conf"), "-cert", self.path(f"{authority}.pem"),
                 "-keyfile", self.path(f"{authority}.key"), "-md", digest, "-startdate", self.day(start), "-enddate",
                 self.day(end), "-extfile", self.path(f"{name}.ext"), "-extensions", "leaf", "-in", self.path(f"{name}.csr"),
                 "-out", self.path(f"{name}.pem"))


def play(scene, authority, servers):
    world = scene.world
    world.start_sim()
    sim = world.snapshot()["brokers"][0]
    brokers = [sim]
    for number, name in enumerate(LEAVES, start=1):
        authority.leaf(name)
        if name == "good":
            servers.append(Server("good", authority.path("good.pem"), authority.path("good.key")))
            servers[0].calm_event.set()
            port = servers[0].port
        else:
            port = free_port()
            process = Process(name, ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-alpn", "h2", "-quiet", "-cert",
                                     authority.path(f"{name}.pem"), "-key", authority.path(f"{name}.key"), "-cipher",
                                     "ALL:@SECLEVEL=0"], world.path(f"{name}.log"), stdin=subprocess.PIPE)
            world.processes[name] = process
        brokers.append({**sim, "name": f"bad-{name}"[:15] if name != "good" else "good", "port": port, "pool_connections": 1,
                        "ca_file": authority.path("ca.pem")})
        world.accounts[number]["broker"] = brokers[-1]["name"]
    world.publish(brokers=brokers)
    world.start_engine(wait=False)
    scene.prices = {row["symbol"]: row["price"] for row in world.price_rows()}
    scene.start_feed()
    for broker, (name, (says, *_)) in zip(brokers[1:], LEAVES.items()):
        if name != "good":
            scene.wait_log(f"(?i){re.escape(broker['name'])}.*{says}")
            world.processes[name].check()
    wait_for("the two good brokers", lambda: world.metrics().get("lockstep_engine_connections_ready", 0) >= 3, 20, 0.1)
    order = scene.say()
    copies = scene.settled(order)
    for number, name in enumerate(LEAVES, start=1):
        copy = copies[f"F{number:04}"]
        with open(world.path(f"{name}.log") if name != "good" else os.devnull, "rb") as file:
            heard = file.read()
        if name == "good":
            if copy["state"] not in ("ACKED", "OPEN") or servers[0].tags != [copy["tag"]]:
                raise WorldError(f"a good certificate of the same authority: {copy['state']} {copy['reason']}")
        elif copy["state"] not in ("NOT_SENT", "SKIPPED"):
            raise WorldError(f"{name}: the copy is {copy['state']}")
        elif b"placeorder" in heard or b"PRI *" in heard and name not in READ_ANYWAY:
            raise WorldError(f"{name}: bytes of a request were sent: {heard[:80]!r}")
    healthy = f"F{len(LEAVES) + 1:04}"
    if scene.judge(order, {healthy: copies[healthy]}) != {healthy}:
        raise WorldError("the healthy broker was not served")
    print(f"{len(LEAVES) - 1} bad certificates: no byte sent, each named in the log, copies "
          f"{sorted({c['state'] + ' ' + c['reason'] for l, c in copies.items() if c['state'] in ('NOT_SENT', 'SKIPPED')})}")
    scene.engine_stops()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    options = parser.parse_args()
    servers = []
    try:
        return run(lambda: Scene(options.bin, "certs", len(LEAVES) + 1, symbols=1,
                                 settings={"max_age_limit_ms": 1500}),
                   lambda scene: play(scene, Authority(scene.world.path("authority")), servers))
    finally:
        for server in servers:
            server.close()


if __name__ == "__main__":
    sys.exit(main())
