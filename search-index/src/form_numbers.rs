//! Numbers of a segment's forms: those met most have the smallest, which are the fewest bytes in what rows say.
//!
//! Path: how often each form is met, or its stem → [`Met`] → [`FormNumbers`] → a form's number, as they come in byte order. O(1) a form, whatever their number: no step of a
//! merge is longer for it.

/// How many are met how often, by buckets an eighth of a power of two wide.
pub(crate) struct Met([u32; Self::BUCKETS]);

impl Default for Met {
    fn default() -> Self {
        Self([0; Self::BUCKETS])
    }
}

impl Met {
    const BUCKETS: usize = 30 * 8;

    pub(crate) fn add(&mut self, met: u32) {
        self.0[Self::bucket(met)] += 1;
    }

    /// Below 8 each figure has its own; from there on the highest bit counts and the three behind it.
    fn bucket(met: u32) -> usize {
        let shift = met.max(8).ilog2() - 3;
        ((shift << 3) + (met >> shift)) as usize
    }

    /// The first bucket from above which, with those above, has at least so many, and how many of it make them up; the lowest where there are fewer.
    fn least_of(&self, most: u32) -> (usize, u32) {
        let mut left = most;
        for bucket in (1..Self::BUCKETS).rev() {
            if self.0[bucket] >= left {
                return (bucket, left);
            }
            left -= self.0[bucket];
        }
        (0, left)
    }
}

/// Which numbers forms get: classes of as many as a token has in one byte and in two, of those met most, and all others behind. Where the figures were of something else
/// than the forms that come, a class may be full before its last, or end with numbers that no form has.
pub(crate) struct FormNumbers {
    /// All but the last.
    classes: [FormClass; 2],
    /// The next of the last.
    next: u32,
}

struct FormClass {
    /// The lowest bucket of [`Met`] whose forms are in it.
    least: usize,
    /// How many of that one still are.
    of_least: u32,
    /// Its next number, and the end of its numbers.
    next: u32,
    end: u32,
}

/// Numbers below these are a byte of a token and two bytes: a varint has 7 bits a byte, of which two are marks.
const FORM_CLASSES: [u32; 2] = [1 << 5, 1 << 12];

impl FormNumbers {
    pub(crate) fn of(met: &Met) -> Self {
        let class = |next, end| {
            let (least, of_least) = met.least_of(end);
            FormClass { least, of_least, next, end }
        };
        let [first, second] = FORM_CLASSES;
        Self { classes: [class(0, first), class(first, second)], next: second }
    }

    /// The number of the next form, which is met so often.
    pub(crate) fn next(&mut self, met: u32) -> u32 {
        let bucket = Met::bucket(met);
        let mut next = &mut self.next;
        // The smaller class is a part of the larger, so who is in it is counted in both.
        for class in self.classes.iter_mut().rev() {
            if bucket < class.least || (bucket == class.least && class.of_least == 0) {
                break;
            }
            class.of_least -= u32::from(bucket == class.least);
            if class.next < class.end {
                next = &mut class.next;
            }
        }
        *next += 1;
        *next - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(met: &[u32]) -> FormNumbers {
        let mut all = Met::default();
        met.iter().for_each(|met| all.add(*met));
        FormNumbers::of(&all)
    }

    #[test] // Of so many forms as many as can have the shortest numbers, and none is met much less than one that has not.
    fn those_met_most_have_the_smallest_numbers() {
        let met: Vec<u32> = (0..10_000_u32).map(|nth| nth.wrapping_mul(2_654_435_761) % 10_000).collect();
        for count in [0, 1, 31, 32, 33, 4_096, 4_097, 10_000] {
            let met = &met[..count];
            let mut numbers = all(met);
            let given: Vec<u32> = met.iter().map(|met| numbers.next(*met)).collect();
            let mut distinct = given.clone();
            distinct.sort_unstable();
            assert_eq!(distinct, (0..count as u32).collect::<Vec<_>>(), "each once, and none left out");
            for end in FORM_CLASSES {
                let of = |inside: bool| given.iter().zip(met).filter(move |(number, _)| (**number < end) == inside).map(|(_, met)| *met);
                let (least, most) = (of(true).min().unwrap_or(u32::MAX), of(false).max().unwrap_or(0));
                assert!(Met::bucket(least) >= Met::bucket(most), "{least} {most} of {count}");
            }
        }
    }

    #[test]
    fn buckets_are_in_order_and_narrow() {
        let mut before = (0, 0);
        for met in (0..100_000).chain([u32::MAX / 2, u32::MAX - 1, u32::MAX]) {
            let bucket = Met::bucket(met);
            assert!(bucket < Met::BUCKETS && bucket >= before.0);
            if bucket > before.0 {
                before = (bucket, met);
            }
            assert!(met - before.1 <= before.1 / 8, "{met} is with {}", before.1);
        }
    }

    #[test] // Figures that are of something like the forms, and equal ones: no number comes twice.
    fn figures_may_be_off() {
        for (told, met) in [(vec![5; 9_000], 5), (vec![5; 9_000], 4), (vec![5; 9_000], 6), (Vec::new(), 0), (vec![1; 10], 9)] {
            let mut numbers = all(&told);
            let mut given: Vec<u32> = (0..9_000).map(|_| numbers.next(met)).collect();
            given.sort_unstable();
            given.dedup();
            assert_eq!(given.len(), 9_000);
        }
    }
}
