//! Who we are to the broker: each kind of login is taken by a real server, and a refused one is
//! told apart from a server that is away, without its secret.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use kit::{
    bus::{self, BrokerSettings, Bus},
    serve::Degraded,
    testing::{NatsOperator, NatsServer, eventually},
};

const SOON: Duration = Duration::from_secs(10);

/// A server's configuration, a login that it takes, and one that it does not.
struct Kind {
    configuration: String,
    right: Login,
    wrong: Login,
    /// What a refusal speaks of.
    named: &'static str,
}

/// Before the host in the URL, or a file.
enum Login {
    Url(&'static str),
    File(PathBuf),
}

impl Login {
    fn at(&self, server: &NatsServer) -> BrokerSettings {
        let mut settings = server.settings();
        match self {
            Self::Url(login) => {
                let url = server.url().replace("://", &format!("://{login}"));
                settings.nats_url = url.parse().unwrap();
            }
            Self::File(path) => settings.nats_credentials = Some(path.clone()),
        }
        settings
    }
}

fn kinds(folder: &tempfile::TempDir) -> [Kind; 4] {
    let (ours, theirs) = (NatsOperator::default(), NatsOperator::default());
    let [right, wrong] = ["right.creds", "wrong.creds"].map(|name| folder.path().join(name));
    ours.write_credentials(&right);
    theirs.write_credentials(&wrong);
    let user = "authorization { user: \"us@er\", password: \"p#w/0:rd\" }\n";
    [
        Kind {
            configuration: user.to_owned(),
            right: Login::Url("us%40er:p%23w%2F0%3Ard@"),
            wrong: Login::Url("us%40er:s3cret@"),
            named: "the user and password in USHER_NATS_URL",
        },
        Kind {
            configuration: "authorization { token: \"to,ken\" }\n".to_owned(),
            right: Login::Url("to%2Cken@"),
            wrong: Login::Url("s3cret@"),
            named: "the token in USHER_NATS_URL",
        },
        Kind {
            configuration: ours.configuration(),
            right: Login::File(right),
            wrong: Login::File(wrong),
            named: "wrong.creds",
        },
        Kind {
            configuration: user.to_owned(),
            right: Login::Url("us%40er:p%23w%2F0%3Ard@"),
            wrong: Login::Url(""),
            named: "a connection without a login",
        },
    ]
}

async fn connected(bus: &Bus) {
    let connected = async || bus.is_connected().then_some(());
    eventually("the broker to take the login", SOON, connected).await;
}

async fn refused(bus: &Bus) -> Degraded {
    let refused = async || bus.trouble().filter(|_| bus.is_refused());
    eventually("the broker to refuse the login", SOON, refused).await
}

#[tokio::test]
async fn each_kind_of_login_is_taken_and_a_wrong_one_is_told_apart_from_a_broker_that_is_away() {
    let folder = kit::testing::folder();
    for kind in kinds(&folder) {
        let mut server = NatsServer::start_with(&kind.configuration).await;
        let bus = Bus::connect(&kind.right.at(&server), "test").await.unwrap();
        connected(&bus).await;
        bus::provision(&bus, None).await.unwrap();
        assert_eq!(bus.trouble(), None);

        let wrong = Bus::connect(&kind.wrong.at(&server), "test").await.unwrap();
        let told = refused(&wrong).await;
        assert!(told.reason.contains(kind.named), "{told:?}");
        assert!(!format!("{told:?}").contains("s3cret"), "{told:?}");
        assert!(!told.advice.is_empty());

        server.stop();
        let away = async || {
            let told = wrong.trouble()?;
            told.reason.contains("is not connected").then_some(())
        };
        eventually("the broker to be away", SOON, away).await;
        assert!(!wrong.is_refused() && !bus.is_connected());
        server.restart().await;
        connected(&bus).await;
        refused(&wrong).await;
    }
}

#[tokio::test]
async fn credentials_that_are_renewed_are_used_by_the_next_connection() {
    let folder = kit::testing::folder();
    let file = folder.path().join("usher.creds");
    let (ours, theirs) = (NatsOperator::default(), NatsOperator::default());
    let server = NatsServer::start_with(&ours.configuration()).await;
    theirs.write_credentials(&file);
    let bus = Bus::connect(&Login::File(file.clone()).at(&server), "test")
        .await
        .unwrap();
    refused(&bus).await;
    fs::write(&file, "half a file").unwrap();
    let told = async || {
        let told = bus.trouble()?;
        told.reason.contains("holds no JWT").then_some(())
    };
    eventually("the file to be told of", SOON, told).await;
    ours.write_credentials(&file);
    connected(&bus).await;
}

#[tokio::test]
async fn credentials_that_cannot_be_used_are_refused_at_the_start_and_not_quoted() {
    let folder = kit::testing::folder();
    let file = folder.path().join("usher.creds");
    let refusal = async |settings: &BrokerSettings| {
        let refused = Bus::connect(settings, "test").await.unwrap_err();
        format!("{refused:#}")
    };
    let mut settings = BrokerSettings {
        nats_credentials: Some(file.clone()),
        ..BrokerSettings::default()
    };
    assert!(refusal(&settings).await.contains("cannot be read"));
    fs::write(&file, "-----\njwt\n-----\n-----\nSUSECRET\n-----\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refusal(&settings).await.contains("Run: chmod 600"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let none = refusal(&settings).await;
    assert!(
        none.contains("the nkey in") && !none.contains("SUSECRET"),
        "{none}"
    );
    settings.nats_url = "nats://token@127.0.0.1".parse().unwrap();
    assert!(refusal(&settings).await.contains("Keep one of them"));
}

#[tokio::test]
async fn a_service_works_with_its_own_answers_only_and_may_be_kept_from_those_of_others() {
    let user = |name: &str| {
        let may = format!("publish: [\"$JS.API.>\"], subscribe: [\"_INBOX.{name}.>\"]");
        format!("{{ user: {name}, password: pw, permissions: {{ {may} }} }}")
    };
    let users = [user("accounts"), user("verification")].join(", ");
    let server = NatsServer::start_with(&format!("authorization {{ users: [{users}] }}\n")).await;
    let accounts = Login::Url("accounts:pw@").at(&server);
    let bus = Bus::connect(&accounts, "accounts").await.unwrap();
    connected(&bus).await;
    bus::provision(&bus, None).await.unwrap();

    let (told, mut refusals) = tokio::sync::mpsc::unbounded_channel();
    let curious =
        async_nats::ConnectOptions::with_user_and_password("accounts".into(), "pw".into());
    let curious = curious.event_callback(move |event| {
        let _ = told.send(event.to_string());
        async {}
    });
    let curious = curious.connect(server.url()).await.unwrap();
    let _reads = curious.subscribe("_INBOX.verification.>").await.unwrap();
    let refused = async || {
        refusals
            .try_recv()
            .ok()
            .filter(|said| said.contains("ermissions"))
    };
    let refused = eventually("the refusal", SOON, refused).await;
    assert!(refused.contains("_INBOX.verification"), "{refused}");
}
