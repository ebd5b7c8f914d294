//! A service as a child of `usher up`: the same binary, told everything by its environment.

use std::ffi::OsString;

use super::{
    data::DataFolder,
    ports::Ports,
    run_file::RunFile,
    supervise::{Ending, Program},
    traces::Signals,
};
use crate::{migrate, signals::STOP_WITH_STDIN, target::Service};

/// What to run for `service`. What the user has set beside what stands here (`USHER_MAIL_URL`, `USHER_PUBLIC_URL`,
/// …) holds.
///
/// # Errors
/// When the executable of this process cannot be found.
pub(super) fn program(
    service: Service,
    data: &DataFolder,
    ports: &Ports,
    run: &RunFile,
    signals: Signals,
) -> anyhow::Result<Program> {
    let mut environment = vec![
        (STOP_WITH_STDIN, "1".to_owned()),
        ("USHER_LISTEN", ports.grpc(service).to_string()),
        ("USHER_ADMIN_LISTEN", ports.admin(service).to_string()),
        (
            "USHER_ADMIN_TOKEN_FILE",
            run.admin_token_file.display().to_string(),
        ),
        (
            "USHER_DATABASE_URL",
            migrate::local_url(data.root(), service),
        ),
        ("USHER_NATS_URL", run.nats_url.clone()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", run.otlp_endpoint.clone()),
    ];
    if std::env::var_os("OTEL_BSP_SCHEDULE_DELAY").is_none() {
        // Milliseconds: a person who looks at a journey waits for the slowest process's spans.
        environment.push(("OTEL_BSP_SCHEDULE_DELAY", "250".to_owned()));
    }
    if signals == Signals::Traces {
        environment.extend(
            ["OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"].map(|key| (key, "none".to_owned())),
        );
    }
    let key_file = |name| data.path(name).display().to_string();
    match service {
        Service::Accounts => {
            environment.push(("USHER_FINGERPRINT_KEY_FILE", key_file("fingerprint-key")))
        }
        Service::Verification => {
            environment.push(("USHER_MAILER_URL", run.mailer.url.clone()));
            environment.push(("USHER_CODE_KEYS_FILE", key_file("code-keys")));
        }
        Service::Mailer => {
            environment.push(("USHER_ADDRESS_KEY_FILE", key_file("address-keys")));
            if std::env::var_os("USHER_MAIL_URL").is_none() {
                environment.push(("USHER_MAIL_URL", run.mail.clone()));
            }
        }
    }
    let binary = std::env::current_exe().map_err(|error| {
        anyhow::anyhow!("The executable of this process cannot be found: {error}")
    })?;
    let environment = environment
        .into_iter()
        .map(|(key, value)| (key, OsString::from(value)))
        .collect();
    let arguments = vec![service.name().into()];
    Ok(Program {
        name: service.name(),
        binary,
        arguments,
        environment,
        ending: Ending::ClosedInput,
        pid_file: None,
    })
}
