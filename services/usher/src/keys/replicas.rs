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

/// A replica, and what it knows, or why it did not say.
pub(super) struct Replica {
    pub(super) url: String,
    pub(super) keys: Result<CodeKeys, String>,
}

impl ReplicaArguments {
    /// Asks all of them.
    pub(super) async fn ask(&self, session: &Session) -> Vec<Replica> {
        let mut replicas = Vec::new();
        for url in self.urls(session) {
            for url in addresses(&url).await {
                let keys = probe::code_keys(&url).await;
                let keys = keys.map_err(|error| format!("{error:#}"));
                replicas.push(Replica { url, keys });
            }
        }
        replicas
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
    let host = url
        .strip_prefix("http://")
        .map(|host| host.trim_end_matches('/'));
    let Some(Ok(found)) = async { Some(lookup_host(host?).await) }.await else {
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

/// Refuses unless every replica answered and `is_fine` with what it knows; `wrong` says of one what
/// is not.
pub(super) fn agree(
    replicas: &[Replica],
    wrong: impl Fn(&CodeKeys) -> Option<String>,
) -> Result<(), Failure> {
    let mut complaints = Vec::new();
    let mut exit = Exit::Unavailable;
    for Replica { url, keys } in replicas {
        match keys {
            Ok(keys) => {
                if let Some(what) = wrong(keys) {
                    exit = Exit::Refused;
                    complaints.push(format!("the replica at {url} {what}"));
                }
            }
            Err(why) => complaints.push(format!("the replica at {url} cannot be asked ({why})")),
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    let what = format!("Nothing was changed: {}.", complaints.join("; "));
    Err(Failure::new(exit, what))
}
