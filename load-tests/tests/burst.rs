//! `burst` in small, on a real system.

use std::time::Duration;

use load_tests::burst::Burst;

#[tokio::test(flavor = "multi_thread")]
async fn i19_whoever_is_one_too_many_in_a_burst_is_told_when_to_come_again() {
    let burst = Burst {
        usher: env!("CARGO_BIN_EXE_load-tests").into(),
        accounts: 3_000,
        at_once: 3_000, // more than a listener's calls
        connections: 16,
        answer: Duration::from_millis(20),
        mail_connections: 64,
        memory: 300, // of a debug build
        seed: 1,
    };
    let borne = burst.start().await.unwrap().unwrap();
    assert!(borne.is_passed(), "{borne}");
}
