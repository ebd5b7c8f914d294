//! `usher up` on a folder of its own, and the commands that talk to it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use kit::{
    bus::{BrokerSettings, NatsUrl},
    testing::{SOON, eventually, processes},
};
use mail_parser::MessageParser;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::processes::{STOP, ends_within, signal};

/// The program.
pub(crate) const USHER: &str = env!("CARGO_BIN_EXE_usher");

/// The binary, with nothing of the developer's environment but where programs are.
pub(crate) fn usher() -> Command {
    // Whoever runs the tests in the background has them ignore SIGINT, and usher would go on with it.
    let mut command = Command::new("env");
    command
        .args(["--default-signal=INT,HUP", USHER])
        .env_clear()
        .stdin(Stdio::null());
    for kept in ["PATH", "HOME", "TMPDIR", "USHER_NATS_SERVER"] {
        command.envs(std::env::var_os(kept).map(|value| (kept, value)));
    }
    command
}

/// A whole world; stopped when dropped.
#[derive(Debug)]
pub(crate) struct World {
    folder: TempDir,
    up: Option<Child>,
}

impl World {
    /// Starts one with further variables in its environment and waits until it is up.
    pub(crate) async fn start(environment: &[(&str, &str)]) -> Self {
        let mut world = Self::unstarted();
        world.start_again(environment).await;
        world
    }

    /// One whose folder a test prepares before it starts it.
    pub(crate) fn unstarted() -> Self {
        let folder = kit::testing::folder();
        Self { folder, up: None }
    }

    /// Starts it on the folder as it is.
    pub(crate) async fn start_again(&mut self, environment: &[(&str, &str)]) {
        let said = File::options()
            .create(true)
            .append(true)
            .open(self.path("said"))
            .expect("the folder can be written");
        let mut command = usher();
        command
            .args(["up", "--ports", "auto", "--output", "json", "--data"])
            .arg(self.data());
        command
            .envs(environment.iter().copied())
            .stdout(said.try_clone().expect("a file can be shared"))
            .stderr(said);
        self.adopt(command.spawn().expect("usher can be run")).await;
    }

    /// Takes an `usher up` on this folder for its own, and waits until it is up.
    pub(crate) async fn adopt(&mut self, mut up: Child) {
        let (pid, run) = (up.id(), self.data().join("run.json"));
        eventually("usher up to be up", SOON * 2, async || {
            let ended = up.try_wait().expect("the process can be asked");
            assert!(ended.is_none(), "usher up ended: {}", self.said());
            let run: Value = serde_json::from_slice(&fs::read(&run).ok()?).ok()?;
            (run["pid"] == pid).then_some(())
        })
        .await;
        self.up = Some(up);
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// What `usher up` wrote to its output.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    /// `run.json`.
    pub(crate) fn run_file(&self) -> Value {
        let text = fs::read(self.data().join("run.json")).expect("the system is up");
        serde_json::from_slice(&text).expect("run.json is JSON")
    }

    /// Its broker, and the key that it takes.
    pub(crate) fn broker(&self) -> BrokerSettings {
        let run = self.run_file();
        let url: NatsUrl = run["nats_url"].as_str().unwrap().parse().unwrap();
        BrokerSettings {
            nats_credentials: run["nats_credentials"].as_str().map(PathBuf::from),
            ..url.into()
        }
    }

    /// Process id of `usher up`.
    pub(crate) fn pid(&self) -> u32 {
        self.up.as_ref().expect("the system is up").id()
    }

    /// Process id of a service.
    pub(crate) fn service(&self, name: &str) -> Option<u32> {
        let up = self.pid();
        let ours = processes()
            .into_iter()
            .find(|process| process.parent == up && process.command.ends_with(name));
        ours.map(|process| process.id)
    }

    /// Process ids of everything that `usher up` runs.
    pub(crate) fn children(&self) -> Vec<u32> {
        let up = self.pid();
        processes()
            .into_iter()
            .filter(|process| process.parent == up)
            .map(|process| process.id)
            .collect()
    }

    /// Kills a service as a crash would, waiting for it if it is being started again.
    pub(crate) async fn kill(&self, name: &str) {
        let pid = eventually("the service to run", SOON, async || self.service(name)).await;
        signal(pid, Signal::KILL);
    }

    /// Runs a command against the world.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        self.plain(&[arguments, &["--output", "json"]].concat())
    }

