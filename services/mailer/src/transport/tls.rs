//! Trust in the mail server's certificate: the public authorities, and what `ca=` in
//! `USHER_MAIL_URL` names. `wire` and `connect` encrypt with it.

use std::{io, path::Path, sync::Arc};

use anyhow::Context as _;
use kit::{config::RefusedSetting, words};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
        SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::ring,
        pki_types::{
            CertificateDer, ServerName, UnixTime,
            pem::{self, PemObject as _},
        },
    },
};

use super::url::SmtpServer;

/// How to encrypt a connection to one mail server.
pub(super) struct Trust {
    connector: TlsConnector,
    host: ServerName<'static>,
}

impl Trust {
    /// Reads the file of certificates, if there is one.
    pub(super) fn in_server(server: &SmtpServer) -> anyhow::Result<Self> {
        let ours = match &server.authority {
            Some(path) => certificates(path)?,
            None => Vec::new(),
        };
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        // One that is no authority's is none here, and still pinned.
        roots.add_parsable_certificates(ours.iter().cloned());
        let provider = Arc::new(ring::default_provider());
        let others = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .context("USHER_MAIL_URL: the authorities cannot be used.")?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS 1.2 and 1.3 cannot be set up.")?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { ours, others }))
            .with_no_client_auth();
        let host = ServerName::try_from(server.host.clone())
            .context("USHER_MAIL_URL: TLS cannot be set up for this host.")?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            host,
        })
    }

    /// Shakes hands. An error is for people: why, and what helps.
    pub(super) async fn encrypt(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let shaken = self.connector.connect(self.host.clone(), tcp).await;
        shaken.map_err(|error| in_words(&error, &self.host.to_str()))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, RefusedSetting> {
    let unreadable = |error: pem::Error| {
        let why = match &error {
            pem::Error::Io(error) => words::of_io(error),
            _ => "it is no PEM file".to_owned(),
        };
        RefusedSetting(format!(
            "USHER_MAIL_URL: ca= names {}, which cannot be read: {why}.",
            path.display()
        ))
    };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(unreadable)?;
    match certificates.is_empty() {
        false => Ok(certificates),
        true => Err(RefusedSetting(format!(
            "USHER_MAIL_URL: ca= names {}, in which there is no certificate (-----BEGIN CERTIFICATE-----).",
            path.display()
        ))),
    }
}

/// Public authorities and ours sign as usual. Beside that, a server may show a certificate that
/// stands in our file itself.
#[derive(Debug)]
struct Pinned {
    ours: Vec<CertificateDer<'static>>,
    others: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // It is trusted as it is, whoever signed it and whatever name and dates it bears, as
        // `openssl req -x509` makes it; that the server has its key is proven by the handshake.
        if self.ours.iter().any(|ours| ours == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let others = &self.others;
        others.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.others.supported_verify_schemes()
    }
}

/// Why there is no TLS, and of a certificate the ways out.
fn in_words(error: &io::Error, host: &str) -> String {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    let why = match inner {
        Some(Error::InvalidCertificate(why)) => why,
        // What is no TLS at all begins with the words of a greeting.
        Some(Error::InvalidMessage(_)) => {
            return "no TLS: the port does not speak it from the first byte. smtps:// is for ports that do (465), smtp:// \
                    for those with STARTTLS (587, 25)"
                .to_owned();
        }
        Some(Error::AlertReceived(alert)) => {
            return format!(
                "no TLS: the mail server breaks it off ({alert:?}); it may know neither TLS 1.2 nor 1.3"
            );
        }
        Some(Error::PeerIncompatible(_)) => {
            return "no TLS: the mail server knows neither TLS 1.2 nor 1.3, or no cipher that is safe".to_owned();
        }
        Some(error) => return format!("no TLS: {error}"),
        None => return format!("no TLS: {}", words::of_io(error)),
    };
    let why = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name"
        }
        CertificateError::Revoked => "was revoked",
        // webpki's own errors come wrapped, and tell themselves apart by their words alone.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "is an authority's, used as a server's own: as a rule it is self-signed (`openssl req -x509`)"
        }
        CertificateError::UnknownIssuer => {
            "is by an authority that is not known here, or self-signed"
        }
        _ => "is no good",
    };
    format!(
        "the certificate {why}. Ways out: trust it (ca=FILE.pem in USHER_MAIL_URL), do without TLS (smtp:// with \
         tls=off), or give the server a certificate that a public authority signed for {host}"
    )
}
