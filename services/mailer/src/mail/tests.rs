//! What a person receives: text, layout and headers of the mail in each language, and that no value
//! can break out of its place.

use std::time::{Duration, SystemTime};

use mail_parser::{MessageParser, MimeHeaders as _};
use proptest::prelude::*;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    forms::Forms,
    message::{self, Frame},
    template::{Content, Rendered, Templates},
};
use crate::domain::{Digits, DisplayName, Language, Recipient, Sender};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KEY: Uuid = Uuid::from_u128(0x0193_2f6e_0000_7000_8000_0000_0000_0001);

fn render(language: Language, name: &str, link: Option<&str>) -> Rendered {
    render_until(1_795_701_900, language, name, link)
}

fn render_until(expires_at: i64, language: Language, name: &str, link: Option<&str>) -> Rendered {
    let (name, digits) = (
        DisplayName::parse(name).unwrap(),
        Digits::parse("12345678").unwrap(),
    );
    let content = content(expires_at, language, &name, &digits, link);
    Templates::compile().unwrap().render(&content).unwrap()
}

fn content<'a>(
    expires_at: i64,
    language: Language,
    name: &'a DisplayName,
    digits: &'a Digits,
    link: Option<&'a str>,
) -> Content<'a> {
    Content {
        language,
        sender: "Usher",
        name,
        digits,
        link,
        left: DAY,
        expires_at: OffsetDateTime::from_unix_timestamp(expires_at).unwrap(),
    }
}

fn frame(sender: &str, recipient: &str, name: &str, language: Language) -> Vec<u8> {
    let link = Some("https://usher.example/verify/1?a=1&b=2");
    framed(sender, recipient, name, language, link)
}

fn framed(
    sender: &str,
    recipient: &str,
    name: &str,
    language: Language,
    link: Option<&str>,
) -> Vec<u8> {
    let (sender, recipient) = (
        sender.parse::<Sender>().unwrap(),
        Recipient::parse(recipient).unwrap(),
    );
    let name = DisplayName::parse(name).unwrap();
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_615_500);
    let digits = Digits::parse("12345678").unwrap();
    let content = content(1_795_701_900, language, &name, &digits, link);
    let templates = Templates::compile().unwrap();
    let forms = Forms::compile(&templates, content.sender).unwrap();
    let parts = forms.fill(&templates, &content).unwrap();
    let frame = Frame {
        code_id: KEY,
        sender: &sender,
        recipient: &recipient,
        name: &name,
        language,
        date,
    };
    message::build(&frame, parts).unwrap()
}

/// With spaces that break no line made visible.
fn shown(text: &str) -> String {
    text.replace('\u{a0}', "␣")
}

