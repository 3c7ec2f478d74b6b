"""After `lockstepctl switch` has returned no barred byte reaches the kernel: judged at the engine's own send.

    switch_test.py --bin DIR --judge LIBRARY --driver PROGRAM [--tries 100000]

A driver offers orders to a real engine (TLS, HTTP/2, the simulated broker) and throws switches back and forth with the
calls that `lockstepctl switch` makes. A library in the engine looks at every send of the pinned thread before the
kernel gets it. One try is one order that was offered to one follower while switches were thrown. First the
acknowledgement is left out: the judge must see sends then, or it sees nothing.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import World, wait_for  # noqa: E402

FOLLOWERS = 50
SHARES = ["RELIANCE", "SBIN", "INFY", "ITC", "TCS", "WIPRO", "HDFCBANK", "LT"]


def drive(world, driver, page, events, waits, scope):
    result = subprocess.run(
        [driver, world.instance, f"e2e-{world.instance}", "1", str(len(SHARES)), str(events),
         page, "1" if waits else "0", scope], capture_output=True, text=True, timeout=120)
    if result.returncode != 0:
        sys.exit(f"switch_test: {result.stderr.strip()}")
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--tries", type=int, default=100000)
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="lockstep-switch-")
    page = os.path.join(directory, "judge")
    with open(page, "wb") as file:
        file.write(bytes(4096))
    world = World(options.bin, directory, lanes="shared", io="epoll")
    world.sim_options = {"limits": {"orders_per_second": 0, "reads_per_15_min": 0}}
    # No cheap GET in between: what is long enough is an order.
    world.broker_options = {"pacing": False, "connects_per_second": 500, "pool_connections": 4,
                            "keepalive_get_ms": 600000}
    world.engine_options = {"limits": {"connections": 64, "follower_slots": 256, "accounts": 256, "children": 262144,
                                       "master_orders": 16384, "positions": 4096},
                            "controls": {"repeats_per_minute": 0, "reject_streak": 0, "broker_reject_streak": 0}}
    failed = False
    try:
        world.make_market([("NSE", f"{share}-EQ") for share in SHARES])
        world.add_account("M0001", ["master"])
        for number in range(1, FOLLOWERS + 1):
            world.add_account(f"F{number:04}", ["follower"])
            world.follow(f"F{number:04}", "M0001", ratio="1")
        world.start_sim()
        world.publish()
        world.start_engine(env={"LD_PRELOAD": options.judge, "LS_SEND_JUDGE_FILE": page})
        wait_for("connections", lambda: world.metrics().get("lockstep_engine_connections_ready", 0) >= 4)
        blind = drive(world, options.driver, page, 300, False, "global")
        print(f"without acknowledgement: {blind}")
        if blind["violations"] == 0:
            sys.exit("switch_test: the judge sees nothing: no send began while it was told to bar")
        events = -(-options.tries // FOLLOWERS)
        total = {"events": 0, "throws": 0, "sends": 0, "violations": 0}
        for scope, part in (("global", 0.5), ("master", 0.25), ("broker", 0.25)):
            seen = drive(world, options.driver, page, int(events * part) + 1, True, scope)
            print(f"{scope}: {seen}")
            for key in total:
                total[key] += seen[key]
        print(f"{total['events'] * FOLLOWERS} orders offered, {total['throws']} switches thrown, {total['sends']} sends, "
              f"{total['violations']} begun after an acknowledgement")
        failed = total["violations"] != 0 or total["sends"] == 0 or total["events"] * FOLLOWERS < options.tries
        for process in world.processes.values():
            process.check()
    finally:
        world.stop()
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
