//! First step of a group's transaction: whose idempotency key is new, whose is known. Keys come before accounts:
//! of two processes that are given the same request, the second waits here for the first one's commit, and then
//! finds its key instead of a taken address.

use std::collections::{HashMap, HashSet};

use kit::clock::Timestamp;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::{CreateAccountError, RequestId, SignUp, Standing};
use crate::{
    domain::Hash,
    store::{Account, accounts, idempotency_keys},
};

/// Takes the keys that are free and says where each sign-up stands by its key.
pub(super) async fn settle(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    sign_ups: &[SignUp],
) -> Result<Vec<Standing>, DbErr> {
    let mut owners = HashMap::<Hash, usize>::new();
    for (place, sign_up) in sign_ups.iter().enumerate() {
        if let Some(request) = &sign_up.request {
            owners.entry(request.key).or_insert(place);
        }
    }
    let known = take_or_read(tx, now, owners.values().map(|owner| &sign_ups[*owner])).await?;
    let standing = |(place, sign_up): (usize, &SignUp)| {
        let Some(request) = &sign_up.request else {
            return Standing::Candidate;
        };
        let owner = owners[&request.key];
        match known.get(request.key.as_slice()) {
            Some(use_before) => Standing::Decided(use_before.answer(request)),
            None if owner == place => Standing::Candidate,
            None if sign_ups[owner].repeats(request) => Standing::Follows(owner),
            None => Standing::Decided(Err(CreateAccountError::KeyReused)),
        }
    };
    Ok(sign_ups.iter().enumerate().map(standing).collect())
}

/// A key that made an account before.
struct Use {
    fingerprint: Vec<u8>,
    account: Account,
}

impl Use {
    fn answer(&self, request: &RequestId) -> Result<Account, CreateAccountError> {
        match self.fingerprint == request.fingerprint {
            true => Ok(self.account.clone()),
            false => Err(CreateAccountError::KeyReused),
        }
    }
}

impl SignUp {
    fn repeats(&self, request: &RequestId) -> bool {
        self.request
            .as_ref()
            .is_some_and(|own| own.fingerprint == request.fingerprint)
    }
}

/// Takes the owners' keys; those that were not free are read, with the accounts they made.
async fn take_or_read(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    owners: impl Iterator<Item = &SignUp>,
) -> Result<HashMap<Vec<u8>, Use>, DbErr> {
    let row = |sign_up: &SignUp| {
        let request = sign_up.request.as_ref()?;
        let (key_hash, fingerprint) = (request.key.to_vec(), request.fingerprint.to_vec());
        Some(idempotency_keys::Model {
            key_hash,
            fingerprint,
            account_id: sign_up.id,
            created_at: now,
        })
    };
    let rows: Vec<_> = owners.filter_map(row).collect();
    let mut known: HashSet<Vec<u8>> = rows.iter().map(|row| row.key_hash.clone()).collect();
    for taken in idempotency_keys::take(tx, now, rows).await? {
        known.remove(&taken);
    }
    let known = idempotency_keys::by_hashes(tx, known).await?;
    let accounts = accounts::by_ids(tx, known.iter().map(|key| key.account_id)).await?;
    let accounts: HashMap<Uuid, Account> = accounts
        .into_iter()
        .map(|account| (account.id, account))
        .collect();
    let uses = known.into_iter().filter_map(|key| {
        let account = accounts.get(&key.account_id)?.clone();
        Some((
            key.key_hash,
            Use {
                fingerprint: key.fingerprint,
                account,
            },
        ))
    });
    Ok(uses.collect())
}
