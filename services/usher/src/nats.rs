//! `usher nats …`: makes the streams, or tells how they and their durables are.

use clap::{Args, Subcommand};
use futures::TryStreamExt as _;
use kit::bus::{self, Bus, Change, Provisioned};
use serde::Serialize;

use crate::{
    broker,
    exit::Failure,
    output::table,
    session::Session,
    terminal::{GOOD, WARN},
    wait::WaitFlag,
};

#[derive(Debug, Subcommand)]
pub(crate) enum NatsCommand {
    Provision(ProvisionArguments),
    /// Show the streams, who reads them and how far, and where they differ from their description
    #[command(after_help = "Examples:
  usher nats status
  usher nats status --output json | jq '.streams[].durables[] | select(.pending > 0)'")]
    Status,
}

/// Make the streams that are missing and correct those that differ; safe to repeat
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher nats provision
  usher nats provision --nats-url nats://nats-0:4222,nats://nats-1:4222 --replicas 3
  usher nats provision --replicas 3 --wait 5m      # also for servers that are still starting")]
pub(crate) struct ProvisionArguments {
    /// Copies of each stream: 1 for one server, 3 for a cluster [default: as many as it has, 1 for
    /// a new one]
    #[arg(long, value_name = "N")]
    replicas: Option<usize>,
    #[command(flatten)]
    wait: WaitFlag,
}

/// What `provision` did to one stream.
#[derive(Debug, Serialize)]
struct ProvisionedStream {
    name: &'static str,
    change: &'static str,
    corrections: Vec<String>,
}

impl From<Provisioned> for ProvisionedStream {
    fn from(Provisioned { stream, change }: Provisioned) -> Self {
        let (change, corrections) = match change {
            Change::Made => ("made", Vec::new()),
            Change::Corrected(corrections) => ("corrected", corrections),
            Change::Unchanged => ("unchanged", Vec::new()),
        };
        Self {
            name: stream,
            change,
            corrections,
        }
    }
}

async fn connect(session: &Session) -> Result<Bus, Failure> {
    let log = session.places.broker_log();
    broker::connect(&session.places.broker, log.as_deref()).await
}

/// What the broker holds.
#[derive(Debug, Serialize)]
pub(crate) struct BrokerStatus {
    /// The version that answered.
    pub(crate) server: String,
    pub(crate) streams: Vec<StreamStatus>,
    /// Where streams and durables differ from their description.
    pub(crate) drift: Vec<Difference>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) advice: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct StreamStatus {
    pub(crate) name: String,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) durables: Vec<DurableStatus>,
}

#[derive(Debug, Serialize)]
pub(crate) struct DurableStatus {
    pub(crate) name: String,
    /// Messages that it has not got yet.
    pub(crate) pending: u64,
    /// Messages that it holds without having acknowledged them.
    pub(crate) unacknowledged: usize,
    /// Of those, messages that came more than once.
    pub(crate) redelivered: usize,
}

pub(crate) async fn run(command: NatsCommand, session: &Session) -> Result<(), Failure> {
    match command {
        NatsCommand::Provision(ProvisionArguments { replicas, wait }) => {
            // Servers that have not found each other yet take no copies, and say so in many ways.
            let pass = |_: &Failure| true;
            let provision = async || provision(session, replicas).await;
            let streams = wait.until(session.format, pass, provision).await?;
            let told = serde_json::json!({ "streams": streams });
            session.format.print(&told, |_| what_was_done(&streams));
        }
        NatsCommand::Status => {
            let bus = connect(session).await?;
            session.format.print(&status(&bus).await?, spoken);
        }
    }
    Ok(())
}

async fn provision(
    session: &Session,
    replicas: Option<usize>,
) -> Result<Vec<ProvisionedStream>, Failure> {
    let bus = connect(session).await?;
    match bus::provision(&bus, replicas).await {
        Ok(streams) => Ok(streams.into_iter().map(ProvisionedStream::from).collect()),
        Err(error) => Err(broker::not_provisioned(&bus, &error).await),
    }
}

fn what_was_done(streams: &[ProvisionedStream]) -> String {
    if streams.iter().all(|stream| stream.change == "unchanged") {
        let names = Vec::from_iter(streams.iter().map(|stream| stream.name));
        let names = names.join(", ");
        return format!(
            "{GOOD}The streams are as they should be, and were before:{GOOD:#} {names}"
        );
    }
    let mut text = String::new();
    for stream in streams {
        let name = stream.name;
        text.push_str(&match stream.change {
            "unchanged" => format!("  stream {name} was as it should be\n"),
            change => format!("{GOOD}✓{GOOD:#} stream {name} was {change}\n"),
        });
        for correction in &stream.corrections {
            text.push_str(&format!("    {correction}\n"));
        }
    }
    text
}

/// Reads what the broker holds of ours.
pub(crate) async fn status(bus: &Bus) -> anyhow::Result<BrokerStatus> {
    let mut streams = Vec::new();
    for described in proto::streams::ALL {
        // A stream that is missing shows in the drift.
        let Ok(mut stream) = bus.jetstream().get_stream(described.name).await else {
            continue;
        };
        let mut durables = Vec::new();
        let mut listed = stream.consumers();
        while let Some(durable) = listed.try_next().await? {
            durables.push(DurableStatus {
                name: durable.name,
                pending: durable.num_pending,
                unacknowledged: durable.num_ack_pending,
                redelivered: durable.num_redelivered,
            });
        }
        let state = stream.info().await?.state.clone();
        streams.push(StreamStatus {
            name: described.name.to_owned(),
            messages: state.messages,
            bytes: state.bytes,
            durables,
        });
    }
    let described = [accounts::app::durable(), verification::app::durable()];
    let mut drift = Vec::new();
    for finding in bus::drift(bus, &described).await? {
        drift.push(Difference {
            what: finding.to_string(),
            advice: finding.advice,
        });
    }
    Ok(BrokerStatus {
        server: bus.jetstream().client().server_info().version,
        streams,
        drift,
    })
}

fn spoken(status: &BrokerStatus) -> String {
    let rows = status.streams.iter().flat_map(rows);
    let heading = [
        "STREAM",
        "MESSAGES",
        "SIZE",
        "READ BY",
        "UNREAD",
        "UNACKED",
        "REDELIVERED",
    ];
    let mut text = format!(
        "nats-server {}\n\n{}\n",
        status.server,
        table(heading, rows)
    );
    for Difference { what, advice } in &status.drift {
        text.push_str(&format!("\n{WARN}!{WARN:#} {what}\n  {advice}"));
    }
    text
}

/// A row a durable; the stream stands before its first one.
fn rows(stream: &StreamStatus) -> Vec<[String; 7]> {
    let mut head = [
        stream.name.clone(),
        stream.messages.to_string(),
        size(stream.bytes),
    ];
    if stream.durables.is_empty() {
        let [name, messages, bytes] = head;
        let (nobody, nothing) = ("–".to_owned(), String::new);
        let row = [
            name,
            messages,
            bytes,
            nobody,
            nothing(),
            nothing(),
            nothing(),
        ];
        return vec![row];
    }
    let mut rows = Vec::new();
    for durable in &stream.durables {
        let [name, messages, bytes] = std::mem::take(&mut head);
        rows.push([
            name,
            messages,
            bytes,
            durable.name.clone(),
            durable.pending.to_string(),
            durable.unacknowledged.to_string(),
            durable.redelivered.to_string(),
        ]);
    }
    rows
}

fn size(bytes: u64) -> String {
    match bytes {
        0..=1023 => format!("{bytes} B"),
        1024..=1_048_575 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes >> 20),
    }
}
