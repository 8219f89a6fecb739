//! Question: what does it cost to write a product and a search page of 20 hits as JSON? Report microseconds each, wire view to bytes,
//! the copy of the view aside.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use gateway::dto::{product::Product, search::SearchPage};
use std::hint::black_box;
use wire::{
    Attribute, AttributeValue, Availability, CategoryCrumb, CategoryId, Currency, FacetResult, FacetValue, Image, Money, OptionChoice,
    ProductId, ProductStatus, ProductView, RawId, SearchHit, SearchResults, SkuId, VariantView,
};

fn usd(amount: i64) -> Money {
    Money { amount, currency: Currency::USD }
}

/// 12 attributes, 3 pictures, 6 variants: about what a catalog's products have.
fn product() -> ProductView {
    let variant = |n: u128| VariantView {
        id: SkuId(RawId((1 << 90) + n)),
        key: format!("SKU-{n}"),
        options: vec![OptionChoice { name: "size".to_owned(), value: n.to_string() }],
        price: Some(usd(1_999)),
        prices: vec![usd(1_999)],
        barcodes: vec!["0882780756328".to_owned()],
        availability: Availability { quantity: 10, backorder: false },
    };
    ProductView {
        id: ProductId(RawId(1 << 90)),
        key: "1399".to_owned(),
        version: 7,
        status: ProductStatus::Active,
        title: "A product with a title of ordinary length".to_owned(),
        description: "What it is good for, in a few sentences. ".repeat(12),
        brand: Some("Brand".to_owned()),
        category: vec![CategoryCrumb { id: CategoryId(RawId(2 << 90)), key: "a/b".to_owned(), name: "B".to_owned() }],
        attributes: (0..12)
            .map(|n| Attribute {
                name: format!("n_attribute_{n}"),
                value: if n % 2 == 0 { AttributeValue::Number(f64::from(n) * 1.5) } else { AttributeValue::Text("some value".to_owned()) },
            })
            .collect(),
        images: (0..3).map(|n| Image { url: format!("https://images.example/{n}.jpg"), alt: "A picture".to_owned() }).collect(),
        variants: (0..6).map(variant).collect(),
        popularity: 100,
        margin: None,
        released: Some(20_000),
    }
}

fn page() -> SearchResults {
    let hit = |n: u128| SearchHit {
        product: ProductId(RawId((1 << 90) + n)),
        key: format!("P-{n}"),
        title: "A product with a title of ordinary length".to_owned(),
        brand: Some("Brand".to_owned()),
        category: Some("printers/ink".to_owned()),
        price: Some(usd(1_999)),
        image: Some("https://images.example/1.jpg".to_owned()),
        in_stock: true,
        sku: SkuId(RawId((2 << 90) + n)),
        score: 12.5,
        highlight: None,
        pinned: false,
        explanation: None,
    };
    let value = |n: u64| FacetValue { value: format!("Brand {n}"), count: 100 - n, selected: n == 0, category: None };
    SearchResults {
        items: (0..20).map(hit).collect(),
        facets: vec![FacetResult { name: "brand".to_owned(), values: (0..20).map(value).collect(), stats: None }],
        total: Some(12_345),
        relaxed: false,
        next: Some(vec![7; 24]),
        did_you_mean: None,
        redirect: None,
        banner: None,
        partial: false,
    }
}

fn render(c: &mut Criterion) {
    let mut group = c.benchmark_group("render");
    let view = product();
    group.bench_function("product", |b| {
        b.iter_batched(
            || view.clone(),
            |view| serde_json::to_vec(&Product::from(black_box(view))).map(|bytes| bytes.len()),
            BatchSize::SmallInput,
        );
    });
    let results = page();
    group.bench_function("search_page", |b| {
        b.iter_batched(
            || results.clone(),
            |results| serde_json::to_vec(&SearchPage::new(black_box(results), 350)).map(|bytes| bytes.len()),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, render);
criterion_main!(benches);
