//! Synonyms and rules for queries. What is written is in the answer to the very next search.

use super::{admin::status, search_query::LIMIT, unexpected};
use crate::{
    App,
    dto::{
        self,
        search::{SearchedQueries, cursor},
        search_setting::{self, Page, Ranking, RankingBody, Rule, SearchRuleBody, Setting, Synonyms, SynonymsBody},
    },
    http::{
        caller::{CALL_MS, Caller, Keyed},
        etag::ETag,
        json::Json,
        problem::Problem,
        query::{self, Query},
        reply::Reply,
    },
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use std::sync::Arc;
use wire::{Body, Op, Principal, RANKING_KEY, Role, SearchSetting, SearchSettingKind};

/// `principal` may: asked before the body is looked at.
async fn put(app: &App, caller: &Caller, principal: Principal, key: String, json: &Json, setting: SearchSetting) -> Result<Reply, Problem> {
    let idempotency = caller.idempotency(principal, Keyed::Optional, json.fingerprint())?;
    let key = search_setting::key(key)?;
    let answer = caller.call(app, principal, idempotency, CALL_MS, Op::PutSearchSetting { key, setting }).await?;
    let Body::SearchSetting { setting: view, what } = answer.body else { return Err(unexpected(&answer)) };
    Ok(reply(*view, None).status(status(what)).written(&answer.positions, answer.replayed))
}

fn reply(view: wire::SearchSettingView, none_match: Option<&str>) -> Reply {
    let tag = ETag::version(view.version);
    match view.into() {
        Setting::Synonyms(synonyms) => Reply::json(&synonyms),
        Setting::Rule(rule) => Reply::json(&*rule),
        Setting::Ranking(ranking) => Reply::json(&ranking),
    }
    .etag(&tag, none_match)
}

async fn get(app: &App, caller: &Caller, kind: SearchSettingKind, key: String) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let key = search_setting::key(key).map_err(|_| Problem::not_found())?;
    let answer = caller.ask(app, principal, Op::GetSearchSetting { kind, key }).await?;
    let Body::SearchSetting { setting, .. } = answer.body else { return Err(unexpected(&answer)) };
    Ok(reply(*setting, caller.none_match.as_deref()))
}

async fn delete(app: &App, caller: &Caller, kind: SearchSettingKind, key: String) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let key = search_setting::key(key).map_err(|_| Problem::not_found())?;
    let answer = caller.ask(app, principal, Op::DeleteSearchSetting { kind, key }).await?;
    let Body::Done = answer.body else { return Err(unexpected(&answer)) };
    Ok(Reply::empty(StatusCode::NO_CONTENT).written(&answer.positions, answer.replayed))
}

async fn list<T: Serialize>(
    app: &App,
    caller: &Caller,
    (kind, path): (SearchSettingKind, &str),
    shown: impl Fn(Setting) -> Option<T>,
) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let mut query = Query::parse(caller.raw_query.as_deref())?;
    let (limit, after) = (query.limit(LIMIT)?, search_setting::after(query.one("after")?)?);
    query.end()?;
    let answer = caller.ask(app, principal, Op::ListSearchSettings { kind, limit, after }).await?;
    let Body::SearchSettings(views) = answer.body else { return Err(unexpected(&answer)) };
    // A full page may have more after it; the page after the last is empty then.
    let next = views.last().filter(|_| views.len() == usize::from(limit)).map(|last| cursor(last.key.as_bytes()));
    let url = next.as_deref().map(|after| query::next_page(path, caller.raw_query.as_deref(), after));
    let items = views.into_iter().filter_map(|view| shown(view.into())).collect();
    Ok(Reply::json(&Page { items, next }).next_page(url))
}

