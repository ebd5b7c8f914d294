//! The system that is measured, seen as its callers see it: three addresses and the operators'
//! token.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use kit::serve::Channel;
use proto::{
    accounts::accounts_admin_client::AccountsAdminClient,
    mailer::mailer_admin_client::MailerAdminClient,
    verification::verification_service_client::VerificationServiceClient,
};
use serde::Deserialize;
use tonic::{Request, metadata::AsciiMetadataValue};

use crate::{load::channel, place::Place};

/// Where a system listens.
#[derive(Debug, Clone)]
pub struct Target {
    /// accounts, gRPC; each replica.
    pub accounts_urls: Vec<String>,
    /// verification, as people reach it; each replica.
    pub verification_urls: Vec<String>,
    accounts_admin_url: String,
    verification_url: String,
    mailer_admin_url: String,
    token: AsciiMetadataValue,
}

/// What `usher up` writes into its folder, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub(crate) struct RunFile {
    accounts: Listening,
    verification: Listening,
    mailer: Listening,
    admin_token_file: PathBuf,
    /// Where mails go.
    pub(crate) mail: String,
}

#[derive(Debug, Deserialize)]
struct Listening {
    url: String,
    admin_url: String,
}

impl RunFile {
    /// Of the `usher up` that runs on this data folder.
    ///
    /// # Errors
    /// When none runs there.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("run.json");
        let text = fs::read(&path).with_context(|| {
            format!(
                "No `usher up` runs on {}: it has no run.json",
                data.display()
            )
        })?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `usher up` writes", path.display()))
    }

    /// Where a service listens: for everybody, and for operators.
    pub(crate) fn listeners(&self, service: Place) -> [&str; 2] {
        let listening = match service {
            Place::Accounts => &self.accounts,
            Place::Verification => &self.verification,
            _ => &self.mailer,
        };
        [&listening.url, &listening.admin_url]
    }

    /// Every listener.
    pub(crate) fn urls(&mut self) -> [&mut String; 4] {
        [
            &mut self.accounts.url,
            &mut self.accounts.admin_url,
            &mut self.verification.url,
            &mut self.mailer.admin_url,
        ]
    }
}

/// A system that others run, as whoever may reach it names it.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// accounts, gRPC; each replica, or what stands before them.
    pub accounts_urls: Vec<String>,
    /// verification, gRPC.
    pub verification_url: String,
    /// accounts, as operators reach it.
    pub accounts_admin_url: String,
    /// The mailer, as operators reach it.
    pub mailer_admin_url: String,
    /// The operators' token.
    pub admin_token_file: PathBuf,
    /// Where its mails are read.
    pub mailbox_url: String,
}

impl Elsewhere {
    /// As the run asks it.
    ///
    /// # Errors
    /// When the operators' token cannot be read.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        Target::new(
            [
                self.accounts_urls.clone(),
                vec![self.verification_url.clone()],
            ],
            self.accounts_admin_url.clone(),
            self.verification_url.clone(),
            self.mailer_admin_url.clone(),
            &self.admin_token_file,
        )
    }
}

impl Target {
    /// What `usher up` says.
    ///
    /// # Errors
    /// When the operators' token cannot be read.
    pub(crate) fn of(run: &RunFile) -> anyhow::Result<Self> {
        Ok(Self {
            accounts_urls: vec![run.accounts.url.clone()],
            verification_urls: vec![run.verification.url.clone()],
            accounts_admin_url: run.accounts.admin_url.clone(),
            verification_url: run.verification.url.clone(),
            mailer_admin_url: run.mailer.admin_url.clone(),
            token: bearer(&run.admin_token_file)?,
        })
    }

    /// Services that run by themselves.
    ///
    /// # Errors
    /// When the operators' token cannot be read.
    pub(crate) fn new(
        [accounts_urls, verification_urls]: [Vec<String>; 2],
        accounts_admin_url: String,
        verification_url: String,
        mailer_admin_url: String,
        token: &Path,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            accounts_urls,
            verification_urls,
            accounts_admin_url,
            verification_url,
            mailer_admin_url,
            token: bearer(token)?,
        })
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

fn bearer(token: &Path) -> anyhow::Result<AsciiMetadataValue> {
    let text = fs::read_to_string(token);
    let text = text.with_context(|| format!("{} cannot be read", token.display()))?;
    let bearer = format!("Bearer {}", text.trim());
    bearer.parse().context("the admin token is not printable")
}
