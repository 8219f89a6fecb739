//! The pages against a scripted engine: what they show, what they ask, and what every page keeps to.

use crate::tests::{Reply, Rig, cart, cart_id, cart_secret, order, order_id, product, sku_id, usd};
use crate::{CartTokens, http::query::encode};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
};
use wire::{
    ActionOutcome, Availability, Body, CartId, CartLineView, CartProblem, CartStatus, CartView, CategoryCrumb, CategoryId, CategoryView,
    FacetCategory, FacetResult, FacetStats, FacetValue, Failure, Filter, Image, LineId, LineState, NextAction, Op, OptionChoice,
    OrderLineView, OrderStatus, PaymentStatus, PaymentView, Principal, ProductId, RawId, Refusal, Request, SearchHit, SearchResults,
    Shortage, Sort,
};

const HOSTILE: &str = "<script>alert('x')</script> \"5\" & <img src=x onerror=y>";
const ESCAPED: &str = "&#60;script&#62;";
const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn category(key: &str, name: &str) -> CategoryView {
    CategoryView {
        id: CategoryId(RawId(5)),
        version: 1,
        key: key.to_owned(),
        name: name.to_owned(),
        breadcrumb: vec![CategoryCrumb { id: CategoryId(RawId(4)), key: "office".to_owned(), name: "Office".to_owned() }],
        parent: None,
        products: 12,
    }
}

fn hit(n: u128, title: &str) -> SearchHit {
    SearchHit {
        product: ProductId(RawId(n)),
        key: n.to_string(),
        title: title.to_owned(),
        brand: Some("HP".to_owned()),
        category: Some("office/ink".to_owned()),
        price: Some(usd(123_456)),
        image: Some("https://img.example/1.jpg".to_owned()),
        in_stock: n % 2 == 1,
        sku: sku_id(),
        score: 1.0,
        highlight: None,
        pinned: false,
        explanation: None,
    }
}

fn found(items: Vec<SearchHit>) -> SearchResults {
    let value = |value: &str, count, selected| FacetValue { value: value.to_owned(), count, selected, category: None };
    let category = |key: &str, name: Option<&str>, parent: Option<&str>, level, selected| FacetValue {
        category: Some(FacetCategory { name: name.map(str::to_owned), parent: parent.map(str::to_owned), level }),
        ..value(key, 9, selected)
    };
    let facet = |name: &str, values, stats| FacetResult { name: name.to_owned(), values, stats };
    SearchResults {
        total: Some(items.len() as u64),
        items,
        facets: vec![
            facet("brand", vec![value("HP", 7, true), value(HOSTILE, 2, false)], None),
            facet(
                "category",
                vec![
                    category("office", Some("Office"), None, 1, false),
                    category("office/ink", None, Some("office"), 2, true),
                    category("office/ink/black", Some(HOSTILE), Some("office/ink"), 3, false),
                    category("garden", Some("Garden"), None, 1, false),
                ],
                None,
            ),
            facet("price", vec![], Some(FacetStats { min: 500.0, max: 99_900.0, avg: 5_000.0 })),
        ],
        relaxed: false,
        next: Some(vec![1, 2, 255]),
        did_you_mean: None,
        redirect: None,
        banner: None,
        partial: false,
    }
}

fn line_id() -> LineId {
    LineId(RawId(31))
}

fn filled() -> CartView {
    let line = CartLineView {
        id: line_id(),
        sku: sku_id(),
        product: ProductId(RawId(77 << 80)),
        product_key: "1399".to_owned(),
        title: format!("Ink {HOSTILE}"),
        image: None,
        quantity: 3,
        unit_price: usd(1_999),
        discount: usd(0),
        tax: usd(0),
        total: usd(5_997),
        availability: Availability { quantity: 10, backorder: false },
    };
    CartView { lines: vec![line], ..cart() }
}

fn placed(status: OrderStatus, payment: PaymentStatus) -> wire::OrderView {
    let line = OrderLineView {
        id: line_id(),
        sku: sku_id(),
        title: format!("Ink {HOSTILE}"),
        quantity: 3,
        unit_price: usd(1_999),
        total: usd(5_997),
        quantities: vec![(LineState::Allocated, 3)],
    };
    let payment = PaymentView {
        id: wire::PaymentId(RawId(8)),
        provider: "sandbox".to_owned(),
        status: payment,
        amount: usd(5_997),
        captured: usd(0),
        refunded: usd(0),
        decline_code: None,
    };
    wire::OrderView { lines: vec![line], payments: vec![payment.clone()], ..order(status, payment.status) }
}

