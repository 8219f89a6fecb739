//! What users of the index rely on, one promise a test.

use search_index::{
    ATTRIBUTES_MAX, AttributeValue, Columns, Completion, Current, DocKey, Document, DocumentError, FACET_LIMIT_MAX, FACET_QUERY_KEYS_MAX,
    FACETS_MAX, FILTER_VALUES_MAX, FILTERS_MAX, FacetCounts, FacetField, FacetKey, FacetQuery, FacetRequest, Filter, FilterValue, Index,
    LIMIT_MAX, Matching, OPERATORS_MAX, QUERY_BYTES_MAX, Query, QueryError, Settings, Sort, Suggestions, TERMS_MAX, Written, merge,
    misjudged, named_fields,
};

fn titled(key: u64, title: &str) -> Document {
    Document { title: title.into(), popularity: key as i64, ..Document::new(DocKey(key)) }
}

fn index(titles: &[&str]) -> Index {
    let documents = titles.iter().zip(1..).map(|(title, key)| titled(key, title));
    Index::build(Settings::default(), documents).expect("titles are short")
}

fn text(text: &str) -> Query {
    Query { text: Some(text.into()), ..Query::default() }
}

fn found(index: &Index, query: &Query) -> Vec<u64> {
    let results = index.search(query, None).expect("the query is within bounds");
    results.hits.iter().map(|hit| hit.key.0).collect()
}

fn counts(index: &Index, field: FacetField) -> Vec<(FacetKey, u64)> {
    let query = Query { facets: vec![FacetRequest::new(field, FACET_LIMIT_MAX)], ..Query::default() };
    match index.search(&query, None).expect("the query is within bounds").facets.remove(0).counts {
        FacetCounts::Values(values) => values.into_iter().map(|value| (value.value, value.count)).collect(),
        other => panic!("wanted values, found {other:?}"),
    }
}

#[test] // Title, query, whether the one finds the other.
fn spellings_meet() {
    for (title, query, matches) in [
        ("HP 80 Original Cyan", "hp80", true),
        ("HP80 ink", "hp 80", true),
        ("Brother TN-2110 toner", "tn2110", true),
        ("Brother TN2110 toner", "tn-2110", true),
        ("8GB memory", "8 gb", true),
        ("8 GB memory", "8gb", true),
        ("16 GB memory", "16 gigabytes", true),
        ("4/8 GB memory", "4gb", true),
        ("Laptop 15.6\" HD", "15.6 inch laptop", true),
        ("Laptop 15,6 inches", "15.6\" laptop", true),
        ("Laptop 15.6-inch", "15.6in", true),
        ("Laptop 15.6″", "laptop 15.6 in", true),
        ("Laptop 15.6", "laptop 15.6\"", true), // nobody says the unit
        ("Kettle, 1.5 litres", "1500ml", true),
        ("Kettle 150 cl", "1,5 l kettle", true),
        ("Kettle 15 cl", "1.5 l kettle", false),
        ("Flour 0.5 kg", "500 grams flour", true),
        ("Flour 500g", "0.5kg", true),
        ("Cable 1 m", "cable 100cm", true),
        ("Cable 10 m", "cable 100cm", false),
        ("Drive 1TB", "1000 gb drive", true),
        ("Memory 2048 MB", "2gb", true),
        ("Paper 210 x 297 mm", "21 cm paper", true),
        ("802.11 b/g router", "802.11 g", true),
        ("CB541A toner", "cb541a", true),
        ("CB541A toner", "cb541b", false),
        ("Ink cartridges", "cartridge", true),
        ("Café table", "cafe TABLES", true),
        ("Men's shoes", "mens shoe", true),
        ("Men's shoes", "men shoe", true),
        ("日本語 プリンター", "日本", true),
    ] {
        let one = index(&[title]);
        let all = Query { sort: Sort::Popularity, total: true, ..text(query) };
        let results = one.search(&all, None).expect("within bounds");
        assert_eq!(results.total == Some(1) && !results.relaxed, matches, "{title} / {query}");
    }
}

#[test] // A word that many documents have beside the beginnings of words that more have: how long the lists are changes nothing.
fn as_many_are_counted_as_have_all_words() {
    let title = |key: u64| match key % 6 {
        0 => "mug red",
        1 | 3 => "cup redwood",
        2 | 4 => "cup redder",
        _ => "mug blue",
    };
    let index = Index::build(Settings::default(), (0..12_000).map(|key| titled(key, title(key)))).expect("titles are short");
    for (query, wanted) in [("mug re", 2_000), ("cup redw", 4_000), ("re", 10_000), ("mug redw", 0), ("mug red", 2_000)] {
        let query = Query { matching: Matching::All, prefix: true, total: true, ..text(query) };
        assert_eq!(index.search(&query, None).expect("within bounds").total, Some(wanted), "{:?}", query.text);
    }
}

