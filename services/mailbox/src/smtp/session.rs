//! One conversation with a client (RFC 5321), from its greeting to its end. What is answered by
//! 250 after the final dot is in the store.

use std::{borrow::Cow, io};

use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, Error as Wrong, MailFrom, Request};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{
    login::{Given, Login},
    wire::{Body, LARGEST, Line, Message, Room, Wire},
};
use crate::store::{Envelope, Store};

/// RFC 5321 §4.5.3.1.8 asks for as many.
const RECIPIENTS: usize = 100;
/// After so many commands that make no sense, or wrong logins, the client is no mail program of
/// anybody.
const MISTAKES: u32 = 10;

#[derive(Debug)]
pub(super) struct Session {
    wire: Wire,
    store: Store,
    /// Who may send; nothing if everybody may.
    login: Option<Login>,
    room: Room,
    stop: CancellationToken,
    has_greeted: bool,
    is_known: bool,
    envelope: Option<Envelope>,
    mistakes: u32,
}

/// What a conversation does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Command,
    End,
}

impl Session {
    pub(super) fn new(
        stream: TcpStream,
        store: Store,
        login: Option<Login>,
        room: Room,
        stop: CancellationToken,
    ) -> Self {
        Self {
            wire: Wire::new(stream),
            store,
            is_known: login.is_none(),
            login,
            room,
            stop,
            has_greeted: false,
            envelope: None,
            mistakes: 0,
        }
    }

