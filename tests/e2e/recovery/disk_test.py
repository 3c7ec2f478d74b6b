"""A full disk under the journal of a running engine: entries stop, exits and cancels go on, a person lets entries go again.

    disk_test.py --bin DIR [--sync LIBRARY]

The disk journal lies on a small tmpfs of its own (in a mount namespace that ends with this test; without the right to make
one it is skipped). The same with a disk that answers EIO to fdatasync, by a preloaded library. The broker decides: no entry
arrives that was decided after the disk had failed, every exit and cancel does.
"""
import argparse
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from scene import SYMBOLS, Scene, WorldError, run, wait_for  # noqa: E402

FOLLOWERS = 4
HELD, RESTING, NEW = SYMBOLS[0], SYMBOLS[1], SYMBOLS[2]


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


class Disk:
    """What fails, and what a person does about it."""

    def __init__(self, scene, sync):
        self.scene, self.sync, self.directory = scene, sync, scene.world.path("journal")
        os.makedirs(self.directory, exist_ok=True)
        self.mark = scene.world.path("sync-fails")
        if not sync:
            mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", self.directory)

    def env(self):
        return {"LD_PRELOAD": self.sync, "LS_SYNC_FAILS_FILE": self.mark} if self.sync else None

    def fail(self):
        if self.sync:
            open(self.mark, "w").close()
            return
        ballast = os.open(os.path.join(self.directory, "ballast"), os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(ballast, bytes(4096)) > 0:
                pass
        except OSError:
            pass
        os.close(ballast)

    def mend(self):
        if self.sync:
            os.remove(self.mark)
        else:
            os.remove(os.path.join(self.directory, "ballast"))
            mount("-o", "remount,size=64m", self.directory)


def arrived(scene, symbol, side):
    return sum(1 for row in scene.world.book() if row["symbol"] == symbol and row["side"] == side)


def cancelled(scene, symbol):
    return sum(1 for row in scene.world.book() if row["symbol"] == symbol and row["status"] == "CANCELLED")


def journal_state(scene):
    verdict = scene.world.ctl("journal", "verify", "--json", check=False).stdout
    return json.loads(verdict)["state"] if verdict else "none"


def play(scene, disk):
    world = scene.world
    # What is held, and what rests at the brokers.
    world.terminal("M0001", HELD, "BUY", 10, "MARKET")
    resting = world.terminal("M0001", RESTING, "BUY", 10, "LIMIT", round(scene.prices[RESTING] * 0.9))
    wait_for("the first copies", lambda: arrived(scene, HELD, "BUY") == FOLLOWERS and
             arrived(scene, RESTING, "BUY") == FOLLOWERS, 20, 0.1)
    wait_for("the copies' fills in the journal", lambda: world.ctl("journal", "ls", "--type", "update").stdout.count(
        "status=FILLED") >= FOLLOWERS, 20, 0.1)
    disk.fail()
    # Until the disk is asked for the next piece, it has not failed: orders go on, and make the journal grow.
    number, began = 0, time.monotonic()
    while journal_state(scene) != "disk-failed":
        world.terminal("M0001", RESTING, "BUY", 10, "LIMIT", round(scene.prices[RESTING] * 0.8) - number % 5)
        number += 1
        if time.monotonic() - began > 30:
            raise WorldError(f"the disk failed and the journal is {journal_state(scene)} after {number} orders")
        time.sleep(0.1)
    scene.wait_log("entries stopped")
    # Entries stop: the next one is skipped, with its reason, and never arrives.
    world.terminal("M0001", NEW, "BUY", 10, "LIMIT", round(scene.prices[NEW] * 0.9))
    skips = []

    def skipped():
        skips[:] = [copy for wave in world.orders() if wave.get("symbol") == NEW or wave["copies"]
                    for copy in wave["copies"] if copy["reason"] == "JOURNAL"]
        return len(skips) >= FOLLOWERS
    wait_for("the skips of the entry", skipped, 15, 0.1)
    # Exits and cancels go on.
    world.terminal("M0001", HELD, "SELL", 10, "MARKET")
    wait_for("the exits at the broker", lambda: arrived(scene, HELD, "SELL") == FOLLOWERS, 15, 0.1)
    before = cancelled(scene, RESTING)
    world.admin("POST", "/sim/terminal/cancel", {"account": "M0001", "broker_order_id": resting})
    wait_for("the cancels at the broker", lambda: cancelled(scene, RESTING) >= before + FOLLOWERS, 15, 0.1)
    if arrived(scene, NEW, "BUY") != 0:
        raise WorldError("an entry arrived at the broker while the journal could not be made durable")
    # It stays so until a person has mended the disk and starts the engine again.
    disk.mend()
    time.sleep(0.5)
    if journal_state(scene) != "disk-failed":
        raise WorldError("the journal went on by itself after a failed disk")
    scene.engine_stops()
    world.start_engine(env=disk.env())
    world.terminal("M0001", NEW, "BUY", 20, "LIMIT", round(scene.prices[NEW] * 0.9))
    wait_for("entries after the restart", lambda: arrived(scene, NEW, "BUY") == FOLLOWERS, 20, 0.1)
    tags = [row["tag"] for row in world.book()]
    if len(tags) != len(set(tags)):
        raise WorldError("a tag is at the broker twice")
    verdict = json.loads(world.ctl("journal", "verify", "--json").stdout)
    if not verdict["whole"] or verdict["differences"]:
        raise WorldError(f"journal verify: {verdict}")
    print(f"{'fdatasync fails' if disk.sync else 'the disk is full'}: entries stopped after {number} further orders, "
          f"{len(skips)} skipped, {FOLLOWERS} exits and {FOLLOWERS} cancels went on; {verdict['frames']} facts add up")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--sync", default=None)
    parser.add_argument("--inside", action="store_true")
    options = parser.parse_args()
    if not options.inside:
        probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
        if probe.returncode != 0:
            print("this user may make no mount namespace: the full disk is not tested")
            return 77
        return subprocess.run(["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv, "--inside"]
                              ).returncode

    def scene_of(sync):
        disk = []

        def make():
            scene = Scene(options.bin, "disk", followers=FOLLOWERS,                           sim={"market_orders": "accept"},
                          journal={"directory": "@", "segment_kib": 256, "segments": 3})
            world = scene.world
            world.engine_options["journal"]["directory"] = world.path("journal")
            disk.append(Disk(scene, sync))
            world.start_sim()
            world.publish()
            world.start_engine(env=disk[0].env())
            scene.prices = {row["symbol"]: row["price"] for row in world.price_rows()}
            world.keep_prices()
            world.start_ingest(interval_ms=100)
            wait_for("a price", lambda: any(char.isdigit() for char in
                                            world.ctl("price", "show", "sim", check=False).stdout), 15, 0.1)
            return scene
        return run(make, lambda scene: play(scene, disk[0]))
    result = scene_of(None)
    if options.sync:
        result |= scene_of(options.sync)
    return result


if __name__ == "__main__":
    sys.exit(main())
