"""Conditions, privacy, what is not taken, and the headers that go with it."""

import unittest

import trade
from contract import Contract, over_all_protocols
from trade import Guest, money, new_key, path_key, ready_guest


class Refusing(Contract):
    """What the shop will not do."""

    # -- conditions ------------------------------------------------------------------------------------------------------------------------

    def test_stale_changes_are_refused(self):
        key = self.fresh()
        guest = Guest(self.client)
        old = guest.put_in(key, 1).headers["etag"]
        new = guest.put_in(key, 1).headers["etag"]
        self.assertNotEqual(old, new)
        line = f"/v1/carts/{guest.id}/lines/{guest.cart['lines'][0]['id']}"
        self.problem(guest.ask("PATCH", line, {"quantity": 9}, if_match=old), 412, "version_mismatch")
        self.problem(guest.ask("DELETE", line, if_match=old), 412, "version_mismatch")
        self.problem(guest.ask("PATCH", line, {"quantity": 9}, if_match="yesterday"), 400, "validation_failed")
        self.assertEqual(guest.look()["lines"][0]["quantity"], 2)
        fresh = guest.ask("PATCH", line, {"quantity": 4}, if_match=new)
        self.assertEqual((fresh.status, fresh.json["lines"][0]["quantity"]), (200, 4), str(fresh))
        gone = guest.ask("DELETE", line, if_match=fresh.headers["etag"])
        self.assertEqual((gone.status, gone.json["lines"]), (200, []), str(gone))

    def test_unchanged_is_304(self):
        key = self.fresh()
        guest = ready_guest(self.client, key, 1)
        order = guest.check_out().json["id"]
        for path in (f"/v1/products/{path_key(key)}", f"/v1/carts/{guest.id}", f"/v1/orders/{order}"):
            with self.subTest(path):
                first = guest.ask("GET", path)
                self.assertRegex(first.headers["etag"], r'^"[^"]+"$')
                same = guest.ask("GET", path, if_none_match=first.headers["etag"])
                self.assertEqual((same.status, same.body, same.headers["etag"]), (304, b"", first.headers["etag"]))
                self.assertEqual(guest.ask("GET", path, if_none_match='"other"').status, 200)

    def test_positions(self):
        key = self.fresh()
        guest = Guest(self.client)
        position = guest.put_in(key, 1).headers["log-position"]
        read = guest.ask("GET", f"/v1/carts/{guest.id}", at_least=position)
        self.assertEqual((read.status, len(read.json["lines"])), (200, 1), str(read))
        epoch, rest = position.split(",")[0].split(".")
        other = guest.ask("GET", f"/v1/carts/{guest.id}", at_least=f"{int(epoch) + 1}.{rest}")
        self.problem(other, 412, "position_unknown")
        self.problem(guest.ask("GET", f"/v1/carts/{guest.id}", at_least="soon"), 400, "validation_failed")

    def test_foreign_is_missing(self):
        key = self.fresh()
        mine, yours = ready_guest(self.client, key, 1), Guest(self.client)
        order = mine.check_out().json["id"]
        nowhere = yours.ask("GET", f"/v1/carts/{mine.id[:-1]}{'0' if mine.id[-1] != '0' else '1'}")
        for answer in (
            yours.ask("GET", f"/v1/carts/{mine.id}"),
            yours.ask("POST", f"/v1/carts/{mine.id}/lines", {"sku": f"key={key}", "quantity": 1}),
            yours.ask("GET", f"/v1/orders/{order}"),
            yours.ask("POST", f"/v1/orders/{order}/cancel", {}, idempotency_key=new_key()),
            self.ask("GET", f"/v1/carts/{mine.id}"),
            self.ask("GET", f"/v1/carts/{mine.id}", headers={"cart-token": "x" * 40}),
            self.ask("GET", f"/v1/orders/{order}"),
            self.ask("GET", "/v1/carts/nonsense"),
        ):
            self.problem(answer, 404, "not_found")
            for field in ("type", "title", "detail"):
                self.assertEqual(answer.json[field], nowhere.json[field], "foreign and missing must look alike")

    # -- what is not taken -----------------------------------------------------------------------------------------------------------------

    def test_bad_bodies(self):
        key = self.fresh()
        guest = Guest(self.client)
        path = f"/v1/carts/{guest.id}/lines"
        deep = b'{"sku":' + b"[" * 40 + b"]" * 40 + b',"quantity":1}'
        for body, status, code, pointer in (
            (b"{", 400, "bad_json", None),
            (b'{"sku":"key=a","quantity":1}}', 400, "bad_json", None),
            (b'{"sku":"key=a","quantity":01}', 400, "bad_json", None),
            (b'{"sku":"\xff","quantity":1}', 400, "bad_json", None),
            (b'{"sku":"\\ud800","quantity":1}', 400, "bad_json", None),
            (b"[" * 100_000, 400, "bad_json", None),
            (deep, 400, "bad_json", None),
            (b"{}", 422, "validation_failed", "/sku"),
            ({"sku": f"key={key}"}, 422, "validation_failed", "/quantity"),
            ({"sku": f"key={key}", "quantity": 1, "price": 1}, 422, "validation_failed", "/price"),
            ({"sku": 7, "quantity": 1}, 422, "validation_failed", "/sku"),
            ({"sku": "7", "quantity": 1}, 422, "validation_failed", "/sku"),
            ({"sku": f"key={key}", "quantity": "2"}, 422, "validation_failed", "/quantity"),
            ({"sku": f"key={key}", "quantity": 1.5}, 422, "validation_failed", "/quantity"),
            ({"sku": f"key={key}", "quantity": None}, 422, "validation_failed", "/quantity"),
            ({"sku": f"key={key}", "quantity": 0}, 422, "validation_failed", "/quantity"),
            ({"sku": f"key={key}", "quantity": -1}, 422, "validation_failed", "/quantity"),
            ({"sku": f"key={key}", "quantity": 2**31}, 422, "validation_failed", "/quantity"),
            ({"sku": f"key={key}", "quantity": 2**64}, 422, "validation_failed", "/quantity"),
            (b'{"sku":"key=a","quantity":1,"quantity":2}', 422, "validation_failed", "/quantity"),
        ):
            with self.subTest(body if len(str(body)) < 100 else "long"):
                document = self.problem(guest.ask("POST", path, body), status, code)
                if pointer:
                    self.assertEqual([error["pointer"] for error in document["errors"]], [pointer])
        nothing = guest.ask("POST", path, {"sku": "key=there-is-no-such-thing", "quantity": 1})
        self.assertEqual(self.problem(nothing, 422, "validation_failed")["errors"][0]["pointer"], "/sku")
        self.assertEqual(guest.look()["lines"], [], "what is refused changes nothing")

    def test_bad_requests(self):
        guest = Guest(self.client)
        path = f"/v1/carts/{guest.id}/lines"
        body = b'{"sku":"key=a","quantity":1}'
        token = {"cart-token": guest.token}
        # An answer may come before the body was read, and end its stream (RFC 9113, 8.1); curl 7.88 then loses the answer over HTTP/2.
        if self.client.version != "2":
            self.problem(self.ask("POST", path, body, {**token, "content-type": "text/plain"}), 415, "unsupported_media_type")
            large = b'{"sku":"' + b"a" * 300_000 + b'","quantity":1}'
            self.problem(self.ask("POST", path, large, {**token, "content-type": "application/json"}), 413, "too_large")
        self.problem(self.ask("GET", "/v1/nothing/here"), 404, "not_found")
        self.assertIn("GET", self.ask("DELETE", "/v1/search").headers.get("allow", ""))
        self.problem(self.ask("DELETE", "/v1/search"), 405, "method_not_allowed")
        self.problem(self.ask("GET", "/v1/search?q=" + "a" * 9_000), 414, "uri_too_long")
        self.problem(self.ask("GET", f"/v1/products/{path_key('no such')}"), 404, "not_found")
        self.problem(self.ask("GET", "/v1/search?page=2"), 422, "validation_failed")

    def test_checkouts_that_cannot_be(self):
        key = self.fresh(on_hand=1)
        guest = Guest(self.client)
        self.problem(guest.check_out(), 422, "cart_empty")
        guest.put_in(key, 1)
        self.problem(guest.check_out(), 422, "address_required")
        self.problem(guest.ask("PUT", f"/v1/carts/{guest.id}/address", {**trade.ADDRESS, "country": "Britain"}), 422, "validation_failed")
        guest.live_at()
        for number in ("4242424242424242", "4242 4242 4242 4242", "tok_378282246310005"):
            refused = guest.check_out(number)
            self.problem(refused, 422, "card_number_refused")
            self.assertNotIn(number.encode(), refused.body, "a card number is never repeated")
        changed = self.problem(guest.check_out(accept_total=money(1)), 409, "total_changed")
        self.assertEqual(changed["total"], guest.cart["totals"]["total"])
        self.problem(guest.check_out(payment={"provider": "nobody", "token": "x"}), 422, "unknown_provider")
        for wrong in ({"email": "nobody"}, {"wait_ms": 30_001}, {"wait_ms": -1}, {"card": "x"}, {"accept_total": money(-1)}):
            self.problem(guest.check_out(**wrong), 422, "validation_failed")
        self.stock_is(key, available=1, held=0)
        self.assertEqual(guest.look()["status"], "open")
        self.assertEqual(guest.check_out().status, 201, "none of that spoilt the cart")

    def test_too_few(self):
        plenty, few = self.fresh(), self.fresh(on_hand=1)
        guest = Guest(self.client)
        guest.put_in(plenty, 1)
        guest.put_in(few, 3)
        (warned,) = guest.cart["problems"]
        self.assertEqual((warned["code"], warned["available"], warned["line"]), ("insufficient_stock", 1, guest.cart["lines"][1]["id"]))
        guest.live_at()
        document = self.problem(guest.check_out(), 409, "insufficient_stock")
        (short,) = document["errors"]
        self.assertEqual((short["pointer"], short["requested"], short["available"]), ("/lines/1", 3, 1))
        self.stock_is(plenty, available=25, held=0, committed=0)
        self.stock_is(few, available=1, held=0, committed=0)
        guest.ask("PATCH", f"/v1/carts/{guest.id}/lines/{guest.cart['lines'][1]['id']}", {"quantity": 1})
        guest.look()
        self.assertEqual(guest.check_out().status, 201)
        self.stock_is(few, available=0, committed=1)

    # -- the service -----------------------------------------------------------------------------------------------------------------------

    def test_headers(self):
        key = self.fresh()
        public = self.ask("GET", f"/v1/products/{path_key(key)}")
        self.assertIn("public", public.headers["cache-control"])
        self.assertIn("stale-while-revalidate", public.headers["cache-control"])
        self.assertTrue(public.headers["surrogate-key"])
        guest = Guest(self.client)
        personal = guest.ask("GET", f"/v1/carts/{guest.id}")
        self.assertEqual(personal.headers["cache-control"], "private, no-store")
        for answer in (public, personal, self.ask("GET", "/v1/nothing")):
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertIn("max-age", answer.headers["strict-transport-security"])
            self.assertTrue(answer.headers["request-id"])
            if self.client.version == "3":
                self.assertNotIn("alt-svc", answer.headers)
            else:
                self.assertIn(f'h3=":{self.shop.port}"', answer.headers["alt-svc"])

    def test_other_forms(self):
        key = self.fresh(title="Plain chair")
        linked = self.ask("GET", f"/v1/products/{path_key(key)}", headers={"accept": "application/ld+json"})
        self.assertEqual((linked.status, linked.headers["content-type"]), (200, "application/ld+json"), str(linked))
        self.assertEqual((linked.json["@type"], linked.json["name"]), ("Product", "Plain chair"))
        document = self.ask("GET", "/openapi.json").json
        self.assertTrue(document["openapi"].startswith("3.1"))
        self.assertIn("/v1/carts/{id}/checkout", document["paths"])
        for path in ("/livez", "/readyz"):
            self.assertEqual(self.ask("GET", path).status, 200)
        self.problem(self.ask("GET", "/metrics"), 404, "not_found")
        # aioquic takes the length that an answer to HEAD names for that of a body, and ends the connection.
        if self.client.version != "3":
            head = self.ask("HEAD", "/livez")
            self.assertEqual((head.status, head.body), (200, b""))


globals().update(over_all_protocols(Refusing))

if __name__ == "__main__":
    unittest.main(verbosity=2)
