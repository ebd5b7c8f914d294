//! Calls to a name behind which backends come and go, fail and vanish.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{future::join_all, stream::BoxStream};
use kit::{
    serve::{Client, client},
    testing::{Name, Proxy, SOON, eventually, free_port, reason},
};
use proto::mailer::{
    DeliverRequest, DeliverResponse, PreviewRequest, PreviewResponse,
    mailer_service_client::MailerServiceClient,
    mailer_service_server::{MailerService, MailerServiceServer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Notify,
    task::JoinHandle,
    time::Instant,
};
use tonic::{Code, Request, Response, Status, Streaming, service::Routes};

use crate::running::{Running, start_offering};

/// So far from its even share a backend may be.
const TOLERANCE: f64 = 0.15;
/// What `kit` gives a connection to be made, and some time for the machine.
const CONNECT: Duration = Duration::from_millis(2_800);

/// What one backend has to do with.
#[derive(Debug, Default)]
struct Seen {
    calls: AtomicUsize,
    streams: AtomicUsize,
    /// Calls that are to hang do so until then.
    hangs: AtomicBool,
    released: Notify,
}

struct Offered(Arc<Seen>);

#[tonic::async_trait]
impl MailerService for Offered {
    type DeliverStream = BoxStream<'static, Result<DeliverResponse, Status>>;

    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        self.0.streams.fetch_add(1, Ordering::Relaxed);
        let said = futures::stream::unfold(request.into_inner(), |mut mails| async {
            let next = mails.message().await.ok()??;
            drop(next);
            Some((Ok(DeliverResponse::default()), mails))
        });
        Ok(Response::new(Box::pin(said)))
    }

    async fn preview(
        &self,
        _: Request<PreviewRequest>,
    ) -> Result<Response<PreviewResponse>, Status> {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        if self.0.hangs.load(Ordering::Relaxed) {
            self.0.released.notified().await;
        }
        Ok(Response::new(PreviewResponse::default()))
    }
}

struct Backend {
    running: Running,
    seen: Arc<Seen>,
}

impl Backend {
    async fn start() -> Self {
        Self::within(&[]).await
    }

    async fn within(limits: &[(&str, &str)]) -> Self {
        let seen = Arc::new(Seen::default());
        let offered = Routes::new(MailerServiceServer::new(Offered(seen.clone())));
        let running = start_offering(offered, limits).await;
        Self { running, seen }
    }

    fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    fn calls(&self) -> usize {
        self.seen.calls.load(Ordering::Relaxed)
    }

    fn streams(&self) -> usize {
        self.seen.streams.load(Ordering::Relaxed)
    }

    async fn stop(self) {
        self.running.stop().await;
    }
}

async fn backends<const N: usize>() -> [Backend; N] {
    let started = join_all((0..N).map(|_| Backend::start())).await;
    started.try_into().ok().expect("as many as were asked for")
}

fn caller(name: &Name) -> MailerServiceClient<Client> {
    MailerServiceClient::new(client(&name.url()).unwrap())
}

async fn call(caller: &mut MailerServiceClient<Client>) -> Result<(), Status> {
    caller.preview(PreviewRequest::default()).await.map(|_| ())
}

/// So many calls, some at once, of which none may fail.
async fn calls(caller: &MailerServiceClient<Client>, count: usize) {
    let callers = (0..8).map(|number| {
        let mut caller = caller.clone();
        async move {
            for _ in (number..count).step_by(8) {
                call(&mut caller).await.unwrap();
            }
        }
    });
    join_all(callers).await;
}

/// Each backend gets its share of so many calls.
async fn are_spread(caller: &MailerServiceClient<Client>, count: usize, over: &[&Backend]) {
    let before: Vec<_> = over.iter().map(|one| one.calls()).collect();
    calls(caller, count).await;
    let got: Vec<_> = over
        .iter()
        .zip(before)
        .map(|(one, before)| one.calls() - before)
        .collect();
    assert_eq!(
        got.iter().sum::<usize>(),
        count,
        "{got:?}: nobody else got any"
    );
    let share = count as f64 / over.len() as f64;
    let is_fair = |got: &usize| (*got as f64 - share).abs() <= share * TOLERANCE;
    assert!(got.iter().all(is_fair), "{got:?} of {count}");
}

/// Waits until a backend gets calls.
async fn gets_calls(caller: &MailerServiceClient<Client>, backend: &Backend) {
    let before = backend.calls();
    let got = async || {
        calls(caller, 8).await;
        (backend.calls() > before).then_some(())
    };
    eventually("the backend to get calls", SOON, got).await;
}

