//! What a code's digits cost: `make bench` runs this. Of verification it takes only the file that
//! derives and reads them.
#![expect(
    clippy::unwrap_used,
    reason = "what a benchmark's helper cannot do ends the benchmark"
)]
#![expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the service uses more of this file than is measured here, and its tests do not run"
)]

#[path = "../src/domain/digits.rs"]
mod digits;

use digits::{CodeLength, Digits, SALT_BYTES};
use divan::{Bencher, black_box, counter::ItemsCount};
use kit::keyring::{KEY_BYTES, Key};
use uuid::Uuid;

fn main() {
    divan::main();
}

/// The digits that a mail shows and a guess is compared with.
#[divan::bench(args = [6, 8, 10], counters = [ItemsCount::new(1_usize)])]
fn code_derivation(bencher: Bencher<'_, '_>, length: i64) {
    let key = Key::new([7; 4], [7; KEY_BYTES]);
    let length = CodeLength::parse(length).unwrap();
    let (id, salt) = (Uuid::from_u128(7), [7; SALT_BYTES]);
    bencher.bench(|| Digits::derive(black_box(&key), black_box(id), black_box(&salt), length));
}

/// What a person typed, read.
#[divan::bench(
    args = ["12345678", " 1234-5678 ", "١٢٣٤٥٦٧٨"],
    counters = [ItemsCount::new(1_usize)],
)]
fn typed_code(typed: &str) -> bool {
    Digits::parse(black_box(typed)).is_ok()
}
