"""Buying, paying, calling off, and all of it once."""

import concurrent.futures
import re
import time
import unittest

from contract import Contract, over_all_protocols
from trade import Guest, money, new_key, path_key, ready_guest

ID = {kind: re.compile(rf"{kind}_[0-9a-z]{{26}}") for kind in ("cart", "ord")}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Buying(Contract):
    """What a buyer does."""

    # -- buying ----------------------------------------------------------------------------------------------------------------------------

    def test_guest_buys_two(self):
        key = self.fresh(price=1999, title="Blue lamp of brass")
        found = self.ask("GET", "/v1/search?q=blue+lamp+of+brass")
        self.assertEqual(found.status, 200, str(found))
        self.assertIn(key, [item["product"]["key"] for item in found.json["items"]])
        seen = self.ask("GET", f"/v1/products/{path_key(key)}").json
        (variant,) = seen["variants"]
        self.assertEqual(variant["availability"], {"in_stock": True, "quantity": 10, "quantity_is_cap": True, "backorder": False})
        self.assertEqual(variant["price"], money(1999))

        guest = Guest(self.client)
        self.assertRegex(guest.id, ID["cart"])
        self.assertEqual((guest.cart["status"], guest.cart["lines"], guest.cart["customer"]), ("open", [], None))
        filled = guest.put_in(key, 2)
        self.assertRegex(filled.headers["log-position"], r"^\d+\.\d+:\d+(, \d+\.\d+:\d+)*$")
        (line,) = guest.cart["lines"]
        self.assertEqual((line["quantity"], line["unit_price"], line["total"]), (2, money(1999), money(3998)))
        self.assertEqual((line["product"]["key"], line["sku"]), (key, variant["id"]))
        guest.put_in(key, 1)
        self.assertEqual([line["quantity"] for line in guest.cart["lines"]], [3], "a SKU sums into the line it has")
        changed = guest.ask("PATCH", f"/v1/carts/{guest.id}/lines/{line['id']}", {"quantity": 2})
        self.assertEqual(changed.status, 200, str(changed))
        guest.live_at()
        self.assertEqual(guest.cart["address"]["country"], "GB")
        self.assertEqual(guest.cart["totals"]["total"], money(3998))

        bought = guest.check_out()
        self.assertEqual(bought.status, 201, str(bought))
        order = bought.json
        self.assertEqual(bought.headers["location"], f"/v1/orders/{order['id']}")
        self.assertRegex(order["id"], ID["ord"])
        self.assertRegex(order["placed_at"], TIME)
        self.assertEqual((order["status"], order["payment_status"], order["fulfilment_status"]), ("open", "captured", "unfulfilled"))
        self.assertEqual((order["cart"], order["email"], order["next_action"]), (guest.id, "ada@example.org", None))
        self.assertEqual(order["lines"][0]["quantities"], {"allocated": 2})
        (payment,) = order["payments"]
        self.assertEqual((payment["provider"], payment["status"]), ("sandbox", "captured"))
        self.assertEqual((payment["amount"], payment["captured"], payment["refunded"]), (money(3998), money(3998), money(0)))
        self.stock_is(key, on_hand=25, available=23, held=0, committed=2)
        self.assertEqual(guest.order(order["id"])["id"], order["id"])
        self.assertEqual(guest.look()["status"], "ordered")
        self.problem(guest.check_out(), 409, "cart_closed")
        self.assertIn(order["id"], [listed["id"] for listed in self.merchant.orders()])

    def test_orders_are_called_off(self):
        key = self.fresh(on_hand=5)
        guest = ready_guest(self.client, key, 3)
        order = guest.check_out().json
        self.stock_is(key, available=2, committed=3)
        idem = new_key()
        gone = guest.ask("POST", f"/v1/orders/{order['id']}/cancel", {"reason": "changed my mind"}, idempotency_key=idem)
        self.assertEqual(gone.status, 200, str(gone))
        order = guest.settled(order["id"], ("refunded",))
        self.assertEqual((order["status"], order["lines"][0]["quantities"]), ("cancelled", {"cancelled": 3}))
        (payment,) = order["payments"]
        self.assertEqual((payment["captured"], payment["refunded"]), (money(5997), money(5997)))
        self.stock_is(key, on_hand=5, available=5, held=0, committed=0)
        again = guest.ask("POST", f"/v1/orders/{order['id']}/cancel", {"reason": "changed my mind"}, idempotency_key=idem)
        self.assertEqual((again.status, again.headers.get("idempotent-replayed")), (200, "true"), str(again))
        self.problem(guest.ask("POST", f"/v1/orders/{order['id']}/cancel", {}, idempotency_key=new_key()), 409, "order_state")
        self.stock_is(key, on_hand=5, available=5)

    # -- payments --------------------------------------------------------------------------------------------------------------------------

    def test_cards_that_pay(self):
        for token in ("pm_card_visa", "pm_card_mastercard", "pm_sandbox_lost"):
            with self.subTest(token):
                key = self.fresh()
                guest = ready_guest(self.client, key, 1)
                bought = guest.check_out(token, wait_ms=20_000)
                self.assertEqual(bought.status, 201, str(bought))
                (payment,) = bought.json["payments"]
                self.assertEqual((payment["status"], payment["captured"]), ("captured", money(1999)), "charged once")
                self.stock_is(key, available=24, held=0, committed=1)

    def test_cards_that_do_not(self):
        for token, code in (
            ("pm_card_chargeDeclined", "card_declined"),
            ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
            ("pm_card_of_nobody", "invalid_token"),
        ):
            with self.subTest(token):
                key = self.fresh()
                guest = ready_guest(self.client, key, 1)
                self.assertEqual(self.problem(guest.check_out(token), 402, "payment_declined")["decline_code"], code)
                self.stock_is(key, on_hand=25, available=25, held=0, committed=0)
                self.assertEqual(guest.look()["status"], "open")
                self.assertNotIn(guest.id, [order["cart"] for order in self.merchant.orders()], "an order that came to nothing is listed")
                self.assertEqual(guest.check_out("pm_card_visa").status, 201, "the same cart, another card")

    def test_buyer_must_act(self):
        key = self.fresh()
        guest = ready_guest(self.client, key, 1)
        idem = new_key()
        waits = guest.check_out("pm_card_authenticationRequired", idem)
        self.assertEqual(waits.status, 202, str(waits))
        self.assertEqual(waits.json["next_action"]["kind"], "three_d_secure")
        path = f"/v1/orders/{waits.json['id']}/payment-action"
        self.problem(guest.ask("POST", path, {"outcome": "success"}), 400, "idempotency_key_required")
        self.problem(guest.ask("POST", path, {"outcome": "maybe"}, idempotency_key=new_key()), 422, "validation_failed")
        self.stock_is(key, available=24, held=1)
        acted = guest.ask("POST", path, {"outcome": "success"}, idempotency_key=new_key())
        self.assertEqual((acted.status, acted.json["payment_status"]), (200, "captured"), str(acted))
        self.assertIsNone(acted.json["next_action"])
        self.problem(guest.ask("POST", path, {"outcome": "success"}, idempotency_key=new_key()), 409, "no_pending_action")
        again = guest.check_out("pm_card_authenticationRequired", idem)
        self.assertEqual((again.status, again.json["id"], again.json["payment_status"]), (201, waits.json["id"], "captured"))
        self.stock_is(key, available=24, held=0, committed=1)

    def test_buyer_fails_to_act(self):
        key = self.fresh()
        guest = ready_guest(self.client, key, 1)
        idem = new_key()
        order = guest.check_out("pm_card_authenticationRequired", idem).json
        failed = guest.ask("POST", f"/v1/orders/{order['id']}/payment-action", {"outcome": "fail"}, idempotency_key=new_key())
        self.assertEqual(self.problem(failed, 402, "payment_declined")["decline_code"], "authentication_failed")
        self.stock_is(key, available=25, held=0, committed=0)
        self.problem(guest.check_out("pm_card_authenticationRequired", idem), 402, "payment_declined")
        self.assertEqual(guest.look()["status"], "open")
        self.assertEqual(guest.check_out().status, 201)

    def test_slow_bank(self):
        key = self.fresh()
        patient = ready_guest(self.client, key, 1)
        began = time.monotonic()
        bought = patient.check_out("pm_sandbox_slow_1000")
        self.assertEqual(bought.status, 201, str(bought))
        self.assertGreaterEqual(time.monotonic() - began, 1.0, "the bank took a second")
        hasty = ready_guest(self.client, key, 1)
        idem = new_key()
        began = time.monotonic()
        waits = hasty.check_out("pm_sandbox_slow_2000", idem, wait_ms=200)
        self.assertLess(time.monotonic() - began, 1.8)
        self.assertEqual(waits.status, 202, str(waits))
        self.assertEqual(waits.headers["location"], f"/v1/orders/{waits.json['id']}")
        self.problem(hasty.check_out(), 409, "cart_checking_out")
        self.assertEqual(hasty.settled(waits.json["id"])["status"], "open")
        again = hasty.check_out("pm_sandbox_slow_2000", idem, wait_ms=200)
        self.assertEqual((again.status, again.json["id"], again.headers.get("idempotent-replayed")), (201, waits.json["id"], "true"))
        self.stock_is(key, available=23, held=0, committed=2)

    # -- once ------------------------------------------------------------------------------------------------------------------------------

    def test_same_key_same_outcome(self):
        key = self.fresh()
        guest = ready_guest(self.client, key, 2)
        idem = new_key()
        first = guest.check_out(key=idem)
        self.assertEqual((first.status, first.headers.get("idempotent-replayed")), (201, None), str(first))
        for _ in range(3):
            again = guest.check_out(key=idem)
            self.assertEqual((again.status, again.headers.get("idempotent-replayed")), (201, "true"), str(again))
            self.assertEqual(again.json["id"], first.json["id"])
            self.assertEqual(again.headers["location"], first.headers["location"])
        self.problem(guest.check_out("pm_card_mastercard", idem), 422, "idempotency_key_reused")
        self.stock_is(key, available=23, committed=2)

    def test_refusals_are_replayed(self):
        guest = ready_guest(self.client, self.fresh(), 1)
        idem = new_key()
        first = self.problem(guest.check_out("pm_card_chargeDeclined", idem), 402, "payment_declined")
        again = guest.check_out("pm_card_chargeDeclined", idem)
        self.assertEqual(again.headers.get("idempotent-replayed"), "true")
        self.assertEqual(self.problem(again, 402, "payment_declined")["decline_code"], first["decline_code"])
        self.assertEqual(guest.check_out("pm_card_visa").status, 201)
        self.problem(guest.check_out("pm_card_chargeDeclined", idem), 402, "payment_declined")

    def test_one_key_from_many_at_once(self):
        key = self.fresh()
        guest = ready_guest(self.client, key, 1)
        idem = new_key()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: guest.check_out("pm_sandbox_slow_300", idem), range(8)))
        for answer in answers:
            if answer.status != 201:
                self.problem(answer, 409, "idempotency_key_in_use")
        self.assertEqual(len({answer.json["id"] for answer in answers if answer.status == 201}), 1)
        self.stock_is(key, available=24, held=0, committed=1)

    def test_keyed_carts(self):
        idem = {"idempotency-key": new_key()}
        first, again = self.ask("POST", "/v1/carts", {}, idem), self.ask("POST", "/v1/carts", {}, idem)
        self.assertEqual((first.status, again.status, again.headers.get("idempotent-replayed")), (201, 201, "true"))
        self.assertEqual(first.json["cart"]["id"], again.json["cart"]["id"])
        self.assertEqual(first.json["cart_token"], again.json["cart_token"])
        self.problem(self.ask("POST", "/v1/carts", {"currency": "USD"}, idem), 422, "idempotency_key_reused")
        self.problem(self.ask("POST", "/v1/carts", {}, {"idempotency-key": "short"}), 400, "validation_failed")
        key = self.fresh()
        guest, idem = Guest(self.client), new_key()
        for _ in range(3):
            answer = guest.ask("POST", f"/v1/carts/{guest.id}/lines", {"sku": f"key={key}", "quantity": 1}, idempotency_key=idem)
            self.assertEqual(answer.status, 200, str(answer))
        self.assertEqual([line["quantity"] for line in guest.look()["lines"]], [1], "three sends, one line of one")

    def test_keys_are_required_where_it_matters(self):
        key = self.fresh()
        guest = ready_guest(self.client, key, 1)
        self.problem(guest.ask("POST", f"/v1/carts/{guest.id}/checkout", guest.payment("pm_card_visa")), 400, "idempotency_key_required")
        order = guest.check_out().json["id"]
        self.problem(guest.ask("POST", f"/v1/orders/{order}/cancel", {}), 400, "idempotency_key_required")
        adjust = {"sku": f"key={key}", "location": "main", "delta": 1, "reason": "found one"}
        self.problem(self.merchant.ask("POST", "/v1/admin/stock/adjust", adjust), 400, "idempotency_key_required")


globals().update(over_all_protocols(Buying))

if __name__ == "__main__":
    unittest.main(verbosity=2)