/// Set ways to say one thing.
#[utoipa::path(put, path = "/v1/admin/synonyms/{key}", tag = "admin", security(("staff" = [])), request_body = SynonymsBody,
    params(("key" = String, Path, description = "The merchant's key of these synonyms")),
    responses((status = 200, body = Synonyms), (status = 201, body = Synonyms),
        (status = 412, body = dto::Problem, content_type = "application/problem+json"),
        (status = 422, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn put_synonyms(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(key): Path<String>,
    json: Json,
) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let body: SynonymsBody = json.shape()?;
    put(&app, &caller, principal, key, &json, body.check()?).await
}

/// Ways to say one thing.
#[utoipa::path(get, path = "/v1/admin/synonyms/{key}", tag = "admin", security(("staff" = [])),
    params(("key" = String, Path, description = "The merchant's key of these synonyms")),
    responses((status = 200, body = Synonyms), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn get_synonyms(State(app): State<Arc<App>>, caller: Caller, Path(key): Path<String>) -> Result<Reply, Problem> {
    get(&app, &caller, SearchSettingKind::Synonyms, key).await
}

/// Delete synonyms.
#[utoipa::path(delete, path = "/v1/admin/synonyms/{key}", tag = "admin", security(("staff" = [])),
    params(("key" = String, Path, description = "The merchant's key of these synonyms")),
    responses((status = 204, description = "Gone"), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete_synonyms(State(app): State<Arc<App>>, caller: Caller, Path(key): Path<String>) -> Result<Reply, Problem> {
    delete(&app, &caller, SearchSettingKind::Synonyms, key).await
}

/// All synonyms, by key.
#[utoipa::path(get, path = "/v1/admin/synonyms", tag = "admin", security(("staff" = [])),
    params(
        ("limit" = Option<u16>, Query, description = "1 to 100, 20 unless given"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = Page<Synonyms>)))]
pub(crate) async fn list_synonyms(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let shown = |setting| match setting {
        Setting::Synonyms(synonyms) => Some(synonyms),
        Setting::Rule(_) | Setting::Ranking(_) => None,
    };
    list(&app, &caller, (SearchSettingKind::Synonyms, "/v1/admin/synonyms"), shown).await
}

/// Set what is shown for some queries.
#[utoipa::path(put, path = "/v1/admin/search-rules/{key}", tag = "admin", security(("staff" = [])), request_body = SearchRuleBody,
    params(("key" = String, Path, description = "The merchant's key of this rule; of rules that contradict each other the first by key is followed")),
    responses((status = 200, body = Rule), (status = 201, body = Rule),
        (status = 412, body = dto::Problem, content_type = "application/problem+json"),
        (status = 422, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn put_search_rule(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(key): Path<String>,
    json: Json,
) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let body: SearchRuleBody = json.shape()?;
    put(&app, &caller, principal, key, &json, body.check()?).await
}

/// A rule.
#[utoipa::path(get, path = "/v1/admin/search-rules/{key}", tag = "admin", security(("staff" = [])),
    params(("key" = String, Path, description = "The merchant's key of this rule")),
    responses((status = 200, body = Rule), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn get_search_rule(State(app): State<Arc<App>>, caller: Caller, Path(key): Path<String>) -> Result<Reply, Problem> {
    get(&app, &caller, SearchSettingKind::Rule, key).await
}

/// Delete a rule.
#[utoipa::path(delete, path = "/v1/admin/search-rules/{key}", tag = "admin", security(("staff" = [])),
    params(("key" = String, Path, description = "The merchant's key of this rule")),
    responses((status = 204, description = "Gone"), (status = 404, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete_search_rule(State(app): State<Arc<App>>, caller: Caller, Path(key): Path<String>) -> Result<Reply, Problem> {
    delete(&app, &caller, SearchSettingKind::Rule, key).await
}

/// All rules, by key.
#[utoipa::path(get, path = "/v1/admin/search-rules", tag = "admin", security(("staff" = [])),
    params(
        ("limit" = Option<u16>, Query, description = "1 to 100, 20 unless given"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = Page<Rule>)))]
pub(crate) async fn list_search_rules(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let shown = |setting| match setting {
        Setting::Rule(rule) => Some(*rule),
        Setting::Synonyms(_) | Setting::Ranking(_) => None,
    };
    list(&app, &caller, (SearchSettingKind::Rule, "/v1/admin/search-rules"), shown).await
}

/// What counts beside the words; all 0 where nothing is set.
#[utoipa::path(get, path = "/v1/admin/search-ranking", tag = "admin", security(("staff" = [])), responses((status = 200, body = Ranking)))]
pub(crate) async fn get_ranking(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    get(&app, &caller, SearchSettingKind::Ranking, RANKING_KEY.to_owned()).await
}

/// Set what counts beside the words.
#[utoipa::path(put, path = "/v1/admin/search-ranking", tag = "admin", security(("staff" = [])), request_body = RankingBody,
    responses((status = 200, body = Ranking), (status = 201, body = Ranking),
        (status = 412, body = dto::Problem, content_type = "application/problem+json"),
        (status = 422, body = dto::Problem, content_type = "application/problem+json")))]
pub(crate) async fn put_ranking(State(app): State<Arc<App>>, caller: Caller, json: Json) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let body: RankingBody = json.shape()?;
    put(&app, &caller, principal, RANKING_KEY.to_owned(), &json, body.into()).await
}

/// What shoppers search for, most frequent first.
///
/// Counted in memory over about the last days: a restart begins anew. With `without_results`, those that found nothing, by how often they did.
#[utoipa::path(get, path = "/v1/admin/search-queries", tag = "admin", security(("staff" = [])),
    params(
        ("without_results" = Option<bool>, Query, description = "Only those that found nothing"),
        ("limit" = Option<u16>, Query, description = "1 to 100, 20 unless given"),
    ),
    responses((status = 200, body = SearchedQueries)))]
pub(crate) async fn list_queries(State(app): State<Arc<App>>, caller: Caller) -> Result<Reply, Problem> {
    let principal = caller.staff(&[Role::Merchandiser])?;
    let mut query = Query::parse(caller.raw_query.as_deref())?;
    let (limit, without_results) = (query.limit(LIMIT)?, query.flag("without_results")?.unwrap_or(false));
    query.end()?;
    let answer = caller.ask(&app, principal, Op::SearchQueries { without_results, limit }).await?;
    let Body::SearchQueries(counted) = answer.body else { return Err(unexpected(&answer)) };
    Ok(Reply::json(&SearchedQueries::from(counted)))
}