/// A shop with one product, one category, a filled cart and its order; everything works.
fn shop(request: &Request) -> Result<Body, Failure> {
    match &request.op {
        Op::ListCategories => Ok(Body::Categories(vec![category("office", HOSTILE)])),
        Op::GetCategory(_) => Ok(Body::Categories(vec![category("office/ink", "Ink")])),
        Op::Search(_) => Ok(Body::Search(Box::new(found(vec![hit(1, "Cyan"), hit(2, HOSTILE)])))),
        Op::GetProduct(_) => Ok(Body::Product(Box::new(product(7)))),
        Op::SimilarProducts { .. } => Ok(Body::SimilarProducts(vec![hit(3, "Magenta"), hit(4, HOSTILE)])),
        Op::CreateCart { .. } => Ok(Body::Cart(Box::new(cart()))),
        Op::GetCart(_) | Op::AddLine { .. } | Op::SetLineQuantity { .. } | Op::SetAddress { .. } => Ok(Body::Cart(Box::new(filled()))),
        Op::GetOrder(id) if *id != order_id() => Err(Failure::Refused(Refusal::NotFound)),
        Op::GetOrder(_) | Op::Checkout { .. } | Op::PaymentAction { .. } | Op::CancelOrder { .. } => {
            Ok(Body::Order(Box::new(placed(OrderStatus::Open, PaymentStatus::Captured))))
        }
        other => panic!("no page asks for {other:?}"),
    }
}

fn token(cart: CartId) -> String {
    CartTokens::new(&cart_secret()).issue(cart)
}

/// The cookie of a browser that holds the shop's cart.
fn holding() -> String {
    format!("__Host-emporion={}", token(cart_id()))
}

async fn get(rig: &Rig, path: &str) -> Reply {
    rig.send(&format!("GET {path}"), &[("cookie", &holding()), ("accept", "text/html")], "").await
}

async fn post(rig: &Rig, path: &str, body: &str) -> Reply {
    rig.send(&format!("POST {path}"), &[("cookie", &holding()), SAME_ORIGIN, FORM], body.to_owned()).await
}

/// Everything that was asked, in order.
fn asked(rig: &mut Rig) -> Vec<Request> {
    std::iter::from_fn(|| rig.asked.try_recv().ok()).collect()
}

/// The value of the attribute `name` in a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    rest.split_once('"').map(|(value, _)| value)
}

/// Start tags of a page, without their brackets.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .filter(|tag| tag.starts_with(|letter: char| letter.is_ascii_alphabetic()))
        .filter_map(|tag| Some(tag.split_once('>')?.0))
        .collect()
}

/// The form's drawn key.
fn key(html: &str) -> String {
    let tag = tags(html).into_iter().find(|tag| attribute(tag, "name") == Some("key")).expect("a form with a key");
    attribute(tag, "value").expect("a value").to_owned()
}

/// What every page keeps to.
fn is_sound(what: &str, reply: &Reply) {
    let html = &reply.text;
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{what}");
    let csp = reply.header("content-security-policy");
    assert!(csp.starts_with("default-src 'none'; style-src 'self';") && !csp.contains("script-src"), "{what}: {csp}");
    assert!(html.contains("<html lang=\"en\">") && html.contains("<main id=\"main\""), "{what}");
    assert_eq!(html.matches("<h1").count(), 1, "{what} has one headline");
    assert!(!html.contains("<script") && !html.contains("<style") && !html.contains("{{"), "{what}");
    let (mut ids, mut labelled) = (BTreeSet::new(), BTreeSet::new());
    for tag in tags(html) {
        for name in ["style", "onclick", "onerror", "onload", "onsubmit"] {
            assert_eq!(attribute(tag, name), None, "{what}: <{tag}>");
        }
        if let Some(id) = attribute(tag, "id") {
            assert!(ids.insert(id), "{what}: {id} is there twice");
        }
        if tag.starts_with("label ") {
            labelled.insert(attribute(tag, "for").expect("a label says for what"));
        }
        assert!(!tag.starts_with("img ") || attribute(tag, "alt").is_some(), "{what}: <{tag}>");
    }
    for tag in tags(html) {
        let is_control = ["input ", "select ", "textarea "].iter().any(|kind| tag.starts_with(kind));
        if is_control && attribute(tag, "type") != Some("hidden") {
            let id = attribute(tag, "id").unwrap_or_else(|| panic!("{what}: <{tag}> has no id"));
            assert!(labelled.contains(id), "{what}: nothing labels {id}");
        }
        for name in ["aria-describedby", "aria-labelledby"] {
            assert!(attribute(tag, name).is_none_or(|id| ids.contains(id)), "{what}: <{tag}>");
        }
    }
    for name in ["div", "form", "ul", "ol", "li", "section", "fieldset", "p", "aside", "nav", "table", "dl", "span", "a", "select"] {
        let opened = tags(html).iter().filter(|tag| tag.split([' ', '\n']).next() == Some(name)).count();
        assert_eq!(opened, html.matches(&format!("</{name}>")).count(), "{what}: <{name}> is opened and closed");
    }
}