#[test] // Title, query, whether the one finds the other.
fn quotations_stand_and_forbidden_words_do_not() {
    for (title, query, matches) in [
        ("USB C cable", "\"usb c\" cable", true),
        ("USB cable, type C", "\"usb c\" cable", false),
        ("Cables for the phone", "\"cable for the phone\"", true),
        ("Phone cable for the desk", "\"cable for the phone\"", false),
        ("Brother TN-2110 toner", "\"tn-2110 toner\"", true),
        ("USB hub", "usb -hub", false),
        ("USB hubs", "usb -hub", false),
        ("USB cable", "usb -hub", true),
        ("USB cable for a hub", "usb -\"usb hub\"", true),
        ("USB hub", "-usb", false),
        ("Lamp", "-usb", true),
        ("Brother TN-2110 toner", "toner -tn2110", false),
        ("15.6\" screen", "15.6\" screen", true),
        ("15.6\" screen", "\"15.6 inch\" screen", true),
        ("Flour, 500 g", "\"0.5 kg\"", true),
        ("Flour, 500 g", "flour -0.5kg", false),
        ("Flour, 5 kg", "flour -500g", true),
        ("Lamp for a desk", "\"lamp\"", true),
        ("Lamp", "\"lamp", true),
    ] {
        let one = index(&[title]);
        let all = Query { total: true, ..text(query) };
        let results = one.search(&all, None).expect("within bounds");
        assert_eq!(results.total == Some(1) && !results.relaxed, matches, "{title} / {query}");
        assert_eq!(found(&one, &text(query)).len(), usize::from(matches), "{title} / {query}, ranked");
    }
}

/// Some products of a shop, with attributes of all kinds.
fn shop() -> Index {
    let text = |text: &str| AttributeValue::Text(text.into());
    let product = |key, title: &str, brand: &str, category: &[&str], keywords: &str, attributes: Vec<(&str, AttributeValue)>| Document {
        brand: Some(brand.into()),
        category: category.iter().map(ToString::to_string).collect(),
        keywords: keywords.into(),
        description: "Sold by HP".into(),
        attributes: attributes.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        ..titled(key, title)
    };
    let code = AttributeValue::Keyword("AC-30".into());
    let printers = &["office", "office/laser-printers"];
    Index::build(
        Settings::default(),
        [
            product(1, "Laser printer for HP toner", "Brother", printers, "HL-1110", vec![("Print colour", text("Black & White"))]),
            product(
                2,
                "LaserJet printer",
                "HP",
                printers,
                "CF-410X",
                vec![("Print colour", text("Full colour")), ("duplex", AttributeValue::Bool(true))],
            ),
            product(
                3,
                "Laptop, USB C",
                "Hewlett-Packard",
                &["laptops"],
                "",
                vec![("screen", AttributeValue::Number(15.6)), ("adapter", code)],
            ),
            product(4, "Laptop with a C-type USB cable", "Canon", &["laptops"], "", vec![("brand", text("Kanon"))]),
        ],
    )
    .expect("within bounds")
}

#[test] // A number and a unit that stand apart are no measure, where anybody has one.
fn a_number_is_with_its_unit() {
    let index = index(&["Laptop, 8 GB, 16 ports", "Laptop 16GB", "Laptop 15.6 kg", "Laptop 15.6\""]);
    let all = |query: &str| Query { matching: Matching::All, ..text(query) };
    for (query, wanted) in [("16 gb", &[2][..]), ("laptop 8gb", &[1]), ("15.6 inch", &[4]), ("15600 g laptop", &[3]), ("16 ports", &[1])] {
        assert_eq!(found(&index, &all(query)), wanted, "{query}");
    }
    for (query, wanted) in
        [("title:16384mb", &[2][..]), ("title:\"15,6 inches\"", &[4]), ("laptop -title:15.6kg", &[1, 2, 4]), ("laptop -16gb", &[1, 3, 4])]
    {
        let mut keys = found(&index, &all(query));
        keys.sort_unstable();
        assert_eq!(keys, wanted, "{query}");
    }
}

#[test] // Query, the keys of what has all of it.
fn conditions_are_on_one_field() {
    let index = shop();
    for (query, wanted) in [
        ("hp", &[1, 2, 3, 4][..]),
        ("brand:hp", &[2]),
        ("Brand:HP printers", &[2]),
        ("title:hp", &[1]),
        ("-brand:hp laser", &[1]),
        ("brand:packard", &[3]),
        ("brand:\"hewlett packard\"", &[3]),
        ("brand:hewlett-packard", &[3]),
        ("brand:printer", &[]),
        ("description:hp -title:laptops", &[1, 2]),
        ("title:\"usb c\" laptop", &[3]),
        ("title:\"the usb\"", &[]),
        ("category:printer", &[1, 2]),
        ("category:office", &[1, 2]),
        ("category:office/laser-printers -brand:brother", &[2]),
        ("sku:hl1110", &[1]),
        ("keywords:cf-410x", &[2]),
        ("sku:laser", &[]),
        ("print_colour:white", &[1]),
        ("Print-Colour:\"full colours\" printer", &[2]),
        ("-print_colour:black", &[2, 3, 4]),
        ("duplex:true", &[2]),
        ("screen:15.60", &[3]),
        ("screen:15", &[]),
        ("adapter:ac30", &[3]),
        ("attr.brand:kanon", &[4]),
        ("brand:kanon", &[]),
        // Words, for lack of a field that is called so.
        ("brand: hp", &[]),
        ("usb:c", &[3, 4]),
        ("http://usb", &[]),
        ("colour:white", &[]),
    ] {
        let all = Query { matching: Matching::All, total: true, ..text(query) };
        let results = index.search(&all, None).expect("within bounds");
        let mut keys = found(&index, &Query { matching: Matching::All, ..text(query) });
        keys.sort_unstable();
        assert_eq!((keys, results.total), (wanted.to_vec(), Some(wanted.len() as u64)), "{query}");
    }
}

