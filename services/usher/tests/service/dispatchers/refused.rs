//! Dispatchers that there are not, and those that lack what they call.

use crate::world::{USHER, refusal, usher};

#[test]
fn a_dispatcher_that_does_not_exist_is_refused_with_the_names_of_those_that_do() {
    let folder = kit::testing::folder();
    let data = folder.path().join("data");
    let mut by_flag = usher();
    by_flag
        .args(["up", "--dispatcher", "pigeon", "--data"])
        .arg(&data);
    let mut by_variable = usher();
    by_variable
        .args(["up", "--ports", "auto", "--data"])
        .arg(&data)
        .env("USHER_DISPATCHER", "pigeon");
    let mut of_the_service = usher();
    of_the_service
        .args(["accounts"])
        .env("USHER_DISPATCHER", "pigeon");
    for mut command in [by_flag, by_variable, of_the_service] {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
        for part in ["pigeon", "inline", "background", "jetstream"] {
            assert!(said.contains(part), "{command:?}: {said}");
        }
    }
}

#[test]
fn a_dispatcher_that_calls_verification_is_refused_without_its_url() {
    for kind in ["inline", "background"] {
        let folder = kit::testing::folder();
        let mut accounts = usher();
        accounts
            .args(["accounts", "--output", "json"])
            .current_dir(folder.path())
            .envs([
                ("USHER_DISPATCHER", kind),
                ("USHER_LISTEN", "127.0.0.1:0"),
                ("USHER_ADMIN_LISTEN", "127.0.0.1:0"),
            ]);
        let (code, error) = refusal(&accounts.output().unwrap());
        let message = error["message"].as_str().unwrap_or_default();
        assert_eq!(code, 2, "{error}");
        for part in ["USHER_VERIFICATION_URL", kind, "jetstream", "dns:///"] {
            assert!(message.contains(part), "{message}");
        }
        let made = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(made, 0, "{USHER} made files before it was refused");
    }
}
