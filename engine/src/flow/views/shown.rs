//! Which of its variants a product is shown by.
//!
//! A search finds products; their cards show one variant each, with its price. The best is the one that meets most of what was asked: filters by option and price, then
//! the words of the text that name options, then stock, then the least price where prices are the order; of equals the merchant's first.

use super::catalog::shown_price;
use crate::{domain::product::Product, record::v1::ArchivedVariant, shared::SkuStock};
use search_index::{Filter, FilterValue, Index, Query, Sort, Wording};
use std::{
    cell::{OnceCell, RefCell},
    cmp::Reverse,
    collections::BTreeMap,
    sync::Arc,
};
use wire::ArchivedMoney;

/// What a search asks of variants.
pub(crate) struct Wanted<'a> {
    filters: &'a [Filter],
    text: Option<(&'a Index, &'a Query)>,
    /// Of the text, made for the first product that has a choice: most have none.
    wording: OnceCell<Option<Wording<'a>>>,
    by_price: bool,
    /// Whether the text says them: options are the same on many variants.
    said: RefCell<BTreeMap<String, bool>>,
}

impl<'a> Wanted<'a> {
    /// By all that a query asks, which this index has answered.
    pub(crate) fn by_query(index: &'a Index, query: &'a Query) -> Self {
        let by_price = matches!(query.sort, Sort::Price | Sort::PriceDesc);
        Self { text: query.text.is_some().then_some((index, query)), by_price, ..Self::by_filters(&query.filters) }
    }

    /// By nothing but filters.
    pub(crate) fn by_filters(filters: &'a [Filter]) -> Self {
        Self { filters, text: None, wording: OnceCell::new(), by_price: false, said: RefCell::default() }
    }

    /// The place of the variant to show. `stock` has a word for each variant, in order. O(variants · (filters + options)).
    pub(crate) fn best(&self, product: &Product, stock: &[Arc<SkuStock>]) -> usize {
        if product.skus.len() <= 1 {
            return 0;
        }
        let worth = |place: usize, variant: &ArchivedVariant| {
            let in_stock = stock.get(place).is_some_and(|word| word.in_stock());
            let met = self.filters.iter().filter(|filter| meets(variant, in_stock, filter)).count();
            let said = variant.options.iter().filter(|option| self.says(option.1.as_str())).count();
            let price = self.by_price.then(|| price_of(variant).unwrap_or(i64::MAX));
            (met, said, in_stock, Reverse(price), Reverse(place))
        };
        let all = product.variants().enumerate().map(|(place, (_, variant))| worth(place, variant));
        all.max().map_or(0, |(.., Reverse(place))| place)
    }

    fn says(&self, value: &str) -> bool {
        // A text that was searched for is within all bounds.
        let wording = || self.text.and_then(|(index, query)| index.wording(query).ok());
        let Some(wording) = self.wording.get_or_init(wording) else { return false };
        if let Some(said) = self.said.borrow().get(value) {
            return *said;
        }
        let said = wording.says(value);
        self.said.borrow_mut().insert(value.to_owned(), said);
        said
    }
}

fn price_of(variant: &ArchivedVariant) -> Option<i64> {
    shown_price(variant.prices.iter().map(ArchivedMoney::native)).map(|price| price.amount)
}

/// Whether a variant is what the filter asks for; one without such an option is not.
fn meets(variant: &ArchivedVariant, in_stock: bool, filter: &Filter) -> bool {
    match filter {
        Filter::Price { min, max } => {
            price_of(variant).is_some_and(|price| min.is_none_or(|min| min <= price) && max.is_none_or(|max| price <= max))
        }
        Filter::Attribute { name, any_of } => {
            let is_one = |value: &str| any_of.iter().any(|one| matches!(one, FilterValue::Text(text) if text == value));
            variant.options.iter().any(|option| option.0 == name.as_str() && is_one(option.1.as_str()))
        }
        Filter::InStock(wanted) => in_stock == *wanted,
        // Of the product, all variants alike.
        Filter::Brand(_) | Filter::Category(_) | Filter::Rating { .. } | Filter::AttributeRange { .. } => false,
    }
}
