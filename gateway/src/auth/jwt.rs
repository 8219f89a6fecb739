//! Staff tokens: JWTs (RFC 7519) with one algorithm, EdDSA over Ed25519, in the profile of RFC 9068.
//!
//! Strict on purpose (RFC 8725): the algorithm never comes from the header, no key is fetched that a header names, unknown critical
//! headers refuse, `typ`, `iss`, `aud` and `exp` must be there and right.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wire::{Millis, Role};

/// Bytes of a token; a longer one is refused before it is looked at.
pub(crate) const TOKEN_BYTES_MAX: usize = 4_096;
/// How far the clocks of signer and verifier may be apart.
const SKEW_S: u64 = 60;
const ISSUER: &str = "emporion";
const AUDIENCE: &str = "emporion";

/// Signs staff tokens. 32 secret bytes, kept beside the data.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From 32 random bytes.
    #[must_use]
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(secret))
    }

    /// The secret, to be stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// What proves this key's tokens.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey([REDACTED])")
    }
}

/// Proves staff tokens.
#[derive(Clone, Debug)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// From the 32 bytes of a public key; `None` if they are no point of the curve.
    #[must_use]
    pub fn from_bytes(public: &[u8; 32]) -> Option<Self> {
        ed25519_dalek::VerifyingKey::from_bytes(public).ok().map(Self)
    }

    /// The 32 bytes that [`Self::from_bytes`] takes. Not secret.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Names the key in a token's header.
    fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&blake3::hash(self.0.as_bytes()).as_bytes()[..12])
    }
}

/// Why a token proves nothing. Told to the log, never to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Over 4 KiB.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of base64url, or not the JSON wanted.
    #[error("the token cannot be read")]
    Malformed,
    /// Another algorithm, type, key or a critical header.
    #[error("the token's header names another algorithm, type or key")]
    Header,
    /// The signature is not ours.
    #[error("the signature is wrong")]
    Signature,
    /// Issuer or audience is another.
    #[error("the token is for someone else")]
    Claims,
    /// Past its end, or before its beginning.
    #[error("the token has expired, or is not valid yet")]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    kid: Option<String>,
    #[serde(skip_serializing, default)]
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    exp: u64,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    nbf: Option<u64>,
    jti: String,
    role: String,
}

/// A member of staff, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staff {
    pub(crate) subject: String,
    pub(crate) role: Role,
}

/// The contract's word for a role.
pub(crate) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Support => "support",
        Role::Merchandiser => "merchandiser",
        Role::Warehouse => "warehouse",
        Role::Admin => "admin",
    }
}

fn role(word: &str) -> Option<Role> {
    [Role::Support, Role::Merchandiser, Role::Warehouse, Role::Admin].into_iter().find(|role| role_word(*role) == word)
}

fn part(json: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(json).unwrap_or_default())
}

