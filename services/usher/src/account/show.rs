//! `usher account show`: one account, its verification and what happened to both.

use clap::Args;
use proto::{accounts::GetAccountRequest, verification::GetVerificationRequest};
use serde::Serialize;

use super::{
    timeline,
    view::{Account, Code, Verification},
    whom::id_of,
};
use crate::{
    exit::{Exit, Failure},
    output::{facts, table},
    service::Service,
    session::Session,
    terminal::STRONG,
};

/// Show an account, its codes and its timeline
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account show 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f
  usher account show ada@example.com
  usher account show 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f --output json | jq .verification.codes")]
pub(crate) struct ShowAccountArguments {
    /// The account's id, or its address, which needs the admin token
    #[arg(value_name = "ACCOUNT")]
    whom: String,
}

/// An account with what verification knows of it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) account: Account,
    /// Absent until the account's event has arrived there.
    pub(crate) verification: Option<Verification>,
}

pub(super) async fn run(arguments: ShowAccountArguments, session: &Session) -> Result<(), Failure> {
    let account_id = id_of(&arguments.whom, session).await?;
    let shown = read(&account_id, session).await?;
    session.format.print_named(&shown, [&*account_id], spoken);
    Ok(())
}

/// Reads both sides of one account.
pub(crate) async fn read(account_id: &str, session: &Session) -> Result<Shown, Failure> {
    let request = GetAccountRequest {
        account_id: account_id.to_owned(),
    };
    let answer = session.accounts()?.get_account(request).await;
    let reply = session.reply(Service::Accounts, answer)?;
    let account = Account::from(reply.account.unwrap_or_default());
    let request = GetVerificationRequest {
        account_id: account_id.to_owned(),
    };
    let answer = session.verification()?.get_verification(request).await;
    let verification = match session.reply(Service::Verification, answer) {
        Ok(reply) => reply.verification.map(Verification::from),
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
    let codes = verification.codes.iter().map(row);
    text.push_str(&format!("\n{STRONG}Codes{STRONG:#}\n"));
    text.push_str(&table(
        ["NO", "STATE", "MAIL", "WRONG GUESSES", "EXPIRES"],
        codes,
    ));
    text.push_str(&format!("\n\n{STRONG}Timeline{STRONG:#}\n"));
    text.push_str(&timeline::render(account, Some(verification)));
    text
}

fn row(code: &Code) -> [String; 5] {
    let state = code.mail_state.to_lowercase();
    let mut mail = match code.mail_attempts {
        1 => format!("{state} after 1 attempt"),
        attempts => format!("{state} after {attempts} attempts"),
    };
    if let Some(at) = &code.next_attempt_at {
        mail.push_str(&format!(", next at {at}"));
    }
    [
        code.number.to_string(),
        code.state.to_lowercase(),
        mail,
        code.wrong_guesses.to_string(),
        code.expires_at.clone().unwrap_or_default(),
    ]
}
