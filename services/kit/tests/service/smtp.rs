//! The mail server of tests, as a mail program that we did not write (lettre) sees it.

use std::time::Duration;

use kit::testing::{On, Phase, SOON, Setup, SmtpServer, Tls};
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls as Mode, TlsParameters},
    },
};

type Client = AsyncSmtpTransport<Tokio1Executor>;

fn client(server: &SmtpServer) -> Client {
    Client::builder_dangerous("127.0.0.1")
        .port(server.port())
        .timeout(Some(SOON))
        .build()
}

fn encrypted(server: &SmtpServer, mode: fn(TlsParameters) -> Mode) -> Client {
    let authority = Certificate::from_pem(server.ca_pem().as_bytes()).unwrap();
    let tls = TlsParameters::builder("127.0.0.1".to_owned())
        .add_root_certificate(authority)
        .build()
        .unwrap();
    Client::builder_dangerous("127.0.0.1")
        .port(server.port())
        .tls(mode(tls))
        .build()
}

fn mail(to: &str, body: &str) -> Message {
    let builder = Message::builder()
        .from("a@example.org".parse().unwrap())
        .to(to.parse().unwrap());
    builder.subject("Hello").body(body.to_owned()).unwrap()
}

#[tokio::test]
async fn an_accepted_mail_is_kept_as_it_was_sent() {
    let server = SmtpServer::start().await;
    let mail = mail("b@example.com", "one\r\n.two\r\n..three");
    client(&server).send(mail.clone()).await.unwrap();

    let kept = server.wait_for(1, SOON).await.remove(0);
    assert_eq!(
        (kept.from.as_str(), kept.to.as_slice()),
        ("a@example.org", ["b@example.com".to_owned()].as_slice())
    );
    let (kept_text, sent) = (
        String::from_utf8(kept.bytes).unwrap(),
        String::from_utf8(mail.formatted()).unwrap(),
    );
    assert_eq!(
        kept_text,
        format!("{sent}\r\n"),
        "stuffed dots are taken out again; the last line break is lettre's"
    );
    assert!(!kept.encrypted);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn mails_come_over_starttls_and_over_implicit_tls() {
    for (tls, mode) in [
        (Tls::StartTls, Mode::Required as fn(_) -> _),
        (Tls::Implicit, Mode::Wrapper),
    ] {
        let server = SmtpServer::with(Setup {
            tls,
            ..Setup::default()
        })
        .await;
        encrypted(&server, mode)
            .send(mail("b@example.com", "secret"))
            .await
            .unwrap();
        assert!(server.wait_for(1, SOON).await[0].encrypted, "{tls:?}");
    }
}

#[tokio::test]
async fn a_stranger_to_the_certificates_authority_sends_nothing() {
    let server = SmtpServer::with(Setup {
        tls: Tls::StartTls,
        ..Setup::default()
    })
    .await;
    let tls = TlsParameters::new("127.0.0.1".to_owned()).unwrap();
    let client = Client::builder_dangerous("127.0.0.1")
        .port(server.port())
        .tls(Mode::Required(tls))
        .build();
    assert!(client.send(mail("b@example.com", "secret")).await.is_err());
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn only_the_right_login_sends_mail() {
    let login = Some(("user".to_owned(), "secret!".to_owned()));
    let server = SmtpServer::with(Setup {
        login,
        ..Setup::default()
    })
    .await;
    let login = |password: &str| {
        let credentials = Credentials::new("user".to_owned(), password.to_owned());
        Client::builder_dangerous("127.0.0.1")
            .port(server.port())
            .credentials(credentials)
            .build()
    };
    assert!(
        client(&server)
            .send(mail("b@example.com", "no login"))
            .await
            .is_err()
    );
    assert!(
        login("wrong")
            .send(mail("b@example.com", "wrong login"))
            .await
            .is_err()
    );
    login("secret!")
        .send(mail("b@example.com", "right login"))
        .await
        .unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_rule_for_one_recipient_spares_the_others_and_is_used_up() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Rcpt)
        .to("dead@example.com")
        .times(1)
        .answer(550, "5.1.1 no such user");
    let client = client(&server);

    client.send(mail("b@example.com", "fine")).await.unwrap();
    let refused = client
        .send(mail("dead@example.com", "refused"))
        .await
        .unwrap_err();
    assert!(refused.is_permanent());
    client
        .send(mail("dead@example.com", "fine again"))
        .await
        .unwrap();

    assert_eq!(server.mails().len(), 2);
}

#[tokio::test]
async fn every_phase_can_be_refused_dropped_and_spoiled() {
    let server = SmtpServer::start().await;
    let phases = [
        Phase::Greeting,
        Phase::Ehlo,
        Phase::Mail,
        Phase::Rcpt,
        Phase::Data,
        Phase::FinalDot,
    ];
    let rules: [fn(On<'_>); 3] = [
        |on| on.answer(451, "4.3.0 later"),
        |on| on.drop_connection(),
        |on| on.garbage(),
    ];
    for phase in phases {
        for rule in rules {
            rule(server.on(phase));
            let sent = client(&server).send(mail("b@example.com", "never")).await;
            assert!(sent.is_err(), "{phase:?} went well");
            server.behave();
        }
    }
    server.on(Phase::Connect).drop_connection();
    assert!(
        client(&server)
            .send(mail("b@example.com", "never"))
            .await
            .is_err()
    );
    server.behave();
    assert!(server.mails().is_empty());
    client(&server)
        .send(mail("b@example.com", "at last"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_hanging_server_says_nothing_until_its_client_gives_up() {
    let server = SmtpServer::start().await;
    server.on(Phase::FinalDot).hang();
    let sending = client(&server);
    let silence = tokio::time::timeout(
        Duration::from_millis(200),
        sending.send(mail("b@example.com", "?")),
    )
    .await;
    assert!(silence.is_err());
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_mail_can_be_accepted_and_the_answer_lost() {
    let server = SmtpServer::start().await;
    server.on(Phase::FinalDot).times(1).accept_and_drop();
    assert!(
        client(&server)
            .send(mail("b@example.com", "unknown"))
            .await
            .is_err()
    );
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_delay_is_waited_for_and_connections_are_counted() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Data)
        .after(Duration::from_millis(50))
        .proceed();
    let clients = [client(&server), client(&server), client(&server)];
    let sends = clients
        .iter()
        .map(|client| client.send(mail("b@example.com", "slow")));
    let begun = tokio::time::Instant::now();
    for sent in futures::future::join_all(sends).await {
        sent.unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(50));
    server
        .until("three mails", |server| server.mails().len() == 3)
        .await;
    assert_eq!((server.connections(), server.peak_connections()), (3, 3));
}
