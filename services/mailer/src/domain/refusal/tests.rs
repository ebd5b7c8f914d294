//! The table of replies, row by row.

use super::*;
use crate::domain::ReplyReader;

const TABLE: &str = include_str!("../../../../../docs/smtp-replies.md");

fn class(refusal: Refusal) -> String {
    match refusal {
        Refusal::Mailbox(Ground::Status) => "mailbox, by status".to_owned(),
        Refusal::Mailbox(Ground::Words) => "mailbox, by words".to_owned(),
        Refusal::Later => "later".to_owned(),
        Refusal::Policy(concern) => format!("policy: {}", concern.word()),
    }
}

fn reply(text: &str) -> Reply {
    let octets = format!("{text}\r\n");
    ReplyReader::default()
        .read(octets.as_bytes())
        .1
        .unwrap()
        .unwrap_or_else(|no_reply| panic!("{text}: {}", no_reply.0))
}

/// The rows between the markers: phase, reply, class.
fn rows() -> Vec<[String; 3]> {
    let (_, table) = TABLE.split_once("<!-- replies:begin -->").unwrap();
    let (table, _) = table.split_once("<!-- replies:end -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    rows.skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [phase, reply, class, ..] = cells[..] else {
                panic!("{row}")
            };
            [phase, reply.trim_matches('`'), class].map(str::to_owned)
        })
        .collect()
}

#[test]
fn every_reply_in_the_table_is_classed_as_it_says() {
    let mut seen = 0;
    for [phase, text, expected] in rows() {
        let exchange = match phase.as_str() {
            "MAIL" => Exchange::Mail,
            "RCPT" => Exchange::Rcpt,
            "DATA" => Exchange::Data,
            "final dot" => Exchange::Message,
            other => panic!("{other} is no phase"),
        };
        let found = refusal(exchange, &reply(&text), ["ada", "mail.example"]);
        assert_eq!(class(found), expected, "{phase} {text}");
        seen += 1;
    }
    assert!(seen > 40, "{seen} rows");
}

#[test]
fn an_address_that_looks_like_a_reason_is_none() {
    for text in [
        "550 <relay@sender.example>: user unknown",
        "550 relay@sender.example user unknown",
        "550 relay: user unknown",
        "550 user unknown: \"relay\" at sender.example",
    ] {
        let found = refusal(Exchange::Rcpt, &reply(text), ["relay", "sender.example"]);
        assert_eq!(found, Refusal::Mailbox(Ground::Words), "{text}");
    }
    let found = refusal(
        Exchange::Rcpt,
        &reply("550 <user-unknown@no.such.user> go away"),
        ["user-unknown", "no.such.user"],
    );
    assert_eq!(found, Refusal::Policy(Concern::Unclear));
}
