"""nghttpd in the broker's place: a server we did not write takes the engine's requests.

    nghttpd_test.py --bin DIR

The server answers from files, so every order gets the documented acceptance; its own verbose log says which requests
it decoded. Both edges, both kinds of lanes, a lowered header table, few streams.
"""
import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import Process, World, WorldError, wait_for  # noqa: E402

ACCEPTED = {"status": "Ok", "message": "Success",
            "result": [{"requestTime": "26-May-2025 11:42:10", "brokerOrderId": "250526000002697"}]}
EMPTY = {"status": "EC916", "message": "EC916"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def documents(world):
    root = world.path("htdocs")
    base = os.path.join(root, "open-api", "od", "v1")
    os.makedirs(os.path.join(base, "orders"), exist_ok=True)
    os.makedirs(os.path.join(base, "limits"), exist_ok=True)
    for path, body in (("orders/placeorder", ACCEPTED), ("orders/modify", ACCEPTED), ("orders/cancel", ACCEPTED),
                       ("orders/book", EMPTY), ("limits/index.html", {"status": "Ok", "message": "Success",
                                                                      "result": []})):
        with open(os.path.join(base, path), "w") as file:
            json.dump(body, file)
    return root


def requests_in(log):
    """Header lists that the server decoded, by stream and connection."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", open(log, errors="replace").read())
    found = {}
    for identity, stream, sensitive, name, value in re.findall(
            r"\[id=(\d+)\] \[[^\]]*\] recv \(stream_id=(\d+)(, sensitive)?\) (\S+?): (.*)", text):
        # A token must never enter a header table: never-indexed is the only right form.
        found.setdefault((identity, stream), []).append((name if bool(sensitive) == (name == "authorization")
                                                         else name + "?", value.strip()))
    return [dict(headers) for headers in found.values()]


def run(binaries, lanes, io, options, followers=20, orders=5):
    world = World(binaries, tempfile.mkdtemp(prefix="lockstep-nghttpd-"), lanes=lanes, io=io)
    try:
        world.make_market([("NSE", "RELIANCE-EQ")])
        world.add_account("M0001", ["master"])
        for number in range(1, followers + 1):
            world.add_account(f"F{number:04}", ["follower"],
                              address=f"127.30.0.{number}" if lanes == "own" else None)
            world.follow(f"F{number:04}", "M0001", ratio="1")
        world.sim_port = free_port()
        world.broker_options = {"pacing": False}
        server = Process("nghttpd", ["nghttpd", "-v", "-a", "127.0.0.1", "-d", documents(world), *options,
                                     str(world.sim_port), world.path("certs", "server.key"),
                                     world.path("certs", "server.pem")], world.path("nghttpd.log"))
        world.processes["nghttpd"] = server
        time.sleep(0.3)
        server.check()
        world.publish()
        world.start_engine()
        lines = [json.dumps({"account": "M0001", "broker_order_id": f"N{n:05}", "exchange": "NSE",
                             "symbol": "RELIANCE-EQ", "side": "BUY", "type": "LIMIT", "product": "MIS", "qty": 10 * n,
                             "price": "1000", "status": "OPEN"}) for n in range(1, orders + 1)]
        world.run("lockstep-ingest", "--instance", world.instance, "--key", world.path("seal.key"), "ndjson", "-",
                  stdin="\n".join(lines) + "\n")

        def done():
            log = open(world.processes["engine"].log, errors="replace").read()
            return len(re.findall(rf"Replication: {followers}/{followers} successful", log)) == orders
        wait_for(f"{orders} waves of {followers} accepted orders", done, 30, 0.1)
        tokens = set(world.tokens[f["account"]] for f in world.followers)
        codes = world.stop()
        seen = requests_in(world.path("nghttpd.log"))
        places = [r for r in seen if r.get(":path") == "/open-api/od/v1/orders/placeorder"]
        if len(places) != followers * orders:
            raise WorldError(f"nghttpd decoded {len(places)} orders, {followers * orders} wanted")
        for request in places:
            wrong = [name for name, want in ((":method", "POST"), (":scheme", "https"), (":authority", "localhost"),
                                             ("content-type", "application/json")) if request.get(name) != want]
            token = request.get("authorization", "").removeprefix("Bearer ")
            if wrong or token not in tokens or int(request.get("content-length", "0")) < 100:
                raise WorldError(f"nghttpd decoded something else than was meant: {wrong or 'token or length'}")
        if codes["engine"] != 0:
            raise WorldError(f"the engine ended with {codes['engine']}")
        print(f"ok: {lanes} lanes, {io}, {' '.join(options) or 'defaults'}: {len(places)} orders decoded and accepted",
              flush=True)
        shutil.rmtree(world.directory, ignore_errors=True)
    except WorldError as error:
        print(f"FAIL: {lanes} lanes, {io}, {' '.join(options)}: {error}; logs are in {world.directory}",
              file=sys.stderr)
        return False
    finally:
        world.stop()
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    binaries = parser.parse_args().bin
    if subprocess.run(["which", "nghttpd"], capture_output=True).returncode != 0:
        print("nghttpd is missing: apt-get install nghttp2-server", file=sys.stderr)
        return 1
    results = [run(binaries, lanes, io, options)
               for lanes, io, options in (("own", "uring", []), ("shared", "epoll", []),
                                          ("shared", "uring", ["--header-table-size=0"]),
                                          ("own", "epoll", ["--max-concurrent-streams=1"]),
                                          ("shared", "uring", ["--max-concurrent-streams=2"]))]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
