//! What the replicas of verification that can be asked know: each says so on `/readyz`.

use clap::Args;
use tokio::net::lookup_host;

use crate::{
    exit::{Exit, Failure},
    probe::{self, CodeKeys},
    service::Service,
    session::Session,
};

/// Whom to ask.
#[derive(Debug, Args)]
pub(super) struct ReplicaArguments {
    /// Admin listener of a replica of verification, http://HOST:PORT, once for each; a name that
    /// has several addresses means them all [default: verification of the running `usher up`, or
    /// --verification-admin-url]
    #[arg(long = "replica", value_name = "URL")]
    replicas: Vec<String>,
}

impl ReplicaArguments {
    /// Refuses unless every replica answers and `is_fine` with what it knows; `wrong` says of one
    /// what is not.
    pub(super) async fn agree(
        &self,
        session: &Session,
        wrong: &str,
        is_fine: impl Fn(&CodeKeys) -> bool,
    ) -> Result<(), Failure> {
        let mut complaints = Vec::new();
        let mut exit = Exit::Unavailable;
        for url in self.urls(session) {
            for url in addresses(&url).await {
                match probe::code_keys(&url).await {
                    Ok(keys) if is_fine(&keys) => {}
                    Ok(_) => {
                        exit = Exit::Refused;
                        complaints.push(format!("the replica at {url} {wrong}"));
                    }
                    Err(error) => {
                        complaints
                            .push(format!("the replica at {url} cannot be asked ({error:#})"));
                    }
                }
            }
        }
        if complaints.is_empty() {
            return Ok(());
        }
        let what = format!("Nothing was changed: {}.", complaints.join("; "));
        Err(Failure::new(exit, what))
    }

    /// The session that asks one of these replicas, and not the usual one.
    pub(super) fn session(&self, session: &Session) -> Session {
        let mut session = session.clone();
        if let Some(url) = self.replicas.first() {
            session.places.set_admin_url(Service::Verification, url);
        }
        session
    }

    fn urls(&self, session: &Session) -> Vec<String> {
        match &self.replicas[..] {
            [] => vec![session.places.admin_url(Service::Verification).to_owned()],
            named => named.to_vec(),
        }
    }
}

/// Of a name that several replicas have, as a headless service in a cluster, each address.
async fn addresses(url: &str) -> Vec<String> {
    let host = url.strip_prefix("http://");
    let host = host.or_else(|| url.strip_prefix("dns:///"));
    let host = host.unwrap_or_default();
    let Ok(found) = lookup_host(host.trim_end_matches('/')).await else {
        return vec![url.to_owned()]; // asked as it is, and what is wrong with it is said
    };
    let mut urls: Vec<String> = found.map(|address| format!("http://{address}")).collect();
    urls.sort();
    urls.dedup();
    match &urls[..] {
        [] | [_] => vec![url.to_owned()],
        _ => urls,
    }
}
