#!/usr/bin/env python3
"""Counts the instructions of the hot path's stages under callgrind and compares them with counts.txt.

Only instructions of the program itself count: what the C library does inside a stage depends on the processor it finds.
Exit code 0: as checked in. 1: a stage grew, or shrank and the value should follow, or the budget is broken.
77: this compiler is not the one that the values were counted with.

usage: gate.py --work PROGRAM --counts FILE --compiler TEXT [--update]
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

GROWTH = 0.03   # of a stage, until it fails
SHRINK = 0.05   # below the value by more: lower it, or the next growth hides in the gap
BUDGET = 900    # instructions a follower: plan + journal + encode
STAGES = {"plan": 500, "apply": 500, "journal": 54, "encode": 54}   # followers in each stage's work


def own_instructions(path, program):
    """Sums the self cost of all functions of one object in a callgrind output."""
    total, names, current, skip = 0, {}, None, False
    with open(path) as file:
        for line in file:
            line = line.rstrip("\n")
            match = re.match(r"(c?ob)=\((\d+)\)(?: (.*))?$", line)
            if match:
                kind, number, name = match.groups()
                if name is not None:
                    names[number] = name
                if kind == "ob":
                    current = names[number]
            elif line.startswith("calls="):
                skip = True   # the next line is the callee's cost, counted where it is spent
            elif re.match(r"[+*-]?\d*\*? ?[+*-]?\d* ?\d+$", line) and line:
                if not skip and current == program:
                    total += int(line.split()[-1])
                skip = False
    return total


def count(work, stage):
    directory = tempfile.mkdtemp(prefix="lockstep-gate.")
    try:
        out = os.path.join(directory, "callgrind.out")
        journal = os.path.join(directory, "journal")
        os.mkdir(journal)
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--toggle-collect=gate_{stage}", work,
             journal],
            capture_output=True, text=True, timeout=50)
        if run.returncode != 0:
            sys.exit(f"gate: {os.path.basename(work)} under valgrind ended with {run.returncode}: "
                     f"{(run.stderr.strip().splitlines() or ['it printed nothing'])[-1]}")
        return own_instructions(out, os.path.realpath(work))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def read_counts(path):
    values = {}
    with open(path) as file:
        for line in file:
            name, _, value = line.split("#")[0].strip().partition(" ")
            if name:
                values[name] = value.strip()
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--counts", required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--update", action="store_true", help="write the new values")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("gate: valgrind is not installed: apt-get install valgrind")
    new = {stage: count(options.work, stage) for stage in STAGES}
    if options.update:
        with open(options.counts, "w") as file:
            file.write("# Instructions of our own code per stage on the fixed work of gate_work.c, Release build.\n"
                       "# Written by gate.py --update; a change of a value says why in its commit.\n"
                       f"compiler {options.compiler}\n")
            file.writelines(f"{stage} {value}\n" for stage, value in new.items())
            over = sum(new[stage] / STAGES[stage] for stage in ("plan", "journal", "encode")) - BUDGET
            if over > 0:
                file.write(f"over_budget {over:.0f}\n")
    old = read_counts(options.counts)
    failed = False
    for stage, followers in STAGES.items():
        value = new[stage]
        before = int(old[stage])
        print(f"{stage}: {value} instructions, {value / followers:.1f} a follower (checked in: {before})")
        if value <= 0:
            print(f"FAIL: nothing was counted in {stage}: the work no longer calls it by its name")
            failed = True
        if old["compiler"] != options.compiler:
            continue
        if value > before * (1 + GROWTH):
            print(f"FAIL: {stage} grew from {before} to {value} instructions ({100 * (value / before - 1):.1f} %, "
                  f"{100 * GROWTH:.0f} % are allowed): make it as cheap as before, or say in the commit what the "
                  "growth buys and write the new value into counts.txt")
            failed = True
        if value < before * (1 - SHRINK):
            print(f"FAIL: {stage} shrank from {before} to {value} instructions, well done: write the new value into "
                  "counts.txt, so that it stays")
            failed = True
    total = sum(new[stage] / STAGES[stage] for stage in ("plan", "journal", "encode"))
    print(f"plan + journal + encode: {total:.0f} instructions a follower, budget {BUDGET}; "
          f"with apply {total + new['apply'] / STAGES['apply']:.0f}")
    known = int(old.get("over_budget", "0"))
    if total > BUDGET + known * (1 + GROWTH):
        print(f"FAIL: plan + journal + encode take {total:.0f} instructions a follower where {BUDGET} are allowed"
              + (f" and {BUDGET + known} are known" if known else ""))
        failed = True
    elif total > BUDGET:
        print(f"the budget is missed by {total - BUDGET:.0f}, as counts.txt says; it may not be missed by more")
    elif known:
        print("FAIL: the budget is met, well done: take over_budget out of counts.txt, so that it stays met")
        failed = True
    if failed:
        return 1
    if old["compiler"] != options.compiler:
        print(f"not compared: counts.txt is of {old['compiler']}, this build is of {options.compiler}")
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
