//! Makes a mail server's answer fit to be kept: what it repeats of the recipient, the name, the code
//! or any other address is taken out before the text reaches a table, a log or a client.

use super::{Digits, DisplayName, Recipient};

pub(super) const REDACTED: &str = "<redacted>";

/// Most bytes that are kept.
const MAX_BYTES: usize = 300;

/// The reply as one line of at most 300 printable ASCII bytes. The recipient as a whole, its local
/// part and its domain, the whole name, the code in any grouping, and everything with an `@` become
/// `<redacted>`.
pub(crate) fn redact(
    reply: &str,
    recipient: &Recipient,
    name: &DisplayName,
    digits: &Digits,
) -> String {
    let line = ascii(&with_a_labels(reply, recipient.domain()));
    let mut hidden = vec![false; line.len()];
    hide_addresses(&line, &mut hidden);
    hide_digits(&line, digits.plain(), &mut hidden); // what stood beside them may stand alone now
    // Servers may look for the mailbox behind `ada+news` under `ada` alone.
    let mailbox = recipient.local().split('+').next().unwrap_or_default();
    for word in [recipient.local(), mailbox, recipient.domain()] {
        hide_words(&line, word, &mut hidden);
    }
    // As it reads in an encoding that is not known here.
    let (in_letters, _) = idna::domain_to_unicode(recipient.domain());
    hide_words(&line, &ascii(&in_letters), &mut hidden);
    // Whole, as it stood in the mail: who is called `No Such User` is not to hide what was said.
    hide_words(&line, &ascii(name.as_str()), &mut hidden);
    rewrite(&line, &hidden)
}

/// Stands for a letter that is not ASCII while addresses are looked for: part of a word, and a
/// space in the end.
const FOREIGN: char = '\u{7f}';

/// ASCII; other letters are `FOREIGN`, also those that came in an encoding nobody knows.
fn ascii(text: &str) -> String {
    // Full-width forms are read as their ASCII counterparts, and what is invisible is left out, so
    // that neither can carry an address past the rules below.
    let ascii = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        _ if is_invisible(c) => None,
        ' '..='~' => Some(c),
        _ if c.is_control() || c.is_whitespace() => Some(' '),
        _ => Some(FOREIGN),
    };
    let line: String = text.chars().filter_map(ascii).collect();
    // As in URLs, and in quoted-printable.
    line.replace("%40", "@")
        .replace("=40", "@")
        .trim()
        .to_owned()
}

/// What is shown as nothing: Unicode's Default_Ignorable_Code_Point.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Domains in letters of their own as the A-labels by which the recipient's is known.
fn with_a_labels(text: &str, domain: &str) -> String {
    let is_end = |c: char| {
        c.is_whitespace() || c.is_ascii() && !c.is_ascii_alphanumeric() && !"-.".contains(c)
    };
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_end) {
        let word = piece.trim_end_matches(is_end);
        match !word.is_ascii() && idna::domain_to_ascii(word).is_ok_and(|name| name == domain) {
            true => out.push_str(domain),
            false => out.push_str(word),
        }
        out.push_str(&piece[word.len()..]);
    }
    out
}

/// Hides every word with an `@` in it, with the quoted local part before it if there is one.
fn hide_addresses(line: &str, hidden: &mut [bool]) {
    let bytes = line.as_bytes();
    for (at, _) in line.match_indices('@') {
        // In a word that is hidden already, up to its end: a line of nothing else takes no longer.
        if hidden[at] && bytes.get(at + 1).is_some_and(|next| *next != b' ') {
            continue;
        }
        let mut start = at;
        while start > 0 && bytes[start - 1] == b' ' {
            start -= 1; // `user @ host` is an address, too
        }
        if start > 0 && bytes[start - 1] == b'"' {
            start = line[..start - 1].rfind('"').unwrap_or(0);
        }
        while start > 0 && !ends_address(bytes[start - 1]) {
            start -= 1;
        }
        let mut end = at + 1;
        while end < bytes.len() && bytes[end] == b' ' {
            end += 1;
        }
        while end < bytes.len() && !ends_address(bytes[end]) {
            end += 1;
        }
        hidden[start..end].fill(true);
    }
}

