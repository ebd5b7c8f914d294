//! What happens between the mailer and a mail server, told once for all of them.

use kit::testing::{SOON, eventually};
use mail_parser::MessageParser;
use proto::mailer::{Mail, Outcome, Result as MailResult};

use super::server::RealServer;
use crate::{
    client::{Delivery, again, attempts, mail},
    world::{Service, World},
};

const ADA: &str = "ada@mail.example";

/// They are real, and the machine may be busy.
const PATIENT: [(&str, &str); 6] = [
    ("USHER_MAIL_CONNECT_DEADLINE", "10s"),
    ("USHER_MAIL_TLS_DEADLINE", "10s"),
    ("USHER_MAIL_GREETING_DEADLINE", "10s"),
    ("USHER_MAIL_COMMAND_DEADLINE", "10s"),
    ("USHER_MAIL_DATA_DEADLINE", "10s"),
    ("USHER_MAIL_REPLY_DEADLINE", "10s"),
];

/// A mailer before that server, and a client of it.
struct Scene {
    service: Service,
    delivery: Delivery,
    _world: World,
}

impl Scene {
    async fn before(server: &RealServer) -> Self {
        Self::with(&server.url("?tls=off"), &[]).await
    }

    async fn with(url: &str, more: &[(&str, &str)]) -> Self {
        let world = World::sending_to(url);
        let service = world.start_with(&[&PATIENT, more].concat()).await;
        let delivery = service.client().open().await;
        Self {
            service,
            delivery,
            _world: world,
        }
    }

    async fn accepted(&mut self, mail: &Mail) {
        let result = self.delivery.deliver(mail.clone()).await;
        assert_eq!(result.outcome(), Outcome::Accepted, "{}", result.reason);
    }

    /// Not taken now, and why; that is not for good.
    async fn unavailable(&mut self, email: &str) -> String {
        let result = self.delivery.deliver(mail(email)).await;
        assert_eq!(result.outcome(), Outcome::Unavailable, "{}", result.reason);
        result.reason
    }

    async fn rejected(&mut self, email: &str) {
        let result = self.delivery.deliver(mail(email)).await;
        assert_eq!(result.outcome(), Outcome::Rejected, "{}", result.reason);
    }

    /// Refused, but not for good; operators read what the server said, and what to look at.
    async fn refused_by_policy(&mut self, email: &str, advice: &str) {
        let reason = self.unavailable(email).await;
        let told = self.service.probe("/readyz").await.1;
        assert!(
            told.contains("mail policy") && told.contains(advice),
            "{reason}: {told}"
        );
    }
}

pub(super) async fn a_mail_arrives_once_under_its_message_id(server: RealServer) {
    let mut scene = Scene::before(&server).await;
    let offered = mail(ADA);
    scene.accepted(&offered).await;
    scene.accepted(&again(&offered)).await;
    let last = mail(ADA);
    scene.accepted(&last).await;
    let mails = server.arrived(2).await;
    assert!(mails.contains_key(&format!("{}@usher.example", last.code_id)));
    let arrived = &mails[&format!("{}@usher.example", offered.code_id)];
    let arrived = MessageParser::default().parse(arrived).unwrap();
    assert!(arrived.body_text(0).unwrap().contains("1357 2468"));
    assert!(arrived.body_html(0).unwrap().contains("1357 2468"));
}

pub(super) async fn mails_follow_each_other_on_one_connection(server: RealServer) {
    let mut scene = Scene::before(&server).await;
    for _ in 0..6 {
        scene.accepted(&mail(ADA)).await;
    }
    server.arrived(6).await;
    scene.service.stop().await;
    assert_eq!(server.connections().await, 1, "{}", server.log());
}

pub(super) async fn a_server_that_ends_connections_after_four_mails_gets_them_all(
    server: RealServer,
) {
    let mut scene = Scene::before(&server).await;
    for _ in 0..6 {
        scene.accepted(&mail(ADA)).await;
    }
    server.arrived(6).await;
    let tried = attempts(&scene.service).await;
    assert_eq!(tried.len(), 6, "the end of a connection is no attempt");
    scene.service.stop().await;
    assert_eq!(server.connections().await, 2, "{}", server.log());
}

pub(super) async fn mailboxes_that_there_are_not_are_refused_for_good_and_others_get_their_mails(
    server: RealServer,
) {
    let mut scene = Scene::before(&server).await;
    for round in 0..3 {
        for number in 0..4 {
            let nobody = format!("nobody{round}{number}@mail.example");
            scene.rejected(&nobody).await;
        }
        scene.accepted(&mail(ADA)).await;
    }
    server.arrived(3).await;
}

