//! One mail over a connection that is ready: MAIL, RCPT and DATA in one packet where the server
//! allows it, then the message and its final dot. `smtp` turns what comes back into a mail's
//! ending.

use std::{future::poll_fn, time::Duration};

use memchr::memmem;
use tokio::time::timeout;

use super::{
    ComposedMail, Deadlines,
    attempt::Attempt,
    connect::Connection,
    wire::{Broken, Wire, closed},
};
use crate::domain::{Exchange, Reply};

/// What went wrong in an exchange.
pub(super) enum Trouble {
    /// A negative reply.
    Refused(Reply),
    /// A reply that answers something else.
    OutOfStep(String),
    /// No reply within the step's deadline.
    Hang(Duration),
    /// The connection broke, or what came was no reply, or came too early.
    Broken(String),
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken.0)
    }
}

type Replied = Result<Reply, Trouble>;

/// Sends one mail and returns the answer to its final dot.
pub(super) async fn send(
    connection: &mut Connection,
    mail: &ComposedMail,
    attempt: &Attempt,
    deadlines: &Deadlines,
) -> Result<Reply, (Exchange, Trouble)> {
    attempt.set_reached(true);
    envelope(connection, mail, attempt, deadlines).await?;
    let wire = &mut connection.wire;
    let answer = message(wire, &mail.bytes, attempt, deadlines).await;
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
    // RFC 1870: the server can refuse it before it comes.
    let size = match connection.offers.size {
        true => format!(" SIZE={}", mail.bytes.len()),
        false => String::new(),
    };
    let sender = format!("MAIL FROM:<{}>{size}\r\n", mail.from);
    let recipient = format!("RCPT TO:<{}>\r\n", mail.to);
    let data = "DATA\r\n";
    let mut ask = Asking {
        wire: &mut connection.wire,
        attempt,
        deadline: deadlines.command_deadline,
    };
    if !connection.offers.pipelining {
        for (exchange, command) in [
            (Exchange::Mail, sender.as_str()),
            (Exchange::Rcpt, &recipient),
            (Exchange::Data, data),
        ] {
            let answer = ask.command(exchange, command).await;
            answer.map_err(|trouble| (exchange, trouble))?;
        }
        return Ok(());
    }
    // RFC 2920: DATA ends the group. Every command of it is answered, whatever became of the one
    // before.
    let group = format!("{sender}{recipient}{data}");
    let sender = ask.command(Exchange::Mail, &group).await;
    let recipient = after(&sender, ask.answer(Exchange::Rcpt)).await;
    let data = after(&recipient, ask.answer(Exchange::Data)).await;
    let is_refused = |answer: &Replied| matches!(answer, Err(Trouble::Refused(_)));
    if is_refused(&sender) || is_refused(&recipient) {
        match data {
            // Invited without a recipient: whatever were said now would be read as a message.
            Ok(_) => connection.wire.give_up(),
            // A yes where only a no is possible: the answers are shifted, and the no was not meant
            // for this mail.
            Err(out_of_step @ Trouble::OutOfStep(_)) => return Err((Exchange::Data, out_of_step)),
            Err(_) => {}
        }
        sender.map_err(|trouble| (Exchange::Mail, trouble))?;
        recipient.map_err(|trouble| (Exchange::Rcpt, trouble))?;
        return Ok(());
    }
    sender.map_err(|trouble| (Exchange::Mail, trouble))?;
    recipient.map_err(|trouble| (Exchange::Rcpt, trouble))?;
    data.map_err(|trouble| (Exchange::Data, trouble))?;
    Ok(())
}

async fn after(earlier: &Replied, next: impl Future<Output = Replied>) -> Replied {
    match earlier {
        // A refusal is an answer, too; after one that never came, the next would pass for it.
        Ok(_) | Err(Trouble::Refused(_)) => next.await,
        Err(_) => Err(Trouble::Broken("an earlier answer did not come".to_owned())),
    }
}

/// The message and its final dot, each with its deadline.
async fn message(
    wire: &mut Wire,
    bytes: &[u8],
    attempt: &Attempt,
    deadlines: &Deadlines,
) -> Replied {
    attempt.note_pace();
    let message = to_final_dot(bytes);
    let transfer = transfer(wire, &message, attempt);
    match timeout(deadlines.data_deadline, transfer).await {
        Ok(transferred) => transferred?,
        Err(_) => return Err(Trouble::Hang(deadlines.data_deadline)),
    }
    let answer = async {
        wire.flush().await?;
        wire.reply().await
    };
    match timeout(deadlines.reply_deadline, answer).await {
        Ok(reply) => judge(Exchange::Message, reply?),
        Err(_) => Err(Trouble::Hang(deadlines.reply_deadline)),
    }
}