#[test]
fn conditions_leave_order_spelling_and_counts_to_the_rest() {
    let index = shop();
    let plain = Query { filters: vec![Filter::Brand(vec!["HP".into(), "Brother".into()])], ..text("laser pirnter") };
    let among = Query { explain: true, ..text("category:printers laser pirnter") };
    let (plain, among) = (index.search(&plain, None).expect("within bounds"), index.search(&among, None).expect("within bounds"));
    assert_eq!(plain.hits, among.hits, "the words are ranked, and misspelt, as without");
    assert_eq!(found(&index, &text("category:pirnter laser")), [] as [u64; 0], "a value is as it stands");
    let facets = vec![FacetRequest::new(FacetField::Brand, 9)];
    let results = index.search(&Query { facets, ..text("category:printers") }, None).expect("within bounds");
    let FacetCounts::Values(brands) = &results.facets[0].counts else { panic!("brands are counted by value") };
    assert_eq!(brands.len(), 2, "what is not found is not counted");
    let marked = index.highlighter(&text("brand:hp laser")).expect("within bounds");
    assert_eq!(marked.mark("HP laser"), "HP <em>laser</em>");
}

#[test] // What is an attribute to one index is one to all of them.
fn several_indexes_read_a_text_alike() {
    let coloured = Document { attributes: vec![("Colour".into(), AttributeValue::Text("red".into()))], ..titled(1, "lamp") };
    let one = Index::build(Settings::default(), [coloured]).expect("within bounds");
    let other = index(&["colour red lamp"]);
    let query = text("colour:red lamp");
    assert_eq!((found(&one, &query), found(&other, &query)), (vec![1], vec![1]), "for itself it is words to the other");
    let names = named_fields("colour:red lamp size:7 brand:hp");
    assert_eq!(names, ["colour", "size"]);
    assert_eq!((one.fields_among(&names), other.fields_among(&names)), (vec!["colour".to_owned()], vec![]));
    let query = Query { fields: Some(one.fields_among(&names)), ..query };
    assert_eq!((found(&one, &query), found(&other, &query)), (vec![1], vec![]));
    let query = Query { fields: Some(Vec::new()), ..query };
    assert_eq!((found(&one, &query), found(&other, &query)), (vec![1], vec![1]), "one has some of the words");
    // An attribute that is gone is a word again.
    let mut one = one;
    one.upsert(&titled(1, "lamp, colour red")).expect("within bounds");
    assert_eq!(one.fields_among(&names), [] as [&str; 0]);
    assert_eq!(found(&one, &text("colour:red lamp")), [1]);
}

#[test] // Documents with some words only must have the quotation all the same.
fn relaxing_keeps_to_quotations() {
    let index = index(&["red desk lamp", "desk with a red lamp", "red fan", "blue fan", "desk lamp"]);
    let mut keys = found(&index, &text("\"desk lamp\" red -fan"));
    assert_eq!(keys.remove(0), 1);
    assert_eq!(keys, [5]);
    assert_eq!(found(&index, &text("fan zzzzzzz -red")), [4]);
    assert!(matches!(index.search(&text(&"-a ".repeat(OPERATORS_MAX + 1)), None), Err(QueryError::TooManyOperators { len: 9 })));
}

#[test]
fn all_terms_come_before_some_and_nothing_is_no_error() {
    let index = index(&["ink ink ink", "hp ink cartridge", "cartridge for hp", "hp laptop"]);
    let results = index.search(&text("hp ink cartridge"), None).expect("within bounds");
    assert_eq!(results.hits[0].key, DocKey(2));
    assert!(results.relaxed && results.hits.len() == 4 && results.next.is_none());
    let strict = Query { limit: 1, total: true, ..text("hp ink cartridge") };
    let results = index.search(&strict, None).expect("within bounds");
    assert!(!results.relaxed && results.total == Some(1) && results.next.is_some());
    assert_eq!(found(&index, &text("zzzz")), [] as [u64; 0]);
    assert_eq!(found(&index, &text("?!")), [4, 3, 2, 1], "no word at all is no restriction: most popular first");
    assert_eq!(found(&index, &text("for the")), [3], "stop words count when there is nothing else");
}

#[test] // Titles, query, keys in the order of the answer.
fn titles_that_say_it_as_it_was_typed_come_first() {
    for (titles, query, wanted) in [
        (&["nike black sweatshirts", "nike black sweatshirt"][..], "nike sweatshirt", &[2, 1][..]),
        (&["nike black sweatshirt", "nike black sweatshirts"], "nike sweatshirts", &[2, 1]),
        (&["nike black sweatshirts", "nike black sweatshirt"], "nike sweatshrit", &[2, 1]), // misspelt: what is nearest is meant
        (&["sheet feeder grey", "sheet feeder for"], "feeder for", &[2, 1]),
        (&["sheet feeder for", "sheet feeder grey"], "feeder", &[1, 2]),
    ] {
        assert_eq!(found(&index(titles), &text(query)), wanted, "{query}");
    }
}