    /// How a conversation ended is the client's to tell.
    pub(super) async fn run(mut self) {
        match self.converse().await {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.wire.say("421 4.4.2 too slow, bye");
            }
            Err(_) => return,
            Ok(()) => {}
        }
        let _ = self.wire.flush().await;
    }

    async fn converse(&mut self) -> io::Result<()> {
        self.wire.say("220 mailbox ESMTP");
        loop {
            let stop = self.stop.clone();
            let line = tokio::select! {
                line = self.wire.line() => line?,
                // Only here: a mail that is being sent is taken to its end.
                () = stop.cancelled() => {
                    self.wire.say("421 4.3.2 the mailbox stops, try again");
                    return Ok(());
                }
            };
            let next = match line {
                Line::Whole(line) => self.command(&line).await?,
                Line::TooLong => self.mistake("500 5.5.6 the line is too long"),
                Line::End => return Ok(()),
            };
            if next == Next::End {
                return Ok(());
            }
        }
    }

    async fn command(&mut self, line: &[u8]) -> io::Result<Next> {
        let request = match Request::parse(&mut line.iter()) {
            Ok(request) => request,
            Err(wrong) => return Ok(self.mistake(&refusal(&wrong))),
        };
        Ok(match request {
            Request::Ehlo { .. } => self.greet(&self.extensions()),
            Request::Helo { .. } => self.greet("250 mailbox"),
            Request::Mail { from } => self.sender(from),
            Request::Rcpt { to } => self.recipient(to.address),
            Request::Data => self.data().await?,
            Request::Auth {
                mechanism,
                initial_response,
            } => self.log_in(mechanism, &initial_response).await?,
            Request::Rset => {
                self.envelope = None;
                self.answer("250 2.0.0 forgotten")
            }
            Request::Noop { .. } => self.answer("250 2.0.0 still here"),
            Request::Vrfy { .. } => self.answer("252 2.1.5 every address is taken"),
            Request::Help { .. } => self.answer("214 2.0.0 RFC 5321 says how to send a mail"),
            Request::Quit => {
                self.wire.say("221 2.0.0 bye");
                Next::End
            }
            _ => self.mistake("502 5.5.1 not known here"),
        })
    }

    fn extensions(&self) -> String {
        let mut lines = vec![
            "250-mailbox".to_owned(),
            "250-PIPELINING".to_owned(),
            format!("250-SIZE {LARGEST}"),
            "250-8BITMIME".to_owned(),
            "250-SMTPUTF8".to_owned(),
        ];
        if self.login.is_some() {
            lines.push("250-AUTH PLAIN LOGIN".to_owned());
        }
        lines.push("250 ENHANCEDSTATUSCODES".to_owned());
        lines.join("\r\n")
    }

    fn greet(&mut self, answer: &str) -> Next {
        self.has_greeted = true;
        self.envelope = None;
        self.answer(answer)
    }

    fn sender(&mut self, from: MailFrom<Cow<'_, str>>) -> Next {
        if !self.has_greeted {
            return self.mistake("503 5.5.1 say EHLO first");
        }
        if !self.is_known {
            return self.mistake("530 5.7.0 log in first, by AUTH PLAIN or LOGIN");
        }
        if self.envelope.is_some() {
            return self.mistake("503 5.5.1 one mail at a time");
        }
        if from.size > LARGEST {
            return self.answer(TOO_LARGE);
        }
        self.envelope = Some(Envelope {
            from: from.address.into_owned(),
            to: Vec::new(),
        });
        self.answer("250 2.1.0 ok")
    }

    fn recipient(&mut self, address: Cow<'_, str>) -> Next {
        let Some(envelope) = &mut self.envelope else {
            return self.mistake("503 5.5.1 who sends it?");
        };
        if address.is_empty() {
            return self.mistake("501 5.1.3 no address");
        }
        if envelope.to.len() >= RECIPIENTS {
            return self.answer("452 4.5.3 too many recipients");
        }
        envelope.to.push(address.into_owned());
        self.answer("250 2.1.5 ok")
    }

    async fn data(&mut self) -> io::Result<Next> {
        let whole = self.envelope.take_if(|envelope| !envelope.to.is_empty());
        let Some(envelope) = whole else {
            return Ok(self.mistake("503 5.5.1 to whom?"));
        };
        self.wire.say("354 go ahead");
        let body = match self.wire.message(&self.room).await? {
            None => return Ok(Next::End),
            Some(Message::TooLarge) => return Ok(self.answer(TOO_LARGE)),
            Some(Message::NoRoom) => {
                return Ok(self.answer("452 4.3.1 too much is sent at once, try again"));
            }
            Some(Message::Whole(body)) => body,
        };
        // Its room is taken until it is on the disk.
        let Body {
            octets,
            room: _room,
        } = body;
        Ok(match self.store.take(envelope, octets).await {
            Ok(id) => self.answer(&format!("250 2.0.0 kept as {id}")),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.answer("452 4.3.1 no space is left")
            }
            Err(_) => self.answer("451 4.3.0 it cannot be kept"),
        })
    }

    async fn log_in(&mut self, mechanism: u64, initial: &str) -> io::Result<Next> {
        let Some(login) = self.login.clone() else {
            return Ok(self.mistake("503 5.5.1 no login is asked for"));
        };
        if self.is_known || self.envelope.is_some() {
            return Ok(self.mistake("503 5.5.1 not now"));
        }
        let given = match mechanism {
            AUTH_PLAIN => match self.response(initial, "334 ").await? {
                Some(response) => Given::plain(&response),
                None => return Ok(Next::End),
            },
            AUTH_LOGIN => {
                let user = self.response(initial, "334 VXNlcm5hbWU6").await?;
                let password = self.response("", "334 UGFzc3dvcmQ6").await?;
                let (Some(user), Some(password)) = (user, password) else {
                    return Ok(Next::End);
                };
                Given::login(&user, &password)
            }
            _ => return Ok(self.mistake("504 5.5.4 AUTH PLAIN or LOGIN")),
        };
        let Some(given) = given else {
            return Ok(self.mistake("501 5.5.2 that is no login"));
        };
        Ok(match login.allows(given).await {
            Ok(true) => {
                self.is_known = true;
                self.answer("235 2.7.0 welcome")
            }
            Ok(false) => {
                tracing::info!("A login was refused: wrong user or password.");
                self.mistake("535 5.7.8 wrong user or password")
            }
            Err(error) => {
                tracing::warn!("Nobody can log in: {error:#}");
                self.answer("454 4.7.0 nobody can log in now, the mailbox says why")
            }
        })
    }

    /// What the client says to a question, if it has not done so with its command.
    async fn response(&mut self, initial: &str, question: &str) -> io::Result<Option<String>> {
        if !initial.is_empty() {
            return Ok(Some(initial.to_owned()));
        }
        self.wire.say(question);
        Ok(match self.wire.line().await? {
            Line::Whole(line) => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Line::TooLong => Some(String::new()),
            Line::End => None,
        })
    }

    fn answer(&mut self, answer: &str) -> Next {
        self.wire.say(answer);
        Next::Command
    }

    fn mistake(&mut self, answer: &str) -> Next {
        self.wire.say(answer);
        self.mistakes += 1;
        if self.mistakes < MISTAKES {
            return Next::Command;
        }
        self.wire.say("421 4.7.0 too many mistakes, bye");
        Next::End
    }
}

const TOO_LARGE: &str = "552 5.3.4 the message is too large";

fn refusal(wrong: &Wrong) -> String {
    match wrong {
        Wrong::UnknownCommand => "500 5.5.2 what?".to_owned(),
        Wrong::InvalidSenderAddress => "501 5.1.7 that is no address".to_owned(),
        Wrong::InvalidRecipientAddress => "501 5.1.3 that is no address".to_owned(),
        Wrong::SyntaxError { syntax } => format!("501 5.5.2 expected {syntax}"),
        Wrong::UnsupportedParameter { .. } => "555 5.5.4 not known here".to_owned(),
        _ => "501 5.5.4 a parameter makes no sense".to_owned(),
    }
}
