//! Hostile clients on every listener while people sign up: the command, run as `make hostile` runs
//! it, at default settings, on the static binary that the image holds. In a file of its own, so
//! that nothing else is measured beside it.
//!
//! Where that binary is not built (`make static`, which CI does first), the services are built for
//! debugging: then neither the latency nor the memory is theirs, and both are only told.

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn i19_i20_while_every_listener_is_attacked_with_everything_nobody_who_is_friendly_is_turned_away()
{
    let Some(usher) = optimised() else {
        for complaint in attacked(None) {
            let is_of_the_build = is_slow(&complaint) || complaint.contains(" MiB");
            assert!(is_of_the_build, "{complaint}");
            tell(&format!("NOT JUDGED, a debug build: {complaint}"));
        }
        return;
    };
    // A machine that does something else for a moment shows in the latency. What is above the
    // bound is measured twice more, and the median of the three counts.
    let complaints = attacked(Some(&usher));
    if !complaints.is_empty() {
        assert!(complaints.iter().all(|one| is_slow(one)), "{complaints:?}");
        for _ in 0..2 {
            let again = attacked(Some(&usher));
            assert!(again.is_empty(), "{complaints:?}, then {again:?}");
        }
    }
}

/// What the run complained of.
fn attacked(usher: Option<&Path>) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-tests"));
    command.arg("hostile");
    if let Some(usher) = usher {
        command.arg("--usher").arg(usher);
    }
    let output = command.output().expect("the load tests can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    tell(&said);
    let warned = String::from_utf8_lossy(&output.stderr);
    assert_eq!(kinds_of_attack(&said), [8; 6], "{said}\n{warned}");
    let verdict = said.lines().last().unwrap_or_default();
    match verdict.strip_prefix("FAIL: ") {
        Some(complaints) => complaints.split("; ").map(ToOwned::to_owned).collect(),
        None => {
            assert!(verdict.starts_with("PASS: "), "{said}\n{warned}");
            Vec::new()
        }
    }
}

/// On each listener, by the rows of the table.
fn kinds_of_attack(said: &str) -> Vec<usize> {
    let services = ["accounts", "verification", "mailer"];
    let listeners = services.map(|service| [service.to_owned(), format!("{service} admin")]);
    let counted = listeners.as_flattened().iter().map(|listener| {
        let rows = said.lines().map(str::trim_start).filter(|row| {
            let rest = row.strip_prefix(listener.as_str());
            rest.is_some_and(|rest| rest.starts_with("  ") && rest.contains("/s "))
        });
        rows.count()
    });
    counted.collect()
}

fn is_slow(complaint: &str) -> bool {
    complaint.starts_with("p99 of sign-ups")
}

/// What `make static` built; it must be there in CI.
fn optimised() -> Option<PathBuf> {
    let usher = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/static/usher");
    env::var_os("CI")?;
    let shown = usher.display();
    assert!(
        usher.exists(),
        "there is no {shown}: `make static` builds it"
    );
    Some(usher)
}

/// Not `println!`: the test harness swallows that of tests that pass.
fn tell(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

#[test]
fn help_teaches_with_examples() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-tests"));
    let output = command.args(["hostile", "--help"]).output();
    let output = output.expect("the load tests can be run");
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{help}");
    for part in ["Examples:", "--attacks", "127.0.0.1"] {
        assert!(help.contains(part), "{help}");
    }
}
