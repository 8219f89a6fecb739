//! Which words of a shown text a query found, and the part of a long text that shows most of them.
//!
//! Path: a query → its words as this index understands them ([`Index::highlighter`]) → for each shown text [`Highlighter::ranges`], byte ranges of words
//! found → [`Highlighter::mark`] or [`Highlighter::snippet`], HTML. The index keeps no text, so the caller passes the field it shows; analysis and
//! understanding are the index's own, so what matched is what lights up: stems, other spellings of models, words still being typed, what a misspelt
//! word was taken for, and the words of synonyms, those of longer ones wherever they stand.
//! Bounds: [`MARKED_BYTES_MAX`] of a text are looked at, and a snippet shows [`SNIPPET_BYTES_MAX`]. All texts together may make as much work as the query may
//! ([`Query::budget`]); in those after that nothing is marked.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::analysis::{Analyzer, TOKEN_BYTES_MAX, cjk};
use crate::budget::{Meter, Stage, cost};
use crate::index::Index;
use crate::query::{Matching, Query};
use crate::refusal::QueryError;

/// Bytes of a text that are looked at; nothing is marked beyond them.
pub const MARKED_BYTES_MAX: usize = 8 << 10;
/// Bytes of text in a snippet, marks, escapes and dots not counted.
pub const SNIPPET_BYTES_MAX: usize = 240;

/// Finds a query's words in texts.
///
/// ```
/// use search_index::{DocKey, Document, Index, Query, Settings};
/// let index = Index::build(Settings::default(), [Document { title: "HP 80 ink cartridges".into(), ..Document::new(DocKey(1)) }])?;
/// let highlighter = index.highlighter(&Query { text: Some("ink cartrige".into()), ..Query::default() })?;
/// assert_eq!(highlighter.mark("HP 80 Ink Cartridge <new>"), "HP 80 <em>Ink</em> <em>Cartridge</em> &lt;new&gt;");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Highlighter<'a> {
    analyzer: &'a Analyzer,
    /// Terms with the place of the query's word that they stand for, ascending.
    terms: Vec<(String, u8)>,
    /// What a word that is still being typed begins with.
    begins: Option<(String, u8)>,
    meter: Meter,
}

/// A word found in a text.
struct Found {
    range: Range<usize>,
    /// Of the query's words that it is found by, a bit each.
    places: u32,
}

impl Index {
    /// What marks the words that `query` finds here. O(understanding the text).
    ///
    /// # Errors
    /// A query over its bounds.
    pub fn highlighter(&self, query: &Query) -> Result<Highlighter<'_>, QueryError> {
        query.check()?;
        let operators = self.operators(query)?;
        let terms = self.analyzer.query_terms(&operators.words, query.prefix);
        let (mut marked, mut begins) = (Vec::new(), None);
        let meter = Meter::new(query.budget);
        meter.begin(Stage::Words);
        let mut understood = self.known(&meter).understand(terms, query)?;
        if query.typos && query.matching != Matching::Any && understood.words.len() > 1 {
            // Whether the answer came of doubt is not known here; where it did not, what they may be is hardly there.
            self.known(&meter).doubt(&mut understood, query);
        }
        let words = understood.words;
        meter.begin(Stage::Answer);
        for word in words {
            let place = word.place();
            if word.goes_on {
                begins = Some((word.form, place));
            }
            let of_phrases = word.phrases.iter().flat_map(|way| way.iter().cloned());
            marked.extend(word.others.into_iter().map(|(term, _)| term).chain(of_phrases).map(|term| (term, place)));
            marked.push((word.term, place));
        }
        marked.sort_unstable();
        marked.dedup_by(|next, first| next.0 == first.0);
        Ok(Highlighter { analyzer: &self.analyzer, terms: marked, begins, meter })
    }
}

