//! Every contract between Usher's parts and the world: messages, services, events, subjects and
//! streams. Services implement and call what stands here; nothing here knows a service.

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
    // Nested as the packages are: that is how they name each other's messages.
    pub(super) mod accounts {
        pub mod v1 {
            tonic::include_proto!("usher.accounts.v1");
        }
    }
    pub(super) mod verification {
        pub mod v1 {
            tonic::include_proto!("usher.verification.v1");
        }
    }
    pub(super) mod letters {
        pub mod v1 {
            tonic::include_proto!("usher.letters.v1");
        }
    }
    pub(super) mod mailer {
        pub mod v1 {
            tonic::include_proto!("usher.mailer.v1");
        }
    }
}

pub use generated::{
    accounts::v1 as accounts, letters::v1 as letters, mailer::v1 as mailer,
    verification::v1 as verification,
};

/// The compiled descriptor set of all contracts, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
