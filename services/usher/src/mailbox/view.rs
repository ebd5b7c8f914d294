//! Mails read page by page, and how a list of them looks. What a stranger wrote never moves the
//! cursor.

use std::collections::VecDeque;

use clap::Args;
use mailbox::api::Mail;

use super::client::{MailboxClient, MailboxTarget};
use crate::{
    exit::Failure,
    output::{self, Format, table},
};

/// Most mails of a page, as the mailbox allows.
const PAGE: &str = "1000";

/// Which mails are listed.
#[derive(Debug, Args)]
pub(super) struct Listing {
    /// Only those to this address, or, as @example.com, to this domain
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "",
        hide_default_value = true
    )]
    to: String,
    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = output::limit)]
    limit: usize,
    #[command(flatten)]
    mailbox: MailboxTarget,
}

/// Prints the newest that are asked for, newest first.
pub(super) async fn print_newest(
    listing: Listing,
    words: &str,
    format: Format,
) -> Result<(), Failure> {
    let Listing { to, limit, mailbox } = listing;
    let (mails, is_all) = newest(&mailbox.client(), &to, words, limit).await?;
    let ids: Vec<String> = mails.iter().map(|mail| mail.id.to_string()).collect();
    let is_filtered = !to.is_empty() || !words.is_empty();
    let ids = ids.iter().map(String::as_str);
    format.print_named(&mails, ids, |mails| spoken(mails, is_filtered));
    if !is_all {
        format.tell_more(limit);
    }
    Ok(())
}

/// The newest ones, and whether these are all.
async fn newest(
    mailbox: &MailboxClient,
    to: &str,
    words: &str,
    limit: usize,
) -> Result<(Vec<Mail>, bool), Failure> {
    let (mut newest, mut is_all) = (VecDeque::new(), true);
    let mut after = String::new();
    loop {
        let query = [
            ("to", to),
            ("text", words),
            ("after", &after),
            ("limit", PAGE),
        ];
        let page = mailbox.page(&query).await?;
        for mail in page.mails {
            newest.push_front(mail);
        }
        is_all &= newest.len() <= limit;
        newest.truncate(limit);
        match page.next {
            Some(next) => after = next.to_string(),
            None => return Ok((newest.into(), is_all)),
        }
    }
}

fn spoken(mails: &[Mail], is_filtered: bool) -> String {
    if mails.is_empty() {
        return match is_filtered {
            true => "No such mails.".to_owned(),
            false => "No mails yet. Those that are sent to its SMTP port are caught.".to_owned(),
        };
    }
    let rows = mails.iter().map(|mail| {
        [
            mail.id.to_string(),
            mail.received_at.clone(),
            harmless(&mail.from),
            recipients(&mail.to),
            harmless(&mail.subject),
        ]
    });
    table(["MAIL", "RECEIVED", "FROM", "TO", "SUBJECT"], rows)
}

/// The first, and how many more.
fn recipients(to: &[String]) -> String {
    let first = to.first().map(|to| harmless(to)).unwrap_or_default();
    match to.len() {
        0 | 1 => first,
        many => format!("{first} and {} more", many - 1),
    }
}

/// Without what a terminal takes for a command; lines stay lines.
pub(super) fn harmless(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.replace(
        |c: char| c.is_control() && c != '\n' && c != '\t',
        "\u{fffd}",
    )
}
