//! The mail server's certificate, signed by an authority that is made for it.

use std::{fmt, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    },
};

use super::shared::Certificate;

#[derive(Clone)]
pub(super) struct Identity {
    ca_pem: String,
    acceptor: TlsAcceptor,
}

impl Identity {
    pub(super) fn new(certificate: Certificate) -> Self {
        match certificate {
            Certificate::Signed => Self::signed(&own(names())),
            Certificate::SelfSigned => Self::self_signed(),
            Certificate::Expired => {
                let mut expired = own(names());
                expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
                Self::signed(&expired)
            }
            Certificate::ForAnotherName => Self::signed(&own(vec!["other.example".to_owned()])),
        }
    }

    fn self_signed() -> Self {
        let key = key();
        let mut own = own(names());
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = own.self_signed(&key).expect("it can sign itself");
        Self::serve(own.pem(), own.der().clone(), &key)
    }

    fn signed(own: &CertificateParams) -> Self {
        let ca_key = key();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca
            .self_signed(&ca_key)
            .expect("the authority can sign itself")
            .pem();
        let own_key = key();
        let own = own
            .signed_by(&own_key, &Issuer::new(ca, ca_key))
            .expect("the authority can sign");
        Self::serve(ca_pem, own.der().clone(), &own_key)
    }

    fn serve(ca_pem: String, own: CertificateDer<'static>, key: &KeyPair) -> Self {
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        // Named, since a process that links two providers has no default one.
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![own], private.into())
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

fn own(names: Vec<String>) -> CertificateParams {
    CertificateParams::new(names).expect("they are names of a host")
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}

fn names() -> Vec<String> {
    vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Identity")
    }
}
