//! `usher account watch`: shows what happens to an account as it happens, until it is verified.

use clap::Args;
use proto::{
    accounts::{WatchAccountRequest, WatchAccountResponse},
    verification::WatchVerificationRequest,
};
use serde::Serialize;
use tonic::Status;

use super::{
    follow::Side,
    timeline,
    view::{Account, HistoryEntry, Verification},
};
use crate::{
    exit::Failure,
    output::Format,
    service::Service,
    session::Session,
    terminal::{GOOD, say},
};

/// Watch an account until it is verified
///
/// With --output json each line is one version: {"account": …} or {"verification": …}.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account watch 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f
  usher account watch 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f --output json")]
pub(crate) struct WatchArguments {
    /// The account's id
    #[arg(value_name = "ACCOUNT")]
    account_id: String,
}

/// One side's new version.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Version {
    Account(Account),
    Verification(Verification),
}

pub(super) async fn run(arguments: WatchArguments, session: &Session) -> Result<(), Failure> {
    let account_id = arguments.account_id;
    let (accounts, verification) = (session.accounts()?, session.verification()?);
    let mut accounts = Side::new(async || {
        let account_id = account_id.clone();
        let request = WatchAccountRequest { account_id };
        accounts.clone().watch_account(request).await
    });
    let mut verification = Side::new(async || {
        let account_id = account_id.clone();
        let request = WatchVerificationRequest { account_id };
        verification.clone().watch_verification(request).await
    });
    let (mut is_verified, mut is_confirmed) = (false, false);
    let mut seen = Vec::new();
    // Both sides, as they come: which of them hears of the end first is chance.
    while !(is_verified && is_confirmed) {
        let version = tokio::select! {
            version = accounts.next(), if !is_verified => {
                let account = account(version, session)?;
                is_verified = account.is_verified();
                Version::Account(account)
            }
            version = verification.next(), if !is_confirmed => {
                let version = version
                    .map_err(|status| session.refusal(Service::Verification, &status))?;
                let verification: Verification = version.verification.unwrap_or_default().into();
                is_confirmed = verification.verified_at.is_some();
                Version::Verification(verification)
            }
        };
        show(&version, &mut seen, session);
    }
    Ok(())
}

fn account(
    version: Result<WatchAccountResponse, Status>,
    session: &Session,
) -> Result<Account, Failure> {
    let version = version.map_err(|status| session.refusal(Service::Accounts, &status))?;
    Ok(version.account.unwrap_or_default().into())
}

/// For people, only what is new since the last version.
fn show(version: &Version, seen: &mut Vec<HistoryEntry>, session: &Session) {
    if session.format == Format::Json {
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
