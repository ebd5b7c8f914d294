//! A mailbox as a process of its own, and clients that say octet by octet what they mean.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use kit::testing::{SOON, eventually, free_port};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    processes::signal,
    world::{USHER, usher},
};

/// What a stop may take.
const STOP: Duration = Duration::from_secs(5);

/// A running mailbox; killed on drop.
#[derive(Debug)]
pub(crate) struct Mailbox {
    child: Child,
    pub(crate) smtp: SocketAddr,
    pub(crate) http: SocketAddr,
    log: PathBuf,
    _folder: TempDir,
}

impl Mailbox {
    /// Starts one that keeps its mails in this folder, with further flags, and waits until it is
    /// ready.
    pub(crate) async fn start(folder: &Path, flags: &[&str]) -> Self {
        Self::run(usher(), folder, flags).await
    }

    /// The same as another user.
    pub(super) async fn start_as(user: u32, folder: &Path) -> Self {
        let mut command = Command::new(USHER);
        command.env_clear().uid(user).gid(user).current_dir("/");
        Self::run(command, folder, &[]).await
    }

    async fn run(mut command: Command, folder: &Path, flags: &[&str]) -> Self {
        let own = kit::testing::folder();
        let log = own.path().join("log");
        let port = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (smtp, http) = (port(), port());
        command
            .args(["mailbox", "serve", "--folder"])
            .arg(folder)
            .args(["--smtp", &smtp.to_string(), "--http", &http.to_string()])
            .args(flags)
            .env("RUST_LOG", "debug")
            .stderr(File::create(&log).expect("the folder can be written"));
        let mut child = command.spawn().expect("usher can be run");
        eventually("the mailbox to listen", SOON, async || {
            let ended = child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "{}", fs::read_to_string(&log).unwrap());
            TcpStream::connect(http).ok()
        })
        .await;
        Self {
            child,
            smtp,
            http,
            log,
            _folder: own,
        }
    }

    /// A crash.
    pub(super) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// What it logged.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("it has a log")
    }

    /// SIGTERM; answers with how it ended.
    pub(super) fn begin_to_stop(&self) -> Instant {
        signal(self.child.id(), Signal::TERM);
        Instant::now()
    }

    pub(super) async fn ends(&mut self, asked: Instant) -> ExitStatus {
        let end = eventually("the mailbox to end", SOON, async || {
            self.child.try_wait().expect("a child can be asked")
        });
        let end = end.await;
        assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());
        end
    }

    /// A conversation that has said EHLO.
    pub(super) fn client(&self) -> Client {
        let mut client = Client::connect(self.smtp);
        assert!(client.answer_to("EHLO ada").starts_with("250"));
        client
    }

    /// Sends a mail by a connection of its own.
    pub(super) fn send(&self, to: &str, message: &str) {
        let answer = self.client().send(&[to], message.as_bytes());
        assert!(answer.starts_with("250"), "{answer}");
    }

    pub(super) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.http);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("connection: close\r\n\r\n");
        let mut stream = TcpStream::connect(self.http).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).expect("it answers");
        Answer::read(&octets)
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// A page of a list.
    pub(super) fn list(&self, query: &str) -> Value {
        self.get(&format!("/api/v1/mails?{query}")).json()
    }

    /// The only mail that there is, as a list shows it.
    pub(super) fn only(&self) -> Value {
        let list = self.list("");
        let mails = list["mails"].as_array().expect("it is a list");
        assert_eq!(mails.len(), 1, "{list}");
        mails[0].clone()
    }

    /// Its message.
    pub(super) fn raw(&self, id: &Value) -> Vec<u8> {
        let path = format!("/api/v1/mails/{}/raw", id.as_str().expect("an id"));
        let answer = self.get(&path);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "message/rfc822");
        answer.body
    }

    /// Runs a command that asks it.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = usher();
        command.arg("mailbox").args(arguments);
        command.env("USHER_MAILBOX_URL", format!("http://{}", self.http));
        command
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer by HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn read(octets: &[u8]) -> Self {
        let end = octets.windows(4).position(|at| at == b"\r\n\r\n");
        let (head, body) = octets.split_at(end.expect("it has a head") + 4);
        let head = String::from_utf8(head.to_vec()).expect("a head is text");
        let status = head.split(' ').nth(1).expect("it has a status");
        Self {
            status: status.parse().expect("a status is a number"),
            body: body.to_vec(),
            head,
        }
    }

    /// Empty where there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let field = fields.find(|(other, _)| other.eq_ignore_ascii_case(name));
        field.map_or("", |(_, value)| value)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("it is text")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// A client that says what it likes.
#[derive(Debug)]
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    pub(super) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("it listens");
        let waits = stream.set_read_timeout(Some(SOON));
        // Without it each message would wait for a delayed acknowledgement of what came before.
        let waits = waits.and_then(|()| stream.set_nodelay(true));
        waits.expect("a socket can be set");
        let mut client = Self(BufReader::new(stream));
        let greeting = client.answer();
        assert!(greeting.starts_with("220"), "{greeting}");
        client
    }

    /// A connection whose greeting is not a greeting.
    pub(super) fn greeted_by(addr: SocketAddr) -> String {
        let stream = TcpStream::connect(addr).expect("it listens");
        Self(BufReader::new(stream)).answer()
    }

    pub(super) fn write(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).expect("it reads");
    }

    /// The next answer, all lines of it; empty at the end of the conversation.
    pub(super) fn answer(&mut self) -> String {
        let mut answer = String::new();
        loop {
            let begin = answer.len();
            match self.0.read_line(&mut answer) {
                Ok(1..) if answer.as_bytes()[begin..].get(3) == Some(&b'-') => {}
                Ok(_) => return answer,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    pub(super) fn answer_to(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes());
        self.answer()
    }

    /// Sends a mail; answers with what the final dot got, or with the refusal.
    pub(super) fn send(&mut self, to: &[&str], message: &[u8]) -> String {
        let mut commands = vec!["MAIL FROM:<ada@example.com> BODY=8BITMIME".to_owned()];
        commands.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
        commands.push("DATA".to_owned());
        // All at once: it offers PIPELINING.
        self.write(format!("{}\r\n", commands.join("\r\n")).as_bytes());
        for command in &commands {
            let answer = self.answer();
            if !answer.starts_with(['2', '3']) {
                panic!("{command}: {answer}");
            }
        }
        self.write(message);
        self.write(b"\r\n.\r\n");
        self.answer()
    }
}
