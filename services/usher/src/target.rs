//! Where the parts are: flags and environment first, then what a running `usher up` wrote into its
//! folder, then the default ports. Client commands get their channels and the admin token here.

use std::path::{Path, PathBuf};

use clap::Args;
use kit::{
    bus::{BrokerSettings, NatsUrl},
    config::service_url,
    files,
    serve::Client,
    words,
};
use tonic::{Request, metadata::AsciiMetadataValue, service::Interceptor};

use crate::{
    exit::{Exit, Failure},
    local::{
        data::{self, DataFolder},
        run_file::{Listening, RunFile},
    },
    service::{PerService, Service},
};

/// The local system, for every command.
#[derive(Debug, Args)]
pub(crate) struct DataFlag {
    /// Folder of the local system: databases, broker, mails, keys, logs
    #[arg(
        long,
        global = true,
        env = "USHER_DATA",
        default_value = USUAL_DATA,
        value_name = "DIR"
    )]
    pub(crate) data: PathBuf,
}

/// Flags of every command that talks to services.
#[derive(Debug, Clone, Args)]
#[command(
    next_help_heading = "Where the services are, http://HOST:PORT or dns:///HOST:PORT (default: the running `usher up` of --data, else this machine)"
)]
pub(crate) struct Target {
    /// accounts, gRPC
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_ACCOUNTS_URL",
        hide_env_values = true,
        value_parser = service_url,
        value_name = "URL"
    )]
    accounts_url: Option<String>,
    /// verification, gRPC
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_VERIFICATION_URL",
        hide_env_values = true,
        value_parser = service_url,
        value_name = "URL"
    )]
    verification_url: Option<String>,
    /// mailer, gRPC
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_MAILER_URL",
        hide_env_values = true,
        value_parser = service_url,
        value_name = "URL"
    )]
    mailer_url: Option<String>,
    /// accounts' admin listener [default: the service's port + 100]
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_ACCOUNTS_ADMIN_URL",
        hide_env_values = true,
        value_parser = service_url,
        value_name = "URL"
    )]
    accounts_admin_url: Option<String>,
    /// verification's admin listener [default: the service's port + 100]
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_VERIFICATION_ADMIN_URL",
        hide_env_values = true,
        value_parser = service_url,
        value_name = "URL"
    )]
    verification_admin_url: Option<String>,
    /// mailer's admin listener [default: the service's port + 100]
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_MAILER_ADMIN_URL",
        hide_env_values = true,
        value_parser = service_url,
        value_name = "URL"
    )]
    mailer_admin_url: Option<String>,
    /// nats-server
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_NATS_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    nats_url: Option<NatsUrl>,
    /// File with credentials for NATS (.creds)
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_NATS_CREDENTIALS",
        value_name = "FILE"
    )]
    nats_credentials: Option<PathBuf>,
    /// File with the token of operators' commands
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_ADMIN_TOKEN_FILE",
        value_name = "FILE"
    )]
    admin_token_file: Option<PathBuf>,
}

/// What `--data` is without a word from anybody.
const USUAL_DATA: &str = "data";

/// Where every part is, decided.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    services: PerService<Listening>,
    pub(crate) broker: BrokerSettings,
    pub(crate) token_file: PathBuf,
    /// The running `usher up` that was found, if its places are used.
    pub(crate) run: Option<RunFile>,
    /// Where it was looked for.
    pub(crate) data: PathBuf,
    /// Whether flags or environment say where each service is.
    pub(crate) are_named: bool,
}

impl Target {
    /// # Errors
    /// When the running `usher up` cannot be told from what somebody else put there.
    pub(crate) fn places(self, data: &Path) -> Result<Places, Failure> {
        let run = RunFile::of_running(data).map_err(data::elsewhere)?;
        let named = PerService {
            accounts: self.accounts_url,
            verification: self.verification_url,
            mailer: self.mailer_url,
        };
        let named_admin = PerService {
            accounts: self.accounts_admin_url,
            verification: self.verification_admin_url,
            mailer: self.mailer_admin_url,
        };
        let are_named = Service::ALL.iter().all(|service| named[*service].is_some());
        let services = PerService::of(|service| {
            let running = run.as_ref().map(|run| &run.services[service]);
            let mut place = match (named[service].clone(), running) {
                // Whoever names a service means that one: its admin listener is not that of `usher
                // up`.
                (Some(url), _) => at(url),
                (None, Some(running)) => running.clone(),
                (None, None) => at(format!("http://127.0.0.1:{}", service.port())),
            };
            if let Some(url) = &named_admin[service] {
                place.admin_url.clone_from(url);
            }
            place
        });
        let mut broker = match (self.nats_url, &run) {
            (Some(url), _) => url.into(),
            (None, Some(run)) => run.broker(),
            (None, None) => BrokerSettings::default(),
        };
        // That of `usher up` comes with its place; whoever names another place names a login for it.
        if self.nats_credentials.is_some() {
            broker.nats_credentials = self.nats_credentials;
        }
        let token_file = self.admin_token_file;
        Ok(Places {
            services,
            broker,
            token_file: token_file.unwrap_or_else(|| data.join("admin-token")),
            run,
            data: data.to_owned(),
            are_named,
        })
    }
}