#[test] // Which documents answer, in which order, and whether that counts as relaxed.
fn matching_says_how_many_terms_a_document_must_have() {
    let long = format!("ink {} paper", "words that nobody looks for ".repeat(20));
    let mut titles = vec!["ink ink ink", &long, "paper paper paper"];
    titles.extend(["desk lamp"; 9]);
    let index = index(&titles);
    for (matching, wanted, relaxed) in [
        (Matching::AllThenAny, &[2, 1, 3][..], true),
        (Matching::All, &[2], false),
        (Matching::Any, &[1, 3, 2], false), // one word and nothing else scores better than both among many others
    ] {
        let query = Query { matching, total: true, ..text("ink paper ink") };
        let results = index.search(&query, None).expect("within bounds");
        assert_eq!((found(&index, &query), results.relaxed), (wanted.to_vec(), relaxed), "{matching:?}");
        let none = index.search(&Query { matching, total: true, ..text("zzzz") }, None).expect("within bounds");
        assert_eq!((none.hits.len(), none.total), (0, Some(0)), "{matching:?}");
    }
    let first = index.search(&Query { limit: 1, ..text("ink") }, None).expect("within bounds");
    let foreign = Query { after: first.next, matching: Matching::Any, ..text("ink") };
    assert_eq!(index.search(&foreign, None).expect_err("another order"), QueryError::ForeignCursor);
}

#[test]
fn a_write_is_seen_by_the_next_search() {
    let mut index = index(&["red lamp", "blue lamp"]);
    while index.maintain(1_000) {}
    assert_eq!(index.upsert(&titled(1, "green desk")), Ok(Written::Replaced));
    assert_eq!(found(&index, &text("red")), [] as [u64; 0]);
    assert_eq!(found(&index, &text("desk")), [1]);
    assert!(index.remove(DocKey(1)) && !index.remove(DocKey(1)) && !index.contains(DocKey(1)));
    assert_eq!(found(&index, &text("desk")), [] as [u64; 0]);
    let columns = Columns { price: Some(500), rating: Some(450), popularity: 9, margin: -20 };
    assert_eq!(index.set_columns(DocKey(2), columns), Ok(true));
    assert_eq!(index.set_columns(DocKey(1), columns), Ok(false));
    assert_eq!(index.columns(DocKey(2)), Some(columns));
    let cheap = Query { filters: vec![Filter::Price { min: Some(500), max: Some(500) }], ..text("lamp") };
    assert_eq!(found(&index, &cheap), [2]);
}

#[test]
fn a_cursor_survives_updates() {
    let mut index = Index::new(Settings { head_rows_max: 4, ..Settings::default() });
    for key in 0..30 {
        index.upsert(&Document { price: Some(key * 10), ..titled(key as u64, "lamp") }).expect("within bounds");
    }
    let first = Query { sort: Sort::Price, limit: 10, ..text("lamp") };
    let page = index.search(&first, None).expect("within bounds");
    // The last hit of the page goes, one before it and one after it come in, another moves behind the cursor.
    index.remove(DocKey(9));
    index.upsert(&Document { price: Some(15), ..titled(100, "lamp") }).expect("within bounds");
    index.upsert(&Document { price: Some(95), ..titled(101, "lamp") }).expect("within bounds");
    index.set_columns(DocKey(10), Columns { price: Some(0), ..Columns::default() }).expect("not reserved");
    while index.maintain(50) {}
    let next = Query { after: page.next, limit: 5, ..first.clone() };
    assert_eq!(found(&index, &next), [101, 11, 12, 13, 14]);
    let other = Query { after: page.next, sort: Sort::Price, ..text("desk") };
    assert_eq!(index.search(&other, None), Err(QueryError::ForeignCursor));
    let longer = Query { limit: 3, total: true, ..next };
    assert_eq!(found(&index, &longer), [101, 11, 12], "limit and total are not part of what a cursor is bound to");
}

#[test]
fn queries_over_a_bound_are_refused() {
    let index = index(&["lamp"]);
    let many = |count: usize| (0..count).map(|n| format!("w{n}x{n}y")).collect::<Vec<_>>().join(" ");
    let facet = |limit| FacetRequest::new(FacetField::Brand, limit);
    let tree = |levels| FacetField::CategoryTree { levels, paths: Vec::new() };
    let of_field = |field: FacetField| Query { facets: vec![FacetRequest::new(field, 1)], ..text("x") };
    let typed = FacetQuery::new("lam").expect("short");
    let typed_in = |field| Query { facets: vec![FacetRequest { query: Some(typed.clone()), ..FacetRequest::new(field, 1) }], ..text("x") };
    let brands = |count: usize| Filter::Brand(vec!["x".into(); count]);
    let full = Query {
        filters: vec![brands(FILTER_VALUES_MAX); FILTERS_MAX],
        facets: vec![facet(FACET_LIMIT_MAX); FACETS_MAX],
        limit: LIMIT_MAX,
        ..text(&many(TERMS_MAX))
    };
    assert!(index.search(&full, None).is_ok(), "every bound at once");
    for (query, error) in [
        (text(&"x".repeat(QUERY_BYTES_MAX + 1)), QueryError::TextTooLong { len: QUERY_BYTES_MAX + 1 }),
        (text(&many(TERMS_MAX + 1)), QueryError::TooManyTerms { len: TERMS_MAX + 1 }),
        (Query { limit: 0, ..text("x") }, QueryError::Limit { limit: 0 }),
        (Query { limit: LIMIT_MAX + 1, ..text("x") }, QueryError::Limit { limit: LIMIT_MAX + 1 }),
        (Query { filters: vec![brands(1); FILTERS_MAX + 1], ..text("x") }, QueryError::TooManyFilters { len: FILTERS_MAX + 1 }),
        (Query { filters: vec![brands(0)], ..text("x") }, QueryError::FilterValues { len: 0 }),
        (Query { filters: vec![brands(FILTER_VALUES_MAX + 1)], ..text("x") }, QueryError::FilterValues { len: FILTER_VALUES_MAX + 1 }),
        (Query { facets: vec![facet(1); FACETS_MAX + 1], ..text("x") }, QueryError::TooManyFacets { len: FACETS_MAX + 1 }),
        (Query { facets: vec![facet(0)], ..text("x") }, QueryError::FacetLimit { limit: 0 }),
        (Query { facets: vec![facet(FACET_LIMIT_MAX + 1)], ..text("x") }, QueryError::FacetLimit { limit: FACET_LIMIT_MAX + 1 }),
        (of_field(FacetField::PriceHistogram { buckets: 1 }), QueryError::FacetLimit { limit: 1 }),
        (of_field(FacetField::AttributeHistogram { name: "n".into(), buckets: 1_001 }), QueryError::FacetLimit { limit: 1_001 }),
        (of_field(tree(0)), QueryError::TreeLevels { levels: 0 }),
        (of_field(tree(17)), QueryError::TreeLevels { levels: 17 }),
        (of_field(FacetField::CategoryTree { levels: 1, paths: vec![Vec::new(); 257] }), QueryError::TreePaths { len: 257 }),
        (typed_in(FacetField::Price), QueryError::FacetQueryField),
        (typed_in(tree(1)), QueryError::FacetQueryField),
        (Query { filters: vec![Filter::InStock(true)], ..text("x") }, QueryError::NoLiveness),
        (
            Query { filters: vec![Filter::AttributeRange { name: "n".into(), min: Some(f64::NAN), max: None }], ..text("x") },
            QueryError::NotFinite,
        ),
    ] {
        assert_eq!(index.search(&query, None), Err(error));
    }
    let keys = (0..=FACET_QUERY_KEYS_MAX).map(|n| n.to_string());
    assert_eq!(typed.clone().or_keys(keys), Err(QueryError::FacetQueryKeys { len: FACET_QUERY_KEYS_MAX + 1 }));
}