impl Highlighter<'_> {
    /// Whether the budget was used up, so that some words may not be marked.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.meter.is_cut()
    }

    /// Byte ranges of matching words, ascending, on character boundaries, not overlapping. O(text · log terms).
    #[must_use]
    pub fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        self.found(text).into_iter().map(|found| found.range).collect()
    }

    /// The text as HTML, with `<em>` around the words found.
    #[must_use]
    pub fn mark(&self, text: &str) -> String {
        render(text, 0..text.len(), &self.found(text))
    }

    /// The part of the text that shows most of the query's words, the earliest of equals, as HTML with `<em>` around them and dots where it is cut. `None`
    /// where none is found.
    #[must_use]
    pub fn snippet(&self, text: &str) -> Option<String> {
        let found = self.found(text);
        let shown = best_window(text, &found)?;
        let mut html = String::new();
        if shown.start > 0 {
            html.push('…');
        }
        html.push_str(&render(text, shown.clone(), &found));
        if shown.end < text.len() {
            html.push('…');
        }
        Some(html)
    }

    fn found(&self, text: &str) -> Vec<Found> {
        let text = &text[..text.floor_char_boundary(MARKED_BYTES_MAX)];
        if self.terms.is_empty() || !self.meter.may_spend(text.len() as u64 * cost::TEXT_BYTE) {
            return Vec::new();
        }
        if !cjk::has_runs(text) {
            return self.found_words(text);
        }
        let mut found = Vec::new();
        for cjk::Stretch { range, run } in cjk::stretches(text) {
            let before = found.len();
            let part = &text[range.clone()];
            if run.is_some() {
                self.found_pairs(part, &mut found);
            } else {
                found.extend(self.found_words(part));
            }
            found[before..].iter_mut().for_each(|Found { range: at, .. }| *at = at.start + range.start..at.end + range.start);
        }
        found
    }

    /// Characters of a run that are found with a neighbour, or by themselves; neighbours as one.
    fn found_pairs(&self, run: &str, found: &mut Vec<Found>) {
        // Folded one by one, so that each place in what is folded is known to be of one character.
        let (mut folded, mut ends) = (String::with_capacity(run.len()), Vec::new());
        for (at, character) in run.grapheme_indices(true) {
            folded.push_str(&self.analyzer.fold(character));
            ends.push((folded.len(), at + character.len()));
        }
        let mut places = vec![0_u32; ends.len()];
        Analyzer::document_places(&folded, |range| {
            if let Some(place) = self.place_of_token(&folded[range.clone()]) {
                let first = ends.partition_point(|(end, _)| *end <= range.start);
                let last = ends.partition_point(|(end, _)| *end < range.end);
                places[first..=last].iter_mut().for_each(|places| *places |= 1 << place);
            }
        });
        let (mut from, mut open) = (0, false);
        for (places, (_, end)) in places.into_iter().zip(ends) {
            match found.last_mut().filter(|_| open) {
                Some(last) if places != 0 => (last.range.end, last.places) = (end, last.places | places),
                Some(_) | None if places != 0 => found.push(Found { range: from..end, places }),
                Some(_) | None => {}
            }
            (from, open) = (end, places != 0);
        }
    }

    fn found_words(&self, text: &str) -> Vec<Found> {
        let words = self.analyzer.shown_words(text);
        let mut places: Vec<Option<u8>> = words.iter().map(|(_, word)| self.place_of_word(word)).collect();
        self.mark_glued(text, &words, &mut places);
        let marked = words.iter().zip(places);
        marked.filter_map(|((at, word), place)| Some(Found { range: *at..at + word.len(), places: 1 << place? })).collect()
    }

    /// Words that documents also have as one: `TN-2110` as `tn2110`, `8 GB` as `8gb`, `d'encre` as `dencre`.
    fn mark_glued(&self, text: &str, words: &[(usize, &str)], places: &mut [Option<u8>]) {
        let between = |at: usize| text.get(words[at - 1].0 + words[at - 1].1.len()..words[at].0);
        let joined = |at: usize| matches!(between(at), Some("-" | "/" | "_" | "." | "‐" | "‑" | "–"));
        let mut from = 0;
        for at in 0..words.len() {
            if words[at].1.starts_with(|c: char| c.is_ascii_digit()) {
                self.mark_measure(text, words, at, places);
            }
            if at == 0 || !joined(at) {
                from = at;
                if let Some((before, word)) = at.checked_sub(1).map(|before| (words[before].1, words[at].1))
                    && let Some(start) = before.strip_suffix(['\'', '’']).filter(|_| between(at) == Some(""))
                {
                    self.mark_run(&(self.analyzer.fold(start) + &self.analyzer.fold(word)), &mut places[at - 1..=at]);
                }
            } else if at + 1 == words.len() || !joined(at + 1) {
                let glued: String = words[from..=at].iter().map(|(_, word)| self.analyzer.fold(word)).collect();
                if glued.len() <= TOKEN_BYTES_MAX && glued.bytes().any(|b| b.is_ascii_digit()) {
                    self.mark_run(&glued, &mut places[from..=at]);
                }
            }
        }
    }

    /// A number with the unit behind it, or a sign.
    fn mark_measure(&self, text: &str, words: &[(usize, &str)], at: usize, places: &mut [Option<u8>]) {
        let (begin, number) = words[at];
        let behind = begin + number.len();
        if let Some(said) = text[behind..].chars().next().filter(|next| !next.is_whitespace()).and_then(|sign| {
            // Two apostrophes are one sign.
            let signs = if sign == '\'' { 2 } else { sign.len_utf8() };
            Analyzer::measure(&self.analyzer.fold(text.get(begin..behind + signs)?))
        }) {
            self.mark_run(&said, &mut places[at..=at]);
        }
        if let Some((next, unit)) = words.get(at + 1).filter(|(next, _)| next - behind <= 2) {
            let folded = self.analyzer.fold(&text[begin..next + unit.len()]);
            if let Some(said) = Analyzer::measure(&folded) {
                self.mark_run(&said, &mut places[at..=at + 1]);
                let glued: String = folded.chars().filter(|c| c.is_alphanumeric() || *c == '.').collect();
                self.mark_run(&glued, &mut places[at..=at + 1]);
            }
        }
    }

    fn mark_run(&self, glued: &str, places: &mut [Option<u8>]) {
        if let Some(found) = self.place_of_token(glued) {
            places.iter_mut().for_each(|place| *place = place.or(Some(found)));
        }
    }

    fn place_of_word(&self, word: &str) -> Option<u8> {
        let mut found = None;
        Analyzer::document_tokens(&self.analyzer.fold(word), |token, _| found = found.or_else(|| self.place_of_token(token)));
        found
    }

    fn place_of_token(&self, token: &str) -> Option<u8> {
        let term = self.analyzer.stem(token);
        let as_term = self.terms.binary_search_by(|(wanted, _)| (**wanted).cmp(&*term)).ok().map(|at| self.terms[at].1);
        as_term.or_else(|| self.begins.as_ref().filter(|(form, _)| token.starts_with(&**form)).map(|(_, place)| *place))
    }
}