/// Makes a token for `role`, valid from `now` for `ttl`. Its subject is the role, so that retries under a fresh token are still the
/// same caller's. Reads 16 random bytes for the token's own id.
#[must_use]
pub fn mint_token(key: &SigningKey, role: Role, ttl: Duration, now: Millis) -> String {
    let mut jti = [0; 16];
    // Only its uniqueness matters, and only to logs: without the system's randomness it stays zero.
    let _ = getrandom::fill(&mut jti);
    let iat = now.0 / 1_000;
    let header = part(&Header { alg: "EdDSA".to_owned(), typ: "at+jwt".to_owned(), kid: Some(key.verifying_key().id()), crit: None });
    let claims = part(&Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: format!("staff:{}", role_word(role)),
        exp: iat.saturating_add(ttl.as_secs()),
        iat,
        nbf: None,
        jti: URL_SAFE_NO_PAD.encode(jti),
        role: role_word(role).to_owned(),
    });
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(key.0.sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

/// Proves `token` as of `now`.
pub(crate) fn verify(key: &VerifyingKey, token: &str, now: Millis) -> Result<Staff, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed);
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
    if header.alg != "EdDSA" || !header.typ.eq_ignore_ascii_case("at+jwt") || header.crit.is_some() {
        return Err(TokenError::Header);
    }
    if header.kid.is_some_and(|kid| kid != key.id()) {
        return Err(TokenError::Header);
    }
    let signature = ed25519_dalek::Signature::from_slice(&decode(signature)?).map_err(|_| TokenError::Signature)?;
    // Strict: refuses the small-order keys and the non-canonical forms that plain Ed25519 lets pass.
    key.0.verify_strict(signed.as_bytes(), &signature).map_err(|_| TokenError::Signature)?;
    let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)?;
    if claims.iss != ISSUER || claims.aud != AUDIENCE {
        return Err(TokenError::Claims);
    }
    let now_s = now.0 / 1_000;
    let begins = claims.nbf.unwrap_or(claims.iat);
    if claims.exp.saturating_add(SKEW_S) <= now_s || begins > now_s.saturating_add(SKEW_S) {
        return Err(TokenError::Expired);
    }
    let role = role(&claims.role).ok_or(TokenError::Claims)?;
    Ok(Staff { subject: claims.sub, role })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Millis = Millis(1_780_000_000_000);

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[3; 32])
    }

    fn signed(header: &Value, claims: &Value, key: &SigningKey) -> String {
        let text = format!("{}.{}", part(header), part(claims));
        let signature = key.0.sign(text.as_bytes()).to_bytes();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn good() -> (Value, Value) {
        let s = NOW.0 / 1_000;
        (
            json!({"alg": "EdDSA", "typ": "at+jwt"}),
            json!({"iss": "emporion", "aud": "emporion", "sub": "staff:admin", "exp": s + 300, "iat": s, "jti": "1", "role": "admin"}),
        )
    }

    #[test]
    fn minted_tokens_prove_their_role() {
        for role in [Role::Support, Role::Merchandiser, Role::Warehouse, Role::Admin] {
            let token = mint_token(&key(), role, Duration::from_secs(300), NOW);
            let staff = verify(&key().verifying_key(), &token, NOW).expect("just minted");
            assert_eq!(staff, Staff { subject: format!("staff:{}", role_word(role)), role });
            assert_eq!(verify(&key().verifying_key(), &token, Millis(NOW.0 + 361_000)), Err(TokenError::Expired));
        }
    }

    #[test] // Each row changes one thing of a good token.
    fn wrong_tokens_prove_nothing() {
        let (header, claims) = good();
        assert!(verify(&key().verifying_key(), &signed(&header, &claims, &key()), NOW).is_ok(), "the unchanged one passes");
        let s = NOW.0 / 1_000;
        let rows: [(&str, Value, TokenError); 9] = [
            ("header", json!({"alg": "none"}), TokenError::Header),
            ("header", json!({"alg": "HS256"}), TokenError::Header),
            ("header", json!({"typ": "JWT"}), TokenError::Header),
            ("header", json!({"crit": ["b64"]}), TokenError::Header),
            ("header", json!({"kid": "another"}), TokenError::Header),
            ("claims", json!({"iss": "elsewhere"}), TokenError::Claims),
            ("claims", json!({"aud": "elsewhere"}), TokenError::Claims),
            ("claims", json!({"exp": s - 61}), TokenError::Expired),
            ("claims", json!({"role": "owner"}), TokenError::Claims),
        ];
        for (which, change, wanted) in rows {
            let (mut header, mut claims) = good();
            let target = if which == "header" { &mut header } else { &mut claims };
            for (name, value) in change.as_object().expect("an object") {
                target[name] = value.clone();
            }
            assert_eq!(verify(&key().verifying_key(), &signed(&header, &claims, &key()), NOW), Err(wanted), "{change}");
        }
        for missing in ["iss", "aud", "sub", "exp", "iat", "role"] {
            let (header, mut claims) = good();
            claims.as_object_mut().expect("an object").remove(missing);
            assert_eq!(verify(&key().verifying_key(), &signed(&header, &claims, &key()), NOW), Err(TokenError::Malformed), "{missing}");
        }
        let token = signed(&header, &claims, &SigningKey::from_bytes(&[4; 32]));
        assert_eq!(verify(&key().verifying_key(), &token, NOW), Err(TokenError::Signature));
        for text in ["", "a", "a.b", "a.b.c", "....", "!!.!!.!!"] {
            assert!(verify(&key().verifying_key(), text, NOW).is_err(), "{text}");
        }
        assert_eq!(verify(&key().verifying_key(), &"a".repeat(5_000), NOW), Err(TokenError::TooLong));
    }
}