#[test]
fn documents_over_a_bound_are_refused_and_change_nothing() {
    let mut index = index(&["lamp"]);
    let with = |attributes| Document { attributes, ..titled(1, "desk") };
    let number = |number| vec![("n".to_owned(), AttributeValue::Number(number))];
    for (document, error) in [
        (with(number(f64::NAN)), DocumentError::NotFinite { name: "n".into() }),
        (with(vec![(String::new(), AttributeValue::Bool(true))]), DocumentError::AttributeName { len: 0 }),
        (with(vec![number(1.0).remove(0); ATTRIBUTES_MAX + 1]), DocumentError::TooMany { field: "attributes", len: 1_025, max: 1_024 }),
        (
            with(vec![("n".into(), AttributeValue::Text("x".repeat(16_385)))]),
            DocumentError::TooLong { field: "attribute value", len: 16_385, max: 16_384 },
        ),
        (Document { price: Some(i64::MIN), ..titled(1, "desk") }, DocumentError::Reserved),
    ] {
        assert_eq!(index.upsert(&document), Err(error));
    }
    assert_eq!((found(&index, &text("lamp")), found(&index, &text("desk"))), (vec![1], vec![]));
    index.upsert(&with(vec![number(1.0).remove(0); ATTRIBUTES_MAX])).expect("as many as allowed");
    assert_eq!(counts(&index, FacetField::Attribute("n".into())), [(FacetKey::Number(1.0), 1)], "a repeated value counts once");
}

#[test]
fn long_values_are_searched_but_not_counted() {
    let long = "gold ".repeat(60);
    let attributes = vec![("t".into(), AttributeValue::Text(long.clone())), ("t".into(), AttributeValue::Text("tin".into()))];
    let index = Index::build(Settings::default(), [Document { attributes, ..titled(1, "lamp") }]).expect("within bounds");
    assert_eq!(found(&index, &text("gold")), [1]);
    assert_eq!(counts(&index, FacetField::Attribute("t".into())), [(FacetKey::Text("tin".into()), 1)]);
    let filter = Filter::Attribute { name: "t".into(), any_of: vec![FilterValue::Text(long)] };
    assert_eq!(found(&index, &Query { filters: vec![filter], ..Query::default() }), [] as [u64; 0]);
}

#[test] // Over several chunks of a column, with gaps from removals and rows used again.
fn counts_stay_exact_over_many_rows() {
    let colours = ["red", "green", "blue", "grey", "pink"];
    let document = |key: u64| {
        let colour = AttributeValue::Keyword(colours[(key % 5) as usize].into());
        let attributes = if key.is_multiple_of(4) { vec![("colour".to_owned(), colour)] } else { Vec::new() };
        Document { attributes, partition: (key % 7) as u16, ..titled(key, if key.is_multiple_of(50) { "rare lamp" } else { "lamp" }) }
    };
    let mut index = Index::build(Settings::default(), (0..20_000).map(document)).expect("within bounds");
    assert_eq!(index.remove_partition(3), 2857);
    while index.maintain(10_000) {}
    index.extend((0..5_000).filter(|key| key % 7 == 3).map(document)).expect("within bounds");
    let there = |key: &u64| key % 7 != 3 || *key < 5_000;
    for (query, every) in [("lamp", 1), ("rare", 50)] {
        let facets = vec![FacetRequest::new(FacetField::Attribute("colour".into()), 9)];
        let results = index.search(&Query { facets, total: true, ..text(query) }, None).expect("within bounds");
        let keys = || (0..20_000_u64).filter(there).filter(|key| key.is_multiple_of(every));
        assert_eq!(results.total, Some(keys().count() as u64));
        let FacetCounts::Values(values) = &results.facets[0].counts else { panic!("wanted values") };
        for (at, colour) in (0..).zip(colours) {
            let wanted = keys().filter(|key| key % 4 == 0 && key % 5 == at).count() as u64;
            let key = FacetKey::Text(colour.into());
            assert_eq!(values.iter().find(|value| value.value == key).map_or(0, |value| value.count), wanted, "{colour} {query}");
        }
    }
}

