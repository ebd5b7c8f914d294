//! How each standstill is provoked, behind the services' backs.

use async_nats::jetstream::stream;
use kit::bus::Bus;
use proto::streams::ACCOUNTS;

use super::ground::Ground;

/// How it is provoked.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    LockDatabase,
    MakeDatabaseReadOnly,
    FillDatabasesDisk,
    SilenceDatabase,
    ForgetMigrations,
    StopBroker,
    SilenceBroker,
    RestartBroker(&'static str),
    DeleteStream,
    TakeSubjects,
    FillStream,
    FillBrokersDisk,
    AgeOutbox,
    StopMailServer,
    RefuseAllMails,
    StopMailer,
    SilenceMailer,
    LoseTable,
}

impl How {
    pub(super) async fn provoke(self, ground: &mut Ground) {
        let accounts = &ground.worlds[2];
        match self {
            Self::LockDatabase => accounts.execute("BEGIN IMMEDIATE").await,
            Self::MakeDatabaseReadOnly => {
                accounts
                    .execute("ALTER DATABASE standstill_read_only SET default_transaction_read_only = on")
                    .await;
                // Those that are connected would go on writing.
                accounts
                    .execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE datname = current_database() AND pid <> pg_backend_pid()",
                    )
                    .await;
            }
            Self::FillDatabasesDisk => {
                ground.disk.as_ref().expect("it has a disk").fill();
                for number in 0..20 {
                    ground.sign_up(number).await;
                }
            }
            Self::SilenceDatabase => ground.to_database.as_ref().expect("it is far").hole(),
            Self::ForgetMigrations => accounts.execute("DELETE FROM seaql_migrations").await,
            Self::StopBroker => ground.nats.stop(),
            Self::SilenceBroker => ground.to_nats.hole(),
            Self::RestartBroker(configuration) => {
                ground.nats.configure(configuration);
                ground.nats.restart().await;
            }
            Self::DeleteStream => delete_stream(ground).await,
            Self::TakeSubjects => {
                delete_stream(ground).await;
                let strange = stream::Config {
                    name: "STRANGE".to_owned(),
                    subjects: vec!["accounts.>".to_owned()],
                    ..Default::default()
                };
                let made = bus(ground).await.jetstream().create_stream(strange).await;
                made.expect("a stream can be made");
            }
            Self::FillStream => {
                let bus = bus(ground).await;
                let stream = bus.jetstream().get_stream(ACCOUNTS.name).await;
                let mut config = stream.expect("it is there").cached_info().config.clone();
                config.max_bytes = 1;
                let made = bus.jetstream().update_stream(config).await;
                made.expect("a stream can be changed");
                ground.sign_up(1).await;
            }
            Self::FillBrokersDisk => {
                ground.disk.as_ref().expect("it has a disk").fill();
                for number in 0..20 {
                    ground.sign_up(number).await;
                }
            }
            Self::AgeOutbox => {
                ground.sign_up(1).await;
                accounts
                    .until_none("outbox WHERE published_at IS NULL")
                    .await;
                accounts
                    .execute(
                        "UPDATE outbox SET published_at = NULL, created_at = created_at - 60000000,
                         next_at = next_at + 50000000",
                    )
                    .await;
            }
            Self::StopMailServer => {
                ground.to_smtp.cut();
                ground.sign_up(1).await;
            }
            Self::RefuseAllMails => {
                ground.refuse_all();
                ground.sign_up(1).await;
            }
            Self::StopMailer => {
                let mailer = ground.mailer.take().expect("it runs");
                ground.to_mailer.cut();
                mailer.stop().await;
            }
            Self::SilenceMailer => ground.to_mailer.hole(),
            Self::LoseTable => {
                let verification = &ground.worlds[1];
                verification
                    .execute("ALTER TABLE codes RENAME TO lost")
                    .await;
                ground.sign_up(1).await;
            }
        }
    }
}

async fn bus(ground: &Ground) -> Bus {
    let bus = Bus::connect(&ground.nats.settings(), "test").await;
    bus.expect("a connection need not be up yet")
}

async fn delete_stream(ground: &Ground) {
    let deleted = bus(ground)
        .await
        .jetstream()
        .delete_stream(ACCOUNTS.name)
        .await;
    deleted.expect("a stream can be deleted");
}
