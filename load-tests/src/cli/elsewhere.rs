//! Where a system listens that others run.

use std::path::PathBuf;

use clap::Args;

use crate::target::Elsewhere;

#[derive(Debug, Args)]
#[group(id = "elsewhere", conflicts_with_all = ["data", "sink", "moods"])]
pub(super) struct ElsewhereArguments {
    /// accounts of a system that others run; several, separated by commas, take turns
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    accounts_url: Vec<String>,
    /// Its accounts, as operators reach it
    #[arg(long, value_name = "URL")]
    accounts_admin_url: String,
    /// Its verification
    #[arg(long, value_name = "URL")]
    verification_url: String,
    /// Its mailer, as operators reach it
    #[arg(long, value_name = "URL")]
    mailer_admin_url: String,
    /// File with its operators' token
    #[arg(long, value_name = "FILE")]
    admin_token_file: PathBuf,
    /// Its mailbox, where the mails are read
    #[arg(long, value_name = "URL")]
    mailbox_url: String,
}

impl From<ElsewhereArguments> for Elsewhere {
    fn from(arguments: ElsewhereArguments) -> Self {
        Self {
            accounts_urls: arguments.accounts_url,
            verification_url: arguments.verification_url,
            accounts_admin_url: arguments.accounts_admin_url,
            mailer_admin_url: arguments.mailer_admin_url,
            admin_token_file: arguments.admin_token_file,
            mailbox_url: arguments.mailbox_url,
        }
    }
}
