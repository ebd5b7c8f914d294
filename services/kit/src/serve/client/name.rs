//! A name that leads where a test says: it plays the DNS server, for everything in the test's own
//! process.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::SocketAddr,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

static NAMES: LazyLock<Mutex<HashMap<String, watch::Sender<Saying>>>> =
    LazyLock::new(Mutex::default);

#[derive(Debug, Clone, Default)]
struct Saying {
    says: Says,
    asked: usize,
}

#[derive(Debug, Clone, Default)]
enum Says {
    /// What DNS answers with no records.
    #[default]
    Nothing,
    /// These addresses, with ports of their own.
    Leads(BTreeSet<SocketAddr>),
    /// SERVFAIL.
    Fails,
    /// Nothing at all.
    Hangs,
}

/// A name of its own, unknown again when this is dropped. First it leads nowhere.
#[derive(Debug)]
pub struct Name {
    host: String,
    state: watch::Sender<Saying>,
}

impl Name {
    /// The next one that no other test has.
    #[expect(clippy::new_without_default, reason = "two of them are never the same")]
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let host = format!("name-{}.test", NEXT.fetch_add(1, Ordering::Relaxed));
        let state = watch::Sender::new(Saying::default());
        names().insert(host.clone(), state.clone());
        Self { host, state }
    }

    /// `dns:///HOST:PORT`; the port is that of each address.
    pub fn url(&self) -> String {
        format!("dns:///{}:1", self.host)
    }

    /// The name itself.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// From now on it leads to these.
    pub fn leads_to(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.say(Says::Leads(addresses.into_iter().collect()));
    }

    /// From now on the answer is empty.
    pub fn leads_nowhere(&self) {
        self.say(Says::Nothing);
    }

    /// From now on the DNS server fails.
    pub fn fails(&self) {
        self.say(Says::Fails);
    }

    /// From now on the DNS server does not answer.
    pub fn hangs(&self) {
        self.say(Says::Hangs);
    }

    /// How often it was asked for.
    pub fn asked(&self) -> usize {
        self.state.borrow().asked
    }

    /// Waits until it was asked for so often again.
    ///
    /// # Panics
    /// Never: what is asked for lives as long as this.
    pub async fn asked_again(&self, times: usize) {
        let until = self.asked() + times;
        let asked = |state: &Saying| state.asked >= until;
        let mut states = self.state.subscribe();
        states.wait_for(asked).await.expect("the name is kept");
    }

    fn say(&self, says: Says) {
        self.state.send_modify(|state| state.says = says);
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        names().remove(&self.host);
    }
}

/// What a test said of `host`; nothing of a name that is none of ours.
pub(super) async fn answer_for(host: &str) -> Option<io::Result<BTreeSet<SocketAddr>>> {
    let state = names().get(host).cloned()?;
    state.send_modify(|state| state.asked += 1);
    let hangs = |state: &Saying| matches!(state.says, Says::Hangs);
    let mut states = state.subscribe();
    let answered = states.wait_for(|state| !hangs(state)).await;
    let says = answered.map_or(Says::Nothing, |state| state.says.clone());
    Some(match says {
        Says::Leads(addresses) => Ok(addresses),
        Says::Nothing => Ok(BTreeSet::new()),
        Says::Fails | Says::Hangs => Err(io::Error::other(
            "failed to lookup address information: Temporary failure in name resolution",
        )),
    })
}

fn names() -> MutexGuard<'static, HashMap<String, watch::Sender<Saying>>> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}