    /// Runs one that answers as people see it.
    pub(crate) fn plain(&self, arguments: &[&str]) -> Output {
        let mut command = usher();
        command.args(arguments).arg("--data").arg(self.data());
        command.output().expect("usher can be run")
    }

    /// Runs one that must succeed and answers with what it printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "usher {arguments:?} failed: {errors}"
        );
        serde_json::from_slice(&output.stdout).expect("the output is JSON")
    }

    /// Runs one that must be refused and answers with its exit code and error.
    pub(crate) fn refusal(&self, arguments: &[&str]) -> (i32, Value) {
        refusal(&self.command(arguments))
    }

    /// Signs a person up and answers with the account's id.
    pub(crate) fn sign_up(&self, email: &str) -> String {
        let created = self.json(&["account", "create", email, "--name", "Ada"]);
        created["account"]["account_id"]
            .as_str()
            .expect("an account has an id")
            .to_owned()
    }

    /// The mails to an address, each as (Message-ID, code).
    pub(crate) fn mails_to(&self, address: &str) -> Vec<(String, String)> {
        let Ok(files) = fs::read_dir(self.data().join("mails")) else {
            return Vec::new();
        };
        let files = files.filter_map(|file| Some(file.ok()?.path()));
        files
            .filter(|file| file.extension().is_some_and(|kind| kind == "eml"))
            .filter_map(|file| mail(&file, address))
            .collect()
    }

    /// Waits for the first mail to an address and answers with its code.
    pub(crate) async fn code_for(&self, address: &str) -> String {
        eventually("the mail", SOON, async || {
            Some(self.mails_to(address).first()?.1.clone())
        })
        .await
    }

    /// Waits until verification knows that the first mail was accepted: it may be read before that.
    /// Answers with the account's codes.
    pub(crate) async fn until_accepted(&self, account: &str) -> Vec<Value> {
        eventually("the mail to be known as accepted", SOON, async || {
            let shown = self.command(&["account", "show", account]);
            let shown: Value = serde_json::from_slice(&shown.stdout).ok()?;
            let codes = shown["verification"]["codes"].as_array()?.clone();
            let is_accepted = |code: &Value| code["mail_state"] == "ACCEPTED";
            codes.iter().any(is_accepted).then_some(codes)
        })
        .await
    }

    /// Sends a signal to `usher up` and waits until it has ended.
    pub(crate) fn stop_by(&mut self, by: Signal) -> ExitStatus {
        let up = self.up.take().expect("the system is up");
        signal(up.id(), by);
        ends_within(up, STOP)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut up) = self.up.take() {
            signal(up.id(), Signal::TERM);
            let _ = up.wait();
        }
    }
}

/// Exit code and error of a command that was refused.
pub(crate) fn refusal(output: &Output) -> (i32, Value) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "nothing was refused");
    // Progress stands before it.
    let begin = errors.rfind("\n{\n").map_or(0, |at| at + 1);
    let error: Value = serde_json::from_str(&errors[begin..])
        .unwrap_or_else(|_| panic!("no JSON error: {errors}"));
    (
        output.status.code().expect("the command was not killed"),
        error["error"].clone(),
    )
}

fn mail(file: &Path, address: &str) -> Option<(String, String)> {
    letter(&fs::read(file).ok()?, address)
}

/// Message-ID and code of a mail to an address.
pub(crate) fn letter(bytes: &[u8], address: &str) -> Option<(String, String)> {
    let message = MessageParser::default().parse(bytes)?;
    if message.to()?.first()?.address()? != address {
        return None;
    }
    let text = message.body_text(0)?;
    let code = text.lines().map(str::trim).find(|line| {
        line.chars().filter(char::is_ascii_digit).count() == 8
            && line.chars().all(|c| c.is_ascii_digit() || c == ' ')
    })?;
    Some((message.message_id()?.to_owned(), code.to_owned()))
}
