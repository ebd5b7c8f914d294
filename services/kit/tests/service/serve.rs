//! Listening and stopping: probes, the operators' token, health, reflection, and a shutdown that
//! nothing holds up.

use std::{net::SocketAddr, time::Duration};

use kit::{
    serve::{AdminToken, client},
    testing::eventually,
};
use proto::mailer::mailer_admin_server::SERVICE_NAME;
use tokio::net::TcpStream;
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    outbox::Migrator,
    running::{start, start_on},
};

#[tokio::test]
async fn i20_readiness_tells_what_is_away_and_stays_ready() {
    let running = start().await;
    assert_eq!(running.get("/livez").await.0, 200);
    let (code, body) = running.get("/readyz").await;
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    let mut broker = report["degraded"]["broker"].clone();
    let since = broker["since"].take();
    assert!(since.as_str().is_some_and(|since| since.ends_with('Z')));
    assert_eq!(
        (code, &report["ready"], broker),
        (
            200,
            &true.into(),
            serde_json::json!({
                "reason": "the broker is not connected",
                "since": null,
                "means": "Events wait.",
                "advice": "Bring it back.",
            })
        )
    );
    assert_eq!(report["degraded"].as_object().unwrap().len(), 1);
    let (_, again) = running.get("/readyz").await;
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    let since_then = &again["degraded"]["broker"]["since"];
    assert_eq!(*since_then, since, "each look tells the same beginning");
    running.stop().await;
}

#[tokio::test]
async fn operators_need_the_token_and_probes_do_not() {
    let running = start().await;
    assert_eq!(
        running.list("guessed").await.unwrap_err().code(),
        Code::Unauthenticated
    );
    assert_eq!(
        running.list("").await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let token = std::fs::read_to_string(running.folder.path().join("admin-token")).unwrap();
    running.list(&token).await.unwrap();
    assert_eq!(running.get("/metrics").await.0, 200);
    running.stop().await;
}

#[tokio::test]
async fn a_token_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = kit::testing::folder();
    let path = folder.path().join("admin-token");
    AdminToken::read_or_make(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = AdminToken::read_or_make(&path).unwrap_err().to_string();
    assert!(refused.contains("Run: chmod 600"), "{refused}");
}

#[tokio::test]
async fn i20_grpc_health_names_each_service_and_reflection_answers() {
    let running = start().await;
    let channel = client(&format!("http://{}", running.addr)).unwrap();
    for service in ["", SERVICE_NAME] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        eventually(
            "health to be reported",
            Duration::from_secs(5),
            async || {
                let answer = HealthClient::new(channel.clone())
                    .check(request.clone())
                    .await
                    .ok()?;
                (answer.into_inner().status == 1).then_some(()) // SERVING
            },
        )
        .await;
    }
    let listed = services_of(running.addr, String::new()).await;
    assert_eq!(
        listed,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            SERVICE_NAME
        ]
    );
    running.stop().await;
}

#[test]
fn an_empty_token_file_stops_a_start_and_is_named() {
    let folder = kit::testing::folder();
    let path = folder.path().join("admin-token");
    AdminToken::read_or_make(&path).unwrap();
    std::fs::write(&path, "\n").unwrap();
    let refusal = AdminToken::read_or_make(&path).unwrap_err().to_string();
    assert!(
        refusal.contains("admin-token cannot be used: it is empty"),
        "{refusal}"
    );
}

#[tokio::test]
async fn operators_find_their_services_by_reflection_with_the_token() {
    let running = start().await;
    let token = std::fs::read_to_string(running.folder.path().join("admin-token")).unwrap();
    assert_eq!(
        services_of(running.admin_addr, token).await,
        ["grpc.reflection.v1.ServerReflection", SERVICE_NAME]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_probe_of_a_path_that_there_is_not_is_told_so() {
    let running = start().await;
    let (code, body) = running.get("/healthz").await;
    assert_eq!(code, 404);
    assert!(body.contains("/livez"), "{body}");
    running.stop().await;
}

/// What reflection lists, in alphabetical order.
async fn services_of(addr: SocketAddr, token: String) -> Vec<String> {
    let channel = client(&format!("http://{addr}")).unwrap();
    let mut reflection =
        ServerReflectionClient::with_interceptor(channel, move |mut request: Request<()>| {
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {token}").parse().unwrap());
            Ok(request)
        });
    let all = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let answers = reflection
        .server_reflection_info(tokio_stream::iter([all]))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list of services: {answer:?}");
    };
    let mut names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn i18_a_silent_connection_and_a_hanging_worker_do_not_hold_up_a_shutdown() {
    let running = start().await;
    let _silent = TcpStream::connect(running.addr).await.unwrap();
    running.stages.tasks.spawn(std::future::pending::<()>());
    assert!(running.stop().await < Duration::from_secs(10));
}

#[tokio::test]
async fn i18_a_shutdown_stops_work_first_and_finishes_it_after_the_servers() {
    let running = start().await;
    let (stop, finish) = (running.stages.stop.clone(), running.stages.finish.clone());
    let order = running.stages.tasks.spawn(async move {
        stop.cancelled().await;
        let finish_came_with_it = finish.is_cancelled();
        finish.cancelled().await;
        finish_came_with_it
    });
    assert!(
        running.stop().await < Duration::from_secs(2),
        "nothing hangs, so nothing is waited for"
    );
    assert!(!order.await.unwrap());
}

#[tokio::test]
async fn i20_a_database_whose_tables_are_not_current_is_not_ready() {
    let running = start_on::<Migrator>().await;
    let (code, body) = running.get("/readyz").await;
    assert_eq!(code, 503);
    assert!(
        body.contains("the database's tables are not current"),
        "{body}"
    );
    assert_eq!(
        running.get("/livez").await.0,
        200,
        "a restart would not help"
    );
    running.stop().await;
}
