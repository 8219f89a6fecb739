//! A certificate authority of the cluster's own, made at first start, so that inside links are authenticated without any setting up.
//!
//! Path: [`DevCa::generate`] once, its two texts kept beside the data (the key readable by the owner alone) → [`DevCa::load`] at
//! each start → [`DevCa::issue`] for each process → [`super::server_config`] and [`super::client_config`]. A cluster that has an
//! authority already brings its own certificates in the same form.
//! Deliberately absent: files, clocks (the time is an argument), revocation: certificates are short-lived instead.

use super::identity::{Identity, Part};
use crate::Millis;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use std::{fmt, time::Duration};

/// How long an authority is good for.
pub const AUTHORITY_DAYS: u64 = 3_650;
/// How long an issued certificate is good for. Processes ask for a new one at each start; this is the longest they may run.
pub const CERTIFICATE_DAYS: u64 = 365;
/// Certificates begin this much before they are made, for peers whose clocks are behind.
pub const CLOCK_SKEW_MS: u64 = 5 * 60 * 1_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Signs the certificates of one cluster.
pub struct DevCa {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    key_pem: String,
}

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Credentials {
    /// Shown to peers; may be followed by those between it and the authority.
    pub certificate_pem: String,
    /// PKCS #8. Secret.
    pub key_pem: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("certificate_pem", &self.certificate_pem).field("key_pem", &"[REDACTED]").finish()
    }
}

impl fmt::Debug for DevCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevCa").finish_non_exhaustive()
    }
}

/// The authority cannot be made, or is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A text is no certificate or key, or signing failed.
    #[error("the certificate authority cannot be used: {why}")]
    Unusable {
        /// The library's words.
        why: String,
    },
    /// Two files that do not belong together.
    #[error("the key of the certificate authority is not that of its certificate")]
    KeyMismatch,
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Unusable { why: error.to_string() }
    }
}

impl DevCa {
    /// Makes a new one (ECDSA on P-256), good from `now` for [`AUTHORITY_DAYS`].
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn generate(now: Millis) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Emporion cluster authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)); // signs processes, not other authorities
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        span(&mut params, now, now.plus(AUTHORITY_DAYS * DAY_MS));
        let (certificate_pem, key_pem) = (params.self_signed(&key)?.pem(), key.serialize_pem());
        Ok(Self { issuer: Issuer::new(params, key), certificate_pem, key_pem })
    }

    /// Takes up one made before.
    ///
    /// # Errors
    /// If a text cannot be read, or the two do not belong together.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key_pem)?;
        let unusable = |why: String| AuthorityError::Unusable { why };
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes()).map_err(|error| unusable(error.to_string()))?;
        let certificate = pem.parse_x509().map_err(|error| unusable(error.to_string()))?;
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err(AuthorityError::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key)?;
        Ok(Self { issuer, certificate_pem: certificate_pem.into(), key_pem: key_pem.into() })
    }

    /// What peers must know to trust what it signed.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its secret, to be kept.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// A new key and certificate for `identity`, good from `now` for [`CERTIFICATE_DAYS`].
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn issue(&self, identity: &Identity, now: Millis) -> Result<Credentials, AuthorityError> {
        self.issue_until(identity, now, now.plus(CERTIFICATE_DAYS * DAY_MS))
    }

    /// The same, good until `until`.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn issue_until(&self, identity: &Identity, now: Millis, until: Millis) -> Result<Credentials, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, identity.name());
        params.subject_alt_names =
            vec![SanType::URI(identity.to_string().try_into()?), SanType::DnsName(identity.part().dns_name().try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // A stolen gateway's key cannot pose as an engine even to a client that forgets to look at the URI.
        params.extended_key_usages = match identity.part() {
            Part::Gateway | Part::Adapter => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Part::Engine => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        span(&mut params, now, until);
        let key = KeyPair::generate()?;
        Ok(Credentials { certificate_pem: params.signed_by(&key, &self.issuer)?.pem(), key_pem: key.serialize_pem() })
    }
}

fn span(params: &mut CertificateParams, now: Millis, until: Millis) {
    // A certificate's dates end with the year 9999.
    const LAST_MS: u64 = 253_402_300_799_000;
    let date = |ms: u64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(ms.min(LAST_MS));
    params.not_before = date(now.0.saturating_sub(CLOCK_SKEW_MS));
    params.not_after = date(until.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::{CertificateDer, pem::PemObject};

    const NOW: Millis = Millis(1_764_000_000_000);

    #[test]
    fn certificates_name_their_identity() {
        let made = DevCa::generate(NOW).expect("randomness");
        let loaded = DevCa::load(made.certificate_pem(), made.key_pem()).expect("its own texts");
        for identity in ["spiffe://emporion.local/gateway/web-1", "spiffe://emporion.local/engine/a"] {
            let identity: Identity = identity.parse().expect("an identity");
            let credentials = loaded.issue(&identity, NOW).expect("randomness");
            let der = CertificateDer::from_pem_slice(credentials.certificate_pem.as_bytes()).expect("PEM");
            assert_eq!(Identity::of_certificate(&der), Ok(identity));
            assert!(!format!("{credentials:?}").contains("PRIVATE"));
        }
    }

    #[test]
    fn texts_that_do_not_belong_together_are_refused() {
        let (one, other) = (DevCa::generate(NOW).expect("randomness"), DevCa::generate(NOW).expect("randomness"));
        assert_eq!(DevCa::load(one.certificate_pem(), other.key_pem()).unwrap_err(), AuthorityError::KeyMismatch);
        assert!(DevCa::load("", one.key_pem()).is_err());
        assert!(DevCa::load(one.certificate_pem(), "").is_err());
        // The authority's own certificate is nobody's identity.
        let der = CertificateDer::from_pem_slice(one.certificate_pem().as_bytes()).expect("PEM");
        assert!(Identity::of_certificate(&der).is_err());
    }
}