#[tokio::test]
async fn every_page_shows_what_it_should_and_is_sound() {
    let rig = Rig::new(shop);
    let order_path = format!("/orders/{}", order_id());
    for (path, wanted) in [
        (
            "/",
            vec![
                "Popular",
                "Cyan",
                "$1,234.56",
                "In stock",
                "Out of stock",
                ESCAPED,
                "/search?category=office\"",
                "data-test=\"search-box\"",
            ],
        ),
        (
            "/search?q=ink&brand=HP&category=office%2Fink&min=5&in_stock=true",
            vec![
                "“ink” in Ink",
                "2 products",
                "Cyan",
                "(7)",
                "office › ink",
                "<li class=\"below-2\">",
                "$5.00 to $999.00",
                "Remove filter",
                "checked",
                "data-test=\"next-page\"",
                "after=AQL_",
                "Office",
            ],
        ),
        (
            "/p/key=1399",
            vec![
                "HP 80 Original Cyan",
                "$125.95",
                "Only 7 left",
                "Add to cart",
                "<th scope=\"row\">Type</th><td>Original</td>",
                "/search?brand=HP",
            ],
        ),
        ("/cart", vec!["$59.97", ESCAPED, "Check out", "$19.99", "Remove"]),
        ("/checkout", vec!["Place order", "value=\"1999 USD\"", "United Kingdom", "3-D Secure", ESCAPED]),
        (
            order_path.as_str(),
            vec!["Thank you!", "data-status=\"open\"", "Paid", "3 ready to ship", "Cancel this order", "28 May 2026", ESCAPED],
        ),
    ] {
        let reply = get(&rig, path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        is_sound(path, &reply);
        for text in wanted {
            assert!(reply.text.contains(text), "{path} lacks {text}:\n{}", reply.text);
        }
        let personal = !(path == "/" || path.starts_with("/search") || path.starts_with("/p/"));
        assert_eq!(reply.header("cache-control"), if personal { "private, no-store" } else { "public, no-cache" }, "{path}");
        assert_eq!(reply.header("etag").is_empty(), personal, "{path}");
    }
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let rig = Rig::new(shop);
    let tag = get(&rig, "/p/key=1399").await.header("etag").to_owned();
    let again = rig.send("GET /p/key=1399", &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
}

#[tokio::test]
async fn the_stylesheet_is_kept_for_good_under_its_hash() {
    let rig = Rig::empty();
    let page = rig.send("GET /nowhere", &[("accept", "text/html")], "").await;
    let url = page.text.split_once("rel=\"stylesheet\" href=\"").expect("a stylesheet").1.split('"').next().expect("an address").to_owned();
    let sheet = rig.send(&format!("GET {url}"), &[], "").await;
    assert_eq!((sheet.status.as_u16(), sheet.header("content-type")), (200, "text/css; charset=utf-8"));
    assert!(sheet.header("cache-control").contains("immutable"));
    let other = rig.send("GET /assets/shop.css?v=0", &[("if-none-match", sheet.header("etag"))], "").await;
    assert!(other.status == 304 && !other.header("cache-control").contains("immutable"), "of another version");
}

#[tokio::test] // Each row: path, what is accepted, and whether a page answers.
async fn nowhere_is_a_page_for_browsers_only() {
    let rig = Rig::empty();
    for (path, accept, page) in [("/nowhere", "text/html,*/*", true), ("/nowhere", "*/*", false), ("/v1/nowhere", "text/html", false)] {
        let reply = rig.send(&format!("GET {path}"), &[("accept", accept)], "").await;
        assert_eq!(reply.status, 404);
        assert_eq!(reply.header("content-type").starts_with("text/html"), page, "{path} {accept}");
    }
    for path in ["/p/nothing", "/p/key=none", "/orders/nothing", &format!("/orders/{}", order_id())] {
        let reply = get(&rig, path).await;
        assert_eq!(reply.status, 404, "{path}");
        is_sound(path, &reply);
        assert!(reply.text.contains("data-test=\"error\" data-status=\"404\""), "{path}");
    }
}

#[tokio::test]
async fn forms_of_other_sites_change_nothing() {
    let mut rig = Rig::new(shop);
    let order = order_id();
    for path in
        ["/cart/lines", "/cart/lines/line_1", "/checkout", &format!("/orders/{order}/cancel"), &format!("/orders/{order}/payment-action")]
    {
        for extra in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("x", "neither is said")] {
            let headers = [("cookie", &*holding()), ("host", "shop.example"), FORM, extra];
            let reply = rig.send(&format!("POST {path}"), &headers, "key=k&quantity=1".to_owned()).await;
            assert_eq!(reply.status, 403, "{path} {extra:?}");
            is_sound(path, &reply);
        }
        let headers = [("cookie", &*holding()), SAME_ORIGIN, ("content-type", "text/plain")];
        assert_eq!(rig.send(&format!("POST {path}"), &headers, "key=k".to_owned()).await.status, 415, "{path}");
        let reply = post(&rig, path, &format!("key={}", "k".repeat(20_000))).await;
        assert_eq!(reply.status, 413, "{path}");
    }
    assert!(asked(&mut rig).is_empty(), "the engine heard of none of them");
}

#[tokio::test]
async fn the_first_thing_added_opens_a_cart() {
    let mut rig = Rig::new(shop);
    let body = format!("sku={}&quantity=2&currency=EUR", sku_id());
    let reply = rig.send("POST /cart/lines", &[SAME_ORIGIN, FORM], body.clone()).await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (303, "/cart"));
    let cookie = reply.header("set-cookie").to_owned();
    assert!(cookie.starts_with(&holding()), "{cookie}");
    for part in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite=Lax"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let requests = asked(&mut rig);
    assert!(matches!(&requests[0].op, Op::CreateCart { currency, .. } if currency.as_str() == "EUR"), "{:?}", requests[0].op);
    assert_eq!(requests[1].principal, Principal::Guest { cart: cart_id() });
    assert!(matches!(requests[1].op, Op::AddLine { quantity: 2, .. }));
    // With the cookie the same cart is filled further, and there is nothing new to remember.
    let reply = post(&rig, "/cart/lines", &body).await;
    assert_eq!((reply.status.as_u16(), reply.header("set-cookie")), (303, ""));
    assert_eq!(asked(&mut rig).len(), 1);
    for quantity in ["0", "-1", "1.5", "x", "", "100001"] {
        let reply = post(&rig, "/cart/lines", &format!("sku={}&quantity={quantity}", sku_id())).await;
        assert_eq!(reply.status, 422, "{quantity}");
        is_sound(quantity, &reply);
    }
    assert_eq!(post(&rig, "/cart/lines", "quantity=1").await.status, 422, "no variant is chosen");
}

