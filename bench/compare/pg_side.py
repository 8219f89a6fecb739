"""PostgreSQL: reserve.sql as a function, commits synchronous, pgbench as the load."""

import collections
import os
import pathlib
import re
import shutil
import subprocess
import time

import common
from common import Case, Failed

HERE = pathlib.Path(__file__).parent
CASES = [Case(skus, connections, 1) for skus in ("uniform", "hot") for connections in (1, 50)]
CLIENTS = (50, 32, 16)  # of 50 connections, those tried; the best is kept
PROBE_SECONDS = 2
VERSION_MIN = 15
# Larger than the defaults so that no case waits for a checkpoint; everything that durability rests on is as it comes.
SETTINGS = """
listen_addresses = ''
unix_socket_permissions = 0777
max_connections = 100
shared_buffers = 1GB
wal_buffers = 64MB
max_wal_size = 4GB
checkpoint_timeout = 30min
wal_level = minimal
max_wal_senders = 0
fsync = on
synchronous_commit = on
full_page_writes = on
"""


def folder_of_programs():
    """The newest installed version; Debian keeps them out of the path."""
    found = []
    for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"):
        if path.parts[-3].isdigit():
            found.append((int(path.parts[-3]), path.parent))
    elsewhere = shutil.which("initdb")
    if not found and elsewhere:
        version = re.search(r"(\d+)", common.run([elsewhere, "--version"]).stdout)
        found.append((int(version.group(1)), pathlib.Path(elsewhere).parent))
    if not found or max(found)[0] < VERSION_MIN:
        raise Failed(f"no PostgreSQL of version {VERSION_MIN} or later; leave out --skip-install, or install postgresql")
    return max(found)[1]


