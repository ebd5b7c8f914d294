//! Answers as messages.

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

pub(super) fn mail(outcome: MailOutcome) -> messages::MailOutcome {
    match outcome {
        MailOutcome::OnItsWay => messages::MailOutcome::Unspecified,
        MailOutcome::Accepted => messages::MailOutcome::Accepted,
        MailOutcome::Pending => messages::MailOutcome::Pending,
        MailOutcome::Rejected => messages::MailOutcome::Rejected,
        MailOutcome::Unknown => messages::MailOutcome::Unknown,
    }
}
