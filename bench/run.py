#!/usr/bin/env python3
"""Everything lockstep-bench measures, in one go: a table on the terminal, and under bench/results/ one .json with every
value, one .md with the budgets beside what was measured, and plots as SVG.

usage: run.py --bin DIRECTORY [--results DIRECTORY] [--quick] [--json]
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MINUTES = 15   # for everything; what no time is left for is said, and left out

sys.path.insert(0, HERE)
import budgets  # noqa: E402
import plots  # noqa: E402


def plan(quick):
    """(name in the results, seconds it may take, arguments of lockstep-bench)"""
    rounds = ["--rounds", "4"] if quick else []
    fanouts = []
    for followers in (1, 10, 50, 500, 5000):
        seconds = {500: 60, 5000: 60}.get(followers, 25)
        fanouts.append((f"fanout_{followers}", seconds, [
            "fanout", "--followers", str(followers), "--seconds", str(5 if quick else seconds),
            "--rounds", "4" if quick else "20" if followers == 5000 else "60"]))
    if quick:
        fanouts = fanouts[1:4:2]
    return [
        ("ring", 20, ["ring", *rounds]),
        ("plan", 60, ["plan", *rounds, *(["--followers", "5000"] if quick else [])]),
        ("journal", 20, ["journal"]),
        *fanouts,
        ("peers", 120, ["peers", "--seconds", "10" if quick else "90", *rounds]),
        ("scale", 150, ["scale", *rounds, *(["--followers", "10000"] if quick else [])]),
        ("burst", 45, ["burst", *(["--seconds", "2", "--followers", "50"] if quick else [])]),
        ("sustained", 130, ["sustained", *(["--seconds", "2", "--followers", "20"] if quick else [])]),
        ("restart", 60, ["restart", *(["--followers", "200", "--rounds", "1"] if quick else [])]),
    ]


def measure(binaries, quick):
    results, problems, started = {}, [], time.monotonic()
    todo = plan(quick)
    for number, (name, seconds, arguments) in enumerate(todo, start=1):
        left = MINUTES * 60 - (time.monotonic() - started)
        if left < seconds:
            problems.append(f"{name}: no time was left for it ({left:.0f} s of {MINUTES} minutes)")
            continue
        print(f"[{number}/{len(todo)}] {' '.join(arguments)} ...", file=sys.stderr, end="", flush=True)
        begun = time.monotonic()
        try:
            run = subprocess.run([os.path.join(binaries, "lockstep-bench"), *arguments, "--json"], text=True,
                                 capture_output=True, timeout=2 * seconds + 30)
        except subprocess.TimeoutExpired:
            print(" stopped", file=sys.stderr)
            problems.append(f"{name}: it took longer than {2 * seconds + 30} s and was stopped")
            continue
        print(f" {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        if run.returncode != 0:
            problems.append(f"{name}: {(run.stderr.strip().splitlines() or ['it printed nothing'])[-1]}")
        try:
            results[name] = json.loads(run.stdout)
        except ValueError:
            if run.returncode == 0:
                problems.append(f"{name}: it printed no JSON")
    return results, problems, time.monotonic() - started


def commit():
    run = subprocess.run(["git", "-C", HERE, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 else "unknown"


def table(rows, columns):
    """A Markdown table of rows of texts."""
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def cell(value):
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return str(value)


def page(document, images):
    """The .md of one run."""
    machine = document["machine"]
    lines = [f"# {document['date']}, {document['commit']}", "",
             f"{machine.get('cpu', 'unknown')}, {machine.get('cores', '?')} processors, kernel "
             f"{machine.get('kernel', '?')}, {machine.get('openssl', '')}, load {machine.get('load', 0):.1f} at the "
             f"start, {document['seconds']:.0f} s.", ""]
    if document["noise"]:
        lines += ["**Too noisy to be believed in places:** " + "; ".join(document["noise"]) + ".", ""]
    if document["problems"]:
        lines += ["**Not measured:** " + "; ".join(document["problems"]) + ".", ""]
    lines += ["## Budgets", "", *table(document["budgets"], ["stage", "budget", "measured", ""]), ""]
    lines += [f"![{title}]({name})" for title, name in images] + [""]
    for name, result in document["results"].items():
        lines += [f"## {name}", ""]
        rows = budgets.rows_of(name, result)
        if rows:
            columns = list(rows[0])
            lines += table([[cell(row.get(column)) for column in columns] for row in rows], columns) + [""]
        if result.get("remark"):
            lines += [result["remark"], ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="./lockstep.sh bench", description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--results", default=os.path.join(HERE, "results"), help="where the files go (bench/results)")
    parser.add_argument("--quick", action="store_true", help="a minute: does everything run? Its figures say nothing")
    parser.add_argument("--json", action="store_true", help="print the .json instead of the table of budgets")
    options = parser.parse_args()
    results, problems, seconds = measure(options.bin, options.quick)
    if not results:
        print("nothing could be measured: " + "; ".join(problems), file=sys.stderr)
        return 1
    date = datetime.date.today().isoformat()
    machine = next((r["machine"] for r in results.values() if "machine" in r), {})
    document = {"date": date, "commit": commit(), "seconds": round(seconds, 1), "machine": machine,
                "problems": problems, "noise": budgets.noise(results), "budgets": budgets.table(results),
                "results": results}
    os.makedirs(options.results, exist_ok=True)
    base = f"{date}-{document['commit']}"
    images = plots.draw(results, options.results, base)
    with open(os.path.join(options.results, base + ".json"), "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    with open(os.path.join(options.results, base + ".md"), "w") as file:
        file.write(page(document, images) + "\n")
    if options.json:
        json.dump(document, sys.stdout)
        print()
    else:
        width = [max(len(row[i]) for row in document["budgets"]) for i in range(4)]
        for row in document["budgets"]:
            print("  ".join(text.ljust(width[i]) for i, text in enumerate(row)).rstrip())
        for text in document["noise"]:
            print(f"noisy: {text}")
        for text in problems:
            print(f"not measured: {text}")
        print(f"{seconds:.0f} s; all of it in {os.path.relpath(os.path.join(options.results, base))}.md")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
