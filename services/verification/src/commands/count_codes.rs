//! Says of each key of the ring, and of each that codes name, what it is to this replica and what
//! still names it: for who wants to retire one.

use kit::{
    clock::Timestamp,
    db::{Db, StoreError},
};

use crate::{code_keys::CodeKeys, store};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyState {
    InUse,
    New,
    Old,
    Retired,
    /// Codes name it, and this replica does not know it.
    Unknown,
}

#[derive(Debug, Clone)]
pub(crate) struct KeyUse {
    pub(crate) id: String,
    pub(crate) state: KeyState,
    /// Codes that could still confirm.
    pub(crate) live_codes: u64,
    pub(crate) pending_mails: u64,
    /// When the last of the live codes expires.
    pub(crate) live_until: Option<Timestamp>,
}

/// Why they were not counted.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub(crate) struct CountCodesError(#[from] pub(crate) StoreError);

#[derive(Debug, Clone)]
pub(crate) struct CountCodes {
    pub(crate) db: Db,
    pub(crate) keys: CodeKeys,
}

impl CountCodes {
    /// The ring's keys in its order, that in use first, then those that are unknown here.
    pub(crate) async fn run(&self) -> Result<Vec<KeyUse>, CountCodesError> {
        let reader = self.db.reader();
        let counted = async {
            let now = self.db.now(reader).await?;
            let live = store::keys::live_by_key(reader, now).await?;
            let pending = store::keys::pending_by_key(reader).await?;
            Ok::<_, StoreError>((live, pending))
        };
        let (live, pending) = counted.await?;
        let mut all = self.of_ring();
        for (id, codes, until) in live {
            let key = of(&mut all, id);
            key.live_codes = u64::try_from(codes).unwrap_or(0);
            key.live_until = Some(until);
        }
        for (id, mails) in pending {
            of(&mut all, id).pending_mails = u64::try_from(mails).unwrap_or(0);
        }
        Ok(all)
    }

    fn of_ring(&self) -> Vec<KeyUse> {
        let (ring, in_use) = (self.keys.ring(), self.keys.in_use());
        let known = ring.ids().map(|id| {
            let state = match () {
                () if in_use.iter().any(|used| used == id) => KeyState::InUse,
                () if ring.is_new(id) => KeyState::New,
                () => KeyState::Old,
            };
            unused(id.to_owned(), state)
        });
        let retired = ring.retired().iter();
        let retired = retired.map(|id| unused(id.clone(), KeyState::Retired));
        known.chain(retired).collect()
    }
}

fn of(all: &mut Vec<KeyUse>, id: String) -> &mut KeyUse {
    let known = all.iter().position(|key| key.id == id);
    let place = known.unwrap_or_else(|| {
        all.push(unused(id, KeyState::Unknown));
        all.len() - 1
    });
    &mut all[place]
}

fn unused(id: String, state: KeyState) -> KeyUse {
    KeyUse {
        id,
        state,
        live_codes: 0,
        pending_mails: 0,
        live_until: None,
    }
}
