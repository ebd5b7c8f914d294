//! Mailboxes that hang, seen from the sign-up: through accounts, the broker and verification, all
//! at default settings.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use kit::testing::{Phase, SmtpServer};
use proto::accounts::{CreateAccountRequest, accounts_service_client::AccountsServiceClient};

use crate::world::World;

/// How long it takes until 800 people have their mails, while 500 sign up among them whose
/// mailboxes never answer RCPT, or nobody.
async fn time_of_good_mails(hung: usize) -> Duration {
    const GOOD: usize = 800;
    let server = SmtpServer::start().await;
    let mut addresses = Vec::new();
    for number in 0..GOOD {
        addresses.push(format!("ada{number}@example.com"));
        for number in hung * number / GOOD..hung * (number + 1) / GOOD {
            let address = format!("eve{number}@example.com");
            server.on(Phase::Rcpt).to(&address).hang();
            addresses.push(address);
        }
    }
    let world = World::start(&[("USHER_MAIL_URL", &server.url())]).await;
    let run = world.run_file();
    let accounts = run["accounts"]["url"]
        .as_str()
        .unwrap_or_else(|| panic!("{run}"));
    let accounts = AccountsServiceClient::new(kit::serve::client(accounts).unwrap());
    let started = Instant::now();
    let sign_ups = stream::iter(addresses).map(|email| {
        let mut accounts = accounts.clone();
        async move {
            let request = CreateAccountRequest {
                email,
                display_name: "Ada".to_owned(),
                locale: "en".to_owned(),
            };
            accounts.create_account(request).await.unwrap();
        }
    });
    sign_ups.buffer_unordered(64).collect::<Vec<()>>().await;
    server.wait_for(GOOD, Duration::from_secs(120)).await;
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_among_500_sign_ups_whose_mailboxes_hang_800_others_get_their_mails_within_twice_the_time()
 {
    // Side by side, so that a busy machine slows both.
    let (alone, among) = tokio::join!(time_of_good_mails(0), time_of_good_mails(500));
    assert!(
        among <= alone * 2,
        "{alone:?} alone, {among:?} among hanging ones"
    );
}
