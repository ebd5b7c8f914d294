//! What Kubernetes' API refuses, in words a person can act on. Its own words are shown where they
//! cannot quote what was sent.

use hyper::StatusCode;
use serde_json::Value as Json;

use crate::{
    exit::{Exit, Failure},
    web::{Answered, WebUrl},
};

/// The Secret `name` could not be `what` (read, made, changed).
pub(super) fn of(what: &str, name: &str, namespace: &str, answered: &Answered) -> Failure {
    let status: Json = serde_json::from_slice(&answered.body).unwrap_or_default();
    let code = answered.status;
    let said = match (code, status["message"].as_str()) {
        // Of a body that it does not understand it quotes a piece.
        (StatusCode::BAD_REQUEST, _) | (_, None) => code.to_string(),
        (_, Some(message)) => message.to_owned(),
    };
    let message = format!("The Secret {name} in namespace {namespace} cannot be {what}: {said}.");
    let failure = Failure::new(Exit::Refused, message);
    match code {
        StatusCode::UNAUTHORIZED => failure.hint(
            "The token of the service account is not taken: it is of another cluster, or its account is gone.",
        ),
        StatusCode::FORBIDDEN => failure.hint(format!(
            "Its service account needs a Role in {namespace} with get, create and patch on secrets, and a RoleBinding; \
             a quota or an admission rule may refuse it, too."
        )),
        StatusCode::NOT_FOUND => failure.hint(format!(
            "Make the namespace: kubectl create namespace {namespace}"
        )),
        StatusCode::UNPROCESSABLE_ENTITY => failure.hint(format!(
            "Where a Secret is immutable, no key can be added: delete it and make it anew with all its keys \
             (kubectl --namespace {namespace} get secret {name} --output yaml)."
        )),
        _ => failure,
    }
}

pub(super) fn silence(url: &WebUrl, why: &str) -> Failure {
    let what = format!("Kubernetes' API does not answer at {url}: {why}.");
    Failure::new(Exit::Unavailable, what).hint(
        "A NetworkPolicy of the namespace may keep this pod from it; otherwise the control plane is away. What was made \
         stays: run it again.",
    )
}
