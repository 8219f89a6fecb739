"""HTTP clients that share no code with the shop: aioquic for HTTP/3, curl for HTTP/2 and HTTP/1.1.

Each client has `request(method, path, headers, body) -> Answer` and says in `Answer.version` what really carried it.
"""

import asyncio
import concurrent.futures
import dataclasses
import json
import pathlib
import subprocess
import tempfile
import threading

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset

REQUEST_MAX_S = 90.0


@dataclasses.dataclass
class Answer:
    """What came back."""

    version: str
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        """The body, parsed."""
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.body[:600].decode(errors='replace')}"


class _Http3(QuicConnectionProtocol):
    """One connection: requests by stream, each a future of its answer."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._open = {}
        self.failed = None

    async def ask(self, headers, body):
        """Sends one request and waits for the whole answer."""
        if self.failed:
            raise self.failed
        stream = self._quic.get_next_available_stream_id()
        answer = asyncio.get_running_loop().create_future()
        self._open[stream] = (answer, [], bytearray())
        self._http.send_headers(stream, headers, end_stream=not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        return await answer

    def fail(self, why):
        """Gives up every open request, and refuses those to come."""
        self.failed = ConnectionError(why)
        for answer, _, _ in self._open.values():
            if not answer.done():
                answer.set_exception(self.failed)
        self._open.clear()

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.fail(f"the connection ended: {event.error_code} {event.reason_phrase}")
        if isinstance(event, StreamReset) and event.stream_id in self._open:
            answer, _, _ = self._open.pop(event.stream_id)
            answer.set_exception(ConnectionError(f"the stream was reset: {event.error_code:#x}"))
        for seen in self._http.handle_event(event):
            if not isinstance(seen, (HeadersReceived, DataReceived)) or seen.stream_id not in self._open:
                continue
            answer, headers, body = self._open[seen.stream_id]
            if isinstance(seen, HeadersReceived):
                headers.extend(seen.headers)
            else:
                body.extend(seen.data)
            if seen.stream_ended:
                del self._open[seen.stream_id]
                answer.set_result((headers, bytes(body)))


class Http3:
    """A connection by aioquic, verified against the shop's own authority. Safe to use from many threads."""

    version = "3"
    _loop = None
    _lock = threading.Lock()

    def __init__(self, shop):
        with Http3._lock:
            if Http3._loop is None:
                Http3._loop = asyncio.new_event_loop()
                threading.Thread(target=Http3._loop.run_forever, daemon=True).start()
        self._port = shop.port
        self._configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost", idle_timeout=120.0)
        self._configuration.load_verify_locations(str(shop.ca))
        self._close = None
        self._connection = self._wait(self._connect())

    def _wait(self, work):
        running = asyncio.run_coroutine_threadsafe(work, Http3._loop)
        try:
            return running.result(REQUEST_MAX_S)
        except concurrent.futures.TimeoutError:
            running.cancel()
            raise TimeoutError(f"no answer over HTTP/3 in {REQUEST_MAX_S:.0f} s") from None

    async def _connect(self):
        context = connect("127.0.0.1", self._port, configuration=self._configuration, create_protocol=_Http3)
        connection = await context.__aenter__()
        self._close = context
        return connection

    def request(self, method, path, headers=None, body=None):
        """One request."""
        head = [(b":method", method.encode()), (b":scheme", b"https"), (b":authority", f"localhost:{self._port}".encode())]
        head.append((b":path", path.encode()))
        head.extend((name.lower().encode(), value.encode()) for name, value in (headers or {}).items())
        if body is not None:
            head.append((b"content-length", str(len(body)).encode()))
        fields, content = self._wait(self._connection.ask(head, body))
        gathered = {}
        for name, value in fields:
            name, value = name.decode(), value.decode()
            gathered[name] = f"{gathered[name]}, {value}" if name in gathered else value
        return Answer("3", int(gathered.pop(":status")), gathered, content)

    @property
    def broken(self):
        """Has the connection ended?"""
        return self._connection.failed is not None

    def lose(self):
        """Drops the connection without a word, as when the other end is gone: nobody would say so over UDP before a timeout."""
        Http3._loop.call_soon_threadsafe(self._connection.fail, "the shop is gone")

    def close(self):
        """Ends the connection."""

        async def end():
            await self._close.__aexit__(None, None, None)

        self._wait(end())


class Curl:
    """curl, one process a request."""

    broken = False

    def __init__(self, shop, version):
        self.version = version
        self._shop = shop
        self._folder = tempfile.TemporaryDirectory(prefix="emporion-curl-")

    def request(self, method, path, headers=None, body=None):
        """One request."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self._folder.name))
        command = ["curl", "--silent", "--show-error", "--globoff", "--path-as-is", "--max-time", str(REQUEST_MAX_S)]
        command += [{"1.1": "--http1.1", "2": "--http2"}[self.version], "--cacert", str(self._shop.ca)]
        command += ["--head"] if method == "HEAD" else ["--request", method]
        command += ["--dump-header", str(folder / "head"), "--output", str(folder / "body"), "--write-out", "%{http_version}"]
        for name, value in {"Expect": "", **(headers or {})}.items():
            command += ["--header", f"{name}: {value}"]
        if body is not None:
            command += ["--data-binary", "@-"]
            if not any(name.lower() == "content-type" for name in headers or {}):
                command += ["--header", "Content-Type:"]
        command.append(f"https://localhost:{self._shop.port}{path}")
        done = subprocess.run(command, input=body or b"", capture_output=True, check=False)
        if done.returncode != 0:
            raise ConnectionError(f"curl ended with {done.returncode}: {done.stderr.decode().strip()}")
        # Interim answers come first; the last head is that of the answer.
        head = (folder / "head").read_bytes().decode("latin-1").strip().split("\r\n\r\n")[-1].split("\r\n")
        gathered = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            gathered[name] = f"{gathered[name]}, {value}" if name in gathered else value
        # With --head curl writes the head where the body goes.
        content = (folder / "body").read_bytes() if (folder / "body").exists() and method != "HEAD" else b""
        return Answer(done.stdout.decode(), int(head[0].split()[1]), gathered, content)

    def close(self):
        """Removes its files."""
        self._folder.cleanup()


def http1(shop):
    """curl with HTTP/1.1."""
    return Curl(shop, "1.1")


def http2(shop):
    """curl with HTTP/2."""
    return Curl(shop, "2")
