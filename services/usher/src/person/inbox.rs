//! Where a person's mails arrive: in folders of this machine, or in a mailbox that is asked by HTTP.

use std::time::Duration;

use super::{folders::MailFolders, letter::Letter};
use crate::{exit::Failure, mailbox::client::MailboxClient};

#[derive(Debug)]
pub(crate) enum Inbox {
    Folders(MailFolders),
    Mailbox(MailboxClient),
}

impl Inbox {
    /// The mails to `address`, one entry for each time that one was accepted.
    pub(super) async fn letters_to(&self, address: &str) -> Result<Vec<Letter>, Failure> {
        match self {
            Self::Folders(folders) => Ok(folders.letters_to(address)),
            Self::Mailbox(mailbox) => in_mailbox(mailbox, address).await,
        }
    }

    /// How long to wait before it is asked again.
    pub(super) fn look_every(&self) -> Duration {
        Duration::from_millis(match self {
            Self::Folders(_) => 5,
            Self::Mailbox(_) => 100,
        })
    }

    /// What to ask oneself when a mail server took a mail that is not here.
    pub(super) fn doubt(&self) -> String {
        match self {
            Self::Folders(_) => "does --mailbox name the folder where it puts mails?".to_owned(),
            Self::Mailbox(mailbox) => format!(
                "does USHER_MAIL_URL of the mailer name the mailbox that answers at {}?",
                mailbox.url()
            ),
        }
    }
}

async fn in_mailbox(mailbox: &MailboxClient, address: &str) -> Result<Vec<Letter>, Failure> {
    let page = mailbox.page(&[("to", address), ("limit", "100")]).await?;
    let mut letters = Vec::new();
    for mail in page.mails {
        letters.extend(Letter::read(&mailbox.raw(mail.id).await?));
    }
    letters.retain(|letter| letter.is_to(address));
    Ok(letters)
}
