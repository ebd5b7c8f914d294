//! `growth` in small: real systems, filled and measured.

use load_tests::growth::Growth;

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_takes_is_measured_beside_accounts_that_were_there_before() {
    let growth = Growth {
        usher: env!("CARGO_BIN_EXE_load-tests").into(),
        sizes: vec![10, 3_000],
        accounts: 100,
        rate: 200.0,
        rounds: 1,
        bound: 1_000.0, // a debug build beside other tests: that it is measured is shown, no ratio
        seed: 1,
    };
    let grown = growth.start().await.unwrap().unwrap();
    let sizes: Vec<u64> = grown.sizes.iter().map(|(size, _)| *size).collect();
    assert_eq!(sizes, [10, 3_000]);
    assert!(grown.is_passed(), "{grown}");
}
