//! Who we are to the broker, as operators set it: services and commands take the login from URL or
//! file, and say what to do where it is refused.

use std::process::Output;

use kit::testing::{NatsOperator, NatsServer, Process, SOON, Service, World, eventually};
use proto::accounts::{CreateAccountRequest, accounts_service_client::AccountsServiceClient};
use tokio::process::Command;
use tonic::transport::Channel;

use crate::world::{USHER, refusal, usher};

/// Accounts as a process of its own, which writes down all that anybody logs.
async fn accounts(world: &World, login: &[(&str, &str)]) -> Process<Channel> {
    let mut command = Command::new(USHER);
    command.arg("accounts").current_dir(world.folder());
    let settings = world.settings().with(&[("RUST_LOG", "trace")]);
    Process::start(command, &settings.with(login)).await
}

/// A command that is told of the broker by its environment alone.
fn command(arguments: &[&str], login: &[(&str, &str)]) -> Output {
    let mut command = usher();
    command.args(arguments).args(["--output", "json"]);
    command.envs(login.iter().copied());
    command.output().expect("usher can be run")
}

#[tokio::test]
async fn services_and_commands_log_in_by_url_and_by_file_and_log_no_secret() {
    let world: World = World::on_sqlite();
    let (operator, file) = (NatsOperator::default(), world.file("usher.creds"));
    operator.write_credentials(&file);
    let file = file.to_str().expect("temporary folders have plain names");
    let user = "authorization { user: usher, password: \"s3cret#1\" }\n".to_owned();
    for (configuration, login) in [(user, "usher:s3cret%231@"), (operator.configuration(), "")] {
        let server = NatsServer::start_with(&configuration).await;
        let url = server.url().replace("://", &format!("://{login}"));
        let mut login = vec![("USHER_NATS_URL", url.as_str())];
        if !url.contains('@') {
            login.push(("USHER_NATS_CREDENTIALS", file));
        }
        let provisioned = command(&["nats", "provision"], &login);
        let said = String::from_utf8_lossy(&provisioned.stderr);
        assert!(provisioned.status.success(), "{said}");

        let accounts = accounts(&world, &login).await;
        let request = CreateAccountRequest {
            email: format!("ada{}@example.com", login.len()),
            display_name: "Ada".to_owned(),
            locale: "en".to_owned(),
        };
        let mut client = AccountsServiceClient::new(accounts.client());
        client.create_account(request).await.unwrap();
        world.until_none("outbox WHERE published_at IS NULL").await;
        let status = command(&["nats", "status"], &login);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["streams"][0]["messages"], 1, "{status}");

        let seed = std::fs::read_to_string(file).unwrap();
        let seed = seed.lines().find(|line| line.starts_with("SU")).unwrap();
        let log = accounts.terminate().await;
        assert!(log.contains("Connected to the broker."), "{log}");
        assert!(!log.contains("s3cret") && !log.contains(seed), "{log}");
    }
}

#[tokio::test]
async fn i20_a_refused_login_is_told_by_readiness_commands_and_doctor_with_what_to_do() {
    let world: World = World::on_sqlite();
    let server = NatsServer::start_with("authorization { token: right }\n").await;
    let url = server.url().replace("://", "://s3cret@");
    let login = [("USHER_NATS_URL", url.as_str())];
    let (code, error) = refusal(&command(&["nats", "status"], &login));
    assert_eq!(code, 4, "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("refuses the token in USHER_NATS_URL"),
        "{error}"
    );
    assert!(
        error["hint"].as_str().unwrap().contains("Compare it"),
        "{error}"
    );

    let settings = world.settings().with(&login);
    let app = accounts::app::App::build(settings.config(), world.clock.clone()).await;
    let app = app.unwrap();
    let admin = format!("http://{}", app.admin_addr());
    let at = format!("http://{}", app.addr());
    let service: Service<Channel> =
        Service::start(&settings, [app.addr(), app.admin_addr()], |shutdown| {
            app.run_until(shutdown)
        });
    let told = async || {
        let (code, body) = service.probe("/readyz").await;
        assert!(code == 200 && !body.contains("s3cret"), "{body}");
        body.contains("refuses the token in USHER_NATS_URL")
            .then_some(())
    };
    eventually("readiness to tell of it", SOON, told).await;
    let doctor = tokio::task::spawn_blocking(move || {
        let named = ["--accounts-url", &at, "--accounts-admin-url", &admin];
        command(
            &[&["doctor"], &named[..]].concat(),
            &[("USHER_NATS_URL", url.as_str())],
        )
    });
    let doctor = doctor.await.unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert_eq!(doctor.status.code(), Some(1));
    for part in ["accounts", "nats-server"] {
        let findings: Vec<serde_json::Value> = serde_json::from_slice(&doctor.stdout).unwrap();
        let refused = findings.iter().find(|finding| {
            finding["part"] == part
                && finding["what"]
                    .as_str()
                    .unwrap()
                    .contains("refuses the token")
        });
        let refused = refused.unwrap_or_else(|| panic!("{part} says nothing: {said}"));
        assert!(
            refused["advice"].as_str().unwrap().contains("Compare it"),
            "{said}"
        );
    }
    assert!(!said.contains("s3cret"), "{said}");
    service.stop().await;
}
