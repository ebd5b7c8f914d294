//! What is kept of a mail: not the mail, but what proves it.

use std::time::Instant;

use mail_parser::MessageParser;

/// A mail that the sink took responsibility for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The recipient of the envelope.
    pub recipient: String,
    /// Message-ID, without its angle brackets; empty where there is none.
    pub message_id: String,
    /// The digits that the mail shows; empty where there are none.
    pub code: String,
    /// When the sink said so, or, where it lost its answer, would have.
    pub at: Instant,
    /// Whether the answer was lost on purpose, so that the client cannot know.
    pub is_answer_lost: bool,
}

impl Accepted {
    pub(super) fn read(recipient: String, bytes: &[u8], at: Instant) -> Self {
        let message = MessageParser::default().parse(bytes).unwrap_or_default();
        let text = message.body_text(0).unwrap_or_default();
        Self {
            recipient,
            message_id: message.message_id().unwrap_or_default().to_owned(),
            code: code_in(&text).unwrap_or_default(),
            at,
            is_answer_lost: false,
        }
    }

    /// UUID of the code that the mail is about: what stands before the `@` of its Message-ID.
    pub fn code_id(&self) -> &str {
        self.message_id
            .split_once('@')
            .map_or("", |(code_id, _)| code_id)
    }
}

/// The first line that holds nothing but 6 to 10 digits.
pub(crate) fn code_in(text: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.find_map(|line| {
        let digits: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        let is_code =
            (6..=10).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        is_code.then_some(digits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_for_its_message_id_and_its_code() {
        let mail = "Message-ID: <0192-ab@example.com>\r\nContent-Type: text/plain\r\n\r\nHello 123456,\r\n\r\n    2915 1350\r\n";
        let at = Instant::now();
        let accepted = Accepted::read("ada@example.com".to_owned(), mail.as_bytes(), at);
        assert_eq!(
            accepted,
            Accepted {
                recipient: "ada@example.com".to_owned(),
                message_id: "0192-ab@example.com".to_owned(),
                code: "29151350".to_owned(),
                at,
                is_answer_lost: false,
            }
        );
        assert_eq!(accepted.code_id(), "0192-ab");
    }

    #[test]
    fn what_is_no_mail_has_no_code() {
        let accepted = Accepted::read(String::new(), b"\xff\xfe", Instant::now());
        assert_eq!((accepted.code.as_str(), accepted.code_id()), ("", ""));
    }
}
