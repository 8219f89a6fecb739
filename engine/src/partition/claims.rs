//! Claims on SKU keys: one owner a key in the whole shop.
//!
//! Path: a flow takes the key here (`ClaimSku`, pending) → the product is written on its own partition → its outbox finalises the
//! claim, or releases it when the variant goes. A claim that was never finalised may be taken by another owner after
//! [`CLAIM_PENDING_MS`], and is swept then.
//! The owner is the product's key; all SKU ids of an owner come from one partition, so a later id is greater: late or repeated
//! messages about an earlier id are told from current ones by that.
//! Bounds: [`CLAIMS_MAX`] claims; a new one is refused at the bound.

use super::snapshot::fields::{Field, enums, structs};
use super::snapshot::{BadItem, Items, Kind};
use super::table::Table;
use super::{ApplyContext, Digest, Done, Outcome};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use wire::{FieldError, Millis, Refusal, SkuId, limits};

/// How long a pending claim keeps others out.
pub const CLAIM_PENDING_MS: u64 = 10 * 60 * 1_000;

/// How long a released claim is remembered at least, so that a late finalise cannot bring it back.
pub const CLAIM_TOMBSTONE_MS: u64 = 24 * 60 * 60 * 1_000;

/// Claims of a partition, released ones included until they are swept.
pub const CLAIMS_MAX: usize = 4_000_000;

/// Who has a key, and how firmly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The merchant's product key.
    pub owner: String,
    /// How firmly.
    pub state: ClaimState,
    /// The latest SKU of this owner that gave the key up: nothing about it or an earlier one counts.
    released: Option<SkuId>,
}

/// How firmly a key is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimState {
    /// Taken by a product being written.
    Pending {
        /// Since when; others may have it [`CLAIM_PENDING_MS`] later.
        since: Millis,
    },
    /// The product is written.
    Final {
        /// The variant.
        sku: SkuId,
    },
    /// Given up: anybody may have it.
    Free {
        /// Since when.
        since: Millis,
    },
}

impl Claim {
    /// The variant that has the key, once that is final.
    #[must_use]
    pub fn sku(&self) -> Option<SkuId> {
        match self.state {
            ClaimState::Final { sku } => Some(sku),
            ClaimState::Pending { .. } | ClaimState::Free { .. } => None,
        }
    }

    /// Whether another owner is kept out at `time`.
    fn is_held(&self, time: Millis) -> bool {
        match self.state {
            ClaimState::Pending { since } => time < since.plus(CLAIM_PENDING_MS),
            ClaimState::Final { .. } => true,
            ClaimState::Free { .. } => false,
        }
    }

    /// When it may be swept.
    fn due(&self) -> Option<Millis> {
        match self.state {
            ClaimState::Pending { since } => Some(since.plus(CLAIM_PENDING_MS)),
            ClaimState::Final { .. } => None,
            ClaimState::Free { since } => Some(since.plus(CLAIM_TOMBSTONE_MS)),
        }
    }
}

/// All claims, by key, and swept by time. A tree and no hash table: a snapshot walks it, and a claim is looked up when a product is written.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_key: Table<Arc<str>, Claim>,
    /// Those that will be swept.
    by_due: BTreeSet<(Millis, Arc<str>)>,
}

impl Claims {
    pub(super) fn get(&self, key: &str) -> Option<&Claim> {
        self.by_key.get(key)
    }

    /// Takes the key, or says again that it is taken by this owner.
    pub(super) fn claim(&mut self, ctx: &mut ApplyContext<'_>, key: &str, owner: &str) -> Outcome {
        if let Err(error) = check_key("/key", key).and_then(|()| check_key("/owner", owner)) {
            return Err(Refusal::Invalid(vec![error]));
        }
        let state = ClaimState::Pending { since: ctx.time };
        let released = match self.by_key.get(key) {
            // Final or pending, it stays the owner's; a pending one lasts anew.
            Some(claim) if claim.owner == owner => match claim.state {
                ClaimState::Final { .. } => return Ok(Done::Nothing),
                ClaimState::Pending { .. } | ClaimState::Free { .. } => claim.released,
            },
            Some(claim) if claim.is_held(ctx.time) => return Err(Refusal::KeyTaken { key: key.to_owned() }),
            Some(_) => None,
            None => {
                self.check_room()?;
                None
            }
        };
        self.set(key, Claim { owner: owner.to_owned(), state, released });
        Ok(Done::Nothing)
    }

