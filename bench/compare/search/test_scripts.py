"""What the scripts compute, on rows made by hand: no engine is built or run. `python3 -m unittest test_scripts`, in this folder."""

import math
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import engines  # noqa: E402
import quality  # noqa: E402
import table  # noqa: E402

SECOND = 1 / math.log2(3)


class Metrics(unittest.TestCase):
    def test_rankings(self):
        for ids, judged, plain, condensed in [
            (["a", "b"], {"a": 3, "b": 2}, 1, 1),
            (["x", "a"], {"a": 3}, SECOND, 1),
            (["z", "a"], {"a": 1, "z": 0}, SECOND, SECOND),
            (["x"] * 10 + ["a"], {"a": 1}, 0, 1),
            ([], {"a": 1}, 0, 0),
        ]:
            self.assertAlmostEqual(quality.ndcg(ids, judged), plain, msg=f"{ids}")
            self.assertAlmostEqual(quality.ndcg(ids, judged, condensed=True), condensed, msg=f"{ids}")
        self.assertIsNone(quality.ndcg(["a"], {"a": 0}), "tells nothing")

    def test_known_items(self):
        for ids, rank in [(["a"], 1), (["x", "y", "a"], 3), (["x"], 0), (["x"] * 10 + ["a"], 0)]:
            self.assertAlmostEqual(quality.reciprocal_rank(ids, {"a"}), 1 / rank if rank else 0)

    def test_signs(self):
        for wins, losses, p in [(0, 0, 1), (5, 5, 1), (5, 0, 2 / 32), (0, 5, 2 / 32), (9, 1, 2 * 11 / 1024)]:
            self.assertAlmostEqual(quality.sign_test(wins, losses), p)
        self.assertEqual(quality.duel({"a": 1, "b": 0.5, "c": 0}, {"a": 0, "b": 0.5, "c": 1})["wins"], 1)

    def test_all_then_any(self):
        found = quality.then([{"query_id": "q", "ids": ["b"]}], [{"query_id": "q", "ids": ["a", "b", "c"]}])
        self.assertEqual(found[0]["ids"], ["b", "a", "c"])


class Tables(unittest.TestCase):
    def test_medians_and_ratios(self):
        def row(engine, work, case, cpu, **more):
            return {"engine": engine, "work": work, "case": case, "cpu_us_per_op": cpu, "documents": 9, "load1": 1.0, "rss_mb": 7.0, **more}

        rows = [{"engine": "ours", "case": "build", "documents": 9, "documents_per_cpu_s": 100, "index_mb": 4, "rss_mb": 8}]
        rows += [row("ours", "any", "any", cpu, cpu_p99_us=30.0) for cpu in (10, 90, 20)]
        rows += [row("tantivy", "any", "any", cpu, cpu_p99_us=60.0) for cpu in (80, 70, 90)]
        rows += [row("ours", "any-in-stock", "any", 21)]
        rows += [row("ours", "update", "update", 1, p99_us=2.0), row("tantivy", "update", "update", 100, p99_us=200.0)]
        rows += [row("tantivy", "fuzzy", "fuzzy", 50, cpu_p99_us=70.0)]
        found = {one["work"]: one for one in table.ratios(rows, {"documents_per_cpu_s": 50, "index_mb": 8}, table.WORKS)}
        self.assertEqual((found["any"]["ours"], found["any"]["tantivy"], found["any"]["ratio"], found["any"]["p99_ratio"]), (20, 80, 0.25, 0.5))
        self.assertEqual(found["any-in-stock, beside ours without"]["ratio"], 21 / 20)
        self.assertEqual((found["update"]["p99"], found["update"]["p99_ratio"]), ("p99_us", 0.01))
        self.assertEqual((found["fuzzy"]["ours"], found["fuzzy"]["ratio"], found["fuzzy"]["tantivy_p99"]), (None, None, 70))
        self.assertEqual(found["products a CPU-second, built"]["ratio"], 2)
        shown = table.shown(list(found.values()), rows)
        self.assertEqual(len(shown.strip().splitlines()), 2 + len(found))

    def test_every_work_is_asked_of_somebody(self):
        self.assertTrue(all(theirs or ours for theirs, ours in table.TURNS.values()))
        self.assertTrue(set(table.BESIDE) <= set(table.TURNS) and set(engines.ANSWERS) <= set(table.TURNS))


if __name__ == "__main__":
    unittest.main()
