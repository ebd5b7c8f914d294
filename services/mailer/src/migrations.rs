//! The steps that make the mailer's tables, in their order; run at start in local mode and by
//! `usher migrate`.

mod m0001_ledger;

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

/// All steps, oldest first. A step that was released is never changed: add another one.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_ledger::Migration)]
    }
}
