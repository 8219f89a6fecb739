//! No query makes more work than its budget, whatever it asks; and what it finds within it is right.

use std::collections::BTreeSet;

use search_index::{
    AttributeValue, BUDGET, DocKey, Document, FacetField, FacetRequest, Filter, Index, Matching, OVERSHOOT, Query, Settings, Signals, Sort,
    Synonym, Synonyms, Units,
};

/// Two chunks of rows, some windows each.
const DOCUMENTS: u64 = 80_000;

/// xorshift64*.
fn draw(seed: &mut u64) -> u64 {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
}

/// Word 0 is in nearly every text, word 1 in half of them, and so on; between them words that begin with `co`, of which there are thousands.
fn document(key: u64) -> Document {
    let mut seed = 0x9e37_79b9_7f4a_7c15 ^ (key + 1).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mut text = |words: u64| {
        let mut text = String::new();
        for _ in 0..words {
            let drawn = draw(&mut seed);
            match drawn % 4 {
                0 => text.push_str(&format!("co{} ", letters(drawn / 4 % 3_000))),
                _ => text.push_str(&format!("{} ", WORDS[((drawn / 4) | 1 << 15).trailing_zeros() as usize])),
            }
        }
        text
    };
    Document {
        title: text(5),
        description: text(14),
        brand: Some(format!("brand {}", key % 700)),
        category: vec!["all".into(), format!("all/{}", key % 40)],
        price: Some((key * 7 % 90_000) as i64),
        rating: Some((key % 501) as u16),
        popularity: (key % 9_000) as i64,
        attributes: vec![("size".into(), AttributeValue::Number((key % 5_000) as f64))],
        ..Document::new(DocKey(key))
    }
}

const WORDS: [&str; 16] = [
    "lamp", "cable", "black", "steel", "wooden", "table", "chair", "garden", "paper", "cotton", "summer", "winter", "bottle", "silver",
    "camera", "window",
];

fn letters(mut number: u64) -> String {
    let mut word = String::new();
    for _ in 0..4 {
        word.push(char::from(b'a' + (number % 8) as u8));
        number /= 8;
    }
    word
}

fn index() -> Index {
    let mut index = Index::build(Settings::default(), (0..DOCUMENTS - 300).map(document)).expect("within bounds");
    (0..DOCUMENTS).step_by(90).for_each(|key| assert!(index.remove(DocKey(key)) || key >= DOCUMENTS - 300));
    (DOCUMENTS - 300..DOCUMENTS).for_each(|key| assert!(index.upsert(&document(key)).is_ok()));
    index
}

fn live(key: DocKey) -> bool {
    !key.0.is_multiple_of(3)
}

fn facets(times: usize) -> Vec<FacetRequest> {
    let fields = [
        FacetField::Brand,
        FacetField::Category,
        FacetField::Attribute("size".into()),
        FacetField::Price,
        FacetField::PriceHistogram { buckets: 20 },
        FacetField::InStock,
    ];
    fields.into_iter().cycle().take(times).map(|field| FacetRequest::new(field, 1_000)).collect()
}

/// What takes the most work of each kind.
fn queries() -> Vec<(&'static str, Query)> {
    let asked = |text: &str| Query { text: Some(text.into()), ..Query::default() };
    let all = WORDS.join(" ");
    let many: Vec<String> = (0..16).map(|number| format!("co{}", letters(number))).collect();
    let quoted: Vec<String> = WORDS.windows(2).take(8).map(|words| format!("\"{}\"", words.join(" "))).collect();
    let forbidden: Vec<String> = WORDS.windows(2).take(8).map(|words| format!("-\"{}\"", words.join(" "))).collect();
    let synonyms = Synonyms::new(&[Synonym {
        typed: vec!["thing".into()],
        found: (0..32).map(|nth| format!("{} {}", WORDS[nth % 6], WORDS[(nth / 6 + 1) % 6])).collect(),
    }]);
    let signals = Signals { popularity: 400, rating: 400, in_stock: 400, margin: 400 };
    let filters: Vec<Filter> = (0..32)
        .map(|nth| match nth % 4 {
            0 => Filter::Price { min: Some(nth), max: None },
            1 => Filter::InStock(true),
            2 => Filter::Category(vec!["all".into()]),
            _ => Filter::AttributeRange { name: "size".into(), min: Some(nth as f64), max: None },
        })
        .collect();
    vec![
        ("any word", Query { matching: Matching::Any, limit: 100, ..asked(&format!("{all} {}", many.join(" "))) }),
        ("all words", asked(&all)),
        ("signals", Query { matching: Matching::Any, limit: 100, signals, explain: true, ..asked(&all) }),
        ("two letters", Query { prefix: true, facets: facets(6), total: true, ..asked("co") }),
        ("two letters explained", Query { prefix: true, explain: true, limit: 100, ..asked("lamp co") }),
        ("quotations", asked(&quoted.join(" "))),
        ("forbidden", asked(&format!("chair {}", forbidden.join(" ")))),
        ("slips", Query { did_you_mean: true, ..asked("cobadcbaz coabbdebx coccddeex cofffedcx") }),
        ("synonyms", Query { synonyms: std::sync::Arc::new(synonyms.expect("within bounds")), ..asked("thing") }),
        ("filters and facets", Query { filters, facets: facets(32), total: true, ..Query::default() }),
        ("facets by price", Query { facets: facets(32), sort: Sort::Price, ..asked("lamp cable") }),
        ("late stock", Query { sort: Sort::Newest, filters: vec![Filter::InStock(true)], limit: 100, ..asked("lamp") }),
        ("everything", Query::default()),
    ]
}

