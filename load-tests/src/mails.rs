//! Where a run finds the mails that were accepted: in its own sink, or in the mailbox of a system
//! that runs elsewhere.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    mailbox::Mailbox,
    sink::{Accepted, Mood, Sink},
};

/// Between two looks into a mailbox that fills.
const LOOK: Duration = Duration::from_secs(1);

/// What accepted the mails of a run.
#[derive(Debug)]
pub enum Mails {
    /// The run's own mail server, which has moods.
    Sink(Sink),
    /// The system's own, read as people read it.
    Mailbox(Box<Mailbox>),
}

impl Mails {
    /// Every mail that was accepted, in order.
    ///
    /// # Errors
    /// When the mailbox cannot be read.
    pub async fn accepted(&self) -> anyhow::Result<Vec<Accepted>> {
        self.accepted_after(0).await
    }

    /// What was accepted after the first so many.
    ///
    /// # Errors
    /// When the mailbox cannot be read.
    pub async fn accepted_after(&self, first: usize) -> anyhow::Result<Vec<Accepted>> {
        match self {
            Self::Sink(sink) => Ok(sink.accepted_after(first)),
            Self::Mailbox(mailbox) => mailbox.accepted_after(first).await,
        }
    }

    /// Reads a mailbox as it fills, until `over`: at the end the rest is soon read.
    pub(crate) async fn follow(&self, over: &CancellationToken) {
        let Self::Mailbox(mailbox) = self else { return };
        while over.run_until_cancelled(sleep(LOOK)).await.is_some() {
            // What cannot be read now is read by the check, which says so if that fails.
            let _ = mailbox.accepted_after(0).await;
        }
    }

    /// How many mails were seen so far.
    pub fn count(&self) -> usize {
        match self {
            Self::Sink(sink) => sink.count(),
            Self::Mailbox(mailbox) => mailbox.count(),
        }
    }

    /// From now on every mail is accepted at once. A mailbox never did anything else.
    pub fn heal(&self) {
        if let Self::Sink(sink) = self {
            sink.heal();
        }
    }

    /// How often each mood was met.
    pub fn moods_met(&self) -> BTreeMap<Mood, u64> {
        match self {
            Self::Sink(sink) => sink.moods_met(),
            Self::Mailbox(_) => BTreeMap::new(),
        }
    }
}
