//! Reads a ledger row for a request: may it be sent, is it, was it, or is the key another mail's?

use std::time::Duration;

use kit::clock::Timestamp;

use super::Request;
use crate::{
    domain::{AddressKeys, Outcome},
    store::mails::{self, SENDING},
};

/// After so many attempts whose outcome could not be learnt, a mail is not sent again: each may have delivered it.
/// The client gives up at the same count, but an answer can be lost on its way there.
const UNKNOWN_LIMIT: i32 = 3;

/// How a mail stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its state.
    pub(crate) state: State,
    /// Attempts so far whose outcome could not be learnt.
    pub(crate) unknown_attempts: u32,
}

/// States of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// May be sent.
    Open,
    /// Is being sent; the lease ends in that time at the latest.
    InFlight(Duration),
    /// Was being sent by somebody whose lease has passed.
    Lapsed,
    /// Ended for good.
    Final {
        /// How.
        outcome: Outcome,
        /// Why, redacted.
        reason: String,
        /// When.
        at: Option<Timestamp>,
    },
    /// May not be sent again: the outcomes of too many attempts are unknown.
    Unknowable,
    /// The key belongs to another request.
    OtherRequest,
}

impl Standing {
    /// Never heard of.
    pub(super) const OPEN: Self = Self {
        state: State::Open,
        unknown_attempts: 0,
    };
}

/// Reads the row.
pub(super) fn of(
    row: &mails::Model,
    request: &Request,
    keys: &AddressKeys,
    now: Timestamp,
) -> Standing {
    let state = if !is_same(row, request, keys) {
        State::OtherRequest
    } else if row.state == SENDING && row.lease_until_at > now {
        State::InFlight(row.lease_until_at.since(now))
    } else if row.state == SENDING {
        State::Lapsed
    } else if let Some(outcome) = Outcome::parse(&row.state) {
        State::Final {
            outcome,
            reason: row.reason.clone(),
            at: row.settled_at,
        }
    } else if row.unknown_attempts >= UNKNOWN_LIMIT {
        State::Unknowable
    } else {
        State::Open
    };
    Standing {
        state,
        unknown_attempts: u32::try_from(row.unknown_attempts).unwrap_or(0),
    }
}

/// Template, locale and recipient; without the row's address key, the first two alone.
fn is_same(row: &mails::Model, request: &Request, keys: &AddressKeys) -> bool {
    row.template == request.template
        && row.locale == request.locale.as_str()
        && keys
            .matches(&row.address(), &request.recipient)
            .unwrap_or(true)
}
