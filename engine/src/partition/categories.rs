//! The commands of the category tree, which lives whole on one partition.
//!
//! Path: `EnsureCategory` makes what is missing of a path, `PutCategory` names one → [`CategoryTree`] → the shard publishes a snapshot.

use super::snapshot::fields::Field;
use super::snapshot::{BadItem, Items, Kind};
use super::{ApplyContext, Digest, Done, Outcome};
use crate::domain::{
    category::{Category, CategoryTree},
    check_text,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use wire::{CategoryId, EventField, EventKind, FieldError, Refusal, Upserted, limits};

/// Makes what is missing of the path that `key` is: of `a/b/c` the categories `a`, `a/b` and `a/b/c`, each named by its last part.
pub(super) fn ensure(shared: &mut Arc<CategoryTree>, ctx: &mut ApplyContext<'_>, key: &str) -> Outcome {
    check_text("/category", key, 1, limits::KEY_BYTES_MAX).map_err(invalid)?;
    if let Some(known) = shared.by_key(key) {
        return Ok(Done::Category { id: known.id, what: Upserted::Unchanged });
    }
    if key.split('/').any(|part| part.trim().is_empty()) {
        let detail = "a path of names with / between them".to_owned();
        return Err(invalid(FieldError { pointer: "/category".to_owned(), code: "category_path".to_owned(), detail }));
    }
    // Ends of the missing keys, longest first, down to an ancestor that is there.
    let ends = std::iter::successors(Some(key.len()), |end| key[..*end].rfind('/'));
    let missing: Vec<usize> = ends.take_while(|end| shared.by_key(&key[..*end]).is_none()).collect();
    let shortest = missing.last().copied().unwrap_or(key.len());
    let mut parent = key[..shortest].rfind('/').and_then(|end| shared.by_key(&key[..end])).map(|known| (known.id, known.depth));
    check_room(shared, parent.map_or(0, |(_, depth)| depth), missing.len())?;

    let tree = Arc::make_mut(shared);
    for end in missing.into_iter().rev() {
        let key = &key[..end];
        let name = key.rsplit('/').next().unwrap_or(key);
        parent = Some(insert(tree, ctx, key, name, parent));
    }
    match parent {
        Some((id, _)) => Ok(Done::Category { id, what: Upserted::Created }),
        None => Ok(Done::Nothing),
    }
}

/// Makes or renames a category. Its parent must be there; a category that exists keeps its parent.
pub(super) fn put(shared: &mut Arc<CategoryTree>, ctx: &mut ApplyContext<'_>, key: &str, name: &str, parent: Option<&str>) -> Outcome {
    check_text("/key", key, 1, limits::KEY_BYTES_MAX).map_err(invalid)?;
    check_text("/name", name, 1, limits::TITLE_BYTES_MAX).map_err(invalid)?;
    let parent = match parent {
        None => None,
        Some(parent) => {
            let known = shared.by_key(parent).ok_or_else(|| {
                let detail = format!("the key of a category that exists; there is no {parent}");
                invalid(FieldError { pointer: "/parent".to_owned(), code: "unknown_category".to_owned(), detail })
            })?;
            Some((known.id, known.depth))
        }
    };
    let known = shared.by_key(key).map(|known| (known.id, known.version, known.parent, &*known.name == name));
    let (id, what) = match known {
        Some((id, version, old_parent, same_name)) => {
            ctx.check_version(version)?;
            if old_parent != parent.map(|(id, _)| id) {
                let detail = "the parent it has: a category cannot be moved".to_owned();
                return Err(invalid(FieldError { pointer: "/parent".to_owned(), code: "category_move".to_owned(), detail }));
            }
            if same_name {
                return Ok(Done::Category { id, what: Upserted::Unchanged });
            }
            Arc::make_mut(shared).rename(id, name);
            ctx.changes.categories = true;
            tell(ctx, EventKind::CategoryRenamed, id, key, name);
            (id, Upserted::Updated)
        }
        None => {
            // A version is asked of something that is not there.
            ctx.check_version(0)?;
            check_room(shared, parent.map_or(0, |(_, depth)| depth), 1)?;
            (insert(Arc::make_mut(shared), ctx, key, name, parent).0, Upserted::Created)
        }
    };
    Ok(Done::Category { id, what })
}

pub(super) fn digest(tree: &CategoryTree, digest: &mut Digest) {
    digest.section("categories");
    digest.write_usize(tree.len());
    for category in tree.iter() {
        category.hash(digest);
    }
}

/// The tree as it was at a freeze, and how far it is written. Holding it costs nothing until the tree changes, which then copies its tables, as
/// it does for the readers of other shards.
#[derive(Debug)]
pub(super) struct Walked {
    tree: Arc<CategoryTree>,
    done: Option<CategoryId>,
}

impl Walked {
    pub(super) fn of(tree: &Arc<CategoryTree>) -> Self {
        Self { tree: Arc::clone(tree), done: None }
    }

    /// Writes categories into a snapshot, in the order they were made: a parent was before its children.
    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        for Category { id, version, key, name, parent, depth: _ } in self.tree.after(self.done) {
            self.done = Some(*id);
            let goes_on = items.put_walked(Kind::Category, Some(()), |body, ()| {
                (*id, *version).put(body);
                key.put(body);
                name.put(body);
                parent.put(body);
            });
            if !goes_on {
                return true;
            }
        }
        false
    }
}

