//! Each part as a process of its own, as on machines of its own: kept running by this program, with
//! a proxy in every connection and a small disk under every store.

mod yard;

use kit::testing::{free_port, make_secrets};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{Parts, System};
use crate::{
    place::{Ground, Place, Spot},
    target::Target,
};
pub(crate) use yard::Apart;
use yard::{Needs, Yard, path};

/// As long as a soak's faults, where the defaults are as long as RFC 5321 wants.
const MAIL_DEADLINES: [&str; 4] = ["GREETING", "COMMAND", "DATA", "REPLY"];

/// Where one replica listens.
#[derive(Debug, Clone, Copy)]
struct Replica {
    port: u16,
    admin: u16,
}

const ACCOUNTS: Needs = Needs {
    place: Place::Accounts,
    disk: Place::AccountsDisk,
    to_postgres: Place::AccountsToPostgres,
    to_nats: Some(Place::AccountsToNats),
};
const VERIFICATION: Needs = Needs {
    place: Place::Verification,
    disk: Place::VerificationDisk,
    to_postgres: Place::VerificationToPostgres,
    to_nats: Some(Place::VerificationToNats),
};
const MAILER: Needs = Needs {
    place: Place::Mailer,
    disk: Place::MailerDisk,
    to_postgres: Place::MailerToPostgres,
    to_nats: None,
};

impl System {
    /// Starts every part and waits until all listen.
    ///
    /// # Errors
    /// When one does not come up, with what it said.
    pub(crate) async fn apart(apart: &Apart<'_>) -> anyhow::Result<Self> {
        let mut yard = Yard {
            apart,
            folder: TempDir::with_prefix("usher-soak-")?,
            parts: Parts::default(),
            nats_url: String::new(),
            postgres: None,
        };
        make_secrets(yard.folder.path());
        yard.start_nats().await?;
        if apart.ground == Ground::Postgres {
            yard.start_postgres().await?;
        }
        let mailers = yard.start_service(&MAILER, &[]).await?;
        let verifications = yard.start_service(&VERIFICATION, &mailers).await?;
        let accounts = yard.start_service(&ACCOUNTS, &verifications).await?;
        let listening = [&accounts, &verifications, &mailers].into_iter().flatten();
        yard.until_all_listen(listening.flat_map(|one| [one.port, one.admin]))
            .await?;
        let target = yard.target(&accounts, &verifications, mailers[0]).await?;
        Ok(Self {
            parts: yard.parts,
            _followers: JoinSet::new(),
            target,
            folder: Some(yard.folder),
        })
    }
}

impl Yard<'_> {
    async fn start_service(
        &mut self,
        needs: &Needs,
        called: &[Replica],
    ) -> anyhow::Result<Vec<Replica>> {
        let place = needs.place;
        let mut all = Vec::new();
        for (replica, database) in self.databases(needs).await?.into_iter().enumerate() {
            let listening = Replica {
                port: free_port(),
                admin: free_port(),
            };
            let mut environment = self.settings(listening, &database);
            if place == Place::Accounts {
                environment.extend(self.dispatcher(replica, called).await);
            }
            let mut set = |name: &str, value| environment.push((name.to_owned(), value));
            if let Some(place) = needs.to_nats {
                let url = self.nats_url.clone();
                set(
                    "USHER_NATS_URL",
                    self.proxy(Spot { place, replica }, url).await,
                );
            }
            if place == Place::Verification {
                let mut urls = Vec::new();
                let place = Place::VerificationToMailer;
                for mailer in called {
                    let url = format!("http://127.0.0.1:{}", mailer.port);
                    urls.push(self.proxy(Spot { place, replica }, url).await);
                }
                set("USHER_MAILER_URL", urls.join(","));
            }
            if place == Place::Mailer {
                let (place, url) = (Place::MailerToSink, self.apart.mail_url.to_owned());
                set(
                    "USHER_MAIL_URL",
                    self.proxy(Spot { place, replica }, url).await,
                );
                for deadline in MAIL_DEADLINES {
                    set(&format!("USHER_MAIL_{deadline}_DEADLINE"), "10s".to_owned());
                }
            }
            let line = vec![self.apart.usher.into(), place.name().into()];
            self.keep(Spot { place, replica }, line, environment);
            all.push(listening);
        }
        Ok(all)
    }

    /// How accounts hands its news on, and to whom. Whoever calls verification is one of its callers.
    async fn dispatcher(&mut self, replica: usize, called: &[Replica]) -> Vec<(String, String)> {
        let kind = self.apart.dispatcher;
        let mut settings = vec![("USHER_DISPATCHER".to_owned(), kind.name().to_owned())];
        if kind.is_forgetful() {
            let place = Place::CallersToVerification;
            let url = format!("http://127.0.0.1:{}", called[replica].port);
            let url = self.proxy(Spot { place, replica }, url).await;
            settings.push(("USHER_VERIFICATION_URL".to_owned(), url));
        }
        settings
    }

    fn settings(&self, listening: Replica, database: &str) -> Vec<(String, String)> {
        let file = |name: &str| self.file(name).display().to_string();
        let mut settings = path();
        settings.extend(
            [
                ("USHER_LISTEN", format!("127.0.0.1:{}", listening.port)),
                (
                    "USHER_ADMIN_LISTEN",
                    format!("127.0.0.1:{}", listening.admin),
                ),
                ("USHER_ADMIN_TOKEN_FILE", file("admin-token")),
                ("USHER_FINGERPRINT_KEY_FILE", file("fingerprint-key")),
                ("USHER_CODE_KEYS_FILE", file("code-keys")),
                ("USHER_ADDRESS_KEY_FILE", file("address-keys")),
                ("USHER_DATABASE_URL", database.to_owned()),
                // So that nothing is left when this process is killed.
                ("USHER_STOP_WITH_STDIN", "1".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        settings
    }

    async fn target(
        &mut self,
        accounts: &[Replica],
        verifications: &[Replica],
        mailer: Replica,
    ) -> anyhow::Result<Target> {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut for_callers = [Vec::new(), Vec::new()];
        for (urls, (place, services)) in for_callers.iter_mut().zip([
            (Place::CallersToAccounts, accounts),
            (Place::CallersToVerification, verifications),
        ]) {
            for (replica, one) in services.iter().enumerate() {
                urls.push(self.proxy(Spot { place, replica }, url(one.port)).await);
            }
        }
        Target::new(
            for_callers,
            url(accounts[0].admin),
            url(verifications[0].port),
            url(mailer.admin),
            &self.file("admin-token"),
        )
    }
}
