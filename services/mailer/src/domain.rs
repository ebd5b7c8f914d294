//! Pure rules of a mail: what a request must look like, how a server's answer is to be read, what
//! may be stored of it. `commands` call these; nothing here does I/O or reads a clock.

mod address_keys;
mod circuit;
mod digits;
mod display_name;
mod hello_name;
mod lifetime;
mod locale;
mod offer;
mod pace;
mod recipient;
mod redact;
mod refusal;
mod reply;
mod same_words;
mod sender;
mod yielding;

pub(crate) use address_keys::{AddressKeys, AddressMac};
pub(crate) use circuit::{Circuit, Gate};
pub(crate) use digits::Digits;
pub(crate) use display_name::DisplayName;
pub(crate) use hello_name::HelloName;
pub(crate) use lifetime::Lifetime;
pub(crate) use locale::{Language, LocaleTag};
pub(crate) use offer::{Offer, TEMPLATE, Turn};
pub(crate) use pace::{Pace, Tolerated};
pub(crate) use recipient::Recipient;
pub(crate) use redact::redact;
pub(crate) use refusal::{Concern, Exchange, Ground, Refusal, refusal};
pub(crate) use reply::{Reply, ReplyReader};
pub(crate) use same_words::{Judgement, SameWords};
pub(crate) use sender::Sender;
pub(crate) use yielding::{SilentAttempt, Yields, who_yields};
