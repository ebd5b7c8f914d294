//! `usher up`: starts the system, shows where everything is, then what goes wrong and every finished journey, until
//! it is asked to stop.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::{
    sync::mpsc::Receiver,
    time::{MissedTickBehavior, interval},
};

use super::{
    logs::{Level, Notice},
    ports::Choice,
    run_file::RunFile,
    system::System,
    traces::Traces,
};
use crate::{
    exit::Failure,
    output::{Format, facts, json, table},
    signals::Signals,
    target::Service,
    terminal::{BAD, CODE, DIM, GOOD, Progress, STRONG, WARN, called_for, say, tell, width},
    trace::{Journeys, render},
};

/// Pictures drawn for one look at the arrivals: under load the rest is counted.
const PICTURES: usize = 2;

/// Run everything on this machine, until Ctrl-C
///
/// Starts nats-server, accounts, verification and mailer as children, each with its own files in the data folder,
/// and starts again what dies. Ctrl-C or SIGTERM lets everything finish what it has begun; nothing is left running
/// after ten seconds. What is in the folder stays: the next `usher up` goes on with it.
///
/// Mails become .eml files in DATA/mails unless USHER_MAIL_URL names a mail server. Other variables of the services
/// (USHER_PUBLIC_URL, USHER_MAIL_FROM, RUST_LOG, …) are passed on to them.
///
/// Traces go to OTEL_EXPORTER_OTLP_ENDPOINT; else to whoever listens on 127.0.0.1:4317; else to a Jaeger that is
/// started, if one is on PATH; else each journey is drawn here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher up
  usher up --ports auto --data /tmp/usher
  USHER_MAIL_URL=smtp://127.0.0.1:2525 usher up
  usher account create ada@example.com    # in another terminal: it finds the system through ./data")]
pub(crate) struct Arguments {
    /// Which ports to listen on, all of them on 127.0.0.1 only
    #[arg(long, value_enum, default_value_t = Choice::Usual)]
    ports: Choice,
}

pub(crate) async fn run(arguments: Arguments, data: &Path, format: Format) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(anyhow::Error::from)?;
    let (mut system, mut notices) = System::open(data)?;
    // Lives until the services have handed over their last spans.
    let traces = Traces::choose(&mut system, arguments.ports).await?;
    let outcome = tokio::select! {
        outcome = attend(&mut system, &mut notices, &traces, arguments.ports, format) => outcome,
        () = signals.next() => Ok(()),
    };
    if outcome.is_ok() {
        aside(
            format,
            "Stopping: everything finishes what it has begun. Ctrl-C again kills it.",
        );
    }
    tokio::select! {
        () = system.stop() => {}
        () = signals.next() => aside(format, "Killed. Nothing is lost: the next start goes on where this one was."),
    }
    while let Ok(notice) = notices.try_recv() {
        show(&notice, format);
    }
    outcome
}

async fn attend(
    system: &mut System,
    notices: &mut Receiver<Notice>,
    traces: &Traces,
    ports: Choice,
    format: Format,
) -> Result<(), Failure> {
    let progress = if format == Format::Json {
        Progress::Aside
    } else {
        Progress::Spoken
    };
    let run = system.start(ports, traces.spans_to(), progress).await?;
    match format {
        Format::Json => say(json(&run)),
        Format::Table => say(overview(system, &run, traces)),
    }
    let mut journeys = match (traces, format) {
        (Traces::Drawn(receiver), Format::Table) => Some(Journeys::of(receiver)),
        _ => None,
    };
    let mut looks = interval(Duration::from_secs(1));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(notice) = notices.recv() => show(&notice, format),
            _ = looks.tick() => {
                if let Some(journeys) = &mut journeys {
                    draw(&journeys.finished(Instant::now()));
                }
            }
        }
    }
}

fn overview(system: &System, run: &RunFile, traces: &Traces) -> String {
    let host = |url: &str| {
        url.split_once("://")
            .map_or(url, |(_, host)| host)
            .to_owned()
    };
    let pid = |name| {
        system
            .state(name)
            .pid
            .map_or_else(String::new, |pid| pid.to_string())
    };
    let services = Service::ALL.map(|service| {
        let listening = run.service(service);
        let name = service.name();
        [
            name.to_owned(),
            host(&listening.url),
            host(&listening.admin_url),
            pid(name),
        ]
    });
    let nats = [
        "nats-server".to_owned(),
        host(&run.nats_url),
        String::new(),
        pid("nats-server"),
    ];
    let parts = table(
        ["PART", "LISTENS", "ADMIN, METRICS", "PROCESS"],
        services.into_iter().chain([nats]),
    );
    let root = system.data().root();
    let places = facts(&[
        ("mails", run.mail.clone()),
        ("traces", traces.described()),
        ("logs", root.join("logs").display().to_string()),
        ("token", run.admin_token_file.display().to_string()),
        (
            "keys",
            format!(
                "{} {DIM}(made on the first start; keep them secret){DIM:#}",
                root.join("code-keys").display()
            ),
        ),
    ]);
    let (version, usher) = (&run.version, called_for(root));
    format!(
        "\n{STRONG}Usher {version} is up.{STRONG:#}\n\n{parts}\n\n{places}\n\
         Try  {CODE}{usher} account create ada@example.com --name Ada{CODE:#}\n     \
         {CODE}{usher} mail list{CODE:#}\n     {CODE}{usher} doctor{CODE:#}\n\n\
         {DIM}The services' warnings follow here. Ctrl-C stops everything.{DIM:#}\n"
    )
}

fn show(notice: &Notice, format: Format) {
    let style = match notice.level {
        Level::Warn => WARN,
        Level::Error => BAD,
    };
    aside(
        format,
        &format!(
            "{style}{:<12}{style:#} {DIM}│{DIM:#} {}",
            notice.part, notice.text
        ),
    );
}

/// For people on standard output, beside JSON on standard error.
fn aside(format: Format, text: &str) {
    match format {
        Format::Table => say(text),
        Format::Json => tell(text),
    }
}

fn draw(finished: &[Vec<crate::otlp::Span>]) {
    let more = finished.len().saturating_sub(PICTURES);
    for spans in finished.iter().take(PICTURES) {
        say(render(spans, width()));
    }
    if more > 0 {
        let plural = if more == 1 { "" } else { "s" };
        say(format!(
            "{GOOD}…{GOOD:#} {DIM}and {more} more journey{plural}{DIM:#}\n"
        ));
    }
}
