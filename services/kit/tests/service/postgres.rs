//! The PostgreSQL of tests: databases apart from each other, gone with the process that started it.

use kit::testing::Postgres;
use sea_orm::{ConnectionTrait as _, Database};
use tokio::net::TcpStream;

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let Some(postgres) = Postgres::shared().await else {
        return;
    };
    let one = Database::connect(postgres.database("one").await)
        .await
        .unwrap();
    let other = Database::connect(postgres.database("other").await)
        .await
        .unwrap();
    one.execute_unprepared("CREATE TABLE things (id BIGINT)")
        .await
        .unwrap();
    assert!(
        other
            .execute_unprepared("SELECT * FROM things")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_dropped_postgres_takes_no_more_connections() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let url = postgres.database("brief").await;
    let address = url.split(['@', '/']).nth(3).unwrap().to_owned();
    assert!(TcpStream::connect(&address).await.is_ok());
    drop(postgres);
    assert!(TcpStream::connect(&address).await.is_err());
}
