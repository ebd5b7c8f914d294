//! Second step of a group's transaction: the candidates' accounts. Equal addresses within the group are settled in
//! memory, those of earlier transactions by the unique index.

use std::collections::{HashMap, HashSet};

use kit::clock::Timestamp;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::{CreateAccountError, SignUp, Standing};
use crate::{
    dispatch::Created,
    store::{Account, accounts, idempotency_keys},
};

/// Inserts the candidates' accounts, decides every candidate and returns the accounts that came to be, in the
/// group's order. Who lost its address gives its key back: only successes are remembered.
pub(super) async fn settle(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    sign_ups: &[SignUp],
    standings: &mut [Standing],
) -> Result<Vec<Created>, DbErr> {
    let candidates: Vec<&SignUp> = std::iter::zip(sign_ups, &*standings)
        .filter_map(|(sign_up, standing)| {
            matches!(standing, Standing::Candidate).then_some(sign_up)
        })
        .collect();
    let inserted = insert(tx, now, &candidates).await?;
    let own = own_from_before(tx, &candidates, &inserted).await?;

    let mut created = Vec::with_capacity(inserted.len());
    let mut keys = Vec::new();
    for (sign_up, standing) in sign_ups.iter().zip(standings) {
        if !matches!(standing, Standing::Candidate) {
            continue;
        }
        let decided = if inserted.contains(&sign_up.id) {
            let account = Account::pending(sign_up.id, &sign_up.new, now);
            created.push(Created {
                account: account.clone(),
                context: sign_up.caller.clone(),
            });
            Ok(account)
        } else if let Some(account) = own.get(&sign_up.id) {
            Ok(account.clone())
        } else {
            keys.extend(sign_up.request.as_ref().map(|request| request.key.to_vec()));
            Err(CreateAccountError::AddressTaken)
        };
        *standing = Standing::Decided(decided);
    }
    idempotency_keys::give_back(tx, keys).await?;
    Ok(created)
}

/// Inserts the first candidate of each address. Returns the ids of those whose address was free.
async fn insert(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    candidates: &[&SignUp],
) -> Result<HashSet<Uuid>, DbErr> {
    let mut addresses = HashSet::new();
    let first = candidates
        .iter()
        .filter(|candidate| addresses.insert(candidate.new.email.key()));
    let rows = first
        .map(|candidate| Account::pending(candidate.id, &candidate.new, now))
        .collect();
    Ok(accounts::insert(tx, rows).await?.into_iter().collect())
}

/// A commit whose answer was lost may have happened. Whoever then meets its own id in the table has its account.
async fn own_from_before(
    tx: &impl ConnectionTrait,
    candidates: &[&SignUp],
    inserted: &HashSet<Uuid>,
) -> Result<HashMap<Uuid, Account>, DbErr> {
    let lost = candidates
        .iter()
        .map(|candidate| candidate.id)
        .filter(|id| !inserted.contains(id));
    let own = accounts::by_ids(tx, lost).await?;
    Ok(own
        .into_iter()
        .map(|account| (account.id, account))
        .collect())
}
