//! `usher account show`: one account, its verification and what happened to both.

use clap::Args;
use proto::{accounts::GetAccountRequest, verification::GetVerificationRequest};
use serde::Serialize;

use super::{
    timeline,
    view::{Account, Verification},
};
use crate::{
    exit::{Exit, Failure},
    output::{facts, table},
    session::Session,
    target::Service,
    terminal::STRONG,
};

/// Show an account, its codes and its timeline
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account show 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f
  usher account show 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f --output json | jq .verification.codes")]
pub(crate) struct Arguments {
    /// The account's id
    #[arg(value_name = "ACCOUNT")]
    account_id: String,
}

/// An account with what verification knows of it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) account: Account,
    /// Absent until the account's event has arrived there.
    pub(crate) verification: Option<Verification>,
}

pub(super) async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let shown = read(&arguments.account_id, session).await?;
    session.format.print(&shown, spoken);
    Ok(())
}

/// Reads both sides of one account.
pub(crate) async fn read(account_id: &str, session: &Session) -> Result<Shown, Failure> {
    let request = GetAccountRequest {
        account_id: account_id.to_owned(),
    };
    let reply = session
        .accounts()?
        .get_account(request)
        .await
        .map_err(session.refused(Service::Accounts))?;
    let account = Account::from(reply.into_inner().account.unwrap_or_default());
    let request = GetVerificationRequest {
        account_id: account_id.to_owned(),
    };
    let reply = session.verification()?.get_verification(request).await;
    let verification = match reply.map_err(session.refused(Service::Verification)) {
        Ok(reply) => reply.into_inner().verification.map(Verification::from),
        Err(failure) if failure.exit == Exit::NotFound => None,
        Err(failure) => return Err(failure),
    };
    Ok(Shown {
        account,
        verification,
    })
}

fn spoken(shown: &Shown) -> String {
    let account = &shown.account;
    let mut text = facts(&[
        ("account", account.account_id.clone()),
        ("address", account.email.clone()),
        ("name", account.display_name.clone()),
        ("locale", account.locale.clone()),
        ("status", account.status.clone()),
    ]);
    let Some(verification) = &shown.verification else {
        text.push_str("\nVerification has not heard of this account yet.");
        return text;
    };
    let codes = verification.codes.iter().map(|code| {
        let next = code
            .next_attempt_at
            .clone()
            .map_or_else(String::new, |at| format!(", next at {at}"));
        [
            code.number.to_string(),
            code.state.to_lowercase(),
            format!(
                "{} after {}{next}",
                code.mail_state.to_lowercase(),
                attempts(code.mail_attempts)
            ),
            code.guesses.to_string(),
            code.expires_at.clone().unwrap_or_default(),
        ]
    });
    text.push_str(&format!("\n{STRONG}Codes{STRONG:#}\n"));
    text.push_str(&table(["NO", "STATE", "MAIL", "GUESSES", "EXPIRES"], codes));
    text.push_str(&format!("\n\n{STRONG}Timeline{STRONG:#}\n"));
    text.push_str(&timeline::render(account, Some(verification)));
    text
}

fn attempts(number: u32) -> String {
    if number == 1 {
        "1 attempt".to_owned()
    } else {
        format!("{number} attempts")
    }
}
