//! The page for people: a list with a search, and each mail with its HTML in a frame in which
//! nothing runs, loads or leads anywhere. All that mails say is escaped by the templates.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, State},
    http::{
        HeaderMap,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    },
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use minijinja::{Environment, value::Serde};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    answers::{NO_MAIL, failed, forbidden, id_of, not_found},
    headers::{FRAME, PAGE, is_from_here},
};
use crate::{
    api::{HeaderField, Mail},
    store::{Filter, From, Store},
};

/// Mails of a page.
const LENGTH: usize = 50;

#[derive(Debug, Clone)]
struct Pages {
    store: Store,
    templates: Arc<Environment<'static>>,
}

pub(super) fn router(store: Store) -> Router {
    let templates = Arc::new(templates());
    Router::new()
        .route("/", get(list))
        .route("/style.css", get(style))
        .route("/mails/{id}", get(show))
        .route("/mails/{id}/html", get(html))
        .route("/mails/{id}/delete", post(delete))
        .with_state(Pages { store, templates })
}

/// By their names, all are escaped.
fn templates() -> Environment<'static> {
    let mut templates = Environment::new();
    for (name, text) in [
        ("frame.html", include_str!("../../templates/frame.html")),
        ("list.html", include_str!("../../templates/list.html")),
        ("mail.html", include_str!("../../templates/mail.html")),
    ] {
        let added = templates.add_template(name, text);
        added.expect("a test renders each of them");
    }
    templates
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    to: String,
    #[serde(default)]
    text: String,
    before: Option<Uuid>,
}

/// What `list.html` shows.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    mails: Vec<&'a Mail>,
    to: String,
    text: String,
    before: Option<Uuid>,
    /// The `before` of the next page.
    older: Option<Uuid>,
}

/// What `mail.html` shows.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    mail: &'a Mail,
    headers: Vec<HeaderField>,
    body: Option<String>,
    has_html: bool,
}

async fn list(State(pages): State<Pages>, query: Query<Asked>) -> Response {
    let Asked { to, text, before } = query.0;
    let filter = Filter::new(&to, &text);
    let found = match pages.store.find(filter, From::Newest(before), LENGTH).await {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    let last = found.mails.last().filter(|_| found.is_more);
    pages.render(
        "list.html",
        Listed {
            mails: found.mails.iter().map(|mail| &**mail).collect(),
            older: last.map(|mail| mail.id),
            to,
            text,
            before,
        },
    )
}

async fn show(State(pages): State<Pages>, Path(id): Path<String>) -> Response {
    let read = match id_of(&id) {
        Some(id) => pages.store.open_mail(id).await,
        None => Ok(None),
    };
    match read {
        Ok(Some((mail, content))) => {
            let shown = Shown {
                mail: &mail,
                has_html: content.html.is_some(),
                headers: content.headers,
                body: content.text,
            };
            pages.render("mail.html", shown)
        }
        Ok(None) => not_found(NO_MAIL),
        Err(error) => failed(&error),
    }
}

/// The HTML part as it came: harmless by its policy, in the frame and out of it.
async fn html(State(pages): State<Pages>, Path(id): Path<String>) -> Response {
    let read = match id_of(&id) {
        Some(id) => pages.store.open_mail(id).await,
        None => Ok(None),
    };
    match read.map(|read| read.and_then(|(_, content)| content.html)) {
        Ok(Some(html)) => ([(CONTENT_SECURITY_POLICY, FRAME)], Html(html)).into_response(),
        Ok(None) => not_found("There is no such mail, or it has no HTML part."),
        Err(error) => failed(&error),
    }
}

async fn delete(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !is_from_here(&headers) {
        return forbidden("A page of somebody else asked for that.");
    }
    let deleted = match id_of(&id) {
        Some(id) => pages.store.delete_one(id).await,
        None => Ok(false),
    };
    match deleted {
        // One that is gone already is deleted, too.
        Ok(_) => Redirect::to("/").into_response(),
        Err(error) => failed(&error),
    }
}

async fn style() -> impl IntoResponse {
    let style = include_str!("../../templates/style.css");
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], style)
}

impl Pages {
    fn render(&self, name: &str, values: impl Serialize) -> Response {
        let page = self.templates.get_template(name);
        match page.and_then(|page| page.render(Serde(values))) {
            Ok(page) => {
                let policies = [
                    (CONTENT_SECURITY_POLICY, PAGE),
                    (REFERRER_POLICY, "same-origin"),
                ];
                (policies, Html(page)).into_response()
            }
            Err(error) => failed(&std::io::Error::other(error.to_string())),
        }
    }
}
