//! Where a page of hits ended, as it is given to whoever asked.
//!
//! Path: [`search_index::Cursor`] → [`seal`] → nonce and ciphertext → outside → [`open`] → the query's place. Of other bytes, damaged ones and those of another shop the list is begun
//! again.
//! A place in the order says a score to the last digit, which counts what the shop keeps to itself: what it earns by a product. So it is read by nobody else.

use crate::{
    seal::{NONCE_BYTES, Plain, Sealed},
    shard::core::ctx::Ctx,
};
use search_index::Cursor;
use wire::Refusal;

impl Plain for Cursor {
    fn to_plain(&self) -> Vec<u8> {
        self.encode().to_vec()
    }

    fn from_plain(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes).ok()
    }
}

/// A cursor for the outside.
pub(super) fn seal(ctx: &Ctx, cursor: Cursor) -> Vec<u8> {
    let sealed = ctx.seal(&cursor);
    let (nonce, bytes) = sealed.ciphertext();
    [nonce, bytes].concat()
}

/// One that came back.
///
/// # Errors
/// [`Refusal::BadCursor`] for what is none of this shop.
pub(super) fn open(ctx: &Ctx, bytes: &[u8]) -> Result<Cursor, Refusal> {
    let (nonce, bytes) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(Refusal::BadCursor)?;
    ctx.config(|config| config.keyring.open(&Sealed::of_shop(*nonce, bytes.to_vec()))).map_err(|_| Refusal::BadCursor)
}
