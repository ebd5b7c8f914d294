//! `usher dlq show`: one dead letter, with all that is in it.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::view::{DeadLetter, KEEPERS, Keeper};
use crate::{
    exit::{Exit, Failure},
    output::facts,
    session::Session,
};

/// Show one dead letter with its headers and payload, which may name a person (needs the admin
/// token)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher dlq show 018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11    # the id of `usher dlq list`
  usher dlq show 018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11 --output json | jq -r .payload_hex | xxd -r -p | protoc --decode_raw")]
pub(crate) struct ShowLetterArguments {
    /// The dead letter's id
    #[arg(value_name = "LETTER")]
    id: String,
}

#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    letter: DeadLetter,
    headers: BTreeMap<String, String>,
    /// What in the payload is text, for people.
    payload_text: String,
    payload_hex: String,
}

pub(super) async fn run(arguments: ShowLetterArguments, session: &Session) -> Result<(), Failure> {
    for service in KEEPERS {
        let found = match Keeper::of(session, service)?.get(&arguments.id).await {
            Ok(found) => found,
            Err(failure) if failure.exit == Exit::NotFound => continue,
            Err(failure) => return Err(failure),
        };
        let whole = Whole {
            letter: DeadLetter::of(service, found.letter.unwrap_or_default()),
            headers: BTreeMap::from_iter(found.headers),
            payload_text: text(&found.payload),
            payload_hex: hex::encode(&found.payload),
        };
        session.format.print(&whole, spoken);
        return Ok(());
    }
    let message = format!("There is no dead letter {}.", arguments.id);
    Err(Failure::new(Exit::NotFound, message).hint("`usher dlq list` shows those that there are."))
}

/// The printable parts, one dot for everything between them.
fn text(payload: &[u8]) -> String {
    let mut text = String::new();
    for sign in String::from_utf8_lossy(payload).chars() {
        // Nothing in it may move a terminal's cursor: the payload is whatever somebody published.
        match sign.is_control() || sign == char::REPLACEMENT_CHARACTER {
            true if text.ends_with('·') => {}
            true => text.push('·'),
            false => text.push(sign),
        }
    }
    text
}

fn spoken(whole: &Whole) -> String {
    let DeadLetter {
        service,
        id,
        reason,
        subject,
        account_id,
        event_id,
        stream,
        sequence,
        attempts,
        first_at,
        last_at,
    } = whole.letter.clone();
    let mut shown = facts(&[
        ("letter", id),
        ("service", service.to_owned()),
        ("reason", reason),
        ("attempts", attempts.to_string()),
        ("stored", first_at.unwrap_or_default()),
        ("given up", last_at.unwrap_or_default()),
        ("subject", subject),
        ("account", account_id),
        ("event", event_id),
        ("message", format!("{sequence} of stream {stream}")),
        ("payload", whole.payload_text.clone()),
    ]);
    let mut headers = Vec::new();
    for (name, value) in &whole.headers {
        headers.push((name.as_str(), value.clone()));
    }
    shown.push('\n');
    shown.push_str(&facts(&headers));
    shown
}
