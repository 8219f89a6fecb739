"""What the sides share: the question asked, processes as another user, CPU time of a process tree, the disk.

Path: driver.py makes a `Place` and asks each side (redis_side, pg_side, ours) for its cases; each answers `Row`s; report.py prints them.
"""

import dataclasses
import os
import pathlib
import pwd
import shutil
import statistics
import subprocess
import tempfile
import time

SKUS = 100_000
LINES = 3
INITIAL = 1_000_000_000  # of each SKU: enough that no case runs short
TTL_MS = 900_000
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS_MAX = 60  # a server that does not answer by then is taken for broken
SETTLE_SECONDS_MAX = 10  # how long clients' server processes may take to end, so that their CPU time is counted


class Failed(Exception):
    """What went wrong, in a line for the one who started this."""


@dataclasses.dataclass
class Case:
    """SKUs `uniform` or `hot` (the last line always the same SKU), connections, requests in flight on each."""

    skus: str
    connections: int
    pipeline: int

    def name(self, system):
        return f"reserve/{system}/{self.skus}/c{self.connections}/p{self.pipeline}"


@dataclasses.dataclass
class Row:
    """One case, measured once. `ops`: acknowledged calls; `made`: holds found afterwards (None: the side's own program checks)."""

    case: str
    system: str
    skus: str
    connections: int
    pipeline: int
    round: int
    ops: int
    ops_per_s: float
    cpu_us_per_op: float | None
    p50_us: float | None
    p99_us: float | None
    made: int | None
    valid: bool
    why: str  # it is not valid; or empty
    client: str  # what made the load
    load1: float  # before the case
    rss_mb: float | None = None


def row(system, case, number, load1, **figures):
    return Row(case.name(system), system, case.skus, case.connections, case.pipeline, number, load1=load1, **figures)


def run(command, user=None, check=True, timeout=600, **options):
    """Runs to the end and gives its output as text. `user`: a pwd entry, or None for our own."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **as_user(user), **options)
    if check and done.returncode != 0:
        raise Failed(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done


def as_user(user):
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Place:
    """A folder for data on the disk of the build, and a short one for sockets, whose paths may have 107 bytes. Both are removed at the end."""

    def __init__(self, repository):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", repository / "target")).absolute()
        target.mkdir(parents=True, exist_ok=True)
        self.target = target
        self.user = None
        if os.geteuid() == 0:  # PostgreSQL refuses root
            name = next((name for name in ("postgres", "nobody") if name_exists(name)), None)
            if name is None:
                raise Failed("running as root, and there is no user postgres or nobody to run the servers as")
            self.user = pwd.getpwnam(name)
        parent = self._parent(target)
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="compare-data-", dir=parent))
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="compare-"))
        for folder in (self.data, self.sockets):
            folder.chmod(0o755)

    def _parent(self, target):
        disk = os.stat(target).st_dev
        for folder in (target, pathlib.Path("/var/tmp"), pathlib.Path(tempfile.gettempdir())):
            if os.stat(folder).st_dev == disk and (self.user is None or others_reach(folder)):
                return folder
        who = self.user.pw_name if self.user else "this user"
        raise Failed(f"{target} cannot be entered by {who}, and neither /var/tmp nor the temporary folder is on its disk: set CARGO_TARGET_DIR")

    def make(self, name):
        """An empty folder for a server, its own."""
        folder = self.data / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        return folder

    def socket_folder(self, name):
        folder = self.sockets / name
        folder.mkdir(exist_ok=True)
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        return folder

    def remove(self):
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)


def name_exists(name):
    try:
        pwd.getpwnam(name)
        return True
    except KeyError:
        return False


def others_reach(folder):
    return all(os.stat(step).st_mode & 0o001 for step in (folder, *folder.parents))


class Tree:
    """CPU time and memory of a process and all below it, as /proc tells them (user and system, ticks of 10 ms as a rule).

    Children that ended are in their parent's figures once it has waited for them, so a tree counts each process once.
    """

    def __init__(self, pid):
        self.pid = pid

    def _stats(self):
        stats = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                    after_name = file.read().rpartition(")")[2].split()
            except OSError:
                continue  # ended meanwhile
            stats[int(entry)] = after_name
        return stats

    def _members(self):
        stats = self._stats()
        children = {}
        for pid, fields in stats.items():
            children.setdefault(int(fields[1]), []).append(pid)
        members, waiting = [], [self.pid]
        while waiting:
            pid = waiting.pop()
            if pid in stats:
                members.append((pid, stats[pid]))
                waiting += children.get(pid, [])
        return members

    def cpu_us(self):
        ticks = sum(int(field) for _, fields in self._members() for field in fields[11:15])
        return ticks * 1_000_000 / TICKS

    def rss_mb(self):
        """Memory of its own and its share of what several map (PSS); shared buffers are counted once."""
        total = 0
        for pid, _ in self._members():
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
            except OSError:
                continue
        return round(total / 1024, 1)


def wait_for(what, ready, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.05)
    raise Failed(f"{what} is not ready after {seconds} s")


def disk_write_us(folder, writes=300):
    """Median of 4 KiB writes that return when they are on disk (O_DSYNC), one after another into a file made before."""
    path = pathlib.Path(folder) / "probe"
    block = os.urandom(4096)
    path.write_bytes(block * writes)
    file = os.open(path, os.O_WRONLY | os.O_DSYNC)
    try:
        os.fsync(file)
        times = []
        for number in range(writes):
            before = time.perf_counter()
            os.pwrite(file, block, number * 4096)
            times.append((time.perf_counter() - before) * 1e6)
    finally:
        os.close(file)
        path.unlink()
    return statistics.median(times)


def load1():
    return round(os.getloadavg()[0], 2)
