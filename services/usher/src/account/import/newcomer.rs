//! A person as a line of a file names her: what accounts is asked with, and what is kept of a refusal.

use serde::{Deserialize, Serialize};

/// What a line says of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newcomer {
    pub(super) email: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) locale: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) idempotency_key: String,
    /// Of a line that was refused before.
    #[serde(default, rename = "line", skip_serializing)]
    _line: u64,
    #[serde(default, rename = "refused", skip_serializing)]
    _refused: String,
    #[serde(default, rename = "reason", skip_serializing)]
    _reason: String,
}
