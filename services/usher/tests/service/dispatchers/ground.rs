//! The whole system as separate processes on SQLite, with a real broker and a mail server that does
//! what a test tells it, under one dispatcher.

use std::{
    collections::HashMap,
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
};

use kit::{
    bus::Bus,
    testing::{
        Environment, Mail, NatsServer, SOON, SmtpServer, World, channel, eventually, free_port,
        make_secrets, probe,
    },
};
use mail_parser::MessageParser;
use proto::{
    accounts::{
        Account, AccountStatus, CreateAccountResponse, GetAccountRequest,
        accounts_service_client::AccountsServiceClient,
    },
    streams,
    verification::{
        Code, ConfirmCodeRequest, ConfirmOutcome, GetVerificationRequest, MailState,
        confirm_code_request::Target, verification_service_client::VerificationServiceClient,
    },
};
use rustix::process::Signal;
use tempfile::TempDir;
use tonic::{Status, transport::Channel};

use super::caller::Caller;
use crate::{
    processes::{STOP, ends_within, signal},
    world::usher,
};

const SERVICES: [&str; 3] = ["accounts", "verification", "mailer"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Inline,
    Background,
    Jetstream,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Background => "background",
            Self::Jetstream => "jetstream",
        }
    }
}

pub(super) struct Ground {
    pub(super) smtp: SmtpServer,
    /// Of each service, past it.
    pub(super) databases: HashMap<&'static str, World>,
    _nats: NatsServer,
    bus: Bus,
    settings: Environment,
    folder: TempDir,
    ports: HashMap<&'static str, [u16; 2]>,
    running: HashMap<&'static str, Child>,
}

impl Ground {
    /// Everything at work, accounts with further settings.
    pub(super) async fn start(kind: Kind, of_accounts: &[(&str, &str)]) -> Self {
        let (nats, smtp) = (NatsServer::start().await, SmtpServer::start().await);
        let bus = nats.provision().await;
        let folder = kit::testing::folder();
        make_secrets(folder.path());
        let ports: HashMap<_, _> = SERVICES
            .map(|name| (name, [free_port(), free_port()]))
            .into();
        let url = |service: &str| format!("http://127.0.0.1:{}", ports[service][0]);
        let settings = Environment::default().with(&[
            ("USHER_NATS_URL", &nats.url()),
            ("USHER_MAIL_URL", &smtp.url()),
            ("USHER_DISPATCHER", kind.name()),
            ("USHER_VERIFICATION_URL", &url("verification")),
            ("USHER_MAILER_URL", &url("mailer")),
            ("USHER_ADMIN_TOKEN_FILE", "admin-token"),
            ("USHER_FINGERPRINT_KEY_FILE", "fingerprint-key"),
            ("USHER_CODE_KEYS_FILE", "code-keys"),
            ("USHER_ADDRESS_KEY_FILE", "address-keys"),
        ]);
        let mut ground = Self {
            smtp,
            databases: SERVICES.map(|name| (name, World::on_sqlite())).into(),
            _nats: nats,
            bus,
            settings: settings.with(of_accounts),
            folder,
            ports,
            running: HashMap::new(),
        };
        for service in SERVICES {
            ground.spawn(service);
        }
        for service in SERVICES {
            ground.until_ready(service).await;
        }
        ground
    }

    /// Starts a service, whose log goes on in its file, and waits until it is ready.
    pub(super) async fn start_again(&mut self, service: &'static str) {
        self.spawn(service);
        self.until_ready(service).await;
    }

    fn spawn(&mut self, service: &'static str) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file(service))
            .expect("the folder can be written");
        let [listen, admin] = self.ports[service].map(|port| format!("127.0.0.1:{port}"));
        let mut command = usher();
        command
            .arg(service)
            .current_dir(self.folder.path())
            .envs(self.settings.pairs())
            .env("USHER_LISTEN", listen)
            .env("USHER_ADMIN_LISTEN", admin)
            .env(
                "USHER_DATABASE_URL",
                self.databases[service].settings().get("USHER_DATABASE_URL"),
            )
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().expect("usher can be run");
        self.running.insert(service, child);
    }

    async fn until_ready(&self, service: &str) {
        let ready = async || {
            let (status, body) = self.ask(service, "/readyz").await?;
            (status == 200 && body.contains("\"degraded\":{}")).then_some(())
        };
        eventually("a service to be ready", SOON * 2, ready).await;
    }

    /// What its admin listener answers.
    pub(super) async fn ask(&self, service: &str, path: &str) -> Option<(u16, String)> {
        let admin = ([127, 0, 0, 1], self.ports[service][1]).into();
        probe(admin, path).await.ok()
    }

