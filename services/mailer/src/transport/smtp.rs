//! The mail server: connections that are kept between mails, and what an answer of each phase means
//! for the mail.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{
    Cause, ComposedMail, Deadlines, Ending, Sent,
    attempt::Attempt,
    connect::{Connection, Dialer, NotConnected},
    conversation::{self, Trouble},
    url::SmtpServer,
};
use crate::domain::{Exchange, HelloName, Refusal, Reply, refusal};

/// How long a connection is kept without a mail.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// A mail server with its kept connections. How many there are at most is the business of
/// `admission`.
pub(crate) struct Smtp {
    dialer: Dialer,
    deadlines: Deadlines,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
    half_open_transaction: bool,
}

impl Smtp {
    /// Prepares; connects when there is a mail.
    pub(crate) fn new(
        server: SmtpServer,
        hello: Option<HelloName>,
        deadlines: Deadlines,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            dialer: Dialer::new(server, hello, deadlines.clone())?,
            deadlines,
            idle: Mutex::default(),
        })
    }

    /// Sends one mail, over a kept connection if there is one.
    pub(crate) async fn send(&self, mail: &ComposedMail, attempt: &Attempt) -> Sent {
        if let Some(mut connection) = self.kept(attempt).await {
            let result = conversation::send(&mut connection, mail, attempt, &self.deadlines).await;
            // The server has had enough of this connection, or closed it meanwhile: the mail has
            // not begun, and a new connection tells more.
            if !matches!(
                result,
                Err((
                    Exchange::Mail,
                    Trouble::Broken(_) | Trouble::OutOfStep(_) | Trouble::Refused(_)
                ))
            ) {
                return self.finish(connection, mail, result, attempt);
            }
            // MAIL was refused or not answered: nothing of this mail was taken.
            attempt.set_reached(false);
        }
        match self.dialer.connect().await {
            Ok(mut connection) => {
                attempt.answered();
                let result =
                    conversation::send(&mut connection, mail, attempt, &self.deadlines).await;
                self.finish(connection, mail, result, attempt)
            }
            Err(NotConnected(reply, mend)) => {
                Sent::new(Ending::NotNow(Cause::Connection(mend)), None, reply)
            }
        }
    }

    /// Host and port, for spans.
    pub(crate) fn server(&self) -> (&str, u16) {
        (&self.dialer.server.host, self.dialer.server.port)
    }

    /// Says QUIT on every kept connection and waits a moment for the answers.
    pub(crate) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        let goodbyes = idle
            .into_iter()
            .map(|idle| conversation::quit(idle.connection));
        // A server that does not answer QUIT must not hold up the stop: nothing is owed on these.
        let _ = timeout(
            Duration::from_millis(500),
            futures::future::join_all(goodbyes),
        )
        .await;
    }

    /// Keeps the connection if it is still of use, and reads the result.
    fn finish(
        &self,
        connection: Connection,
        mail: &ComposedMail,
        result: Result<Reply, (Exchange, Trouble)>,
        attempt: &Attempt,
    ) -> Sent {
        match result {
            Ok(reply) => {
                self.keep(connection, false);
                Sent::new(Ending::Accepted, Some(reply.code), reply.line())
            }
            Err((exchange, trouble)) => {
                // A server that refuses senders, or anything for a while, often means the
                // connection: too many mails, too long, closing down. What it refuses for good it
                // means.
                if matches!(&trouble, Trouble::Refused(reply) if reply.code >= 500)
                    && exchange != Exchange::Mail
                {
                    self.keep(connection, exchange != Exchange::Message);
                }
                ending(exchange, trouble, mail, attempt)
            }
        }
    }

    fn keep(&self, connection: Connection, half_open_transaction: bool) {
        if connection.wire.is_in_step() {
            let idle = Idle {
                connection,
                since: Instant::now(),
                half_open_transaction,
            };
            let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(idle);
        }
    }

    /// A kept connection on which nothing was said since.
    async fn kept(&self, attempt: &Attempt) -> Option<Connection> {
        loop {
            let idle = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                // Servers close connections that idle for minutes; one that is about to be closed
                // is not worth a try.
                idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE);
                idle.pop()?
            };
            let mut connection = idle.connection;
            // It was closed, or an answer too many came, which would pass for the next mail's.
            if connection.wire.quiet().await.is_err() {
                continue;
            }
            if idle.half_open_transaction {
                let reset = conversation::reset(&mut connection, attempt, &self.deadlines).await;
                if reset.is_err() {
                    continue;
                }
            }
            return Some(connection);
        }
    }
}

/// What trouble in an exchange means.
fn ending(exchange: Exchange, trouble: Trouble, mail: &ComposedMail, attempt: &Attempt) -> Sent {
    // After the final dot only a plain answer is one; everything else is unknowable.
    let lost = |cause| {
        if attempt.is_past_return() {
            Ending::Unknown(cause)
        } else {
            Ending::NotNow(cause)
        }
    };
    let words = match exchange {
        Exchange::Mail => "MAIL",
        Exchange::Rcpt => "RCPT",
        Exchange::Data => "DATA",
        Exchange::Message if attempt.is_past_return() => "final dot",
        Exchange::Message => "message",
    };
    match trouble {
        Trouble::Refused(reply) => {
            attempt.note_pace();
            let ending = match refusal(exchange, &reply, [mail.to.user(), mail.to.domain()]) {
                Refusal::Mailbox(ground) => Ending::RecipientRefused(ground),
                Refusal::Later => Ending::NotNow(Cause::Answer),
                Refusal::Policy(concern) => Ending::NotNow(Cause::Policy(concern)),
            };
            Sent::new(ending, Some(reply.code), reply.line())
        }
        Trouble::Hang(deadline) => {
            let reply = format!("{words}: no answer within {deadline:?}");
            Sent::new(lost(Cause::Hang), None, reply)
        }
        Trouble::Broken(text) | Trouble::OutOfStep(text) => {
            Sent::new(lost(Cause::Broken), None, format!("{words}: {text}"))
        }
    }
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp")
            .field("server", &self.dialer.server)
            .finish_non_exhaustive()
    }
}
