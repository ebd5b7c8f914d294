//! Who tells verification of accounts by calls.

use proto::{
    accounts::AccountCreated,
    verification::{IssueCodeRequest, IssueCodeResponse},
};
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};

use crate::{
    client::Client,
    world::{Service, World},
};

/// What a caller is told.
pub(crate) type Answer = Result<IssueCodeResponse, Status>;

/// The call about an account.
pub(crate) fn call(event: &AccountCreated) -> IssueCodeRequest {
    IssueCodeRequest {
        account_id: event.account_id.clone(),
        email: event.email.clone(),
        display_name: event.display_name.clone(),
        locale: event.locale.clone(),
        account_created_at: event.created_at,
        await_mail: false,
    }
}

/// The same, waiting for the mail.
pub(crate) fn awaiting(event: &AccountCreated) -> IssueCodeRequest {
    IssueCodeRequest {
        await_mail: true,
        ..call(event)
    }
}

/// With this in front of it, under `authorization`.
pub(crate) fn with_token(token: &str, message: IssueCodeRequest) -> Request<IssueCodeRequest> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", token.parse().unwrap());
    request
}

/// The token of the services of this world, once one of them has made it.
pub(crate) fn token(world: &World) -> String {
    let text = std::fs::read_to_string(world.file("admin-token")).unwrap();
    format!("Bearer {}", text.trim())
}

pub(crate) async fn send(client: &Client, request: Request<IssueCodeRequest>) -> Answer {
    let answer = client.0.clone().issue_code(request).await;
    answer.map(Response::into_inner)
}

/// What the service answers to who has the token.
pub(crate) async fn issue(service: &Service, request: IssueCodeRequest) -> Answer {
    send(&service.client(), service.as_operator(request)).await
}

/// A call under way.
pub(crate) fn begin(client: &Client, request: Request<IssueCodeRequest>) -> JoinHandle<Answer> {
    let client = client.clone();
    tokio::spawn(async move { send(&client, request).await })
}

/// Nothing of the accounts of these tests stands in what a caller is told.
pub(crate) fn names_nobody(refused: &Status) {
    let said = format!("{refused:?}").to_lowercase();
    for canary in ["canar", "lovelace"] {
        assert!(!said.contains(canary), "{said}");
    }
}
