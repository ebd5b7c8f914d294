//! `usher mailbox show`: one mail, as a mail program would show it.

use clap::{Args, ValueEnum};
use mailbox::api::WholeMail;
use uuid::Uuid;

use super::{
    client::{MailboxTarget, mail_id},
    view::harmless,
};
use crate::{
    exit::Failure,
    output::{Format, facts},
};

/// Show one mail
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher mailbox show 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f
  usher mailbox show 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f --part headers
  usher mailbox show 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f --quiet     # its text alone
  curl -OJ http://127.0.0.1:8025/api/v1/mails/0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f/raw")]
pub(super) struct ShowCaughtArguments {
    /// The mail's id
    #[arg(value_name = "MAIL", value_parser = mail_id)]
    id: Uuid,
    /// Which part to show
    #[arg(long, value_enum, default_value_t = CaughtPart::Text)]
    part: CaughtPart,
    #[command(flatten)]
    mailbox: MailboxTarget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CaughtPart {
    /// What a mail program without HTML shows
    Text,
    /// The HTML as it came
    Html,
    /// The header fields
    Headers,
}

pub(super) async fn run(arguments: ShowCaughtArguments, format: Format) -> Result<(), Failure> {
    let path = format!("/mails/{}", arguments.id);
    let mail: WholeMail = arguments.mailbox.client().get(&path, &[]).await?;
    let part = part(&mail, arguments.part);
    format.print_named(&mail, [&*part], |mail| match arguments.part {
        CaughtPart::Text => format!("{}\n{part}", head(mail)),
        CaughtPart::Html | CaughtPart::Headers => part.clone(),
    });
    Ok(())
}

fn part(mail: &WholeMail, part: CaughtPart) -> String {
    let text = match part {
        CaughtPart::Text => mail.text.clone().unwrap_or_default(),
        CaughtPart::Html => mail.html.clone().unwrap_or_default(),
        CaughtPart::Headers => {
            let fields = mail.headers.iter();
            let lines = fields.map(|field| format!("{}: {}\n", field.name, field.value));
            lines.collect()
        }
    };
    harmless(text.trim_end())
}

fn head(WholeMail { mail, .. }: &WholeMail) -> String {
    facts(&[
        ("mail", mail.id.to_string()),
        ("received", mail.received_at.clone()),
        ("from", harmless(&mail.from)),
        ("to", harmless(&mail.to.join(", "))),
        ("subject", harmless(&mail.subject)),
        ("message-id", harmless(&mail.message_id)),
        ("size", format!("{} octets", mail.size)),
    ])
}
