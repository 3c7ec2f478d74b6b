"""Programs of different builds: objects in shared memory of another ABI or another layout.

    skew_test.py --bin DIR

What another build has made is what its header says, so the header is changed as another build would have written it. The
engine refuses each such object with a sentence that names it, keeps the snapshot that it has and trades on; an engine that starts
beside one does not trade by it, and goes on when it is gone.
"""
import argparse
import os
import re
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scene import SYMBOLS, Scene, WorldError, run, wait_for  # noqa: E402

ABI_AT, LAYOUT_AT, CRC_AT = 8, 16, 220


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def as_of_another_build(path, what):
    """Changes a region's header as a build with another ABI (what: abi) or another layout (layout) writes it."""
    with open(path, "r+b") as file:
        header = bytearray(file.read(224))
        if struct.unpack_from("<I", header, CRC_AT)[0] != crc32c(header[:CRC_AT]):
            raise WorldError(f"{path} has another header than this test knows")
        at, form = (ABI_AT, "<I") if what == "abi" else (LAYOUT_AT, "<Q")
        struct.pack_into(form, header, at, struct.unpack_from(form, header, at)[0] + 1)
        struct.pack_into("<I", header, CRC_AT, crc32c(header[:CRC_AT]))
        file.seek(0)
        file.write(header)


def served(scene, what, number):
    before = len(scene.world.book())
    scene.say(symbol=SYMBOLS[number])
    wait_for(f"every copy {what}", lambda: len(scene.world.book()) == before + scene.followers, 30)


def play(scene):
    world = scene.world
    world.start_sim()
    scene.begin()
    served(scene, "at first", 0)
    place = f"/dev/shm/lockstep.{world.instance}"
    # A snapshot of another build: publishing is refused, and the engine goes on with what it has.
    for what in ("abi", "layout"):
        copy = open(f"{place}/snapshot", "rb").read(224)
        as_of_another_build(f"{place}/snapshot", what)
        done = world.publish(check=False)
        if done.returncode == 0 or not re.search(r"ABI|layout", done.stderr + done.stdout):
            raise WorldError(f"publishing over a snapshot of another {what}: {(done.stderr or done.stdout).strip()}")
        served(scene, f"beside a snapshot of another {what}", 1 if what == "abi" else 2)
        with open(f"{place}/snapshot", "r+b") as file:
            file.write(copy)
    world.publish()
    scene.wait_log("generation 2 is in force")
    served(scene, "after a snapshot of our own", 3)
    # A start beside objects of another build.
    world.processes.pop("engine").stop()
    said = []
    for object_name in ("snapshot", "switches"):
        path = f"{place}/{object_name}"
        keep = open(path, "rb").read(224)
        as_of_another_build(path, "abi")
        try:
            process = world.start_engine(name="skewed", wait=False)
            scene.wait_log("ABI|layout", name="skewed", seconds=30)
            time.sleep(0.5)  # what it would do if it did not mean it
            text = scene.log("skewed")
            if world.metrics().get("lockstep_engine_connections_ready", 0) and object_name == "snapshot":
                raise WorldError("an engine connects by a snapshot of another build")
            said.append(next(line for line in text.splitlines() if re.search(r"ABI|layout", line)).split("]: ")[-1][:100])
            world.processes.pop("skewed")
            process.stop()
            os.remove(world.path("skewed.log"))
        finally:
            with open(path, "r+b") as file:
                file.write(keep)
    world.start_engine()
    served(scene, "at last", 4)
    print("refused with a sentence each: " + "; ".join(said))
    scene.engine_stops()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    options = parser.parse_args()
    return run(lambda: Scene(options.bin, "skew", 4, symbols=6), play)


if __name__ == "__main__":
    sys.exit(main())
