//! The HTTP edge: HTTP/1.1, HTTP/2 and HTTP/3 in front of the engine. Stateless; runs on tokio.
//!
//! Path: socket → [`serve`](Gateway) (TLS, limits of the connection) → `edge` (request id, rate limit, security headers, problem
//! documents) → `routes` (one handler per call of the contract) → `dto` (JSON to wire types, bounds checked) → [`wire::Client`] →
//! the engine, and back the same way.
//! Read first: [`Gateway`], [`App`], then `http::caller` (who asks, under which conditions) and `http::codes` (what a refusal looks like).
//!
//! Boundary: the JSON names in `dto` and the words in `http::codes` are the HTTP contract; everything else may change freely.
//! Deliberately absent: state that outlives a request, apart from rate limits and counters. What the shop decides, the engine decides.
#![forbid(unsafe_code)]

mod app;
mod auth;
#[doc(hidden)]
pub mod dto;
mod edge;
mod http;
mod metrics;
mod openapi;
pub mod pages;
mod routes;
mod serve;
#[cfg(test)]
mod tests;

pub use app::App;
pub use auth::{
    cart_token::{CartSecret, CartTokens},
    jwt::{SigningKey, TokenError, VerifyingKey, mint_token},
};
pub use openapi::document as openapi_document;
pub use serve::{BindError, Config, Gateway, ServeError};
