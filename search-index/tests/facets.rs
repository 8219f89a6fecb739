//! What facets promise to whoever draws them: menus of categories, values found while they are typed, averages, and buckets that are filters.

use search_index::{
    AttributeValue, Columns, DocKey, Document, FACET_LIMIT_MAX, Facet, FacetCounts, FacetField, FacetKey, FacetQuery, FacetRequest, Filter,
    Index, NumberStats, Query, Settings, merge,
};

/// A product of a brand at the end of a path such as `tv/oled`, each part being called after the one before.
fn product(key: u64, brand: &str, path: &str) -> Document {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let category = if path.is_empty() { Vec::new() } else { ends.map(|end| path[..end].to_owned()).collect() };
    Document { brand: Some(brand.into()), category, ..Document::new(DocKey(key)) }
}

/// Two indexes with every other document each, and one with all.
fn indexes(documents: &[Document]) -> [Vec<Index>; 2] {
    let of = |keep: &dyn Fn(&Document) -> bool| {
        Index::build(Settings::default(), documents.iter().filter(|document| keep(document)).cloned()).expect("within bounds")
    };
    [vec![of(&|document| document.key.0 % 2 == 0), of(&|document| document.key.0 % 2 == 1)], vec![of(&|_| true)]]
}

/// The one facet of a query, which is the same in parts and in one.
fn facet(indexes: &[Vec<Index>; 2], request: FacetRequest, filters: &[Filter]) -> Facet {
    let query = Query { facets: vec![request], filters: filters.to_vec(), ..Query::default() };
    let of = |indexes: &[Index]| {
        let parts = indexes.iter().map(|index| index.search_part(&query, None).expect("within bounds"));
        merge(parts.collect(), &query).facets.remove(0)
    };
    let [several, one] = indexes;
    let found = of(one);
    assert_eq!(of(several), found);
    assert_eq!(one[0].search(&query, None).expect("within bounds").facets[0], found);
    found
}

