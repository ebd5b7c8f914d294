//! Reflection on both listeners: there for tools such as grpcurl, and gone where it is turned off.

use std::net::SocketAddr;

use kit::testing::{channel, free_port};
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::alone::Alone;

/// What the listener at `addr` lists.
async fn services_of(addr: SocketAddr, token: &str) -> Result<Vec<String>, Status> {
    let mut reflection = ServerReflectionClient::new(channel(addr));
    let all = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut request = Request::new(tokio_stream::iter([all]));
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let mut answers = reflection
        .server_reflection_info(request)
        .await?
        .into_inner();
    let answer = answers.message().await?.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list of services: {answer:?}");
    };
    Ok(list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_is_on_and_can_be_turned_off_on_both_listeners() {
    for (setting, is_on) in [("", true), ("on", true), ("off", false)] {
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let accounts = Alone::start(
            "accounts",
            &[
                ("USHER_REFLECTION", setting),
                ("USHER_ADMIN_LISTEN", &admin.to_string()),
            ],
        )
        .await;
        let public = services_of(accounts.addr(), "").await;
        // Only now: it listens before it makes its token, but it does not answer.
        let operators = services_of(admin, &accounts.token()).await;
        for (listed, own) in [
            (public, "usher.accounts.v1.AccountsService"),
            (operators, "usher.accounts.v1.AccountsAdmin"),
        ] {
            match listed {
                Ok(listed) => assert!(is_on && listed.iter().any(|one| one == own), "{listed:?}"),
                Err(status) => assert!(!is_on && status.code() == Code::Unimplemented, "{status}"),
            }
        }
        accounts.terminate().await;
    }
}