#[tokio::test]
async fn after_an_order_the_next_thing_opens_another_cart() {
    let old = CartId(RawId(9));
    let rig = Rig::new(move |request| match request.op {
        Op::AddLine { cart, .. } if cart == old => Err(Failure::Refused(Refusal::CartClosed)),
        _ => shop(request),
    });
    let cookie = format!("__Host-emporion={}!{}", token(old), order_id());
    let reply = rig.send("POST /cart/lines", &[("cookie", &cookie), SAME_ORIGIN, FORM], format!("sku={}&quantity=1", sku_id())).await;
    assert_eq!(reply.status, 303);
    let wanted = format!("__Host-emporion={}~{}!{};", token(cart_id()), token(old), order_id());
    assert!(reply.header("set-cookie").starts_with(&wanted), "{}", reply.header("set-cookie"));
}

#[tokio::test]
async fn a_cart_shows_what_stands_in_its_way() {
    let rig = Rig::new(|request| match request.op {
        Op::GetCart(_) => {
            let problems = vec![CartProblem::InsufficientStock { line: line_id(), available: 1 }];
            Ok(Body::Cart(Box::new(CartView { problems, ..filled() })))
        }
        _ => shop(request),
    });
    let page = get(&rig, "/cart").await;
    is_sound("/cart", &page);
    assert!(page.text.contains("Only 1 can be had") && !page.text.contains("href=\"/checkout\""));
    assert_eq!(get(&rig, "/checkout").await.header("location"), "/cart");
    let gone = Rig::new(|request| match request.op {
        Op::GetCart(_) => Ok(Body::Cart(Box::new(CartView { status: CartStatus::Ordered, ..filled() }))),
        _ => shop(request),
    });
    let page = get(&gone, "/cart").await;
    is_sound("/cart, ordered", &page);
    assert!(page.text.contains("data-test=\"cart-empty\""));
    assert_eq!(get(&gone, "/checkout").await.header("location"), "/cart");
    let empty = Rig::new(shop).send("GET /cart", &[], "").await;
    assert!(empty.text.contains("data-test=\"cart-empty\""));
}