    /// Makes the claim firm, also when it was swept meanwhile, unless another owner has the key.
    pub(super) fn finalise(&mut self, ctx: &mut ApplyContext<'_>, key: &str, owner: &str, sku: SkuId) -> Outcome {
        let released = match self.by_key.get(key) {
            Some(claim) if claim.owner == owner => {
                let newest = claim.released.max(claim.sku());
                if newest >= Some(sku) {
                    return Ok(Done::Nothing); // late or repeated
                }
                claim.released
            }
            Some(claim) if claim.is_held(ctx.time) => return Err(Refusal::KeyTaken { key: key.to_owned() }),
            Some(_) => None,
            None => {
                self.check_room()?;
                None
            }
        };
        self.set(key, Claim { owner: owner.to_owned(), state: ClaimState::Final { sku }, released });
        Ok(Done::Nothing)
    }

    /// Gives the key up: the claim of `sku`, or without one a claim that is still pending. Other owners' and later claims stay.
    pub(super) fn release(&mut self, ctx: &mut ApplyContext<'_>, key: &str, owner: &str, sku: Option<SkuId>) -> Outcome {
        let known = self.by_key.get(key);
        let free = ClaimState::Free { since: ctx.time };
        match (known, sku) {
            (Some(claim), _) if claim.owner != owner => {}
            (Some(claim), None) => match claim.state {
                ClaimState::Pending { .. } => {
                    let released = claim.released;
                    self.set(key, Claim { owner: owner.to_owned(), state: free, released });
                }
                ClaimState::Final { .. } | ClaimState::Free { .. } => {}
            },
            (Some(claim), Some(sku)) => {
                let released = claim.released.max(Some(sku));
                let state = match claim.state {
                    ClaimState::Final { sku: later } if later > sku => claim.state,
                    // Claimed again by a writer whose variant has no id yet, or the finalise of `sku` is still under way: keeping
                    // the claim is right for the first, and for the second it is swept, as nothing finalises it.
                    ClaimState::Pending { .. } => claim.state,
                    ClaimState::Final { .. } | ClaimState::Free { .. } => free,
                };
                self.set(key, Claim { owner: owner.to_owned(), state, released });
            }
            (None, Some(sku)) => {
                self.check_room()?;
                self.set(key, Claim { owner: owner.to_owned(), state: free, released: Some(sku) });
            }
            (None, None) => {}
        }
        Ok(Done::Nothing)
    }

    /// Forgets up to `max` claims whose time is over, earliest first; returns how many.
    pub(super) fn sweep(&mut self, now: Millis, max: usize) -> usize {
        let mut swept = 0;
        while swept < max && self.next_due().is_some_and(|due| due <= now) {
            if let Some((_, key)) = self.by_due.pop_first() {
                self.by_key.remove(&key);
            }
            swept += 1;
        }
        swept
    }

    /// When the next claim may be swept.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.by_due.first().map(|(due, _)| *due)
    }

    fn check_room(&self) -> Result<(), Refusal> {
        if self.by_key.len() < CLAIMS_MAX {
            Ok(())
        } else {
            Err(Refusal::LimitReached { what: "SKU keys of a partition".to_owned(), max: CLAIMS_MAX as u64 })
        }
    }

    fn set(&mut self, key: &str, claim: Claim) {
        let key: Arc<str> = match self.by_key.get_key_value(key) {
            Some((shared, old)) => {
                let shared = Arc::clone(shared);
                if let Some(due) = old.due() {
                    self.by_due.remove(&(due, Arc::clone(&shared)));
                }
                shared
            }
            None => Arc::from(key),
        };
        if let Some(due) = claim.due() {
            self.by_due.insert((due, Arc::clone(&key)));
        }
        self.by_key.insert(key, claim);
    }

    pub(super) fn freeze(&mut self) {
        self.by_key.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.by_key.thaw();
    }

    /// Writes claims into a snapshot.
    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        self.by_key.walk(|key, claim| {
            items.put_walked(Kind::Claim, claim, |body, claim| {
                key.put(body);
                claim.put(body);
            })
        })
    }

    pub(super) fn put_back(&mut self, body: &mut &[u8]) -> Result<(), BadItem> {
        let (key, claim): (Arc<str>, Claim) = Field::take(body).ok_or(BadItem::Damaged)?;
        if let Some(due) = claim.due() {
            self.by_due.insert((due, Arc::clone(&key)));
        }
        if self.by_key.push(key, claim) { Ok(()) } else { Err(BadItem::OutOfOrder) }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let timed = self.by_key.values().filter(|claim| claim.due().is_some()).count();
        let listed = |(due, key): &(Millis, Arc<str>)| self.by_key.get(key).is_some_and(|claim| claim.due() == Some(*due));
        if timed == self.by_due.len() && self.by_due.iter().all(listed) {
            Ok(())
        } else {
            Err("the claims and their order in time do not match".to_owned())
        }
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("claims");
        digest.write_usize(self.by_key.len());
        for (key, claim) in &self.by_key {
            digest.text(key);
            digest.text(&claim.owner);
            (claim.state, claim.released).hash(digest);
        }
    }
}

