//! `usher keys list`: the keys of the file and of verification, and what names them.

use std::path::Path;

use clap::Args;
use proto::verification::{CodeKeyState, ListCodeKeysRequest};
use serde::Serialize;

use super::ring_file::{RingArguments, RingFile};
use crate::{
    account::view::time, exit::Failure, output::table, service::Service, session::Session,
};

/// List keys: what each is in the file and to verification, and what still names it (needs the
/// admin token)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher keys list
  usher keys list --output json | jq -r '.[] | select(.live_codes + .pending_mails == 0).key_id'

Words: in use (codes are made from it), new (known, not used yet), old (its codes are still checked
and mailed), retired (gone), unknown (codes name it, and this replica does not have it).")]
pub(crate) struct ListKeysArguments {
    #[command(flatten)]
    ring: RingArguments,
}

/// A key, wherever it is known.
#[derive(Debug, Serialize)]
pub(super) struct KeyUse {
    pub(super) key_id: String,
    /// What the file says of it; nothing where it does not have it.
    file: Option<&'static str>,
    /// What verification says of it.
    verification: Option<&'static str>,
    pub(super) live_codes: u64,
    pub(super) pending_mails: u64,
    /// When the last of its live codes expires.
    pub(super) live_until: Option<String>,
}

pub(super) async fn run(
    arguments: ListKeysArguments,
    data: &Path,
    session: &Session,
) -> Result<(), Failure> {
    let file = arguments.ring.open(data)?;
    let mut keys = of_service(session).await?;
    for (id, state) in of_file(&file) {
        match keys.iter_mut().find(|key| key.key_id == id) {
            Some(key) => key.file = Some(state),
            None => keys.push(KeyUse {
                key_id: id,
                file: Some(state),
                verification: None,
                live_codes: 0,
                pending_mails: 0,
                live_until: None,
            }),
        }
    }
    let ids = keys.iter().map(|key| &*key.key_id);
    session.format.print_named(&keys, ids, |keys| spoken(keys));
    Ok(())
}

/// What verification says of its keys.
pub(super) async fn of_service(session: &Session) -> Result<Vec<KeyUse>, Failure> {
    let mut admin = session.verification_admin()?;
    let listed = admin.list_code_keys(ListCodeKeysRequest {}).await;
    let listed = session.admin_reply(Service::Verification, listed)?;
    let mut keys = Vec::with_capacity(listed.keys.len());
    for key in listed.keys {
        let state = word(key.state());
        keys.push(KeyUse {
            key_id: key.key_id,
            file: None,
            verification: Some(state),
            live_codes: key.live_codes,
            pending_mails: key.pending_mails,
            live_until: time(key.live_until.as_ref()),
        });
    }
    Ok(keys)
}

fn of_file(file: &RingFile) -> Vec<(String, &'static str)> {
    let Some(ring) = file.ring() else {
        return Vec::new();
    };
    let known = ring.ids().map(|id| {
        let state = match () {
            () if ring.in_use().id() == id => CodeKeyState::InUse,
            () if ring.is_new(id) => CodeKeyState::New,
            () => CodeKeyState::Old,
        };
        (id.to_owned(), word(state))
    });
    let retired = ring.retired().iter();
    let retired = retired.map(|id| (id.clone(), word(CodeKeyState::Retired)));
    known.chain(retired).collect()
}

fn word(state: CodeKeyState) -> &'static str {
    match state {
        CodeKeyState::InUse => "in use",
        CodeKeyState::New => "new",
        CodeKeyState::Old => "old",
        CodeKeyState::Retired => "retired",
        CodeKeyState::Unknown | CodeKeyState::Unspecified => "unknown",
    }
}

fn spoken(keys: &[KeyUse]) -> String {
    let rows = keys.iter().map(|key| {
        [
            key.key_id.clone(),
            key.file.unwrap_or("–").to_owned(),
            key.verification.unwrap_or("–").to_owned(),
            key.live_codes.to_string(),
            key.pending_mails.to_string(),
            key.live_until.clone().unwrap_or_default(),
        ]
    });
    let heading = [
        "KEY",
        "FILE",
        "VERIFICATION",
        "LIVE CODES",
        "PENDING MAILS",
        "LAST CODE EXPIRES",
    ];
    table(heading, rows)
}
