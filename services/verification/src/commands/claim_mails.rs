//! ClaimMails and its kin: the delivery's hold on due mails. Claimed, renewed while they are under way, let go when
//! they cannot be sent.

use std::time::Duration;

use kit::clock::Timestamp;
use sea_orm::{DbBackend, DbErr};

use super::{Claim, Commands, Mail};
use crate::{
    domain::mail::Turn,
    store::{self, Code},
};

impl Commands {
    /// Claims up to `most` due mails, of them at most `most_again` that were tried before. Returns fewer when there is
    /// less room in memory.
    pub(crate) async fn claim_mails(
        &self,
        most: usize,
        most_again: usize,
    ) -> Result<Vec<Mail>, DbErr> {
        let mut room = self.queue.reserve(most);
        if room.len() == 0 {
            return Ok(Vec::new());
        }
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        let lease = now + self.rules.lease;
        let mut codes =
            store::mails::claim(&tx, now, lease, Turn::First, room.len() as u64).await?;
        let left = (room.len() - codes.len()).min(most_again);
        if left > 0 {
            codes.extend(store::mails::claim(&tx, now, lease, Turn::Again, left as u64).await?);
        }
        let accounts = codes.iter().map(|code| code.account_id).collect();
        let people = store::verifications::find_all(&tx, accounts).await?;
        tx.commit().await?;
        let mut mails = Vec::with_capacity(codes.len());
        for code in codes {
            let Some(person) = people.get(&code.account_id) else {
                continue;
            };
            match self.mail(&code, person, &mut room) {
                Some(mail) => mails.push(mail),
                None => self.replace_keyless(code).await?,
            }
        }
        Ok(mails)
    }

    /// Makes the claims hold for another lease.
    pub(crate) async fn renew_claims(&self, claims: &[Claim]) -> Result<(), DbErr> {
        let tx = self.db.begin().await?;
        let until = self.db.now(&tx).await? + self.rules.lease;
        store::mails::set_leases(&tx, until, claims).await?;
        tx.commit().await
    }

    /// Ends the claims; whoever can sends the mails, nothing is counted.
    pub(crate) async fn release_claims(&self, claims: &[Claim]) -> Result<(), DbErr> {
        let tx = self.db.begin().await?;
        store::mails::set_leases(&tx, Timestamp(0), claims).await?;
        tx.commit().await
    }

    /// How many mails are due, and how long the one that waits longest has been.
    pub(crate) async fn count_due(&self) -> Result<(i64, Duration), DbErr> {
        let reader = self.db.reader();
        let now = self.db.now(reader).await?;
        let (number, oldest) = store::mails::due(reader, now).await?;
        Ok((
            number,
            oldest.map(|oldest| now.since(oldest)).unwrap_or_default(),
        ))
    }

    /// With SQLite this process owns the database alone: claims that it finds are those of one that died.
    pub(crate) async fn end_stale_claims(&self) -> Result<(), DbErr> {
        if self.db.backend() != DbBackend::Sqlite {
            return Ok(());
        }
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        store::mails::end_all_claims(&tx, now).await?;
        tx.commit().await
    }

    /// A pending mail whose key is gone gets the next code. In a transaction of its own, because the account's lock
    /// comes before its codes' everywhere.
    async fn replace_keyless(&self, code: Code) -> Result<(), DbErr> {
        tracing::warn!(code.id = %code.id, key.id = code.key_id, "The key of a pending code is gone; it is replaced.");
        self.replace_codes(vec![(code.id, code.account_id)], "its key is gone")
            .await
    }
}