#[test]
fn whatever_is_asked_ends_with_the_budget() {
    let index = index();
    for (name, query) in queries() {
        let part = |budget: Units| {
            let part = index.search_part(&Query { budget, ..query.clone() }, Some(&live)).expect("within bounds");
            assert!(budget == Units::UNLIMITED || part.spent.0 <= budget.0 + OVERSHOOT.0, "{name}: {:?} of {budget:?}", part.spent);
            part
        };
        let whole = part(Units::UNLIMITED);
        assert!(!whole.partial, "{name}");
        for budget in [0, 1_000, 100_000, 1_000_000, whole.spent.0 / 2, whole.spent.0 * 6] {
            let found = part(Units(budget));
            assert!(found.partial || found.hits == whole.hits, "{name} of {budget}");
            assert!(found.spent <= whole.spent || found.partial, "{name}: what is cut short makes no other work");
            // Each stage has a fifth at least, so none of them needs more than five times what all of them take.
            assert!(!found.partial || budget <= 5 * whole.spent.0, "{name} of {budget}: {:?}", whole.spent);
            assert!(found.partial || budget > 1_000, "{name} of {budget} takes {:?}", whole.spent);
            assert!(found.hits.is_empty() || budget > 0, "{name} of nothing");
        }
        // Each stage leaves something to those behind it: half of the work finds something where all of it does.
        let half = part(Units(whole.spent.0 / 2));
        let cut_in_sets = query.filters.len() > 1; // whatever is not looked at does not pass
        assert!(
            !half.hits.is_empty() || whole.hits.is_empty() || cut_in_sets,
            "{name} finds nothing with {:?} of {:?}",
            half.spent,
            whole.spent
        );
    }
}

#[test]
fn pages_of_an_answer_that_is_cut_short_repeat_nothing() {
    let index = index();
    for (name, query) in queries() {
        let mut query = Query { budget: Units(300_000), limit: 7, explain: false, ..query };
        let mut seen = BTreeSet::new();
        for _ in 0..6 {
            let page = index.search(&query, Some(&live)).expect("within bounds");
            assert!(page.hits.is_sorted_by_key(|hit| hit.sort), "{name}");
            assert!(page.hits.iter().all(|hit| seen.insert(hit.key)), "{name}");
            assert!(page.did_you_mean.is_none() || !page.partial, "{name}");
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
    }
}

#[test]
fn suggestions_and_marks_have_a_budget_too() {
    let index = index();
    let suggestions = index.suggest("lamp cable co", 10);
    assert!(!suggestions.partial && !suggestions.completions.is_empty());
    let query = Query { text: Some("lamp".into()), budget: Units(1_000), ..Query::default() };
    let highlighter = index.highlighter(&query).expect("within bounds");
    assert_eq!(highlighter.mark("A lamp"), "A <em>lamp</em>");
    assert!(!highlighter.is_partial());
    let long = "lamp ".repeat(100);
    assert_eq!((highlighter.ranges(&long).len(), highlighter.is_partial()), (100, false), "what is under way comes to its end");
    assert_eq!((highlighter.mark("A <lamp>").as_str(), highlighter.is_partial()), ("A &lt;lamp&gt;", true));
}

#[test]
fn shoppers_queries_come_nowhere_near_it() {
    let index = index();
    for text in ["lamp", "black cable", "steel garden chair", "coaaaa lamp", "lmap chiar"] {
        for shape in [Query::default(), Query { facets: facets(6), total: true, ..Query::default() }] {
            let part = index.search_part(&Query { text: Some(text.into()), ..shape }, Some(&live)).expect("within bounds");
            assert!(!part.partial && part.spent.0 < BUDGET.0 / 5, "{text}: {:?}", part.spent);
        }
    }
}
