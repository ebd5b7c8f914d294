//! What environment and file say to the services of `usher up`, found and checked before anything
//! starts; `child` passes it on.

use std::path::Path;

use accounts::config::Dispatcher;
use clap::ValueEnum as _;
use kit::{
    config::{Settings, Whence},
    files,
};

use crate::{
    exit::{Exit, Failure, sentence},
    service::{PerService, Service},
    settings,
};

/// What `usher up` says itself, because the parts have to find each other and their files.
const DECIDED: [&str; 12] = [
    "USHER_LISTEN",
    "USHER_ADMIN_LISTEN",
    "USHER_ADMIN_TOKEN_FILE",
    "USHER_DATABASE_URL",
    "USHER_DATABASE_URL_FILE",
    "USHER_NATS_URL",
    "USHER_NATS_CREDENTIALS",
    "USHER_VERIFICATION_URL",
    "USHER_MAILER_URL",
    "USHER_FINGERPRINT_KEY_FILE",
    "USHER_CODE_KEYS_FILE",
    "USHER_ADDRESS_KEY_FILE",
];

const MAIL_URL_FILE: &str = "USHER_MAIL_URL_FILE";

/// What each service is told besides what `child` says.
#[derive(Debug)]
pub(crate) struct ToldServices {
    pub(crate) services: PerService<Settings>,
    /// What somebody set in vain.
    pub(crate) warnings: Vec<String>,
    /// Accounts' dispatcher, where not its settings are to say it.
    pub(crate) dispatcher: Option<Dispatcher>,
}

impl ToldServices {
    /// # Errors
    /// When the file is wrong, or a service would refuse a setting.
    pub(crate) fn find(slips: Vec<String>) -> Result<Self, Failure> {
        let refused = |error: anyhow::Error| Failure::new(Exit::Usage, sentence(&error));
        let mut services = settings::of_services().map_err(refused)?;
        let mut in_vain: Vec<(String, Whence)> = Vec::new();
        for service in Service::ALL {
            in_vain.extend(services[service].without(&DECIDED));
            settings::check(service, &services[service]).map_err(refused)?;
        }
        let mut warnings = slips;
        for (variable, origin) in in_vain {
            let warning = format!(
                "{variable} (from {origin}) is not used: `usher up` says to each service where its files and its peers are."
            );
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        Ok(Self {
            services,
            warnings,
            dispatcher: None,
        })
    }

    /// What `USHER_DISPATCHER` is to be, where somebody says so here.
    pub(crate) fn dispatcher(&self) -> Option<String> {
        let kind = self.dispatcher?.to_possible_value()?;
        Some(kind.get_name().to_owned())
    }

    /// `USHER_MAIL_URL`, if somebody set it, or what stands in the file that is named instead.
    pub(crate) fn mail_url(&self) -> Option<String> {
        let mailer = &self.services.mailer;
        if let Some(file) = mailer.value(MAIL_URL_FILE) {
            // The mailer says what is wrong with it.
            let text = files::read(Path::new(file)).unwrap_or_default();
            return Some(text.trim().to_owned());
        }
        let url = mailer.value("USHER_MAIL_URL")?;
        Some(url.to_string_lossy().into_owned())
    }

    /// Whether somebody said where mails go.
    pub(crate) fn says_where_mails_go(told: &Settings) -> bool {
        let variables = ["USHER_MAIL_URL", MAIL_URL_FILE];
        variables
            .iter()
            .any(|variable| told.value(variable).is_some())
    }
}