    /// A counter of accounts, summed over its attributes.
    pub(super) async fn counted(&self, name: &str) -> f64 {
        let (_, text) = self.ask("accounts", "/metrics").await.unwrap_or_default();
        let values = text.lines().filter(|line| line.starts_with(name));
        values
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Sends a signal to a service.
    pub(super) fn send(&self, service: &str, what: Signal) {
        signal(self.running[service].id(), what);
    }

    /// Ends a service by a signal, in ten seconds.
    pub(super) fn stop(&mut self, service: &str, by: Signal) -> ExitStatus {
        self.send(service, by);
        self.ended(service)
    }

    /// How a service ended that was told to.
    pub(super) fn ended(&mut self, service: &str) -> ExitStatus {
        let child = self.running.remove(service).expect("it runs");
        ends_within(child, STOP)
    }

    /// Ends accounts, which brings away what it has in memory, and waits until verification has all of
    /// it and owes no mail.
    pub(super) async fn is_over(&mut self) {
        if self.running.contains_key("accounts") {
            let status = tokio::task::block_in_place(|| self.stop("accounts", Signal::TERM));
            assert!(status.success(), "{status}");
        }
        let unpublished = "outbox WHERE published_at IS NULL";
        self.databases["accounts"].until_none(unpublished).await;
        eventually("every event to be acked", SOON, async || {
            let accounts = self.bus.jetstream().get_stream(streams::ACCOUNTS.name);
            let read = accounts.await.ok()?.consumer_info("verification").await;
            let read = read.ok()?;
            (read.num_pending == 0 && read.num_ack_pending == 0).then_some(())
        })
        .await;
        let owed = "codes WHERE mail_state = 'pending'";
        self.databases["verification"].until_none(owed).await;
    }

    fn log_file(&self, service: &str) -> PathBuf {
        self.folder.path().join(format!("{service}.log"))
    }

    pub(super) fn log(&self, service: &str) -> String {
        fs::read_to_string(self.log_file(service)).unwrap_or_default()
    }

    pub(super) fn secret(&self, file: &str) -> String {
        let text = fs::read_to_string(self.folder.path().join(file)).expect("it was made");
        let key = text.trim().rsplit(':').next().unwrap_or_default();
        key.to_owned()
    }

    fn address(&self, service: &str) -> SocketAddr {
        ([127, 0, 0, 1], self.ports[service][0]).into()
    }

    fn channel(&self, service: &str) -> Channel {
        channel(self.address(service))
    }

    pub(super) async fn caller(&self) -> Caller {
        Caller::of(self.address("accounts")).await
    }

    /// Signs somebody up under a key that is made of the address.
    pub(super) async fn sign_up(&self, email: &str) -> Result<CreateAccountResponse, Status> {
        self.caller().await.sign_up(email).await
    }

    pub(super) async fn account(&self, account_id: &str) -> Option<Account> {
        let account_id = account_id.to_owned();
        let request = GetAccountRequest { account_id };
        let mut client = AccountsServiceClient::new(self.channel("accounts"));
        client.get_account(request).await.ok()?.into_inner().account
    }

    pub(super) async fn until_verified(&self, account_id: &str) {
        let verified = async || {
            let account = self.account(account_id).await?;
            (account.status() == AccountStatus::Verified).then_some(())
        };
        eventually("the account to be verified", SOON, verified).await;
    }

    /// The newest code of an account, once its mail is in this state.
    pub(super) async fn code(&self, account_id: &str, state: MailState) -> Code {
        eventually("the code's mail", SOON * 2, async || {
            let account_id = account_id.to_owned();
            let request = GetVerificationRequest { account_id };
            let mut client = VerificationServiceClient::new(self.channel("verification"));
            let answer = client.get_verification(request).await.ok()?.into_inner();
            let code = answer.verification?.codes.into_iter().next()?;
            (code.mail_state() == state).then_some(code)
        })
        .await
    }

    pub(super) async fn confirm(&self, account_id: &str, code: &str) -> ConfirmOutcome {
        let request = ConfirmCodeRequest {
            target: Some(Target::AccountId(account_id.to_owned())),
            code: code.to_owned(),
        };
        let mut client = VerificationServiceClient::new(self.channel("verification"));
        let answer = client.confirm_code(request).await.unwrap();
        answer.into_inner().outcome()
    }

    /// The mails to an address so far.
    pub(super) fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.smtp.mails();
        mails.retain(|mail| mail.to.iter().any(|to| to == address));
        mails
    }

    /// Waits for the first mail to an address and answers with its code.
    pub(super) async fn code_for(&self, address: &str) -> String {
        let came = async || self.mails_to(address).into_iter().next();
        code_in(&eventually("the mail", SOON * 2, came).await)
    }

    /// Waits until all of these were mailed, each once, also by whatever was still under way. Ends
    /// accounts.
    pub(super) async fn each_gets_one_mail(&mut self, addresses: &[String]) {
        for address in addresses {
            self.code_for(address).await;
        }
        self.is_over().await;
        for address in addresses {
            assert_eq!(self.mails_to(address).len(), 1, "mails to {address}");
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(super) fn id_of(created: &CreateAccountResponse) -> String {
    let account = created.account.as_ref();
    account.expect("an answer has it").account_id.clone()
}

/// The digits in a mail, as a person would read them.
pub(super) fn code_in(mail: &Mail) -> String {
    let message = MessageParser::default().parse(&mail.bytes);
    let text = message
        .expect("it is a mail")
        .body_text(0)
        .map(String::from);
    let text = text.expect("it has a text");
    let is_code =
        |line: &&str| line.len() == 9 && line.chars().all(|c| c.is_ascii_digit() || c == ' ');
    let code = text.lines().map(str::trim).find(is_code);
    code.expect("it holds a code").to_owned()
}
