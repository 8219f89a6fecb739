//! Categories.

use super::{Shown, check::Checks, product::Crumb};
use crate::http::problem::Problem;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;
use wire::{CategoryId, CategoryInput, CategoryView, limits};

/// A category with what is below it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Category {
    /// `cat_…`
    #[schema(value_type = String)]
    id: Shown<CategoryId>,
    /// The merchant's key.
    key: String,
    /// Rises with each change.
    version: u64,
    /// Name.
    name: String,
    /// `cat_…`; null for a root.
    #[schema(value_type = Option<String>)]
    parent: Option<Shown<CategoryId>>,
    /// From the root to the parent.
    breadcrumb: Vec<Crumb>,
    /// Active products in it and below.
    products: u64,
    /// By name.
    #[schema(no_recursion)]
    children: Vec<Category>,
}

impl From<CategoryView> for Category {
    fn from(view: CategoryView) -> Self {
        Self {
            id: Shown(view.id),
            key: view.key,
            version: view.version,
            name: view.name,
            parent: view.parent.map(Shown),
            breadcrumb: view.breadcrumb.into_iter().map(Into::into).collect(),
            products: view.products,
            children: Vec::new(),
        }
    }
}

impl Category {
    /// The first of `views`, with the others as its children. `None` for none.
    #[must_use]
    pub fn with_children(views: Vec<CategoryView>) -> Option<Self> {
        let mut views = views.into_iter().map(Self::from);
        let mut first = views.next()?;
        first.children.extend(views);
        Some(first)
    }
}

/// The roots, with everything below them.
#[derive(Debug, Serialize, ToSchema)]
pub struct CategoryTree {
    items: Vec<Category>,
    /// Always null: this list has one page.
    #[schema(value_type = Option<String>)]
    next: (),
}

impl CategoryTree {
    /// Builds the tree of `views`, parents before children, siblings in order. O(n).
    #[must_use]
    pub fn new(views: Vec<CategoryView>) -> Self {
        let at: HashMap<CategoryId, usize> = views.iter().enumerate().map(|(i, view)| (view.id, i)).collect();
        let parents: Vec<Option<usize>> = views.iter().map(|view| view.parent.and_then(|parent| at.get(&parent).copied())).collect();
        let mut nodes: Vec<Option<Category>> = views.into_iter().map(|view| Some(view.into())).collect();
        let mut items = Vec::new();
        // From the end, so that a node has all its children before it moves into its parent; the order comes back at the end.
        for i in (0..nodes.len()).rev() {
            let Some(mut node) = nodes[i].take() else { continue };
            node.children.reverse();
            match parents[i].filter(|parent| *parent < i).and_then(|parent| nodes[parent].as_mut()) {
                Some(parent) => parent.children.push(node),
                None => items.push(node),
            }
        }
        items.reverse();
        Self { items, next: () }
    }
}

/// A category.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryBody {
    /// `category`, on an import line.
    pub r#type: Option<String>,
    /// The merchant's key; in a PUT the path may give it.
    pub key: Option<String>,
    /// Name.
    pub name: String,
    /// Key of the parent; none for a root.
    pub parent: Option<String>,
}

impl CategoryBody {
    /// The wire form. `key` is the path's, if it gives one.
    ///
    /// # Errors
    /// Every field out of bounds.
    pub(crate) fn check(self, key: Option<String>) -> Result<CategoryInput, Problem> {
        let mut checks = Checks::default();
        if self.r#type.is_some_and(|kind| kind != "category") {
            checks.wrong("/type", "unknown_value", "category");
        }
        let key = match (key, self.key) {
            (Some(path), Some(body)) if path != body => {
                checks.wrong("/key", "conflicting", "the key in the path, or none");
                path
            }
            (Some(key), _) | (None, Some(key)) => checks.key("/key", key),
            (None, None) => {
                checks.wrong("/key", "missing", "the merchant's key");
                String::new()
            }
        };
        let name = checks.text("/name", self.name, 1, limits::TITLE_BYTES_MAX);
        let parent = self.parent.filter(|parent| !parent.is_empty()).map(|parent| checks.key("/parent", parent));
        checks.end(CategoryInput { key, name, parent })
    }
}

/// What a write of a category did.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpsertedCategory {
    /// `created`, `updated` or `unchanged`.
    #[schema(value_type = String, example = "created")]
    pub status: &'static str,
    /// The category.
    #[serde(flatten)]
    pub category: Category,
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::RawId;

    #[test]
    fn the_tree_keeps_the_order() {
        let view = |n: u128, parent: Option<u128>| CategoryView {
            id: CategoryId(RawId(n)),
            version: 1,
            key: n.to_string(),
            name: n.to_string(),
            breadcrumb: Vec::new(),
            parent: parent.map(|parent| CategoryId(RawId(parent))),
            products: 0,
        };
        let tree =
            CategoryTree::new(vec![view(1, None), view(2, Some(1)), view(3, Some(1)), view(4, None), view(5, Some(2)), view(6, Some(9))]);
        fn shape(list: &[Category]) -> String {
            list.iter().map(|c| format!("{}({})", c.key, shape(&c.children))).collect()
        }
        assert_eq!(shape(&tree.items), "1(2(5())3())4()6()");
    }
}
