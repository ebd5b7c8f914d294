//! What holds of whatever octets a mail server sends: how they are read, classed and kept. The
//! fuzzer (`fuzz/`) looks for octets of which it does not hold; a test tries those it has kept.

use super::offers::Offers;
use crate::domain::{
    Digits, DisplayName, Exchange, Recipient, Refusal, Reply, ReplyReader, redact, refusal,
};

/// Of a line, a reply, and what may be kept of it.
const LINE: usize = 512;
const REPLY: usize = 64 * 1024;
const LINES: usize = 100;
const KEPT: usize = 300;

/// Whom the mail goes to: the first octet chooses.
const RECIPIENTS: [&str; 8] = [
    "ada@mail.example",
    "ada.canary@mail.example",
    "Ada.Canary+news@MAIL.example",
    "zoe@b\u{fc}cher.example",
    "a.a@b.example",
    "user-unknown@no.such.user",
    "relay@localhost",
    "12345678@xn--80akhbyknj4f.example",
];
const DIGITS: &str = "13572468";

/// Panics where something does not hold. The first octet chooses the recipient, the others are the
/// server's, with long ones written short.
pub(crate) fn hold(octets: &[u8]) {
    let [first, octets @ ..] = octets else { return };
    let chosen = RECIPIENTS[usize::from(*first) % RECIPIENTS.len()];
    let recipient = Recipient::parse(chosen).unwrap_or_else(|_| panic!("{chosen} is an address"));
    let digits = Digits::parse(DIGITS).unwrap_or_else(|_| panic!("{DIGITS} is a code"));
    let octets = &at_length(octets);
    let whole = read(octets, [octets.len().max(1)]);
    assert_eq!(whole, read(octets, [1]), "octet by octet");
    assert_eq!(whole, read(octets, [2, 3, 509, 5, 7, 64, 1]), "in pieces");
    let mut begin = 0;
    for (end, said) in &whole {
        let said_by = &octets[begin..*end];
        begin = *end;
        assert!(said_by.len() <= REPLY, "a bounded number of octets");
        match said {
            Said::Reply(code, lines, is_endless) => {
                let reply = Reply {
                    code: *code,
                    lines: lines.clone(),
                    is_endless: *is_endless,
                };
                is_what_was_said(&reply, said_by);
                is_classed(&reply, &recipient);
                is_fit_to_be_kept(&reply.line(), &recipient, &digits);
                let _ = Offers::read(&reply);
            }
            Said::NoReply(why) => {
                assert!(why.len() <= LINE, "{} octets of reason", why.len());
                is_fit_to_be_kept(why, &recipient, &digits);
            }
        }
    }
}

/// Octet 1 says the next one 700 times: so the bounds are met by what is short enough to be tried
/// often.
fn at_length(octets: &[u8]) -> Vec<u8> {
    let (mut long, mut octets) = (Vec::new(), octets.iter());
    while let Some(octet) = octets.next().filter(|_| long.len() <= REPLY + 4 * LINE) {
        match octet {
            1 => long.extend(octets.next().into_iter().flat_map(|next| [*next; 700])),
            _ => long.push(*octet),
        }
    }
    long
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Reply(u16, Vec<String>, bool),
    NoReply(String),
}

/// All that is read out of octets that come in pieces of these sizes, and where each ends. Nothing
/// is read behind what is no reply or has no end: there the connection is given up.
fn read<const N: usize>(octets: &[u8], sizes: [usize; N]) -> Vec<(usize, Said)> {
    let mut sizes = sizes.iter().cycle();
    let (mut reader, mut used, mut all) = (ReplyReader::default(), 0, Vec::new());
    while used < octets.len() {
        let size = sizes
            .next()
            .map_or(1, |size| *size)
            .min(octets.len() - used);
        let (took, decided) = reader.read(&octets[used..used + size]);
        used += took;
        match decided {
            Some(Ok(reply)) => {
                let is_endless = reply.is_endless;
                all.push((used, Said::Reply(reply.code, reply.lines, is_endless)));
                if is_endless {
                    break;
                }
                reader = ReplyReader::default(); // as `wire` does for each reply
            }
            Some(Err(no_reply)) => {
                all.push((used, Said::NoReply(no_reply.0)));
                break;
            }
            None => assert_eq!(took, size, "what decides nothing is used up"),
        }
    }
    all
}

