//! `usher account import`: everybody in a file is signed up once, whatever the file holds and
//! whatever happens meanwhile.

use std::{
    collections::HashSet,
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use kit::testing::{SOON, eventually};
use serde_json::Value;

use crate::world::{World, refusal, usher};

/// What it says of each line, and at last of all of them.
fn told(output: &Output) -> (Vec<Value>, Value) {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(serde_json::from_str);
    let mut told: Vec<Value> = lines.collect::<Result<_, _>>().unwrap();
    let last = told.pop().unwrap_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        panic!("nothing was said: {errors}")
    });
    (told, last["imported"].clone())
}

fn ids(told: &[Value]) -> HashSet<String> {
    let mut ids = HashSet::new();
    for one in told {
        if let Some(id) = one["signed_up"]["account_id"].as_str() {
            ids.insert(id.to_owned());
        }
    }
    ids
}

fn import(world: &World, file: &Path) -> Output {
    world.command(&["account", "import", file.to_str().unwrap()])
}

fn written(world: &World, name: &str, text: &str) -> PathBuf {
    let file = world.data().with_file_name(name);
    fs::write(&file, text).unwrap();
    file
}

/// What is kept of refused lines.
fn kept(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn everybody_in_a_file_is_signed_up_once_and_what_is_refused_can_be_mended_and_imported() {
    let world = World::start(&[]).await;
    let mut people = "\u{feff}Email;Display_Name;Locale\r\n".to_owned();
    for number in 0..300 {
        let line = match number {
            17 => "visit example.org@;\"Ada\";de.DE".to_owned(),
            18 => "three@example.com;columns".to_owned(),
            19 => String::new(),
            20 => "ADA3@example.com;Ada;en".to_owned(),
            _ => format!("ada{number}@example.com;\"Ada, Countess\";de"),
        };
        write!(people, "{line}\r\n").unwrap();
    }
    let file = written(&world, "people.csv", &people);
    let output = import(&world, &file);
    let (code, error) = refusal(&output);
    assert_eq!(
        (code, &error["message"]),
        (4, &"3 of 299 lines were refused.".into())
    );
    let (told, imported) = told(&output);
    assert_eq!(
        (told.len(), &imported["signed_up"], &imported["refused"]),
        (299, &296.into(), &3.into())
    );
    let signed_up = ids(&told);
    assert_eq!(signed_up.len(), 296);

    let refused = world.data().with_file_name("people.csv.refused.ndjson");
    let mode = fs::metadata(&refused).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "it holds people's data");
    let mut lines = kept(&refused);
    lines.sort_by_key(|line| line["line"].as_u64());
    let reasons: Vec<_> = lines
        .iter()
        .map(|line| (line["line"].as_u64().unwrap(), line["refused"].as_str()))
        .collect();
    assert_eq!(reasons.len(), 3);
    assert_eq!(reasons[0].0, 19);
    let three = reasons[0].1.unwrap();
    assert!(
        three.contains("email: ") && three.contains("locale: "),
        "{three}"
    );
    let short = (20, Some("it has 2 columns, the heading 3"));
    assert_eq!(reasons[1], short);
    assert_eq!(lines[1]["text"], "three@example.com;columns");
    assert_eq!(
        (&lines[2]["line"], &lines[2]["reason"]),
        (&22.into(), &"ADDRESS_TAKEN".into())
    );

    // Once more: nobody anew, and the same are refused.
    let (again, _) = self::told(&import(&world, &file));
    assert_eq!(ids(&again), signed_up);

    // What was refused, mended.
    lines[0]["email"] = "eve@example.com".into();
    lines[0]["locale"] = "de".into();
    lines[0]["display_name"] = "Eve".into();
    lines[1] = serde_json::json!({"email": "three@example.com"});
    lines[2]["email"] = "ada300@example.com".into();
    let mended: Vec<String> = lines.iter().map(Value::to_string).collect();
    let mended = written(&world, "mended.ndjson", &mended.join("\n"));
    let output = import(&world, &mended);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(self::told(&output).1["signed_up"], 3);
    let listed = world.json(&["account", "list", "--limit", "1000"]);
    assert_eq!(listed.as_array().unwrap().len(), 299);
}

