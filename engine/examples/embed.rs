//! A shop inside another program: a product is put in, found, and put into a cart; then the folder is opened again and the cart is still
//! there. Run it with `cargo run --release -p engine --example embed`.

use engine::{Config, Engine, Shutdown};
use futures_lite::future::block_on;
use wire::{
    Body, CartView, Money, Op, OpeningStock, PartitionId, Principal, ProductInput, ProductStatus, Request, SearchQuery, SkuRef,
    VariantInput,
};

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let config = Config { shards: Some(1), ..Config::new(folder.path().join("shop")) };

    let engine = Engine::open(config.clone())?;
    ask(&engine, Request::system(Op::PutProduct(Box::new(kettle()?))))?;

    let search = SearchQuery { text: "kettle".into(), limit: 10, ..SearchQuery::default() };
    let Body::Search(found) = ask(&engine, Request::system(Op::Search(search)))? else { return Err("no search results".into()) };
    let hit = found.items.first().ok_or("the kettle is not found")?;
    println!("found `{}` for {:?}, in stock: {}", hit.title, hit.price, hit.in_stock);

    // A guest's cart; whoever holds its id may change it.
    let create = Op::CreateCart { currency: "EUR".parse()?, partition: PartitionId(0) };
    let cart = as_cart(ask(&engine, Request { principal: Principal::Anonymous, ..Request::system(create) })?)?;
    let guest = Principal::Guest { cart: cart.id };
    let add = Op::AddLine { cart: cart.id, sku: SkuRef::Key("kettle-red".into()), quantity: 2 };
    let cart = as_cart(ask(&engine, Request { principal: guest, ..Request::system(add) })?)?;
    println!("cart {} holds {} line(s) worth {:?}", cart.id, cart.lines.len(), cart.totals.total);
    if engine.shutdown() != Shutdown::Drained {
        return Err("a call was cut off".into());
    }

    let engine = Engine::open(config)?;
    println!("opened again: {} entries in {:.3} s", engine.opened().entries, engine.opened().seconds);
    let again = as_cart(ask(&engine, Request { principal: guest, ..Request::system(Op::GetCart(cart.id)) })?)?;
    if again != cart {
        return Err("the cart is not what it was".into());
    }
    Ok(())
}

fn kettle() -> Result<ProductInput, Failed> {
    let price = Money { amount: 29_90, currency: "EUR".parse()? };
    Ok(ProductInput {
        key: "kettle".into(),
        title: "Whistling kettle".into(),
        description: "Enamelled steel, two litres.".into(),
        brand: Some("Potts".into()),
        category: Some("kitchen/kettles".into()),
        attributes: Vec::new(),
        images: Vec::new(),
        variants: vec![VariantInput { key: "kettle-red".into(), options: Vec::new(), prices: vec![price], barcodes: Vec::new() }],
        stock: vec![OpeningStock { variant: "kettle-red".into(), location: "main".into(), on_hand: 12 }],
        popularity: 0,
        margin: None,
        released: None,
        status: ProductStatus::Active,
    })
}

/// Calls the engine. A refusal of the shop is a failure here.
fn ask(engine: &Engine, request: Request) -> Result<Body, Failed> {
    let response = block_on(engine.call(request))?;
    response.result.map_err(|failure| format!("{failure:?}").into())
}

fn as_cart(body: Body) -> Result<CartView, Failed> {
    match body {
        Body::Cart(cart) => Ok(*cart),
        other => Err(format!("{other:?} is no cart").into()),
    }
}
