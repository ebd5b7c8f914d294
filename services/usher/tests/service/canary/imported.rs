//! People who come by `usher account import`: in files with lines that are good and lines that are
//! not, and in one that is no table.

use std::fs;

use super::{
    ground::Ground,
    seen::{Canary, Kind, Seen},
    story::{self, NAME, code_of_mail, keep},
};

const ADDRESS: &str = "Canary.Jh5ks@example.com";
const BROKEN: &str = "Canary.Wx3np@example.com";
const HEADING: &str = "Canary.Dq8vt@example.com";
const IDEMPOTENCY_KEY: &str = "canary-import-key-7d2e";

/// Imports them, and answers with the canaries: who they are, and the code that was mailed.
pub(super) async fn import(ground: &Ground, seen: &mut Seen) -> Vec<Canary> {
    let taken = story::ADDRESS;
    let people = format!(
        r#"{{"email": "{ADDRESS}", "display_name": "{NAME}", "idempotency_key": "{IDEMPOTENCY_KEY}"}}
{{"email": "{taken}", "display_name": "{NAME}"}}
{{"email": "{BROKEN}@x", "display_name": "{NAME} http://a.b"}}
{{"email": "{BROKEN}", "display_name": 7, "name": "{NAME}"}}
{{"email": "{BROKEN}", "line": "{NAME}"}}
{{"{BROKEN}": "{NAME}"}}
{{"email": "{BROKEN}", "display_name": "{NAME}
"#
    );
    let no_table = format!("{HEADING},{NAME}\n{BROKEN},{NAME}\n");
    let table = format!("email,display_name\n{BROKEN}@x,{NAME}\n{BROKEN},\"{NAME},{NAME}\n");
    for (file, text, code) in [
        ("people.ndjson", people, 4),
        ("no-table.csv", no_table, 2),
        ("people.csv", table, 4),
        ("nobody.ndjson", String::new(), 0),
    ] {
        fs::write(ground.file(file), text).expect("the folder can be written");
        for format in ["table", "json"] {
            let output = ground.run(&["account", "import", file, "--output", format], &[]);
            keep(
                seen,
                &format!("usher account import {file}, {format}"),
                &output,
            );
            assert_eq!(output.status.code(), Some(code), "{file}: {output:?}");
        }
    }
    let code = code_of_mail(&ground.smtp, ADDRESS, 1).await;
    let digits = code.replace(' ', "");
    let mut canaries = vec![
        Canary::new(Kind::Secret, "idempotency key in a file", IDEMPOTENCY_KEY),
        Canary::new(Kind::Code, "code of who is imported", &digits).also(&code),
    ];
    for (what, address) in [
        ("address of who is imported", ADDRESS),
        ("address in a line that is refused", BROKEN),
        ("address in the place of a heading", HEADING),
    ] {
        let (local, _) = address.split_once('@').expect("it is an address");
        canaries.push(Canary::new(Kind::Person, what, local));
    }
    canaries
}
