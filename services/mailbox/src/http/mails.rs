//! `/api/v1/mails`: lists, shows and deletes, in JSON.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{Uri, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::answers::{NO_MAIL, failed, id_of, invalid, not_found};
use crate::{
    api::{Deleted, MailPage, WholeMail},
    store::{Filter, From, Store},
};

/// Mails of a page that nobody gave a size.
const USUAL_LIMIT: usize = 50;
const LARGEST_LIMIT: usize = 1_000;

pub(super) fn router(store: Store) -> Router {
    Router::new()
        .route("/mails", get(list).delete(delete_all))
        .route("/mails/{id}", get(show).delete(delete_one))
        .route("/mails/{id}/raw", get(raw))
        .with_state(store)
}

/// What is misspelt is refused: a `DELETE` would delete everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    to: String,
    #[serde(default)]
    text: String,
    /// The first page without it.
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    to: Option<String>,
    text: Option<String>,
}

async fn list(State(store): State<Store>, uri: Uri) -> Response {
    let query: ListQuery = match query(&uri) {
        Ok(query) => query,
        Err(refused) => return invalid(refused),
    };
    let limit = query.limit.unwrap_or(USUAL_LIMIT);
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        return invalid(format!("limit is a number from 1 to {LARGEST_LIMIT}."));
    }
    let after = Some(&*query.after).filter(|after| !after.is_empty());
    if after.is_some_and(|after| id_of(after).is_none()) {
        return invalid("after is the `next` of the page before, or the id of a mail.".to_owned());
    }
    let from = From::Oldest(after.and_then(id_of));
    let filter = Filter::new(&query.to, &query.text);
    match store.find(filter, from, limit).await {
        Ok(found) => {
            let last = found.mails.last().filter(|_| found.is_more);
            Json(MailPage {
                next: last.map(|mail| mail.id),
                mails: found.mails.iter().map(|mail| (**mail).clone()).collect(),
            })
            .into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn show(State(store): State<Store>, Path(id): Path<String>) -> Response {
    let read = match id_of(&id) {
        Some(id) => store.open_mail(id).await,
        None => Ok(None),
    };
    match read {
        Ok(Some((mail, content))) => Json(WholeMail {
            mail: (*mail).clone(),
            headers: content.headers,
            text: content.text,
            html: content.html,
        })
        .into_response(),
        Ok(None) => not_found(NO_MAIL),
        Err(error) => failed(&error),
    }
}

async fn raw(State(store): State<Store>, Path(id): Path<String>) -> Response {
    let read = match id_of(&id) {
        Some(id) => store.read(id).await,
        None => Ok(None),
    };
    match read {
        Ok(Some((mail, message))) => {
            let name = format!("attachment; filename=\"{}.eml\"", mail.id);
            let headers = [
                (header::CONTENT_TYPE, "message/rfc822".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (headers, message).into_response()
        }
        Ok(None) => not_found(NO_MAIL),
        Err(error) => failed(&error),
    }
}

async fn delete_one(State(store): State<Store>, Path(id): Path<String>) -> Response {
    let deleted = match id_of(&id) {
        Some(id) => store.delete_one(id).await,
        None => Ok(false),
    };
    match deleted {
        Ok(true) => Json(Deleted { deleted: 1 }).into_response(),
        Ok(false) => not_found(NO_MAIL),
        Err(error) => failed(&error),
    }
}

async fn delete_all(State(store): State<Store>, uri: Uri) -> Response {
    let query: DeleteQuery = match query(&uri) {
        Ok(query) => query,
        Err(refused) => return invalid(refused),
    };
    let given = [&query.to, &query.text];
    // Of a script whose variable is unset.
    if given
        .into_iter()
        .flatten()
        .any(|value| value.trim().is_empty())
    {
        let sentence = "to and text say which mails; leave them out to delete every mail.";
        return invalid(sentence.to_owned());
    }
    let [to, text] = given.map(|given| given.as_deref().unwrap_or_default());
    match store.delete(Filter::new(to, text)).await {
        Ok(deleted) => Json(Deleted { deleted }).into_response(),
        Err(error) => failed(&error),
    }
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, String> {
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(refused) => Err(format!("{}.", refused.body_text().trim_end_matches('.'))),
    }
}
