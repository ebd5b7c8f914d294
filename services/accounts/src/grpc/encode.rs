//! Answers as messages.

use kit::telemetry::{names, span};
use opentelemetry::{Context, KeyValue};
use proto::accounts as messages;

use crate::commands::{Account, MailOutcome, Status};

pub(super) fn account(account: Account) -> messages::Account {
    let status = match account.status {
        Status::Pending => messages::AccountStatus::Pending,
        Status::Verified => messages::AccountStatus::Verified,
    };
    messages::Account {
        account_id: account.id.to_string(),
        email: account.email,
        display_name: account.display_name,
        locale: account.locale,
        status: status.into(),
        created_at: Some(account.created_at.into()),
        verified_at: account.verified_at.map(Into::into),
    }
}

/// What a caller is told of its account and of its mail; its trace learns the account's id.
pub(super) fn created(
    (account, mail): (Account, MailOutcome),
    caller: &Context,
) -> messages::CreateAccountResponse {
    let id = account.id.to_string();
    span::set(caller, KeyValue::new(names::USHER_ACCOUNT_ID, id));
    messages::CreateAccountResponse {
        account: Some(self::account(account)),
        mail: self::mail(mail).into(),
    }
}

fn mail(outcome: MailOutcome) -> messages::MailOutcome {
    match outcome {
        MailOutcome::OnItsWay => messages::MailOutcome::Unspecified,
        MailOutcome::Accepted => messages::MailOutcome::Accepted,
        MailOutcome::Pending => messages::MailOutcome::Pending,
        MailOutcome::Rejected => messages::MailOutcome::Rejected,
        MailOutcome::Unknown => messages::MailOutcome::Unknown,
    }
}
