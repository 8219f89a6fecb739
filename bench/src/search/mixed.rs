//! The mixed corpus: products of all sets in seven fields that every engine can load, and the mixing that makes sixteen of one.
//!
//! Path: [`Line`] → [`Row`] → (replicas) → a line of JSON. Repeating documents word for word would tie scores and flatter pruning, so a replica has its title with
//! one word swapped for one of another product, and the body of that product.

use super::lines::{Line, Shape, products};
use crate::server::BenchError;
use serde::Serialize;
use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

/// A product of the mixed corpus.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) brand: String,
    pub(super) category: String,
    pub(super) colour: String,
    pub(super) price: i64,
}

/// Attributes that say what kind of thing an icecat product is, the best first.
const KINDS: [&str; 3] = ["t_product_type", "t_type", "t_device_type"];

impl Row {
    pub(super) fn of(line: Line) -> Self {
        let (id, shape) = (line.full_id(), line.shape());
        let own = Option::unwrap_or_default;
        let title = own(line.title);
        let cents = line.price_cents.unwrap_or(0.0) as i64;
        match shape {
            Shape::Icecat => {
                let text = |name: &str| line.attrs.get(name).and_then(serde_json::Value::as_str);
                let mut body = own(line.description);
                for (name, value) in &line.attrs {
                    if let Some(value) = value.as_str() {
                        body.extend([" ", &name.trim_start_matches("t_").replace('_', " "), " ", value]);
                    }
                }
                let category = KINDS.into_iter().find_map(text).unwrap_or("other").to_owned();
                let colour = text("t_product_colour").unwrap_or("none").to_owned();
                Self { id, title, body, brand: own(line.brand), category, colour, price: cents }
            }
            Shape::Fashion => {
                let (kind, gender) = (own(line.article_type), own(line.gender));
                let words =
                    [own(line.master_category), own(line.sub_category), kind.clone(), own(line.season), own(line.usage), gender.clone()];
                // The set has no prices: any spread will do.
                let price = 1_000 + line.id.parse::<i64>().unwrap_or(0).wrapping_mul(37).rem_euclid(20_000);
                Self { id, title, body: words.join(" "), brand: gender, category: kind, colour: own(line.colour), price }
            }
            Shape::Bestbuy => {
                let path = line.categories.unwrap_or_default();
                let body = format!("{} {}", own(line.description), path.join(" "));
                let category = path.into_iter().next_back().unwrap_or_default();
                Self { id, title, body, brand: own(line.brand), category, colour: "none".into(), price: cents }
            }
            Shape::Mixed => Self {
                id,
                title,
                body: own(line.body),
                brand: own(line.brand),
                category: own(line.category),
                colour: own(line.colour),
                price: line.price.unwrap_or(0),
            },
        }
    }
}

/// What a replica takes from its own product and from another one.
pub(super) trait Mixes: Clone {
    fn title(&self) -> &str;
    /// The replica: this id, this title, the body of `other`, and so many hundredths of the price.
    fn replica(&self, id_end: &str, title: String, other: &Self, price_percent: i64) -> Self;
}

impl Mixes for Row {
    fn title(&self) -> &str {
        &self.title
    }

    fn replica(&self, id_end: &str, title: String, other: &Self, price_percent: i64) -> Self {
        Self {
            id: format!("{}{id_end}", self.id),
            title,
            body: other.body.clone(),
            price: self.price.wrapping_mul(price_percent) / 100,
            ..self.clone()
        }
    }
}

/// The products, and behind them `replicate - 1` times as many mixed ones.
pub(super) fn replicas<P: Mixes>(products: Vec<P>, replicate: usize) -> impl Iterator<Item = P> {
    let n = products.len();
    (0..replicate).flat_map(move |turn| (0..n).map(move |at| (turn, at))).map(move |(turn, at)| {
        let own = &products[at];
        if turn == 0 {
            return own.clone();
        }
        // Two primes, so that neither neighbours nor turns meet the same partner.
        let partner = at.wrapping_mul(7_919).wrapping_add(turn.wrapping_mul(104_729)) % n;
        let other = &products[partner];
        let (mut words, others): (Vec<&str>, Vec<&str>) =
            (own.title().split_whitespace().collect(), other.title().split_whitespace().collect());
        let title = if words.is_empty() || others.is_empty() {
            own.title().to_owned()
        } else {
            let place = (at + turn) % words.len();
            words[place] = others[(at.wrapping_mul(31) + turn) % others.len()];
            words.join(" ")
        };
        own.replica(&format!("-{turn}"), title, other, 100 + turn as i64)
    })
}

/// Writes the mixed corpus of these files; how many products it has.
pub(super) fn write(paths: &[PathBuf], replicate: usize, to: &Path) -> Result<usize, BenchError> {
    let rows: Vec<Row> = products(paths).map(|line| line.map(Row::of)).collect::<Result<_, _>>()?;
    let failed = || BenchError::io(to.display().to_string());
    let mut file = BufWriter::with_capacity(1 << 20, File::create(to).map_err(failed())?);
    let mut written = 0;
    for row in replicas(rows, replicate) {
        serde_json::to_writer(&mut file, &row).map_err(BenchError::other)?;
        file.write_all(b"\n").map_err(failed())?;
        written += 1;
    }
    file.flush().map_err(failed())?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        Row::of(serde_json::from_str(json).expect("a product"))
    }

    #[test] // Each row is a product of a set, and what the mixed corpus has of it.
    fn every_set_fills_the_seven_fields() {
        for (line, wanted) in [
            (
                r#"{"id":"9","title":"HP 80","description":"Ink","brand":"HP","price_cents":125.0,"attrs":{"t_type":"Original","n_width":5.0,"t_t_odd_name":"x","b_new":true}}"#,
                ["i9", "HP 80", "Ink odd name x type Original", "HP", "Original", "none"],
            ),
            (
                r#"{"id":"8","title":"Shirt","gender":"Men","master_category":"Apparel","sub_category":"Top","article_type":"Shirts","colour":"Blue","season":"Fall","year":"2011","usage":"Casual"}"#,
                ["f8", "Shirt", "Apparel Top Shirts Fall Casual Men", "Men", "Shirts", "Blue"],
            ),
            (
                r#"{"id":"7","title":"Phone","description":"d","brand":"B","categories":["Cell","Prepaid"],"price_cents":499}"#,
                ["b7", "Phone", "d Cell Prepaid", "B", "Prepaid", "none"],
            ),
        ] {
            let Row { id, title, body, brand, category, colour, .. } = row(line);
            assert_eq!([&*id, &*title, &*body, &*brand, &*category, &*colour], wanted);
        }
        assert_eq!(row(r#"{"id":"9","attrs":{},"price_cents":125.0}"#).price, 125);
        assert_eq!(row(r#"{"id":"541","article_type":"x"}"#).price, 1_000 + 541 * 37 % 20_000);
    }

    #[test] // Worked out by hand: partner (1 · 7919 + 1 · 104729) mod 2 is 0, place (1 + 1) mod 3 is 2, word (31 + 1) mod 2 is 0.
    fn a_replica_has_a_word_and_the_body_of_another_product() {
        let one = row(r#"{"id":"b0","title":"red lamp","body":"shines","price":50}"#);
        let two = row(r#"{"id":"b1","title":"blue desk chair","body":"stands","brand":"B","price":200}"#);
        let all: Vec<Row> = replicas(vec![one.clone(), two.clone()], 2).collect();
        assert_eq!(all[..2], [one, two.clone()]);
        assert_eq!(all[3], Row { id: "b1-1".into(), title: "blue desk red".into(), body: "shines".into(), price: 202, ..two });
    }
}
