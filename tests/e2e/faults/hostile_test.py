"""Hostile HTTP/2 servers in the place of brokers, all at once, beside a healthy one.

    hostile_test.py --bin DIR [--seconds 5] [ATTACK...]

Each attack is a broker of its own with one follower. While they go on, a healthy broker's copies arrive as they do without
them, the engine's processor time and memory stay bounded, its connections are dropped and come back at a bounded rate,
and no order is sent twice by the servers' own books. Afterwards every one of the servers behaves, and gets its copies.
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hostile import ATTACKS, FATAL, Server  # noqa: E402
from scene import REPORTED, SYMBOLS, Scene, WorldError, run, wait_for  # noqa: E402

HEALTHY = 4
AGE_S = 2.0  # of entries; what is older leaves for nobody
LATE_US = 25_000  # a copy at the healthy broker that takes so long in the engine was held up


def use_of(pid):
    """Processor seconds and resident megabytes of a process."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/status") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), resident / 1024


def healthy_times(scene, orders):
    """Microseconds from the event to the kernel, of the copies at the healthy broker; each is in its book once."""
    book, times = {}, []
    for row in scene.world.book():
        book[row["tag"]] = book.get(row["tag"], 0) + 1
    for wave in scene.world.orders():
        if wave["order"] not in orders or wave["transition"].upper() != "NEW":
            continue
        for copy in wave["copies"]:
            if int(copy["login"][1:]) <= HEALTHY:
                if book.get(copy["tag"]) != 1:
                    raise WorldError(f"the healthy broker has {copy['login']}'s copy {book.get(copy['tag'], 0)} times "
                                     f"({copy['state']} {copy['reason']})")
                times.append(copy["sent_us"])
    if len(times) != len(orders) * HEALTHY:
        raise WorldError(f"{len(times)} of {len(orders) * HEALTHY} copies for the healthy broker")
    return sorted(times)


def trade(scene, seconds, first):
    """A new order every 100 ms, over the symbols in turn."""
    orders, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        said = time.monotonic()
        orders.append(scene.say(symbol=SYMBOLS[first + len(orders) % 8], qty=1 + len(orders)))
        scene.said[orders[-1]] = said
        time.sleep(0.1)
    time.sleep(0.5)
    return orders


def nothing_stale(scene, servers):
    """P3: what waited for a window, a stream or a connection left while it was fresh, or never."""
    order_of = {copy["tag"]: wave["order"] for wave in scene.world.orders() for copy in wave["copies"]}
    for server in servers:
        for tag, at in server.times.items():
            said = scene.said.get(order_of.get(tag))
            if said is not None and at - said > AGE_S + 0.3:
                raise WorldError(f"{server.attack}: {tag} came {at - said:.1f} s after the master's order")


