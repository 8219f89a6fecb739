//! Settings of the search, written and read by merchandisers.
//!
//! Path of a write: products named by key are looked up → bounds, and whether the index can take it → `PutSearchSetting` on the settings' partition → its shard
//! publishes them before it answers, so the next search goes by it.

use super::{Head, Trail, read, refused, search_rules, views};
use crate::{
    domain::search_settings::{self, Setting},
    partition::Done,
    record::v1::{Command, search as v1},
    shard::core::{
        ctx::{Ctx, unexpected},
        peer::{Answer, Ask},
    },
};
use search_index::{Language, Synonyms};
use std::sync::Arc;
use wire::{
    Body, Failure, FieldError, PartitionId, ProductId, ProductRef, RANKING_KEY, Refusal, Role, SearchSetting, SearchSettingKind,
    SearchSettingView, Upserted, limits, placement, placement::Space,
};

fn partition(ctx: &Ctx) -> PartitionId {
    placement::search_settings_partition(ctx.config(|config| config.partitions))
}

pub(super) async fn put(ctx: &Ctx, head: &Head, trail: &mut Trail, key: String, setting: SearchSetting) -> Result<Body, Failure> {
    head.staff(&[Role::Merchandiser])?;
    let setting = match setting {
        SearchSetting::Synonyms(wire::Synonyms { typed, found }) => v1::SearchSetting::Synonyms(v1::Synonyms { typed, found }),
        SearchSetting::Rule(rule) => v1::SearchSetting::Rule(Box::new(stored_rule(ctx, *rule).await?)),
        SearchSetting::Ranking(ranking) => views::stored_ranking(ranking),
    };
    search_settings::check(&key, &setting)
        .and_then(|()| analysed(ctx.config(|config| config.shared.search_language()), &setting))
        .map_err(|error| refused(Refusal::Invalid(vec![error])))?;
    let (kind, partition) = (setting.kind(), partition(ctx));
    let command = Command::PutSearchSetting { key: key.clone(), setting };
    let committed = ctx.propose(partition, head.entry(command)).await?;
    match trail.note(committed).map_err(refused)? {
        Done::SearchSetting { what, .. } => {
            let view = read(ctx, partition, |p| p.search_settings().get(kind, &key).map(|setting| view(&key, setting)))?;
            Ok(Body::SearchSetting { setting: Box::new(view.ok_or_else(|| refused(Refusal::NotFound))?), what })
        }
        other => {
            tracing::error!(?other, "a search setting's command had another outcome");
            Err(Failure::Internal)
        }
    }
}

pub(super) async fn delete(ctx: &Ctx, head: &Head, trail: &mut Trail, kind: SearchSettingKind, key: String) -> Result<Body, Failure> {
    head.staff(&[Role::Merchandiser])?;
    let command = Command::DeleteSearchSetting { kind: views::stored_kind(kind), key };
    let committed = ctx.propose(partition(ctx), head.entry(command)).await?;
    trail.note(committed).map(|_| Body::Done).map_err(refused)
}

pub(super) fn get(ctx: &Ctx, head: &Head, kind: SearchSettingKind, key: &str) -> Result<Body, Failure> {
    head.staff(&[Role::Merchandiser])?;
    let kind = views::stored_kind(kind);
    let found = read(ctx, partition(ctx), |p| p.search_settings().get(kind, key).map(|setting| view(key, setting)))?;
    // A shop that has set none has one that changes nothing.
    let unset = || {
        (kind == v1::SearchSettingKind::Ranking && key == RANKING_KEY).then(|| SearchSettingView {
            key: key.to_owned(),
            version: 0,
            setting: SearchSetting::Ranking(wire::Ranking::default()),
        })
    };
    let setting = Box::new(found.or_else(unset).ok_or_else(|| refused(Refusal::NotFound))?);
    Ok(Body::SearchSetting { setting, what: Upserted::Unchanged })
}

pub(super) fn list(ctx: &Ctx, head: &Head, kind: SearchSettingKind, limit: u16, after: Option<&str>) -> Result<Body, Failure> {
    head.staff(&[Role::Merchandiser])?;
    let (kind, limit) = (views::stored_kind(kind), usize::from(limit.clamp(1, limits::PAGE_MAX)));
    read(ctx, partition(ctx), |p| {
        Body::SearchSettings(p.search_settings().of_kind(kind, after).take(limit).map(|(key, setting)| view(key, setting)).collect())
    })
}

fn view(key: &str, setting: &Setting) -> SearchSettingView {
    SearchSettingView { key: key.to_owned(), version: setting.version, setting: views::search_setting(&setting.content) }
}