structs! {
    Claim { owner, state, released }
}

enums! {
    ClaimState { 0 Pending { since }, 1 Final { sku }, 2 Free { since } }
}

fn check_key(pointer: &str, key: &str) -> Result<(), FieldError> {
    crate::domain::check_text(pointer, key, 1, limits::KEY_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, sku};
    use super::*;

    /// Carries out `script`, words like `claim:a`, `final:a:1`, `release:a:1`, `release:a`, `+minutes`, `sweep`; gives a letter for
    /// each claim, finalise and release (`y`es or `n`o) and then who has the key.
    fn after(script: &str) -> String {
        let (mut claims, mut minutes, mut answers) = (Claims::default(), 0u64, String::new());
        for word in script.split_whitespace() {
            let time = Millis(minutes * 60_000);
            let mut parts = context(time);
            let ctx = &mut parts.borrow();
            let words: Vec<&str> = word.split(':').collect();
            let number = |text: &str| sku(text.parse().expect("a number"));
            let outcome = match words.as_slice() {
                ["claim", owner] => claims.claim(ctx, "K", owner),
                ["final", owner, id] => claims.finalise(ctx, "K", owner, number(id)),
                ["release", owner, id] => claims.release(ctx, "K", owner, Some(number(id))),
                ["release", owner] => claims.release(ctx, "K", owner, None),
                ["sweep"] => {
                    claims.sweep(time, 10);
                    continue;
                }
                [wait] => {
                    minutes += wait.parse::<u64>().expect("minutes to wait");
                    continue;
                }
                other => panic!("no such word: {other:?}"),
            };
            answers.push(if outcome.is_ok() { 'y' } else { 'n' });
        }
        claims.check().expect("tables agree");
        let end = match claims.get("K") {
            None => "gone".to_owned(),
            Some(claim) => match claim.state {
                ClaimState::Pending { .. } => format!("{} pending", claim.owner),
                ClaimState::Final { sku } => format!("{} {}", claim.owner, sku.0.0),
                ClaimState::Free { .. } => "free".to_owned(),
            },
        };
        format!("{answers} {end}")
    }

    #[test] // Each row is one history of one key.
    fn a_key_has_one_owner() {
        for (script, wanted) in [
            ("claim:a claim:a claim:b", "yyn a pending"),
            ("claim:a +9 claim:b", "yn a pending"),
            ("claim:a +10 claim:b", "yy b pending"), // abandoned
            ("claim:a +9 claim:a +9 claim:b", "yyn a pending"),
            ("claim:a final:a:1 +99 claim:b sweep", "yyn a 1"),
            ("claim:a final:a:1 release:a:1 claim:b", "yyyy b pending"),
            ("claim:a +11 sweep final:a:1", "yy a 1"), // swept before it was final
            ("claim:a +11 claim:b final:a:1", "yyn b pending"),
            ("claim:a release:a claim:b", "yyy b pending"),
            ("claim:a final:a:1 release:a claim:b", "yyyn a 1"), // only a pending one goes without an id
            ("claim:a final:a:1 release:b:1 release:b", "yyyy a 1"),
        ] {
            assert_eq!(after(script), wanted, "{script}");
        }
    }

    #[test] // Messages of the outbox may come late or twice.
    fn late_messages_change_nothing() {
        for (script, wanted) in [
            ("claim:a final:a:1 release:a:1 final:a:1 claim:b", "yyyyy b pending"),
            ("claim:a final:a:1 release:a:1 claim:a final:a:2 release:a:1", "yyyyyy a 2"),
            ("claim:a final:a:1 release:a:1 claim:a release:a:1 final:a:2", "yyyyyy a 2"),
            ("claim:a final:a:2 final:a:1", "yyy a 2"),
            ("release:a:1 final:a:1", "yy free"),
            ("claim:a release:a:1 final:a:1 +10 sweep", "yyy gone"), // overtaken: the pending claim is swept in time
            ("release:a:1 +1440 sweep", "y gone"),
        ] {
            assert_eq!(after(script), wanted, "{script}");
        }
    }
}
