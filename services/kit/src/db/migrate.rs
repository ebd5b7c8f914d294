//! Brings a database's tables up to date, one migrator at a time.

use std::collections::BTreeSet;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

use super::{Db, Trouble, error::in_words, is_away, write_check};

/// Any number will do, as long as all migrators of one database use the same one.
const ADVISORY_LOCK: i64 = 0x75_73_68_65_72;

/// Why tables cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// It has a step that this program does not know.
    #[error("it was made by a newer usher ({0}): use that version, or a later one")]
    Newer(String),
    /// The database did not take a step, or was away.
    #[error("{}", in_words(.0))]
    Database(#[from] DbErr),
}

impl MigrateError {
    /// Whether it may succeed later as it is.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Database(error) if is_away(error))
    }

    /// What to do about it, where that is known.
    pub fn advice(&self, db: &Db) -> Option<String> {
        match self {
            Self::Newer(_) => None,
            Self::Database(error) => match Trouble::from(error) {
                Trouble::Away if !is_away(error) => None,
                Trouble::NotCurrent => None,
                trouble => Some(db.advice(trouble)),
            },
        }
    }
}

/// How a database's tables stand against the migrations of a program.
#[derive(Debug, Default)]
pub struct Tables {
    /// The names of those that are to be applied, in their order.
    pub lacks: Vec<String>,
    /// One that a newer program has applied.
    pub newer: Option<String>,
}

impl Db {
    /// Applies the missing migrations, all in one transaction. Migrators that come at the same time
    /// wait for each other. This is the one transaction without a limit, because a step over a
    /// large table takes the time that it takes; SeaORM's migrator accepts no other than its own,
    /// too.
    ///
    /// # Errors
    /// As `tables`, or when a step fails; nothing of it is applied then.
    pub async fn migrate<M: MigratorTrait>(&self) -> Result<Tables, MigrateError> {
        let tables = self.tables::<M>().await?;
        if tables.newer.is_some() {
            return Ok(tables);
        }
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        // All steps in one: a migrator that is killed between two of them leaves nothing half done.
        // With SQLite this waits for another migrator, which IMMEDIATE keeps out meanwhile.
        let migrator = self.for_migrations().await;
        let tx = migrator.begin_with_options(options).await?;
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
        tx.commit().await?;
        Ok(Tables::default())
    }

    /// How the tables stand, for people who are to bring them up to date.
    ///
    /// # Errors
    /// When the database does not answer; and when it is newer than this program, unless replicas of
    /// two releases may share it: on Postgres each step leaves tables with which the release before
    /// goes on, so that an upgrade can be taken back.
    pub async fn tables<M: MigratorTrait>(&self) -> Result<Tables, MigrateError> {
        let (known, applied) = (M::migrations(), self.applied_migrations::<M>().await?);
        let is_newer = |name: &&String| known.iter().all(|migration| migration.name() != *name);
        let newer = applied.iter().find(is_newer).cloned();
        let lacks = missing::<M>(&applied);
        let is_shared = self.reader().get_database_backend() == DbBackend::Postgres;
        match newer {
            Some(newer) if !is_shared || !lacks.is_empty() => Err(MigrateError::Newer(newer)),
            newer => Ok(Tables { lacks, newer }),
        }
    }

    /// Names of the migrations that are not applied yet. Asked again and again for readiness, so it
    /// reads as everybody does, with an end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pending_migrations<M: MigratorTrait>(&self) -> Result<Vec<String>, DbErr> {
        Ok(missing::<M>(&self.applied_migrations::<M>().await?))
    }

    async fn applied_migrations<M: MigratorTrait>(&self) -> Result<BTreeSet<String>, DbErr> {
        let reader = self.reader();
        let sql = format!("SELECT version FROM {}", M::migration_table_name());
        let versions = Statement::from_string(reader.get_database_backend(), sql);
        let mut applied = BTreeSet::new();
        match reader.query_all_raw(versions).await {
            Ok(rows) => {
                for row in rows {
                    applied.insert(row.try_get_by_index::<String>(0)?);
                }
            }
            Err(error) if Trouble::from(&error) == Trouble::NotCurrent => {} // nothing was ever applied
            Err(error) if is_away(&error) => return Err(error),
            Err(error) if Trouble::from(&error) == Trouble::Damaged => return Err(error),
            Err(_) => {}
        }
        Ok(applied)
    }
}

/// Names of the migrations that are not among these, in their order.
fn missing<M: MigratorTrait>(applied: &BTreeSet<String>) -> Vec<String> {
    let all = M::migrations();
    let names = all.iter().map(|migration| migration.name().to_owned());
    names.filter(|name| !applied.contains(name)).collect()
}
