//! Encryption and login: what the URL demands, or no mail.

use std::path::PathBuf;

use kit::testing::{Certificate, Phase, Setup, SmtpServer, Tls};
use proto::mailer::Outcome;
use tempfile::TempDir;

use crate::{
    client::{attempts, mail},
    world::World,
};

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
        let server = SmtpServer::with(Setup {
            tls,
            ..Setup::default()
        })
        .await;
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
        ..Setup::default()
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
        let server = SmtpServer::with(Setup {
            tls,
            ..Setup::default()
        })
        .await;
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
        ..Setup::default()
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
    assert!(
        reason.starts_with("AUTH: ") && reason.contains("USHER_MAIL_URL"),
        "{reason}"
    );
    let plain = SmtpServer::with(Setup {
        login,
        ..Setup::default()
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

#[tokio::test]
async fn a_certificate_that_signed_itself_is_refused_with_the_ways_out_and_trusted_where_it_is_pinned()
 {
    for (tls, query) in [
        (Tls::StartTls, "?tls=opportunistic"),
        (Tls::StartTls, "?tls=required"),
        (Tls::Implicit, "?"),
    ] {
        let server = SmtpServer::with(Setup {
            tls,
            certificate: Certificate::SelfSigned,
            ..Setup::default()
        })
        .await;
        let url = format!("{}{query}", server.url());
        let world = World::sending_to(url.trim_end_matches('?'));
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let refused = delivery.deliver(mail("ada@example.com")).await;
        let reason = refused.reason.clone();
        assert_eq!(refused.outcome(), Outcome::Unavailable, "{reason}");
        let told = service.probe("/readyz").await.1;
        assert!(told.contains(&reason), "operators read it too: {told}");
        for said in [
            "self-signed",
            "ca=FILE.pem",
            "tls=off",
            "a certificate that a public authority signed",
        ] {
            assert!(reason.contains(said), "{said}: {reason}");
        }
        assert!(server.mails().is_empty());

        let (_directory, path) = authority(&server);
        let pinned = format!("{url}&ca={}", path.display()).replace("?&", "?");
        let (outcome, reason) = outcome_with(&pinned).await;
        assert_eq!(outcome, Outcome::Accepted, "{reason}");
        assert!(server.mails()[0].encrypted);
    }
}

#[tokio::test]
async fn each_reason_why_there_is_no_tls_is_told_in_our_words_with_the_setting() {
    let table = [
        (Certificate::Expired, Tls::StartTls, true, "has expired"),
        (
            Certificate::ForAnotherName,
            Tls::Implicit,
            true,
            "is for another name",
        ),
        (
            Certificate::Signed,
            Tls::StartTls,
            false,
            "by an authority that is not known here",
        ),
        (
            Certificate::SelfSigned,
            Tls::StartTls,
            false,
            "is an authority's, used as a server's own",
        ),
        (
            Certificate::Signed,
            Tls::Off,
            false,
            "the port does not speak it from the first byte",
        ),
    ];
    for (certificate, tls, is_trusted, words) in table {
        let setup = Setup {
            tls,
            certificate,
            ..Setup::default()
        };
        let server = SmtpServer::with(setup).await;
        let (_directory, path) = authority(&server);
        let mut url = server.url();
        if tls == Tls::Off {
            url = url.replace("smtp://", "smtps://"); // a slip that many make
        }
        if is_trusted {
            url = format!("{url}?ca={}", path.display());
        }
        let world = World::sending_to(&url);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let refused = delivery.deliver(mail("ada@example.com")).await;
        assert_eq!(refused.outcome(), Outcome::Unavailable);
        let (reason, told) = (refused.reason, service.probe("/readyz").await.1);
        assert!(
            reason.contains(words) && told.contains(words),
            "{reason}: {told}"
        );
        assert!(
            told.contains("In USHER_MAIL_URL, trust its certificate"),
            "{told}"
        );
        for theirs in [
            "OtherError",
            "webpki",
            "rustls",
            "InvalidContentType",
            "corrupt",
        ] {
            assert!(!reason.contains(theirs), "{reason}");
        }
    }
}

#[tokio::test]
async fn another_servers_pinned_certificate_is_no_trust_in_this_one() {
    let setup = Setup {
        tls: Tls::StartTls,
        certificate: Certificate::SelfSigned,
        ..Setup::default()
    };
    let (server, other) = (
        SmtpServer::with(setup.clone()).await,
        SmtpServer::with(setup).await,
    );
    let (_directory, path) = authority(&other);
    let url = format!("{}?ca={}", server.url(), path.display());
    let (outcome, reason) = outcome_with(&url).await;
    assert_eq!(outcome, Outcome::Unavailable, "{reason}");
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn i16_of_an_answer_to_a_login_only_the_numbers_are_kept() {
    let server = SmtpServer::with(Setup {
        tls: Tls::Off,
        login: Some(("user".to_owned(), "canary".to_owned())),
        ..Setup::default()
    })
    .await;
    for answer in [
        "535 5.7.8 wrong: AUTH PLAIN AHVzZXIAY2FuYXJ5 (canary)\r\n",
        "AUTH PLAIN AHVzZXIAY2FuYXJ5 (canary)\r\n",
        "235 2.7.0 welcome\r\n250 AHVzZXIAY2FuYXJ5 canary\r\n",
    ] {
        server.on(Phase::Auth).times(1).say(answer);
        let url = format!("smtp://user:canary@127.0.0.1:{}?tls=off", server.port());
        let world = World::sending_to(&url);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let result = delivery.deliver(mail("ada@example.com")).await;
        assert_eq!(result.outcome(), Outcome::Unavailable, "{}", result.reason);
        let said = &result.reason;
        assert!(!said.contains("canary") && !said.contains("AHVz"), "{said}");
        let stored = attempts(&service).await.remove(0).reply;
        assert!(!stored.contains("canary") && !stored.contains("AHVz"));
    }
}
