//! Operators' list of accounts.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use insta::assert_snapshot;
use kit::{clock::Timestamp, page::PageToken};
use proto::accounts::{
    Account, AccountStatus, ListAccountsRequest, ListAccountsResponse,
    accounts_admin_client::AccountsAdminClient,
};
use sea_orm::DbBackend;
use tonic::Status;
use uuid::Uuid;

use crate::{
    client::{fields, shown, sign_up},
    world::{Service, World},
};

async fn list(
    service: &Service,
    page_size: u32,
    page_token: &str,
) -> Result<ListAccountsResponse, Status> {
    let request = ListAccountsRequest {
        page_size,
        page_token: page_token.to_owned(),
        ..ListAccountsRequest::default()
    };
    Ok(service
        .admin(AccountsAdminClient::new)
        .list_accounts(service.as_operator(request))
        .await?
        .into_inner())
}

#[tokio::test]
async fn pages_go_from_the_newest_to_the_oldest_and_newer_accounts_shift_none() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let mut created = Vec::new();
    for n in 0..5 {
        created.push(
            client
                .create(sign_up(&format!("one{n}@example.org")))
                .await
                .unwrap()
                .account_id,
        );
    }
    // These share transactions, and so their moment.
    let together = (0..20).map(|n| {
        let client = client.clone();
        async move {
            client
                .create(sign_up(&format!("many{n}@example.org")))
                .await
        }
    });
    created.extend(
        try_join_all(together)
            .await
            .unwrap()
            .into_iter()
            .map(|account| account.account_id),
    );

    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(&service, 7, &token).await.unwrap();
        assert!(page.accounts.len() == 7 || page.next_page_token.is_empty());
        listed.extend(page.accounts);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        client
            .create(sign_up(&format!("meanwhile{}@example.org", listed.len())))
            .await
            .unwrap();
    }
    let times: Vec<_> = listed
        .iter()
        .map(|account| account.created_at.unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| (a.seconds, a.nanos) >= (b.seconds, b.nanos)));
    let mut ids: Vec<_> = listed
        .into_iter()
        .map(|account| account.account_id)
        .collect();
    ids.sort();
    created.sort();
    assert_eq!(ids, created);
}

