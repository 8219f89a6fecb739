"""Medians of rounds, their spread, and ratios; as a table and as lines of JSON."""

import dataclasses
import json
import statistics

FIGURES = ("ops_per_s", "cpu_us_per_op", "p50_us", "p99_us", "rss_mb", "load1")
OURS = ("quic", "log")


@dataclasses.dataclass
class Summary:
    """The rounds of one case put together. Invalid rounds are left out of the figures, and make the whole invalid."""

    case: str
    system: str
    rounds: int
    ops_per_s: float | None
    ops_per_s_least: float | None
    ops_per_s_most: float | None
    cpu_us_per_op: float | None
    p50_us: float | None
    p99_us: float | None
    rss_mb: float | None
    load1: float | None
    valid: bool
    client: str


def summaries(rows):
    by_case = {}
    for row in rows:
        by_case.setdefault(row.case, []).append(row)
    return {case: summary(case, group) for case, group in by_case.items()}


def summary(case, group):
    good = [row for row in group if row.valid]
    medians = {}
    for name in FIGURES:
        values = [getattr(row, name) for row in good if getattr(row, name) is not None]
        medians[name] = statistics.median(values) if values else None
    rates = [row.ops_per_s for row in good]
    spread = {"ops_per_s_least": min(rates, default=None), "ops_per_s_most": max(rates, default=None)}
    return Summary(case, group[0].system, len(good), **spread, **medians, valid=len(good) == len(group), client=group[-1].client)


def ratios(found):
    """Ours over theirs, for cases of the same SKUs, connections and pipeline."""
    out = []
    for case, theirs in found.items():
        ours = found.get(case.replace(f"/{theirs.system}/", "/quic/"))
        if theirs.system in OURS or ours is None:
            continue
        entry = {"case": case.split("/", 2)[2], "theirs": theirs.system, "valid": ours.valid and theirs.valid}
        for name in ("ops_per_s", "cpu_us_per_op", "p50_us", "p99_us"):
            over, under = getattr(ours, name), getattr(theirs, name)
            entry[name] = round(over / under, 3) if over is not None and under else None
        out.append(entry)
    return out


def table(found):
    head = f"{'case':<28} {'ops/s':>9} {'least..most':>19} {'cpu us/op':>10} {'p50 us':>8} {'p99 us':>8} {'rss MB':>8} {'load':>5}  client"
    lines = [head]
    for entry in sorted(found.values(), key=lambda entry: entry.case.split("/")[2:]):
        spread = f"{number(entry.ops_per_s_least)}..{number(entry.ops_per_s_most)}"
        mark = "" if entry.valid else "  INVALID"
        lines.append(
            f"{entry.case:<28} {number(entry.ops_per_s):>9} {spread:>19} {number(entry.cpu_us_per_op, 2):>10}"
            f" {number(entry.p50_us):>8} {number(entry.p99_us):>8} {number(entry.rss_mb):>8} {number(entry.load1, 1):>5}  {entry.client}{mark}"
        )
    return "\n".join(lines)


def ratio_table(entries):
    lines = [f"{'ours over theirs (quic)':<28} {'ops/s':>9} {'cpu/op':>9} {'p50':>9} {'p99':>9}"]
    for entry in entries:
        cells = (number(entry[name], 2) for name in ("ops_per_s", "cpu_us_per_op", "p50_us", "p99_us"))
        mark = "" if entry["valid"] else "  INVALID"
        lines.append(f"{entry['theirs'] + ' ' + entry['case']:<28} " + " ".join(f"{cell:>9}" for cell in cells) + mark)
    return "\n".join(lines)


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def json_line(kind, value):
    value = value if isinstance(value, dict) else dataclasses.asdict(value)
    return json.dumps({"kind": kind, **value}) + "\n"