#[test]
fn replaced_documents_leave_nothing_behind() {
    let mut index = Index::new(Settings { head_rows_max: 16, ..Settings::default() });
    for round in 0..200_u64 {
        for key in 0..50 {
            let attributes = vec![(format!("name {round}"), AttributeValue::Keyword(format!("value {round}")))];
            let brand = Some(format!("brand {round}"));
            let category = vec![format!("category {round}")];
            index.upsert(&Document { attributes, brand, category, ..titled(key, &format!("t{round}x lamp")) }).expect("within bounds");
            index.maintain(200);
        }
    }
    while index.maintain(1_000) {}
    let layout = index.layout();
    assert_eq!(layout.documents, 50);
    assert!(layout.rows < 1_000, "10,000 upserts left {layout:?}");
    assert_eq!(counts(&index, FacetField::Brand), [(FacetKey::Text("brand 199".into()), 50)]);
    assert_eq!(counts(&index, FacetField::Category), [(FacetKey::Text("category 199".into()), 50)]);
    assert_eq!(found(&index, &text("t198x")), [] as [u64; 0]);
}

#[test]
fn suggestions_complete_the_last_word() {
    let mut index = index(&["HP ink cartridge", "HP Cartridges", "Canon cartridge", "HP car charger", "HP Café lamp"]);
    let completions = |index: &Index, text: &str| {
        let found = index.suggest(text, 3).completions;
        found.into_iter().map(|Completion { text, count }| format!("{text} {count}")).collect::<Vec<_>>()
    };
    assert_eq!(completions(&index, "car"), ["cartridge 2", "car 1", "cartridges 1"]);
    assert_eq!(completions(&index, "hp car"), ["hp car 1", "hp cartridge 1", "hp cartridges 1"]);
    assert_eq!(completions(&index, "HP CAF"), ["hp cafe 1"]);
    assert_eq!(completions(&index, "zzzz car"), ["zzzz cartridge 2", "zzzz car 1", "zzzz cartridges 1"]);
    assert_eq!(completions(&index, "hp "), [] as [&str; 0]);
    assert_eq!(completions(&index, ""), [] as [&str; 0]);
    let products = index.suggest("hp ca", 2).products;
    assert_eq!(products.iter().map(|product| product.key.0).collect::<Vec<_>>(), [5, 4], "most popular first");
    index.remove(DocKey(3));
    assert_eq!(completions(&index, "cart"), ["cartridge 1", "cartridges 1"]);
    let twice = Suggestions::merge(vec![index.suggest("cart", 5), index.suggest("cart", 5)], 1);
    assert_eq!((twice.completions[0].count, twice.completions.len(), twice.products.len()), (2, 1, 1));
}

#[test] // Without facets or a total, only rows about to become hits are asked about.
fn liveness_is_asked_late() {
    let index = Index::build(Settings::default(), (0..1_000).map(|key| titled(key, "lamp"))).expect("within bounds");
    let asked = std::cell::Cell::new(0);
    let live = |key: DocKey| {
        asked.set(asked.get() + 1);
        key.0.is_multiple_of(2)
    };
    let query = Query { filters: vec![Filter::InStock(true)], limit: 5, sort: Sort::Price, ..text("lamp") };
    let results = index.search(&query, Some(&live)).expect("within bounds");
    assert_eq!(results.hits.iter().map(|hit| hit.key.0).collect::<Vec<_>>(), [0, 2, 4, 6, 8]);
    assert!(asked.get() < 20, "asked about {} of 1,000", asked.get());
    let counted = Query { total: true, facets: vec![FacetRequest::new(FacetField::InStock, 2)], ..query };
    let results = index.search(&counted, Some(&live)).expect("within bounds");
    assert_eq!(results.total, Some(500));
    let FacetCounts::Values(values) = &results.facets[0].counts else { panic!("wanted values") };
    assert_eq!(values.iter().map(|value| (value.count, value.selected)).collect::<Vec<_>>(), [(500, false), (500, true)]);
}

#[test] // Shards live on threads, and parts travel between them.
fn an_index_and_its_parts_may_change_threads() {
    fn may_move<T: Send + Sync>() {}
    may_move::<Index>();
    may_move::<search_index::Part>();
    may_move::<Query>();
}

#[test] // What is typed, and the titles found by their places.
fn an_unfinished_word_stands_for_all_that_begin_with_it() {
    let index = index(&["ink cartridge", "car lamp", "carpet", "ink car", "cable", "case for cars"]);
    for (typed, keys) in [
        ("car", &[1, 2, 3, 4, 6][..]),
        ("ink car", &[1, 4]),
        ("ink car ", &[4]),
        ("ca", &[1, 2, 3, 4, 5, 6]),
        ("carp", &[3]),
        ("c", &[]),
        ("carx", &[]),
    ] {
        let query = Query { prefix: true, typos: false, matching: Matching::All, total: true, ..text(typed) };
        let mut hits = found(&index, &query);
        hits.sort_unstable();
        assert_eq!(hits, keys, "{typed}");
        assert_eq!(index.search(&query, None).expect("within bounds").total, Some(keys.len() as u64), "{typed}");
    }
    assert_eq!(
        found(&self::index(&["carts lamp", "car lamp"]), &Query { prefix: true, ..text("car") }),
        [2, 1],
        "the word itself comes first"
    );
    let finished = Query { matching: Matching::All, typos: false, ..text("carp") };
    assert_eq!(found(&index, &finished), [] as [u64; 0]);
    let page = Query { prefix: true, limit: 1, ..text("car") };
    let next = index.search(&page, None).expect("within bounds").next;
    assert_eq!(index.search(&Query { after: next, prefix: false, ..page }, None), Err(QueryError::ForeignCursor));
}

