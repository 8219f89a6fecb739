"""Redis: reserve.lua as a function, append-only file synced before each answer, redis-benchmark as the load."""

import csv
import io
import os
import pathlib
import socket
import subprocess
import time

import common
from common import Case, Failed

HERE = pathlib.Path(__file__).parent
CASES = [Case(skus, connections, pipeline) for skus in ("uniform", "hot") for connections, pipeline in ((1, 1), (50, 1), (50, 16))]
PROBE_SECONDS = 1.0
REQUESTS_MIN = 1_600


class Connection:
    """Redis's protocol, as much as is needed: one command or many, answers in order. Errors are answers."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(300)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def many(self, commands):
        parts = []
        for command in commands:
            parts.append(b"*%d\r\n" % len(command))
            for word in command:
                word = word if isinstance(word, bytes) else str(word).encode()
                parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.socket.sendall(b"".join(parts))
        return [self._answer() for _ in commands]

    def __call__(self, *command):
        return self.many([command])[0]

    def _answer(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Failed("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return Failed(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            return self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        raise Failed(f"redis answered {line!r}")


def must(answer):
    if isinstance(answer, Failed):
        raise answer
    return answer


def stock_key(sku):
    return f"s:{sku:012d}"  # redis-benchmark writes its random numbers with twelve digits


class Server:
    def __init__(self, place):
        self.place = place
        self.folder = place.make("redis")
        self.path = place.socket_folder("redis") / "redis"
        self.log = self.folder / "log"
        command = ["redis-server", "--port", "0", "--unixsocket", self.path, "--unixsocketperm", "777", "--daemonize", "no"]
        command += ["--dir", self.folder, "--logfile", self.log, "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([str(word) for word in command], **quiet, **common.as_user(place.user))
        try:
            common.wait_for("redis-server", self._answers, common.START_SECONDS_MAX)
            self.redis = Connection(self.path)
            must(self.redis("FUNCTION", "LOAD", (HERE / "reserve.lua").read_bytes()))
        except BaseException:
            self.stop()
            raise
        self.tree = common.Tree(self.process.pid)

    def _answers(self):
        if self.process.poll() is not None:
            raise Failed(f"redis-server ended with {self.process.returncode}; {self.log}: {self.log.read_text()[-400:] if self.log.exists() else ''}")
        try:
            return Connection(self.path)("PING") == "PONG"
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stock(self):
        for first in range(0, common.SKUS, 1_000):
            words = ["MSET"]
            for sku in range(first, min(first + 1_000, common.SKUS)):
                words += [stock_key(sku), common.INITIAL]
            must(self.redis(*words))

    def prove_semantics(self):
        """The operation does what is asked of it, before it is timed: on an empty server, which is left empty."""
        redis = self.redis
        must(redis("MSET", "s:a", 5, "s:b", 5, "s:c", 1))

        def reserve(hold, *wants):
            keys, quantities = (f"s:{sku}" for sku, _ in wants), (quantity for _, quantity in wants)
            return redis("FCALL", "reserve", 1 + len(wants), hold, *keys, common.TTL_MS, *quantities)

        first = [("a", 2), ("b", 1), ("c", 1)]
        now = int(time.time() * 1_000)
        checks = [
            ("a reservation", reserve("1", *first), "3 4 0"),
            ("its repeat", reserve("1", *first), "3 4 0"),
            ("its id with other lines", str(reserve("1", ("a", 1))).split()[0], "REUSED"),
            ("one too many", str(reserve("2", ("a", 1), ("c", 1))).split()[0], "SHORT"),
            ("one SKU twice, too many", str(reserve("3", ("a", 2), ("a", 2))).split()[0], "SHORT"),
            ("what refusals left", redis("MGET", "s:a", "s:b", "s:c"), ["3", "4", "0"]),
            ("expiry before time", redis("FCALL", "expire", 0, now, 10), 0),
            ("expiry", redis("FCALL", "expire", 0, now + 2 * common.TTL_MS, 10), 1),
            ("what expiry gave back", redis("MGET", "s:a", "s:b", "s:c"), ["5", "5", "1"]),
        ]
        for what, got, wanted in checks:
            if got != wanted:
                raise Failed(f"redis: {what}: {got}, not {wanted}")
        must(redis("FLUSHALL"))

    def load(self, case, requests, run, threads):
        """Acknowledged calls a second, p50 and p99 in microseconds, as redis-benchmark counts them."""
        last = stock_key(common.SKUS - 1) if case.skus == "hot" else "s:__rand_int__"
        command = ["redis-benchmark", "-s", self.path, "-c", case.connections, "-P", case.pipeline, "-n", requests, "-r", common.SKUS, "--csv"]
        command += ["--threads", threads] if threads > 1 else []
        hold = f"{run:02d}" + "__rand_int__" * 3  # 38 digits: an id of 128 bits in decimal
        command += ["FCALL", "reserve", 4, hold, "s:__rand_int__", "s:__rand_int__", last, common.TTL_MS, 1, 1, 1]
        done = common.run([str(word) for word in command], user=self.place.user)
        lines = list(csv.reader(io.StringIO(done.stdout)))
        if "rror" in done.stderr or len(lines) < 2 or len(lines[-1]) < 8:
            raise Failed(f"redis-benchmark: {(done.stderr + done.stdout).strip()[-400:]}")
        figures = dict(zip(lines[-2], lines[-1]))
        return float(figures["rps"]), float(figures["p50_latency_ms"]) * 1_000, float(figures["p99_latency_ms"]) * 1_000

    def conservation(self):
        """SKUs where what was there is not what remains and is held together. Reads every key, here, apart from the function."""
        held = [0] * common.SKUS
        cursor, seen = "0", 0
        while True:
            cursor, members = must(self.redis("ZSCAN", "holds", cursor, "COUNT", 5_000))
            ids = members[::2]
            for lines in must(self.redis("MGET", *ids)) if ids else []:
                if lines is None:
                    return common.SKUS, seen
                words = lines.partition("=")[0].split()
                for key, amount in zip(words[: len(words) // 2], words[len(words) // 2 :]):
                    held[int(key[2:])] += int(amount)
            seen += len(ids)
            if cursor == "0":
                break
        bad = 0
        for first in range(0, common.SKUS, 1_000):
            skus = range(first, min(first + 1_000, common.SKUS))
            bad += sum(held[sku] + int(left or 0) != common.INITIAL for sku, left in zip(skus, must(self.redis("MGET", *map(stock_key, skus)))))
        return bad, seen


def version():
    return common.run(["redis-server", "--version"]).stdout.split()[2].removeprefix("v=")


def thread_choices():
    return (1, 2) if len(os.sched_getaffinity(0)) < 4 else (1, 2, 4)


def turn(place, number, seconds, choices):
    """One round. `choices` keeps the number of client threads found best, by case, from one round to the next."""
    server = Server(place)
    run, rows = 0, []
    try:
        server.prove_semantics()
        server.stock()
        for case in CASES:
            name = case.name("redis")
            unit = case.connections * case.pipeline  # redis-benchmark wants whole pipelines
            whole = lambda requests: max(REQUESTS_MIN, int(requests)) // unit * unit or unit
            rate, run = server.load(case, whole(REQUESTS_MIN), run, 1)[0], run + 1
            if name not in choices:
                tried = {}
                for threads in thread_choices() if case.connections > 1 else (1,):
                    tried[threads], run = server.load(case, whole(rate * PROBE_SECONDS), run, threads)[0], run + 1
                choices[name] = max(tried, key=tried.get)
                rate = tried[choices[name]]
            requests = whole(rate * seconds)
            load1, holds, cpu = common.load1(), must(server.redis("ZCARD", "holds")), server.tree.cpu_us()
            rate, p50, p99 = server.load(case, requests, run, choices[name])
            cpu = server.tree.cpu_us() - cpu
            made, run = must(server.redis("ZCARD", "holds")) - holds, run + 1
            why = "" if made == requests else f"{requests} calls acknowledged, {made} holds made"
            figures = {"ops": requests, "ops_per_s": rate, "cpu_us_per_op": cpu / requests, "p50_us": p50, "p99_us": p99, "made": made}
            figures["rss_mb"] = server.tree.rss_mb()
            client = f"redis-benchmark, {choices[name]} thread" + ("s" if choices[name] > 1 else "")
            rows.append(common.row("redis", case, number, load1, **figures, valid=not why, why=why, client=client))
        bad, seen = server.conservation()
        if bad or seen != must(server.redis("ZCARD", "holds")):
            for row in rows:
                row.valid, row.why = False, row.why or f"{bad} SKUs do not add up over {seen} holds"
    finally:
        server.stop()
    return rows
