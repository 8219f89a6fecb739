"""Search, suggestions, import and stock."""

import re
import unittest
import urllib.parse

from contract import Contract, over_all_protocols
from trade import Merchant, money, new_key, path_key, product, ready_guest


class Finding(Contract):
    """What a merchant writes and a shopper finds."""

    # -- finding ---------------------------------------------------------------------------------------------------------------------------

    def search(self, **query):
        """A search that must succeed."""
        answer = self.ask("GET", "/v1/search?" + urllib.parse.urlencode(query, doseq=True))
        self.assertEqual(answer.status, 200, str(answer))
        return answer

    def keys(self, **query):
        """Keys found, in order."""
        return [item["product"]["key"] for item in self.search(**query).json["items"]]

    def test_search_with_facets(self):
        brands = ["Norden", "Sudwerk", "Ostra"]
        lines = [
            product(
                f"facet-{n:02}",
                price=1000 + 100 * n,
                on_hand=0 if n % 5 == 0 else 9,
                title=f"Quokka kettle number {n}",
                brand=brands[n % 3],
                category="kitchen/kettles" if n % 2 else "kitchen/pots",
                attributes={"t_colour": ["red", "green"][n % 2], "n_width": float(n), "b_loud": n % 2 == 0},
            )
            for n in range(30)
        ]
        _, summary = self.merchant.load(*lines)
        self.assertEqual((summary["created"], summary["refused"]), (30, 0))
        first = self.search(
            q="quokka kettle", facets="brand,attr.t_colour,in_stock,category,price:histogram(5)", limit=10, total="true"
        ).json
        self.assertEqual((first["total"], len(first["items"])), (30, 10))
        counts = {row["value"]: row["count"] for row in first["facets"]["brand"]["values"]}
        self.assertEqual(counts, {"Norden": 10, "Sudwerk": 10, "Ostra": 10})
        self.assertEqual({row["value"]: row["count"] for row in first["facets"]["attr.t_colour"]["values"]}, {"red": 15, "green": 15})
        self.assertEqual({row["value"]: row["count"] for row in first["facets"]["in_stock"]["values"]}, {"true": 24, "false": 6})
        (prices,) = [facet for name, facet in first["facets"].items() if name.startswith("price")]
        self.assertEqual((prices["stats"]["min"], prices["stats"]["max"]), (1000, 3900))
        self.assertEqual(sum(row["count"] for row in prices["values"]), 30)
        item = first["items"][0]
        self.assertEqual(set(item["product"]) - {"image", "rating"}, {"id", "key", "title", "brand", "category", "price", "in_stock"})
        self.assertRegex(item["sku"], r"^sku_[0-9a-z]{26}$")

        base = {"q": "quokka", "limit": 100}
        self.assertEqual(self.keys(**base, sort="price"), [f"facet-{n:02}" for n in range(30)])
        self.assertEqual(self.keys(**base, sort="-price")[:2], ["facet-29", "facet-28"])
        self.assertEqual(len(self.keys(**base, filter="brand:Norden|Ostra")), 20)
        self.assertEqual(sorted(self.keys(**base, filter=["brand:Norden", "price:..1300"])), ["facet-00", "facet-03"])
        self.assertEqual(len(self.keys(**base, filter="in_stock:true")), 24)
        self.assertEqual(len(self.keys(**base, filter="attr.n_width:10..14")), 5)
        self.assertEqual(len(self.keys(**base, filter="attr.t_colour:red", category="kitchen")), 15)
        self.assertEqual(len(self.keys(**base, category="kitchen/kettles")), 15)
        chosen = self.search(**base, filter="brand:Ostra", facets="brand").json["facets"]["brand"]["values"]
        self.assertEqual([row["value"] for row in chosen if row["selected"]], ["Ostra"])

        paged, path = [], "/v1/search?q=quokka&sort=price&limit=7"
        while path:
            answer = self.ask("GET", path)
            paged += [item["product"]["key"] for item in answer.json["items"]]
            link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
            self.assertEqual(bool(link), answer.json["next"] is not None)
            path = link and link.group(1)
        self.assertEqual(paged, [f"facet-{n:02}" for n in range(30)], "pages neither repeat nor lose")

        self.assertEqual(self.keys(q='"kettle number 7"', limit=100), ["facet-07"], "quoted words stand side by side")
        self.assertEqual(self.keys(q='"number kettle"', limit=100), [])
        self.assertEqual(len(self.keys(q='quokka -7 -"number 8"', limit=100)), 28)

        nothing = self.search(q="zzzz", total="true").json
        self.assertEqual((nothing["items"], nothing["next"], nothing["total"]), ([], None, 0))
        for wrong in ("filter=brand", "filter=price:a..b", "facets=colour", "sort=cheap", "limit=0", "limit=101", "q=a&q=b", "q=" + 9 * "-a+"):
            self.problem(self.ask("GET", f"/v1/search?{wrong}"), 422, "validation_failed")
        self.problem(self.ask("GET", "/v1/search?after=AAAA"), 400, "bad_cursor")

    def test_conditions_on_fields(self):
        brands = ["Zephyr & Sons", "Yonder"]
        lines = [
            product(
                f"field-{n:02}",
                title=f"Wombat {'desk' if n < 8 else 'floor'} lamp",
                description="Yonder in the dark",
                brand=brands[n % 2],
                category=f"fields/{'reading-lamps' if n % 4 else 'torches'}",
                attributes={"Lamp colour": ["dark red", "green"][n % 2], "n_watts": float(n)},
            )
            for n in range(16)
        ]
        # One product alone has it, on whichever shard.
        lines.append(product("field-odd", title="Wombat", brand="Yonder", attributes={"Only here": "wombat lamp"}))
        _, summary = self.merchant.load(*lines)
        self.assertEqual((summary["created"], summary["refused"]), (17, 0))
        every = [f"field-{n:02}" for n in range(16)]

        def keys(q, **more):
            return sorted(self.keys(q=q, limit=100, **more))

        self.assertEqual(keys("wombat lamp brand:yonder -only_here:lamp"), every[1::2])
        self.assertEqual(keys("wombat brand:\"zephyr sons\""), every[0::2])
        self.assertEqual(keys("wombat -brand:yonder lamp_colour:RED title:lamps"), every[0::2])
        self.assertEqual(keys("category:torch wombat"), every[0::4])
        self.assertEqual(keys("category:fields title:\"floor lamp\""), every[8:])
        self.assertEqual(keys("n_watts:3 womabt"), ["field-03"])
        self.assertEqual(keys("only_here:lamp"), ["field-odd"])
        self.assertEqual(keys("brand:yonder wombat", filter="attr.n_watts:3"), ["field-03"])
        # What is of no field is words.
        found = self.search(q="yonder:wombat lamp", limit=100).json
        self.assertEqual((found.get("relaxed", False), len(found["items"])), (False, 17))
        page = self.search(q="title:wombat brand:yonder", limit=4, total="true", facets="brand").json
        self.assertEqual((page["total"], len(page["items"])), (9, 4))
        self.assertEqual([row["value"] for row in page["facets"]["brand"]["values"]], ["Yonder"])
        rest = self.search(q="title:wombat brand:yonder", limit=100, after=page["next"]).json["items"]
        self.assertEqual(len(rest), 5)
        refused = self.ask("GET", "/v1/search?" + urllib.parse.urlencode({"q": "brand:x " * 9}))
        self.assertEqual((refused.status, refused.json["code"]), (422, "validation_failed"))

    def test_numbers_with_units(self):
        titles = {
            "unit-inch": 'Ocelot notebook 15,6", 16 GB',
            "unit-words": "Ocelot notebook of 14 inches with 8 gigabytes, 16 ports",
            "unit-litre": "Ocelot kettle 1.5 litres",
            "unit-ml": "Ocelot flask 1500 ml",
            "unit-kilo": "Ocelot sand 0.5 kg",
        }
        _, summary = self.merchant.load(*(product(key, title=title) for key, title in titles.items()))
        self.assertEqual((summary["created"], summary["refused"]), (5, 0))
        for query, wanted in [
            ("ocelot 15.6 inch", ["unit-inch"]),
            ("ocelot 15.6in notebook", ["unit-inch"]),
            ('14" ocelot', ["unit-words"]),
            ("ocelot 16gb", ["unit-inch"]),
            ("ocelot 16384 MB", ["unit-inch"]),
            ("ocelot 1,5 l", ["unit-litre", "unit-ml"]),
            ("150cl ocelot", ["unit-litre", "unit-ml"]),
            ("ocelot 500 grams", ["unit-kilo"]),
            ("title:500g", ["unit-kilo"]),
        ]:
            page = self.search(q=query, total="true", highlight="true").json
            full = page["items"][: page["total"]]
            self.assertEqual((sorted(item["product"]["key"] for item in full), page["total"]), (wanted, len(wanted)), query)
        marked = self.search(q="ocelot 1500ml", highlight="true").json["items"][:2]
        self.assertEqual(
            sorted(item["highlight"]["title"] for item in marked),
            ["<em>Ocelot</em> flask <em>1500</em> <em>ml</em>", "<em>Ocelot</em> kettle <em>1.5</em> <em>litres</em>"],
        )

    def test_menus_averages_and_typed_values(self):
        kinds = ["stoves/gas/small", "stoves/gas/large", "stoves/electric", "tents"]
        lines = [
            product(
                f"bandicoot-{n:02}",
                price=1000 + 3 * n,
                on_hand=3,
                title=f"Bandicoot thing {n}",
                brand=["Čapek & Söhne", "Old Capek", "Other"][n % 3],
                category="bandicoot-" + kinds[n % 4],
                attributes={"n_weight": n / 4},
            )
            for n in range(24)
        ]
        _, summary = self.merchant.load(*lines)
        self.assertEqual((summary["created"], summary["refused"]), (24, 0))
        base = {"q": "bandicoot", "limit": 1}

        def menu(**query):
            values = self.search(**base, **query).json["facets"]["category"]["values"]
            places = {row["value"]: (row["level"], row.get("parent"), row["name"]) for row in values}
            for value, place in places.items():
                above, _, name = value.rpartition("/")
                self.assertEqual(place, (value.count("/") + 1, above or None, name))
            return [(row["value"].removeprefix("bandicoot-"), row["count"], row["selected"]) for row in values]

        top = [("stoves", 18, False), ("tents", 6, False)]
        self.assertEqual(menu(facets="category:tree"), top)
        gas, electric = ("stoves/gas", 12, False), ("stoves/electric", 6, False)
        self.assertEqual(menu(facets="category:tree(2)"), [top[0], gas, electric, top[1]])
        large, small = ("stoves/gas/large", 6, False), ("stoves/gas/small", 6, False)
        chosen = menu(facets="category:tree", category="bandicoot-stoves/gas")
        self.assertEqual(chosen, [top[0], ("stoves/gas", 12, True), large, small, electric, top[1]], "counted as if none were chosen")
        both = menu(facets="category:tree", filter="category:bandicoot-stoves/electric|bandicoot-tents")
        self.assertEqual(both, [top[0], gas, ("stoves/electric", 6, True), ("tents", 6, True)])
        flat = menu(facets="category")
        self.assertEqual(flat, [top[0], gas, electric, large, small, top[1]])
        # A category without a product is there, at its place, with the way to it.
        self.merchant.load({"type": "category", "key": "bandicoot-empty", "name": "Empty", "parent": "bandicoot-stoves/gas"})
        values = self.search(**base, facets="category:tree", category="bandicoot-empty").json["facets"]["category"]["values"]
        wanted = {"value": "bandicoot-empty", "count": 0, "selected": True, "name": "Empty", "parent": "bandicoot-stoves/gas", "level": 3}
        self.assertEqual(values[values.index(wanted) - 3]["value"], "bandicoot-stoves/gas")

        # Numbers: range, average, and steps that are filters.
        found = self.search(**base, facets="price,rating,attr.n_weight:histogram(4)").json["facets"]
        self.assertEqual(found["price"]["stats"], {"min": 1000, "max": 1069, "avg": 1035}, "1034.5, halves up")
        self.assertEqual([row["value"] for row in found["rating"]["values"]], ["4..", "3..", "2..", "1.."])
        weights = found["attr.n_weight"]
        self.assertEqual(weights["stats"], {"min": 0, "max": 5.75, "avg": 2.875})
        self.assertEqual(sum(row["count"] for row in weights["values"]), 24)
        for row in weights["values"]:
            self.assertEqual(len(self.keys(q="bandicoot", limit=100, filter="attr.n_weight:" + row["value"])), row["count"], row)
        plain = self.search(**base, facets="attr.n_weight").json["facets"]["attr.n_weight"]
        self.assertEqual((plain["stats"], len(plain["values"])), (weights["stats"], 24))

        # Values by what was typed.
        def typed(facet, **query):
            values = self.search(**base, **query).json["facets"][facet]["values"]
            return [(row["value"], row["count"]) for row in values]

        both = [("Old Capek", 8), ("Čapek & Söhne", 8)]
        self.assertEqual(typed("brand", facet_query="brand:cap"), both)
        self.assertEqual(typed("brand", facet_query="brand:CAPEK so", facets="price,brand"), both[1:])
        self.assertEqual(typed("brand", facet_query="brand:cap", filter=["price:..1002", "brand:Other"]), [("Čapek & Söhne", 1)])
        of_gas = [("bandicoot-stoves/gas", 12), ("bandicoot-stoves/gas/large", 6), ("bandicoot-stoves/gas/small", 6)]
        self.assertEqual(typed("category", facet_query="category:gas"), of_gas)
        self.assertEqual(typed("attr.n_weight", facet_query="attr.n_weight:5."), [("5.25", 1), ("5.5", 1), ("5.75", 1)])
        self.assertEqual(typed("brand", facet_query="brand:zzz"), [])
        for wrong in (
            "facets=category:tree(0)",
            "facets=attr.n:histogram(1)",
            "facet_query=brand",
            "facet_query=price:1",
            "facet_query=rating:4",
            "facet_query=brand:a&facet_query=brand:b",
        ):
            self.problem(self.ask("GET", f"/v1/search?{wrong}"), 422, "validation_failed")

    def test_writes_are_found_at_once(self):
        for n in range(10):
            key = self.fresh(title=f"Wombat stool {n}", on_hand=1)
            self.assertEqual(self.keys(q=f"wombat stool {n}", limit=1), [key])
            rows, _ = self.merchant.load(product(key, title=f"Numbat bench {n}", on_hand=None))
            self.assertEqual(rows[0]["status"], "updated", rows)
            self.assertEqual(self.keys(q=f"numbat bench {n}", limit=1), [key])
            self.assertNotIn(key, self.keys(q="wombat", limit=100))
            self.assertIn(key, self.keys(q="numbat", filter="in_stock:true", limit=100))
            self.assertEqual(ready_guest(self.client, key, 1).check_out().status, 201)
            self.assertNotIn(key, self.keys(q="numbat", filter="in_stock:true", limit=100), "sold out, and the search knows")
            self.assertIn(key, self.keys(q="numbat", filter="in_stock:false", limit=100))
            gone = self.merchant.ask("DELETE", f"/v1/admin/products/{path_key(key)}")
            self.assertEqual(gone.status, 204, str(gone))
            self.assertNotIn(key, self.keys(q="numbat", limit=100))
            self.problem(self.ask("GET", f"/v1/products/{path_key(key)}"), 404, "not_found")

    def test_a_product_is_patched(self):
        key = self.fresh(title="Bilby lantern", brand="Norden", on_hand=3)
        path, read = f"/v1/admin/products/{path_key(key)}", lambda: self.ask("GET", f"/v1/products/{path_key(key)}")
        before = read()
        patched = self.merchant.ask("PATCH", path, {"title": "Bilby torch", "brand": None, "attributes": {"colour": "teal"}})
        self.assertEqual((patched.status, patched.json["status"]), (200, "updated"), str(patched))
        after = read().json
        self.assertEqual((after["title"], after["brand"], after["attributes"]["colour"]), ("Bilby torch", None, "teal"))
        kept = ("id", "key", "variants", "category", "description")
        self.assertEqual([after[name] for name in kept], [before.json[name] for name in kept])
        self.assertEqual(self.keys(q="bilby torch", filter="attr.colour:teal"), [key])
        same = self.merchant.ask("PATCH", path, {"title": "Bilby torch"}, content_type="application/merge-patch+json")
        self.assertEqual((same.status, same.json["status"]), (200, "unchanged"), str(same))
        # Who takes it out of the shop can read it, and bring it back.
        hidden = self.merchant.ask("PATCH", path, {"status": "draft"})
        self.assertEqual(hidden.status, 200, str(hidden))
        self.problem(read(), 404, "not_found")
        self.assertEqual(self.merchant.ask("GET", f"/v1/products/{path_key(key)}").json["status"], "draft")
        back = self.merchant.ask("PATCH", path, {"status": None})
        self.assertEqual((back.status, read().json["status"]), (200, "active"), str(back))
        stale = self.merchant.ask("PATCH", path, {"title": "Other"}, if_match='"0"')
        self.problem(stale, 412, "version_mismatch")
        self.problem(self.merchant.ask("PATCH", path, {"titel": "Other"}), 422, "validation_failed")
        self.problem(self.merchant.ask("PATCH", "/v1/admin/products/key=nobody-has-this", {"title": "Other"}), 404, "not_found")
        self.problem(self.ask("PATCH", path, {"title": "Other"}), 401, "unauthenticated")

    def test_hits_show_what_was_found(self):
        text = "A long story. " * 40 + "With <b>two</b> snurgles & a lid. " + "The end of it. " * 40
        key = self.fresh(title="Blorfin \"XL\" snurgle", description=text)
        (item,) = self.search(q="blorfin snurgel", highlight="true").json["items"]
        self.assertEqual(item["product"]["key"], key)
        marks = item["highlight"]
        self.assertEqual(marks["title"], "<em>Blorfin</em> &quot;XL&quot; <em>snurgle</em>")
        self.assertIn("With &lt;b&gt;two&lt;/b&gt; <em>snurgles</em> &amp; a lid.", marks["description"])
        self.assertLess(len(marks["description"]), 320)
        self.assertNotIn("highlight", self.search(q="blorfin").json["items"][0], "only when asked for")

    def similar(self, key, **query):
        """Keys of what is like a product, in order."""
        answer = self.ask("GET", f"/v1/products/{path_key(key)}/similar?" + urllib.parse.urlencode(query, doseq=True))
        self.assertEqual(answer.status, 200, str(answer))
        self.assertIsNone(answer.json["next"])
        return [item["product"]["key"] for item in answer.json["items"]]

    def test_similar_products(self):
        def lamp(key, title, price, on_hand, category="vombatia/lamps"):
            return product(key, title=title, price=price, on_hand=on_hand, category=category, brand="Vombat")

        rows, _ = self.merchant.load(
            lamp("sim-desk", "Vombat plurnish desk lamp", 5000, 3),
            lamp("sim-desk-2", "Vombat plurnish desk lamp, tall", 5500, 3),
            lamp("sim-desk-3", "Vombat plurnish desk lamp, long", 19000, 3),
            lamp("sim-desk-4", "Vombat plurnish desk lamp, wide", 5400, 0),
            lamp("sim-floor", "Vombat plurnish floor lamp", 5100, 3),
            lamp("sim-chair", "Vombat chair", 5000, 3, category="vombatia/chairs"),
        )
        self.assertEqual({row["status"] for row in rows}, {"created"})
        found = self.similar("sim-desk")
        self.assertEqual(set(found[:2]), {"sim-desk-2", "sim-desk-4"}, "the same kind at about the same price")
        self.assertEqual(set(found[2:4]), {"sim-desk-3", "sim-floor"}, found)
        self.assertNotIn("sim-desk", found, "the product itself")
        self.assertEqual(found, self.similar("sim-desk"), "asked again")
        self.assertEqual(self.similar("sim-desk", limit=2), found[:2])
        self.assertEqual(self.similar("sim-desk", filter=["in_stock:true", "price:..6000", "brand:Vombat"])[:2], ["sim-desk-2", "sim-floor"])
        self.assertEqual(self.similar("sim-desk", filter="brand:Nobody"), [])

        answer = self.ask("GET", f"/v1/products/{path_key('sim-desk')}/similar?limit=1")
        (item,) = answer.json["items"]
        self.assertEqual(set(item["product"]) - {"image", "rating"}, {"id", "key", "title", "brand", "category", "price", "in_stock"})
        self.assertRegex(item["sku"], r"^sku_[0-9a-z]{26}$")
        by_id = self.ask("GET", f"/v1/products/{item['product']['id']}/similar")
        self.assertIn("sim-desk", [other["product"]["key"] for other in by_id.json["items"]], "likeness is mutual here")

        self.assertEqual(self.merchant.ask("DELETE", f"/v1/admin/products/{path_key('sim-desk-2')}").status, 204)
        self.assertNotIn("sim-desk-2", self.similar("sim-desk", limit=100), "what is gone is gone at once")
        self.problem(self.ask("GET", f"/v1/products/{path_key('sim-desk-2')}/similar"), 404, "not_found")
        self.problem(self.ask("GET", f"/v1/products/{path_key('no such thing')}/similar"), 404, "not_found")
        for wrong in ("limit=0", "limit=101", "filter=colour:red", "q=lamp", "after=AAAA"):
            self.problem(self.ask("GET", f"/v1/products/{path_key('sim-desk')}/similar?{wrong}"), 422, "validation_failed")

    def test_did_you_mean(self):
        key = self.fresh(title="Quibbling zorplex")
        found = self.search(q="Quibbling zorpelx").json
        self.assertEqual([item["product"]["key"] for item in found["items"]], [key])
        self.assertEqual(found["did_you_mean"], "Quibbling zorplex")
        self.assertFalse(found.get("relaxed", False))
        exact = self.search(q="zorpelx", typo="false").json
        self.assertEqual((exact["items"], exact["did_you_mean"]), ([], "zorplex"))
        self.assertNotIn("did_you_mean", self.search(q="quibbling zorplex").json)
        some = self.search(q="quibbling zorplex vlimmerig").json
        self.assertEqual(([item["product"]["key"] for item in some["items"]], some["relaxed"]), ([key], True))

    def test_queries_are_counted(self):
        key = self.fresh(title="Wubblerish flonk")
        for _ in range(6):
            self.assertEqual(self.keys(q="Wubblerish  FLONK"), [key])
            self.assertEqual(self.keys(q="xqzzyv"), [])
        answer = self.merchant.ask("GET", "/v1/admin/search-queries?limit=100")
        self.assertEqual(answer.status, 200, str(answer))
        counted = {row["query"]: (row["searches"], row["without_results"]) for row in answer.json["items"]}
        self.assertEqual((counted["wubblerish flonk"], counted["xqzzyv"]), ((6, 0), (6, 6)))
        empty = self.merchant.ask("GET", "/v1/admin/search-queries?limit=100&without_results=true").json["items"]
        self.assertIn("xqzzyv", [row["query"] for row in empty])
        self.assertNotIn("wubblerish flonk", [row["query"] for row in empty])
        self.assertEqual(self.ask("GET", "/v1/suggest?q=wubb").json["queries"], ["wubblerish flonk"])
        self.problem(self.ask("GET", "/v1/admin/search-queries"), 401, "unauthenticated")

    # -- what a merchant sets --------------------------------------------------------------------------------------------------------------

    def set_up(self, path, body, status=201):
        """A setting that must be taken; it is gone after the test."""
        answer = self.merchant.ask("PUT", f"/v1/admin/{path}", body)
        self.assertEqual(answer.status, status, str(answer))
        self.addCleanup(self.merchant.ask, "DELETE", f"/v1/admin/{path}")
        return answer

    def test_synonyms(self):
        one, other = self.fresh(title="Vrimble, brass"), self.fresh(title="Snorbing gadget, brass")
        path = "synonyms/vrimbles%20and%20more"
        self.assertEqual(self.keys(q="vrimble"), [one])
        created = self.set_up(path, {"words": ["vrimble", "snorbing gadget"]})
        self.assertEqual((created.json["version"], created.json["words"]), (1, ["vrimble", "snorbing gadget"]))
        for text in ("vrimble", "Vrimbles brass", "snorbing gadgets", "vrimbel"):
            self.assertEqual(set(self.keys(q=text)), {one, other}, text)
        self.assertEqual(self.keys(q='"vrimble"'), [one], "what is quoted is meant")
        tag = created.headers["etag"]
        again = self.merchant.ask("GET", f"/v1/admin/{path}", if_none_match=tag)
        self.assertEqual(again.status, 304, str(again))
        one_way = {"typed": ["vrimble"], "found": ["snorbing gadget"]}
        self.assertEqual(self.merchant.ask("PUT", f"/v1/admin/{path}", one_way, if_match=tag).json["version"], 2)
        self.problem(self.merchant.ask("PUT", f"/v1/admin/{path}", one_way, if_match=tag), 412, "version_mismatch")
        self.assertEqual(self.keys(q="snorbing gadget"), [other])
        self.assertEqual(set(self.keys(q="vrimble")), {one, other})
        self.assertEqual(self.merchant.ask("DELETE", f"/v1/admin/{path}").status, 204)
        self.problem(self.merchant.ask("GET", f"/v1/admin/{path}"), 404, "not_found")
        self.assertEqual(self.keys(q="vrimble"), [one])
        wrongs = [{}, {"words": ["a"]}, {"words": ["a", "?"]}, {"words": ["a", "b c d e f"]}, {"words": ["a", "b"], "found": ["c"]}, {"word": []}]
        for wrong in wrongs:
            self.problem(self.merchant.ask("PUT", "/v1/admin/synonyms/wrong", wrong), 422, "validation_failed")
        self.problem(self.ask("PUT", "/v1/admin/synonyms/mine", {"words": ["a", "b"]}), 401, "unauthenticated")

    def test_rules_for_queries(self):
        plain = [self.fresh(title=f"Glimmering plonk {n}", price=1000 + n) for n in range(4)]
        far, hidden = self.fresh(title="Something else"), plain[3]
        path = "search-rules/plonks"
        rule = {
            "queries": [{"contains": "glimmering plonk"}],
            "pin": [{"place": 2, "product": f"key={far}"}],
            "hide": [f"key={hidden}"],
            "boost": [{"filter": "price:1002..1002", "percent": 80}],
            "banner": {"text": "Plonks <b>now</b>", "url": "/search?q=plonk"},
            "until": "2199-01-01T00:00:00Z",
        }
        created = self.set_up(path, rule).json
        self.assertRegex(created["pin"][0]["product"], r"^prod_[0-9a-z]{26}$")
        self.assertEqual([created[name] for name in ("boost", "banner", "until", "enabled")], [rule["boost"], rule["banner"], rule["until"], True])
        for text in ("glimmering plonk", "plonks, glimmering", "glimering plonk"):
            found = self.search(q=text, total="true").json
            keys = [item["product"]["key"] for item in found["items"]]
            self.assertEqual(keys[:2], [plain[2], far], text)
            self.assertEqual((set(keys), found["total"]), ({*plain, far} - {hidden}, 4))
            self.assertEqual([item["product"]["key"] for item in found["items"] if item.get("pinned")], [far])
            self.assertEqual(found["banner"], rule["banner"])
        self.assertNotIn(far, self.keys(q="glimmering plonk", filter=f"price:..{1003}"), "filters hold for pinned products too")
        self.assertIn(hidden, self.keys(q="plonk"), "another query")
        listed = self.merchant.ask("GET", "/v1/admin/search-rules?limit=100").json
        self.assertIn("plonks", [row["key"] for row in listed["items"]])

        self.set_up(path, {**rule, "redirect": "/search?category=plonks"}, status=200)
        self.assertEqual(self.search(q="glimmering plonk").json["redirect"], "/search?category=plonks")
        page = self.ask("GET", "/search?q=glimmering+plonk")
        self.assertEqual((page.status, page.headers.get("location")), (303, "/search?category=plonks"), str(page))
        self.set_up(path, {**rule, "redirect": "/search?q=glimmering+plonk"}, status=200)
        page = self.ask("GET", "/search?q=glimmering+plonk")
        self.assertEqual(page.status, 200, "not in a circle")
        self.assertIn('<a href="/search?q=plonk">Plonks &#60;b&#62;now&#60;/b&#62;</a>', page.body.decode())
        self.set_up(path, {**rule, "enabled": False}, status=200)
        self.assertNotIn(far, self.keys(q="glimmering plonk"))
        for wrong in (
            {**rule, "queries": []},
            {**rule, "pin": [{"place": 0, "product": f"key={far}"}]},
            {**rule, "pin": [{"place": 1, "product": "key=nobody"}]},
            {**rule, "hide": [f"key={far}"]},
            {**rule, "boost": [{"filter": "colour", "percent": 1}]},
            {**rule, "redirect": "javascript:alert(1)"},
            {**rule, "until": "tomorrow"},
            {"queries": rule["queries"]},
        ):
            self.problem(self.merchant.ask("PUT", f"/v1/admin/{path}", wrong), 422, "validation_failed")

    def test_ranking_and_preferences(self):
        keys = [self.fresh(title=f"Tromble {word}", brand=brand, popularity=popularity, price=price)
                for word, brand, popularity, price in (("", "Ada", 0, 500), ("of tin", "Bob", 900_000, 900), ("of zinc", "Cyd", 0, 700))]
        self.assertEqual(self.keys(q="tromble")[0], keys[0])
        self.assertEqual(self.keys(q="tromble", prefer="brand:Cyd|Dan^90")[0], keys[2])
        self.assertEqual(self.keys(q="tromble", prefer=["price:800..^90", "brand:Bob^-200"])[-1], keys[1])
        before = self.merchant.ask("GET", "/v1/admin/search-ranking")
        self.assertEqual((before.status, before.json["popularity"]), (200, 0), str(before))
        self.addCleanup(self.merchant.ask, "PUT", "/v1/admin/search-ranking", {})
        put = self.merchant.ask("PUT", "/v1/admin/search-ranking", {"popularity": 100})
        self.assertEqual((put.status in (200, 201), put.json["popularity"], put.json["rating"]), (True, 100, 0), str(put))
        self.assertEqual(self.keys(q="tromble")[0], keys[1])
        self.problem(self.merchant.ask("PUT", "/v1/admin/search-ranking", {"rating": 401}), 422, "validation_failed")
        self.problem(self.merchant.ask("PUT", "/v1/admin/search-ranking", {"novelty": 1}), 422, "validation_failed")
        self.problem(self.ask("GET", "/v1/search?q=a&prefer=brand:HP"), 422, "validation_failed")

    def test_what_is_earned_is_shown_to_the_merchant(self):
        keys = [self.fresh(title=f"Quibble {word}", margin=margin) for word, margin in (("", None), ("of tin", 70), ("of zinc", -20))]
        self.assertEqual(self.keys(q="quibble")[0], keys[0])
        self.addCleanup(self.merchant.ask, "PUT", "/v1/admin/search-ranking", {})
        put = self.merchant.ask("PUT", "/v1/admin/search-ranking", {"margin": 100})
        self.assertEqual((put.status in (200, 201), put.json["margin"]), (True, 100), str(put))
        self.assertEqual(self.keys(q="quibble")[0], keys[1])
        path = f"/v1/products/{path_key(keys[1])}"
        self.assertEqual(self.merchant.ask("GET", path).json["margin"], 70)
        self.assertNotIn("margin", str(self.ask("GET", path)))
        search = "/v1/search?q=quibble&explain=true"
        self.assertIn("margin", str(self.merchant.ask("GET", search)))
        self.assertNotIn("margin", str(self.ask("GET", search)))
        patched = self.merchant.ask("PATCH", f"/v1/admin/products/{path_key(keys[2])}", {"margin": 90})
        self.assertEqual(patched.status, 200, str(patched))
        self.assertEqual(self.keys(q="quibble")[0], keys[2])
        wrong = self.merchant.ask("PATCH", f"/v1/admin/products/{path_key(keys[2])}", {"margin": 101})
        self.problem(wrong, 422, "validation_failed")

    def test_completions(self):
        self.fresh(title="Zanzibarian teapot")
        answer = self.ask("GET", "/v1/suggest?q=zanzib")
        self.assertEqual(answer.status, 200, str(answer))
        self.assertIn("zanzibarian", [text.lower() for text in answer.json["completions"]])

    # -- the merchant ----------------------------------------------------------------------------------------------------------------------

    def test_import_line_by_line(self):
        key = self.fresh()
        rows, summary = self.merchant.load(
            product(key),
            product(key, price=2999),
            {"type": "product", "key": "broken"},
            {"type": "stock", "sku": key, "location": "main", "mode": "delta", "quantity": 5, "id": f"{key}-1"},
            {"type": "stock", "sku": key, "location": "main", "mode": "delta", "quantity": 5, "id": f"{key}-1"},
            {"type": "nonsense"},
        )
        self.assertEqual([row["line"] for row in rows], [1, 2, 3, 4, 5, 6])
        self.assertEqual([row["status"] for row in rows], ["unchanged", "updated", "refused", "updated", "unchanged", "refused"], rows)
        self.assertEqual(
            {name: summary[name] for name in ("created", "updated", "unchanged", "refused")},
            {"created": 0, "updated": 2, "unchanged": 2, "refused": 2},
        )
        self.assertEqual(rows[2]["error"]["code"], "validation_failed")
        self.stock_is(key, on_hand=30, available=30)
        self.assertEqual(self.ask("GET", f"/v1/products/{path_key(key)}").json["variants"][0]["price"], money(2999))

    def test_stock_adjustments(self):
        key = self.fresh(on_hand=10)
        self.assertEqual(ready_guest(self.client, key, 4).check_out().status, 201)

        def adjust(**change):
            body = {"sku": f"key={key}", "location": "main", "reason": "count", **change}
            return self.merchant.ask("POST", "/v1/admin/stock/adjust", body, idempotency_key=new_key())

        more = adjust(delta=5)
        self.assertEqual((more.status, more.json["locations"][0]["available"]), (200, 11), str(more))
        self.assertEqual(self.problem(adjust(set=20, expected=3), 409, "stock_mismatch")["actual"], 15)
        self.assertEqual(adjust(set=20, expected=15).json["locations"][0]["on_hand"], 20)
        committed = self.problem(adjust(set=3), 409, "stock_committed")
        self.assertEqual((committed["available"], committed["committed"]), (16, 4))
        self.problem(adjust(delta=1, set=1), 422, "validation_failed")
        self.stock_is(key, on_hand=20, available=16, committed=4, held=0)
        body = {"sku": f"key={key}", "location": "main", "delta": -1, "reason": "broke"}
        idem = new_key()
        for _ in range(3):
            self.assertEqual(self.merchant.ask("POST", "/v1/admin/stock/adjust", body, idempotency_key=idem).status, 200)
        self.stock_is(key, on_hand=19, available=15)
        live = self.ask("GET", f"/v1/stock?sku={path_key(key)}").json["items"]
        self.assertEqual([(row["key"], row["availability"]["quantity"]) for row in live], [(key, 10)])

    def test_roles(self):
        path = f"/v1/admin/stock/{path_key(self.fresh())}"
        self.problem(self.ask("GET", path), 401, "unauthenticated")
        self.problem(self.ask("GET", path, headers={"authorization": "Bearer x.y.z"}), 401, "unauthenticated")
        self.problem(self.ask("GET", "/v1/search?q=a", headers={"authorization": "Bearer x.y.z"}), 401, "unauthenticated")
        minted = self.shop.run("token", "--data", self.shop.data, "--role", "warehouse")
        self.assertEqual(minted.returncode, 0, minted.stderr)
        warehouse = Merchant(self.client, minted.stdout.strip())
        self.assertEqual(warehouse.ask("GET", path).status, 200)
        self.problem(warehouse.ask("DELETE", "/v1/admin/products/key=x"), 403, "forbidden")
        spoilt = minted.stdout.strip()[:-4] + "AAAA"
        self.problem(Merchant(self.client, spoilt).ask("GET", path), 401, "unauthenticated")


globals().update(over_all_protocols(Finding))

if __name__ == "__main__":
    unittest.main(verbosity=2)
