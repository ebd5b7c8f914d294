//! Table `resends`: how often another code was asked for, and whether the last request still waits.
//! One row an asker holds the times of the last ten requests, so that every limit is exact over a
//! rolling window and one guarded statement both checks and takes.

use std::time::Duration;

use kit::{clock::Timestamp, db::Tx};
use sea_orm::{
    DbErr, ExprTrait as _, QueryOrder as _, QuerySelect as _, Statement,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType, OnConflict, SimpleExpr},
};

use crate::domain::{REMEMBERED_RESENDS, RESEND_LIMITS};

/// One asker, known or not.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "resends")]
pub(crate) struct Model {
    /// HMAC of the address or the account id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject: Vec<u8>,
    /// Who is to get a code; none when nobody was found.
    pub(crate) account_id: Option<Uuid>,
    /// When it was asked for; none once it is served.
    pub(crate) wanted_at: Option<Timestamp>,
    pub(crate) taken_1_at: Timestamp,
    /// The one before; 0 where there was none.
    pub(crate) taken_2_at: Timestamp,
    pub(crate) taken_3_at: Timestamp,
    pub(crate) taken_4_at: Timestamp,
    pub(crate) taken_5_at: Timestamp,
    pub(crate) taken_6_at: Timestamp,
    pub(crate) taken_7_at: Timestamp,
    pub(crate) taken_8_at: Timestamp,
    pub(crate) taken_9_at: Timestamp,
    pub(crate) taken_10_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The times of the last requests, newest first.
const TAKEN: [Column; REMEMBERED_RESENDS] = [
    Column::Taken1At,
    Column::Taken2At,
    Column::Taken3At,
    Column::Taken4At,
    Column::Taken5At,
    Column::Taken6At,
    Column::Taken7At,
    Column::Taken8At,
    Column::Taken9At,
    Column::Taken10At,
];

/// Takes one request from the budget and writes down that it is to be served. Nothing is written,
/// and the answer is `false`, when a limit forbids it.
pub(crate) async fn take(tx: &Tx, subject: &[u8], account_id: Option<Uuid>) -> Result<bool, DbErr> {
    // 0 where nothing was asked yet: older than any limit, so that the guard lets it pass.
    let (now, none) = (tx.now(), Timestamp(0));
    let first = Model {
        subject: subject.to_vec(),
        account_id,
        wanted_at: Some(now),
        taken_1_at: now,
        taken_2_at: none,
        taken_3_at: none,
        taken_4_at: none,
        taken_5_at: none,
        taken_6_at: none,
        taken_7_at: none,
        taken_8_at: none,
        taken_9_at: none,
        taken_10_at: none,
    };
    let mut again = OnConflict::column(Column::Subject);
    again
        .value(Column::AccountId, Expr::val(account_id))
        .value(Column::WantedAt, Expr::val(now));
    again.value(TAKEN[0], Expr::val(now));
    // Each time moves one place on: every assignment reads the row as it was.
    for pair in TAKEN.windows(2) {
        again.value(pair[1], Expr::col((Entity, pair[0])));
    }
    // The guard is in the statement itself: of requests that come at once no more pass than the
    // budget has.
    for limit in RESEND_LIMITS {
        again.action_and_where(old(TAKEN[limit.nth - 1]).lte(now - limit.age));
    }
    let row = ActiveModel::from(first).reset_all();
    let written = Entity::insert(row)
        .on_conflict(again)
        .exec_without_returning(tx)
        .await?;
    Ok(written == 1)
}

/// Moves an asker's times that are in the future, all by the same, so that the last one is now.
pub(crate) async fn move_back(tx: &Tx, subject: &[u8]) -> Result<(), DbErr> {
    // After the clock was set back each limit would hold until it has come back to where it was.
    let mut moved = vec!["taken_1_at = $1".to_owned()];
    for nth in 2..=REMEMBERED_RESENDS {
        let taken = format!("taken_{nth}_at");
        moved.push(format!(
            "{taken} = CASE {taken} WHEN 0 THEN 0 ELSE {taken} - taken_1_at + $1 END"
        ));
    }
    let moved = moved.join(", ");
    let sql = format!("UPDATE resends SET {moved} WHERE subject = $2 AND taken_1_at > $1");
    let values = [tx.now().into(), subject.to_vec().into()];
    let backend = tx.get_database_backend();
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values))
        .await
        .map(drop)
}