/// The reply again, from the octets that are its own.
fn is_what_was_said(reply: &Reply, octets: &[u8]) {
    let code = reply.code.to_string();
    assert!((200..600).contains(&reply.code));
    let lines: Vec<&[u8]> = octets.split_inclusive(|octet| *octet == b'\n').collect();
    assert_eq!(reply.lines.len(), lines.len());
    assert!(lines.len() <= LINES);
    for (number, (line, text)) in lines.iter().zip(&reply.lines).enumerate() {
        assert!(line.starts_with(code.as_bytes()));
        assert!(text.chars().count() <= LINE);
        let goes_on = line.get(3) == Some(&b'-');
        assert!(goes_on || reply.is_endless || number + 1 == lines.len());
        let is_whole = line.ends_with(b"\n");
        assert!(is_whole || reply.is_endless && octets.len() == REPLY);
        assert!(!goes_on || reply.is_endless || number + 1 < lines.len());
    }
    assert!(!reply.is_endless || octets.len() == REPLY || lines.len() == LINES);
}

/// Only what is permanent by its code, and only where a recipient was named, is final.
fn is_classed(reply: &Reply, recipient: &Recipient) {
    let address = [recipient.local(), recipient.domain()];
    for exchange in [
        Exchange::Mail,
        Exchange::Rcpt,
        Exchange::Data,
        Exchange::Message,
    ] {
        let found = refusal(exchange, reply, address);
        assert!(reply.code >= 500 || found == Refusal::Later);
        let of_mailbox = matches!(found, Refusal::Mailbox(_));
        assert!(!of_mailbox || matches!(exchange, Exchange::Rcpt | Exchange::Message));
    }
}

/// Short, printable, and nothing in it of the address, of any other, or of the code.
fn is_fit_to_be_kept(said: &str, recipient: &Recipient, digits: &Digits) {
    let nobody = DisplayName::parse("").expect("no name is one");
    let kept = redact(said, recipient, &nobody, digits);
    assert!(kept.len() <= KEPT);
    assert!(kept.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert!(
        !["@", "%40", "=40"].iter().any(|at| kept.contains(at)),
        "{kept}"
    );
    let lower = kept.replace("<redacted>", "\0").to_ascii_lowercase();
    let digits_of = lower.replace(|c: char| !c.is_ascii_alphanumeric() && c != '\0', "");
    assert!(!digits_of.contains(digits.plain()), "{kept}");
    let mailbox = recipient.local().split('+').next().unwrap_or_default();
    for word in [recipient.local(), mailbox, recipient.domain()] {
        let word = word.to_ascii_lowercase();
        let is_there = |at: &usize| lower[*at..].starts_with(&word);
        for at in (0..lower.len()).filter(is_there) {
            let is_part = |c: char| c.is_ascii_alphanumeric();
            let rest = &lower[at + word.len()..];
            // Where the text was cut, the word may have gone on.
            let goes_on = rest.starts_with(is_part) || rest.is_empty() && kept.len() >= KEPT - 10;
            assert!(
                goes_on || lower[..at].ends_with(is_part),
                "{word} in {kept}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::hold;

    #[test]
    fn what_the_fuzzer_has_kept_holds() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/replies");
        let mut tried = 0;
        for file in fs::read_dir(corpus).unwrap() {
            hold(&fs::read(file.unwrap().path()).unwrap());
            tried += 1;
        }
        assert!(tried >= 20, "{tried} files");
    }
}
