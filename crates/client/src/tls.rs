//! TLS of a channel: whom it trusts, what it proves itself with, and what a handshake
//! that failed means.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use webpki::EndEntityCert;

use crate::address::Address;
use crate::code::Code;
use crate::dial::NoLink;
use crate::error::ClientError;

/// What gRPC is spoken over.
const HTTP2: &[u8] = b"h2";

/// PEM text, and the name it has in messages: its file's.
pub struct Pem {
    /// The text.
    pub text: String,
    /// Where it is from.
    pub source: String,
}

/// Whom a channel trusts, and what it proves itself with.
pub struct TlsOptions {
    /// The roots of servers' certificates; `None`: the system's.
    pub ca: Option<Pem>,
    /// Our certificate and those between it and its root, and its key.
    pub identity: Option<(Pem, Pem)>,
    /// The name that a server's certificate must have; `None`: that of its address.
    pub server_name: Option<String>,
}

/// TLS that is ready to be spoken; clones share it.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Tls({:?})", self.server_name)
    }
}

impl Tls {
    /// Reads the certificates; the error names the one that can't be used.
    pub fn new(options: &TlsOptions) -> Result<Self, ClientError> {
        let provider = Arc::new(ring::default_provider());
        let given = match &options.ca {
            Some(ca) => certificates(ca)?,
            None => Vec::new(),
        };
        let roots = match &options.ca {
            Some(ca) => roots_of(ca, &given)?,
            None => system_roots()?,
        };
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| refuse(&error.to_string()))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(&error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { verifier, given }));
        let mut config = match &options.identity {
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|error| refuse_identity(certificate, key, &error))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![HTTP2.to_vec()];
        // It has a lock, which a fork would copy as it is; connections are few and long.
        config.resumption = rustls::client::Resumption::disabled();
        let server_name = options.server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone())
                .map_err(|_| refuse(&format!("{name:?} is no name that a certificate can have")))
        });
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            server_name: server_name.transpose()?,
        })
    }

    /// Makes the handshake.
    pub(crate) async fn connect<S>(
        &self,
        address: &Address,
        stream: S,
    ) -> Result<TlsStream<S>, NoLink>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(address.host().to_owned())
                .map_err(|_| NoLink::lasting("its name is none that a certificate can have"))?,
        };
        let connected = self.connector.connect(name, stream).await;
        let stream = connected.map_err(|error| no_link(&error))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(HTTP2) => Ok(stream),
            _ => Err(NoLink::lasting("it speaks TLS, but not HTTP/2 over it")),
        }
    }
}

/// Verifies by the rules of the web, but for one thing: a server's certificate that is
/// itself among the given roots, as people make them for themselves, is trusted although
/// it says that it is a root.
#[derive(Debug)]
struct Verifier {
    verifier: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.verifier
                .verify_server_cert(certificate, intermediates, name, ocsp_response, now);
        match verified {
            Err(Error::InvalidCertificate(CertificateError::Other(ref other)))
                if is_root_at_the_end(other) && self.given.iter().any(|it| it == certificate) =>
            {
                // That it is valid now has been looked at before.
                EndEntityCert::try_from(certificate)
                    .and_then(|certificate| certificate.verify_is_valid_for_subject_name(name))
                    .map(|()| ServerCertVerified::assertion())
                    .map_err(|_| CertificateError::NotValidForName.into())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn is_root_at_the_end(error: &rustls::OtherError) -> bool {
    let error = error.0.downcast_ref::<webpki::Error>();
    matches!(error, Some(webpki::Error::CaUsedAsEndEntity))
}

/// What is wrong with text whose sections have no end, or hold what is not base64.
const BROKEN: &str = "it is no PEM text that can be read: a part of it is missing, or its line \
                      breaks are";

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.text.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(refuse_pem(pem, "there is no certificate in it")),
        Ok(found) => Ok(found),
        // The library's words repeat what they could not read, which may be a key.
        Err(_) => Err(refuse_pem(pem, BROKEN)),
    }
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, ClientError> {
    if pem.text.contains("ENCRYPTED") {
        let why = "the key in it is encrypted; give one without a passphrase";
        return Err(refuse_pem(pem, why));
    }
    PrivateKeyDer::from_pem_slice(pem.text.as_bytes())
        .map_err(|_| refuse_pem(pem, "there is no private key in it that can be read"))
}

fn roots_of(
    ca: &Pem,
    certificates: &[CertificateDer<'static>],
) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).map_err(|error| {
            refuse_pem(ca, &format!("a certificate in it can't be read: {error}"))
        })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    // What a system has beside them and can't be read is none of this channel's.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(refuse(
            "the system has no root certificates; install its package ca-certificates, or \
             give the server's as ca",
        ));
    }
    Ok(roots)
}

