//! Ways to say one thing that every English shop has: what its search knows before a merchant says anything.
//!
//! Path: [`COMMON`] → behind the merchant's own synonyms, but for those of which a setting has the key → `search_rules`.
//! What belongs here: names of one and the same thing in American, British and trade English, of which a shopper who types one is content with the other. Not wider
//! and narrower names, not brands, no misspellings: those are found otherwise, or are a merchant's to say.
//! A search looks its words up among them, as among a merchant's; those of which no word is typed cost it nothing.

/// By name, ways to say one thing, each of which stands for all, in a shop whose search is in English; a setting with the key `common-<name>` takes the place of one.
/// `docs/search.md` lists them.
pub const COMMON: [(&str, &[&str]); 28] = [
    ("aluminium", &["aluminium", "aluminum"]),
    ("colour", &["colour", "color"]),
    ("couch", &["couch", "sofa", "settee"]),
    ("curtains", &["curtains", "drapes"]),
    ("diapers", &["diapers", "nappies"]),
    ("duvet", &["duvet", "comforter"]),
    ("earbuds", &["earbuds", "earphones"]),
    ("flashlight", &["flashlight", "torch"]),
    ("gps", &["gps", "satnav", "sat nav"]),
    ("grey", &["grey", "gray"]),
    ("hard-drive", &["hard drive", "hard disk", "hdd"]),
    ("jewellery", &["jewellery", "jewelry"]),
    ("kids", &["kids", "children"]),
    ("laptop", &["laptop", "notebook"]),
    ("mobile-phone", &["mobile phone", "cell phone", "cellphone", "smartphone"]),
    ("pyjamas", &["pyjamas", "pajamas"]),
    ("refrigerator", &["refrigerator", "fridge"]),
    ("sneakers", &["sneakers", "trainers"]),
    ("solid-state-drive", &["solid state drive", "ssd"]),
    ("spanner", &["spanner", "wrench"]),
    ("stroller", &["stroller", "pushchair", "pram"]),
    ("sweater", &["sweater", "jumper", "pullover"]),
    ("television", &["television", "tv"]),
    ("trousers", &["trousers", "pants"]),
    ("tyre", &["tyre", "tire"]),
    ("usb-stick", &["usb stick", "flash drive", "thumb drive", "pendrive"]),
    ("vacuum", &["vacuum cleaner", "hoover"]),
    ("women", &["women", "ladies"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::search_settings::COMMON_KEY_PREFIX;
    use search_index::{Synonym, Synonyms};

    #[test]
    fn each_is_within_bounds_and_comes_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (key, ways) in COMMON {
            let key = [COMMON_KEY_PREFIX, key].concat();
            assert!(key.len() <= wire::limits::KEY_BYTES_MAX, "{key}");
            assert!(ways.len() > 1 && ways.iter().all(|way| seen.insert(*way)), "{key}");
            let ways: Vec<String> = ways.iter().map(ToString::to_string).collect();
            assert!(Synonyms::new(&[Synonym { typed: ways.clone(), found: ways }]).is_ok(), "{key}");
        }
        assert!(COMMON.is_sorted_by_key(|(key, _)| *key));
    }

    #[test]
    fn merchants_are_told_of_each() {
        let told: Vec<String> = COMMON.iter().map(|(key, ways)| format!("| `{COMMON_KEY_PREFIX}{key}` | {} |", ways.join(", "))).collect();
        let page = include_str!("../../../docs/search.md");
        assert!(page.contains(&told.join("\n")), "docs/search.md, Synonyms, has to have\n{}", told.join("\n"));
    }
}
