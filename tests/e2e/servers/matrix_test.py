"""The same scripted day through servers we did not write.

    matrix_test.py --bin DIR SERVER [CASE...]

SERVER: nghttpx, nginx, haproxy, apache, caddy, h2o. The verdict is the simulated broker's book and the server's own log.
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import CASES  # noqa: E402
from day import Day, WorldError  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("server", choices=sorted(CASES))
    parser.add_argument("case", nargs="*")
    arguments = parser.parse_args()
    front, cases = CASES[arguments.server]
    sentence = front.missing()
    if sentence:
        print(f"SKIP: {sentence}")
        return 77
    failed = []
    for name, case in cases:
        if arguments.case and name not in arguments.case:
            continue
        began = time.monotonic()
        days = []

        def make(*more, **options):
            day = Day.__new__(Day)
            days.append(day)  # before it is whole, so that what it started is ended in any case
            day.__init__(arguments.bin, arguments.server, *more, **options)
            return day
        try:
            says = case(make)
            print(f"ok: {arguments.server}: {name}{': ' + says if says else ''} ({time.monotonic() - began:.1f} s)",
                  flush=True)
            keep = False
        except (WorldError, OSError) as error:
            where = days[-1].world.directory if days and hasattr(days[-1], "world") else "no directory"
            print(f"FAIL: {arguments.server}: {name}: {error}; logs are in {where}", file=sys.stderr, flush=True)
            failed.append(name)
            keep = True
        finally:
            for day in days:
                if hasattr(day, "world"):
                    day.cleanup(keep)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