pub(super) async fn nobody_is_lost_where_mailbox_relaying_and_sender_are_refused_in_the_same_words(
    server: RealServer,
) {
    let mut scene = Scene::before(&server).await;
    for email in [
        "nobody@mail.example",
        "gone@mail.example",
        "ada@else.example",
        "ada@rules.example",
    ] {
        let advice = "it does not say why: see its log";
        scene.refused_by_policy(email, advice).await;
        scene.accepted(&mail(ADA)).await;
    }
    server.arrived(4).await;
}

pub(super) async fn nobody_is_lost_where_relaying_or_our_sender_is_refused(server: RealServer) {
    let mut scene = Scene::before(&server).await;
    let advice = "USHER_MAIL_URL";
    scene.refused_by_policy("ada@else.example", advice).await;
    scene.accepted(&mail(ADA)).await;
    let refused = [("USHER_MAIL_FROM", "Usher <refused@usher.example>")];
    let mut scene = Scene::with(&server.url("?tls=off"), &refused).await;
    scene.refused_by_policy(ADA, "USHER_MAIL_FROM").await;
    server.arrived(1).await;
}

pub(super) async fn a_greylisted_mail_is_tried_again(server: RealServer) {
    let mut scene = Scene::before(&server).await;
    let reason = scene.unavailable("slow@mail.example").await;
    assert!(reason.contains("Greylisted"), "{reason}");
    let told = scene.service.probe("/readyz").await.1;
    assert!(!told.contains("mail policy"), "{told}");
    scene.accepted(&mail(ADA)).await;
    server.arrived(1).await;
}

pub(super) async fn mails_are_encrypted_before_a_pinned_certificate_and_kept_from_an_unknown_one(
    server: RealServer,
) {
    for query in ["", "?tls=required"] {
        let mut scene = Scene::with(&server.url(query), &[]).await;
        let reason = scene.unavailable(ADA).await;
        assert!(reason.contains("self-signed"), "{reason}");
    }
    let certificate = server.certificate();
    for query in ["?ca=", "?tls=required&ca="] {
        let url = server.url(&format!("{query}{}", certificate.display()));
        let mut scene = Scene::with(&url, &[]).await;
        scene.accepted(&mail(ADA)).await;
        scene.accepted(&mail(ADA)).await;
    }
    for bytes in server.arrived(4).await.values() {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        assert!(text.contains("with esmtps"), "{text}");
    }
}

pub(super) async fn a_server_whose_own_tls_fails_gets_no_mail_in_the_clear(server: RealServer) {
    let url = server.url(&format!("?ca={}", server.certificate().display()));
    let mut scene = Scene::with(&url, &[]).await;
    let MailResult { reason, .. } = scene.delivery.deliver(mail(ADA)).await;
    // OpenSMTPD 6.8 with OpenSSL 3 cannot use its own key (its issue 1171); newer ones can.
    if server.log().contains("SSL routines::EVP lib") {
        assert!(reason.starts_with("STARTTLS: no TLS: "), "{reason}");
        assert!(server.mails().is_empty());
    } else {
        server.arrived(1).await;
    }
}

pub(super) async fn a_login_by_plain_or_login_is_taken_and_a_wrong_one_is_said(server: RealServer) {
    let pinned = format!("?ca={}", server.certificate().display());
    let as_user = |password: &str| {
        let url = server.url(&pinned);
        url.replace("//", &format!("//usher:{password}@"))
    };
    for helo in ["usher.example", "login.usher.example"] {
        let helo = [("USHER_MAIL_HELO", helo)];
        let mut scene = Scene::with(&as_user("se%3Acret"), &helo).await;
        scene.accepted(&mail(ADA)).await;
        let mut scene = Scene::with(&as_user("wrong"), &helo).await;
        let reason = scene.unavailable(ADA).await;
        let says_so = reason.starts_with("AUTH: ") && reason.contains("(535");
        assert!(says_so, "{reason}");
    }
    server.arrived(2).await;
    for mechanism in [" P=esmtpsa ", " A=plain:usher ", " A=login:usher "] {
        assert!(server.log().contains(mechanism), "{}", server.log());
    }
}

pub(super) async fn a_server_that_was_stopped_gets_the_next_mail_when_it_is_back(
    mut server: RealServer,
) {
    let mut scene = Scene::before(&server).await;
    scene.accepted(&mail(ADA)).await;
    server.arrived(1).await;
    server.stop().await;
    server.run().await;
    scene.accepted(&mail(ADA)).await;
    server.arrived(2).await;
    assert_eq!(attempts(&scene.service).await.len(), 2);
    server.stop().await;
    let mut waiting = mail(ADA);
    let early = scene.delivery.deliver(waiting.clone()).await;
    assert_eq!(early.outcome(), Outcome::Unavailable, "{}", early.reason);
    server.run().await;
    let accepted = async || {
        waiting = again(&waiting);
        let result = scene.delivery.insist(&waiting).await;
        (result.outcome() == Outcome::Accepted).then_some(())
    };
    eventually("the mail to be accepted", SOON, accepted).await;
    server.arrived(3).await;
}
