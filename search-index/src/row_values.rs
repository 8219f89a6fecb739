//! Each row's own list of attribute values, by which filters look at a row and a removal finds what to take out.
//!
//! Path: a row's entries, attribute id and value id → [`RowValues::put`] → [`RowValues::of`] → [`RowValues::clear`] when the row goes.
//! Lists of [`CHUNK_ROWS`] rows stand in one piece of memory: 8 bytes an entry and 6 a row, where an allocation a row would take three times that. What
//! removed lists leave is taken back a chunk at a time, once it is as much as what is in use.

/// Rows of a chunk: bounds what a clearing may move.
const CHUNK_ROWS: usize = 1024;
/// Entries that are left where they are, however few others there are.
const HOLES_MIN: usize = 256;

/// Attribute id and value id.
pub(crate) type RowEntry = (u32, u32);

struct Chunk {
    /// By row: where its list begins, and how long it is.
    lists: Vec<(u32, u16)>,
    entries: Vec<RowEntry>,
    /// Entries of lists that are gone.
    holes: usize,
}

/// See the module.
#[derive(Default)]
pub(crate) struct RowValues {
    chunks: Vec<Chunk>,
}

impl RowValues {
    /// The row's list; empty for a row that has none.
    pub(crate) fn of(&self, row: u32) -> &[RowEntry] {
        let Some(chunk) = self.chunks.get(row as usize / CHUNK_ROWS) else { return &[] };
        let (from, len) = chunk.lists[row as usize % CHUNK_ROWS];
        &chunk.entries[from as usize..from as usize + usize::from(len)]
    }

    /// Gives a row without a list one.
    ///
    /// # Panics
    /// At more entries than a document may have: our own bug.
    pub(crate) fn put(&mut self, row: u32, list: &[RowEntry]) {
        let at = row as usize / CHUNK_ROWS;
        while self.chunks.len() <= at {
            // The chunk before is full as a rule: rows that are new come in order.
            if let Some(last) = self.chunks.last_mut() {
                last.entries.shrink_to_fit();
            }
            self.chunks.push(Chunk { lists: vec![(0, 0); CHUNK_ROWS], entries: Vec::new(), holes: 0 });
        }
        let chunk = &mut self.chunks[at];
        let place = &mut chunk.lists[row as usize % CHUNK_ROWS];
        debug_assert!(place.1 == 0, "row {row} has a list");
        let len = u16::try_from(list.len()).expect("a document has far fewer attributes");
        *place = (chunk.entries.len() as u32, len);
        chunk.entries.extend_from_slice(list);
    }

    /// Takes a row's list away.
    pub(crate) fn clear(&mut self, row: u32) {
        let Some(chunk) = self.chunks.get_mut(row as usize / CHUNK_ROWS) else { return };
        let (_, len) = std::mem::take(&mut chunk.lists[row as usize % CHUNK_ROWS]);
        chunk.holes += usize::from(len);
        if chunk.holes > HOLES_MIN && 2 * chunk.holes > chunk.entries.len() {
            let mut entries = Vec::with_capacity(chunk.entries.len() - chunk.holes);
            for (from, len) in &mut chunk.lists {
                let list = *from as usize..*from as usize + usize::from(*len);
                *from = entries.len() as u32;
                entries.extend_from_slice(&chunk.entries[list]);
            }
            (chunk.entries, chunk.holes) = (entries, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn lists_stay_what_they_are_while_others_come_and_go() {
        let (mut values, mut model) = (RowValues::default(), BTreeMap::new());
        let mut seed = 1_u64;
        let mut draw = |end: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % end
        };
        for n in 0..30_000_u32 {
            let row = draw(3_000) as u32;
            if model.remove(&row).is_some() {
                values.clear(row);
            } else {
                let list: Vec<RowEntry> = (0..draw(9)).map(|_| (n, draw(100) as u32)).collect();
                values.put(row, &list);
                model.insert(row, list);
            }
        }
        for row in 0..4_000 {
            assert_eq!(values.of(row), model.get(&row).map_or(&[][..], |list| &list[..]));
        }
        let (kept, held) =
            (model.values().map(Vec::len).sum::<usize>(), values.chunks.iter().map(|chunk| chunk.entries.len()).sum::<usize>());
        assert!(held <= 2 * kept + values.chunks.len() * (HOLES_MIN + 1), "{held} entries for {kept}");
    }
}
