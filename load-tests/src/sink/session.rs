//! One conversation of the sink: as much SMTP as a client needs, answers gathered while commands
//! are pipelined, and the mood of each mail in between.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{mail::Accepted, mood::Mood, shared::Shared};
use crate::{chance::dice, people::is_gone};
use rand::{RngExt as _, seq::IndexedRandom as _};

/// Longest line that is read; a message's lines are far shorter.
const LONGEST_LINE: u64 = 64 * 1024;
/// Lines of a message before it is cut.
const HALF: usize = 20;
/// Between two octets of a slow answer.
const DRIP: Duration = Duration::from_millis(10);

/// Refusals for reasons of the server's own, in the words of real ones.
const POLICY: [&str; 4] = [
    "550 relay not permitted",
    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    "550 5.1.0 <usher@localhost>: Sender address rejected: User unknown in virtual alias table",
    "550 SC-001 Unfortunately, messages from this address weren't sent",
];

#[derive(Debug)]
pub(super) struct Session {
    stream: BufReader<TcpStream>,
    /// Answers that wait for the end of a pipelined group.
    out: Vec<u8>,
    shared: Arc<Shared>,
    envelope: Option<Envelope>,
}

/// A mail whose recipient was taken.
#[derive(Debug)]
struct Envelope {
    recipient: String,
    mood: Option<Mood>,
}

/// What a conversation does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Command,
    End,
}

impl Session {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        Self {
            stream: BufReader::with_capacity(32 * 1024, stream),
            out: Vec::new(),
            shared,
            envelope: None,
        }
    }

    pub(super) async fn converse(mut self) -> io::Result<()> {
        self.stream.get_ref().set_nodelay(true)?;
        self.say("220 sink ESMTP");
        while let Some(line) = self.line().await? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let verb = line.split([' ', ':']).next().unwrap_or_default();
            let next = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.answer("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES"),
                "HELO" => self.answer("250 sink"),
                "MAIL" => {
                    self.envelope = None;
                    self.answer("250 2.1.0 ok")
                }
                "RCPT" => self.recipient(&line).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.envelope = None;
                    self.answer("250 2.0.0 ok")
                }
                "NOOP" => self.answer("250 2.0.0 ok"),
                "QUIT" => {
                    self.say("221 2.0.0 bye");
                    break;
                }
                _ => self.answer("500 5.5.2 what?"),
            };
            if next == Next::End {
                break;
            }
        }
        self.flush().await
    }

    async fn recipient(&mut self, line: &str) -> io::Result<Next> {
        let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        if is_gone(&address) {
            return Ok(self.answer(&format!(
                "550 5.1.1 <{address}>: Recipient address rejected: User unknown"
            )));
        }
        let mood = self.shared.mood(&address);
        match mood {
            Some(Mood::Greylist) => return Ok(self.answer("451 4.7.1 Greylisted, try again")),
            Some(Mood::Policy) => {
                let words = POLICY.choose(&mut dice(0, &address)).unwrap_or(&POLICY[0]);
                return Ok(self.answer(words));
            }
            Some(Mood::Busy) => {
                self.say("421 4.3.2 too busy");
                return Ok(Next::End);
            }
            Some(Mood::ResetAtRcpt) => return self.reset().await,
            Some(Mood::Hang) => return self.hang().await,
            _ => {}
        }
        self.envelope = Some(Envelope {
            recipient: address,
            mood,
        });
        Ok(self.answer("250 2.1.5 ok"))
    }

    async fn data(&mut self) -> io::Result<Next> {
        let Some(Envelope { recipient, mood }) = self.envelope.take() else {
            return Ok(self.answer("554 5.5.1 no valid recipients"));
        };
        if mood == Some(Mood::Slow) {
            self.drip(b"354 go ahead, please\r\n").await?;
        } else {
            self.say("354 go ahead");
        }
        let mut message = Vec::with_capacity(16 * 1024);
        let mut lines = 0;
        loop {
            let Some(line) = self.line().await? else {
                return Ok(Next::End);
            };
            if line == b".\r\n" {
                break;
            }
            // RFC 5321 §4.5.2: the dot that was put before a dot is taken away.
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            lines += 1;
            if mood == Some(Mood::ResetInData) && lines == HALF {
                return self.reset().await;
            }
        }
        if mood == Some(Mood::BusyAtDot) {
            self.say("421 4.3.2 too busy");
            return Ok(Next::End);
        }
        if mood == Some(Mood::Delay) {
            let wait = dice(0, &recipient).random_range(0.1..1.0);
            sleep(Duration::from_secs_f64(wait)).await;
        }
        let wait = self.shared.wait();
        // A sleep of nothing would last until the clock's next millisecond.
        if !wait.is_zero() {
            sleep(wait).await;
        }
        // Before the answer: once a byte of it is out, the mail is ours.
        let at = Instant::now().into_std();
        let mut accepted = Accepted::read(recipient, &message, at);
        accepted.is_answer_lost = mood == Some(Mood::ResetAfterDot);
        self.shared.accepted().push(accepted);
        match mood {
            Some(Mood::ResetAfterDot) => return self.reset().await,
            Some(Mood::Bare) => self.out.extend_from_slice(b"250\r\n"),
            Some(Mood::Latin) => self
                .out
                .extend_from_slice(b"250 2.0.0 angenommen f\xfcr Zo\xeb\r\n"),
            Some(Mood::LongLine) => self.say(&format!("250 2.0.0 {}", "queued ".repeat(227))),
            Some(Mood::BareLf) => self.out.extend_from_slice(b"250 2.0.0 queued\n"),
            Some(Mood::ManyLines) => {
                let line = "250-2.0.0 queued, as this line says too\r\n";
                self.out.extend_from_slice(line.repeat(2_000).as_bytes());
                self.say("250 2.0.0 queued");
            }
            Some(Mood::Slow) => self.drip(b"250 2.0.0 queued, slowly\r\n").await?,
            _ => self.say("250 2.0.0 queued"),
        }
        Ok(Next::Command)
    }

    /// The next line with its end; `None` when the client has left.
    async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        // Answers leave before a line is waited for, and not between two of a pipelined group.
        if !self.stream.buffer().contains(&b'\n') {
            self.flush().await?;
        }
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut line).await?;
        Ok((read > 0).then_some(line))
    }

    fn answer(&mut self, reply: &str) -> Next {
        self.say(reply);
        Next::Command
    }

    fn say(&mut self, reply: &str) {
        self.out.extend_from_slice(reply.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    async fn drip(&mut self, reply: &[u8]) -> io::Result<()> {
        self.flush().await?;
        for octet in reply {
            self.stream.write_all(&[*octet]).await?;
            sleep(DRIP).await;
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// Drops the connection so that the client sees a reset and no end.
    async fn reset(&mut self) -> io::Result<Next> {
        // Answers that wait are lost with it; `converse` would send them first.
        self.out.clear();
        self.stream.get_ref().set_zero_linger()?;
        Ok(Next::End)
    }

    /// Says nothing until the sink is healed or the client has left.
    async fn hang(&mut self) -> io::Result<Next> {
        self.flush().await?;
        let healed = self.shared.healed.clone();
        let mut ignored = [0; 1024];
        let left = async { while let Ok(1..) = self.stream.read(&mut ignored).await {} };
        tokio::select! {
            () = healed.cancelled() => {}
            () = left => {}
        }
        Ok(Next::End)
    }
}
