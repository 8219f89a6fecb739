"""What the tests of the HTTP contract share: a shop, a client, and what every problem document must be.

Each test makes products of its own, so order and number do not matter. `over_all_protocols` turns one class of tests into three.
"""

import unittest

import clients
import trade
from shop import Shop
from trade import Merchant, product


class Contract:
    """Run over one protocol by each subclass."""

    @classmethod
    def setUpClass(cls):
        cls.shop = Shop("--per-address", "0")
        cls.addClassCleanup(cls.shop.close)
        cls.shop.start()
        cls.client = cls.connect(cls.shop)
        cls.addClassCleanup(lambda: cls.client.close())
        cls.merchant = Merchant(cls.client, cls.shop.token)
        cls.products = 0

    def setUp(self):
        cls = type(self)
        if cls.client.broken:
            # One test's broken connection is its own failure, not that of those after it.
            cls.client = cls.merchant.client = cls.connect(cls.shop)

    @classmethod
    def tearDownClass(cls):
        # Whatever the tests did, no unit may be stuck in a hold and the folder must close cleanly.
        seconds = cls.shop.stop()
        checked = cls.shop.run("verify", cls.shop.data)
        assert checked.returncode == 0, f"verify: {checked.stdout}{checked.stderr}"
        print(f"\n{cls.__name__}: stopped in {seconds:.2f} s, verify says: {checked.stdout.strip().splitlines()[-1:]}")

    def fresh(self, **more):
        """A new product; returns its key."""
        cls = type(self)
        cls.products += 1
        key = f"{self.id().rsplit('.', 1)[-1]}-{cls.products}"
        rows, summary = self.merchant.load(product(key, **more))
        self.assertEqual((summary["created"], summary["refused"]), (1, 0), rows)
        return key

    def ask(self, method, path, body=None, headers=None):
        """A call of nobody in particular."""
        return trade.ask(self.client, method, path, body, headers)

    def problem(self, answer, status, code):
        """Checks a problem document and returns it."""
        self.assertEqual(answer.status, status, str(answer))
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        document = answer.json
        self.assertEqual((document["status"], document["code"]), (status, code), document)
        self.assertTrue(document["type"].endswith(f"/problems/{code}"), document["type"])
        for field in ("title", "detail", "instance"):
            self.assertIsInstance(document[field], str)
            self.assertTrue(document[field], f"{field} says nothing")
        self.assertEqual(document["instance"], answer.headers["request-id"])
        for leak in ("panicked", "src/", ".rs:", "Refusal", "wire::"):
            self.assertNotIn(leak, answer.body.decode(), "an inside word is shown")
        if status in (429, 503):
            self.assertIn("retry-after", answer.headers)
        return document

    def stock_is(self, key, **columns):
        """The row of `key` has these columns."""
        row, _ = self.merchant.stock(key)
        self.assertEqual({name: row[name] for name in columns}, columns, row)


def over_all_protocols(tests):
    """Test cases by name: `tests` over HTTP/3 (aioquic), HTTP/2 and HTTP/1.1 (curl). Put them into the module's `globals()`."""
    connections = {"OverHttp3": clients.Http3, "OverHttp2": clients.http2, "OverHttp1": clients.http1}
    return {
        name: type(
            f"{tests.__name__}{name}", (tests, unittest.TestCase), {"connect": staticmethod(connect), "__module__": tests.__module__}
        )
        for name, connect in connections.items()
    }
