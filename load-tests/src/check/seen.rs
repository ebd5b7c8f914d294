//! What the check has seen, for the judgement.

use std::collections::{BTreeMap, HashMap, HashSet};

use proto::verification::Verification;

use super::guess::Guess;

/// What the system and the sink say once nothing is owed any more.
#[derive(Debug, Default)]
pub struct Seen {
    /// Accounts by id: the address, and whether it is verified.
    pub accounts: BTreeMap<String, Stored>,
    /// Verifications by the account's id.
    pub verifications: HashMap<String, Verification>,
    /// Accounts that asked for their mail, because its next attempt was far away.
    pub asked_again: HashSet<String>,
    /// Accounts that verification does not know, where the dispatcher may lose the news of them.
    pub forgotten: HashSet<String>,
    /// What the codes in the mails did, by the account's id.
    pub guesses: HashMap<String, Guess>,
    /// Codes that people typed while the faults lasted.
    pub confirmed_meanwhile: usize,
    /// What explains second mails, by the code's id: attempts whose outcome could not be known.
    pub unknowable: HashMap<String, usize>,
}

/// An account as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where its mail goes.
    pub address: String,
    /// Whether its code was confirmed.
    pub verified: bool,
}
