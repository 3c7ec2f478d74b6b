#!/usr/bin/env python3
"""Writes tests/data/sizing/more_cases.csv: further cases of the rules of a copy, with the expected
values computed here in rationals, formula by formula, apart from the engine.

    make_more_cases.py > tests/data/sizing/more_cases.csv
    make_more_cases.py --check tests/data/sizing/more_cases.csv    says whether the file is that"""
import csv
import io
import itertools
import json
import sys
from fractions import Fraction
from math import ceil, floor

ROWS = []
NUMBER = itertools.count(1)


def num(value):
    """A rational as JSON can carry it: at most eight decimals, cut."""
    value = Fraction(value)
    cut = Fraction(floor(abs(value) * 10**8), 10**8) * (1 if value >= 0 else -1)
    return int(cut) if cut.denominator == 1 else float(cut)


def down(value, unit):
    return value if not unit else floor(Fraction(value) / Fraction(unit)) * Fraction(unit)


def up(value, unit):
    return ceil(Fraction(value) / Fraction(unit)) * Fraction(unit)


def near(value, unit):
    return floor(Fraction(value) / Fraction(unit) + Fraction(1, 2)) * Fraction(unit)


F = Fraction


def row(group, mode, params, event, state, expected, why, shape="decision"):
    ROWS.append((f"{group}{next(NUMBER):03d}", shape, mode, params, event, state, expected, why))


def order(side="BUY", qty=None, **more):
    event = {"type": "order", "side": side}
    if qty is not None:
        event["qty"] = qty
    return {**event, **more}


def fill(side, qty, before, after, **more):
    return {"type": "fill", "side": side, "qty": qty, "pos_before": before, "pos_after": after,
            **more}


def place(side, qty, **more):
    return {"action": "PLACE", "orders": [{"side": side, "qty": num(qty), **more}], "qty": num(qty)}


def skip(reason):
    return {"action": "SKIP", "orders": [], "reason_code": reason}


# --- 1: modes ---------------------------------------------------------------------------------
for ratio, qty, lot in (("0.29", 100, 1), ("0.57", 100, 1), ("1.15", 100, 1), ("0.1", 30, 1),
                        ("2.5", 130, 65), ("1.999", 75, 25), ("0.07", 1000, 5), ("3", 7, 1)):
    row("XA", "FIXED_RATIO", {"ratio": num(F(ratio))}, order(qty=qty), {"lot": lot},
        place("BUY", down(F(ratio) * qty, lot)), f"{qty} x {ratio} floored to {lot}")
for word in ("ratio", "mult", "lot_multiplier"):
    row("XA", "FIXED_RATIO", {word: 1.5}, order("SELL", 10), {"lot": 1}, place("SELL", 15),
        "equal words")
row("XA", "FIXED_RATIO", {}, order(qty=11), {"lot": 1}, place("BUY", 11), "no ratio is 1")
row("XA", "FIXED_RATIO", {"ratio": 0}, order(qty=11), {"lot": 1}, skip("QTY_ZERO"), "0 x 11")
row("XA", "FIXED_RATIO", {"ratio": -2}, order("SELL", 3), {"lot": 1}, place("BUY", 6),
    "negative turns the side")
row("XA", "REVERSE", {"reverse": True, "ratio": 0.5}, order("SELL", 9), {"lot": 1},
    place("BUY", 4), "4.5 floors, side turned")
for pct, capital, price, lot in ((2, 500000, "123.45", 1), (10, 250000, "99.95", 50),
                                 ("0.5", 1000000, "17.3", 1), (100, 1000, "0.05", 1)):
    row("XA", "PERCENTAGE", {"pct_of_capital": num(F(pct))}, order(qty=1),
        {"capital": capital, "ltp": num(F(price)), "lot": lot},
        place("BUY", down(F(capital) * F(pct) / 100 / F(price), lot)), "E x pct / 100 / p")
row("XA", "PERCENTAGE", {"pct_of_capital": 10},
    order(qty=1, order_type="LIMIT", price=50), {"capital": 1000, "ltp": 25, "lot": 1},
    place("BUY", 2, price=50), "the limit price counts, 100 / 50")
row("XA", "PERCENTAGE", {"pct_of_capital": 10}, order(qty=1), {"ltp": 25, "lot": 1},
    skip("CAPITAL_UNKNOWN"), "nothing to take a percentage of")
row("XA", "PERCENTAGE", {"pct_of_capital": 10}, order(qty=1), {"capital": 1000, "ltp": None,
    "lot": 1}, skip("PRICE_UNKNOWN"), "nothing to divide by")
row("XA", "FIXED_QUANTITY", {"qty": 40}, order(qty=1), {"lot": 65}, skip("SUB_LOT"), "40 < 65")
row("XA", "FIXED_QUANTITY", {"qty": 140}, order("SELL", 1), {"lot": 65}, place("SELL", 130),
    "two lots")
for m, e_f, e_m, q in ((1, 7777, 4321, 9), ("1.5", 100000, 30000, 2), ("0.3", 50, 70, 100)):
    row("XB", "EQUITY_PROPORTIONAL", {"mult": num(F(m)), "step": 0.01},
        order(qty=q, equity=e_m), {"equity": e_f},
        place("BUY", down(q * F(m) * F(e_f, e_m), "0.01")), "q x m x Ef / Em")
    row("XB", "BALANCE_PROPORTIONAL", {"mult": num(F(m)), "step": 0.1},
        order(qty=q, balance=e_m), {"balance": e_f},
        place("BUY", down(q * F(m) * F(e_f, e_m), "0.1")), "q x m x Bf / Bm")
row("XB", "EQUITY_PROPORTIONAL", {"mult": 1}, order(qty=3, equity=9), {"equity": 3, "lot": 1},
    place("BUY", 1), "3 x 3 / 9 is exactly 1")
row("XB", "EQUITY_PROPORTIONAL", {}, order(qty=3), {"equity": 3}, skip("CAPITAL_UNKNOWN"),
    "the master's equity is not known")
row("XB", "EQUITY_PROPORTIONAL", {}, order(qty=3, equity=9), {}, skip("CAPITAL_UNKNOWN"),
    "the follower's equity is not known")
for basis, value, a_m, a_f, q in (("equity", 2, 5000, 1000, 10), ("balance", "0.5", 800, 400, 6)):
    row("XB", "AUTO_RISK", {"value": num(F(value)), "basis": basis}, order(qty=q, account=a_m),
        {"account": a_f, "lot": 1}, place("BUY", down(F(q * a_f, a_m) * F(value), 1)),
        "q / Am x Af x value")
