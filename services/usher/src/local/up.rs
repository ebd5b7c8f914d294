//! `usher up`: starts the system, shows where everything is, then what goes wrong and every
//! finished journey, until it is asked to stop.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use accounts::config::Dispatcher;
use clap::Args;
use kit::serve::StopSignals;
use tokio::{
    sync::mpsc::Receiver,
    time::{MissedTickBehavior, interval},
};

use super::{
    logs::{Level, Notice},
    ports::PortChoice,
    run_file::RunFile,
    system::System,
    told::ToldServices,
    traces::Traces,
};
use crate::{
    exit::Failure,
    otlp::Span,
    output::{Format, facts, json, table},
    service::Service,
    terminal::{self, BAD, CODE, DIM, GOOD, STRONG, WARN, called_for, say, width},
    trace::{Journeys, render},
};

/// Pictures drawn for one look at the arrivals: under load the rest is counted.
const PICTURES: usize = 2;

/// Run everything on this machine, until Ctrl-C
///
/// Starts nats-server, accounts, verification and mailer as children, each with its own files in
/// the data folder, and starts again what dies. Ctrl-C or SIGTERM lets everything finish what it
/// has begun; nothing is left running after ten seconds. What is in the folder stays: the next
/// `usher up` goes on with it.
///
/// Mails become .eml files in DATA/mails unless USHER_MAIL_URL names a mail server. Other variables
/// of the services (USHER_PUBLIC_URL, USHER_MAIL_FROM, RUST_LOG, …) are passed on to them.
///
/// Accounts hands its news on by the broker, which survives any crash; `--dispatcher inline` has it
/// wait for each mail instead, and `background` send them from memory.
///
/// Traces go to OTEL_EXPORTER_OTLP_ENDPOINT; else to whoever listens on 127.0.0.1:4317; else to a
/// Jaeger that is started, if one is on PATH; else each journey is drawn here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher up
  usher up --ports auto --data /tmp/usher
  usher up --dispatcher inline            # a sign-up is answered once its mail was sent
  USHER_MAIL_URL=smtp://127.0.0.1:2525 usher up
  usher account create ada@example.com    # in another terminal: it finds the system through ./data")]
pub(crate) struct UpArguments {
    /// Which ports to listen on, all of them on 127.0.0.1 only
    #[arg(long, value_enum, default_value_t = PortChoice::Usual)]
    ports: PortChoice,
    /// How the news of a new account reaches verification, instead of what USHER_DISPATCHER says
    #[arg(long, value_enum, value_name = "KIND")]
    dispatcher: Option<Dispatcher>,
}

pub(crate) async fn run(
    arguments: UpArguments,
    data: &Path,
    format: Format,
    slips: Vec<String>,
) -> Result<(), Failure> {
    // Before anything is started: a signal that comes in the middle of it must end it in order,
    // too.
    let mut signals = StopSignals::listen()?;
    let mut told = ToldServices::find(slips)?;
    told.dispatcher = arguments.dispatcher;
    // Whoever reads this terminal, if anybody does: the children are looked after.
    terminal::write_behind();
    for warning in &told.warnings {
        format.narrate(terminal::of_part(WARN, "settings", warning));
    }
    let (mut system, mut notices) = System::open(data, told)?;
    // Lives until the services have handed over their last spans.
    let traces = Traces::choose(&mut system, arguments.ports).await?;
    let outcome = tokio::select! {
        // A signal drops it wherever it is: what it has started is in `system`, stopped next.
        outcome = attend(&mut system, &mut notices, &traces, arguments.ports, format) => outcome,
        () = signals.next() => Ok(()),
    };
    if outcome.is_ok() {
        format.narrate("Stopping: everything finishes what it has begun. Ctrl-C again kills it.");
    }
    // A second signal drops the stop, and with `system` every child that is left: that kills them.
    tokio::select! {
        () = system.stop() => {}
        () = signals.next() => format.narrate("Killed. Nothing is lost: the next start goes on where this one was."),
    }
    // What children said while they ended: a stop that was not clean is not to pass unseen.
    while let Ok(notice) = notices.try_recv() {
        show(&notice, format);
    }
    outcome
}

/// Starts the system, then shows what it has to say; ends only by an error, or by being dropped.
async fn attend(
    system: &mut System,
    notices: &mut Receiver<Notice>,
    traces: &Traces,
    ports: PortChoice,
    format: Format,
) -> Result<(), Failure> {
    let exports = traces.spans_to();
    let run = system.start(ports, exports, format.progress()).await?;
    match format {
        Format::Json => say(json(&run)),
        Format::Table => say(overview(system, &run, traces)),
        Format::Quiet => {}
    }
    let mut journeys = match (traces, format) {
        (Traces::Drawn(receiver), Format::Table) => Some(Journeys::of(receiver)),
        _ => None,
    };
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(notice) = notices.recv() => show(&notice, format),
            _ = ticks.tick() => {
                if let Some(journeys) = &mut journeys {
                    draw(&journeys.finished(Instant::now()));
                }
            }
        }
    }
}

fn overview(system: &System, run: &RunFile, traces: &Traces) -> String {
    let root = system.data().root();
    let parts = parts(system, run);
    let key_file = root.join("code-keys");
    let keys = key_file.display();
    let places = facts(&[
        ("mails", run.mail.clone()),
        ("traces", traces.described()),
        ("logs", root.join("logs").display().to_string()),
        ("token", run.admin_token_file.display().to_string()),
        (
            "keys",
            format!("{keys} {DIM}(made on the first start; keep them secret){DIM:#}"),
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

fn parts(system: &System, run: &RunFile) -> String {
    let mut rows = Vec::new();
    for service in Service::ALL {
        let listening = &run.services[service];
        rows.push([
            service.name().to_owned(),
            host(&listening.url),
            host(&listening.admin_url),
            pid(system, service.name()),
        ]);
    }
    rows.push([
        "nats-server".to_owned(),
        host(&run.nats_url),
        String::new(),
        pid(system, "nats-server"),
    ]);
    table(["PART", "LISTENS", "ADMIN, METRICS", "PROCESS"], rows)
}

fn host(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    host.to_owned()
}

fn pid(system: &System, part: &str) -> String {
    match system.state(part).pid {
        Some(pid) => pid.to_string(),
        None => String::new(),
    }
}

fn show(notice: &Notice, format: Format) {
    let style = match notice.level {
        Level::Warn => WARN,
        Level::Error => BAD,
    };
    let Notice { part, text, .. } = notice;
    format.warn(terminal::of_part(style, part, text));
}

fn draw(finished: &[Vec<Span>]) {
    for spans in finished.iter().take(PICTURES) {
        say(render(spans, width()));
    }
    let more = finished.len().saturating_sub(PICTURES);
    if more > 0 {
        let journeys = if more == 1 { "journey" } else { "journeys" };
        say(format!(
            "{GOOD}…{GOOD:#} {DIM}and {more} more {journeys}{DIM:#}\n"
        ));
    }
}
