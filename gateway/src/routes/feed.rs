//! The feed: what happened in the shop, for programs that follow it.

use super::unexpected;
use crate::{
    App,
    dto::{self, feed},
    http::{
        caller::Caller,
        problem::Problem,
        query::{self, Query},
        reply::Reply,
    },
};
use axum::extract::State;
use std::sync::Arc;
use wire::{Body, FEED_PARTITIONS_MAX, FeedFrom, Op, PartitionId};

/// Entries of a page unless asked for otherwise.
const LIMIT: u16 = 20;

/// Partitions as `first-last`.
fn range(text: &str) -> Option<(PartitionId, u16)> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    let count = last.checked_sub(first)?.checked_add(1)?;
    (count <= FEED_PARTITIONS_MAX).then_some((PartitionId(first), count))
}

/// Follow everything that happens in the shop: catalog, carts, orders, payments, stock. Each event comes once, and events of one partition in order;
/// a reader that keeps `next` goes on where it was, over restarts of the shop too. Without `after` it begins with the oldest event that is kept
/// (7 days or 10 GB unless configured otherwise).
#[utoipa::path(get, path = "/v1/admin/feed", tag = "admin", security(("staff" = [])),
    params(
        ("limit" = Option<u16>, Query, description = "1 to 100, 20 unless given"),
        ("after" = Option<String>, Query, description = "`next` of the page before, or `latest` for a cursor behind all that happened so far"),
        ("partitions" = Option<String>, Query, description = "`FIRST-LAST`, at most 512 of them, for a reader of a part; a cursor keeps it. Needed \
            where the shop has more than 512"),
    ),
    responses((status = 200, body = feed::FeedList), (status = 410, body = dto::Problem, content_type = "application/problem+json",
        description = "`cursor_too_old`: events after the cursor are kept no more. Take a cursor with `after=latest`, read anew what you keep, then go on \
            from that cursor")))]
pub(crate) async fn feed(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let principal = caller.staff(&[])?;
    let mut query = Query::parse(caller.raw_query.as_deref())?;
    let limit = query.limit(LIMIT)?;
    let after = query.one("after")?.filter(|after| !after.is_empty());
    let partitions = query.one("partitions")?;
    query.end()?;
    let wanted = || Problem::field("/partitions", "wrong_value", format!("FIRST-LAST, at most {FEED_PARTITIONS_MAX} partitions"));
    let chosen = partitions.as_deref().map(|text| range(text).ok_or_else(wanted)).transpose()?;
    let (first, count) = chosen.unwrap_or((PartitionId(0), 0));
    let from = match after.as_deref() {
        None => FeedFrom::Oldest { first, count },
        Some("latest") => FeedFrom::Latest { first, count },
        Some(text) => {
            let cursor = feed::cursor(text)?;
            if chosen.is_some_and(|(first, count)| first != cursor.first || usize::from(count) != cursor.places.len()) {
                return Err(Problem::bad_cursor());
            }
            FeedFrom::After(cursor)
        }
    };
    let answer = caller.ask(&app, principal, Op::Feed { from, limit }).await?;
    let Body::Feed(page) = answer.body else { return Err(unexpected(&answer)) };
    let list = feed::FeedList::from(*page);
    let url = list.next().map(|after| query::next_page("/v1/admin/feed", caller.raw_query.as_deref(), after));
    Ok(Reply::json(&list).next_page(url))
}
