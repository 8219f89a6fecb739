"""The two programs: built, started, asked in turns.

Each answers one line of JSON for a build and for a mode. Both keep their index open over all rounds; while one is asked the other waits for its standard input.
"""

import contextlib
import json
import os
import pathlib
import platform
import subprocess

import common
import table
from common import Failed

SECONDS_MAX = 3_600  # of a build or of one turn; longer is taken for broken
# Lines that a mode is answered by, where it is not one.
ANSWERS = {"update": 2}


def target(repository):
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", repository / "target")).absolute()


def build(repository, peer_target):
    """Both programs. tantivy is a crate of its own, outside of the workspace, with a lock file of its own."""
    cargo = ["cargo", "build", "--release", "--locked"]
    try:
        common.run([*cargo, "-p", "bench"], cwd=repository, timeout=SECONDS_MAX)
        manifest = pathlib.Path(__file__).parent / "tantivy" / "Cargo.toml"
        peer_target = (peer_target or target(repository) / "tantivy").absolute()
        common.run([*cargo, "--manifest-path", str(manifest), "--target-dir", str(peer_target)], cwd=repository, timeout=SECONDS_MAX)
    except FileNotFoundError:
        raise Failed("cargo is missing: https://rustup.rs") from None
    return target(repository) / "release" / "bench", peer_target / "release" / "tantivy-peer"


def machine(repository):
    commit = common.run(["git", "rev-parse", "--short", "HEAD"], cwd=repository, check=False).stdout.strip()
    return {"kernel": platform.release(), "cores": os.cpu_count(), "load1": common.load1(), "commit": commit}


class Peer:
    """tantivy with one corpus."""

    def __init__(self, program, corpus, index):
        self.program, self.corpus, self.index = program, corpus, index

    def words(self, command, *rest):
        return [str(word) for word in (self.program, command, "--corpus", self.corpus, "--index", self.index, *rest)]

    def build(self):
        return json.loads(common.run(self.words("build"), timeout=SECONDS_MAX).stdout)

    def answers(self, queries, mode, depth, own):
        rest = ["--queries", queries, "--mode", mode, "--depth", depth] + (["--own", own] if own else [])
        done = common.run(self.words("answers", *rest), timeout=SECONDS_MAX)
        return [json.loads(line) for line in done.stdout.splitlines()]


class Asked:
    """A program that measures a mode for each line that it reads. The first line it writes says that it is ready."""

    def __init__(self, words):
        self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"{self.process.args[0]} ended with {self.process.wait()} instead of an answer")
        return json.loads(line)

    def ask(self, turn):
        self.process.stdin.write(turn + "\n")
        self.process.stdin.flush()
        return [self.read() for _ in range(ANSWERS.get(turn.split()[0], 1))]

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=SECONDS_MAX)


@contextlib.contextmanager
def asked(words):
    program = Asked(words)
    try:
        yield program
        program.end()
    finally:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()


def take_turns(ours, peer, corpus, files, given):
    """Rows of every round: the answers to a work's turns, of one engine and then of the other."""
    queries, typos = files
    us = [ours, "search", "--products", corpus, "--queries", queries, "--typos", typos, "--passes", given.passes, "--turns", "--json"]
    rows = []
    with asked(us) as we, asked(peer.words("turns", "--queries", queries, "--typos", typos, "--passes", given.passes)) as they:
        rows.append({"engine": "ours", "round": 0, **we.ready, "case": "build"})
        for number in range(1, given.rounds + 1):
            for work in given.only:
                for engine, program, turn in (("tantivy", they, table.TURNS[work][0]), ("ours", we, table.TURNS[work][1])):
                    if turn is None:
                        continue
                    load1 = common.load1()
                    for line in program.ask(turn):
                        rows.append({"engine": engine, "round": number, "work": work, "load1": load1, **line, "case": line["case"].removeprefix("search/")})
    return rows
