//! Compiles the contracts with protox: no protoc is needed. The descriptor set serves reflection.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 7] = [
    "usher/accounts/v1/accounts.proto",
    "usher/accounts/v1/admin.proto",
    "usher/accounts/v1/events.proto",
    "usher/mailer/v1/admin.proto",
    "usher/mailer/v1/mailer.proto",
    "usher/verification/v1/events.proto",
    "usher/verification/v1/verification.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=usher");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