fn ends_address(byte: u8) -> bool {
    b" <>()[],;:\"".contains(&byte)
}

/// Hides `word` wherever it stands alone, in any case. Letters and digits beside it make it another
/// word, unless they are hidden themselves.
fn hide_words(line: &str, word: &str, hidden: &mut [bool]) {
    let (line, word) = (line.to_ascii_lowercase(), word.to_ascii_lowercase());
    for start in (0..line.len()).filter(|_| !word.is_empty()) {
        let end = start + word.len();
        let is_part = |at: usize| {
            let byte = line.as_bytes().get(at);
            byte.is_some_and(u8::is_ascii_alphanumeric) && !hidden[at]
        };
        let alone = !start.checked_sub(1).is_some_and(is_part) && !is_part(end);
        if alone && line[start..].starts_with(&word) {
            hidden[start..end].fill(true);
        }
    }
}

/// Hides `code` however its digits are separated, as long as no letter stands between them.
fn hide_digits(line: &str, code: &str, hidden: &mut [bool]) {
    let meaningful: Vec<(usize, u8)> = line
        .bytes()
        .enumerate()
        .filter(|(_, byte)| byte.is_ascii_alphanumeric())
        .collect();
    for window in meaningful.windows(code.len()) {
        if window.iter().map(|(_, byte)| *byte).eq(code.bytes()) {
            hidden[window[0].0..=window[code.len() - 1].0].fill(true);
        }
    }
}

