//! `usher account list`: accounts, newest first, page after page until the limit.

use clap::{Args, ValueEnum};
use proto::accounts::{AccountStatus, ListAccountsRequest};

use super::view::Account;
use crate::{
    exit::Failure,
    output::{self, table},
    service::Service,
    session::Session,
};

/// Most accounts of a page, as accounts allows.
const PAGE: usize = 500;

/// List accounts, newest first (needs the admin token)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account list
  usher account list --status pending --limit 1000
  usher account list --email ada@example.com --quiet     # her account's id
  usher account list --output json | jq -r '.[].email'")]
pub(crate) struct ListAccountsArguments {
    /// Only those that stand like this
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only the account of this address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = output::limit)]
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Status {
    /// The address has not been confirmed yet
    Pending,
    /// The code was confirmed
    Verified,
}

impl From<Status> for AccountStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Verified => Self::Verified,
        }
    }
}

pub(super) async fn run(
    arguments: ListAccountsArguments,
    session: &Session,
) -> Result<(), Failure> {
    let limit = arguments.limit;
    let is_filtered = arguments.status.is_some() || arguments.email.is_some();
    let wanted = ListAccountsRequest {
        status: arguments
            .status
            .map_or(0, |status| AccountStatus::from(status).into()),
        email: arguments.email.unwrap_or_default(),
        ..ListAccountsRequest::default()
    };
    // One more than is shown tells whether there is more.
    let mut accounts = read(session, wanted, limit + 1).await?;
    let is_all = accounts.len() <= limit;
    accounts.truncate(limit);
    let ids = accounts.iter().map(|account| &*account.account_id);
    session
        .format
        .print_named(&accounts, ids, |accounts| spoken(accounts, is_filtered));
    if !is_all {
        session.format.tell_more(limit);
    }
    Ok(())
}

/// At most `most` of the accounts that are wanted.
pub(super) async fn read(
    session: &Session,
    mut wanted: ListAccountsRequest,
    most: usize,
) -> Result<Vec<Account>, Failure> {
    let mut client = session.accounts_admin()?;
    let mut accounts = Vec::new();
    while accounts.len() < most {
        wanted.page_size = u32::try_from((most - accounts.len()).min(PAGE)).unwrap_or_default();
        let answer = client.list_accounts(wanted.clone()).await;
        let page = session.admin_reply(Service::Accounts, answer)?;
        accounts.extend(page.accounts.into_iter().map(Account::from));
        // A page may be empty and not the last: where few stand as they are wanted to.
        wanted.page_token = page.next_page_token;
        if wanted.page_token.is_empty() {
            break;
        }
    }
    Ok(accounts)
}

fn spoken(accounts: &[Account], is_filtered: bool) -> String {
    if accounts.is_empty() {
        return match is_filtered {
            true => "No such accounts.".to_owned(),
            false => {
                "No accounts yet. `usher account create ada@example.com` makes one.".to_owned()
            }
        };
    }
    let rows = accounts.iter().map(|account| {
        let created = account.created_at.clone().unwrap_or_default();
        [
            account.account_id.clone(),
            account.status.clone(),
            account.email.clone(),
            created,
        ]
    });
    table(["ACCOUNT", "STATUS", "ADDRESS", "CREATED"], rows)
}