#[tokio::test]
async fn lines_are_changed_and_removed() {
    let mut rig = Rig::new(shop);
    let path = format!("/cart/lines/{}", line_id());
    for quantity in [4, 0] {
        let reply = post(&rig, &path, &format!("quantity={quantity}")).await;
        assert_eq!((reply.status.as_u16(), reply.header("location")), (303, "/cart"));
        assert_eq!(rig.last().op, Op::SetLineQuantity { cart: cart_id(), line: line_id(), quantity });
    }
}

/// The checkout form filled in, with `more` in place of some fields.
fn filled_form(more: &[(&str, &str)]) -> String {
    let fields = [
        ("key", "0123456789abcdef0123456789abcdef"),
        ("accept_total", "1999 USD"),
        ("email", "ada@example.com"),
        ("name", "Ada & Co <b>"),
        ("line1", "1 Main St"),
        ("line2", ""),
        ("city", "London"),
        ("region", ""),
        ("postal_code", "N1"),
        ("country", "GB"),
        ("phone", ""),
        ("payment", "pm_card_visa"),
    ];
    let value = |name, value| more.iter().find(|(other, _)| *other == name).map_or(value, |(_, value)| *value);
    fields.map(|(name, text)| format!("{name}={}", encode(value(name, text)))).join("&")
}

#[tokio::test]
async fn two_clicks_buy_once() {
    let mut rig = Rig::new(shop);
    let (one, other) = (key(&get(&rig, "/checkout").await.text), key(&get(&rig, "/checkout").await.text));
    assert_ne!(one, other, "each form shown has its own key");
    asked(&mut rig);
    let mut keys = Vec::new();
    for key in [&one, &one, &other] {
        let reply = post(&rig, "/checkout", &filled_form(&[("key", key)])).await;
        assert_eq!((reply.status.as_u16(), reply.header("location")), (303, &*format!("/orders/{}", order_id())));
        assert!(reply.header("set-cookie").starts_with(&format!("{}!{};", holding(), order_id())), "the order is remembered");
        keys.push(asked(&mut rig).into_iter().map(|request| request.idempotency.expect("both commands are keyed")).collect::<Vec<_>>());
    }
    assert_eq!(keys[0].len(), 2, "the address, then the checkout");
    assert_ne!(keys[0][0].key, keys[0][1].key);
    assert_eq!(keys[0], keys[1], "a second click is the same request");
    assert_ne!(keys[0], keys[2]);
    assert_eq!(post(&rig, "/checkout", &filled_form(&[("key", "")])).await.status, 400);
}

#[tokio::test]
async fn a_checkout_asks_for_what_the_form_says() {
    let mut rig = Rig::new(shop);
    post(&rig, "/checkout", &filled_form(&[("payment", "pm_card_authenticationRequired")])).await;
    let requests = asked(&mut rig);
    assert!(matches!(&requests[0].op, Op::SetAddress { address, .. } if address.name == "Ada & Co <b>" && address.line2.is_none()));
    let Op::Checkout { cart, email, payment, accept_total, .. } = &requests[1].op else { panic!("{:?}", requests[1].op) };
    assert_eq!((*cart, email.as_str(), *accept_total), (cart_id(), "ada@example.com", usd(1_999)));
    assert_eq!((payment.provider.as_str(), payment.token.as_str()), ("sandbox", "pm_card_authenticationRequired"));
}

#[tokio::test]
async fn the_second_click_waits_for_the_first() {
    let tries = AtomicU32::new(0);
    let rig = Rig::new(move |request| match request.op {
        Op::Checkout { .. } if tries.fetch_add(1, Ordering::Relaxed) < 2 => Err(Failure::Refused(Refusal::IdempotencyKeyInUse)),
        Op::SetAddress { .. } => Err(Failure::Refused(Refusal::CartCheckingOut)),
        _ => shop(request),
    });
    assert_eq!(post(&rig, "/checkout", &filled_form(&[])).await.status, 303);
}

