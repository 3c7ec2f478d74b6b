"""The real engine killed between two instructions, on its way from an intent to what a reply becomes.

    steps_test.py --bin DIR --stepper PROGRAM [--points 324]

For each point the pinned thread runs to a function of that way by a breakpoint, then n instructions of our own code, one by
one, and the process dies. Each point is an order of its own master to its own follower, so that what is unknown of one bars no
other. The next engine recovers and takes the next point. By the broker's book no order is there twice, and each that is not
there was reported.
"""
import argparse
import os

import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scene import Scene, WorldError, run, wait_for  # noqa: E402

# Name, the functions that are run to in turn, stride. Reads as: decide, commit the intent, apply it, encode, seal and send,
# receive, parse the reply, commit it, apply it.
WAY = [
    ("decide", ["eng_decide_batch"], 31),
    ("commit", ["eng_decide_batch", "eng_journal_commit"], 3),
    ("apply", ["eng_decide_batch", "eng_journal_commit", "eng_apply"], 17),
    ("encode", ["eng_decide_batch", "eng_pool_request"], 11),
    ("seal and send", ["eng_decide_batch", "eng_pool_request", "eng_pool_flush"], 11),
    ("receive", ["eng_decide_batch", "eng_pool_request", "eng_h2_receive"], 11),
    ("reply", ["eng_decide_batch", "eng_pool_request", "turn_on_reply"], 7),
    ("commit the reply", ["eng_decide_batch", "turn_on_reply", "eng_journal_commit"], 3),
    ("apply the reply", ["eng_decide_batch", "turn_on_reply", "eng_journal_commit", "eng_apply"], 13),
]


def addresses(binary):
    """Functions of the program, and where its text begins and ends, as offsets."""
    lines = subprocess.run(["nm", "--defined-only", binary], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[2]: int(line.split()[0], 16) for line in lines if line.split()[1] in "tT"}


class Target:
    """Where the living engine is, in memory and threads."""

    def __init__(self, pid, binary):
        self.pid, self.base, self.begin, self.end = pid, None, None, None
        with open(f"/proc/{pid}/maps") as file:
            for line in file:
                if line.rstrip().endswith(os.path.realpath(binary)):
                    first, last = (int(part, 16) for part in line.split()[0].split("-"))
                    self.base = first if self.base is None else self.base
                    if "x" in line.split()[1]:
                        self.begin, self.end = first, last
        self.thread = next(int(tid) for tid in os.listdir(f"/proc/{pid}/task")
                           if open(f"/proc/{pid}/task/{tid}/comm").read().strip() == "ls-pinned")


def wait_ready(scene, starts):
    """Until the engine of that start, not the page that the last one left, has its connection."""
    wait_for("the engine's start", lambda: scene.log().count("is in force") >= starts, 60, 0.01)
    scene.world.wait_engine(scene.world.processes["engine"])


def one_point(scene, stepper, functions, way, steps, number):
    """An order during which the engine dies. Returns what the stepper said and the master's order."""
    world = scene.world
    engine = world.processes["engine"]
    target = Target(engine.child.pid, world.binary("lockstep-engine"))
    tracer = subprocess.Popen([stepper, str(target.pid), str(target.thread), f"{target.begin:x}", f"{target.end:x}", str(steps),
                               *(f"{target.base + functions[name]:x}" for name in way)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    if tracer.stdout.readline() != "armed\n":
        tracer.wait(15)
        return tracer.returncode, tracer.stderr.read().strip(), None
    order = scene.say(account=f"M{number:04}")
    said = tracer.communicate(timeout=20)[0].strip()
    engine.reap()
    world.start_engine(wait=False)
    return tracer.returncode, said, order


def play(scene, stepper, points):
    world = scene.world
    functions = addresses(world.binary("lockstep-engine"))
    missing = {name for _, names, _ in WAY for name in names} - set(functions)
    if missing:
        raise WorldError(f"the engine has no function {sorted(missing)}")
    world.start_sim()
    scene.begin()
    orders, where, late, began = {}, {}, 0, time.monotonic()
    each = points // len(WAY)
    number = 0
    for name, way, stride in WAY:
        for n in range(each):
            number += 1
            wait_ready(scene, number)
            code, said, order = one_point(scene, stepper, functions, way, n * stride, number)
            if code == 77:
                print(f"SKIP: {said}")
                return
            if order is None:
                raise WorldError(f"{name} + {n * stride}: {said}")
            orders[number] = order
            late += not said.startswith("killed")
            if number % 34 == 0:
                print(f"{number} deaths in {time.monotonic() - began:.0f} s", flush=True)
            where.setdefault(name, set()).add(said.split(" ")[1] if said.startswith("killed") else "late")
    wait_ready(scene, number + 1)
    time.sleep(1.5)
    # --- the book ---------------------------------------------------------------------------------------
    book, phases = world.book(), {}
    tags = [row["tag"] for row in book]
    if len(tags) != len(set(tags)):
        raise WorldError(f"{len(tags) - len(set(tags))} orders are twice in the broker's book")
    journal = {}
    for wave in world.orders("--disk", world.path("journal", f"lockstep.{world.instance}")):
        for copy in wave["copies"]:
            journal.setdefault(wave["order"], []).append(copy)
    for number, order in orders.items():
        copies = journal.get(order, [])
        if len({copy["tag"] for copy in copies}) != 1:
            raise WorldError(f"point {number}: the journal has of {order} {[(c['tag'], c['kind'], c['state']) for c in copies]}")
        copy = copies[-1]
        held = scene.judge(order, {copy["login"]: copy}, book)
        name = WAY[(number - 1) // each][0]
        state = copy["state"].split(" ")[0] + (", in the book" if held else "")
        phases.setdefault(name, {})[state] = phases.setdefault(name, {}).get(state, 0) + 1
    for name, states in phases.items():
        print(f"  {name}: {len(where[name])} places, {states}")
    if world.metrics()["lockstep_engine_conservation_gap"]:
        raise WorldError("conservation gap")
    print(f"{len(orders)} deaths at {sum(map(len, where.values()))} instructions of the real engine, {late} of them late, in "
          f"{time.monotonic() - began:.0f} s: 0 twice, 0 lost")
    if sum(len(places) for places in where.values()) < points * 3 // 4 or late > points // 20:
        raise WorldError("too few places to mean anything")
    seen = {state for states in phases.values() for state in states}
    if not any("in the book" in state for state in seen) or len(seen) < 2:
        raise WorldError(f"only {seen} was seen")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--stepper", required=True)
    parser.add_argument("--points", type=int, default=324)
    options = parser.parse_args()
    points = options.points // len(WAY) * len(WAY)

    def make():
        scene = Scene(options.bin, "steps", 0, symbols=1, limits={"follower_slots": 1024, "accounts": 1024, "masters": 1024}, broker={
            "pool_connections": 1}, settings={})
        # A small ring: a start prepares and locks all of it.
        scene.world.engine_options["journal"] = {"directory": scene.world.path("journal"), "segment_kib": 1024, "segments": 4}
        world = scene.world
        world.accounts.clear()
        world.tokens.clear()
        for number in range(1, points + 1):
            world.add_account(f"M{number:04}", ["master"])
            world.add_account(f"F{number:04}", ["follower"])
            world.follow(f"F{number:04}", f"M{number:04}", ratio="1", max_age_limit_ms=1000 if number % 2 else 10000)
        return scene
    return run(make, lambda scene: play(scene, options.stepper, points))


if __name__ == "__main__":
    sys.exit(main())
