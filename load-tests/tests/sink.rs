//! The sink, spoken to over a socket as a mailer speaks to it.

use load_tests::sink::{Mood, Moods, Sink};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

const MAIL: &str = "Message-ID: <c1@localhost>\r\n\r\n1234 5678\r\n..dotted\r\n.\r\n";

struct Client(BufReader<TcpStream>);

impl Client {
    async fn of(sink: &Sink) -> Self {
        let addr = sink.url().replace("smtp://", "");
        let stream = TcpStream::connect(addr).await.expect("the sink listens");
        let mut client = Self(BufReader::new(stream));
        assert_eq!(client.reply().await, "220 sink ESMTP\r\n");
        client
    }

    async fn say(&mut self, text: &str) {
        let said = self.0.write_all(text.as_bytes()).await;
        said.expect("the sink reads");
    }

    /// The last line of a reply; empty at the connection's end.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = Vec::new();
            let _ = self.0.read_until(b'\n', &mut line).await;
            if line.get(3) != Some(&b'-') {
                return String::from_utf8_lossy(&line).into_owned();
            }
        }
    }

    /// Sends a mail command by command, and returns the reply that ended it.
    async fn mail(&mut self, recipient: &str) -> String {
        for command in [
            "MAIL FROM:<u@localhost>",
            &format!("RCPT TO:<{recipient}>"),
            "DATA",
        ] {
            self.say(&format!("{command}\r\n")).await;
            let reply = self.reply().await;
            if !reply.starts_with(['2', '3']) {
                return reply;
            }
        }
        self.say(MAIL).await;
        self.reply().await
    }
}

async fn sink(list: Vec<Mood>) -> Sink {
    let moods = Moods {
        seed: 1,
        share: 1.0,
        list,
    };
    let sink = Sink::listen(([127, 0, 0, 1], 0).into(), moods).await;
    sink.expect("a port can be had")
}

#[tokio::test]
async fn an_accepted_mail_is_kept_with_recipient_message_id_and_code() {
    let sink = sink(Vec::new()).await;
    let mut client = Client::of(&sink).await;
    // All at once: answers come in order.
    client
        .say(&format!("EHLO me\r\nMAIL FROM:<u@localhost>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n{MAIL}QUIT\r\n"))
        .await;
    for code in ["250", "250", "250", "354", "250", "221"] {
        let reply = client.reply().await;
        assert!(reply.starts_with(code), "{reply} is no {code}");
    }
    let accepted = sink.accepted();
    assert_eq!(accepted.len(), 1);
    let mail = &accepted[0];
    let facts = (mail.recipient.as_str(), mail.code_id(), mail.code.as_str());
    assert_eq!(facts, ("ada@example.com", "c1", "12345678"));
}

#[tokio::test]
async fn a_mailbox_that_is_gone_is_refused_for_good_even_after_the_healing() {
    let sink = sink(Vec::new()).await;
    sink.heal();
    let mut client = Client::of(&sink).await;
    let reply = client.mail("gone000001.t@example.com").await;
    assert!(reply.starts_with("550 5.1.1 "), "{reply}");
    assert_eq!(sink.count(), 0);
}

/// What ends a mail under each mood, and whether it was accepted nevertheless.
#[tokio::test]
async fn each_mood_does_what_it_says_and_leaves_the_mail_deliverable() {
    let long = format!("250 2.0.0 {}\r\n", "queued ".repeat(227));
    let policy = [
        "550 relay not permitted\r\n",
        "553 ",
        "550 5.1.0 ",
        "550 SC-001 ",
    ];
    for (mood, replies, accepted) in [
        (Mood::Greylist, &["451 4.7.1 "][..], 0),
        (Mood::Policy, &policy, 0),
        (Mood::Busy, &["421 "], 0),
        (Mood::BusyAtDot, &["421 "], 0),
        (Mood::ResetAtRcpt, &[""], 0),
        (Mood::ResetAfterDot, &[""], 1),
        (Mood::Delay, &["250 2.0.0 queued\r\n"], 1),
        (Mood::Slow, &["250 2.0.0 queued, slowly\r\n"], 1),
        (Mood::Bare, &["250\r\n"], 1),
        (Mood::Latin, &["250 2.0.0 angenommen f\u{fffd}r "], 1),
        (Mood::LongLine, &[long.as_str()], 1),
        (Mood::BareLf, &["250 2.0.0 queued\n"], 1),
        (Mood::ManyLines, &["250 2.0.0 queued\r\n"], 1),
    ] {
        let sink = sink(vec![mood]).await;
        let reply = Client::of(&sink).await.mail("ada@example.com").await;
        let is_one = replies.iter().any(|expected| match *expected {
            "" => reply.is_empty(),
            expected => reply.starts_with(expected),
        });
        assert!(is_one, "{mood:?}: {reply:?}");
        assert_eq!(sink.count(), accepted, "{mood:?}");
        assert_eq!(sink.moods_met()[&mood], 1);
        sink.heal();
        let reply = Client::of(&sink).await.mail("ada@example.com").await;
        assert_eq!(reply, "250 2.0.0 queued\r\n", "{mood:?}, healed");
    }
}

#[tokio::test]
async fn a_hanging_recipient_is_let_go_by_the_healing() {
    let sink = sink(vec![Mood::Hang]).await;
    let mut client = Client::of(&sink).await;
    client
        .say("MAIL FROM:<u@localhost>\r\nRCPT TO:<ada@example.com>\r\n")
        .await;
    assert!(client.reply().await.starts_with("250 "));
    let met = async || sink.moods_met().contains_key(&Mood::Hang).then_some(());
    kit::testing::eventually("the mood to be met", kit::testing::SOON, met).await;
    sink.heal();
    let mut rest = String::new();
    let _ = client.0.read_to_string(&mut rest).await;
    assert_eq!(rest, "");
}