/// A menu as text: two spaces a level, a star where one is selected.
fn menu(indexes: &[Vec<Index>; 2], levels: u16, limit: u16, filters: &[Filter]) -> String {
    let paths = vec![vec!["audio".to_owned(), "audio/none".to_owned()]];
    let request = FacetRequest::new(FacetField::CategoryTree { levels, paths }, limit);
    let FacetCounts::Categories(nodes) = facet(indexes, request, filters).counts else { panic!("wanted a tree") };
    let line = |node: &search_index::CategoryNode| {
        let star = if node.selected { "*" } else { "" };
        format!("{}{star}{} {}", "  ".repeat(node.path.len() - 1), node.key(), node.count)
    };
    nodes.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn shop() -> [Vec<Index>; 2] {
    let paths = [
        "tv/oled/small",
        "tv/oled/small",
        "tv/oled",
        "tv/lcd",
        "tv/lcd",
        "tv/lcd",
        "tv",
        "audio/wired",
        "audio/air",
        "audio/air",
        "toys",
        "",
    ];
    let products: Vec<Document> = (0..).zip(paths).map(|(key, path)| product(key, if key < 6 { "Lumen" } else { "Visio" }, path)).collect();
    indexes(&products)
}

#[test] // Each block: levels, categories selected, brands selected, and the menu.
fn a_menu_is_open_where_the_shopper_is() {
    let shop = shop();
    for (levels, categories, brands, wanted) in [
        (1, "", "", "tv 7\naudio 3\ntoys 1"),
        (2, "", "", "tv 7\n  tv/lcd 3\n  tv/oled 3\naudio 3\n  audio/air 2\n  audio/wired 1\ntoys 1"),
        (1, "", "Lumen", "tv 6"),
        (1, "tv", "", "*tv 7\n  tv/lcd 3\n  tv/oled 3\naudio 3\ntoys 1"),
        (2, "tv", "", "*tv 7\n  tv/lcd 3\n  tv/oled 3\n    tv/oled/small 2\naudio 3\ntoys 1"),
        (1, "tv/oled", "", "tv 7\n  tv/lcd 3\n  *tv/oled 3\n    tv/oled/small 2\naudio 3\ntoys 1"),
        (1, "tv/oled/small", "", "tv 7\n  tv/lcd 3\n  tv/oled 3\n    *tv/oled/small 2\naudio 3\ntoys 1"),
        (1, "tv/lcd audio", "", "tv 7\n  *tv/lcd 3\n  tv/oled 3\n*audio 3\n  audio/air 2\n  audio/wired 1\ntoys 1"),
        // What is selected is there, with its way, though nothing that passes the other filters is in it.
        (1, "audio/air", "Lumen", "tv 6\naudio 0\n  *audio/air 0"),
        (1, "audio/none", "", "tv 7\naudio 3\n  audio/air 2\n  audio/wired 1\n  *audio/none 0\ntoys 1"),
        (1, "nowhere", "", "tv 7\naudio 3\ntoys 1\n*nowhere 0"),
    ] {
        let mut filters = Vec::new();
        let named = |keys: &str| keys.split(' ').map(String::from).collect::<Vec<_>>();
        if !categories.is_empty() {
            filters.push(Filter::Category(named(categories)));
        }
        if !brands.is_empty() {
            filters.push(Filter::Brand(named(brands)));
        }
        assert_eq!(menu(&shop, levels, 100, &filters), wanted, "{levels} {categories} {brands}");
    }
}

#[test]
fn the_limit_is_for_each_category_and_keeps_the_way_to_what_is_selected() {
    let shop = shop();
    assert_eq!(menu(&shop, 2, 1, &[]), "tv 7\n  tv/lcd 3");
    let selected = [Filter::Category(vec!["audio/wired".into()])];
    assert_eq!(menu(&shop, 1, 1, &selected), "tv 7\naudio 3\n  audio/air 2\n  *audio/wired 1");
}

#[test]
fn leaves_push_out_no_branch() {
    // 60 branches of one product, and a branch of 1,200 leaves with two products each.
    let small = (0..60).map(|n| product(n, "Lumen", &format!("small {n:02}")));
    let large = (60..2_460).map(|n| product(n, "Lumen", &format!("large/leaf {:04}", n / 2)));
    let shop = indexes(&small.chain(large).collect::<Vec<_>>());
    let menu = menu(&shop, 2, 1_000, &[]);
    assert_eq!(menu.lines().filter(|line| !line.starts_with(' ')).count(), 61);
    assert_eq!(menu.lines().count(), usize::from(FACET_LIMIT_MAX));
}

#[test]
fn a_category_under_two_parents_comes_under_both() {
    let filed = |key, path: [&str; 2]| Document { category: path.map(String::from).to_vec(), ..Document::new(DocKey(key)) };
    let shop = indexes(&[filed(1, ["home", "lamps"]), filed(2, ["garden", "lamps"]), filed(3, ["garden", "lamps"])]);
    assert_eq!(menu(&shop, 2, 10, &[]), "garden 2\n  lamps 2\nhome 1\n  lamps 1");
    let selected = [Filter::Category(vec!["lamps".into()])];
    assert_eq!(menu(&shop, 1, 10, &selected), "garden 2\n  *lamps 2\nhome 1\n  *lamps 1");
}

#[test] // Each row: what is typed, the limit, and the brands found with their counts.
fn brands_are_found_while_they_are_typed() {
    let brands = ["Samsung", "Samsung", "SAMSON", "Bay Sams", "L’Oréal", "L’Oréal", "L’Oréal", "Hewlett-Packard"];
    let shop = indexes(&(0..).zip(brands).map(|(key, brand)| product(key, brand, "")).collect::<Vec<_>>());
    let selected = [Filter::Brand(vec!["SAMSON".into(), "Samos".into(), "Lumen".into()])];
    for (typed, limit, wanted) in [
        ("sams", 9, "Samsung 2, Bay Sams 1, *SAMSON 1"),
        ("sams", 1, "Samsung 2, *SAMSON 1"),
        ("sam", 9, "Samsung 2, Bay Sams 1, *SAMSON 1, *Samos 0"),
        ("loreal", 9, "L’Oréal 3"),
        ("packard", 9, "Hewlett-Packard 1"),
        ("zzz", 9, ""),
    ] {
        let typed_query = FacetQuery::new(typed).expect("short");
        let request = FacetRequest { query: Some(typed_query), ..FacetRequest::new(FacetField::Brand, limit) };
        let FacetCounts::Values(values) = facet(&shop, request, &selected).counts else { panic!("wanted values") };
        let shown = values.iter().map(|value| {
            let FacetKey::Text(brand) = &value.value else { panic!("brands are texts") };
            format!("{}{brand} {}", if value.selected { "*" } else { "" }, value.count)
        });
        assert_eq!(shown.collect::<Vec<_>>().join(", "), wanted, "{typed}");
    }
}

#[test]
fn categories_are_found_by_names_that_the_caller_knows() {
    let shop = shop();
    let query = FacetQuery::new("small").and_then(|query| query.or_keys(["toys".to_owned(), "gone".to_owned()])).expect("few");
    let request = FacetRequest { query: Some(query), ..FacetRequest::new(FacetField::Category, 9) };
    let FacetCounts::Values(values) = facet(&shop, request, &[]).counts else { panic!("wanted values") };
    let found: Vec<(FacetKey, u64)> = values.into_iter().map(|value| (value.value, value.count)).collect();
    assert_eq!(found, [(FacetKey::Text("tv/oled/small".into()), 2), (FacetKey::Text("toys".into()), 1)]);
}

fn sized(key: u64, size: f64) -> Document {
    Document { attributes: vec![("size".into(), AttributeValue::Number(size))], ..Document::new(DocKey(key)) }
}

#[test]
fn ranges_and_averages_are_of_all_numbers() {
    let sizes = [1.5, 2.25, 7.0, 7.0, 10.0];
    let mut documents: Vec<Document> = (0..).zip(sizes).map(|(key, size)| sized(key, size)).collect();
    documents.push(Document { attributes: vec![("size".into(), AttributeValue::Text("large".into()))], ..Document::new(DocKey(9)) });
    let shop = indexes(&documents);
    let all = Some(NumberStats { min: 1.5, max: 10.0, avg: 5.55, count: 5 });
    let attribute = || FacetField::Attribute("size".into());
    // Neither a limit, nor what is typed, nor the facet's own filter leaves out any.
    let typed = FacetRequest { query: FacetQuery::new("7").ok(), ..FacetRequest::new(attribute(), 10) };
    let own = [Filter::AttributeRange { name: "size".into(), min: Some(5.0), max: None }];
    for (request, filters) in [(FacetRequest::new(attribute(), 1), &own[..0]), (typed, &own)] {
        let found = facet(&shop, request, filters);
        assert_eq!(found.numbers, all);
        let FacetCounts::Values(values) = found.counts else { panic!("wanted values") };
        assert_eq!(values.iter().map(|value| (value.value.clone(), value.count)).collect::<Vec<_>>(), [(FacetKey::Number(7.0), 2)]);
    }
    let found = facet(&shop, FacetRequest::new(FacetField::Attribute("colour".into()), 1), &[]);
    assert_eq!((found.numbers, found.counts), (None, FacetCounts::Values(Vec::new())));
}

#[test]
fn a_bucket_is_a_filter_that_finds_what_is_in_it() {
    let sizes: Vec<f64> = (0..400).map(|n| f64::from(n * n % 977 - 200) / 20.0).collect();
    let shop = indexes(&(0..).zip(&sizes).map(|(key, size)| sized(key, *size)).collect::<Vec<_>>());
    for buckets in [2, 3, 10, 100, 1_000] {
        let field = FacetField::AttributeHistogram { name: "size".into(), buckets };
        let FacetCounts::NumberHistogram(found) = facet(&shop, FacetRequest::new(field, 1), &[]).counts else { panic!("wanted buckets") };
        assert!(found.len() <= usize::from(buckets) && found.iter().map(|bucket| bucket.count).sum::<u64>() == 400);
        for bucket in found {
            let filter = Filter::AttributeRange { name: "size".into(), min: Some(bucket.from), max: Some(bucket.to) };
            let query = Query { filters: vec![filter], total: true, ..Query::default() };
            assert_eq!(shop[1][0].search(&query, None).expect("within bounds").total, Some(bucket.count), "{bucket:?}");
        }
    }
}

#[test]
fn a_changed_rating_or_price_is_in_the_next_average() {
    let document = |(key, price, rating)| Document { price, rating, ..Document::new(DocKey(key)) };
    let documents = [(1, Some(100), Some(500)), (2, Some(201), Some(399)), (3, None, None), (4, Some(50), Some(90))];
    let mut index = Index::build(Settings::default(), documents.map(document)).expect("within bounds");
    let asked = |index: &Index| {
        let facets = [FacetField::Price, FacetField::Rating].map(|field| FacetRequest::new(field, 1)).to_vec();
        let filters = vec![Filter::Rating { min: Some(400), max: None }];
        let results = index.search(&Query { facets, filters, ..Query::default() }, None).expect("within bounds");
        let [FacetCounts::Range(Some(prices)), FacetCounts::Ratings { stats: Some(ratings), buckets }] =
            [&results.facets[0].counts, &results.facets[1].counts]
        else {
            panic!("wanted a range and ratings")
        };
        (prices.avg(), ratings.avg(), buckets.map(|bucket| (bucket.count, bucket.selected)))
    };
    // Its own filter does not narrow ratings, and narrows prices.
    assert_eq!(asked(&index), (100, 330, [(1, true), (2, false), (2, false), (2, false)]));
    index.set_columns(DocKey(2), Columns { price: Some(201), rating: Some(400), ..Columns::default() }).expect("not reserved");
    assert_eq!(asked(&index), (151, 330, [(2, true), (2, false), (2, false), (2, false)]));
    index.remove(DocKey(4));
    assert_eq!(asked(&index), (151, 450, [(2, true), (2, false), (2, false), (2, false)]));
}
