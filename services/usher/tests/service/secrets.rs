//! `usher cluster secrets`: Secrets are made once, whoever runs it how often, and nobody's are
//! changed.

use std::{collections::BTreeMap, fs, path::Path, process::Output};

use hyper::{Method, StatusCode};
use kit::{bus::BrokerUser, files, keyring::KeyRing, serve::AdminToken};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::{
    kubernetes::{Kubernetes, plan},
    world::{refusal, usher},
};

/// A plan as a release has it.
fn release() -> Value {
    json!({
        "labels": { "app.kubernetes.io/name": "usher" },
        "secrets": [
            { "name": "usher-nats", "keys": {
                "accounts": { "kind": "nkey-public", "of": "usher-accounts/nats-seed" }
            } },
            { "name": "usher-accounts", "keys": {
                "database-url": {
                    "kind": "text",
                    "text": "postgres://accounts:${usher-postgres/accounts}@usher-postgres:5432/accounts"
                },
                "nats-seed": { "kind": "nkey" }
            } },
            { "name": "usher-postgres", "keys": {
                "accounts": { "kind": "password" },
                "mailer": { "kind": "password" }
            } },
            { "name": "usher-keys", "keys": {
                "admin-token": { "kind": "token" },
                "code-keys": { "kind": "code-keys" },
                "address-keys": { "kind": "address-keys" },
                "fingerprint-key": { "kind": "key" }
            } }
        ]
    })
}

/// Runs it against the stand-in, as in a pod.
async fn make(kubernetes: &Kubernetes, wanted: &Value, more: &[&str]) -> Output {
    let mut command = usher();
    command
        .args(["cluster", "secrets", "--plan"])
        .arg(plan(&kubernetes.account(), wanted))
        .arg("--service-account")
        .arg(kubernetes.account())
        .args(more)
        .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .env("KUBERNETES_SERVICE_PORT", kubernetes.port().to_string());
    let output = spawn_blocking(move || command.output().expect("usher can be run"));
    output.await.unwrap()
}

async fn made(kubernetes: &Kubernetes, wanted: &Value) -> BTreeMap<String, String> {
    let output = make(kubernetes, wanted, &["--output", "json"]).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("it answers in JSON");
    let mut outcomes = BTreeMap::new();
    for secret in report["secrets"].as_array().unwrap() {
        for (key, outcome) in secret["keys"].as_object().unwrap() {
            let key = format!("{}/{key}", secret["name"].as_str().unwrap());
            outcomes.insert(key, outcome.as_str().unwrap().to_owned());
        }
    }
    outcomes
}

async fn refused(kubernetes: &Kubernetes, wanted: &Value, more: &[&str]) -> (i32, String) {
    let more = [more, &["--output", "json"]].concat();
    let (code, error) = refusal(&make(kubernetes, wanted, &more).await);
    let hint = error["hint"].as_str().unwrap_or_default();
    (
        code,
        format!("{} {hint}", error["message"].as_str().unwrap()),
    )
}

