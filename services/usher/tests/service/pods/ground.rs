//! A service as a pod has it: a process of its own whose secrets are files in a volume that somebody
//! else fills, on a Postgres that asks for a password, a broker and a mail server that ask for one.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
};

use kit::testing::{Environment, Postgres, Process, SOON, eventually, free_port, probe};
use proto::{
    accounts::{GetAccountRequest, accounts_service_client::AccountsServiceClient},
    mailer::{PreviewRequest, mailer_service_client::MailerServiceClient},
    verification::{
        GetVerificationRequest, verification_service_client::VerificationServiceClient,
    },
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tonic::{Code, transport::Channel};

use crate::world::USHER;

/// The files of a Secret as the kubelet lays them: behind two links, of which one is changed when
/// anything in it is.
pub(super) struct Volume {
    folder: TempDir,
    files: BTreeMap<String, String>,
    /// Counts the changes.
    laid: u32,
}

impl Volume {
    pub(super) fn new() -> Self {
        let folder = kit::testing::folder();
        Self {
            folder,
            files: BTreeMap::new(),
            laid: 0,
        }
    }

    /// Where a file is, or would be.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn put(&mut self, name: &str, text: &str) {
        self.files.insert(name.to_owned(), text.to_owned());
        self.lay();
    }

    pub(super) fn take_away(&mut self, name: &str) {
        self.files.remove(name);
        self.lay();
        fs::remove_file(self.path(name)).unwrap();
    }

    /// What `make_secrets` makes.
    pub(super) fn put_keys(&mut self) {
        let made = kit::testing::folder();
        kit::testing::make_secrets(made.path());
        for name in [
            "admin-token",
            "fingerprint-key",
            "code-keys",
            "address-keys",
        ] {
            self.put(name, &fs::read_to_string(made.path().join(name)).unwrap());
        }
    }

    fn lay(&mut self) {
        self.laid += 1;
        let (data, root) = (format!("..laid{}", self.laid), self.folder.path());
        let folder = root.join(&data);
        fs::DirBuilder::new().mode(0o755).create(&folder).unwrap();
        for (name, text) in &self.files {
            let mut file = fs::File::options();
            let file = file.write(true).create_new(true).mode(0o400);
            let mut file = file.open(folder.join(name)).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            let _ = symlink(Path::new("..data").join(name), root.join(name));
        }
        symlink(&data, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    }
}

/// One service and its volume.
pub(super) struct Pod {
    pub(super) service: &'static str,
    pub(super) volume: Volume,
    admin: SocketAddr,
    settings: Environment,
}

impl Pod {
    /// With a place for each secret, and none of them there.
    pub(super) fn of(service: &'static str) -> Self {
        let volume = Volume::new();
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let file = |name: &str| volume.path(name).display().to_string();
        let settings = Environment::default().with(&[
            ("USHER_ADMIN_LISTEN", &admin.to_string()),
            ("USHER_ADMIN_TOKEN_FILE", &file("admin-token")),
            ("USHER_DATABASE_URL_FILE", &file("database-url")),
        ]);
        let settings = match service {
            "accounts" => settings.with(&[
                ("USHER_FINGERPRINT_KEY_FILE", &file("fingerprint-key")),
                ("USHER_NATS_CREDENTIALS", &file("nats-credentials")),
                ("USHER_NATS_URL", "nats://127.0.0.1:1"),
            ]),
            "verification" => settings.with(&[
                ("USHER_CODE_KEYS_FILE", &file("code-keys")),
                ("USHER_NATS_CREDENTIALS", &file("nats-credentials")),
                ("USHER_NATS_URL", "nats://127.0.0.1:1"),
            ]),
            _ => settings.with(&[
                ("USHER_ADDRESS_KEY_FILE", &file("address-keys")),
                ("USHER_MAIL_URL_FILE", &file("mail-url")),
            ]),
        };
        Self {
            service,
            volume,
            admin,
            settings,
        }
    }

    pub(super) fn with(mut self, more: &[(&str, &str)]) -> Self {
        self.settings = self.settings.with(more);
        self
    }

    pub(super) async fn start(&self) -> Process<Channel> {
        let mut command = Command::new(USHER);
        command
            .arg(self.service)
            .current_dir(self.volume.folder.path());
        Process::start(command, &self.settings).await
    }

    /// Waits until it is ready with nothing degraded, and answers with the body.
    pub(super) async fn until_well(&self) -> Value {
        let well = async || {
            let (code, body) = self.readyz().await?;
            (code == 200 && body["degraded"] == serde_json::json!({})).then_some(body)
        };
        eventually(&format!("{} to be well", self.service), SOON * 2, well).await
    }

    /// Waits until it says so on `/readyz`, and answers with the body. It is alive all the same, and
    /// has started.
    pub(super) async fn until_it_says(&self, code: u16, word: &str) -> Value {
        let says = async || {
            let (is, body) = self.readyz().await?;
            (is == code && body.to_string().contains(word)).then_some(body)
        };
        let what = format!("{} to say {code}, {word}", self.service);
        let body = eventually(&what, SOON, says).await;
        for path in ["/livez", "/startupz"] {
            let (code, _) = probe(self.admin, path).await.unwrap();
            assert_eq!(code, 200, "{path}");
        }
        body
    }

    pub(super) async fn readyz(&self) -> Option<(u16, Value)> {
        let (code, body) = probe(self.admin, "/readyz").await.ok()?;
        Some((code, serde_json::from_str(&body).unwrap()))
    }

    /// What a caller is answered.
    pub(super) async fn call(&self, process: &Process<Channel>) -> Code {
        let channel = process.client();
        let id = "018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11".to_owned();
        let answer = match self.service {
            "accounts" => {
                let request = GetAccountRequest { account_id: id };
                let mut client = AccountsServiceClient::new(channel);
                client.get_account(request).await.map(drop)
            }
            "verification" => {
                let request = GetVerificationRequest { account_id: id };
                let mut client = VerificationServiceClient::new(channel);
                client.get_verification(request).await.map(drop)
            }
            _ => {
                let mut client = MailerServiceClient::new(channel);
                client.preview(PreviewRequest::default()).await.map(drop)
            }
        };
        answer.map_or_else(|status| status.code(), |()| Code::Ok)
    }
}

/// A Postgres of its own that asks the role `pod` for its password.
pub(super) struct Guarded(Postgres);

impl Guarded {
    /// Nothing where there is no Postgres. Neither role nor database is there yet.
    pub(super) async fn start() -> Option<Self> {
        let server = Postgres::start().await?;
        server.ask_for_passwords_of("pod").await;
        Some(Self(server))
    }

    /// What `pod` uses.
    pub(super) fn url(&self, password: &str) -> String {
        let url = self.0.url("pod");
        url.replace("usher@", &format!("pod:{password}@"))
    }

    pub(super) async fn make_role(&self, password: &str) {
        let role = "CREATE ROLE pod SUPERUSER LOGIN PASSWORD";
        self.0
            .run("postgres", &format!("{role} '{password}'"))
            .await;
    }

    pub(super) async fn make_database(&self) {
        self.0.database("pod").await;
    }

    /// From now on there is another password, and nobody is logged in with the old one.
    pub(super) async fn rotate(&self, password: &str) {
        let role = format!("ALTER ROLE pod PASSWORD '{password}'");
        self.0.run("postgres", &role).await;
        let end = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity WHERE usename = 'pod'";
        self.0.run("postgres", end).await;
    }

    /// As if a newer release had migrated the pod's database.
    pub(super) async fn add_a_step(&self, name: &str) {
        let step = format!("INSERT INTO seaql_migrations VALUES ('{name}', 1)");
        self.0.run("pod", &step).await;
    }

    /// As if the first step had never been done.
    pub(super) async fn forget_a_step(&self) {
        let step = "DELETE FROM seaql_migrations WHERE version = (SELECT min(version) FROM seaql_migrations)";
        self.0.run("pod", step).await;
    }

    /// How many tables there are in the pod's database.
    pub(super) async fn tables(&self) -> String {
        let all =
            "SELECT count(*)::text FROM information_schema.tables WHERE table_schema = 'public'";
        self.0.run("pod", all).await
    }
}
