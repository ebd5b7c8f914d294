//! `usher mailbox delete`: deletes mails for good.

use clap::Args;
use mailbox::api::Deleted;
use uuid::Uuid;

use super::client::{MailboxTarget, mail_id};
use crate::{exit::Failure, output::Format};

/// Delete mails for good: these, those that are found, or all
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher mailbox delete 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f
  usher mailbox delete --to ada@example.com
  usher mailbox delete --all")]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    mailbox: MailboxTarget,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Which {
    /// Their ids
    #[arg(value_name = "MAIL", value_parser = mail_id, conflicts_with_all = ["to", "text", "all"])]
    ids: Vec<Uuid>,
    /// Those to this address, or, as @example.com, to this domain
    #[arg(long, value_name = "ADDRESS", value_parser = something)]
    to: Option<String>,
    /// Those that say this
    #[arg(long, value_name = "WORDS", value_parser = something)]
    text: Option<String>,
    /// Every one
    #[arg(long, conflicts_with_all = ["to", "text"])]
    all: bool,
}

/// Without one, every mail would be deleted.
fn something(text: &str) -> Result<String, String> {
    match text.trim().is_empty() {
        true => Err("expected something; --all deletes every mail".to_owned()),
        false => Ok(text.to_owned()),
    }
}

pub(super) async fn run(arguments: DeleteArguments, format: Format) -> Result<(), Failure> {
    let DeleteArguments { which, mailbox } = arguments;
    let mailbox = mailbox.client();
    let mut report = Deleted { deleted: 0 };
    for id in &which.ids {
        let one: Deleted = mailbox.delete(&format!("/mails/{id}"), &[]).await?;
        report.deleted += one.deleted;
    }
    if which.ids.is_empty() {
        let given = |flag: Option<String>| flag.unwrap_or_default();
        let (to, text) = (given(which.to), given(which.text));
        let query = [("to", &*to), ("text", &*text)];
        report = mailbox.delete("/mails", &query).await?;
    }
    format.print(&report, |report| match report.deleted {
        0 => "There was none to delete.".to_owned(),
        1 => "1 mail was deleted.".to_owned(),
        deleted => format!("{deleted} mails were deleted."),
    });
    Ok(())
}
