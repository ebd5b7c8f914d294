//! What an account is made of: values that cannot be wrong once they exist. `grpc` parses them out of a
//! request, `commands` carries them, `store` writes them.

mod display_name;
mod email_address;
mod fingerprint;
mod idempotency_key;
mod locale;
mod new_account;
mod page_token;

pub use display_name::{DisplayName, DisplayNameError};
pub use email_address::{EmailAddress, EmailAddressError};
pub use fingerprint::{FingerprintKey, FingerprintKeyError, Hash};
pub use idempotency_key::{IdempotencyKey, IdempotencyKeyError};
pub use locale::{Locale, LocaleError};
pub use new_account::{NewAccount, Violation};
pub use page_token::{PageToken, PageTokenError};
