//! A mail server that refuses, hangs or hangs up at each phase of a conversation, from the connection
//! to the final dot: what the mailer answers, what its ledger keeps, and what arrives. Prints its
//! table.

use std::io::{self, Write as _};

use futures::future::join_all;
use kit::testing::{On, Phase, Setup, SmtpServer, Tls};
use proto::mailer::Outcome;

use crate::{
    client::{again, attempts, mail, message_id},
    world::World,
};

/// How the mail server speaks TLS, and a phase; with implicit TLS its handshake follows `Connect`.
const PHASES: [(Tls, Phase); 11] = [
    (Tls::Off, Phase::Connect),
    (Tls::Implicit, Phase::Connect),
    (Tls::StartTls, Phase::Greeting),
    (Tls::StartTls, Phase::Ehlo),
    (Tls::StartTls, Phase::StartTls),
    (Tls::StartTls, Phase::Auth),
    (Tls::StartTls, Phase::Mail),
    (Tls::StartTls, Phase::Rcpt),
    (Tls::StartTls, Phase::Data),
    (Tls::StartTls, Phase::FinalDot),
    (Tls::Implicit, Phase::FinalDot),
];

/// What the mail server does there, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Refuse,
    Hang,
    HangUp,
    /// The mail is taken, and nobody hears of it.
    TakeAndHang,
    TakeAndHangUp,
}

const ALL: [Does; 5] = [
    Does::Refuse,
    Does::Hang,
    Does::HangUp,
    Does::TakeAndHang,
    Does::TakeAndHangUp,
];

impl Does {
    /// Only a mail that was sent can be taken.
    fn is_possible(self, phase: Phase) -> bool {
        !self.takes() || phase == Phase::FinalDot
    }

    fn takes(self) -> bool {
        matches!(self, Self::TakeAndHang | Self::TakeAndHangUp)
    }

    fn at(self, place: On<'_>) {
        match self {
            Self::Refuse => place.answer(451, "4.3.0 not now"),
            Self::Hang => place.hang(),
            Self::HangUp => place.drop_connection(),
            Self::TakeAndHang => place.accept_and_hang(),
            Self::TakeAndHangUp => place.accept_and_drop(),
        }
    }

    /// What is answered, and how many attempts have an unknown outcome: an answer to the final dot
    /// that does not come says nothing of the mail.
    fn expected(self, phase: Phase) -> (Outcome, u32) {
        match phase {
            Phase::FinalDot if self != Self::Refuse => (Outcome::Unknown, 1),
            _ => (Outcome::Unavailable, 0),
        }
    }
}

#[tokio::test]
async fn i07_i08_whatever_a_mail_server_does_at_any_phase_its_mail_arrives_and_twice_only_if_it_said_nothing()
 {
    let all = PHASES
        .iter()
        .flat_map(|(tls, phase)| ALL.map(|does| (*tls, *phase, does)));
    let all: Vec<_> = all
        .filter(|(_, phase, does)| does.is_possible(*phase))
        .collect();
    let mut table = format!(
        "\n{:10} {:10} {:13} {:11} {:8} {:5}  then\n",
        "TLS", "phase", "mail server", "answer", "ledger", "mails"
    );
    // A few at a time: each waits for a deadline or two.
    for some in all.chunks(8) {
        let lines = some
            .iter()
            .map(|(tls, phase, does)| meets(*tls, *phase, *does));
        table += &join_all(lines).await.concat();
    }
    // Not `println!`, which the harness keeps to itself when a test passes.
    let _ = writeln!(io::stderr(), "{table}");
}

/// One mail meets it, and is offered again. Returns the line of the table.
async fn meets(tls: Tls, phase: Phase, does: Does) -> String {
    let what = format!("{tls:?} {phase:?} {does:?}");
    let server = server(tls).await;
    does.at(server.on(phase).times(1));
    let world = World::sending_to(&url(&server, tls));
    std::fs::write(world.file("ca.pem"), server.ca_pem()).expect("the folder can be written");
    let ca = world.file("ca.pem").display().to_string();
    let url = url(&server, tls).replace("CA", &ca);
    let service = world.start_with(&[("USHER_MAIL_URL", &url)]).await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");

    let (outcome, unknown) = does.expected(phase);
    let first = delivery.deliver(offered.clone()).await;
    assert_eq!(
        (first.outcome(), first.unknown_attempts),
        (outcome, unknown),
        "{what}: {}",
        first.reason
    );
    if matches!(does, Does::Hang | Does::TakeAndHang) {
        assert!(
            first.reason.contains("within 500ms"),
            "{what}: {}",
            first.reason
        );
    }
    let row = "SELECT state || ', ' || unknown_attempts FROM mails";
    assert_eq!(
        world.texts(row).await,
        [format!("idle, {unknown}")],
        "{what}"
    );
    let taken = usize::from(does.takes());
    assert_eq!(server.mails().len(), taken, "{what}");

    let second = delivery.insist(&again(&offered)).await;
    assert_eq!(
        (second.outcome(), second.unknown_attempts),
        (Outcome::Accepted, unknown),
        "{what}: {}",
        second.reason
    );
    assert_eq!(
        world.texts(row).await,
        [format!("accepted, {unknown}")],
        "{what}"
    );
    let mails = server.mails();
    assert_eq!(mails.len(), taken + 1, "{what}");
    let same = |bytes: &[u8]| message_id(bytes) == message_id(&mails[0].bytes);
    assert!(mails.iter().all(|mail| same(&mail.bytes)), "{what}");
    assert_eq!(told(&service).await, [Outcome::Accepted, outcome], "{what}");
    format!(
        "{:10} {:10} {:13} {:11} {:8} {:5}  accepted, {} in all\n",
        format!("{tls:?}"),
        format!("{phase:?}"),
        format!("{does:?}"),
        format!("{outcome:?}"),
        format!("idle, {unknown}"),
        taken,
        mails.len()
    )
}

/// With a login, where that is not in the clear.
async fn server(tls: Tls) -> SmtpServer {
    let login = ("usher".to_owned(), "secret".to_owned());
    SmtpServer::with(Setup {
        tls,
        login: Some(login).filter(|_| tls != Tls::Off),
        ..Setup::default()
    })
    .await
}

/// `CA` stands for the file of its authority.
fn url(server: &SmtpServer, tls: Tls) -> String {
    match tls {
        Tls::Off => server.url(),
        Tls::StartTls => server.url().replace("://", "://usher:secret@") + "?tls=required&ca=CA",
        Tls::Implicit => server.url().replace("://", "://usher:secret@") + "?ca=CA",
    }
}

/// The outcomes that operators see, newest first.
async fn told(service: &crate::world::Service) -> Vec<Outcome> {
    let all = attempts(service).await;
    all.iter()
        .map(proto::mailer::MailAttempt::outcome)
        .collect()
}