/// The stretch to show: as many of the query's words as a window can hold, then as many words marked, then the earliest; with room around it.
fn best_window(text: &str, found: &[Found]) -> Option<Range<usize>> {
    let mut best: Option<((u32, usize), Range<usize>)> = None;
    for (nth, first) in found.iter().enumerate().filter(|(_, first)| first.range.len() <= SNIPPET_BYTES_MAX) {
        let start = first.range.start;
        let (mut words, mut count, mut end) = (0_u32, 0, first.range.end);
        for next in found[nth..].iter().take_while(|next| next.range.end - start <= SNIPPET_BYTES_MAX) {
            (words, count, end) = (words | next.places, count + 1, next.range.end);
        }
        let worth = (words.count_ones(), count);
        if best.as_ref().is_none_or(|(most, _)| worth > *most) {
            best = Some((worth, start..end));
        }
    }
    let (_, marked) = best?;
    if text.len() <= SNIPPET_BYTES_MAX {
        return Some(0..text.len());
    }
    let room = SNIPPET_BYTES_MAX.saturating_sub(marked.len());
    let earliest = text.ceil_char_boundary(marked.start.saturating_sub(room / 2));
    let start = if earliest == 0 { 0 } else { after_space(text, earliest, marked.start) };
    let latest = text.floor_char_boundary((start + SNIPPET_BYTES_MAX).max(marked.end).min(text.len()));
    let end = if latest == text.len() { latest } else { before_space(text, marked.end, latest) };
    Some(start..end)
}

/// Where the first word after a space begins; without a space, the first place.
fn after_space(text: &str, from: usize, to: usize) -> usize {
    let rest = &text[from..to];
    rest.find(char::is_whitespace).map_or(from, |at| to - rest[at..].trim_start().len())
}

/// Where the last word before a space ends; without a space, the last place.
fn before_space(text: &str, from: usize, to: usize) -> usize {
    let rest = &text[from..to];
    rest.rfind(char::is_whitespace).map_or(to, |at| from + rest[..at].trim_end().len())
}

/// A part of the text as HTML.
fn render(text: &str, shown: Range<usize>, found: &[Found]) -> String {
    let mut html = String::with_capacity(shown.len() + 64);
    let mut at = shown.start;
    for Found { range, .. } in found.iter().filter(|found| shown.start <= found.range.start && found.range.end <= shown.end) {
        escape(&text[at..range.start], &mut html);
        html.push_str("<em>");
        escape(&text[range.clone()], &mut html);
        html.push_str("</em>");
        at = range.end;
    }
    escape(&text[at..shown.end], &mut html);
    html
}

