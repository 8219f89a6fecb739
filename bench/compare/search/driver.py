"""tantivy and the search index: builds both, makes the corpus, lets them take turns, compares speed and answers.

Path: arguments → `engines.build` → corpus of each size → an index each → answers judged (`quality`, the smallest size) → rounds of turns, every mode asked of one
and then of the other → `table`. Exit: 0 when both answered everything.
"""

import argparse
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import common  # noqa: E402
import engines  # noqa: E402
import quality  # noqa: E402
import table  # noqa: E402
from common import Failed  # noqa: E402

REPOSITORY = HERE.parent.parent.parent
SETS = ("icecat", "fashion", "bestbuy")


def arguments():
    parser = argparse.ArgumentParser(prog="bench/compare/search/run", description="The same searches on tantivy and on this project's index, in turns.")
    parser.add_argument("--data", type=pathlib.Path, default=REPOSITORY.parent / "shared" / "data", help="folder of the public sets (default ../shared/data)")
    parser.add_argument("--replicate", type=numbers, default=[1, 16], metavar="N,…", help="sizes, in times the sets' products (default 1,16)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each; the median counts (default 3)")
    parser.add_argument("--passes", type=int, default=3, help="over all queries in a turn (default 3)")
    parser.add_argument("--only", type=modes, default=table.WORKS, metavar="WORK,…", help=f"of {', '.join(table.WORKS)} (default all)")
    parser.add_argument("--skip-quality", action="store_true", help="do not judge the answers")
    parser.add_argument("--place", type=pathlib.Path, help="folder for corpus and tantivy's indexes, kept (default: in the target folder)")
    parser.add_argument("--peer-target", type=pathlib.Path, help="where tantivy is built (default: tantivy in the target folder)")
    parser.add_argument("--out", type=pathlib.Path, help="file for the lines of JSON (default: in the place)")
    given = parser.parse_args()
    if given.rounds < 1 or given.passes < 1:
        parser.error("at least one round of one pass")
    return given


def numbers(text):
    found = [int(part) for part in text.split(",")]
    if min(found) < 1:
        raise argparse.ArgumentTypeError("sizes are 1 and more")
    return found


def modes(text):
    chosen = text.split(",")
    if not set(chosen) <= set(table.WORKS):
        raise argparse.ArgumentTypeError(f"of {', '.join(table.WORKS)}")
    return [work for work in table.WORKS if work in chosen]


def corpus(ours, given, place, replicate):
    file = place / f"c{replicate}.jsonl"
    if not file.exists():
        sets = [given.data / name / "products.jsonl.gz" for name in SETS]
        making = file.with_suffix(".new")
        common.run([str(word) for word in (ours, "search", "--products", *sets, "--replicate", replicate, "--write-corpus", making)], timeout=engines.SECONDS_MAX)
        making.rename(file)
    return file


def queries(given, place):
    """The texts of the judged queries, a line each; and the misspelt ones as they are."""
    texts = []
    for name in ("icecat", "fashion"):
        heading, *lines = (given.data / name / "queries_dev.tsv").read_text().splitlines()
        at = heading.split("\t").index("query")
        texts += [line.split("\t")[at] for line in lines]
    file = place / "queries.txt"
    file.write_text("\n".join(texts) + "\n")
    return file, given.data / "typos" / "typos_dev.tsv"


def main():
    given = arguments()
    ours, theirs = engines.build(REPOSITORY, given.peer_target)
    place = (given.place or engines.target(REPOSITORY) / "compare-search").absolute()
    place.mkdir(parents=True, exist_ok=True)
    asked, typos = queries(given, place)
    lines = [{"kind": "machine", **engines.machine(REPOSITORY)}]
    for replicate in given.replicate:
        file = corpus(ours, given, place, replicate)
        peer = engines.Peer(theirs, file, place / f"tantivy-{replicate}")
        built = peer.build()
        if not given.skip_quality and replicate == min(given.replicate):
            found = quality.compare(ours, peer, file, given.data)
            lines += found
            print(quality.shown(found), flush=True)
        rows = engines.take_turns(ours, peer, file, (asked, typos), given)
        lines += [{"kind": "row", "replicate": replicate, **row} for row in rows]
        ratios = table.ratios(rows, built, given.only)
        lines += [{"kind": "ratio", "replicate": replicate, **ratio} for ratio in ratios]
        print(table.shown(ratios, rows), flush=True)
    out = given.out or place / "results.jsonl"
    out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(f"lines of JSON: {out}")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        print(f"compare: {failed}", file=sys.stderr)
        sys.exit(1)
