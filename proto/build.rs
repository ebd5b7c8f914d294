//! Compiles the contracts with protox: no protoc is needed. The descriptor set serves reflection.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 9] = [
    "usher/accounts/v1/accounts.proto",
    "usher/accounts/v1/admin.proto",
    "usher/accounts/v1/events.proto",
    "usher/letters/v1/letters.proto",
    "usher/mailer/v1/admin.proto",
    "usher/mailer/v1/mailer.proto",
    "usher/verification/v1/admin.proto",
    "usher/verification/v1/events.proto",
    "usher/verification/v1/verification.proto",
];

/// What names a person or holds a code. `src/redacted.rs` prints these without it.
const PERSONAL: [&str; 9] = [
    ".usher.accounts.v1.Account",
    ".usher.accounts.v1.AccountCreated",
    ".usher.accounts.v1.CreateAccountRequest",
    ".usher.accounts.v1.ListAccountsRequest",
    ".usher.letters.v1.GetDeadLetterResponse",
    ".usher.mailer.v1.Mail",
    ".usher.verification.v1.ConfirmCodeRequest",
    ".usher.verification.v1.IssueCodeRequest",
    ".usher.verification.v1.ResendCodeRequest",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=usher");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .skip_debug(PERSONAL)
        .compile_fds(descriptors)?;
    Ok(())
}
