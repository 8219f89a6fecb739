"""Nineteen thousand real products: imported, found, sold, and still there after a stop and after a kill.

Needs the data sets: EMPORION_DATA, or ../shared/data beside the repository.
"""

import re
import time
import unittest

import clients
import shop as shops
import trade
from shop import Shop
from trade import Merchant, path_key, ready_guest

PRODUCTS = 19_406


class Icecat(unittest.TestCase):
    """One shop, in the order a merchant would go; each step needs the one before."""

    def test_a_merchants_day(self):
        file = shops.data_folder() / "icecat" / "products.jsonl.gz"
        with Shop("--per-address", "0") as shop:
            self.shop = shop
            began = time.monotonic()
            self.load(file, created=PRODUCTS)
            print(f"\nimported {PRODUCTS} products in {time.monotonic() - began:.1f} s, {shop.memory_mb():.0f} MB resident")
            self.connect()
            self.finds_ink()
            self.finds_the_thing_itself()
            self.finds_others_like_it()
            self.shows_a_new_price()
            self.sells_out("1399")
            self.load(file, unchanged=PRODUCTS)
            self.stock_is("1400", on_hand=25, available=23, committed=2)

            stopping = shop.stop()
            checked = shop.run("verify", shop.data)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
            starting = shop.start()
            print(
                f"stopped in {stopping:.2f} s, ready again in {starting:.2f} s ({shop.cpu_s():.2f} s of processor), {shop.memory_mb():.0f} MB resident"
            )
            self.all_there()
            shop.kill()
            restarting = shop.start()
            print(
                f"killed, ready again in {restarting:.2f} s ({shop.cpu_s():.2f} s of processor), {shop.memory_mb('VmHWM'):.0f} MB at most"
            )
            self.all_there()

    def connect(self):
        self.client = clients.Http3(self.shop)
        self.merchant = Merchant(self.client, self.shop.token)

    def load(self, file, **wanted):
        """Runs the import command; it exits with 0 and counts as wanted."""
        done = self.shop.run("import", "--data", self.shop.data, "--format", "icecat", file)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, said[-2_000:])
        told = {word: 0 for word in ("created", "updated", "unchanged", "refused")}
        for number, word in re.findall(r"([\d,]+) (created|updated|unchanged|refused)", said):
            told[word] = int(number.replace(",", ""))
        self.assertEqual(told, {**dict.fromkeys(told, 0), **wanted}, said[-2_000:])

    def search(self, query):
        answer = trade.ask(self.client, "GET", f"/v1/search?{query}")
        self.assertEqual(answer.status, 200, str(answer))
        return answer.json

    def stock_is(self, key, **columns):
        row, holds = self.merchant.stock(key)
        self.assertEqual({name: row[name] for name in columns}, columns, row)
        self.assertEqual(holds, [])

    def finds_ink(self):
        found = self.search("q=hp+ink+cartridge&facets=brand&limit=10&total=true")
        self.assertEqual(len(found["items"]), 10)
        for item in found["items"]:
            product = trade.ask(self.client, "GET", f"/v1/products/{item['product']['id']}").json
            text = f"{product['title']} {product['description']}".lower()
            self.assertTrue("ink" in text and "cartridge" in text, f"no ink cartridge: {product['title']!r}, {product['description']!r}")
        brands = found["facets"]["brand"]["values"]
        self.assertEqual(brands[0]["value"], "HP", brands)
        self.assertGreater(brands[0]["count"], 100)
        self.assertEqual(self.search("q=zzzz&total=true")["total"], 0)
        self.assertEqual(self.search("total=true&limit=1")["total"], PRODUCTS)
        print(f"'hp ink cartridge': {found['total']} found in {found['took_us']} us, first {found['items'][0]['product']['title']!r}")

    def finds_the_thing_itself(self):
        """A word for a thing finds ten of it, and nothing that goes with it."""
        goes_with = re.compile(r"\b(case|bag|sleeve|backpack|stand|lock|batter|adapter|cable|cover|mount|arm|toner|cartridge|dock|charger|spare|filter|roller|cooler)")
        for query, kind in [
            ("laptop", r"notebook|laptop"),
            ("notebook", r"notebook"),
            ("printer", r"printer"),
            ("monitor", r"monitor"),
            ("headphones", r"headphones?"),
        ]:
            titles = [item["product"]["title"] for item in self.search(f"q={query}&limit=10")["items"]]
            self.assertEqual(len(titles), 10, titles)
            for title in titles:
                self.assertRegex(title.lower(), kind, f"{query} shows {titles}")
                self.assertNotRegex(title.lower(), goes_with, f"{query} shows {titles}")
            print(f"{query}: {titles[0]!r}, {titles[-1]!r}")

    def shows_a_new_price(self):
        """A changed price is in the very next answer, among all the others: shown, and filtered by."""
        path = f"/v1/admin/products/{path_key('probe')}"
        for amount in (23_401, 3, 99_999_999):
            written = self.merchant.ask("PUT", path, trade.product("probe", amount, None, title="HP 80 Original Cyan"))
            self.assertIn(written.status, (200, 201), str(written))
            found = self.search(f"q=hp+80+original+cyan&filter=price:{amount}..{amount}&limit=100")["items"]
            shown = {item["product"]["key"]: item["product"]["price"]["amount"] for item in found}
            self.assertEqual(shown.get("probe"), amount, shown)
        self.assertLess(self.merchant.ask("DELETE", path).status, 300)

    def finds_others_like_it(self):
        """What is like a thing of a kind is of that kind, nine times of ten at least: like a scanner may be a printer that scans."""
        for query, kind in [
            ("q=laserjet+laser+printer&filter=price:20000..", r"printer|laserjet|multifunction|mfp"),
            ("q=black+toner+cartridge", r"toner"),
            ("q=designjet+ink+cartridge+cyan", r"ink|printhead"),
            ("q=notebook+case", r"case|bag|sleeve|backpack|briefcase"),
            ("q=lcd+monitor", r"monitor|display"),
            ("q=sheet-fed+scanner", r"scan"),
            ("q=memory+module+1gb", r"memory|ram"),
            ("q=power+adapter", r"adapter|power|charger"),
        ]:
            (item,) = self.search(f"{query}&limit=1")["items"]
            one = item["product"]
            answer = trade.ask(self.client, "GET", f"/v1/products/{one['id']}/similar?limit=10&filter=in_stock:true")
            self.assertEqual(answer.status, 200, str(answer))
            others = [other["product"] for other in answer.json["items"]]
            self.assertEqual(len(others), 10, f"{one['title']!r} is like {[other['title'] for other in others]}")
            self.assertNotIn(one["id"], [other["id"] for other in others])
            products = [trade.ask(self.client, "GET", f"/v1/products/{other['id']}").json for other in others]
            texts = [f"{product['title']} {product['description']}".lower() for product in products]
            of_kind = [text for text in texts if re.search(kind, text)]
            self.assertGreaterEqual(len(of_kind), 9, f"{one['title']!r} is like {texts}")
            print(f"like {one['title']!r}: {others[0]['title']!r}, {others[1]['title']!r}")

    def sells_out(self, key):
        """Two of 1400; then all of `key`, which the in-stock filter forgets at once."""
        self.stock_is("1400", on_hand=25, available=25, committed=0)
        self.assertEqual(ready_guest(self.client, "1400", 2).check_out().status, 201)
        self.stock_is("1400", on_hand=25, available=23, committed=2)
        query = "q=hp+80+original+cyan&filter=in_stock:true&limit=100"
        listed = [item["product"]["key"] for item in self.search(query)["items"]]
        self.assertIn(key, listed)
        bought = ready_guest(self.client, key, 25).check_out()
        self.assertEqual(bought.status, 201, str(bought))
        listed = [item["product"]["key"] for item in self.search(query)["items"]]
        self.assertNotIn(key, listed, "sold out, and still shown as in stock")
        self.order = bought.json["id"]

    def all_there(self):
        self.connect()
        self.assertEqual(self.search("total=true&limit=1")["total"], PRODUCTS)
        self.stock_is("1400", on_hand=25, available=23, committed=2)
        self.stock_is("1399", on_hand=25, available=0, committed=25)
        self.assertIn(self.order, [order["id"] for order in self.merchant.orders()])
        listed = [item["product"]["key"] for item in self.search("q=hp+80+original+cyan&filter=in_stock:true&limit=100")["items"]]
        self.assertNotIn("1399", listed)
        product = trade.ask(self.client, "GET", f"/v1/products/{path_key('1399')}").json
        self.assertEqual((product["brand"], product["variants"][0]["price"]["amount"]), ("HP", 12595))


if __name__ == "__main__":
    unittest.main(verbosity=2)