#[tokio::test] // Each row: what stands in the way, the status, words of the page, and whether its form keeps its key.
async fn a_refused_checkout_comes_back_as_a_form_with_the_reason() {
    let short = Shortage { line: 0, sku: sku_id(), requested: 3, available: 1 };
    let declined = |code: &str| Failure::Refused(Refusal::PaymentDeclined { decline_code: code.to_owned() });
    for (failure, status, words, same_key) in [
        (declined("insufficient_funds"), 402, "not enough money on the card", false),
        (declined("generic_decline"), 402, "your cart is kept", false),
        (Failure::Refused(Refusal::InsufficientStock(vec![short])), 409, "3 wanted, 1 left", false),
        (Failure::Refused(Refusal::TotalChanged { total: usd(2_500) }), 409, "It is $25.00 now", false),
        (Failure::Refused(Refusal::IdempotencyKeyReused), 422, "already sent", false),
        (Failure::DeadlineExceeded, 503, "you will not be charged twice", true),
        (Failure::Overloaded { retry_after_ms: 1 }, 503, "you will not be charged twice", true),
    ] {
        let what = format!("{failure:?}");
        let rig = Rig::new(move |request| match request.op {
            Op::Checkout { .. } => Err(failure.clone()),
            _ => shop(request),
        });
        let reply = post(&rig, "/checkout", &filled_form(&[])).await;
        assert_eq!(reply.status.as_u16(), status, "{what}");
        is_sound(&what, &reply);
        assert!(reply.text.contains(words), "{what}: {}", reply.text);
        assert!(reply.text.contains("data-test=\"refused\"") && reply.text.contains("value=\"Ada &#38; Co &#60;b&#62;\""), "{what}");
        assert!(reply.text.contains("value=\"GB\" selected") && reply.text.contains("value=\"pm_card_visa\" selected"), "{what}");
        assert_eq!(key(&reply.text) == "0123456789abcdef0123456789abcdef", same_key, "{what}");
        assert_eq!(reply.header("cache-control"), "private, no-store");
    }
}

#[tokio::test]
async fn a_checkout_of_a_closed_cart_leads_to_its_order() {
    let rig = Rig::new(|request| match request.op {
        Op::Checkout { .. } | Op::SetAddress { .. } => Err(Failure::Refused(Refusal::CartClosed)),
        Op::GetCart(_) => Ok(Body::Cart(Box::new(CartView { status: CartStatus::Ordered, ..filled() }))),
        _ => shop(request),
    });
    let cookie = format!("{}!{}", holding(), order_id());
    let reply = rig.send("POST /checkout", &[("cookie", &cookie), SAME_ORIGIN, FORM], filled_form(&[])).await;
    assert_eq!(reply.status, 409);
    assert!(reply.text.contains(&format!("href=\"/orders/{}\"", order_id())), "{}", reply.text);
    is_sound("closed", &reply);
}

#[tokio::test] // Each row: a field, what is in it, and what the page says of it.
async fn fields_that_cannot_be_taken_are_named() {
    let long = "x".repeat(300);
    for (name, value, words) in [
        ("email", "ada", "Write an address like"),
        ("email", "", "Write an address like"),
        ("name", "", "Fill this in."),
        ("line1", &long, "This is too long."),
        ("country", "", "Choose a country."),
        ("payment", "pm_card_mine", "Choose a payment."),
        ("name", "4242 4242 4242 4242", "Never write a card number here."),
    ] {
        let mut rig = Rig::new(shop);
        let reply = post(&rig, "/checkout", &filled_form(&[(name, value)])).await;
        assert_eq!(reply.status, 422, "{name}={value}");
        is_sound(name, &reply);
        assert!(reply.text.contains(words) && reply.text.contains(&format!("href=\"#{name}\"")), "{name}={value}: {}", reply.text);
        assert!(asked(&mut rig).iter().all(|request| matches!(request.op, Op::GetCart(_))), "{name}={value}: nothing was changed");
    }
}

#[tokio::test]
async fn orders_open_to_the_holder_of_their_cart() {
    let mut rig = Rig::new(|request| match (&request.op, request.principal) {
        (Op::GetOrder(_), Principal::Guest { cart }) if cart != cart_id() => Err(Failure::Refused(Refusal::NotFound)),
        _ => shop(request),
    });
    let path = format!("GET /orders/{}", order_id());
    assert_eq!(rig.send(&path, &[], "").await.status, 404, "nobody's");
    assert!(asked(&mut rig).is_empty());
    let other = CartId(RawId(1));
    let cookie = format!("__Host-emporion={}~{}", token(other), token(cart_id()));
    assert_eq!(rig.send(&path, &[("cookie", &cookie)], "").await.status, 200, "of a recent cart");
    assert_eq!(asked(&mut rig).len(), 2);
    let forged = format!("__Host-emporion={}", token(cart_id()).replace('.', ".A"));
    assert_eq!(rig.send(&path, &[("cookie", &forged)], "").await.status, 404);
}

