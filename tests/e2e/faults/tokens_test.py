"""A token that expires in mid-session: at random orders, for some accounts, with others trading on.

    tokens_test.py --bin DIR [--seed N]

The broker refuses by its own words, so nothing of it is unknown: the copy is said to be refused, the account stops and says so,
nobody else waits, the broker is not asked over and over, and no token is written anywhere. With a new token the account trades
again; what it missed is in the journal with a reason.
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from deaths_test import search, secrets_of  # noqa: E402
from scene import SYMBOLS, Scene, WorldError, run, wait_for  # noqa: E402

FOLLOWERS, ORDERS = 8, 40


def play(scene, dice):
    world = scene.world
    world.start_sim()
    scene.begin()
    world.start_ingest(interval_ms=500)
    expired = {f"F{number:04}": dice.randrange(4, 20) for number in dice.sample(range(1, FOLLOWERS + 1), 3)}
    world.admin("POST", "/sim/faults", {"rules": [
        {"match": {"account": login, "path": "placeorder", "nth": nth}, "action": {"kind": "token_expired", "sticky": True}}
        for login, nth in expired.items()]})
    said = []
    for number in range(ORDERS):
        said.append((scene.say(symbol=SYMBOLS[number % 20], qty=1 + number), time.monotonic()))
        time.sleep(0.05)
    copies = {order: scene.settled(order) for order, _ in said}
    reads = sum(world.admin("GET", "/sim/stats")["requests"].values())
    book = world.book()
    refused = {login: [row for row in book if row["account"] == login and row["status"] == "REFUSED"] for login in expired}
    ends = {}
    for order, at in said:
        held = scene.judge(order, copies[order], book)
        for login, copy in copies[order].items():
            end = f"{copy['state']} {copy['reason']}" if copy["state"] != "OPEN" else "ACKED"
            if login not in expired and login not in held:
                raise WorldError(f"{login}, whose token is good, has no copy of {order}: {end}")
            if login in expired:
                ends[end] = ends.get(end, 0) + 1
    for login, rows in refused.items():
        if len(rows) > 3:
            raise WorldError(f"{login}: {len(rows)} orders went out with a token that was refused")
    if world.metrics()["lockstep_engine_conservation_gap"]:
        raise WorldError("conservation gap")
    # New tokens, from a person.
    for login in expired:
        token = dice.randbytes(24).hex()
        world.admin("POST", "/sim/token", {"account": login, "token": token, "expired": False})
        number = next(account["account"] for account in world.accounts if account["login"] == login)
        world.ctl("token", "set", str(number), stdin=token + "\n")
        world.tokens[login] = token
    deadline, last = time.monotonic() + 15, None
    while time.monotonic() < deadline:
        last = scene.say(symbol=SYMBOLS[len(said) % 20], qty=77)
        said.append((last, time.monotonic()))
        if len(scene.judge(last, scene.settled(last))) == FOLLOWERS:
            break
        time.sleep(0.3)
    else:
        raise WorldError(f"with new tokens copies are {[(c['login'], c['state'], c['reason']) for c in scene.copies(last).values()]}")
    wanted = secrets_of(world)
    for name in ("engine.log", "ingest.log", "feed.log", "brokersim.log"):
        found = search(world.path(name), wanted)
        if found:
            raise WorldError(f"{name} holds {found}")
    print(f"{len(expired)} tokens expired at orders {sorted(expired.values())}: their copies {ends}, {reads} requests in all; everybody "
          f"served again after {len(said) - ORDERS} orders")
    wait_for("calm", lambda: world.metrics()["lockstep_engine_requests_open"] == 0, 5)
    scene.engine_stops()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    return run(lambda: Scene(options.bin, "tokens", FOLLOWERS, symbols=20), lambda scene: play(
        scene, random.Random(options.seed)))


if __name__ == "__main__":
    sys.exit(main())
