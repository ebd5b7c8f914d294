//! Feeds octets to everything that reads a mail server's words. The files are the mailer's own,
//! and so is what must hold of them (`transport/any_octets.rs`); only the way from the service to
//! them is left out.

#![no_main]
#![expect(
    dead_code,
    reason = "the mailer uses more of these files than is tried here"
)]

// `kit::Private`, without all else that is in kit.
extern crate self as kit;
#[path = "../../kit/src/private.rs"]
mod private;
pub use private::Private;

#[path = "../src/domain"]
mod domain {
    mod digits;
    mod display_name;
    mod recipient;
    mod redact;
    mod refusal;
    mod reply;

    pub(crate) use digits::Digits;
    pub(crate) use display_name::DisplayName;
    pub(crate) use recipient::Recipient;
    pub(crate) use redact::redact;
    pub(crate) use refusal::{Exchange, Refusal, refusal};
    pub(crate) use reply::{Reply, ReplyReader};
}

#[path = "../src/transport"]
mod transport {
    pub(crate) mod any_octets;
    mod offers;
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| transport::any_octets::hold(octets));
