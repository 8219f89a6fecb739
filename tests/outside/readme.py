"""What README.md and the pages under docs/ say, taken out of them: their commands are run, not copies of them."""

import re

from shop import ROOT

# What differs from run to run: ids, numbers of orders, secrets, times.
CHANGING = [
    (re.compile(r"\b(prod|sku|cart|line|ord|pay|cat|hold)_[0-9a-z]{26}\b"), r"\1_…"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r'("number": )"[^"]+"'), r'\1"…"'),
    (re.compile(r"\b\d+ µs\b"), "N µs"),
]


def blocks(page="README.md"):
    """Every fenced block as (heading, language, text), in order."""
    heading, language, lines, found = "", None, [], []
    for line in (ROOT / page).read_text().splitlines():
        fence = re.fullmatch(r"```(\w*)", line)
        if fence and language is None:
            language, lines = fence.group(1), []
        elif fence:
            found.append((heading, language, "\n".join(lines) + "\n"))
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ").strip()
    assert language is None, f"a fence of {page} is not closed"
    return found


def the_block(heading, language):
    """The only block of that language under that heading."""
    texts = [text for at, kind, text in blocks() if (at, kind) == (heading, language)]
    assert len(texts) == 1, f"README.md should have one {language} block under {heading!r}, and has {len(texts)}"
    return texts[0]


def masked(text):
    """`text` without what differs from run to run."""
    for pattern, instead in CHANGING:
        text = pattern.sub(instead, text)
    return text.strip()
