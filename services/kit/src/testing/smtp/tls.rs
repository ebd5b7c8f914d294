//! The mail server's certificate, signed by an authority that is made for it.

use std::{fmt, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer},
};

#[derive(Clone)]
pub(super) struct Identity {
    ca_pem: String,
    acceptor: TlsAcceptor,
}

impl Identity {
    pub(super) fn new() -> Self {
        let key = || KeyPair::generate().expect("a key can be made");
        let ca_key = key();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca
            .self_signed(&ca_key)
            .expect("the authority can sign itself")
            .pem();
        let own_key = key();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = CertificateParams::new(names).expect("both are names of a host");
        let own = own
            .signed_by(&own_key, &Issuer::new(ca, ca_key))
            .expect("the authority can sign");
        let private = PrivatePkcs8KeyDer::from(own_key.serialize_der());
        // Named, since a process that links two providers has no default one.
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], private.into())
            .expect("the certificate fits its key");
        Self {
            ca_pem,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Identity")
    }
}
