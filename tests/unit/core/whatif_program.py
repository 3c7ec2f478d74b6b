#!/usr/bin/env python3
"""lockstep-whatif as a program: bad lines, files, options, exit codes.

    whatif_program.py WHATIF"""
import json
import os
import subprocess
import sys
import tempfile

WHATIF = sys.argv[1]
GOOD = ('{"shape":"decision","mode":"FIXED_RATIO","params":{"ratio":0.5},"master_event":'
        '{"type":"order","side":"BUY","qty":100},"follower_state":{"lot":65}}')
HEAD = "id,shape,mode,params,master_event,follower_state,expected\n"


def run(*arguments, text=""):
    done = subprocess.run([WHATIF, *arguments], input=text, capture_output=True, text=True,
                          timeout=30)
    return done.returncode, done.stdout, done.stderr


def expect(what, got, want):
    if got != want:
        sys.exit(f"{what}: expected {want!r}, got {got!r}")


def one_line(event, params="{}", state="{}", mode='"ANY"'):
    return f'{{"mode":{mode},"params":{params},"master_event":{event},"follower_state":{state}}}'


# An answer, its keys in their order, and the explanation of the seed case.
code, out, err = run(text=GOOD + "\n")
expect("good line", (code, err), (0, ""))
answer = json.loads(out)
expect("keys", list(answer), ["action", "orders", "reason_code", "explain"])
expect("explain", answer["explain"], "100 × 0.5 = 50 → lot 65 → 0 → SKIP SUB_LOT")

# Each bad line costs one sentence that names it; the next line is answered all the same.
BAD = (
    ("not json", "is not JSON"),
    ("[1,2]", "is not an object"),
    ("{}", "has no 'master_event'"),
    (one_line('{"type":"order"', ), "is not JSON"),
    (one_line('{"type":"teleport"}'), "master_event.type"),
    (one_line('{"type":"order","qty":"ten"}'), "master_event.qty is not a number"),
    (one_line('{"type":"order","qty":-1}'), "master_event.qty is negative"),
    (one_line('{"type":"order","qty":99999999999999999999}'), "master_event.qty is not a number"),
    (one_line('{"type":"order","side":"UP"}'), "master_event.side"),
    (one_line('{"type":"order","time":"25:00"}'), "master_event.time"),
    (one_line('{"type":"order","order_type":"ICEBERG"}'), "master_event.order_type"),
    (one_line('{"type":"fills"}'), "master_event.seq is missing"),
    (one_line('{"type":"order"}', '{"round":"sideways"}'), "params.round"),
    (one_line('{"type":"order"}', '{"on_cap":1}'), "params.on_cap"),
    (one_line('{"type":"order"}', '{"allowed_instruments":"A"}'), "params.allowed_instruments"),
    (one_line('{"type":"order"}', '{"copy_window":"9-10"}'), "params.copy_window"),
    (one_line('{"type":"order"}', '{"tiers":[{"from":1}]}'), "params.tiers"),
    (one_line('{"type":"order"}', "{}", '{"lot":"big"}'), "follower_state.lot"),
    (one_line('{"type":"order"}', "{}", "[]"), "follower_state is not a JSON object"),
    (one_line('{"type":"order"}', "{}", "{}", "7"), "mode that is not a string"),
    (one_line('{"type":"order"}', "{}", "{}", '"' + "M" * 80 + '"'), "mode is longer"),
    (one_line('{"type":"order","qty":1,"qty":2}'), ""),
    (one_line('{"type":"orders","seq":[' + ",".join(["1"] * 300) + "]}"), "more than 256 values"),
    ('{"a":"' + "x" * 300000 + '"}', "is longer than"),
)
for line, sentence in BAD:
    code, out, err = run(text=line + "\n\n" + GOOD + "\n")
    if sentence == "":
        continue  # whichever way it is taken, it must not stop the next line
    expect(f"exit code after {line[:60]}", code, 1)
    answers = [json.loads(text) for text in out.splitlines()]
    expect(f"actions after {line[:60]}", [one["action"] for one in answers], ["ERROR", "SKIP"])
    expect(f"keys after {line[:60]}", list(answers[0]), list(answer))
    expect(f"sentences after {line[:60]}", len(err.splitlines()), 1)
    if sentence not in err or "standard input:1 " not in err:
        sys.exit(f"{line[:60]}: the sentence does not say it: {err}")

# Objects may be missing or null.
for params in ("{}", "null"):
    code, out, err = run(text=one_line('{"type":"order","side":"BUY","qty":5}', params, params))
    expect(f"params {params}", (code, err, json.loads(out)["orders"][0]["qty"]), (0, "", 5))

# Case files.
with tempfile.TemporaryDirectory() as folder:
    def write(name, text):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    right = ('P1,decision,ANY,{},"{""type"":""order"",""qty"":2}",{},'
             '"{""action"":""PLACE"",""qty"":2}"\n')
    wrong = ('P2,decision,ANY,{},"{""type"":""order"",""qty"":2}",{},'
             '"{""orders"":[{""side"":""SELL""}]}"\n')
    scenario = 'P3,scenario,ANY,{},{},{},{}\n'
    path = write("cases.csv", HEAD + right + wrong + scenario)
    code, out, err = run("--cases", path)
    expect("differences", (code, out), (1, 'P2: orders[0].side: expected "SELL", got "BUY"\n'
                                           "1 passed, 1 failed, 1 skipped\n"))
    known = write("known.csv", 'id,arithmetic\nP2,"the master bought, ""SELL"" is a slip"\n')
    expect("known differences", run("--cases", path, "--known", known)[:2],
           (0, "1 passed, 0 failed, 2 skipped\n"))
    bare = write("bare.csv", "id,arithmetic\nP2\n")
    code, out, err = run("--cases", path, "--known", bare)
    expect("a bare id", (code, "bare.csv:2 has no arithmetic" in err), (2, True))
    for name, text, sentence in (
            ("head.csv", "id,shape\n", "is no head of a case file"),
            ("quote.csv", HEAD + 'X,decision,ANY,"{,{},{},{}\n', "quote.csv:2 is no CSV record"),
            ("short.csv", HEAD + "X\n", "short.csv:2 has fewer columns")):
        code, out, err = run("--cases", write(name, text))
        expect(name, (code, sentence in err), (2, True))
    code, out, err = run("--cases", write("bad.csv", HEAD + "X,decision,ANY,{},{,{},{}\n"))
    expect("a case that cannot be read", (code, "X: " in out, out.splitlines()[-1]),
           (1, True, "0 passed, 1 failed, 0 skipped"))
    expect("a missing file", run("--cases", os.path.join(folder, "none.csv"))[0], 2)
    expect("a missing file of lines", run(os.path.join(folder, "none.json"))[0], 2)
    lines = write("lines.json", GOOD + "\nbroken\n")
    code, out, err = run(lines)
    expect("a file of lines", (code, "lines.json:2 " in err), (1, True))

for arguments, want in ((["--help"], 0), (["--version"], 0), (["--nonsense"], 2),
                        (["--known", "x"], 2), (["a", "b"], 2), (["--cases", "a", "b"], 2)):
    expect(str(arguments), run(*arguments)[0], want)
print("ok")
