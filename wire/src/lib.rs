//! The contract between the engine and everything in front of it.
//!
//! Path: gateway → [`Request`] → [`Client`] (in-process queue, or [`frame`]s over QUIC) → the shard that owns the key →
//! [`Response`] → gateway. Read first: [`Op`] (what can be asked), [`Body`] and [`Refusal`] (what can come back), then
//! [`placement`] (which partition a key lives on). `PROTOCOL.md` beside this crate has the byte tables.
//!
//! Boundary: the archived form of these types is a promise to the previous protocol version; Rust callers may see them change.
//! Deliberately absent: HTTP, JSON, clocks and state.
#![forbid(unsafe_code)]

mod again;
mod catalog;
mod client;
mod cluster;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
mod feed;
pub mod frame;
mod id;
pub mod limits;
mod money;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
mod order;
pub mod placement;
#[cfg(feature = "quic")]
pub mod quic;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
mod refusal;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
mod request;
mod reservation;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
mod response;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
mod search;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
mod search_setting;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
mod stock;
#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
mod warehouse;

pub use catalog::*;
pub use client::*;
pub use cluster::*;
pub use feed::*;
pub use id::*;
pub use money::*;
pub use order::*;
pub use refusal::*;
pub use request::*;
pub use reservation::*;
pub use response::*;
pub use search::*;
pub use search_setting::*;
pub use stock::*;
pub use warehouse::*;
