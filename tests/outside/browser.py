"""Chromium through chromium-driver, with the WebDriver protocol spoken over urllib: no library between."""

import base64
import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
WAIT_MAX_S = 20.0


def key_hash(shop):
    """Base64 of SHA-256 of the shop certificate's public key, verified against its authority first."""
    context = ssl.create_default_context(cafile=str(shop.ca))
    with socket.create_connection(("127.0.0.1", shop.port), 10) as tcp, context.wrap_socket(tcp, server_hostname="localhost") as tls:
        certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


class Browser:
    """One window. `quic` forces HTTP/3 for the shop; otherwise HTTP/3 is off."""

    def __init__(self, shop, quic):
        # By number: "localhost" may be ::1 first, and a forced QUIC connection tries no second address.
        self.host = f"127.0.0.1:{shop.port}"
        self.driver = None
        self.session = None
        self.profile = tempfile.mkdtemp(prefix="emporion-chromium-")
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--window-size=1280,1600"]
        # Chromium wants a publicly known root for QUIC; this trusts the one key that was verified outside.
        flags += [f"--user-data-dir={self.profile}", f"--ignore-certificate-errors-spki-list={key_hash(shop)}"]
        flags += ["--enable-quic", f"--origin-to-force-quic-on={self.host}"] if quic else ["--disable-quic"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        try:
            self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.base = f"http://127.0.0.1:{port}"
            self._wait_for("the driver", lambda: self._call("GET", "/status")["ready"])
            wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL"}}
            self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the window and the driver."""
        try:
            if self.session:
                self._call("DELETE", f"/session/{self.session}")
        except OSError:
            pass
        if self.driver:
            self.driver.terminate()
            self.driver.wait(20)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]
            raise LookupError(f"{told['error']}: {told['message'].splitlines()[0]}") from None

    def _wait_for(self, what, look):
        until = time.monotonic() + WAIT_MAX_S
        while True:
            try:
                found = look()
                if found:
                    return found
                last = found
            except (LookupError, urllib.error.URLError, ConnectionError) as error:
                last = error
            if time.monotonic() > until:
                raise AssertionError(f"no {what} in {WAIT_MAX_S:.0f} s: {last}{self._where()}")
            time.sleep(0.05)

    def _where(self):
        if not self.session:
            return ""
        try:
            return f"\nat {self.address()}\n{self.script('return document.body.innerText')[:2_000]}"
        except (LookupError, OSError) as error:
            return f"\n({error})"

    def _in(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def open(self, path):
        """Goes to a page of the shop."""
        self._in("POST", "/url", {"url": f"https://{self.host}{path}"})

    def address(self):
        """Where it is."""
        return self._in("GET", "/url")

    def script(self, text, *arguments):
        """Runs a function body in the page."""
        return self._in("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def all(self, name):
        """Elements by their data-test name."""
        found = self._in("POST", "/elements", {"using": "css selector", "value": f'[data-test="{name}"]'})
        return [element[ELEMENT] for element in found]

    def one(self, name):
        """The first element of that name; waits for it."""
        return self._wait_for(f"element {name!r}", lambda: self.all(name))[0]

    def text(self, name):
        """What the first element of that name shows."""
        return self._in("GET", f"/element/{self.one(name)}/text")

    def texts(self, name):
        """What all of them show, in order."""
        return [self._in("GET", f"/element/{element}/text") for element in self.all(name)]

    def attribute(self, name, attribute):
        """An attribute of the first."""
        return self._in("GET", f"/element/{self.one(name)}/attribute/{attribute}")

    def value(self, name):
        """What the first, a field, holds."""
        return self._in("GET", f"/element/{self.one(name)}/property/value")

    def click(self, name):
        """Clicks the first, as a mouse would: it must be visible and on top."""
        self._in("POST", f"/element/{self.one(name)}/click", {})

    def go(self, name, path):
        """Clicks, and waits until the address begins with `path` and its page is whole."""
        old = self.script("return window.performance.timeOrigin")
        self.click(name)
        begins = f"https://{self.host}{path}"
        self._wait_for(
            f"page {path}",
            lambda: (
                self.address().startswith(begins)
                and self.script("return document.readyState === 'complete' && window.performance.timeOrigin !== arguments[0]", old)
            ),
        )

    def type(self, name, text):
        """Replaces what a field holds."""
        element = self.one(name)
        self._in("POST", f"/element/{element}/clear", {})
        self._in("POST", f"/element/{element}/value", {"text": text})

    def choose(self, name, value):
        """Picks an option of a list by its value, with a click on the option."""
        box = self.one(name)
        path = {"using": "css selector", "value": f'option[value="{value}"]'}
        option = self._in("POST", f"/element/{box}/element", path)[ELEMENT]
        self._in("POST", f"/element/{option}/click", {})

    def protocol(self):
        """What carried the page: h3, h2 or http/1.1."""
        return self.script("return performance.getEntriesByType('navigation')[0].nextHopProtocol")

    def complaints(self):
        """Errors in the console since the last call: a clean page has none, not even of its content security policy."""
        rows = self._in("POST", "/se/log", {"type": "browser"})
        return [row["message"] for row in rows if row["level"] == "SEVERE"]
