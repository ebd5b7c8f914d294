//! What happened to an account, in order: accounts' facts and verification's history as lines with
//! the time since the sign-up.

use kit::clock::Timestamp;

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
    if let Some(verification) = verification {
        entries.extend(verification.history.iter().cloned());
    }
    // Stable: facts of one moment keep the order in which they were written.
    entries.sort_by_key(|entry| parsed(entry.at.as_deref()));
    let start = parsed(entries[0].at.as_deref());
    let mut lines = String::new();
    for entry in &entries {
        lines.push_str(&line(entry, start));
        lines.push('\n');
    }
    lines
}

/// One fact as a line.
pub(crate) fn line(entry: &HistoryEntry, start: Option<Timestamp>) -> String {
    let since = match (parsed(entry.at.as_deref()), start) {
        (Some(at), Some(start)) if at <= start => "0".to_owned(),
        (Some(at), Some(start)) => format!("+{}", short(at.since(start))),
        _ => "?".to_owned(),
    };
    let time = entry.at.as_deref().and_then(|at| at.get(11..19));
    let time = time.unwrap_or_default();
    let what = match &*entry.what {
        "mail_answer_lost" => "answer lost, it may have arrived".to_owned(),
        what => what.replace('_', " "),
    };
    let mut line = format!("  {DIM}{time} {since:>9}{DIM:#}  {what}");
    if !entry.detail.is_empty() {
        let fill = 18_usize.saturating_sub(what.len()) + 2;
        line.push_str(&format!("{:fill$}{DIM}{}{DIM:#}", "", entry.detail));
    }
    line
}

/// A moment out of RFC 3339.
pub(crate) fn parsed(at: Option<&str>) -> Option<Timestamp> {
    at.and_then(Timestamp::from_rfc3339)
}
