//! From a mail server's name to a connection that is ready for mails: each of its addresses in
//! turn, TCP, greeting, TLS, EHLO, AUTH, each with its deadline. `smtp` keeps the result and
//! `conversation` speaks over it.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kit::words;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    Deadlines,
    login::log_in,
    mend::Mend,
    offers::Offers,
    tls::Trust,
    url::{SmtpServer, Tls},
    wire::{Broken, Wire},
};
use crate::domain::{HelloName, Reply};

/// Addresses of one name that are tried at most.
const MOST_ADDRESSES: usize = 8;

/// A connection and what the mail server offers on it.
pub(super) struct Connection {
    pub(super) wire: Wire,
    pub(super) offers: Offers,
}

/// Why there is none, for people; it names the phase. And what to do about it.
pub(super) struct NotConnected(pub(super) String, pub(super) Mend);

/// Makes connections to one mail server.
pub(super) struct Dialer {
    pub(super) server: SmtpServer,
    trust: Trust,
    hello: Option<HelloName>,
    deadlines: Deadlines,
    /// Where the last connection came about.
    answered: Mutex<Option<SocketAddr>>,
}

impl Dialer {
    /// Without a name in `hello`, the mail server is told the machine's own.
    pub(super) fn new(
        server: SmtpServer,
        hello: Option<HelloName>,
        deadlines: Deadlines,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            trust: Trust::in_server(&server)?,
            server,
            hello: hello.or_else(machines_name),
            deadlines,
            answered: Mutex::default(),
        })
    }

    /// Connects. No mail and no password is sent before TLS is as the URL demands it.
    pub(super) async fn connect(&self) -> Result<Connection, NotConnected> {
        let Self {
            server, deadlines, ..
        } = self;
        let wire = self.greeted().await?;
        let (mut wire, mut offers) = self.greet(wire).await?;
        let start_tls = match server.tls {
            Tls::Required if !offers.start_tls => {
                return Err(NotConnected(
                    "STARTTLS: the mail server does not offer it, and USHER_MAIL_URL demands it"
                        .to_owned(),
                    Mend::Encryption,
                ));
            }
            Tls::Required => true,
            Tls::Opportunistic => offers.start_tls,
            Tls::Implicit | Tls::Off => false,
        };
        if start_tls {
            let encrypting = async {
                ask(&mut wire, "STARTTLS\r\n", 220).await?;
                wire.encrypt(&self.trust).await
            };
            let within = within(Step::StartTls, deadlines.tls_deadline, encrypting);
            wire = within.await?;
            // RFC 3207 §4.2: what was said before is forgotten, by both.
            (wire, offers) = self.greet(wire).await?;
        }
        if let Some(credentials) = &server.credentials {
            // Whoever stands between could take STARTTLS out of the offers, and read the password.
            if server.tls == Tls::Opportunistic && !start_tls {
                return Err(NotConnected(
                    "AUTH: the mail server offers no TLS to protect the password, and USHER_MAIL_URL has one"
                        .to_owned(),
                    Mend::Encryption,
                ));
            }
            let logging_in = log_in(&mut wire, offers, credentials.expose());
            within(Step::Auth, deadlines.greeting_deadline, logging_in).await?;
        }
        Ok(Connection { wire, offers })
    }

    /// A mail server that has said 220, at whichever of its addresses (RFC 5321 §5.1: all are to be
    /// tried).
    async fn greeted(&self) -> Result<Wire, NotConnected> {
        let Self {
            server, deadlines, ..
        } = self;
        let looking_up = async {
            let found = lookup_host((server.host.as_str(), server.port)).await;
            found.map(Iterator::collect::<Vec<_>>).map_err(Broken::from)
        };
        let mut addresses = within(Step::Connect, deadlines.connect_deadline, looking_up).await?;
        // They share the deadline: with more of them none would have the time to answer.
        addresses.truncate(MOST_ADDRESSES);
        let last = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        // Where the last connection came about first, so that a dead address costs its share once.
        // A stable sort: the others stay in the order that the resolver chose.
        addresses.sort_by_key(|address| Some(*address) != last);
        let (wire, address) = self.first_of(&addresses).await?;
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        Ok(wire)
    }

    /// The first address that greets; each has an equal share of the deadline to be connected in.
    async fn first_of(&self, addresses: &[SocketAddr]) -> Result<(Wire, SocketAddr), NotConnected> {
        let shares = u32::try_from(addresses.len()).unwrap_or(1).max(1);
        let share = self.deadlines.connect_deadline / shares;
        let (mut reasons, mut mend) = (Vec::new(), Mend::Place);
        for address in addresses {
            let connecting = async { TcpStream::connect(address).await.map_err(Broken::from) };
            let opened = match within(Step::Connect, share, connecting).await {
                Ok(tcp) => self.open(tcp).await,
                Err(not_connected) => Err(not_connected),
            };
            let NotConnected(reason, what) = match opened {
                Ok(wire) => return Ok((wire, *address)),
                Err(not_connected) => not_connected,
            };
            // Who answers, if not as he should, is nearer than who does not.
            mend = if what == Mend::Place { mend } else { what };
            reasons.push(match addresses.len() {
                // Which one that is stands in no other line.
                1 if what == Mend::Place => format!("{reason} ({address})"),
                1 => reason,
                _ => format!("{}: {reason}", address.ip()),
            });
        }
        if reasons.is_empty() {
            reasons.push("connect: the name has no address".to_owned());
        }
        Err(NotConnected(reasons.join("; "), mend))
    }

    async fn open(&self, tcp: TcpStream) -> Result<Wire, NotConnected> {
        let deadlines = &self.deadlines;
        let mut wire =
            Wire::new(tcp).map_err(|error| Step::Connect.failed(&words::of_io(&error)))?;
        if self.server.tls == Tls::Implicit {
            let encrypting = wire.encrypt(&self.trust);
            wire = within(Step::Tls, deadlines.tls_deadline, encrypting).await?;
        }
        let greeting = async { expect(wire.reply().await?, 220) };
        within(Step::Greeting, deadlines.greeting_deadline, greeting).await?;
        Ok(wire)
    }

    async fn greet(&self, mut wire: Wire) -> Result<(Wire, Offers), NotConnected> {
        // Once a connection, and once more after STARTTLS: for some servers another is an error.
        let hello = match &self.hello {
            Some(hello) => hello.clone(),
            None => wire
                .local_ip()
                .map(HelloName::literal)
                .map_err(|error| Step::Ehlo.failed(&words::of_io(&error)))?,
        };
        let greeting = async {
            wire.say(format!("EHLO {}\r\n", hello.as_str()).as_bytes())
                .await?;
            let reply = wire.reply().await?;
            // What a server may dislike about a name (RFC 5321 §4.3.2 and servers' rules for it).
            if matches!(reply.code, 501 | 504 | 550 | 553 | 554) {
                let ours = hello.as_str();
                return Err(Broken(format!(
                    "{}. We said EHLO {ours}; USHER_MAIL_HELO sets another name",
                    reply.line()
                )));
            }
            expect(reply, 250)
        };
        let reply = within(Step::Ehlo, self.deadlines.greeting_deadline, greeting).await?;
        Ok((wire, Offers::read(&reply)))
    }
}

