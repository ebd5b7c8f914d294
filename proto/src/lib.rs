//! Every contract between Usher's parts and the world: messages, services, events, subjects and streams.
//! Services implement and call what stands here; nothing here knows a service.

pub mod events;
mod redacted;
pub mod streams;

#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
mod generated {
    pub mod accounts {
        tonic::include_proto!("usher.accounts.v1");
    }
    pub mod verification {
        tonic::include_proto!("usher.verification.v1");
    }
    pub mod mailer {
        tonic::include_proto!("usher.mailer.v1");
    }
}

pub use generated::{accounts, mailer, verification};

/// The compiled descriptor set of all contracts, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