/// Calls without a pause until it is told to stop; says how many there were and which failed.
struct Crowd {
    stop: Arc<AtomicBool>,
    calling: JoinHandle<(usize, Vec<Status>)>,
}

impl Crowd {
    fn of(caller: &MailerServiceClient<Client>) -> Self {
        let (caller, stop) = (caller.clone(), Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&stop);
        let calling = tokio::spawn(async move {
            let callers = (0..6).map(|_| {
                let (mut caller, ended) = (caller.clone(), Arc::clone(&ended));
                async move {
                    let (mut count, mut failed) = (0, Vec::new());
                    while !ended.load(Ordering::Relaxed) {
                        count += 1;
                        failed.extend(call(&mut caller).await.err());
                        tokio::task::yield_now().await;
                    }
                    (count, failed)
                }
            });
            let all = join_all(callers).await.into_iter();
            all.fold((0, Vec::new()), |(calls, mut failed), (count, more)| {
                failed.extend(more);
                (calls + count, failed)
            })
        });
        Self { stop, calling }
    }

    async fn none_failed(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let (calls, failed) = self.calling.await.unwrap();
        assert!(
            failed.is_empty(),
            "{} of {calls}: {:?}",
            failed.len(),
            failed[0]
        );
        calls
    }
}

#[track_caller]
fn took_less(begun: Instant, than: Duration) {
    assert!(begun.elapsed() < than, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_spread_over_one_three_and_two_backends_and_none_fails_on_the_way() {
    let [a, b, c] = backends().await;
    let name = Name::new();
    name.leads_to([a.addr()]);
    let caller = caller(&name);
    are_spread(&caller, 200, &[&a]).await;

    let crowd = Crowd::of(&caller);
    name.leads_to([&a, &b, &c].map(Backend::addr));
    gets_calls(&caller, &b).await;
    gets_calls(&caller, &c).await;
    let during = crowd.none_failed().await;
    are_spread(&caller, 2_700, &[&a, &b, &c]).await;

    // One leaves the name before it stops, as a pod does that is deleted …
    let crowd = Crowd::of(&caller);
    name.leads_to([&a, &b].map(Backend::addr));
    name.asked_again(2).await;
    c.stop().await;
    let leaving = crowd.none_failed().await;
    are_spread(&caller, 2_700, &[&a, &b]).await;

    // … and one stops first: the name learns of it later.
    let crowd = Crowd::of(&caller);
    b.stop().await;
    name.leads_to([a.addr()]);
    name.asked_again(2).await;
    let stopping = crowd.none_failed().await;
    are_spread(&caller, 200, &[&a]).await;
    assert!(during.min(leaving).min(stopping) > 100, "callers called");
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_grow_old_fail_no_call() {
    let backends = join_all((0..2).map(|_| {
        Backend::within(&[
            ("USHER_CONNECTION_AGE", "300ms"),
            ("USHER_CONNECTION_GRACE", "5s"),
        ])
    }));
    let backends = backends.await;
    let name = Name::new();
    name.leads_to(backends.iter().map(Backend::addr));
    let caller = caller(&name);
    let crowd = Crowd::of(&caller);
    name.asked_again(2).await; // some ages later
    crowd.none_failed().await;
    assert!(backends.iter().all(|one| one.calls() > 100));
}

#[tokio::test]
async fn an_empty_answer_a_failure_and_silence_of_dns_change_nothing() {
    let [a, b] = backends().await;
    let name = Name::new();
    name.leads_to([&a, &b].map(Backend::addr));
    let caller = caller(&name);
    gets_calls(&caller, &a).await;
    gets_calls(&caller, &b).await;
    for trouble in [Name::leads_nowhere, Name::fails, Name::hangs] {
        trouble(&name);
        name.asked_again(1).await;
        are_spread(&caller, 200, &[&a, &b]).await;
    }
    // When it is over, what is new is heard.
    name.leads_to([b.addr()]);
    let only_b = async || {
        let before = a.calls();
        calls(&caller, 8).await;
        (a.calls() == before).then_some(())
    };
    eventually("the name to be resolved again", SOON, only_b).await;
}

#[tokio::test]
async fn a_name_that_never_led_anywhere_fails_calls_within_a_second_and_says_what_to_do() {
    let backend = Backend::start().await;
    for trouble in [Name::leads_nowhere, Name::fails, Name::hangs] {
        let name = Name::new();
        trouble(&name);
        let mut caller = caller(&name);
        // Nothing is read or written in these calls: time goes on to when they end.
        tokio::time::pause();
        for _ in 0..2 {
            let begun = Instant::now();
            let status = call(&mut caller).await.unwrap_err();
            took_less(begun, Duration::from_secs(1));
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert_eq!(reason(&status), "NAME_NOT_RESOLVED");
            let message = status.message();
            let told = [
                name.host(),
                "leads to no address",
                "Check that it is spelt right",
            ];
            assert!(told.iter().all(|part| message.contains(part)), "{message}");
        }
        tokio::time::resume();
        name.leads_to([backend.addr()]);
        let answered = async || call(&mut caller).await.ok();
        eventually("the name to lead somewhere", SOON, answered).await;
    }
}

#[tokio::test]
async fn names_are_resolved_by_the_system_outside_of_tests() {
    let backend = Backend::start().await;
    let url = format!("dns:///localhost:{}", backend.addr().port());
    let mut caller = MailerServiceClient::new(client(&url).unwrap());
    call(&mut caller).await.unwrap();
}

#[tokio::test]
async fn endpoints_that_refuse_say_nothing_or_are_gone_fail_no_call_and_hold_none_up() {
    let backend = Backend::start().await;
    let refuses = SocketAddr::from(([127, 0, 0, 1], free_port()));
    // The system takes connections for it, which nobody ever serves.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = Proxy::before(backend.addr(), 1).await;
    gone.vanish();
    let name = Name::new();
    name.leads_to([
        backend.addr(),
        refuses,
        silent.local_addr().unwrap(),
        gone.addr(),
    ]);
    let mut caller = caller(&name);
    for _ in 0..500 {
        let begun = Instant::now();
        call(&mut caller).await.unwrap();
        took_less(begun, Duration::from_secs(1));
    }
}

#[tokio::test]
async fn when_nobody_takes_a_connection_calls_fail_within_the_time_to_make_one() {
    let backend = Backend::start().await;
    let gone = Proxy::before(backend.addr(), 1).await;
    gone.vanish();
    let name = Name::new();
    name.leads_to([gone.addr()]);
    let mut caller = caller(&name);
    let begun = Instant::now();
    let status = call(&mut caller).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains(name.host()), "{status:?}");
    took_less(begun, CONNECT);
    // From now on at once, as long as it stays so.
    let begun = Instant::now();
    call(&mut caller).await.unwrap_err();
    took_less(begun, Duration::from_secs(1));
}

#[tokio::test]
async fn an_endpoint_that_vanishes_costs_nobody_more_than_a_connection_may_take() {
    let [a, b] = backends().await;
    let to_b = Proxy::before(b.addr(), 1).await;
    let name = Name::new();
    name.leads_to([a.addr(), to_b.addr()]);
    let caller = caller(&name);
    gets_calls(&caller, &a).await;
    gets_calls(&caller, &b).await;
    to_b.vanish();
    // Calls at once, half of which are for the one that is gone.
    let all = (0..40).map(|_| {
        let mut caller = caller.clone();
        async move {
            let begun = Instant::now();
            let outcome = call(&mut caller).await;
            (outcome.is_err(), begun.elapsed())
        }
    });
    let all = join_all(all).await;
    let failed = all.iter().filter(|(failed, _)| *failed).count();
    assert!((1..=20).contains(&failed), "{failed}");
    let longest = all.iter().map(|(_, took)| *took).max().unwrap();
    assert!(longest < CONNECT, "{longest:?}");
    // And none after them.
    are_spread(&caller, 200, &[&a]).await;
}

/// How a peer ends a connection when it has got a message.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// It says that it has begun with nothing and takes no more.
    InOrder,
    /// Without a word.
    Abruptly,
}

/// A peer that speaks as much HTTP/2 as it takes to get a message, and ends each connection then.
async fn peer(ends: Ends) -> (SocketAddr, Arc<AtomicUsize>) {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, got) = (
        listener.local_addr().unwrap(),
        Arc::new(AtomicUsize::new(0)),
    );
    let counted = Arc::clone(&got);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut preface = [0; 24];
                stream.read_exact(&mut preface).await.ok()?;
                stream.write_all(&SETTINGS).await.ok()?;
                let is_message = |head: &[u8; 9]| head[3] == 0 && head[4] & 1 == 1; // DATA, the last
                let mut head = [0; 9];
                while !is_message(&head) {
                    stream.read_exact(&mut head).await.ok()?;
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                    let mut payload = vec![0; length as usize];
                    stream.read_exact(&mut payload).await.ok()?;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                if let Ends::InOrder = ends {
                    stream.write_all(&GOAWAY).await.ok()?;
                }
                Some(())
            });
        }
    });
    (addr, got)
}

