#!/usr/bin/env python3
"""lockstep-whatif against a naive model: rationals, one follower at a time, no cleverness.

    whatif_property.py WHATIF [SEED [CASES]]

Random openings (modes, rounding, caps), runs of closes, runs of fills with repeats, reversals;
every answer is compared with the model, and these hold by themselves: never above a cap, whole
lots, no exit turns a position round, a flat master leaves a flat follower, remainders stay below a
lot, late and repeated fills change nothing."""
import json
import random
import subprocess
import sys
from fractions import Fraction as F
from math import floor

SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 20260101
CASES = int(sys.argv[3]) if len(sys.argv) > 3 else 4000
RANDOM = random.Random(SEED)
FAULTS = []


def down(value, lot):
    return floor(F(value) / F(lot)) * F(lot)


def decimal(value):
    text = f"{float(value):.8f}"
    assert F(text) == value, value
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(low, high, places):
    return F(RANDOM.randint(low * 10**places, high * 10**places), 10**places)


class Raw(str):
    """A number by its digits: nothing goes through binary floating point."""


def dump(value):
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(k) + ":" + dump(v) for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    if isinstance(value, F):
        return decimal(value)
    return json.dumps(value)


# --- openings -----------------------------------------------------------------------------------
def raw_quantity(mode, params, event, state):
    q = event["qty"]
    if mode == "FIXED_RATIO":
        return q * params["ratio"]
    if mode == "FIXED_QUANTITY":
        return params["qty"]
    if mode == "PERCENTAGE":
        return state["capital"] * params["pct_of_capital"] / 100 / state["ltp"]
    if mode == "EQUITY_PROPORTIONAL":
        return q * params["mult"] * state["equity"] / event["equity"]
    if mode == "AUTO_RISK":
        return q / event["account"] * state["account"] * params["value"]
    return q * params["mult"] * event["contract_size"] / state["contract_size"]


def make_opening():
    lot = F(RANDOM.choice(["1", "65", "25", "0.01", "0.5", "100"]))
    mode = RANDOM.choice(["FIXED_RATIO", "FIXED_QUANTITY", "PERCENTAGE", "EQUITY_PROPORTIONAL",
                          "AUTO_RISK", "MULTIPLIER_NOTIONAL"])
    params = {"ratio": money(0, 5, 4), "qty": money(0, 900, 2), "pct_of_capital": money(0, 100, 2),
              "mult": money(1, 4, 3), "value": money(1, 3, 2)}
    keep = {"FIXED_RATIO": "ratio", "FIXED_QUANTITY": "qty", "PERCENTAGE": "pct_of_capital",
            "EQUITY_PROPORTIONAL": "mult", "AUTO_RISK": "value", "MULTIPLIER_NOTIONAL": "mult"}
    params = {keep[mode]: params[keep[mode]]}
    event = {"type": "order", "side": RANDOM.choice(["BUY", "SELL"]), "qty": money(0, 2000, 2),
             "equity": money(100, 90000, 2), "account": money(100, 90000, 2),
             "contract_size": money(1, 100, 1)}
    state = {"lot": lot, "ltp": money(1, 3000, 2), "capital": money(100, 10**6, 2),
             "equity": money(100, 90000, 2), "account": money(100, 90000, 2),
             "contract_size": money(1, 100, 1), "copied_pos": F(0)}
    for cap, value in (("max_quantity", money(1, 800, 2)), ("max_position", money(1, 900, 2)),
                       ("max_order_value", money(100, 10**5, 2))):
        if RANDOM.random() < 0.4:
            params[cap] = value
    if RANDOM.random() < 0.5:
        params["on_cap"] = RANDOM.choice(["reduce", "skip"])
    if RANDOM.random() < 0.5:
        state["copied_pos"] = money(0, 500, 0) * (1 if event["side"] == "BUY" else -1)
    if RANDOM.random() < 0.3:
        params["freeze"] = money(50, 400, 0)
    return mode, params, event, state


def model_opening(mode, params, event, state):
    lot, on_cap = state["lot"], params.get("on_cap")
    qty = down(raw_quantity(mode, params, event, state), lot)
    if qty == 0:
        return 0, "SUB_LOT" if lot > 1 else "QTY_ZERO"
    why = None
    cap = params.get("max_quantity")
    if cap and qty > cap:
        if on_cap == "skip":
            return 0, "MAX_QTY"
        qty, why = down(cap, lot), "MAX_QTY_CAPPED"
        if qty == 0:
            return 0, why
    cap = params.get("max_position")
    if cap:
        room = max(cap - abs(state["copied_pos"]), 0)
        if qty > room:
            if on_cap == "skip" or down(room, lot) == 0:
                return 0, "MAX_POSITION_REDUCED"
            qty, why = down(room, lot), why or "MAX_POSITION_REDUCED"
    cap = params.get("max_order_value")
    if cap and qty * state["ltp"] > cap:
        if on_cap != "reduce" or down(cap / state["ltp"], lot) == 0:
            return 0, "MAX_ORDER_VALUE"
        qty, why = down(cap / state["ltp"], lot), why or "MAX_ORDER_VALUE_REDUCED"
    freeze = params.get("freeze")
    if freeze and qty > freeze and down(freeze, lot) == 0:
        return 0, "TOO_MANY_SLICES"
    return qty, why


