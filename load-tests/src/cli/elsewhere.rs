//! Where a system listens that others run.

use std::path::PathBuf;

use clap::Args;

use crate::target::Elsewhere;

/// All of them, or none.
#[derive(Debug, Args)]
#[group(id = "elsewhere", conflicts_with_all = ["data", "sink", "moods"])]
pub(super) struct ElsewhereArguments {
    /// accounts of a system that others run; several, separated by commas, take turns
    #[arg(long, value_name = "URL", value_delimiter = ',', requires_all = [
        "accounts_admin_url", "verification_url", "mailer_admin_url", "admin_token_file", "mailbox_url",
    ])]
    accounts_url: Vec<String>,
    /// Its accounts, as operators reach it
    #[arg(long, value_name = "URL", requires = "accounts_url")]
    accounts_admin_url: Option<String>,
    /// Its verification
    #[arg(long, value_name = "URL", requires = "accounts_url")]
    verification_url: Option<String>,
    /// Its mailer, as operators reach it
    #[arg(long, value_name = "URL", requires = "accounts_url")]
    mailer_admin_url: Option<String>,
    /// File with its operators' token
    #[arg(long, value_name = "FILE", requires = "accounts_url")]
    admin_token_file: Option<PathBuf>,
    /// Its mailbox, where the mails are read
    #[arg(long, value_name = "URL", requires = "accounts_url")]
    mailbox_url: Option<String>,
}

impl ElsewhereArguments {
    pub(super) fn given(self) -> Option<Elsewhere> {
        Some(Elsewhere {
            accounts_urls: self.accounts_url,
            verification_url: self.verification_url?,
            accounts_admin_url: self.accounts_admin_url?,
            mailer_admin_url: self.mailer_admin_url?,
            admin_token_file: self.admin_token_file?,
            mailbox_url: self.mailbox_url?,
        })
    }
}
