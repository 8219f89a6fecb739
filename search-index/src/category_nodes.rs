//! The categories that a menu shows: a tree, opened where the shopper is.
//!
//! Path: documents by path, counted → [`nodes`], every category of every path (of a part: all that may be shown) → [`shown`] sums parts and picks: the top levels;
//! with a category selected, its path, what stands beside each on it, and what is below → each before those in it.
//! A category is its path: a key that documents place under two parents comes twice, each time with the documents that have it there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::budget::{Meter, cost};
use crate::names::Categories;
use crate::query::{FACET_LIMIT_MAX, Filter};

/// Keys from the root down to a category.
type Path = [Arc<str>];

/// A category in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryNode {
    /// Keys from the root down to it, its own last. Never empty; of more than one, the last but one is its parent.
    pub path: Vec<Arc<str>>,
    /// Documents in it and below, exact; 0 only for a selected category and those above it.
    pub count: u64,
    /// Whether a filter of the query names it.
    pub selected: bool,
}

impl CategoryNode {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        self.path.last().expect("a path has a key")
    }
}

/// Keys that the query's filters name.
fn selected<'a>(filters: impl IntoIterator<Item = &'a Filter>) -> BTreeSet<&'a str> {
    let named = filters.into_iter().filter_map(|filter| match filter {
        Filter::Category(keys) => Some(keys),
        _ => None,
    });
    named.flatten().map(String::as_str).collect()
}

/// What one index knows: the categories of `counts`, documents by path, and those on the way to selected ones, counted or not. O(paths · depth · log).
pub(crate) fn nodes<'a>(
    categories: &Categories,
    counts: &[u32],
    filters: impl IntoIterator<Item = &'a Filter>,
    levels: u16,
    meter: &Meter,
) -> Vec<CategoryNode> {
    meter.charge(counts.len() as u64);
    let keys = selected(filters);
    let wanted: Vec<u32> = keys.iter().filter_map(|key| categories.keys.find(key)).collect();
    // Where nothing is selected, nothing below these levels is shown. Else another index may know that something is.
    let deepest = if keys.is_empty() { usize::from(levels) } else { usize::MAX };
    let mut found: BTreeMap<&[u32], u32> = BTreeMap::new();
    for (place, count) in (0_u32..).zip(counts.iter().copied()) {
        let path = categories.path(place);
        let counted = if count > 0 { path.len().min(deepest) } else { 0 };
        let to_selected = path.iter().rposition(|key| wanted.contains(key)).map_or(0, |at| at + 1);
        for len in 1..=counted.max(to_selected) {
            *found.entry(&path[..len]).or_default() += count;
        }
    }
    let node = |(path, count): (&[u32], u32)| CategoryNode {
        path: path.iter().map(|key| categories.keys.text(*key).clone()).collect(),
        count: u64::from(count),
        selected: path.last().is_some_and(|key| wanted.contains(key)),
    };
    // Those above come before those in them.
    found.into_iter().take_while(|_| meter.may_spend(2 * cost::VALUE)).map(node).collect()
}

/// The sum of all parts' nodes, as far as they are shown: where nothing is selected, so many `levels`. Else the selected ones and those above them, whatever their
/// number, what stands beside each of these, and `levels` below the selected ones. Of those in one category, and of those at the top, the `limit` with the
/// most documents; [`FACET_LIMIT_MAX`] in all, the upper levels first. A selected key that no document has stands where `paths` says, or at the top.
pub(crate) fn shown(
    parts: impl Iterator<Item = CategoryNode>,
    filters: &[Filter],
    paths: &[Vec<String>],
    levels: u16,
    limit: u16,
) -> Vec<CategoryNode> {
    let mut nodes: BTreeMap<Vec<Arc<str>>, (u64, bool)> = BTreeMap::new();
    for CategoryNode { path, count, selected } in parts {
        let sum = nodes.entry(path).or_default();
        *sum = (sum.0 + count, sum.1 | selected);
    }
    let keys = selected(filters);
    for path in paths.iter().filter(|path| path.last().is_some_and(|key| keys.contains(key.as_str()))) {
        let path: Vec<Arc<str>> = path.iter().map(|key| key.as_str().into()).collect();
        (1..=path.len()).for_each(|len| {
            nodes.entry(path[..len].to_vec()).or_default().1 |= keys.contains(&*path[len - 1]);
        });
    }
    let known: BTreeSet<&str> = nodes.iter().filter(|(_, node)| node.1).filter_map(|(path, _)| path.last()).map(|key| &**key).collect();
    let unknown: Vec<Vec<Arc<str>>> = keys.iter().filter(|key| !known.contains(**key)).map(|key| vec![Arc::from(*key)]).collect();
    nodes.extend(unknown.into_iter().map(|path| (path, (0, true))));

    let is_selected = |path: &Path| nodes.get(path).is_some_and(|node| node.1);
    let chosen = nodes.iter().filter(|(_, node)| node.1).map(|(path, _)| path);
    let on_the_way: BTreeSet<&Path> = chosen.flat_map(|path| (1..=path.len()).map(|len| &path[..len])).collect();
    let depth = usize::from(levels);
    let is_open = |path: &Path| match path.len() {
        len if keys.is_empty() => len <= depth,
        1 => true,
        len => on_the_way.contains(&path[..len - 1]) || (len.saturating_sub(depth)..len).any(|above| is_selected(&path[..above])),
    };
    // Level by level, so that nothing is kept without those above it, and no leaf pushes out a branch.
    let mut kept: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    let mut room = usize::from(FACET_LIMIT_MAX);
    let count = |path: &Path| nodes.get(path).map_or(0, |node| node.0);
    let most_first = |path: &&Path| (Reverse(count(path)), path.to_vec());
    let mut parents: Vec<&Path> = vec![&[]];
    let mut by_parent: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for path in nodes.keys().filter(|path| is_open(path)) {
        by_parent.entry(&path[..path.len() - 1]).or_default().push(path);
    }
    while !parents.is_empty() {
        let mut level: Vec<&Path> = Vec::new();
        for parent in parents {
            let mut children = by_parent.remove(parent).unwrap_or_default();
            children.sort_by_cached_key(most_first);
            let mut place = 0;
            children.retain(|path| {
                place += 1;
                place <= usize::from(limit) || on_the_way.contains(path)
            });
            level.extend(children);
        }
        level.sort_by_cached_key(most_first);
        level.retain(|path| {
            let fits = on_the_way.contains(path) || room > 0;
            room = room.saturating_sub(1);
            fits
        });
        level.iter().for_each(|path| kept.entry(&path[..path.len() - 1]).or_default().push(path));
        parents = level;
    }
    let mut tree = Vec::new();
    let mut to_show: Vec<&Path> = Vec::new();
    let mut next: Option<&Path> = Some(&[]);
    while let Some(path) = next {
        if !path.is_empty() {
            tree.push(CategoryNode { path: path.to_vec(), count: count(path), selected: is_selected(path) });
        }
        to_show.extend(kept.get(path).into_iter().flatten().rev());
        next = to_show.pop();
    }
    tree
}
