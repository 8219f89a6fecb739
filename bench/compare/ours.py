"""Emporion: `bench -- reserve`, which starts the engine itself, checks its own books and fails where they do not add up."""

import json
import os
import pathlib

import common
from common import Case, Failed

REPOSITORY = pathlib.Path(__file__).parent.parent.parent
MIXES = ("uniform", "hot")
CASES = [("quic", Case(skus, connections, pipeline)) for skus in MIXES for connections, pipeline in ((1, 1), (50, 1), (50, 16))]
CASES += [("log", Case(skus, 64, 1)) for skus in MIXES]  # the same without a network
BUILD_SECONDS_MAX = 3_600
CASE_SECONDS_MAX = 600


class Bench:
    """Our benchmark, built; knows which options it takes."""

    def __init__(self, place):
        self.program = place.target / "release" / "bench"
        try:
            common.run(["cargo", "build", "--release", "--locked", "-p", "bench"], cwd=REPOSITORY, timeout=BUILD_SECONDS_MAX)
        except FileNotFoundError:
            raise Failed("cargo is missing: https://rustup.rs, or --only redis,pg") from None
        # Whatever it keeps goes to the disk that the others write to.
        self.environment = {**os.environ, "TMPDIR": str(place.data)}
        asked = common.run([self.program, "reserve", "--help"], check=False)
        if asked.returncode != 0:
            raise Failed("this bench has no `reserve`: --only redis,pg")
        self.help = asked.stdout

    def run(self, transport, case, seconds):
        words = ["reserve", "--transport", transport, "--connections", case.connections, "--pipeline", case.pipeline, "--skus", case.skus, "--lines", common.LINES]
        words += ["--seconds", seconds] if "--seconds" in self.help else []
        done = common.run([str(self.program), *map(str, words), "--json"], check=False, cwd=REPOSITORY, env=self.environment, timeout=CASE_SECONDS_MAX)
        wanted = case.name(transport)
        for line in done.stdout.splitlines():
            figures = json.loads(line) if line.startswith("{") else {}
            if figures.get("case") == wanted:
                return figures, "" if done.returncode == 0 else last_line(done.stderr)
        raise Failed(f"bench gave no {wanted}: {last_line(done.stderr) or last_line(done.stdout)}")


def last_line(text):
    return (text.strip().splitlines() or [""])[-1]


def turn(bench, number, seconds):
    rows = []
    for transport, case in CASES:
        load1 = common.load1()
        found, why = bench.run(transport, case, seconds)
        if not found["ops"]:
            why = why or "no call acknowledged"
        figures = {name: found.get(name) for name in ("ops", "ops_per_s", "cpu_us_per_op", "p50_us", "p99_us", "rss_mb")}
        rows.append(common.row(transport, case, number, load1, **figures, made=None, valid=not why, why=why, client="bench"))
    return rows