#[tokio::test]
async fn the_buyer_confirms_refuses_and_cancels() {
    let mut rig = Rig::new(|request| match request.op {
        Op::GetOrder(_) => {
            let next_action = Some(NextAction { kind: "three_d_secure".to_owned(), url: None });
            Ok(Body::Order(Box::new(wire::OrderView { next_action, ..placed(OrderStatus::Placing, PaymentStatus::Pending) })))
        }
        Op::PaymentAction { outcome: ActionOutcome::Fail, .. } => {
            Err(Failure::Refused(Refusal::PaymentDeclined { decline_code: "authentication_failed".to_owned() }))
        }
        _ => shop(request),
    });
    let order_path = format!("/orders/{}", order_id());
    let page = get(&rig, &order_path).await;
    is_sound("to confirm", &page);
    assert!(page.text.contains("data-test=\"confirm-payment\"") && page.text.contains("One more step"));
    let key = key(&page.text);
    asked(&mut rig);
    let reply = post(&rig, &format!("{order_path}/payment-action"), &format!("key={key}&outcome=success")).await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (303, &*order_path));
    let request = rig.last();
    assert!(request.idempotency.is_some() && matches!(request.op, Op::PaymentAction { outcome: ActionOutcome::Success, .. }));
    let cookie = format!("{}!{}", holding(), order_id());
    let (line, body) = (format!("POST {order_path}/payment-action"), format!("key={key}&outcome=fail"));
    let fail = rig.send(&line, &[("cookie", &cookie), SAME_ORIGIN, FORM], body).await;
    assert_eq!(fail.status, 402);
    is_sound("declined", &fail);
    assert!(fail.text.contains("could not confirm that it was you") && fail.text.contains("href=\"/checkout\""));
    assert!(fail.header("set-cookie").starts_with(&format!("{};", holding())), "the order that came to nothing is forgotten");
    let reply = post(&rig, &format!("{order_path}/cancel"), "key=c").await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (303, &*order_path));
    let request = rig.last();
    assert!(request.idempotency.is_some() && matches!(request.op, Op::CancelOrder { .. }));
    for (path, body, status) in
        [("payment-action", "key=k&outcome=perhaps", 422), ("payment-action", "outcome=success", 400), ("cancel", "", 400)]
    {
        assert_eq!(post(&rig, &format!("{order_path}/{path}"), body).await.status.as_u16(), status, "{path} {body}");
    }
}

#[tokio::test]
async fn a_search_asks_for_what_its_address_says() {
    let mut rig = Rig::new(shop);
    get(&rig, "/search?q=ink&brand=HP&brand=Canon&min=5&max=10.50&in_stock=true&sort=-price&after=AQL_").await;
    let Op::Search(query) = rig.last().op else { panic!("a search") };
    let brands = vec!["HP".to_owned(), "Canon".to_owned()];
    let wanted = vec![Filter::Brand(brands), Filter::Price { min: Some(500), max: Some(1_050) }, Filter::InStock(true)];
    assert_eq!(
        (query.text.as_str(), query.filters, query.sort, query.after),
        ("ink", wanted, Sort::PriceDescending, Some(vec![1, 2, 255]))
    );
    get(&rig, "/search").await;
    let Op::Search(query) = rig.last().op else { panic!("a search") };
    assert_eq!(query.sort, Sort::Popularity, "without words nothing matches best");
}

#[tokio::test]
async fn a_search_that_was_cut_short_says_so() {
    let rig = Rig::new(|request| match request.op {
        Op::Search(_) => Ok(Body::Search(Box::new(SearchResults { partial: true, ..found(vec![hit(1, "Cyan")]) }))),
        Op::Suggest { .. } => Ok(Body::Suggestions(wire::Suggestions { partial: true, ..wire::Suggestions::default() })),
        _ => shop(request),
    });
    let page = get(&rig, "/search?q=a+b+c").await;
    is_sound("cut short", &page);
    assert!(page.text.contains("there may be more"), "{}", page.text);
    for path in ["/v1/search?q=a", "/v1/suggest?q=a"] {
        let answer = get(&rig, path).await;
        assert!(answer.text.contains("\"partial\":true"), "{}", answer.text);
        assert!(!answer.header("cache-control").contains("public"), "the next one may be whole: {}", answer.header("cache-control"));
    }
    assert!(rig.edge.app.metrics.text().contains("emporion_searches_partial_total 3\n"), "{}", rig.edge.app.metrics.text());
    let rig = Rig::new(shop);
    assert!(!get(&rig, "/v1/search?q=a").await.text.contains("partial"));
    assert!(!get(&rig, "/search?q=a").await.text.contains("there may be more"));
}

