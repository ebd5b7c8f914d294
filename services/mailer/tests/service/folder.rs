//! Mails as files: whole or not at all, named by key and attempt.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink},
    path::Path,
    sync::mpsc,
};

use proto::mailer::{Outcome, deliver_response::Message};

use crate::{
    client::{again, mail, message_id},
    world::World,
};

#[tokio::test]
async fn an_eml_file_is_named_by_key_and_attempt_and_appears_whole() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("mails");
    let url = format!("file:{}", folder.display());
    let world = World::sending_to(&url);
    let more = [("USHER_PUBLIC_URL", "https://usher.example/")];
    let service = world.start_with(&more).await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    assert_eq!(
        delivery.deliver(offered.clone()).await.outcome(),
        Outcome::Accepted
    );
    assert_eq!(
        delivery.deliver(again(&offered)).await.outcome(),
        Outcome::Accepted
    );
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        files,
        [format!("{}.1.eml", offered.code_id).as_str()],
        "one file, and no temporary one is left"
    );
    let bytes = fs::read(folder.join(&files[0])).unwrap();
    assert_eq!(
        message_id(&bytes),
        format!("{}@usher.example", offered.code_id)
    );
    let arrived = mail_parser::MessageParser::default().parse(&bytes).unwrap();
    assert!(arrived.body_text(0).unwrap().contains("1357 2468"));
    assert!(
        arrived
            .body_text(0)
            .unwrap()
            .contains(&format!("https://usher.example/verify/{}", offered.code_id))
    );
}

#[tokio::test]
async fn the_folder_of_mails_and_each_mail_in_it_are_for_their_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("around/mails");
    let world = World::sending_to(&format!("file:{}", folder.display()));
    let service = world.start().await;
    let offered = mail("ada@example.com");
    let mut delivery = service.client().open().await;
    let accepted = delivery.deliver(offered.clone()).await;
    assert_eq!(accepted.outcome(), Outcome::Accepted);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.parent().unwrap()), 0o700);
    assert_eq!(mode(&folder), 0o700);
    let file = folder.join(format!("{}.1.eml", offered.code_id));
    assert_eq!(mode(&file), 0o600);
}

#[tokio::test]
async fn a_folder_of_mails_that_others_may_read_takes_none_and_stops_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("mails");
    let world = World::sending_to(&format!("file:{}", folder.display()));
    let service = world.start().await;
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut delivery = service.client().open().await;
    let failed = delivery.deliver(mail("ada@example.com")).await;
    assert_eq!(failed.outcome(), Outcome::Unavailable);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    service.stop().await;
    let (ended_well, said) = world.run(&[]).await;
    let mend = format!("chmod -R go= {}", folder.display());
    assert!(!ended_well && said.contains(&mend), "{said}");
}

#[tokio::test]
async fn a_link_in_the_place_of_a_mail_is_replaced_and_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("mails");
    let victim = directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let world = World::sending_to(&format!("file:{}", folder.display()));
    let service = world.start().await;
    fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
    let offered = mail("ada@example.com");
    let name = format!("{}.1.eml", offered.code_id);
    for link in [format!(".{name}.tmp"), name.clone()] {
        symlink(&victim, folder.join(link)).unwrap();
    }
    let mut delivery = service.client().open().await;
    let accepted = delivery.deliver(offered).await;
    assert_eq!(accepted.outcome(), Outcome::Accepted);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(fs::symlink_metadata(folder.join(name)).unwrap().is_file());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_an_absent_mail_server() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("mails");
    fs::write(&folder, "in the way").unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o600)).unwrap();
    let world = World::sending_to(&format!("file:{}", folder.display()));
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    let failed = delivery.deliver(offered.clone()).await;
    assert_eq!(failed.outcome(), Outcome::Unavailable);
    assert!(
        !failed.reason.contains(directory.path().to_str().unwrap()),
        "{}",
        failed.reason
    );
    fs::remove_file(&folder).unwrap();
    assert_eq!(
        delivery.insist(&again(&offered)).await.outcome(),
        Outcome::Accepted
    );
    assert!(
        folder.join(format!("{}.2.eml", offered.code_id)).is_file(),
        "the second attempt's number"
    );
}

#[test]
fn i08_a_mail_that_a_stop_declares_unsent_is_not_written_afterwards() {
    // One thread writes files, and is kept busy until the mailer has stopped.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("mails");
        let world = World::sending_to(&format!("file:{}", folder.display()));
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let (free, busy) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || busy.recv());
        delivery.offer(mail("ada@example.com")).await;
        assert_eq!(
            delivery.deliver(mail("no address")).await.outcome(),
            Outcome::Invalid
        );
        let running = service.begin_to_stop();
        assert!(matches!(delivery.next().await, Some(Message::Draining(_))));
        let stopped = delivery.result().await;
        assert_eq!(
            stopped.outcome(),
            Outcome::Unavailable,
            "{}",
            stopped.reason
        );
        running.await.unwrap().unwrap();
        drop(free);
        tokio::task::spawn_blocking(|| ()).await.unwrap(); // behind the mail
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    });
}
