//! The file of an SQLite database: whose it is, and what becomes of writes once it is gone.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use kit::{
    clock::Clock,
    db::{Db, Trouble, is_away},
};
use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;

const INSERT: &str = "INSERT INTO numbers VALUES (1)";

fn url(file: &Path) -> kit::db::DatabaseUrl {
    format!("sqlite:{}", file.display()).parse().unwrap()
}

async fn with_numbers(folder: &TempDir) -> Db {
    let db = Db::connect(&url(&folder.path().join("test.db")), Clock::default()).await;
    let db = db.unwrap();
    let tx = db.write("make a table").await.unwrap();
    let table = "CREATE TABLE numbers (number INTEGER)";
    tx.execute_unprepared(table).await.unwrap();
    tx.commit().await.unwrap();
    db
}

#[tokio::test]
async fn i01_what_is_written_into_a_deleted_file_is_not_acknowledged() {
    // Each of these would take the next start's view of what was committed away.
    for gone in ["test.db", "test.db-wal", "test.db.lock"] {
        let folder = kit::testing::folder();
        let db = with_numbers(&folder).await;
        let tx = db.write("write").await.unwrap();
        tx.execute_unprepared(INSERT).await.unwrap();
        fs::remove_file(folder.path().join(gone)).unwrap();
        let refused = tx.commit().await.unwrap_err();
        assert!(is_away(&refused), "{gone}: {refused}");
        if gone != "test.db-wal" {
            let refused = db.write("write again").await.unwrap_err();
            assert!(is_away(&refused), "{gone}: {refused}");
            assert_eq!(db.check_write().await, Err(Trouble::Gone), "{gone}");
        }
    }
}

#[tokio::test]
async fn a_database_is_made_for_its_owner_only_and_so_is_its_folder() {
    let around = kit::testing::folder();
    let file = around.path().join("made/for/it/test.db");
    let db = Db::connect(&url(&file), Clock::default()).await.unwrap();
    let tx = db.write("make a table").await.unwrap();
    tx.execute_unprepared("CREATE TABLE numbers (number INTEGER)")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut folder = file.parent();
    while let Some(made) = folder.filter(|made| *made != around.path()) {
        assert_eq!(mode(made), 0o700, "{}", made.display());
        folder = made.parent();
    }
    for name in ["test.db", "test.db-wal", "test.db-shm", "test.db.lock"] {
        assert_eq!(mode(&file.with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_database_that_is_only_looked_at_is_looked_at_with_the_same_care() {
    let folder = kit::testing::folder();
    with_numbers(&folder).await.close().await;
    let file = folder.path().join("test.db");
    let refusal = async |file: &Path| {
        let refused = Db::observe(&url(file)).await.unwrap_err();
        refused.to_string()
    };
    let link = folder.path().join("link.db");
    symlink(&file, &link).unwrap();
    assert!(refusal(&link).await.contains("is a link"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    let said = refusal(&file).await;
    assert!(said.contains("others may read"), "{said}");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let said = refusal(&file).await;
    assert!(
        said.contains("others may use") && said.contains("0711"),
        "{said}"
    );
}

#[tokio::test]
async fn i20_a_file_that_stands_in_for_a_database_is_never_read() {
    let folder = kit::testing::folder();
    let db = with_numbers(&folder).await;
    let (file, away) = (folder.path().join("test.db"), folder.path().join("away"));
    fs::rename(&file, &away).unwrap();
    fs::write(&file, "").unwrap();
    // As many at once as make the pool open what it has not opened yet.
    let read = async || {
        let count = "SELECT COUNT(*) FROM numbers";
        let read = (0..8).map(|_| db.reader().execute_unprepared(count));
        futures::future::join_all(read).await
    };
    for refused in read().await {
        let refused = refused.unwrap_err();
        assert_eq!(Trouble::from(&refused), Trouble::Gone, "{refused}");
    }
    fs::rename(&away, &file).unwrap();
    for found in read().await {
        found.unwrap();
    }
}