#[tokio::test]
async fn only_calls_that_had_no_effect_are_made_again_elsewhere() {
    for ends in [Ends::InOrder, Ends::Abruptly] {
        let (addr, got) = peer(ends).await;
        let backend = Backend::start().await;
        let name = Name::new();
        name.leads_to([addr, backend.addr()]);
        let mut caller = caller(&name);
        gets_calls_or_fails(&mut caller, &backend).await;
        let (mut failed, mut calls, before) = (0, 0, backend.calls());
        let got_before = got.load(Ordering::Relaxed);
        while got.load(Ordering::Relaxed) < got_before + 3 {
            calls += 1;
            failed += usize::from(call(&mut caller).await.is_err());
        }
        let answered = backend.calls() - before;
        assert_eq!(answered + failed, calls, "none is made twice");
        match ends {
            Ends::InOrder => assert_eq!(failed, 0),
            Ends::Abruptly => assert_eq!(failed, 3, "nobody knows what became of them"),
        }
    }
}

/// Waits until a backend gets calls, whatever becomes of others.
async fn gets_calls_or_fails(caller: &mut MailerServiceClient<Client>, backend: &Backend) {
    let got = async || {
        let _ = call(caller).await;
        (backend.calls() > 0).then_some(())
    };
    eventually("the backend to get calls", SOON, got).await;
}

