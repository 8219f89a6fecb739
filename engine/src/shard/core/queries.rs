//! What shoppers search for: the most frequent queries, and how often they found nothing.
//!
//! Path: a search answered on this shard → [`Queries::note`] → one of [`QUERIES_MAX`] counters → [`Queries::top`], for merchandisers, and [`Queries::beginning`], for who is
//! typing the same again.
//! Counters are Space-Saving (Metwally, Agrawal, El Abbadi, ICDT 2005): a query that has none takes that of the least frequent one and its count, so that one asked
//! often enough is never missed, and a count is at most too high by the least of all. All are halved every [`HALF_LIFE_MS`].
//! In memory only: what somebody typed is in no log and no file. What few typed is shown to nobody but staff: for others counts only what was surely counted, and
//! only where some product had all of the words, so that nobody can put a message there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::{CountedQuery, Millis};

/// Queries counted on a shard.
pub(crate) const QUERIES_MAX: usize = 1_000;
/// Bytes of a query that is counted; longer ones are nobody else's.
pub(crate) const COUNTED_BYTES_MAX: usize = 100;
/// After so long everything counts half: what was popular is not for ever.
pub(crate) const HALF_LIFE_MS: u64 = 24 * 60 * 60 * 1_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// Those of the query whose counter it was before among them.
    searches: u64,
    /// That found nothing; of this query alone.
    empty: u64,
    /// That found a product with all words; likewise.
    whole: u64,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// Something, but nothing that has all words.
    Some,
    /// Something that has all words.
    Whole,
}

/// The most frequent queries of a shard.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    by_text: BTreeMap<Arc<str>, Count>,
    by_count: BTreeSet<(u64, Arc<str>)>,
    halve_at: Option<Millis>,
}

impl Queries {
    /// Counts a search. Case and blanks make no other query. O(log n), and all counters once in a half-life.
    pub(crate) fn note(&mut self, text: &str, found: Found, now: Millis) {
        self.age(now);
        let text = folded(text);
        if text.is_empty() || text.len() > COUNTED_BYTES_MAX {
            return;
        }
        let (text, before) = match self.by_text.remove_entry(text.as_str()) {
            Some((text, count)) => {
                self.by_count.remove(&(count.searches, Arc::clone(&text)));
                (text, count)
            }
            None if self.by_text.len() < QUERIES_MAX => (Arc::from(text), Count::default()),
            None => {
                let least = self.by_count.pop_first();
                let searches = least.map_or(0, |(searches, text)| {
                    self.by_text.remove(&text);
                    searches
                });
                (Arc::from(text), Count { searches, ..Count::default() })
            }
        };
        let count = Count {
            searches: before.searches + 1,
            empty: before.empty + u64::from(found == Found::Nothing),
            whole: before.whole + u64::from(found == Found::Whole),
        };
        self.by_count.insert((count.searches, Arc::clone(&text)));
        self.by_text.insert(text, count);
    }

    fn age(&mut self, now: Millis) {
        let due = *self.halve_at.get_or_insert_with(|| now.plus(HALF_LIFE_MS));
        if now < due {
            return;
        }
        let halvings = 1 + (now.0 - due.0) / HALF_LIFE_MS;
        self.halve_at = Some(due.plus(halvings * HALF_LIFE_MS));
        let half = |count: u64| count.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0);
        for count in self.by_text.values_mut() {
            *count = Count { searches: half(count.searches), empty: half(count.empty), whole: half(count.whole) };
        }
        self.by_text.retain(|_, count| count.searches > 0);
        self.by_count = self.by_text.iter().map(|(text, count)| (count.searches, Arc::clone(text))).collect();
    }

    /// All that are counted, in the order of their texts; with `empty`, those that found nothing at least once. O(n).
    pub(crate) fn top(&self, empty: bool) -> Vec<CountedQuery> {
        let shown = |(text, count): (&Arc<str>, &Count)| CountedQuery {
            text: text.to_string(),
            searches: count.searches,
            without_results: count.empty,
        };
        self.by_text.iter().filter(|(_, count)| !empty || count.empty > 0).map(shown).collect()
    }

    /// Those that begin so and found products with all words, with how often they did. O(log n + those).
    pub(crate) fn beginning(&self, text: &str) -> Vec<(String, u64)> {
        let text = folded(text);
        if text.is_empty() {
            return Vec::new();
        }
        let begin = self.by_text.range::<str, _>((std::ops::Bound::Included(text.as_str()), std::ops::Bound::Unbounded));
        let begin = begin.take_while(|(known, _)| known.starts_with(&text));
        begin.filter(|(_, count)| count.whole > 0).map(|(known, count)| (known.to_string(), count.whole)).collect()
    }
}

