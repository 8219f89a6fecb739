//! `/p/{id}`: a product, its variants, and the way into the cart.

use super::{
    session::{Visitor, unexpected},
    view::{Card, Failed, Shell, Stock, money, picture, public},
};
use crate::{
    App,
    http::{caller::CALL_MS, query, reference, reply::Reply},
};
use askama::Template;
use axum::extract::{Path, State};
use std::sync::Arc;
use wire::{Attribute, AttributeValue, Body, Filter, Op, Principal, ProductView, VariantView, limits};

/// Attributes shown at once; the others are folded away.
const ATTRIBUTES_OPEN: usize = 16;
/// Pictures shown.
const PICTURES: usize = 8;
/// Products like it that are shown.
const SIMILAR: u16 = 8;

struct Variant {
    sku: String,
    label: String,
    price: Option<String>,
    stock: Stock,
    checked: bool,
    buyable: bool,
}

struct Picture {
    url: String,
    alt: String,
}

struct Crumb {
    name: String,
    href: String,
}

#[derive(Template)]
#[template(path = "product.html")]
struct Product {
    shell: Shell,
    title: String,
    brand: Option<Crumb>,
    crumbs: Vec<Crumb>,
    pictures: Vec<Picture>,
    paragraphs: Vec<String>,
    variants: Vec<Variant>,
    attributes: Vec<(String, String)>,
    more_attributes: Vec<(String, String)>,
    similar: Vec<Card>,
    currency: String,
    quantity_max: u32,
    buyable: bool,
}

/// Names such as `t_colour` tell their type by a letter, which says nothing to shoppers.
fn attribute_label(name: &str) -> String {
    let bare = ["t_", "n_", "b_"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let mut letters = bare.chars().map(|letter| if letter == '_' { ' ' } else { letter });
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn attribute(attribute: Attribute) -> (String, String) {
    let value = match attribute.value {
        AttributeValue::Text(text) | AttributeValue::Keyword(text) => text,
        AttributeValue::Number(number) => number.to_string(),
        AttributeValue::Bool(true) => "Yes".to_owned(),
        AttributeValue::Bool(false) => "No".to_owned(),
    };
    (attribute_label(&attribute.name), value)
}

fn variant(view: &VariantView) -> Variant {
    let options: Vec<String> = view.options.iter().map(|choice| format!("{}: {}", choice.name, choice.value)).collect();
    let available = view.availability.in_stock() || view.availability.backorder;
    Variant {
        sku: view.id.to_string(),
        label: if options.is_empty() { view.key.clone() } else { options.join(", ") },
        price: view.price.map(money),
        stock: Stock::of(view.availability),
        checked: false,
        buyable: view.price.is_some() && available,
    }
}

impl From<ProductView> for Product {
    fn from(view: ProductView) -> Self {
        let mut variants: Vec<Variant> = view.variants.iter().map(variant).collect();
        if let Some(first) = variants.iter_mut().find(|variant| variant.buyable) {
            first.checked = true;
        }
        let mut attributes: Vec<(String, String)> = view.attributes.into_iter().map(attribute).collect();
        let more_attributes = attributes.split_off(attributes.len().min(ATTRIBUTES_OPEN));
        let crumb =
            |name: String, parameter: &str, value: &str| Crumb { name, href: format!("/search?{parameter}={}", query::encode(value)) };
        Self {
            shell: Shell::default(),
            brand: view.brand.map(|brand| crumb(brand.clone(), "brand", &brand)),
            crumbs: view.category.into_iter().map(|it| crumb(it.name, "category", &it.key)).collect(),
            pictures: {
                let shown = view.images.into_iter().filter_map(|it| picture(Some(&it.url)).map(|url| Picture { url, alt: it.alt }));
                shown.take(PICTURES).collect()
            },
            paragraphs: view.description.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
            currency: view
                .variants
                .iter()
                .find_map(|variant| variant.price)
                .map_or_else(|| "USD".to_owned(), |price| price.currency.to_string()),
            buyable: variants.iter().any(|variant| variant.buyable),
            title: view.title,
            variants,
            attributes,
            more_attributes,
            similar: Vec::new(),
            quantity_max: limits::LINE_QUANTITY_MAX,
        }
    }
}

pub(super) async fn product(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>) -> Result<Reply, Failed> {
    let product = reference::product(&id)?;
    let similar = Op::SimilarProducts { product: product.clone(), filters: vec![Filter::InStock(true)], limit: SIMILAR };
    let ask = |op| visitor.ask(&app, Principal::Anonymous, None, CALL_MS, op);
    let (found, similar) = tokio::join!(ask(Op::GetProduct(product)), ask(similar));
    let Body::Product(view) = found? else { return Err(unexpected().into()) };
    // The page is about the product: it is there without others like it too.
    let similar = match similar {
        Ok(Body::SimilarProducts(hits)) => hits.into_iter().map(Card::from).collect(),
        Ok(_) | Err(_) => Vec::new(),
    };
    let surrogate = format!("product:{} search", view.id);
    public(&visitor, &Product { similar, ..Product::from(*view) }, &surrogate)
}

#[cfg(test)]
mod tests {
    use super::attribute_label;

    #[test]
    fn attribute_names_are_for_people() {
        for (name, wanted) in [("t_colour_of_case", "Colour of case"), ("n_width", "Width"), ("élan", "Élan"), ("t_", ""), ("", "")] {
            assert_eq!(attribute_label(name), wanted);
        }
    }
}
