"""Every `scenario` row of the worked cases stands in tests/README.md, and the tests that stand beside it exist.

    scenario_rows.py REPOSITORY
"""
import csv
import os
import re
import sys


def ids_of(cell):
    """The ids of a first column: "F22–F25 drawdown" has four, "G05, G05B looking" two."""
    found = set()
    for first, last in re.findall(r"\b([A-H]\d\dB?)(?:–([A-H]\d\d))?", cell):
        if not last:
            found.add(first)
            continue
        for number in range(int(first[1:3]), int(last[1:3]) + 1):
            found.add(f"{first[0]}{number:02}")
    return found


def tests_of(root):
    """Names of test functions, of cmocka and of unittest."""
    functions = set()
    for folder, _, files in os.walk(os.path.join(root, "tests")):
        for name in files:
            if not name.endswith(("_test.c", "_test.py")):
                continue
            with open(os.path.join(folder, name)) as file:
                text = file.read()
            functions |= set(re.findall(r"^static void (\w+)\(void \*\*", text, flags=re.M))
            functions |= set(re.findall(r"def (test_\w+)\(", text))
    return functions


def main():
    root = sys.argv[1]
    with open(os.path.join(root, "tests/README.md")) as file:
        readme = file.read()
    sections = [part for part in re.split(r"^## ", readme, flags=re.M)
                if part.startswith(("Scenarios of money", "Worked cases"))]
    if len(sections) != 2:
        sys.exit("tests/README.md has not both sections of scenarios")
    rows = [line.split("|") for part in sections for line in part.splitlines() if line.startswith("| ")]
    table = {}
    for row in rows:
        for case in ids_of(row[1]):
            table.setdefault(case, []).append(row[2])
    with open(os.path.join(root, "tests/data/sizing/cases.csv"), newline="") as file:
        wanted = {row["id"] for row in csv.DictReader(file) if row["shape"] == "scenario"}
    problems = [f"{case} stands in no table of tests/README.md" for case in sorted(wanted - set(table))]
    functions = tests_of(root)
    for row in rows:
        if not ids_of(row[1]):
            continue
        for name in re.findall(r"(?<![`\w./-])([a-z]+(?:_[a-z0-9]+){2,})(?![\w`])", row[2]):
            if name not in functions:
                problems.append(f"{row[1].strip()}: there is no test {name}")
    for problem in problems:
        print(problem)
    print(f"{len(wanted)} scenario rows, {len(problems)} problems")
    return 1 if problems or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
