//! A server's TLS identity: versions 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, and
//! clients' certificates where they are wanted.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, ServerConfig};

use super::certificate::{certificates, private_key, roots, warn_of_validity};
use super::{Pem, TlsOptions};

/// Why a certificate, a key or a root can't be used; names its file.
#[derive(Debug, thiserror::Error)]
#[error("{source_name} can't be used for TLS: {why}")]
pub struct TlsError {
    source_name: String,
    why: String,
}

impl TlsError {
    pub(super) fn new(pem: &Pem, why: impl Into<String>) -> Self {
        Self {
            source_name: pem.source.clone(),
            why: why.into(),
        }
    }
}

/// What connections are greeted with.
pub(crate) fn server_config(options: &TlsOptions) -> Result<Arc<ServerConfig>, TlsError> {
    // ring, and no other that a library may have made the default: it is built with
    // nothing but a C compiler.
    let provider = Arc::new(ring::default_provider());
    let identity = identity(options, &provider)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new(&options.certificate, error.to_string()))?;
    let builder = match &options.client_ca {
        Some(ca) => builder.with_client_cert_verifier(verifier(options, ca, &provider)?),
        None => builder.with_no_client_auth(),
    };
    let resolver = SingleCertAndKey::from(identity);
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn identity(options: &TlsOptions, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&options.certificate)?;
    let key = private_key(&options.key)?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        let why = "its key is of a kind that is not taken; RSA from 2048 bits, ECDSA on P-256 or \
                   P-384, and Ed25519 are";
        TlsError::new(&options.key, why)
    })?;
    warn_of_validity(&options.certificate, &chain[0]);
    let identity = CertifiedKey::new(chain, key);
    match identity.keys_match() {
        // Not every kind of key tells.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(identity),
        Err(Error::InconsistentKeys(_)) => {
            let certificate = &options.certificate.source;
            let why = format!("the key is not that of the certificate in {certificate}");
            Err(TlsError::new(&options.key, why))
        }
        Err(error) => Err(TlsError::new(
            &options.certificate,
            format!("its certificate can't be read: {error}"),
        )),
    }
}

fn verifier(
    options: &TlsOptions,
    ca: &Pem,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(roots(ca)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let builder = if options.require_client {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder
        .build()
        .map_err(|error| TlsError::new(ca, error.to_string()))
}