fn refuse_identity(certificate: &Pem, key: &Pem, error: &Error) -> ClientError {
    if matches!(error, Error::InconsistentKeys(_)) {
        let why = format!(
            "the key is not that of the certificate in {}",
            certificate.source
        );
        return refuse_pem(key, &why);
    }
    refuse_pem(key, &error.to_string())
}

fn refuse_pem(pem: &Pem, why: &str) -> ClientError {
    let message = format!("{} can't be used for TLS: {why}", pem.source);
    ClientError::local(Code::InvalidArgument, message)
}

fn refuse(why: &str) -> ClientError {
    ClientError::local(
        Code::InvalidArgument,
        format!("no TLS can be spoken: {why}"),
    )
}

/// What a failed handshake means. Whatever is wrong with certificates stays wrong.
fn no_link(error: &io::Error) -> NoLink {
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => NoLink::passing("it hung up during the TLS handshake"),
            _ => NoLink::passing(&format!("the TLS handshake failed: {error}")),
        };
    };
    match cause {
        Error::InvalidCertificate(why) => NoLink::lasting(&refused_certificate(why)),
        Error::InvalidMessage(_) => NoLink::lasting("it does not speak TLS"),
        Error::AlertReceived(alert) => NoLink::lasting(&alert_in_words(*alert)),
        other => NoLink::lasting(&format!("the TLS handshake failed: {other}")),
    }
}

fn refused_certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "its certificate is signed by none of the trusted roots".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName => "its certificate is for another name".to_owned(),
        other => format!("its certificate is refused: {other}"),
    }
}

/// What begins the text of an alert that HTTP/2 passes on: servers of TLS 1.3 refuse a
/// client's certificate after the handshake.
const ALERT: &str = "received fatal alert: ";

/// The alert in the text of an HTTP/2 error, in words; `None`: it is another error.
pub(crate) fn late_alert(text: &str) -> Option<String> {
    let (_, alert) = text.split_once(ALERT)?;
    let known = [
        AlertDescription::CertificateRequired,
        AlertDescription::UnknownCA,
        AlertDescription::BadCertificate,
        AlertDescription::CertificateExpired,
        AlertDescription::CertificateUnknown,
        AlertDescription::DecryptError,
    ];
    let found = known.into_iter().find(|it| {
        let name = format!("{it:?}");
        alert
            .strip_prefix(&name)
            .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    });
    Some(match found {
        Some(alert) => alert_in_words(alert),
        None => format!("it ended the connection with the TLS alert {alert}"),
    })
}

fn alert_in_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "it wants a client certificate".to_owned(),
        AlertDescription::UnknownCA => "it does not know the root of our certificate".to_owned(),
        AlertDescription::CertificateExpired => {
            "it says that our certificate has expired".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError => {
            format!("it refuses our certificate ({alert:?})")
        }
        AlertDescription::NoApplicationProtocol => {
            "it speaks TLS, but not HTTP/2 over it".to_owned()
        }
        other => format!("it ended the handshake with the TLS alert {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::late_alert;

    #[test]
    fn late_alerts_are_told_from_other_errors() {
        for (text, words) in [
            (
                "io error: received fatal alert: CertificateRequired",
                "it wants a client certificate",
            ),
            (
                "received fatal alert: the peer is odd",
                "it ended the connection with the TLS alert the peer is odd",
            ),
        ] {
            assert_eq!(late_alert(text).unwrap(), words);
        }
        assert_eq!(late_alert("connection reset"), None);
    }
}
