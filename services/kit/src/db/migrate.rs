//! Brings a database's tables up to date, one migrator at a time.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::MigratorTrait;

use super::Db;

/// Any number will do, as long as all migrators of one database use the same one.
const ADVISORY_LOCK: i64 = 0x75_73_68_65_72;

impl Db {
    /// Applies the missing migrations, all in one transaction. Migrators that come at the same time wait for each
    /// other: SeaORM takes no lock of its own.
    ///
    /// # Errors
    /// When the database does not answer or a step fails; nothing of it is applied then.
    pub async fn migrate<M: MigratorTrait>(&self) -> Result<(), DbErr> {
        let tx = self.begin().await?;
        if tx.get_database_backend() == DbBackend::Postgres {
            tx.execute_unprepared("SET LOCAL lock_timeout = 0").await?; // the other migrator may take its time
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
                .await?;
        }
        M::up(&tx, None).await?;
        tx.commit().await
    }

    /// Names of the migrations that are not applied yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pending_migrations<M: MigratorTrait>(&self) -> Result<Vec<String>, DbErr> {
        let pending = M::get_pending_migrations_read_only(self.reader()).await?;
        Ok(pending
            .iter()
            .map(|migration| migration.name().to_owned())
            .collect())
    }
}