/// Whatever means something in HTML, in text and in quoted attributes alike.
fn escape(text: &str, html: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{DocKey, Document, Settings};

    fn index(texts: &[&str]) -> Index {
        let documents = texts.iter().zip(1..).map(|(text, key)| Document { title: (*text).into(), ..Document::new(DocKey(key)) });
        Index::build(Settings::default(), documents).expect("a few")
    }

    fn asked(text: &str, prefix: bool) -> Query {
        Query { text: Some(text.into()), prefix, ..Query::default() }
    }

    #[test] // Query, text with the words that light up in brackets.
    fn words_light_up() {
        for (query, marked) in [
            ("ink cartridge", "[Ink] [Cartridges], 3 pieces of [ink]"),
            ("cafe", "Grand [Café] Müller"),
            ("tn2110", "Brother [TN]-[2110] toner"),
            ("tn-2110", "Brother [TN]-[2110] toner"),
            ("8gb", "with [8] [GB] of memory, 16 GB for more"),
            ("8 gb", "with [8GB] of memory"),
            ("1500ml", "holds [1.5] [litres], or [1,5] [l], not 1.5 m"),
            ("15.6 inch", "[15.6]\" [15.6]″ [15,6]'' [15.6]-[inch] [15.6in] 15.6 cm"),
            ("men", "[Men's] shoes"),
            ("the lamp", "the [lamp]"),
            ("headphnoes", "[Headphones] for heads"),
            ("smart watch", "a [Smartwatch]"),
            ("a4", "a paper of [A4], a 4th"),
            ("zzzz", "nothing here"),
            ("", "nothing asked"),
            ("lamp", ""),
        ] {
            let text = marked.replace(['[', ']'], "");
            let mut shown = text.clone();
            let index = index(&[&text]);
            for range in index.highlighter(&asked(query, false)).expect("short").ranges(&text).into_iter().rev() {
                shown.insert(range.end, ']');
                shown.insert(range.start, '[');
            }
            assert_eq!(shown, marked, "{query}");
        }
        let index = index(&["kettle"]);
        assert!(index.highlighter(&asked(&"lamp ".repeat(300), false)).is_err());
        assert_eq!(index.highlighter(&asked("ket", true)).expect("short").mark("Ket, kettles"), "<em>Ket</em>, <em>kettles</em>");
    }

    #[test]
    fn a_snippet_shows_where_most_words_are() {
        let far = "filler text that says nothing, ".repeat(20);
        let text = format!("A lamp. {far}This lamp has a <brass> shade & a cord. {far}");
        let index = index(&[&text]);
        let highlighter = index.highlighter(&asked("brass lamp", false)).expect("short");
        let snippet = highlighter.snippet(&text).expect("both are there");
        assert!(snippet.contains("This <em>lamp</em> has a &lt;<em>brass</em>&gt; shade &amp; a cord."), "{snippet}");
        assert!(snippet.starts_with('…') && snippet.ends_with('…'), "{snippet}");
        assert_eq!(highlighter.snippet("A 'lamp'").as_deref(), Some("A &#39;<em>lamp</em>&#39;"));
        assert_eq!(highlighter.snippet("nothing"), None);
    }

    /// What a browser would show.
    fn plain(html: &str) -> String {
        let text = html.replace("<em>", "").replace("</em>", "");
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_text(text in "([a-dé<&;>\"'日 -]{0,9}(lamp|LAMPS|8 gb|tn-2110)?){0,60}", query in "[a-d]{0,4}(lamp|8gb|tn2110)?") {
            let index = index(&[&text]);
            let highlighter = index.highlighter(&asked(&query, false)).expect("short");
            prop_assert_eq!(plain(&highlighter.mark(&text)), text.clone());
            if let Some(snippet) = highlighter.snippet(&text) {
                prop_assert!(snippet.contains("<em>"));
                let shown = plain(&snippet);
                let shown = shown.trim_matches('…');
                prop_assert!(text.contains(shown) && shown.len() <= SNIPPET_BYTES_MAX, "{} in {}", shown, text);
            }
            prop_assert_eq!(highlighter.snippet(&text).is_some(), !highlighter.ranges(&text).is_empty());
        }

        #[test]
        fn any_text_is_taken(text in ".{0,200}", query in ".{0,20}") {
            let index = index(&[&text]);
            let highlighter = index.highlighter(&asked(&query, true)).expect("short");
            prop_assert_eq!(plain(&highlighter.mark(&text)), text.clone());
            let _ = highlighter.snippet(&text);
        }
    }
}
