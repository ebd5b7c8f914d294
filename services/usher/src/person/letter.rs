//! A mail as a mail program reads it, and as one without HTML would show it: in a box.

use anstyle::Style;
use mail_parser::{Addr, MessageParser};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    exit::{Exit, Failure},
    terminal::{DIM, GOOD, STRONG},
};

/// Columns of the whole box.
const WIDTH: usize = 78;
/// Columns of the text in it.
const INNER: usize = WIDTH - 6;

#[derive(Debug, Clone)]
pub(crate) struct Letter {
    from: String,
    to: String,
    address: String,
    subject: String,
    pub(super) message_id: String,
    text: String,
}

impl Letter {
    /// `None` where the bytes are no mail to anybody.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let message = MessageParser::default().parse(bytes)?;
        let from = message.from()?.first()?;
        let to = message.to()?.first()?;
        Some(Self {
            from: person(from),
            to: person(to),
            address: to.address()?.to_owned(),
            subject: message.subject().unwrap_or_default().to_owned(),
            message_id: message.message_id().unwrap_or_default().to_owned(),
            text: message.body_text(0)?.into_owned(),
        })
    }

    /// Whether it is to this address.
    pub(super) fn is_to(&self, address: &str) -> bool {
        self.address.eq_ignore_ascii_case(address)
    }

    /// The code that is to be typed.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn code(&self) -> Result<String, Failure> {
        self.found_code().ok_or_else(|| {
            let what = "A mail came, but there is no code in it: it may be another program's, or altered on its way.";
            Failure::new(Exit::Failed, what)
        })
    }

    /// The line that holds nothing but 6 to 10 digits.
    fn found_code(&self) -> Option<String> {
        let mut lines = self.text.lines().map(str::trim);
        lines.find(|line| is_code(line)).map(str::to_owned)
    }

    /// Indented by two columns.
    pub(crate) fn drawn(&self) -> String {
        let code = self.found_code().unwrap_or_default();
        let edge = "─".repeat(WIDTH - 4);
        let mut drawn = format!("  {DIM}╭{edge}╮{DIM:#}\n");
        drawn.push_str(&row(&format!("{:<8} {}", "From", self.from), Style::new()));
        drawn.push_str(&row(&format!("{:<8} {}", "To", self.to), Style::new()));
        drawn.push_str(&row(&format!("{:<8} {}", "Subject", self.subject), STRONG));
        drawn.push_str(&format!("  {DIM}├{edge}┤{DIM:#}\n"));
        for line in self.text.trim().lines().flat_map(wrapped) {
            let style = match line.trim() == code {
                true => GOOD.bold(),
                false => Style::new(),
            };
            // What kept the line whole has done its part; here it is copied and compared.
            drawn.push_str(&row(&line.replace('\u{a0}', " "), style));
        }
        drawn.push_str(&format!("  {DIM}╰{edge}╯{DIM:#}"));
        drawn
    }
}

fn person(person: &Addr<'_>) -> String {
    let address = person.address().unwrap_or_default();
    match person.name() {
        Some(name) if !address.is_empty() => format!("{name} <{address}>"),
        _ => address.to_owned(),
    }
}

fn is_code(line: &str) -> bool {
    let digits = line.chars().filter(char::is_ascii_digit).count();
    let is_fit = |c: char| c.is_ascii_digit() || c.is_whitespace();
    (6..=10).contains(&digits) && line.chars().all(is_fit)
}

/// Cut where the box ends.
fn row(line: &str, style: Style) -> String {
    let mut text = String::new();
    for character in line.chars() {
        text.push(character);
        if text.width() > INNER {
            text.pop();
            break;
        }
    }
    let fill = " ".repeat(INNER.saturating_sub(text.width()));
    format!("  {DIM}│{DIM:#} {style}{text}{style:#}{fill} {DIM}│{DIM:#}\n")
}

/// A line broken at spaces, but for those that break no line, its indentation kept.
fn wrapped(line: &str) -> Vec<String> {
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let mut lines = Vec::new();
    let mut current = indent.clone();
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        if current.trim().is_empty() {
            current.push_str(word);
        } else if current.width() + 1 + word.width() <= INNER {
            current.push(' ');
            current.push_str(word);
        } else {
            lines.push(current);
            current = format!("{indent}{word}");
        }
    }
    lines.push(current);
    lines
}
