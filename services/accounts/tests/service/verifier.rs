//! Verification as accounts sees it: records what it is asked and answers as it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures::stream::Empty;
use proto::verification::{
    ConfirmCodeRequest, ConfirmCodeResponse, GetVerificationRequest, GetVerificationResponse,
    IssueCodeRequest, IssueCodeResponse, MailState, ResendCodeRequest, ResendCodeResponse,
    WatchVerificationRequest, WatchVerificationResponse,
    verification_service_server::{VerificationService, VerificationServiceServer},
};
use tokio::{net::TcpListener, task::AbortHandle};
use tonic::{
    Code, Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// What is said to a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Says {
    State(MailState),
    Refuses(Code),
    /// Nothing at all.
    Nothing,
}

/// One call, with what came in its metadata.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) request: IssueCodeRequest,
    pub(crate) authorization: String,
    pub(crate) traceparent: String,
}

#[derive(Debug)]
struct State {
    says: Says,
    asked: Vec<Asked>,
    under_way: usize,
    peak: usize,
}

/// The server; gone on drop.
#[derive(Debug)]
pub(crate) struct Verification {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: AbortHandle,
}

impl Verification {
    pub(crate) async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            says,
            asked: Vec::new(),
            under_way: 0,
            peak: 0,
        }));
        let service = VerificationServiceServer::new(Answers(Arc::clone(&state)));
        let incoming = TcpIncoming::from(listener);
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming);
        let serving = tokio::spawn(serving).abort_handle();
        Self {
            addr,
            state,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn says(&self, says: Says) {
        self.state.lock().unwrap().says = says;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// Most calls that were under way at once.
    pub(crate) fn peak(&self) -> usize {
        self.state.lock().unwrap().peak
    }
}

impl Drop for Verification {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Answers(Arc<Mutex<State>>);

impl Answers {
    fn begin(&self, request: Request<IssueCodeRequest>) -> Says {
        let value = |name| {
            let value = request.metadata().get(name);
            let value = value.and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (authorization, traceparent) = (value("authorization"), value("traceparent"));
        let mut state = self.0.lock().unwrap();
        state.asked.push(Asked {
            request: request.into_inner(),
            authorization,
            traceparent,
        });
        state.under_way += 1;
        state.peak = state.peak.max(state.under_way);
        state.says
    }
}

#[tonic::async_trait]
impl VerificationService for Answers {
    async fn issue_code(
        &self,
        request: Request<IssueCodeRequest>,
    ) -> Result<Response<IssueCodeResponse>, Status> {
        let says = self.begin(request);
        // Counted as under way for as long as others can arrive.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let answer = match says {
            Says::State(state) => Ok(Response::new(IssueCodeResponse {
                code_id: String::new(),
                mail_state: state.into(),
            })),
            Says::Refuses(code) => Err(Status::new(code, "as the test wants it")),
            Says::Nothing => std::future::pending().await,
        };
        self.0.lock().unwrap().under_way -= 1;
        answer
    }

    async fn confirm_code(
        &self,
        _: Request<ConfirmCodeRequest>,
    ) -> Result<Response<ConfirmCodeResponse>, Status> {
        Err(nobody_asks())
    }

    async fn resend_code(
        &self,
        _: Request<ResendCodeRequest>,
    ) -> Result<Response<ResendCodeResponse>, Status> {
        Err(nobody_asks())
    }

    async fn get_verification(
        &self,
        _: Request<GetVerificationRequest>,
    ) -> Result<Response<GetVerificationResponse>, Status> {
        Err(nobody_asks())
    }

    type WatchVerificationStream = Empty<Result<WatchVerificationResponse, Status>>;

    async fn watch_verification(
        &self,
        _: Request<WatchVerificationRequest>,
    ) -> Result<Response<Self::WatchVerificationStream>, Status> {
        Err(nobody_asks())
    }
}

fn nobody_asks() -> Status {
    Status::unimplemented("accounts asks for codes only")
}