row("XB", "AUTO_RISK", {"value": 1, "basis": "free_margin"}, order(qty=8, free_margin=400),
    {"available": 100, "lot": 1}, place("BUY", 2), "free margin of both sides")
for c_m, c_f, q, m in ((100, 25, 3, 1), (10, 100, 5, 2), (50, 15, 2, "1.5")):
    row("XB", "MULTIPLIER_NOTIONAL", {"mult": num(F(m)), "step": 0.001},
        order(qty=q, contract_size=c_m), {"contract_size": c_f},
        place("BUY", down(q * F(m) * F(c_m, c_f), "0.001")), "q x m x cm / cf")


def mql5(pct):
    pct = F(pct)
    if pct < 1:
        return 1
    return down(pct, 1) if pct < 10 else down(pct, 5) if pct < 100 else down(pct, 10)


for pct in ("0", "0.99", "1", "1.99", "9.99", "10", "14.9", "99.9", "100", "109.9", "255.5", "999"):
    if pct != "0":
        row("XB", "MQL5_PCT", {"step_rule": "mql5"}, {"ratio_pct": num(F(pct))}, {},
            {"pct": num(mql5(pct))}, "steps, always down", "arithmetic")
for b_m, b_f, dep, fx, l_m, l_f, q in ((10000, 3000, 95, 1, 100, 100, 2), (8000, 9000, 50,
        "1.1", 100, 30, 1), (1000, 5000, 100, 1, 50, 200, 3)):
    pct = mql5(F(b_f, b_m) * dep * F(fx) * min(1, F(l_f, l_m)))
    row("XB", "MQL5_PCT", {"deposit_pct": dep, "fx": num(F(fx))},
        order(qty=q, balance=b_m, leverage=l_m), {"balance": b_f, "leverage": l_f},
        {**place("BUY", q * pct / 100), "pct": num(pct)}, "balance ratio in MQL5 steps")
for invest, cost, e_m in ((1000, 250, 5000), (333, 100, 700), (50, 900, 1000)):
    row("XB", "USAGE_RATIO", {"invest": invest, "step": 0.01, "leverage": 5},
        order(cost=cost, equity=e_m), {"available": 1},
        {"action": "PLACE", "cost": num(down(F(invest) * cost / e_m, "0.01")), "leverage": 5},
        "invest x cost / equity")
for s, lev, invest, cost, e_m, have in (("0.01", 10, 500, 500, 1000, 100), ("0.02", 5, 1000, 100,
        1000, 5000), ("0.005", 50, 300, 900, 1000, 200)):
    k = (1 - F(s)) / (1 - F(s) + lev * F(s)) * F(98, 100)
    want = min(F(cost, e_m) * invest, k * have)
    row("XB", "USAGE_RATIO_DISCOUNT", {"slippage_cap": num(F(s)), "leverage": lev, "step": 0.01,
        "invest": invest}, order(cost=cost, equity=e_m), {"equity": invest, "available": have},
        {"action": "PLACE", "cost": num(down(want, "0.01"))}, "min(ratio x invest, k x available)")
for bal, step, q in ((999, 100, 1), (1000, 100, 3), (99, 100, 1)):
    n = bal // step
    row("XB", "STEP_OF_BALANCE", {"step_money": step, "qty_per_step": q}, {"type": "order"},
        {"balance": bal}, place("BUY", n * q) if n else skip("QTY_ZERO"), "full steps only")
for e_f, risk, entry, stop, lot in ((100000, "0.01", 500, 450, 1), (50000, "0.02", 120, 130, 25),
        (1000, "0.005", 10, "9.5", 1)):
    side = "BUY" if F(stop) < entry else "SELL"
    row("XB", "FIXED_RISK", {"risk_fraction": num(F(risk))},
        order(side, price=entry, sl=num(F(stop))), {"equity": e_f, "lot": lot},
        place(side, down(e_f * F(risk) / abs(entry - F(stop)), lot)), "E x f / |entry - stop|")
row("XB", "FIXED_RISK", {"risk_fraction": 0.01}, order(price=500, sl=500), {"equity": 1000},
    skip("NO_STOP_LOSS"), "a stop at the entry limits nothing")
TIERS = [{"from": 0, "to": 100, "mult": 3}, {"from": 100, "to": 1000, "mult": 1},
         {"from": 1000, "mult": 0.25}]
for notional in ("0", "99.99", "100", "999.99", "1000", "40000"):
    mult = 3 if F(notional) < 100 else 1 if F(notional) < 1000 else F(1, 4)
    want = F(notional) * mult
    row("XB", "TIERED_MULTIPLIER", {"tiers": TIERS}, {"type": "order", "notional":
        num(F(notional))}, {}, {"action": "PLACE", "notional": num(want)} if want else
        skip("QTY_ZERO"), "lower bound included, upper excluded")
row("XB", "TIERED_MULTIPLIER", {"tiers": TIERS[1:]}, {"type": "order", "notional": 50}, {},
    skip("MASTER_SIZE_FILTER"), "below every tier")
row("XB", "TIERED_MULTIPLIER", {"tiers": TIERS}, order(qty=20, price=10), {"lot": 1},
    place("BUY", 20), "200 of notional, the tier of 1")
for own, master, q, lot in ((1000, 3000, 9, 1), (700, 900, 100, 5)):
    row("XB", "COPY_RATIO_FROZEN", {"k": "at_join"}, order(qty=q, equity=1), {"equity_at_join": own,
        "master_equity_at_join": master, "equity": 5, "lot": lot},
        place("BUY", down(q * F(own, master), lot)), "k of the day it joined, exactly")
row("XB", "COPY_RATIO_FROZEN", {"k": 0.4}, order(qty=10), {"lot": 1}, place("BUY", 4), "k given")
for bal, basis, pct in ((12345, 1000, 10), (500, 2000, 50)):
    row("XB", "PCT_BALANCE_BASIS", {"basis": basis, "pct": pct, "step": 0.01}, {"type": "order"},
        {"balance": bal}, place("BUY", down(F(bal, basis) * pct / 100, "0.01")),
        "balance / basis x pct")
for k, size, m_m, m_f, caps, held in (("0.97", 500, 2000, 1000, 100000, 0), ("0.9", 300, 1000,
        5000, 1000, 400), (1, 7, 3, 2, 100, 0)):
    want = min(down(F(k) * size * m_f / m_m, 1), caps - held)
    row("XB", "AVAILABLE_RATIO_CAPPED", {"k": num(F(k)), "system_max": caps, "user_max": caps},
        {"type": "order", "size": size, "max_available": m_m},
        {"max_available": m_f, "holding": held, "lot": 1},
        {**place("BUY", want), "size": num(want)}, "min(floor(k x size / max x max), caps)")