#[tokio::test]
async fn an_exactly_full_page_is_the_last_one() {
    let world = World::new().await;
    let service = world.start().await;
    for n in 0..3 {
        service
            .client()
            .create(sign_up(&format!("ada{n}@example.org")))
            .await
            .unwrap();
    }
    let page = list(&service, 3, "").await.unwrap();
    assert_eq!(
        (page.accounts.len(), page.next_page_token.as_str()),
        (3, "")
    );
    assert_eq!(list(&service, 0, "").await.unwrap().accounts.len(), 3);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let world = World::new().await;
    let service = world.start().await;
    for token in ["next", "00", "zz"] {
        assert_eq!(
            fields(&list(&service, 0, token).await.unwrap_err()),
            ["page_token"]
        );
    }
    assert_snapshot!(shown(&list(&service, 501, "next").await.unwrap_err()), @r"
    InvalidArgument: page_size: must be at most 500; page_token: must be the next_page_token of the page before, or empty for the first page
      page_size: must be at most 500
      page_token: must be the next_page_token of the page before, or empty for the first page
    ");
}

/// All that pages of this size hold together, one after the other; none takes long.
async fn all(service: &Service, wanted: &ListAccountsRequest) -> Vec<Account> {
    let (mut wanted, mut listed) = (wanted.clone(), Vec::new());
    loop {
        let begun = Instant::now();
        let answer = service
            .admin(AccountsAdminClient::new)
            .list_accounts(service.as_operator(wanted.clone()))
            .await;
        let page = answer.unwrap().into_inner();
        assert!(begun.elapsed() < Duration::from_secs(1));
        listed.extend(page.accounts);
        wanted.page_token = page.next_page_token;
        if wanted.page_token.is_empty() {
            return listed;
        }
    }
}

fn standing(status: AccountStatus) -> ListAccountsRequest {
    ListAccountsRequest {
        page_size: 2,
        status: status.into(),
        ..ListAccountsRequest::default()
    }
}

async fn accounts_are_listed_by_status(world: &World) {
    let service = world.start().await;
    let mut created = Vec::new();
    for n in 0..7 {
        let client = service.client();
        let account = client.create(sign_up(&format!("ada{n}@example.org"))).await;
        created.push(account.unwrap().email);
    }
    // Oldest and newest among them: the ends of pages.
    let verified = "email LIKE 'ada0%' OR email LIKE 'ada3%' OR email LIKE 'ada6%'";
    world
        .execute(&format!(
            "UPDATE accounts SET status = 'verified', verified_at = 1 WHERE {verified}"
        ))
        .await;
    for (status, numbers) in [
        (AccountStatus::Verified, &[6, 3, 0][..]),
        (AccountStatus::Pending, &[5, 4, 2, 1]),
        (AccountStatus::Unspecified, &[6, 5, 4, 3, 2, 1, 0]),
    ] {
        let listed = all(&service, &standing(status)).await;
        let emails = Vec::from_iter(listed.into_iter().map(|account| account.email));
        let expected = Vec::from_iter(numbers.iter().map(|n| created[*n].clone()));
        assert_eq!(emails, expected, "{status:?}");
    }
}

#[tokio::test]
async fn accounts_are_listed_by_status_page_by_page() {
    accounts_are_listed_by_status(&World::new().await).await;
}

#[tokio::test]
async fn on_postgres_accounts_are_listed_by_status_page_by_page() {
    if let Some(world) = World::on_postgres("by_status").await {
        accounts_are_listed_by_status(&world).await;
    }
}

#[tokio::test]
async fn an_account_is_found_by_its_address_as_a_sign_up_reads_it() {
    let world = World::new().await;
    let service = world.start().await;
    for email in ["Ada@example.org", "eve@bücher.example"] {
        service.client().create(sign_up(email)).await.unwrap();
    }
    let asked = async |email: &str, status: AccountStatus| {
        let wanted = ListAccountsRequest {
            email: email.to_owned(),
            ..standing(status)
        };
        Vec::from_iter(
            all(&service, &wanted)
                .await
                .into_iter()
                .map(|account| account.email),
        )
    };
    let (any, pending) = (AccountStatus::Unspecified, AccountStatus::Pending);
    assert_eq!(asked(" ADA@Example.ORG", any).await, ["Ada@example.org"]);
    assert_eq!(asked("eve@xn--bcher-kva.example", pending).await.len(), 1);
    assert_eq!(
        asked("ada@example.org", AccountStatus::Verified)
            .await
            .len(),
        0
    );
    assert_eq!(asked("bob@example.org", any).await.len(), 0);

    let refused = async |wanted: ListAccountsRequest| {
        let answer = service
            .admin(AccountsAdminClient::new)
            .list_accounts(service.as_operator(wanted))
            .await;
        fields(&answer.unwrap_err())
    };
    let wrong = ListAccountsRequest {
        page_size: 501,
        email: "ada".to_owned(),
        ..ListAccountsRequest::default()
    };
    assert!(!format!("{wrong:?}").contains("ada"));
    assert_eq!(refused(wrong).await, ["page_size", "email"]);
    let newer = ListAccountsRequest {
        status: 7,
        ..ListAccountsRequest::default()
    };
    assert_eq!(refused(newer).await, ["status"]);
}

async fn few_of_a_status_are_found_among_many(world: &World) {
    let service = world.start().await;
    many(world).await;
    let oldest = "created_at = (SELECT MIN(created_at) FROM accounts)";
    world
        .execute(&format!(
            "UPDATE accounts SET status = 'verified' WHERE {oldest}"
        ))
        .await;
    let expected = world.count("accounts WHERE status = 'verified'").await;
    let listed = all(&service, &standing(AccountStatus::Verified)).await;
    assert_eq!(listed.len(), usize::try_from(expected).unwrap());
}

#[tokio::test]
async fn few_of_a_status_are_found_among_many_and_no_call_takes_long() {
    few_of_a_status_are_found_among_many(&World::new().await).await;
}

#[tokio::test]
async fn on_postgres_few_of_a_status_are_found_among_many_and_no_call_takes_long() {
    if let Some(world) = World::on_postgres("by_rare_status").await {
        few_of_a_status_are_found_among_many(&world).await;
    }
}

/// A hundred thousand accounts, by SQL alone.
async fn many(world: &World) {
    let n = match world.database().await.get_database_backend() {
        DbBackend::Sqlite => {
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
             INSERT INTO accounts SELECT randomblob(16), n, n, '', '', 'pending', n / 1000, NULL FROM n"
        }
        _ => {
            "INSERT INTO accounts SELECT gen_random_uuid(), n, n, '', '', 'pending', n / 1000, NULL
             FROM generate_series(1, 100000) AS n"
        }
    };
    world.execute(n).await;
    world.execute("ANALYZE accounts").await;
}

async fn the_last_page_costs_what_the_first_one_costs(world: &World) {
    let service = world.start().await;
    many(world).await;
    let took = async |page_token: &str| {
        let begun = Instant::now();
        let page = list(&service, 50, page_token).await.unwrap();
        assert_eq!(page.accounts.len(), 50);
        begun.elapsed()
    };
    let late = PageToken {
        at: Timestamp(1), // a hundredth of them is left
        id: Uuid::max(),
    };
    let late = late.to_text();
    let (mut first, mut last) = (Duration::MAX, Duration::MAX);
    // In turn, and the shortest of each: what else the machine does meanwhile makes calls longer,
    // never shorter. Whoever reads all that come before takes many times as long each time.
    for round in 0..1_000 {
        first = first.min(took("").await);
        last = last.min(took(&late).await);
        if round >= 20 && last < first * 3 {
            return;
        }
    }
    panic!("{last:?}, and the first one {first:?}");
}

#[tokio::test]
async fn the_last_page_of_many_costs_what_the_first_one_costs() {
    the_last_page_costs_what_the_first_one_costs(&World::new().await).await;
}

#[tokio::test]
async fn on_postgres_the_last_page_of_many_costs_what_the_first_one_costs() {
    if let Some(world) = World::on_postgres("pages").await {
        the_last_page_costs_what_the_first_one_costs(&world).await;
    }
}
