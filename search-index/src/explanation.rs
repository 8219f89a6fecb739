//! Why a hit has the score that it has.
//!
//! Path: a [`Query`](crate::Query) that asks to `explain` → a search as any other → for the hits that it answers what their scores were added up from
//! (`rank::explain`) → [`Part::explanations`](crate::Part::explanations) → [`merge`](crate::merge) → [`Results::explanations`](crate::Results::explanations), those
//! of the page.

/// What a hit's score was added up from. Nothing for a query without text, and for a pinned document that has none of the words.
///
/// ```
/// use search_index::{DocKey, Document, Index, Query, ScoreOf, Settings, Signals};
/// let lamp = Document { title: "Desk lamp".into(), popularity: 40, ..Document::new(DocKey(1)) };
/// let index = Index::build(Settings::default(), [lamp])?;
/// let signals = Signals { popularity: 50, ..Signals::default() };
/// let results = index.search(&Query { text: Some("lapm".into()), signals, explain: true, ..Query::default() }, None)?;
/// let (key, explanation) = &results.explanations[0];
/// assert_eq!(*key, DocKey(1));
/// assert_eq!(explanation.parts[0].what, ScoreOf::Word { typed: "lapm".into(), found: Some("lamp".into()) });
/// assert_eq!(explanation.parts[1].what, ScoreOf::TitleAsTyped { word: "lamp".into() });
/// assert_eq!(explanation.parts[2].what, ScoreOf::Popularity);
/// let sum: f32 = explanation.parts.iter().map(|part| part.score).sum();
/// assert!((sum - results.hits[0].score).abs() < 1e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// What counts for it and what against, each once, none of them 0: words in their order, then in the order of [`ScoreOf`]. Together they are the score, but for
    /// the rounding of each.
    pub parts: Vec<ScorePart>,
}

/// Something that a score is a sum of.
#[derive(Clone, Debug, PartialEq)]
pub struct ScorePart {
    /// What it is for.
    pub what: ScoreOf,
    /// How much it is, in the unit of [`Hit::score`](crate::Hit::score); below 0 where it counts against the hit.
    pub score: f32,
}

/// What a part of a score is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreOf {
    /// The document has a word of the query.
    Word {
        /// As it was typed, folded: in lower case and without diacritics.
        typed: String,
        /// What was found in its place, where that is something else: a synonym, what a misspelt word may have been meant to be, a longer word, or a part of it. As
        /// the dictionary has it, without ending. Of several it is the one that counts, which is the one that weighs the most.
        found: Option<String>,
    },
    /// The title has a word as it stands in the query, or as that may have been meant.
    TitleAsTyped {
        /// As the title has it, folded.
        word: String,
    },
    /// The title is about a word of the query.
    About {
        /// As in `Word`: what was found, or what was typed.
        word: String,
    },
    /// The title has a word that was not looked for, as nearly all texts have it.
    StopWord {
        /// It.
        word: String,
    },
    /// The document is in a category that the query names, in its own words or by a synonym.
    Category {
        /// The category's key.
        name: String,
    },
    /// The document's attribute `product_type` says that it is what the query names, likewise.
    ProductType {
        /// The attribute's value.
        name: String,
    },
    /// Two words that are neighbours in the query stand side by side in the title.
    SideBySide {
        /// As the query has them, folded.
        words: [String; 2],
    },
    /// A boost is about the document. Of several that together pass [`BOOST_PERCENT_MAX`](crate::BOOST_PERCENT_MAX), or would leave less than nothing, each comes with what it
    /// changed after those before it.
    Boost {
        /// Which one of [`Query::boosts`](crate::Query::boosts), from 0 on.
        nth: usize,
    },
    /// [`Signals::popularity`](crate::Signals::popularity).
    Popularity,
    /// [`Signals::rating`](crate::Signals::rating).
    Rating,
    /// [`Signals::in_stock`](crate::Signals::in_stock).
    InStock,
    /// [`Signals::margin`](crate::Signals::margin).
    Margin,
}
