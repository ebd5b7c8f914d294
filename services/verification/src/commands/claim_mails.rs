//! Claims mails that are due and loads them: the cold path from the table to the delivery.

use std::{sync::Arc, time::Duration};

use kit::{
    db::{Db, StoreError},
    keyring::KeyRing,
};

use super::replace_keyless::ReplaceKeyless;
use crate::{
    delivery::queue::{Mail, Queue},
    domain::Turn,
    store,
};

#[derive(Debug, Clone)]
pub(crate) struct ClaimMails {
    pub(crate) db: Db,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) queue: Queue,
    /// How long a claim holds.
    pub(crate) lease: Duration,
    pub(crate) replace_keyless: ReplaceKeyless,
}

impl ClaimMails {
    /// Claims up to `most` due mails, of them at most `most_again` that were tried before. Returns fewer when there
    /// is less room in memory.
    pub(crate) async fn run(
        &self,
        most: usize,
        most_again: usize,
    ) -> Result<Vec<Mail>, StoreError> {
        let mut room = self.queue.reserve(most);
        if room.len() == 0 {
            return Ok(Vec::new());
        }
        let tx = self.db.write("claim mails").await?;
        let until = tx.now() + self.lease;
        let mut codes = store::mails::claim(&tx, until, Turn::First, room.len() as u64).await?;
        let left = (room.len() - codes.len()).min(most_again);
        if left > 0 {
            codes.extend(store::mails::claim(&tx, until, Turn::Again, left as u64).await?);
        }
        let accounts = codes.iter().map(|code| code.account_id).collect();
        let verifications = store::verifications::find_all(&tx, accounts).await?;
        tx.commit().await?;
        let mut mails = Vec::with_capacity(codes.len());
        for code in codes {
            let Some(verification) = verifications.get(&code.account_id) else {
                continue;
            };
            let Some(digits) = code.digits(&self.keys) else {
                // Another transaction: the account's lock comes before its codes' everywhere.
                self.replace_keyless.run(&code).await?;
                continue;
            };
            let place = room.take_one();
            mails.extend(place.map(|place| Mail::new(&code, verification, digits, place)));
        }
        Ok(mails)
    }
}
