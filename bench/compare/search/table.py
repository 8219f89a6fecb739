"""Medians of the rounds and ratios, ours over tantivy's: below 1 is better, above for products a CPU-second."""

import statistics

# What is asked of each, by the name of the work. None: it has no such thing.
TURNS = {
    "any": ("any", "any"),
    "any-in-stock": (None, "any 30"),
    "all": ("all", "all"),
    "default": ("default", "default"),
    "filter": ("filter", "filter"),
    "prefix": ("prefix", "prefix"),
    "fuzzy": ("fuzzy", "fuzzy"),
    "update": ("update", "update"),
}
WORKS = list(TURNS)
# Whose figure a work without one of tantivy's is held against.
BESIDE = {"any-in-stock": "any"}


def medians(rows, engine, case):
    """Of the rounds' figures."""
    found = [row for row in rows if row["engine"] == engine and row["case"] == case]
    names = ("cpu_us_per_op", "best_us", "cpu_p99_us", "p99_us", "rss_mb")
    values = {name: [row[name] for row in found if row.get(name) is not None] for name in names}
    return {name: statistics.median(some) for name, some in values.items() if some}


def ratio(ours, theirs):
    return None if not theirs or ours is None else ours / theirs


def ratios(rows, built, works):
    out = []
    stocked = [row for row in rows if row.get("work") == "any-in-stock"]
    rest = [row for row in rows if row.get("work") != "any-in-stock"]
    for work in works:
        if work in BESIDE:
            ours, theirs = medians(stocked, "ours", BESIDE[work]), medians(rest, "ours", BESIDE[work])
            out.append(entry(f"{work}, beside ours without", ours, theirs))
            continue
        for case in ("update", "update-product") if work == "update" else (work,):
            out.append(entry(case, medians(rest, "ours", case), medians(rest, "tantivy", case)))
    made = next(row for row in rows if row["engine"] == "ours" and row["case"] == "build")
    resident = {engine: [row["rss_mb"] for row in rows if row["engine"] == engine] for engine in ("ours", "tantivy")}
    figures = [
        ("products a CPU-second, built", made["documents_per_cpu_s"], built["documents_per_cpu_s"]),
        ("index MB", made["index_mb"], built["index_mb"]),
        ("resident MB: all of the process", resident["ours"][-1], max(resident["tantivy"], default=None)),
    ]
    out += [{"work": name, "ours": ours, "tantivy": theirs, "ratio": ratio(ours, theirs)} for name, ours, theirs in figures]
    return out


def entry(work, ours, theirs):
    """CPU time a query, and where a thread did all of it the 99th percentile; else that of the wall."""
    p99 = "cpu_p99_us" if all("cpu_p99_us" in one for one in (ours, theirs) if one) else "p99_us"
    one = {"work": work, "ours": ours.get("cpu_us_per_op"), "tantivy": theirs.get("cpu_us_per_op")}
    one |= {"ours_best": ours.get("best_us"), "tantivy_best": theirs.get("best_us"), "p99": p99, "ours_p99": ours.get(p99), "tantivy_p99": theirs.get(p99)}
    one |= {"ratio": ratio(one["ours"], one["tantivy"]), "best_ratio": ratio(one["ours_best"], one["tantivy_best"])}
    return one | {"p99_ratio": ratio(one["ours_p99"], one["tantivy_p99"])}


def shown(entries, rows):
    loads = [row["load1"] for row in rows if "load1" in row]
    documents = next(row["documents"] for row in rows if row["case"] == "build")
    lines = [f"{documents:,} products; load average {min(loads, default=0):.1f} to {max(loads, default=0):.1f}"]
    lines.append(f"{'CPU us a query':<32} {'tantivy':>10} {'ours':>10} {'ratio':>7} {'best pass':>9}   {'p99 tantivy':>11} {'ours':>9} {'ratio':>7}")
    for one in entries:
        cells = f"{one['work']:<32} {number(one['tantivy']):>10} {number(one['ours']):>10} {number(one['ratio'], 2):>7}"
        if "p99" in one:
            wall = " (wall)" if one["p99"] == "p99_us" else ""
            cells += f" {number(one['best_ratio'], 2):>9}   {number(one['tantivy_p99']):>11} {number(one['ours_p99']):>9} {number(one['p99_ratio'], 2):>7}{wall}"
        lines.append(cells)
    return "\n".join(lines) + "\n"


def number(value, digits=None):
    if value is None:
        return "-"
    if digits is None:
        digits = 0 if value >= 100 else 1 if value >= 1 else 3
    elif value < 0.01:
        digits = 5
    return f"{value:,.{digits}f}"
