//! The tables of verification, one file a step. Run by `usher migrate`, and at start in local mode.

mod m0001_verifications;
mod m0002_codes;
mod m0003_history;
mod m0004_resends;
mod m0005_outbox;
mod m0006_dead_letters;

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

/// All steps, oldest first. A step that was released is never changed: add another one.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_verifications::Migration),
            Box::new(m0002_codes::Migration),
            Box::new(m0003_history::Migration),
            Box::new(m0004_resends::Migration),
            Box::new(m0005_outbox::Migration),
            Box::new(m0006_dead_letters::Migration),
        ]
    }
}
