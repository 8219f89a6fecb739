//! What is asked in each mode, and the index it is asked of.
//!
//! Path: [`Question`](super::queries::Question)'s text → [`Mode::query`] → [`Shop::search`].

use super::product::{Known, colour_attribute};
use crate::server::BenchError;
use search_index::{DocKey, FacetField, FacetRequest, Filter, Index, Matching, Query, Results};

/// Values counted of each facet.
const FACET_VALUES: u16 = 20;

/// A way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Mode {
    /// Documents with any of the terms
    Any,
    /// Documents with all terms
    All,
    /// As a shop asks: all terms first, then some
    Default,
    /// Any term, in the category of the query's best hit, with three facets, price range and total
    Filter,
    /// Every keystroke of every query: all words, the last one still being typed
    Prefix,
    /// Misspelt queries, or else the others: all words, or what is spelt nearly so
    Fuzzy,
    /// As by default, while products are written and merged; each query waits for a step of that
    Merging,
    /// Not a query: a price change and a new product, until a search sees them
    Update,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::Default => "default",
            Self::Filter => "filter",
            Self::Prefix => "prefix",
            Self::Fuzzy => "fuzzy",
            Self::Merging => "merging",
            Self::Update => "update",
        }
    }

    /// Whether its answers are judged: those of a filter are not what the query alone asks for, and those on the way to a query are not its own.
    pub(super) fn is_judged(self) -> bool {
        match self {
            Self::Any | Self::All | Self::Default | Self::Fuzzy => true,
            Self::Filter | Self::Prefix | Self::Merging | Self::Update => false,
        }
    }

    /// The query for a text.
    pub(super) fn query(self, text: &str, shop: &Shop) -> Result<Query, BenchError> {
        let matching = match self {
            Self::Any | Self::Filter => Matching::Any,
            Self::All | Self::Prefix | Self::Fuzzy => Matching::All,
            Self::Default | Self::Merging | Self::Update => Matching::AllThenAny,
        };
        let mut query = Query { text: Some(text.to_owned()), matching, prefix: self == Self::Prefix, limit: 10, ..Query::default() };
        if self == Self::Filter {
            let best = shop.search(&Query { limit: 1, ..query.clone() })?.hits.first().map(|hit| hit.key);
            let category = best.and_then(|key| shop.known.category(key));
            query.filters.extend(category.map(|key| Filter::Category(vec![key.to_owned()])));
            let colour = shop.known.shape.map_or("colour", colour_attribute);
            let fields = [FacetField::Brand, FacetField::Category, FacetField::Attribute(colour.to_owned()), FacetField::Price];
            query.facets = fields.into_iter().map(|field| FacetRequest::new(field, FACET_VALUES)).collect();
            query.total = true;
        }
        if shop.sold_out.is_some() {
            query.filters.push(Filter::InStock(true));
        }
        Ok(query)
    }
}

/// An index with its stock.
pub(super) struct Shop {
    pub(super) index: Index,
    pub(super) known: Known,
    /// Per cent of the documents; `None` where stock is not asked for.
    pub(super) sold_out: Option<u8>,
}

impl Shop {
    pub(super) fn search(&self, query: &Query) -> Result<Results, BenchError> {
        let percent = self.sold_out.unwrap_or(0);
        self.index.search(query, Some(&|key| in_stock(key, percent))).map_err(BenchError::other)
    }
}

/// Draws by key, the same in every run: this many in a hundred are sold out, spread over all kinds of products.
fn in_stock(key: DocKey, sold_out_percent: u8) -> bool {
    let mixed = key.0.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> 32) % 100 >= u64::from(sold_out_percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use search_index::{Document, Settings};

    #[test]
    fn as_many_are_sold_out_as_was_said() {
        for percent in [0, 30, 100] {
            let out = (0..10_000).filter(|key| !in_stock(DocKey(*key), percent)).count();
            assert!(out.abs_diff(100 * usize::from(percent)) < 200, "{out} of 10,000 at {percent} %");
        }
    }

    #[test]
    fn modes_ask_for_what_their_names_say() {
        let titled = |key, title: &str, category: &str| Document {
            title: title.into(),
            category: vec![category.into()],
            ..Document::new(DocKey(key))
        };
        let documents = [titled(0, "red ink", "ink"), titled(1, "red lamp shade", "lamps"), titled(2, "ink for a pen", "ink")];
        let index = Index::build(Settings::default(), documents).expect("within bounds");
        let mut known = Known::default();
        for category in ["ink", "lamps", "ink"] {
            known.add("b0", Some(&category.to_owned())).expect("few");
        }
        let mut shop = Shop { index, known, sold_out: None };
        let found = |shop: &Shop, mode: Mode| {
            let results = shop.search(&mode.query("red ink", shop).expect("within bounds")).expect("within bounds");
            (results.hits.iter().map(|hit| hit.key.0).collect::<Vec<_>>(), results.total, results.facets.len())
        };
        assert_eq!(found(&shop, Mode::All), (vec![0], None, 0));
        assert_eq!(found(&shop, Mode::Any).0.len(), 3);
        assert_eq!(found(&shop, Mode::Default).0.len(), 3);
        assert_eq!(found(&shop, Mode::Filter), (vec![0, 2], Some(2), 4));
        let typed = Mode::Prefix.query("red la", &shop).expect("within bounds");
        assert_eq!(shop.search(&typed).expect("within bounds").hits.first().map(|hit| hit.key), Some(DocKey(1)));
        shop.sold_out = Some(100);
        assert_eq!(found(&shop, Mode::Any).0, [] as [u64; 0]);
    }
}
