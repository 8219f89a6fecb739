//! Who is asking: cart tokens for guests, signed tokens for staff.

pub(crate) mod cart_token;
pub(crate) mod jwt;
