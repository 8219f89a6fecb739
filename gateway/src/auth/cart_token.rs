//! Cart tokens: `CART.MAC`, the cart's id and a keyed BLAKE3 of it in base64url. Nothing is stored; the token tells its cart, so
//! that it opens that cart's orders too.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use wire::CartId;

/// The secret that cart tokens are made with: 32 random bytes, kept beside the data.
#[derive(Clone)]
pub struct CartSecret(pub [u8; 32]);

impl std::fmt::Debug for CartSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CartSecret([REDACTED])")
    }
}

/// Bytes of the longest token looked at: a cart id and 43 digits are less.
const TOKEN_BYTES_MAX: usize = 128;

/// Issues and proves cart tokens.
#[derive(Clone)]
pub struct CartTokens {
    key: [u8; 32],
}

impl CartTokens {
    /// Derives the key of this one use from the secret.
    #[must_use]
    pub fn new(secret: &CartSecret) -> Self {
        Self { key: blake3::derive_key("emporion 2026 cart token", &secret.0) }
    }

    fn mac(&self, cart: CartId) -> blake3::Hash {
        blake3::keyed_hash(&self.key, &cart.0.0.to_le_bytes())
    }

    /// The token of `cart`; the same each time.
    #[must_use]
    pub fn issue(&self, cart: CartId) -> String {
        format!("{cart}.{}", URL_SAFE_NO_PAD.encode(self.mac(cart).as_bytes()))
    }

    /// The cart that `token` opens, if it is ours. The comparison takes the same time wherever it differs.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<CartId> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (cart, mac) = token.split_once('.')?;
        let cart: CartId = cart.parse().ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        bool::from(mac.ct_eq(self.mac(cart).as_bytes())).then_some(cart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::RawId;

    #[test]
    fn tokens_open_their_own_cart_only() {
        let tokens = CartTokens::new(&CartSecret([7; 32]));
        let (mine, other) = (CartId(RawId(1 << 80)), CartId(RawId(2 << 80)));
        let token = tokens.issue(mine);
        assert_eq!(tokens.verify(&token), Some(mine));
        let mac = token.split_once('.').expect("two parts").1;
        let flipped = format!("{mine}.{}{}", if mac.starts_with('A') { 'B' } else { 'A' }, &mac[1..]);
        for wrong in [
            String::new(),
            mine.to_string(),
            format!("{mine}."),
            format!("{other}.{mac}"),
            flipped,
            token[..token.len() - 1].to_owned(),
            format!("{token}A"),
            format!("{token}="),
            "x".repeat(10_000),
            CartTokens::new(&CartSecret([8; 32])).issue(mine),
        ] {
            assert_eq!(tokens.verify(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", CartSecret([7; 32])), "CartSecret([REDACTED])");
    }
}
