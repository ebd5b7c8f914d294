//! Answers that are no mails: problems, each with a sentence.

use std::io;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use kit::words;
use uuid::Uuid;

use crate::api::Problem;

/// Why there is nothing under an id.
pub(super) const NO_MAIL: &str =
    "There is no mail with this id: it was deleted, or has made room for newer ones.";

/// An id of a path; what is none is nobody's.
pub(super) fn id_of(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

pub(super) fn not_found(sentence: &str) -> Response {
    problem(StatusCode::NOT_FOUND, sentence.to_owned())
}

pub(super) fn invalid(sentence: String) -> Response {
    problem(StatusCode::BAD_REQUEST, sentence)
}

pub(super) fn forbidden(sentence: &str) -> Response {
    problem(StatusCode::FORBIDDEN, sentence.to_owned())
}

/// What the disk has against it.
pub(super) fn failed(error: &io::Error) -> Response {
    let why = words::of_io(error);
    tracing::warn!("The mails cannot be read or changed: {why}.");
    let sentence = format!("The mails cannot be read or changed: {why}.");
    problem(StatusCode::INTERNAL_SERVER_ERROR, sentence)
}

fn problem(status: StatusCode, error: String) -> Response {
    (status, Json(Problem { error })).into_response()
}