#[test]
fn the_english_mail_reads_well() {
    let mail = render(
        Language::English,
        "Ada",
        Some("https://usher.example/verify/1"),
    );
    insta::assert_snapshot!(mail.subject, @"Confirm your email address");
    insta::assert_snapshot!(shown(&mail.text), @r"
    Hello Ada,

    You signed up at Usher. Enter this code there to confirm that this address is yours:

        1234 5678

    Or confirm it in your browser:

        https://usher.example/verify/1

    The code works for 24␣hours, until 26␣November 2026, 14:05␣UTC.

    You did not sign up? Then somebody typed your address by mistake. Ignore this mail, and nothing will happen.

    -- 
    Usher
    This mail was sent automatically. Nobody reads replies to it.
    ");
}

#[test]
fn the_french_mail_reads_well() {
    let mail = render(Language::French, "Zoë", None);
    insta::assert_snapshot!(mail.subject, @"Confirmez votre adresse e-mail");
    insta::assert_snapshot!(shown(&mail.text), @r"
    Bonjour Zoë,

    Vous venez de créer un compte sur Usher. Saisissez-y ce code pour confirmer que cette adresse est la vôtre␣:

        1234 5678

    Le code est valable 24␣heures, jusqu’au 26␣novembre 2026 à 14:05␣UTC.

    Vous n’avez pas créé de compte␣? Quelqu’un a sans doute saisi votre adresse par erreur. Vous pouvez ignorer ce message␣: il ne se passera rien.

    -- 
    Usher
    Ce message a été envoyé automatiquement. Les réponses ne sont pas lues.
    ");
}

#[test]
fn the_first_of_a_month_is_1er_in_french() {
    let first_of_december = 1_796_083_200;
    let text = render_until(first_of_december, Language::French, "Zoë", None).text;
    assert!(
        text.contains("jusqu’au 1er\u{a0}décembre 2026 à 00:00\u{a0}UTC"),
        "{text}"
    );
}

#[test]
fn the_german_mail_reads_well() {
    let mail = render(Language::German, "", None);
    insta::assert_snapshot!(mail.subject, @"Bestätigen Sie Ihre E-Mail-Adresse");
    insta::assert_snapshot!(shown(&mail.text), @r"
    Guten Tag,

    Sie haben sich bei Usher registriert. Geben Sie dort diesen Code ein, um zu bestätigen, dass diese Adresse Ihnen gehört:

        1234 5678

    Der Code gilt 24␣Stunden, bis zum 26.␣November 2026, 14:05␣Uhr␣UTC.

    Sie haben sich nicht registriert? Dann hat vermutlich jemand Ihre Adresse versehentlich eingegeben. Sie können diese E‑Mail ignorieren; es passiert nichts weiter.

    -- 
    Usher
    Diese E‑Mail wurde automatisch versendet. Antworten werden nicht gelesen.
    ");
}

#[test]
fn no_line_ends_within_a_time_or_a_word_however_narrow_it_is() {
    for language in [Language::English, Language::French, Language::German] {
        let mail = render(language, "Ada", None);
        for width in 8..=80 {
            for line in lines_of(&mail.text, width) {
                let mut rests = ["UTC", "Uhr", ":", "?"].into_iter();
                let is_torn = rests.any(|rest| line.starts_with(rest));
                let is_torn = is_torn || line.to_lowercase().ends_with("e-");
                assert!(!is_torn, "{language:?} at {width}: {line:?}");
            }
        }
        assert!(!mail.subject.contains('\u{2011}'));
    }
    let html = render(Language::German, "Ada", None).html;
    for kept in ["E-Mail-Adresse", "E-Mail", "14:05\u{a0}Uhr\u{a0}UTC."] {
        let kept = format!(r#"<span style="white-space:nowrap">{kept}</span>"#);
        assert!(html.contains(&kept), "{kept}");
    }
}

/// As a mail program breaks lines: after spaces and hyphens, but not after those of no break.
fn lines_of(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for piece in paragraph.split_inclusive([' ', '-']) {
            if line.chars().count() + piece.trim_end().chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(piece);
        }
        lines.push(line);
    }
    lines
}

#[test]
fn the_html_part_loads_nothing_and_adapts_to_dark_mode_and_small_screens() {
    let html = render(
        Language::German,
        "Ada",
        Some("https://usher.example/verify/1"),
    )
    .html;
    assert!(html.contains(r#"<html lang="de""#) && html.contains("1234 5678"));
    assert!(html.contains("prefers-color-scheme: dark") && html.contains(r#"name="color-scheme""#));
    assert!(html.contains("max-width: 479px"));
    let addresses = html
        .match_indices("://")
        .map(|(at, _)| &html[at - 5..(at + 30).min(html.len())]);
    let remote: Vec<_> = addresses
        .filter(|text| !text.contains("www.w3.org") && !text.contains("usher.example"))
        .collect();
    assert!(remote.is_empty(), "{remote:?}");
    for loader in ["<img", "<link", "@import", "url(", "src="] {
        assert!(!html.contains(loader), "{loader}");
    }
}

#[test]
fn without_a_public_url_there_is_no_button() {
    let mail = render(Language::English, "Ada", None);
    assert!(!mail.html.contains("href") && !mail.html.contains("Confirm my address"));
    assert!(!mail.text.contains("browser"));
}

#[test]
fn headers_say_what_a_mail_program_needs() {
    let bytes = frame(
        "Büro Usher <hallo@bücher.example>",
        "zoe@bücher.example",
        "Zoë Żółć",
        Language::French,
    );
    let mail = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(
        mail.from().unwrap().first().unwrap().name(),
        Some("Büro Usher")
    );
    assert_eq!(
        mail.from().unwrap().first().unwrap().address(),
        Some("hallo@xn--bcher-kva.example")
    );
    assert_eq!(mail.to().unwrap().first().unwrap().name(), Some("Zoë Żółć"));
    assert_eq!(
        mail.to().unwrap().first().unwrap().address(),
        Some("zoe@xn--bcher-kva.example")
    );
    assert_eq!(mail.subject(), Some("Confirmez votre adresse e-mail"));
    assert_eq!(
        mail.message_id(),
        Some(format!("{KEY}@xn--bcher-kva.example").as_str())
    );
    assert_eq!(mail.date().unwrap().to_timestamp(), 1_795_615_500);
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(
        text.contains("Auto-Submitted: auto-generated\r\n")
            && text.contains("Content-Language: fr\r\n")
    );
    for part in [mail.text_part(0).unwrap(), mail.html_part(0).unwrap()] {
        assert_eq!(
            part.content_type().unwrap().attribute("charset"),
            Some("utf-8")
        );
        assert_eq!(part.content_transfer_encoding(), Some("quoted-printable"));
    }
    assert!(mail.body_text(0).unwrap().contains("Bonjour Zoë Żółć,"));
}

#[test]
fn what_is_sent_reads_as_the_layouts_do_in_each_language() {
    let links = [None, Some("https://usher.example/verify/1?a=1&b=2")];
    for language in [Language::English, Language::French, Language::German] {
        for name in [
            "",
            "Zoë Żółć",
            "<b>&\"",
            "A name of many words, as long as a name may be: so",
        ] {
            for link in links {
                let (sender, recipient) = ("Usher <usher@example.com>", "ada@example.com");
                let bytes = framed(sender, recipient, name, language, link);
                let sent = MessageParser::default().parse(&bytes).unwrap();
                let layouts = render(language, name, link);
                let part = |part: &mail_parser::MessagePart<'_>| {
                    part.text_contents().unwrap().replace("\r\n", "\n")
                };
                assert_eq!(part(sent.text_part(0).unwrap()), layouts.text);
                assert_eq!(part(sent.html_part(0).unwrap()), layouts.html);
                assert_eq!(sent.subject(), Some(&*layouts.subject));
                let lines = String::from_utf8(bytes.clone()).unwrap();
                let longest = lines.split("\r\n").map(str::len).max();
                assert!(
                    longest <= Some(78),
                    "RFC 2045 §6.7, RFC 5322 §2.1.1: {longest:?}"
                );
            }
        }
    }
}

#[test]
fn a_name_is_neither_markup_nor_a_template() {
    let mail = render(
        Language::English,
        "<script>alert(1)</script>{{ code }}",
        None,
    );
    assert!(!mail.html.contains("<script>") && mail.html.contains("&lt;script&gt;"));
    assert!(
        mail.text
            .contains("Hello <script>alert(1)</script>{{ code }},")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_name_can_end_the_mail_early(name in "[.\\PC]{0,40}") {
        prop_assume!(DisplayName::parse(&name).is_ok());
        let mail = String::from_utf8(frame("Usher <usher@example.com>", "ada@example.com", &name, Language::English));
        let mail = mail.unwrap();
        prop_assert!(mail.is_ascii());
        prop_assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "a bare CR or LF");
        let stuffed = mail.replace("\r\n.", "\r\n..");
        prop_assert!(!stuffed.split(['\r', '\n']).any(|line| line == "."), "a lone dot");
        prop_assert!(mail.split("\r\n").all(|line| line.len() <= 998), "RFC 5322 §2.1.1");
        prop_assert_eq!(mail.split("\r\n\r\n").next().unwrap().matches("\nTo: ").count(), 1);
    }
}
