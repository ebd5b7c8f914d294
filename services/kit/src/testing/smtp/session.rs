//! One conversation of the mail server with a client: as much of RFC 5321, 2920, 3207 and 4954 as a
//! client can tell apart, and the script's mischief in between.

use std::{io, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::sleep};

use super::{
    script::{Action, Phase},
    shared::{Mail, Pipelining, Setup, Shared, Tls},
    tls::Identity,
    wire::Wire,
};

pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) setup: Setup,
    identity: Identity,
    shared: Arc<Shared>,
    encrypted: bool,
    /// As the client called itself.
    hello: String,
    pub(super) logged_in: bool,
    from: Option<String>,
    to: Vec<String>,
}

/// Why a conversation ends before QUIT.
pub(super) enum End {
    Closed,
    Hang,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

pub(super) type Step = Result<(), End>;

impl Session {
    pub(super) fn new(
        stream: TcpStream,
        setup: Setup,
        identity: Identity,
        shared: Arc<Shared>,
    ) -> Self {
        let logged_in = setup.login.is_none();
        let (wire, from, to) = (Wire::new(stream), None, Vec::new());
        Self {
            wire,
            setup,
            identity,
            shared,
            encrypted: false,
            hello: String::new(),
            logged_in,
            from,
            to,
        }
    }

    pub(super) async fn run(mut self) {
        if let Err(End::Hang) = self.converse().await {
            self.wire.swallow().await;
        }
    }

    async fn converse(&mut self) -> Step {
        self.perform(Phase::Connect, None).await?;
        if self.setup.tls == Tls::Implicit {
            self.encrypt().await?;
        }
        self.perform(Phase::Greeting, Some("220 localhost ESMTP"))
            .await?;
        loop {
            let line = self.wire.line().await?;
            let verb = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" | "HELO" => self.greet(&line).await?,
                "STARTTLS" => self.start_tls().await?,
                "AUTH" => self.log_in(&line).await?,
                "MAIL" => self.sender(&line).await?,
                "RCPT" => self.recipient(&line).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.reset();
                    self.reply("250 2.0.0 forgotten").await?;
                }
                "NOOP" => self.reply("250 2.0.0 still here").await?,
                "QUIT" => return self.reply("221 2.0.0 bye").await,
                _ => self.reply("500 5.5.2 what?").await?,
            }
        }
    }

    async fn greet(&mut self, line: &str) -> Step {
        self.reset();
        self.hello = line.split_once(' ').map_or("", |(_, name)| name).to_owned();
        let mut lines = vec!["250-localhost", "250-8BITMIME", "250-SMTPUTF8"];
        if self.setup.pipelining == Pipelining::Offered {
            lines.push("250-PIPELINING");
        }
        if self.setup.tls == Tls::StartTls && !self.encrypted {
            lines.push("250-STARTTLS");
        }
        if self.setup.login.is_some() {
            lines.push("250-AUTH PLAIN LOGIN");
        }
        lines.push("250 ENHANCEDSTATUSCODES");
        self.perform(Phase::Ehlo, Some(&lines.join("\r\n")))
            .await
            .map(drop)
    }

    async fn start_tls(&mut self) -> Step {
        if self.setup.tls != Tls::StartTls || self.encrypted {
            return self.reply("503 5.5.1 no TLS here").await;
        }
        if self
            .perform(Phase::StartTls, Some("220 2.0.0 go ahead"))
            .await?
        {
            self.encrypt().await?;
            self.reset();
        }
        Ok(())
    }

    async fn sender(&mut self, line: &str) -> Step {
        if !self.logged_in {
            return self.reply("530 5.7.0 log in first").await;
        }
        self.reset();
        if self.perform(Phase::Mail, Some("250 2.1.0 ok")).await? {
            self.from = Some(address(line));
        }
        Ok(())
    }

    async fn recipient(&mut self, line: &str) -> Step {
        if self.from.is_none() {
            return self.reply("503 5.5.1 who sends it?").await;
        }
        // Rules for one recipient see the newest only, lest a second one inherit the first one's
        // fate.
        let before = std::mem::replace(&mut self.to, vec![address(line)]);
        let accepted = self.perform(Phase::Rcpt, Some("250 2.1.5 ok")).await?;
        let newest = std::mem::replace(&mut self.to, before);
        if accepted {
            self.to.extend(newest);
        }
        Ok(())
    }

    async fn data(&mut self) -> Step {
        if self.to.is_empty() {
            return self.reply("503 5.5.1 to whom?").await;
        }
        if !self.perform(Phase::Data, Some("354 go ahead")).await? {
            return Ok(());
        }
        let bytes = self.wire.mail().await?;
        self.shared.count_final_dot();
        // Asked before the recipients are taken: a rule may be for one of them.
        let (delay, action) = self.next(Phase::FinalDot);
        let mail = Mail {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            bytes,
            encrypted: self.encrypted,
            hello: self.hello.clone(),
        };
        sleep(delay).await;
        if matches!(
            action,
            Action::Proceed
                | Action::AcceptAndHang
                | Action::AcceptAndDrop
                | Action::AcceptAndSay(_)
        ) {
            // Kept before the answer: a test that hears of the acceptance finds the mail.
            self.shared.accept(mail);
        }
        match action {
            Action::Proceed => self.reply("250 2.0.0 accepted").await,
            action => self.misbehave(action).await,
        }
    }

    /// Does what the script wants at this step, or says `right`; true if that was said.
    pub(super) async fn perform(&mut self, phase: Phase, right: Option<&str>) -> Result<bool, End> {
        let (delay, action) = self.next(phase);
        sleep(delay).await;
        if !matches!(action, Action::Proceed) {
            let goes_on = matches!(&action, Action::Say(octets) if octets.starts_with(b"2") || octets.starts_with(b"3"));
            return self.misbehave(action).await.map(|()| goes_on);
        }
        if let Some(right) = right {
            self.reply(right).await?;
        }
        Ok(!right.is_some_and(|right| right.starts_with('5')))
    }

    async fn misbehave(&mut self, action: Action) -> Step {
        match action {
            Action::Answer(reply) => self.reply(&reply).await,
            Action::Say(octets) | Action::AcceptAndSay(octets) => {
                Ok(self.wire.write_octets(&octets).await?)
            }
            Action::Garbage => self.reply("\u{1}HTTP/1.1 what is this?").await,
            Action::Hang | Action::AcceptAndHang => Err(End::Hang),
            Action::Drop | Action::AcceptAndDrop => Err(End::Closed),
            Action::Proceed => Ok(()),
        }
    }

    fn next(&self, phase: Phase) -> (Duration, Action) {
        self.shared.script().next(phase, &self.to)
    }

    async fn encrypt(&mut self) -> Step {
        self.encrypted = true;
        Ok(self.wire.encrypt(self.identity.acceptor()).await?)
    }

    pub(super) async fn reply(&mut self, text: &str) -> Step {
        Ok(self.wire.write(text).await?)
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }
}

/// What stands between the angle brackets of `MAIL FROM:<…>` or `RCPT TO:<…>`.
fn address(line: &str) -> String {
    let inside = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or("", |(address, _)| address).to_owned()
}
