"""Garbage for a reply: each follower's order, on a connection of its own, is answered by another of garbage.py's cases.

    garbage_test.py --bin DIR [--list]

A case that must be taken is acknowledged, one that must not is UNKNOWN and goes its way from there, one that may be either
is one of both. By the server's book every order was sent once; the engine lives, and the next order of everybody is
acknowledged.
"""
import argparse
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from garbage import EITHER, TAKEN, UNKNOWN, cases  # noqa: E402
from hostile import DATA, END_HEADERS, END_STREAM, HEADERS, STATUS_200, Server, frame, literal  # noqa: E402
from scene import DOUBTED, SYMBOLS, Scene, WorldError, run, wait_for  # noqa: E402


class Answering(Server):
    """Answers the n-th order with the n-th case; afterwards as a broker should."""

    def __init__(self, certificate, key, found):
        self.case_of, self.left = {}, list(found)
        super().__init__("garbage replies", certificate, key, self.reply)

    def case(self, tag):
        with self.lock:
            if self.left:
                self.case_of[tag] = self.left.pop(0)
            return self.case_of.get(tag)

    def reply(self, connection, stream, tag):
        case = self.case(tag)
        if case is None:
            connection.accept_order(stream)
            return
        body = case[2].replace(b"%ID%", b"%015d" % self.next_number())
        out = frame(HEADERS, END_HEADERS, stream, STATUS_200 + literal(b"content-type", b"application/json"))
        for at in range(0, len(body), 16000):
            out += frame(DATA, 0, stream, body[at:at + 16000])
        # Windows are not heeded: replies that are too long for them are part of the harm.
        connection.send(out + frame(DATA, END_STREAM, stream))


def play(scene, server, found):
    world = scene.world
    world.start_sim()
    world.broker_options["port"] = server.port
    scene.begin()
    time.sleep(1.2)
    order = scene.say()
    copies = scene.settled(order, 20)
    wait_for("every order", lambda: len(server.tags) >= len(found), 30)
    state_of = {copy["tag"]: copy["state"].split(" ")[0] for copy in copies.values()}
    wrong, counts = [], {}
    for tag, (name, expected, body) in server.case_of.items():
        state = state_of.get(tag, "nothing")
        counts[expected, state] = counts.get((expected, state), 0) + 1
        allowed = {TAKEN: {"ACKED"}, UNKNOWN: DOUBTED, EITHER: DOUBTED | {"ACKED"}}[expected]
        if state not in allowed:
            wrong.append(f"{name}: {state}, {expected} wanted: {body[:120]!r}")
    print(f"{len(found)} cases: " + ", ".join(f"{expected} and {state} {count}" for (expected, state), count in
                                              sorted(counts.items())), flush=True)
    if wrong:
        raise WorldError(f"{len(wrong)} cases:\n  " + "\n  ".join(wrong))
    wait_for("every connection", lambda: world.metrics()["lockstep_engine_connections_ready"] >=
             world.metrics()["lockstep_engine_connections_wanted"], 60, 0.1)
    time.sleep(1.2)
    order = scene.say(symbol=SYMBOLS[1])
    states = {copy["state"] for copy in scene.settled(order, 20).values()}
    if not states <= {"ACKED", "OPEN"}:
        raise WorldError(f"the next orders are {states}")
    if len(server.tags) != 2 * len(found) or len(set(server.tags)) != len(server.tags):
        raise WorldError(f"{len(server.tags)} orders came, {len(set(server.tags))} tags, {2 * len(found)} wanted")
    if world.metrics()["lockstep_engine_conservation_gap"]:
        raise WorldError("conservation gap")
    scene.engine_stops()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--list", action="store_true", help="print the cases")
    options = parser.parse_args()
    found, servers = cases(), []
    if options.list:
        for name, expected, body in found:
            print(f"{expected:8} {name}: {body[:100]!r}")
        return 0

    def make():
        scene = Scene(options.bin, "garbage", len(found), lanes="own", symbols=2, broker={"reply_timeout_ms": 2500})
        servers.append(Answering(scene.world.path("certs", "server.pem"), scene.world.path("certs", "server.key"), found))
        return scene
    try:
        return run(make, lambda scene: play(scene, servers[0], found))
    finally:
        for server in servers:
            server.close()


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    sys.exit(main())
