//! Where a person's mails arrive: in folders of this machine, or in a mailbox that is asked by HTTP.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{folders::MailFolders, letter::Letter};
use crate::{
    exit::{Exit, Failure},
    web::{Answered, Unanswered, Web, WebUrl},
};

#[derive(Debug)]
pub(crate) enum Inbox {
    Folders(MailFolders),
    Web(WebInbox),
}

impl Inbox {
    /// The mails to `address`, one entry for each time that one was accepted.
    pub(super) async fn letters_to(&self, address: &str) -> Result<Vec<Letter>, Failure> {
        match self {
            Self::Folders(folders) => Ok(folders.letters_to(address)),
            Self::Web(inbox) => inbox.letters_to(address).await,
        }
    }

    /// How long to wait before it is asked again.
    pub(super) fn look_every(&self) -> Duration {
        Duration::from_millis(match self {
            Self::Folders(_) => 5,
            Self::Web(_) => 100,
        })
    }

    /// What to ask oneself when a mail server took a mail that is not here.
    pub(super) fn doubt(&self) -> String {
        match self {
            Self::Folders(_) => "does --mailbox name the folder where it puts mails?".to_owned(),
            Self::Web(inbox) => format!(
                "does USHER_MAIL_URL of the mailer name the mailbox that answers at {}?",
                inbox.0.url()
            ),
        }
    }
}

/// The mailbox of `usher mailbox serve`.
#[derive(Debug)]
pub(crate) struct WebInbox(Web);

#[derive(Deserialize)]
struct Page {
    mails: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}

impl WebInbox {
    pub(crate) fn at(url: WebUrl) -> Self {
        Self(Web::at(url))
    }

    async fn letters_to(&self, address: &str) -> Result<Vec<Letter>, Failure> {
        let to = utf8_percent_encode(address, NON_ALPHANUMERIC);
        let list = self
            .ask(&format!("/api/v1/mails?to={to}&limit=100"))
            .await?;
        let page: Page = serde_json::from_slice(&list.body).map_err(|_| self.is_none())?;
        let mut letters = Vec::new();
        for Listed { id } in page.mails {
            let raw = self.ask(&format!("/api/v1/mails/{id}/raw")).await?;
            letters.extend(Letter::read(&raw.body));
        }
        letters.retain(|letter| letter.is_to(address));
        Ok(letters)
    }

    async fn ask(&self, path: &str) -> Result<Answered, Failure> {
        let away = |why: Unanswered| {
            let what = format!("The mailbox does not answer at {}: {why}.", self.0.url());
            Failure::new(Exit::Unavailable, what).hint(WHERE)
        };
        let answered = self.0.get(path).await.map_err(away)?;
        match answered.status.is_success() {
            true => Ok(answered),
            false => Err(self.is_none()),
        }
    }

    fn is_none(&self) -> Failure {
        let what = format!("What answers at {} is no mailbox.", self.0.url());
        Failure::new(Exit::Unavailable, what).hint(WHERE)
    }
}

const WHERE: &str =
    "--mailbox-url is where it speaks HTTP (port 8025), not SMTP: http://usher-mailbox:8025";