row("XB", "POOLED_EQUAL", {"remainder": "distribute"}, {"type": "order", "qty": 100},
    {"followers": 7, "lot": 5}, {"alloc": [15, 15, 15, 15, 15, 15, 10]}, "20 lots of 5 on 7: 3"
    " x 7 = 21 > 20, so 2 each and 6 left")
row("XB", "POOLED_EQUAL", {"remainder": "drop"}, {"type": "order", "qty": 100},
    {"followers": 7, "lot": 1}, {"alloc": [14] * 7}, "2 are nobody's")
row("XB", "POOLED_RATIO", {"ratios": [3, 2, 1], "remainder": "largest_fraction"},
    {"type": "order", "qty": 10}, {"followers": 3, "lot": 1}, {"alloc": [5, 3, 2]},
    "5, 3.33, 1.67: the last lost most")
row("XB", "POOLED_NETLIQ", {"remainder": "distribute"}, {"type": "order", "qty": 11},
    {"netliq": [10, 0, 20], "lot": 1}, {"alloc": [4, 0, 7]}, "3.67, 0, 7.33: the first in order")
# B25, B26, B28, B29: scenario rows elsewhere, decided here.
row("XB", "POOLED_EQUAL", {"remainder": "distribute"}, {"type": "order", "qty": 400},
    {"followers": 6, "lot": 1}, {"alloc": [67, 67, 67, 67, 66, 66]}, "66 each, then one each")
row("XB", "POOLED_EQUAL", {"remainder": "drop"}, {"type": "order", "qty": 40},
    {"followers": 6, "lot": 1}, {"alloc": [6] * 6}, "4 are not allocated")
row("XB", "POOLED_RATIO", {"ratios": [4, 2, 1, 1]}, {"type": "order", "qty": 1000},
    {"followers": 4, "lot": 1}, {"alloc": [500, 250, 125, 125]}, "financial ratios")
row("XB", "POOLED_NETLIQ", {"remainder": "largest_fraction"}, {"type": "order", "qty": 100},
    {"netliq": [30000, 30000, 40000.01], "lot": 1}, {"alloc": [30, 30, 40]}, "sum is the order")
row("XB", "SYMBOL_MAP", {"map": {"GOLD": "GOLDM"}, "factor": 10, "ratio": 0.5},
    order(qty=3, symbol="GOLD"), {"lot": 1}, place("BUY", 15, symbol="GOLDM"), "3 x 0.5 x 10")
row("XB", "SYMBOL_MAP", {"map": {"GOLD": "GOLDM"}}, order(qty=3, symbol="SILVER"), {"lot": 1},
    place("BUY", 3, symbol="SILVER"), "what is not in the map stays")

# --- 2: rounding, minima, caps ------------------------------------------------------------------
for q, step in (("0.119", "0.01"), ("0.125", "0.01"), ("7.499", "0.5"), ("0.004", "0.01"),
                ("0.005", "0.01"), ("1.25", "0.5")):
    for word, how in (("down", down), ("nearest", near)):
        want = how(F(q), F(step))
        row("XC", "ROUND", {"round": word, "step": num(F(step))}, {"qty": num(F(q))}, {},
            {"action": "PLACE", "qty": num(want)} if want else skip("QTY_ZERO"), f"{word} {q}",
            "arithmetic")
row("XC", "ROUND", {"step": 0.01, "min_policy": "force_min"}, {"qty": 0.009}, {}, {"qty": 0.01},
    "raised to one step", "arithmetic")
row("XC", "ROUND", {"step": 0.01, "min_policy": "force_min", "refuse_below": 0.005},
    {"qty": 0.004}, {}, skip("QTY_ZERO"), "refused before it is raised", "arithmetic")
row("XC", "ROUND", {"step": 0.01, "refuse_below": 0.005, "round": "nearest"}, {"qty": 0.005}, {},
    {"qty": 0.01}, "equal to the bound is not below it", "arithmetic")
row("XC", "FIXED_RATIO", {"ratio": 0.5, "fractional": False}, order(qty=5), {}, place("BUY", 2),
    "whole units")
row("XC", "FIXED_RATIO", {"ratio": 0.5}, order(qty=5), {}, place("BUY", 2.5), "nothing to round")
row("XC", "FORCE_MIN", {"ratio": 0.1, "min_policy": "force_min"}, order(qty=65), {"lot": 65},
    place("BUY", 65), "one lot, by choice")
for q, cap, lot in ((100, 100, 1), (101, 100, 1), (500, 199, 65), (50, 40, 65)):
    want = q if q <= cap else down(cap, lot)
    if q <= cap:
        expected = {**place("BUY", down(q, lot)), "reason_code": None}
    elif down(q, lot) <= cap:
        expected = skip("SUB_LOT") if not down(q, lot) else place("BUY", down(q, lot))
    else:
        expected = {**place("BUY", want), "reason_code": "MAX_QTY_CAPPED"} if want else skip(
            "MAX_QTY_CAPPED")
    row("XC", "FIXED_RATIO", {"ratio": 1, "max_quantity": cap}, order(qty=q), {"lot": lot},
        expected, "cap, floored again")
row("XC", "FIXED_RATIO", {"ratio": 1, "max_quantity": 40, "on_cap": "skip"}, order(qty=41),
    {"lot": 1}, skip("MAX_QTY"), "on_cap = skip")
row("XC", "FIXED_RATIO", {"ratio": 1, "max_quantity": 40}, order(qty=65), {"lot": 65},
    skip("MAX_QTY_CAPPED"), "40 is not a lot")
for held, cap, q, lot in ((80, 100, 30, 1), (100, 100, 1, 1), (-70, 100, 50, 25), (130, 200, 130, 65)):
    room = down(max(cap - abs(held), 0), lot)
    side = "BUY" if held > 0 else "SELL"
    row("XC", "MAX_POSITION", {"ratio": 1, "max_position": cap}, order(side, q),
        {"copied_pos": held, "lot": lot}, {**place(side, room), "reason_code":
        "MAX_POSITION_REDUCED"} if room else skip("MAX_POSITION_REDUCED"), "cap minus holding")
row("XC", "MAX_POSITION", {"ratio": 1, "max_position": 100, "on_cap": "skip"}, order(qty=30),
    {"copied_pos": 80, "lot": 1}, skip("MAX_POSITION_REDUCED"), "on_cap = skip")
row("XC", "MAX_POSITION", {"ratio": 1, "max_position": 100}, order(qty=30),
    {"copied_pos": 60, "working_entry": 30, "lot": 1}, {**place("BUY", 10), "reason_code":
    "MAX_POSITION_REDUCED"}, "working entries count")
