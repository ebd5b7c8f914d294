//! The mailer as verification sees it: records what it is given and answers as it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt as _, stream::BoxStream};
use kit::testing::{SOON, eventually};
use proto::mailer::{
    DeliverRequest, DeliverResponse, Draining, Hello, Mail, Outcome, Pause, PreviewRequest,
    PreviewResponse, Result as Answer,
    deliver_response::Message,
    mailer_service_server::{MailerService, MailerServiceServer},
};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

/// What is said to a mail.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    /// This outcome; unknown attempts, reached, retry after.
    Outcome(Outcome, u32, bool, u64),
    /// Nothing at all.
    Nothing,
    /// The stream breaks.
    Breaks,
}

impl Says {
    pub(crate) fn accepted() -> Self {
        Self::Outcome(Outcome::Accepted, 0, true, 0)
    }

    pub(crate) fn unavailable() -> Self {
        Self::Outcome(Outcome::Unavailable, 0, false, 0)
    }
}

type Script = Box<dyn FnMut(&Mail) -> Says + Send>;

struct State {
    script: Script,
    mails: Vec<Mail>,
    streams: Vec<mpsc::UnboundedSender<Result<DeliverResponse, Status>>>,
    opened: usize,
    /// Streams on which verification has said all it has to say.
    left: usize,
    window: u32,
}

/// The mailer; stopped on drop.
pub(crate) struct Mailer {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    /// A runtime of its own: when it goes, so do its connections, as those of a dead process would.
    serving: Option<Runtime>,
}

impl Mailer {
    /// Accepts every mail until it is told otherwise.
    pub(crate) fn start() -> Self {
        let state = State {
            script: Box::new(|_| Says::accepted()),
            mails: Vec::new(),
            streams: Vec::new(),
            opened: 0,
            left: 0,
            window: 64,
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut mailer = Self {
            addr,
            state: Arc::new(Mutex::new(state)),
            changed: watch::Sender::new(()),
            serving: None,
        };
        mailer.serve(listener);
        mailer
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers each mail as `script` says from now on.
    pub(crate) fn answers(&self, script: impl FnMut(&Mail) -> Says + Send + 'static) {
        self.state.lock().unwrap().script = Box::new(script);
    }

    /// How many mails each stream that opens from now on may hold.
    pub(crate) fn window(&self, window: u32) {
        self.state.lock().unwrap().window = window;
    }

    /// All mails so far, in the order in which they came.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.state.lock().unwrap().mails.clone()
    }

    /// The mails of one account.
    pub(crate) fn mails_of(&self, account_id: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.account_id == account_id);
        mails
    }

    /// Waits for the account's `number`-th mail.
    pub(crate) async fn mail(&self, account_id: &str, number: usize) -> Mail {
        self.until("a mail", |mailer| {
            mailer.mails_of(account_id).len() >= number
        })
        .await;
        self.mails_of(account_id).swap_remove(number - 1)
    }

