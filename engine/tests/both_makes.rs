//! One shopping journey over both makes of the client: the queue within the process, and QUIC with mutual TLS. They must tell the same story.

mod common;

use common::{config, run_async, under_both_drivers};
use engine::{Config, Engine, WireListen};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use wire::{
    Address, Body, CartView, Client, Currency, EffectOutcome, EffectResult, Failure, Filter, Idempotency, Millis, Money, Op, OpeningStock,
    OrderStatus, OrderView, PartitionId, PaymentMethod, PaymentStatus, Principal, ProductInput, ProductStatus, Refusal, Request, Response,
    Role, SearchQuery, ShardId, SkuRef, VariantInput,
    quic::{DevCa, Identity, Part, QuicClient, client_config},
};

under_both_drivers! { the_journey_is_the_same_over_the_queue_and_over_quic }

const ADMIN: Principal = Principal::Staff { role: Role::Admin };

async fn ask(client: &dyn Client, principal: Principal, op: Op) -> Response {
    client.call(Request { principal, ..Request::system(op) }).await.expect("the engine answers")
}

async fn cart(client: &dyn Client, principal: Principal, op: Op) -> CartView {
    match ask(client, principal, op).await.result {
        Ok(Body::Cart(cart)) => *cart,
        other => panic!("a cart was expected, not {other:?}"),
    }
}

fn product(key: &str, stock: u32) -> Op {
    Op::PutProduct(Box::new(ProductInput {
        key: key.to_owned(),
        title: format!("Desk lamp {key}"),
        description: String::new(),
        brand: None,
        category: Some("lamps/desk".to_owned()),
        attributes: Vec::new(),
        images: Vec::new(),
        variants: vec![VariantInput {
            key: key.to_owned(),
            options: Vec::new(),
            prices: vec![Money { amount: 4_500, currency: Currency::USD }],
            barcodes: Vec::new(),
        }],
        stock: vec![OpeningStock { variant: key.to_owned(), location: "main".to_owned(), on_hand: stock }],
        popularity: 0,
        margin: None,
        released: None,
        status: ProductStatus::Active,
    }))
}

/// Does what the payment adapter is asked for, on every shard, until the order under way has settled.
async fn pay(adapter: Arc<dyn Client>) {
    loop {
        for shard in 0..adapter.topology().shards {
            let take =
                Op::TakeEffects { shard: ShardId(shard), adapters: vec!["sandbox".to_owned()], max: 8, lease_ms: 5_000, wait_ms: 20 };
            let Ok(Body::Effects(effects)) = ask(&*adapter, Principal::System, take).await.result else { panic!("no effects") };
            for effect in effects {
                let result = EffectResult { id: effect.id, fence: effect.fence, outcome: EffectOutcome::Succeeded };
                assert_eq!(ask(&*adapter, Principal::System, Op::EffectResult(result)).await.result, Ok(Body::Done));
            }
        }
    }
}

