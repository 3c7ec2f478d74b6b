"""From an order frame's bytes at the WebSocket to its event in the ring: p50 and p99, from ingest's own histogram.

    latency.py --bin DIR [--orders 2000] [--rate 200] [--accounts 1]

A person's orders at the simulated broker's terminal, at an even rate, are pushed through the broker's order socket; the
engine reads the ring. Prints what `lockstepctl top` says of frame_to_ring, and fails when frames are missing in it.
"""
import argparse
import os
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import World, WorldError, wait_for  # noqa: E402

SYMBOL = "RELIANCE-EQ"


def figures(world):
    """(count, p50, p99, p99.9, max) in microseconds; None without a frame."""
    found = re.search(r"frame_to_ring\S*\s+(\d+)\s+p50\s+(\S+)\s+p99\s+(\S+)\s+p99\.9\s+(\S+)\s+max\s+(\S+)",
                      world.ctl("top", "--once").stdout)
    return (int(found[1]), *(float(text) for text in found.groups()[1:])) if found else None


def processor():
    with open("/proc/cpuinfo") as file:
        names = re.findall(r"model name\s*: (.*)", file.read())
    return f"{names[0] if names else 'unknown processor'}, {os.cpu_count()} processors, kernel {os.uname().release}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--rate", type=int, default=200, help="orders a second")
    parser.add_argument("--accounts", type=int, default=1, help="masters that order in turn")
    options = parser.parse_args()
    world = World(options.bin, tempfile.mkdtemp(prefix="lockstep-latency-"), lanes="shared")
    world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
    keep = True
    try:
        world.make_market([("NSE", SYMBOL)])
        masters = [f"M{number:04}" for number in range(1, options.accounts + 1)]
        for login in masters:
            world.add_account(login, ["master"], funds="10000000000")
        # A follower that never copies: the ring is read, the broker is left alone.
        world.add_account("F0001", ["follower"])
        for login in masters:
            world.follow("F0001", login, ratio="1", enabled=False)
        world.start_sim()
        world.publish()
        world.start_engine()
        world.start_ingest(feed=True)

        def live():
            connections = world.admin("GET", "/sim/feed")["connections"]
            return {c["account"] for c in connections if c["channel"] == "order"} >= set(masters)
        wait_for("the order sockets", live, 30)
        time.sleep(1)  # the books after it
        before, started = figures(world) or (0,), time.monotonic()
        for number in range(options.orders):
            time.sleep(max(0.0, started + number / options.rate - time.monotonic()))
            world.terminal(masters[number % len(masters)], SYMBOL, "BUY", 1, "LIMIT", 1000)
        spent = time.monotonic() - started
        sent = world.admin("GET", "/sim/feed")["counts"]["frames_sent"]

        def all_there():
            now = figures(world)
            return now if now and now[0] - before[0] >= 2 * options.orders else None
        count, p50, p99, p999, most = wait_for(f"{2 * options.orders} frames in the histogram", all_there, 20, 0.2)
        print(f"frame at the WebSocket to event in the ring, {len(masters)} accounts, {options.orders / spent:.0f} "
              f"orders a second: p50 {p50:.1f} us, p99 {p99:.1f} us, p99.9 {p999:.1f} us, max {most:.1f} us "
              f"({count} frames of {sent} that the broker sent)")
        print(processor())
        keep = False
        return 0
    except WorldError as error:
        print(f"FAIL: {error}\nlogs are in {world.directory}", file=sys.stderr)
        return 1
    finally:
        world.stop()
        if not keep:
            shutil.rmtree(world.directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
