//! What operators may do with a service's dead letters: decodes each request, does it, encodes the
//! reply. Services put these four calls into their own admin service.

use std::{collections::HashSet, sync::Arc};

use proto::letters::{
    DeadLetter, DropDeadLettersRequest, DropDeadLettersResponse, GetDeadLetterRequest,
    GetDeadLetterResponse, ListDeadLettersRequest, ListDeadLettersResponse,
    ReplayDeadLettersRequest, ReplayDeadLettersResponse, ReplayOutcome, Replayed,
};
use sea_orm::DbErr;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::{
    handler::Handler,
    letters::{self, Model, Wanted},
    settle::{Settled, Verdict, bury},
    trace,
};
use crate::{
    clock::Timestamp,
    db::{Db, detached},
    page::{Page, PageToken},
    serve,
    telemetry::span,
};

/// Most that one call replays: each takes a transaction.
const REPLAYED_AT_ONCE: usize = 100;
/// Most that one call drops.
const DROPPED_AT_ONCE: usize = 500;

/// The dead letters of one service, and the handler that could not handle them.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    db: Db,
    handler: Handler,
}

impl DeadLetters {
    /// The dead letters in `db`; `handler` is the one that its consumer has.
    pub fn new(db: Db, handler: Handler) -> Self {
        Self { db, handler }
    }

    /// `ListDeadLetters`.
    ///
    /// # Errors
    /// The refusal.
    pub async fn list(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let page = Page::parse(request.page_size, &request.page_token);
        let page = page.map_err(|violations| serve::invalid_argument(&violations))?;
        let reader = self.db.reader();
        let now = self.db.now(reader).await.map_err(refused)?;
        let wanted = wanted(request, now)?;
        let next_to = page.after().map(|token| token.id);
        let found = letters::newest_first(reader, &wanted, next_to, page.limit()).await;
        let mut letters = found.map_err(refused)?;
        let next = page.cut(&mut letters, |letter| PageToken {
            at: letter.last_at,
            id: letter.id,
        });
        Ok(Response::new(ListDeadLettersResponse {
            letters: letters.iter().map(shown).collect(),
            next_page_token: next.map(PageToken::to_text).unwrap_or_default(),
        }))
    }

