"""One order cut, stalled or dripped after N bytes, for every N of its request and of its reply.

    cuts_test.py --bin DIR [--followers 450] [KIND...]

Each follower has a connection of its own through proxy.py; one master order a kind, in an instrument of its own, and
follower n meets the harm after n bytes. The broker's book decides: no order twice; one that is not there was reported;
one whose request was whole is there; one that dripped through is there and acknowledged.
"""
import argparse
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy import Harm, Proxy  # noqa: E402
from scene import DOUBTED, SYMBOLS, Scene, WorldError, run, wait_for  # noqa: E402

KINDS = [(side, kind) for side in ("request", "reply") for kind in ("reset", "close", "stall", "drip")]


def states_of(copies, logins):
    states = {}
    for login in logins:
        state = copies[login]["state"]
        states[state] = states.get(state, 0) + 1
    return states


def source_of(scene, login):
    return next(account["source_address"] for account in scene.world.accounts if account["login"] == login)


def one_kind(scene, proxy, number, side, kind, length):
    """One wave. length: bytes of a whole request or reply record as seen before; returns a sentence."""
    world, began = scene.world, time.monotonic()
    wait_for("the end of what was stalled", lambda: proxy.held == 0, 20, 0.1)
    wait_for("every connection", lambda: world.metrics()["lockstep_engine_connections_ready"] >= scene.followers, 90,
             0.1)
    time.sleep(1.3)  # each fresh connection has had its GET: what comes now is the order
    logins = [f"F{n:04}" for n in range(1, scene.followers + 1)]
    harms = {}
    for at, login in enumerate(logins):
        harms[login] = Harm(side, kind, at % (length + 1))
    proxy.plans = {source_of(scene, login): harm for login, harm in harms.items()}
    order = scene.say(symbol=SYMBOLS[number])
    copies = scene.settled(order, 40)
    states = states_of(copies, logins)
    if proxy.plans:
        raise WorldError(f"{side} {kind}: {len(proxy.plans)} orders never met their harm: {states}")
    held = scene.judge(order, copies)
    for login in logins:
        harm, state = harms[login], copies[login]["state"]
        where = f"{side} {kind} after {harm.after} bytes of {harm.order_bytes}: {login} is {state}"
        whole = side == "reply" or kind == "drip" or harm.after >= harm.order_bytes
        if whole and login not in held:
            raise WorldError(f"{where}, and the broker had its whole request")
        if not whole and login in held and state in DOUBTED - {"UNKNOWN"}:
            raise WorldError(f"{where}: the broker can only have had it if it was sent again")
        if kind == "drip" and state not in ("ACKED", "OPEN"):
            raise WorldError(f"{where}: every byte came")
    seen = len({harm.after for harm in harms.values()})
    return f"{side} {kind}: {seen} places, {len(held)} in the book, {states} ({time.monotonic() - began:.1f} s)"


def play(scene, kinds):
    world = scene.world
    world.start_sim()
    proxy = Proxy(world.sim_port)
    try:
        world.broker_options["port"] = proxy.port
        began = time.monotonic()
        scene.begin(wait=False)
        world.wait_engine(world.processes["engine"], 90)
        print(f"{scene.followers} connections in {time.monotonic() - began:.1f} s", flush=True)
        time.sleep(1.3)
        # An unharmed wave tells how long an order is.
        proxy.replies.clear()
        order = scene.say(symbol=SYMBOLS[len(KINDS)])
        held = scene.judge(order, scene.settled(order))
        lengths = set(proxy.orders.values())
        if len(held) != scene.followers or not lengths:
            raise WorldError(f"{len(held)} of {scene.followers} copies without any harm")
        longest, reply = max(lengths), statistics.mode(proxy.replies.values())
        if scene.followers < longest + 1:
            raise WorldError(f"an order has {longest} bytes, and only {scene.followers} followers are there")
        print(f"an order's record has {min(lengths)} to {longest} bytes, its reply {reply}", flush=True)
        for number, (side, kind) in enumerate(KINDS):
            if not kinds or f"{side}-{kind}" in kinds:
                print(one_kind(scene, proxy, number, side, kind, longest if side == "request" else reply), flush=True)
        gap = world.metrics()["lockstep_engine_conservation_gap"]
        if gap:
            raise WorldError(f"conservation gap {gap}")
        scene.engine_stops()
    finally:
        proxy.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--followers", type=int, default=450)
    parser.add_argument("kinds", nargs="*")
    options = parser.parse_args()
    return run(lambda: Scene(options.bin, "cuts", options.followers, lanes="own", symbols=len(KINDS) + 1,
                             broker={"reply_timeout_ms": 1500, "keepalive_get_ms": 60000, "pool_connections": 1,
                                     "connects_per_second": 200}),
               lambda scene: play(scene, options.kinds))


if __name__ == "__main__":
    sys.exit(main())
