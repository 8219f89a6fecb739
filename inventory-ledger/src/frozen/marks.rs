//! A number, or a yes, for some of many positions, found without a search: pages that are made when they are first written to.
//!
//! Bounds: 8 bytes for each [`PAGE`] positions from the start, 4 bytes (or a bit) a position of the pages written to. Nothing is moved
//! when it grows, so no write takes longer than the making of one page.

/// Positions of a page, 16 KiB.
const PAGE: usize = 1 << 12;

/// A `u32` for some positions.
#[derive(Debug)]
pub(crate) struct Marks {
    /// Of each position the number, plus one; zero where there is none.
    pages: Vec<Option<Box<[u32]>>>,
    made: usize,
}

impl Marks {
    /// None yet, of so many positions.
    pub(crate) fn new(positions: u32) -> Self {
        Self { pages: vec![None; (positions as usize).div_ceil(PAGE)], made: 0 }
    }

    pub(crate) fn get(&self, at: u32) -> Option<u32> {
        self.pages[at as usize / PAGE].as_ref()?[at as usize % PAGE].checked_sub(1)
    }

    /// Numbers are below `u32::MAX`.
    pub(crate) fn set(&mut self, at: u32, number: u32) {
        let page = &mut self.pages[at as usize / PAGE];
        let page = page.get_or_insert_with(|| {
            self.made += 1;
            vec![0; PAGE].into_boxed_slice()
        });
        page[at as usize % PAGE] = number + 1;
    }

    /// Takes the number of a position away.
    pub(crate) fn take(&mut self, at: u32) -> Option<u32> {
        let slot = &mut self.pages[at as usize / PAGE].as_mut()?[at as usize % PAGE];
        std::mem::take(slot).checked_sub(1)
    }

    /// Gives the memory of one page back; `false`: there was none left. Of no use afterwards.
    pub(crate) fn shrink(&mut self) -> bool {
        while let Some(page) = self.pages.pop() {
            if page.is_some() {
                self.made -= 1;
                return true;
            }
        }
        false
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pages.capacity() * size_of::<Option<Box<[u32]>>>() + self.made * PAGE * size_of::<u32>()
    }
}

/// A yes for some positions.
#[derive(Debug)]
pub(crate) struct Bits {
    pages: Vec<Option<Box<[u64; PAGE / 64]>>>,
}

impl Bits {
    /// None yet, of so many positions.
    pub(crate) fn new(positions: u32) -> Self {
        Self { pages: vec![None; (positions as usize).div_ceil(PAGE)] }
    }

    pub(crate) fn has(&self, at: u32) -> bool {
        let page = self.pages[at as usize / PAGE].as_ref();
        page.is_some_and(|page| page[at as usize % PAGE / 64] >> (at % 64) & 1 == 1)
    }

    pub(crate) fn set(&mut self, at: u32) {
        let page = self.pages[at as usize / PAGE].get_or_insert_with(|| Box::new([0; PAGE / 64]));
        page[at as usize % PAGE / 64] |= 1 << (at % 64);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pages.capacity() * size_of::<Option<Box<[u64; PAGE / 64]>>>() + self.pages.iter().flatten().count() * PAGE / 8
    }
}

#[cfg(test)]
mod tests {
    use super::{Bits, Marks, PAGE};

    #[test]
    fn a_yes_is_kept_by_position() {
        let mut bits = Bits::new(2 * PAGE as u32 + 1);
        let empty = bits.bytes();
        for at in [0, 63, 64, PAGE as u32 - 1, 2 * PAGE as u32] {
            assert!(!bits.has(at));
            bits.set(at);
            assert!(bits.has(at));
        }
        assert!(![1, 62, 65, PAGE as u32, 2 * PAGE as u32 - 1].into_iter().any(|at| bits.has(at)));
        assert_eq!(bits.bytes() - empty, 2 * PAGE / 8, "the page between was not made");
    }

    #[test]
    fn numbers_are_kept_by_position() {
        let mut marks = Marks::new(3 * PAGE as u32 + 1);
        let empty = marks.bytes();
        let ends = [0, PAGE as u32 - 1, 3 * PAGE as u32];
        for (number, at) in (0..).zip(ends) {
            assert_eq!(marks.get(at), None);
            marks.set(at, number);
        }
        assert_eq!(ends.map(|at| marks.get(at)), [Some(0), Some(1), Some(2)]);
        assert_eq!((marks.get(1), marks.get(PAGE as u32)), (None, None));
        assert_eq!(marks.bytes() - empty, 2 * PAGE * 4, "the pages between were not made");
        assert_eq!((marks.take(0), marks.take(0), marks.take(1), marks.get(ends[2])), (Some(0), None, None, Some(2)));
        assert!(marks.shrink() && marks.shrink() && !marks.shrink());
        assert_eq!(marks.bytes(), empty);
    }
}