/// Whether an index in a language can take it: whether there is a word in each text.
fn analysed(language: Language, setting: &v1::SearchSetting) -> Result<(), FieldError> {
    let no = |pointer: String, code: &str, detail: String| FieldError { pointer, code: code.to_owned(), detail };
    match setting {
        v1::SearchSetting::Synonyms(synonyms) => {
            let ways = [("typed", &synonyms.typed), ("found", &synonyms.found)];
            for (name, nth, way) in
                ways.into_iter().flat_map(|(name, ways)| ways.iter().enumerate().map(move |(nth, way)| (name, nth, way)))
            {
                let alone = search_index::Synonym { typed: vec![way.clone()], found: vec![way.clone()] };
                Synonyms::in_language(language, [&alone])
                    .map_err(|error| no(format!("/{name}/{nth}"), "bad_synonym", error.to_string()))?;
            }
            let made = Synonyms::in_language(language, [&search_rules::synonym(synonyms)]);
            made.map(drop).map_err(|error| no(String::new(), "bad_synonym", error.to_string()))
        }
        v1::SearchSetting::Rule(rule) => {
            let bad = |(nth, query): (usize, &v1::QueryPattern)| {
                let error = search_rules::pattern(language, query).err()?;
                Some(no(format!("/queries/{nth}"), "bad_query", error.to_string()))
            };
            rule.queries.iter().enumerate().find_map(bad).map_or(Ok(()), Err)
        }
        v1::SearchSetting::Ranking(_) | v1::SearchSetting::WiderRanking(_) => Ok(()),
    }
}

async fn stored_rule(ctx: &Ctx, rule: wire::SearchRule) -> Result<v1::SearchRule, Failure> {
    let wire::SearchRule { queries, pins, hidden, boosts, redirect, banner, from, until, enabled } = rule;
    // Before they are looked up, which is a question each.
    let invalid = |error| refused(Refusal::Invalid(vec![error]));
    crate::domain::check_count("/pin", pins.len(), 0, limits::RULE_PINS_MAX).map_err(invalid)?;
    crate::domain::check_count("/hide", hidden.len(), 0, limits::RULE_HIDDEN_MAX).map_err(invalid)?;
    let mut stored_pins = Vec::with_capacity(pins.len());
    for (nth, pin) in pins.into_iter().enumerate() {
        let product = product(ctx, &pin.product, || format!("/pin/{nth}/product")).await?;
        stored_pins.push(v1::Pin { place: pin.place, product });
    }
    let mut stored_hidden = Vec::with_capacity(hidden.len());
    for (nth, reference) in hidden.iter().enumerate() {
        stored_hidden.push(product(ctx, reference, || format!("/hide/{nth}")).await?);
    }
    let mut stored_boosts = Vec::with_capacity(boosts.len());
    for (nth, boost) in boosts.into_iter().enumerate() {
        let of = views::stored_trait(boost.filter).ok_or_else(|| {
            let detail = "a filter that does not change with every sale".to_owned();
            invalid(FieldError { pointer: format!("/boost/{nth}/filter"), code: "bad_filter".to_owned(), detail })
        })?;
        stored_boosts.push(v1::Boost { of, percent: boost.percent });
    }
    let pattern = |query| match query {
        wire::QueryPattern::Is(text) => v1::QueryPattern::Is(text),
        wire::QueryPattern::Contains(text) => v1::QueryPattern::Contains(text),
    };
    Ok(v1::SearchRule {
        queries: queries.into_iter().map(pattern).collect(),
        pins: stored_pins,
        hidden: stored_hidden,
        boosts: stored_boosts,
        redirect,
        banner: banner.map(|wire::Banner { text, url }| v1::Banner { text, url }),
        from,
        until,
        enabled,
    })
}

/// The id of a product, which must be there.
async fn product(ctx: &Ctx, reference: &ProductRef, pointer: impl Fn() -> String) -> Result<ProductId, Failure> {
    let partitions = ctx.config(|config| config.partitions);
    let partition = match reference {
        ProductRef::Id(id) => PartitionId(id.partition().0 % partitions),
        ProductRef::Key(key) => placement::partition_of(Space::Product, key.as_bytes(), partitions),
    };
    match ctx.ask_partition(partition, Ask::ResolveProduct(partition, Arc::new(reference.clone()))).await? {
        Answer::Product(Some(id)) => Ok(id),
        Answer::Product(None) => {
            let detail = "a product of the shop, by id or as key=KEY".to_owned();
            Err(refused(Refusal::Invalid(vec![FieldError { pointer: pointer(), code: "unknown_product".to_owned(), detail }])))
        }
        other => Err(unexpected(&other)),
    }
}
