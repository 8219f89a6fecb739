//! The commands of the search's settings, which live whole on one partition.
//!
//! Path: `PutSearchSetting`, `DeleteSearchSetting` → [`SearchSettings`] → the shard publishes a snapshot, by which the next search of any shard goes.

use super::snapshot::fields::{Field, put_archive, take_archive};
use super::snapshot::{BadItem, Items, Kind};
use super::{ApplyContext, Digest, Done, Outcome};
use crate::domain::search_settings::{SearchSettings, Setting, check};
use crate::record::v1::search::{SearchSetting, SearchSettingKind};
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use wire::{EventField, EventKind, Refusal, Upserted, limits};

/// Makes a setting, or puts it in the place of the one with its key.
pub(super) fn put(shared: &mut Arc<SearchSettings>, ctx: &mut ApplyContext<'_>, key: &str, setting: &SearchSetting) -> Outcome {
    check(key, setting).map_err(|error| Refusal::Invalid(vec![error]))?;
    let kind = setting.kind();
    let known = shared.get(kind, key).map(|known| (known.version, known.content == *setting));
    ctx.check_version(known.map_or(0, |(version, _)| version))?;
    let (version, what) = match known {
        Some((version, true)) => return Ok(Done::SearchSetting { version, what: Upserted::Unchanged }),
        Some((version, false)) => (version + 1, Upserted::Updated),
        None => {
            let (what, max) = match kind {
                SearchSettingKind::Synonyms => ("rules of synonyms", limits::SYNONYMS_MAX),
                SearchSettingKind::Rule => ("rules for queries", limits::SEARCH_RULES_MAX),
                // Of one key.
                SearchSettingKind::Ranking => ("rankings", 1),
            };
            if shared.count(kind) >= max {
                return Err(Refusal::LimitReached { what: what.to_owned(), max: max as u64 });
            }
            (1, Upserted::Created)
        }
    };
    Arc::make_mut(shared).insert(Arc::from(key), Setting { version, content: setting.clone() });
    ctx.changes.search_settings = true;
    tell(ctx, EventKind::SearchSettingPut, kind, key, version);
    Ok(Done::SearchSetting { version, what })
}

/// Takes a setting out.
pub(super) fn delete(shared: &mut Arc<SearchSettings>, ctx: &mut ApplyContext<'_>, kind: SearchSettingKind, key: &str) -> Outcome {
    let version = shared.get(kind, key).ok_or(Refusal::NotFound)?.version;
    ctx.check_version(version)?;
    Arc::make_mut(shared).remove(kind, key);
    ctx.changes.search_settings = true;
    tell(ctx, EventKind::SearchSettingDeleted, kind, key, version);
    Ok(Done::Nothing)
}

fn tell(ctx: &mut ApplyContext<'_>, event: EventKind, kind: SearchSettingKind, key: &str, version: u64) {
    let kind = match kind {
        SearchSettingKind::Synonyms => "synonyms",
        SearchSettingKind::Rule => "rule",
        SearchSettingKind::Ranking => "ranking",
    };
    ctx.tell(event, vec![EventField::Name(kind.to_owned()), EventField::Key(key.to_owned()), EventField::Version(version)]);
}

pub(super) fn digest(settings: &SearchSettings, digest: &mut Digest) {
    digest.section("search settings");
    for (key, setting) in settings.iter() {
        key.hash(digest);
        digest.write_u64(setting.version);
        digest.archive(&setting.content);
    }
}

/// The settings as they were at a freeze, and how far they are written.
#[derive(Debug)]
pub(super) struct Walked {
    settings: Arc<SearchSettings>,
    done: Option<(SearchSettingKind, Arc<str>)>,
}

impl Walked {
    pub(super) fn of(settings: &Arc<SearchSettings>) -> Self {
        Self { settings: Arc::clone(settings), done: None }
    }

