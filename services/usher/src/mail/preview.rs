//! `usher mail preview`: a mail with a sample code, as a person would get it.

use clap::{Args, ValueEnum};
use proto::mailer::PreviewRequest;
use serde::Serialize;

use crate::{exit::Failure, output::facts, service::Service, session::Session};

/// Render the mail with a sample code; nothing is sent
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher mail preview --locale de --name Ada
  usher mail preview --part html > mail.html    # open it in a browser")]
pub(crate) struct PreviewArguments {
    /// Language, such as en, fr or de-AT
    #[arg(long, default_value = "en")]
    locale: String,
    /// Name for the greeting
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Which part to show
    #[arg(long, value_enum, default_value_t = Part::Text)]
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What a mail program without HTML shows
    Text,
    /// The HTML alone, for a browser
    Html,
}

#[derive(Debug, Serialize)]
struct Preview {
    locale: String,
    subject: String,
    text: String,
    html: String,
}

pub(super) async fn run(arguments: PreviewArguments, session: &Session) -> Result<(), Failure> {
    let request = PreviewRequest {
        locale: arguments.locale,
        display_name: arguments.name,
    };
    let answer = session.mailer()?.preview(request).await;
    let reply = session.reply(Service::Mailer, answer)?;
    let preview = Preview {
        locale: reply.locale,
        subject: reply.subject,
        text: reply.text,
        html: reply.html,
    };
    let part = match arguments.part {
        Part::Html => &preview.html,
        Part::Text => &preview.text,
    };
    session
        .format
        .print_named(&preview, [&**part], |preview| match arguments.part {
            Part::Html => preview.html.clone(),
            Part::Text => spoken(preview),
        });
    Ok(())
}

fn spoken(preview: &Preview) -> String {
    let head = facts(&[
        ("subject", preview.subject.clone()),
        ("locale", preview.locale.clone()),
    ]);
    format!("{head}\n{}", preview.text)
}
