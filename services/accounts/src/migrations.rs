//! The tables of accounts, one file a step. Run by `usher migrate`, and at start in local mode.

mod m0001_accounts;
mod m0002_idempotency_keys;
mod m0003_outbox;
mod m0004_dead_letters;

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

/// All steps, oldest first. A step that was released is never changed: add another one.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_accounts::Migration),
            Box::new(m0002_idempotency_keys::Migration),
            Box::new(m0003_outbox::Migration),
            Box::new(m0004_dead_letters::Migration),
        ]
    }
}
