//! What frames cost on the way between gateway and engine.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use wire::frame::{Frame, RawFrame, RequestId};
use wire::{
    Body, CartId, Currency, FacetResult, FacetValue, Idempotency, Millis, Money, Op, PartitionId, Principal, ProductId, RawId, Request,
    Response, SearchHit, SearchResults, Seq, SkuId, SkuRef,
};

/// The most frequent write.
fn cart_request() -> Frame {
    let cart = CartId::new(Millis(1_764_000_000_123), PartitionId(63), Seq(7), 2);
    let request = Request {
        principal: Principal::Guest { cart },
        timeout_ms: 2_500,
        trace: 1,
        idempotency: Some(Idempotency { key: 1, fingerprint: 2 }),
        if_match: None,
        at_least: Vec::new(),
        op: Op::AddLine { cart, sku: SkuRef::Id(SkuId(RawId(42))), quantity: 1 },
    };
    Frame::Request { id: RequestId(1), request: Box::new(request) }
}

/// The most frequent read: a page of 20 hits, three facets.
fn search_answer() -> Frame {
    let hit = |n: u32| SearchHit {
        product: ProductId(RawId(u128::from(n))),
        key: format!("product-{n}"),
        title: format!("Toner cartridge {n} for laser printers, black, high yield"),
        brand: Some("Example Works".into()),
        category: Some("printers/ink-and-toner".into()),
        price: Some(Money { amount: i64::from(n) * 100, currency: Currency::USD }),
        image: Some(format!("https://images.example.com/p/{n}.jpg")),
        in_stock: !n.is_multiple_of(3),
        sku: SkuId(RawId(u128::from(n) + 1)),
        score: 12.5,
        highlight: None,
        pinned: false,
        explanation: None,
    };
    let facet = |name: &str| FacetResult {
        name: name.into(),
        values: (0..20).map(|n| FacetValue { value: format!("{name} {n}"), count: n, selected: false, category: None }).collect(),
        stats: None,
    };
    let results = SearchResults {
        items: (0..20).map(hit).collect(),
        facets: ["brand", "category", "attr.t_colour"].map(facet).into(),
        total: Some(1_234),
        relaxed: false,
        next: Some(vec![7; 24]),
        did_you_mean: None,
        redirect: None,
        banner: None,
        partial: false,
    };
    let response = Response { positions: Vec::new(), replayed: false, result: Ok(Body::Search(Box::new(results))) };
    Frame::Response { id: RequestId(1), trace: 1, response: Box::new(response) }
}

/// Question: what does a frame cost beside the 1.2 to 1.6 us that QUIC takes for a small call? `access` checks the body in place,
/// `decode` also makes it an owned value: how much would handlers save that read requests in place?
fn frame(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire/frame");
    for (name, frame) in [("cart request", cart_request()), ("search answer", search_answer())] {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).expect("within bounds");
        assert_eq!(Frame::decode(&bytes), Ok((frame.clone(), bytes.len())));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut out = Vec::with_capacity(bytes.len());
        group.bench_function(BenchmarkId::new("encode", name), |b| {
            b.iter(|| {
                out.clear();
                black_box(&frame).encode(&mut out)
            });
        });
        group.bench_function(BenchmarkId::new("access", name), |b| {
            b.iter(|| {
                let raw = RawFrame::split(black_box(&bytes)).expect("whole");
                match frame {
                    Frame::Request { .. } => raw.request().is_ok(),
                    _ => raw.response().is_ok(),
                }
            });
        });
        group.bench_function(BenchmarkId::new("decode", name), |b| b.iter(|| Frame::decode(black_box(&bytes))));
    }
    group.finish();
}

criterion_group!(benches, frame);
criterion_main!(benches);