/// A guest buys the last two units; what they saw, without the ids.
async fn journey(shop: Arc<dyn Client>, adapter: Arc<dyn Client>, key: &str) -> Vec<String> {
    let mut story = Vec::new();
    let put = ask(&*shop, ADMIN, product(key, 2)).await;
    assert!(matches!(put.result, Ok(Body::Upserted { version: 1, .. })), "{put:?}");
    let made = cart(&*shop, Principal::Anonymous, Op::CreateCart { currency: Currency::USD, partition: PartitionId(3) }).await;
    let guest = Principal::Guest { cart: made.id };
    let add = Op::AddLine { cart: made.id, sku: SkuRef::Key(key.to_owned()), quantity: 2 };
    let filled = cart(&*shop, guest, add).await;
    story.push(format!("total {}", filled.totals.total.amount));
    let address = Address {
        name: "Ada".to_owned(),
        line1: "1 Main St".to_owned(),
        line2: None,
        city: "Springfield".to_owned(),
        region: None,
        postal_code: "12345".to_owned(),
        country: "US".to_owned(),
        phone: None,
    };
    let ready = cart(&*shop, guest, Op::SetAddress { cart: made.id, address }).await;
    let stranger = ask(&*shop, Principal::Anonymous, Op::GetCart(made.id)).await;
    story.push(format!("a stranger: {:?}", stranger.result));

    let paying = tokio::spawn(pay(adapter));
    let checkout = Request {
        principal: guest,
        idempotency: Some(Idempotency { key: made.id.0.0, fingerprint: 1 }),
        ..Request::system(Op::Checkout {
            cart: made.id,
            email: "ada@example.org".to_owned(),
            payment: PaymentMethod { provider: "sandbox".to_owned(), token: "pm_card_visa".to_owned() },
            accept_total: ready.totals.total,
            wait_ms: 8_000,
        })
    };
    let mut orders = Vec::new();
    for _ in 0..2 {
        let response = shop.call(checkout.clone()).await.expect("the engine answers");
        let Ok(Body::Order(order)) = response.result else { panic!("an order was expected, not {:?}", response.result) };
        story.push(format!("{:?} {:?} replayed {}", order.status, order.payment_status, response.replayed));
        orders.push(*order);
    }
    paying.abort();
    let [first, again]: [OrderView; 2] = orders.try_into().expect("two answers");
    assert_eq!(first, again, "the same order again");
    assert_eq!((first.status, first.payment_status), (OrderStatus::Open, PaymentStatus::Captured));

    let Ok(Body::Stock(stock)) = ask(&*shop, ADMIN, Op::GetStock(SkuRef::Key(key.to_owned()))).await.result else { panic!("no stock") };
    story.push(format!("available {} committed {}", stock.locations[0].available, stock.locations[0].committed));
    for filters in [vec![], vec![Filter::InStock(true)]] {
        let query = SearchQuery { text: key.to_owned(), filters, limit: 10, ..SearchQuery::default() };
        let Ok(Body::Search(found)) = ask(&*shop, Principal::Anonymous, Op::Search(query)).await.result else { panic!("no results") };
        story.push(format!("found {}", found.items.len()));
    }
    story
}

fn the_journey_is_the_same_over_the_queue_and_over_quic() {
    run_async(both_journeys());
}

async fn both_journeys() {
    let folder = tempfile::tempdir().expect("a folder");
    #[expect(clippy::disallowed_methods, reason = "TLS compares with the machine's clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now = Millis(u64::try_from(since.as_millis()).expect("before the year 500 million"));
    let ca = DevCa::generate(now).expect("an authority");
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("bound").port();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let credentials = ca.issue(&Identity::new(Part::Engine, "one").expect("a name"), now).expect("issued");
    let wire = WireListen { listen, authority_pem: ca.certificate_pem().to_owned(), credentials };
    let engine = Engine::open(Config { wire: Some(wire), ..config(folder.path(), 1) }).expect("opened");

    let over_quic = async |part, name: &str| {
        let credentials = ca.issue(&Identity::new(part, name).expect("a name"), now).expect("issued");
        let tls = client_config(ca.certificate_pem(), &credentials).expect("a configuration");
        let client: Arc<dyn Client> = Arc::new(QuicClient::connect(listen, tls).await.expect("connected"));
        client
    };
    let gateway = over_quic(Part::Gateway, "one").await;
    let adapter = over_quic(Part::Adapter, "sandbox").await;
    let by_queue = journey(engine.client(), engine.client(), "queue").await;
    let by_quic = journey(Arc::clone(&gateway), adapter, "quic").await;
    assert_eq!(by_queue, by_quic);
    let not_found = format!("a stranger: {:?}", Err::<Body, _>(Failure::Refused(Refusal::NotFound)));
    let expected = [
        "total 9000",
        &not_found,
        "Open Captured replayed false",
        "Open Captured replayed true",
        "available 0 committed 2",
        "found 1",
        "found 0",
    ];
    assert_eq!(by_queue, expected);

    let check = ask(&*gateway, Principal::System, Op::CheckStock(ShardId(0))).await;
    assert_eq!(check.result, Err(Failure::Refused(Refusal::Forbidden)), "a gateway is not the system");
    let _ = tokio::task::spawn_blocking(|| engine.shutdown()).await.expect("it ends");
}
