//! One mail over a connection that is ready: MAIL, RCPT and DATA in one packet where the server allows it, then the
//! message and its final dot. `smtp` turns what comes back into a mail's ending.

use std::time::Duration;

use lettre::transport::smtp::{
    client::AsyncSmtpConnection,
    commands::{Data, Mail, Rcpt, Rset},
    response::Response,
};
use tokio::time::timeout;

use super::{ComposedMail, attempt::Attempt, connect::Connection, deadlines::Deadlines};

/// The exchanges that send a mail, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    Mail,
    Rcpt,
    Data,
    Message,
}

/// What went wrong in one of them.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A negative reply.
    Refused(u16, String),
    /// No reply within the step's deadline.
    Hang(Duration),
    /// The connection broke, or the reply was none.
    Broken(String),
}

type Reply = Result<Response, Trouble>;

/// Sends one mail and returns the answer to its final dot. The connection can be used again after success and
/// after `Refused`, unless this says otherwise by breaking it.
pub(super) async fn send(
    connection: &mut Connection,
    mail: &ComposedMail,
    attempt: &Attempt,
    deadlines: &Deadlines,
) -> Result<Response, (Exchange, Trouble)> {
    attempt.set_reached(true);
    envelope(connection, mail, attempt, deadlines).await?;
    let message = Message {
        bytes: Some(&mail.bytes),
        attempt,
        connection_fuse: connection.fuse.clone(),
    };
    // The two deadlines of the message, for its transfer and for the final reply, can only be told apart inside
    // lettre; the transfer ends when the dot is out.
    let transfer = async {
        let mut waiting = std::pin::pin!(connection.smtp.message_iter(message));
        match timeout(deadlines.data_deadline, &mut waiting).await {
            Ok(answer) => Ok(answer),
            Err(_) if !attempt.is_past_return() => Err(deadlines.data_deadline),
            Err(_) => timeout(deadlines.reply_deadline, &mut waiting)
                .await
                .map_err(|_| deadlines.reply_deadline),
        }
    };
    let answer = match transfer.await {
        Ok(answer) => reply(answer, &[250]),
        Err(deadline) => Err(Trouble::Hang(deadline)),
    };
    attempt.answered();
    answer.map_err(|trouble| (Exchange::Message, trouble))
}

/// Up to the 354 that invites the message.
async fn envelope(
    connection: &mut Connection,
    mail: &ComposedMail,
    attempt: &Attempt,
    deadlines: &Deadlines,
) -> Result<(), (Exchange, Trouble)> {
    let sender = Mail::new(Some(mail.from.clone()), vec![]);
    let recipient = Rcpt::new(mail.to.clone(), vec![]);
    let smtp = &mut connection.smtp;
    let mut ask = Asking {
        smtp,
        attempt,
        deadline: deadlines.command_deadline,
    };
    if !connection.pipelining {
        ask.command(sender, &[250])
            .await
            .map_err(|trouble| (Exchange::Mail, trouble))?;
        ask.command(recipient, &[250, 251, 252])
            .await
            .map_err(|trouble| (Exchange::Rcpt, trouble))?;
        ask.command(Data, &[354])
            .await
            .map_err(|trouble| (Exchange::Data, trouble))?;
        return Ok(());
    }
    // RFC 2920: DATA ends the group. Every command of it is answered, whatever became of the one before.
    let sender = ask
        .command(format!("{sender}{recipient}{Data}"), &[250])
        .await;
    let recipient = after(&sender, ask.answer(&[250, 251, 252])).await;
    let data = after(&recipient, ask.answer(&[354])).await;
    let refused = matches!(sender, Err(Trouble::Refused(..)))
        || matches!(recipient, Err(Trouble::Refused(..)));
    if refused && data.is_ok() {
        // Invited without a recipient: whatever were sent now would be read as a message.
        connection.fuse.blow();
    }
    sender.map_err(|trouble| (Exchange::Mail, trouble))?;
    recipient.map_err(|trouble| (Exchange::Rcpt, trouble))?;
    data.map_err(|trouble| (Exchange::Data, trouble))?;
    Ok(())
}

/// The next answer of a pipelined group, unless an earlier one never came.
async fn after(earlier: &Reply, next: impl Future<Output = Reply>) -> Reply {
    match earlier {
        Ok(_) | Err(Trouble::Refused(..)) => next.await,
        Err(_) => Err(Trouble::Broken("an earlier answer did not come".to_owned())),
    }
}

/// Clears the transaction that a refusal left half open.
pub(super) async fn reset(
    connection: &mut Connection,
    attempt: &Attempt,
    deadlines: &Deadlines,
) -> Result<(), ()> {
    let mut ask = Asking {
        smtp: &mut connection.smtp,
        attempt,
        deadline: deadlines.command_deadline,
    };
    ask.command(Rset, &[250]).await.map(drop).map_err(drop)
}

struct Asking<'a> {
    smtp: &'a mut AsyncSmtpConnection,
    attempt: &'a Attempt,
    deadline: Duration,
}

impl Asking<'_> {
    async fn command(&mut self, command: impl std::fmt::Display, wanted: &[u16]) -> Reply {
        let answer = timeout(self.deadline, self.smtp.command(command)).await;
        self.judge(answer, wanted)
    }

    async fn answer(&mut self, wanted: &[u16]) -> Reply {
        let answer = timeout(self.deadline, self.smtp.read_response()).await;
        self.judge(answer, wanted)
    }

    fn judge<E>(
        &self,
        answer: Result<Result<Response, lettre::transport::smtp::Error>, E>,
        wanted: &[u16],
    ) -> Reply {
        self.attempt.answered();
        answer.map_or(Err(Trouble::Hang(self.deadline)), |answer| {
            reply(answer, wanted)
        })
    }
}

/// Only the codes that a step asks for count as a yes: an answer out of step must not pass for another one.
fn reply(answer: Result<Response, lettre::transport::smtp::Error>, wanted: &[u16]) -> Reply {
    match answer {
        Ok(response) if wanted.contains(&u16::from(response.code())) => Ok(response),
        Ok(response) => Err(Trouble::Broken(format!("out of step: {}", text(&response)))),
        Err(error) => Err(match error.status() {
            Some(code) => Trouble::Refused(u16::from(code), source(&error)),
            None => Trouble::Broken(source(&error)),
        }),
    }
}

/// A positive reply as one line.
pub(super) fn text(response: &Response) -> String {
    let lines: Vec<_> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
}

/// What the server said, without lettre's words around it.
fn source(error: &lettre::transport::smtp::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The message as lettre takes it, in pieces: it asks for the next piece when the one before is written, and sends
/// the final dot when there is none. That question is the last moment to stop.
struct Message<'a> {
    bytes: Option<&'a [u8]>,
    attempt: &'a Attempt,
    connection_fuse: super::socket::Fuse,
}

impl<'a> Iterator for Message<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(bytes) = self.bytes.take() {
            // lettre writes the line end before the dot itself.
            return Some(bytes.strip_suffix(b"\r\n").unwrap_or(bytes));
        }
        // The point of no return. After a yes nobody but the mail server can say what became of the mail; after a no
        // the fuse keeps the dot, which lettre writes next, from the wire.
        if !self.attempt.may_send_final_dot() {
            self.connection_fuse.blow();
        }
        None
    }
}
