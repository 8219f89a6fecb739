//! What both the head and the segments offer: for a term, the rows that have it and how much of it.

/// Rows of one term, ascending, and beside each the weighted count of the term in the row.
///
/// Rows of documents that were removed may still be listed by a segment; whoever reads checks them against the live rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Postings<'a> {
    pub(crate) rows: &'a [u32],
    /// In half words, as the field weights count ([`Weight`]), at most 255.
    pub(crate) units: &'a [u8],
}

/// Field weights in half words: a word of this field counts this many units, towards the term and towards the row's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weight(pub(crate) u16);

/// Marks the dictionary entry of an unstemmed title word, which suggestions complete. No term begins with it.
pub(crate) const TITLE_MARK: u8 = 1;

/// `(row, units)` where the row's position is wanted by binary search that starts at `from` and doubles its step.
///
/// Galloping: the cost is the logarithm of the distance moved, so a short list crosses a long one cheaply.
pub(crate) fn gallop(rows: &[u32], from: usize, row: u32) -> usize {
    let mut step = 1;
    let mut low = from;
    while low + step < rows.len() && rows[low + step] < row {
        low += step;
        step *= 2;
    }
    let high = (low + step + 1).min(rows.len());
    low + rows[low..high].partition_point(|other| *other < row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gallop_finds_the_first_not_below() {
        let rows: Vec<u32> = (0..100).map(|n| n * 3).collect();
        for from in 0..rows.len() {
            for row in rows[from]..310 {
                assert_eq!(gallop(&rows, from, row), rows.partition_point(|r| *r < row), "{from} {row}");
            }
        }
        assert_eq!(gallop(&[], 0, 5), 0);
        assert_eq!(gallop(&[1], 1, 5), 1);
    }
}