/// Sends all of it, as a rule at once: the final dot goes with what stands before it.
async fn transfer(wire: &mut Wire, mut left: &[u8], attempt: &Attempt) -> Result<(), Broken> {
    while !left.is_empty() {
        // What has come by now is no answer to a dot that is not sent.
        wire.quiet().await?;
        let taken = poll_fn(|cx| attempt.poll_send(left.len(), || wire.poll_send(cx, left))).await;
        match taken {
            Some(Ok(0)) => return Err(closed()),
            Some(taken) => left = &left[taken?..],
            // The dot is never written, and the connection goes away without it.
            None => return Err(Broken("the attempt was stopped".to_owned())),
        }
    }
    Ok(())
}

/// The message as it is sent, with its final dot.
fn to_final_dot(bytes: &[u8]) -> Vec<u8> {
    let begins = bytes.starts_with(b".").then_some(0);
    let within = memmem::find_iter(bytes, b"\n.").map(|at| at + 1);
    let mut stuffed = Vec::with_capacity(bytes.len() + 64);
    let mut from = 0;
    for dot in begins.into_iter().chain(within) {
        // RFC 5321 §4.5.2: else a line with a dot alone would end the mail.
        stuffed.extend_from_slice(&bytes[from..=dot]);
        from = dot;
    }
    stuffed.extend_from_slice(&bytes[from..]);
    // The final dot must stand at the beginning of a line.
    if !bytes.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

pub(super) async fn reset(
    connection: &mut Connection,
    attempt: &Attempt,
    deadlines: &Deadlines,
) -> Result<(), ()> {
    let mut ask = Asking {
        wire: &mut connection.wire,
        attempt,
        deadline: deadlines.command_deadline,
    };
    // A refusal left MAIL, and perhaps RCPT, in force: the next MAIL would be out of order.
    let answer = ask.command(Exchange::Mail, "RSET\r\n").await;
    answer.map(drop).map_err(drop)
}

pub(super) async fn quit(mut connection: Connection) {
    if connection.wire.say(b"QUIT\r\n").await.is_ok() {
        let _ = connection.wire.reply().await;
    }
}

struct Asking<'a> {
    wire: &'a mut Wire,
    attempt: &'a Attempt,
    deadline: Duration,
}

impl Asking<'_> {
    async fn command(&mut self, exchange: Exchange, command: &str) -> Replied {
        let asking = async {
            self.wire.say(command.as_bytes()).await?;
            self.wire.reply().await
        };
        let reply = timeout(self.deadline, asking).await;
        self.judge(exchange, reply)
    }

    async fn answer(&mut self, exchange: Exchange) -> Replied {
        let reply = timeout(self.deadline, self.wire.reply()).await;
        self.judge(exchange, reply)
    }

    fn judge<E>(&self, exchange: Exchange, reply: Result<Result<Reply, Broken>, E>) -> Replied {
        self.attempt.answered();
        match reply {
            Ok(reply) => judge(exchange, reply?),
            Err(_) => Err(Trouble::Hang(self.deadline)),
        }
    }
}

/// RFC 5321 §4.2.1: the first digit decides.
fn judge(exchange: Exchange, reply: Reply) -> Replied {
    // What is no answer to this exchange must not pass for one.
    let wanted = match exchange {
        Exchange::Data => 300..400,
        Exchange::Mail | Exchange::Rcpt | Exchange::Message => 200..300,
    };
    match reply {
        reply if reply.code >= 400 => Err(Trouble::Refused(reply)),
        // Where it ends cannot be told, but for the last answer of a mail that does not matter.
        reply if reply.is_endless && exchange != Exchange::Message => {
            Err(Trouble::Broken("the answer is too long".to_owned()))
        }
        reply if wanted.contains(&reply.code) => Ok(reply),
        reply => Err(Trouble::OutOfStep(format!("out of step: {}", reply.line()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_that_begins_a_line_is_doubled_and_the_last_line_is_ended() {
        for (bytes, sent) in [
            (&b"a\r\n.\r\n..b\r\n"[..], &b"a\r\n..\r\n...b\r\n.\r\n"[..]),
            (b".", b"..\r\n.\r\n"),
            (b"a.b\r\n", b"a.b\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
        ] {
            assert_eq!(to_final_dot(bytes), sent);
        }
    }
}
