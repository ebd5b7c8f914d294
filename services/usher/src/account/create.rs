//! `usher account create`: signs a person up.

use clap::Args;
use proto::accounts::{CreateAccountRequest, MailOutcome};
use serde::Serialize;
use tonic::{Request, metadata::AsciiMetadataValue};

use super::view::{Account, word};
use crate::{
    exit::{Exit, Failure},
    output::facts,
    root_span::trace_id,
    service::Service,
    session::Session,
    terminal::{CODE, GOOD},
};

/// Sign a person up: the account is stored and its verification mail follows
///
/// The answer comes once the account is committed. With the dispatcher `jetstream`, the default, its
/// mail is owed from then on: it is sent even if every process is killed the moment after. With
/// `inline` the answer waits for the mail and says what became of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account create ada@example.com --name Ada --locale de
  usher account create ada@example.com --idempotency-key \"$(uuidgen)\" # safe to repeat for a day
  id=$(usher account create ada@example.com --quiet)
  usher account create ada@example.com --output json | jq -r .account.account_id")]
pub(crate) struct CreateArguments {
    /// Address to be verified
    email: String,
    /// Name for the greeting
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Language of the mail, such as en, fr or de-AT
    #[arg(long, default_value = "", hide_default_value = true)]
    locale: String,
    /// 16 to 128 characters; repeating the command with the same one gives the same account
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

#[derive(Debug, Serialize)]
struct Created {
    account: Account,
    /// What became of the mail, where somebody waited for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

pub(super) async fn run(arguments: CreateArguments, session: &Session) -> Result<(), Failure> {
    let mut request = Request::new(CreateAccountRequest {
        email: arguments.email,
        display_name: arguments.name,
        locale: arguments.locale,
    });
    if let Some(key) = arguments.idempotency_key {
        let Ok(key) = AsciiMetadataValue::try_from(key) else {
            let what = "An idempotency key is 16 to 128 printable ASCII characters.";
            return Err(Failure::new(Exit::Usage, what));
        };
        request.metadata_mut().insert("idempotency-key", key);
    }
    let answer = session.accounts()?.create_account(request).await;
    let trace_id = trace_id(&answer);
    let reply = session.reply(Service::Accounts, answer);
    let reply = reply.map_err(|failure| explained(failure, &session.usher))?;
    let mail = reply.mail();
    let is_known = mail != MailOutcome::Unspecified;
    let created = Created {
        mail: is_known.then(|| word(mail.as_str_name(), "MAIL_OUTCOME_")),
        account: reply.account.unwrap_or_default().into(),
        trace_id,
    };
    let id = [&*created.account.account_id];
    session.format.print_named(&created, id, |created| {
        spoken(created, mail, &session.usher)
    });
    Ok(())
}

fn explained(failure: Failure, usher: &str) -> Failure {
    match failure.reason.as_deref() {
        // Not the address itself: what a command says may end up in a log.
        Some("ADDRESS_TAKEN") => failure.hint(format!(
            "`{usher} account resend ADDRESS` sends that code, unless the account is confirmed; \
             `{usher} account confirm --link ID CODE` takes the ID at the end of the mail's link."
        )),
        _ => failure,
    }
}

fn spoken(created: &Created, mail: MailOutcome, usher: &str) -> String {
    let id = &created.account.account_id;
    let account = facts(&[
        ("account", id.clone()),
        ("address", created.account.email.clone()),
        ("status", created.account.status.clone()),
        ("trace", created.trace_id.clone().unwrap_or_default()),
    ]);
    format!(
        "{GOOD}Signed up.{GOOD:#} {}\n{account}\n\
         Next: {CODE}{usher} account watch {id}{CODE:#}\n      {CODE}{usher} account confirm {id} CODE{CODE:#}",
        told(mail)
    )
}

fn told(mail: MailOutcome) -> &'static str {
    match mail {
        MailOutcome::Unspecified => "The mail with the code is on its way.",
        MailOutcome::Accepted => "The mail server has taken the mail with the code.",
        MailOutcome::Pending => "The mail with the code could not be sent yet; it is tried again.",
        MailOutcome::Rejected => "The mail server refuses this address, so that no mail will come.",
        MailOutcome::Unknown => {
            "Whether its mail will come nobody knows: the same command with the same --idempotency-key asks again."
        }
    }
}
