"""Deaths that are not asked for: a crash, an abort, the memory killer; and what they leave behind.

    deaths_test.py --bin DIR

After each the next engine goes on as after SIGKILL: nothing twice, nothing lost. None leaves a core file, and an image of
the living engine, taken by a debugger with root's rights, has neither a token nor the sealing key in it, one of ingest no key.
Two engines started at once are one engine, every time.
"""
import argparse
import base64
import contextlib
import glob
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scene import SYMBOLS, Scene, WorldError, run, wait_for  # noqa: E402

RACES = 20


def forms(secret):
    """How a secret may be written."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    shifted = [base64.b64encode(b"x" * n + raw)[8:-8] for n in range(3)]
    return {raw, raw.hex().encode(), raw.hex().upper().encode(), urllib.parse.quote_from_bytes(raw).encode(),
            *(form for form in shifted if len(form) > 16)}


def secrets_of(world):
    with open(world.path("seal.key"), "rb") as file:
        found = {"the sealing key": file.read()}
    found.update({f"the token of {login}": token for login, token in world.tokens.items()})
    return found


def search(path, wanted):
    """Names of the secrets that a file holds."""
    with open(path, "rb") as file:
        text = file.read()
    return [name for name, secret in wanted.items() if any(form in text for form in forms(secret))]


def next_order(scene, number, what):
    order = scene.say(symbol=SYMBOLS[number])
    copies = scene.settled(order)
    held = scene.judge(order, copies)
    # Who had an order in flight is asked about at the broker first.
    waits = {login for login, copy in copies.items() if copy["reason"] == "UNKNOWN_PENDING"}
    if len(held | waits) != scene.followers:
        raise WorldError(f"{what}: {len(held)} of {scene.followers} copies, "
                         f"{ {c['state'] + ' ' + c['reason'] for c in copies.values()} }")


def image_of(scene, name):
    """What a debugger reads of a living process; None when there is none."""
    pid = scene.world.processes[name].child.pid
    done = subprocess.run(["gdb", "-p", str(pid), "-batch", "-nx", "-ex", f"generate-core-file {scene.world.path(name + '.core')}"],
                          capture_output=True, text=True, timeout=120, check=False)
    path = scene.world.path(name + ".core")
    if not os.path.exists(path):
        raise WorldError(f"the debugger made no image of {name}: {done.stderr.strip().splitlines()[-2:]}")
    return path


def play(scene):
    world = scene.world
    world.start_sim()
    scene.begin()
    world.start_ingest(interval_ms=100)
    number = 0
    for sign in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGKILL):
        next_order(scene, number, f"before {sign.name}")
        scene.say(symbol=SYMBOLS[number + 1])  # in flight, or about to be
        engine = world.processes["engine"]
        engine.kill(sign)
        code = engine.child.wait(30)
        engine.file.close()
        if code != -sign:
            raise WorldError(f"{sign.name} ended the engine with {code}")
        world.start_engine()
        number += 2
        next_order(scene, number, f"after {sign.name}")
        number += 1
    cores = [path for place in (".", world.directory, "/tmp", "/var/crash") for path in glob.glob(f"{place}/core*")
             if os.path.isfile(path) and os.path.getmtime(path) >= scene.began]
    if cores:
        raise WorldError(f"a core was written: {cores}")
    # Images of living processes, taken while tokens are in use.
    wanted, sizes = secrets_of(world), {}
    if shutil.which("gdb") and os.geteuid() == 0:
        for name in ("engine", "ingest"):
            path = image_of(scene, name)
            sizes[name] = os.path.getsize(path) >> 20
            with open(path, "rb") as file:
                if world.instance.encode() not in file.read():
                    raise WorldError(f"the image of {name} does not even hold the instance's name")
            # What libcurl copies of a request is on ingest's heap: there, that no core is written is all.
            found = search(path, wanted if name == "engine" else {"the sealing key": wanted["the sealing key"]})
            os.remove(path)
            if found:
                raise WorldError(f"an image of {name} holds {found[:4]}")
    else:
        print("no image is taken: that needs gdb and root")
    next_order(scene, number, "after the images")
    # Everything that was written down.
    for place in (world.directory, f"/dev/shm/lockstep.{world.instance}"):
        for directory, _, files in os.walk(place):
            for name in files:
                if not os.path.isfile(os.path.join(directory, name)) or name in ("seal.key", "snapshot.json",
                                                                                 "sim-accounts.json"):
                    continue  # what the test itself, and the broker, was given
                found = search(os.path.join(directory, name), wanted)
                if found:
                    raise WorldError(f"{directory}/{name} holds {found[:4]}")
    race(scene, number + 1)
    print(f"4 kinds of death, no core; images of {sizes} MiB, logs, journal and shared memory without any of {len(wanted)} "
          f"secrets; {RACES} races of two engines, one each time")


def race(scene, number):
    """SIGKILL, and two engines at once: one runs, the other says why not; nothing is sent twice."""
    world = scene.world
    for round_ in range(RACES):
        scene.say(symbol=SYMBOLS[(number + round_) % 20])
        if round_ % 2:
            time.sleep(0.003 * round_)
        engine = world.processes["engine"]
        engine.kill()
        engine.reap()
        pair = [world.start(name, "lockstep-engine", "--config", world.path("engine.yaml"), "--shard", "0")
                for name in ("engine", "rival")]
        wait_for("the end of one of two engines", lambda: sum(one.alive() for one in pair) < 2, 30, 0.01)
        time.sleep(0.05)
        alive = [one for one in pair if one.alive()]
        if len(alive) != 1:
            raise WorldError(f"race {round_}: {len(alive)} engines are left")
        world.processes["engine"] = alive[0]
        world.processes.pop("rival")
        loser = next(one for one in pair if one is not alive[0])
        loser.reap()
        if "is running; stop it first" not in loser.tail():
            raise WorldError(f"the engine that gave way says {loser.tail()!r}")
        world.wait_engine(alive[0])
    tags = [row["tag"] for row in world.book()]
    if len(tags) != len(set(tags)):
        raise WorldError("a tag is twice in the book")
    if world.metrics()["lockstep_engine_conservation_gap"]:
        raise WorldError("conservation gap")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    options = parser.parse_args()

    def make():
        scene = Scene(options.bin, "deaths", 4, symbols=20)
        scene.began = time.time()
        return scene
    with contextlib.suppress(ImportError):
        import resource
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return run(make, play)


if __name__ == "__main__":
    sys.exit(main())
