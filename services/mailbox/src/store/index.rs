//! What lists show of each mail, in memory and in the order of their arrival.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use uuid::Uuid;

use crate::api::Mail;

#[derive(Debug, Default)]
pub(super) struct Index {
    mails: BTreeMap<Uuid, Arc<Mail>>,
    /// Of all that there were.
    newest: Uuid,
}

/// Which mails are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// A recipient, or `@` and the domain of one; in lower case.
    pub(crate) to: Option<String>,
    /// What stands in the envelope, the subject or a body; in lower case.
    pub(crate) words: Option<String>,
}

/// Where a list begins, and which way it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    /// After this one.
    Oldest(Option<Uuid>),
    /// Before this one.
    Newest(Option<Uuid>),
}

/// What was found of a list.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) mails: Vec<Arc<Mail>>,
    /// Whether there are more.
    pub(crate) is_more: bool,
}

impl Filter {
    pub(crate) fn new(to: &str, words: &str) -> Self {
        let given = |text: &str| Some(text.trim().to_lowercase()).filter(|text| !text.is_empty());
        Self {
            to: given(to),
            words: given(words),
        }
    }

    fn takes(&self, mail: &Mail) -> bool {
        let Some(wanted) = &self.to else { return true };
        mail.to.iter().any(|to| {
            let to = to.to_lowercase();
            match wanted.starts_with('@') {
                true => to.ends_with(wanted),
                false => to == *wanted,
            }
        })
    }
}

/// Whether what a list shows of a mail says this.
pub(super) fn says(mail: &Mail, words: &str) -> bool {
    let shown = [&mail.from, &mail.subject, &mail.message_id];
    let mut shown = shown.into_iter().chain(&mail.to);
    shown.any(|text| text.to_lowercase().contains(words))
}

impl Index {
    pub(super) fn count(&self) -> usize {
        self.mails.len()
    }

    /// An id that is larger than all before it, even where the clock was set back.
    pub(super) fn next_id(&self, by_the_clock: Uuid) -> Uuid {
        let next = Uuid::from_u128(self.newest.as_u128().saturating_add(1));
        by_the_clock.max(next)
    }

    pub(super) fn add(&mut self, mail: Mail) {
        self.newest = self.newest.max(mail.id);
        self.put_back(Arc::new(mail));
    }

    pub(super) fn put_back(&mut self, mail: Arc<Mail>) {
        self.mails.insert(mail.id, mail);
    }

    pub(super) fn get(&self, id: Uuid) -> Option<Arc<Mail>> {
        self.mails.get(&id).cloned()
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Option<Arc<Mail>> {
        self.mails.remove(&id)
    }

    pub(super) fn take_oldest_of_more_than(&mut self, keep: usize) -> Option<Uuid> {
        match self.mails.len() > keep {
            true => self.mails.pop_first().map(|(id, _)| id),
            false => None,
        }
    }

    /// All that may be asked for, as far as that can be told without their bodies.
    pub(super) fn candidates(&self, filter: &Filter, from: From) -> Vec<Arc<Mail>> {
        let lower = match from {
            From::Oldest(Some(after)) => Excluded(after),
            _ => Unbounded,
        };
        let upper = match from {
            From::Newest(Some(before)) => Excluded(before),
            _ => Unbounded,
        };
        let mails = self.mails.range((lower, upper)).map(|(_, mail)| mail);
        let mails = mails.filter(|mail| filter.takes(mail)).cloned();
        match from {
            From::Oldest(_) => mails.collect(),
            From::Newest(_) => mails.rev().collect(),
        }
    }
}
