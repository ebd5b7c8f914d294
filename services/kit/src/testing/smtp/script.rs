//! What the mail server shall do wrong, and when; `session` asks at each step.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A step of the conversation, named by what the client has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It connected; before TLS where that is implicit.
    Connect,
    /// It waits for the greeting; after implicit TLS.
    Greeting,
    /// It said EHLO or HELO.
    Ehlo,
    /// It asked for TLS.
    StartTls,
    /// It logged in.
    Auth,
    /// It named the sender.
    Mail,
    /// It named a recipient.
    Rcpt,
    /// It asked to send the mail.
    Data,
    /// It sent the mail and the final dot.
    FinalDot,
}

/// What to do instead of the right thing.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// The right thing, if late.
    Proceed,
    Answer(String),
    /// Exactly these octets, line ends and all.
    Say(Vec<u8>),
    Hang,
    Drop,
    Garbage,
    AcceptAndHang,
    AcceptAndDrop,
    AcceptAndSay(Vec<u8>),
}

#[derive(Debug)]
struct Rule {
    phase: Phase,
    recipient: Option<String>,
    remaining: Option<usize>,
    delay: Duration,
    action: Action,
}

#[derive(Debug, Default)]
pub(super) struct Script(Vec<Rule>);

impl Script {
    /// What to do at a step, and after how long; `recipients` are those that the mail has by then.
    pub(super) fn next(&mut self, phase: Phase, recipients: &[String]) -> (Duration, Action) {
        let fits = |rule: &&mut Rule| {
            rule.phase == phase
                && rule.remaining != Some(0)
                && rule
                    .recipient
                    .as_ref()
                    .is_none_or(|wanted| recipients.contains(wanted))
        };
        let Some(rule) = self.0.iter_mut().find(fits) else {
            return (Duration::ZERO, Action::Proceed);
        };
        rule.remaining = rule.remaining.map(|remaining| remaining - 1);
        (rule.delay, rule.action.clone())
    }
}

/// A rule in the making; it counts once one of the methods that take it whole says what to do.
#[derive(Debug)]
#[must_use = "a rule counts once it says what to do"]
pub struct On<'a> {
    script: &'a Mutex<Script>,
    phase: Phase,
    recipient: Option<String>,
    remaining: Option<usize>,
    delay: Duration,
}

impl<'a> On<'a> {
    pub(super) fn new(script: &'a Mutex<Script>, phase: Phase) -> Self {
        Self {
            script,
            phase,
            recipient: None,
            remaining: None,
            delay: Duration::ZERO,
        }
    }

    /// Only for a mail to this address; at RCPT, DATA and the final dot.
    pub fn to(self, recipient: &str) -> Self {
        Self {
            recipient: Some(recipient.to_owned()),
            ..self
        }
    }

    /// Only the next `count` times; for ever without it.
    pub fn times(self, count: usize) -> Self {
        Self {
            remaining: Some(count),
            ..self
        }
    }

    /// Wait so long before.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Answer with a reply code and a text, which may start with an enhanced code: `5.1.1 no such
    /// user`.
    pub fn answer(self, code: u16, text: &str) {
        self.act(Action::Answer(format!("{code} {text}")));
    }

    /// Say exactly these octets: line ends are the test's business, and so is one answer too many.
    /// What begins like a positive reply counts as one: the conversation goes on.
    pub fn say(self, octets: impl AsRef<[u8]>) {
        self.act(Action::Say(octets.as_ref().to_vec()));
    }

    /// Say nothing more on this connection, and keep it open.
    pub fn hang(self) {
        self.act(Action::Hang);
    }

    /// Close the connection.
    pub fn drop_connection(self) {
        self.act(Action::Drop);
    }

    /// Answer what is no SMTP.
    pub fn garbage(self) {
        self.act(Action::Garbage);
    }

    /// Do the right thing; of use with [`On::after`], and with [`On::times`] in front of another
    /// rule.
    pub fn proceed(self) {
        self.act(Action::Proceed);
    }

    /// At the final dot: accept the mail, but never say so.
    pub fn accept_and_hang(self) {
        self.act(Action::AcceptAndHang);
    }

    /// At the final dot: accept the mail, but close the connection instead of saying so.
    pub fn accept_and_drop(self) {
        self.act(Action::AcceptAndDrop);
    }

    /// At the final dot: accept the mail, and say exactly these octets.
    pub fn accept_and_say(self, octets: impl AsRef<[u8]>) {
        self.act(Action::AcceptAndSay(octets.as_ref().to_vec()));
    }

    fn act(self, action: Action) {
        let Self {
            script,
            phase,
            recipient,
            remaining,
            delay,
        } = self;
        script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .push(Rule {
                phase,
                recipient,
                remaining,
                delay,
                action,
            });
    }
}
