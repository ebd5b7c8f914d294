//! What is refused, and how: with a code, a message that a person can act on, details, and nothing
//! written.

use insta::assert_snapshot;
use proto::accounts::{
    CreateAccountRequest, ListAccountsRequest, accounts_admin_client::AccountsAdminClient,
};
use tonic::Code;

use crate::{
    client::{fields, reason, shown, sign_up},
    world::World,
};

#[tokio::test]
async fn every_bad_field_is_refused_by_its_name_and_nothing_is_written() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let long = format!("{}@example.org", "a".repeat(65));
    let longer = format!("ada@{}example.org", "label.".repeat(50));
    let emails = [
        "",
        "ada",
        "ada@",
        "@example.org",
        &long,
        &longer,
        "ada\0@example.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "\"ada\"@example.org",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "ada@[IPv6:::1]",
        "ada@xn--a.example",
        "ada@exa mple.org",
        "mıke@example.org",
    ];
    for email in emails {
        let refused = client.create(sign_up(email)).await.unwrap_err();
        assert_eq!(fields(&refused), ["email"], "{email:?}");
        assert!(
            email.is_empty() || !shown(&refused).contains(email),
            "a refusal must not repeat {email:?}"
        );
    }
    let long = "a".repeat(65);
    for display_name in [
        "Ada\r\nBcc: eve@example.org",
        "Ada\n",
        "www.example.org",
        "a@b",
        "<b>",
        &long,
    ] {
        let request = CreateAccountRequest {
            display_name: display_name.to_owned(),
            ..sign_up("ada@example.org")
        };
        assert_eq!(
            fields(&client.create(request).await.unwrap_err()),
            ["display_name"],
            "{display_name:?}"
        );
    }
    for locale in ["de.DE", "e", "en-", "en; rm"] {
        let request = CreateAccountRequest {
            locale: locale.to_owned(),
            ..sign_up("ada@example.org")
        };
        assert_eq!(
            fields(&client.create(request).await.unwrap_err()),
            ["locale"],
            "{locale:?}"
        );
    }
    for key in ["short", &"k".repeat(129)] {
        let refused = client
            .create_under(key, sign_up("ada@example.org"))
            .await
            .unwrap_err();
        assert_eq!(fields(&refused), ["idempotency-key"], "{key:?}");
    }
    assert_eq!(world.accounts_events_keys().await, [0, 0, 0]);
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let world = World::new().await;
    let service = world.start().await;
    let request = CreateAccountRequest {
        email: "\"ada\"@example.org".to_owned(),
        display_name: "visit example.org".to_owned(),
        locale: "de.DE".to_owned(),
    };
    let refused = service
        .client()
        .create_under("short", request)
        .await
        .unwrap_err();
    assert_snapshot!(shown(&refused), @r"
    InvalidArgument: email: must not have a quoted part before the @; display_name: must not look like a web or mail address: write a space after a full stop; locale: must not hold '.' (U+002E): ASCII letters, digits and hyphens make a language tag, such as de or fr-CA; idempotency-key: must have 16 to 128 printable ASCII characters, such as a random UUID
      email: must not have a quoted part before the @
      display_name: must not look like a web or mail address: write a space after a full stop
      locale: must not hold '.' (U+002E): ASCII letters, digits and hyphens make a language tag, such as de or fr-CA
      idempotency-key: must have 16 to 128 printable ASCII characters, such as a random UUID
    ");
}

#[tokio::test]
async fn an_address_is_taken_in_any_case_and_any_spelling_of_its_domain() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let first = client.create(sign_up("Ada@Bücher.example")).await.unwrap();
    assert_eq!(first.email, "Ada@xn--bcher-kva.example");
    for again in [
        "Ada@Bücher.example",
        "ada@bücher.example",
        "ADA@XN--BCHER-KVA.EXAMPLE",
    ] {
        let refused = client.create(sign_up(again)).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::AlreadyExists, "ADDRESS_TAKEN")
        );
    }
    let refused = client
        .create(sign_up("ada@bücher.example"))
        .await
        .unwrap_err();
    assert_snapshot!(shown(&refused), @r"
    AlreadyExists: An account with this email address exists already.
      reason ADDRESS_TAKEN of usher
    ");
    assert_eq!(world.accounts_events_keys().await, [1, 1, 0]);
}

#[tokio::test]
async fn an_unknown_language_is_stored_as_it_was_given() {
    let world = World::new().await;
    let service = world.start().await;
    let request = CreateAccountRequest {
        locale: "tlh".to_owned(),
        ..sign_up("worf@example.org")
    };
    assert_eq!(
        service.client().create(request).await.unwrap().locale,
        "tlh"
    );
}

#[tokio::test]
async fn an_account_reads_back_as_it_was_created() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let created = client.create(sign_up("Ada@example.org")).await.unwrap();
    assert_eq!(client.get(&created.account_id).await.unwrap(), created);
    assert_eq!(created.status(), proto::accounts::AccountStatus::Pending);
    assert!(created.created_at.is_some() && created.verified_at.is_none());
}

#[tokio::test]
async fn ids_that_are_none_and_ids_of_nobody_are_told_apart() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let nobody = "018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11";
    let unknown = client.get(nobody).await.unwrap_err();
    assert_snapshot!(shown(&unknown), @r"
    NotFound: There is no account with this account_id.
      reason ACCOUNT_NOT_FOUND of usher
    ");
    assert_eq!(
        shown(&client.watch(nobody).await.unwrap_err()),
        shown(&unknown)
    );
    let malformed = client.get("4711").await.unwrap_err();
    assert_snapshot!(shown(&malformed), @r"
    InvalidArgument: account_id: must be a UUID such as 018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11
      account_id: must be a UUID such as 018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11
    ");
    assert_eq!(
        shown(&client.watch("4711").await.unwrap_err()),
        shown(&malformed)
    );
    for other_form in [
        "018f5c1e7b9a7cc08f0e3c2a9d6b4e11",
        "{018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11}",
        "",
    ] {
        assert_eq!(
            fields(&client.get(other_form).await.unwrap_err()),
            ["account_id"]
        );
    }
}

#[tokio::test]
async fn a_message_of_a_mebibyte_is_refused_by_the_limit() {
    let world = World::new().await;
    let service = world.start().await;
    let refused = service
        .client()
        .create(sign_up(&"a".repeat(1 << 20)))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_snapshot!(shown(&refused), @r"
    ResourceExhausted: The message is longer than the 16384 bytes that are read.
      reason MESSAGE_TOO_LARGE of usher
    ");
    assert_eq!(world.accounts_events_keys().await, [0, 0, 0]);
}

#[tokio::test]
async fn operators_need_their_token() {
    let world = World::new().await;
    let service = world.start().await;
    let refused = service
        .admin(AccountsAdminClient::new)
        .list_accounts(ListAccountsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let listed = service
        .admin(AccountsAdminClient::new)
        .list_accounts(service.as_operator(ListAccountsRequest::default()))
        .await;
    assert!(listed.unwrap().into_inner().accounts.is_empty());
}
