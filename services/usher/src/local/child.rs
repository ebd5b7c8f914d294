//! A service as a child of `usher up`: the same binary, told everything by its environment.

use std::ffi::OsString;

use anyhow::Context as _;
use kit::config::{self, FILE_VARIABLE, Settings};

use super::{
    data::DataFolder,
    exports::Signals,
    ports::Ports,
    run_file::RunFile,
    supervise::{Ending, Program},
    told::ToldServices,
};
use crate::{migrate, service::Service, signals::STOP_WITH_STDIN};

/// What to run for `service`. What `told` says beside what stands here (`USHER_MAIL_URL`,
/// `USHER_PUBLIC_URL`, …) holds.
pub(super) fn program(
    service: Service,
    told: &Settings,
    data: &DataFolder,
    ports: &Ports,
    run: &RunFile,
    signals: Signals,
) -> anyhow::Result<Program> {
    // The same binary: a system never mixes two versions of itself, and one file is all that a
    // person has to install.
    let binary = std::env::current_exe();
    let binary = binary.context("The executable of this process cannot be found")?;
    let mut environment = Vec::new();
    for (variable, value) in told.as_environment() {
        environment.push((variable.to_owned(), value.clone()));
    }
    // It was read here, once: a child that is started again is told what the others were told.
    environment.push((FILE_VARIABLE.to_owned(), OsString::new()));
    let mut set =
        |key: &str, value: String| environment.push((key.to_owned(), OsString::from(value)));
    let file = |name| data.path(name).display().to_string();
    set(STOP_WITH_STDIN, "1".to_owned());
    set("USHER_LISTEN", ports.grpc(service).to_string());
    set("USHER_ADMIN_LISTEN", ports.admin(service).to_string());
    let token_file = run.admin_token_file.display();
    set("USHER_ADMIN_TOKEN_FILE", token_file.to_string());
    set(
        "USHER_DATABASE_URL",
        migrate::local_url(data.root(), service),
    );
    set("USHER_NATS_URL", run.nats_url.clone());
    let credentials = run.nats_credentials.display();
    set("USHER_NATS_CREDENTIALS", credentials.to_string());
    set("OTEL_EXPORTER_OTLP_ENDPOINT", run.otlp_endpoint.clone());
    if told.value("USHER_CALLER_TRACES").is_none() {
        // Who calls here is on this machine: a journey is to begin at its command.
        set("USHER_CALLER_TRACES", "continue".to_owned());
    }
    if config::environment("OTEL_BSP_SCHEDULE_DELAY").is_none() {
        // Milliseconds: a person who looks at a journey waits for the slowest process's spans.
        set("OTEL_BSP_SCHEDULE_DELAY", "250".to_owned());
    }
    // Whoever takes traces only, as Jaeger does, would refuse the rest at every export.
    if signals == Signals::Traces {
        set("OTEL_METRICS_EXPORTER", "none".to_owned());
        set("OTEL_LOGS_EXPORTER", "none".to_owned());
    }
    match service {
        Service::Accounts => {
            set("USHER_FINGERPRINT_KEY_FILE", file("fingerprint-key"));
            // Some dispatchers call it.
            let verification = run.services.verification.url.clone();
            set("USHER_VERIFICATION_URL", verification);
        }
        Service::Verification => {
            set("USHER_MAILER_URL", run.services.mailer.url.clone());
            set("USHER_CODE_KEYS_FILE", file("code-keys"));
        }
        Service::Mailer => {
            set("USHER_ADDRESS_KEY_FILE", file("address-keys"));
            if !ToldServices::says_where_mails_go(told) {
                set("USHER_MAIL_URL", run.mail.clone());
            }
        }
    }
    Ok(Program {
        name: service.name(),
        binary,
        arguments: vec![service.name().into()],
        environment,
        ending: Ending::ClosedInput,
        pid_file: None,
    })
}
