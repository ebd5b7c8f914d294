//! Encryption and login: what the URL demands, or no mail.

use std::path::PathBuf;

use kit::testing::{Setup, SmtpServer, Tls};
use proto::mailer::Outcome;
use tempfile::TempDir;

use crate::{client::mail, world::World};

fn authority(server: &SmtpServer) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, server.ca_pem()).unwrap();
    (directory, path)
}

async fn outcome_with(url: &str) -> (Outcome, String) {
    let world = World::sending_to(url);
    let service = world.start().await;
    let result = service
        .client()
        .open()
        .await
        .deliver(mail("ada@example.com"))
        .await;
    (result.outcome(), result.reason)
}

#[tokio::test]
async fn mails_are_encrypted_where_the_url_demands_or_allows_it() {
    for (tls, query) in [
        (Tls::StartTls, "?tls=required&ca="),
        (Tls::StartTls, "?tls=opportunistic&ca="),
        (Tls::StartTls, "?ca="),
        (Tls::Implicit, "?ca="),
    ] {
        let server = SmtpServer::with(Setup { tls, login: None }).await;
        let (_directory, path) = authority(&server);
        let (outcome, reason) =
            outcome_with(&format!("{}{query}{}", server.url(), path.display())).await;
        assert_eq!(outcome, Outcome::Accepted, "{tls:?} {query}: {reason}");
        assert!(server.mails()[0].encrypted, "{tls:?} {query}");
    }
}

#[tokio::test]
async fn without_tls_nothing_is_sent_where_it_is_required_and_everything_where_it_is_not() {
    let server = SmtpServer::start().await;
    assert_eq!(
        outcome_with(&format!("{}?tls=required", server.url()))
            .await
            .0,
        Outcome::Unavailable
    );
    assert!(server.mails().is_empty());
    for query in ["?tls=off", "?tls=opportunistic", ""] {
        assert_eq!(
            outcome_with(&format!("{}{query}", server.url())).await.0,
            Outcome::Accepted,
            "{query}"
        );
    }
    let server = SmtpServer::with(Setup {
        tls: Tls::StartTls,
        login: None,
    })
    .await;
    assert_eq!(
        outcome_with(&format!("{}?tls=off", server.url())).await.0,
        Outcome::Accepted
    );
    assert!(!server.mails()[0].encrypted);
}

#[tokio::test]
async fn a_wrong_certificate_never_gets_a_mail() {
    for (tls, query) in [
        (Tls::StartTls, "?tls=required"),
        (Tls::StartTls, "?tls=opportunistic"),
        (Tls::Implicit, ""),
    ] {
        let server = SmtpServer::with(Setup { tls, login: None }).await;
        let (outcome, reason) = outcome_with(&format!("{}{query}", server.url())).await;
        assert_eq!(outcome, Outcome::Unavailable, "{tls:?} {query}");
        assert!(reason.contains("TLS"), "{reason}");
        assert!(server.mails().is_empty(), "{tls:?} {query}");
    }
}

#[tokio::test]
async fn a_login_goes_over_tls_only_unless_the_url_says_otherwise() {
    let login = Some(("user".to_owned(), "se:cret/!".to_owned()));
    let server = SmtpServer::with(Setup {
        tls: Tls::StartTls,
        login: login.clone(),
    })
    .await;
    let (_directory, path) = authority(&server);
    let url = |password: &str, port: u16, query: &str| {
        format!("smtp://user:{password}@127.0.0.1:{port}{query}")
    };
    let query = format!("?ca={}", path.display());
    let (outcome, reason) = outcome_with(&url("se%3Acret%2F!", server.port(), &query)).await;
    assert_eq!(outcome, Outcome::Accepted, "{reason}");
    let (outcome, reason) = outcome_with(&url("wrong", server.port(), &query)).await;
    assert_eq!(outcome, Outcome::Unavailable);
    assert!(reason.starts_with("AUTH: "), "{reason}");
    let plain = SmtpServer::with(Setup {
        tls: Tls::Off,
        login,
    })
    .await;
    for (query, expected) in [
        ("", Outcome::Unavailable),
        ("?tls=opportunistic", Outcome::Unavailable),
        ("?tls=off", Outcome::Accepted),
    ] {
        let (outcome, reason) = outcome_with(&url("se%3Acret%2F!", plain.port(), query)).await;
        assert_eq!(outcome, expected, "{query}: {reason}");
    }
}