/// Takes a category of a snapshot.
pub(super) fn put_back(shared: &mut Arc<CategoryTree>, body: &mut &[u8]) -> Result<(), BadItem> {
    let mut fields = || Some((CategoryId::take(body)?, u64::take(body)?, Field::take(body)?, Field::take(body)?, Field::take(body)?));
    let (id, version, key, name, parent): (_, _, Arc<str>, Arc<str>, Option<CategoryId>) = fields().ok_or(BadItem::Damaged)?;
    let above = match parent {
        None => 0,
        Some(parent) => shared.get(parent).ok_or(BadItem::Unfit)?.depth,
    };
    if shared.get(id).is_some() || shared.by_key(&key).is_some() || above >= limits::CATEGORY_DEPTH_MAX {
        return Err(BadItem::Unfit);
    }
    // They are written in the order of ids. A child in front of its parent there would not restore from the next snapshot.
    if shared.after(Some(id)).next().is_some() {
        return Err(BadItem::OutOfOrder);
    }
    Arc::make_mut(shared).insert(Category { id, version, key, name, parent, depth: above + 1 });
    Ok(())
}

fn insert(
    tree: &mut CategoryTree,
    ctx: &mut ApplyContext<'_>,
    key: &str,
    name: &str,
    parent: Option<(CategoryId, usize)>,
) -> (CategoryId, usize) {
    let (id, depth) = (ctx.next(), parent.map_or(0, |(_, depth)| depth) + 1);
    tree.insert(Category { id, version: 1, key: Arc::from(key), name: Arc::from(name), parent: parent.map(|(id, _)| id), depth });
    ctx.changes.categories = true;
    tell(ctx, EventKind::CategoryCreated, id, key, name);
    (id, depth)
}

fn tell(ctx: &mut ApplyContext<'_>, kind: EventKind, id: CategoryId, key: &str, name: &str) {
    ctx.tell(kind, vec![EventField::Category(id), EventField::Key(key.to_owned()), EventField::Name(name.to_owned())]);
}

fn check_room(tree: &CategoryTree, above: usize, added: usize) -> Result<(), Refusal> {
    let limit = |what: &str, max: usize| Err(Refusal::LimitReached { what: what.to_owned(), max: max as u64 });
    if above + added > limits::CATEGORY_DEPTH_MAX {
        return limit("levels of categories", limits::CATEGORY_DEPTH_MAX);
    }
    if tree.len() + added > limits::CATEGORIES_MAX {
        return limit("categories", limits::CATEGORIES_MAX);
    }
    Ok(())
}

fn invalid(error: FieldError) -> Refusal {
    Refusal::Invalid(vec![error])
}

#[cfg(test)]
mod tests {
    use super::super::tests::context;
    use super::*;
    use wire::Millis;