def p(times, percent):
    return times[min(len(times) - 1, len(times) * percent // 100)]


def play(scene, servers, seconds):
    world = scene.world
    world.start_sim()
    sim = world.snapshot()["brokers"][0]
    brokers = [sim] + [{**sim, "name": f"bad{n}", "port": server.port, "pool_connections": 1}
                       for n, server in enumerate(servers, start=1)]
    world.publish(brokers=brokers)
    scene.said = {}
    for server in servers:
        server.calm_event.set()
    world.start_engine()
    scene.prices = {row["symbol"]: row["price"] for row in world.price_rows()}
    scene.start_feed()
    engine = world.processes["engine"].child.pid
    # Calm: how it should be.
    cpu, _ = use_of(engine)
    calm = healthy_times(scene, trade(scene, 2.0, 0))
    calm_cpu = (use_of(engine)[0] - cpu) / 2.5
    for server in servers:
        if len(server.tags) != len(set(server.tags)) or not server.tags:
            raise WorldError(f"{server.attack}: {len(server.tags)} orders in the calm before")
    # All of them at once, each with the first order that it gets.
    for server in servers:
        server.calm_event.clear()
        server.accepts.clear()
    cpu, resident = use_of(engine)
    attacked = healthy_times(scene, trade(scene, seconds, 0))
    now_cpu, now_resident = use_of(engine)
    bad_cpu = (now_cpu - cpu) / (seconds + 0.5)
    if not world.processes["engine"].alive():
        raise WorldError("the engine ended")
    print(f"healthy broker, event to kernel: calm p50 {p(calm, 50):.0f} us, p99 {p(calm, 99):.0f} us; under "
          f"{len(servers)} attacks p50 {p(attacked, 50):.0f} us, p99 {p(attacked, 99):.0f} us, most {attacked[-1]:.0f} us\n"
          f"engine: {100 * calm_cpu:.0f} % of a processor calm, {100 * bad_cpu:.0f} % attacked; {resident:.0f} MiB, then "
          f"{now_resident:.0f} MiB", flush=True)
    for server in servers:
        ends = [ended for _, _, ended in server.floods]
        sent = max([sent for sent, _, _ in server.floods], default=0)
        lasted = max([lasted for _, lasted, _ in server.floods], default=0)
        print(f"  {server.attack}: {server.attacked} orders hit, {len(server.accepts)} connections, "
              f"{len(ends)} floods ended by the engine {sum(ends)} times, the longest {lasted:.2f} s, most {sent >> 10} KiB",
              flush=True)
        if server.attack in FATAL and (not ends or not all(ends)):
            raise WorldError(f"{server.attack}: the engine kept the connection ({server.attacked} orders hit)")
        if lasted > 2.0:
            raise WorldError(f"{server.attack}: a flood went on for {lasted:.1f} s")
        if len(server.accepts) > 12 * seconds:
            raise WorldError(f"{server.attack}: {len(server.accepts)} connections in {seconds} s: a tight loop")
    if p(attacked, 99) > max(LATE_US, 4 * p(calm, 99)):
        raise WorldError("the healthy broker's copies were held up")
    if bad_cpu > calm_cpu + 0.5:
        raise WorldError("the engine's processor time is not bounded")
    if now_resident - resident > 64:
        raise WorldError("the engine's memory is not bounded")
    # Calm again: everyone is served, in an instrument that nobody was asked about.
    for server in servers:
        server.calm_event.set()
    wait_for("every connection", lambda: world.metrics()["lockstep_engine_connections_ready"] >=
             world.metrics()["lockstep_engine_connections_wanted"], 60, 0.1)
    time.sleep(1.2)
    last = scene.say(symbol=SYMBOLS[8])
    copies = scene.settled(last)
    for number, server in enumerate(servers, start=HEALTHY + 1):
        copy = copies[f"F{number:04}"]
        if copy["tag"] not in server.tags or copy["state"] not in ("ACKED", "OPEN"):
            raise WorldError(f"{server.attack}: afterwards a copy is {copy['state']} {copy['reason']}")
        if len(server.tags) != len(set(server.tags)):
            raise WorldError(f"{server.attack}: an order was sent twice")
    healthy_times(scene, [last])
    nothing_stale(scene, servers)
    known = {copy["tag"]: copy["state"].split(" ")[0] for wave in world.orders() for copy in wave["copies"]}
    for server in servers:
        lost = [tag for tag in server.tags if tag not in known]
        if lost:
            raise WorldError(f"{server.attack}: orders that the journal does not know: {lost[:3]}")
    silent = [tag for tag, state in known.items() if state not in REPORTED | {"ACKED", "OPEN", "ADOPTED"}]
    if silent:
        raise WorldError(f"{len(silent)} copies without an end: {known[silent[0]]}")
    if world.metrics()["lockstep_engine_conservation_gap"]:
        raise WorldError("conservation gap")
    scene.engine_stops()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("attacks", nargs="*")
    options = parser.parse_args()
    attacks, servers = options.attacks or ATTACKS, []

    def make():
        scene = Scene(options.bin, "hostile", HEALTHY, symbols=9, broker={"reply_timeout_ms": 1500},
                      settings={"max_age_limit_ms": int(1000 * AGE_S)})
        certificates = scene.world.path("certs", "server.pem"), scene.world.path("certs", "server.key")
        servers.extend(Server(attack, *certificates) for attack in attacks)
        for number in range(1, len(servers) + 1):
            login = f"F{HEALTHY + number:04}"
            scene.world.add_account(login, ["follower"], broker=f"bad{number}")
            scene.world.follow(login, "M0001", ratio="1", max_age_limit_ms=int(1000 * AGE_S))
        scene.followers += len(servers)
        return scene
    try:
        return run(make, lambda scene: play(scene, servers, options.seconds))
    finally:
        for server in servers:
            server.close()


if __name__ == "__main__":
    sys.exit(main())