/// Says a command and awaits an answer with this code.
async fn ask(wire: &mut Wire, command: &str, code: u16) -> Result<Reply, Broken> {
    wire.say(command.as_bytes()).await?;
    expect(wire.reply().await?, code)
}

fn expect(reply: Reply, code: u16) -> Result<Reply, Broken> {
    match reply {
        reply if reply.is_endless => Err(Broken("the answer is too long".to_owned())),
        reply if reply.code == code => Ok(reply),
        reply => Err(Broken(reply.line())),
    }
}

/// What a connection goes through.
#[derive(Clone, Copy)]
enum Step {
    Connect,
    Tls,
    Greeting,
    Ehlo,
    StartTls,
    Auth,
}

impl Step {
    fn failed(self, reason: &str) -> NotConnected {
        let (phase, mend) = match self {
            Self::Connect => ("connect", Mend::Place),
            Self::Tls => ("TLS", Mend::Encryption),
            Self::Greeting => ("greeting", Mend::Place),
            Self::Ehlo => ("EHLO", Mend::Name),
            Self::StartTls => ("STARTTLS", Mend::Encryption),
            Self::Auth => ("AUTH", Mend::Login),
        };
        NotConnected(format!("{phase}: {reason}"), mend)
    }
}

async fn within<T>(
    at: Step,
    deadline: Duration,
    step: impl Future<Output = Result<T, Broken>>,
) -> Result<T, NotConnected> {
    match timeout(deadline, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Broken(reason))) => Err(at.failed(&reason)),
        Err(_) => Err(at.failed(&format!("no answer within {deadline:?}"))),
    }
}

fn machines_name() -> Option<HelloName> {
    let host = rustix::system::uname();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    HelloName::of_machine(&host.nodename().to_string_lossy(), &hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::AsyncWriteExt as _,
        net::{TcpListener, TcpSocket},
    };

    #[tokio::test]
    async fn every_address_is_tried_with_its_share_of_the_deadline() {
        // A queue of one that is full: what comes after it is not answered.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = socket.listen(0).unwrap();
        let silent = (silent.local_addr().unwrap(), silent);
        let mut waiting = Vec::new();
        for _ in 0..8 {
            let connect = timeout(Duration::from_millis(50), TcpStream::connect(silent.0));
            waiting.push(connect.await);
        }
        assert!(waiting.iter().any(Result::is_err), "the queue is full");
        let serving = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let greeting = serving.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut accepted, _) = serving.accept().await.unwrap();
            accepted.write_all(b"220 mx ESMTP\r\n").await.unwrap();
        });
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = { closed }.local_addr().unwrap();
        let dialer = dialer(Duration::from_millis(600));
        let all = [silent.0, closed, greeting];
        let found = dialer.first_of(&all).await;
        let (_, address) = found.unwrap_or_else(|reason| panic!("{}", reason.0));
        assert_eq!(address, greeting);

        let NotConnected(reasons, _) = dialer.first_of(&all[..2]).await.err().unwrap();
        assert!(reasons.contains("no answer within 300ms"), "{reasons}");
        assert!(reasons.contains("refused"), "{reasons}");
    }

    fn dialer(connect_deadline: Duration) -> Dialer {
        let server = SmtpServer {
            host: "localhost".to_owned(),
            port: 25,
            tls: Tls::Off,
            credentials: None,
            authority: None,
        };
        let deadlines = Deadlines {
            connect_deadline,
            tls_deadline: connect_deadline,
            greeting_deadline: Duration::from_secs(10),
            command_deadline: connect_deadline,
            data_deadline: connect_deadline,
            reply_deadline: connect_deadline,
        };
        Dialer::new(server, None, deadlines).unwrap()
    }
}