/// How long ago the asker's last requests were, newest first.
pub(crate) async fn ages(tx: &Tx, subject: &[u8]) -> Result<Vec<Duration>, DbErr> {
    let Some(row) = Entity::find_by_id(subject.to_vec()).one(tx).await? else {
        return Ok(Vec::new());
    };
    let all = [
        row.taken_1_at,
        row.taken_2_at,
        row.taken_3_at,
        row.taken_4_at,
        row.taken_5_at,
        row.taken_6_at,
        row.taken_7_at,
        row.taken_8_at,
        row.taken_9_at,
        row.taken_10_at,
    ];
    let taken = all.into_iter().take_while(|at| at.0 > 0);
    Ok(taken.map(|at| tx.now().since(at)).collect())
}

/// Up to `most` askers whose last request is still to be served.
pub(crate) async fn wanted(db: &impl ConnectionTrait, most: u64) -> Result<Vec<Vec<u8>>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::Subject)
        .filter(Column::WantedAt.is_not_null())
        .order_by_asc(Column::WantedAt)
        .limit(most)
        .into_tuple()
        .all(db)
        .await
}

/// Takes the request off the list, in the transaction that serves it, and returns the account it is
/// for. None when there is no such account, or somebody else has served it.
pub(crate) async fn serve(tx: &Tx, subject: &[u8]) -> Result<Option<Uuid>, DbErr> {
    let served = Entity::update_many()
        .col_expr(Column::WantedAt, Expr::val(None::<i64>))
        .filter(Column::Subject.eq(subject.to_vec()))
        // Of two who serve it the second waits for the first one's row and finds nothing to do.
        .filter(Column::WantedAt.is_not_null())
        .exec_with_returning(tx)
        .await?;
    Ok(served.into_iter().next().and_then(|row| row.account_id))
}

/// Deletes up to `most` served rows whose last request is before `before`: no limit looks back that
/// far. Returns how many.
pub(crate) async fn forget(tx: &Tx, before: Timestamp, most: u64) -> Result<u64, DbErr> {
    delete_some(
        tx,
        Entity::find().filter(Column::Taken1At.lte(before)),
        most,
    )
    .await
}

/// The same for requests that no account answers to.
pub(crate) async fn forget_nobody(tx: &Tx, before: Timestamp, most: u64) -> Result<u64, DbErr> {
    let nobody = Entity::find()
        .filter(Column::Taken1At.lte(before))
        .filter(Column::AccountId.is_null());
    delete_some(tx, nobody, most).await
}

/// Where the newest `kept` requests that no account answers to end; nothing while there are no
/// more.
pub(crate) async fn end_of_nobody(
    db: &impl ConnectionTrait,
    kept: u64,
) -> Result<Option<Timestamp>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::Taken1At)
        .filter(Column::AccountId.is_null())
        .order_by_desc(Column::Taken1At)
        .offset(kept)
        .limit(1)
        .into_tuple()
        .one(db)
        .await
}

async fn delete_some(tx: &Tx, old: Select<Entity>, most: u64) -> Result<u64, DbErr> {
    let old = old
        .select_only()
        .column(Column::Subject)
        // A wish that waits is never forgotten, however old it is.
        .filter(Column::WantedAt.is_null())
        .order_by_asc(Column::Taken1At)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let old: Vec<Vec<u8>> = old.into_tuple().all(tx).await?;
    if old.is_empty() {
        return Ok(0);
    }
    let forgotten = Entity::delete_many().filter(Column::Subject.is_in(old));
    Ok(forgotten.exec(tx).await?.rows_affected)
}

/// The row's own value, not the one that the insert brought.
fn old(column: Column) -> SimpleExpr {
    Expr::col((Entity, column))
}