#[tokio::test]
async fn standard_input_is_read_as_it_comes_and_broken_lines_stop_no_others() {
    let world = World::start(&[]).await;
    let mut command = usher();
    command.args(["account", "import", "-", "--quiet", "--data"]);
    command.arg(world.data()).current_dir(world.data());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let long = "a".repeat(1 << 20);
    let lines = [
        r#"{"email": "ada@example.com", "display_name": "Ada"}"#,
        r#"{"email": "bob@example.com""#,
        &format!(r#"{{"email": "{long}"}}"#),
        r#"{"email": "cid@example.com", "nickname": "C"}"#,
        r#"{"email": "dan@example.com"}"#,
    ];
    let mut input = child.stdin.take().unwrap();
    for line in lines {
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let ids = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(ids.lines().count(), 2, "{ids}");
    for id in ids.lines() {
        world.json(&["account", "show", id]);
    }
    let kept = kept(&world.data().join("import.refused.ndjson"));
    let mut lines: Vec<_> = kept.iter().map(|line| line["line"].as_u64()).collect();
    lines.sort_unstable();
    assert_eq!(lines, [Some(2), Some(3), Some(4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i01_i14_an_import_outlasts_crashes_of_accounts_and_signs_everybody_up_once() {
    let world = World::start(&[]).await;
    let mut people = "email\n".to_owned();
    for number in 0..20_000 {
        writeln!(people, "ada{number}@example.com").unwrap();
    }
    let file = written(&world, "people.csv", &people);
    let results = world.data().with_file_name("results");
    let mut command = usher();
    command.args(["account", "import", file.to_str().unwrap()]);
    command
        .args(["--output", "json", "--data"])
        .arg(world.data());
    command.stdout(fs::File::create(&results).unwrap());
    let importing = tokio::task::spawn_blocking(move || command.output().unwrap());
    for crash in 1..=2 {
        eventually("some accounts", SOON, async || {
            let lines = fs::read_to_string(&results).unwrap_or_default();
            (lines.lines().count() > crash * 2_000).then_some(())
        })
        .await;
        world.kill("accounts").await;
    }
    let mut output = importing.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout = fs::read(&results).unwrap();
    let (told, imported) = told(&output);
    assert_eq!(
        (told.len(), ids(&told).len(), &imported["signed_up"]),
        (20_000, 20_000, &20_000.into())
    );
    let listed = world.json(&["account", "list", "--limit", "100000"]);
    assert_eq!(listed.as_array().unwrap().len(), 20_000);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let folder = kit::testing::folder();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let missing = folder.path().join("nobody.csv");
    let nameless = file("nameless.csv", "name,locale\nAda,de\n");
    let twice = file("twice.csv", "email,email\na@b.example,c@d.example\n");
    let without = file("without.csv", "display_name,locale\nAda,de\n");
    let good = file("good.csv", "email\nada@example.com\n");
    for (file, code, word) in [
        (&missing, 1, "there is no such file"),
        (&nameless, 2, "its column 1 is none of email"),
        (&twice, 2, "email stands there twice"),
        (&without, 2, "no column email"),
        (&good, 5, "accounts does not answer"),
    ] {
        let mut command = usher();
        command.args(["account", "import", "--output", "json"]);
        command.args(["--accounts-url", "http://127.0.0.1:1"]);
        command.arg(file).current_dir(folder.path());
        let (found, error) = refusal(&command.output().unwrap());
        let message = error["message"].as_str().unwrap();
        assert_eq!(found, code, "{message}");
        assert!(message.contains(word), "{message}");
    }
}
