//! Dead letters in operators' hands: listed, shown, replayed, dropped.

use kit::bus::Bus;
use proto::{
    accounts::{AccountStatus, accounts_admin_client::AccountsAdminClient},
    letters::{
        DeadLetter, DropDeadLettersRequest, GetDeadLetterRequest, GetDeadLetterResponse,
        ListDeadLettersRequest, ListDeadLettersResponse, ReplayDeadLettersRequest, ReplayOutcome,
        Replayed,
    },
};
use tonic::{Code, Status};

use crate::{
    client::{fields, sign_up},
    verified::{CONFIRMED, publish, verified},
    world::{Service, World},
};

async fn list(
    service: &Service,
    request: ListDeadLettersRequest,
) -> Result<ListDeadLettersResponse, Status> {
    let mut operator = service.admin(AccountsAdminClient::new);
    let listed = operator.list_dead_letters(service.as_operator(request));
    Ok(listed.await?.into_inner())
}

async fn get(service: &Service, id: &str) -> Result<GetDeadLetterResponse, Status> {
    let request = GetDeadLetterRequest { id: id.to_owned() };
    let mut operator = service.admin(AccountsAdminClient::new);
    let shown = operator.get_dead_letter(service.as_operator(request));
    Ok(shown.await?.into_inner())
}

fn account(number: u32) -> String {
    format!("018f5c1e-7b9a-7cc0-8f0e-{number:012}")
}

/// A dead letter for each of these accounts, which nobody has; newest first.
async fn dead_letters(service: &Service, bus: &Bus, number: u32) -> Vec<DeadLetter> {
    for number in 0..number {
        publish(bus, &verified(&account(number), CONFIRMED)).await;
    }
    let letters = letters_by_now(service, bus).await;
    assert_eq!(letters.len(), number as usize);
    letters
}

/// The dead letters of all that was published by now.
async fn letters_by_now(service: &Service, bus: &Bus) -> Vec<DeadLetter> {
    let client = service.client();
    let last = client.create(sign_up("last@example.org")).await.unwrap();
    publish(bus, &verified(&last.account_id, CONFIRMED)).await;
    client.verified(&last.account_id).await; // events are handled in their order
    let listed = list(service, ListDeadLettersRequest::default()).await;
    listed.unwrap().letters
}

#[tokio::test]
async fn they_are_listed_page_by_page_and_by_what_is_asked_for() {
    let world = World::new().await;
    let bus = world.nats.provision().await;
    let service = world.start().await;
    let all = dead_letters(&service, &bus, 5).await;
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListDeadLettersRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = list(&service, request).await.unwrap();
        paged.extend(page.letters);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);
    let hour = std::time::Duration::from_secs(3600).try_into().ok();
    let any = ListDeadLettersRequest::default;
    let cases = [
        (
            5,
            ListDeadLettersRequest {
                reason: "unknown_account".to_owned(),
                ..any()
            },
        ),
        (
            0,
            ListDeadLettersRequest {
                reason: "unknown".to_owned(),
                ..any()
            },
        ),
        (
            5,
            ListDeadLettersRequest {
                subject: "verification.v1.account_verified".to_owned(),
                ..any()
            },
        ),
        (
            1,
            ListDeadLettersRequest {
                account_id: account(3),
                ..any()
            },
        ),
        (
            5,
            ListDeadLettersRequest {
                newer_than: hour,
                ..any()
            },
        ),
        (
            0,
            ListDeadLettersRequest {
                older_than: hour,
                ..any()
            },
        ),
    ];
    for (number, request) in cases {
        let found = list(&service, request.clone()).await.unwrap().letters;
        assert_eq!(found.len(), number, "{request:?}");
    }
    let odd = ListDeadLettersRequest {
        account_id: "ada".to_owned(),
        ..any()
    };
    let refused = list(&service, odd).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn one_is_shown_with_its_headers_and_payload_and_only_to_operators() {
    let world = World::new().await;
    let bus = world.nats.provision().await;
    let service = world.start().await;
    let letters = dead_letters(&service, &bus, 1).await;
    let shown = get(&service, &letters[0].id).await.unwrap();
    let event = verified(&account(0), CONFIRMED);
    assert_eq!(shown.payload, prost::Message::encode_to_vec(&event));
    assert_eq!(shown.headers["ce-specversion"], "1.0");
    assert_eq!(shown.letter, Some(letters[0].clone()));

    let unknown = get(&service, &account(7)).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let request = GetDeadLetterRequest {
        id: letters[0].id.clone(),
    };
    let mut anybody = service.admin(AccountsAdminClient::new);
    let refused = anybody.get_dead_letter(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn i14_an_event_of_an_account_that_came_back_from_a_backup_is_replayed_and_only_once() {
    let world = World::new().await;
    let bus = world.nats.provision().await;
    let service = world.start().await;
    let client = service.client();
    let ada = client.create(sign_up("ada@example.org")).await.unwrap();
    world
        .execute("CREATE TABLE kept AS SELECT * FROM accounts")
        .await;
    world.execute("DELETE FROM accounts").await;
    publish(&bus, &verified(&ada.account_id, CONFIRMED)).await;
    let ids = vec![letters_by_now(&service, &bus).await[0].id.clone(); 2];
    world
        .execute("INSERT INTO accounts SELECT * FROM kept")
        .await;

    let replay = async || {
        let request = ReplayDeadLettersRequest { ids: ids.clone() };
        let mut operator = service.admin(AccountsAdminClient::new);
        let replayed = operator.replay_dead_letters(service.as_operator(request));
        let replayed = replayed.await.unwrap().into_inner().replayed;
        replayed.iter().map(Replayed::outcome).collect::<Vec<_>>()
    };
    assert_eq!(replay().await, [ReplayOutcome::Handled]);
    let account = client.get(&ada.account_id).await.unwrap();
    assert_eq!(account.status(), AccountStatus::Verified);
    assert_eq!(account.verified_at, Some(CONFIRMED.into()));
    assert_eq!(replay().await, [ReplayOutcome::Gone]);
    assert_eq!(world.count("dead_letters").await, 0);
}

#[tokio::test]
async fn what_is_dropped_is_gone_and_nothing_else() {
    let world = World::new().await;
    let bus = world.nats.provision().await;
    let service = world.start().await;
    let letters = dead_letters(&service, &bus, 3).await;
    let drop = async |ids: Vec<String>| {
        let mut operator = service.admin(AccountsAdminClient::new);
        let request = service.as_operator(DropDeadLettersRequest { ids });
        Ok::<_, Status>(
            operator
                .drop_dead_letters(request)
                .await?
                .into_inner()
                .dropped,
        )
    };
    let ids = vec![letters[0].id.clone(), account(9)];
    assert_eq!(drop(ids.clone()).await.unwrap(), 1);
    assert_eq!(drop(ids).await.unwrap(), 0);
    let left = list(&service, ListDeadLettersRequest::default()).await;
    assert_eq!(left.unwrap().letters, letters[1..]);
    let refused = drop(Vec::new()).await.unwrap_err();
    assert_eq!(fields(&refused), ["ids"]);
}
