//! `usher account watch`: shows what happens to an account as it happens, until it is verified.

use clap::Args;
use futures::{StreamExt as _, stream};
use proto::{accounts::WatchAccountRequest, verification::WatchVerificationRequest};
use serde::Serialize;

use super::{
    timeline,
    view::{Account, HistoryEntry, Verification},
    whom::id_of,
};
use crate::{
    exit::Failure,
    output::Format,
    service::Service,
    session::Session,
    terminal::{self, GOOD, say, tell},
};

/// Watch an account until it is verified
///
/// With --output json each line is one version: {"account": …} or {"verification": …}.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account watch 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f
  usher account watch ada@example.com
  usher account watch 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f --output json")]
pub(crate) struct WatchArguments {
    /// The account's id, or its address, which needs the admin token
    #[arg(value_name = "ACCOUNT")]
    whom: String,
}

/// One side's new version.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Version {
    Account(Account),
    Verification(Verification),
}

pub(super) async fn run(arguments: WatchArguments, session: &Session) -> Result<(), Failure> {
    let account_id = id_of(&arguments.whom, session).await?;
    let request = WatchAccountRequest {
        account_id: account_id.clone(),
    };
    let answer = session.accounts()?.watch_account(request).await;
    let accounts = session.reply(Service::Accounts, answer)?;
    let accounts = accounts.map(|version| match version {
        Ok(version) => Ok(Version::Account(version.account.unwrap_or_default().into())),
        Err(status) => Err(session.refusal(Service::Accounts, &status)),
    });
    let request = WatchVerificationRequest { account_id };
    let answer = session.verification()?.watch_verification(request).await;
    let verifications = session.reply(Service::Verification, answer)?;
    let verifications = verifications.map(|version| match version {
        Ok(version) => {
            let verification = version.verification.unwrap_or_default();
            Ok(Version::Verification(verification.into()))
        }
        Err(status) => Err(session.refusal(Service::Verification, &status)),
    });
    // Both sides, as they come: which of them hears of the end first is chance.
    let mut versions = stream::select(accounts, verifications);
    let mut seen = Vec::new();
    let mut is_verified = false;
    while let Some(version) = versions.next().await {
        let version = version?;
        is_verified |= matches!(&version, Version::Account(account) if account.is_verified());
        show(&version, &mut seen, session);
        if terminal::lost().is_some() {
            return Ok(()); // nobody reads on
        }
    }
    if !is_verified && session.format != Format::Json {
        tell("The services ended the watch: they are shutting down.");
    }
    Ok(())
}

/// For people, only what is new since the last version.
fn show(version: &Version, seen: &mut Vec<HistoryEntry>, session: &Session) {
    if session.format != Format::Table {
        return session.format.print_version(version, |_| String::new());
    }
    match version {
        Version::Account(account) if account.is_verified() => {
            say(format!("  {GOOD}The account is VERIFIED.{GOOD:#}"));
        }
        Version::Account(account) => {
            let Account { email, status, .. } = account;
            say(format!("  The account of {email} is {status}."));
        }
        Version::Verification(verification) => {
            let start = timeline::parsed(verification.created_at.as_deref());
            for entry in &verification.history {
                if !seen.contains(entry) {
                    say(timeline::line(entry, start));
                    seen.push(entry.clone());
                }
            }
        }
    }
}
