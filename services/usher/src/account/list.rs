//! `usher account list`: accounts, newest first, page after page until the limit.

use clap::Args;
use proto::accounts::ListAccountsRequest;

use super::view::Account;
use crate::{exit::Failure, output::table, service::Service, session::Session};

/// List accounts, newest first (needs the admin token)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account list
  usher account list --limit 1000 --output json | jq -r '.[] | select(.status == \"PENDING\") | .email'")]
pub(crate) struct ListAccountsArguments {
    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
}

pub(super) async fn run(
    arguments: ListAccountsArguments,
    session: &Session,
) -> Result<(), Failure> {
    let mut client = session.accounts_admin()?;
    let mut accounts = Vec::new();
    let mut page_token = String::new();
    while accounts.len() < arguments.limit {
        let page_size = u32::try_from((arguments.limit - accounts.len()).min(500)).unwrap_or(500);
        let request = ListAccountsRequest {
            page_size,
            page_token,
        };
        let answer = client.list_accounts(request).await;
        let page = session.admin_reply(Service::Accounts, answer)?;
        accounts.extend(page.accounts.into_iter().map(Account::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    session.format.print(&accounts, |accounts| spoken(accounts));
    Ok(())
}

fn spoken(accounts: &[Account]) -> String {
    if accounts.is_empty() {
        return "No accounts yet. `usher account create ada@example.com` makes one.".to_owned();
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
