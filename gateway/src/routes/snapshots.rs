//! Log and snapshots, for who runs the shop.

use super::unexpected;
use crate::{
    App,
    dto::{self, snapshots::Snapshots},
    http::{
        caller::{CALL_MS, Caller},
        json::Json,
        problem::Problem,
        reply::Reply,
    },
};
use axum::{extract::State, http::StatusCode};
use std::sync::Arc;
use wire::{Body, Op, ShardId};

/// How long the log is, and which snapshots are still to be made.
#[utoipa::path(get, path = "/v1/admin/snapshots", tag = "admin", security(("staff" = [])),
    responses((status = 200, body = Snapshots), (status = 403, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn report(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    Ok(Reply::json(&all_shards(&app, &caller, false).await?))
}

/// Have a snapshot made of everything that changed since its last one, so that the next start has little log to read. Answers at once; `due` of a later
/// `GET` is 0 when all are made.
#[utoipa::path(post, path = "/v1/admin/snapshots", tag = "admin", security(("staff" = [])),
    responses((status = 202, body = Snapshots), (status = 403, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn take(State(app): State<Arc<App>>, caller: Caller, json: Json) -> Result<Reply, Problem> {
    caller.staff(&[])?;
    json.shape::<dto::Nothing>()?;
    Ok(Reply::json(&all_shards(&app, &caller, true).await?).status(StatusCode::ACCEPTED))
}

async fn all_shards(app: &App, caller: &Caller, take: bool) -> Result<Snapshots, Problem> {
    let principal = caller.staff(&[])?;
    let mut found = Snapshots::default();
    for shard in 0..app.client.topology().shards {
        let answer = caller.call(app, principal, None, CALL_MS, Op::Snapshots { shard: ShardId(shard), take }).await?;
        let Body::Snapshots(report) = answer.body else { return Err(unexpected(&answer)) };
        found.partitions += report.partitions;
        found.due += report.due;
        found.log_bytes += report.log_bytes;
        found.log_bytes_max += report.log_bytes_max;
        found.failure = found.failure.or(report.failure);
    }
    Ok(found)
}
