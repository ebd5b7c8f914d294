//! What `doctor` finds in the settings that this environment and its file would give to services.

use kit::config::{FILE_VARIABLE, environment};

use super::finding::Finding;
use crate::{exit::sentence, settings};

const SETTINGS: &str = "settings";

/// Nothing where no file is named and no variable is misspelt.
pub(super) fn of_this_machine(slips: Vec<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match settings::checked() {
        Err(error) => findings.push(Finding::problem(
            SETTINGS,
            sentence(&error),
            "Correct it; `usher config` then shows what holds. A service that is started with it refuses it.",
        )),
        Ok(_) => {
            if let Some(file) = environment(FILE_VARIABLE) {
                let what = format!("{} is in order", file.to_string_lossy());
                findings.push(Finding::ok(SETTINGS, what));
            }
        }
    }
    for slip in slips {
        let advice = "Correct the name, or unset it; `usher config` shows what holds.";
        findings.push(Finding::warning(SETTINGS, slip, advice));
    }
    findings
}
