//! What is in a mail, as a mail program would read it.

use std::borrow::Cow;

use mail_parser::{Message, MessageParser, PartType};

use crate::api::HeaderField;

/// Of a subject or a Message-ID no more is kept in memory.
const LONGEST: usize = 500;

/// What a list shows of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) subject: String,
    pub(crate) message_id: String,
}

/// What is in a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) headers: Vec<HeaderField>,
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
}

impl Head {
    pub(crate) fn read(octets: &[u8]) -> Self {
        let message = MessageParser::default().parse_headers(octets);
        let Some(message) = message.filter(has_head) else {
            return Self::default();
        };
        Self {
            subject: cut(message.subject()),
            message_id: cut(message.message_id()),
        }
    }
}

impl Content {
    pub(crate) fn read(octets: &[u8]) -> Self {
        let message = MessageParser::default().parse(octets);
        let Some(message) = message.filter(has_head) else {
            return Self::of_text(octets);
        };
        let headers = message.headers_raw().map(|(name, value)| HeaderField {
            name: name.to_owned(),
            value: unfolded(value),
        });
        Self {
            headers: headers.collect(),
            text: message.body_text(0).map(Cow::into_owned),
            html: html(&message),
        }
    }

    /// What has no header is a text.
    fn of_text(octets: &[u8]) -> Self {
        Self {
            text: Some(String::from_utf8_lossy(octets).into_owned()),
            ..Self::default()
        }
    }

    /// Whether it says this, which is in lower case, in the subject or in a body.
    pub(crate) fn says(&self, words: &str) -> bool {
        let bodies = [&self.text, &self.html];
        let mut bodies = bodies.into_iter().flatten();
        bodies.any(|body| body.to_lowercase().contains(words))
    }
}

/// Whoever asks a message without one for a field meets a panic of the parser's.
fn has_head(message: &Message<'_>) -> bool {
    !message.parts.is_empty()
}

/// The parser makes HTML of a text where there is none: that is not to be shown as if it had come.
fn html(message: &Message<'_>) -> Option<String> {
    message.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html.clone().into_owned()),
        _ => None,
    })
}

fn unfolded(value: &str) -> String {
    let lines: Vec<_> = value.split(['\r', '\n']).map(str::trim).collect();
    lines.join(" ").trim().to_owned()
}

fn cut(text: Option<&str>) -> String {
    text.unwrap_or_default().chars().take(LONGEST).collect()
}