for q, ltp, cap, lot in ((20, "2850.5", 50000, 1), (10, 5000, 50000, 1), (200, 120, 10000, 65)):
    over = q * F(ltp) > cap
    capped = down(cap / F(ltp), lot)
    row("XC", "FIXED_RATIO", {"ratio": 1, "max_order_value": cap}, order(qty=q),
        {"ltp": num(F(ltp)), "lot": lot}, skip("MAX_ORDER_VALUE") if over else place("BUY",
        down(q, lot)), "equal to the cap passes")
    row("XC", "FIXED_RATIO", {"ratio": 1, "max_order_value": cap, "on_cap": "reduce"},
        order(qty=q), {"ltp": num(F(ltp)), "lot": lot}, {**place("BUY", capped), "reason_code":
        "MAX_ORDER_VALUE_REDUCED"} if over else place("BUY", down(q, lot)), "on_cap = reduce")
row("XC", "FIXED_RATIO", {"ratio": 1, "max_order_value": 100, "on_cap": "reduce"}, order(qty=2),
    {"ltp": 101, "lot": 1}, skip("MAX_ORDER_VALUE"), "not one fits")
row("XC", "FIXED_RATIO", {"ratio": 1, "max_order_value": 1000}, order(qty=10, order_type="LIMIT",
    price=99), {"ltp": 120, "lot": 1}, place("BUY", 10, price=99), "a limit order at its limit")
row("XC", "FIXED_RATIO", {"max_order_value": 1000}, order(qty=1), {"lot": 1},
    skip("PRICE_UNKNOWN"), "no price, and a cap on value")
row("XC", "FIXED_RATIO", {}, order(qty=1), {"lot": 1, "ltp": None}, place("BUY", 1),
    "no price, and nothing needs one")
row("XC", "FIXED_RATIO", {"min_notional": 100}, order(qty=9), {"lot": 1, "ltp": 11},
    skip("MIN_NOTIONAL"), "99 < 100")
row("XC", "FIXED_RATIO", {"min_notional": 99}, order(qty=9), {"lot": 1, "ltp": 11},
    place("BUY", 9), "equal passes")
for q, entry, stop, e_f, most, lot in ((100, 500, 450, 100000, "0.01", 1), (100, 500, 450, 500000,
        "0.01", 1), (300, 80, 88, 20000, "0.02", 25)):
    room = down(F(e_f) * F(most) / abs(entry - stop), lot)
    side = "BUY" if stop < entry else "SELL"
    row("XC", "FIXED_RATIO", {"ratio": 1, "max_trade_risk": num(F(most))},
        order(side, q, price=entry, sl=stop), {"lot": lot, "equity": e_f},
        {**place(side, room), "reason_code": "RISK_REDUCED"} if q > room else place(side, q),
        "q x |entry - stop| <= E x max")
for q, ok in ((10, True), (9, False), (20, True), (21, False)):
    row("XC", "MASTER_SIZE_FILTER", {"master_min": 10, "master_max": 20}, order(qty=q), {"lot": 1},
        place("BUY", q) if ok else skip("MASTER_SIZE_FILTER"), "bounds belong to the window")
