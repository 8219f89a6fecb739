"""A flash sale: 200 buyers at once, 50 units, over HTTP/3. Fifty orders, never fifty-one, also when the shop is killed in the middle."""

import collections
import concurrent.futures
import time
import unittest

import clients
from shop import Shop
from trade import Merchant, money, new_key, product, ready_guest

BUYERS = 200
UNITS = 50
PRICE = 1999
CONNECTIONS = 40
# A buyer who is told that others hold the rest tries again; nobody may have to for longer than this.
PATIENCE_S = 90.0
FINAL = ("bought", "sold out")


class Buyer:
    """One buyer, who insists until there is a final answer: over lost connections with the same key, over `contended` with a new one."""

    def __init__(self, client, token):
        self.guest = ready_guest(client, "flash", 1)
        self.token = token
        self.key = new_key()
        self.order = None
        self.told = collections.Counter()

    def insist(self, client_of):
        """Returns what came of it; `client_of()` gives a connection that may work."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                self.guest.client = client_of()
                answer = self.guest.check_out(self.token, self.key, wait_ms=20_000)
            except (ConnectionError, TimeoutError, OSError):
                self.told["lost"] += 1
                time.sleep(0.2)
                continue
            code = "" if answer.status in (201, 202) else answer.json["code"]
            self.told[f"{answer.status} {code}".strip()] += 1
            if answer.status == 201:
                self.order = answer.json["id"]
                return "bought"
            if answer.status == 409 and code == "insufficient_stock":
                return "sold out"
            if answer.status == 409 and code == "contended":
                self.key = new_key()
            elif answer.status not in (202, 429, 503) and code not in ("idempotency_key_in_use", "cart_checking_out"):
                return str(answer)
            time.sleep(min(float(answer.headers.get("retry-after", 0.2)), 1.0))
        return f"no final answer in {PATIENCE_S:.0f} s: {dict(self.told)}"


class Flash(unittest.TestCase):
    """Each test is one sale in a shop of its own."""

    def setUp(self):
        self.shop = Shop("--per-address", "0")
        self.addCleanup(self.shop.close)
        self.shop.start()
        self.clients = self.dial()
        self.merchant = Merchant(self.clients[0], self.shop.token)
        self.merchant.load(product("flash", price=PRICE, on_hand=UNITS))

    def dial(self):
        """Fresh connections, spread over the buyers."""
        return [clients.Http3(self.shop) for _ in range(CONNECTIONS)]

    def kill(self):
        """SIGKILL and a new start; returns the seconds until it was ready."""
        self.shop.kill()
        for client in self.clients:
            client.lose()
        seconds = self.shop.start()
        self.clients = self.dial()
        self.merchant.client = self.clients[0]
        return seconds

    def sale(self, token, interrupt=None):
        """Runs the sale and checks that nothing was sold twice, lost or charged in vain."""
        with concurrent.futures.ThreadPoolExecutor(BUYERS) as pool:
            buyers = list(pool.map(lambda n: Buyer(self.clients[n % CONNECTIONS], token), range(BUYERS)))
            began = time.monotonic()
            running = [pool.submit(buyer.insist, lambda n=n: self.clients[n % CONNECTIONS]) for n, buyer in enumerate(buyers)]
            if interrupt:
                interrupt()
            ends = [future.result() for future in running]
        seconds = time.monotonic() - began
        told = sum((buyer.told for buyer in buyers), collections.Counter())
        print(
            f"\n{self.id().rsplit('.', 1)[-1]}: {BUYERS} buyers, {UNITS} units, {seconds:.2f} s: {collections.Counter(ends)}; answers {told}"
        )
        self.assertEqual(collections.Counter(ends), {"bought": UNITS, "sold out": BUYERS - UNITS})
        self.assertEqual(len({buyer.order for buyer in buyers if buyer.order}), UNITS, "two buyers were given one order")
        self.books(buyers)
        return buyers

    def books(self, buyers):
        """What the merchant sees must be what the buyers were told."""
        for n, buyer in enumerate(buyers):
            buyer.guest.client = self.clients[n % CONNECTIONS]
        row, holds = self.merchant.stock("flash")
        self.assertEqual((row["on_hand"], row["available"], row["held"], row["committed"]), (UNITS, 0, 0, UNITS), row)
        self.assertEqual(holds, [])
        orders = self.merchant.orders()
        self.assertEqual({order["id"] for order in orders}, {buyer.order for buyer in buyers if buyer.order})
        for order in orders:
            paid = [(payment["status"], payment["captured"], payment["refunded"]) for payment in order["payments"]]
            self.assertEqual(paid, [("captured", money(PRICE), money(0))], "charged once, and for what was bought")
        for buyer in buyers:
            self.assertEqual(buyer.guest.look()["status"], "ordered" if buyer.order else "open")

    def test_quick_bank(self):
        self.sale("pm_card_visa")

    def test_slow_bank(self):
        self.sale("pm_sandbox_slow_2000")

    def test_killed_in_the_middle(self):
        def interrupt():
            time.sleep(1.0)
            print(f"\nkilled, and ready again in {self.kill():.2f} s")

        buyers = self.sale("pm_sandbox_slow_2000", interrupt)
        self.assertGreater(sum(buyer.told["lost"] for buyer in buyers), 0, "nobody noticed the kill: it came too late to test anything")
        # Once more, cold: what was acknowledged is what is there.
        self.kill()
        self.books(buyers)
        for buyer in buyers[:20]:
            if buyer.order:
                again = buyer.guest.check_out(buyer.token, buyer.key, wait_ms=20_000)
                self.assertEqual((again.status, again.json["id"], again.headers.get("idempotent-replayed")), (201, buyer.order, "true"))
        self.shop.stop()
        checked = self.shop.run("verify", self.shop.data)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
