//! The network of tests, between a caller and a server that says back what it hears.

use std::{io::ErrorKind, time::Duration};

use kit::testing::{Postgres, Proxy, SOON, Way};
use sea_orm::{ConnectionTrait as _, Database};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, timeout},
};

const SEED: u64 = 7;
/// In a silence nothing comes however long one waits; so long is long enough to be sure.
const SILENCE: Duration = Duration::from_millis(200);

/// A server that says back what it hears, and reports what each connection had heard when it ended.
async fn echo() -> (String, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let (ended, ends) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let ended = ended.clone();
            tokio::spawn(async move {
                let (mut heard, mut buffer) = (Vec::new(), [0; 1024]);
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    heard.extend_from_slice(&buffer[..length]);
                    let _ = stream.write_all(&buffer[..length]).await;
                }
                let _ = ended.send(heard);
            });
        }
    });
    (addr, ends)
}

struct Caller(TcpStream);

impl Caller {
    async fn of(proxy: &Proxy) -> Self {
        Self(TcpStream::connect(proxy.addr()).await.unwrap())
    }

    /// Says a word and returns what comes back: all of it, or what came before the end.
    async fn say(&mut self, word: &str) -> Result<String, ErrorKind> {
        self.0
            .write_all(word.as_bytes())
            .await
            .map_err(|error| error.kind())?;
        let (mut reply, mut rest) = (String::new(), vec![0; word.len()]);
        while reply.len() < word.len() {
            let length = self.0.read(&mut rest).await.map_err(|error| error.kind())?;
            reply += str::from_utf8(&rest[..length]).unwrap();
            if length == 0 {
                break;
            }
        }
        Ok(reply)
    }

    async fn is_heard(&mut self) -> bool {
        timeout(SOON, self.say("hello")).await.unwrap() == Ok("hello".to_owned())
    }

    /// Whether what is said goes nowhere, without an error.
    async fn is_in_silence(&mut self) -> bool {
        timeout(SILENCE, self.say("hello")).await.is_err()
    }
}

