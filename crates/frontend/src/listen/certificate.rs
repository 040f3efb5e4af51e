//! Certificates and keys from PEM text, with errors that name the file and what is wrong
//! with it.

use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::Pem;
use super::tls::TlsError;

/// A certificate's validity is warned of when it ends within this time.
const SOON: Duration = Duration::from_hours(24);

/// What is wrong with text whose sections have no end, or hold what is not base64.
const BROKEN: &str = "it is no PEM text that can be read: a part of it is missing, or its line \
                      breaks are";

/// The certificates in a file, at least one.
pub(super) fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.text.as_bytes()).collect();
    // The library's words repeat what they could not read, which may be a key.
    let found = found.map_err(|_| TlsError::new(pem, BROKEN))?;
    if found.is_empty() {
        let also = if pem.text.contains("PRIVATE KEY-----") {
            ", but a private key: certificate and key may be swapped"
        } else {
            ""
        };
        return Err(TlsError::new(
            pem,
            format!("there is no certificate in it{also}"),
        ));
    }
    Ok(found)
}

/// The private key in a file.
pub(super) fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, TlsError> {
    if pem.text.contains("ENCRYPTED") {
        let why = "the key in it is encrypted; give one without a passphrase";
        return Err(TlsError::new(pem, why));
    }
    PrivateKeyDer::from_pem_slice(pem.text.as_bytes())
        .map_err(|_| TlsError::new(pem, "there is no private key in it that can be read"))
}

/// The roots in a file.
pub(super) fn roots(pem: &Pem) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| {
            TlsError::new(pem, format!("a certificate in it can't be read: {error}"))
        })?;
    }
    Ok(roots)
}

/// Warns of a certificate that is not valid now, or not for long. Clients refuse it then;
/// whether that is worse than no server is not for us to say, and clocks are wrong too.
pub(super) fn warn_of_validity(pem: &Pem, certificate: &CertificateDer<'_>) {
    let now = UnixTime::now();
    let at = |time| validity(certificate, time);
    let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
    match (at(now), at(soon)) {
        (Some(wrong), _) => log::warn!("the certificate in {} {wrong}", pem.source),
        (None, Some(_)) => log::warn!("the certificate in {} expires within a day", pem.source),
        (None, None) => {}
    }
}

/// What is wrong with a certificate's validity at a time.
fn validity(certificate: &CertificateDer<'_>, time: UnixTime) -> Option<&'static str> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    // Without roots it always fails; at the validity before it looks for them.
    let failure = certificate
        .verify_for_usage(
            algorithms,
            &[],
            &[],
            time,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .err()?;
    match failure {
        webpki::Error::CertExpired { .. } => Some("has expired"),
        webpki::Error::CertNotValidYet { .. } => Some("is not valid yet"),
        _ => None,
    }
}
