//! The key ring from which codes are derived, as its file says it just now. The file is read again
//! every few seconds, so that a rotation needs no restart; a file that cannot be used any more
//! leaves the ring as it was.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kit::{
    files::{self, Custody},
    keyring::KeyRing,
    serve::Degraded,
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// How often the file is read.
pub(crate) const READ_EVERY: Duration = Duration::from_secs(5);

/// For so long after a key went out of use a transaction may still commit what it made under it: as
/// long as a transaction takes at most, and a little more.
const GOES_OUT_OF_USE: Duration = Duration::from_secs(10);

const WHAT: &str = "The code key ring";

/// Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct CodeKeys {
    file: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    ring: Arc<KeyRing>,
    /// What was in use before, and when it went out of use.
    before: Vec<(String, Instant)>,
    /// Why the file cannot be used just now.
    refused: Option<Refused>,
    /// A key that mails wait for and the ring does not have.
    missing: Option<String>,
}

/// What is wrong with the file, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}. {mend}")]
struct Refused {
    what: String,
    mend: String,
}

impl CodeKeys {
    /// Reads the file; a missing one is made with a new key, where that is ours to do.
    ///
    /// # Errors
    /// What is wrong with it, and what mends it.
    pub(crate) fn open(file: &Path, custody: Custody) -> anyhow::Result<Self> {
        let text = custody.read(file, WHAT, KeyRing::fresh_text)?;
        Ok(Self {
            file: file.to_owned(),
            state: Arc::new(Mutex::new(State {
                ring: Arc::new(parse(file, &text)?),
                before: Vec::new(),
                refused: None,
                missing: None,
            })),
        })
    }

    /// The ring as it is now. Whoever uses it twice in one transaction keeps what this returned.
    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.state().ring)
    }

    /// The ids of keys under which a code may still be made here: that in use, and for a moment
    /// the one before.
    pub(crate) fn in_use(&self) -> Vec<String> {
        let state = self.state();
        let mut ids = vec![state.ring.in_use().id().to_owned()];
        for (id, since) in &state.before {
            if since.elapsed() < GOES_OUT_OF_USE && !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        ids
    }

    /// What is wrong with the ring, and what to do about it.
    pub(crate) fn trouble(&self) -> Option<Degraded> {
        let state = self.state();
        if let Some(Refused { what, mend }) = &state.refused {
            let reason = format!("stay as they were read before: {what}");
            return Some(Degraded::new(reason, mend.clone()));
        }
        let id = state.missing.as_ref()?;
        let advice = format!(
            "Give this replica the key file that the others have. If nobody has the key any more: \
             `usher keys retire {id} --force`, and its mails get the next code."
        );
        Some(Degraded::new(
            format!("do not have {id}, which mails wait for"),
            advice,
        ))
    }

    /// Which key mails wait for that the ring does not have.
    pub(crate) fn set_missing(&self, id: Option<String>) {
        self.state().missing = id;
    }

    /// What readiness says of the keys: ids, no secrets.
    pub(crate) fn said(&self) -> BTreeMap<&'static str, Vec<String>> {
        let ring = self.ring();
        BTreeMap::from([
            ("in_use", self.in_use()),
            ("known", ring.ids().map(str::to_owned).collect()),
            ("retired", ring.retired().to_vec()),
        ])
    }

    /// Reads the file again and again until `stop`.
    pub(crate) async fn follow(self, stop: CancellationToken) {
        while timeout(READ_EVERY, stop.cancelled()).await.is_err() {
            let this = self.clone();
            // In a thread of its own, and without a beat: a file system that hangs holds up nothing
            // else, and the ring that was read before is as good as ever.
            if let Ok(read) = spawn_blocking(move || this.read()).await {
                self.take(read);
            }
        }
    }

    fn read(&self) -> Result<KeyRing, Refused> {
        let text = files::read(&self.file).map_err(|refused| Refused {
            what: format!("{WHAT}: {}", refused.what()),
            mend: format!(
                "{}. Once that is mended, it is read within seconds.",
                refused.mend()
            ),
        })?;
        parse(&self.file, &text)
    }

    fn take(&self, read: Result<KeyRing, Refused>) {
        let mut state = self.state();
        match read {
            Ok(ring) if ring == *state.ring => state.refused = None,
            Ok(ring) => {
                let used = state.ring.in_use().id().to_owned();
                if used != ring.in_use().id() {
                    state
                        .before
                        .retain(|(_, at)| at.elapsed() < GOES_OUT_OF_USE);
                    state.before.push((used, Instant::now()));
                }
                tracing::info!(
                    key.id = ring.in_use().id(),
                    key.known = ring.ids().collect::<Vec<_>>().join(" "),
                    key.retired = ring.retired().join(" "),
                    "The code key ring was read anew."
                );
                state.ring = Arc::new(ring);
                state.refused = None;
            }
            Err(refused) => {
                // Once, and not every five seconds.
                if state.refused.as_ref() != Some(&refused) {
                    tracing::error!("{refused} Until then the ring stays as it was read before.");
                }
                state.refused = Some(refused);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(file: &Path, text: &str) -> Result<KeyRing, Refused> {
    KeyRing::parse(text).map_err(|error| Refused {
        what: format!("{WHAT} {} cannot be used: {error}", file.display()),
        mend: error.mend(file),
    })
}