    /// Waits until its mails and streams are as `holds` says.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.changed.subscribe();
        let waited = async {
            while !holds(self) {
                changes.changed().await.unwrap();
            }
        };
        let waited = timeout(SOON, waited).await;
        assert!(waited.is_ok(), "waited {SOON:?} in vain for {what}");
    }

    /// How many streams were ever opened.
    pub(crate) fn opened(&self) -> usize {
        self.state.lock().unwrap().opened
    }

    /// On how many of them nothing more will come.
    pub(crate) fn left(&self) -> usize {
        self.state.lock().unwrap().left
    }

    /// Says this on every open stream.
    pub(crate) fn say(&self, message: &Message) {
        self.state.lock().unwrap().say(message);
    }

    pub(crate) fn pause(&self, wait: Duration) {
        self.say(&Message::Pause(Pause {
            retry_after: Some(wait.try_into().unwrap()),
        }));
    }

    /// Says that the streams are about to end; `end` ends them.
    pub(crate) fn drain(&self) {
        self.say(&Message::Draining(Draining {}));
    }

    /// Answers a mail that was left unanswered, on every open stream.
    pub(crate) fn accept(&self, mail: &Mail) {
        self.say(&Message::Result(answer(
            mail,
            Outcome::Accepted,
            0,
            true,
            0,
        )));
    }

    /// Dies: connections break.
    pub(crate) fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
        self.state.lock().unwrap().streams.clear();
    }

    /// Comes back at the same address.
    pub(crate) async fn restart(&mut self) {
        let bind = async || std::net::TcpListener::bind(self.addr).ok();
        let listener = eventually("the mailer's port", SOON, bind).await;
        self.serve(listener);
    }

    fn serve(&mut self, listener: std::net::TcpListener) {
        let service = MailerServiceServer::new(Service {
            state: Arc::clone(&self.state),
            changed: self.changed.clone(),
        });
        let serving = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        listener.set_nonblocking(true).unwrap();
        serving.spawn(async move {
            let incoming = TcpIncoming::from(TcpListener::from_std(listener).unwrap());
            Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        self.serving = Some(serving);
    }
}

impl Drop for Mailer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl State {
    fn say(&mut self, message: &Message) {
        let response = || {
            Ok(DeliverResponse {
                message: Some(message.clone()),
            })
        };
        self.streams
            .retain(|stream| stream.send(response()).is_ok());
    }

    fn take(&mut self, mail: Mail) -> Says {
        let says = (self.script)(&mail);
        self.mails.push(mail);
        says
    }
}

fn answer(
    mail: &Mail,
    outcome: Outcome,
    unknown_attempts: u32,
    reached: bool,
    retry_after: u64,
) -> Answer {
    Answer {
        code_id: mail.code_id.clone(),
        outcome: outcome.into(),
        retry_after: Some(Duration::from_secs(retry_after).try_into().unwrap()),
        unknown_attempts,
        reason: format!("as told about {} and {}", mail.email, mail.digits), // a mailer that fails to redact
        accepted_at: None,
        reached,
    }
}

struct Service {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

#[tonic::async_trait]
impl MailerService for Service {
    type DeliverStream = BoxStream<'static, Result<DeliverResponse, Status>>;

    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let (responses, receiver) = mpsc::unbounded_channel();
        let window = {
            let mut state = self.state.lock().unwrap();
            state.opened += 1;
            state.streams.push(responses.clone());
            state.window
        };
        let hello = Message::Hello(Hello { window });
        responses
            .send(Ok(DeliverResponse {
                message: Some(hello),
            }))
            .unwrap();
        let (state, changed) = (Arc::clone(&self.state), self.changed.clone());
        changed.send_replace(());
        let mut mails = request.into_inner();
        tokio::spawn(async move {
            let mut owes = false;
            while let Some(Ok(DeliverRequest { mail: Some(mail) })) = mails.next().await {
                let says = state.lock().unwrap().take(mail.clone());
                changed.send_replace(());
                match says {
                    Says::Outcome(outcome, unknown, reached, retry_after) => {
                        let result = answer(&mail, outcome, unknown, reached, retry_after);
                        let response = DeliverResponse {
                            message: Some(Message::Result(result)),
                        };
                        let _ = responses.send(Ok(response));
                    }
                    Says::Nothing => owes = true,
                    Says::Breaks => {
                        let _ = responses.send(Err(Status::unavailable("broken, as told")));
                        state.lock().unwrap().streams.clear();
                        return;
                    }
                }
            }
            let mut state = state.lock().unwrap();
            state.left += 1;
            if !owes {
                state.streams.retain(|one| !one.same_channel(&responses));
            }
            drop(state);
            changed.send_replace(());
        });
        Ok(Response::new(
            UnboundedReceiverStream::new(receiver).boxed(),
        ))
    }

    async fn preview(
        &self,
        _: Request<PreviewRequest>,
    ) -> Result<Response<PreviewResponse>, Status> {
        Err(Status::unimplemented("this mailer only delivers"))
    }
}
