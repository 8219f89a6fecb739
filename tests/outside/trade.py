"""What people do in the shop, in terms of its HTTP contract: a merchant fills the shelves, a guest buys."""

import json
import secrets
import time
import urllib.parse

ADDRESS = {"name": "Ada Byron", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}
SETTLE_MAX_S = 30.0


def new_key():
    """A fresh idempotency key, long enough for guests."""
    return secrets.token_urlsafe(24)


def path_key(key):
    """A merchant's key, as a path takes it."""
    return "key=" + urllib.parse.quote(key, safe="")


def money(amount, currency="USD"):
    """Minor units."""
    return {"amount": amount, "currency": currency}


class Merchant:
    """Someone with the admin token."""

    def __init__(self, client, token):
        self.client = client
        self.token = token

    def ask(self, method, path, body=None, **headers):
        """A call with the token; `headers` with underscores for dashes."""
        return ask(self.client, method, path, body, {"authorization": f"Bearer {self.token}", **named(headers)})

    def load(self, *lines):
        """Imports lines; returns the answers by line and the summary."""
        text = "\n".join(json.dumps(line) for line in lines).encode()
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/x-ndjson"}
        answer = self.client.request("POST", "/v1/admin/import", headers, text)
        assert answer.status == 200, str(answer)
        rows = [json.loads(row) for row in answer.body.splitlines() if row.strip()]
        assert "summary" in rows[-1], rows[-1]
        return rows[:-1], rows[-1]["summary"]

    def stock(self, key):
        """The one row of a SKU at `main`, and its open holds."""
        answer = self.ask("GET", f"/v1/admin/stock/{path_key(key)}")
        assert answer.status == 200, str(answer)
        body = answer.json
        (row,) = [row for row in body["locations"] if row["location"] == "main"]
        columns = ("available", "held", "committed", "unavailable")
        assert row["on_hand"] == sum(row[column] for column in columns), f"units appeared or vanished: {row}"
        return row, body["holds"]

    def orders(self, **query):
        """All orders, through every page."""
        found, after = [], None
        while True:
            parts = {**query, "limit": "100", **({"after": after} if after else {})}
            answer = self.ask("GET", "/v1/admin/orders?" + urllib.parse.urlencode(parts))
            assert answer.status == 200, str(answer)
            found += answer.json["items"]
            after = answer.json["next"]
            if not after:
                return found


def named(headers):
    """`if_match` to `if-match`."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def ask(client, method, path, body=None, headers=None):
    """One call with a JSON body, if any."""
    headers = dict(headers or {})
    if body is not None:
        headers.setdefault("content-type", "application/json")
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.request(method, path, headers, body)
    assert answer.version == client.version, f"asked over HTTP/{client.version}, carried by HTTP/{answer.version}"
    return answer


def product(key, price=1999, on_hand=25, **more):
    """A product line with one variant of the same key."""
    line = {"type": "product", "key": key, "title": f"Thing {key}", "description": "Made for tests", "brand": "Acme"}
    line["variants"] = [{"key": key, "options": {}, "prices": [money(price)], "barcodes": []}]
    if on_hand is not None:
        line["stock"] = [{"variant": key, "location": "main", "on_hand": on_hand}]
    return {**line, **more}


class Guest:
    """Someone with a cart."""

    def __init__(self, client):
        self.client = client
        answer = ask(client, "POST", "/v1/carts", {}, {"idempotency-key": new_key()})
        assert answer.status == 201, str(answer)
        self.cart = answer.json["cart"]
        self.token = answer.json["cart_token"]
        self.id = self.cart["id"]

    def ask(self, method, path, body=None, **headers):
        """A call with the cart's token."""
        return ask(self.client, method, path, body, {"cart-token": self.token, **named(headers)})

    def put_in(self, key, quantity):
        """Adds a line by the merchant's key."""
        answer = self.ask("POST", f"/v1/carts/{self.id}/lines", {"sku": f"key={key}", "quantity": quantity})
        assert answer.status == 200, str(answer)
        self.cart = answer.json
        return answer

    def live_at(self, address=None):
        """Gives the address."""
        answer = self.ask("PUT", f"/v1/carts/{self.id}/address", address or ADDRESS)
        assert answer.status == 200, str(answer)
        self.cart = answer.json
        return answer

    def look(self):
        """Reads the cart again."""
        answer = self.ask("GET", f"/v1/carts/{self.id}")
        assert answer.status == 200, str(answer)
        self.cart = answer.json
        return self.cart

    def payment(self, token, **more):
        """The body of a checkout for the cart as last seen."""
        body = {"email": "ada@example.org", "payment": {"provider": "sandbox", "token": token}}
        return {**body, "accept_total": self.cart["totals"]["total"], **more}

    def check_out(self, token="pm_card_visa", key=None, **more):
        """One attempt."""
        return self.ask("POST", f"/v1/carts/{self.id}/checkout", self.payment(token, **more), idempotency_key=key or new_key())

    def order(self, order_id):
        """An order of this cart."""
        answer = self.ask("GET", f"/v1/orders/{order_id}")
        assert answer.status == 200, str(answer)
        return answer.json

    def settled(self, order_id, wanted=("captured",)):
        """Waits until the order's payment stands as wanted."""
        until = time.monotonic() + SETTLE_MAX_S
        while True:
            order = self.order(order_id)
            if order["payment_status"] in wanted:
                return order
            assert time.monotonic() < until, f"the order is {order['status']}, its payment {order['payment_status']}, not {wanted}"
            time.sleep(0.05)


def ready_guest(client, key, quantity):
    """A guest who only has to pay."""
    guest = Guest(client)
    guest.put_in(key, quantity)
    guest.live_at()
    return guest
