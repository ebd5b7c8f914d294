//! A mail URL that stands in a file and is changed there while the mailer runs, as a process.

use kit::testing::{SOON, Setup, SmtpServer, eventually, free_port, probe};
use proto::mailer::Outcome;

use crate::{
    client::{again, mail},
    world::World,
};

#[tokio::test]
async fn i20_a_wrong_mail_password_degrades_the_mailer_until_its_file_is_put_right() {
    let server = SmtpServer::with(Setup {
        login: Some(("user".to_owned(), "canary-right".to_owned())),
        ..Setup::default()
    })
    .await;
    let url = |password: &str| {
        format!(
            "smtp://user:{password}@127.0.0.1:{}?tls=off\n",
            server.port()
        )
    };
    let world = World::before(&server);
    let file = world.file("mail-url");
    let write = |text: &str| kit::files::replace(&file, text).unwrap();
    write(&url("canary-wrong"));
    let admin = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let settings = [
        ("USHER_MAIL_URL", ""),
        ("USHER_MAIL_URL_FILE", &*file.display().to_string()),
        ("USHER_ADMIN_LISTEN", &*admin.to_string()),
    ];
    let process = world.process(&settings).await;
    let readyz = async || probe(admin, "/readyz").await.unwrap();
    let mut delivery = process.client().open().await;
    let mut offered = mail("ada@example.com");
    let refused = delivery.deliver(offered.clone()).await;
    assert_eq!(
        refused.outcome(),
        Outcome::Unavailable,
        "{}",
        refused.reason
    );
    let (code, body) = readyz().await;
    assert_eq!(code, 200, "others go on: {body}");
    for word in [
        "\"mail server\"",
        "refuses the login",
        "USHER_MAIL_URL_FILE",
    ] {
        assert!(body.contains(word), "no {word} in {body}");
    }

    // Half a change is none.
    write("smtp://user:canary#half@127.0.0.1");
    write(&url("canary-right"));
    let accepted = async || {
        offered = again(&offered);
        let result = delivery.insist(&offered).await;
        (result.outcome() == Outcome::Accepted).then_some(())
    };
    eventually("the mail to be accepted", SOON, accepted).await;
    let (_, body) = readyz().await;
    assert!(body.contains("\"degraded\":{}"), "{body}");
    let log = process.terminate().await;
    assert_eq!(
        log.matches("The mail URL was read anew").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("canary"), "{log}");
}
