//! Brings a database's tables up to date, one migrator at a time.

use std::collections::HashSet;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

use super::{Db, is_away, write_check};

/// Any number will do, as long as all migrators of one database use the same one.
const ADVISORY_LOCK: i64 = 0x75_73_68_65_72;

impl Db {
    /// Applies the missing migrations, all in one transaction. Migrators that come at the same time
    /// wait for each other. This is the one transaction without a limit, because a step over a
    /// large table takes the time that it takes; SeaORM's migrator accepts no other than its own,
    /// too.
    ///
    /// # Errors
    /// When the database does not answer or a step fails; nothing of it is applied then.
    pub async fn migrate<M: MigratorTrait>(&self) -> Result<(), DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        // All steps in one: a migrator that is killed between two of them leaves nothing half done.
        // With SQLite this waits for another migrator, which IMMEDIATE keeps out meanwhile.
        let tx = self.for_migrations().begin_with_options(options).await?;
        if tx.get_database_backend() == DbBackend::Postgres {
            // The other migrator may take its time, and so may a step.
            let patient = "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0";
            tx.execute_unprepared(patient).await?;
            // SeaORM takes no lock of its own: two migrators would apply the same step at once.
            // This one goes with the transaction, so that one who dies leaves none behind.
            let alone = format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})");
            tx.execute_unprepared(&alone).await?;
        }
        M::up(&tx, None).await?;
        write_check::create_table(&tx).await?;
        tx.commit().await
    }

    /// Names of the migrations that are not applied yet. Asked again and again for readiness, so it
    /// reads as everybody does, with an end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pending_migrations<M: MigratorTrait>(&self) -> Result<Vec<String>, DbErr> {
        let reader = self.reader();
        let sql = format!("SELECT version FROM {}", M::migration_table_name());
        let versions = Statement::from_string(reader.get_database_backend(), sql);
        let mut applied = HashSet::new();
        match reader.query_all_raw(versions).await {
            Ok(rows) => {
                for row in rows {
                    applied.insert(row.try_get_by_index::<String>(0)?);
                }
            }
            Err(error) if is_away(&error) => return Err(error),
            Err(_) => {} // no such table: nothing was ever applied
        }
        let all = M::migrations();
        let names = all.iter().map(|migration| migration.name().to_owned());
        Ok(names.filter(|name| !applied.contains(name)).collect())
    }
}
