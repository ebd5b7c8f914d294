//! Compiles the contracts with protox: no protoc is needed. The descriptor set serves reflection.

use std::{env, fs, path::PathBuf};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use protox::{
    Compiler,
    file::{ChainFileResolver, DescriptorSetFileResolver, GoogleFileResolver, IncludeFileResolver},
};

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
const PERSONAL: [&str; 11] = [
    ".usher.accounts.v1.Account",
    ".usher.accounts.v1.AccountCreated",
    ".usher.accounts.v1.CreateAccountRequest",
    ".usher.accounts.v1.CreateAccountsRequest",
    ".usher.accounts.v1.CreateAccountsResponse",
    ".usher.accounts.v1.ListAccountsRequest",
    ".usher.letters.v1.GetDeadLetterResponse",
    ".usher.mailer.v1.Mail",
    ".usher.verification.v1.ConfirmCodeRequest",
    ".usher.verification.v1.IssueCodeRequest",
    ".usher.verification.v1.ResendCodeRequest",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=usher");
    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(".".into()));
    resolver.add(GoogleFileResolver::new());
    resolver.add(google_rpc()?);
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    let descriptors = compiler.open_files(FILES)?.file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .skip_debug(PERSONAL)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(descriptors)?;
    Ok(())
}

/// `google/rpc/status.proto` as tonic-types has it, under the name by which everybody imports it.
fn google_rpc() -> Result<DescriptorSetFileResolver, prost::DecodeError> {
    let mut types = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
    for file in &mut types.file {
        file.name = Some(format!("google/rpc/{}", file.name()));
    }
    Ok(DescriptorSetFileResolver::new(types))
}
