//! What an account is made of: values that cannot be wrong once they exist. `grpc` parses them out
//! of a request, `commands` carries them, `store` writes them.

mod chars;
mod display_name;
mod email_address;
mod fingerprint;
mod idempotency_key;
mod locale;
mod new_account;

pub(crate) use display_name::DisplayName;
pub(crate) use email_address::EmailAddress;
pub(crate) use fingerprint::{FingerprintKey, Hash};
pub(crate) use idempotency_key::IdempotencyKey;
pub(crate) use locale::Locale;
pub(crate) use new_account::NewAccount;