    /// `GetDeadLetter`.
    ///
    /// # Errors
    /// The refusal; NOT_FOUND where there is no such letter.
    pub async fn get(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<GetDeadLetterResponse>, Status> {
        let id = serve::uuid("id", &request.get_ref().id)?;
        let found = letters::by_id(self.db.reader(), id).await;
        let Some(letter) = found.map_err(refused)? else {
            let message = "There is no dead letter with this id.";
            let reason = "DEAD_LETTER_NOT_FOUND";
            return Err(serve::refused(Code::NotFound, message, reason));
        };
        let mut headers = std::collections::HashMap::new();
        for (name, values) in letter.headers().iter() {
            if let Some(value) = values.first() {
                headers.insert(name.to_string(), value.as_str().to_owned());
            }
        }
        Ok(Response::new(GetDeadLetterResponse {
            letter: Some(shown(&letter)),
            headers,
            payload: letter.payload,
        }))
    }

    /// `ReplayDeadLetters`: hands each to the handler alone, so that one that kills it takes nobody
    /// along. One that is handled goes with its commit.
    ///
    /// # Errors
    /// The refusal.
    pub async fn replay(
        &self,
        request: Request<ReplayDeadLettersRequest>,
    ) -> Result<Response<ReplayDeadLettersResponse>, Status> {
        let ids = ids(&request.get_ref().ids, REPLAYED_AT_ONCE)?;
        let letters = self.clone();
        // A caller that goes away does not cut what follows a commit.
        let replayed = detached(async move { letters.replay_each(ids).await }).await;
        let replayed = replayed.map_err(refused)?;
        Ok(Response::new(ReplayDeadLettersResponse { replayed }))
    }

    /// `DropDeadLetters`.
    ///
    /// # Errors
    /// The refusal.
    pub async fn drop(
        &self,
        request: Request<DropDeadLettersRequest>,
    ) -> Result<Response<DropDeadLettersResponse>, Status> {
        let ids = ids(&request.get_ref().ids, DROPPED_AT_ONCE)?;
        let dropped = async {
            let tx = self.db.write("drop dead letters").await?;
            let dropped = letters::delete(&tx, &ids).await?;
            tx.commit().await?;
            Ok(dropped)
        };
        let dropped = dropped.await.map_err(refused)?;
        let number = dropped.try_into().unwrap_or(u32::MAX);
        tracing::info!(dropped, "An operator dropped dead letters.");
        Ok(Response::new(DropDeadLettersResponse { dropped: number }))
    }

    async fn replay_each(&self, ids: Vec<Uuid>) -> Result<Vec<Replayed>, DbErr> {
        let mut all = Vec::with_capacity(ids.len());
        let mut is_away = false;
        for id in ids {
            let (outcome, reason) = match letters::by_id(self.db.reader(), id).await? {
                // The others would wait as long.
                Some(_) if is_away => (ReplayOutcome::NotNow, ""),
                Some(letter) => self.replay_one(&letter).await,
                None => (ReplayOutcome::Gone, ""),
            };
            is_away |= outcome == ReplayOutcome::NotNow;
            all.push(Replayed {
                id: id.to_string(),
                outcome: outcome.into(),
                reason: reason.to_owned(),
            });
        }
        Ok(all)
    }

    async fn replay_one(&self, letter: &Model) -> (ReplayOutcome, &'static str) {
        let mut delivery = letter.delivery();
        let number = i64::from(delivery.attempts);
        trace::begin(&mut delivery, number, self.db.clock().now());
        let context = delivery.context.clone();
        let verdicts = self.handler.handle(Arc::new(vec![delivery.clone()])).await;
        let verdict = match verdicts.as_deref() {
            Some([verdict]) => *verdict,
            _ => {
                tracing::error!(letter = %letter.id, "The handler of events panicked at a replay.");
                span::fail(&context, "panic");
                return (ReplayOutcome::Failed, "");
            }
        };
        let settled = match verdict {
            Verdict::Settled(settled) => Ok(settled),
            Verdict::Reject(reason) => bury(&self.db, &delivery, reason).await.map_err(drop),
            Verdict::Retry(_) => Err(()),
        };
        match settled {
            Ok(Settled { rejected: None }) => {
                span::end(&context);
                (ReplayOutcome::Handled, "")
            }
            Ok(Settled {
                rejected: Some(reason),
            }) => {
                span::fail(&context, reason);
                (ReplayOutcome::Rejected, reason)
            }
            Err(()) => {
                span::fail(&context, "let_go");
                (ReplayOutcome::NotNow, "")
            }
        }
    }
}

fn wanted(request: ListDeadLettersRequest, now: Timestamp) -> Result<Wanted, Status> {
    let account_id = match &*request.account_id {
        "" => None, // of all accounts
        id => Some(serve::uuid("account_id", id)?),
    };
    let ago = |field, age: Option<prost_types::Duration>| {
        let invalid = |_| serve::invalid_argument(&[(field, "must not be negative".to_owned())]);
        let age = age.map(std::time::Duration::try_from).transpose();
        age.map(|age| age.map(|age| now - age)).map_err(invalid)
    };
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Wanted {
        before: ago("older_than", request.older_than)?,
        after: ago("newer_than", request.newer_than)?,
        reason: text(request.reason),
        subject: text(request.subject),
        account_id,
    })
}

fn ids(texts: &[String], most: usize) -> Result<Vec<Uuid>, Status> {
    if texts.is_empty() || texts.len() > most {
        let why = format!("must be between 1 and {most}");
        return Err(serve::invalid_argument(&[("ids", why)]));
    }
    let (mut ids, mut seen) = (Vec::with_capacity(texts.len()), HashSet::new());
    for text in texts {
        let id = serve::uuid("ids", text)?;
        if seen.insert(id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Of what strangers may have written, only what can name nobody.
fn shown(letter: &Model) -> DeadLetter {
    let only_a_uuid =
        |text: &str| serve::parse_uuid(text).map_or(String::new(), |id| id.to_string());
    DeadLetter {
        id: letter.id.to_string(),
        stream: letter.stream.clone(),
        sequence: letter.sequence.cast_unsigned(),
        durable: letter.durable.clone(),
        subject: letter.subject.clone(),
        event_id: only_a_uuid(&letter.event_id),
        account_id: only_a_uuid(&letter.ce_subject),
        reason: letter.reason.clone(),
        attempts: letter.attempts.try_into().unwrap_or_default(),
        first_at: Some(letter.first_at.into()),
        last_at: Some(letter.last_at.into()),
    }
}

fn refused(error: DbErr) -> Status {
    let away = "The database does not answer. Try again in a moment.";
    serve::store_failed(&error.into(), away)
}
