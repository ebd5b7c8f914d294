//! A system that others run: the command knows nothing but addresses, and reads the mails in the
//! mailbox. Here others are `usher up` and `usher mailbox`.

use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use kit::testing::{NatsServer, Proxy, SOON, eventually, folder, free_port, processes, signal};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

const LOAD_TESTS: &str = env!("CARGO_BIN_EXE_load-tests");
/// Of `usher up`.
const START: Duration = Duration::from_secs(60);
const LATE: Duration = Duration::from_millis(500);

struct Others {
    folder: TempDir,
    mailbox: SocketAddr,
    run: Value,
    children: Vec<Child>,
}

impl Drop for Others {
    fn drop(&mut self) {
        // The last first: `usher up` brings its mails away, and its own children end with it. After
        // a crash nats-server would stay.
        while let Some(mut child) = self.children.pop() {
            signal(child.id(), Signal::TERM);
            let _ = child.wait();
        }
    }
}

impl Others {
    async fn start() -> Self {
        let port = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (folder, smtp, mailbox) = (folder(), port(), port());
        let (mails, data) = (folder.path().join("mails"), folder.path().join("data"));
        let mut serve = Command::new(LOAD_TESTS);
        serve
            .args(["mailbox", "serve", "--folder"])
            .arg(mails)
            .args(["--smtp", &smtp.to_string(), "--http", &mailbox.to_string()]);
        let mut up = Command::new(LOAD_TESTS);
        up.args(["up", "--ports", "auto", "--output", "json", "--data"])
            .arg(&data)
            .env("USHER_MAIL_URL", format!("smtp://{smtp}"))
            .env("USHER_NATS_SERVER", NatsServer::program());
        let children = vec![started(serve, folder.path()), started(up, folder.path())];
        let others = async || TcpStream::connect(mailbox).await.ok();
        eventually("the mailbox to listen", SOON, others).await;
        let told = async || serde_json::from_slice(&fs::read(data.join("run.json")).ok()?).ok();
        let run = eventually("`usher up` to say where it is", START, told).await;
        Self {
            folder,
            mailbox,
            run,
            children,
        }
    }

    fn url(&self, service: &str, listener: &str) -> &str {
        let url = self.run[service][listener].as_str();
        url.expect("the run file names its listeners")
    }

    /// People who sign up by this address, until standard input ends.
    fn load(&self, accounts_url: &str) -> Child {
        let token = self.run["admin_token_file"].as_str();
        Command::new(LOAD_TESTS)
            .args(["--output", "json", "load", "--phases", "--rate", "20"])
            .args(["--repeat-for", "5s", "--at-least", "20", "--accounts-url"])
            .arg(accounts_url)
            .args(["--accounts-admin-url", self.url("accounts", "admin_url")])
            .args(["--verification-url", self.url("verification", "url")])
            .args(["--mailer-admin-url", self.url("mailer", "admin_url")])
            .args(["--admin-token-file", token.expect("the run file names it")])
            .args(["--mailbox-url", &format!("http://{}", self.mailbox)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the load tests can be run")
    }

    fn mails(&self) -> usize {
        mails_in(&self.folder.path().join("mails"))
    }
}

/// The mailbox keeps each as a file.
fn mails_in(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let counts = entries.map(|entry| match entry.path() {
        folder if folder.is_dir() => mails_in(&folder),
        file => usize::from(file.extension().is_some_and(|kind| kind == "eml")),
    });
    counts.sum()
}

fn started(mut command: Command, folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).expect("the folder can be written");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().expect("usher can be run")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i14_sign_ups_whose_answers_are_lost_are_repeated_under_their_keys_and_mailed_once() {
    let others = Others::start().await;
    let url = others.url("accounts", "url");
    let between = Proxy::before(url, 1).await;
    let mut load = others.load(&between.url(url));
    let mut phases = load.stdin.take().expect("it is piped");
    let after = async |more: usize| {
        let enough = others.mails() + more;
        let arrived = async || (others.mails() >= enough).then_some(());
        eventually("people to sign up", START, arrived).await;
    };
    after(20).await;
    writeln!(phases, "answers are lost").expect("it reads");
    // By then it has read that, and whoever signed up before has an answer.
    after(10).await;
    // They are on their way back when the connections end.
    between.delay(LATE);
    after(10).await;
    between.cut();
    between.pass();
    writeln!(phases, "afterwards").expect("it reads");
    after(20).await;
    drop(phases);
    let output = load.wait_with_output().expect("it ends");
    let said: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    assert!(output.status.success(), "{said}");
    assert_eq!(said["failed"], 0, "{said}");
    assert_eq!(said["verdict"]["doubled"], 0, "{said}");
    let repeated: Vec<_> = said["phases"]
        .as_array()
        .expect("there are phases")
        .iter()
        .map(|phase| (&phase["name"], phase["repeated"].as_u64() > Some(0)))
        .collect();
    assert_eq!(repeated.len(), 3, "{said}");
    assert_eq!(repeated[0], (&"undisturbed".into(), false), "{said}");
    assert_eq!(repeated[1], (&"answers are lost".into(), true), "{said}");
    let folder = others.folder.path().display().to_string();
    drop(others);
    let mut left = processes();
    left.retain(|process| process.command.contains(&folder));
    assert_eq!(left, [], "all of it ended with the test");
}
