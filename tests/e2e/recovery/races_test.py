"""Two engines on one journal, and recovery killed in the middle of itself.

    races_test.py --bin DIR [--races 200] [--deaths 50] [--seed N]

A race: two engines of one shard are started at once, one must go with a sentence, the other has the journal; it is killed
with SIGKILL and the next two start at once. Now and then the master trades in between. Then one engine is killed again and
again within its first moments, most often while it still folds, clears and writes its OPEN fact. At the end the journal is
whole, adds up, is decided again to the same bytes, and the broker has no order twice and each that is said to work.
"""
import argparse
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from scene import SYMBOLS, Scene, WorldError, run, wait_for  # noqa: E402
from world import Process  # noqa: E402

FOLLOWERS = 3


def engine(scene, name):
    world = scene.world
    return Process(name, [world.binary("lockstep-engine"), "--config", world.path("engine.yaml"), "--shard", "0"],
                   world.path(f"{name}.log"), env=world.env)


def race(scene, number, dice):
    """Starts two at once; returns the one that has the journal."""
    pair = [engine(scene, f"race-{which}") for which in ("a", "b")]
    wait_for("the end of one of two engines", lambda: not all(p.alive() for p in pair), 10, 0.002)
    lost = [p for p in pair if not p.alive()]
    if len(lost) == 2:
        raise WorldError(f"race {number}: both engines went: {lost[0].tail()} / {lost[1].tail()}")
    code, said = lost[0].child.returncode, lost[0].tail()
    lost[0].reap()
    if code != 1 or ("another engine" not in said and "is running" not in said):
        raise WorldError(f"race {number}: an engine ended with {code} and said: {said}")
    winner = next(p for p in pair if p is not lost[0])
    return winner


def play_races(scene, options, dice):
    world, copied = scene.world, 0
    scene.engine_stops()
    for number in range(options.races):
        winner = race(scene, number, dice)
        if number % 20 == 10:
            world.processes["engine"] = winner
            world.wait_engine(winner)
            order = scene.say(symbol=SYMBOLS[number // 20 % 4])
            scene.judge(order, scene.settled(order))
            world.processes.pop("engine")
            copied += 1
        elif dice.random() < 0.5:
            time.sleep(dice.uniform(0.0, 0.03))
        winner.kill()
        winner.reap()
    return copied


def play_deaths(scene, options, dice):
    """Kills one engine after another in its first moments; a copy is in doubt from the first death on."""
    world = scene.world
    world.start_engine()
    scene.say(symbol=SYMBOLS[0])
    world.processes["engine"].kill()
    world.processes["engine"].reap()
    for number in range(options.deaths):
        process = engine(scene, "death")
        time.sleep(dice.uniform(0.0, 0.05))
        if not process.alive():
            raise WorldError(f"death {number}: the engine ended by itself: {process.tail()}")
        process.kill()
        process.reap()
    world.start_engine()
    order = scene.say(symbol=SYMBOLS[1])
    scene.judge(order, scene.settled(order))


def verify(scene):
    world = scene.world
    verdict = json.loads(world.ctl("journal", "verify", "--json").stdout)
    if not verdict["whole"] or verdict["differences"] != 0:
        raise WorldError(f"journal verify: {verdict}")
    again = world.run("lockstep-engine", "--config", world.path("engine.yaml"), "--shard", "0", "--verify-journal",
                      check=False)
    if again.returncode != 0:
        raise WorldError(f"--verify-journal: {again.stderr}{again.stdout}")
    opens = [json.loads(line) for line in world.ctl("journal", "export", "--type", "open").stdout.splitlines()]
    for before, after in zip(opens, opens[1:]):
        if after["previous_lsn"] != after["lsn"] - 1 or not after["same_boot"]:
            raise WorldError(f"the OPEN fact {after['lsn']} does not continue what was there: {after}")
    tags = [row["tag"] for row in world.book()]
    if len(tags) != len(set(tags)):
        raise WorldError("a tag is at the broker twice")
    return verdict, len(opens), again.stdout.splitlines()[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--races", type=int, default=200)
    parser.add_argument("--deaths", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)

    def make():
        scene = Scene(options.bin, "races", followers=FOLLOWERS,
                      limits={"children": 4096, "positions": 1024, "master_orders": 512, "instruments": 256},
                      journal={"directory": "@", "segment_kib": 256, "segments": 3, "checkpoint_kib": 64,
                               "checkpoint_s": 1})
        scene.world.engine_options["journal"]["directory"] = scene.world.path("journal")
        scene.world.start_sim()
        return scene.begin()

    def play(scene):
        dice, began = random.Random(options.seed), time.monotonic()
        copied = play_races(scene, options, dice)
        print(f"{options.races} races in {time.monotonic() - began:.1f} s, {copied} of the winners copied", flush=True)
        began = time.monotonic()
        play_deaths(scene, options, dice)
        print(f"{options.deaths} deaths in recovery in {time.monotonic() - began:.1f} s", flush=True)
        time.sleep(0.3)
        verdict, opens, again = verify(scene)
        print(f"{opens} lives, {verdict['frames']} facts, {verdict['expected']} decisions add up; {again}")
    return run(make, play)


if __name__ == "__main__":
    sys.exit(main())