/// Replaces each hidden stretch and cuts the result, never inside a marker.
fn rewrite(line: &str, hidden: &[bool]) -> String {
    let mut out = String::new();
    for index in 0..line.len() {
        let piece = match hidden[index] {
            true if index > 0 && hidden[index - 1] => continue,
            true => REDACTED,
            false if line[index..].starts_with(FOREIGN) => " ",
            false => &line[index..=index],
        };
        if out.len() + piece.len() > MAX_BYTES {
            break;
        }
        out.push_str(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ada() -> (Recipient, Digits) {
        (
            Recipient::parse("ada.canary@mail.example").unwrap(),
            Digits::parse("13572468").unwrap(),
        )
    }

    fn nobody() -> DisplayName {
        DisplayName::parse("").unwrap()
    }

    fn redacted(reply: &str) -> String {
        let (recipient, digits) = ada();
        redact(reply, &recipient, &nobody(), &digits)
    }

    #[test]
    fn keeps_what_operators_need() {
        assert_eq!(
            redacted("550 5.1.1 Mailbox unknown"),
            "550 5.1.1 Mailbox unknown"
        );
        assert_eq!(
            redacted("250 2.0.0 Ok: queued as 4F3B21A0\r\n"),
            "250 2.0.0 Ok: queued as 4F3B21A0"
        );
    }

    #[test]
    fn takes_out_names_in_letters_of_their_own() {
        let recipient = Recipient::parse("zoe@b\u{fc}cher.example").unwrap();
        let digits = Digits::parse("13572468").unwrap();
        for reply in [
            "550 <zo\u{eb}@b\u{fc}cher.example> unknown",
            "550 <zoe@b\u{fc}cher.example> unknown",
            "550 zo\u{eb}@b\u{fc}cher.example unknown",
            "550 zo\u{fffd}@b\u{fffd}cher.example unknown",
            "550 b\u{fc}cher.example unknown",
            "550 B\u{dc}CHER.example unknown",
            "550 bu\u{308}cher.example unknown",
            "550 b\u{fffd}cher.example unknown",
            "550 xn--bcher-kva.example unknown",
            "550 z\u{200b}oe unknown",
            "550 <\u{5f20}\u{4f1f}@\u{4f8b}\u{3048}.example> unknown",
        ] {
            let kept = redact(reply, &recipient, &nobody(), &digits);
            let kept = kept.replace(['<', '>'], "");
            assert_eq!(kept, "550 redacted unknown", "{reply}");
        }
        assert_eq!(
            redact("550 bo\u{ee}te inconnue", &recipient, &nobody(), &digits),
            "550 bo te inconnue"
        );
    }

    #[test]
    fn takes_out_the_recipient_in_every_spelling() {
        for reply in [
            "550 <ada.canary@mail.example>: unknown",
            "550 ADA.Canary@MAIL.example unknown",
            "550 ada.canary at mail.example unknown",
            "550 user ada.canary unknown in local table",
            "550 ada.canary%40mail.example",
            "550 ada.canary=mail.example@forwarder.example",
            "550 ada.canary＠mail.example",
            "550 ada.canary @ mail.example",
        ] {
            let out = redacted(reply).to_lowercase();
            assert!(out.contains("<redacted>"), "{out}");
            assert!(
                !out.contains("ada.canary") && !out.contains("mail.example"),
                "{out}"
            );
        }
    }

    #[test]
    fn takes_out_what_invisible_signs_stand_in() {
        let invisible = "\u{ad}\u{34f}\u{61c}\u{180e}\u{200b}\u{200f}\u{202a}\u{202e}\
                         \u{2060}\u{2064}\u{2069}\u{3164}\u{fe0f}\u{feff}\u{e0020}\u{e0100}";
        for sign in invisible.chars() {
            let spelled = |word: &str| word.chars().flat_map(|c| [c, sign]).collect::<String>();
            for word in ["ada.canary", "mail.example", "13572468", "eve@else.example"] {
                let kept = redacted(&format!("550 {} no", spelled(word)));
                assert_eq!(kept, "550 <redacted> no", "{word} with {sign:?}");
            }
        }
    }

    #[test]
    fn takes_out_the_whole_name_in_every_script_and_leaves_its_words() {
        let (recipient, digits) = ada();
        for (name, reply, kept) in [
            (
                "Ada Lovelace",
                "550 ADA LOVELACE is spam",
                "550 <redacted> is spam",
            ),
            (
                "Zo\u{eb} \u{d6}z",
                "550 to: Zo\u{eb} \u{d6}z no",
                "550 to: <redacted> no",
            ),
            ("No User", "550 no such user", "550 no such user"),
            ("", "550 no", "550 no"),
        ] {
            let name = DisplayName::parse(name).unwrap();
            assert_eq!(redact(reply, &recipient, &name, &digits), kept);
        }
    }

    #[test]
    fn what_stands_beside_a_hidden_code_stands_alone() {
        let recipient = Recipient::parse("12345678@mail.example").unwrap();
        let kept = redact("550 1357246812345678", &recipient, &nobody(), &ada().1);
        assert_eq!(kept, "550 <redacted>");
    }

    #[test]
    fn takes_out_the_mailbox_of_a_tagged_address() {
        let recipient = Recipient::parse("ada+news@mail.example").unwrap();
        let out = redact(
            "550 ada+news: no user ADA here, Adam",
            &recipient,
            &nobody(),
            &ada().1,
        );
        assert_eq!(out, "550 <redacted>: no user <redacted> here, Adam");
    }

    #[test]
    fn takes_out_the_code_in_every_grouping_and_other_addresses() {
        for reply in [
            "554 spam: 13572468",
            "554 spam: 1357 2468",
            "554 spam: 13-57-24-68",
            "554 1.3.5.7.2.4.6.8",
        ] {
            assert_eq!(redacted(reply).matches("<redacted>").count(), 1, "{reply}");
        }
        assert_eq!(
            redacted("550 ask \"the boss\"@help.example now"),
            "550 ask <redacted> now"
        );
    }

    proptest! {
        #[test]
        fn is_short_printable_and_free_of_secrets(
            before in "\\PC{0,60}", between in "\\PC{0,250}", after in ".{0,200}", separator in "[ -.]",
        ) {
            let (recipient, digits) = ada();
            let code = digits.plain();
            let reply = format!(
                "{before} <ada.canary@mail.example> {between} {}{separator}{} {after}", &code[..4], &code[4..],
            );
            let out = redact(&reply, &recipient, &nobody(), &digits);
            prop_assert!(out.len() <= MAX_BYTES);
            prop_assert!(out.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert!(!out.contains('@'));
            prop_assert!(!out.to_lowercase().contains("ada.canary"));
            let characters: String = out.chars().filter(char::is_ascii_alphanumeric).collect();
            prop_assert!(!characters.contains(code));
        }
    }
}
