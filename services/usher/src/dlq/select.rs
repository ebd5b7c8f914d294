//! Which dead letters: by filters that all commands share, read page by page from the services that
//! keep them.

use std::time::Duration;

use clap::{Args, ValueEnum};
use proto::letters::ListDeadLettersRequest;

use super::view::{DeadLetter, KEEPERS, Keeper};
use crate::{exit::Failure, service::Service, session::Session};

/// Letters a page: as many as a service gives.
const PAGE: usize = 500;

/// Filters; what is not given asks for nothing.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Filters {
    /// Only those of this service [default: both]
    #[arg(long, value_enum, value_name = "SERVICE")]
    service: Option<KeptBy>,
    /// Only those with this reason, such as unknown_account
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only those that were published to this subject, such as accounts.v1.account_created
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only those about this account
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only those that were given up longer ago than this, such as 2d or 6h
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Only those that were given up within this time
    #[arg(long, value_name = "AGE", value_parser = age)]
    newer_than: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KeptBy {
    Accounts,
    Verification,
}

impl Filters {
    /// Whether they leave everything in.
    pub(super) fn are_empty(&self) -> bool {
        let Self {
            service,
            reason,
            subject,
            account,
            older_than,
            newer_than,
        } = self;
        let texts = [reason, subject, account];
        let ages = [older_than, newer_than];
        service.is_none()
            && texts.iter().all(|it| it.is_none())
            && ages.iter().all(|it| it.is_none())
    }

    /// All of one service.
    pub(super) fn of(service: Service) -> Self {
        let kept_by = match service {
            Service::Verification => KeptBy::Verification,
            _ => KeptBy::Accounts,
        };
        Self {
            service: Some(kept_by),
            ..Self::default()
        }
    }

    fn asks(&self, service: Service) -> bool {
        match self.service {
            None => true,
            Some(KeptBy::Accounts) => service == Service::Accounts,
            Some(KeptBy::Verification) => service == Service::Verification,
        }
    }

    fn request(&self, page_size: usize, page_token: String) -> ListDeadLettersRequest {
        let asked = |age: Option<Duration>| age.and_then(|age| age.try_into().ok());
        ListDeadLettersRequest {
            page_size: u32::try_from(page_size).unwrap_or_default(),
            page_token,
            reason: self.reason.clone().unwrap_or_default(),
            subject: self.subject.clone().unwrap_or_default(),
            account_id: self.account.clone().unwrap_or_default(),
            older_than: asked(self.older_than),
            newer_than: asked(self.newer_than),
        }
    }
}

/// An age that can be asked for. One that cannot would be no filter at all.
fn age(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
    let age = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match age <= LONGEST {
        true => Ok(age),
        false => Err("is longer than 100y".to_owned()),
    }
}

/// The dead letters that pass, newest first within each service, `limit` of each service at most.
pub(super) async fn select(
    session: &Session,
    filters: &Filters,
    limit: usize,
) -> Result<Vec<DeadLetter>, Failure> {
    let mut letters = Vec::new();
    for service in KEEPERS.into_iter().filter(|service| filters.asks(*service)) {
        let mut keeper = Keeper::of(session, service)?;
        let (mut page_token, mut left) = (String::new(), limit);
        while left > 0 {
            let page = keeper
                .list(filters.request(left.min(PAGE), page_token))
                .await?;
            left = left.saturating_sub(page.letters.len());
            for letter in page.letters {
                letters.push(DeadLetter::of(service, letter));
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }
    Ok(letters)
}
