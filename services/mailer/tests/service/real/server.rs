//! A mail server that we did not write, as Debian has it: unpacked by `make tools`, started on a
//! stage of its own (`stage.sh`), gone with its value.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use kit::testing::{SOON, eventually, free_port, is_root, skip};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use super::kind::{ETC, Kind, Recipe};
use crate::client::message_id;

/// It runs, unless it was stopped. Whatever becomes of the test, nothing of it stays.
pub(crate) struct RealServer {
    recipe: Recipe,
    package: PathBuf,
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl RealServer {
    /// Starts one with a certificate of its own, or says on standard error why the test is skipped;
    /// for root none is skipped in CI.
    pub(crate) async fn start(kind: Kind) -> Option<Self> {
        let recipe = kind.recipe();
        let package = match package(recipe.package) {
            Ok(package) => package,
            Err(reason) => {
                skip(is_root(), &format!(", because of {kind:?} {reason}"));
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self {
            recipe,
            package,
            folder,
            port: free_port(),
            process: None,
        };
        server.set_up();
        server.run().await;
        Some(server)
    }

    /// Where mails go to, with more behind the port: `?tls=off`.
    pub(crate) fn url(&self, more: &str) -> String {
        format!("smtp://127.0.0.1:{}{more}", self.port)
    }

    /// The file with its certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// The mails that lie in its mailboxes, by their Message-IDs. A server that is stopped in the
    /// middle of it puts one there twice.
    pub(crate) fn mails(&self) -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(self.folder.path().join("mails/new"));
        let mails = files.into_iter().flatten();
        let mails = mails.map(|mail| fs::read(mail.unwrap().path()).unwrap());
        mails.map(|mail| (message_id(&mail), mail)).collect()
    }

    /// Waits for that many mails, which are all that the server has taken.
    pub(crate) async fn arrived(&self, count: usize) -> BTreeMap<String, Vec<u8>> {
        let all = async || Some(self.mails()).filter(|mails| mails.len() >= count);
        let mails = eventually("mails in the mailboxes", SOON, all).await;
        let log = self.log();
        let taken = log.matches(self.recipe.taken).count();
        assert_eq!((mails.len(), taken), (count, count), "{log}");
        mails
    }

    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.folder.path().join(self.recipe.log));
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }

    /// How many connections it has seen, once one of them has taken leave.
    pub(crate) async fn connections(&self) -> usize {
        let left = async || self.log().contains(self.recipe.quit).then_some(());
        eventually("a QUIT in the log", SOON, left).await;
        let log = self.log();
        // One was ours, to see whether it is there.
        log.matches(self.recipe.connected).count() - 1
    }

    /// SIGTERM; what it has stored stays.
    pub(crate) async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        process.stdin.take().unwrap().write_all(b"\n").unwrap();
        let ended = async || process.try_wait().unwrap();
        eventually("the mail server to end", SOON, ended).await;
    }

    /// Starts it, on the same port and with what it has stored.
    pub(crate) async fn run(&mut self) {
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"));
        let output = output.unwrap();
        let mut stage = Command::new("unshare");
        stage
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", include_str!("stage.sh"), "stage"])
            .args([&self.package, self.folder.path()])
            .arg(self.recipe.command)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        self.process = Some(stage.spawn().unwrap());
        let greets = async || {
            let process = self.process.as_mut().unwrap();
            assert!(process.try_wait().unwrap().is_none(), "{}", self.log());
            let mut greeting = [0; 4];
            let mut connection = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
            connection.read_exact(&mut greeting).await.ok()?;
            (&greeting == b"220 ").then_some(())
        };
        eventually("the mail server's greeting", SOON, greets).await;
    }

    fn set_up(&self) {
        let folder = self.folder.path();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        for part in ["spool", "mails"] {
            fs::create_dir(folder.join(part)).unwrap();
        }
        for (name, text) in ETC.iter().chain(self.recipe.files) {
            let file = folder.join("etc").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text.replace("PORT", &self.port.to_string())).unwrap();
        }
        let made = rcgen::generate_simple_self_signed(["mx.example".to_owned()]).unwrap();
        fs::write(self.certificate(), made.cert.pem()).unwrap();
        let key = folder.join("key.pem");
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }
}

/// Where the package was unpacked, if there is a stage to run it on.
fn package(name: &str) -> Result<PathBuf, String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut unpacked = workspace.map(|up| up.join(".tools/mail-servers").join(name));
    let unpacked = unpacked.find(|folder| folder.with_extension("version").is_file());
    let unpacked = unpacked.ok_or("it is not unpacked (`make tools` does it, on Debian)")?;
    let allowed = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "true"])
        .output();
    match allowed.is_ok_and(|output| output.status.success()) {
        true => Ok(unpacked),
        false => Err("only root can set its stage".to_owned()),
    }
}