class Server:
    def __init__(self, place):
        self.place, self.bin = place, folder_of_programs()
        self.folder = place.make("pg")
        self.sockets = place.socket_folder("pg")
        self.logs = place.make("pg-logs")
        self.data = self.folder / "data"
        for script in HERE.glob("*.pgbench"):  # where the servers' user can read them, whoever owns the repository
            shutil.copyfile(script, self.logs / script.name)
        self.environment = {**os.environ, "PGHOST": str(self.sockets), "PGUSER": "reserve", "PGDATABASE": "postgres", "LC_ALL": "C"}
        for name in ("PGPORT", "PGPASSWORD", "PGOPTIONS", "PGSERVICE", "PGSSLMODE"):
            self.environment.pop(name, None)
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "reserve", "-E", "UTF8", "--locale=C")
        with open(self.data / "postgresql.conf", "a", encoding="ascii") as file:
            file.write(SETTINGS + f"unix_socket_directories = '{self.sockets}'\n")
        log = open(self.logs / "server", "wb")
        options = {"env": self.environment, "cwd": self.folder_for_all(), **common.as_user(place.user)}
        self.process = subprocess.Popen([self.bin / "postgres", "-D", self.data], stdout=log, stderr=log, **options)
        log.close()
        try:
            common.wait_for("postgres", self._answers, common.START_SECONDS_MAX)
        except BaseException:
            self.stop()
            raise
        self.tree = common.Tree(self.process.pid)

    def folder_for_all(self):
        return self.place.sockets  # a working folder that every user may enter

    def _run(self, program, *words, **options):
        command = [str(self.bin / program), *map(str, words)]
        return common.run(command, user=self.place.user, env=self.environment, cwd=self.folder_for_all(), **options)

    def _answers(self):
        if self.process.poll() is not None:
            raise Failed(f"postgres ended with {self.process.returncode}: {(self.logs / 'server').read_text()[-400:]}")
        return self._run("pg_isready", "-q", check=False).returncode == 0

    def stop(self):
        self.process.send_signal(2)  # fast shutdown
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def psql(self, text, **variables):
        """Rows as text, columns split by `|`. Stops at the first error."""
        given = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        return self._run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *given, input=text).stdout.split("\n")[:-1]

    def refused(self, text):
        done = self._run("psql", "-XqAt", check=False, input=text)
        found = re.search(r"ERROR:\s+(\w+)", done.stderr)
        return found.group(1) if found else done.stdout.strip()

    def prove_semantics(self):
        """The operation does what is asked of it, before it is timed: tables of three rows, made and dropped."""
        self.psql((HERE / "reserve.sql").read_text(), skus=3, initial=5)
        self.psql("UPDATE stock SET available = 1 WHERE sku = 3")
        call = lambda low, skus, wants: f"SELECT reserve(7, {low}, '{{{skus}}}', '{{{wants}}}', '15 minutes')"
        stock = "SELECT string_agg(available::text, ' ' ORDER BY sku) FROM stock"
        checks = [
            ("a reservation", lambda: self.psql(call(1, "1,2,3", "2,1,1")), ["{3,4,0}"]),
            ("its repeat", lambda: self.psql(call(1, "1,2,3", "2,1,1")), ["{3,4,0}"]),
            ("its id with other lines", lambda: self.refused(call(1, "1", "1")), "REUSED"),
            ("one too many", lambda: self.refused(call(2, "1,3", "1,1")), "SHORT"),
            ("one SKU twice, too many", lambda: self.refused(call(3, "1,1", "2,2")), "SHORT"),
            ("what refusals left", lambda: self.psql(stock), ["3 4 0"]),
            ("expiry before time", lambda: self.psql("SELECT expire(now(), 10)"), ["0"]),
            ("expiry", lambda: self.psql("SELECT expire(now() + interval '30 minutes', 10)"), ["1"]),
            ("what expiry gave back", lambda: self.psql(stock), ["5 5 1"]),
            ("durability", lambda: self.psql("SHOW fsync; SHOW synchronous_commit; SHOW full_page_writes"), ["on", "on", "on"]),
        ]
        for what, got, wanted in checks:
            answer = got()
            if answer != wanted:
                raise Failed(f"postgres: {what}: {answer}, not {wanted}")
        self.psql("DROP TABLE stock, hold; DROP FUNCTION reserve; DROP FUNCTION expire")

    def stock(self):
        self.psql((HERE / "reserve.sql").read_text(), skus=common.SKUS, initial=common.INITIAL)
        self.psql("VACUUM ANALYZE; CHECKPOINT")

    def holds(self):
        return int(self.psql("SELECT count(*) FROM hold")[0])

    def load(self, case, clients, seconds):
        """Acknowledged calls, calls a second, latencies as [microseconds] in order, as pgbench counts them."""
        for old in self.logs.glob("load*"):
            old.unlink()
        jobs = max(1, min(clients, len(os.sched_getaffinity(0)) // 2))
        high = time.time_ns() // 1_000_000 << 20  # ids that begin with the time fill the index from one side, which suits it
        words = ["-n", "-M", "prepared", "-D", f"skus={common.SKUS}", "-D", f"high={high}", "-f", self.logs / f"{case.skus}.pgbench"]
        words += ["-c", clients, "-j", jobs, "-T", int(seconds), "-l", f"--log-prefix={self.logs}/load"]
        said = self._run("pgbench", *words).stdout
        ops = int(re.search(r"actually processed: (\d+)", said).group(1))
        failed = re.search(r"number of failed transactions: (\d+)", said)
        if failed and int(failed.group(1)):
            raise Failed(f"pgbench: {failed.group(0)}")
        rate = float(re.search(r"tps = ([\d.]+)", said).group(1))
        counts = collections.Counter()
        for log in self.logs.glob("load*"):
            with open(log, encoding="ascii") as file:
                counts.update(int(line.split(" ", 3)[2]) for line in file)
        return ops, rate, counts

    def clients_gone(self):
        query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        common.wait_for("the end of pgbench's sessions", lambda: self.psql(query) == ["0"], common.SETTLE_SECONDS_MAX)

    def conservation(self):
        holds, bad = self.psql((HERE / "verify.sql").read_text(), initial=common.INITIAL)
        return int(bad), int(holds)


def quantile(counts, share):
    left = share * sum(counts.values())
    for us in sorted(counts):
        left -= counts[us]
        if left <= 0:
            return us
    return None


def version():
    return common.run([str(folder_of_programs() / "postgres"), "--version"]).stdout.split()[2]


def turn(place, number, seconds, choices):
    """One round. `choices` keeps the number of clients found best, by case, from one round to the next."""
    server = Server(place)
    rows = []
    try:
        server.prove_semantics()
        server.stock()
        for case in CASES:
            name = case.name("pg")
            tried = [choices[name]] if name in choices else CLIENTS if case.connections > 1 else [1]
            rates = {clients: server.load(case, clients, PROBE_SECONDS)[1] for clients in tried}  # warms up, too
            clients = choices[name] = max(rates, key=rates.get)
            server.clients_gone()
            load1, holds, cpu = common.load1(), server.holds(), server.tree.cpu_us()
            ops, rate, counts = server.load(case, clients, seconds)
            server.clients_gone()
            cpu, made = server.tree.cpu_us() - cpu, server.holds() - holds
            why = "" if made == ops else f"{ops} calls acknowledged, {made} holds made"
            figures = {"ops": ops, "ops_per_s": rate, "cpu_us_per_op": cpu / max(ops, 1), "made": made, "rss_mb": server.tree.rss_mb()}
            figures |= {"p50_us": quantile(counts, 0.5), "p99_us": quantile(counts, 0.99)}
            client = f"pgbench, {clients} client" + ("s" if clients > 1 else "")
            rows.append(common.row("pg", case, number, load1, **figures, valid=not why, why=why, client=client))
        bad, seen = server.conservation()
        if bad or seen != server.holds():
            for row in rows:
                row.valid, row.why = False, row.why or f"{bad} SKUs do not add up over {seen} holds"
    finally:
        server.stop()
    return rows
