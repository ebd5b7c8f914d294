//! What a machine installs beside the command: completions for its shells, pages for `man`.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use kit::testing::skip;

use crate::world::usher;

fn text(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn completions(shell: &str) -> String {
    let mut command = usher();
    text(
        &command
            .args(["completions", shell])
            .output()
            .expect("usher can be run"),
    )
}

#[test]
fn bash_completes_commands_flags_and_values() {
    // As bash itself calls the function, with the words of the line and the cursor in the last.
    const ASK: &str = r#"
        source "$1"; shift
        [[ $(complete -p usher) == *"-F _usher usher" ]] || exit 9
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _usher usher "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        echo "${COMPREPLY[@]}""#;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let script = folder.path().join("usher");
    fs::write(&script, completions("bash")).expect("the folder can be written");
    for (line, completed) in [
        ("usher acc", "account accounts"),
        ("usher account li", "list"),
        ("usher account list --st", "--status"),
        ("usher account list --status ", "pending verified"),
        ("usher --output ", "table json"),
        ("usher logs ma", "mailer"),
        ("usher help account cr", "create"),
        ("usher completions b", "bash"),
        ("usher mailer --mail-f", "--mail-from"),
    ] {
        let mut bash = Command::new("bash");
        bash.args(["-c", ASK, "bash"])
            .arg(&script)
            .args(line.split(' '));
        let answer = text(&bash.output().expect("bash can be run"));
        assert_eq!(answer.trim(), completed, "{line}");
    }
}

#[test]
fn every_shell_gets_a_script_that_it_can_read() {
    for (shell, check) in [
        ("bash", Some("-n")),
        ("zsh", Some("-n")),
        ("fish", Some("-n")),
        ("elvish", Some("-compileonly")),
        ("powershell", None),
    ] {
        let script = completions(shell);
        assert!(script.contains("confirm"), "{shell}: {script}");
        let Some(check) = check else { continue };
        if Command::new(shell).args(["-c", "true"]).output().is_err() {
            skip(false, &format!(": there is no {shell}"));
            continue;
        }
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        fs::write(&file, script).expect("the file can be written");
        let read = Command::new(shell).arg(check).arg(file.path()).output();
        text(&read.expect("the shell can be run"));
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let man = folder.path().join("share/man/man1");
    let mut command = usher();
    command.args(["man", "--dir"]).arg(&man);
    let said = text(&command.output().expect("usher can be run"));
    let mut pages = Vec::new();
    for file in fs::read_dir(&man).expect("the folder was made") {
        pages.push(file.expect("it can be listed").path());
    }
    let number = pages.len();
    assert!(
        said.starts_with(&format!("{number} manual pages")),
        "{said}"
    );
    let read = |name: &str| fs::read_to_string(man.join(name)).expect("there is such a page");
    for (page, holds) in [
        ("usher.1", "EXIT CODES"),
        (
            "usher-account-create.1",
            "usher account create ada@example.com \\-\\-name Ada",
        ),
        ("usher-nats-status.1", "USHER_NATS_URL"),
        ("usher-mailer.1", "USHER_MAIL_FROM"),
        ("usher-migrate-status.1", "SYNOPSIS"),
    ] {
        assert!(read(page).contains(holds), "{page}: {}", read(page));
    }
    let mut one = usher();
    let one = text(
        &one.args(["man", "account", "create"])
            .output()
            .expect("usher can be run"),
    );
    assert_eq!(one, read("usher-account-create.1"));
    for page in &pages {
        assert_no_complaint(page);
    }
}

/// What groff has to say of a page.
fn assert_no_complaint(page: &Path) {
    let mut groff = Command::new("groff");
    groff.args(["-k", "-man", "-ww", "-z", "-Tutf8"]).arg(page);
    let Ok(output) = groff.output() else {
        return skip(false, ": there is no groff");
    };
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaints, "", "{}", page.display());
}