#[tokio::test]
async fn an_endpoint_that_hangs_gets_no_more_calls_than_hang_there() {
    let [a, b] = backends().await;
    let name = Name::new();
    name.leads_to([&a, &b].map(Backend::addr));
    let caller = caller(&name);
    gets_calls(&caller, &a).await;
    gets_calls(&caller, &b).await;
    b.seen.hangs.store(true, Ordering::Relaxed);
    let before = b.calls();
    let two = (0..2).map(|_| {
        let mut caller = caller.clone();
        tokio::spawn(async move { call(&mut caller).await })
    });
    let two: Vec<_> = two.collect();
    let one_hangs = async || {
        let other_is_done = two.iter().any(JoinHandle::is_finished);
        (b.calls() > before && other_is_done).then_some(())
    };
    eventually("one call to hang and one to be answered", SOON, one_hangs).await;
    let mut next = caller.clone();
    for _ in 0..100 {
        call(&mut next).await.unwrap();
    }
    assert_eq!(b.calls(), before + 1);
    b.seen.hangs.store(false, Ordering::Relaxed);
    b.seen.released.notify_waiters();
    for call in two {
        call.await.unwrap().unwrap();
    }
    are_spread(&caller, 200, &[&a, &b]).await;
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_whatever_hangs() {
    let [backend] = backends().await;
    backend.seen.hangs.store(true, Ordering::Relaxed);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for addr in [backend.addr(), silent.local_addr().unwrap()] {
        let name = Name::new();
        name.leads_to([addr]);
        let mut request = Request::new(PreviewRequest::default());
        request.set_timeout(Duration::from_millis(600));
        let begun = Instant::now();
        let status = caller(&name).preview(request).await.unwrap_err();
        let late = matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled);
        assert!(late, "{status:?}");
        // Before a connection would be given up.
        took_less(begun, Duration::from_secs(2));
    }
}

#[tokio::test]
async fn streams_are_spread_go_on_at_an_endpoint_that_left_and_leave_calls_where_they_are() {
    let [a, b] = backends().await;
    let name = Name::new();
    name.leads_to([a.addr()]);
    let caller = caller(&name);
    gets_calls(&caller, &a).await;
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(stream(&caller).await);
    }
    assert_eq!((a.streams(), b.streams()), (6, 0));
    name.leads_to([&a, &b].map(Backend::addr));
    gets_calls(&caller, &b).await;
    // Six streams stay where they are, and take nothing away from the calls.
    are_spread(&caller, 400, &[&a, &b]).await;
    for _ in 0..6 {
        open.push(stream(&caller).await);
    }
    assert_eq!(
        (a.streams(), b.streams()),
        (6, 6),
        "the one with fewer gets the next"
    );
    name.leads_to([b.addr()]);
    let only_b = async || {
        let before = a.calls();
        calls(&caller, 8).await;
        (a.calls() == before).then_some(())
    };
    eventually("the name to be asked again", SOON, only_b).await;
    for (requests, answers) in &mut open {
        requests.send(DeliverRequest::default()).unwrap();
        assert!(answers.message().await.unwrap().is_some());
    }
}

type Requests = tokio::sync::mpsc::UnboundedSender<DeliverRequest>;

async fn stream(caller: &MailerServiceClient<Client>) -> (Requests, Streaming<DeliverResponse>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let requests = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
    let answers = caller.clone().deliver(requests).await.unwrap();
    (sender, answers.into_inner())
}
