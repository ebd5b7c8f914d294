//! A database whose file is deleted or replaced while the service has it open. SQLite says nothing
//! of it and goes on in what nobody finds any more.

use std::{fs, path::Path, time::Duration};

use kit::testing::{SOON, eventually};
use tonic::Code;

use crate::{
    client::{reason, sign_up},
    world::{Service, World},
};

/// I20.
const KNOWN: Duration = Duration::from_secs(30);

/// What happens to the file, which is to be found elsewhere afterwards.
type Way = (&'static str, fn(&Path, &Path));

async fn until_ready(service: &Service) {
    eventually("the service to be ready", SOON, async || {
        (service.probe("/readyz").await.0 == 200).then_some(())
    })
    .await;
}

async fn until_it_says_so(service: &Service) -> String {
    eventually("readiness to tell of it", KNOWN, async || {
        let (status, body) = service.probe("/readyz").await;
        (status == 503 && body.contains("was deleted, moved or replaced")).then_some(body)
    })
    .await
}

#[tokio::test]
async fn i01_i20_a_database_file_that_was_deleted_or_replaced_takes_no_sign_ups_and_readiness_says_so()
 {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    client.create(sign_up("first@example.org")).await.unwrap();
    let (file, away) = (world.file("database.sqlite"), world.file("away.sqlite"));
    let ways: [Way; 3] = [
        ("moved", |file, away| fs::rename(file, away).unwrap()),
        ("replaced by nothing", |file, away| {
            fs::rename(file, away).unwrap();
            fs::write(file, "").unwrap();
        }),
        ("replaced by a copy", |file, away| {
            fs::rename(file, away).unwrap();
            fs::copy(away, file).unwrap();
        }),
    ];
    for (number, (way, happens)) in ways.into_iter().enumerate() {
        until_ready(&service).await;
        happens(&file, &away);
        let lost = format!("lost{number}@example.org");
        let refused = client.create(sign_up(&lost)).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::Unavailable, "UNAVAILABLE".to_owned()),
            "{way}"
        );
        let body = until_it_says_so(&service).await;
        assert!(body.contains("Put back the file"), "{way}: {body}");
        assert_eq!(service.probe("/livez").await.0, 200, "{way}");

        // What it has open is what is put back: it goes on, and nobody was half written.
        fs::rename(&away, &file).unwrap();
        until_ready(&service).await;
        client.create(sign_up(&lost)).await.unwrap();
    }
    service.stop().await;
    let service = world.start().await;
    until_ready(&service).await;
    assert_eq!(world.count("accounts").await, 4);
}
