//! What happened to an account, in order: accounts' facts and verification's history as lines with the time since
//! the sign-up.

use std::time::Duration;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::view::{Account, HistoryEntry, Verification};
use crate::{terminal::DIM, trace::short};

/// One line a fact, indented by two columns.
pub(crate) fn render(account: &Account, verification: Option<&Verification>) -> String {
    let mut entries = vec![HistoryEntry {
        at: account.created_at.clone(),
        code_id: String::new(),
        what: "account_created".to_owned(),
        detail: "in one commit with its event".to_owned(),
    }];
    entries.extend(
        verification
            .into_iter()
            .flat_map(|known| known.history.iter().cloned()),
    );
    // Stable: facts of one moment keep the order in which they were written.
    entries.sort_by_key(|entry| parsed(entry.at.as_deref()));
    let start = entries
        .first()
        .and_then(|entry| parsed(entry.at.as_deref()));
    entries
        .iter()
        .map(|entry| line(entry, start) + "\n")
        .collect()
}

/// One fact as a line.
pub(crate) fn line(entry: &HistoryEntry, start: Option<OffsetDateTime>) -> String {
    let at = parsed(entry.at.as_deref());
    let since = match (at, start) {
        (Some(at), Some(start)) => {
            let since = Duration::try_from(at - start).unwrap_or_default();
            if since.is_zero() {
                "0".to_owned()
            } else {
                format!("+{}", short(since))
            }
        }
        _ => "?".to_owned(),
    };
    let clock = entry
        .at
        .as_deref()
        .and_then(|at| at.get(11..19))
        .unwrap_or("")
        .to_owned();
    let what = entry.what.replace('_', " ");
    let detail = match entry.detail.as_str() {
        "" => String::new(),
        detail => format!(
            "{:fill$}{DIM}{detail}{DIM:#}",
            "",
            fill = 18_usize.saturating_sub(what.len()) + 2
        ),
    };
    format!("  {DIM}{clock} {since:>9}{DIM:#}  {what}{detail}")
}

/// A moment out of RFC 3339.
pub(crate) fn parsed(at: Option<&str>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(at?, &Rfc3339).ok()
}
