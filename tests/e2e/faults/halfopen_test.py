"""A broker that is gone without a word: the host behind a veth pair loses its link, or a relay swallows every byte.

    halfopen_test.py --bin DIR

An idle connection is found dead within three seconds; an order in flight is UNKNOWN and never arrives later, when the link
is back; one whose reply was lost is in the book once. Where no network namespace can be made, which takes root, a relay
plays the dead host.
"""
import argparse
import ctypes
import os
import secrets
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy import Proxy  # noqa: E402
from scene import DOUBTED, SYMBOLS, Scene, WorldError, run, wait_for  # noqa: E402

FOUND_S = 3.0
CLONE_NEWNET = 0x40000000


class Link:
    """A network namespace of its own behind a veth pair, with a listener in it."""

    def __init__(self):
        number = secrets.randbelow(60) * 4
        self.name = f"ls{os.getpid()}"
        self.outside, self.inside = f"10.231.77.{number + 1}", f"10.231.77.{number + 2}"
        self.ip("netns", "add", self.name)
        self.ip("link", "add", f"{self.name}a", "type", "veth", "peer", "name", "peer", "netns", self.name)
        self.ip("addr", "add", f"{self.outside}/30", "dev", f"{self.name}a")
        self.ip("link", "set", f"{self.name}a", "up")
        self.within("addr", "add", f"{self.inside}/30", "dev", "peer")
        self.within("link", "set", "peer", "up")

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def within(self, *words):
        self.ip("-n", self.name, *words)

    def listen(self):
        """A socket of the namespace: this thread visits it for the moment of making it."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                return socket.create_server((self.inside, 0), backlog=64)
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)

    def down(self):
        self.within("link", "set", "peer", "down")

    def up(self):
        self.within("link", "set", "peer", "up")

    def remove(self):
        self.ip("netns", "del", self.name)
        # The pair goes with the namespace, which goes with its last socket.
        subprocess.run(["ip", "link", "del", f"{self.name}a"], capture_output=True, check=False)


class Swallow:
    """The same without a namespace: the kernel answers, the relay says nothing."""

    def __init__(self, proxy):
        self.proxy = proxy

    def down(self):
        self.proxy.black = True

    def up(self):
        self.proxy.black = False


def ready(scene):
    return scene.world.metrics().get("lockstep_engine_connections_ready", 0)


def all_ready(scene):
    wait_for("every connection", lambda: ready(scene) >= scene.world.metrics()["lockstep_engine_connections_wanted"], 40, 0.1)
    time.sleep(1.2)  # fresh ones have had their GET


def play(scene, line):
    world = scene.world
    scene.begin()
    all_ready(scene)
    first = scene.say(symbol=SYMBOLS[0])
    if len(scene.judge(first, scene.settled(first))) != scene.followers:
        raise WorldError("copies are missing before any harm")
    # Idle.
    line.down()
    began = time.monotonic()
    wait_for("the end of idle connections", lambda: ready(scene) == 0, 6, 0.05)
    idle_s = time.monotonic() - began
    if idle_s > FOUND_S + 0.5:  # what the page of metrics is behind
        raise WorldError(f"idle connections were found dead after {idle_s:.1f} s")
    line.up()
    all_ready(scene)
    # An order into the void: the kernel has its bytes, nobody reads them.
    before = len(world.book())
    line.down()
    began = time.monotonic()
    second = scene.say(symbol=SYMBOLS[1])
    copies = scene.settled(second, 10)
    void_s = time.monotonic() - began
    states = {copy["state"].split(" ")[0] for copy in copies.values()}
    if not states <= DOUBTED:
        raise WorldError(f"orders into the void are {states}")
    line.up()
    all_ready(scene)
    time.sleep(1.5)  # the time that TCP would take to deliver what the kernel still had
    # What TCP says again as the line comes back may win against the end of its socket: in doubt, found in the book, held.
    late = len(world.book()) - before
    held = scene.judge(second, scene.settled(second, 10))
    if late not in (0, len(held)):
        raise WorldError(f"{late} orders arrived, {len(held)} copies are held by what the engine says")
    before += late
    # The order arrives, its reply does not.
    world.admin("POST", "/sim/faults", {"rules": [{"match": {"path": "placeorder"}, "action": {
        "kind": "delay", "delay_ms": 700}}]})
    third = scene.say(symbol=SYMBOLS[2])
    wait_for("the orders' arrival", lambda: len(world.book()) >= before + scene.followers, 5, 0.02)
    line.down()
    copies = scene.settled(third, 10)
    world.admin("POST", "/sim/faults", {"rules": []})
    line.up()
    all_ready(scene)
    held = scene.judge(third, scene.settled(third, 10))
    if len(held) != scene.followers:
        raise WorldError(f"{len(held)} of {scene.followers} orders are in the book")
    last = scene.say(symbol=SYMBOLS[3])
    if len(scene.judge(last, scene.settled(last))) != scene.followers:
        raise WorldError("copies are missing afterwards")
    if world.metrics()["lockstep_engine_conservation_gap"]:
        raise WorldError("conservation gap")
    print(f"idle found dead in {idle_s:.2f} s, orders in flight settled in {void_s:.2f} s as {sorted(states)}, 0 late, 0 twice")
    scene.engine_stops()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    options = parser.parse_args()
    made, link = [], None
    try:
        link = Link()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no network namespace can be made here ({error}), so a relay swallows the bytes")

    def make():
        scene = Scene(options.bin, "halfopen", 4, symbols=4)
        scene.world.start_sim()
        proxy = Proxy(scene.world.sim_port, link.listen() if link else None)
        made.append(proxy)
        scene.world.broker_options.update(port=proxy.port, **({"host": link.inside} if link else {}))
        return scene
    try:
        return run(make, lambda scene: play(scene, link or Swallow(made[0])))
    finally:
        for proxy in made:
            proxy.close()
        if link:
            link.remove()


if __name__ == "__main__":
    sys.exit(main())
