//! A buyer without an account.

use crate::{
    api::{Answer, Api, Ask, ask, fresh_key},
    process::PATIENCE,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A buyer and their cart.
#[derive(Clone)]
pub(crate) struct Guest {
    api: Api,
    cart: String,
    token: String,
}

impl Guest {
    /// Opens a cart. Insists, like every call here, so that it may be used while the shop is killed and started again.
    async fn new(api: &Api) -> Self {
        let opened = api.insist(&ask("POST", "/v1/carts").key(fresh_key("cart")).json(&json!({}))).await.expect(201).body;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self { api: api.clone(), cart: text(&opened["cart"]["id"]), token: text(&opened["cart_token"]) }
    }

    /// Opens a cart with units of a SKU key and an address.
    pub(crate) async fn with(api: &Api, key: &str, quantity: u32) -> Self {
        Self::with_lines(api, &[(key.to_owned(), quantity)]).await
    }

    /// The same with units of several SKU keys.
    pub(crate) async fn with_lines(api: &Api, lines: &[(String, u32)]) -> Self {
        let guest = Self::new(api).await;
        for (key, quantity) in lines {
            guest.add(key, *quantity).await.expect(200);
        }
        guest.address().await.expect(200);
        guest
    }

    /// The same with every call sent once: an error as soon as one is not answered.
    pub(crate) async fn try_with(api: &Api, key: &str, quantity: u32) -> Result<Self, String> {
        let opened = api.try_send(&ask("POST", "/v1/carts").key(fresh_key("cart")).json(&json!({}))).await?.expect(201).body;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let guest = Self { api: api.clone(), cart: text(&opened["cart"]["id"]), token: text(&opened["cart_token"]) };
        api.try_send(&guest.add_ask(key, quantity)).await?.expect(200);
        api.try_send(&guest.address_ask()).await?.expect(200);
        Ok(guest)
    }

    /// The same buyer at another address of the shop.
    pub(crate) fn at(&self, api: &Api) -> Self {
        Self { api: api.clone(), ..self.clone() }
    }

    fn ask(&self, method: &'static str, rest: &str) -> Ask {
        ask(method, format!("/v1/carts/{}{rest}", self.cart)).header("cart-token", self.token.clone())
    }

    fn add_ask(&self, key: &str, quantity: u32) -> Ask {
        self.ask("POST", "/lines").key(fresh_key("line")).json(&json!({"sku": format!("key={key}"), "quantity": quantity}))
    }

    fn address_ask(&self) -> Ask {
        let body = json!({"name": "Ada Example", "line1": "1 Test Street", "city": "Springfield", "postal_code": "12345", "country": "US"});
        self.ask("PUT", "/address").json(&body)
    }

    pub(crate) async fn add(&self, key: &str, quantity: u32) -> Answer {
        self.api.insist(&self.add_ask(key, quantity)).await
    }

    async fn address(&self) -> Answer {
        self.api.insist(&self.address_ask()).await
    }

    pub(crate) async fn cart(&self) -> Value {
        self.api.insist(&self.ask("GET", "")).await.expect(200).body
    }

    /// The checkout as a request, so that it can be sent more than once.
    pub(crate) fn checkout(&self, payment: &str, total: i64, key: &str) -> Ask {
        let body = json!({
            "email": "ada@example.com", "payment": {"provider": "sandbox", "token": payment},
            "accept_total": {"amount": total, "currency": "USD"}, "wait_ms": 20_000
        });
        self.ask("POST", "/checkout").key(key).json(&body)
    }

    /// Checks out once, at the cart's own total.
    pub(crate) async fn pay(&self, payment: &str) -> Answer {
        let total = self.cart().await["totals"]["total"]["amount"].as_i64().expect("a total");
        self.api.send(&self.checkout(payment, total, &fresh_key("checkout"))).await
    }

    /// Checks out with one key until it is decided, over crashes of the shop.
    pub(crate) async fn pay_in_the_end(&self, payment: &str, total: i64) -> Answer {
        let checkout = self.checkout(payment, total, &fresh_key("checkout"));
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.api.insist(&checkout).await;
            if answer.status != 202 {
                return answer;
            }
            assert!(Instant::now() < until, "never decided: {}", answer.text);
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn order(&self, id: &str) -> Value {
        let ask = ask("GET", format!("/v1/orders/{id}")).header("cart-token", self.token.clone());
        self.api.insist(&ask).await.expect(200).body
    }

    /// What the buyer does at the bank, or to the order: `payment-action` or `cancel`.
    pub(crate) async fn act(&self, order: &str, what: &str, body: &Value) -> Answer {
        let ask =
            ask("POST", format!("/v1/orders/{order}/{what}")).header("cart-token", self.token.clone()).key(fresh_key(what)).json(body);
        self.api.send(&ask).await
    }
}
