//! The category tree: entity and table in one, because its rules are about places in the tree.
//!
//! Path: `ensure` and `put` (in `partition/categories.rs`) change it through [`CategoryTree::insert`] and [`CategoryTree::rename`];
//! readers on other shards hold a snapshot. Cloning costs O(categories) of reference counts, no text.
//! Bounds: `CATEGORIES_MAX` categories, `CATEGORY_DEPTH_MAX` deep. A category never moves, so the tree has no cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use wire::{CategoryCrumb, CategoryId, CategoryRef};

/// A category.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Category {
    /// `cat_…`
    pub id: CategoryId,
    /// Rises with each change; the first is 1.
    pub version: u64,
    /// The merchant's key.
    pub key: Arc<str>,
    /// Name shown to shoppers.
    pub name: Arc<str>,
    /// `None` for a root.
    pub parent: Option<CategoryId>,
    /// Categories from the root to this one, itself included.
    pub depth: usize,
}

impl Category {
    /// As a step on the way to a product.
    #[must_use]
    pub fn crumb(&self) -> CategoryCrumb {
        CategoryCrumb { id: self.id, key: self.key.to_string(), name: self.name.to_string() }
    }
}

/// All categories.
#[derive(Clone, Debug, Default)]
pub struct CategoryTree {
    by_id: BTreeMap<CategoryId, Arc<Category>>,
    by_key: BTreeMap<Arc<str>, CategoryId>,
    /// Siblings stand together, by name.
    children: BTreeSet<(Option<CategoryId>, Arc<str>, CategoryId)>,
}

impl CategoryTree {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// A category by id.
    #[must_use]
    pub fn get(&self, id: CategoryId) -> Option<&Category> {
        self.by_id.get(&id).map(Arc::as_ref)
    }

    /// A category by the merchant's key.
    #[must_use]
    pub fn by_key(&self, key: &str) -> Option<&Category> {
        self.get(*self.by_key.get(key)?)
    }

    /// A category by either.
    #[must_use]
    pub fn find(&self, reference: &CategoryRef) -> Option<&Category> {
        match reference {
            CategoryRef::Id(id) => self.get(*id),
            CategoryRef::Key(key) => self.by_key(key),
        }
    }

    /// From the root to `id`, itself included; empty if there is no such category.
    #[must_use]
    pub fn path(&self, id: CategoryId) -> Vec<&Category> {
        let mut path: Vec<_> = std::iter::successors(self.get(id), |node| self.get(node.parent?)).collect();
        path.reverse();
        path
    }

    /// [`CategoryTree::path`] as shoppers see it.
    #[must_use]
    pub fn crumbs(&self, id: CategoryId) -> Vec<CategoryCrumb> {
        self.path(id).into_iter().map(Category::crumb).collect()
    }

    /// The children of `parent` by name, or the roots.
    pub fn children(&self, parent: Option<CategoryId>) -> impl Iterator<Item = &Category> {
        let first = (parent, Arc::from(""), CategoryId(wire::RawId(0)));
        self.children.range(first..).take_while(move |(of, ..)| *of == parent).filter_map(|(.., id)| self.get(*id))
    }

    /// All of them, parents before children, siblings by name: the order in which a tree is printed.
    pub fn iter(&self) -> impl Iterator<Item = &Category> {
        // As deep as the tree, at most CATEGORY_DEPTH_MAX.
        let mut open = vec![self.children(None)];
        std::iter::from_fn(move || {
            loop {
                match open.last_mut()?.next() {
                    Some(category) => {
                        open.push(self.children(Some(category.id)));
                        return Some(category);
                    }
                    None => {
                        open.pop();
                    }
                }
            }
        })
    }

    /// Those made after `id`, or all of them, in the order of their ids.
    pub fn after(&self, id: Option<CategoryId>) -> impl Iterator<Item = &Category> {
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_id.range((from, Bound::Unbounded)).map(|(_, category)| category.as_ref())
    }

    /// `id` and everything below it.
    #[must_use]
    pub fn subtree(&self, id: CategoryId) -> Vec<CategoryId> {
        let mut found: Vec<_> = self.get(id).map(|category| category.id).into_iter().collect();
        let mut at = 0;
        while let Some(parent) = found.get(at).copied() {
            found.extend(self.children(Some(parent)).map(|category| category.id));
            at += 1;
        }
        found
    }

    /// Adds a category whose key is new and whose parent, if any, is there: the caller has looked.
    pub(crate) fn insert(&mut self, category: Category) {
        let (id, key) = (category.id, Arc::clone(&category.key));
        self.children.insert((category.parent, Arc::clone(&category.name), id));
        self.by_key.insert(key, id);
        self.by_id.insert(id, Arc::new(category));
    }

    /// Gives a category another name and the next version.
    pub(crate) fn rename(&mut self, id: CategoryId, name: &str) {
        let Some(old) = self.by_id.get(&id) else { return };
        let new = Category { version: old.version + 1, name: Arc::from(name), ..Category::clone(old) };
        self.children.remove(&(old.parent, Arc::clone(&old.name), id));
        self.children.insert((new.parent, Arc::clone(&new.name), id));
        self.by_id.insert(id, Arc::new(new));
    }

    /// Every category is found by its key and below its parent, one step deeper.
    pub(crate) fn check(&self) -> Result<(), String> {
        for category in self.by_id.values() {
            let above = match category.parent {
                None => Some(0),
                Some(parent) => self.get(parent).map(|parent| parent.depth),
            };
            let listed = self.children.contains(&(category.parent, Arc::clone(&category.name), category.id));
            if above.map(|depth| depth + 1) != Some(category.depth) || !listed || self.by_key.get(&category.key) != Some(&category.id) {
                return Err(format!("category {} is not where it belongs in the tree", category.id));
            }
        }
        let count = self.len();
        if self.by_key.len() == count && self.children.len() == count {
            Ok(())
        } else {
            Err("the category tree's tables differ".to_owned())
        }
    }
}