fn folded(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: Millis = Millis(1_800_000_000_000);

    fn shown(queries: &Queries, empty: bool) -> String {
        let line = |query: CountedQuery| format!("{}:{}/{}", query.text, query.searches, query.without_results);
        queries.top(empty).into_iter().map(line).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_asked_is_counted_and_forgotten() {
        let mut queries = Queries::default();
        use Found::{Nothing, Some, Whole};
        for (text, found) in
            [("Ink", Whole), (" ink  ", Whole), ("INK jet", Whole), ("zzz", Nothing), ("ink", Nothing), ("ink you", Some), ("  ", Whole)]
        {
            queries.note(text, found, T);
        }
        queries.note(&"x".repeat(COUNTED_BYTES_MAX + 1), Whole, T);
        assert_eq!(shown(&queries, false), "ink:3/1 ink jet:1/0 ink you:1/0 zzz:1/1");
        assert_eq!(shown(&queries, true), "ink:3/1 zzz:1/1");
        assert_eq!(queries.beginning("In"), [("ink".to_owned(), 2), ("ink jet".to_owned(), 1)]);
        assert_eq!((queries.beginning("z"), queries.beginning(" ")), (vec![], vec![]));
        queries.note("zzz", Whole, T.plus(HALF_LIFE_MS - 1));
        assert_eq!(shown(&queries, false), "ink:3/1 ink jet:1/0 ink you:1/0 zzz:2/1");
        queries.note("new", Whole, T.plus(HALF_LIFE_MS));
        assert_eq!(shown(&queries, false), "ink:1/0 new:1/0 zzz:1/0");
        queries.note("newer", Whole, T.plus(90 * HALF_LIFE_MS));
        assert_eq!(shown(&queries, false), "newer:1/0");
    }

    #[test] // Else whoever fills the counters could read what others typed once.
    fn a_counter_that_is_taken_over_does_not_count_for_others() {
        let mut queries = Queries::default();
        for text in 0..QUERIES_MAX {
            (0..9).for_each(|_| queries.note(&text.to_string(), Found::Whole, T));
        }
        queries.note("jane doe", Found::Whole, T);
        assert_eq!(queries.top(false).iter().find(|query| query.text == "jane doe").map(|query| query.searches), Some(10));
        assert_eq!(queries.beginning("jane"), [("jane doe".to_owned(), 1)]);
    }

    proptest! {
        #[test] // What the paper promises, held against exact counts.
        fn frequent_queries_are_never_missed(asked in prop::collection::vec((0u32..4_000, 0u32..6), 2_000..6_000)) {
            let (mut queries, mut exact) = (Queries::default(), BTreeMap::<String, u64>::new());
            for (rare, kind) in &asked {
                let text = if *kind == 0 { rare.to_string() } else { (rare % 40).to_string() };
                queries.note(&text, Found::Whole, T);
                *exact.entry(text).or_default() += 1;
            }
            let found: BTreeMap<String, u64> = queries.top(false).into_iter().map(|query| (query.text, query.searches)).collect();
            prop_assert!(found.len() <= QUERIES_MAX);
            prop_assert_eq!(found.values().sum::<u64>(), asked.len() as u64);
            let least = if found.len() < QUERIES_MAX { 0 } else { found.values().min().copied().unwrap_or(0) };
            for (text, count) in exact {
                match found.get(&text) {
                    Some(found) => prop_assert!((count..=count + least).contains(found), "{} {} {}", text, count, found),
                    None => prop_assert!(count <= least, "{} {}", text, count),
                }
            }
        }
    }
}
