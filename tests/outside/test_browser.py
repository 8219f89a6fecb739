"""A buyer with a browser: Chromium, once over HTTP/2 and once over HTTP/3, from the home page to an order and its cancelling."""

import re
import unittest

import clients
from browser import Browser
from shop import Shop
from trade import Merchant, product

BUYER = {
    "email": "ada@example.org",
    "name": "Ada Byron <ada>",
    "line1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
}
HOSTILE = 'Lamp <script>alert(1)</script> & "quotes"'


class Journey:
    """Run once for each protocol."""

    @classmethod
    def setUpClass(cls):
        cls.shop = Shop("--per-address", "0")
        cls.addClassCleanup(cls.shop.close)
        cls.shop.start()
        cls.merchant = Merchant(clients.http2(cls.shop), cls.shop.token)
        cls.merchant.load(
            product("lamp", price=4999, title=HOSTILE, brand="Lumetra", category="home/lamps", on_hand=25),
            product(
                "shade",
                price=1500,
                title="Shade of linen for a small reading lamp beside the bed",
                brand="Hollin",
                category="home/lamps",
                on_hand=1,
            ),
            product("kettle", price=3000, title="Kettle of copper", brand="Ondine", category="kitchen/kettles", on_hand=25),
        )
        cls.browser = Browser(cls.shop, quic=cls.quic)
        cls.addClassCleanup(cls.browser.close)

    def fill_in(self, payment):
        """The checkout form."""
        for name, text in BUYER.items():
            self.browser.type(name, text)
        self.browser.choose("country", "GB")
        self.browser.choose("payment", payment)

    def clean(self):
        """The page came as it should, and its console is empty."""
        self.assertEqual(self.browser.protocol(), self.protocol)
        self.assertEqual(self.browser.complaints(), [])

    def test_home_to_order(self):
        browser = self.browser
        browser.open("/")
        self.clean()
        browser.type("search-box", "lamp")
        browser.go("search-button", "/search")
        self.clean()
        titles = browser.texts("result-link")
        self.assertEqual(
            (titles[0], sorted(titles)), (HOSTILE, sorted([HOSTILE, "Shade of linen for a small reading lamp beside the bed"]))
        )
        browser.go("result-link", "/p/")
        self.clean()
        self.assertEqual(browser.text("product-title"), HOSTILE, "shown as text, not run")
        self.assertIn("49.99", browser.text("price"))
        browser.type("quantity", "2")
        browser.go("add-to-cart", "/cart")
        self.clean()
        self.assertEqual(browser.text("line-title"), HOSTILE)
        self.assertIn("99.98", browser.text("line-total"))
        self.assertEqual(browser.text("cart-units"), "2")
        browser.go("checkout", "/checkout")
        self.clean()
        self.fill_in("pm_card_chargeDeclined")
        browser.go("place-order", "/checkout")
        self.assertTrue(browser.text("refused"))
        (noted,) = browser.complaints()
        self.assertIn("402", noted, "the status is the refusal's own")
        self.assertEqual(browser.value("email"), BUYER["email"], "what was typed is still there")
        browser.choose("payment", "pm_card_visa")
        browser.go("place-order", "/orders/")
        self.clean()
        self.assertEqual(browser.attribute("order-status", "data-status"), "open")
        self.assertIn("99.98", browser.text("total"))
        row, holds = self.merchant.stock("lamp")
        self.assertEqual((row["available"], row["held"], row["committed"], holds), (23, 0, 2, []))
        order = re.search(r"/orders/(ord_[0-9a-z]+)", browser.address()).group(1)
        self.assertIn(order, [listed["id"] for listed in self.merchant.orders()])

        browser.open("/cart")
        self.assertTrue(browser.text("cart-empty"), "a new cart begins after an order")
        browser.go("last-order", f"/orders/{order}")
        browser.go("cancel-order", f"/orders/{order}")
        self.clean()
        self.assertEqual(browser.attribute("order-status", "data-status"), "cancelled")
        self.assertIn("99.98", browser.text("refunded"))
        row, _ = self.merchant.stock("lamp")
        self.assertEqual((row["available"], row["committed"]), (25, 0))

    def test_bank_asks(self):
        browser = self.browser
        browser.open("/search?q=kettle")
        browser.go("result-link", "/p/")
        browser.go("add-to-cart", "/cart")
        browser.go("checkout", "/checkout")
        self.fill_in("pm_card_authenticationRequired")
        browser.go("place-order", "/orders/")
        browser.go("confirm-payment", "/orders/")
        self.assertEqual(browser.attribute("order-status", "data-status"), "open")
        self.clean()

    def test_last_one(self):
        browser = self.browser
        browser.open("/search?q=shade+of+linen")
        browser.go("result-link", "/p/")
        browser.go("add-to-cart", "/cart")
        browser.type("line-quantity", "2")
        browser.go("update-line", "/cart")
        self.assertTrue(browser.text("line-problem"), "one is there, two are wanted")
        self.assertEqual(browser.all("checkout"), [], "nothing leads on from a cart that cannot be placed")
        browser.go("remove-line", "/cart")
        self.assertTrue(browser.text("cart-empty"))
        self.clean()

    def test_lost_ways(self):
        browser = self.browser
        for path, status in (("/p/nothing", "404"), ("/orders/ord_00000000000000000000000000", "404"), ("/nowhere", "404")):
            browser.open(path)
            self.assertEqual(browser.attribute("error", "data-status"), status, path)
        browser.complaints()  # the browser itself notes a 404 there
        browser.open("/search?q=zzzz")
        self.assertTrue(browser.text("empty"))
        self.clean()


class OverHttp2(Journey, unittest.TestCase):
    """TCP alone."""

    quic, protocol = False, "h2"


class OverHttp3(Journey, unittest.TestCase):
    """QUIC from the first byte."""

    quic, protocol = True, "h3"


if __name__ == "__main__":
    unittest.main(verbosity=2)
