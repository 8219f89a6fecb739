//! The stylesheet, built into the program. Its address carries its hash, so that browsers keep it for good.

use super::session::Visitor;
use crate::http::{etag::ETag, reply::Reply};
use axum::http::header;
use std::sync::LazyLock;

const CSS: &str = include_str!("../../templates/shop.css");
/// Where it is served.
pub(super) const PATH: &str = "/assets/shop.css";
const FOREVER: &str = "public, max-age=31536000, immutable";
/// For an address without the hash, or with that of another version.
const SHORTLY: &str = "public, max-age=60";

/// The stylesheet with what is computed from it once.
pub(super) struct Stylesheet {
    pub(super) url: String,
    query: String,
    tag: ETag,
}

pub(super) static STYLESHEET: LazyLock<Stylesheet> = LazyLock::new(|| {
    let hash = blake3::hash(CSS.as_bytes()).to_hex();
    let query = format!("v={}", &hash[..16]);
    Stylesheet { url: format!("{PATH}?{query}"), query, tag: ETag::live(0, CSS.as_bytes()) }
});

pub(super) async fn stylesheet(visitor: Visitor) -> Reply {
    let exact = visitor.raw_query.as_deref() == Some(STYLESHEET.query.as_str());
    let reply = Reply::html(CSS).media_type("text/css; charset=utf-8");
    let reply = reply.header(header::CACHE_CONTROL, if exact { FOREVER } else { SHORTLY });
    reply.etag(&STYLESHEET.tag, visitor.none_match.as_deref())
}
