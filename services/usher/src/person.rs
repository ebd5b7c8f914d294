//! What a person does with Usher, as `usher demo` and `usher cluster smoke` play it: signs up, reads
//! the mail, types the code; and what they would notice.

mod folders;
mod inbox;
mod letter;

use std::time::Duration;

use futures::StreamExt as _;
use proto::{
    accounts::{CreateAccountRequest, WatchAccountRequest},
    verification::{ConfirmCodeRequest, ConfirmOutcome, confirm_code_request::Target},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    account::{
        show::{self, Shown},
        view::{Account, Code},
    },
    exit::{Exit, Failure},
    root_span::trace_id,
    service::Service,
    session::Session,
    terminal::Progress,
};
pub(crate) use folders::MailFolders;
pub(crate) use inbox::Inbox;
pub(crate) use letter::Letter;

/// What nobody should have to wait for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody with a terminal.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) session: Session,
    pub(crate) progress: Progress,
    /// How long she waits for one thing.
    pub(crate) patience: Duration,
}

/// An account, and the trace of its sign-up as accounts tells it.
#[derive(Debug)]
pub(crate) struct SignedUp {
    pub(crate) account: Account,
    pub(crate) trace_id: Option<String>,
}

impl Person {
    pub(crate) async fn sign_up(&self, email: &str, name: &str) -> Result<SignedUp, Failure> {
        let request = CreateAccountRequest {
            email: email.to_owned(),
            display_name: name.to_owned(),
            locale: "en".to_owned(),
        };
        let answer = self.session.accounts()?.create_account(request).await;
        let trace_id = trace_id(&answer);
        let reply = self.session.reply(Service::Accounts, answer)?;
        Ok(SignedUp {
            account: reply.account.unwrap_or_default().into(),
            trace_id,
        })
    }

    /// Waits for the first mail.
    pub(crate) async fn letter(&self, inbox: &Inbox, to: &Account) -> Result<Letter, Failure> {
        let step = self.progress.step("the mail is on its way");
        let deadline = Instant::now() + self.patience;
        loop {
            let letters = inbox.letters_to(&to.email).await?;
            if let Some(letter) = letters.into_iter().next() {
                drop(step);
                return Ok(letter);
            }
            if Instant::now() > deadline {
                return Err(self.no_letter(inbox, &to.account_id).await);
            }
            sleep(inbox.look_every()).await;
        }
    }

    /// What verification knows of a mail that did not arrive.
    async fn no_letter(&self, inbox: &Inbox, account_id: &str) -> Failure {
        let failure = Failure::new(Exit::Failed, "The mail did not arrive.");
        match show::read(account_id, &self.session).await {
            Ok(shown) => failure.hint(match fate(&shown) {
                Fate::Accepted => format!("The mail server took the mail: {}", inbox.doubt()),
                Fate::Otherwise(why) => why,
            }),
            Err(other) => failure.hint(other.message),
        }
    }

    pub(crate) async fn confirm(&self, account_id: &str, code: &str) -> Result<(), Failure> {
        let target = Some(Target::AccountId(account_id.to_owned()));
        let request = ConfirmCodeRequest {
            target,
            code: code.to_owned(),
        };
        let answer = self.session.verification()?.confirm_code(request).await;
        let reply = self.session.reply(Service::Verification, answer)?;
        match reply.outcome() {
            ConfirmOutcome::Ok => Ok(()),
            other => {
                let what = format!("The code was answered with {}.", other.as_str_name());
                Err(Failure::new(Exit::Failed, what))
            }
        }
    }

    /// Waits until accounts has heard that the code was right.
    pub(crate) async fn wait_until_verified(&self, account_id: &str) -> Result<(), Failure> {
        let request = WatchAccountRequest {
            account_id: account_id.to_owned(),
        };
        let watching = async {
            let answer = self.session.accounts()?.watch_account(request).await;
            let mut versions = self.session.reply(Service::Accounts, answer)?;
            while let Some(version) = versions.next().await {
                let version =
                    version.map_err(|status| self.session.refusal(Service::Accounts, &status))?;
                if Account::from(version.account.unwrap_or_default()).is_verified() {
                    return Ok(());
                }
            }
            let what = "accounts ended the watch before the account was verified.";
            Err(Failure::new(Exit::Failed, what))
        };
        match timeout(self.patience, watching).await {
            Ok(verified) => verified,
            Err(_) => {
                let what = "The account was not verified in time.";
                Err(Failure::new(Exit::Failed, what))
            }
        }
    }

    /// Reads the account once verification knows what became of its mail: then no other one
    /// follows.
    pub(crate) async fn shown_after_its_mail(&self, account_id: &str) -> Result<Shown, Failure> {
        let _step = self.progress.step("waiting for the last facts");
        let deadline = Instant::now() + self.patience;
        loop {
            let shown = show::read(account_id, &self.session).await?;
            let verification = shown.verification.as_ref();
            let mut codes = verification.iter().flat_map(|known| &known.codes);
            if codes.any(|code| code.mail_state != "PENDING") {
                return Ok(shown);
            }
            let otherwise = "Verification never heard that the mail was accepted.";
            in_time(deadline, otherwise)?;
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The mails to an address so far.
    pub(crate) async fn count_mails(&self, inbox: &Inbox, to: &str) -> Result<usize, Failure> {
        let letters = inbox.letters_to(to).await?;
        let is_first = |letter: &Letter| letter.message_id == letters[0].message_id;
        if !letters.iter().all(is_first) {
            let what = "Two different mails arrived for one sign-up.";
            return Err(Failure::new(Exit::Failed, what));
        }
        Ok(letters.len())
    }
}

/// What became of an account's mail so far.
#[derive(Debug)]
pub(crate) enum Fate {
    /// The mail server has it.
    Accepted,
    /// Why it does not, and what to look at.
    Otherwise(String),
}

/// Read from what the services tell everybody: it takes no token.
pub(crate) fn fate(shown: &Shown) -> Fate {
    let Some(verification) = &shown.verification else {
        let why =
            "Verification has not heard of the account: is the broker there? `usher doctor` tells.";
        return Fate::Otherwise(why.to_owned());
    };
    let is_accepted = |code: &Code| code.mail_state == "ACCEPTED";
    if verification.codes.iter().any(is_accepted) {
        return Fate::Accepted;
    }
    let mut history = verification.history.iter().rev();
    let newest = history.find(|entry| entry.what.starts_with("mail_"));
    Fate::Otherwise(match newest {
        Some(newest) => format!(
            "The last that is known of it is {}: {}",
            newest.what.replace('_', " "),
            newest.detail
        ),
        None => {
            "There was no attempt: does the server that USHER_MAIL_URL names answer?".to_owned()
        }
    })
}

/// Fails once the deadline has passed.
pub(crate) fn in_time(deadline: Instant, otherwise: &str) -> Result<(), Failure> {
    if Instant::now() > deadline {
        return Err(Failure::new(Exit::Failed, otherwise));
    }
    Ok(())
}
