//! Whose word is taken for it that a server is the one that was meant.

use std::{fmt, io, path::Path, sync::Arc};

use kit::words;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{
            CertificateDer, ServerName,
            pem::{self, PemObject as _},
        },
    },
};

#[derive(Clone)]
pub(crate) struct Trust(TlsConnector);

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

impl Trust {
    pub(super) fn in_public_authorities() -> Self {
        Self::of(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        })
    }

    /// In the authorities of a PEM file and nobody else.
    ///
    /// # Errors
    /// Why there is none in it, in words; no full stop.
    pub(crate) fn in_file(path: &Path) -> Result<Self, String> {
        let read = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| match &error {
                pem::Error::Io(error) => words::of_io(error),
                _ => "it is no PEM file".to_owned(),
            })?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(read);
        match roots.is_empty() {
            false => Ok(Self::of(roots)),
            true => Err("there is no certificate of an authority in it".to_owned()),
        }
    }

    fn of(roots: RootCertStore) -> Self {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// Shakes hands with `host`.
    ///
    /// # Errors
    /// Why it did not come about, in words; no full stop.
    pub(super) async fn encrypt(
        &self,
        tcp: TcpStream,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| "its name cannot stand in a certificate".to_owned())?;
        let shaken = self.0.connect(name, tcp).await;
        shaken.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => format!("TLS does not come about: {error}"),
            _ => words::of_io(&error),
        })
    }
}
