"""Runs the real program on a folder of its own, as an operator would.

Path: `Shop.start` -> child process -> `server.json` of that very child -> `/readyz` answers 200. Ports are always free ones.
The program is `target/release/emporion`, or what EMPORION_BIN names.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_MAX_S = 60.0
STOP_MAX_S = 60.0


def binary():
    """The program under test."""
    named = os.environ.get("EMPORION_BIN")
    if named:
        return pathlib.Path(named)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "emporion"


def data_folder():
    """Where the public data sets are; raises where there are none, since a test that needs them must not pass without."""
    folder = pathlib.Path(os.environ.get("EMPORION_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"no data sets at {folder}: set EMPORION_DATA to the folder that has icecat/products.jsonl.gz")
    return folder


class Shop:
    """One data folder and the process that runs on it. `with Shop() as shop:` starts it and cleans up."""

    def __init__(self, *options, log="warn"):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="emporion-outside-"))
        self.data = self.home / "data"
        self.options = list(options)
        self.log = log
        self.process = None
        self.url = None
        self.ca = None
        self.token = None
        self.port = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Starts the program and waits until it is ready. Returns the seconds from spawn to the first 200 of /readyz."""
        assert self.process is None, "it runs already"
        command = [binary(), "serve", "--data", self.data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", *self.options]
        environment = {**os.environ, "EMPORION_LOG": os.environ.get("EMPORION_LOG", self.log)}
        with open(self.home / "log", "ab") as log:
            began = time.monotonic()
            self.process = subprocess.Popen(
                list(map(str, command)), cwd=self.home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until = began + START_MAX_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                code, self.process = self.process.returncode, None
                raise AssertionError(f"serve ended with {code} before it was ready:\n{self.said()}")
            if self._told() and self._ready():
                return time.monotonic() - began
            time.sleep(0.01)
        raise AssertionError(f"not ready after {START_MAX_S:.0f} s:\n{self.said()}")

    def _told(self):
        # A file that a killed run left behind names another process.
        try:
            told = json.loads((self.data / "server.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        if told["pid"] != self.process.pid:
            return False
        self.url = told["url"].rstrip("/")
        self.ca = self.home / told["ca"]
        self.token = (self.home / told["token_file"]).read_text().strip()
        self.port = int(re.search(r":(\d+)$", self.url).group(1))
        return True

    def _ready(self):
        context = ssl.create_default_context(cafile=str(self.ca))
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def said(self):
        """The end of what it wrote to standard output and error, over all its runs."""
        text = (self.home / "log").read_text(errors="replace") if (self.home / "log").exists() else ""
        return text[-8_000:]

    def kill(self):
        """SIGKILL, as a power cut for the process."""
        self.process.kill()
        self.process.wait(STOP_MAX_S)
        self.process = None

    def stop(self):
        """SIGTERM. It must end by itself, with 0, and take server.json away. Returns the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_MAX_S)
        self.process = None
        assert code == 0, f"a stopped shop exits with 0, not {code}:\n{self.said()}"
        assert not (self.data / "server.json").exists(), "server.json stays after a clean stop"
        return time.monotonic() - began

    def memory_mb(self, field="VmRSS"):
        """Resident memory now, or its peak with VmHWM."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE).group(1)) / 1024

    def cpu_s(self):
        """Processor time used since it was started."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run(self, *arguments, **options):
        """Another command of the program, to its end."""
        return subprocess.run(
            [str(binary()), *map(str, arguments)],
            cwd=self.home,
            text=True,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            **options,
        )

    def close(self):
        """Ends the process, whatever its state, and removes the folder."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        if os.environ.get("EMPORION_KEEP"):
            print(f"kept {self.home}")
        else:
            shutil.rmtree(self.home, ignore_errors=True)
