//! What a child process does for the tests in `telemetry`: it runs as a service does, on a
//! current-thread runtime, and says on standard output what the parent needs to know.
#![expect(clippy::print_stdout, reason = "the parent reads it")]

use std::{env, time::Duration};

use clap::Parser as _;
use futures::{StreamExt as _, stream, stream::BoxStream};
use kit::{
    serve::Client,
    telemetry::{
        self,
        grpc::{CallerTraces, ServerLayer},
        span,
        span::Lineage,
    },
    testing::{SOON, eventually},
};
use opentelemetry::{
    Context,
    trace::{FutureExt as _, SpanContext, SpanKind, TraceContextExt as _},
};
use proto::accounts::{
    CreateAccountRequest, CreateAccountResponse, CreateAccountsRequest, CreateAccountsResponse,
    GetAccountRequest, GetAccountResponse, WatchAccountRequest, WatchAccountResponse,
    accounts_service_client::AccountsServiceClient,
    accounts_service_server::{AccountsService, AccountsServiceServer},
};
use tonic::{
    Code, Request, Response, Status, Streaming, async_trait, transport::server::TcpIncoming,
};

/// Names the scenario; without it this binary is no child.
pub(crate) const CHILD: &str = "USHER_TEST_SCENARIO";
/// Names the file that is made once the burst was seen.
pub(crate) const SEEN: &str = "USHER_TEST_SEEN";
pub(crate) const GET: &str = "usher.accounts.v1.AccountsService/GetAccount";
pub(crate) const TOO_OLD: &str = "too_old";

#[derive(clap::Parser)]
struct Settings {
    #[command(flatten)]
    telemetry: telemetry::TelemetrySettings,
}

#[test]
fn run_as_a_child() {
    let Ok(scenario) = env::var(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    println!();
    runtime.block_on(async {
        let started = telemetry::init("accounts", &Settings::parse_from(["test"]).telemetry);
        if scenario == "refused settings" {
            return println!("error: {:#}", started.unwrap_err());
        }
        match scenario.as_str() {
            "call" => call().await,
            "failures" => failures().await,
            "streams" => streams().await,
            "messages" => messages(),
            "burst" => burst().await,
            "lines" => lines().await,
            "panic" => assert!(std::thread::spawn(|| panic!("on purpose")).join().is_err()),
            other => panic!("no scenario {other}"),
        }
        started.unwrap().shutdown().await;
    });
}

async fn call() {
    let client = serve().await;
    let (trace, status) = get(client, "found").await;
    assert_eq!(status, Code::Ok);
    println!("trace: {trace}");
    for line in telemetry::metrics_text()
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (name, value) = line.rsplit_once(' ').unwrap();
        println!("{name}: {value}");
    }
}

async fn failures() {
    let client = serve().await;
    let (refused, status) = get(client.clone(), "missing").await;
    assert_eq!(status, Code::NotFound);
    let (broken, status) = get(client.clone(), "broken").await;
    assert_eq!(status, Code::Internal);
    let (unanswered, status) =
        get(kit::serve::client("http://127.0.0.1:1").unwrap(), "found").await;
    assert_eq!(status, Code::Unavailable);
    let root = span::internal("root", &Context::new(), []);
    let mut accounts = AccountsServiceClient::new(client);
    let endless = accounts
        .get_account(account("endless"))
        .with_context(root.clone());
    assert!(
        tokio::time::timeout(Duration::from_millis(100), endless)
            .await
            .is_err()
    );
    println!(
        "refused: {refused}\nbroken: {broken}\nunanswered: {unanswered}\ncancelled: {}",
        trace_id(&root)
    );
}

async fn streams() {
    let client = serve().await;
    let root = span::internal("root", &Context::new(), []);
    let watching = async {
        let mut accounts = AccountsServiceClient::new(client.clone());
        let request = WatchAccountRequest {
            account_id: "found".to_owned(),
        };
        accounts
            .watch_account(request)
            .await
            .unwrap()
            .into_inner()
            .collect::<Vec<_>>()
            .await
    };
    assert_eq!(watching.with_context(root.clone()).await.len(), 1);
    span::end(&root);
    let path = http::uri::PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let mut grpc = tonic::client::Grpc::new(client);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<GetAccountRequest, GetAccountResponse>::default();
    let asked = grpc
        .unary(Request::new(account("health")), path, codec)
        .with_context(root.clone())
        .await;
    assert_eq!(asked.unwrap_err().code(), Code::Unimplemented);
    println!("trace: {}\nhealth: asked", trace_id(&root));
}

