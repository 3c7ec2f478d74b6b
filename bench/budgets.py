"""What the measurements of one run mean beside their budgets, and what made them noisy."""
import os

GATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "gate", "counts.txt")


def row(stage, budget, measured, met):
    return [stage, budget, measured, "met" if met else "missed"]


def find(results, name, **wanted):
    for found in results.get(name, {}).get("rows", []):
        if all(found.get(key) == value for key, value in wanted.items()):
            return found
    return None


def scenario(results, followers, lanes, bearer, io):
    for found in results.get(f"fanout_{followers}", {}).get("results", []):
        if (found["lanes"], found["bearer_bytes"], found["io"]) == (lanes, bearer, io):
            return found
    return None


def fanout_rows(results):
    rows = []
    for lanes, name, budget, key in (("shared", "first of 500, shared pool", 1.5, "ratio_first"),
                                     ("shared", "last of 500, shared pool", 2.0, "ratio_last"),
                                     ("own", "first of 500, own lanes", 1.5, "ratio_first"),
                                     ("own", "last of 500, own lanes", 1.3, "ratio_last")):
        for bearer in (64, 1100):
            for io in ("uring", "epoll"):
                found = scenario(results, 500, lanes, bearer, io)
                if found is None:
                    continue
                value = found[key]["p50"]
                of = {"ratio_first": "read_first_us", "ratio_last": "read_last_us"}[key]
                noisy = ", noisy" if found["noise"] else ""
                rows.append(row(f"{name}, bearer {bearer}, {io}", f"{budget} × floor",
                                f"{value:.2f} × ({found[of]['p50']:.0f} µs; all replies parsed "
                                f"{found['intended_parsed_us']['p50']:.0f} µs{noisy})", value <= budget))
    return rows


def peer_rows(results):
    rows = []
    budgets = {(64, 1): 3.5, (64, 2): 60, (64, 3): 2000, (1100, 1): 3.0}
    for result in results.get("peers", {}).get("results", []):
        for number, client in enumerate(result["clients"]):
            budget = budgets.get((result["bearer"], number))
            if budget is None or client["missing"] or not client["times_engine"]["count"]:
                continue
            times = client["times_engine"]
            rows.append(row(f"last of 500 against {client['client']}, bearer {result['bearer']}", f"{budget:g} ×",
                            f"{times['p50']:.2f} × ({client['last_us']['p50']:.0f} µs; p10 {times['p10']:.2f}, "
                            f"p90 {times['p90']:.2f})", times["p50"] >= budget))
    return rows


def gate_row():
    counts = {}
    with open(GATE) as file:
        for line in file:
            parts = line.split("#")[0].split()
            if len(parts) == 2:
                counts[parts[0]] = int(parts[1])
    each = counts["plan"] / 500 + counts["journal"] / 54 + counts["encode"] / 54
    return row("instructions a follower: plan + journal + encode", "900",
               f"{each:.0f} ({counts['plan'] / 500:.0f} + {counts['journal'] / 54:.0f} + "
               f"{counts['encode'] / 54:.0f}; tests/gate)", each <= 900)


def seed_rows(results):
    """Targets of the systems that this replaces: own lanes, short bearer."""
    rows = []
    for followers, what, budget_ms in ((1, "first", 250), (10, "tenth", 500), (50, "fiftieth", 2000),
                                       (500, "five-hundredth", 30000)):
        found = scenario(results, followers, "own", 64, "uring")
        if found is not None:
            value = found["intended_last_us"]["p99"] / 1e3
            rows.append(row(f"{what} follower, own lanes, p99 (the replaced systems' target)", f"{budget_ms:,} ms",
                            f"{value:.2f} ms", value <= budget_ms))
    return rows


def table(results):
    rows = []
    ring, block = (find(results, "ring", what=what) for what in
                   ("ring, order state of 232 bytes", "bare 232 bytes"))
    if ring and block:
        times = ring["one_way_p50_ns"] / block["one_way_p50_ns"]
        rows.append(row("ring hop, beside a ping-pong of the same bytes", "2 ×",
                        f"{times:.2f} × ({ring['one_way_p50_ns']:.0f} ns; round trip {ring['x_bytes']:.2f} ×, "
                        f"beside a single word {ring['x_word']:.2f} ×)", times <= 2))
    rows += fanout_rows(results) + peer_rows(results)
    for tier in ("process", "power"):
        found = find(results, "journal", followers=500, tier=tier)
        if found and tier == "process":
            rows.append(row("journal's part of a wave of 500", "15 %", f"{found['percent']:.1f} %",
                            found["percent"] <= 15))
    plain = find(results, "plan", followers=500, rows="plain")
    if plain:
        rows.append(row("plan, plain modes, rows in cache", "25 ns", f"{plain['plan_ns']:.1f} ns",
                        plain["plan_ns"] <= 25))
    rows.append(gate_row())
    scale = [r for r in results.get("scale", {}).get("rows", []) if r["shards"] == 1]
    near = [r for r in scale if r["followers"] in (80000, 160000)]
    if near:
        times = sum(r["ns_each"] / r["seal_ns"] for r in near) / len(near)
        rows.append(row("100,000 followers into a byte sink (its floor: sealing alone)", "2 × floor",
                        f"{times:.2f} × ({near[0]['ns_each']:.0f} ns a follower)", times <= 2))
    grown = [r["per_doubling"] for r in scale if r["followers"] > 10000]
    if grown:
        rows.append(row("growth per doubling, from 10,000 on", "2.1 ×",
                        f"at most {max(grown):.2f} × (to {scale[-1]['followers']:,})", max(grown) <= 2.1))
        last = scale[-1]
        rows.append(row(f"memory a follower, {last['followers']:,}, bearer 64", "2,112 bytes",
                        f"{last['bytes_each']:.0f} bytes", last["bytes_each"] <= 2048 + 64))
    restarts = results.get("restart", {}).get("rows", [])
    if restarts:
        worst = max(r["first_order_ms"] for r in restarts)
        rows.append(row(f"restart after SIGKILL, {restarts[0]['followers']:,} followers, to the first order", "1,000 ms",
                        f"at most {worst:.0f} ms of {len(restarts)}", worst <= 1000))
    return rows + seed_rows(results)


def noise(results):
    found = [f"{name}: {result['noise']}" for name, result in results.items() if result.get("noise")]
    for name, result in results.items():
        if name.startswith("fanout"):
            noisy = [r for r in result["results"] if r["noise"]]
            if noisy:
                found.append(f"{name}: {len(noisy)} of {len(result['results'])} scenarios ({noisy[0]['noise']})")
    return found


def rows_of(name, result):
    """A result as rows for a table: its own, or the medians of a fanout or of the peers."""
    if "rows" in result:
        return result["rows"]
    if name.startswith("fanout"):
        keys = ("read_first_us", "ratio_first", "read_median_us", "ratio_median", "read_last_us", "ratio_last",
                "intended_parsed_us", "sends", "records")
        return [{"lanes": r["lanes"], "bearer": r["bearer_bytes"], "io": r["io"], **{k: r[k]["p50"] for k in keys},
                 "noise": r["noise"] or None} for r in result["results"]]
    if name == "peers":
        return [{"bearer": r["bearer"], "client": c["client"], **{k: c[k]["p50"] for k in
                 ("first_us", "median_us", "last_us", "parsed_us", "times_engine")}, "missing": c["missing"] or None}
                for r in result["results"] for c in r["clients"]]
    return []
