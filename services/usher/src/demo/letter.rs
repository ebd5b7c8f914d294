//! A mail in a box, as a mail program without HTML would show it.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use super::mailbox::Letter;
use crate::terminal::{DIM, GOOD, STRONG};

/// Columns of the whole box.
const WIDTH: usize = 78;
/// Columns of the text in it.
const INNER: usize = WIDTH - 6;

/// Draws it, indented by two columns.
pub(super) fn render(letter: &Letter) -> String {
    let code = letter.code().unwrap_or_default();
    let mut drawn = format!("  {DIM}╭{}╮{DIM:#}\n", "─".repeat(WIDTH - 4));
    for (label, value) in [
        ("From", &letter.from),
        ("To", &letter.to),
        ("Subject", &letter.subject),
    ] {
        let style = if label == "Subject" {
            STRONG
        } else {
            Style::new()
        };
        drawn.push_str(&row(&format!("{label:<8} {value}"), style));
    }
    drawn.push_str(&format!("  {DIM}├{}┤{DIM:#}\n", "─".repeat(WIDTH - 4)));
    for line in letter.text.trim().lines().flat_map(wrapped) {
        let style = if line.trim() == code {
            GOOD.bold()
        } else {
            Style::new()
        };
        drawn.push_str(&row(&line, style));
    }
    drawn.push_str(&format!("  {DIM}╰{}╯{DIM:#}", "─".repeat(WIDTH - 4)));
    drawn
}

fn row(text: &str, style: Style) -> String {
    let text: String = text
        .chars()
        .scan(0, |columns, c| {
            *columns += c.to_string().width();
            (*columns <= INNER).then_some(c)
        })
        .collect();
    let fill = " ".repeat(INNER.saturating_sub(text.width()));
    format!("  {DIM}│{DIM:#} {style}{text}{style:#}{fill} {DIM}│{DIM:#}\n")
}

/// A line broken at spaces, its indentation kept.
fn wrapped(line: &str) -> Vec<String> {
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let mut lines = vec![indent.clone()];
    for word in line.split_whitespace() {
        let last = lines
            .last_mut()
            .expect("a line stands there from the beginning");
        if last.trim().is_empty() {
            last.push_str(word);
        } else if last.width() + 1 + word.width() <= INNER {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(format!("{indent}{word}"));
        }
    }
    lines
}
