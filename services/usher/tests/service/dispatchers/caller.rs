//! Who signs people up. The service is told until when they wait; they themselves hear it out, so
//! that a machine which is busy with other tests makes no answer late that came in time.

use std::{
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use hyper::{
    body::Incoming,
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::accounts::{
    CreateAccountRequest, CreateAccountResponse, accounts_service_client::AccountsServiceClient,
};
use tokio::{net::TcpStream, time::Instant};
use tonic::{Request, Status, body::Body, client::GrpcService};

/// How long callers of these tests wait: less than a listener lets them, so that what hangs costs
/// the tests little time.
const PATIENCE: Duration = Duration::from_secs(4);
/// And those whose answers come, however busy the machine is: nearly as long as a listener lets
/// them.
const LONG_PATIENCE: Duration = Duration::from_secs(9);
/// How long an answer that was given in time may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// A connection, on which nothing but the service ends a call; a channel of tonic would.
#[derive(Debug, Clone)]
pub(super) struct Connection(SendRequest<Body>);

impl GrpcService<Body> for Connection {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<http::Response<Incoming>, hyper::Error>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(task)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.send_request(request).boxed()
    }
}

/// Signs people up, over one connection.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) client: AccountsServiceClient<Connection>,
    patience: Duration,
}

impl Caller {
    /// Who calls accounts at this address.
    pub(super) async fn of(accounts: SocketAddr) -> Self {
        let stream = TcpStream::connect(accounts).await;
        let stream = TokioIo::new(stream.expect("accounts listens"));
        let (requests, connection) = handshake(TokioExecutor::new(), stream)
            .await
            .expect("accounts speaks HTTP/2");
        tokio::spawn(connection);
        let origin = format!("http://{accounts}").parse();
        let origin = origin.expect("an address makes a URL");
        Self {
            client: AccountsServiceClient::with_origin(Connection(requests), origin),
            patience: PATIENCE,
        }
    }

    /// The same, who waits for longer.
    pub(super) fn patient(self) -> Self {
        Self {
            patience: LONG_PATIENCE,
            ..self
        }
    }

    /// Signs somebody up under a key that is made of the address.
    pub(super) async fn sign_up(&self, email: &str) -> Result<CreateAccountResponse, Status> {
        let key = format!("key-of-{email}");
        let mut request = request(email, self.patience);
        request
            .metadata_mut()
            .insert("idempotency-key", key.parse().unwrap());
        let answer = self.client.clone().create_account(request).await?;
        Ok(answer.into_inner())
    }

    /// Signs somebody up without a key: it is another person's request.
    pub(super) async fn sign_up_anew(self, email: &str) -> Result<CreateAccountResponse, Status> {
        let mut client = self.client;
        let answer = client.create_account(request(email, self.patience)).await?;
        Ok(answer.into_inner())
    }
}

/// Nobody was kept waiting beyond the deadline: the service has answered, and not that it passed.
#[track_caller]
pub(super) fn answered_in_time(began: Instant) {
    let took = began.elapsed();
    assert!(took < PATIENCE + ON_ITS_WAY, "{took:?}");
}

/// They were refused at once, whatever others wait for.
#[track_caller]
pub(super) fn answered_at_once(began: Instant) {
    let took = began.elapsed();
    assert!(took < PATIENCE / 2, "{took:?}");
}

fn request(email: &str, patience: Duration) -> Request<CreateAccountRequest> {
    let mut request = Request::new(CreateAccountRequest {
        email: email.to_owned(),
        display_name: "Ada Lovelace".to_owned(),
        locale: "en".to_owned(),
    });
    request.set_timeout(patience);
    request
}
