//! Invented products from a seed.

use super::{
    random::Random,
    vocabulary::{CLOSINGS, DEPARTMENTS, Department, Feature, Kind, LINES, OPENINGS, kinds},
};
use std::collections::BTreeSet;
use wire::{
    Attribute, AttributeValue, CategoryInput, Currency, Money, OpeningStock, OptionChoice, ProductInput, ProductStatus, VariantInput,
};

/// The only location of the demo shop.
const LOCATION: &str = "main";
/// Days since 1970-01-01 between which products came out: 2019-01-01 and 2026-06-30.
const RELEASED: (u64, u64) = (17_897, 20_634);

/// Departments, and the kinds of products below each; parents before children.
pub(crate) fn categories() -> Vec<CategoryInput> {
    let mut categories = Vec::new();
    for Department { key, name } in DEPARTMENTS {
        categories.push(CategoryInput { key: (*key).into(), name: (*name).into(), parent: None });
        for kind in kinds().filter(|kind| kind.department == *key) {
            categories.push(CategoryInput { key: kind.category(), name: kind.name.into(), parent: Some((*key).into()) });
        }
    }
    categories
}

/// The first `count` products of `seed`; the same ones whatever `count` is. About 10 µs each.
pub(crate) fn products(seed: u64, count: usize) -> impl Iterator<Item = ProductInput> {
    let kinds: Vec<&Kind> = kinds().collect();
    let mut titles = BTreeSet::new();
    (1..=count).map(move |number| {
        // A stream of its own for each product: a change to one does not move the others.
        let mut random = Random::new(seed ^ (number as u64).wrapping_mul(0xd605_0bb5_a1b7_3c4d));
        let kind = kinds[random.below(kinds.len() as u64) as usize];
        product(number, kind, &mut random, &mut titles)
    })
}

fn product(number: usize, kind: &Kind, random: &mut Random, titles: &mut BTreeSet<String>) -> ProductInput {
    let key = format!("demo-{number:05}");
    let brand = random.pick(kind.brands);
    let (mut attributes, mut told) = (Vec::new(), Vec::new());
    for feature in kind.features {
        let (attribute, text) = feature_of(feature, random);
        attributes.push(attribute);
        told.push(text);
    }
    let noun = random.pick(kind.nouns);
    let line = random.pick(LINES);
    // The first feature is what people name such a thing by.
    let mut title = format!("{brand} {line} {noun}, {}", told[0]);
    if !titles.insert(title.clone()) {
        title = format!("{brand} {line} {} {noun}, {}", random.between(2, 99), told[0]);
        titles.insert(title.clone());
    }
    let uses = random.pick(kind.uses);
    let listed = told[1..].join(", ");
    let opening = random.pick(OPENINGS).replace("{brand}", brand).replace("{noun}", &noun.to_lowercase()).replace("{use}", uses);
    let description = format!("{opening} In short: {listed}. {}", random.pick(CLOSINGS));
    let base = price(kind.price, random);
    let variants = variants(&key, kind, base, random);
    let stock = variants
        .iter()
        .map(|variant| OpeningStock { variant: variant.key.clone(), location: LOCATION.into(), on_hand: on_hand(random) })
        .collect();
    ProductInput {
        key,
        title,
        description,
        brand: Some(brand.to_owned()),
        category: Some(kind.category()),
        attributes,
        images: Vec::new(),
        variants,
        stock,
        // Few sell much and most sell little: the reciprocal of an even number.
        popularity: (1_000_000 / random.between(1, 100_000)) as i64,
        margin: None,
        released: i32::try_from(random.between(RELEASED.0, RELEASED.1)).ok(),
        status: ProductStatus::Active,
    }
}

/// The attribute, and how a sentence says it.
fn feature_of(feature: &Feature, random: &mut Random) -> (Attribute, String) {
    match feature {
        Feature::Word(name, words) => {
            let word = random.pick(words);
            (attribute("t", name, AttributeValue::Text(word.to_owned())), word.to_owned())
        }
        Feature::Amount(name, amounts, unit) => {
            let amount = amounts[random.below(amounts.len() as u64) as usize];
            (attribute("n", name, AttributeValue::Number(amount)), format!("{amount} {unit}"))
        }
        Feature::Maybe(name, with, without) => {
            let has = random.percent(50);
            (attribute("b", name, AttributeValue::Bool(has)), (if has { *with } else { *without }).to_owned())
        }
    }
}

fn attribute(kind: &str, name: &str, value: AttributeValue) -> Attribute {
    Attribute { name: format!("{kind}_{name}"), value }
}

