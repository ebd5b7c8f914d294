//! Reading outside a transaction: each statement on a connection of its own, and with an end.

use async_trait::async_trait;
use futures::future::BoxFuture;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, sqlx};
use tokio::time::Instant;

use super::{
    connection::{Connection, Pool},
    tx::LIMIT,
};

/// Connections for reading. Clones share them.
#[derive(Debug, Clone)]
pub struct Reader(pub(super) Pool);

impl Reader {
    async fn run<T>(
        &self,
        statement: impl FnOnce(&mut Connection) -> BoxFuture<'_, Result<T, sqlx::Error>>,
    ) -> Result<T, DbErr> {
        // Without an end a silent peer would hold its caller, and a slot of the pool, for TCP's
        // quarter of an hour.
        let end = Instant::now() + LIMIT;
        let (kept, result) = self.0.acquire().await?.run(end, statement).await;
        if let Some(connection) = kept {
            connection.release();
        }
        result
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.0.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(|it| Box::pin(it.execute(statement))).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = sql.to_owned();
        self.run(|it| Box::pin(async move { it.execute_unprepared(&sql).await }))
            .await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(|it| Box::pin(it.query_one(statement))).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(|it| Box::pin(it.query_all(statement))).await
    }
}
