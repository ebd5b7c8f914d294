//! Whether the database takes a write: a row that is gone again when its transaction commits, so
//! that lock, disk and server have their part in it and nothing is left behind.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tokio::time::Instant;

use super::{Db, Trouble};
use crate::random;

/// Made by `Db::migrate`, beside a service's own tables.
const TABLE: &str = "write_checks";

/// How much a check writes once a write was refused for want of space: more than any commit of a
/// service.
const WIDE: usize = 256 * 1024;

pub(super) async fn create_table(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    let octets = match connection.get_database_backend() {
        DbBackend::Sqlite => "BLOB",
        _ => "BYTEA",
    };
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (id BIGINT PRIMARY KEY, octets {octets} NOT NULL)"
    );
    connection.execute_unprepared(&sql).await.map(drop)
}

impl Db {
    /// Writes, and takes it back in the same transaction.
    ///
    /// # Errors
    /// Why the database takes no writes.
    pub async fn check_write(&self) -> Result<(), Trouble> {
        // A small row could find room where the next sign-ups would not, and readiness would flap.
        let size = if self.writer.notes.is_full() { WIDE } else { 1 };
        let begun = Instant::now();
        let checked = self.write_and_delete(size).await;
        match &checked {
            Ok(()) => {
                self.writer.notes.takes_writes(begun);
                if size == WIDE {
                    self.writer.notes.has_space();
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn write_and_delete(&self, size: usize) -> Result<(), DbErr> {
        // At random, so that no replica waits for another one's row.
        let id = i64::from_be_bytes(random::bytes());
        let mut octets: Vec<u8> = Vec::with_capacity(size);
        while octets.len() < size {
            // Random, so that no file system or server finds anything to compress.
            octets.extend(random::bytes::<1024>().iter().take(size - octets.len()));
        }
        // Deleted in the same transaction, so that lock, disk and server have their part in the
        // commit and nothing is left behind, even by a process that dies here.
        let tx = self.write("check that writes are taken").await?;
        let insert = format!("INSERT INTO {TABLE} (id, octets) VALUES ($1, $2)");
        let insert = Statement::from_sql_and_values(
            tx.get_database_backend(),
            insert,
            [id.into(), octets.into()],
        );
        tx.execute_raw(insert).await?;
        let delete = format!("DELETE FROM {TABLE} WHERE id = $1");
        let delete = Statement::from_sql_and_values(tx.get_database_backend(), delete, [id.into()]);
        tx.execute_raw(delete).await?;
        tx.commit().await
    }
}