#[test] // What is typed, the titles found by their places, and whether that takes a slip for what was meant; in a segment and in the head.
fn a_word_that_nobody_has_stands_for_others() {
    let titles = ["usb keyboard", "black sunglasses", "Galaxy smartwatch", "ipad stand", "desk lamp", "keyboards cover", "lamb wool"];
    for head_rows_max in [1, 100] {
        let mut index = Index::new(Settings { head_rows_max, ..Settings::default() });
        for (key, title) in (1..).zip(titles) {
            index.upsert(&Document { title: title.into(), ..Document::new(DocKey(key)) }).expect("within bounds");
            while index.maintain(1_000) {}
        }
        for (typed, keys, slipped) in [
            ("keybaord", &[1, 6][..], true),
            ("usb keybord", &[1], true),
            ("kyebaord", &[1, 6], true),
            ("sungass", &[2], true),
            ("unglasses", &[2], true),
            ("smart watch", &[3], false),
            ("ipadstand", &[4], false),
            ("lamp", &[5], false),
            ("lams", &[5, 7], true),
            ("lmp", &[], false),
            ("keyboard", &[1, 6], false),
            ("kxyxoxrd", &[], false),
        ] {
            let query = Query { matching: Matching::All, ..text(typed) };
            let mut hits = found(&index, &query);
            hits.sort_unstable();
            assert_eq!(hits, keys, "{typed}");
            let mut strict = found(&index, &Query { typos: false, ..query });
            strict.sort_unstable();
            assert_eq!(strict, if slipped { &[] } else { keys }, "{typed}");
        }
        let typed = Query { prefix: true, ..text("keybaor") };
        assert_eq!(found(&index, &typed).len(), 2);
    }
    let index = index(&["speaker", "sneaker", "speakers for cars"]);
    assert_eq!(found(&index, &text("spaeker")).len(), 2, "of the words two slips away none, since one is nearer");
    // Each is looked for in the whole dictionary, so only some are.
    let some = "spaeker speakre spekaer spaker";
    for (typed, hits) in [(some.to_owned(), 2), (format!("{some} speeker"), 0)] {
        assert_eq!(found(&index, &Query { matching: Matching::All, ..text(&typed) }).len(), hits, "{typed}");
    }
}

#[test]
fn what_one_index_takes_for_misspelt_may_be_a_word_of_another() {
    let (lamps, lambs) = (index(&["desk lamp", "HP80 lamp"]), index(&["lamb wool", "hp ink 80"]));
    for (typed, hits) in [("lamp", 2), ("hp80", 1), ("lamc", 3)] {
        let mut query = Query { total: true, ..text(typed) };
        let parts = |query: &Query| [&lamps, &lambs].map(|index| index.search_part(query, None).expect("within bounds")).to_vec();
        query.elsewhere = misjudged(&parts(&query), &query);
        let results = merge(parts(&query), &query);
        assert_eq!((results.hits.len(), results.total), (hits, Some(hits as u64)), "{typed}");
    }
}

/// Enough of a catalog to learn nouns from.
fn catalog() -> Vec<Document> {
    let titles = [
        "HP monitor",
        "HP monitor 24 inch",
        "Acme monitor arm",
        "Acme desk arm",
        "Sony laptop",
        "Sony laptop 15.6",
        "cover for laptop",
        "laptop cover",
    ];
    (0..1_600_u64).map(|key| Document { title: titles[key as usize % 8].into(), ..Document::new(DocKey(key)) }).collect()
}

#[test] // In the head, in segments and after merges alike: query, and which titles of eight the best hits have.
fn what_a_title_is_about_comes_first() {
    let index = Index::build(Settings::default(), catalog()).expect("within bounds");
    let mut rewritten = Index::build(Settings { head_rows_max: 100, ..Settings::default() }, catalog()).expect("within bounds");
    let answer = |index: &Index, query: &str| {
        let results = index.search(&Query { limit: 100, ..text(query) }, None).expect("within bounds");
        results.hits.into_iter().map(|hit| (hit.key, hit.score)).collect::<Vec<_>>()
    };
    for document in catalog().into_iter().filter(|document| document.key.0 % 3 > 0) {
        rewritten.upsert(&document).expect("within bounds");
        if document.key.0 % 5 == 0 {
            rewritten.maintain(1_000);
        }
    }
    for at_rest in [false, true] {
        while at_rest && rewritten.maintain(1_000) {}
        for (query, wanted) in
            [("monitor", &[0][..]), ("laptop", &[4]), ("monitor arm", &[2]), ("laptop cover", &[7]), ("cover", &[7]), ("arm", &[2, 3])]
        {
            let found = answer(&index, query);
            assert!(found.iter().all(|(key, _)| wanted.contains(&(key.0 % 8))), "{query:?} {found:?}");
            assert_eq!(answer(&rewritten, query), found, "{query:?}");
        }
    }
}