impl Places {
    /// The places of a system that this process runs itself.
    pub(crate) fn of(run: &RunFile, data: &Path) -> Self {
        Self {
            services: run.services.clone(),
            broker: run.broker(),
            token_file: run.admin_token_file.clone(),
            run: Some(run.clone()),
            data: data.to_owned(),
            are_named: false,
        }
    }

    /// The log of the broker, if it is the one that the running `usher up` keeps.
    pub(crate) fn broker_log(&self) -> Option<PathBuf> {
        let run = self.run.as_ref()?;
        let is_its = self.broker.nats_url.servers() == [run.nats_url.clone()];
        is_its.then(|| self.data.join("logs/nats-server.log"))
    }

    /// Why nothing can run in the data folder: it may have been mistyped.
    pub(crate) fn lack(&self) -> Option<String> {
        let shown = self.data.display();
        if !self.data.is_dir() {
            return Some(format!("there is no folder {shown}"));
        }
        let is_ours = DataFolder::is_ours(&self.data) || self.data.join("admin-token").exists();
        (!is_ours).then(|| format!("{shown} holds no system that `usher up` made"))
    }

    /// Whether somebody said which folder is meant.
    pub(crate) fn is_data_chosen(&self) -> bool {
        self.data != Path::new(USUAL_DATA)
    }

    /// What to do about a folder that is none.
    pub(crate) fn way_to_data(&self) -> String {
        let shown = self.data.display();
        format!("Correct --data (or USHER_DATA); `usher up --data {shown}` makes a system there.")
    }

    pub(crate) fn url(&self, service: Service) -> &str {
        &self.services[service].url
    }

    pub(crate) fn admin_url(&self, service: Service) -> &str {
        &self.services[service].admin_url
    }

    pub(crate) fn set_admin_url(&mut self, service: Service, url: &str) {
        url.clone_into(&mut self.services[service].admin_url);
    }

    /// A channel to the service; connects when it is first used.
    pub(crate) fn channel(&self, service: Service) -> Result<Client, Failure> {
        channel(self.url(service))
    }

    /// A channel to its admin listener, and the token for it.
    pub(crate) fn admin(&self, service: Service) -> Result<(Client, Token), Failure> {
        Ok((channel(self.admin_url(service))?, self.token()?))
    }

    fn token(&self) -> Result<Token, Failure> {
        let file = self.token_file.display();
        let text = files::read(&self.token_file).map_err(|refused| match refused.is_missing() {
            true => Failure::new(Exit::Refused, format!("There is no admin token in {file}.")).hint(
                "Name the file that the services read with --admin-token-file or USHER_ADMIN_TOKEN_FILE, or the folder of \
                 `usher up` with --data.",
            ),
            false => refused.into(),
        })?;
        let bearer = format!("Bearer {}", text.trim());
        let Ok(mut value) = AsciiMetadataValue::try_from(bearer) else {
            let what = format!("{file} does not hold an admin token.");
            return Err(Failure::new(Exit::Refused, what).hint(
                "Name the file that the services read, by --admin-token-file or USHER_ADMIN_TOKEN_FILE.",
            ));
        };
        // Not to be printed by whoever prints a request, nor kept in HTTP/2's table of headers.
        value.set_sensitive(true);
        Ok(Token(value))
    }
}

/// Puts the admin token on a request.
#[derive(Debug, Clone)]
pub(crate) struct Token(AsciiMetadataValue);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

fn channel(url: &str) -> Result<Client, Failure> {
    kit::serve::client(url).map_err(|error| {
        let what = format!(
            "{url} cannot be used as a URL: {}.",
            words::of_chain(&error)
        );
        Failure::new(Exit::Usage, what)
    })
}

/// A service at `url` whose admin listener is where all have it: on the same host, on the port +
/// 100.
fn at(url: String) -> Listening {
    let mut admin_url = url.clone();
    if let Some((host, port)) = url.trim_end_matches('/').rsplit_once(':')
        && let Ok(port) = port.parse::<u16>()
    {
        admin_url = format!("{host}:{}", port.saturating_add(100));
    }
    Listening { url, admin_url }
}
