//! The mail server: connections that are kept between mails, and what an answer of each phase means for the mail.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lettre::transport::smtp::{
    client::TlsParameters, commands::Quit, extension::ClientId, response::Response,
};
use tokio::time::timeout;

use super::{
    Cause, ComposedMail, Ending, Sent,
    attempt::Attempt,
    connect::{self, Connection, NotConnected},
    conversation::{self, Exchange, Trouble},
    deadlines::Deadlines,
    url::SmtpServer,
};
use crate::domain::{Refusal, refusal_at_rcpt};

/// Servers close connections that idle for minutes; one that is about to be closed is not worth a try.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// A mail server with its kept connections. How many there are at most is the business of `admission`.
pub(crate) struct Smtp {
    server: SmtpServer,
    trust: TlsParameters,
    hello: ClientId,
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
    pub(crate) fn new(server: SmtpServer, deadlines: Deadlines) -> anyhow::Result<Self> {
        let trust = connect::trust(&server)?;
        Ok(Self {
            server,
            trust,
            hello: ClientId::default(),
            deadlines,
            idle: Mutex::default(),
        })
    }

    /// Sends one mail, over a kept connection if there is one.
    pub(crate) async fn send(&self, mail: &ComposedMail, attempt: &Attempt) -> Sent {
        if let Some(mut connection) = self.kept(attempt).await {
            let result = conversation::send(&mut connection, mail, attempt, &self.deadlines).await;
            // Closed by the server meanwhile: the mail has not begun, and a new connection tells more.
            if !matches!(
                result,
                Err((
                    Exchange::Mail,
                    Trouble::Broken(_) | Trouble::Refused(421, _)
                ))
            ) {
                return self.finish(connection, result, attempt);
            }
            attempt.set_reached(false);
        }
        match connect::connect(&self.server, &self.trust, &self.hello, &self.deadlines).await {
            Ok(mut connection) => {
                attempt.answered();
                let result =
                    conversation::send(&mut connection, mail, attempt, &self.deadlines).await;
                self.finish(connection, result, attempt)
            }
            Err(NotConnected(reply)) => Sent::new(Ending::NotNow(Cause::Connection), None, reply),
        }
    }

    /// Host and port, for spans.
    pub(crate) fn server(&self) -> (&str, u16) {
        (&self.server.host, self.server.port)
    }

    /// Says QUIT on every kept connection and waits a moment for the answers.
    pub(crate) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        let goodbyes = idle
            .into_iter()
            .map(|mut idle| async move { idle.connection.smtp.command(Quit).await });
        let _ = timeout(
            Duration::from_millis(500),
            futures::future::join_all(goodbyes),
        )
        .await;
    }

    /// Keeps the connection if it is still in step, and reads the result.
    fn finish(
        &self,
        connection: Connection,
        result: Result<Response, (Exchange, Trouble)>,
        attempt: &Attempt,
    ) -> Sent {
        let since = Instant::now();
        match result {
            Ok(response) => {
                self.keep(Idle {
                    connection,
                    since,
                    half_open_transaction: false,
                });
                let code = u16::from(response.code());
                Sent::new(Ending::Accepted, Some(code), conversation::text(&response))
            }
            Err((exchange, trouble)) => {
                if matches!(trouble, Trouble::Refused(code, _) if code != 421) {
                    self.keep(Idle {
                        connection,
                        since,
                        half_open_transaction: exchange != Exchange::Message,
                    });
                }
                ending(exchange, trouble, attempt)
            }
        }
    }

    fn keep(&self, idle: Idle) {
        if !idle.connection.fuse.is_blown() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(idle);
        }
    }

    async fn kept(&self, attempt: &Attempt) -> Option<Connection> {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE);
            idle.pop()?
        };
        let mut connection = idle.connection;
        if idle.half_open_transaction {
            conversation::reset(&mut connection, attempt, &self.deadlines)
                .await
                .ok()?;
        }
        Some(connection)
    }
}

/// What trouble in an exchange means. After the final dot only a plain answer is one; everything else is unknowable.
fn ending(exchange: Exchange, trouble: Trouble, attempt: &Attempt) -> Sent {
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
        Trouble::Refused(code, text) => {
            let final_refusal =
                exchange == Exchange::Rcpt && refusal_at_rcpt(code, &text) == Refusal::Recipient;
            let ending = if final_refusal {
                Ending::RecipientRefused
            } else {
                Ending::NotNow(Cause::Answer)
            };
            Sent::new(ending, Some(code), format!("{code} {text}"))
        }
        Trouble::Hang(deadline) => {
            let reply = format!("{words}: no answer within {deadline:?}");
            Sent::new(lost(Cause::Hang), None, reply)
        }
        Trouble::Broken(text) => Sent::new(lost(Cause::Broken), None, format!("{words}: {text}")),
    }
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
