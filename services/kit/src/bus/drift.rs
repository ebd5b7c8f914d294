//! Where the broker's streams and durables differ from what is described, and what to do about each
//! difference.

use std::fmt;

use anyhow::Context as _;
use async_nats::jetstream::{
    consumer::IntoConsumerConfig as _, context::ConsumerInfoErrorKind, stream,
};
use proto::streams::{ALL, Stream};

use super::{
    connection::Bus,
    difference::differences,
    durable::{self, ConsumerSettings, Durable},
    look,
    sight::Sight,
    streams,
};

/// Copies of a stream that a cluster needs to lose a server without losing a message.
const COPIES_IN_A_CLUSTER: usize = 3;

/// What operators may set as they like, and what the server adds.
const FREE_OF_STREAMS: [&str; 4] = ["metadata", "description", "placement", "num_replicas"];
/// The same of durables; AckWait is a setting of its service.
const FREE_OF_DURABLES: [&str; 6] = [
    "metadata",
    "description",
    "name",
    "num_replicas",
    "max_waiting",
    "ack_wait",
];
/// What no update changes: the server refuses it.
const FIXED: [&str; 5] = [
    "sealed",
    "storage",
    "retention",
    "deny_delete",
    "deny_purge",
];

/// One difference between the broker and a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// As `proto::streams` calls it.
    pub stream: &'static str,
    /// What differs, as a sentence.
    pub what: String,
    /// What to do about it, as sentences.
    pub advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}: {}", self.stream, self.what)
    }
}

/// Every difference between the server's streams and their descriptions, and between these durables
/// and theirs.
///
/// # Errors
/// When the broker does not answer.
pub async fn drift(bus: &Bus, durables: &[Durable]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for stream in &ALL {
        let Some(found) = streams::found(bus, stream).await? else {
            let sight = look::of_missing(bus, stream).await;
            let what = match &sight {
                Sight::Taken { by, .. } => {
                    format!("is missing, because stream {by} takes its subjects")
                }
                _ => "is missing".to_owned(),
            };
            findings.push(Finding {
                stream: stream.name,
                what,
                advice: sight.told().advice,
            });
            continue;
        };
        findings.extend(of_stream(stream, found.cached_info()));
        for durable in durables.iter().filter(|durable| durable.stream == *stream) {
            findings.extend(of_durable(durable, &found).await?);
        }
    }
    Ok(findings)
}

fn of_stream(described: &Stream, info: &stream::Info) -> Vec<Finding> {
    let name = described.name;
    let copies = info.config.num_replicas;
    let mut findings = Vec::new();
    let wanted = streams::config(described, copies);
    for differs in differences(&wanted, &info.config, &FREE_OF_STREAMS) {
        let advice = match FIXED.contains(&&*differs.field) {
            false => "`usher nats provision` corrects it.".to_owned(),
            true => format!(
                "The server changes this of no stream that exists. Once its durables have read all of it: \
                 `nats stream rm {name}`, then `usher nats provision`."
            ),
        };
        findings.push(Finding {
            stream: name,
            what: differs.to_string(),
            advice,
        });
    }
    let cluster = info.cluster.as_ref().and_then(|it| it.name.as_deref());
    if cluster.is_some_and(|name| !name.is_empty()) && copies < COPIES_IN_A_CLUSTER {
        findings.push(Finding {
            stream: name,
            what: format!("num_replicas is {copies}, should be {COPIES_IN_A_CLUSTER} in a cluster"),
            advice: format!(
                "`usher nats provision --replicas {COPIES_IN_A_CLUSTER}` makes the copies."
            ),
        });
    }
    findings
}

async fn of_durable(described: &Durable, stream: &stream::Stream) -> anyhow::Result<Vec<Finding>> {
    let name = &described.name;
    let finding = |what: String, advice: String| Finding {
        stream: described.stream.name,
        what,
        advice,
    };
    let info = match stream.consumer_info(name).await {
        Ok(info) => info,
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
            let advice = format!("{name} makes it when it runs: start it, or look into its log.");
            return Ok(vec![finding(format!("durable {name} is missing"), advice)]);
        }
        Err(error) => return Err(error).context("The broker does not answer."),
    };
    let wanted = durable::config(described, &ConsumerSettings::default(), String::new());
    let mut findings = Vec::new();
    for differs in differences(
        &wanted.into_consumer_config(),
        &info.config,
        &FREE_OF_DURABLES,
    ) {
        let advice = format!("{name} corrects it when it is started again.");
        findings.push(finding(format!("durable {name}: {differs}"), advice));
    }
    Ok(findings)
}