def check_opening(case, answer):
    mode, params, event, state = case
    want, why = model_opening(*case)
    got = sum(o["qty"] for o in answer["orders"])
    if answer.get("orders_cut"):  # an absurd number of slices is not listed whole
        got = want
    if got != want or answer["reason_code"] != why:
        return f"wanted {want} {why}, got {got} {answer['reason_code']}"
    if "max_quantity" in params and got > params["max_quantity"]:
        return "above max_quantity"
    if got and "max_position" in params and got + abs(state["copied_pos"]) > params["max_position"]:
        return "above max_position"
    if "max_order_value" in params and got * state["ltp"] > params["max_order_value"]:
        return "above max_order_value"
    if any(o["qty"] % state["lot"] for o in answer["orders"]):
        return "not a whole lot"
    if "freeze" in params and any(o["qty"] > params["freeze"] for o in answer["orders"]):
        return "above the freeze quantity"
    return None


# --- closes, reversals, fills -------------------------------------------------------------------
def make_closes():
    lot = F(RANDOM.choice([1, 65, 25, 10]))
    before = RANDOM.randint(1, 3000)
    held = down(RANDOM.randint(0, 4000), lot) + RANDOM.choice([0, 0, 3])
    seq, left = [], before
    while left and len(seq) < 12:
        seq.append(min(left, RANDOM.randint(1, max(1, before // 3))))
        left -= seq[-1]
    beyond = RANDOM.choice([0, 0, 1])
    if beyond and not left:
        seq.append(RANDOM.randint(1, 500))
    sign = RANDOM.choice([1, -1])
    ratio = money(0, 2, 2)
    event = {"type": "fills", "side": "SELL" if sign > 0 else "BUY", "seq": [F(s) for s in seq],
             "pos_before": F(before * sign)}
    return "FIXED_RATIO", {"ratio": ratio}, event, {"copied_pos": F(held * sign), "lot": lot}


def check_closes(case, answer):
    _, params, event, state = case
    lot, held, before = state["lot"], abs(state["copied_pos"]), abs(event["pos_before"])
    left, base, reduced, opened, sent = before, held, F(0), F(0), F(0)
    for at, d in enumerate(event["seq"]):
        got = answer["qty_seq"][at]
        if left == 0:  # what opens on the other side, cumulatively
            opened += d
            want = down(params["ratio"] * opened, lot) - sent
            sent += want
            if got != want:
                return f"element {at}: wanted {want} opened, got {got}"
            continue
        left -= d
        reduced += d
        target = base if left == 0 else down(F(base) * reduced / before, lot)
        want = target - (base - held)
        if got != want:
            return f"element {at}: wanted {want} closed, got {got}"
        held -= got
        if held < 0:
            return "the position turned round"
        if left == 0 and held:
            return "the master is flat and the follower is not"
        if left and held - F(base) * left / before >= lot:
            return "a remainder of a lot or more"
    return None


def make_fills():
    totals = sorted(RANDOM.sample(range(1, 4000), RANDOM.randint(1, 8)))
    shown = list(totals)
    for _ in range(RANDOM.randint(0, 6)):
        shown.insert(RANDOM.randint(0, len(shown)), RANDOM.choice(totals))
    return ("COPY_ON_FILL", {"ratio": money(0, 3, 3)}, {"type": "cum_fills", "side": "BUY",
            "seq": [F(s) for s in shown]}, {"lot": F(RANDOM.choice([1, 65, 25]))})


def check_fills(case, answer):
    _, params, event, state = case
    seen = sent = F(0)
    for at, total in enumerate(event["seq"]):
        seen = max(seen, total)
        want = down(params["ratio"] * seen, state["lot"]) - sent
        if answer["qty_seq"][at] != want:
            return f"element {at}: wanted {want}, got {answer['qty_seq'][at]}"
        sent += want
    return None


def make_target():
    return ("SMART_TARGET", {"ratio": money(0, 2, 2)}, {"type": "target",
            "target": F(RANDOM.randint(-500, 500))}, {"pos": F(RANDOM.randint(-500, 500)),
            "lot": F(1)})


def check_target(case, answer):
    _, params, event, state = case
    # A ratio of nothing is a target of nothing said: it counts as 1.
    ratio = params["ratio"] if params["ratio"] else 1
    size = down(abs(event["target"]) * ratio, 1)
    want = (size if event["target"] >= 0 else -size) - state["pos"]
    got = sum(o["qty"] * (1 if o["side"] == "BUY" else -1) for o in answer["orders"])
    return None if got == want else f"wanted {want}, got {got}"


KINDS = ((make_opening, check_opening), (make_closes, check_closes), (make_fills, check_fills),
         (make_target, check_target))


def main():
    print(f"seed {SEED}, {CASES} cases")
    cases = []
    for _ in range(CASES):
        make, check = RANDOM.choice(KINDS[:1] * 3 + KINDS)
        cases.append((make(), check))
    lines = [dump({"mode": m, "params": p, "master_event": e, "follower_state": s})
             for (m, p, e, s), _ in cases]
    done = subprocess.run([sys.argv[1]], input="\n".join(lines) + "\n", capture_output=True,
                          text=True, timeout=120)
    answers = [json.loads(a, parse_float=F, parse_int=F) for a in done.stdout.splitlines()]
    if done.returncode != 0 or len(answers) != len(cases):
        sys.exit(f"exit {done.returncode}, {len(answers)} answers: {done.stderr[:500]}")
    placed = 0
    for line, (case, check), answer in zip(lines, cases, answers):
        placed += answer["action"] == "PLACE"
        fault = check(case, answer)
        if fault:
            FAULTS.append(f"{fault}\n    {line}\n    {answer['explain']}")
    for fault in FAULTS[:5]:
        print(fault)
    print(f"{len(cases) - len(FAULTS)} agree, {len(FAULTS)} differ, {placed} placed something")
    sys.exit(1 if FAULTS or placed < CASES // 4 else 0)


main()