fn says(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secrets_of_a_plan_fit_each_other_and_a_second_run_changes_nothing() {
    let kubernetes = Kubernetes::start().await;
    let outcomes = made(&kubernetes, &release()).await;
    assert_eq!(outcomes.len(), 9);
    assert!(outcomes.values().all(|one| one == "made"), "{outcomes:?}");

    let password = kubernetes.value("usher-postgres", "accounts");
    assert_eq!(
        kubernetes.value("usher-accounts", "database-url"),
        format!("postgres://accounts:{password}@usher-postgres:5432/accounts")
    );
    assert_ne!(password, kubernetes.value("usher-postgres", "mailer"));
    let user = BrokerUser::of_seed(&kubernetes.value("usher-accounts", "nats-seed")).unwrap();
    assert_eq!(
        user.public_key(),
        kubernetes.value("usher-nats", "accounts")
    );
    assert_what_services_read(&kubernetes);

    let before = kubernetes.secrets();
    for secret in before.values() {
        assert_eq!(secret.labels["app.kubernetes.io/name"], "usher");
    }
    let outcomes = made(&kubernetes, &release()).await;
    assert!(outcomes.values().all(|one| one == "left"), "{outcomes:?}");
    assert_eq!(kubernetes.secrets(), before);
}

/// The files of a pod, read as a service reads them.
fn assert_what_services_read(kubernetes: &Kubernetes) {
    let folder = kit::testing::folder();
    let token = folder.path().join("admin-token");
    files::replace(&token, &kubernetes.value("usher-keys", "admin-token")).unwrap();
    AdminToken::read_or_make(&token).unwrap();
    let rings = ["code-keys", "address-keys"].map(|key| {
        let ring = KeyRing::parse(&kubernetes.value("usher-keys", key)).unwrap();
        ring.in_use().clone()
    });
    assert_ne!(rings[0], rings[1]);
    let key = kubernetes.value("usher-keys", "fingerprint-key");
    assert_eq!(hex::decode(key.trim()).unwrap().len(), 32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_is_ever_shown() {
    let kubernetes = Kubernetes::start().await;
    let mut said = String::new();
    for more in [&[][..], &["--output", "json"], &["--quiet"]] {
        said.push_str(&says(&make(&kubernetes, &release(), more).await));
    }
    kubernetes.with(|state| state.put("usher-postgres", "accounts", "by-hand"));
    said.push_str(&says(&make(&kubernetes, &release(), &[]).await));
    kubernetes.with(|state| state.put("usher-accounts", "nats-seed", "no-seed"));
    kubernetes.with(|state| state.secrets.remove("usher-nats"));
    said.push_str(&says(&make(&kubernetes, &release(), &[]).await));
    assert!(said.contains("no nkey's seed"), "{said}");
    for (name, secret) in kubernetes.secrets() {
        for (key, value) in secret.values {
            // A ring's lines and a URL's parts, too.
            for piece in value.split([':', '@', '/', '\n']).filter(|it| it.len() > 8) {
                let is_public = release().to_string().contains(piece);
                assert!(
                    is_public || !said.contains(piece),
                    "{name}/{key} is in {said}"
                );
            }
        }
    }
    assert!(
        !said.contains("by-hand") && !said.contains("no-seed"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_at_once_end_with_the_same_secrets() {
    let kubernetes = Kubernetes::start().await;
    // Both have seen that nothing is there before one of them makes something.
    kubernetes.let_makers_meet(2);
    let wanted = release();
    let both = tokio::join!(made(&kubernetes, &wanted), made(&kubernetes, &wanted));
    assert!(kubernetes.count(&Method::POST, StatusCode::CONFLICT) > 0);
    for key in both.0.keys() {
        let outcomes = [&both.0[key], &both.1[key]];
        let makers = outcomes.iter().filter(|one| **one == "made").count();
        assert_eq!(makers, 1, "{key}: {outcomes:?}");
    }
    assert_eq!(kubernetes.count(&Method::PATCH, StatusCode::OK), 0);
    let outcomes = made(&kubernetes, &release()).await;
    assert!(outcomes.values().all(|one| one == "left"), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_there_keeps_its_keys_and_gets_those_that_it_lacks() {
    let kubernetes = Kubernetes::start().await;
    kubernetes.with(|state| {
        state.put("usher-postgres", "accounts", "p@ss:word/1\n");
        state.put("usher-keys", "unknown", "somebody's");
        // Between the look and the write: the key that is about to be added.
        state.put("usher-accounts", "other", "x");
    });
    kubernetes.before(Method::PATCH, "usher-keys", |state| {
        state.put("usher-keys", "admin-token", "chosen by hand");
    });
    kubernetes.before(Method::PATCH, "usher-accounts", |state| {
        state.secrets.remove("usher-accounts");
    });
    let mut wanted = release();
    wanted["secrets"][1]["keys"]["database-url"]["kind"] = "url".into();
    let outcomes = made(&kubernetes, &wanted).await;
    assert_eq!(outcomes["usher-postgres/accounts"], "left");
    assert_eq!(outcomes["usher-postgres/mailer"], "added");
    assert_eq!(outcomes["usher-keys/admin-token"], "left");
    assert_eq!(outcomes["usher-keys/code-keys"], "added");
    assert_eq!(
        outcomes["usher-accounts/nats-seed"], "made",
        "it was deleted meanwhile"
    );
    assert_eq!(kubernetes.count(&Method::PATCH, StatusCode::CONFLICT), 1);
    assert_eq!(kubernetes.value("usher-keys", "unknown"), "somebody's");
    assert_eq!(
        kubernetes.value("usher-keys", "admin-token"),
        "chosen by hand"
    );
    assert_eq!(
        kubernetes.value("usher-postgres", "accounts"),
        "p@ss:word/1\n"
    );
    // Percent-encoded, and without the end of the file that it came from.
    let url = kubernetes.value("usher-accounts", "database-url");
    assert_eq!(
        url,
        "postgres://accounts:p%40ss%3Aword%2F1@usher-postgres:5432/accounts"
    );
    assert_eq!(
        kubernetes.secrets()["usher-keys"].labels.len(),
        0,
        "not ours to label"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_derived_key_that_does_not_fit_any_more_is_reported_and_left() {
    let kubernetes = Kubernetes::start().await;
    made(&kubernetes, &release()).await;
    let before = kubernetes.value("usher-accounts", "database-url");
    kubernetes.with(|state| state.put("usher-postgres", "accounts", "another"));
    let output = make(&kubernetes, &release(), &[]).await;
    let said = says(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("left, does not fit"), "{said}");
    let told = "usher-accounts/database-url is not what the plan makes of usher-postgres/accounts";
    assert!(said.contains(told), "{said}");
    assert!(said.contains("\"path\":\"/data/database-url\""), "{said}");
    assert_eq!(kubernetes.value("usher-accounts", "database-url"), before);

    // What it says to do about it.
    kubernetes.with(|state| {
        let secret = state.secrets.get_mut("usher-accounts").unwrap();
        secret.values.remove("database-url");
    });
    assert_eq!(
        made(&kubernetes, &release()).await["usher-accounts/database-url"],
        "added"
    );
    let after = kubernetes.value("usher-accounts", "database-url");
    assert!(
        after.contains(":another@"),
        "it is made anew of what is stored"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_make_is_waited_for_and_named_when_it_does_not_come() {
    let kubernetes = Kubernetes::start().await;
    let url = "postgres://x:${cluster-app/password}@db/x";
    let wanted = json!({ "secrets": [
        { "name": "usher-accounts", "keys": { "database-url": { "kind": "text", "text": url } } },
        { "name": "usher-keys", "keys": { "admin-token": { "kind": "token" } } },
    ] });
    let (code, told) = refused(&kubernetes, &wanted, &["--wait", "1ms"]).await;
    assert_eq!(code, 3, "{told}");
    let missing = "usher-accounts/database-url is made of cluster-app/password, which is not there";
    assert!(told.contains(missing), "{told}");
    assert!(
        kubernetes.secrets().contains_key("usher-keys"),
        "what can be made is made"
    );

    kubernetes.with(|state| state.put("cluster-app", "password", ""));
    let (_, told) = refused(&kubernetes, &wanted, &[]).await;
    assert!(
        told.contains("cluster-app/password, which is of no use: it is empty"),
        "{told}"
    );

    kubernetes.with(|state| state.secrets.remove("cluster-app"));
    // At the first look it is not there, at the second one it is.
    kubernetes.before(Method::GET, "cluster-app", |_| {});
    kubernetes.before(Method::GET, "cluster-app", |state| {
        state.put("cluster-app", "password", "theirs");
    });
    let outcomes = made(&kubernetes, &wanted).await;
    assert_eq!(outcomes["usher-accounts/database-url"], "made");
    assert_eq!(
        kubernetes.value("usher-accounts", "database-url"),
        "postgres://x:theirs@db/x"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_asked_again_with_the_token_of_that_moment() {
    let kubernetes = Kubernetes::start().await;
    let busy = [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    kubernetes.with(|state| state.troubles.extend(busy));
    // The token that it began with is good for its first question only.
    let account = kubernetes.account();
    kubernetes.before(Method::GET, "usher-nats", move |state| {
        fs::write(account.join("token"), "renewed").unwrap();
        "renewed".clone_into(&mut state.token);
    });
    let outcomes = made(&kubernetes, &release()).await;
    assert!(outcomes.values().all(|one| one == "made"), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_api_refuses_says_what_to_do() {
    let kubernetes = Kubernetes::start().await;
    kubernetes.with(|state| state.forbidden.insert(Method::POST));
    let (code, told) = refused(&kubernetes, &release(), &[]).await;
    assert_eq!(code, 4, "{told}");
    assert!(
        told.contains("secrets \"usher-postgres\" is forbidden"),
        "{told}"
    );
    assert!(told.contains("get, create and patch on secrets"), "{told}");
    kubernetes.with(|state| state.forbidden.clear());

    let (code, told) = refused(&kubernetes, &release(), &["--namespace", "nowhere"]).await;
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("kubectl create namespace nowhere"), "{told}");

    kubernetes.with(|state| {
        state.put("usher-keys", "other", "x");
        state.secrets.get_mut("usher-keys").unwrap().is_immutable = true;
    });
    let (code, told) = refused(&kubernetes, &release(), &[]).await;
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("delete it and make it anew"), "{told}");

    kubernetes.with(|state| "another".clone_into(&mut state.token));
    let (code, told) = refused(&kubernetes, &release(), &[]).await;
    assert_eq!(code, 4, "{told}");
    assert!(
        told.contains("The token of the service account is not taken"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_the_api_of_the_cluster_gets_no_token() {
    let kubernetes = Kubernetes::start().await;
    let another = Kubernetes::start().await;
    let url = another.url();
    let wait = ["--wait", "1ms", "--api-url", &url];
    let (code, told) = refused(&kubernetes, &release(), &wait).await;
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("TLS does not come about"), "{told}");
    assert!(another.with(|state| state.asked.is_empty()));

    let gone = "https://127.0.0.1:1";
    let (code, told) = refused(
        &kubernetes,
        &release(),
        &["--wait", "1ms", "--api-url", gone],
    )
    .await;
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("nothing listens there"), "{told}");
}

#[test]
fn outside_of_a_cluster_it_says_so() {
    let folder = kit::testing::folder();
    let file = plan(folder.path(), &release());
    let refused = |arguments: &[&str]| {
        let mut command = usher();
        command
            .args(["cluster", "secrets", "--output", "json", "--plan"])
            .arg(&file);
        let (code, error) = refusal(&command.args(arguments).output().unwrap());
        assert_eq!(code, 2, "{error}");
        error["message"].as_str().unwrap().to_owned()
    };
    assert!(refused(&[]).starts_with("This is no pod of a Kubernetes cluster"));
    let lacking = refused(&["--api-url", "https://127.0.0.1:1"]);
    assert!(
        lacking.contains("/ca.crt of the service account cannot be used"),
        "{lacking}"
    );
}

#[test]
fn a_plan_is_refused_with_everything_that_is_wrong_in_it() {
    let told = |text: &str| of_plan(text).replace('\n', " ");
    for (text, why) in [
        ("", "EOF while parsing"),
        (r#"{"secrets":[],"secret":[]}"#, "unknown field `secret`"),
        (
            r#"{"secrets":[{"name":"a","keys":{"k":{"kind":"pass"}}}]}"#,
            "unknown variant `pass`",
        ),
        (
            r#"{"secrets":[{"name":"a","keys":{"k":{"kind":"key","text":"x"}}}]}"#,
            "unknown field `text`",
        ),
        (
            r#"{"secrets":[{"name":"a","keys":{"k":{"kind":"nkey-public","of":"b"}}}]}"#,
            "expected SECRET/KEY, and there is `b`",
        ),
        (
            r#"{"secrets":[{"name":"a","keys":{"k":{"kind":"text","text":"${b/c"}}}]}"#,
            "a `${` has no `}` behind it",
        ),
    ] {
        assert!(told(text).contains(why), "{text}: {}", told(text));
    }
    let several = json!({ "secrets": [
        { "name": "A", "keys": { "k/": { "kind": "key" } } },
        { "name": "b", "keys": {} },
        { "name": "b", "keys": {} },
        { "name": "d", "keys": { "x": { "kind": "text", "text": "${c/one}" } } },
        { "name": "c", "keys": {
            "one": { "kind": "text", "text": "${d/x}" },
            "two": { "kind": "nkey-public", "of": "c/three" },
        } },
    ] });
    let told = told(&several.to_string());
    for why in [
        "`A` is no name of a Secret",
        "`A/k/` is no key of a Secret",
        "b stands in it twice",
        "b has no keys",
        "c/two names c/three, which the plan does not have",
        "c/one is made of d/x, which is made of c/one",
        "Nothing was made.",
    ] {
        assert!(told.contains(why), "{why}: {told}");
    }
}

/// What is said of a plan that is refused before anybody is asked.
fn of_plan(text: &str) -> String {
    let folder = kit::testing::folder();
    let file = folder.path().join("plan.json");
    fs::write(&file, text).unwrap();
    let output = with_plan(&file);
    assert_eq!(output.status.code(), Some(2), "{}", says(&output));
    says(&output)
}

fn with_plan(file: &Path) -> Output {
    let mut command = usher();
    command.args(["cluster", "secrets", "--plan"]).arg(file);
    command.output().expect("usher can be run")
}
