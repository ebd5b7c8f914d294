//! What changes while a transaction is open: its connection, and the statements that wait to be sent.

use futures::future::BoxFuture;
use sea_orm::{DbErr, Statement, sqlx};
use tokio::time::Instant;

use super::super::{
    connection::{Connection, too_late},
    later::Later,
};

#[derive(Debug)]
pub(super) struct TxState {
    /// Out while a statement runs on it.
    pub(super) connection: Option<Connection>,
    /// Beyond it nothing is done any more.
    pub(super) end: Instant,
    /// To be sent with the next one.
    pub(super) later: Later,
    /// Whether the database knows of the transaction.
    pub(super) is_begun: bool,
    /// A statement failed.
    pub(super) failed: bool,
}

impl TxState {
    pub(super) fn of(connection: Connection, end: Instant) -> Self {
        Self {
            connection: Some(connection),
            end,
            later: Later::default(),
            is_begun: false,
            failed: false,
        }
    }

    /// This statement behind those that wait for it.
    pub(super) async fn with_later(&mut self, statement: Statement) -> Result<Statement, DbErr> {
        if !self.later.takes(&statement) {
            self.send_later().await?;
        }
        Ok(match self.later.take() {
            Some(later) => Later::joined(later, statement),
            None => statement,
        })
    }

    /// Sends the statements that wait. Between taking them and the connection nothing is awaited: a
    /// caller that is cut leaves either both or none.
    pub(super) async fn send_later(&mut self) -> Result<(), DbErr> {
        match self.later.take() {
            Some(later) => self.run(|it| Box::pin(it.execute(later))).await.map(drop),
            None => Ok(()),
        }
    }

    pub(super) async fn run<T>(
        &mut self,
        statement: impl FnOnce(&mut Connection) -> BoxFuture<'_, Result<T, sqlx::Error>>,
    ) -> Result<T, DbErr> {
        self.is_begun = true;
        // Not asked: SQLite would run it, only for it to be rolled back.
        if self.failed && self.connection.is_some() {
            return Err(failed());
        }
        // Out while the statement runs: if its caller is cancelled, it goes with this future and is
        // closed. Its next answer would be that of the statement that was cut.
        let Some(connection) = self.connection.take() else {
            return Err(too_late()); // closed by an earlier error, which was told
        };
        let (kept, result) = connection.run(self.end, statement).await;
        self.connection = kept;
        // Also after an error of the data: Postgres takes nothing but ROLLBACK then, and SQLite
        // would go on and commit the rest.
        self.failed |= result.is_err();
        result
    }
}

/// A statement failed, as its caller was told. What is asked next, but for the way back, is answered
/// with this.
pub(super) fn failed() -> DbErr {
    let refused = "a statement of this transaction failed; nothing of it is kept";
    DbErr::Custom(refused.to_owned())
}
