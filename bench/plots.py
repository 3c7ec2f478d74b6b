"""Plots of one run as SVG: percentile curves, a histogram on a log axis, a waterfall of stages, growth."""
import os


def engine_of(results, followers=500):
    return results.get(f"fanout_{followers}", {}).get("results", [])


def curve(values):
    values = sorted(values)
    return [(i + 0.5) / len(values) * 100 for i in range(len(values))], values


def percentiles(axis, results):
    """The last of 500: engine and floor, shared pool."""
    drawn = False
    for found in engine_of(results):
        if found["lanes"] != "shared":
            continue
        label = f"{found['io']}, bearer {found['bearer_bytes']}"
        for key, style in (("read_last_us", "-"), ("floor_last_us", ":")):
            share, values = curve(found[key]["rounds"])
            axis.plot(share, values, style, label=label if style == "-" else None)
            drawn = True
    axis.set_xlabel("rounds at or below, %")
    axis.set_ylabel("µs until the last of 500 was accepted by the kernel")
    axis.set_title("Shared pool of 8: engine, and its floor dotted")
    axis.set_ylim(bottom=0)
    axis.legend()
    return drawn


def histogram(axis, results):
    """The last of 500 by engine and peers, on a log axis."""
    drawn = False
    for result in results.get("peers", {}).get("results", []):
        if result["bearer"] != 64:
            continue
        for client in result["clients"]:
            if client["missing"] or not client["last_us"]["rounds"]:
                continue
            values = client["last_us"]["rounds"]
            low, high = min(values), max(values) * 1.001
            bins = [low * (high / low) ** (i / 12) for i in range(13)]
            axis.hist(values, bins=bins, alpha=0.7, label=client["client"])
            drawn = True
    axis.set_xscale("log")
    axis.set_xlabel("µs until the last of 500 was accepted by the kernel (log)")
    axis.set_ylabel("rounds")
    axis.set_title("The same orders to the same server")
    axis.legend()
    return drawn


def waterfall(axis, results):
    """Where a wave of 500 goes, shared pool, short bearer."""
    found = next((r for r in engine_of(results) if (r["lanes"], r["bearer_bytes"], r["io"]) == ("shared", 64, "uring")),
                 None)
    if found is None:
        return False
    at = 0.0
    stages = [("decide", "decide_us"), ("journal, apply", "journal_us"), ("encode", "encode_us"), ("seal", "seal_us"),
              ("send", "send_us")]
    for number, (name, key) in enumerate(stages):
        axis.barh(number, found[key]["p50"], left=at)
        axis.text(at + found[key]["p50"], number, f" {found[key]['p50']:.0f} µs", va="center")
        at += found[key]["p50"]
    rest = found["read_last_us"]["p50"] - at
    axis.barh(len(stages), max(rest, 0), left=at, color="lightgrey")
    axis.barh(len(stages) + 1, found["floor_last_us"]["p50"], color="black")
    axis.text(found["floor_last_us"]["p50"], len(stages) + 1, f" {found['floor_last_us']['p50']:.0f} µs", va="center")
    axis.set_yticks(range(len(stages) + 2), [name for name, _ in stages] + ["between batches", "floor"])
    axis.invert_yaxis()
    axis.set_xlabel("µs, medians summed over the wave's batches")
    axis.set_title("A wave of 500, shared pool, bearer 64, io_uring")
    return True


def growth(axis, results):
    rows = [r for r in results.get("scale", {}).get("rows", []) if r["shards"] == 1]
    if len(rows) < 2:
        return False
    bottom = [0.0] * len(rows)
    sizes = [f"{r['followers']:,}" for r in rows]
    for key in ("plan_ns", "journal_ns", "apply_ns", "encode_ns", "seal_ns"):
        axis.bar(sizes, [r[key] for r in rows], bottom=bottom, label=key[:-3])
        bottom = [b + r[key] for b, r in zip(bottom, rows)]
    axis.set_ylabel("ns a follower")
    axis.set_xlabel("followers of one master, one shard")
    axis.set_title("Cost a follower, into a byte sink")
    axis.tick_params(axis="x", labelrotation=45)
    axis.legend()
    return True


def draw(results, directory, base):
    """Writes what there are values for; returns [(title, file name)]."""
    try:
        import matplotlib
    except ImportError:
        return []   # python3-matplotlib: ./lockstep.sh bench installs it
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "lockstep"
    import matplotlib.pyplot as plt
    images = []
    for name, title, make in (("percentiles", "percentile curves", percentiles), ("histogram", "histogram", histogram),
                              ("waterfall", "stages of a wave", waterfall), ("growth", "growth", growth)):
        figure, axis = plt.subplots(figsize=(9, 5), layout="constrained")
        if make(axis, results):
            file = f"{base}-{name}.svg"
            figure.savefig(os.path.join(directory, file))
            images.append((title, file))
        plt.close(figure)
    return images
