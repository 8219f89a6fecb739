"""A newcomer follows the README to the letter: starts the shop with its command, pastes its first session, compares what is printed."""

import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import readme
from shop import ROOT

START_MAX_S = 1_800.0  # a newcomer's first start compiles everything


class Readme(unittest.TestCase):
    """Runs in the repository, as the README says."""

    def test_first_session(self):
        data = ROOT / "emporion-data"
        self.assertFalse(data.exists(), f"{data} is there from another time: stop its shop and remove it")
        self.addCleanup(shutil.rmtree, data, ignore_errors=True)
        command = readme.the_block("Start the shop", "sh").strip()
        self.assertEqual(len(command.splitlines()), 1, "one command")
        log = self.enterContext(tempfile.TemporaryFile())
        shop = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(self.end, shop)
        self.wait_for(shop, data, log)

        session = readme.the_block("A first session", "sh")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", session], cwd=ROOT, text=True, capture_output=True, check=False, timeout=300
        )
        self.assertEqual(done.returncode, 0, f"the session fails:\n{done.stdout}\n{done.stderr}")
        shown = readme.the_block("A first session", "text")
        self.assertEqual(readme.masked(done.stdout), readme.masked(shown), "the README shows another output")
        print(f"\nfirst session: {len(session.splitlines())} lines pasted, {len(done.stdout.splitlines())} lines printed as shown")
        shop.send_signal(signal.SIGINT)
        self.assertEqual(shop.wait(60), 0, "Ctrl-C stops it in order")

    def wait_for(self, shop, data, log):
        until = time.monotonic() + START_MAX_S
        while time.monotonic() < until:
            if shop.poll() is not None:
                log.seek(0)
                self.fail(f"the shop ended with {shop.returncode}:\n{log.read().decode()[-4_000:]}")
            try:
                context = ssl.create_default_context(cafile=str(data / "dev-ca.pem"))
                if (data / "server.json").exists():
                    with urllib.request.urlopen("https://127.0.0.1:8443/readyz", context=context, timeout=5) as answer:
                        if answer.status == 200:
                            return
            except (FileNotFoundError, urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.1)
        self.fail(f"the shop is not ready after {START_MAX_S:.0f} s")

    @staticmethod
    def end(shop):
        if shop.poll() is None:
            shop.kill()
            shop.wait()

    def test_links_and_folders(self):
        text = (ROOT / "README.md").read_text()
        links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
        local = [link for link in links if "://" not in link]
        self.assertGreater(len(local), 5, "the README names its neighbours")
        for link in local:
            self.assertTrue((ROOT / pathlib.PurePosixPath(link)).exists(), f"README.md points to {link}, which is not there")


if __name__ == "__main__":
    unittest.main(verbosity=2)