for q, freeze, lot, most in ((3640, 1800, 65, None), (1800, 600, 30, None), (1755, 1800, 65, None),
        (1000, 100, 30, 12), (7280, 1800, 65, 5)):
    part = down(freeze, lot)
    total = down(q, lot)
    sizes = [part] * int(total // part) + ([total % part] if total % part else [])
    if total <= freeze:
        sizes = [total]
    params = {"freeze": freeze, **({"max_slices": most} if most else {})}
    row("XC", "SLICE", params, order(qty=q), {"lot": lot}, {"action": "PLACE", "orders":
        [{"side": "BUY", "qty": num(s)} for s in sizes]}, "largest lot multiple below the freeze")
row("XC", "SLICE", {"split": 10, "max_slices": 2}, order(qty=21), {"lot": 1},
    skip("TOO_MANY_SLICES"), "three slices, two allowed")
row("XC", "SLICE", {"split": 10, "max_slices": 2}, fill("SELL", 21, 21, 0), {"copied_pos": 21,
    "lot": 1}, {"action": "PLACE", "orders": [{"qty": 10}, {"qty": 10}, {"qty": 1}]},
    "an exit is never refused for its slices")
row("XC", "SLICE", {"freeze": 50}, order(qty=100), {"lot": 65}, skip("TOO_MANY_SLICES"),
    "no lot fits into one order")

# --- 4: closing ---------------------------------------------------------------------------------
for held, before, d, lot in ((100, 1000, 200, 1), (50, 100, 33, 1), (195, 300, 100, 65),
                             (-50, -100, 50, 1), (7, 9, 4, 1)):
    after = before - d if before > 0 else before + d
    side = "SELL" if before > 0 else "BUY"
    want = down(abs(F(held)) * d / abs(before), lot)
    row("XD", "PROPORTIONAL_CLOSE", {}, fill(side, d, before, after), {"copied_pos": held,
        "lot": lot}, {"action": "PLACE", "orders": [{"side": side, "qty": num(want),
        "reduce_only": True, "leg": "close"}]}, "held x d / M")
row("XD", "PROPORTIONAL_CLOSE", {}, fill("SELL", 1, 10, 9), {"copied_pos": 3, "lot": 1},
    skip("QTY_ZERO"), "0.3 is held back")
row("XD", "PROPORTIONAL_CLOSE", {"close_round": "up"}, fill("SELL", 1, 10, 9),
    {"copied_pos": 3, "lot": 1}, place("SELL", 1), "up by choice")
row("XD", "PROPORTIONAL_CLOSE", {}, fill("SELL", 10, 100, 90), {"copied_pos": 130, "lot": 65},
    skip("SUB_LOT"), "13 of a lot of 65")
row("XD", "ANY", {}, fill("SELL", 10, 10, 0), {"copied_pos": 97, "lot": 65}, place("SELL", 97),
    "flat closes all, odd lots too")
for mode, params in (("FIXED_QUANTITY", {"qty": 9}), ("PERCENTAGE", {"pct_of_capital": 5}),
                     ("EQUITY_PROPORTIONAL", {}), ("FIXED_RATIO", {"ratio": 3})):
    row("XD", mode, params, fill("SELL", 50, 200, 150), {"copied_pos": 40, "lot": 1},
        place("SELL", 10, reduce_only=True), "the close does not look at the mode")
BLOCKS = ({"enabled": False}, {"copy_paused": True}, {"active": True}, {"allowed_instruments":
    ["X"]}, {"allowed_product_types": ["CNC"]}, {"allowed_order_types": ["LIMIT"]},
    {"max_daily_loss": 1}, {"max_trades_per_day": 1}, {"max_open_positions": 1},
    {"max_order_value": 1}, {"max_quantity": 1}, {"max_position": 1}, {"min_notional": 10**9},
    {"max_slippage_pct": 0.01}, {"max_entry_age_ms": 1}, {"copy_window": "09:20-09:21"},
    {"mis_cutoff": "09:00"}, {"consecutive_failures": 1}, {"max_margin_util_pct": 1},
    {"allow_short": False}, {"master_min": 1000})
for params in BLOCKS:
    row("XD", "ANY", params, fill("SELL", 100, 100, 0, symbol="SBIN", product="MIS", price=500,
        age_ms=99999, time="15:25"), {"copied_pos": 50, "lot": 1, "ltp": 400, "day_realised": -5,
        "trades_today": 9, "open_positions": 9, "consecutive_failures": 9, "margin_used": 99,
        "margin_total": 100}, place("SELL", 50, reduce_only=True), "nothing of it stops an exit")
row("XD", "ANY", {"switch": "halt"}, fill("SELL", 1, 1, 0), {"copied_pos": 5, "lot": 1},
    skip("KILL_SWITCH"), "halt stops all but cancels")
row("XD", "ANY", {}, fill("SELL", 100, 100, 0), {"copied_pos": 0}, skip("NO_POSITION"), "nothing")
row("XD", "ANY", {}, fill("SELL", 100, 100, 0), {"copied_pos": -20, "lot": 1}, skip("NO_POSITION"),
    "a short is not closed by selling")
row("XD", "ANY", {}, fill("SELL", 100, 100, 0), {"copied_pos": 100, "working_same_side": 100,
    "lot": 1}, skip("CLOSE_CLAMPED"), "all of it is being closed")
row("XD", "ANY", {}, fill("SELL", 50, 100, 50), {"copied_pos": 100, "exit_in_flight": 20,
    "lot": 1}, {"action": "NONE", "reason_code": "EXIT_IN_FLIGHT", "orders": []}, "one at a time")
row("XD", "ANY", {}, fill("SELL", 100, 100, 0), {"copied_lots": [10, 20, 5], "lot": 1},
    place("SELL", 35), "all its entries")
row("XD", "ANY", {}, fill("SELL", 100, 100, 0), {"entry_status": "FILLED", "entry_qty": 30,
    "synced_pos": 0, "lot": 1}, place("SELL", 30), "the ledger knows before the feed")
row("XD", "ANY", {}, fill("SELL", 100, 100, 0), {"copied_pos": 50, "pos": 20, "lot": 1},
    {**place("SELL", 20), "reason_code": "CLOSE_CLAMPED"}, "30 were sold by hand")
row("XD", "ANY", {}, {"type": "exit_trigger", "fraction": 0.5}, {"copied_pos": 75, "lot": 25},
    place("SELL", 25), "37.5 floors to a lot of 25")
row("XD", "ANY", {}, {"type": "exit_trigger", "side": "BUY"}, {"copied_pos": -75, "lot": 25},
    place("BUY", 75), "all of it")


def closes(held, before, seq, lot):
    """Cumulative floor from one base; the last one to flat takes everything."""
    out, done, reduced = [], F(0), F(0)
    for d in seq:
        reduced += d
        total = F(held) if reduced >= before else down(F(held) * reduced / before, lot)
        out.append(num(total - done))
        done = total
    return out


for held, before, seq, lot in ((3, 10, [1] * 7 + [3], 1), (50, 100, [30, 30, 40], 15), (10, 7,
        [1] * 7, 1), (130, 100, [25] * 4, 65), (5, 5, [2, 2, 1], 1), (1, 100, [50, 49, 1], 1)):
    row("XD", "PROPORTIONAL_CLOSE", {}, {"type": "fills", "side": "SELL", "seq": seq,
        "pos_before": before, "pos_after": 0}, {"copied_pos": held, "lot": lot},
        {"qty_seq": closes(held, before, seq, lot)}, "cumulative floor", "sequence")
row("XD", "PROPORTIONAL_CLOSE", {}, {"type": "fills", "side": "BUY", "seq": [4, 4, 4],
    "pos_before": -12}, {"copied_pos": -7, "lot": 1}, {"qty_seq": [2, 2, 3]}, "short, the same",
    "sequence")

# --- 5, 6, 7: scaling, reversal, fills ----------------------------------------------------------
row("XE", "FIXED_RATIO", {"ratio": 0.5}, fill("BUY", 50, 100, 150), {"copied_pos": 0, "lot": 1},
    place("BUY", 25, leg="open"), "the increment only: a late joiner stays small")


def runs(ratio, seq, lot):
    out, total, sent = [], F(0), F(0)
    for q in seq:
        total += q
        want = down(F(ratio) * total, lot)
        out.append(num(want - sent))
        sent = want
    return out


for ratio, seq, lot in (("0.5", [1, 1, 1, 1], 1), ("0.3", [5, 5, 5, 5], 1), ("1.5", [10, 30, 25],
        65), ("0.29", [50, 50], 1)):
    row("XE", "FIXED_RATIO", {"ratio": num(F(ratio)), "remainder": "carry"}, {"type": "orders",
        "side": "BUY", "seq": seq}, {"copied_pos": 0, "lot": lot}, {"qty_seq": runs(ratio, seq,
        lot)}, "carry: cumulative floor", "sequence")
    row("XE", "FIXED_RATIO", {"ratio": num(F(ratio))}, {"type": "orders", "side": "BUY",
        "seq": seq}, {"copied_pos": 0, "lot": lot}, {"qty_seq": [num(down(F(ratio) * q, lot)) for
        q in seq]}, "drop: each by itself", "sequence")
    row("XE", "COPY_ON_FILL", {"ratio": num(F(ratio))}, {"type": "fills", "side": "SELL",
        "seq": seq}, {"lot": lot}, {"qty_seq": runs(ratio, seq, lot)},
        "fills of one order: cumulative", "sequence")
row("XE", "COPY_ON_FILL", {"ratio": 0.5}, {"type": "cum_fills", "side": "BUY",
    "seq": [10, 10, 4, 25, 20, 100]}, {"lot": 1}, {"qty_seq": [5, 0, 0, 7, 0, 38]},
    "late and repeated totals add nothing", "sequence")
row("XE", "COPY_ON_FILL", {"ratio": 1, "on_fill": "complete"}, {"type": "cum_fills", "side": "BUY",
    "seq": [10, 60, 100], "order_qty": 100}, {"lot": 1}, {"qty_seq": [0, 0, 100]},
    "once, when it is complete", "sequence")
row("XE", "FIXED_QUANTITY", {"qty": 5, "max_position": 12}, {"type": "orders", "side": "BUY",
    "seq": [1, 9, 2]}, {"lot": 1}, {"qty_seq": [5, 5, 2]}, "max_position is the brake", "sequence")
row("XE", "COPY_ON_FILL", {"ratio": 0.5, "max_quantity": 10}, {"type": "fills", "side": "BUY",
    "seq": [40, 10]}, {"lot": 1}, {"qty_seq": [10, 5]}, "what a cap took is not made up",
    "sequence")
row("XE", "FIXED_RATIO", {"ratio": 0.5}, fill("SELL", 150, 100, -50), {"copied_pos": 50, "lot": 1},
    {"action": "PLACE", "orders": [{"side": "SELL", "qty": 50, "leg": "close", "reduce_only":
    True}, {"side": "SELL", "qty": 25, "leg": "open", "reduce_only": False}]}, "split at zero")
row("XE", "FIXED_RATIO", {"ratio": 0.5}, fill("BUY", 300, -100, 200), {"copied_pos": -50,
    "lot": 1}, {"action": "PLACE", "orders": [{"side": "BUY", "qty": 50, "leg": "close"}, {"side":
    "BUY", "qty": 100, "leg": "open"}]}, "from short to long")
row("XE", "FIXED_RATIO", {"ratio": 0.5}, fill("SELL", 150, 100, -50), {"copied_pos": 0, "lot": 1},
    {"action": "PLACE", "orders": [{"side": "SELL", "qty": 25, "leg": "open"}]}, "late joiner")
for where in ("params", "state"):
    params = {"ratio": 0.5, **({"allow_short": False} if where == "params" else {})}
    state = {"copied_pos": 50, "lot": 1, **({"allow_short": False} if where == "state" else {})}
    row("XE", "FIXED_RATIO", params, fill("SELL", 150, 100, -50), state, {"action": "PLACE",
        "orders": [{"side": "SELL", "qty": 50, "leg": "close"}], "reason_code":
        "SHORT_NOT_ALLOWED"}, "only the close")
row("XE", "FIXED_RATIO", {"ratio": 0.5, "copy_paused": True}, fill("SELL", 150, 100, -50),
    {"copied_pos": 50, "lot": 1}, {"action": "PLACE", "orders": [{"side": "SELL", "qty": 50}],
    "reason_code": "COPY_PAUSED"}, "a paused follower only closes")
for target, pos in ((0, 100), (0, -30), (50, 100), (-50, -100), (70, -30), (-1, 0), (25, 25)):
    q, side = abs(target - pos), "BUY" if target > pos else "SELL"
    row("XE", "SMART_TARGET", {}, {"type": "target", "target": target}, {"pos": pos},
        {"action": "PLACE", "orders": [{"side": side, "qty": q}]} if q else
        {"action": "NONE", "reason_code": "AT_TARGET"}, "target - position")
row("XE", "SMART_TARGET", {"allow_short": False}, {"type": "target", "target": -50}, {"pos": 100},
    {"action": "PLACE", "orders": [{"side": "SELL", "qty": 100}], "reason_code":
    "SHORT_NOT_ALLOWED"}, "to flat and no further")

# --- 8: amend, cancel, reject -------------------------------------------------------------------
for q, ratio, opened, filled, lot in ((60, "0.5", 50, 0, 1), (60, "0.5", 30, 20, 1), (200, "0.5",
        65, 0, 65), (300, "0.5", 65, 65, 65), (20, "0.5", 30, 20, 1), (40, "0.5", 30, 20, 1),
        (1, "0.5", 10, 0, 1)):
    total = down(F(q) * F(ratio), lot)
    if total <= filled:
        expected = {"action": "CANCEL", "remaining": opened, "drift": num(filled - total)}
    elif total == opened + filled:
        expected = {"action": "NONE", "reason_code": "AT_TARGET"}
    else:
        expected = {"action": "MODIFY", "qty": num(total), "remaining": num(total - filled)}
    row("XE", "COPY_ON_ORDER", {"ratio": num(F(ratio))}, {"type": "modify", "qty": q},
        {"child_open": opened, "child_filled": filled, "lot": lot}, expected, "total, not a sum")
for n, most in ((25, 25), (26, 25), (3, 2), (100, 0)):
    action = "REPLACE" if most and n > most else "MODIFY"
    row("XE", "COPY_ON_ORDER", {"max_modifications": most}, {"type": "modify", "n": n,
        "price": 101.5}, {"child_open": 40, "child_filled": 10}, {"action": action, "price": 101.5,
        "qty": 40 if action == "REPLACE" else 50}, "a replacement is the difference only")
for filled_m, opened, filled in ((40, 40, 10), (20, 40, 10), (0, 40, 10), (100, 1, 49)):
    row("XE", "COPY_ON_ORDER", {"ratio": 0.5}, {"type": "cancel", "master_filled": filled_m},
        {"child_open": opened, "child_filled": filled, "lot": 1}, {"action": "CANCEL",
        "remaining": opened, "drift": filled - filled_m // 2}, "drift against the master's fill")
row("XE", "COPY_ON_ORDER", {}, {"type": "cancel"}, {"child_open": 0, "child_filled": 50},
    {"action": "NONE", "reason_code": "CHILD_FILLED"}, "nothing is left to cancel")
row("XE", "COPY_ON_ORDER", {}, {"type": "reject"}, {"child_open": 5}, {"action": "CANCEL",
    "reason_code": "MASTER_REJECTED"}, "rollback")
row("XE", "COPY_ON_ORDER", {"switch": "halt"}, {"type": "cancel"}, {"child_open": 5},
    {"action": "CANCEL"}, "cancels always go")
row("XE", "COPY_ON_ORDER", {}, {"type": "modify", "price": 3}, {"child_open": 5, "cancel_result":
    "ALREADY_FILLED"}, {"action": "NONE", "reason_code": "CHILD_FILLED"}, "never bought twice")
row("XE", "COPY_ON_ORDER", {"ratio": 0.5}, order(qty=100, order_type="LIMIT", price=99.95),
    {"lot": 1, "tick": 0.05}, place("BUY", 50, type="LIMIT", price=99.95), "pending as pending")
row("XE", "COPY_ON_ORDER", {"copy_pending": False}, order(qty=100, order_type="STOP_LIMIT",
    price=99, trigger=98), {}, {"action": "NONE", "reason_code": "WAIT_MASTER_FILL"}, "waits")
for side, held, trigger, tick, want in (("SELL", 40, "479.97", "0.05", "479.95"), ("BUY", -40,
        "479.97", "0.05", "480"), ("SELL", 40, "480", "0.05", "480")):
    row("XE", "COPY_ON_ORDER", {}, order(side, 100, order_type="STOP", trigger=num(F(trigger)),
        pos_before=100 if side == "SELL" else -100), {"copied_pos": held, "tick": num(F(tick)),
        "lot": 1}, place(side, 40, type="STOP", trigger=num(F(want)), reduce_only=True),
        "a stop rounds away from a wider loss")
row("XE", "COPY_ON_ORDER", {}, order("SELL", 50, order_type="STOP", trigger=90, pos_before=100),
    {"copied_pos": 30, "lot": 1}, place("SELL", 15, reduce_only=True), "half of it is protected")

# --- 3, 10, 11: guards and limits ---------------------------------------------------------------
for side, price, cap, tick in (("BUY", "101.37", "0.5", "0.05"), ("SELL", "101.37", "0.5", "0.05"),
        ("BUY", "250", "0.1", "0.05"), ("SELL", "19.99", "1", "0.01"), ("BUY", "7.7", "0.33",
        "0.1")):
    raw = F(price) * (1 + F(cap) / 100 if side == "BUY" else 1 - F(cap) / 100)
    limit = down(raw, tick) if side == "BUY" else up(raw, tick)
    row("XF", "SLIPPAGE", {"max_slippage_pct": num(F(cap))}, {"type": "fill", "side": side,
        "price": num(F(price))}, {"tick": num(F(tick))}, {"limit": num(limit)},
        "never wider than the guard", "arithmetic")
    row("XF", "SLIPPAGE", {"max_slippage_pct": num(F(cap))}, {"type": "fill", "side": side,
        "qty": 10, "price": num(F(price))}, {"tick": num(F(tick)), "lot": 1,
        "ltp": num(F(price))}, {**place(side, 10, type="LIMIT", tif="IOC", price=num(limit)),
        "limit": num(limit)}, "an IOC limit at the guard")
    beyond = limit + F(tick) if side == "BUY" else limit - F(tick)
    row("XF", "SLIPPAGE", {"max_slippage_pct": num(F(cap))}, {"type": "fill", "side": side,
        "qty": 10, "price": num(F(price))}, {"tick": num(F(tick)), "ltp": num(F(price)),
        "bid": num(beyond), "ask": num(beyond)}, skip("SLIPPAGE"), "one tick beyond it")
row("XF", "SLIPPAGE", {"max_slippage_pct": 1}, order(qty=1, order_type="MARKET"), {},
    skip("PRICE_UNKNOWN"), "no reference for the guard")
row("XF", "SLIPPAGE", {"max_slippage_pct": 1}, order(qty=1, order_type="LIMIT", price=100),
    {"ltp": 150}, place("BUY", 1, type="LIMIT", price=100), "a pending copy keeps its terms")
row("XF", "MARKET_PROTECTION", {"market_protection_pct": 1.5, "market_orders":
    "broker_protection"}, fill("SELL", 5, 5, 0), {"copied_pos": 5, "lot": 1}, place("SELL", 5,
    type="MARKET", market_protection=1.5, reduce_only=True), "exits carry it too")
row("XF", "MARKET_PROTECTION", {"market_protection_pct": 2, "market_orders": "limit"},
    order(qty=5, order_type="MARKET"), {"ltp": 100.03, "tick": 0.05}, place("BUY", 5,
    type="LIMIT", price=102), "102.0306 to the tick, down")
for age, ok in ((5000, True), (5001, False)):
    row("XF", "MAX_AGE", {"max_entry_age_ms": 5000}, order(qty=1, age_ms=age), {},
        place("BUY", 1) if ok else skip("STALE_EVENT"), "older than the limit")
for loss, open_pnl, ok in ((-49999.99, 0, True), (-50000, 0, False), (-30000, -20000, False),
        (-60000, 20000, True)):
    row("XF", "FIXED_RATIO", {"max_daily_loss": 50000}, order(qty=1), {"day_realised": loss,
        "day_unrealised": open_pnl}, place("BUY", 1) if ok else skip("DAILY_LOSS"),
        "realised and unrealised")
for params, state, reason in (
        ({"max_trades_per_day": 5}, {"trades_today": 4}, None),
        ({"max_trades_per_day": 5}, {"trades_today": 5}, "MAX_TRADES_DAY"),
        ({"max_open_positions": 3}, {"open_positions": 3, "holds_symbol": True}, None),
        ({"max_open_positions": 3}, {"open_positions": 3}, "MAX_OPEN_POSITIONS"),
        ({"consecutive_failures": 3}, {"consecutive_failures": 2}, None),
        ({"consecutive_failures": 3}, {"consecutive_failures": 4}, "CIRCUIT_OPEN"),
        ({"enabled": False}, {}, "FOLLOWER_DISABLED"), ({"copy_paused": True}, {}, "COPY_PAUSED"),
        ({"active": True}, {}, "KILL_SWITCH"), ({"allow_short": False}, {}, None),
        ({}, {"session": "EXPIRED"}, "SESSION_EXPIRED"), ({}, {"session": "ACTIVE"}, None)):
    row("XF", "ANY", params, order(qty=5), {"lot": 1, **state}, skip(reason) if reason else
        place("BUY", 5), "limits and states of entries")
row("XF", "ANY", {"allow_short": False}, order("SELL", 5), {"lot": 1}, skip("SHORT_NOT_ALLOWED"),
    "it would open a short")
row("XF", "ANY", {"enabled": False, "copy_paused": True, "active": True}, order(qty=1), {},
    skip("KILL_SWITCH"), "the first reason wins")
row("XF", "ANY", {"copy_paused": True, "allowed_instruments": ["A"]}, order(qty=1, symbol="B"), {},
    skip("COPY_PAUSED"), "the first reason wins")
row("XF", "ANY", {"max_trades_per_day": 1, "max_quantity": 1}, order(qty=0), {"trades_today": 1},
    skip("MAX_TRADES_DAY"), "the first reason wins")
for needed, ok in ((5000, True), (5000.01, False)):
    row("XF", "MAX_EXPOSURE", {"max_margin_util_pct": 80}, order(margin_needed=needed),
        {"margin_used": 75000, "margin_total": 100000}, {"action": "PLACE", "orders": []} if ok
        else skip("MAX_CAPITAL_EXPOSURE"), "80 % exactly passes")
for product, time, reason in (("MIS", "15:21", "MARKET_CLOSED"), ("MIS", "15:19", None), ("CNC",
        "15:25", None)):
    row("XF", "HOURS", {"mis_cutoff": "15:20"}, order(qty=1, product=product, time=time), {},
        skip(reason) if reason else place("BUY", 1, product=product), "intraday entries only")
for time, ok in (("09:19", False), ("09:20", True), ("14:59", True), ("15:01", False)):
    row("XF", "HOURS", {"copy_window": "09:20-15:00"}, order(qty=1, time=time), {},
        place("BUY", 1) if ok else skip("OUTSIDE_WINDOW"), "the window")
row("XF", "ANY", {"allowed_sides": ["SELL"]}, order(qty=1), {}, skip("SIDE_NOT_ALLOWED"), "side")
row("XF", "ANY", {"allowed_order_types": ["LIMIT", "SL"]}, order(qty=1, order_type="SL", price=10,
    trigger=9), {}, place("BUY", 1, type="SL", price=10, trigger=9), "on the list")
row("XF", "ANY", {"allowed_product_types": []}, order(qty=1, product="BO"), {},
    place("BUY", 1, product="BO"), "an empty list is no restriction")

# What cases say in other words: a part of the master's position, what ought to be held and what is
# there, an entry that filled before the feed shows it, totals instead of increments.
for part, held in itertools.product((F(1, 5), F(1, 3), F(7, 8), F(1)), (100, 7, -100)):
    want = abs(held) if part == 1 else down(abs(held) * F(num(part)).limit_denominator(10**8), 1)
    row("XD", "PROPORTIONAL_CLOSE", {}, {"type": "fill", "fraction": num(part)},
        {"copied_pos": held, "lot": 1}, place("SELL" if held > 0 else "BUY", want, reduce_only=True)
        if want else skip("QTY_ZERO"), "a part of the position")
for word in ("pos", "copied_pos"):
    row("XD", "ANY", {}, fill("SELL", 100, 100, 0), {word: 30, "expected_pos": 50, "lot": 1},
        {**place("SELL", 30, reduce_only=True), "reason_code": "CLOSE_CLAMPED", "drift": -20},
        "never more than is there")
row("XD", "ANY", {}, fill("SELL", 50, 100, 50), {"pos": 30, "expected_pos": 50, "lot": 1},
    {**place("SELL", 25, reduce_only=True), "reason_code": None}, "the share of what was copied")
row("XD", "ANY", {}, fill("SELL", 100, 100, 0), {"copied_pos": 0, "entry_status": "FILLED",
    "entry_qty": 50, "synced_pos": 0, "lot": 1}, place("SELL", 50, reduce_only=True), "its fills")
row("XD", "PROPORTIONAL_CLOSE", {}, {"type": "cum_fills", "side": "SELL", "seq": [3, 3, 5, 4, 10],
    "pos_before": 10, "pos_after": 0}, {"copied_pos": 3, "lot": 1}, {"qty_seq": [0, 0, 1, 0, 2]},
    "totals of an exit, late and repeated", shape="sequence")
for qty, k in ((10, F(1, 5)), (7, F(3, 2))):
    row("XB", "FROZEN", {"k": num(k)}, order(qty=qty), {"lot": 1}, place("BUY", down(qty * k, 1)),
        "the coefficient of the day it joined")


# Another contract with its own lot: sized by ratio, factor and lot; turned by reverse; closed as the share of what is held there.
for qty, factor, ratio, lot in itertools.product((7, 65, 130), (F(1, 2), 3), (1, F(1, 4)), (1, 30)):
    want = down(qty * factor * ratio, lot)
    row("XM", "SYMBOL_MAP", {"map": {"ES": "MES"}, "factor": num(factor), "ratio": num(ratio)},
        order(qty=qty, symbol="ES"), {"lot": lot}, place("BUY", want, symbol="MES") if want
        else skip("SUB_LOT" if lot > 1 else "QTY_ZERO"), "times the factor, in its lots")
for side, other in (("BUY", "SELL"), ("SELL", "BUY")):
    row("XM", "SYMBOL_MAP", {"map": {"ES": "MES"}, "reverse": True, "ratio": 2},
        order(side, qty=3, symbol="ES"), {"lot": 1}, place(other, 6, symbol="MES"), "turned in the other contract")
    row("XM", "SYMBOL_MAP", {"map": {"ES": "MES"}, "factor": 2, "max_quantity": 10},
        order(side, qty=9, symbol="ES"), {"lot": 4},
        {**place(side, 8, symbol="MES"), "reason_code": "MAX_QTY_CAPPED"}, "a cap in the lots of its own contract")
for held, part, lot in itertools.product((90, -90), (F(1, 3), F(1, 2), F(1)), (1, 30)):
    want = abs(held) if part == 1 else down(abs(held) * part, lot)
    master = 60 if held > 0 else -60
    left = master - int(master * part)
    row("XM", "SYMBOL_MAP", {"map": {"ES": "MES"}, "factor": 3},
        fill("SELL" if held > 0 else "BUY", int(60 * part), master, left, symbol="ES"),
        {"copied_pos": held, "lot": lot}, place("SELL" if held > 0 else "BUY", want, symbol="MES", reduce_only=True),
        "the share of what is held; the factor is no part of it")
# What the account has left clamps after the share; what it has more is not touched.
for copied, there, part in itertools.product((50, -50), (50, 80, 30, 10), (F(1, 2), F(1))):
    sign = 1 if copied > 0 else -1
    share = down(50 * part, 1)
    want = min(share, there)
    row("XM", "ANY", {}, fill("SELL" if sign > 0 else "BUY", int(100 * part), 100 * sign,
                              (100 - int(100 * part)) * sign),
        {"pos": there * sign, "expected_pos": copied, "lot": 1},
        {**place("SELL" if sign > 0 else "BUY", want, reduce_only=True),
         **({"reason_code": "CLOSE_CLAMPED"} if want < share else {})}, "never more than is there")
row("XM", "ANY", {}, fill("SELL", 100, 100, 0), {"pos": 0, "expected_pos": 50, "lot": 1}, skip("NO_POSITION"),
    "all of it is gone")
# The product of its own entry, not of the master's exit.
for product in ("MIS", "NRML", "CNC"):
    row("XM", "ANY", {}, fill("SELL", 50, 100, 50, product=product), {"copied_pos": 40, "lot": 1,
        "entry_product": "MIS"}, place("SELL", 20, product="MIS", reduce_only=True), "closed as it was opened")


def write(out):
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["id", "shape", "mode", "params", "master_event", "follower_state", "expected",
                   "reason"])
    for ident, shape, mode, params, event, state, expected, why in ROWS:
        dump = [json.dumps(x, separators=(",", ":")) for x in (params, event, state, expected)]
        rows.writerow([ident, shape, mode, *dump, why])


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        fresh = io.StringIO()
        write(fresh)
        with open(sys.argv[2], encoding="utf-8") as file:
            if file.read() != fresh.getvalue():
                sys.exit(f"{sys.argv[2]} is not what this script writes: write it anew")
    else:
        write(sys.stdout)


main()