#[tokio::test]
async fn what_passes_arrives_and_so_does_its_end() {
    let (target, mut ends) = echo().await;
    let proxy = Proxy::before(target, SEED).await;
    let mut caller = Caller::of(&proxy).await;
    assert!(caller.is_heard().await && caller.is_heard().await);
    caller.0.shutdown().await.unwrap();
    assert_eq!(ends.recv().await.unwrap(), b"hellohello");
    assert_eq!(
        caller.0.read(&mut [0]).await.unwrap(),
        0,
        "the server's end comes back"
    );
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_delay_holds_each_chunk_in_each_direction() {
    let (target, _ends) = echo().await;
    let proxy = Proxy::before(&target, SEED).await;
    let mut caller = Caller::of(&proxy).await;
    assert!(caller.is_heard().await);
    let delay = Duration::from_millis(40);
    proxy.delay(delay);
    let begun = Instant::now();
    assert!(caller.is_heard().await);
    assert!(
        begun.elapsed() >= delay,
        "at least half of it there and half of it back"
    );
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_what_comes_until_it_is_over() {
    let (target, mut ends) = echo().await;
    let proxy = Proxy::before(target, SEED).await;
    let mut open = Caller::of(&proxy).await;
    assert!(open.is_heard().await);
    proxy.cut();
    assert_eq!(
        open.0.read(&mut [0]).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(
        ends.recv().await.unwrap(),
        b"hello",
        "the server lost it, too"
    );

    let mut refused = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(
        refused.read(&mut [0]).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    proxy.pass();
    assert!(Caller::of(&proxy).await.is_heard().await);
}

/// What a server heard of a word of 100 letters that a proxy with this seed tore.
async fn torn(seed: u64) -> usize {
    let (target, mut ends) = echo().await;
    let proxy = Proxy::before(target, seed).await;
    let mut caller = Caller::of(&proxy).await;
    assert!(caller.is_heard().await);
    proxy.halve();
    let _ = caller.say(&"x".repeat(100)).await;
    assert!(
        Caller::of(&proxy).await.is_heard().await,
        "a new connection is whole"
    );
    ends.recv().await.unwrap().len() - "hello".len()
}

#[tokio::test]
async fn a_chunk_is_torn_where_the_seed_says() {
    let mut places = Vec::new();
    for seed in 0..8 {
        places.push(torn(seed).await);
        assert_eq!(
            torn(seed).await,
            places[seed as usize],
            "a seed repeats a run"
        );
    }
    assert!(
        places.iter().all(|place| (1..100).contains(place)),
        "{places:?}"
    );
    places.sort_unstable();
    places.dedup();
    assert!(places.len() > 4, "seeds differ: {places:?}");
}

#[tokio::test]
async fn what_is_swallowed_is_silent_for_good_and_its_end_is_not_heard() {
    let (target, mut ends) = echo().await;
    let proxy = Proxy::before(target, SEED).await;
    let mut old = Caller::of(&proxy).await;
    assert!(old.is_heard().await);
    proxy.swallow();
    assert!(old.is_in_silence().await);
    assert!(
        Caller::of(&proxy).await.is_heard().await,
        "a new connection works"
    );
    assert_eq!(ends.recv().await.unwrap(), b"hello", "and ends");
    proxy.pass();
    assert!(old.is_in_silence().await);
    drop(old);
    assert!(
        timeout(SILENCE, ends.recv()).await.is_err(),
        "the server still waits"
    );
    proxy.cut();
    assert_eq!(
        ends.recv().await.unwrap(),
        b"hello",
        "nothing that was said in the silence"
    );
}

#[tokio::test]
async fn a_hole_silences_all_until_it_ends_and_what_was_open_in_it_for_good() {
    let (target, mut ends) = echo().await;
    let proxy = Proxy::before(target, SEED).await;
    let mut before = Caller::of(&proxy).await;
    assert!(before.is_heard().await);
    proxy.hole();
    let mut within = Caller::of(&proxy).await;
    assert!(before.is_in_silence().await && within.is_in_silence().await);
    proxy.pass();
    assert!(before.is_in_silence().await && within.is_in_silence().await);
    assert!(
        Caller::of(&proxy).await.is_heard().await,
        "a new connection works"
    );
    assert_eq!(ends.recv().await.unwrap(), b"hello", "and ends");
}

#[tokio::test]
async fn an_end_in_a_hole_is_heard_after_it() {
    let (target, mut ends) = echo().await;
    let proxy = Proxy::before(target, SEED).await;
    let mut caller = Caller::of(&proxy).await;
    assert!(caller.is_heard().await);
    proxy.hole();
    drop(caller);
    assert!(
        timeout(SILENCE, ends.recv()).await.is_err(),
        "the server still waits"
    );
    proxy.pass();
    assert_eq!(ends.recv().await.unwrap(), b"hello");
}

#[tokio::test]
async fn at_the_octets_of_a_trap_its_connection_falls_silent_and_no_other_and_its_end_is_heard() {
    for (way, heard) in [(Way::There, &b"hello"[..]), (Way::Back, b"hello wor")] {
        let (target, mut ends) = echo().await;
        let proxy = Proxy::before(target, SEED).await;
        proxy.trap(way, "lo wo");
        let (mut trapped, mut other) = (Caller::of(&proxy).await, Caller::of(&proxy).await);
        assert!(other.is_heard().await, "these are other octets");
        // In two pieces: octets may come as they like.
        assert_eq!(trapped.say("hello").await, Ok("hello".to_owned()));
        assert!(timeout(SILENCE, trapped.say(" wor")).await.is_err());
        proxy.sprung("the trap").await;
        assert!(trapped.is_in_silence().await);
        assert!(other.is_heard().await && Caller::of(&proxy).await.is_heard().await);
        assert_eq!(ends.recv().await.unwrap(), b"hello", "of the new one");
        drop(trapped);
        assert_eq!(ends.recv().await.unwrap(), heard, "{way:?}");
    }
}

#[tokio::test]
async fn a_url_leads_through_the_proxy() {
    let proxy = Proxy::before("nats://user:secret@127.0.0.1:1/path?query", SEED).await;
    let addr = proxy.addr();
    for (target, through) in [
        (
            "postgres://usher@127.0.0.1:1/db",
            format!("postgres://usher@{addr}/db"),
        ),
        (
            "smtp://127.0.0.1:1?tls=off",
            format!("smtp://{addr}?tls=off"),
        ),
        ("http://127.0.0.1:1", format!("http://{addr}")),
        ("127.0.0.1:1", addr.to_string()),
    ] {
        assert_eq!(proxy.url(target), through);
    }
    let Some(postgres) = Postgres::shared().await else {
        return;
    };
    let url = postgres.database("through_the_proxy").await;
    let proxy = Proxy::before(&url, SEED).await;
    let database = Database::connect(proxy.url(&url)).await.unwrap();
    database.execute_unprepared("SELECT 1").await.unwrap();
    assert!(proxy.connections() > 0);
}
