//! Whose idempotency key is new, whose made an account before, and who repeats whom within the
//! group.

use std::collections::{HashMap, HashSet};

use kit::db::Tx;
use sea_orm::DbErr;
use uuid::Uuid;

use super::sign_up::{CreateAccountError, SignUp};
use crate::{
    domain::Hash,
    store::{Account, accounts, idempotency_keys},
};

/// The keys of a group.
pub(super) struct Keys<'a> {
    sign_ups: &'a [&'a SignUp],
    /// Who stands first in the group under each key.
    owners: HashMap<Hash, usize>,
    /// Keys that made an account before.
    used: HashMap<Hash, Use>,
}

struct Use {
    fingerprint: Vec<u8>,
    account: Account,
}

impl<'a> Keys<'a> {
    /// Takes the keys that are free; those that are not are read, with the accounts they made.
    pub(super) async fn take(tx: &Tx, sign_ups: &'a [&'a SignUp]) -> Result<Self, DbErr> {
        let mut owners = HashMap::new();
        let mut rows = Vec::new();
        for (place, sign_up) in sign_ups.iter().enumerate() {
            let Some(request) = &sign_up.request else {
                continue;
            };
            // Postgres refuses an upsert that would touch one row twice; and the first one's is the
            // request that counts.
            if owners.contains_key(&request.key) {
                continue;
            }
            owners.insert(request.key, place);
            rows.push(idempotency_keys::Model {
                key_hash: request.key.to_vec(),
                fingerprint: request.fingerprint.to_vec(),
                account_id: sign_up.id,
                created_at: tx.now(),
            });
        }
        let mut not_free: HashSet<Vec<u8>> = owners.keys().map(|key| key.to_vec()).collect();
        for taken in idempotency_keys::take(tx, rows).await? {
            not_free.remove(&taken);
        }
        // Only after the insert: it has waited for whoever held the key, and sees that commit.
        let used = read(tx, not_free).await?;
        Ok(Self {
            sign_ups,
            owners,
            used,
        })
    }

    /// Whoever may have an account now: the first under each new key, and all without one.
    pub(super) fn candidates(&self) -> Vec<&'a SignUp> {
        let mut candidates = Vec::with_capacity(self.sign_ups.len());
        for sign_up in self.sign_ups.iter().copied() {
            let key = sign_up.request.as_ref().map(|request| request.key);
            let is_used = key.is_some_and(|key| self.used.contains_key(&key));
            if !is_used && self.owner(sign_up).id == sign_up.id {
                candidates.push(sign_up);
            }
        }
        candidates
    }

    /// What each is told, once it is known which candidates have an account.
    pub(super) fn answer(
        &self,
        sign_up: &SignUp,
        accounts: &HashMap<Uuid, &Account>,
    ) -> Result<Account, CreateAccountError> {
        let owner = self.owner(sign_up);
        if let (Some(request), Some(first)) = (&sign_up.request, &owner.request) {
            if let Some(used) = self.used.get(&request.key) {
                return match used.fingerprint == request.fingerprint {
                    true => Ok(used.account.clone()),
                    false => Err(CreateAccountError::KeyReused),
                };
            }
            // Within the group the first one's request counts, as if it had been committed alone.
            if first.fingerprint != request.fingerprint {
                return Err(CreateAccountError::KeyReused);
            }
        }
        accounts
            .get(&owner.id)
            .map(|account| (*account).clone())
            .ok_or(CreateAccountError::AddressTaken)
    }

    /// Who stands first under this one's key: itself, where it has none.
    fn owner<'b>(&self, sign_up: &'b SignUp) -> &'b SignUp
    where
        'a: 'b,
    {
        let key = sign_up.request.as_ref().map(|request| request.key);
        let place = key.and_then(|key| self.owners.get(&key));
        place.map_or(sign_up, |place| self.sign_ups[*place])
    }
}

async fn read(tx: &Tx, keys: HashSet<Vec<u8>>) -> Result<HashMap<Hash, Use>, DbErr> {
    let known = idempotency_keys::by_hashes(tx, keys).await?;
    let mut accounts = HashMap::with_capacity(known.len());
    for account in accounts::by_ids(tx, known.iter().map(|key| key.account_id)).await? {
        accounts.insert(account.id, account);
    }
    let mut used = HashMap::with_capacity(known.len());
    for key in known {
        let account = accounts.get(&key.account_id).cloned();
        if let (Ok(hash), Some(account)) = (Hash::try_from(key.key_hash), account) {
            used.insert(
                hash,
                Use {
                    fingerprint: key.fingerprint,
                    account,
                },
            );
        }
    }
    Ok(used)
}

/// Who lost its address gives its key back: only successes are remembered.
pub(super) async fn give_back(
    tx: &Tx,
    candidates: &[&SignUp],
    accounts: &HashMap<Uuid, &Account>,
) -> Result<(), DbErr> {
    let mut keys = Vec::new();
    for candidate in candidates {
        if !accounts.contains_key(&candidate.id) {
            keys.extend(
                candidate
                    .request
                    .as_ref()
                    .map(|request| request.key.to_vec()),
            );
        }
    }
    idempotency_keys::give_back(tx, keys).await
}
