//! `/`: a way in by words, by category and by what sells.

use super::{
    session::{Visitor, unexpected},
    view::{Card, Failed, Shell, public},
};
use crate::{
    App,
    http::{caller::CALL_MS, query, reply::Reply},
};
use askama::Template;
use axum::extract::State;
use std::sync::Arc;
use wire::{Body, CategoryView, Op, Principal, SearchQuery, Sort};

/// Categories shown, those with the most products first.
const CATEGORIES: usize = 12;
/// Products shown.
const POPULAR: u16 = 12;

struct Entry {
    name: String,
    href: String,
    products: u64,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    shell: Shell,
    categories: Vec<Entry>,
    cards: Vec<Card>,
}

fn top(views: Vec<CategoryView>) -> Vec<Entry> {
    let mut roots: Vec<CategoryView> = views.into_iter().filter(|view| view.parent.is_none() && view.products > 0).collect();
    roots.sort_by(|a, b| b.products.cmp(&a.products).then_with(|| a.name.cmp(&b.name)));
    let entry = |view: CategoryView| Entry {
        href: format!("/search?category={}", query::encode(&view.key)),
        name: view.name,
        products: view.products,
    };
    roots.into_iter().take(CATEGORIES).map(entry).collect()
}

pub(super) async fn home(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Reply, Failed> {
    let popular = SearchQuery { sort: Sort::Popularity, limit: POPULAR, ..SearchQuery::default() };
    let ask = |op| visitor.ask(&app, Principal::Anonymous, None, CALL_MS, op);
    let (categories, found) = tokio::try_join!(ask(Op::ListCategories), ask(Op::Search(popular)))?;
    let (Body::Categories(views), Body::Search(found)) = (categories, found) else { return Err(unexpected().into()) };
    let page = Home { shell: Shell::default(), categories: top(views), cards: found.items.into_iter().map(Card::from).collect() };
    public(&visitor, &page, "search categories")
}