fn messages() {
    let creation = span::producer("create subject", &Context::new(), []);
    span::end(&creation);
    let aged = |minutes: u64| Lineage::Aged(Duration::from_secs(60 * minutes));
    span::end(&span::process("fresh", &creation, aged(14), []));
    span::end(&span::process("replayed", &creation, Lineage::Replayed, []));
    let old = span::process("old", &creation, aged(16), []);
    span::fail(&old, TOO_OLD);
    let links = [&creation, &old].map(|context| context.span().span_context().clone());
    let links = links.into_iter().chain([SpanContext::empty_context()]);
    span::end(&span::linked(
        SpanKind::Internal,
        "batch",
        &Context::new(),
        [],
        links,
    ));
    println!("trace: {}", trace_id(&creation));
}

/// Ends when its test has seen enough: what an exit may take is another question.
async fn burst() {
    for _ in 0..20_000 {
        span::end(&span::internal("one of many", &Context::new(), []));
    }
    until_seen().await;
}

/// Logs before its test has seen enough, and after that.
async fn lines() {
    for turn in 0..2 {
        for _ in 0..1_000 {
            tracing::info!("One of many.");
        }
        if turn == 0 {
            until_seen().await;
        }
    }
}

async fn until_seen() {
    let seen = env::var(SEEN).unwrap();
    let seen = async || std::fs::exists(&seen).unwrap().then_some(());
    eventually("the test to see enough", SOON, seen).await;
}

/// A service on a free port, and a channel to it, both traced as `kit::serve` has them.
async fn serve() -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .layer(ServerLayer::new(CallerTraces::Continue))
        .add_service(AccountsServiceServer::new(Accounts))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    kit::serve::client(&url).unwrap()
}

async fn get(client: Client, id: &str) -> (String, Code) {
    let root = span::internal("root", &Context::new(), []);
    let mut accounts = AccountsServiceClient::new(client);
    let answer = accounts
        .get_account(account(id))
        .with_context(root.clone())
        .await;
    span::end(&root);
    (
        trace_id(&root),
        answer.map_or_else(|status| status.code(), |_| Code::Ok),
    )
}

fn account(id: &str) -> GetAccountRequest {
    GetAccountRequest {
        account_id: id.to_owned(),
    }
}

fn trace_id(context: &Context) -> String {
    context.span().span_context().trace_id().to_string()
}

struct Accounts;

#[async_trait]
impl AccountsService for Accounts {
    type CreateAccountsStream = BoxStream<'static, Result<CreateAccountsResponse, Status>>;
    type WatchAccountStream = BoxStream<'static, Result<WatchAccountResponse, Status>>;

    async fn create_account(
        &self,
        _: Request<CreateAccountRequest>,
    ) -> Result<Response<CreateAccountResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn create_accounts(
        &self,
        _: Request<Streaming<CreateAccountsRequest>>,
    ) -> Result<Response<Self::CreateAccountsStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        match request.into_inner().account_id.as_str() {
            "missing" => Err(Status::not_found("no such account")),
            "broken" => Err(Status::internal("broken")),
            "endless" => std::future::pending().await,
            _ => {
                tracing::info!(account.id = "one\ntwo", "Account looked up.");
                span::end(&span::internal(
                    "inside the handler",
                    &Context::current(),
                    [],
                ));
                Ok(Response::new(GetAccountResponse::default()))
            }
        }
    }

    async fn watch_account(
        &self,
        request: Request<WatchAccountRequest>,
    ) -> Result<Response<Self::WatchAccountStream>, Status> {
        let caller = kit::propagation::extract_metadata(request.metadata());
        span::end(&span::internal("inside the handler", &caller, []));
        Ok(Response::new(
            stream::iter([Ok(WatchAccountResponse::default())]).boxed(),
        ))
    }
}
