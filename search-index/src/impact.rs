//! What a term weighs in a document: a byte that depends on nothing but the document.
//!
//! Path: the words of each field, counted → `Lengths` (how long each field is) → `Scales` (what one occurrence in a field is worth there) → per term
//! the sum over its occurrences, saturated and cut to a byte, beside the row in the term's list.
//! This is BM25F (Robertson, Zaragoza and Taylor, CIKM 2004) with each field's length held against a fixed pivot instead of the mean of the moment:
//! so an impact never goes stale, equal documents weigh the same in the head, in any segment and after any merge, and a query adds up integers.

/// Where a word of a document stands. The order is that in which occurrences are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Field {
    Title,
    Brand,
    Model,
    Keywords,
    Description,
    /// All searched values of attributes together.
    Attributes,
}

pub(crate) const FIELDS: [Field; 6] = [Field::Title, Field::Brand, Field::Model, Field::Keywords, Field::Description, Field::Attributes];

/// How a field counts.
struct Norm {
    /// Of one occurrence in a field of pivot length.
    weight: f32,
    /// How much of the weight depends on the length: 0 none, 1 all of it.
    slope: f32,
    /// Words at which an occurrence has the field's weight; in a longer field it has less.
    pivot: f32,
}

/// Pivots are near the means of a catalogue of electronics and clothes; that they need not be exact is the point of them.
/// A long title is as much about its words as a short one, hence its low slope; a long description, or a long list of values, is about none of them.
const NORMS: [Norm; FIELDS.len()] = [
    Norm { weight: 3.0, slope: 0.3, pivot: 8.0 },
    Norm { weight: 2.0, slope: 0.25, pivot: 1.0 },
    Norm { weight: 2.0, slope: 0.6, pivot: 4.0 },
    Norm { weight: 2.0, slope: 0.5, pivot: 4.0 },
    Norm { weight: 1.0, slope: 0.9, pivot: 25.0 },
    Norm { weight: 0.5, slope: 0.9, pivot: 25.0 },
];

/// Weighted occurrences at which an impact is half of what no number of occurrences exceeds.
const SATURATION: f32 = 1.2;

/// Words by field, other spellings of them not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lengths([u32; FIELDS.len()]);

impl Lengths {
    /// Counts a word of the field.
    pub(crate) fn add(&mut self, field: Field) {
        self.0[field as usize] += 1;
    }

    pub(crate) fn scales(&self) -> Scales {
        let mut scales = [0.0; FIELDS.len()];
        for ((scale, norm), length) in scales.iter_mut().zip(&NORMS).zip(self.0) {
            *scale = norm.weight / (1.0 - norm.slope + norm.slope * (length.max(1) as f32 / norm.pivot));
        }
        Scales(scales)
    }
}

/// What one occurrence in each field is worth in a document.
pub(crate) struct Scales([f32; FIELDS.len()]);

impl Scales {
    /// The impact of a term with so many occurrences by field, 1 to 255. Fields come in their order, each at most once.
    pub(crate) fn impact(&self, occurrences: impl Iterator<Item = (Field, u32)>) -> u8 {
        let weighted: f32 = occurrences.map(|(field, times)| times as f32 * self.0[field as usize]).sum();
        (255.0 * (weighted / (weighted + SATURATION))).round().max(1.0) as u8 // a cast of what is above 255 stays there
    }
}

/// Turns occurrences in any order into terms in ascending order, each with its impact; `found` is sorted on the way.
pub(crate) fn impacts(found: &mut [(u32, Field)], scales: &Scales, mut each: impl FnMut(u32, u8)) {
    found.sort_unstable();
    for of_term in found.chunk_by(|a, b| a.0 == b.0) {
        let by_field = of_term.chunk_by(|a, b| a.1 == b.1).map(|same| (same[0].1, same.len() as u32));
        each(of_term[0].0, scales.impact(by_field));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn impact(lengths: [u32; 6], occurrences: &[(Field, u32)]) -> u8 {
        Lengths(lengths).scales().impact(occurrences.iter().copied())
    }

    #[test] // Of two occurrences the first weighs more.
    fn what_weighs_more() {
        use Field::{Attributes, Description, Title};
        let title = |length| [length, 0, 0, 0, 25, 0];
        for (more, less, why) in [
            (impact(title(8), &[(Title, 1)]), impact(title(8), &[(Description, 1)]), "a title over a description"),
            (impact(title(4), &[(Title, 1)]), impact(title(12), &[(Title, 1)]), "a short title over a long one"),
            (impact(title(8), &[(Title, 1), (Description, 1)]), impact(title(8), &[(Title, 1)]), "two fields over one"),
            (impact(title(8), &[(Description, 3)]), impact(title(8), &[(Description, 2)]), "three times over twice"),
            (impact(title(8), &[(Description, 1)]), impact([8, 0, 0, 0, 25, 40], &[(Attributes, 1)]), "prose over an attribute"),
        ] {
            assert!(more > less, "{why}: {more} {less}");
        }
    }

    #[test]
    fn an_impact_is_never_nothing_and_never_too_much() {
        assert_eq!(impact([1, 1, 1, 1, 1, u32::MAX], &[(Field::Attributes, 1)]), 1);
        assert_eq!(impact([1; 6], &[(Field::Title, u32::MAX)]), 255);
    }

    #[test]
    fn occurrences_are_gathered_by_term_in_any_order() {
        let scales = Lengths([2, 0, 0, 0, 3, 0]).scales();
        let mut found = vec![(7, Field::Description), (3, Field::Title), (7, Field::Title), (7, Field::Description)];
        let mut terms = Vec::new();
        impacts(&mut found, &scales, |term, impact| terms.push((term, impact)));
        let (three, seven) = ([(Field::Title, 1)], [(Field::Title, 1), (Field::Description, 2)]);
        assert_eq!(terms, [(3, scales.impact(three.into_iter())), (7, scales.impact(seven.into_iter()))]);
    }
}
