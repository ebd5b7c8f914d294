//! What the mail server's refusals come to: which of those in words are said of everybody, and what
//! operators are to be told. `commands::deliver` reports each attempt's end; the readiness body
//! shows what stands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kit::serve::{Degraded, Health};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    domain::{AddressKeys, Concern, Ground, Judgement, Offer, SameWords},
    transport::{Cause, Ending},
};

/// What people notice of a policy that mails meet, and what to do about it.
const MAILS_COME_AGAIN: &str = "People can sign up, but the mail server refuses their mails, which wait and are tried again; none is lost.";
const MEND_POLICY: &str =
    "Mend what it says; mails wait meanwhile. `usher mail list` shows what the mail server said.";

/// The mailer's memory of refusals. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Refusals {
    keys: AddressKeys,
    state: Arc<Mutex<RefusalState>>,
    /// Mails that were taken back last, once that is recorded; for streams, those that are opened
    /// later too.
    taken_back: watch::Sender<Arc<[Uuid]>>,
}

#[derive(Debug, Default)]
struct RefusalState {
    same_words: SameWords,
    /// Since the last acceptance; shown until the next one.
    notice: Option<Notice>,
}

/// What operators are told.
#[derive(Debug)]
struct Notice {
    concern: Concern,
    words: String,
}

impl Refusals {
    /// Without any.
    pub(crate) fn new(keys: AddressKeys) -> Self {
        Self {
            keys,
            state: Arc::default(),
            taken_back: watch::Sender::new(Arc::new([])),
        }
    }

    /// Tells streams which mails are to be offered again.
    pub(crate) fn taken_back(&self) -> watch::Receiver<Arc<[Uuid]>> {
        self.taken_back.subscribe()
    }

    /// The ledger has taken these mails' refusals back: now they can be offered again.
    pub(crate) fn tell_taken_back(&self, mails: Vec<Uuid>) {
        if !mails.is_empty() {
            self.taken_back.send_replace(mails.into());
        }
    }

    /// Shows a policy that mails meet in the readiness body.
    pub(crate) fn show_in(&self, health: &Health) {
        let state = Arc::clone(&self.state);
        health.depends_on("mail policy", MAILS_COME_AGAIN, move || {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let notice = state.notice.as_ref();
            notice.map(|notice| Degraded::new(notice.words.clone(), MEND_POLICY))
        });
    }

    /// Takes note of how an attempt ended. Where the mailbox was refused in words that are said of
    /// everybody, answers with the mails whose refusals are to be taken back: then this one is none
    /// either.
    pub(crate) fn note(&self, offer: &Offer, ending: Ending, reply: &str) -> Judgement {
        match ending {
            Ending::Accepted => {
                let mut state = self.state();
                state.same_words.accepted();
                if state.notice.take().is_some() {
                    tracing::info!(
                        "The mail server takes mails again that it had refused by policy."
                    );
                }
            }
            Ending::RecipientRefused(Ground::Words) => {
                let mailbox = self.keys.mac(&offer.recipient).mac;
                let mut state = self.state();
                let judgement = state.same_words.refused(reply, mailbox, offer.code_id);
                if matches!(judgement, Judgement::SaidOfAll(_)) {
                    state.tell(Concern::Unclear, reply);
                }
                return judgement;
            }
            Ending::NotNow(Cause::Policy(concern)) => self.state().tell(concern, reply),
            Ending::RecipientRefused(Ground::Status) | Ending::NotNow(_) | Ending::Unknown(_) => {}
        }
        Judgement::Final
    }

    fn state(&self) -> MutexGuard<'_, RefusalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RefusalState {
    /// Logged once for each concern, however many mails it meets; `reply` is redacted.
    fn tell(&mut self, concern: Concern, reply: &str) {
        if self
            .notice
            .as_ref()
            .is_some_and(|notice| notice.concern == concern)
        {
            return;
        }
        let (about, advice) = (concern.word(), concern.advice());
        tracing::warn!(
            about,
            reply,
            advice,
            "The mail server refuses mails, and not for their mailboxes; they are tried again."
        );
        self.notice = Some(Notice {
            concern,
            words: format!(
                "of the mail server refuses mails, and not for their mailboxes: {advice} ({reply})"
            ),
        });
    }
}
