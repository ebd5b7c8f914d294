//! A mail server's replies (RFC 5321 §4.2), read out of whatever octets come: each octet once, within bounds, in any
//! alphabet and with any line end. `transport` feeds the reader; `refusal` says what a negative reply means.

use std::fmt;

/// Octets of a line that are kept. A longer line counts by its code; what goes beyond is passed over.
const LONGEST_LINE: usize = 512;
/// Octets and lines of a reply. Where one of them is reached the reply is decided by what came until then.
const LONGEST_REPLY: usize = 64 * 1024;
const MOST_LINES: usize = 100;

/// A reply. It may hold the recipient's address: without `Debug` nothing can print it.
#[cfg_attr(test, derive(Debug, Clone, PartialEq, Eq))]
pub(crate) struct Reply {
    /// 200 to 599.
    pub(crate) code: u16,
    /// The text of each line.
    pub(crate) lines: Vec<String>,
    /// It went on beyond the bounds: where the next reply begins cannot be told.
    pub(crate) is_endless: bool,
}

/// What came is no reply; the text says why, for people.
#[cfg_attr(test, derive(Debug, Clone, PartialEq, Eq))]
pub(crate) struct NoReply(pub(crate) String);

/// An enhanced status code (RFC 3463): class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnhancedStatus(pub(crate) u16, pub(crate) u16, pub(crate) u16);

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A reply that is being read.
#[derive(Default)]
pub(crate) struct ReplyReader {
    line: Vec<u8>,
    lines: Vec<String>,
    code: Option<u16>,
    octets: usize,
}

impl ReplyReader {
    /// Takes the next octets. Says how many of them belong to this reply, and the reply once it is there; what is
    /// left over then is not its.
    pub(crate) fn read(&mut self, octets: &[u8]) -> (usize, Option<Result<Reply, NoReply>>) {
        for (index, octet) in octets.iter().enumerate() {
            self.octets += 1;
            let ended = match octet {
                b'\n' => self.end_line(),
                octet if self.line.len() < LONGEST_LINE => {
                    self.line.push(*octet);
                    None
                }
                _ => None,
            };
            let decided = ended.or_else(|| (self.octets == LONGEST_REPLY).then(|| self.cut()));
            if decided.is_some() {
                return (index + 1, decided);
            }
        }
        (octets.len(), None)
    }

    fn end_line(&mut self) -> Option<Result<Reply, NoReply>> {
        match self.take_line() {
            Err(no_reply) => Some(Err(no_reply)),
            Ok(goes_on) if goes_on && self.lines.len() < MOST_LINES => None,
            Ok(goes_on) => Some(Ok(self.reply(goes_on))),
        }
    }

    /// The bound is reached in the middle of a line. Its code counts, if it has one.
    fn cut(&mut self) -> Result<Reply, NoReply> {
        self.take_line().map(|_| self.reply(true))
    }

    /// Takes a line apart; whether another one follows.
    fn take_line(&mut self) -> Result<bool, NoReply> {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii_end();
        let said = || String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        let (code, rest) = match line {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..]
                if !rest.first().is_some_and(u8::is_ascii_digit) =>
            {
                let digit = |octet: &u8| u16::from(octet - b'0');
                (digit(a) * 100 + digit(b) * 10 + digit(c), rest)
            }
            _ => return Err(NoReply(format!("no SMTP: {}", said()))),
        };
        if *self.code.get_or_insert(code) != code {
            return Err(NoReply(format!("two codes in one answer: {}", said())));
        }
        // Whatever stands behind the code, only a hyphen says that more lines follow.
        let text = rest.get(1..).unwrap_or_default().trim_ascii();
        self.lines.push(String::from_utf8_lossy(text).into_owned());
        Ok(rest.first() == Some(&b'-'))
    }

    fn reply(&mut self, is_endless: bool) -> Reply {
        Reply {
            code: self.code.unwrap_or_default(),
            lines: std::mem::take(&mut self.lines),
            is_endless,
        }
    }
}

impl Reply {
    /// All lines as one.
    pub(crate) fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// Code and text, as people write them.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.code, self.text())
            .trim_end()
            .to_owned()
    }

    /// The enhanced status: what a line begins with, or else the first one anywhere, as in `(#5.7.1)`, that fits the
    /// code: version numbers look like one, too.
    pub(crate) fn status(&self) -> Option<EnhancedStatus> {
        let words = |text: &str| -> Vec<String> {
            text.split(|c: char| !(c.is_alphanumeric() || "._-@".contains(c)))
                .filter(|word| !word.is_empty())
                .map(|word| word.trim_end_matches('.').to_owned())
                .collect()
        };
        let first = |line: &String| line.split(' ').next().and_then(enhanced);
        self.lines.iter().find_map(first).or_else(|| {
            let found = words(&self.text());
            let mut found = found.iter().filter_map(|word| enhanced(word));
            found.find(|status| status.0 == self.code / 100)
        })
    }
}

/// RFC 3463 §2 and §4: class 2, 4 or 5, subject 0 to 7, detail up to three digits.
fn enhanced(word: &str) -> Option<EnhancedStatus> {
    let mut numbers = word.split('.').map(|number| match number.len() {
        1..=3 => number.parse().ok(),
        _ => None,
    });
    let mut next = || numbers.next().flatten();
    match (next()?, next()?, next()?) {
        (class @ (2 | 4 | 5), subject @ 0..=7, detail) if numbers.next().is_none() => {
            Some(EnhancedStatus(class, subject, detail))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
