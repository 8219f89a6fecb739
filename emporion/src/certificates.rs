//! Certificates for development: an authority that stays, so that a browser or `curl` can be told of it once, and a new certificate from it
//! at every start.
//!
//! The authority's certificate is `dev-ca.pem`, its key `keys/dev-ca.key`. The server's own key is never on disk. Processes of one shop that have folders of
//! their own take over the authority of one of them, so that its clients are told of one only.

use crate::{fail::Fail, files, keys::Authority};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::Offset};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

pub(crate) const CA: &str = "dev-ca.pem";
const CA_KEY: &str = "dev-ca.key";
/// How long an authority is good for.
const CA_YEARS: i64 = 10;
/// How long a server certificate is good for; browsers take no more than 398 days from public authorities.
const SERVER_DAYS: i64 = 397;

/// What the gateway needs, and where the authority's certificate is.
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// A certificate for this machine's own names and `listen`, from the authority in `data`, which is made when there is none or it would
/// end before the certificate does.
pub(crate) fn prepare(data: &Path, listen: IpAddr, now: Timestamp) -> Result<Certificates, Fail> {
    let unusable = |error: Error| Fail::Failed(format!("no certificate can be made: {error}"));
    let today = today(now);
    let (ca_path, issuer) = authority(data, today)?;

    let mut params = CertificateParams::default();
    params.distinguished_name = named("Emporion");
    params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().map_err(unusable)?)];
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if !listen.is_unspecified() && !addresses.contains(&listen) {
        addresses.push(listen);
    }
    params.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, today, today.saturating_add(SERVER_DAYS.days()));
    let key = KeyPair::generate().map_err(unusable)?;
    let certificate = params.signed_by(&key, &issuer).map_err(unusable)?;
    let chain = vec![certificate.der().clone()];
    Ok(Certificates { ca: ca_path, chain, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() })
}

/// Makes an authority in `data` when there is none, or it ends soon. One that was laid down is put into its place.
pub(crate) fn prepare_authority(data: &Path, now: Timestamp) -> Result<(), Fail> {
    if !data.join(CA).exists()
        && let Some(laid_down) = read_authority(data)?
    {
        write_authority(data, &laid_down)?;
    }
    authority(data, today(now)).map(drop)
}

/// The authority in `data`, or one that was laid down there; `None` if it is not there, or only half.
pub(crate) fn read_authority(data: &Path) -> Result<Option<Authority>, Fail> {
    let keys = data.join(files::KEYS);
    let at = |certificate: &Path| files::authority(certificate, &keys.join(CA_KEY));
    Ok(at(&data.join(CA))?.or(at(&keys.join(CA))?))
}

/// Puts another folder's authority among the keys of `data`, until [`prepare_authority`] puts its certificate where people look for it: what is to become an
/// engine's folder has nothing beside the keys.
pub(crate) fn lay_down_authority(data: &Path, authority: &Authority) -> Result<(), Fail> {
    let keys = files::keys(data)?;
    files::write(&keys.join(CA_KEY), authority.key.as_bytes(), 0o600)?;
    files::write(&keys.join(CA), authority.certificate.as_bytes(), 0o644)
}

/// Puts another folder's authority into `data`.
pub(crate) fn write_authority(data: &Path, authority: &Authority) -> Result<(), Fail> {
    files::write(&files::keys(data)?.join(CA_KEY), authority.key.as_bytes(), 0o600)?;
    files::write(&data.join(CA), authority.certificate.as_bytes(), 0o644)
}

fn today(now: Timestamp) -> Date {
    Offset::UTC.to_datetime(now).date()
}

fn authority(data: &Path, today: Date) -> Result<(PathBuf, Issuer<'static, KeyPair>), Fail> {
    let (path, key_path) = (data.join(CA), files::keys(data)?.join(CA_KEY));
    if let Some(Authority { certificate: pem, key }) = read_authority(data)? {
        let damaged = |why: String| {
            Fail::Failed(format!(
                "{} and {} do not read ({why}): remove both and a new authority is made",
                path.display(),
                key_path.display()
            ))
        };
        let ends = ends(&pem).map_err(damaged)?;
        if ends > today.saturating_add(SERVER_DAYS.days()) {
            let key = KeyPair::from_pem(&key).map_err(|error| damaged(error.to_string()))?;
            let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(|error| damaged(error.to_string()))?;
            return Ok((path, issuer));
        }
        tracing::warn!(%ends, "the development certificate authority ends soon; a new one is made, which clients must be told of");
    }
    let unusable = |error: Error| Fail::Failed(format!("no certificate authority can be made: {error}"));
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Emporion development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, today, today.saturating_add(CA_YEARS.years()));
    let key = KeyPair::generate().map_err(unusable)?;
    let certificate = params.self_signed(&key).map_err(unusable)?;
    write_authority(data, &Authority { certificate: certificate.pem(), key: key.serialize_pem() })?;
    Ok((path, Issuer::new(params, key)))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Valid from the day before, for clocks that are a little behind.
fn valid(params: &mut CertificateParams, today: Date, until: Date) {
    let date = |date: Date| date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs());
    (params.not_before, params.not_after) = (date(today.saturating_sub(1.day())), date(until));
}

/// The last day of a certificate in PEM.
fn ends(pem: &str) -> Result<Date, String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|error| error.to_string())?;
    let certificate = pem.parse_x509().map_err(|error| error.to_string())?;
    let seconds = certificate.validity().not_after.timestamp();
    Timestamp::from_second(seconds).map(|time| Offset::UTC.to_datetime(time).date()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn an_authority_stays_until_it_is_nearly_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let prepare = |time| {
            prepare(folder.path(), IpAddr::from([10, 0, 0, 7]), at(time)).map(|made| fs::read_to_string(made.ca).expect("its certificate"))
        };
        let first = prepare("2026-01-31T12:00:00Z").expect("made");
        assert_eq!(ends(&first), Ok(Date::constant(2036, 1, 31)));
        assert_eq!(prepare("2034-12-01T00:00:00Z").expect("kept"), first);
        assert_ne!(prepare("2035-06-01T00:00:00Z").expect("made anew"), first);
        let key = folder.path().join("keys/dev-ca.key");
        assert_eq!(fs::metadata(&key).expect("the key").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("changes");
        let Err(Fail::Failed(why)) = prepare("2035-06-01T00:00:00Z") else { panic!("a key that others can read is taken") };
        assert!(why.contains("chmod 600"), "{why}");
    }
}
