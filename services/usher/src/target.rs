//! Where the parts are: flags and environment first, then what a running `usher up` wrote into its folder, then
//! the default ports. Client commands get their channels and the admin token here.

use std::{fs, path::PathBuf};

use clap::Args;
use kit::serve::Client;
use tonic::{Request, metadata::AsciiMetadataValue, service::Interceptor};

use crate::{
    exit::{Exit, Failure},
    local::run_file::RunFile,
};

/// Flags of every command that talks to services.
#[derive(Debug, Clone, Args)]
#[command(
    next_help_heading = "Where the services are (default: the running `usher up` of --data, else this machine)"
)]
pub(crate) struct Target {
    /// accounts, gRPC
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_ACCOUNTS_URL",
        value_name = "URL"
    )]
    accounts_url: Option<String>,
    /// verification, gRPC
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_VERIFICATION_URL",
        value_name = "URL"
    )]
    verification_url: Option<String>,
    /// mailer, gRPC
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_MAILER_URL",
        value_name = "URL"
    )]
    mailer_url: Option<String>,
    /// accounts' admin listener [default: the service's port + 100]
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_ACCOUNTS_ADMIN_URL",
        value_name = "URL"
    )]
    accounts_admin_url: Option<String>,
    /// verification's admin listener [default: the service's port + 100]
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_VERIFICATION_ADMIN_URL",
        value_name = "URL"
    )]
    verification_admin_url: Option<String>,
    /// mailer's admin listener [default: the service's port + 100]
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "USHER_MAILER_ADMIN_URL",
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
    nats_url: Option<String>,
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

/// The services that commands talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Service {
    Accounts,
    Verification,
    Mailer,
}

impl Service {
    /// In the order of the journey.
    pub(crate) const ALL: [Self; 3] = [Self::Accounts, Self::Verification, Self::Mailer];

    /// Its name: of the command, of the process, in traces.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Verification => "verification",
            Self::Mailer => "mailer",
        }
    }

    /// Its usual gRPC port; the admin listener is 100 above.
    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Accounts => 50051,
            Self::Verification => 50052,
            Self::Mailer => 50053,
        }
    }
}

/// Every part's place, decided.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    urls: [String; 3],
    admin_urls: [String; 3],
    pub(crate) nats_url: String,
    pub(crate) token_file: PathBuf,
    /// The running `usher up` that was found, if its places are used.
    pub(crate) run: Option<RunFile>,
}

impl Target {
    /// Decides where every part is.
    pub(crate) fn places(self, data: &std::path::Path) -> Places {
        let run = RunFile::of_running(data);
        let said = [self.accounts_url, self.verification_url, self.mailer_url];
        let said_admin = [
            self.accounts_admin_url,
            self.verification_admin_url,
            self.mailer_admin_url,
        ];
        let mut urls = [const { String::new() }; 3];
        let mut admin_urls = [const { String::new() }; 3];
        let each = Service::ALL.into_iter().zip(said).zip(said_admin);
        for (place, ((service, said), said_admin)) in each.enumerate() {
            let running = run
                .as_ref()
                .filter(|_| said.is_none())
                .map(|run| run.service(service));
            let url = said.or_else(|| running.map(|running| running.url.clone()));
            let url = url.unwrap_or_else(|| format!("http://127.0.0.1:{}", service.port()));
            let admin = said_admin.or_else(|| running.map(|running| running.admin_url.clone()));
            admin_urls[place] = admin.unwrap_or_else(|| admin_of(&url));
            urls[place] = url;
        }
        let nats = self
            .nats_url
            .or_else(|| run.as_ref().map(|run| run.nats_url.clone()));
        Places {
            urls,
            admin_urls,
            nats_url: nats.unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned()),
            token_file: self
                .admin_token_file
                .unwrap_or_else(|| data.join("admin-token")),
            run,
        }
    }
}

impl Places {
    /// The places of a system that this process runs itself.
    pub(crate) fn of(run: &RunFile) -> Self {
        Self {
            urls: Service::ALL.map(|service| run.service(service).url.clone()),
            admin_urls: Service::ALL.map(|service| run.service(service).admin_url.clone()),
            nats_url: run.nats_url.clone(),
            token_file: run.admin_token_file.clone(),
            run: Some(run.clone()),
        }
    }

    /// The service's gRPC address.
    pub(crate) fn url(&self, service: Service) -> &str {
        &self.urls[service as usize]
    }

    /// Its admin listener's.
    pub(crate) fn admin_url(&self, service: Service) -> &str {
        &self.admin_urls[service as usize]
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
        let file = &self.token_file;
        let text = fs::read_to_string(file).map_err(|error| {
            Failure::new(
                Exit::Refused,
                format!("The admin token in {} cannot be read: {error}.", file.display()),
            )
            .hint(
                "`usher up` makes one; elsewhere name it with --admin-token-file or USHER_ADMIN_TOKEN_FILE.",
            )
        })?;
        let value = AsciiMetadataValue::try_from(format!("Bearer {}", text.trim()));
        let mut value = value.map_err(|_| {
            Failure::new(Exit::Refused, format!("{} does not hold an admin token.", file.display())).hint(
                "Name the file that the services read, by --admin-token-file or USHER_ADMIN_TOKEN_FILE.",
            )
        })?;
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
        Failure::new(
            Exit::Usage,
            format!("{url} cannot be used as a URL: {error:#}"),
        )
    })
}

/// The same host on the port + 100, where every service's admin listener is.
fn admin_of(url: &str) -> String {
    let Some((host, port)) = url.trim_end_matches('/').rsplit_once(':') else {
        return url.to_owned();
    };
    match port.parse::<u16>() {
        Ok(port) => format!("{host}:{}", port.saturating_add(100)),
        Err(_) => url.to_owned(),
    }
}
