//! What operators and authors see: attempts page by page, and previews.

use proto::mailer::{
    ListMailsRequest, Outcome, PreviewRequest, mailer_admin_client::MailerAdminClient,
};
use tonic::{Code, Request};

use crate::{client::mail, world::World};
use kit::testing::{Phase, SmtpServer};

#[tokio::test]
async fn attempts_are_listed_newest_first_page_by_page() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Rcpt)
        .to("ada3@example.com")
        .answer(550, "5.1.1 unknown");
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let mut mails = Vec::new();
    for number in 0..7 {
        let mut offered = mail(&format!("ada{number}@example.com"));
        offered.traceparent = format!("00-{:032x}-00000000000000a1-01", number + 1);
        delivery.deliver(offered.clone()).await;
        mails.push(offered);
    }
    let mut listed = Vec::new();
    let mut page = ListMailsRequest {
        page_size: 3,
        ..ListMailsRequest::default()
    };
    let mut sizes = Vec::new();
    loop {
        let answer = service
            .admin(MailerAdminClient::new)
            .list_mails(service.as_operator(page.clone()))
            .await
            .unwrap()
            .into_inner();
        sizes.push(answer.attempts.len());
        listed.extend(answer.attempts);
        if answer.next_page_token.is_empty() {
            break;
        }
        page.page_token = answer.next_page_token;
    }
    assert_eq!(sizes, [3, 3, 1]);
    for (number, (attempt, offered)) in listed.iter().rev().zip(&mails).enumerate() {
        let outcome = if number == 3 {
            Outcome::Rejected
        } else {
            Outcome::Accepted
        };
        assert_eq!(
            (&attempt.code_id, &attempt.account_id),
            (&offered.code_id, &offered.account_id)
        );
        assert_eq!((attempt.outcome(), attempt.attempt), (outcome, 1));
        assert_eq!(attempt.trace_id, format!("{:032x}", number + 1));
        assert!(attempt.at.is_some() && !attempt.reply.contains("ada"));
    }
    let of_one = ListMailsRequest {
        code_id: mails[3].code_id.clone(),
        ..ListMailsRequest::default()
    };
    let of_one = service
        .admin(MailerAdminClient::new)
        .list_mails(service.as_operator(of_one))
        .await
        .unwrap()
        .into_inner()
        .attempts;
    assert_eq!(of_one.len(), 1);
    assert_eq!(of_one[0].reply, "550 5.1.1 unknown");
}

#[tokio::test]
async fn listing_needs_the_token_and_a_page_that_exists() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let mut admin = service.admin(MailerAdminClient::new);
    let refused = admin
        .list_mails(Request::new(ListMailsRequest::default()))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    for (page_size, page_token, code_id) in [(501, "", ""), (1, "next", ""), (1, "", "ada")] {
        let page = ListMailsRequest {
            page_size,
            page_token: page_token.to_owned(),
            code_id: code_id.to_owned(),
        };
        let refused = admin
            .list_mails(service.as_operator(page))
            .await
            .unwrap_err();
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{}",
            refused.message()
        );
    }
}

#[tokio::test]
async fn a_preview_shows_a_sample_and_sends_nothing() {
    let server = SmtpServer::start().await;
    let settings = [("USHER_PUBLIC_URL", "https://usher.example")];
    let world = World::before(&server);
    let service = world.start_with(&settings).await;
    let mut client = service.client().0;
    let request = PreviewRequest {
        locale: "de-AT".to_owned(),
        display_name: "Zoë".to_owned(),
    };
    let preview = client.preview(request).await.unwrap().into_inner();
    assert_eq!(
        (preview.locale.as_str(), preview.subject.as_str()),
        ("de", "Bestätigen Sie Ihre E-Mail-Adresse")
    );
    assert!(preview.text.contains("Guten Tag Zoë,") && preview.text.contains("1234 5678"));
    assert!(
        preview
            .html
            .contains("https://usher.example/verify/00000000-0000-0000-0000-000000000000")
    );
    let request = PreviewRequest {
        locale: String::new(),
        display_name: "a\r\nb".to_owned(),
    };
    let refused = client.preview(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(
        refused.message().starts_with("display_name: "),
        "{}",
        refused.message()
    );
    assert!(server.mails().is_empty());
}