#[test] // Keys of a category path, and whether the query is taken for its name.
fn what_is_filed_under_what_is_asked_for_comes_first() {
    for (path, query, named) in [
        (&["Shoes", "Shoes/Casual Shoes"][..], "casual shoes", true),
        (&["shoe"], "casual shoes", true),
        (&["footwear/casual-shoe"], "black casual shoes for men", true),
        (&["Shoes and Casuals"], "shoe casual", true),
        (&["men", "women"], "casual shoes", false),
        (&["Casual Shoes/All"], "casual shoes", false),
        (&["Casual Shoes"], "shoes casual", false),
    ] {
        let mut index = index(&["black casual shoes for men"; 3]);
        let filed = |key| Document {
            title: "black casual shoes for men".into(),
            category: path.iter().map(ToString::to_string).collect(),
            ..Document::new(DocKey(key))
        };
        index.upsert(&filed(9)).expect("within bounds");
        assert_eq!(found(&index, &text(query))[0], if named { 9 } else { 1 }, "{path:?} {query}");
        index.upsert(&filed(8)).expect("within bounds");
        index.remove(DocKey(9));
        assert_eq!(found(&index, &text(query))[0], if named { 8 } else { 1 }, "{path:?} {query}");
        index.remove(DocKey(8));
        assert_eq!(found(&index, &text(query)), [1, 2, 3], "{path:?} {query}");
    }
}

#[test] // Written as fast as it is tidied: neither the head nor the number of segments grows while a large merge is under way.
fn a_large_merge_holds_up_no_small_one() {
    let mut index = Index::new(Settings { head_rows_max: 4, ..Settings::default() });
    let (mut head, mut segments, mut backlog) = (0, 0, 0);
    for key in 0..5_000 {
        index.upsert(&titled(key, &format!("lamp number {key}"))).expect("short");
        for _ in 0..index.backlog().clamp(1, 8) {
            index.maintain(40);
        }
        let layout = index.layout();
        (head, segments, backlog) = (head.max(layout.head_rows), segments.max(layout.segments), backlog.max(index.backlog()));
    }
    assert!(head <= 4 && segments <= 40, "{head} rows in the head, {segments} segments");
    assert!(backlog >= 2, "smaller merges went before a large one");
    while index.maintain(1_000) {}
    assert_eq!((index.backlog(), index.len()), (0, 5_000));
    assert_eq!(found(&index, &Query { limit: 1, ..text("number 4711") }), [4_711]);
}

#[test] // Only with the content it was of; what has no mark is never known to be the same.
fn columns_are_refreshed_of_the_same_content_alone() {
    let document = |stamp| Document { stamp, price: Some(5), ..titled(1, "oak lamp") };
    let columns = |price| Columns { price: Some(price), ..Columns::default() };
    for (stamp, asked, key, done) in [(7, 7, 1, true), (7, 8, 1, false), (7, 7, 2, false), (0, 0, 1, false)] {
        let mut index = Index::new(Settings { head_rows_max: 1, ..Settings::default() });
        index.upsert(&document(stamp)).expect("short");
        while index.maintain(100) {}
        let (before, key) = (index.layout(), DocKey(key));
        assert_eq!(index.refresh(key, Current { stamp: asked, columns: columns(9) }), Ok(done), "{stamp} {asked} {key:?}");
        assert_eq!(index.columns(DocKey(1)).and_then(|columns| columns.price), Some(if done { 9 } else { 5 }));
        assert_eq!(index.layout(), before);
    }
}

#[test] // Few segments when nothing is written, whatever was before, and those written meanwhile wait for no large merge.
fn left_alone_it_has_few_segments() {
    let mut index = Index::new(Settings { head_rows_max: 4, ..Settings::default() });
    let write = |index: &mut Index, key: u64| {
        index.upsert(&titled(key, &format!("lamp number {key}"))).expect("short");
    };
    for key in 0..5_003 {
        write(&mut index, key);
        for _ in 0..index.backlog().clamp(1, 8) {
            index.maintain(40);
        }
    }
    (5_003..5_006).for_each(|key| assert!(index.remove(DocKey(key - 5_000))));
    while index.maintain(1_000) {}
    let many = index.segments().count();
    assert!(index.consolidate(40), "{many} segments are more than it needs");
    for key in 5_003..5_103 {
        write(&mut index, key);
        for _ in 0..8 {
            index.maintain(40);
        }
    }
    assert!(index.layout().head_rows <= 4 && index.segments().count() < many + 12, "{:?}", index.layout());
    while index.consolidate(1_000) {}
    let mut sizes: Vec<usize> = index.segments().map(|segment| segment.rows).collect();
    sizes.sort_unstable();
    let smaller = |nth: usize| sizes[..nth].iter().sum::<usize>();
    assert!(many > 4 && (1..sizes.len()).all(|nth| sizes[nth] > 8 * smaller(nth)), "{sizes:?} of {many}");
    assert!(!index.maintain(1_000) && !index.consolidate(1_000), "it is at rest");
    assert_eq!(index.len(), 5_100);
    assert_eq!(found(&index, &Query { limit: 1, ..text("number 4711") }), [4_711]);
    assert_eq!(found(&index, &Query { limit: 1, ..text("number 5042") }), [5_042]);
    assert_eq!(found(&index, &Query { matching: Matching::All, ..text("number 4") }), [] as [u64; 0]);
}
