"""Emporion: `bench -- reserve`, which starts an engine for each case, and fails where its books or its holds are not what was acknowledged."""

import json
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
    """Our benchmark and the program that it measures, built."""

    def __init__(self, place):
        self.data = place.data
        self.bench, self.program = (place.target / "release" / name for name in ("bench", "emporion"))
        try:
            common.run(["cargo", "build", "--release", "--locked", "-p", "emporion", "-p", "bench"], cwd=REPOSITORY, timeout=BUILD_SECONDS_MAX)
        except FileNotFoundError:
            raise Failed("cargo is missing: https://rustup.rs, or --only redis,pg") from None

    def run(self, transport, case, seconds):
        words = [self.bench, "reserve", "--transport", transport, "--connections", case.connections, "--pipeline", case.pipeline, "--skus", case.skus]
        words += ["--lines", common.LINES, "--sku-count", common.SKUS, "--ttl-ms", common.TTL_MS, "--seconds", seconds]
        words += ["--program", self.program, "--data", self.data, "--json"]
        done = common.run([str(word) for word in words], check=False, cwd=REPOSITORY, timeout=CASE_SECONDS_MAX)
        wanted = case.name(transport)
        for line in done.stdout.splitlines():
            figures = json.loads(line) if line.startswith("{") else {}
            if figures.get("case") == wanted:
                return figures, "" if done.returncode == 0 else last_line(done.stderr)
        # The engine's books did not agree, or it never came so far: a row all the same, so that the rest is measured.
        return {"ops": 0, "ops_per_s": 0.0}, last_line(done.stderr) or f"bench gave no {wanted}"


def last_line(text):
    return (text.strip().splitlines() or [""])[-1]


def turn(bench, number, seconds):
    rows = []
    for transport, case in CASES:
        load1 = common.load1()
        found, why = bench.run(transport, case, seconds)
        why = why or ("" if found["ops"] else "no call acknowledged")
        figures = {name: found.get(name) for name in ("ops", "ops_per_s", "cpu_us_per_op", "p50_us", "p99_us", "rss_mb")}
        rows.append(common.row(transport, case, number, load1, **figures, made=None, valid=not why, why=why, client="bench"))
    return rows
