"""Redis, PostgreSQL and Emporion, one reservation, in turns: installs, builds, measures, verifies, compares.

Path: arguments → install → `Place` → rounds of (redis, pg, ours), each a fresh server → rows → report. Exit: 0 when every row is valid.
"""

import argparse
import datetime
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys

import common
import ours
import pg_side
import redis_side
import report
from common import Failed

SIDES = ("redis", "pg", "ours")
PACKAGES = {"redis": ["redis-server", "redis-tools"], "pg": ["postgresql", "postgresql-contrib"]}
NO_STARTS = pathlib.Path("/usr/sbin/policy-rc.d")
INSTALL_SECONDS_MAX = 1_800


def arguments():
    what = "The same durable reservation on Redis, PostgreSQL and Emporion, in turns on one machine."
    parser = argparse.ArgumentParser(prog="bench/compare/run", description=what)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each; the median counts (default 5)")
    parser.add_argument("--seconds", type=float, default=10, help="of each case of each round (default 10)")
    parser.add_argument("--only", type=sides, default=SIDES, metavar="SIDE,…", help="of redis, pg, ours (default all)")
    parser.add_argument("--skip-install", action="store_true", help="take the servers that are there")
    parser.add_argument("--out", type=pathlib.Path, help="file for the lines of JSON (default: in the target folder)")
    given = parser.parse_args()
    if given.rounds < 1 or given.seconds < 1:
        parser.error("at least one round of one second")
    return given


def sides(text):
    chosen = text.split(",")
    if not set(chosen) <= set(SIDES):
        raise argparse.ArgumentTypeError(f"of {', '.join(SIDES)}")
    return [side for side in SIDES if side in chosen]


def install(chosen):
    """Debian's packages, where a program is missing. Their services are not started: servers of our own are."""
    missing = []
    if "redis" in chosen and not (shutil.which("redis-server") and shutil.which("redis-benchmark")):
        missing += PACKAGES["redis"]
    if "pg" in chosen:
        try:
            pg_side.folder_of_programs()
        except Failed:
            missing += PACKAGES["pg"]
    if not missing:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get"):
        raise Failed(f"no apt-get here: install {' '.join(missing)} in the way of this system, then --skip-install")
    guard = not sudo and not NO_STARTS.exists()
    if guard:
        NO_STARTS.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        NO_STARTS.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *missing]):
            say(f"apt-get {' '.join(words)}")
            common.run([*sudo, "apt-get", *words], env=environment, timeout=INSTALL_SECONDS_MAX)
    finally:
        if guard:
            NO_STARTS.unlink()


def machine(place, chosen):
    """The conditions: without them no figure means anything."""
    models = [line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    commit = common.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], check=False, cwd=ours.REPOSITORY).stdout.strip() or "unknown"
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": models[0] if models else platform.machine(),
        "cpus": os.cpu_count(),
        "cpus_allowed": sorted(os.sched_getaffinity(0)),
        "pinning": "ours: the shard on the first CPU allowed, its load on the others; theirs: none",
        "nice": os.nice(0),
        "kernel": platform.release(),
        "load": list(os.getloadavg()),
        "disk_write_us": round(common.disk_write_us(place.data)),
        "commit": commit,
        "redis": redis_side.version() if "redis" in chosen else None,
        "postgres": pg_side.version() if "pg" in chosen else None,
    }


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(given, place, file):
    bench = None
    if "ours" in given.only:
        say("cargo build --release -p emporion -p bench")
        bench = ours.Bench(place)
    conditions = machine(place, given.only)
    file.write(report.json_line("machine", {**conditions, "rounds": given.rounds, "seconds": given.seconds}))
    rows, threads, clients = [], {}, {}
    turns = {
        "redis": lambda number: redis_side.turn(place, number, given.seconds, threads),
        "pg": lambda number: pg_side.turn(place, number, given.seconds, clients),
        "ours": lambda number: ours.turn(bench, number, given.seconds),
    }
    for number in range(1, given.rounds + 1):
        for side in given.only:
            for row in turns[side](number):
                rows.append(row)
                file.write(report.json_line("row", row))
                say(f"round {number}  {row.case:<28} {row.ops_per_s:>12,.0f}/s  load {row.load1:.1f}{'' if row.valid else '  INVALID: ' + row.why}")
            file.flush()
    return conditions, rows


def finish(given, conditions, rows, file):
    found = report.summaries(rows)
    compared = report.ratios(found)
    for entry in found.values():
        file.write(report.json_line("median", entry))
    for entry in compared:
        file.write(report.json_line("ratio", entry))
    print(f"\nReserve {common.LINES} lines of {common.SKUS:,} SKUs, durable. Median of {given.rounds} rounds of {given.seconds:g} s a case.")
    for name, value in conditions.items():
        print(f"  {name:<14} {value}")
    print("\n" + report.table(found))
    if compared:
        print("\n" + report.ratio_table(compared))


def main():
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped and folders removed
    place = None
    try:
        if not given.skip_install:
            install(given.only)
        place = common.Place(ours.REPOSITORY)
        out = given.out or place.target / f"compare-{datetime.datetime.now():%Y%m%d-%H%M%S}.jsonl"
        with open(out, "w", encoding="utf-8") as file:
            conditions, rows = measure(given, place, file)
            finish(given, conditions, rows, file)
        print(f"\n{out}")
        return 0 if all(row.valid for row in rows) else 1
    except (Failed, OSError, subprocess.TimeoutExpired) as error:
        say(f"compare: {error}")
        return 1
    except KeyboardInterrupt:
        return 1
    finally:
        if place:
            place.remove()


if __name__ == "__main__":
    sys.exit(main())
