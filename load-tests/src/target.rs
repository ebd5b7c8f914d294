//! The system that is measured, seen as its callers see it: three addresses and the operators'
//! token.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use proto::{
    accounts::accounts_admin_client::AccountsAdminClient,
    mailer::mailer_admin_client::MailerAdminClient,
    verification::verification_service_client::VerificationServiceClient,
};
use serde::Deserialize;
use tonic::{Request, metadata::AsciiMetadataValue, transport::Channel};

use crate::load::channel;

/// Where a system listens.
#[derive(Debug, Clone)]
pub struct Target {
    /// accounts, gRPC.
    pub accounts_url: String,
    accounts_admin_url: String,
    verification_url: String,
    mailer_admin_url: String,
    token: AsciiMetadataValue,
}

/// What `usher up` writes into its folder, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct RunFile {
    accounts: Listening,
    verification: Listening,
    mailer: Listening,
    admin_token_file: PathBuf,
    mail: String,
}

#[derive(Debug, Deserialize)]
struct Listening {
    url: String,
    admin_url: String,
}

impl Target {
    /// The `usher up` that runs on this data folder, and where it sends its mails.
    ///
    /// # Errors
    /// When none runs there.
    pub fn of_folder(data: &Path) -> anyhow::Result<(Self, String)> {
        let path = data.join("run.json");
        let text = fs::read(&path).with_context(|| {
            format!(
                "No `usher up` runs on {}: it has no run.json",
                data.display()
            )
        })?;
        let run: RunFile = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `usher up` writes", path.display()))?;
        let token = fs::read_to_string(&run.admin_token_file)
            .with_context(|| format!("{} cannot be read", run.admin_token_file.display()))?;
        let bearer = format!("Bearer {}", token.trim());
        let target = Self {
            accounts_url: run.accounts.url,
            accounts_admin_url: run.accounts.admin_url,
            verification_url: run.verification.url,
            mailer_admin_url: run.mailer.admin_url,
            token: bearer.parse().context("the admin token is not printable")?,
        };
        Ok((target, run.mail))
    }

    pub(crate) fn accounts_admin(&self) -> anyhow::Result<AccountsAdminClient<Channel>> {
        Ok(AccountsAdminClient::new(channel(&self.accounts_admin_url)?))
    }

    pub(crate) fn mailer_admin(&self) -> anyhow::Result<MailerAdminClient<Channel>> {
        Ok(MailerAdminClient::new(channel(&self.mailer_admin_url)?))
    }

    pub(crate) fn verification(&self) -> anyhow::Result<VerificationServiceClient<Channel>> {
        let channel = channel(&self.verification_url)?;
        Ok(VerificationServiceClient::new(channel))
    }

    /// A request with the operators' token.
    pub(crate) fn as_operator<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.token.clone());
        request
    }
}
