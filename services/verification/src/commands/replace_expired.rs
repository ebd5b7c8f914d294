//! ReplaceExpired: a code that expired while its mail was pending. If no attempt got as far as the mail server the
//! next code takes its place, so that an outage longer than a code's life loses nobody; else it ends here.

use kit::clock::Timestamp;
use opentelemetry::Context;
use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::{Commands, Mail};
use crate::store::{
    self, Code, CodeState, MailState, Verification,
    history::{Fact, What},
};

/// Most codes of one transaction.
const ROUND: u64 = 250;

impl Commands {
    /// Takes pending mails whose code has expired. Returns whether there may be more.
    pub(crate) async fn replace_expired(&self) -> Result<bool, DbErr> {
        let reader = self.db.reader();
        let expired = store::mails::expired(reader, self.db.now(reader).await?, ROUND).await?;
        if expired.is_empty() {
            return Ok(false); // as nearly always: a look costs no write transaction
        }
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        let whole = expired.len() as u64 == ROUND;
        // First the accounts' locks, as everywhere, then the codes again as they are under them.
        let people = store::verifications::lock_free(&tx, accounts(&expired)).await?;
        let codes = expired.iter().map(|(code_id, _)| *code_id).collect();
        let mut mails = Vec::new();
        for code in store::mails::still_expired(&tx, now, codes).await? {
            if let Some(person) = people.get(&code.account_id) {
                mails.extend(self.end_expired(&tx, now, person, &code).await?);
            }
        }
        tx.commit().await?;
        self.queue.hand_over(mails);
        self.watches.notify(&accounts(&expired));
        Ok(whole && !people.is_empty())
    }

    /// Replaces codes that are live and whose mail is pending.
    pub(super) async fn replace_codes(
        &self,
        codes: Vec<(Uuid, Uuid)>,
        why: &str,
    ) -> Result<(), DbErr> {
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        let people = store::verifications::lock_free(&tx, accounts(&codes)).await?;
        let mut mails = Vec::new();
        for (code_id, account_id) in &codes {
            let Some(person) = people.get(account_id) else {
                continue;
            };
            let Some(newest) = store::codes::newest(&tx, *account_id).await? else {
                continue;
            };
            let waits = newest.state == CodeState::Live && newest.mail_state == MailState::Pending;
            if newest.id == *code_id && waits {
                mails.extend(
                    self.replace(&tx, now, person, &newest, why, &Context::new())
                        .await?,
                );
            }
        }
        tx.commit().await?;
        self.queue.hand_over(mails);
        self.watches.notify(&accounts(&codes));
        Ok(())
    }

    async fn end_expired(
        &self,
        tx: &DatabaseTransaction,
        now: Timestamp,
        person: &Verification,
        code: &Code,
    ) -> Result<Option<Mail>, DbErr> {
        if !code.mail_reached {
            // A trace of its own: the one that made the code ended a code's life ago.
            return self
                .replace(tx, now, person, code, "it expired unsent", &Context::new())
                .await;
        }
        store::mails::mark_expired(tx, vec![code.id]).await?;
        let ended = Fact::of_code(code.account_id, code.id, What::MailUndelivered);
        store::history::append(
            tx,
            now,
            vec![Fact {
                detail: "expired".to_owned(),
                ..ended
            }],
        )
        .await?;
        Ok(None)
    }
}

fn accounts(codes: &[(Uuid, Uuid)]) -> Vec<Uuid> {
    codes.iter().map(|(_, account_id)| *account_id).collect()
}
