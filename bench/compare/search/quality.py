"""Whether the answers are good: both engines' rankings against judgments, labels and known items, query by query.

The metrics are computed here for both from the ids that each gave, and for ours compared with what `bench -- search` says of itself, whose code is another.
NDCG@10: gain = rating, discount 1 / log2(rank + 1), ideal over all judged; queries without a gain above 0 are left out. Condensed: without what nobody judged.
"""

import gzip
import json
import math

import common
import engines
from common import Failed

DEPTH = 3_000  # hits read of a ranking, those of other sets included
TOP = 10
EQUAL = 1e-6  # two floats that should be one


def dcg(gains):
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains[:TOP]))


def ndcg(ids, judged, condensed=False):
    ideal = dcg(sorted(judged.values(), reverse=True))
    ids = [found for found in ids if found in judged] if condensed else ids
    return dcg([judged.get(found, 0) for found in ids]) / ideal if ideal > 0 else None


def reciprocal_rank(ids, right):
    ranks = [rank for rank, found in enumerate(ids[:TOP], 1) if found in right]
    return 1 / ranks[0] if ranks else 0.0


def sign_test(wins, losses):
    """Two-sided: how likely at least so uneven a count is where neither is better. Ties are left out."""
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n
    return min(1.0, 2 * tail)


def then(first, second):
    """All-terms answers, then the any-terms ones that are not among them."""
    return [dict(one, ids=list(dict.fromkeys(one["ids"] + other["ids"]))) for one, other in zip(first, second, strict=True)]


def read(path):
    with open(path, encoding="utf-8") as file:
        heading, *lines = (line.rstrip("\n").split("\t") for line in file if line.strip())
    return [dict(zip(heading, line)) for line in lines]


def gains(data, name):
    if name == "icecat":
        judged = {}
        for row in read(data / "icecat" / "judgments_dev.tsv"):
            judged.setdefault(row["query_id"], {})["i" + row["product_id"]] = int(row["rating"])
        return judged
    with gzip.open(data / "fashion" / "products.jsonl.gz", "rt", encoding="utf-8") as file:
        products = [json.loads(line) for line in file]
    judged = {}
    for row in read(data / "fashion" / "queries_dev.tsv"):
        wanted = json.loads(row["want_json"])
        alike = [product for product in products if product["article_type"] == wanted["article_type"]]
        judged[row["query_id"]] = {"f" + p["id"]: 1.0 if all(p[name] == value for name, value in wanted.items()) else 0.5 for p in alike}
    return judged


def answers(ours, corpus, words):
    """The line of the case, and a row a query."""
    words = [ours, "search", "--products", corpus, *words, "--mode", "default", "--passes", 1, "--rows", "--depth", DEPTH, "--json"]
    lines = [json.loads(line) for line in common.run([str(word) for word in words], timeout=engines.SECONDS_MAX).stdout.splitlines()]
    return lines[0], lines[1:]


def compare(ours, peer, corpus, data):
    return [judged(ours, peer, corpus, data, "icecat"), judged(ours, peer, corpus, data, "fashion"), misspelt(ours, peer, corpus, data)]


def judged(ours, peer, corpus, data, name):
    queries, own = data / name / "queries_dev.tsv", name[0]
    words = ["--queries", queries]
    words += ["--judgments", data / name / "judgments_dev.tsv"] if name == "icecat" else ["--labels", data / name / "products.jsonl.gz"]
    line, mine = answers(ours, corpus, words)
    theirs = then(*(peer.answers(queries, mode, DEPTH, own) for mode in ("all", "any")))
    of = gains(data, name)
    figures = {"kind": "quality", "set": name, "metric": "ndcg10"}
    scores = {}
    for engine, rows in (("ours", mine), ("tantivy", theirs)):
        ids = {row["query_id"]: row["ids"] for row in rows}
        scores[engine] = {query: ndcg(ids.get(query, []), of[query]) for query in of}
        scores[engine] = {query: score for query, score in scores[engine].items() if score is not None}
        figures[engine] = mean(scores[engine].values())
        if name == "icecat":
            figures[f"{engine}_condensed"] = mean(ndcg(ids.get(query, []), of[query], condensed=True) for query in scores[engine])
            figures[f"{engine}_unjudged"] = mean(sum(one not in of[query] for one in ids.get(query, [])[:TOP]) / max(1, len(ids.get(query, [])[:TOP])) for query in of)
    same(line["ndcg10"], figures["ours"])
    if name == "icecat":
        same(line["ndcg10_condensed"], figures["ours_condensed"])
        same(line["unjudged10"], figures["ours_unjudged"])
    return figures | duel(scores["ours"], scores["tantivy"])


def misspelt(ours, peer, corpus, data):
    file = data / "typos" / "typos_dev.tsv"
    line, mine = answers(ours, corpus, ["--typos", file])
    right = {row["typo_query"]: set(row["relevant_ids"].split(",")) for row in read(file)}
    theirs = peer.answers(file, "fuzzy", TOP, None)
    scores = {engine: {row["query_id"]: reciprocal_rank(row["ids"], right[row["query_id"]]) for row in rows} for engine, rows in (("ours", mine), ("tantivy", theirs))}
    figures = {"kind": "quality", "set": "typos", "metric": "mrr10", "ours": mean(scores["ours"].values()), "tantivy": mean(scores["tantivy"].values())}
    same(line["mrr10"], figures["ours"])
    return figures | duel(scores["ours"], scores["tantivy"])


def same(said, found):
    if abs(said - found) > EQUAL:
        raise Failed(f"bench says {said} where the same ids come to {found}")


def mean(figures):
    figures = list(figures)
    return sum(figures) / len(figures)


def duel(ours, theirs):
    wins = sum(ours[query] > theirs[query] + EQUAL for query in ours)
    losses = sum(ours[query] < theirs[query] - EQUAL for query in ours)
    return {"queries": len(ours), "wins": wins, "losses": losses, "p": sign_test(wins, losses)}


def shown(found):
    lines = [f"{'answers':<20} {'tantivy':>8} {'ours':>8} {'wins':>5} {'losses':>6} {'of':>4} {'p':>7}   tantivy: all then any; fuzzy for typos"]
    for one in found:
        name = f"{one['set']} {one['metric']}"
        lines.append(f"{name:<20} {one['tantivy']:>8.4f} {one['ours']:>8.4f} {one['wins']:>5} {one['losses']:>6} {one['queries']:>4} {one['p']:>7.4f}")
        for part in ("condensed", "unjudged"):
            if f"ours_{part}" in one:
                lines.append(f"{'  ' + part:<20} {one['tantivy_' + part]:>8.4f} {one['ours_' + part]:>8.4f}")
    return "\n".join(lines) + "\n"