#[tokio::test]
async fn a_search_without_results_helps_on() {
    let rig = Rig::new(|request| match request.op {
        Op::Search(_) => {
            let did_you_mean = Some("ink & toner".to_owned());
            Ok(Body::Search(Box::new(SearchResults { next: None, facets: Vec::new(), did_you_mean, ..found(Vec::new()) })))
        }
        _ => shop(request),
    });
    let page = get(&rig, "/search?q=zzz&brand=HP&min=cheap").await;
    assert_eq!(page.status, 200);
    is_sound("nothing", &page);
    for text in [
        "Nothing found",
        "Check the spelling",
        "Take away a filter",
        "is not a price",
        "No products",
        "value=\"HP\" checked",
        "href=\"/search?q=ink%20%26%20toner",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    let moved = Rig::new(|request| match request.op {
        Op::Search(_) => Err(Failure::Refused(Refusal::BadCursor)),
        _ => shop(request),
    });
    let reply = get(&moved, "/search?q=ink&after=AAAA").await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (303, "/search?q=ink"), "the list moved on");
}

#[tokio::test]
async fn variants_are_chosen_and_pictures_described() {
    let rig = Rig::new(|request| match request.op {
        Op::GetProduct(_) => {
            let mut view = product(0);
            let mut blue = view.variants[0].clone();
            blue.id = wire::SkuId(RawId(99));
            blue.options = vec![OptionChoice { name: "Colour".to_owned(), value: HOSTILE.to_owned() }];
            blue.availability = Availability { quantity: 10, backorder: false };
            view.variants.push(blue);
            view.images = vec![
                Image { url: "https://img.example/1.jpg".to_owned(), alt: "Front \"view\"".to_owned() },
                Image { url: "javascript:alert(1)".to_owned(), alt: String::new() },
            ];
            view.description = format!("First.\n\n{HOSTILE}");
            Ok(Body::Product(Box::new(view)))
        }
        _ => shop(request),
    });
    let page = get(&rig, "/p/key=1399").await;
    assert_eq!(page.status, 200);
    is_sound("variants", &page);
    let radios: Vec<&str> = tags(&page.text).into_iter().filter(|tag| attribute(tag, "type") == Some("radio")).collect();
    assert!(radios[0].contains(" disabled") && radios[1].contains(" checked"), "{radios:?}");
    assert!(page.text.contains("alt=\"Front &#34;view&#34;\"") && !page.text.contains("javascript:"));
    assert!(page.text.contains("<p>First.</p>") && page.text.matches(ESCAPED).count() == 3);
}

#[tokio::test]
async fn a_product_is_shown_with_others_like_it_or_without() {
    let page = get(&Rig::new(shop), "/p/key=1399").await;
    is_sound("product", &page);
    let (_, similar) = page.text.split_once("data-test=\"similar\"").expect("a section of its own");
    assert!(similar.contains(">Similar items</h2>") && similar.contains(">Magenta</a>") && similar.contains(ESCAPED), "{similar}");
    for answer in [Ok(Body::SimilarProducts(Vec::new())), Err(Failure::Overloaded { retry_after_ms: 2_000 })] {
        let rig = Rig::new(move |request| if matches!(request.op, Op::SimilarProducts { .. }) { answer.clone() } else { shop(request) });
        let page = get(&rig, "/p/key=1399").await;
        is_sound("product", &page);
        assert!(page.status == 200 && !page.text.contains("Similar items") && page.text.contains("data-test=\"product-title\""));
    }
}

#[tokio::test]
async fn a_shop_in_trouble_says_so_on_a_page() {
    for (failure, status) in [(Failure::Overloaded { retry_after_ms: 2_000 }, 503), (Failure::Internal, 500), (Failure::ShuttingDown, 503)]
    {
        let rig = Rig::new(move |_| Err(failure.clone()));
        for path in ["/", "/search?q=a", "/p/key=1", "/cart", "/checkout"] {
            let reply = get(&rig, path).await;
            assert_eq!(reply.status.as_u16(), status, "{path}");
            is_sound(path, &reply);
            assert_eq!(reply.header("cache-control"), "private, no-store");
        }
        assert_eq!(get(&rig, "/").await.header("retry-after").is_empty(), status == 500);
    }
}
