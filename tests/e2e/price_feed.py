"""Feeds the simulated broker's last prices to the prices page, until it is ended or the simulator is gone.

    price_feed.py --ctl BIN --instance NAME --admin-port N --snapshot FILE [--interval S]

The instruments are those of the snapshot's file.
"""
import argparse
import http.client
import json
import signal
import subprocess
import sys
import time

PATIENCE_S = 10  # without an answer of the simulator


def rows_of(port, symbol):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", f"/sim/price?symbol={symbol}")
        return json.loads(connection.getresponse().read())["prices"]
    finally:
        connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ctl", required=True)
    parser.add_argument("--instance", required=True)
    parser.add_argument("--admin-port", type=int, required=True)
    parser.add_argument("--snapshot", required=True)
    parser.add_argument("--interval", type=float, default=0.5)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with open(options.snapshot) as file:
        wanted = {(i["exchange"], i["symbol"]) for i in json.load(file)["instruments"]}
    feed = subprocess.Popen([options.ctl, "--instance", options.instance, "price", "set", "sim", "-"],
                            stdin=subprocess.PIPE, text=True)
    answered = time.monotonic()
    try:
        while feed.poll() is None and time.monotonic() - answered < PATIENCE_S:
            try:
                for symbol in {symbol for _, symbol in wanted}:
                    for row in rows_of(options.admin_port, symbol):
                        if (row["exchange"], row["symbol"]) in wanted and row.get("price"):
                            feed.stdin.write(f"{row['exchange']}:{row['symbol']} {row['price']}\n")
                feed.stdin.flush()
                answered = time.monotonic()
            except (OSError, ValueError, http.client.HTTPException):
                pass
            time.sleep(options.interval)
    finally:
        try:
            feed.stdin.close()
        except OSError:
            pass
        feed.wait()
    return feed.returncode


if __name__ == "__main__":
    sys.exit(main())