    /// Writes settings into a snapshot, by kind and key.
    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        let done = self.done.clone();
        for (place, setting) in self.settings.after(done.as_ref()) {
            self.done = Some(place.clone());
            let goes_on = items.put_walked(Kind::SearchSetting, Some(()), |body, ()| {
                place.1.put(body);
                setting.version.put(body);
                put_archive(&setting.content, body);
            });
            if !goes_on {
                return true;
            }
        }
        false
    }
}

/// Takes a setting of a snapshot.
pub(super) fn put_back(shared: &mut Arc<SearchSettings>, body: &mut &[u8]) -> Result<(), BadItem> {
    let mut fields = || Some((<Arc<str>>::take(body)?, u64::take(body)?, take_archive::<SearchSetting>(body)?));
    let (key, version, content) = fields().ok_or(BadItem::Damaged)?;
    check(&key, &content).map_err(|_| BadItem::Unfit)?;
    let place = (content.kind(), Arc::clone(&key));
    if shared.get(place.0, &key).is_some() || shared.after(Some(&place)).next().is_some() {
        return Err(BadItem::OutOfOrder);
    }
    Arc::make_mut(shared).insert(key, Setting { version, content });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::context;
    use super::*;
    use crate::record::tests::rule;
    use crate::record::v1::search::Synonyms;
    use wire::Millis;

    fn synonyms(words: &[&str]) -> SearchSetting {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        SearchSetting::Synonyms(Synonyms { typed: words.clone(), found: words })
    }

    #[test] // Each row: what is put under a key of either kind, or nothing for a delete; and what comes of it.
    fn settings_come_change_and_go() {
        let (tv, television) = (synonyms(&["tv", "telly"]), synonyms(&["tv", "television"]));
        let rule = SearchSetting::Rule(Box::new(rule()));
        let mut settings = Arc::<SearchSettings>::default();
        let before = Arc::clone(&settings);
        let kinds = [SearchSettingKind::Synonyms, SearchSettingKind::Rule];
        for (if_match, key, put_this, wanted) in [
            (None, "tv", Some(&tv), Ok((1, Upserted::Created))),
            (None, "tv", Some(&tv), Ok((1, Upserted::Unchanged))),
            (None, "tv", Some(&television), Ok((2, Upserted::Updated))),
            (Some(1), "tv", Some(&tv), Err(Refusal::VersionMismatch { current: 2 })),
            (Some(2), "tv", Some(&tv), Ok((3, Upserted::Updated))),
            (Some(1), "other", Some(&tv), Err(Refusal::VersionMismatch { current: 0 })),
            (None, "tv", Some(&rule), Ok((1, Upserted::Created))), // another kind, another key
            (None, "a", Some(&television), Ok((1, Upserted::Created))),
            (Some(9), "tv", None, Err(Refusal::VersionMismatch { current: 3 })),
            (None, "none", None, Err(Refusal::NotFound)),
            (Some(3), "tv", None, Ok((0, Upserted::Unchanged))),
            (None, "tv", None, Err(Refusal::NotFound)),
        ] {
            let mut parts = context(Millis(1));
            let mut ctx = parts.borrow();
            ctx.if_match = if_match;
            let outcome = match put_this {
                Some(setting) => put(&mut settings, &mut ctx, key, setting),
                None => delete(&mut settings, &mut ctx, kinds[0], key),
            };
            let told = ctx.changes.events.len();
            let outcome = outcome.map(|done| match done {
                Done::SearchSetting { version, what } => (version, what),
                _ => (0, Upserted::Unchanged),
            });
            let changed = matches!(outcome, Ok((_, Upserted::Created | Upserted::Updated) | (0, _)));
            assert_eq!((ctx.changes.search_settings, told), (changed, usize::from(changed)), "{key}");
            assert_eq!(outcome, wanted, "{key}");
        }
        let left: Vec<Vec<&str>> = kinds.map(|kind| settings.of_kind(kind, None).map(|(key, _)| key).collect()).into();
        assert_eq!(left, [vec!["a"], vec!["tv"]]);
        assert_eq!(settings.of_kind(kinds[0], Some("a")).count(), 0, "a page goes on behind its cursor and ends with its kind");
        assert_eq!(before.iter().count(), 0, "who took a snapshot keeps it");
    }
}
