//! Pending mails that cannot be sent as they are: their code has expired, or its key is gone.

use std::time::Duration;

use kit::{clock::Timestamp, db::Tx};
use sea_orm::{
    ActiveEnum as _, DbErr, ExprTrait as _, QueryOrder as _, QuerySelect as _, Select,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};

use super::{
    codes::{CodeState, Column, Entity, MailState, Model},
    mails::unclaimed,
};

/// Why they cannot be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unsendable<'a> {
    Expired,
    /// Made from one of these keys.
    OfKeys(&'a [String]),
}

/// Up to `most` unclaimed ones: code and account.
pub(crate) async fn some(
    reader: &impl ConnectionTrait,
    which: Unsendable<'_>,
    now: Timestamp,
    lease: Duration,
    most: u64,
) -> Result<Vec<(Uuid, Uuid)>, DbErr> {
    let all = all(which, now, lease);
    let all = match which {
        Unsendable::Expired => all.order_by_asc(Column::ExpiresAt),
        Unsendable::OfKeys(_) => all,
    };
    all.limit(most)
        .select_only()
        .column(Column::Id)
        .column(Column::AccountId)
        .into_tuple()
        .all(reader)
        .await
}

/// Those of these codes for which that is still so, now that their accounts are locked: in the
/// order in which their rows are written.
pub(crate) async fn still(
    tx: &Tx,
    which: Unsendable<'_>,
    lease: Duration,
    codes: Vec<Uuid>,
) -> Result<Vec<Model>, DbErr> {
    let these = all(which, tx.now(), lease)
        .filter(Column::Id.is_in(codes))
        .order_by_asc(Column::Id);
    let these = match which {
        // Nobody claims those.
        Unsendable::Expired => these,
        // A replica that still has the key may be claiming one just now; then it has it. The others
        // cannot be claimed until the transaction ends.
        Unsendable::OfKeys(_) => {
            these.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        }
    };
    these.all(tx).await
}

/// Ends the mail of an expired code that an attempt got to the mail server.
pub(crate) async fn mark_expired(tx: &Tx, id: Uuid) -> Result<(), DbErr> {
    let undelivered = Expr::val(MailState::Undelivered.to_value());
    Entity::update_many()
        .col_expr(Column::MailState, undelivered)
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        .filter(Column::MailState.eq(MailState::Pending))
        .exec(tx)
        .await?;
    Ok(())
}

fn all(which: Unsendable<'_>, now: Timestamp, lease: Duration) -> Select<Entity> {
    let all = Entity::find()
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(unclaimed(now, lease));
    match which {
        Unsendable::Expired => all.filter(Column::ExpiresAt.lte(now)),
        Unsendable::OfKeys(keys) => all
            .filter(Column::State.eq(CodeState::Live))
            .filter(Column::KeyId.is_in(keys)),
    }
}
