"""People follow the pages under docs/ to the letter: every block is pasted, in order, and prints what the page says."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

import readme
from shop import binary

BLOCK_MAX_S = 300.0
# What bash says of a process that a block kills: people see it or not, as their shell is set.
KILLED = re.compile(r"^.*line \d+: +\d+ Killed .*\n", re.MULTILINE)


def pattern(shown):
    """What the page shows, as a regular expression: `…` is any text within a line."""
    return "[^\n]*".join(map(re.escape, shown.strip().split("…")))


class Pages(unittest.TestCase):
    """Each page in one shell, as when pasted."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="emporion-operations-")
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        path = f"{binary().resolve().parent}:{os.environ['PATH']}"
        # Everything that the blocks start is in one process group, and ends with the test.
        self.shell = subprocess.Popen(
            ["bash", "-uo", "pipefail"],
            cwd=self.home,
            env={**os.environ, "PATH": path},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.addCleanup(self.end)

    def end(self):
        try:
            os.killpg(self.shell.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.shell.stdin.close()
        self.shell.stdout.close()
        self.shell.wait()

    def paste(self, block, mark):
        """Runs a block; gives what it prints and its exit code."""
        self.shell.stdin.write(f"{block}\necho; echo {mark} $?\n")
        self.shell.stdin.flush()
        lines, until = [], time.monotonic() + BLOCK_MAX_S
        for line in self.shell.stdout:
            if line.startswith(mark):
                return KILLED.sub("", "".join(lines)).strip(), int(line.split()[1])
            lines.append(line)
            self.assertLess(time.monotonic(), until, f"{block}\ntakes too long, and has printed:\n{''.join(lines)}")
        self.fail(f"the shell ended in\n{block}\nand had printed:\n{''.join(lines)}")

    def test_operations(self):
        self.follow("docs/operations.md")

    def test_search(self):
        self.follow("docs/search.md")

    def follow(self, page):
        """Pastes every block of a page, in order."""
        blocks = readme.blocks(page)
        self.assertGreater(len(blocks), 10)
        for number, (heading, language, text) in enumerate(blocks):
            if language != "sh":
                self.assertEqual((language, blocks[number - 1][1]), ("text", "sh"), f"{heading}: what is shown follows what is pasted")
                continue
            shown = blocks[number + 1] if number + 1 < len(blocks) else ("", "", "")
            began = time.monotonic()
            printed, code = self.paste(text, f"end-of-block-{number}")
            print(f"\n{heading}: {time.monotonic() - began:.1f} s", end="")
            self.assertEqual(code, 0, f"{heading}:\n{text}\nprints:\n{printed}")
            wanted = shown[2] if shown[1] == "text" else ""
            self.assertRegex(printed, f"\\A{pattern(wanted)}\\Z", f"{heading}:\n{text}\nprints:\n{printed}\nand not:\n{wanted}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