/// Minor units; low prices are more common than high ones, and most end in 9.
fn price((low, high): (u64, u64), random: &mut Random) -> u64 {
    let evenly = random.between(low, high);
    let whole = random.between(low, evenly.max(low)) / 100;
    whole * 100 + [99, 99, 99, 95, 49, 0][random.below(6) as usize]
}

fn variants(key: &str, kind: &Kind, base: u64, random: &mut Random) -> Vec<VariantInput> {
    let Some(options) = kind.options.filter(|_| random.percent(70)) else {
        return vec![variant(key.to_owned(), Vec::new(), base, random)];
    };
    // Of each group a run of neighbours, as real ranges are: three sizes of six, two colours of eight.
    let mut choices: Vec<Vec<OptionChoice>> = vec![Vec::new()];
    for (name, values) in options {
        let many = random.between(2, values.len().min(4) as u64) as usize;
        let first = random.below((values.len() - many + 1) as u64) as usize;
        choices = choices
            .iter()
            .flat_map(|before| {
                values[first..first + many].iter().map(|value| {
                    let choice = OptionChoice { name: (*name).to_owned(), value: (*value).to_owned() };
                    before.iter().cloned().chain([choice]).collect()
                })
            })
            .collect();
    }
    let steps = random.percent(30).then(|| random.between(1, 5) * 100);
    choices
        .into_iter()
        .enumerate()
        .map(|(at, options)| {
            let words: Vec<String> = options.iter().map(|choice| choice.value.to_lowercase().replace(' ', "-")).collect();
            variant(format!("{key}-{}", words.join("-")), options, base + steps.unwrap_or(0) * at as u64, random)
        })
        .collect()
}

fn variant(key: String, options: Vec<OptionChoice>, price: u64, random: &mut Random) -> VariantInput {
    let prices = vec![Money { amount: price as i64, currency: Currency::USD }];
    VariantInput { key, options, prices, barcodes: vec![barcode(random)] }
}

/// An EAN-13 of the range that shops number themselves (prefix 2), with its check digit.
fn barcode(random: &mut Random) -> String {
    let digits = format!("2{:011}", random.below(100_000_000_000));
    let sum: u32 = digits.bytes().zip([1, 3].into_iter().cycle()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// 0 to 200: a few sold out, some nearly.
fn on_hand(random: &mut Random) -> u32 {
    match random.below(100) {
        0..4 => 0,
        4..14 => random.between(1, 5) as u32,
        _ => random.between(6, 200) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::PRODUCTS;
    use wire::limits;

    #[test]
    fn the_demo_catalog_looks_like_a_shop() {
        let all: Vec<ProductInput> = products(7, PRODUCTS).collect();
        assert_eq!(all.len(), PRODUCTS);
        assert_eq!(all[..100], products(7, 100).collect::<Vec<_>>()[..], "the same each time");
        let categories: BTreeSet<String> = categories().into_iter().map(|category| category.key).collect();
        assert!((45..=70).contains(&categories.len()), "{}", categories.len());
        let (mut keys, mut titles, mut barcodes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut sold_out, mut rows, mut many) = (0, 0, 0);
        for product in &all {
            assert!(titles.insert(&product.title), "{} is there twice", product.title);
            assert!(product.title.len() <= limits::TITLE_BYTES_MAX && product.description.len() > 60);
            assert!(categories.contains(product.category.as_ref().expect("one")), "{:?}", product.category);
            assert_eq!(product.stock.len(), product.variants.len());
            let names: BTreeSet<&str> = product.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
            assert_eq!(names.len(), product.attributes.len(), "{}", product.title);
            many += usize::from(product.variants.len() > 1);
            for variant in &product.variants {
                assert!(keys.insert(&variant.key), "{} is there twice", variant.key);
                barcodes.insert(&variant.barcodes[0]);
                assert!(variant.prices[0].amount > 0);
            }
            rows += product.stock.len();
            sold_out += product.stock.iter().filter(|row| row.on_hand == 0).count();
            assert!(product.stock.iter().all(|row| row.on_hand <= 200));
        }
        assert!(barcodes.len() > keys.len() * 99 / 100);
        assert!((PRODUCTS / 10..PRODUCTS / 2).contains(&many), "{many} products have several variants");
        assert!((rows / 100..rows / 10).contains(&sold_out), "{sold_out} of {rows} rows are sold out");
    }

    #[test]
    fn check_digits_are_right() {
        for seed in 0..100 {
            let code = barcode(&mut Random::new(seed));
            let sum: u32 = code.bytes().zip([1, 3].into_iter().cycle()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
            assert!(code.len() == 13 && sum.is_multiple_of(10), "{code}");
        }
    }
}
