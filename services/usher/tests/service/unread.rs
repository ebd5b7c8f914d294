//! Logs that nobody reads: a full pipe behind a service, behind `usher up`, and an `usher up` that
//! does not read its children's. None of it may hold up work.

use std::{
    io::{PipeReader, PipeWriter, Read as _, Write as _, pipe},
    net::SocketAddr,
    process::{Child, Stdio},
    thread,
};

use kit::testing::{SOON, World as Ground, eventually, free_port, probe};
use proto::accounts::{CreateAccountRequest, accounts_service_client::AccountsServiceClient};
use rustix::process::Signal;
use tonic::transport::Channel;

use crate::{
    processes::{STOP, ends_within, signal},
    world::{World, usher},
};

/// More than any queue of lines takes.
const MANY: usize = 20_000;

/// accounts as a process whose standard error is a pipe that nobody reads.
struct Unread {
    service: Option<Child>,
    client: AccountsServiceClient<Channel>,
    admin: SocketAddr,
    unread: PipeReader,
    _ground: Ground,
}

impl Unread {
    async fn start(log: &str) -> Self {
        let ground = Ground::<()>::on_sqlite();
        let [listen, admin] =
            [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (unread, stderr) = pipe().expect("a pipe can be made");
        let settings = ground.settings().with(&[
            ("USHER_LISTEN", &listen.to_string()),
            ("USHER_ADMIN_LISTEN", &admin.to_string()),
            ("RUST_LOG", log),
        ]);
        let mut command = usher();
        command.arg("accounts").current_dir(ground.folder());
        command.envs(settings.pairs()).stdout(Stdio::null());
        let service = command.stderr(stderr).spawn().expect("usher can be run");
        let channel = Channel::from_shared(format!("http://{listen}")).unwrap();
        let connect = async || channel.connect().await.ok();
        let channel = eventually("the service to listen", SOON, connect).await;
        Self {
            service: Some(service),
            client: AccountsServiceClient::new(channel),
            admin,
            unread,
            _ground: ground,
        }
    }

    /// Signs people up until the service has dropped lines of its log.
    async fn until_lines_are_dropped(&self) {
        for person in 0..MANY {
            sign_up(&self.client, &format!("unread-{person}@example.com")).await;
            if person % 20 == 0 && self.dropped().await > 0.0 {
                return;
            }
        }
        panic!("no line was dropped in {MANY} sign-ups");
    }

    async fn dropped(&self) -> f64 {
        let answer = probe(self.admin, "/metrics").await;
        let (_, metrics) = answer.expect("the admin listener answers");
        let mut counters = metrics
            .lines()
            .filter(|line| line.starts_with("usher_log_dropped"));
        let counter = counters.next().and_then(|line| line.rsplit_once(' '));
        counter.map_or(0.0, |(_, number)| number.parse().expect("a number"))
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

async fn sign_up(client: &AccountsServiceClient<Channel>, email: &str) {
    let request = CreateAccountRequest {
        email: email.to_owned(),
        display_name: "Ada".to_owned(),
        locale: "en".to_owned(),
    };
    let mut client = client.clone();
    let answer = tokio::time::timeout(SOON, client.create_account(request)).await;
    let answer = answer.unwrap_or_else(|_| panic!("the sign-up of {email} stands still"));
    answer.unwrap_or_else(|status| panic!("{email}: {status}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_log_nobody_reads_answers_on_counts_the_lines_it_dropped_and_says_so_later()
{
    let mut service = Unread::start("trace").await;
    service.until_lines_are_dropped().await;
    let mut unread = service.unread.try_clone().expect("a pipe can be shared");
    let reading = thread::spawn(move || {
        let (mut said, mut some) = (Vec::new(), [0; 65_536]);
        loop {
            let read = unread.read(&mut some).expect("a pipe can be read");
            said.extend_from_slice(&some[..read]);
            let text = String::from_utf8_lossy(&said);
            if read == 0 || text.contains("nobody read them") {
                return text.into_owned();
            }
        }
    });
    sign_up(&service.client, "read-again@example.com").await;
    let said = eventually("the log to be read", SOON, async || {
        reading.is_finished().then_some(())
    });
    said.await;
    let said = reading.join().expect("the log can be read");
    let gap = said.lines().find(|line| line.contains("nobody read them"));
    assert!(gap.is_some_and(|line| line.contains("WARN")), "{gap:?}");
    let child = service.service.take().expect("the service runs");
    signal(child.id(), Signal::TERM);
    // Read to the end: what it says last is not lost.
    let mut rest = String::new();
    let mut unread = service.unread.try_clone().expect("a pipe can be shared");
    let ended = thread::spawn(move || ends_within(child, STOP));
    unread.read_to_string(&mut rest).expect("the log is text");
    assert!(ended.join().expect("it ends").success());
    assert!(rest.contains("Shutting down"), "{rest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i18_a_service_whose_log_nobody_reads_stops_in_time() {
    let mut service = Unread::start("trace").await;
    service.until_lines_are_dropped().await;
    let child = service.service.take().expect("the service runs");
    signal(child.id(), Signal::TERM);
    assert!(ends_within(child, STOP).success());
}

/// A stopped process that goes on when the test is over, however it ends.
struct Halted(u32);

impl Halted {
    fn new(process: u32) -> Self {
        signal(process, Signal::STOP);
        Self(process)
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        kit::testing::signal(self.0, Signal::CONT);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_usher_up_is_halted_its_services_work_on() {
    let world = World::start(&[("RUST_LOG", "trace")]).await;
    let url = world.run_file()["accounts"]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let client = AccountsServiceClient::new(channel);
    let halted = Halted::new(world.pid());
    for person in 0..100 {
        sign_up(&client, &format!("halted-{person}@example.com")).await;
    }
    world.code_for("halted-99@example.com").await;
    drop(halted);
}

/// A pipe that is full, so that the next word into it waits for ever.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().expect("a pipe can be made");
    let mut filling = writer.try_clone().expect("a pipe can be shared");
    // Ends with an error when the reader is dropped.
    thread::spawn(move || filling.write_all(&vec![b'.'; 1 << 20]));
    (reader, writer)
}

#[tokio::test]
async fn i18_usher_up_whose_terminal_nobody_reads_starts_a_dead_service_again_and_ends_in_time() {
    for format in ["json", "table"] {
        let mut world = World::unstarted();
        let (unread, terminal) = full_pipe();
        let mut command = usher();
        command
            .args(["up", "--ports", "auto", "--output", format, "--data"])
            .arg(world.data())
            .stdout(terminal.try_clone().expect("a pipe can be shared"))
            .stderr(terminal);
        world
            .adopt(command.spawn().expect("usher can be run"))
            .await;
        drop(command);
        let first = world.service("mailer").expect("the mailer runs");
        world.kill("mailer").await;
        let again = async || world.service("mailer").filter(|again| *again != first);
        eventually("the mailer to be started again", SOON, again).await;
        let status = world.stop_by(Signal::TERM);
        assert!(status.success(), "{format}: {status}");
        drop(unread);
    }
}

#[test]
fn a_command_that_fails_ends_although_nobody_reads_why() {
    let (unread, terminal) = full_pipe();
    let mut command = usher();
    command.args(["account", "list", "--data", "/nowhere"]);
    let failing = command.stdout(Stdio::null()).stderr(terminal).spawn();
    drop(command);
    let status = ends_within(failing.expect("usher can be run"), STOP);
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    drop(unread);
}