    /// Applies `+key` (ensure) and `key=name<parent` (put); gives the tree as printed, each indented by its depth.
    fn tree_after(script: &str) -> (Arc<CategoryTree>, String, String) {
        let (mut tree, mut answers) = (Arc::<CategoryTree>::default(), String::new());
        for (minute, word) in script.split_whitespace().enumerate() {
            let mut parts = context(Millis(minute as u64 * 60_000));
            let outcome = match word.split_once('=') {
                None => ensure(&mut tree, &mut parts.borrow(), word),
                Some((key, rest)) => {
                    let (name, parent) = rest.split_once('<').map_or((rest, None), |(name, parent)| (name, Some(parent)));
                    put(&mut tree, &mut parts.borrow(), key, name, parent)
                }
            };
            answers.push(match outcome {
                Ok(Done::Category { what: Upserted::Created, .. }) => 'c',
                Ok(Done::Category { what: Upserted::Updated, .. }) => 'u',
                Ok(Done::Category { what: Upserted::Unchanged, .. }) => '=',
                Ok(_) | Err(_) => '!',
            });
            tree.check().expect("tables agree");
        }
        let print = |category: &Category| format!("{}{}:{}", ".".repeat(category.depth - 1), category.key, category.name);
        let printed: Vec<_> = tree.iter().map(print).collect();
        (Arc::clone(&tree), answers, printed.join(" "))
    }

    #[test] // Each row: commands, what each did, and the tree in the order of `iter`.
    fn paths_and_names() {
        for (script, did, printed) in [
            ("a/b/c", "c", "a:a .a/b:b ..a/b/c:c"),
            ("a/b a/b a", "c==", "a:a .a/b:b"),
            ("a/z a/b a/y=a<a", "ccc", "a:a .a/y:a .a/b:b .a/z:z"), // siblings by name
            ("x=X y=Y<x z/w=W<y", "ccc", "x:X .y:Y ..z/w:W"),       // a put key need not be a path
            ("x=X x=X x=Z", "c=u", "x:Z"),
            ("x=X<none", "!", ""),
            ("a/b a/b=B a/b=B<a", "c!u", "a:a .a/b:B"), // to the root would be a move
            ("a/b c a/b=B<c", "cc!", "a:a .a/b:b c:c"),
            ("a//b /a a/ /", "!!!!", ""),
            ("m/n=N m/n/o", "cc", "m/n:N .m/n/o:o"), // the nearest ancestor that is there is the parent
        ] {
            let (_, answers, tree) = tree_after(script);
            assert_eq!((answers.as_str(), tree.as_str()), (did, printed), "{script}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = vec!["d"; limits::CATEGORY_DEPTH_MAX].join("/");
        let (tree, answers, _) = tree_after(&format!("{deep} {deep}/x q=Q<{deep}"));
        assert_eq!(answers, "c!!");
        assert_eq!(tree.len(), limits::CATEGORY_DEPTH_MAX);
    }

    #[test]
    fn ways_to_and_from_a_category() {
        let (tree, ..) = tree_after("a/b/c a/d e");
        let at = |key: &str| tree.by_key(key).expect("made").id;
        let crumbs: Vec<_> = tree.crumbs(at("a/b/c")).into_iter().map(|crumb| crumb.name).collect();
        assert_eq!(crumbs, ["a", "b", "c"]);
        assert_eq!(tree.subtree(at("a")).len(), 4);
        assert_eq!(tree.children(Some(at("a"))).map(|child| &*child.name).collect::<Vec<_>>(), ["b", "d"]);
        assert_eq!(tree.children(None).count(), 2);
    }

    #[test]
    fn a_snapshot_does_not_change() {
        let (mut tree, ..) = tree_after("a");
        let snapshot = Arc::clone(&tree);
        put(&mut tree, &mut context(Millis(9)).borrow(), "a", "Other", None).expect("renamed");
        assert_eq!((&*snapshot.by_key("a").expect("there").name, &*tree.by_key("a").expect("there").name), ("a", "Other"));
    }
}
