//! A mail server's replies (RFC 5321 §4.2), read out of whatever octets come: each octet once,
//! within bounds, in any alphabet and with any line end. `transport` feeds the reader; `refusal`
//! says what a negative reply means.

use std::fmt;

/// Octets of a line that are kept. A longer line counts by its code; what goes beyond is passed
/// over.
const LONGEST_LINE: usize = 512;
/// Octets and lines of a reply. Where one of them is reached the reply is decided by what came
/// until then.
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
    /// Takes the next octets. Says how many of them belong to this reply, and the reply once it is
    /// there; what is left over then is not its.
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

    /// The enhanced status: what a line begins with, or else the first one anywhere, as in
    /// `(#5.7.1)`.
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
            // One that fits the code: version numbers look like one, too.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One reply out of octets that come in pieces of these sizes, and how many octets it took.
    fn read_in(octets: &[u8], sizes: &[usize]) -> (usize, Option<Result<Reply, NoReply>>) {
        let (mut reader, mut used, mut sizes) = (ReplyReader::default(), 0, sizes.iter().cycle());
        while used < octets.len() {
            let size = (*sizes.next().unwrap_or(&1)).min(octets.len() - used);
            let (took, decided) = reader.read(&octets[used..used + size]);
            used += took;
            if decided.is_some() {
                return (used, decided);
            }
            assert_eq!(took, size, "what decides nothing is used up");
        }
        (used, None)
    }

    fn read(octets: &[u8]) -> Option<Result<Reply, NoReply>> {
        ReplyReader::default().read(octets).1
    }

    fn reply(octets: &[u8]) -> Reply {
        read(octets).unwrap().unwrap()
    }

    #[test]
    fn every_kind_of_line_that_servers_end_a_reply_with_is_read() {
        for (octets, code, text) in [
            (&b"250\r\n"[..], 250, ""),
            (b"250 \r\n", 250, ""),
            (b"250\n", 250, ""),
            (b"250 ok\n", 250, "ok"),
            (b"250 ok\r\r\n", 250, "ok"),
            (b"250\tok\r\n", 250, "ok"),
            (b"250-\n250\n", 250, " "),
            (b"250-a\r\n250-b\r\n250 c\r\n", 250, "a b c"),
            (b"550 bo\xeete\r\n", 550, "bo\u{fffd}te"),
            (b"550 a\0b\rc\r\n", 550, "a\0b\rc"),
        ] {
            let reply = reply(octets);
            assert_eq!((reply.code, reply.text().as_str()), (code, text));
            assert!(!reply.is_endless);
        }
    }

    #[test]
    fn what_is_no_reply_is_none() {
        for octets in [
            &b"\r\n"[..],
            b"hello\r\n",
            b"25\r\n",
            b"2500 ok\r\n",
            b"150 ok\r\n",
            b"650 ok\r\n",
            b" 250 ok\r\n",
            b"250-ok\r\n550 no\r\n",
            b"250-ok\r\nok\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"\x16\x03\x01\x00\n",
        ] {
            assert!(read(octets).unwrap().is_err(), "{octets:?}");
        }
        assert!(read(b"250 ok").is_none());
        assert!(read(b"250-ok\r\n").is_none());
    }

    #[test]
    fn a_line_that_is_too_long_counts_by_its_code_and_the_next_reply_is_found_behind_it() {
        let long = [b"550 5.1.1 ".as_slice(), &[b'x'; 5_000], b"\r\n250 ok\r\n"].concat();
        let (used, decided) = ReplyReader::default().read(&long);
        let refused = decided.unwrap().unwrap();
        assert_eq!((refused.code, refused.lines[0].len()), (550, 508));
        assert!(!refused.is_endless);
        assert_eq!(reply(&long[used..]).code, 250);
    }

    #[test]
    fn a_reply_without_end_is_decided_at_the_bound_by_its_code() {
        let line = [b"250 ".as_slice(), &[b'x'; 1 << 20]].concat();
        let lines = b"250-\r\n".repeat(200_000);
        for (octets, bound) in [(line, LONGEST_REPLY), (lines, MOST_LINES * 6)] {
            let (used, decided) = ReplyReader::default().read(&octets);
            let endless = decided.unwrap().unwrap();
            assert_eq!((used, endless.code), (bound, 250));
            assert!(endless.is_endless);
        }
        assert!(read(&[b'x'; 1 << 20]).unwrap().is_err());
    }

    #[test]
    fn the_enhanced_status_is_found_where_servers_put_it() {
        for (octets, status) in [
            (
                &b"550 5.1.1 no such user\r\n"[..],
                Some(EnhancedStatus(5, 1, 1)),
            ),
            (b"553 sorry (#5.7.1)\r\n", Some(EnhancedStatus(5, 7, 1))),
            (
                b"550-Sorry\r\n550 5.1.10 RecipientNotFound\r\n",
                Some(EnhancedStatus(5, 1, 10)),
            ),
            (
                b"550 #5.1.0 Address rejected.\r\n",
                Some(EnhancedStatus(5, 1, 0)),
            ),
            (b"550 no (#5.1.1).\r\n", Some(EnhancedStatus(5, 1, 1))),
            (b"550 Exim 4.94.2 says no\r\n", None),
            (b"550 4.94.2\r\n", None),
            (b"550 10.5.1.1 is blocked\r\n", None),
            (b"550 <5.1.1@example.com> no\r\n", None),
            (b"550 4.1.1 no\r\n", Some(EnhancedStatus(4, 1, 1))),
            (b"550 no\r\n", None),
            (b"550\r\n", None),
        ] {
            let shown = String::from_utf8_lossy(octets);
            assert_eq!(reply(octets).status(), status, "{shown}");
        }
    }

    /// Octets as a hostile server would choose them: mostly those that the reader looks at.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"250".to_vec()),
            Just(b"250-".to_vec()),
            Just(b"550 ".to_vec()),
            Just(b"5.1.1".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(vec![b'x'; 600]),
            prop::collection::vec(any::<u8>(), 0..40),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_split_of_the_octets_gives_the_same_reply(
            octets in hostile(),
            sizes in prop::collection::vec(1_usize..700, 1..20),
        ) {
            prop_assert_eq!(read_in(&octets, &sizes), read_in(&octets, &[octets.len().max(1)]));
            prop_assert_eq!(read_in(&octets, &[1]), read_in(&octets, &[octets.len().max(1)]));
        }

        #[test]
        fn octets_behind_a_reply_are_left_over(text in "[ -~]{0,80}", early in hostile()) {
            let answer = format!("250-{text}\r\n250 {text}\r\n").into_bytes();
            let (used, decided) = ReplyReader::default().read(&[answer.clone(), early].concat());
            prop_assert_eq!(used, answer.len());
            prop_assert!(decided.unwrap().is_ok());
        }

        #[test]
        fn whatever_comes_is_decided_within_the_bounds(seed in hostile(), more in hostile()) {
            let mut endless = seed;
            while endless.len() <= LONGEST_REPLY {
                endless.extend_from_slice(&more);
                endless.push(b'x');
            }
            let (used, decided) = ReplyReader::default().read(&endless);
            prop_assert!(decided.is_some() && used <= LONGEST_REPLY);
            if let Some(Ok(reply)) = decided {
                let _ = (reply.status(), reply.line());
                prop_assert!(reply.lines.len() <= MOST_LINES);
                prop_assert!((200..600).contains(&reply.code));
            }
        }
    }
}
